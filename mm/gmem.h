/*
 * Guest memory: the one way by which the hypervisor reads and writes a guest's RAM. It checks that
 * the range is RAM, and is the place where populating on touch and dirty logging hook in.
 *
 * RAM is held in chunks of 2 MiB; the table of chunks is indexed by guest-physical address, so a
 * look-up is one load. Pure: a unit test fills the table with its own buffers.
 */
#ifndef MM_GMEM_H
#define MM_GMEM_H

#include "lib/types.h"

#define GMEM_CHUNK_SHIFT LARGE_PAGE_SHIFT
#define GMEM_CHUNK_SIZE  LARGE_PAGE_SIZE

/* RAM ends here at the latest below 4 GiB; the rest continues at 4 GiB. Between them: devices. */
#define GMEM_HOLE_START 0xC0000000ull
#define GMEM_HOLE_END   0x100000000ull

struct gmem {
	uint8_t *
		*chunk; /* host address of each 2 MiB of guest-physical space; NULL: no RAM there */
	uint64_t n_chunks; /* entries of `chunk` */
	uint64_t size;     /* bytes of RAM, a multiple of 2 MiB */

	/* chunks that hold a ROM, which can be read only: the first one, and how many */
	uint64_t rom_first, rom_count;
};

/* Host address of guest-physical `gpa` if the `len` bytes (at most up to the end of the 2 MiB
 * chunk) are RAM or ROM, else NULL. For reading only. */
static inline const void *gmem_ptr(const struct gmem *m, uint64_t gpa, uint64_t len)
{
	uint64_t i = gpa >> GMEM_CHUNK_SHIFT;
	uint64_t off = gpa & (GMEM_CHUNK_SIZE - 1);

	if (i >= m->n_chunks || !m->chunk[i] || len > GMEM_CHUNK_SIZE - off)
		return NULL;
	return m->chunk[i] + off;
}

static inline bool gmem_is_rom(const struct gmem *m, uint64_t gpa)
{
	return (gpa >> GMEM_CHUNK_SHIFT) - m->rom_first < m->rom_count;
}

/* The same for writing, so RAM only: marks the pages dirty. */
static inline void *gmem_ptr_write(struct gmem *m, uint64_t gpa, uint64_t len)
{
	if (gmem_is_rom(m, gpa))
		return NULL;
	return (void *)(uintptr_t)gmem_ptr(m, gpa, len);
}

/* Copies between host memory and guest RAM (or from ROM), across chunks. ERR_RANGE if any byte is
 * neither; then nothing was copied. */
int gmem_read(const struct gmem *m, uint64_t gpa, void *buf, uint64_t len) __must_check;
int gmem_write(struct gmem *m, uint64_t gpa, const void *buf, uint64_t len) __must_check;
int gmem_fill(struct gmem *m, uint64_t gpa, uint8_t byte, uint64_t len) __must_check;

/* First guest-physical address after the RAM below the hole, and after all RAM above 4 GiB (or
 * GMEM_HOLE_END if there is none), for a guest with `size` bytes. */
uint64_t gmem_low_end(uint64_t size);
uint64_t gmem_high_end(uint64_t size);

#endif
