/* The arithmetic of the frame allocator; see buddy.h. Pure. */
#include "mm/buddy.h"

/* in flags: a block of `order` begins here, free or given out */
#define FRAME_FREE_HEAD  BIT32(7)
#define FRAME_GIVEN_HEAD BIT32(6)
/* another block of the same n frames follows, see buddy_trim() */
#define FRAME_CONTINUES BIT32(5)

struct links { /* at the start of a free block */
	uint64_t prev, next;
};

static struct links *links(const struct buddy *b, uint64_t frame)
{
	return b->map(frame);
}

static void insert(struct buddy *b, uint64_t frame, unsigned order)
{
	struct links *l = links(b, frame);

	b->frames[frame].owner = FRAME_FREE;
	b->frames[frame].order = (uint8_t)order;
	b->frames[frame].flags |= FRAME_FREE_HEAD;
	l->prev = BUDDY_NONE;
	l->next = b->head[order];
	if (l->next != BUDDY_NONE)
		links(b, l->next)->prev = frame;
	b->head[order] = frame;
}

static void take_out(struct buddy *b, uint64_t frame, unsigned order)
{
	struct links *l = links(b, frame);

	if (l->prev != BUDDY_NONE)
		links(b, l->prev)->next = l->next;
	else
		b->head[order] = l->next;
	if (l->next != BUDDY_NONE)
		links(b, l->next)->prev = l->prev;
	b->frames[frame].flags &= (uint8_t)~FRAME_FREE_HEAD;
}

static bool is_free_block(const struct buddy *b, uint64_t frame, unsigned order)
{
	return frame < b->n_frames && (b->frames[frame].flags & FRAME_FREE_HEAD) &&
	       b->frames[frame].order == order;
}

/* Frees a block and joins it with its buddies as far as they are free. */
static void join(struct buddy *b, uint64_t frame, unsigned order)
{
	b->n_free += 1ull << order;
	while (order < FRAME_MAX_ORDER) {
		uint64_t other = frame ^ (1ull << order);

		if (!is_free_block(b, other, order))
			break;
		take_out(b, other, order);
		frame &= ~(1ull << order);
		order++;
	}
	insert(b, frame, order);
}

void buddy_init(struct buddy *b, struct frame *frames, uint64_t n_frames,
		void *(*map)(uint64_t frame))
{
	*b = (struct buddy){.frames = frames, .n_frames = n_frames, .map = map};
	for (unsigned i = 0; i <= FRAME_MAX_ORDER; i++)
		b->head[i] = BUDDY_NONE;
	for (uint64_t i = 0; i < n_frames; i++)
		frames[i] = (struct frame){.owner = FRAME_RESERVED};
}

void buddy_add(struct buddy *b, uint64_t start, uint64_t end)
{
	for (uint64_t i = start; i < end; i++)
		b->frames[i].owner = FRAME_FREE;
	while (start < end) {
		unsigned order = 0;

		while (order < FRAME_MAX_ORDER && IS_ALIGNED(start, 2ull << order) &&
		       end - start >= 2ull << order)
			order++;
		join(b, start, order);
		start += 1ull << order;
	}
}

uint64_t buddy_alloc(struct buddy *b, unsigned order, enum frame_owner owner)
{
	unsigned from = order;
	uint64_t frame;

	while (from <= FRAME_MAX_ORDER && b->head[from] == BUDDY_NONE)
		from++;
	if (from > FRAME_MAX_ORDER)
		return BUDDY_NONE;
	frame = b->head[from];
	take_out(b, frame, from);
	/* the upper halves go back */
	while (from > order) {
		from--;
		insert(b, frame + (1ull << from), from);
	}
	for (uint64_t i = 0; i < 1ull << order; i++) {
		b->frames[frame + i].owner = (uint8_t)owner;
		b->frames[frame + i].refs = 1;
	}
	b->frames[frame].order = (uint8_t)order;
	b->frames[frame].flags |= FRAME_GIVEN_HEAD;
	b->n_free -= 1ull << order;
	return frame;
}

/* Frees a block that was given out. */
static void take_back(struct buddy *b, uint64_t frame, unsigned order)
{
	b->frames[frame].flags &= (uint8_t) ~(FRAME_GIVEN_HEAD | FRAME_CONTINUES);
	for (uint64_t i = 0; i < 1ull << order; i++) {
		b->frames[frame + i].owner = FRAME_FREE;
		b->frames[frame + i].refs = 0;
	}
	join(b, frame, order);
}

bool buddy_free(struct buddy *b, uint64_t frame, unsigned order)
{
	if (frame >= b->n_frames || !(b->frames[frame].flags & FRAME_GIVEN_HEAD) ||
	    b->frames[frame].order != order)
		return false;
	take_back(b, frame, order);
	return true;
}

void buddy_trim(struct buddy *b, uint64_t frame, unsigned order, uint64_t n)
{
	uint64_t end = frame + (1ull << order), kept = frame + n;

	for (unsigned o = order + 1; o-- > 0;) {
		struct frame *f = &b->frames[frame];

		if (!(n >> o & 1))
			continue;
		frame += 1ull << o;
		f->order = (uint8_t)o;
		f->flags |= FRAME_GIVEN_HEAD;
		if (frame != kept)
			f->flags |= FRAME_CONTINUES;
	}
	/* the rest begins where n ends, so its blocks grow */
	while (kept < end) {
		unsigned o = (unsigned)__builtin_ctzll(kept);

		take_back(b, kept, o);
		kept += 1ull << o;
	}
}

bool buddy_continues(const struct buddy *b, uint64_t frame)
{
	return frame < b->n_frames && (b->frames[frame].flags & FRAME_CONTINUES);
}
