/*
 * What all loaders give a guest: the flat segments that it starts with, the memory map, strings.
 * Pure.
 */
#include "guests/load.h"

#include "guests/board.h"
#include "lib/le.h"

/* AMD64 Architecture Programmer's Manual, volume 2, "Legacy Segment Descriptors" and "Long-Mode
 * Segment Descriptors": base 0, limit 4 GiB, present, accessed, ring 0. */
#define DESC_CODE32 0x00cf9b000000ffffull
#define DESC_CODE64 0x00af9b000000ffffull
#define DESC_DATA   0x00cf93000000ffffull

int load_gdt(struct gmem *m, uint64_t gpa, bool long_mode)
{
	uint8_t gdt[LOAD_GDT_SIZE] = {0};

	put_le64(gdt + LOAD_CODE_SELECTOR, long_mode ? DESC_CODE64 : DESC_CODE32);
	put_le64(gdt + LOAD_DATA_SELECTOR, DESC_DATA);
	return gmem_write(m, gpa, gdt, sizeof(gdt));
}

unsigned load_memory_map(const struct gmem *m, struct load_range out[LOAD_RANGES])
{
	const struct load_range all[LOAD_RANGES] = {
		{0, LOAD_LOW_RAM_END, LOAD_RANGE_RAM},
		{LOAD_LOW_RAM_END, LOAD_HIGH_START, LOAD_RANGE_RESERVED},
		{LOAD_HIGH_START, gmem_low_end(m->size), LOAD_RANGE_RAM},
		{BOARD_PCI_ECAM_ADDR, BOARD_PCI_ECAM_ADDR + (uint64_t)BOARD_PCI_ECAM_SIZE,
		 LOAD_RANGE_RESERVED},
		{GMEM_HOLE_END, gmem_high_end(m->size), LOAD_RANGE_RAM},
	};
	unsigned n = 0;

	for (unsigned i = 0; i < LOAD_RANGES; i++) {
		if (all[i].start < all[i].end)
			out[n++] = all[i];
	}
	return n;
}

int load_string(struct gmem *m, const char *s, uint64_t *next, uint64_t *at)
{
	uint64_t len = strlen(s) + 1;

	*at = *next;
	*next += len;
	return gmem_write(m, *at, s, len);
}
