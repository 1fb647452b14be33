/*
 * Exceptions and interrupts of the hypervisor itself: the IDT, the frame that the stubs leave, and the
 * way to a report (oops.c). Privileged.
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

/* Loads GDT, TSS and IDT on this core; its per-CPU area and its stacks are there already. */
void traps_init_this_cpu(void);

/* Executes RDMSR, WRMSR, or reads a byte, and answers whether it was possible (the fault is caught by
 * the exception table). */
bool rdmsr_safe(uint32_t msr, uint64_t *value);
bool wrmsr_safe(uint32_t msr, uint64_t value);
bool read_safe(const void *p, uint8_t *byte);

/* Name + offset of the function at `addr` as "symbol+0x12/0x80" from the image's own symbols, or the
 * number in hexadecimal. Returns buf. */
const char *symbolize(uint64_t addr, char *buf, size_t size);

/* The report: what happened, registers, call trace; then the panic policy. */
void oops_exception(const struct trap_frame *f) __noreturn;

/* ---- pure parts (oops_words.c) ---- */

/* "divide error", "page fault", … */
const char *trap_name(uint64_t vector);

/* The error code of a page fault in words: "supervisor write, page not present". Returns buf. */
const char *page_fault_words(uint64_t error, char *buf, size_t size);

#endif
