/*
 * A small guest for the tests of page-table walks, fetching and emulation: RAM in the first 6 MiB,
 * in the last 2 MiB below 4 GiB and in the first 2 MiB above, and nothing (so devices) elsewhere.
 */
#ifndef TESTS_UNIT_GUEST_CODE_H
#define TESTS_UNIT_GUEST_CODE_H

#include "guests/gwalk.h"
#include "guests/insn.h"
#include "tests/unit/broken.h"

#define CODE_CHUNKS 2049u
#define CODE_RAM    (3 * GMEM_CHUNK_SIZE) /* RAM from 0 to here */
#define CODE_NO_RAM 0x800000ull           /* nothing answers here */

static uint8_t code_low[CODE_RAM] __attribute__((aligned(4096)));
static uint8_t code_high[2 * GMEM_CHUNK_SIZE] __attribute__((aligned(4096)));
static uint8_t *code_chunk[CODE_CHUNKS];
static struct gmem code_mem = {
	.chunk = code_chunk, .n_chunks = CODE_CHUNKS, .size = 5 * GMEM_CHUNK_SIZE};

/* Empty RAM. */
static inline void code_begin(void)
{
	memset(code_low, 0, sizeof(code_low));
	memset(code_high, 0, sizeof(code_high));
	for (unsigned i = 0; i < 3; i++)
		code_chunk[i] = code_low + i * GMEM_CHUNK_SIZE;
	code_chunk[2047] = code_high;
	code_chunk[2048] = code_high + GMEM_CHUNK_SIZE;
}

static inline void put64(uint64_t gpa, uint64_t v)
{
	assert_int_equal(gmem_write(&code_mem, gpa, &v, sizeof(v)), 0);
}

static inline void put32(uint64_t gpa, uint32_t v)
{
	assert_int_equal(gmem_write(&code_mem, gpa, &v, sizeof(v)), 0);
}

static inline uint64_t get64(uint64_t gpa)
{
	uint64_t v;

	assert_int_equal(gmem_read(&code_mem, gpa, &v, sizeof(v)), 0);
	return v;
}

static inline uint32_t get32(uint64_t gpa)
{
	uint32_t v;

	assert_int_equal(gmem_read(&code_mem, gpa, &v, sizeof(v)), 0);
	return v;
}

/* Contexts without a RIP: 64-bit mode with 4-level paging from 0x10000, ring 0; 32-bit protected
 * mode without paging; real mode. */
static const struct code_context code_64 = {
	.rflags = RFLAGS_ONE,
	.cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_ET | CR0_NE,
	.cr3 = 0x10000,
	.cr4 = CR4_PAE,
	.efer = EFER_LME | EFER_LMA | EFER_NXE,
	.cs_limit = UINT32_MAX,
	.cs_attr = 0x29b | SEG_ATTR_G,
	.phys_bits = 40,
};
static const struct code_context code_32 = {
	.rflags = RFLAGS_ONE,
	.cr0 = CR0_PE | CR0_ET,
	.cs_limit = UINT32_MAX,
	.cs_attr = 0x49b | SEG_ATTR_G,
	.phys_bits = 40,
};
static const struct code_context code_16 = {
	.rflags = RFLAGS_ONE,
	.cr0 = CR0_ET,
	.cs_limit = 0xffff,
	.cs_attr = 0x9b,
	.phys_bits = 40,
};

#define CODE_FLAGS (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

/* Maps a page for code_64: 4 KiB pages at `gva`, `n` of them, to `gpa` and on, tables in the RAM
 * from 0x10000. `flags` are those of the last entry. */
static inline void code_map(uint64_t gva, uint64_t gpa, unsigned n, uint64_t flags)
{
	static const unsigned shift[] = {39, 30, 21};

	while (n--) {
		uint64_t table = code_64.cr3;

		for (unsigned i = 0; i < 3; i++) {
			uint64_t at = table + (gva >> shift[i] & 511) * 8;

			if (!get64(at)) {
				/* the next page not yet used is counted in front of the tables */
				uint64_t next = get64(code_64.cr3 - 8);

				next = (next ? next : code_64.cr3) + PAGE_SIZE;
				put64(code_64.cr3 - 8, next);
				put64(at, next | CODE_FLAGS);
			}
			table = get64(at) & ADDRESS_MASK;
		}
		put64(table + (gva >> 12 & 511) * 8, gpa | flags);
		gva += PAGE_SIZE;
		gpa += PAGE_SIZE;
	}
}

#endif
