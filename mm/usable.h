/*
 * Which memory may be given out: the RAM of the boot map, less what is reserved. Pure.
 */
#ifndef MM_USABLE_H
#define MM_USABLE_H

#include "boot/info.h"

/* Each range of the map, and one more for each stretch that is taken out of it: the first MiB, the
 * image, the log, the modules. */
#define USABLE_MAX (BOOT_MAX_RANGES + BOOT_MAX_MODULES + 3)

struct usable {
	uint32_t n;
	struct mem_range ranges[USABLE_MAX]; /* whole pages, sorted, MEM_RAM */
};

/* Cuts the map at `limit`, a multiple of 4 KiB, beyond which the CPU has no physical addresses.
 * Returns how many bytes of RAM are lost by it. */
uint64_t ranges_clip(struct boot_info *info, uint64_t limit);

/* Fills `out` from the RAM ranges of the map, as far as the direct map reaches. */
void usable_init(struct usable *out, const struct boot_info *info);

/* Takes [start, end) away, in whole pages. Pieces beyond the table's size are lost to use, which is
 * safe. */
void usable_reserve(struct usable *u, uint64_t start, uint64_t end);

/* Takes `size` bytes (a multiple of 4 KiB), aligned to a page, off the highest range that lies
 * below `limit`. UINT64_MAX if there is no such range. */
uint64_t usable_take(struct usable *u, uint64_t size, uint64_t limit);

#endif
