/*
 * Loads firmware: a raw image of the ROM that ends at 4 GiB, where the processor's first
 * instruction is. Pure: writes into the guest's memory only.
 *
 * Source: Intel SDM volume 3, "First Instruction Executed"; and the 440FX data sheet (82441FX),
 * "Programmable Attribute Map Registers", by which the ROM's end is seen below 1 MiB too. Our
 * guests have RAM there, which holds a copy.
 */
#include "guests/load.h"
#include "lib/string.h"

#define FIRMWARE_MAX  (16 * MIB)
#define FIRMWARE_STEP (64 * KIB)

#define ROM_END  GMEM_HOLE_END
#define LOW_SIZE (128 * KIB)
#define LOW_END  LOAD_HIGH_START

int firmware_check(const struct load_blob *image, struct reason *why)
{
	if (!image->size || image->size > FIRMWARE_MAX || image->size % FIRMWARE_STEP)
		return refuse(
			why, ERR_INVALID,
			"%s has %llu bytes: firmware is the raw image of a ROM, a multiple of "
			"64 KiB and 16 MiB at most",
			image->string, (unsigned long long)image->size);
	return 0;
}

/* Copies into the ROM, which nothing but this writes. */
static int put_rom(const struct gmem *m, uint64_t gpa, const uint8_t *from, uint64_t len)
{
	while (len) {
		uint64_t room = GMEM_CHUNK_SIZE - (gpa & (GMEM_CHUNK_SIZE - 1));
		uint64_t part = MIN(len, room);
		const void *at = gmem_ptr(m, gpa, part);

		if (!at || !gmem_is_rom(m, gpa))
			return ERR_RANGE;
		memcpy((void *)(uintptr_t)at, from, part);
		gpa += part;
		from += part;
		len -= part;
	}
	return 0;
}

int load_firmware(struct gmem *m, const struct load_blob *image, struct guest_entry *out,
		  struct reason *why)
{
	const uint8_t *data = image->data;
	uint64_t low = MIN(image->size, LOW_SIZE);
	int err = firmware_check(image, why);

	if (err)
		return err;
	if (put_rom(m, ROM_END - image->size, data, image->size) ||
	    gmem_write(m, LOW_END - low, data + image->size - low, low))
		return refuse(why, ERR_RANGE, "the guest has no room for %s at 4 GiB and at 1 MiB",
			      image->string);
	*out = (struct guest_entry){.reset = true};
	return 0;
}
