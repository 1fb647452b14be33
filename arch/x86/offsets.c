/*
 * Offsets that assembly needs, generated from C: the Makefile compiles this to assembly and makes
 * offsets.h from its "->NAME value" lines.
 */
#include "arch/x86/hv.h"
#include "arch/x86/mitigations.h"
#include "arch/x86/percpu.h"
#include "arch/x86/traps.h"

#define DEFINE(NAME, value) __asm__ volatile(".ascii \"->" #NAME " %0\"" : : "i"(value))

void offsets(void);

void offsets(void)
{
	DEFINE(HV_VCPU_GPR, offsetof(struct hv_vcpu, gpr));
	DEFINE(HV_VCPU_PAGES_PA, offsetof(struct hv_vcpu, pages.pa));
	DEFINE(HV_VCPU_LAUNCHED, offsetof(struct hv_vcpu, launched));
	DEFINE(HV_VCPU_HOST_STACK, offsetof(struct hv_vcpu, host_stack));
	DEFINE(MITIGATIONS_VERW, offsetof(struct mitigations, verw));
}
