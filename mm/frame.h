/*
 * Page frames of the machine: a buddy allocator over the usable ranges of the boot map, with one
 * 8-byte record per frame. Any core; one lock inside.
 */
#ifndef MM_FRAME_H
#define MM_FRAME_H

#include "boot/info.h"
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
	uint8_t owner;  /* enum frame_owner */
	uint8_t order;  /* of the free block that begins here */
	uint8_t flags;  /* FRAME_POISONED, FRAME_ZEROED */
	uint8_t spare;
};

#define FRAME_POISONED  BIT32(0)
#define FRAME_MAX_ORDER 18 /* 1 GiB */

/* Takes over the usable RAM of the map, except what `reserved` lists (image, modules, tables, low
 * megabyte). Ranges may be given in any order. */
void frames_init(const struct boot_info *info, const struct mem_range *reserved, uint32_t n);

/* 2^order frames, aligned to their size, zeroed if `zero`; HPA_NONE if there is no such block. */
struct hpa frames_alloc(unsigned order, enum frame_owner owner, bool zero);
void frames_free(struct hpa start, unsigned order);

static inline struct hpa frame_alloc(enum frame_owner owner)
{
	return frames_alloc(0, owner, true);
}

struct frame_stats {
	uint64_t total, free; /* frames */
	uint64_t by_owner[FRAME_OWNER_COUNT];
	uint64_t record_bytes; /* the frame records themselves */
	uint64_t largest_order;
};
void frames_stats(struct frame_stats *out);

#endif
