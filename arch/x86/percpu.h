/*
 * The per-CPU area. GS points at it on every core from its first C instruction on; the self pointer
 * is first, and the stack protector's canary stands where gcc and clang look for it (%gs:40).
 *
 * Fields are written by their own core only, except `requests` (any core, atomically).
 */
#ifndef ARCH_X86_PERCPU_H
#define ARCH_X86_PERCPU_H

#include "arch/x86/features.h"
#include "lib/types.h"

#define MAX_CPUS 256

/* What other cores (and interrupt handlers of this one) ask of a core; taken by the core's main
 * loop and looked at before each guest entry. */
enum core_request {
	CORE_RESCHEDULE = BIT32(0), /* the run queue changed, or the time slice is over */
	CORE_CONSOLE = BIT32(1),    /* console work is waiting (boot CPU only) */
};

struct vcpu;
struct tss;
struct trap_frame;
struct cpu_sample;

struct percpu {
	struct percpu *self;
	uint32_t index; /* 0: boot CPU; dense over the cores that came up */
	uint32_t apic_id;
	uint32_t requests;   /* enum core_request, atomic */
	uint32_t locks_held; /* bits by enum lock_rank; debug builds only */
	struct vcpu *vcpu;   /* loaded on this core, or NULL */
	uint64_t oops_depth;
	uint64_t canary; /* at 40: the compilers' fixed place */

	/* stacks: lowest usable address and top, with an unmapped guard page below each */
	uint64_t stack_top;
	struct cpu_stack {
		uint64_t bottom, top;
		const char *name;
	} stacks[4]; /* main, NMI, #DF, #MC */

	void *gdt; /* this core's GDT page part and TSS */
	struct tss *tss;

	struct cpu_features features;
	void *hv_pages; /* the back end's per-CPU memory (hv_ops.cpu_pages) */
	struct hpa hv_pages_pa;
	bool hv_on;
	int64_t tsc_skew;  /* this core's TSC minus the boot CPU's, as measured at boot, in ticks */
	uint64_t idle_tsc; /* ticks spent halted, without the present turn; atomic */
	uint64_t idle_since; /* that turn's begin, 0: not halted; atomic */
	bool in_interrupt;   /* debug builds only */
	/* where it was when it was stopped for good; NULL: it was not. Atomic. */
	const struct trap_frame *stopped_at;
	struct cpu_sample *sample; /* where its next NMI is to put a sample of it; atomic */
};

_Static_assert(offsetof(struct percpu, canary) == 40,
	       "the compilers look for the canary at %gs:40");

extern struct percpu *percpus[MAX_CPUS]; /* by index; NULL beyond n_cpus */
extern uint32_t n_cpus;                  /* cores that are up */

static inline struct percpu *this_cpu(void)
{
	struct percpu *p;

	__asm__("mov %%gs:0, %0" : "=r"(p));
	return p;
}

#endif
