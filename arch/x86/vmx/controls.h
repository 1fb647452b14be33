/*
 * Which VMX controls a CPU is run with: arithmetic over its capability MSRs. Pure.
 */
#ifndef ARCH_X86_VMX_CONTROLS_H
#define ARCH_X86_VMX_CONTROLS_H

#include "arch/x86/features.h"
#include "lib/reason.h"
#include "lib/types.h"

/* The capability MSRs, as read. A control word has the bits that must be 1 in its lower half and
 * those that may be 1 in its upper half (Intel SDM volume 3, "VMX Capability Reporting Facility").
 */
struct vmx_capabilities {
	uint64_t feature_control;
	uint64_t basic, misc;
	uint64_t pin, primary, secondary, exit, entry; /* the "true" ones where there are */
	uint64_t ept_vpid;
	uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	bool rdtscp, invpcid, xsaves; /* the CPU has these instructions */
};

struct vmx_controls {
	uint32_t pin, primary, secondary, exit, entry;
	uint32_t revision;      /* of the control structures */
	uint8_t timer_shift;    /* the preemption timer counts TSC >> this; where pin has it */
	bool vpid;              /* tagged translations, with what is needed to flush them */
	bool ept_1g, ept_dirty; /* pages of 1 GiB; access and dirty bits */
	uint8_t phys_bits, linear_bits;  /* of the CPU's addresses */
	uint64_t cr0_fixed0, cr4_fixed0; /* bits that are 1 in a guest's real CR0 and CR4 */
	struct vmx_capabilities capabilities;
};

/* ERR_UNSUPPORTED with a sentence that names what CPU `cpu` lacks, and says what to change. */
int vmx_choose_controls(const struct vmx_capabilities *c, uint32_t cpu, struct vmx_controls *out,
			struct reason *why);

/* Every optional feature as one word, to compare cores. */
uint64_t vmx_feature_word(const struct vmx_controls *c);

#endif
