/*
 * The exception table: the few instructions that may fault, and where to go on when they do. They
 * stand in safe.S, which fills the section; everything else that faults is an oops.
 */
#ifndef ARCH_X86_EXTABLE_H
#define ARCH_X86_EXTABLE_H

#include "lib/types.h"

struct extable_entry {
	int32_t insn, fixup; /* offsets from their own places */
	uint32_t vectors;    /* bits of the exceptions that are expected of it */
};

/* Where to go on after exception `vector` of the instruction at `rip`; 0: it is not expected.
 * Pure. */
uint64_t extable_find(const struct extable_entry *start, const struct extable_entry *end,
		      uint64_t vector, uint64_t rip);

/* Executes RDMSR, WRMSR, or reads a byte, and answers whether it was possible. What is answered
 * through the pointer is left alone if not. read_safe keeps CR2, which may be a loaded guest's. */
bool rdmsr_safe(uint32_t msr, uint64_t *value);
bool wrmsr_safe(uint32_t msr, uint64_t value);
bool read_safe(const void *p, uint8_t *byte);

/* Copies n bytes; false: not all of them can be read. */
bool copy_safe(void *dst, const void *src, size_t n);

/* The instruction of read_safe, without its care for CR2. */
bool read_byte_or_fault(const void *p, uint8_t *byte);

#endif
