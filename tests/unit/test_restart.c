/* The delays of a guest that restarts by itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "guests/restart.h"

static void test_a_loop_is_slowed(void **state)
{
	static const uint64_t seconds[] = {0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60};
	struct restart_policy p;
	uint64_t now = 5 * NS_PER_S;

	(void)state;
	restart_fresh(&p, now);
	for (unsigned i = 0; i < ARRAY_SIZE(seconds); i++) {
		uint64_t delay = restart_delay(&p, ++now);

		assert_int_equal(delay, seconds[i] * NS_PER_S);
		now += delay;
		restart_begins(&p, now);
	}
	for (unsigned i = 0; i < 100; i++) /* and stays so */
		assert_int_equal(restart_delay(&p, now), 60 * NS_PER_S);
}

static void test_a_long_run_ends_the_row(void **state)
{
	struct restart_policy p;
	uint64_t now = 0;

	(void)state;
	restart_fresh(&p, now);
	for (unsigned i = 0; i < 6; i++)
		(void)restart_delay(&p, now);
	restart_begins(&p, now);
	assert_int_equal(restart_delay(&p, now + RESTART_SETTLED - 1), 8 * NS_PER_S);
	restart_begins(&p, now);
	assert_int_equal(restart_delay(&p, now + RESTART_SETTLED), 0);
	assert_int_equal(p.quick, 1);
}

static void test_the_administrator_begins_anew(void **state)
{
	struct restart_policy p;

	(void)state;
	restart_fresh(&p, 0);
	for (unsigned i = 0; i < 9; i++)
		(void)restart_delay(&p, 0);
	restart_fresh(&p, 1);
	assert_int_equal(restart_delay(&p, 2), 0);
}

static void test_the_count_does_not_wrap(void **state)
{
	struct restart_policy p = {.quick = UINT32_MAX};

	(void)state;
	assert_int_equal(restart_delay(&p, 0), RESTART_MAX);
	assert_int_equal(p.quick, UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_loop_is_slowed),
		cmocka_unit_test(test_a_long_run_ends_the_row),
		cmocka_unit_test(test_the_administrator_begins_anew),
		cmocka_unit_test(test_the_count_does_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
