/* The frame allocator's arithmetic against a plain array of frames. */
#include "tests/unit/broken.h"

#include "mm/buddy.h"

#define LINK_BYTES 16u /* of a free block's first frame: all that is touched of the memory */

static struct buddy b;
static uint8_t *memory;
static struct frame *records;
static uint8_t *model; /* owner of each frame */
static uint64_t n_frames;

static void *map(uint64_t frame)
{
	assert_true(frame < n_frames);
	/* nobody's memory is touched but what is free, or is just changing hands */
	assert_int_not_equal(records[frame].owner, FRAME_RESERVED);
	return memory + frame * LINK_BYTES;
}

static void begin(uint64_t n)
{
	n_frames = n;
	memory = calloc(n, LINK_BYTES);
	records = malloc(n * sizeof(*records));
	model = calloc(n, 1);
	assert_true(memory && records && model);
	memset(records, 0xa5, n * sizeof(*records));
	buddy_init(&b, records, n, map);
}

static int end(void **state)
{
	(void)state;
	free(memory);
	free(records);
	free(model);
	memory = NULL;
	records = NULL;
	model = NULL;
	return 0;
}

static void add(uint64_t from, uint64_t to)
{
	buddy_add(&b, from, to);
	memset(model + from, FRAME_FREE, to - from);
}

/* Each free list, each record, and the count of free frames. */
static void check(void)
{
	uint64_t n_free = 0, listed = 0;

	for (uint64_t i = 0; i < n_frames; i++) {
		assert_int_equal(records[i].owner, model[i]);
		assert_int_equal(records[i].refs, model[i] > FRAME_FREE);
		n_free += model[i] == FRAME_FREE;
	}
	assert_int_equal(b.n_free, n_free);
	for (unsigned order = 0; order <= FRAME_MAX_ORDER; order++) {
		uint64_t before = BUDDY_NONE;

		for (uint64_t f = b.head[order]; f != BUDDY_NONE;) {
			uint64_t links[2];

			assert_true(IS_ALIGNED(f, 1ull << order));
			assert_int_equal(records[f].order, order);
			for (uint64_t i = 0; i < 1ull << order; i++)
				assert_int_equal(model[f + i], FRAME_FREE);
			memcpy(links, memory + f * LINK_BYTES, sizeof(links));
			assert_int_equal(links[0], before);
			listed += 1ull << order;
			assert_true(listed <= n_free);
			before = f;
			f = links[1];
		}
	}
	assert_int_equal(listed, n_free);
}

static uint64_t take(unsigned order, enum frame_owner owner)
{
	uint64_t f = buddy_alloc(&b, order, owner);

	if (f == BUDDY_NONE)
		return f;
	assert_true(IS_ALIGNED(f, 1ull << order));
	for (uint64_t i = 0; i < 1ull << order; i++) {
		assert_int_equal(model[f + i], FRAME_FREE);
		model[f + i] = (uint8_t)owner;
	}
	return f;
}

static void give(uint64_t f, unsigned order)
{
	assert_true(buddy_free(&b, f, order));
	memset(model + f, FRAME_FREE, 1ull << order);
}

/* A free block of this order in the model, aligned? */
static bool fits(unsigned order)
{
	uint64_t n = 1ull << order;

	for (uint64_t f = 0; f + n <= n_frames; f += n) {
		uint64_t i = 0;

		while (i < n && model[f + i] == FRAME_FREE)
			i++;
		if (i == n)
			return true;
	}
	return false;
}

static void test_empty(void **state)
{
	(void)state;
	begin(100);
	check();
	for (unsigned order = 0; order <= FRAME_MAX_ORDER; order++)
		assert_int_equal(buddy_alloc(&b, order, FRAME_HEAP), BUDDY_NONE);
}

static void test_add(void **state)
{
	(void)state;
	begin(1000);
	add(3, 4);
	check();
	add(5, 300);
	check();
	add(4, 5); /* closes the gap, and joins both sides */
	check();
	add(512, 1000);
	check();
	add(700, 700);
	check();
	assert_int_equal(b.head[8], 512);
}

/* Whatever is taken and given back: no frame twice, none lost, no smaller block where a larger one
 * could be. */
static void test_random(void **state)
{
	static struct {
		uint64_t frame;
		unsigned order;
	} taken[400];

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		unsigned n = 0;

		begin(600);
		add(1 + broken_random() % 20, 150 + broken_random() % 50);
		add(210, 211);
		add(256 + broken_random() % 9, 600 - broken_random() % 9);
		for (unsigned i = 0; i < 400; i++) {
			if (broken_random() % 5 < 3 && n < ARRAY_SIZE(taken)) {
				unsigned order = (unsigned)(broken_random() % 8);
				enum frame_owner owner = (enum frame_owner)(
					FRAME_HYPERVISOR +
					broken_random() % (FRAME_OWNER_COUNT - FRAME_HYPERVISOR));
				bool possible = fits(order);
				uint64_t f = take(order, owner);

				assert_int_equal(f != BUDDY_NONE, possible);
				if (possible) {
					taken[n].frame = f;
					taken[n++].order = order;
				}
			} else if (n) {
				unsigned k = (unsigned)(broken_random() % n);

				give(taken[k].frame, taken[k].order);
				taken[k] = taken[--n];
			}
			if (i % 16 == 0)
				check();
		}
		while (n--)
			give(taken[n].frame, taken[n].order);
		check();
		end(NULL);
	}
}

/* Some frames of a block: the others are free at once, and what is kept is freed piece by piece. */
static void test_trim(void **state)
{
	static struct {
		uint64_t frame, n;
	} taken[100];
	unsigned n_taken = 0;

	(void)state;
	begin(700);
	add(1, 333);
	add(400, 699);
	for (unsigned i = 0; i < 3000; i++) {
		if (broken_random() % 2 && n_taken < ARRAY_SIZE(taken)) {
			uint64_t n = 1 + broken_random() % 70, f;
			unsigned order = 0;

			while (1ull << order < n)
				order++;
			f = take(order, FRAME_HEAP);
			if (f == BUDDY_NONE)
				continue;
			buddy_trim(&b, f, order, n);
			memset(model + f + n, FRAME_FREE, (1ull << order) - n);
			taken[n_taken].frame = f;
			taken[n_taken++].n = n;
		} else if (n_taken) {
			unsigned k = (unsigned)(broken_random() % n_taken);
			uint64_t f = taken[k].frame, end = f + taken[k].n;

			while (f < end) {
				unsigned order = records[f].order;

				assert_int_equal(buddy_continues(&b, f), f + (1ull << order) < end);
				give(f, order);
				assert_false(buddy_continues(&b, f));
				f += 1ull << order;
			}
			assert_int_equal(f, end);
			taken[k] = taken[--n_taken];
		}
		if (i % 8 == 0)
			check();
	}
	while (n_taken--) {
		for (uint64_t f = taken[n_taken].frame, end = f + taken[n_taken].n; f < end;) {
			unsigned order = records[f].order;

			give(f, order);
			f += 1ull << order;
		}
	}
	check();
	assert_int_equal(b.n_free, 332 + 299);
}

static void test_joined_again(void **state)
{
	uint64_t f[256];

	(void)state;
	begin(256);
	add(0, 256);
	assert_int_equal(b.head[8], 0);
	for (unsigned i = 0; i < 256; i++)
		f[i] = take(0, FRAME_HEAP);
	assert_int_equal(take(0, FRAME_HEAP), BUDDY_NONE);
	assert_int_equal(b.n_free, 0);
	for (unsigned i = 0; i < 256; i++)
		give(f[i * 37 % 256], 0);
	check();
	assert_int_equal(b.head[8], 0);
	for (unsigned order = 0; order < 8; order++)
		assert_int_equal(b.head[order], BUDDY_NONE);
}

static void test_largest(void **state)
{
	const uint64_t largest = 1ull << FRAME_MAX_ORDER;
	uint64_t f;

	(void)state;
	begin(3 * largest);
	add(1, 3 * largest - 1);
	f = take(FRAME_MAX_ORDER, FRAME_GUEST_RAM);
	assert_int_equal(f, largest);
	assert_int_equal(take(FRAME_MAX_ORDER, FRAME_GUEST_RAM), BUDDY_NONE);
	give(f, FRAME_MAX_ORDER);
	assert_int_equal(b.n_free, 3 * largest - 2);
	/* two of the largest size beside each other stay two */
	add(0, 1);
	assert_int_equal(b.n_free, 3 * largest - 1);
	assert_int_not_equal(take(FRAME_MAX_ORDER, FRAME_GUEST_RAM), BUDDY_NONE);
	assert_int_not_equal(take(FRAME_MAX_ORDER, FRAME_GUEST_RAM), BUDDY_NONE);
	assert_int_equal(take(FRAME_MAX_ORDER, FRAME_GUEST_RAM), BUDDY_NONE);
}

/* What is no block that was given out is refused, and nothing changes. */
static void test_bad_free(void **state)
{
	uint64_t f, g;

	(void)state;
	begin(200);
	add(8, 136);
	g = take(0, FRAME_HEAP); /* leaves records of order 0 behind when it is part of a block */
	give(g, 0);
	f = take(3, FRAME_HEAP);
	g = take(0, FRAME_PAGE_TABLE);
	for (uint64_t i = 0; i < n_frames + 20; i++) {
		for (unsigned order = 0; order < 70; order++) {
			if ((i == f && order == 3) || (i == g && order == 0))
				continue;
			assert_false(buddy_free(&b, i, order));
		}
	}
	assert_false(buddy_free(&b, BUDDY_NONE, 0));
	check();
	give(f, 3);
	assert_false(buddy_free(&b, f, 3));
	give(g, 0);
	assert_false(buddy_free(&b, g, 0));
	check();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_empty, end),
		cmocka_unit_test_teardown(test_add, end),
		cmocka_unit_test_teardown(test_random, end),
		cmocka_unit_test_teardown(test_trim, end),
		cmocka_unit_test_teardown(test_joined_again, end),
		cmocka_unit_test_teardown(test_largest, end),
		cmocka_unit_test_teardown(test_bad_free, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
