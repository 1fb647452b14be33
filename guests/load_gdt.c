/*
 * The flat segments that a loaded guest starts with. Pure.
 */
#include "guests/load.h"
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
