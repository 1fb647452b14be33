/*
 * Stands in for arch/x86/asm.h where the VMX back end is tested: the instructions are those of the
 * processor that tests/unit/vmx_processor.c plays.
 */
#ifndef ARCH_X86_ASM_H
#define ARCH_X86_ASM_H

#include "arch/x86/features.h"
#include "lib/types.h"

uint64_t rdmsr(uint32_t msr);
void wrmsr(uint32_t msr, uint64_t v);
struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf);

uint64_t read_cr0(void);
uint64_t read_cr2(void);
void write_cr2(uint64_t v);
uint64_t read_cr3(void);
uint64_t read_cr4(void);
void write_cr4(uint64_t v);
uint64_t read_dr6(void);
void write_dr6(uint64_t v);

bool irq_save(void);
void irq_restore(bool on);

#endif
