/*
 * Decoding of SVM exits: every exit code, every form of exit information, events there and back,
 * and the handing out of address-space identifiers.
 */
#include "tests/unit/svm_fixture.h"

static struct vmcb b;
static struct vm_exit e;

/* Whatever the record held before, one decoding fills what the kind declares. */
static void decode(uint64_t code, uint64_t info1, uint64_t info2)
{
	b.exit_code = code;
	b.exit_info1 = info1;
	b.exit_info2 = info2;
	memset(&e, 0x5a, sizeof(e));
	svm_decode(&b, &e);
	if (e.kind == EXIT_UNKNOWN || e.kind == EXIT_ENTRY_FAILED)
		assert_int_equal(e.raw_info1, info1);
}

static int setup(void **state)
{
	(void)state;
	memset(&b, 0, sizeof(b));
	b.rip = 0xffffffff81000000;
	return 0;
}

/* The codes that stand alone; the numbers are the manual's. */
static const struct {
	uint64_t code;
	enum exit_kind kind;
} codes[] = {
	{0x60, EXIT_HOST_EVENT},
	{0x61, EXIT_HOST_EVENT},
	{0x62, EXIT_HOST_EVENT},
	{0x63, EXIT_INIT},
	{0x64, EXIT_WINDOW},
	{0x6f, EXIT_REFUSED},
	{0x72, EXIT_CPUID},
	{0x73, EXIT_REFUSED},
	{0x74, EXIT_WINDOW},
	{0x76, EXIT_CACHE},
	{0x77, EXIT_PAUSE},
	{0x78, EXIT_HALT},
	{0x7a, EXIT_REFUSED},
	{0x7b, EXIT_IO},
	{0x7c, EXIT_MSR},
	{0x7f, EXIT_SHUTDOWN},
	{0x80, EXIT_REFUSED},
	{0x81, EXIT_HYPERCALL},
	{0x82, EXIT_REFUSED},
	{0x83, EXIT_REFUSED},
	{0x84, EXIT_REFUSED},
	{0x85, EXIT_REFUSED},
	{0x86, EXIT_REFUSED},
	{0x89, EXIT_CACHE},
	{0x8a, EXIT_REFUSED},
	{0x8b, EXIT_REFUSED},
	{0x8c, EXIT_REFUSED},
	{0x8d, EXIT_XSETBV},
	{0x8e, EXIT_REFUSED},
	{0xa0, EXIT_REFUSED},
	{0xa1, EXIT_REFUSED},
	{0xa3, EXIT_REFUSED},
	{0xa4, EXIT_REFUSED},
	{0x400, EXIT_MEMORY},
	{UINT64_MAX, EXIT_ENTRY_FAILED},
};

static enum exit_kind expected(uint64_t code)
{
	if (code < 0x20)
		return EXIT_CONTROL_REG;
	if (code == VMEXIT_EXCEPTION + VEC_MC)
		return EXIT_MACHINE_CHECK;
	if (code >= 0x40 && code < 0x60)
		return EXIT_EXCEPTION;
	for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
		if (codes[i].code == code)
			return codes[i].kind;
	}
	return EXIT_UNKNOWN;
}

static void test_every_code(void **state)
{
	(void)state;
	for (uint64_t code = 0; code < 0x1000; code++) {
		decode(code, 0, 0);
		assert_int_equal(e.kind, expected(code));
		assert_int_equal(e.interrupted.kind, EVENT_NONE);
	}
	decode(UINT64_MAX, 0, 0);
	assert_int_equal(e.kind, EXIT_ENTRY_FAILED);
	/* the code has 64 bits, and all of them count */
	decode(0x100000000 | VMEXIT_CPUID, 0, 0);
	assert_int_equal(e.kind, EXIT_UNKNOWN);
	decode(UINT64_MAX - 1, 0, 0);
	assert_int_equal(e.kind, EXIT_UNKNOWN);
}

static void test_length(void **state)
{
	(void)state;
	b.next_rip = b.rip + 2;
	decode(VMEXIT_CPUID, 0, 0);
	assert_int_equal(e.insn_len, 2);
	b.next_rip = 0; /* not an instruction's exit, or a CPU that does not report it */
	decode(VMEXIT_CPUID, 0, 0);
	assert_int_equal(e.insn_len, 0);
	decode(VMEXIT_INTR, 0, 0);
	assert_int_equal(e.insn_len, 0);
	b.rip = 0xfffffffffffffff8; /* the end of the address space */
	b.next_rip = 3;
	decode(VMEXIT_CPUID, 0, 0);
	assert_int_equal(e.insn_len, 11);
}

static void test_io(void **state)
{
	static const uint16_t ports[] = {0, 0x21, 0x3f8, 0xcf8, 0x8000, 0xffff};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
		for (unsigned bits = 0; bits < 8; bits++) {
			for (unsigned size = 1; size <= 4; size *= 2) {
				bool in = bits & 1, string = bits & 2, rep = bits & 4;
				/* type, string, repeat, size, address size (64 bits), segment */
				uint64_t info = (uint64_t)in | (uint64_t)string << 2 |
						(uint64_t)rep << 3 | size << 4 | BIT(9) | 3u << 10 |
						(uint64_t)ports[i] << 16;

				decode(VMEXIT_IOIO, info, b.rip + 3);
				assert_int_equal(e.kind, EXIT_IO);
				assert_int_equal(e.io.port, ports[i]);
				assert_int_equal(e.io.size, size);
				assert_int_equal(!!(e.io.flags & IO_IN), in);
				assert_int_equal(!!(e.io.flags & IO_STRING), string);
				assert_int_equal(!!(e.io.flags & IO_REP), rep);
				assert_int_equal(e.insn_len, 3);
			}
		}
	}
	/* EXITINFO2 tells the length, also where NRIPS is missing */
	decode(VMEXIT_IOIO, 0x00210011, b.rip + 2);
	svm_decode(&b, &e);
	assert_int_equal(e.insn_len, 2);
	b.rip = 0xffffffff; /* a 32-bit guest's last byte */
	decode(VMEXIT_IOIO, 0x00210011, 0);
	assert_int_equal(e.insn_len, 1);
}

static void test_msr(void **state)
{
	(void)state;
	decode(VMEXIT_MSR, 0, 0);
	assert_int_equal(e.kind, EXIT_MSR);
	assert_false(e.msr.write);
	decode(VMEXIT_MSR, 1, 0);
	assert_true(e.msr.write);
}

static void test_memory(void **state)
{
	static const struct {
		uint64_t info;
		unsigned access;
	} rows[] = {
		{0, ACCESS_READ},
		{BIT(0), ACCESS_READ | ACCESS_PRESENT},
		{BIT(1), ACCESS_WRITE},
		{BIT(2) | BIT(32), ACCESS_READ}, /* user, as all nested walks are; final address */
		{BIT(4), ACCESS_EXEC},
		{BIT(4) | BIT(0), ACCESS_EXEC | ACCESS_PRESENT},
		{BIT(1) | BIT(33), ACCESS_WRITE | ACCESS_WALK}, /* an accessed bit to be set */
		{BIT(33), ACCESS_READ | ACCESS_WALK},
	};

	(void)state;
	b.next_rip = b.rip + 5; /* means nothing here */
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		decode(VMEXIT_NPF, rows[i].info, 0xfee00020 + i);
		assert_int_equal(e.kind, EXIT_MEMORY);
		assert_int_equal(e.memory.access, rows[i].access);
		assert_int_equal(e.memory.gpa.v, 0xfee00020 + i);
		assert_int_equal(e.insn_len, 0);
	}
}

static void test_control(void **state)
{
	(void)state;
	for (unsigned cr = 0; cr < 16; cr++) {
		for (unsigned gpr = 0; gpr < 16; gpr++) {
			decode(VMEXIT_CR_WRITE + cr, BIT(63) | gpr, 0);
			assert_int_equal(e.kind, EXIT_CONTROL_REG);
			assert_true(e.control.write);
			assert_false(e.control.decode);
			assert_int_equal(e.control.cr, cr);
			assert_int_equal(e.control.gpr, gpr);
			decode(VMEXIT_CR_READ + cr, BIT(63) | gpr, 0);
			assert_false(e.control.write);
			assert_int_equal(e.control.cr, cr);
		}
		/* without decode assists, and for instructions other than MOV */
		decode(VMEXIT_CR_WRITE + cr, 0, 0);
		assert_true(e.control.decode);
	}
}

static void test_exceptions(void **state)
{
	static const uint8_t with_error[] = {8, 10, 11, 12, 13, 14, 17, 21};

	(void)state;
	for (uint8_t vector = 0; vector < 32; vector++) {
		bool has = memchr(with_error, vector, sizeof(with_error));

		decode(VMEXIT_EXCEPTION + vector, 0x15, 0x7fff12345678);
		assert_int_equal(e.kind, vector == VEC_MC ? EXIT_MACHINE_CHECK : EXIT_EXCEPTION);
		assert_int_equal(e.exception.vector, vector);
		assert_int_equal(e.exception.has_error, has);
		if (has)
			assert_int_equal(e.exception.error, 0x15);
		assert_int_equal(e.exception.payload, vector == VEC_PF ? 0x7fff12345678 : 0);
	}
}

static void test_hypercall(void **state)
{
	(void)state;
	decode(VMEXIT_VMMCALL, 0, 0);
	assert_true(e.hypercall.vmmcall);
}

static void test_event_encoding(void **state)
{
	static const struct {
		struct vcpu_event event;
		uint64_t code;
	} rows[] = {
		{{.kind = EVENT_INTERRUPT, .vector = 0x20}, 0x80000020},
		{{.kind = EVENT_INTERRUPT, .vector = 0xff}, 0x800000ff},
		{{.kind = EVENT_NMI, .vector = 2}, 0x80000202},
		{{.kind = EVENT_EXCEPTION, .vector = 6}, 0x80000306},
		{{.kind = EVENT_EXCEPTION, .vector = 13, .has_error = true}, 0x80000b0d},
		{{.kind = EVENT_EXCEPTION, .vector = 14, .has_error = true, .error = 7},
		 0x700000b0e | 0x80000000},
		{{.kind = EVENT_EXCEPTION, .vector = 13, .has_error = true, .error = UINT32_MAX},
		 0xffffffff80000b0d},
		{{.kind = EVENT_SOFT_INT, .vector = 0x80}, 0x80000480},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(svm_event_encode(&rows[i].event), rows[i].code);
}

static void test_event_round_trip(void **state)
{
	static const uint8_t kinds[] = {EVENT_INTERRUPT, EVENT_NMI, EVENT_EXCEPTION};

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		struct vcpu_event in = {
			.kind = kinds[below(3)],
			.vector = (uint8_t)random64(),
			.has_error = below(2),
		};
		struct vcpu_event out;

		if (in.kind == EVENT_EXCEPTION && (in.vector == VEC_BP || in.vector == VEC_OF))
			continue;
		if (in.has_error)
			in.error = (uint32_t)random64();
		out = svm_event_decode(svm_event_encode(&in));
		assert_int_equal(out.kind, in.kind);
		assert_int_equal(out.vector, in.vector);
		assert_int_equal(out.has_error, in.has_error);
		assert_int_equal(out.error, in.error);
		assert_int_equal(out.payload, 0);
		/* without the valid bit it is what some CPUs leave there */
		out = svm_event_decode(svm_event_encode(&in) & ~BIT(31));
		assert_int_equal(out.kind, EVENT_NONE);
	}
}

/* What executes again by itself must not be delivered as well. */
static void test_software_events_are_dropped(void **state)
{
	(void)state;
	assert_int_equal(svm_event_decode(0x80000480).kind, EVENT_NONE); /* INT 0x80 */
	assert_int_equal(svm_event_decode(0x80000303).kind, EVENT_NONE); /* INT3 */
	assert_int_equal(svm_event_decode(0x80000304).kind, EVENT_NONE); /* INTO */
	assert_int_equal(svm_event_decode(0x80000120).kind, EVENT_NONE); /* reserved types */
	assert_int_equal(svm_event_decode(0x80000520).kind, EVENT_NONE);
	assert_int_equal(svm_event_decode(0x80000720).kind, EVENT_NONE);
	/* an external interrupt with such a vector is one nevertheless */
	assert_int_equal(svm_event_decode(0x80000003).kind, EVENT_INTERRUPT);
}

static void test_interrupted(void **state)
{
	(void)state;
	b.cr2 = 0x7f0000001234;
	b.exit_int_info = 0x80000031;
	decode(VMEXIT_NPF, 0, 0xfee00000);
	assert_int_equal(e.interrupted.kind, EVENT_INTERRUPT);
	assert_int_equal(e.interrupted.vector, 0x31);
	assert_int_equal(e.interrupted.payload, 0);
	/* a page fault keeps its address */
	b.exit_int_info = 0x600000000 | 0x80000b0e;
	decode(VMEXIT_NPF, 0, 0xfee00000);
	assert_int_equal(e.interrupted.kind, EVENT_EXCEPTION);
	assert_int_equal(e.interrupted.vector, VEC_PF);
	assert_int_equal(e.interrupted.error, 6);
	assert_int_equal(e.interrupted.payload, 0x7f0000001234);
	/* a debug trap has its DR6 bits set already, and CR2 is nothing to it */
	b.exit_int_info = 0x80000301;
	decode(VMEXIT_NPF, 0, 0xfee00000);
	assert_int_equal(e.interrupted.vector, VEC_DB);
	assert_int_equal(e.interrupted.payload, 0);
}

static void test_asids(void **state)
{
	struct tag_pool p;
	uint32_t asid;
	uint64_t generation;

	(void)state;
	for (uint32_t count = 2; count <= 17; count++) {
		tag_pool_init(&p, count);
		assert_int_equal(p.generation, 1);
		for (unsigned i = 0; i < 5 * (count - 1); i++) {
			bool flush = tag_take(&p, &asid, &generation);

			/* 0 is the host's; all others once per generation */
			assert_int_equal(asid, 1 + i % (count - 1));
			assert_int_equal(generation, 1 + i / (count - 1));
			assert_int_equal(flush, i && i % (count - 1) == 0);
		}
	}
}

static void test_kind_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < EXIT_KIND_COUNT; i++) {
		const char *name = exit_kind_name((enum exit_kind)i);

		assert_non_null(name);
		assert_string_not_equal(name, "?");
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(name, exit_kind_name((enum exit_kind)j));
	}
	assert_string_equal(exit_kind_name(EXIT_KIND_COUNT), "?");
	assert_string_equal(exit_kind_name((enum exit_kind)UINT32_MAX), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_every_code, setup),
		cmocka_unit_test_setup(test_length, setup),
		cmocka_unit_test_setup(test_io, setup),
		cmocka_unit_test_setup(test_msr, setup),
		cmocka_unit_test_setup(test_memory, setup),
		cmocka_unit_test_setup(test_control, setup),
		cmocka_unit_test_setup(test_exceptions, setup),
		cmocka_unit_test_setup(test_hypercall, setup),
		cmocka_unit_test(test_event_encoding),
		cmocka_unit_test(test_event_round_trip),
		cmocka_unit_test(test_software_events_are_dropped),
		cmocka_unit_test_setup(test_interrupted, setup),
		cmocka_unit_test(test_asids),
		cmocka_unit_test(test_kind_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
