/*
 * Speculation mitigations of this machine. Privileged. `mitigations` is written once, before the
 * other cores start.
 */
#include "arch/x86/mitigations.h"

#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/traps.h"
#include "lib/log.h"

#define MSR_ARCH_CAPABILITIES 0x10a
#define MSR_EFER              0xc0000080
#define EFER_AIBRSE           BIT(21)
#define MSR_SPEC_CTRL         0x48
#define SPEC_CTRL_IBRS        BIT(0)

struct mitigations mitigations;

void mitigations_init(bool wanted)
{
	const struct cpu_features *f = &this_cpu()->features;
	uint64_t arch_cap = 0;
	char text[160];

	if (f->arch_capabilities && !rdmsr_safe(MSR_ARCH_CAPABILITIES, &arch_cap))
		arch_cap = 0;
	mitigations = mitigations_choose(f, arch_cap, wanted);
	if (wanted)
		log_info("mitigations: %s", mitigations_describe(&mitigations, text, sizeof(text)));
	else
		log_warn("mitigations are off (mitigations=off): guests may read each other's "
			 "memory");
	if (wanted && !f->ibpb && !f->hypervisor)
		log_warn("the CPU offers no indirect branch barrier (IBPB): guests of a core can "
			 "mislead each "
			 "other's branch prediction; update the microcode or firmware");
	if (wanted && f->vendor == CPU_VENDOR_INTEL && !f->hypervisor &&
	    !(arch_cap & ARCH_CAP_PSCHANGE_MC_NO))
		log_warn("the CPU does not say that it is safe from \"machine check on page size "
			 "change\" (CVE-2018-12207): a guest that means harm could stop the "
			 "machine");
	mitigations_init_this_cpu();
}

void mitigations_init_this_cpu(void)
{
	/* a hypervisor below may offer the CPUID bit and refuse the MSR */
	if (mitigations.enhanced_ibrs && !wrmsr_safe(MSR_SPEC_CTRL, SPEC_CTRL_IBRS))
		log_warn("CPU %u refuses IBRS, which it offers", this_cpu()->index);
	if (mitigations.auto_ibrs && !wrmsr_safe(MSR_EFER, rdmsr(MSR_EFER) | EFER_AIBRSE))
		log_warn("CPU %u refuses automatic IBRS, which it offers", this_cpu()->index);
}
