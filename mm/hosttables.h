/*
 * The format of the hypervisor's own page tables, and what is mapped how: pure, so that a unit test
 * can walk what comes out for any memory map. Source: Intel SDM Volume 3, "4-Level Paging and
 * 5-Level Paging"; AMD64 APM Volume 2, "Long-Mode Page Translation". The caller locks.
 */
#ifndef MM_HOSTTABLES_H
#define MM_HOSTTABLES_H

#include "boot/info.h"
#include "lib/types.h"

enum host_rights { /* never writable and executable */
	HOST_RX,
	HOST_R,
	HOST_RW,
	HOST_DEVICE, /* read and write, uncached */
};

struct hosttables {
	uint64_t root; /* physical address of the top-level table */
	bool huge;     /* 1 GiB pages may be used */
	/* the image: where it lies, and where its parts end, as offsets from that */
	uint64_t image, text_end, rodata_end, image_end;
	uint64_t (*alloc)(void); /* a zeroed table's physical address; UINT64_MAX if none is left */
	void *(*map)(uint64_t table); /* host address of a table */
};

/* All of these answer false when out of memory; part of the range may be mapped then. */

/* The top-level table, with what has to be there before other cores share it. */
bool hosttables_init(struct hosttables *t) __must_check;

/* Maps one page of 4 KiB; replaces what was mapped there. */
bool hosttables_map(struct hosttables *t, uint64_t va, uint64_t pa,
		    enum host_rights rights) __must_check;

/* Maps the image at IMAGE_BASE. */
bool hosttables_map_image(struct hosttables *t) __must_check;

/*
 * Maps the first MiB and every range of the (sorted) map directly, up to the size of the direct
 * map, but not what is reserved or bad, which may be devices. By the largest pages that fit; by
 * pages of 4 KiB, with the rights of its parts but never executable, where the image is.
 */
bool hosttables_map_direct(struct hosttables *t, const struct boot_info *info) __must_check;

/*
 * May [pa, pa + size) be mapped as a device's registers? NULL, or why not: it reaches beyond
 * `limit`, where the CPU's physical addresses end, or a page of it is RAM of the map, which a write
 * would spoil.
 */
const char *hosttables_no_device(const struct boot_info *info, uint64_t limit, uint64_t pa,
				 uint64_t size);

/* Is there a page that is both writable and executable? `va`: the first one. */
bool hosttables_find_wx(const struct hosttables *t, uint64_t *va);

/* The entries that translate `va`, from the top level down to the one that ends the walk. Returns
 * how many. */
unsigned hosttables_walk(const struct hosttables *t, uint64_t va, uint64_t entries[4]);

#endif
