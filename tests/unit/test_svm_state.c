/*
 * Whole-state get and set of the SVM back end, each refusal of it, the partial views, and the
 * control block's dump.
 */
#include "tests/unit/svm_fixture.h"

static struct hv_vm vm;
static struct hv_vcpu v;
static struct vmcb *b;

static int setup(void **state)
{
	(void)state;
	fixture_vm(&vm, 0x200000);
	fixture_vcpu(&v, &vm, 0x300000);
	b = svm_vmcb(&v);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(vm.pages.va);
	free(v.pages.va);
	return 0;
}

/* A 64-bit guest's, which every check passes. */
static struct vcpu_state good(void)
{
	struct vcpu_state s = {
		.rip = 0xffffffff81000000,
		.rflags = RFLAGS_ONE | RFLAGS_IF,
		.cr0 = CR0_PE | CR0_PG | CR0_NE | CR0_ET,
		.cr3 = 0x1000,
		.cr4 = CR4_PAE,
		.efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE,
		.dr6 = 0xffff0ff0,
		.dr7 = 0x400,
	};

	s.seg[SEG_CS].attr = SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_L | 0xb;
	return s;
}

static bool random_bool(void)
{
	return below(2);
}

/* What a guest's CR4 can hold. */
#define CR4_KNOWN 0xf71fffull

static struct vcpu_state random_state(void)
{
	struct vcpu_state s;
	bool long_mode = random_bool();

	memset(&s, 0, sizeof(s));
	for (unsigned i = 0; i < GPR_COUNT; i++)
		s.gpr[i] = random64();
	s.rip = random64();
	s.rflags = (uint32_t)random64() | RFLAGS_ONE;
	s.cr0 = (uint32_t)random64() & ~(CR0_NW | CR0_PG | CR0_PE);
	s.cr2 = random64();
	s.cr3 = random64() >> 12;
	s.cr4 = random64() & CR4_KNOWN & ~CR4_CET;
	s.cr8 = below(16);
	s.efer = random64() & (EFER_SCE | EFER_NXE | EFER_FFXSR);
	if (long_mode) {
		s.cr0 |= CR0_PE | CR0_PG;
		s.cr4 |= CR4_PAE;
		s.efer |= EFER_LME | EFER_LMA;
	}
	s.dr6 = (uint32_t)random64();
	s.dr7 = (uint32_t)random64();
	for (unsigned i = 0; i < SEG_COUNT; i++)
		s.seg[i] = (struct segment_state){
			.base = random64(),
			.limit = (uint32_t)random64(),
			.selector = (uint16_t)random64(),
			.attr = random64() & 0xfff,
		};
	s.seg[SEG_CS].attr &= (uint16_t)~SEG_ATTR_DB;
	s.gdtr = (struct table_state){random64(), (uint16_t)random64()};
	s.idtr = (struct table_state){random64(), (uint16_t)random64()};
	s.star = random64();
	s.lstar = random64();
	s.cstar = random64();
	s.sfmask = random64();
	s.kernel_gs_base = random64();
	s.sysenter_cs = random64();
	s.sysenter_esp = random64();
	s.sysenter_eip = random64();
	s.pat = random64();
	s.cpl = (uint8_t)below(4);
	s.irq_blocked = random_bool();
	s.nmi_blocked = random_bool();
	return s;
}

static void test_round_trip(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		struct vcpu_state in = random_state(), out;
		struct reason why;

		b->clean = CLEAN_ALL;
		v.flush_wanted = false;
		memset(&out, 0x5a, sizeof(out));
		assert_int_equal(svm_set_state(&v, &in, &why), 0);
		svm_get_state(&v, &out);
		assert_state_equal(&in, &out);
		/* nothing that the processor has kept is true any more */
		assert_int_equal(b->clean, 0);
		assert_true(v.flush_wanted);
		assert_true(b->efer & EFER_SVME); /* which VMRUN demands */
		assert_int_equal(!!(b->intercept1 & INTERCEPT_IRET), in.nmi_blocked);
	}
}

/* Bit 1 of RFLAGS is always set, whatever a file says. */
static void test_rflags(void **state)
{
	struct vcpu_state s = good();

	(void)state;
	s.rflags = 0;
	assert_int_equal(svm_set_state(&v, &s, NULL), 0);
	svm_get_state(&v, &s);
	assert_int_equal(s.rflags, RFLAGS_ONE);
}

/* The IRET that ends an NMI handler must exit if, and only if, NMIs are blocked. */
static void test_nmi_blocking(void **state)
{
	struct vcpu_state s = good();

	(void)state;
	b->intercept1 = INTERCEPT_CPUID | INTERCEPT_HLT;
	s.nmi_blocked = true;
	assert_int_equal(svm_set_state(&v, &s, NULL), 0);
	assert_int_equal(b->intercept1, INTERCEPT_CPUID | INTERCEPT_HLT | INTERCEPT_IRET);
	s.nmi_blocked = false;
	assert_int_equal(svm_set_state(&v, &s, NULL), 0);
	assert_int_equal(b->intercept1, INTERCEPT_CPUID | INTERCEPT_HLT);
}

static void refused(const struct vcpu_state *s)
{
	struct hv_vcpu v_before = v;
	struct vmcb *before = pages_alloc(1);
	struct reason why = {""};

	memcpy(before, b, sizeof(*b));
	assert_int_equal(svm_set_state(&v, s, &why), ERR_INVALID);
	assert_true(strlen(why.text) > 10);
	/* all or nothing */
	assert_memory_equal(&v, &v_before, sizeof(v));
	assert_memory_equal(b, before, sizeof(*b));
	assert_int_equal(svm_set_state(&v, s, NULL), ERR_INVALID);
	free(before);
}

#define REFUSED(change)                       \
	do {                                  \
		struct vcpu_state s = good(); \
                                              \
		change;                       \
		refused(&s);                  \
	} while (0)

#define ACCEPTED(change)                                          \
	do {                                                      \
		struct vcpu_state s = good();                     \
                                                                  \
		change;                                           \
		assert_int_equal(svm_set_state(&v, &s, NULL), 0); \
	} while (0)

static void test_refusals(void **state)
{
	(void)state;
	ACCEPTED();
	REFUSED(s.cr0 |= CR0_NW);
	ACCEPTED(s.cr0 |= CR0_NW | CR0_CD);
	ACCEPTED(s.cr0 |= CR0_CD);
	for (unsigned bit = 32; bit < 64; bit++) {
		REFUSED(s.cr0 |= BIT(bit));
		REFUSED(s.cr4 |= BIT(bit));
		REFUSED(s.dr6 |= BIT(bit));
		REFUSED(s.dr7 |= BIT(bit));
	}
	REFUSED(s.cr0 &= ~CR0_PE);
	for (unsigned bit = 52; bit < 64; bit++)
		REFUSED(s.cr3 |= BIT(bit));
	ACCEPTED(s.cr3 = BIT(52) - 1);
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t known = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR;

		if (BIT(bit) & ~known) /* SVME among them */
			REFUSED(s.efer |= BIT(bit));
	}
	for (unsigned bit = 0; bit < 64; bit++) {
		if (BIT(bit) & ~CR4_KNOWN)
			REFUSED(s.cr4 |= BIT(bit));
		else if (BIT(bit) != CR4_CET)
			ACCEPTED(s.cr4 |= BIT(bit));
	}
	REFUSED(s.cr4 |= CR4_CET);
	ACCEPTED(s.cr4 |= CR4_CET; s.cr0 |= CR0_WP);
	REFUSED(s.efer &= ~EFER_LMA);
	REFUSED(s.efer &= ~EFER_LME);
	REFUSED(s.cr0 &= ~CR0_PG);
	ACCEPTED(s.cr0 &= ~CR0_PG; s.efer &= ~EFER_LMA);
	ACCEPTED(s.efer &= ~(EFER_LMA | EFER_LME)); /* paging without long mode */
	REFUSED(s.cr4 &= ~CR4_PAE);
	ACCEPTED(s.cr4 &= ~CR4_PAE; s.efer &= ~(EFER_LMA | EFER_LME));
	REFUSED(s.seg[SEG_CS].attr |= SEG_ATTR_DB);
	ACCEPTED(s.seg[SEG_CS].attr |= SEG_ATTR_DB; s.seg[SEG_CS].attr &= (uint16_t)~SEG_ATTR_L);
	REFUSED(s.cpl = 4);
	REFUSED(s.cpl = 255);
	ACCEPTED(s.cpl = 3);
	REFUSED(s.cr8 = 16);
	REFUSED(s.cr8 = BIT(32));
	ACCEPTED(s.cr8 = 15);
}

static void test_code_context(void **state)
{
	struct vcpu_state s = good();
	struct code_context c;

	(void)state;
	s.cpl = 3;
	s.seg[SEG_CS].base = 0x12340000;
	s.seg[SEG_CS].limit = 0xfffff;
	assert_int_equal(svm_set_state(&v, &s, NULL), 0);
	svm_get_code(&v, &c);
	assert_int_equal(c.rip, s.rip);
	assert_int_equal(c.rflags, s.rflags);
	assert_int_equal(c.cr0, s.cr0);
	assert_int_equal(c.cr3, s.cr3);
	assert_int_equal(c.cr4, s.cr4);
	assert_int_equal(c.cs_limit, 0xfffff);
	assert_int_equal(c.cs_attr, s.seg[SEG_CS].attr);
	assert_int_equal(c.cpl, 3);
	assert_int_equal(c.phys_bits, 40);
	assert_int_equal(c.cs_base, 0);                                   /* 64-bit code has none */
	s.seg[SEG_CS].attr = SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_DB | 0xb; /* compatibility mode */
	assert_int_equal(svm_set_state(&v, &s, NULL), 0);
	svm_get_code(&v, &c);
	assert_int_equal(c.cs_base, 0x12340000);
	/* registers are those of the vCPU, not what the control block held at the last exit */
	v.rip += 2;
	v.rflags |= RFLAGS_CF;
	svm_get_code(&v, &c);
	assert_int_equal(c.rip, s.rip + 2);
	assert_int_equal(c.rflags, s.rflags | RFLAGS_CF);
}

static void test_segments(void **state)
{
	struct vcpu_state s = random_state();

	(void)state;
	assert_int_equal(svm_set_state(&v, &s, NULL), 0);
	for (unsigned i = 0; i < SEG_COUNT; i++) {
		struct segment_state out;

		memset(&out, 0x5a, sizeof(out));
		svm_get_segment(&v, (enum segment_index)i, &out);
		assert_true(segment_equal(&out, &s.seg[i]));
	}
}

static void test_control_registers(void **state)
{
	static const unsigned crs[] = {0, 2, 3, 4};
	struct vcpu_state s = good(), out;

	(void)state;
	assert_int_equal(svm_set_state(&v, &s, NULL), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(crs); i++) {
		b->clean = CLEAN_ALL;
		svm_set_cr(&v, crs[i], 0x1000 + i);
		/* dropped: what holds it, and nothing else */
		assert_int_equal(CLEAN_ALL & ~b->clean, crs[i] == 2 ? CLEAN_CR2 : CLEAN_CR);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(crs); i++)
		assert_int_equal(svm_get_cr(&v, crs[i]), 0x1000 + i);
	svm_get_state(&v, &out);
	assert_int_equal(out.cr0, 0x1000);
	assert_int_equal(out.cr2, 0x1001);
	assert_int_equal(out.cr3, 0x1002);
	assert_int_equal(out.cr4, 0x1003);
}

static void test_efer(void **state)
{
	(void)state;
	b->clean = CLEAN_ALL;
	svm_set_efer(&v, EFER_NXE);
	assert_int_equal(CLEAN_ALL & ~b->clean, CLEAN_CR);
	assert_int_equal(b->efer, EFER_NXE | EFER_SVME);
	assert_int_equal(svm_get_efer(&v), EFER_NXE);
}

static char lines[8][200];
static unsigned n_lines;

static void take_line(void *ctx, const char *text)
{
	assert_ptr_equal(ctx, lines);
	assert_true(n_lines < ARRAY_SIZE(lines));
	assert_true(strlen(text) < sizeof(lines[0]));
	strcpy(lines[n_lines++], text);
}

static void test_dump(void **state)
{
	(void)state;
	memset(b, 0xff, sizeof(*b)); /* the longest lines are whole */
	n_lines = 0;
	svm_dump(&v, take_line, lines);
	assert_int_equal(n_lines, 3);
	assert_non_null(strstr(lines[0], "exit code 0xffffffffffffffff"));
	assert_non_null(strstr(lines[0], "interrupted 0xffffffffffffffff"));
	assert_non_null(strstr(lines[1], "asid 4294967295"));
	assert_non_null(strstr(lines[2], "n_cr3 0xffffffffffffffff"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rflags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nmi_blocking, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_code_context, setup, teardown),
		cmocka_unit_test_setup_teardown(test_segments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_control_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_efer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
