/*
 * The kernel heap; see heap.h. Objects up to 1 KiB share pages by size class (a power of two); a
 * page's header stands at its start, so a small object is never page aligned and a large one always
 * is: that tells them apart when they are freed. Locking: `lock`. Privileged only by frames.
 */
#include "mm/heap.h"

#include "lib/log.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "mm/hostmap.h"

#define MIN_SHIFT  4u  /* 16 bytes */
#define MAX_SHIFT  10u /* 1 KiB */
#define N_CLASSES  (MAX_SHIFT - MIN_SHIFT + 1)
#define PAGE_MAGIC 0x6b53704865617031ull

struct free_object {
	struct free_object *next;
};

struct heap_page {
	uint64_t magic;
	struct heap_page *next, *prev; /* pages of this class with room */
	struct free_object *free;
	uint16_t shift;
	uint16_t used, room; /* objects */
};

static struct spinlock lock;
static struct heap_page *with_room[N_CLASSES];
static struct heap_stats stats;

static void list_add(struct heap_page *p)
{
	struct heap_page **head = &with_room[p->shift - MIN_SHIFT];

	p->prev = NULL;
	p->next = *head;
	if (*head)
		(*head)->prev = p;
	*head = p;
}

static void list_remove(struct heap_page *p)
{
	if (p->prev)
		p->prev->next = p->next;
	else
		with_room[p->shift - MIN_SHIFT] = p->next;
	if (p->next)
		p->next->prev = p->prev;
}

/* Where the first object of a page lies. */
static size_t first_object(unsigned shift)
{
	return ALIGN_UP(sizeof(struct heap_page), (size_t)1 << shift);
}

static struct heap_page *page_new(unsigned shift)
{
	struct hpa pa = frame_alloc(FRAME_HEAP);
	struct heap_page *p;
	size_t first = first_object(shift);

	if (hpa_is_none(pa))
		return NULL;
	p = phys_to_virt(pa);
	p->magic = PAGE_MAGIC;
	p->shift = (uint16_t)shift;
	for (size_t at = PAGE_SIZE; at >= first + ((size_t)1 << shift);) {
		struct free_object *o;

		at -= (size_t)1 << shift;
		o = (struct free_object *)(void *)((char *)p + at);
		o->next = p->free;
		p->free = o;
		p->room++;
	}
	list_add(p);
	stats.frames++;
	return p;
}

static void *small_alloc(unsigned shift)
{
	struct heap_page *p;
	struct free_object *o;

	spin_lock(&lock, LOCK_HEAP);
	p = with_room[shift - MIN_SHIFT];
	if (!p)
		p = page_new(shift);
	if (!p) {
		spin_unlock(&lock, LOCK_HEAP);
		return NULL;
	}
	o = p->free;
	p->free = o->next;
	if (++p->used == p->room)
		list_remove(p);
	stats.objects++;
	stats.used_bytes += 1ull << shift;
	spin_unlock(&lock, LOCK_HEAP);
	return memset(o, 0, (size_t)1 << shift);
}

void *heap_alloc(size_t size)
{
	unsigned shift = MIN_SHIFT;
	struct hpa pa;
	uint64_t n;

	while (shift <= MAX_SHIFT && (size_t)1 << shift < size)
		shift++;
	if (shift <= MAX_SHIFT)
		return small_alloc(shift);
	if (size > PAGE_SIZE << FRAME_MAX_ORDER)
		return NULL;
	n = ALIGN_UP(size, PAGE_SIZE) >> PAGE_SHIFT;
	pa = frames_alloc_n(n, FRAME_HEAP, true);
	if (hpa_is_none(pa))
		return NULL;
	spin_lock(&lock, LOCK_HEAP);
	stats.objects++;
	stats.frames += n;
	stats.used_bytes += n * PAGE_SIZE;
	spin_unlock(&lock, LOCK_HEAP);
	return phys_to_virt(pa);
}

static void large_free(void *p)
{
	struct hpa pa = virt_to_phys(p);
	uint64_t n;

	if (frame_record(pa)->owner != FRAME_HEAP)
		panic("heap: %p was freed but not given out", p);
	n = frames_free_n(pa);
	spin_lock(&lock, LOCK_HEAP);
	stats.objects--;
	stats.frames -= n;
	stats.used_bytes -= n * PAGE_SIZE;
	spin_unlock(&lock, LOCK_HEAP);
}

static void small_free(void *p)
{
	struct heap_page *page = (struct heap_page *)ALIGN_DOWN((uintptr_t)p, PAGE_SIZE);
	struct free_object *o = p;
	bool empty;

	spin_lock(&lock, LOCK_HEAP);
	if (page->magic != PAGE_MAGIC || !page->used ||
	    !IS_ALIGNED((uintptr_t)p, (uintptr_t)1 << page->shift) ||
	    (uintptr_t)p - (uintptr_t)page < first_object(page->shift)) {
		spin_unlock(&lock, LOCK_HEAP);
		panic("heap: %p was freed but not given out", p);
	}
	for (const struct free_object *f = page->free; f; f = f->next) {
		if (f == o) {
			spin_unlock(&lock, LOCK_HEAP);
			panic("heap: %p was freed twice", p);
		}
	}
	if (page->used-- == page->room)
		list_add(page);
	o->next = page->free;
	page->free = o;
	stats.objects--;
	stats.used_bytes -= 1ull << page->shift;
	empty = !page->used;
	if (empty) {
		list_remove(page);
		page->magic = 0;
		stats.frames--;
	}
	spin_unlock(&lock, LOCK_HEAP);
	if (empty)
		frames_free(virt_to_phys(page), 0);
}

void heap_free(void *p)
{
	if (!p)
		return;
	if (IS_ALIGNED((uintptr_t)p, PAGE_SIZE))
		large_free(p);
	else
		small_free(p);
}

void heap_stats(struct heap_stats *out)
{
	spin_lock(&lock, LOCK_HEAP);
	*out = stats;
	spin_unlock(&lock, LOCK_HEAP);
}
