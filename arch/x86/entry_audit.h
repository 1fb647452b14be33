/*
 * What the auditors of both back ends share: they look for the field for which the processor
 * refused to enter a guest. Pure.
 */
#ifndef ARCH_X86_ENTRY_AUDIT_H
#define ARCH_X86_ENTRY_AUDIT_H

#include "lib/reason.h"
#include "lib/types.h"

/* "field 0xvalue: rule", answered by a function with a parameter `why`. */
#define BROKEN(field, value, rule, ...) \
	refuse(why, ERR_INVALID, field " 0x%llx: " rule, (unsigned long long)(value), ##__VA_ARGS__)

/* The first of a PAT's eight bytes that is no memory type, or -1. The types are 0 UC, 1 WC, 4 WT, 5
 * WP, 6 WB, 7 UC-. Source: Intel SDM volume 3, "IA32_PAT MSR"; AMD64 Architecture Programmer's
 * Manual, volume 2, "PAT Register". */
static inline int pat_bad_entry(uint64_t pat)
{
	for (int i = 0; i < 8; i++) {
		unsigned type = (pat >> (8 * i)) & 0xff;

		if (type > 7 || type == 2 || type == 3)
			return i;
	}
	return -1;
}

#endif
