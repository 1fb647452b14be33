/*
 * The kernel heap for objects of 16 bytes to many pages. Any core, not from interrupt handlers.
 * Never used on the way of an exit.
 */
#ifndef MM_HEAP_H
#define MM_HEAP_H

#include "lib/types.h"

/* Zeroed memory, 16-byte aligned (page aligned from a page upwards), or NULL. */
void *heap_alloc(size_t size) __must_check;
void heap_free(void *p); /* NULL is fine */

struct heap_stats {
	uint64_t used_bytes, frames, objects;
};
void heap_stats(struct heap_stats *out);

#endif
