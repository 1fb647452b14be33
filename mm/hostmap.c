/*
 * The hypervisor's own address space; see hostmap.h. The tables change only under `lock`, and only by
 * adding pages, so no other core's TLB ever holds a stale entry. Privileged.
 */
#include "mm/hostmap.h"

#include "arch/x86/asm.h"
#include "lib/log.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "mm/usable.h"

#define PTE_P        BIT(0)
#define PTE_W        BIT(1)
#define PTE_PWT      BIT(3)
#define PTE_PCD      BIT(4)
#define PTE_PS       BIT(7)
#define PTE_G        BIT(8)
#define PTE_NX       BIT(63)
#define PTE_ADDRESS  0x000ffffffffff000ull

#define MAP_RW       (PTE_P | PTE_W | PTE_NX | PTE_G)
#define MAP_R        (PTE_P | PTE_NX | PTE_G)
#define MAP_RX       (PTE_P | PTE_G)
#define MAP_DEVICE   (MAP_RW | PTE_PCD | PTE_PWT)

extern uint8_t image_start[], image_text_end[], image_rodata_end[], image_end[];

struct hpa hostmap_root;

static struct spinlock lock;
static uint64_t image_physical;
static struct usable *early; /* where tables come from until the frame allocator is there */
static bool huge_pages;
static uint64_t vmap_next = VMAP_BASE;

void hostmap_set_image(uint64_t load_address)
{
	image_physical = load_address;
}

struct mem_range hostmap_image(void)
{
	return (struct mem_range){image_physical,
				  image_physical + (uint64_t)(image_end - image_start), MEM_RAM};
}

struct hpa virt_to_phys(const void *va)
{
	uint64_t v = (uint64_t)va;

	if (v >= IMAGE_BASE)
		return HPA(v - IMAGE_BASE + image_physical);
	invariant(v - DIRECT_MAP_BASE < DIRECT_MAP_SIZE);
	return HPA(v - DIRECT_MAP_BASE);
}

static uint64_t table_new(void)
{
	uint64_t pa;

	if (!early)
		return frame_alloc(FRAME_PAGE_TABLE).v;
	/* the boot page tables reach the first 4 GiB */
	pa = usable_take(early, PAGE_SIZE, 4 * GIB);
	if (pa == UINT64_MAX)
		panic("no memory below 4 GiB is left for the hypervisor's page tables");
	memset(phys_to_virt(HPA(pa)), 0, PAGE_SIZE);
	return pa;
}

static unsigned shift_of(unsigned level)
{
	return PAGE_SHIFT + 9 * (level - 1);
}

/* The entry for `va` at `level`, with the tables above it; NULL when out of memory. */
static uint64_t *entry_at(uint64_t va, unsigned level)
{
	uint64_t *table = phys_to_virt(hostmap_root);

	for (unsigned l = 4;; l--) {
		uint64_t *e = &table[va >> shift_of(l) & 511];

		if (l == level)
			return e;
		if (!(*e & PTE_P)) {
			uint64_t pa = table_new();

			if (pa == HPA_NONE.v)
				return NULL;
			*e = pa | PTE_P | PTE_W;
		}
		invariant(!(*e & PTE_PS));
		table = phys_to_virt(HPA(*e & PTE_ADDRESS));
	}
}

static bool map_one(uint64_t va, uint64_t pa, unsigned level, uint64_t flags)
{
	uint64_t *e = entry_at(va, level);

	if (!e)
		return false;
	*e = pa | flags | (level > 1 ? PTE_PS : 0);
	return true;
}

static bool overlaps_image(uint64_t pa, uint64_t size)
{
	struct mem_range image = hostmap_image();

	return pa < image.end && pa + size > image.start;
}

/* Rights of a page of the image by its offset: the same for the image's place and its alias in the
 * direct map, but that the alias is never executable. */
static uint64_t image_flags(uint64_t offset, bool alias)
{
	if (offset < (uint64_t)(image_text_end - image_start))
		return alias ? MAP_R : MAP_RX;
	return offset < (uint64_t)(image_rodata_end - image_start) ? MAP_R : MAP_RW;
}

static uint64_t direct_flags(uint64_t pa)
{
	return overlaps_image(pa, PAGE_SIZE) ? image_flags(pa - image_physical, true) : MAP_RW;
}

/* Maps [pa, end) directly: by the largest pages that fit, by 4 KiB where the image is. Memory between
 * ranges is not mapped, so pages of 1 GiB serve only where all of it is in the range. */
static void map_direct(uint64_t pa, uint64_t end)
{
	while (pa < end) {
		unsigned level = huge_pages ? 3 : 2;

		while (level > 1 &&
		       (!IS_ALIGNED(pa, 1ull << shift_of(level)) ||
			end - pa < 1ull << shift_of(level) ||
			overlaps_image(pa, 1ull << shift_of(level))))
			level--;
		map_one(DIRECT_MAP_BASE + pa, pa, level, direct_flags(pa));
		pa += 1ull << shift_of(level);
	}
}

void hostmap_init(const struct boot_info *info, struct usable *usable, bool huge)
{
	/* PC firmware's tables may lie in the first MiB without any range of the map saying so */
	uint64_t done = MIB;

	early = usable;
	huge_pages = huge;
	hostmap_root = HPA(table_new());
	map_direct(0, MIB);
	for (uint32_t i = 0; i < info->n_ranges; i++) {
		const struct mem_range *r = &info->ranges[i];
		uint64_t start = MAX(ALIGN_DOWN(r->start, PAGE_SIZE), done);
		uint64_t end = ALIGN_UP(r->end, PAGE_SIZE);

		/* reserved ranges may be devices */
		if (r->kind == MEM_BAD || r->kind == MEM_RESERVED)
			continue;
		if (start < end) {
			map_direct(start, end);
			done = end;
		}
	}
	for (uint64_t at = 0; at < (uint64_t)(image_end - image_start); at += PAGE_SIZE)
		map_one(IMAGE_BASE + at, image_physical + at, 1, image_flags(at, false));
	/* so that every core's top-level table has it from the start */
	entry_at(VMAP_BASE, 1);
	write_cr3(hostmap_root.v);
	early = NULL;
}

/* Takes a stretch of the device and stack window, with an unmapped page before it. */
static uint64_t vmap_take(uint64_t pages)
{
	uint64_t va = vmap_next + PAGE_SIZE;

	if (va + pages * PAGE_SIZE > VMAP_BASE + VMAP_SIZE)
		return 0;
	vmap_next = va + pages * PAGE_SIZE;
	return va;
}

void *hostmap_device(struct hpa pa, uint64_t size)
{
	uint64_t offset = pa.v & (PAGE_SIZE - 1);
	uint64_t pages = (offset + size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	bool good = true;
	uint64_t va;

	spin_lock(&lock);
	va = vmap_take(pages);
	for (uint64_t i = 0; va && good && i < pages; i++)
		good = map_one(va + i * PAGE_SIZE, pa.v - offset + i * PAGE_SIZE, 1, MAP_DEVICE);
	spin_unlock(&lock);
	return va && good ? (void *)(va + offset) : NULL;
}

uint64_t hostmap_stack(unsigned pages)
{
	bool good = true;
	uint64_t va;

	spin_lock(&lock);
	va = vmap_take(pages);
	for (unsigned i = 0; va && good && i < pages; i++) {
		struct hpa pa = frame_alloc(FRAME_HYPERVISOR);

		good = !hpa_is_none(pa) && map_one(va + i * PAGE_SIZE, pa.v, 1, MAP_RW);
	}
	spin_unlock(&lock);
	return va && good ? va + pages * PAGE_SIZE : 0;
}

static uint64_t find_wx(const uint64_t *table, unsigned level, uint64_t base)
{
	for (unsigned i = 0; i < 512; i++) {
		uint64_t e = table[i], va = base + ((uint64_t)i << shift_of(level));

		if (level == 4 && i >= 256)
			va |= 0xffff000000000000ull;
		if (!(e & PTE_P))
			continue;
		if (level == 1 || (e & PTE_PS)) {
			if ((e & PTE_W) && !(e & PTE_NX))
				return va;
			continue;
		}
		va = find_wx(phys_to_virt(HPA(e & PTE_ADDRESS)), level - 1, va);
		if (va)
			return va;
	}
	return 0;
}

uint64_t hostmap_find_wx(void)
{
	return find_wx(phys_to_virt(hostmap_root), 4, 0);
}

unsigned hostmap_walk(uint64_t va, uint64_t entries[4])
{
	const uint64_t *table = phys_to_virt(hostmap_root);

	for (unsigned n = 0, level = 4;; level--) {
		uint64_t e = table[va >> shift_of(level) & 511];

		entries[n++] = e;
		if (!(e & PTE_P) || level == 1 || (e & PTE_PS))
			return n;
		table = phys_to_virt(HPA(e & PTE_ADDRESS));
	}
}
