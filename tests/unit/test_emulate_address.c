/*
 * Where an emulated instruction of 64-bit mode reaches: its addresses, the guest's page tables, and
 * the faults of both, after which nothing may have changed.
 */
#include "tests/unit/emul_fixture.h"

#define P 1u
#define W WALK_WRITE
#define U WALK_USER

static void test_fs_gs(void **state)
{
	(void)state;
	emul_begin_64();
	seg[SEG_FS] = (struct segment_state){.base = DEV_V - 0x100};
	seg[SEG_GS] = (struct segment_state){.base = DEV_V + 0x200};
	gpr[GPR_RBX] = 0x108;
	assert_loaded(RUN(0x64, 0x8b, 0x03), 8);
	gpr[GPR_RBX] = (uint64_t)-0x100;
	assert_loaded(RUN(0x65, 0x8b, 0x03), 0x100); /* wraps at 2^64 */
	/* an address of 32 bits is cut before the base is added */
	gpr[GPR_RBX] = 0xdeadbeef00000110;
	assert_loaded(RUN(0x64, 0x67, 0x8b, 0x03), 0x10);
	gpr[GPR_RBX] = 0xffffff98;
	assert_loaded(RUN(0x65, 0x67, 0x8b, 0x43, 0x78), 0x210);
	/* the absolute address too has a segment */
	assert_loaded(RUN(0x64, 0xa1, 0x20, 1, 0, 0, 0, 0, 0, 0), 0x20);
	assert_loaded(RUN(0x64, 0x8b, 0x04, 0x25, 0x24, 1, 0, 0), 0x24);
}

static void test_rsp_and_rip(void **state)
{
	uint32_t disp;

	(void)state;
	emul_begin_64();
	gpr[GPR_RSP] = DEV_V + 0x10;
	assert_loaded(RUN(0x8b, 0x44, 0x24, 0x04), 0x14);
	gpr[GPR_R12] = DEV_V + 0x20;
	assert_loaded(RUN(0x41, 0x8b, 0x04, 0x24), 0x20);
	gpr[GPR_RBX] = DEV_V; /* XCHG with the stack pointer, as a register */
	assert_int_equal(RUN(0x48, 0x87, 0x23), EMUL_DONE);
	assert_touch(1, 'w', DEVICE, 8, DEV_V + 0x10);
	n_touch = 0;

	/* from behind the immediate, not from behind the displacement */
	disp = (uint32_t)(DEV_V + 0x30 - (CODE_V + 10));
	assert_int_equal(RUN(0xc7, 0x05, (uint8_t)disp, (uint8_t)(disp >> 8), (uint8_t)(disp >> 16),
			     (uint8_t)(disp >> 24), 0x78, 0x56, 0x34, 0x12),
			 EMUL_DONE);
	assert_touch(0, 'w', DEVICE + 0x30, 4, 0x12345678);
	n_touch = 0;
	/* relative to EIP, the low half of RIP alone */
	code_map(0x5000, DEVICE, 1, CODE_FLAGS);
	assert_loaded(RUN(0x67, 0x8b, 0x05, 0x09, 0x50, 0, 0), 0x10);
}

/* [disp32] with REX.B and 32-bit addresses: no base, in particular not R13D. */
static void test_no_base(void **state)
{
	(void)state;
	emul_begin_64();
	code_map(0x5000, DEVICE, 1, CODE_FLAGS);
	gpr[GPR_R13] = RAM_V;
	gpr[GPR_RCX] = 4;
	assert_loaded(RUN(0x67, 0x41, 0x8b, 0x04, 0x25, 0x10, 0x50, 0, 0), 0x10);
	assert_loaded(RUN(0x67, 0x41, 0x8b, 0x04, 0x8d, 0x10, 0x50, 0, 0), 0x20);
	assert_loaded(RUN(0x41, 0x8b, 0x04, 0x8d, 0x10, 0x50, 0, 0), 0x20);
	/* where a base is named, it counts */
	gpr[GPR_R13] = 0x5008;
	assert_loaded(RUN(0x67, 0x41, 0x8b, 0x44, 0x8d, 0x08), 0x20);
	assert_loaded(RUN(0x67, 0x41, 0x8b, 0x45, 0x08), 0x10);
}

/* A bit's distance is added before the address is cut to its size. */
static void test_far_bits(void **state)
{
	(void)state;
	emul_begin_64();
	code_map(0x5000, DEVICE, 1, CODE_FLAGS);
	gpr[GPR_RBX] = 0xfffffff0;
	gpr[GPR_RAX] = 8 * 0x5018 + 5;
	device[8] = 0x20;
	assert_int_equal(RUN(0x67, 0x0f, 0xa3, 0x03), EMUL_DONE); /* BT [EBX], EAX */
	assert_touch(0, 'r', DEVICE + 8, 4, dev32(8));
	assert_true(rflags & RFLAGS_CF);
	gpr[GPR_RBX] = DEV_V + 0x100;
	gpr[GPR_RAX] = (uint64_t)-8 * 0x80 - 1;
	assert_int_equal(RUN(0x48, 0x0f, 0xb3, 0x03), EMUL_DONE); /* BTR [RBX], RAX */
	assert_touch(1, 'r', DEVICE + 0x78, 8, touch[1].value);
	assert_touch(2, 'w', DEVICE + 0x78, 8, touch[1].value & ~BIT(63));

	emul_begin_flat(&code_16);
	seg[SEG_DS].base = DEVICE;
	gpr[GPR_RBX] = 0xfff0;
	gpr[GPR_RAX] = 8 * 0x30 + 15;
	assert_int_equal(RUN(0x0f, 0xab, 0x07), EMUL_DONE); /* BTS [BX], AX */
	assert_touch(1, 'w', DEVICE + 0x20, 2, touch[0].value | 0x8000);
}

static void test_not_canonical(void **state)
{
	(void)state;
	emul_begin_64();
	code_map(0x00007ffffffff000, DEVICE, 1, CODE_FLAGS);
	gpr[GPR_RBX] = 0x0000800000000000;
	gpr[GPR_RBP] = gpr[GPR_RSP] = 0xffff7ffffffffff8;
	seg[SEG_GS] = (struct segment_state){.base = 0};
	emul_remember();
	assert_int_equal(RUN(0x8b, 0x03), EMUL_FAULT);
	assert_exception(VEC_GP, 0);
	assert_int_equal(RUN(0x01, 0x03), EMUL_FAULT);
	assert_exception(VEC_GP, 0);
	assert_int_equal(RUN(0x8b, 0x45, 0x00), EMUL_FAULT);
	assert_exception(VEC_SS, 0);
	assert_int_equal(RUN(0x89, 0x04, 0x24), EMUL_FAULT);
	assert_exception(VEC_SS, 0);
	/* with FS or GS it is no access to the stack */
	assert_int_equal(RUN(0x65, 0x8b, 0x45, 0x00), EMUL_FAULT);
	assert_exception(VEC_GP, 0);
	assert_nothing_done();
	/* only the end of it is not canonical */
	gpr[GPR_RBX] = gpr[GPR_RBP] = 0x00007ffffffffffe;
	emul_remember();
	assert_int_equal(RUN(0x89, 0x03), EMUL_FAULT);
	assert_exception(VEC_GP, 0);
	assert_int_equal(RUN(0x89, 0x45, 0x00), EMUL_FAULT);
	assert_exception(VEC_SS, 0);
	assert_nothing_done();
}

/* The page tables' word on reads, writes, and what does both. */
static void test_page_rights(void **state)
{
	static const struct {
		uint8_t bytes[4], n;
		bool write;
	} insn[] = {
		{{0x8b, 0x03}, 2, false},          /* MOV EAX, [RBX] */
		{{0x02, 0x03}, 2, false},          /* ADD AL, [RBX] */
		{{0x39, 0x03}, 2, false},          /* CMP [RBX], EAX */
		{{0x84, 0x03}, 2, false},          /* TEST [RBX], AL */
		{{0x0f, 0xba, 0x23, 5}, 4, false}, /* BT [RBX], 5 */
		{{0x48, 0x63, 0x03}, 3, false},    /* MOVSXD RAX, [RBX] */
		{{0x89, 0x03}, 2, true},           /* MOV [RBX], EAX */
		{{0xc6, 0x03, 0x7f}, 3, true},     /* MOV [RBX], 127 */
		{{0x01, 0x03}, 2, true},           /* ADD [RBX], EAX */
		{{0xf7, 0x13}, 2, true},           /* NOT [RBX] */
		{{0x87, 0x03}, 2, true},           /* XCHG [RBX], EAX */
		{{0x0f, 0xc1, 0x03}, 3, true},     /* XADD [RBX], EAX */
		{{0x0f, 0xb1, 0x03}, 3, true},     /* CMPXCHG [RBX], EAX, which differ */
		{{0x0f, 0xba, 0x2b, 5}, 4, true},  /* BTS [RBX], 5 */
	};
	static const struct {
		uint64_t at;
		uint8_t cpl;
		bool wp, smap, ac;
		int read, write; /* the error code, -1: none */
	} cases[] = {
		{DEV_V, 0, true, false, false, -1, -1},
		{DEV_V, 3, true, false, false, -1, -1},
		{NONE_V, 0, true, false, false, 0, W},
		{NONE_V, 3, true, false, false, U, U | W},
		{RO_DEV_V, 0, true, false, false, -1, W | P},
		{RO_DEV_V, 0, false, false, false, -1, -1},
		{RO_DEV_V, 3, false, false, false, -1, U | W | P},
		{RO_V, 3, true, false, false, -1, U | W | P},
		{SUP_V, 0, true, false, false, -1, -1},
		{SUP_V, 3, true, false, false, U | P, U | W | P},
		{SUP_V, 0, true, true, false, -1, -1},
		{DEV_V, 0, true, true, false, P, W | P},
		{DEV_V, 0, true, true, true, -1, -1},
		{DEV_V, 3, true, true, false, -1, -1},
		{RO_V, 0, true, true, true, -1, W | P},
		/* over the end of a page */
		{DEV_V + 0xfff, 0, true, false, false, -1, W | P},
		{RO_V + 0xfff, 0, false, false, false, 0, W},
		{RO_V + 0xffd, 3, false, false, false, U, U | W | P},
		{NONE_V - 1 - 0x1000, 0, false, false, false, -1, -1},
		{NONE_V + 0xffe, 0, true, false, false, 0, W},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(insn) * ARRAY_SIZE(cases); i++) {
		unsigned k = i / ARRAY_SIZE(insn), j = i % ARRAY_SIZE(insn);
		bool bytewise = insn[j].bytes[0] == 0x02 || insn[j].bytes[0] == 0x84 ||
				insn[j].bytes[0] == 0xc6;
		bool write = insn[j].write;
		uint64_t room = PAGE_SIZE - (cases[k].at & (PAGE_SIZE - 1)), bad = cases[k].at;
		int want = write ? cases[k].write : cases[k].read;

		if (bytewise && room < 4)
			continue;
		emul_begin_64();
		ctx.cpl = cases[k].cpl;
		if (!cases[k].wp)
			ctx.cr0 &= ~CR0_WP;
		if (cases[k].smap)
			ctx.cr4 |= CR4_SMAP;
		if (cases[k].ac)
			rflags |= RFLAGS_AC;
		gpr[GPR_RBX] = cases[k].at;
		/* which page is at fault: the first, if that one forbids it */
		if (room < 4 && !(bad >= NONE_V && bad < SUP_V) &&
		    !(bad >= RO_V && bad < NONE_V && write && (ctx.cpl == 3 || cases[k].wp)))
			bad += room;
		emul_remember();
		if (want < 0) {
			assert_int_equal(emul_run(insn[j].bytes, insn[j].n), EMUL_DONE);
			continue;
		}
		assert_int_equal(emul_run(insn[j].bytes, insn[j].n), EMUL_FAULT);
		assert_page_fault(bad, (uint32_t)want);
		assert_nothing_done();
	}
}

/* An operand half in RAM and half in a device, and one in two devices. */
static void test_two_pages(void **state)
{
	(void)state;
	emul_begin_64();
	put64(RAM_P + 0xff8, 0x8877665544332211);
	device[0] = 0xaa;
	device[1] = 0xbb;
	device[2] = 0xcc;
	gpr[GPR_RBX] = DEV_V - 1;
	assert_int_equal(RUN(0x8b, 0x03), EMUL_DONE);
	assert_int_equal(gpr[GPR_RAX], 0xccbbaa88);
	assert_int_equal(n_touch, 2);
	assert_touch(0, 'r', DEVICE, 2, 0xbbaa);
	assert_touch(1, 'r', DEVICE + 2, 1, 0xcc);
	n_touch = 0;
	gpr[GPR_RAX] = 0x0102030405060708;
	gpr[GPR_RBX] = DEV_V - 4;
	assert_int_equal(RUN(0x48, 0x89, 0x03), EMUL_DONE);
	assert_int_equal(get64(RAM_P + 0xff8), 0x0506070844332211);
	assert_int_equal(n_touch, 1);
	assert_touch(0, 'w', DEVICE, 4, 0x01020304);
	n_touch = 0;
	code_map(NONE_V, DEVICE + 0x3000, 1, CODE_FLAGS);
	gpr[GPR_RBX] = SUP_V - 2;
	gpr[GPR_RAX] = 0xa1b2c3d4;
	assert_int_equal(RUN(0x89, 0x03), EMUL_DONE);
	assert_int_equal(n_touch, 2);
	assert_touch(0, 'w', DEVICE + 0x3ffe, 2, 0xc3d4);
	assert_touch(1, 'w', DEVICE + 0x1000, 2, 0xa1b2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fs_gs),         cmocka_unit_test(test_rsp_and_rip),
		cmocka_unit_test(test_no_base),       cmocka_unit_test(test_far_bits),
		cmocka_unit_test(test_not_canonical), cmocka_unit_test(test_page_rights),
		cmocka_unit_test(test_two_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
