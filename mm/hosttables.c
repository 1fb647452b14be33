/* The hypervisor's own page tables; see hosttables.h. Pure. */
#include "mm/hosttables.h"

#include "mm/hostmap.h"

#define PTE_P       BIT(0)
#define PTE_W       BIT(1)
#define PTE_PWT     BIT(3)
#define PTE_PCD     BIT(4)
#define PTE_PS      BIT(7)
#define PTE_G       BIT(8)
#define PTE_NX      BIT(63)
#define PTE_ADDRESS 0x000ffffffffff000ull

#define TOP_LEVEL    4u
#define TABLE_LENGTH 512u

static const uint64_t rights_bits[] = {
	[HOST_RX] = PTE_P | PTE_G,
	[HOST_R] = PTE_P | PTE_G | PTE_NX,
	[HOST_RW] = PTE_P | PTE_G | PTE_NX | PTE_W,
	[HOST_DEVICE] = PTE_P | PTE_G | PTE_NX | PTE_W | PTE_PCD | PTE_PWT,
};

static uint64_t span(unsigned level)
{
	return PAGE_SIZE << 9 * (level - 1);
}

static unsigned index_of(uint64_t va, unsigned level)
{
	return va >> (PAGE_SHIFT + 9 * (level - 1)) & (TABLE_LENGTH - 1);
}

static bool ends_walk(uint64_t entry, unsigned level)
{
	return !(entry & PTE_P) || level == 1 || (entry & PTE_PS);
}

/* The entry for `va` at `level`, with the tables above it. NULL when out of memory, or when a
 * larger page is mapped there. */
static uint64_t *entry_at(struct hosttables *t, uint64_t va, unsigned level)
{
	uint64_t *table = t->map(t->root);

	for (unsigned l = TOP_LEVEL;; l--) {
		uint64_t *e = &table[index_of(va, l)];

		if (l == level)
			return e;
		if (!(*e & PTE_P)) {
			uint64_t pa = t->alloc();

			if (pa == UINT64_MAX)
				return NULL;
			*e = pa | PTE_P | PTE_W;
		} else if (*e & PTE_PS) {
			return NULL;
		}
		table = t->map(*e & PTE_ADDRESS);
	}
}

static bool map_one(struct hosttables *t, uint64_t va, uint64_t pa, unsigned level,
		    enum host_rights rights)
{
	uint64_t *e = entry_at(t, va, level);

	if (!e)
		return false;
	*e = pa | rights_bits[rights] | (level > 1 ? PTE_PS : 0);
	return true;
}

bool hosttables_init(struct hosttables *t)
{
	t->root = t->alloc();
	return t->root != UINT64_MAX && entry_at(t, VMAP_BASE, 1);
}

bool hosttables_map(struct hosttables *t, uint64_t va, uint64_t pa, enum host_rights rights)
{
	return map_one(t, va, pa, 1, rights);
}

static enum host_rights image_rights(const struct hosttables *t, uint64_t offset)
{
	if (offset < t->text_end)
		return HOST_RX;
	return offset < t->rodata_end ? HOST_R : HOST_RW;
}

bool hosttables_map_image(struct hosttables *t)
{
	for (uint64_t at = 0; at < t->image_end; at += PAGE_SIZE) {
		if (!hosttables_map(t, IMAGE_BASE + at, t->image + at, image_rights(t, at)))
			return false;
	}
	return true;
}

static bool holds_image(const struct hosttables *t, uint64_t pa, uint64_t size)
{
	return pa < t->image + t->image_end && pa + size > t->image;
}

static enum host_rights direct_rights(const struct hosttables *t, uint64_t pa)
{
	enum host_rights rights;

	if (!holds_image(t, pa, PAGE_SIZE))
		return HOST_RW;
	rights = image_rights(t, pa - t->image);
	return rights == HOST_RX ? HOST_R : rights;
}

/* Pages of 1 GiB serve only where the range covers all of it: between ranges nothing is mapped. */
static bool map_range(struct hosttables *t, uint64_t pa, uint64_t end)
{
	while (pa < end) {
		unsigned level = t->huge ? 3 : 2;

		while (level > 1 && (!IS_ALIGNED(pa, span(level)) || end - pa < span(level) ||
				     holds_image(t, pa, span(level))))
			level--;
		if (!map_one(t, DIRECT_MAP_BASE + pa, pa, level, direct_rights(t, pa)))
			return false;
		pa += span(level);
	}
	return true;
}

bool hosttables_map_direct(struct hosttables *t, const struct boot_info *info)
{
	/* PC firmware's tables may lie in the first MiB without any range of the map saying so */
	uint64_t done = MIB;

	if (!map_range(t, 0, MIB))
		return false;
	for (uint32_t i = 0; i < info->n_ranges; i++) {
		const struct mem_range *r = &info->ranges[i];
		uint64_t start = MAX(ALIGN_DOWN(r->start, PAGE_SIZE), done);
		uint64_t end = ALIGN_UP(MIN(r->end, DIRECT_MAP_SIZE), PAGE_SIZE);

		if (r->kind == MEM_BAD || r->kind == MEM_RESERVED || start >= end)
			continue;
		if (!map_range(t, start, end))
			return false;
		done = end;
	}
	return true;
}

const char *hosttables_no_device(const struct boot_info *info, uint64_t limit, uint64_t pa,
				 uint64_t size)
{
	uint64_t end;

	if (!size || size > limit || pa > limit - size)
		return "it lies beyond the CPU's physical addresses";
	end = ALIGN_UP(pa + size, PAGE_SIZE);
	pa = ALIGN_DOWN(pa, PAGE_SIZE);
	for (uint32_t i = 0; i < info->n_ranges; i++) {
		const struct mem_range *r = &info->ranges[i];

		if (r->kind == MEM_RAM && r->start < end && r->end > pa)
			return "it lies in the machine's RAM";
	}
	return NULL;
}

static bool find_wx(const struct hosttables *t, uint64_t table, unsigned level, uint64_t base,
		    uint64_t *found)
{
	const uint64_t *entries = t->map(table);

	for (uint64_t i = 0; i < TABLE_LENGTH; i++) {
		uint64_t e = entries[i], va = base + i * span(level);

		if (level == TOP_LEVEL && i >= TABLE_LENGTH / 2)
			va |= 0xffff000000000000ull; /* canonical */
		if (!ends_walk(e, level)) {
			if (find_wx(t, e & PTE_ADDRESS, level - 1, va, found))
				return true;
		} else if ((e & PTE_P) && (e & PTE_W) && !(e & PTE_NX)) {
			*found = va;
			return true;
		}
	}
	return false;
}

bool hosttables_find_wx(const struct hosttables *t, uint64_t *va)
{
	return find_wx(t, t->root, TOP_LEVEL, 0, va);
}

unsigned hosttables_walk(const struct hosttables *t, uint64_t va, uint64_t entries[4])
{
	uint64_t table = t->root;

	for (unsigned level = TOP_LEVEL;; level--) {
		uint64_t e = ((const uint64_t *)t->map(table))[index_of(va, level)];

		entries[TOP_LEVEL - level] = e;
		if (ends_walk(e, level))
			return TOP_LEVEL - level + 1;
		table = e & PTE_ADDRESS;
	}
}
