/*
 * Exceptions and interrupts of the hypervisor itself: the IDT, the frame that the stubs leave, and
 * the way to a report (oops.c). Privileged.
 */
#ifndef ARCH_X86_TRAPS_H
#define ARCH_X86_TRAPS_H

#include "arch/x86/extable.h"
#include "lib/types.h"

/* As the stubs push it: general registers, vector, error code, then the hardware's frame. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

_Static_assert(sizeof(struct trap_frame) == 22 * 8, "trap_stubs.S");

#define SELECTOR_CODE 0x08 /* in the boot GDT, too */

/* Interrupt stack table entries; also the index of the stack in percpu.stacks. */
enum {
	IST_NMI = 1,
	IST_DF = 2,
	IST_MC = 3,
};

/* Loads the IDT on the boot CPU, so that a fault is reported from the first C on; on whatever stack
 * is in use. After percpu_init_boot. */
void traps_init_early(void);

/* Loads GDT, TSS and IDT on this core; its per-CPU area and its stacks are there already. Panics
 * without memory for them. */
void traps_init_this_cpu(void);
void gdt_init_this_cpu(void); /* its first half */

/* What the stubs call. Returns to what was interrupted. */
void trap_dispatch(struct trap_frame *f);

/* The report: what happened, registers, call trace; then the panic policy. */
void oops_exception(const struct trap_frame *f) __noreturn;

/* ---- pure parts ---- */

/* The function at `addr` as "symbol+0x12/0x80" by a table as tools/mksyms makes it, or the number
 * in hexadecimal if no function is there. Returns buf. (symbols.c) */
const char *symbol_name(const uint32_t *table, uint64_t addr, char *buf, size_t size);

/* The same of a return address, which belongs to the function that made the call: that may have
 * ended with the call, so that the address is the next function's. */
const char *symbol_name_of_return(const uint32_t *table, uint64_t addr, char *buf, size_t size);

/* The image's own table, for both. */
extern const uint32_t skerry_symbols_start[];

/* "divide error", "page fault", …; "unexpected vector" for what is none. (oops_words.c) */
const char *trap_name(uint64_t vector);

/* The error code in words: of a page fault "supervisor write, page not present", of the exceptions
 * that name a selector "selector 0x18 of the GDT"; else empty. Returns buf. */
const char *error_words(uint64_t vector, uint64_t error, char *buf, size_t size);

/* Code bytes in hexadecimal, the one at index `mark` in angle brackets; one below 0 could not be
 * read and becomes "??". Returns buf. */
const char *code_words(const int16_t *bytes, unsigned n, unsigned mark, char *buf, size_t size);

#endif
