/*
 * Second-level page tables over each vendor's format: random maps and unmaps at all page sizes
 * against a plain array, and an allocator that runs dry at every step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "mm/slpt.h"

/* as the two back ends have them, whose headers do not go together */
extern const struct slpt_format npt_format, ept_format;

/* ---- frames ---- */

static unsigned frames_out; /* given and not yet taken back */
static unsigned frames_left;

static struct hpa frame_alloc(void)
{
	void *p;

	if (frames_left == 0)
		return HPA_NONE;
	frames_left--;
	p = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	assert_non_null(p);
	memset(p, 0, PAGE_SIZE);
	frames_out++;
	return HPA((uintptr_t)p);
}

static void frame_free(struct hpa pa)
{
	frames_out--;
	free((void *)(uintptr_t)pa.v);
}

static void *frame_map(struct hpa pa)
{
	assert_true(IS_ALIGNED(pa.v, PAGE_SIZE));
	return (void *)(uintptr_t)pa.v;
}

static const struct slpt_memory memory = {frame_alloc, frame_free, frame_map};

static uint64_t random64(void)
{
	static uint64_t x = 0x2545f4914f6cdd1d;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static uint64_t below(uint64_t n)
{
	return random64() % n;
}

static struct slpt t;
static const struct slpt_format *format;

static int setup(void **state)
{
	(void)state;
	frames_left = UINT32_MAX;
	frames_out = 0;
	assert_int_equal(slpt_init(&t, format, &memory, true), 0);
	assert_int_equal(t.tables, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	slpt_destroy(&t);
	assert_int_equal(frames_out, 0);
	slpt_destroy(&t); /* twice is fine */
	return 0;
}

/* ---- the model: one word for each 4 KiB page of a window, hpa | permissions; 0: nothing ---- */

#define WINDOW (3 * GIB / 2)
#define PAGES  (WINDOW / PAGE_SIZE)

static uint64_t model[PAGES];
static uint64_t base; /* of the window */

static void model_map(uint64_t gpa, uint64_t hpa, uint64_t size, unsigned perm)
{
	for (uint64_t at = 0; at < size; at += PAGE_SIZE)
		model[(gpa - base + at) / PAGE_SIZE] = (hpa + at) | perm;
}

static void model_unmap(uint64_t gpa, uint64_t size)
{
	memset(&model[(gpa - base) / PAGE_SIZE], 0, size / PAGE_SIZE * sizeof(model[0]));
}

static void check_page(uint64_t page)
{
	uint64_t offset = below(PAGE_SIZE);
	struct slpt_entry e;
	bool there = slpt_lookup(&t, base + page * PAGE_SIZE + offset, &e);

	assert_int_equal(there, model[page] != 0);
	if (!there)
		return;
	assert_int_equal(e.hpa, (model[page] & ~(PAGE_SIZE - 1)) + offset);
	assert_int_equal(e.perm, model[page] & (PAGE_SIZE - 1));
	assert_in_range(e.level, 1, 3);
}

static void check_around(uint64_t gpa, uint64_t size)
{
	uint64_t first = (gpa - base) / PAGE_SIZE;
	uint64_t last = (gpa - base + size) / PAGE_SIZE - 1;

	check_page(first);
	check_page(last);
	if (first > 0)
		check_page(first - 1);
	if (last + 1 < PAGES)
		check_page(last + 1);
	for (unsigned i = 0; i < 50; i++)
		check_page(below(PAGES));
}

static const unsigned perms[] = {SLPT_READ, SLPT_READ | SLPT_WRITE, SLPT_READ | SLPT_EXEC,
				 SLPT_RWX};

/* A random range of the window, aligned to one of the page sizes. */
static void random_range(uint64_t *gpa, uint64_t *size, uint64_t *align)
{
	static const uint64_t aligns[] = {PAGE_SIZE, PAGE_SIZE, LARGE_PAGE_SIZE, LARGE_PAGE_SIZE,
					  HUGE_PAGE_SIZE};

	*align = aligns[below(5)];
	*gpa = base + (below(WINDOW / *align + 1)) * *align;
	if (*gpa >= base + WINDOW)
		*gpa = ALIGN_DOWN(base + WINDOW - 1, *align);
	if (*gpa < base)
		*gpa = base;
	*size = (1 + below(700)) * MIN(*align, LARGE_PAGE_SIZE);
	if (*align == HUGE_PAGE_SIZE)
		*size = HUGE_PAGE_SIZE;
	*size = MIN(*size, base + WINDOW - *gpa);
}

static void test_random(void **state)
{
	static const uint64_t bases[] = {0, 3 * GIB - GIB / 2, BIT(48) - WINDOW};

	(void)state;
	for (unsigned round = 0; round < ARRAY_SIZE(bases); round++) {
		base = bases[round];
		memset(model, 0, sizeof(model));
		slpt_destroy(&t);
		assert_int_equal(slpt_init(&t, format, &memory, round != 1), 0);
		for (unsigned i = 0; i < 300; i++) {
			uint64_t gpa, size, align;

			random_range(&gpa, &size, &align);
			if (below(3)) {
				/* a third of the time the host's side is aligned less */
				uint64_t hpa = below(4096) * (below(3)   ? HUGE_PAGE_SIZE
							      : below(2) ? LARGE_PAGE_SIZE
									 : PAGE_SIZE);
				unsigned perm = perms[below(4)];

				hpa += gpa & (align - 1);
				assert_int_equal(slpt_map(&t, gpa, hpa, size, perm), 0);
				model_map(gpa, hpa, size, perm);
			} else {
				assert_int_equal(slpt_unmap(&t, gpa, size), 0);
				model_unmap(gpa, size);
			}
			check_around(gpa, size);
			assert_int_equal(t.tables, frames_out);
		}
		for (uint64_t page = 0; page < PAGES; page++)
			check_page(page);
	}
}

/* ---- page sizes ---- */

static unsigned level_at(uint64_t gpa)
{
	struct slpt_entry e;

	return slpt_lookup(&t, gpa, &e) ? e.level : 0;
}

static void test_largest_pages(void **state)
{
	(void)state;
	assert_int_equal(slpt_map(&t, GIB, 4 * GIB, GIB, SLPT_RWX), 0);
	assert_int_equal(level_at(GIB), 3);
	assert_int_equal(t.tables, 2);
	/* 2 MiB are enough for two whose 1 GiB phases differ */
	assert_int_equal(slpt_map(&t, 2 * GIB, 6 * GIB + 2 * MIB, GIB, SLPT_RWX), 0);
	assert_int_equal(level_at(2 * GIB), 2);
	assert_int_equal(level_at(3 * GIB - 1), 2);
	assert_int_equal(slpt_map(&t, 3 * GIB, 9 * GIB + PAGE_SIZE, 2 * MIB, SLPT_RWX), 0);
	assert_int_equal(level_at(3 * GIB), 1);
	/* small pages up to the first boundary, then large, then small again */
	assert_int_equal(slpt_map(&t, 4 * GIB - PAGE_SIZE, 8 * GIB - PAGE_SIZE,
				  2 * MIB + 2 * PAGE_SIZE, SLPT_RWX),
			 0);
	assert_int_equal(level_at(4 * GIB - PAGE_SIZE), 1);
	assert_int_equal(level_at(4 * GIB), 2);
	assert_int_equal(level_at(4 * GIB + 2 * MIB), 1);
	assert_int_equal(level_at(4 * GIB + 2 * MIB + PAGE_SIZE), 0);
}

static void test_no_huge_pages(void **state)
{
	(void)state;
	slpt_destroy(&t);
	assert_int_equal(slpt_init(&t, format, &memory, false), 0);
	assert_int_equal(slpt_map(&t, GIB, 4 * GIB, GIB, SLPT_RWX), 0);
	assert_int_equal(level_at(GIB), 2);
	assert_int_equal(level_at(2 * GIB - 1), 2);
	assert_int_equal(t.tables, 3);
}

/* A hole of one page splits as little as it can, and a large page over it gives the tables back. */
static void test_split_and_join(void **state)
{
	struct slpt_entry e;

	(void)state;
	assert_int_equal(slpt_map(&t, GIB, 4 * GIB, GIB, SLPT_READ | SLPT_EXEC), 0);
	assert_int_equal(slpt_unmap(&t, GIB + 5 * MIB, PAGE_SIZE), 0);
	assert_int_equal(t.tables, 4);
	assert_int_equal(level_at(GIB + 5 * MIB), 0);
	assert_int_equal(level_at(GIB + 5 * MIB + PAGE_SIZE), 1);
	assert_int_equal(level_at(GIB + 6 * MIB), 2);
	assert_true(slpt_lookup(&t, GIB + 7 * MIB + 5, &e));
	assert_int_equal(e.hpa, 4 * GIB + 7 * MIB + 5);
	assert_int_equal(e.perm, SLPT_READ | SLPT_EXEC);
	assert_int_equal(slpt_map(&t, GIB, 8 * GIB, GIB, SLPT_RWX), 0);
	assert_int_equal(t.tables, 2);
	assert_int_equal(frames_out, 2);
	assert_int_equal(level_at(GIB + 5 * MIB), 3);
	assert_int_equal(slpt_unmap(&t, GIB, GIB), 0);
	assert_int_equal(level_at(GIB), 0);
	assert_int_equal(t.tables, 2);
}

/* ---- refusals ---- */

static void test_ranges(void **state)
{
	const uint64_t reach = BIT(48);
	struct slpt_entry e;

	(void)state;
	assert_int_equal(slpt_map(&t, 1, 0, PAGE_SIZE, SLPT_RWX), ERR_INVALID);
	assert_int_equal(slpt_map(&t, 0, 1, PAGE_SIZE, SLPT_RWX), ERR_INVALID);
	assert_int_equal(slpt_map(&t, 0, 0, PAGE_SIZE - 1, SLPT_RWX), ERR_INVALID);
	assert_int_equal(slpt_map(&t, reach, 0, PAGE_SIZE, SLPT_RWX), ERR_INVALID);
	assert_int_equal(slpt_map(&t, reach - PAGE_SIZE, 0, 2 * PAGE_SIZE, SLPT_RWX), ERR_INVALID);
	assert_int_equal(slpt_map(&t, PAGE_SIZE, 0, ALIGN_DOWN(UINT64_MAX, PAGE_SIZE), SLPT_RWX),
			 ERR_INVALID);
	assert_int_equal(slpt_unmap(&t, 1, PAGE_SIZE), ERR_INVALID);
	assert_int_equal(slpt_unmap(&t, 0, 1), ERR_INVALID);
	assert_int_equal(slpt_unmap(&t, reach, PAGE_SIZE), ERR_INVALID);
	assert_int_equal(t.tables, 1); /* nothing was begun */
	assert_int_equal(slpt_map(&t, 0, 0, 0, SLPT_RWX), 0);
	assert_int_equal(slpt_unmap(&t, 0, 0), 0);
	assert_int_equal(slpt_map(&t, reach - PAGE_SIZE, 0x7000, PAGE_SIZE, SLPT_READ), 0);
	assert_true(slpt_lookup(&t, reach - 1, &e));
	assert_int_equal(e.hpa, 0x7fff);
	assert_false(slpt_lookup(&t, reach, &e));
	assert_false(slpt_lookup(&t, UINT64_MAX, &e));
	/* the whole reach at once is a walk over what is there, not over all pages */
	assert_int_equal(slpt_unmap(&t, 0, reach), 0);
	assert_false(slpt_lookup(&t, reach - 1, &e));
}

static void test_init_without_memory(void **state)
{
	struct slpt u;

	(void)state;
	frames_left = 0;
	assert_int_equal(slpt_init(&u, format, &memory, true), ERR_NO_MEMORY);
	assert_int_equal(u.tables, 0);
	slpt_destroy(&u);
}

static void test_destroy_of_nothing(void **state)
{
	struct slpt u = {0};

	(void)state;
	slpt_destroy(&u);
	slpt_destroy(&u);
}

/* ---- memory runs out ---- */

struct step {
	bool map;
	uint64_t gpa, hpa, size;
	unsigned perm;
};

static int take(const struct step *s)
{
	return s->map ? slpt_map(&t, s->gpa, s->hpa, s->size, s->perm)
		      : slpt_unmap(&t, s->gpa, s->size);
}

static void model_take(const struct step *s)
{
	if (s->map)
		model_map(s->gpa, s->hpa, s->size, s->perm);
	else
		model_unmap(s->gpa, s->size);
}

/* Between success and failure a page is as it was or as it will be, never anything else. */
static void check_between(const uint64_t *before, const uint64_t *after)
{
	for (uint64_t page = 0; page < PAGES; page++) {
		struct slpt_entry e;
		bool there = slpt_lookup(&t, base + page * PAGE_SIZE, &e);
		uint64_t is = there ? e.hpa | e.perm : 0;

		if (is != before[page])
			assert_int_equal(is, after[page]);
	}
}

static void test_out_of_memory(void **state)
{
	static const unsigned tables_needed[] = {5, 0, 3, 3, 1, 1};
	static const struct step steps[] = {
		{true, MIB - PAGE_SIZE, 5 * GIB, 4 * MIB, SLPT_RWX},
		{true, 0, 8 * GIB, GIB, SLPT_READ},
		{false, 6 * MIB - PAGE_SIZE, 0, 3 * PAGE_SIZE, 0},
		{true, 500 * MIB + PAGE_SIZE, 12 * GIB, 5 * MIB, SLPT_RWX},
		{false, PAGE_SIZE, 0, GIB, 0},
		{true, 0, 16 * GIB, WINDOW, SLPT_RWX},
	};
	static uint64_t before[PAGES];

	(void)state;
	base = 0;
	memset(model, 0, sizeof(model));
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		unsigned failures = 0;

		memcpy(before, model, sizeof(model));
		model_take(&steps[i]);
		for (unsigned left = 0;; left++) {
			int err;

			/* from the start, so that each failure meets the same tables */
			frames_left = UINT32_MAX;
			slpt_destroy(&t);
			assert_int_equal(frames_out, 0);
			assert_int_equal(slpt_init(&t, format, &memory, true), 0);
			for (unsigned k = 0; k < i; k++)
				assert_int_equal(take(&steps[k]), 0);
			frames_left = left;
			err = take(&steps[i]);
			assert_int_equal(t.tables, frames_out);
			if (!err)
				break;
			assert_int_equal(err, ERR_NO_MEMORY);
			failures++;
			check_between(before, model);
			/* the same once more, with memory, completes it */
			frames_left = UINT32_MAX;
			assert_int_equal(take(&steps[i]), 0);
			check_between(model, model);
		}
		assert_int_equal(failures, tables_needed[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_largest_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_huge_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_split_and_join, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ranges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_init_without_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_destroy_of_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
	};
	int failed;

	format = &npt_format;
	failed = cmocka_run_group_tests_name("nested paging", tests, NULL, NULL);
	format = &ept_format;
	return failed + cmocka_run_group_tests_name("EPT", tests, NULL, NULL);
}
