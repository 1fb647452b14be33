/*
 * What is done against speculation attacks between guests and the hypervisor: decided once at boot.
 * Privileged; the decision itself is pure.
 */
#ifndef ARCH_X86_MITIGATIONS_H
#define ARCH_X86_MITIGATIONS_H

#include "arch/x86/asm.h"
#include "arch/x86/features.h"
#include "lib/types.h"

struct mitigations {
	bool rsb_fill; /* before returns that have no call since an exit: fill the return stack */
	bool ibpb_on_switch; /* before another guest's vCPU runs on a core: forget indirect branches
			      */
	bool verw;           /* before an entry: overwrite the CPU's buffers */
	bool l1d_flush;      /* before a vCPU's turn: empty the first-level data cache */
	bool enhanced_ibrs;  /* IBRS is set once on each core, and keeps them so */
	bool auto_ibrs;      /* the CPU itself keeps guests' branches from the hypervisor's */
};

extern struct mitigations mitigations;

/* IA32_ARCH_CAPABILITIES, of which the decision needs these. */
enum {
	ARCH_CAP_RDCL_NO = 1u << 0,
	ARCH_CAP_SKIP_L1DFL = 1u << 3,
	ARCH_CAP_IBRS_ALL = 1u << 1,
	ARCH_CAP_MDS_NO = 1u << 5,
	ARCH_CAP_PSCHANGE_MC_NO = 1u << 6,
	ARCH_CAP_TAA_NO = 1u << 8,
	ARCH_CAP_RFDS_CLEAR = 1u << 28,
};

/* Which ones this CPU needs and can; all off unless `wanted`. arch_cap is 0 without the MSR. Pure
 * (mitigations_choose.c). */
struct mitigations mitigations_choose(const struct cpu_features *f, uint64_t arch_cap, bool wanted);

/* One line for the boot log: which are on. Pure. Returns buf. */
const char *mitigations_describe(const struct mitigations *m, char *buf, size_t size);

/* Decides by the boot CPU and says so in the log. `wanted` is the option mitigations=. */
void mitigations_init(bool wanted);

/* Switches on this core what is a mode of the core. mitigations_init does it for the boot CPU. */
void mitigations_init_this_cpu(void);

/* Indirect branch prediction barrier. Only where mitigations.ibpb_on_switch. */
static inline void ibpb(void)
{
	wrmsr(0x49, 1); /* PRED_CMD.IBPB */
}

/* Empties the first-level data cache. Only where mitigations.l1d_flush. */
static inline void l1d_flush(void)
{
	wrmsr(0x10b, 1); /* IA32_FLUSH_CMD.L1D_FLUSH */
}

/* Fills the return stack with addresses that lead nowhere: 32 calls that are never returned from,
 * as many as the largest return stack of the CPUs with SVM has entries. Only where
 * mitigations.rsb_fill. */
static inline void rsb_fill(void)
{
	__asm__ volatile(".rept 32\n\t"
			 "call 1f\n\t"
			 "int3\n"
			 "1:\n\t"
			 ".endr\n\t"
			 "add $(32 * 8), %%rsp\n\t"
			 "lfence" ::
				 : "memory", "cc");
}

#endif
