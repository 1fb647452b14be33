/*
 * The emulator's string instructions: repetition in bounded shares and with faults in the middle,
 * and port accesses only where the hardware reported them.
 */
#include "tests/unit/emul_fixture.h"

/* ---- repetition ---- */

/* `calls` calls of at most EMUL_MAX_REP iterations each do the `count` that RCX asks for. */
static void test_share(void **state)
{
	static const unsigned counts[] = {1, 255, 256, 257, 512, 1000};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		unsigned left = counts[i], done = 0;

		emul_begin_64();
		gpr[GPR_RCX] = left;
		gpr[GPR_RDI] = DEV_V;
		do {
			unsigned n = MIN(left, (unsigned)EMUL_MAX_REP);
			enum emul_result r = RUN(0xf3, 0xaa); /* REP STOSB */

			done += n;
			left -= n;
			assert_int_equal(r, left ? EMUL_AGAIN : EMUL_DONE);
			assert_int_equal(gpr[GPR_RCX], left);
			assert_int_equal(gpr[GPR_RDI], DEV_V + done);
			assert_int_equal(n_touch, done);
		} while (left);
		assert_int_equal(rip, CODE_V + 2);
		for (unsigned k = 0; k < done; k++)
			assert_touch(k, 'w', DEVICE + k, 1, gpr[GPR_RAX] & 0xff);
	}
}

/* A comparison that ends with the share is over. */
static void test_share_of_comparison(void **state)
{
	(void)state;
	emul_begin_64();
	memset(device, 0x33, 300);
	gpr[GPR_RAX] = 0x33;
	gpr[GPR_RCX] = 1000;
	gpr[GPR_RDI] = DEV_V;
	device[EMUL_MAX_REP - 1] = 0x34;
	assert_int_equal(RUN(0xf3, 0xae), EMUL_DONE); /* REPE SCASB */
	assert_int_equal(gpr[GPR_RCX], 1000 - EMUL_MAX_REP);
	assert_int_equal(gpr[GPR_RDI], DEV_V + EMUL_MAX_REP);
	assert_int_equal(rflags & (RFLAGS_ZF | RFLAGS_CF | RFLAGS_SF), RFLAGS_CF | RFLAGS_SF);

	gpr[GPR_RCX] = 1000;
	gpr[GPR_RDI] = DEV_V;
	device[EMUL_MAX_REP - 1] = 0x33;
	assert_int_equal(RUN(0xf3, 0xae), EMUL_AGAIN);
	assert_int_equal(gpr[GPR_RCX], 1000 - EMUL_MAX_REP);
	assert_true(rflags & RFLAGS_ZF);
	assert_int_equal(RUN(0xf3, 0xae), EMUL_DONE);
	assert_int_equal(gpr[GPR_RCX], 1000 - 301);

	gpr[GPR_RCX] = 1000;
	gpr[GPR_RDI] = DEV_V;
	gpr[GPR_RAX] = device[300];
	assert_int_equal(RUN(0xf2, 0xae), EMUL_AGAIN); /* REPNE SCASB */
	assert_int_equal(RUN(0xf2, 0xae), EMUL_DONE);
	assert_int_equal(gpr[GPR_RDI], DEV_V + 301);
	assert_true(rflags & RFLAGS_ZF);
}

static void test_single_step(void **state)
{
	(void)state;
	emul_begin_64();
	rflags |= RFLAGS_TF;
	gpr[GPR_RCX] = 3;
	gpr[GPR_RSI] = DEV_V;
	gpr[GPR_RDI] = RAM_V;
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(RUN(0xf3, 0xa4), i < 3 ? EMUL_AGAIN : EMUL_DONE);
		assert_int_equal(n_touch, i);
		assert_int_equal(gpr[GPR_RCX], 3 - i);
		assert_int_equal(gpr[GPR_RSI], DEV_V + i);
		assert_int_equal(gpr[GPR_RDI], RAM_V + i);
	}
	assert_int_equal(rip, CODE_V + 2);
	assert_true(rflags & RFLAGS_TF);
}

/* RCX, ECX or CX of zero by the address size: no iteration, no flag changes. */
static void test_no_iteration(void **state)
{
	static const uint8_t opcodes[] = {0xa4, 0xa6, 0xaa, 0xac, 0xae};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(opcodes); i++) {
		emul_begin_64();
		gpr[GPR_RCX] = 0;
		gpr[GPR_RSI] = gpr[GPR_RDI] = NONE_V; /* nor a fault */
		emul_remember();
		assert_int_equal(RUN(0xf3, opcodes[i]), EMUL_DONE);
		assert_int_equal(rip, CODE_V + 2);
		rip = CODE_V;
		assert_nothing_done();

		emul_begin_flat(&code_16);
		gpr[GPR_RCX] = 0x1234567890ab0000;
		emul_remember();
		assert_int_equal(RUN(0xf2, opcodes[i]), EMUL_DONE);
		rip = code_at;
		assert_nothing_done();
	}
	emul_begin_64();
	gpr[GPR_RCX] = 0xffffffff00000000;
	assert_int_equal(RUN(0x67, 0xf3, 0xaa), EMUL_DONE);
	assert_int_equal(n_touch, 0);
	assert_int_equal((uint32_t)gpr[GPR_RCX], 0);
}

/* Registers of 16 bits wrap and keep the bits above; those of 32 bits lose the upper half. */
static void test_register_sizes(void **state)
{
	(void)state;
	emul_begin_flat(&code_16);
	seg[SEG_ES].base = DEVICE;
	seg[SEG_DS].base = RAM_P;
	gpr[GPR_RCX] = 0xaaaaaaaaaaaa0003;
	gpr[GPR_RSI] = 0xbbbbbbbbbbbbfffe;
	gpr[GPR_RDI] = 0xcccccccccccc0002;
	assert_int_equal(RUN(0xf3, 0xa4), EMUL_DONE); /* REP MOVSB */
	assert_int_equal(n_touch, 3);
	assert_touch(2, 'w', DEVICE + 4, 1, get32(RAM_P) & 0xff);
	assert_int_equal(gpr[GPR_RCX], 0xaaaaaaaaaaaa0000);
	assert_int_equal(gpr[GPR_RSI], 0xbbbbbbbbbbbb0001);
	assert_int_equal(gpr[GPR_RDI], 0xcccccccccccc0005);
	gpr[GPR_RCX] = 0xaaaaaaaa00000002;
	gpr[GPR_RDI] = 0xcccccccc00000008;
	assert_int_equal(RUN(0x67, 0xf3, 0xab), EMUL_DONE); /* STOSW with 32-bit addresses */
	assert_touch(4, 'w', DEVICE + 10, 2, gpr[GPR_RAX] & 0xffff);
	assert_int_equal((uint32_t)gpr[GPR_RCX], 0);
	assert_int_equal((uint32_t)gpr[GPR_RDI], 12);

	emul_begin_64();
	code_map(0x5000, DEVICE, 1, CODE_FLAGS);
	gpr[GPR_RCX] = 0xaaaaaaaa00000002;
	gpr[GPR_RDI] = 0xcccccccc00005008;
	assert_int_equal(RUN(0x67, 0xf3, 0xab), EMUL_DONE);
	assert_touch(1, 'w', DEVICE + 12, 4, (uint32_t)gpr[GPR_RAX]);
	assert_int_equal(gpr[GPR_RCX], 0);
	assert_int_equal(gpr[GPR_RDI], 0x5010);
	gpr[GPR_RSI] = DEV_V;
	gpr[GPR_RAX] = 0x8877665544332211;
	assert_int_equal(RUN(0x66, 0xad), EMUL_DONE); /* LODSW, LODSD */
	assert_int_equal(gpr[GPR_RAX] >> 16, 0x887766554433);
	assert_int_equal(RUN(0xad), EMUL_DONE);
	assert_int_equal(gpr[GPR_RAX] >> 32, 0);
}

static void test_copy(void **state)
{
	(void)state;
	/* device to device: each byte is read before it is written */
	emul_begin_64();
	gpr[GPR_RSI] = DEV_V;
	gpr[GPR_RDI] = DEV_V + 8;
	assert_int_equal(RUN(0x48, 0xa5), EMUL_DONE);
	assert_int_equal(n_touch, 2);
	assert_touch(0, 'r', DEVICE, 8, touch[1].value);
	assert_touch(1, 'w', DEVICE + 8, 8, touch[0].value);
	/* the source may have another segment, the destination never; flat outside 64-bit mode */
	emul_begin_flat(&code_32);
	seg[SEG_ES].base = DEVICE;
	seg[SEG_DS].base = RAM_P;
	seg[SEG_FS].base = RAM_P + 0x1000;
	gpr[GPR_RSI] = 0x20;
	gpr[GPR_RDI] = 0x40;
	assert_int_equal(RUN(0xa5), EMUL_DONE);
	assert_touch(0, 'w', DEVICE + 0x40, 4, get32(RAM_P + 0x20));
	assert_int_equal(RUN(0x64, 0xa5), EMUL_DONE);
	assert_touch(1, 'w', DEVICE + 0x44, 4, get32(RAM_P + 0x1024));
	seg[SEG_ES].attr = 0x491; /* read-only */
	emul_remember();
	assert_int_equal(RUN(0xa5), EMUL_FAULT);
	assert_exception(VEC_GP, 0);
	assert_nothing_done();
	assert_int_equal(RUN(0xae), EMUL_DONE); /* SCASB only reads */
	/* FS in 64-bit mode has a base for the source alone */
	emul_begin_64();
	seg[SEG_FS].base = RAM_V;
	gpr[GPR_RSI] = 0x20;
	gpr[GPR_RDI] = DEV_V;
	assert_int_equal(RUN(0x64, 0xa5), EMUL_DONE);
	assert_touch(0, 'w', DEVICE, 4, get32(RAM_P + 0x20));
}

/* ---- faults between iterations ---- */

struct stop {
	uint8_t bytes[3], n;
	uint64_t rsi, rdi;
	bool down;
	int64_t step;  /* of the registers, per iteration */
	unsigned done; /* iterations before the fault */
	uint64_t at;   /* the #PF */
	uint32_t error;
	unsigned touched; /* accesses of a device until then */
	char port;        /* 'i', 'o' */
	bool si, di;      /* which registers move */
};

static void test_faults_in_the_middle(void **state)
{
	static const struct stop stops[] = {
		/* REP STOSQ from the device into a read-only page */
		{{0xf3, 0x48, 0xab}, 3, 0, RO_V - 32, false, 8, 4, RO_V, 3, 4, 0, false, true},
		/* the element that crosses is not written in part */
		{{0xf3, 0x48, 0xab}, 3, 0, RO_V - 30, false, 8, 3, RO_V, 3, 9, 0, false, true},
		/* at once */
		{{0xf3, 0x48, 0xab}, 3, 0, NONE_V, false, 8, 0, NONE_V, 2, 0, 0, false, true},
		/* downwards, out of the first page */
		{{0xf3, 0x48, 0xab}, 3, 0, RAM_V + 8, true, -8, 2, RAM_V - 8, 2, 0, 0, false, true},
		/* REP MOVSB: the source ends */
		{{0xf3, 0xa4}, 2, NONE_V - 5, DEV_V, false, 1, 5, NONE_V, 0, 5, 0, true, true},
		/* the destination ends: what would not be written is not read */
		{{0xf3, 0xa4}, 2, DEV_V, RO_DEV_V - 3, false, 1, 3, RO_DEV_V, 3, 6, 0, true, true},
		/* REP LODSW, REPNE SCASB, REPNE CMPSB */
		{{0xf3, 0x66, 0xad}, 3, NONE_V - 6, 0, false, 2, 3, NONE_V, 0, 0, 0, true, false},
		{{0xf2, 0xae}, 2, 0, NONE_V - 7, false, 1, 7, NONE_V, 0, 0, 0, false, true},
		{{0xf2, 0xa6}, 2, NONE_V - 7, DEV_V, false, 1, 7, NONE_V, 0, 7, 0, true, true},
		/* REP INSB, REP OUTSD: the port is not touched for nothing */
		{{0xf3, 0x6c}, 2, 0, RO_V - 2, false, 1, 2, RO_V, 3, 4, 'i', false, true},
		{{0xf3, 0x6f}, 2, NONE_V - 12, 0, false, 4, 3, NONE_V, 0, 3, 'o', true, false},
		{{0xf3, 0x6f}, 2, NONE_V - 10, 0, false, 4, 2, NONE_V, 0, 2, 'o', true, false},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(stops); i++) {
		const struct stop *s = &stops[i];
		uint64_t moved = s->done * (uint64_t)s->step;

		emul_begin_64();
		gpr[GPR_RCX] = 100;
		gpr[GPR_RSI] = s->rsi;
		gpr[GPR_RDI] = s->rdi;
		/* no byte compares equal to the one before the end */
		gpr[GPR_RAX] = 0x1155;
		assert_int_equal(gmem_fill(&code_mem, RO_P + 0xff0, 0xee, 16), 0);
		memset(device, 0xdd, 16);
		if (s->down)
			rflags |= RFLAGS_DF;
		port_reported = s->port;
		port = (struct emul_port){(uint16_t)gpr[GPR_RDX], s->port == 'o' ? 4 : 1,
					  s->port == 'i'};
		assert_int_equal(emul_run(s->bytes, s->n), EMUL_FAULT);
		assert_page_fault(s->at, s->error);
		assert_int_equal(gpr[GPR_RCX], 100 - s->done);
		assert_int_equal(gpr[GPR_RSI], s->rsi + (s->si ? moved : 0));
		assert_int_equal(gpr[GPR_RDI], s->rdi + (s->di ? moved : 0));
		assert_int_equal(n_touch, s->touched);
		/* and from there it goes no further */
		emul_remember();
		assert_int_equal(emul_run(s->bytes, s->n), EMUL_FAULT);
		assert_nothing_done();
	}
}

/* The segment's limit stops it as a page does. */
static void test_limit_in_the_middle(void **state)
{
	(void)state;
	emul_begin_flat(&code_32);
	seg[SEG_ES].base = DEVICE;
	seg[SEG_ES].limit = 0x10;
	gpr[GPR_RCX] = 10;
	gpr[GPR_RDI] = 0;
	assert_int_equal(RUN(0xf3, 0xab), EMUL_FAULT); /* REP STOSD */
	assert_exception(VEC_GP, 0);
	assert_int_equal(n_touch, 4);
	assert_int_equal(gpr[GPR_RCX], 6);
	assert_int_equal(gpr[GPR_RDI], 0x10);
	/* INS too has no other segment */
	seg[SEG_DS].attr = 0;
	port_reported = true;
	port = (struct emul_port){(uint16_t)gpr[GPR_RDX], 1, true};
	assert_int_equal(RUN(0xf3, 0x3e, 0x6c), EMUL_FAULT);
	assert_int_equal(n_touch, 6);
	assert_touch(4, 'i', port.port, 1, touch[5].value);
	assert_touch(5, 'w', DEVICE + 0x10, 1, touch[4].value);
	assert_int_equal(gpr[GPR_RCX], 5);
	assert_int_equal(gpr[GPR_RDI], 0x11);
}

/* ---- ports ---- */

static void report(uint16_t at, uint8_t size, bool in)
{
	port_reported = true;
	port = (struct emul_port){.port = at, .size = size, .in = in};
}

/* INS and OUTS of each size; REX.W changes nothing. */
static const struct {
	uint8_t bytes[3], n, size;
	bool in;
} port_insns[] = {
	{{0x6c}, 1, 1, true},  {{0x66, 0x6d}, 2, 2, true},
	{{0x6d}, 1, 4, true},  {{0x48, 0x6d}, 2, 4, true},
	{{0x6e}, 1, 1, false}, {{0x66, 0x6f}, 2, 2, false},
	{{0x6f}, 1, 4, false}, {{0x66, 0x48, 0x6f}, 3, 4, false},
};

static void test_ports(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(port_insns); i++) {
		unsigned size = port_insns[i].size;
		bool in = port_insns[i].in;
		uint64_t dx, v = get32(0);

		emul_begin_64();
		gpr[GPR_RDX] = 0xffffffffffff1234;
		gpr[GPR_RSI] = RAM_V + 0x10;
		gpr[GPR_RDI] = RAM_V + 0x20;
		dx = 0x1234;
		v = get32(RAM_P + 0x10) & size_mask(size);
		/* nothing of it where it is not just the reported access */
		emul_remember();
		for (unsigned k = 0; k < 6; k++) {
			report((uint16_t)(dx ^ (k == 0)), (uint8_t)size, in ^ (k == 1));
			if (k >= 2 && k < 5)
				port.size = (uint8_t)(1 << (k - 2));
			if (k == 5)
				port_reported = false;
			if (port_reported && port.port == dx && port.size == size && port.in == in)
				continue;
			assert_int_equal(emul_run(port_insns[i].bytes, port_insns[i].n),
					 EMUL_RETRY);
			assert_nothing_done();
		}
		report((uint16_t)dx, (uint8_t)size, in);
		assert_int_equal(emul_run(port_insns[i].bytes, port_insns[i].n), EMUL_DONE);
		assert_int_equal(rip, CODE_V + port_insns[i].n);
		assert_int_equal(n_touch, 1);
		assert_touch(0, in ? 'i' : 'o', dx, size, in ? touch[0].value : v);
		if (in)
			assert_int_equal(get32(RAM_P + 0x20) & size_mask(size), touch[0].value);
		assert_int_equal(gpr[GPR_RSI], RAM_V + 0x10 + (in ? 0 : size));
		assert_int_equal(gpr[GPR_RDI], RAM_V + 0x20 + (in ? size : 0));
	}
}

static void test_repeated_ports(void **state)
{
	uint16_t bytes = 0x1020;

	(void)state;
	emul_begin_64();
	gpr[GPR_RDX] = 0x1f0;
	gpr[GPR_RCX] = 300;
	gpr[GPR_RDI] = RAM_V;
	report(0x1f0, 2, true);
	assert_int_equal(RUN(0xf3, 0x66, 0x6d), EMUL_AGAIN);
	assert_int_equal(gpr[GPR_RCX], 300 - EMUL_MAX_REP);
	assert_int_equal(RUN(0xf2, 0x66, 0x6d), EMUL_DONE); /* REPNE repeats as well */
	assert_int_equal(n_touch, 300);
	for (unsigned i = 0; i < 300; i++) {
		assert_touch(i, 'i', 0x1f0, 2, touch[i].value);
		assert_int_equal(gmem_read(&code_mem, RAM_P + 2 * i, &bytes, 2), 0);
		assert_int_equal(bytes, touch[i].value);
	}
	assert_int_equal(gpr[GPR_RDI], RAM_V + 600);
	/* downwards, step by step, out of device memory */
	n_touch = 0;
	rflags |= RFLAGS_DF | RFLAGS_TF;
	gpr[GPR_RCX] = 2;
	gpr[GPR_RSI] = DEV_V + 8;
	report(0x1f0, 4, false);
	assert_int_equal(RUN(0xf3, 0x6f), EMUL_AGAIN);
	assert_int_equal(RUN(0xf3, 0x6f), EMUL_DONE);
	assert_int_equal(n_touch, 4);
	assert_touch(0, 'r', DEVICE + 8, 4, touch[1].value);
	assert_touch(2, 'r', DEVICE + 4, 4, touch[3].value);
	assert_int_equal(gpr[GPR_RSI], DEV_V);
	assert_int_equal(gpr[GPR_RCX], 0);
}

/* Another vCPU has put something else in the place of INS or OUTS: the processor is to look. */
static void test_port_instruction_gone(void **state)
{
	(void)state;
	emul_begin_64();
	gpr[GPR_RSI] = gpr[GPR_RDI] = gpr[GPR_RBX] = DEV_V;
	report((uint16_t)gpr[GPR_RDX], 1, true);
	emul_remember();
	assert_int_equal(RUN(0xa4), EMUL_RETRY);
	assert_int_equal(RUN(0xf3, 0xaa), EMUL_RETRY);
	assert_int_equal(RUN(0x0f, 0x28, 0x03), EMUL_RETRY); /* MOVAPS: unsupported */
	assert_int_equal(RUN(0x90), EMUL_RETRY);
	assert_nothing_done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_share_of_comparison),
		cmocka_unit_test(test_single_step),
		cmocka_unit_test(test_no_iteration),
		cmocka_unit_test(test_register_sizes),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_faults_in_the_middle),
		cmocka_unit_test(test_limit_in_the_middle),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_repeated_ports),
		cmocka_unit_test(test_port_instruction_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
