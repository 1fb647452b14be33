/*
 * The hypervisor's own address space.
 *
 *   ffff800000000000  direct map of RAM and firmware tables (no execute; read-only over the image's
 *                     code and constants)
 *   ffffc00000000000  device windows and stacks, guard pages in between
 *   ffffffff80200000  the image: text RX, constants R, data RW
 *
 * Never a page that is both writable and executable, by any alias: what the other cores execute
 * below 1 MiB when they start is read-only here, too.
 */
#ifndef MM_HOSTMAP_H
#define MM_HOSTMAP_H

#include "boot/info.h"
#include "lib/types.h"

#define DIRECT_MAP_BASE 0xffff800000000000ull
#define DIRECT_MAP_SIZE (1ull << 46)
#define VMAP_BASE       0xffffc00000000000ull
#define VMAP_SIZE       (1ull << 30)
#define IMAGE_BASE      0xffffffff80200000ull

static inline void *phys_to_virt(struct hpa pa)
{
	return (void *)(DIRECT_MAP_BASE + pa.v);
}

/* Of an address in the direct map or in the image. */
struct hpa virt_to_phys(const void *va);

/* Where the image lies. Before anything else here. */
void hostmap_set_image(uint64_t load_address);
struct mem_range hostmap_image(void);

struct usable;

/* Builds the final page tables and switches to them. The direct map covers the ranges of the map as
 * hosttables.h says; page tables are taken from `usable`, below 4 GiB, until the frame allocator is
 * there. `huge`: the CPU has 1 GiB pages. `pa_limit`: where its physical addresses end; the map has
 * no range beyond it. `info` stays in use. */
void hostmap_init(const struct boot_info *info, struct usable *usable, uint64_t pa_limit,
		  bool huge);

/* CR3 of every core. */
extern struct hpa hostmap_root;

/* Page tables that were made before the frame allocator, which knows nothing of them. */
extern uint64_t hostmap_early_tables;

/* Maps `size` bytes of device registers uncached, readable and writable. NULL when out of memory,
 * or for an address that cannot be a device's (hosttables_no_device), which is told to the log. */
void *hostmap_device(struct hpa pa, uint64_t size);

/* Makes a page of the first MiB read-only in the direct map, for good. Only before other cores run,
 * whose TLBs may hold what it was; false when out of memory. */
bool hostmap_read_only(struct hpa page) __must_check;

/* A stack of `pages` pages with an unmapped page below. Returns its top, 0 when out of memory. */
uint64_t hostmap_stack(unsigned pages);

/* Walks all tables: is there a page that is both writable and executable? `va`: the first one. */
bool hostmap_find_wx(uint64_t *va);

/* The entries that translate `va`, from the top level down to the one that ends the walk: for
 * reports. Returns how many. */
unsigned hostmap_walk(uint64_t va, uint64_t entries[4]);

#endif
