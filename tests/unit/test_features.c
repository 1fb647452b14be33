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

struct row {
	uint32_t leaf, subleaf;
	struct cpuid_regs r;
};

/* qemu-system-x86_64 7.2 -cpu EPYC,+svm,+npt */
static const struct row qemu_epyc[] = {
	{0x0, 0, {0xd, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x1, 0, {0x00800f12, 0x05000800, 0xf6d8320b, 0x078bfbfd}},
	{0x6, 0, {0x4, 0, 0, 0}},
	{0x7, 0, {0, 0x009801a9, 0, 0}},
	{0xb, 0, {0, 1, 0x100, 5}},
	{0xd, 0, {0x7, 0x240, 0x340, 0}},
	{0xd, 1, {0x5, 0x340, 0, 0}},
	{0xd, 2, {0x100, 0x240, 0, 0}},
	{0x80000000, 0, {0x8000001e, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x80000001, 0, {0x00800f12, 0, 0x00000075, 0x2dd3fbfd}},
	{0x80000002, 0, {0x20444d41, 0x43595045, 0x6f725020, 0x73736563}},
	{0x80000003, 0, {0x0000726f, 0, 0, 0}},
	{0x80000008, 0, {0x00003028, 0, 0, 0}},
	{0x8000000a, 0, {0x1, 0x10, 0, 0x1}},
};

/* qemu-system-x86_64 7.2 -cpu max: MPX state, which the hypervisor does not switch, lies in between
 */
static const struct row qemu_max[] = {
	{0x0, 0, {0xd, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x1, 0, {0x00060fb1, 0x00000800, 0xf6d8320b, 0x0fcbfbfd}},
	{0x6, 0, {0x4, 0, 0, 0}},
	{0x7, 0, {0, 0x01d843a9, 0x8001020c, 0}},
	{0xb, 0, {0, 1, 0x100, 0}},
	{0xd, 0, {0x21f, 0x240, 0xa88, 0}},
	{0xd, 1, {0x5, 0x3c8, 0, 0}},
	{0xd, 2, {0x100, 0x240, 0, 0}},
	{0xd, 3, {0x40, 0x3c0, 0, 0}},
	{0xd, 4, {0x40, 0x400, 0, 0}},
	{0xd, 9, {0x8, 0xa80, 0, 0}},
	{0x80000000, 0, {0x8000000a, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x80000001, 0, {0x00060fb1, 0, 0x00000075, 0xedd3fbfd}},
	{0x80000002, 0, {0x554d4551, 0x47435420, 0x55504320, 0x72657620}},
	{0x80000003, 0, {0x6e6f6973, 0x352e3220, 0x0000002b, 0}},
	{0x80000008, 0, {0x00003928, 0, 0, 0}},
	{0x8000000a, 0, {0x1, 0x10, 0, 0x10010001}},
};

/* An Intel server: x2APIC id above 255, TSC-deadline, AVX-512, PKRU, AMX (not switched), leaf 15h,
 * a brand padded on the left. */
static const struct row intel_server[] = {
	{0x0, 0, {0x20, 0x756e6547, 0x6c65746e, 0x49656e69}},
	{0x1, 0, {0x000806f8, 0x2a400800, 0x77fefbff, 0xbfebfbff}},
	{0x6, 0, {0x000077f7, 0x2, 0x9, 0}},
	{0x7, 0, {0x2, 0xf3bfbfff, 0xfb415ffe, 0xffdd4432}},
	{0xb, 0, {0x1, 0x2, 0x100, 0x12a}},
	{0xd, 0, {0x602e7, 0x2b00, 0x2b00, 0}},
	{0xd, 1, {0x1f, 0x2a30, 0x1900, 0}},
	{0xd, 2, {0x100, 0x240, 0, 0}},
	{0xd, 5, {0x40, 0x440, 0, 0}},
	{0xd, 6, {0x200, 0x480, 0, 0}},
	{0xd, 7, {0x400, 0x680, 0, 0}},
	{0xd, 9, {0x8, 0xa80, 0, 0}},
	{0xd, 17, {0x40, 0xac0, 2, 0}},
	{0xd, 18, {0x2000, 0xb00, 6, 0}},
	{0x15, 0, {0x2, 0xa8, 0x17d7840, 0}},
	{0x16, 0, {0x834, 0xed8, 0x64, 0}},
	{0x80000000, 0, {0x80000008, 0, 0, 0}},
	{0x80000001, 0, {0, 0, 0x121, 0x2c100800}},
	{0x80000002, 0, {0x20202020, 0x65746e49, 0x2952286c, 0x6f655820}},
	{0x80000003, 0, {0x2952286e, 0x616c5020, 0x756e6974, 0x2020206d}},
	{0x80000007, 0, {0, 0, 0, 0x100}},
	{0x80000008, 0, {0x3934, 0x200, 0, 0}},
};

static struct row table[64];
static size_t rows;

static struct cpuid_regs table_cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs none = {0};

	for (size_t i = 0; i < rows; i++)
		if (table[i].leaf == leaf && table[i].subleaf == subleaf)
			return table[i].r;
	return none;
}

static struct cpuid_regs *row(uint32_t leaf, uint32_t subleaf)
{
	for (size_t i = 0; i < rows; i++)
		if (table[i].leaf == leaf && table[i].subleaf == subleaf)
			return &table[i].r;
	table[rows].leaf = leaf;
	table[rows].subleaf = subleaf;
	return &table[rows++].r;
}

#define use(t)                                   \
	do {                                     \
		memset(table, 0, sizeof(table)); \
		memcpy(table, t, sizeof(t));     \
		rows = ARRAY_SIZE(t);            \
	} while (0)

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
	assert_int_equal(f.stepping, 2);
	assert_int_equal(f.apic_id, 5);
	assert_int_equal(f.phys_bits, 40);
	assert_int_equal(f.linear_bits, 48);
	assert_true(f.nx && f.page_1g && f.smep && f.smap && f.fsgsbase && f.rdtscp && f.rdrand);
	assert_true(f.svm && f.hypervisor && f.xsave && f.xsaveopt && f.monitor && f.arat);
	assert_false(f.x2apic || f.tsc_deadline || f.invariant_tsc || f.umip || f.vmx || f.pku);
	assert_false(f.ibpb || f.ibrs || f.auto_ibrs || f.fpu_error_ptr || f.xsaves || f.la57);
	assert_int_equal(f.svm_revision, 1);
	assert_int_equal(f.svm_asids, 16);
	assert_int_equal(f.svm_edx, 1);
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
	assert_true(f.umip && f.pku && f.la57);
	assert_int_equal(f.xcr0_supported, XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_PKRU);
	assert_int_equal(f.xsave_size, 0xa88);
	assert_int_equal(f.svm_edx, 0x10010001);
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
	assert_int_equal(f.linear_bits, 57);
	assert_true(f.vmx && !f.svm && f.x2apic && f.tsc_deadline && f.invariant_tsc);
	assert_true(f.ibpb && f.ibrs && f.stibp && f.ssbd && f.md_clear && f.l1d_flush);
	assert_true(f.arch_capabilities && f.fpu_error_ptr && f.xsaves);
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
	assert_true(f.ibpb && f.ibrs && f.stibp && f.ssbd && f.fpu_error_ptr);
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
	assert_false(f.nx || f.smep || f.vmx);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
