/*
 * Exceptions of the hypervisor itself: the IDT, the frame that the stubs leave, and the way to a
 * report (oops.c). Privileged.
 */
#ifndef ARCH_X86_TRAPS_H
#define ARCH_X86_TRAPS_H

#include "lib/types.h"

/* As the stubs push it: general registers, vector, error code, then the hardware's frame. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

/* Loads GDT, TSS and IDT on this core; the per-CPU area is set up already. */
void traps_init_this_cpu(void);

/* Executes rdmsr / wrmsr and answers whether it was legal (a #GP is caught by the exception table). */
bool rdmsr_safe(uint32_t msr, uint64_t *value);
bool wrmsr_safe(uint32_t msr, uint64_t value);

/* Name + offset of the function at `addr` as "symbol+0x12/0x80" from the image's own symbols, or the
 * number in hexadecimal. Returns buf. */
const char *symbolize(uint64_t addr, char *buf, size_t size);

/* The report: what happened, registers, call trace; then the panic policy. */
void oops_exception(const struct trap_frame *f) __noreturn;

#endif
