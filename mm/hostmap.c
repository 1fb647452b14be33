/*
 * The hypervisor's own address space; see hostmap.h. The tables change only under `lock`, and once
 * other cores run only by adding pages, so no other core's TLB ever holds a stale entry.
 * Privileged; what is mapped how is decided in hosttables.c.
 */
#include "mm/hostmap.h"

#include "arch/x86/asm.h"
#include "lib/log.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "mm/hosttables.h"
#include "mm/usable.h"

extern uint8_t image_start[], image_text_end[], image_rodata_end[], image_end[];

struct hpa hostmap_root;
uint64_t hostmap_early_tables;

static struct spinlock lock;
static struct hosttables tables;
static struct usable *early; /* where tables come from until the frame allocator is there */
static uint64_t vmap_next = VMAP_BASE;
static const struct boot_info *map;
static uint64_t limit; /* of physical addresses */

static uint64_t table_new(void)
{
	uint64_t pa;

	if (!early)
		return frame_alloc(FRAME_PAGE_TABLE).v;
	/* the boot page tables reach the first 4 GiB */
	pa = usable_take(early, PAGE_SIZE, 4 * GIB);
	if (pa != UINT64_MAX) {
		memset(phys_to_virt(HPA(pa)), 0, PAGE_SIZE);
		hostmap_early_tables++;
	}
	return pa;
}

static void *table_map(uint64_t pa)
{
	return phys_to_virt(HPA(pa));
}

void hostmap_set_image(uint64_t load_address)
{
	tables = (struct hosttables){
		.image = load_address,
		.text_end = (uint64_t)(image_text_end - image_start),
		.rodata_end = (uint64_t)(image_rodata_end - image_start),
		.image_end = (uint64_t)(image_end - image_start),
		.alloc = table_new,
		.map = table_map,
	};
}

struct mem_range hostmap_image(void)
{
	return (struct mem_range){tables.image, tables.image + tables.image_end, MEM_RAM};
}

struct hpa virt_to_phys(const void *va)
{
	uint64_t v = (uint64_t)va;

	if (v >= IMAGE_BASE)
		return HPA(v - IMAGE_BASE + tables.image);
	invariant(v - DIRECT_MAP_BASE < DIRECT_MAP_SIZE);
	return HPA(v - DIRECT_MAP_BASE);
}

void hostmap_init(const struct boot_info *info, struct usable *usable, uint64_t pa_limit, bool huge)
{
	map = info;
	limit = pa_limit;
	early = usable;
	tables.huge = huge;
	if (!hosttables_init(&tables) || !hosttables_map_direct(&tables, info) ||
	    !hosttables_map_image(&tables))
		panic("no memory below 4 GiB is left for the hypervisor's page tables");
	hostmap_root = HPA(tables.root);
	write_cr3(tables.root);
	early = NULL;
}

/* Takes a stretch of the device and stack window, with an unmapped page before it. */
static uint64_t vmap_take(uint64_t pages)
{
	uint64_t va = vmap_next + PAGE_SIZE;

	if (pages > (VMAP_BASE + VMAP_SIZE - va) / PAGE_SIZE)
		return 0;
	vmap_next = va + pages * PAGE_SIZE;
	return va;
}

void *hostmap_device(struct hpa pa, uint64_t size)
{
	const char *refused = hosttables_no_device(map, limit, pa.v, size);
	uint64_t offset = pa.v & (PAGE_SIZE - 1);
	uint64_t pages = (offset + size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	bool good = true;
	uint64_t va;

	if (refused) {
		log_warn("what the firmware says is at %#lx is not used: %s", pa.v, refused);
		return NULL;
	}
	spin_lock(&lock, LOCK_HOSTMAP);
	va = vmap_take(pages);
	for (uint64_t at = 0; va && good && at < pages * PAGE_SIZE; at += PAGE_SIZE)
		good = hosttables_map(&tables, va + at, pa.v - offset + at, HOST_DEVICE);
	spin_unlock(&lock, LOCK_HOSTMAP);
	return va && good ? (void *)(va + offset) : NULL;
}

bool hostmap_read_only(struct hpa page)
{
	uint64_t va = (uint64_t)phys_to_virt(page);
	bool good;

	spin_lock(&lock, LOCK_HOSTMAP);
	good = hosttables_map(&tables, va, page.v, HOST_R);
	spin_unlock(&lock, LOCK_HOSTMAP);
	invlpg(va);
	return good;
}

uint64_t hostmap_stack(unsigned pages)
{
	bool good = true;
	uint64_t va;

	spin_lock(&lock, LOCK_HOSTMAP);
	va = vmap_take(pages);
	for (uint64_t at = 0; va && good && at < pages * PAGE_SIZE; at += PAGE_SIZE) {
		struct hpa pa = frame_alloc(FRAME_HYPERVISOR);

		good = !hpa_is_none(pa) && hosttables_map(&tables, va + at, pa.v, HOST_RW);
	}
	spin_unlock(&lock, LOCK_HOSTMAP);
	return va && good ? va + pages * PAGE_SIZE : 0;
}

bool hostmap_find_wx(uint64_t *va)
{
	return hosttables_find_wx(&tables, va);
}

unsigned hostmap_walk(uint64_t va, uint64_t entries[4])
{
	return hosttables_walk(&tables, va, entries);
}
