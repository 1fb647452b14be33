/*
 * Tags of translations: the address-space identifiers of one core. Handing out a new one is how a
 * vCPU's translations are dropped; when all are used, everything is flushed once and a new
 * generation begins. Pure; used by its core only.
 */
#ifndef ARCH_X86_TAG_POOL_H
#define ARCH_X86_TAG_POOL_H

#include "lib/types.h"

struct tag_pool {
	uint64_t generation;  /* starts at 1: a vCPU with generation 0 has no tag */
	uint32_t next, count; /* usable: 1 to count - 1 */
};

void tag_pool_init(struct tag_pool *p, uint32_t count);

/* Gives a fresh tag; returns true if all translations must be flushed at the next entry. */
bool tag_take(struct tag_pool *p, uint32_t *tag, uint64_t *generation);

#endif
