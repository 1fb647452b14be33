/*
 * Second-level page tables: guest-physical to host-physical, 4 KiB, 2 MiB and 1 GiB pages over any
 * back end's entry format. Pure: tables come from the caller's allocator.
 */
#ifndef MM_SLPT_H
#define MM_SLPT_H

#include "lib/types.h"
#include "mm/slpt_format.h"

struct slpt_memory {
	struct hpa (*alloc)(void); /* one zeroed frame, or HPA_NONE */
	void (*free)(struct hpa pa);
	void *(*map)(struct hpa pa); /* host address of a frame */
};

struct slpt {
	const struct slpt_format *format;
	const struct slpt_memory *memory;
	struct hpa root;
	uint64_t tables; /* frames used, root included */
	bool huge_pages; /* 1 GiB entries may be used */
};

int slpt_init(struct slpt *t, const struct slpt_format *format, const struct slpt_memory *memory,
	      bool huge_pages);
void slpt_destroy(struct slpt *t); /* frees the tables, not what they map; twice is fine */

/*
 * Maps [gpa, gpa + size) to [hpa, hpa + size), all multiples of 4 KiB, by the largest pages that
 * alignment allows; replaces what was mapped there, splitting larger pages. ERR_NO_MEMORY: part of
 * the range may be mapped; ERR_INVALID: not aligned, or beyond the table's reach. The caller
 * flushes cached translations.
 */
int slpt_map(struct slpt *t, uint64_t gpa, uint64_t hpa, uint64_t size, unsigned perm);
int slpt_unmap(struct slpt *t, uint64_t gpa, uint64_t size);

struct slpt_entry {
	uint64_t hpa;   /* of the byte that was asked for */
	unsigned level; /* of the leaf: 1, 2, 3 */
	unsigned perm;
};
/* False if nothing is mapped there. */
bool slpt_lookup(const struct slpt *t, uint64_t gpa, struct slpt_entry *out);

#endif
