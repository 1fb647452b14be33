/*
 * The hypervisor's own address space.
 *
 *   ffff800000000000  direct map of all physical memory (no execute; read-only over the image's text)
 *   ffffc00000000000  device windows and stacks, mapped on demand, guard pages in between
 *   ffffffff80000000  the image: text RX, read-only data R, data RW
 */
#ifndef MM_HOSTMAP_H
#define MM_HOSTMAP_H

#include "boot/info.h"
#include "lib/types.h"

#define DIRECT_MAP_BASE 0xffff800000000000ull
#define VMAP_BASE       0xffffc00000000000ull
#define IMAGE_BASE      0xffffffff80000000ull

static inline void *phys_to_virt(struct hpa pa)
{
	return (void *)(DIRECT_MAP_BASE + pa.v);
}

/* Of an address in the direct map or in the image. */
struct hpa virt_to_phys(const void *va);

/* Maps `size` bytes of device registers uncached, readable and writable; NULL when out of memory. */
void *hostmap_device(struct hpa pa, uint64_t size);

/* A stack of `pages` pages with an unmapped page below. Returns its top, 0 when out of memory. */
uint64_t hostmap_stack(unsigned pages);

/* Builds the final page tables (direct map by 1 GiB or 2 MiB pages, W^X) and switches to them. */
void hostmap_init(const struct mem_range *ranges, uint32_t n);
extern struct hpa hostmap_root; /* CR3 of every core */

#endif
