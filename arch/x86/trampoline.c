/*
 * Where the other cores start. Pure.
 */
#include "arch/x86/trampoline.h"

#include "lib/string.h"

#define LOW_END 0xa0000ull /* "Conventional memory" ends here: what follows is video memory */
#define ENTRIES 512
#define PTE_P   BIT(0)
#define PTE_W   BIT(1)

static bool is_ram(const struct boot_info *info, uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < info->n_ranges; i++) {
		const struct mem_range *r = &info->ranges[i];

		if (r->kind == MEM_RAM && r->start <= start && r->end >= end)
			return true;
	}
	return false;
}

static bool overlaps(uint64_t start, uint64_t end, uint64_t other_start, uint64_t other_end)
{
	return start < other_end && other_start < end;
}

struct mem_range trampoline_place(const struct boot_info *info)
{
	struct mem_range none = {.kind = MEM_RAM};
	const uint64_t size = TRAMPOLINE_PAGES * PAGE_SIZE;

	for (uint64_t start = LOW_END - size; start >= PAGE_SIZE; start -= PAGE_SIZE) {
		bool free = is_ram(info, start, start + size);

		for (uint32_t i = 0; free && i < info->n_modules; i++)
			free = !overlaps(start, start + size, info->modules[i].start,
					 info->modules[i].end);
		if (free)
			return (struct mem_range){start, start + size, MEM_RAM};
	}
	return none;
}

void trampoline_tables(uint64_t *tables, uint64_t pa, const uint64_t *root)
{
	uint64_t *pml4 = tables, *pdpt = tables + ENTRIES, *pd = tables + 2 * ENTRIES,
		 *pt = tables + 3 * ENTRIES;

	/* pa is below 1 MiB: the first entry on each of the upper levels */
	memset(tables, 0, 4 * PAGE_SIZE);
	memcpy(pml4 + ENTRIES / 2, root + ENTRIES / 2, ENTRIES / 2 * sizeof(*root));
	pml4[0] = (pa + 2 * PAGE_SIZE) | PTE_W | PTE_P;
	pdpt[0] = (pa + 3 * PAGE_SIZE) | PTE_W | PTE_P;
	pd[0] = (pa + 4 * PAGE_SIZE) | PTE_W | PTE_P;
	pt[pa >> PAGE_SHIFT] = pa | PTE_P;
}
