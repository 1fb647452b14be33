/*
 * Where an emulated instruction reaches outside 64-bit mode: segments with their bases, limits and
 * rights, addresses of 16 and 32 bits, real mode, and the wrap at 4 GiB.
 */
#include "tests/unit/emul_fixture.h"

/* Each segment of its own base; the instruction reads by the one that it names. */
static void test_segments(void **state)
{
	static const uint8_t prefix[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
	static const struct code_context *const contexts[] = {&code_32, &code_16};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		emul_begin_flat(contexts[i]);
		for (unsigned s = 0; s <= SEG_GS; s++)
			seg[s].base = DEVICE + 0x800 * s;
		seg[SEG_CS].attr = 0x9b; /* to be read by data accesses as well */
		gpr[GPR_RBX] = gpr[GPR_RBP] = gpr[GPR_RSP] = gpr[GPR_RDI] = 0x10;
		for (unsigned s = 0; s <= SEG_GS; s++)
			if (i) /* MOV EAX, [DI] */
				assert_loaded(RUN(prefix[s], 0x66, 0x8b, 0x05), 0x800 * s + 0x10);
			else
				assert_loaded(RUN(prefix[s], 0x8b, 0x03), 0x800 * s + 0x10);
	}
	/* without a prefix: the base register decides, in a SIB byte as well, but not an index */
	emul_begin_flat(&code_32);
	seg[SEG_SS].base = DEVICE + 0x800;
	seg[SEG_DS].base = DEVICE;
	gpr[GPR_RBX] = gpr[GPR_RBP] = gpr[GPR_RSP] = 0x10;
	assert_loaded(RUN(0x8b, 0x03), 0x10);
	assert_loaded(RUN(0x8b, 0x45, 0x00), 0x810);
	assert_loaded(RUN(0x8b, 0x04, 0x24), 0x810);
	assert_loaded(RUN(0x8b, 0x44, 0x1d, 0x00), 0x820); /* [EBP+EBX] */
	assert_loaded(RUN(0x8b, 0x04, 0x2b), 0x20);        /* [EBX+EBP] */
	assert_loaded(RUN(0x8b, 0x04, 0x2d, 4, 0, 0, 0), 0x14);
	assert_loaded(RUN(0x8b, 0x05, 0x18, 0, 0, 0), 0x18);
	assert_loaded(RUN(0xa1, 0x1c, 0, 0, 0), 0x1c);
}

/* [BX+SI] and the other seven, wrapping at 64 KiB, in 16-bit code and by prefix in 32-bit code. */
static void test_16_bit_addresses(void **state)
{
	static const uint8_t first[] = {GPR_RBX, GPR_RBX, GPR_RBP, GPR_RBP,
					GPR_RSI, GPR_RDI, GPR_RBP, GPR_RBX};
	static const uint8_t second[] = {GPR_RSI, GPR_RDI, GPR_RSI, GPR_RDI};

	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		unsigned rm = i % 8, mod = i / 8 % 3, n = 0;
		unsigned want = (unsigned)(broken_random() % 0x200) * 4, sum = 0;
		bool wide = i / 24 % 2, stack;
		uint8_t b[8];

		emul_begin(wide ? &code_32 : &code_16, 0x5000, 0x5000);
		for (unsigned s = 0; s < SEG_COUNT; s++)
			seg[s] = (struct segment_state){.limit = 0xffff, .attr = 0x93};
		seg[SEG_DS].base = DEVICE;
		seg[SEG_SS].base = DEVICE + 0x1000;
		stack = rm == 2 || rm == 3 || (rm == 6 && mod);
		for (unsigned r = 0; r < GPR_COUNT; r++)
			gpr[r] = broken_random();
		b[n++] = wide ? 0x67 : 0x66;
		b[n++] = 0x8b;
		b[n++] = (uint8_t)(mod << 6 | rm);
		if (rm < 4)
			sum += (uint16_t)gpr[second[rm]];
		if (mod == 1) {
			b[n] = (uint8_t)broken_random();
			sum += (unsigned)(int8_t)b[n++];
		} else if (mod == 2 || rm == 6) {
			uint16_t disp;

			if (mod)
				sum += (uint16_t)gpr[first[rm]];
			disp = (uint16_t)(want - sum);
			b[n++] = (uint8_t)disp;
			b[n++] = (uint8_t)(disp >> 8);
		}
		if (mod == 1 || (mod == 0 && rm != 6))
			gpr[first[rm]] = (gpr[first[rm]] & ~0xffffull) | (uint16_t)(want - sum);
		emul_put(b, n);
		assert_loaded(emul_go(), want + (stack ? 0x1000 : 0));
	}
}

static void check_limit(unsigned s, uint32_t limit, uint16_t attr, uint32_t offset, bool ok)
{
	static const uint8_t prefix[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};

	emul_begin_flat(&code_32);
	seg[s].limit = limit;
	seg[s].attr = attr;
	/* so that what is in the limit is in the device */
	seg[s].base = (uint32_t)(DEVICE + 0x1000 - ALIGN_DOWN(offset, 16));
	gpr[GPR_RBX] = offset;
	emul_remember();
	for (unsigned write = 0; write < 2; write++) {
		enum emul_result r = RUN(prefix[s], write ? 0x89 : 0x8b, 0x03);

		assert_int_equal(r, ok ? EMUL_DONE : EMUL_FAULT);
		if (ok)
			continue;
		assert_exception(s == SEG_SS ? VEC_SS : VEC_GP, 0);
		assert_nothing_done();
	}
}

static void test_limits(void **state)
{
	static const uint8_t segments[] = {SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(segments); i++) {
		unsigned s = segments[i];

		check_limit(s, 0xfff, 0x493, 0xffc, true);
		check_limit(s, 0xfff, 0x493, 0xffd, false);
		check_limit(s, 0xfff, 0x493, 0x1000, false);
		check_limit(s, 0xfff, 0x493, 0xfffffffe, false);
		check_limit(s, 3, 0x493, 0, true);
		check_limit(s, 2, 0x493, 0, false);
		check_limit(s, UINT32_MAX, 0x493, 0xfffffffc, true);
		/* expand-down: what lies above the limit, to 4 GiB or to 64 KiB */
		check_limit(s, 0xfff, 0x497, 0xfff, false);
		check_limit(s, 0xfff, 0x497, 0x1000, true);
		check_limit(s, 0xfff, 0x497, 0, false);
		check_limit(s, 0xfff, 0x497, 0xfffffffc, true);
		check_limit(s, 0xfff, 0x497, 0xfffffffe, false);
		check_limit(s, 0xfff, 0x097, 0xfffc, true);
		check_limit(s, 0xfff, 0x097, 0xfffd, false);
		check_limit(s, 0xfff, 0x097, 0x10000, false);
	}
}

static void test_segment_rights(void **state)
{
	static const struct {
		uint16_t attr;
		bool read, write;
	} cases[] = {
		{0x000, false, false}, {0x013, false, false}, /* null, not present */
		{0x491, true, false},  {0x493, true, true},   {0x499, false, false},
		{0x49b, true, false},  {0x49f, true, false}, /* conforming code */
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		bool stack = i % 2;
		enum emul_result r;

		emul_begin_flat(&code_32);
		seg[stack ? SEG_SS : SEG_DS].attr = cases[i / 2].attr;
		gpr[GPR_RBX] = gpr[GPR_RBP] = DEVICE;
		for (unsigned write = 0; write < 2; write++) {
			bool ok = write ? cases[i / 2].write : cases[i / 2].read;

			emul_remember();
			if (stack)
				r = RUN(write ? 0x89 : 0x8b, 0x45, 0x00);
			else
				r = RUN(write ? 0x89 : 0x8b, 0x03);
			assert_int_equal(r, ok ? EMUL_DONE : EMUL_FAULT);
			if (ok)
				continue;
			assert_exception(stack ? VEC_SS : VEC_GP, 0);
			assert_nothing_done();
		}
	}
}

static void test_real_mode(void **state)
{
	(void)state;
	emul_begin_flat(&code_16);
	seg[SEG_DS].base = DEVICE;
	gpr[GPR_RBX] = 0xffffffffffff0010;
	gpr[GPR_RAX] = 0x1122334455667788;
	/* 16 bits by default, and the rest of the register stays */
	assert_int_equal(RUN(0x8b, 0x07), EMUL_DONE);
	assert_touch(0, 'r', DEVICE + 0x10, 2, dev32(0x10) & 0xffff);
	assert_int_equal(gpr[GPR_RAX] >> 16, 0x112233445566);
	assert_int_equal(rip, 0x5002);
	/* nobody asks for rights: code can be written */
	seg[SEG_CS] = (struct segment_state){.base = DEVICE, .limit = 0xffff, .attr = 0x9b};
	assert_int_equal(RUN(0x2e, 0xc6, 0x07, 0x5a), EMUL_DONE);
	assert_touch(1, 'w', DEVICE + 0x10, 1, 0x5a);
	/* the limit holds */
	gpr[GPR_RBX] = gpr[GPR_RBP] = 0xffff;
	emul_remember();
	assert_int_equal(RUN(0x89, 0x07), EMUL_FAULT);
	assert_exception(VEC_GP, 0);
	assert_int_equal(RUN(0x89, 0x46, 0x00), EMUL_FAULT);
	assert_exception(VEC_SS, 0);
	gpr[GPR_RBX] = 0x10000; /* 32-bit address */
	emul_remember();
	assert_int_equal(RUN(0x67, 0x8b, 0x03), EMUL_FAULT);
	assert_exception(VEC_GP, 0);
	assert_nothing_done();
	/* or another one does that protected mode has left */
	seg[SEG_DS] = (struct segment_state){.limit = UINT32_MAX, .attr = 0x93};
	gpr[GPR_RBX] = DEVICE;
	n_touch = 0;
	assert_loaded(RUN(0x67, 0x66, 0x8b, 0x03), 0);
	/* virtual-8086 mode: as little */
	ctx.cr0 |= CR0_PE;
	ctx.cpl = 3;
	rflags |= RFLAGS_VM;
	seg[SEG_CS].base = DEVICE;
	gpr[GPR_RBX] = 0x20;
	assert_int_equal(RUN(0x2e, 0xc6, 0x07, 0x5b), EMUL_DONE);
	assert_touch(0, 'w', DEVICE + 0x20, 1, 0x5b);
}

/* Linear addresses and EIP wrap at 4 GiB outside 64-bit mode, in compatibility mode as well. */
static void test_wrap(void **state)
{
	(void)state;
	emul_begin_flat(&code_32);
	seg[SEG_DS].base = 0xfffff000;
	gpr[GPR_RBX] = DEVICE + 0x1008;
	assert_loaded(RUN(0x8b, 0x03), 8);
	seg[SEG_DS].base = 0x1000;
	gpr[GPR_RBX] = 0xffffeffe;
	put32(0xfffffffc, 0x22110000);
	put32(0, 0x00004433);
	put32(0x100000000, 0x99999999);
	assert_int_equal(RUN(0x8b, 0x03), EMUL_DONE);
	assert_int_equal(gpr[GPR_RAX], 0x44332211);

	emul_begin_flat(&code_32);
	gpr[GPR_RBX] = DEVICE;
	rip = code_gpa = 0xfffffffe;
	put32(0xfffffffc, 0x038b0000);
	assert_loaded(emul_go(), 0);
	assert_int_equal(rip, 0);

	emul_begin_64();
	ctx.cs_attr = code_32.cs_attr;
	code_at = 0x5000;
	code_map(0x5000, CODE_P, 1, CODE_FLAGS);
	code_map(0x1000, DEVICE, 1, CODE_FLAGS);
	seg[SEG_DS].base = 0xffffe000;
	gpr[GPR_RBX] = 0xffffffff00003010; /* the upper half is not to be seen */
	assert_loaded(RUN(0x8b, 0x03), 0x10);
	seg[SEG_DS].attr = 0; /* and segments count */
	emul_remember();
	assert_int_equal(RUN(0x8b, 0x03), EMUL_FAULT);
	assert_exception(VEC_GP, 0);
	assert_nothing_done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segments),  cmocka_unit_test(test_16_bit_addresses),
		cmocka_unit_test(test_limits),    cmocka_unit_test(test_segment_rights),
		cmocka_unit_test(test_real_mode), cmocka_unit_test(test_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
