/*
 * What keeps SVM from being used, each with its sentence. No emulator at hand can lock SVM in its
 * firmware, so the instructions that read the CPU are this test's own.
 */
#include "tests/unit/broken.h"

#include "arch/x86/features.h"

#define ARCH_X86_ASM_H /* instead of it: */
#define MSR_EFER       0xc0000080u

static uint64_t vm_cr, efer, efer_writable = UINT64_MAX;

static uint64_t rdmsr(uint32_t msr)
{
	return msr == MSR_EFER ? efer : vm_cr;
}

static void wrmsr(uint32_t msr, uint64_t v)
{
	if (msr == MSR_EFER)
		efer = v & efer_writable;
}

static bool faults; /* the MSRs are not there */

bool rdmsr_safe(uint32_t msr, uint64_t *value)
{
	if (!faults)
		*value = rdmsr(msr);
	return !faults;
}

bool wrmsr_safe(uint32_t msr, uint64_t v)
{
	if (!faults)
		wrmsr(msr, v);
	return !faults;
}

static struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	(void)leaf;
	(void)subleaf;
	return (struct cpuid_regs){.ebx = 16};
}

#include "arch/x86/svm/enable.c"

static struct cpu_features good(void)
{
	return (struct cpu_features){
		.virt_amd = true, .virt_amd_features = SVM_CPUID_NP, .virt_amd_asids = 16};
}

static void refused(const struct cpu_features *f, const char *words)
{
	struct hv_caps caps;
	struct reason why = {0};

	assert_int_equal(svm_probe(f, 3, &caps, &why), ERR_UNSUPPORTED);
	assert_sentence(why.text);
	assert_non_null(strstr(why.text, words));
	assert_non_null(strstr(why.text, "CPU 3"));
}

static void test_good(void **state)
{
	struct cpu_features f = good();
	struct hv_caps caps;
	struct reason why;

	(void)state;
	vm_cr = VM_CR_LOCK; /* locked while switched on: no harm */
	assert_int_equal(svm_probe(&f, 0, &caps, &why), 0);
	assert_int_equal(caps.asids, 16);
}

static void test_refusals(void **state)
{
	struct cpu_features f = good();

	(void)state;
	vm_cr = VM_CR_SVMDIS;
	refused(&f, "SVM is switched off by the firmware");
	vm_cr = VM_CR_SVMDIS | VM_CR_LOCK;
	refused(&f, "SVM is switched off and locked by the firmware");
	vm_cr = 0;
	f.virt_amd_features = 0;
	refused(&f, "without nested paging");
	f = good();
	f.virt_amd_asids = 1;
	refused(&f, "1 address-space identifiers");
	f = good();
	f.virt_amd = false;
	vm_cr = VM_CR_SVMDIS; /* is not even asked for: the register may not exist */
	refused(&f, "has no AMD SVM");
}

static void test_efer_that_does_not_hold(void **state)
{
	static uint8_t pages[SVM_CPU_PAGES * PAGE_SIZE];
	struct reason why = {0};

	(void)state;
	efer_writable = 0;
	assert_int_equal(svm_cpu_on((struct hv_pages){pages, HPA(0x1000)}, 2, &why),
			 ERR_UNSUPPORTED);
	assert_sentence(why.text);
	assert_non_null(strstr(why.text, "CPU 2 did not accept EFER.SVME"));
}

static void test_msrs_that_fault(void **state)
{
	struct cpu_features f = good();
	struct reason why = {0};
	struct hv_caps caps;

	(void)state;
	faults = true;
	vm_cr = VM_CR_SVMDIS;
	assert_int_equal(svm_probe(&f, 0, &caps, &why), 0);
	efer = 0;
	assert_int_equal(svm_cpu_on((struct hv_pages){0}, 3, &why), ERR_UNSUPPORTED);
	assert_non_null(strstr(why.text, "EFER.SVME"));
	faults = false;
	vm_cr = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_msrs_that_fault),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_efer_that_does_not_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
