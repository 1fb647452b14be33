/*
 * Where the log lies so that the next run finds it after a warm reset. Pure.
 *
 * Firmware and boot loader use the first MiB, what follows the image (modules), and the top of the
 * memory below 4 GiB (heaps, which grow down). What they leave alone is the middle. The place is
 * one of a few, all of them at three quarters of a usual size, so that it stays the same when the
 * memory map changes a little from one start to the next.
 */
#include "boot/info.h"

#define MARGIN (16 * MIB) /* RAM on both sides */

static bool overlaps(uint64_t start, uint64_t end, uint64_t from, uint64_t to)
{
	return from < end && start < to;
}

static bool is_ram(const struct boot_info *info, uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < info->n_ranges; i++)
		if (info->ranges[i].kind == MEM_RAM && info->ranges[i].start <= start &&
		    info->ranges[i].end >= end)
			return true;
	return false;
}

uint64_t log_place(const struct boot_info *info, struct mem_range image, uint64_t size)
{
	static const uint64_t places[] = {0xa0000000, 0x60000000, 0x30000000, 0x18000000,
					  0x0c000000, 0x06000000, 0x03000000};

	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		uint64_t at = places[i];
		bool taken = overlaps(at, at + size, image.start, image.end);

		if (!is_ram(info, at - MARGIN, at + size + MARGIN))
			continue;
		for (uint32_t m = 0; m < info->n_modules; m++)
			taken |= overlaps(at, at + size, info->modules[m].start,
					  info->modules[m].end);
		/* another place would not be looked at the next time, when the modules are fewer */
		return taken ? 0 : at;
	}
	return 0;
}
