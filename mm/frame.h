/*
 * Page frames of the machine: a buddy allocator over the usable memory, with one 8-byte record per
 * frame. Any core; one lock inside.
 */
#ifndef MM_FRAME_H
#define MM_FRAME_H

#include "lib/types.h"

enum frame_owner {
	FRAME_RESERVED, /* not RAM, or never given out: firmware, image, modules */
	FRAME_FREE,
	FRAME_HYPERVISOR,
	FRAME_HEAP,
	FRAME_PAGE_TABLE,  /* host page tables */
	FRAME_GUEST_TABLE, /* second-level page tables and back-end pages of guests */
	FRAME_GUEST_RAM,
	FRAME_OWNER_COUNT,
};

struct frame { /* 8 bytes a frame */
	uint32_t refs;
	uint8_t owner; /* enum frame_owner */
	uint8_t order; /* of the block that begins here, free or given out */
	uint8_t flags;
	uint8_t spare;
};

#define FRAME_MAX_ORDER 18 /* 1 GiB */

struct usable;

/* Takes over the usable memory; the records are taken from it first. */
void frames_init(struct usable *usable);

/* 2^order frames, aligned to their size, zeroed if `zero`; HPA_NONE if there is no such block. */
struct hpa frames_alloc(unsigned order, enum frame_owner owner, bool zero);
void frames_free(struct hpa start, unsigned order);

/* n frames (1 to 2^FRAME_MAX_ORDER) in one piece, aligned to n rounded up to a power of two, or
 * HPA_NONE; and freeing them, which returns n. */
struct hpa frames_alloc_n(uint64_t n, enum frame_owner owner, bool zero);
uint64_t frames_free_n(struct hpa start);

static inline struct hpa frame_alloc(enum frame_owner owner)
{
	return frames_alloc(0, owner, true);
}

/* The next stretch of frames at or behind *start that belong to one of `owners` (bits by enum
 * frame_owner), as addresses; false: there is none. Looks without the lock, for dumps. */
bool frames_next_run(uint32_t owners, uint64_t *start, uint64_t *end);

/* The record of a frame. */
struct frame *frame_record(struct hpa pa);

struct frame_stats {
	uint64_t total, free; /* frames that the allocator manages, and the first page tables */
	uint64_t by_owner[FRAME_OWNER_COUNT];
	uint64_t record_bytes; /* the frame records themselves */
	uint64_t largest_order;
};
void frames_stats(struct frame_stats *out);

#endif
