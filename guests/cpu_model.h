/*
 * The CPU model of a guest: which CPUID bits, MSRs, control-register bits and extended state it
 * has. An allow-list over what the host has, fixed when the guest is created. What is not listed is
 * hidden. Pure.
 */
#ifndef GUESTS_CPU_MODEL_H
#define GUESTS_CPU_MODEL_H

#include "arch/x86/features.h"
#include "lib/types.h"

#define CPU_MODEL_BASIC_LEAVES    0x0eu /* 0 to 0x0d */
#define CPU_MODEL_EXTENDED_LEAVES 0x09u /* 0x80000000 to 0x80000008 */
#define CPU_MODEL_XSTATE_LEAVES   64u
#define CPU_MODEL_PV_BASE         0x40000000u

struct cpu_model {
	struct cpuid_regs basic[CPU_MODEL_BASIC_LEAVES];
	struct cpuid_regs extended[CPU_MODEL_EXTENDED_LEAVES];
	struct cpuid_regs xstate[CPU_MODEL_XSTATE_LEAVES]; /* leaf 0Dh */
	uint32_t max_basic, max_extended;
	uint64_t xcr0; /* components that the guest may enable */
	uint64_t cr4;  /* bits that the guest may set */
	uint64_t efer; /* likewise */
	uint32_t tsc_khz;
	uint8_t phys_bits;
	bool has_rdtscp; /* and so TSC_AUX */
	bool has_ibpb;
	bool has_xsaves; /* and so IA32_XSS, which stays 0 */
};

/* Makes the model from the host's CPUID (as `cpuid` answers), what the hypervisor can switch
 * (`host_xcr0`, and whether `xsaves` can be let through), and the TSC's frequency. */
void cpu_model_init(struct cpu_model *m,
		    struct cpuid_regs (*cpuid)(uint32_t leaf, uint32_t subleaf), uint64_t host_xcr0,
		    bool xsaves, uint64_t tsc_hz);

/* What a vCPU's own state adds to its CPUID. */
struct cpuid_dynamic {
	uint64_t cr4;
	uint64_t xcr0;
	uint32_t apic_id;
	uint32_t n_vcpus;
	bool apic_on; /* IA32_APIC_BASE.EN */
};

/* Answers CPUID. */
struct cpuid_regs cpu_model_cpuid(const struct cpu_model *m, uint32_t leaf, uint32_t subleaf,
				  const struct cpuid_dynamic *d);

/* The answer where it is the same for every subleaf and every state of a vCPU, else NULL: on the
 * way of every CPUID exit. */
static inline const struct cpuid_regs *cpu_model_fixed(const struct cpu_model *m, uint32_t leaf)
{
	const uint32_t dynamic = BIT32(1) | BIT32(7) | BIT32(0xb) | BIT32(0xd);

	if (leaf <= m->max_basic)
		return dynamic >> leaf & 1 ? NULL : &m->basic[leaf];
	if (leaf >= 0x80000000 && leaf <= m->max_extended && leaf != 0x80000001)
		return &m->extended[leaf - 0x80000000];
	return NULL;
}

/* Bytes of the XSAVE area (standard format) for the components `xcr0`. */
uint32_t cpu_model_xsave_size(const struct cpu_model *m, uint64_t xcr0);
/* The same in the compacted format. */
uint32_t cpu_model_xsavec_size(const struct cpu_model *m, uint64_t xcr0);

#endif
