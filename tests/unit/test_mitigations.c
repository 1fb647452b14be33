/* Which mitigations a CPU gets, the sentence about them, and which XCR0 values are legal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "arch/x86/fpu.h"
#include "arch/x86/mitigations.h"

static struct cpu_features intel(void)
{
	return (struct cpu_features){
		.vendor = CPU_VENDOR_INTEL, .ibpb = true, .md_clear = true, .l1d_flush = true};
}

static void off_means_nothing(void **state)
{
	struct cpu_features f = intel();
	struct mitigations m = mitigations_choose(&f, 0, false), none = {0};

	(void)state;
	assert_memory_equal(&m, &none, sizeof(m));
}

static void intel_by_its_capabilities(void **state)
{
	struct cpu_features f = intel();
	struct mitigations m = mitigations_choose(&f, 0, true);

	(void)state;
	assert_true(m.rsb_fill && m.ibpb_on_switch && m.verw && m.l1d_flush);
	assert_false(m.auto_ibrs);
	m = mitigations_choose(&f, ARCH_CAP_MDS_NO | ARCH_CAP_TAA_NO, true);
	assert_true(!m.verw && m.l1d_flush && !m.enhanced_ibrs);
	/* each of three leaks is reason enough */
	assert_true(mitigations_choose(&f, ARCH_CAP_MDS_NO, true).verw);
	assert_true(mitigations_choose(&f, ARCH_CAP_MDS_NO | ARCH_CAP_TAA_NO | ARCH_CAP_RFDS_CLEAR,
				       true)
			    .verw);
	assert_true(mitigations_choose(&f, ARCH_CAP_IBRS_ALL, true).enhanced_ibrs);
	m = mitigations_choose(&f, ARCH_CAP_RDCL_NO, true);
	assert_true(m.verw && !m.l1d_flush);
	m = mitigations_choose(&f, ARCH_CAP_SKIP_L1DFL, true);
	assert_false(m.l1d_flush);
	f.md_clear = f.l1d_flush = f.ibpb = false; /* old microcode: nothing that would fault */
	m = mitigations_choose(&f, 0, true);
	assert_false(m.verw || m.l1d_flush || m.ibpb_on_switch);
	assert_true(m.rsb_fill);
}

static void amd_by_its_bits(void **state)
{
	struct cpu_features f = {.vendor = CPU_VENDOR_AMD, .md_clear = true, .l1d_flush = true};
	struct mitigations m = mitigations_choose(&f, 0, true);

	(void)state;
	assert_false(m.verw || m.l1d_flush || m.ibpb_on_switch || m.auto_ibrs);
	f.ibpb = f.auto_ibrs = true;
	m = mitigations_choose(&f, 0, true);
	assert_true(m.ibpb_on_switch && m.auto_ibrs && m.rsb_fill);
}

static void in_words(void **state)
{
	struct mitigations m = {0};
	char buf[160];

	(void)state;
	assert_string_equal(mitigations_describe(&m, buf, sizeof(buf)), "none");
	m.auto_ibrs = true;
	assert_string_equal(mitigations_describe(&m, buf, sizeof(buf)), "automatic IBRS");
	memset(&m, 1, sizeof(m));
	assert_string_equal(mitigations_describe(&m, buf, sizeof(buf)),
			    "return stack filled, IBPB between guests, VERW, L1D flushed, "
			    "automatic IBRS, enhanced IBRS");
	/* a short buffer is cut, not overrun */
	for (size_t n = 3; n < 100; n++) {
		memset(buf, 'x', sizeof(buf));
		mitigations_describe(&m, buf, n);
		assert_true(strlen(buf) < n);
		assert_int_equal(buf[n], 'x');
	}
}

/* Against the manual's rules said the other way round, for all values of the low ten bits. */
static void xcr0_rules(void **state)
{
	(void)state;
	for (uint64_t v = 0; v < 1024; v++) {
		bool avx512 = v & 0xe0;
		bool legal = (v & 1) && !((v & 4) && !(v & 2)) && !(v & ~(uint64_t)XCR0_KNOWN) &&
			     (!avx512 || (v & 0xe6) == 0xe6);

		assert_int_equal(fpu_xcr0_legal(v, XCR0_KNOWN), legal);
		assert_int_equal(fpu_xcr0_legal(v, 7), legal && !(v & ~7ull));
		assert_false(fpu_xcr0_legal(v, 0));
	}
	assert_false(fpu_xcr0_legal(BIT(63) | 1, XCR0_KNOWN));
	assert_false(fpu_xcr0_legal(BIT(62) | 3, UINT64_MAX & XCR0_KNOWN));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(off_means_nothing), cmocka_unit_test(intel_by_its_capabilities),
		cmocka_unit_test(amd_by_its_bits),   cmocka_unit_test(in_words),
		cmocka_unit_test(xcr0_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
