/* Whose memory is whose: limits, promises, and long random sequences in which no promise is ever
 * broken. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "mm/quota.h"

static void test_limit(void **state)
{
	struct quota_pool pool = {0};
	struct quota q = {.limit = 100};

	(void)state;
	assert_int_equal(quota_take(&pool, &q, 60, 1000), 0);
	assert_int_equal(quota_take(&pool, &q, 41, 1000), ERR_RANGE);
	assert_int_equal(q.held, 60);
	assert_int_equal(quota_take(&pool, &q, 40, 1000), 0);
	assert_int_equal(quota_take(&pool, &q, UINT64_MAX, UINT64_MAX), ERR_RANGE);
	quota_give(&pool, &q, 100);
	assert_int_equal(q.held, 0);
}

static void test_others_do_not_get_what_is_promised(void **state)
{
	struct quota_pool pool = {.kept = 10};
	struct quota a = {.limit = 1000, .reserve = 300}, b = {.limit = 1000};

	(void)state;
	assert_int_equal(quota_reserve(&pool, &a, 500), 0);
	assert_int_equal(quota_available(&pool, &b, 500), 190);
	assert_int_equal(quota_available(&pool, &a, 500), 490);
	assert_int_equal(quota_take(&pool, &b, 191, 500), ERR_NO_MEMORY);
	assert_int_equal(quota_take(&pool, &b, 190, 500), 0); /* 310 are free */
	assert_int_equal(quota_take(&pool, &a, 301, 310), ERR_NO_MEMORY);
	assert_int_equal(quota_take(&pool, &a, 300, 310), 0);
	assert_int_equal(pool.owed, 0);
	quota_give(&pool, &a, 300);
	assert_int_equal(pool.owed, 300);
	assert_int_equal(quota_available(&pool, &b, 310), 0);
}

static void test_a_promise_that_cannot_be_kept(void **state)
{
	struct quota_pool pool = {.kept = 10};
	struct quota a = {.limit = 1000, .reserve = 300}, b = {.limit = 1000, .reserve = 191};

	(void)state;
	assert_int_equal(quota_reserve(&pool, &a, 500), 0);
	assert_int_equal(quota_reserve(&pool, &b, 500), ERR_NO_MEMORY);
	assert_int_equal(pool.owed, 300);
	b.reserve = 190;
	assert_int_equal(quota_reserve(&pool, &b, 500), 0);
	b = (struct quota){.limit = 1, .reserve = 1};
	assert_int_equal(quota_reserve(&pool, &b, 5), ERR_NO_MEMORY); /* less is free than kept */
}

#define GUESTS 5u
#define FRAMES 1000u

static void test_random_promises_are_kept(void **state)
{
	struct quota_pool pool = {.kept = 50};
	struct quota q[GUESTS];
	uint64_t free = FRAMES;

	(void)state;
	srand(815);
	for (unsigned i = 0; i < GUESTS; i++) {
		q[i] = (struct quota){.limit = 250 + 50 * i, .reserve = 40 * i};
		assert_int_equal(quota_reserve(&pool, &q[i], free), 0);
	}
	for (unsigned round = 0; round < 200000; round++) {
		struct quota *one = &q[(unsigned)rand() % GUESTS];
		uint64_t n = (uint64_t)rand() % 120, held = 0, owed = 0;

		if (rand() % 2 && !quota_take(&pool, one, n, free)) {
			free -= n;
		} else if (n <= one->held && rand() % 2) {
			quota_give(&pool, one, n);
			free += n;
		}
		for (unsigned i = 0; i < GUESTS; i++) {
			assert_true(q[i].held <= q[i].limit);
			held += q[i].held;
			owed += q[i].reserve > q[i].held ? q[i].reserve - q[i].held : 0;
		}
		assert_int_equal(pool.owed, owed);
		assert_int_equal(free + held, FRAMES);
		assert_true(free >= owed + pool.kept);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_others_do_not_get_what_is_promised),
		cmocka_unit_test(test_a_promise_that_cannot_be_kept),
		cmocka_unit_test(test_random_promises_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
