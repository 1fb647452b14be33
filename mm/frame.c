/*
 * Page frames of the machine; see frame.h. Locking: `lock` for the allocator and its counters.
 * Privileged: reaches the frames by the direct map.
 */
#include "mm/frame.h"

#include "arch/x86/clear_pages.h"
#include "mm/usable.h"
#include "lib/log.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "mm/buddy.h"
#include "mm/hostmap.h"

#define LARGE_ORDER (LARGE_PAGE_SHIFT - PAGE_SHIFT)

static struct spinlock lock;
static struct buddy buddy;
static uint64_t n_managed;
static uint64_t by_owner[FRAME_OWNER_COUNT];

static void *map(uint64_t frame)
{
	return phys_to_virt(HPA(frame << PAGE_SHIFT));
}

void frames_init(struct usable *usable)
{
	uint64_t n, at;

	for (;;) {
		const struct mem_range *top = &usable->ranges[usable->n ? usable->n - 1 : 0];

		n = usable->n ? top->end >> PAGE_SHIFT : 0;
		at = usable_take(usable, ALIGN_UP(n * sizeof(struct frame), PAGE_SIZE), UINT64_MAX);
		if (at != UINT64_MAX)
			break;
		if (usable->n < 2)
			panic("no memory for the records of %llu page frames",
			      (unsigned long long)n);
		/* a little memory far above the rest is worth less than its records take */
		log_warn("the memory at 0x%llx is not used: no room for records up to there",
			 (unsigned long long)top->start);
		usable->n--;
	}
	buddy_init(&buddy, phys_to_virt(HPA(at)), n, map);
	for (uint32_t i = 0; i < usable->n; i++)
		buddy_add(&buddy, usable->ranges[i].start >> PAGE_SHIFT,
			  usable->ranges[i].end >> PAGE_SHIFT);
	n_managed = buddy.n_free;
}

struct hpa frames_alloc(unsigned order, enum frame_owner owner, bool zero)
{
	uint64_t frame;

	spin_lock(&lock, LOCK_FRAMES);
	frame = buddy_alloc(&buddy, order, owner);
	if (frame != BUDDY_NONE)
		by_owner[owner] += 1ull << order;
	spin_unlock(&lock, LOCK_FRAMES);
	if (frame == BUDDY_NONE)
		return HPA_NONE;
	/* large blocks are guests' RAM: nobody reads them soon */
	if (zero && order >= LARGE_ORDER)
		clear_pages(map(frame), PAGE_SIZE << order);
	else if (zero)
		memset(map(frame), 0, PAGE_SIZE << order);
	return HPA(frame << PAGE_SHIFT);
}

void frames_free(struct hpa start, unsigned order)
{
	uint64_t frame = start.v >> PAGE_SHIFT;
	uint8_t owner;
	bool good;

	spin_lock(&lock, LOCK_FRAMES);
	owner = frame < buddy.n_frames ? buddy.frames[frame].owner : FRAME_RESERVED;
	good = buddy_free(&buddy, frame, order);
	if (good)
		by_owner[owner] -= 1ull << order;
	spin_unlock(&lock, LOCK_FRAMES);
	if (!good)
		panic("frames at 0x%llx (order %u) were freed but not given out",
		      (unsigned long long)start.v, order);
}

struct hpa frames_alloc_n(uint64_t n, enum frame_owner owner, bool zero)
{
	unsigned order = 0;
	uint64_t frame;

	while (1ull << order < n)
		order++;
	spin_lock(&lock, LOCK_FRAMES);
	frame = buddy_alloc(&buddy, order, owner);
	if (frame != BUDDY_NONE) {
		buddy_trim(&buddy, frame, order, n);
		by_owner[owner] += n;
	}
	spin_unlock(&lock, LOCK_FRAMES);
	if (frame == BUDDY_NONE)
		return HPA_NONE;
	if (zero)
		memset(map(frame), 0, PAGE_SIZE * n);
	return HPA(frame << PAGE_SHIFT);
}

uint64_t frames_free_n(struct hpa start)
{
	uint64_t n = 0;
	bool more;

	do {
		uint64_t frame = (start.v >> PAGE_SHIFT) + n;
		unsigned order = frame_record(HPA(frame << PAGE_SHIFT))->order;

		more = buddy_continues(&buddy, frame); /* the caller's alone */
		frames_free(HPA(frame << PAGE_SHIFT), order);
		n += 1ull << order;
	} while (more);
	return n;
}

struct frame *frame_record(struct hpa pa)
{
	invariant(pa.v >> PAGE_SHIFT < buddy.n_frames);
	return &buddy.frames[pa.v >> PAGE_SHIFT];
}

void frames_stats(struct frame_stats *out)
{
	*out = (struct frame_stats){0};
	spin_lock(&lock, LOCK_FRAMES);
	out->total = n_managed + hostmap_early_tables;
	out->free = buddy.n_free;
	memcpy(out->by_owner, by_owner, sizeof(by_owner));
	out->by_owner[FRAME_FREE] = buddy.n_free;
	out->by_owner[FRAME_PAGE_TABLE] += hostmap_early_tables;
	out->record_bytes = buddy.n_frames * sizeof(struct frame);
	for (unsigned i = 0; i <= FRAME_MAX_ORDER; i++) {
		if (buddy.head[i] != BUDDY_NONE)
			out->largest_order = i;
	}
	spin_unlock(&lock, LOCK_FRAMES);
}

bool frames_next_run(uint32_t owners, uint64_t *start, uint64_t *end)
{
	uint64_t i = *start >> PAGE_SHIFT;

	while (i < buddy.n_frames && !(owners >> buddy.frames[i].owner & 1))
		i++;
	*start = i << PAGE_SHIFT;
	while (i < buddy.n_frames && (owners >> buddy.frames[i].owner & 1))
		i++;
	*end = i << PAGE_SHIFT;
	return *start < *end;
}
