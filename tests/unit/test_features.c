/*
 * CPUID decoding, over the tables of two QEMU models and of an Intel server part, and over broken
 * ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "arch/x86/features.h"
#include "tests/unit/cpuid_tables.h"

static struct cpu_features f;

static void read_table(void)
{
	memset(&f, 0xaa, sizeof(f));
	features_read(&f, table_cpuid);
}

static void epyc(void **state)
{
	(void)state;
	use(qemu_epyc);
	read_table();
	assert_int_equal(f.vendor, CPU_VENDOR_AMD);
	assert_string_equal(f.vendor_string, "AuthenticAMD");
	assert_string_equal(f.brand, "AMD EPYC Processor");
	assert_int_equal(f.family, 0x17);
	assert_int_equal(f.model, 1);
	assert_int_equal(f.apic_id, 5);
	assert_int_equal(f.phys_bits, 40);
	assert_true(f.nx && f.page_1g && f.smep && f.smap && f.rdtscp && f.rdrand);
	assert_true(f.virt_amd && f.hypervisor && f.xsave);
	assert_false(f.x2apic || f.tsc_deadline || f.invariant_tsc || f.umip || f.virt_intel ||
		     f.pku);
	assert_false(f.ibpb || f.auto_ibrs || f.fpu_error_ptr);
	assert_int_equal(f.virt_amd_asids, 16);
	assert_int_equal(f.virt_amd_features, 1);
	assert_int_equal(f.xcr0_supported, 7);
	assert_int_equal(f.xsave_size, 0x340);
}

static void max_leaves_mpx_out(void **state)
{
	(void)state;
	use(qemu_max);
	read_table();
	assert_string_equal(f.brand, "QEMU TCG CPU version 2.5+");
	assert_int_equal(f.family, 15);
	assert_int_equal(f.model, 0x6b);
	assert_true(f.umip && f.pku);
	assert_int_equal(f.xcr0_supported, XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_PKRU);
	assert_int_equal(f.xsave_size, 0xa88);
	assert_int_equal(f.virt_amd_features, 0x10010001);
}

static void intel(void **state)
{
	(void)state;
	use(intel_server);
	read_table();
	assert_int_equal(f.vendor, CPU_VENDOR_INTEL);
	assert_string_equal(f.brand, "Intel(R) Xeon(R) Platinum");
	assert_int_equal(f.family, 6);
	assert_int_equal(f.model, 0x8f);
	assert_int_equal(f.apic_id, 0x12a);
	assert_int_equal(f.phys_bits, 52);
	assert_true(f.virt_intel && !f.virt_amd && f.x2apic && f.tsc_deadline && f.invariant_tsc);
	assert_true(f.ibpb && f.md_clear && f.l1d_flush);
	assert_true(f.arch_capabilities && f.fpu_error_ptr);
	assert_int_equal(f.xcr0_supported, XCR0_KNOWN);
	assert_int_equal(f.xsave_size, 2696);
	assert_int_equal(f.tsc_ratio_den, 2);
	assert_int_equal(f.tsc_ratio_num, 0xa8);
	assert_int_equal(f.crystal_hz, 25000000);
}

static void amd_speculation_bits(void **state)
{
	(void)state;
	use(qemu_epyc);
	row(0x80000008, 0)->ebx = BIT32(2) | BIT32(12) | BIT32(14) | BIT32(15) | BIT32(24);
	row(0x80000021, 0)->eax = BIT32(8);
	read_table();
	assert_false(f.auto_ibrs); /* beyond the last extended leaf */
	assert_true(f.ibpb && f.fpu_error_ptr);
	row(0x80000000, 0)->eax = 0x80000021;
	read_table();
	assert_true(f.auto_ibrs);
}

static void leaves_beyond_the_last_are_not_read(void **state)
{
	(void)state;
	use(intel_server);
	row(0, 0)->eax = 0xa; /* no 0Bh, 0Dh, 15h */
	row(0x80000000, 0)->eax = 0x80000001;
	read_table();
	assert_int_equal(f.apic_id, 0x2a);
	assert_false(f.xsave);
	assert_int_equal(f.xcr0_supported, 0);
	assert_int_equal(f.xsave_size, 512);
	assert_int_equal(f.crystal_hz, 0);
	assert_false(f.invariant_tsc);
	assert_string_equal(f.brand, "");
	assert_int_equal(f.phys_bits, 36);

	row(0, 0)->eax = 0;
	row(0x80000000, 0)->eax = 0x20; /* Intel's answer where there is no extended leaf */
	read_table();
	assert_int_equal(f.max_extended, 0);
	assert_int_equal(f.family, 0);
	assert_false(f.nx || f.smep || f.virt_intel);
}

static void leaf_0b_that_says_nothing(void **state)
{
	(void)state;
	use(qemu_epyc);
	row(0xb, 0)->ebx = 0;
	row(0xb, 0)->edx = 77;
	read_table();
	assert_int_equal(f.apic_id, 5);
}

static void impossible_xsave_sets(void **state)
{
	(void)state;
	use(intel_server);
	row(0xd, 0)->eax = 0x2e7 & ~0x40u; /* AVX-512 in part */
	read_table();
	assert_int_equal(f.xcr0_supported, XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_PKRU);

	use(intel_server);
	row(0xd, 0)->eax = 0x2e7 & ~0x4u; /* AVX-512 without AVX */
	read_table();
	assert_int_equal(f.xcr0_supported, XCR0_X87 | XCR0_SSE | XCR0_PKRU);

	use(intel_server);
	row(0xd, 0)->eax = 0x2e5; /* without SSE: nothing to be had */
	read_table();
	assert_int_equal(f.xcr0_supported, 0);
	assert_false(f.xsave);

	use(intel_server);
	row(7, 0)->ecx &= ~BIT32(3);
	read_table();
	assert_false(f.xcr0_supported & XCR0_PKRU);
	assert_int_equal(f.xsave_size, 0xa80);
}

static void impossible_xsave_places(void **state)
{
	static const struct cpuid_regs bad[] = {
		{0xffffffff, 0x240, 0, 0}, {0x100, 0xffffffff, 0, 0},
		{0, 0x240, 0, 0},          {0x100, 0x200, 0, 0},
		{0x100, 0xfff, 0, 0},      {0x80000000, 0x80000000, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		use(intel_server);
		*row(0xd, 2) = bad[i];
		read_table();
		assert_int_equal(f.xcr0_supported, XCR0_X87 | XCR0_SSE | XCR0_PKRU);
		assert_int_equal(f.xsave_size, 0xa88);
	}
}

static void brand_is_printable(void **state)
{
	(void)state;
	use(qemu_epyc);
	row(0x80000002, 0)->eax = 0x1b5b4d41; /* "AM[ESC" */
	read_table();
	assert_string_equal(f.brand, "AM[?EPYC Processor");
	for (uint32_t i = 2; i <= 4; i++)
		*row(0x80000000 + i, 0) =
			(struct cpuid_regs){0x41414141, 0x41414141, 0x41414141, 0x41414141};
	read_table();
	assert_int_equal(strlen(f.brand), 48);
	for (uint32_t i = 2; i <= 4; i++)
		*row(0x80000000 + i, 0) =
			(struct cpuid_regs){0x20202020, 0x20202020, 0x20202020, 0x20202020};
	read_table();
	assert_string_equal(f.brand, "");
}

static void what_a_second_core_must_have(void **state)
{
	struct cpu_features boot, other;

	(void)state;
	use(intel_server);
	read_table();
	boot = f;
	other = f;
	other.apic_id = 3;
	assert_null(features_missing(&boot, &other));
#define missing(change)                                           \
	do {                                                      \
		other = boot;                                     \
		change;                                           \
		assert_non_null(features_missing(&boot, &other)); \
		assert_null(features_missing(&other, &other));    \
	} while (0)
	missing(other.nx = false);
	missing(other.page_1g = false);
	missing(other.smep = false);
	missing(other.smap = false);
	missing(other.umip = false);
	missing(other.x2apic = false);
	missing(other.tsc_deadline = false);
	missing(other.xsave = false);
	missing(other.xsaves = false);
	missing(other.xcr0_supported &= ~(uint64_t)XCR0_PKRU);
	missing(other.xsave_size += 64);
	missing(other.phys_bits--);
	/* more than the boot CPU has is no harm */
	other = boot;
	boot.smap = false;
	boot.x2apic = false;
	assert_null(features_missing(&boot, &other));
}

/* Whatever the table says, the result obeys the rules that XSETBV and the area's size depend on. */
static void random_tables(void **state)
{
	(void)state;
	srand(1);
	for (int i = 0; i < 20000; i++) {
		if (i % 2)
			use(intel_server);
		else
			use(qemu_max);
		for (int n = rand() % 6; n >= 0; n--) {
			struct row *r = &table[(size_t)rand() % rows];

			((uint32_t *)&r->r)[rand() % 4] ^= 1u << rand() % 32;
		}
		read_table();
		assert_false(f.xcr0_supported & ~(uint64_t)XCR0_KNOWN);
		assert_true(!f.xcr0_supported || (f.xcr0_supported & 3) == 3);
		if (f.xcr0_supported & XCR0_AVX512)
			assert_int_equal(f.xcr0_supported & (XCR0_AVX | XCR0_AVX512),
					 XCR0_AVX | XCR0_AVX512);
		assert_in_range(f.xsave_size, 512, 4096);
		assert_int_equal(f.xsave, f.xcr0_supported != 0);
		assert_true(strlen(f.brand) <= 48);
	}
}

static void c1e(void **state)
{
	static const struct {
		enum cpu_vendor vendor;
		uint32_t family;
		bool has;
	} cases[] = {
		{CPU_VENDOR_AMD, 0xf, true},    {CPU_VENDOR_AMD, 0x10, true},
		{CPU_VENDOR_AMD, 0x11, false},  {CPU_VENDOR_AMD, 0x17, false},
		{CPU_VENDOR_INTEL, 0xf, false}, {CPU_VENDOR_OTHER, 0x10, false},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		f.vendor = cases[i].vendor;
		f.family = cases[i].family;
		assert_int_equal(features_c1e(&f), cases[i].has);
	}
	assert_int_equal(features_c1e_off(0), 0);
	assert_int_equal(features_c1e_off(UINT64_MAX), 0xffffffffe7ffffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(c1e),
		cmocka_unit_test(epyc),
		cmocka_unit_test(max_leaves_mpx_out),
		cmocka_unit_test(intel),
		cmocka_unit_test(amd_speculation_bits),
		cmocka_unit_test(leaves_beyond_the_last_are_not_read),
		cmocka_unit_test(leaf_0b_that_says_nothing),
		cmocka_unit_test(impossible_xsave_sets),
		cmocka_unit_test(impossible_xsave_places),
		cmocka_unit_test(brand_is_printable),
		cmocka_unit_test(what_a_second_core_must_have),
		cmocka_unit_test(random_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
