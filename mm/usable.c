/* Which memory may be given out; see usable.h. Pure. */
#include "mm/usable.h"

#include "mm/hostmap.h"

uint64_t ranges_clip(struct boot_info *info, uint64_t limit)
{
	uint64_t lost = 0;

	while (info->n_ranges) {
		struct mem_range *r = &info->ranges[info->n_ranges - 1];
		uint64_t from = MAX(r->start, limit);

		if (r->end <= limit)
			break;
		if (r->kind == MEM_RAM)
			lost += r->end - from;
		r->end = from;
		if (r->start < from)
			break;
		info->n_ranges--;
	}
	return lost;
}

static void add(struct usable *u, uint64_t start, uint64_t end)
{
	if (start < end && u->n < USABLE_MAX)
		u->ranges[u->n++] = (struct mem_range){start, end, MEM_RAM};
}

void usable_init(struct usable *out, const struct boot_info *info)
{
	out->n = 0;
	for (uint32_t i = 0; i < info->n_ranges; i++) {
		const struct mem_range *r = &info->ranges[i];

		if (r->kind == MEM_RAM)
			add(out, ALIGN_UP(r->start, PAGE_SIZE),
			    ALIGN_DOWN(MIN(r->end, DIRECT_MAP_SIZE), PAGE_SIZE));
	}
}

/* Opens a place at index `at`; what falls off a full table's end is lost to use. */
static void insert(struct usable *u, uint32_t at, struct mem_range r)
{
	if (at == USABLE_MAX)
		return;
	if (u->n < USABLE_MAX)
		u->n++;
	for (uint32_t i = u->n - 1; i > at; i--)
		u->ranges[i] = u->ranges[i - 1];
	u->ranges[at] = r;
}

static void remove(struct usable *u, uint32_t at)
{
	u->n--;
	for (uint32_t i = at; i < u->n; i++)
		u->ranges[i] = u->ranges[i + 1];
}

void usable_reserve(struct usable *u, uint64_t start, uint64_t end)
{
	start = ALIGN_DOWN(start, PAGE_SIZE);
	end = ALIGN_UP(end, PAGE_SIZE);
	if (start >= end)
		return;
	for (uint32_t i = 0; i < u->n; i++) {
		struct mem_range *r = &u->ranges[i];

		if (r->end <= start || r->start >= end)
			continue;
		if (r->start < start && r->end > end)
			insert(u, i + 1, (struct mem_range){end, r->end, MEM_RAM});
		if (r->start < start)
			r->end = start;
		else if (r->end > end)
			r->start = end;
		else
			remove(u, i--); /* all of it */
	}
}

uint64_t usable_take(struct usable *u, uint64_t size, uint64_t limit)
{
	for (uint32_t i = u->n; i > 0; i--) {
		struct mem_range *r = &u->ranges[i - 1];
		uint64_t at;

		if (r->end > limit || r->end - r->start < size)
			continue;
		at = r->end - size;
		r->end = at;
		return at;
	}
	return UINT64_MAX;
}
