/* Stands in for arch/x86/cpu.h where the VMX back end is tested: as much of it as that uses. */
#ifndef ARCH_X86_CPU_H
#define ARCH_X86_CPU_H

#include "lib/types.h"

struct tss;

struct percpu {
	struct tss *tss;
};

struct percpu *this_cpu(void);
uint64_t ns_to_tsc(uint64_t ns);

#endif
