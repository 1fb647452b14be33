/*
 * A guest's RAM for the tests of loaders: the layout of a real guest, in address space that takes
 * no memory until it is touched.
 */
#ifndef TESTS_UNIT_GUEST_RAM_H
#define TESTS_UNIT_GUEST_RAM_H

#include <sys/mman.h>

#include "mm/gmem.h"
#include "tests/unit/broken.h"

#define RAM_MAX    (4 * GIB)
#define RAM_CHUNKS ((GMEM_HOLE_END + RAM_MAX) / GMEM_CHUNK_SIZE)

static uint8_t *ram_base;
static uint8_t *ram_chunk[RAM_CHUNKS];
static struct gmem ram;

/* Makes a guest with `size` bytes of RAM, all of them `byte` up to the first 2 MiB, then zero. */
static inline void ram_make(uint64_t size, uint8_t byte)
{
	const int prot = PROT_READ | PROT_WRITE;
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

	if (!ram_base)
		ram_base = mmap(NULL, RAM_MAX, prot, flags, -1, 0);
	else
		assert_int_equal(madvise(ram_base, RAM_MAX, MADV_DONTNEED), 0);
	assert_ptr_not_equal(ram_base, MAP_FAILED);
	memset(ram_chunk, 0, sizeof(ram_chunk));
	for (uint64_t at = 0; at < size; at += GMEM_CHUNK_SIZE) {
		uint64_t gpa = at < GMEM_HOLE_START ? at : GMEM_HOLE_END + at - GMEM_HOLE_START;

		ram_chunk[gpa / GMEM_CHUNK_SIZE] = ram_base + at;
	}
	ram = (struct gmem){.chunk = ram_chunk,
			    .n_chunks = (size > GMEM_HOLE_START ? gmem_high_end(size) : size) /
					GMEM_CHUNK_SIZE,
			    .size = size};
	if (byte)
		memset(ram_base, byte, GMEM_CHUNK_SIZE);
}

static inline const uint8_t *ram_at(uint64_t gpa, uint64_t len)
{
	const uint8_t *p = gmem_ptr(&ram, gpa, len);

	assert_non_null(p);
	return p;
}

#endif
