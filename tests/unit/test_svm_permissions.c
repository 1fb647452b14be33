/* The I/O and MSR permission maps of SVM, against the manual's arithmetic, and its page entries. */
#include "tests/unit/svm_fixture.h"

#define IOPM_BYTES  (3 * 4096u)
#define MSRPM_BYTES (2 * 4096u)

static struct hv_vm vm;
static uint8_t *iopm, *msrpm;

static int setup(void **state)
{
	(void)state;
	fixture_vm(&vm, 0x200000);
	iopm = vm.pages.va;
	msrpm = vm.pages.va + IOPM_BYTES;
	svm_permissions_init(&vm);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(vm.pages.va);
	return 0;
}

/* What the processor looks up, in bits from the map's start ("MSR Intercepts"): two for each MSR of
 * three ranges. -1: always exits. */
static int msr_bit(uint32_t msr)
{
	if (msr <= 0x1fff)
		return (int)(2 * msr);
	if (msr >= 0xc0000000 && msr <= 0xc0001fff)
		return (int)(8 * 0x800 + 2 * (msr - 0xc0000000));
	if (msr >= 0xc0010000 && msr <= 0xc0011fff)
		return (int)(8 * 0x1000 + 2 * (msr - 0xc0010000));
	return -1;
}

static unsigned bit_of(const uint8_t *map, unsigned bit)
{
	return map[bit / 8] >> (bit % 8) & 1;
}

static void test_all_denied_at_first(void **state)
{
	(void)state;
	for (unsigned i = 0; i < IOPM_BYTES + MSRPM_BYTES; i++)
		assert_int_equal(vm.pages.va[i], 0xff);
}

static void test_ports(void **state)
{
	static bool allowed[65536];

	(void)state;
	memset(allowed, 0, sizeof(allowed));
	for (unsigned i = 0; i < 20000; i++) {
		uint16_t port = (uint16_t)random64();

		allowed[port] = below(2);
		svm_allow_port(&vm, port, allowed[port]);
	}
	svm_allow_port(&vm, 0, allowed[0] = true);
	svm_allow_port(&vm, 0xffff, allowed[0xffff] = true);
	for (unsigned port = 0; port < 65536; port++)
		assert_int_equal(bit_of(iopm, port), !allowed[port]);
	/* a wide access to the last port looks at bits beyond: they exit */
	for (unsigned i = 65536; i < 8 * IOPM_BYTES; i++)
		assert_int_equal(bit_of(iopm, i), 1);
	for (unsigned i = 0; i < MSRPM_BYTES; i++)
		assert_int_equal(msrpm[i], 0xff);
}

static void test_msrs(void **state)
{
	static const uint32_t edges[] = {
		0,          0x1fff,     0x2000,     0xbfffffff, 0xc0000000, 0xc0000080, 0xc0001fff,
		0xc0002000, 0xc000ffff, 0xc0010000, 0xc0011fff, 0xc0012000, 0xffffffff, 0x40000000,
	};
	uint8_t *expected = malloc(MSRPM_BYTES);

	(void)state;
	assert_non_null(expected);
	memset(expected, 0xff, MSRPM_BYTES);
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t msr = i < 4 * ARRAY_SIZE(edges) ? edges[i / 4] : (uint32_t)random64();
		bool read = i & 1, write = i & 2;
		int bit;

		if (i >= 4 * ARRAY_SIZE(edges) && below(8))
			msr = (msr & 0xc0011fff) | (msr & 0x40000000 ? 0xc0000000 : 0);
		bit = msr_bit(msr);
		svm_allow_msr(&vm, msr, read, write);
		if (bit >= 0) {
			uint8_t *byte = &expected[bit / 8];

			*byte &= (uint8_t) ~(3u << (bit % 8));
			*byte |= (uint8_t)((unsigned)!read << (bit % 8));
			*byte |= (uint8_t)((unsigned)!write << (bit % 8 + 1));
		}
	}
	assert_memory_equal(msrpm, expected, MSRPM_BYTES);
	for (unsigned i = 0; i < IOPM_BYTES; i++)
		assert_int_equal(iopm[i], 0xff);
	free(expected);
}

static void test_entries(void **state)
{
	const struct slpt_format *f = &npt_format;

	(void)state;
	assert_int_equal(f->levels, 4);
	assert_false(f->present(0));
	for (unsigned level = 1; level <= 3; level++) {
		for (unsigned perm = SLPT_READ; perm <= SLPT_RWX; perm += 2) {
			uint64_t pa = 0xabcd40000000;
			uint64_t e = f->leaf(pa, level, perm);

			assert_true(f->present(e));
			assert_true(f->is_leaf(e, level));
			assert_int_equal(f->perm(e), perm);
			assert_int_equal(e & f->address_mask, pa);
			assert_true(e & BIT(2)); /* nested walks are user accesses */
			assert_int_equal(!!(e & BIT(1)), !!(perm & SLPT_WRITE));
			assert_int_equal(!!(e & BIT(63)), !(perm & SLPT_EXEC));
			assert_int_equal(!!(e & BIT(7)), level > 1);
			assert_int_equal(e & (BIT(3) | BIT(4)), 0); /* write-back */
			/* what the processor adds: accessed, dirty */
			assert_true(f->is_leaf(e | 0x60, level));
			assert_int_equal(f->perm(e | 0x60), perm);
		}
	}
	for (unsigned level = 2; level <= 4; level++) {
		uint64_t e = f->table(0x7f000);

		assert_true(f->present(e));
		assert_false(f->is_leaf(e, level));
		assert_int_equal(e & f->address_mask, 0x7f000);
		assert_int_equal(e & 7, 7); /* the leaf decides */
		assert_int_equal(e >> 63, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_denied_at_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msrs, setup, teardown),
		cmocka_unit_test(test_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
