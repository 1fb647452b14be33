/*
 * Where the cores are at one moment: registers and stack of each, taken by NMI while they go on.
 * For dumps of a hypervisor that lives.
 */
#ifndef ARCH_X86_SAMPLE_H
#define ARCH_X86_SAMPLE_H

#include "arch/x86/traps.h"
#include "lib/types.h"

#define SAMPLE_STACK (16 * KIB)

struct cpu_sample {
	bool taken; /* atomic: set when the rest is there */
	struct trap_frame regs;
	uint64_t stack_at; /* address of the copied part, which reaches to the stack's top */
	uint64_t stack_len;
	uint8_t stack[SAMPLE_STACK];
};

/* Takes samples of all cores, of this one as its caller's: samples[i] is CPU i's, or NULL. A core
 * that does not answer within 100 ms has none taken. Interrupts on or off; boot CPU. */
void cpus_sample(struct cpu_sample *const samples[], uint32_t n);

/* The NMI handler's part: true if a sample was wanted. */
bool sample_by_nmi(const struct trap_frame *f);

#endif
