/* Conversion between clocks and the arithmetic of calibration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "arch/x86/tsc_math.h"

static uint64_t rnd_state = 88172645463325252ull;

static uint64_t rnd(void)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state;
}

static const uint64_t rates[] = {1,          3,          32768,      3579545,    1000000,
				 14318180,   999999999,  1000000000, 1000000001, 2099998765,
				 4294967296, 5700000000, 1ull << 40};

static void check(uint64_t from, uint64_t to, uint64_t x)
{
	struct tick_scale s = tick_scale_make(from, to);
	unsigned __int128 exact = (unsigned __int128)x * to / from;
	uint64_t got = tick_scale_apply(&s, x);

	if (x == TIME_NEVER || exact >> 64) {
		/* one less than the smallest number that does not fit may be said instead */
		assert_true(got >= TIME_NEVER - 2);
		return;
	}
	assert_true(got <= (uint64_t)exact);
	if (exact < (unsigned __int128)1 << 63)
		assert_true((uint64_t)exact - got <= 1);
	else
		assert_true((uint64_t)exact - got <= 2);
}

static void scales_are_exact_to_one(void **state)
{
	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(rates); f++)
		for (size_t t = 0; t < ARRAY_SIZE(rates); t++) {
			const uint64_t edges[] = {
				0,       1,       2,       rates[f] - 1,   rates[f],  rates[f] + 1,
				BIT(32), BIT(62), BIT(63), UINT64_MAX - 1, UINT64_MAX};

			for (size_t i = 0; i < ARRAY_SIZE(edges); i++)
				check(rates[f], rates[t], edges[i]);
			for (int i = 0; i < 200; i++)
				check(rates[f], rates[t], rnd() >> (rnd() & 63));
		}
}

static void scale_is_monotone_and_centuries_are_right(void **state)
{
	const uint64_t hz = 2894900000ull, century = 100ull * 365 * 86400;
	struct tick_scale to_ns = tick_scale_make(hz, NS_PER_S);
	uint64_t last = 0;

	(void)state;
	for (uint64_t x = century * hz; x < century * hz + 5000; x++) {
		uint64_t ns = tick_scale_apply(&to_ns, x);

		assert_true(ns >= last);
		last = ns;
	}
	assert_in_range(tick_scale_apply(&to_ns, century * hz), century * NS_PER_S - 1,
			century * NS_PER_S);
}

static void never_stays_never(void **state)
{
	struct tick_scale down = tick_scale_make(3000000000ull, NS_PER_S);
	struct tick_scale up = tick_scale_make(NS_PER_S, 3000000000ull);

	(void)state;
	assert_true(tick_scale_apply(&down, TIME_NEVER) == TIME_NEVER);
	assert_true(tick_scale_apply(&up, TIME_NEVER) == TIME_NEVER);
	assert_true(tick_scale_apply(&up, TIME_NEVER / 2) == TIME_NEVER);
	assert_true(tick_scale_apply(&down, TIME_NEVER - 1) < TIME_NEVER / 2);
}

static void frequency(void **state)
{
	(void)state;
	assert_int_equal(frequency_from(100, 0, 1000), 0);
	assert_int_equal(frequency_from(0, 100, 1000), 0);
	assert_int_equal(frequency_from(24000000, 8000000, NS_PER_S), 3000000000ull);
	assert_int_equal(frequency_from(1, 2, 1), 1); /* a half rounds up */
	assert_int_equal(frequency_from(1, 3, 1), 0);
	assert_int_equal(frequency_from(2, 3, 1), 1);
	for (int i = 0; i < 2000; i++) {
		uint64_t t = rnd() >> 24, r = (rnd() >> 26) + 1, hz = rnd() >> 24;
		unsigned __int128 exact =
			((unsigned __int128)t * hz * 2 + r) / ((unsigned __int128)2 * r);

		if (!(exact >> 63))
			assert_true(frequency_from(t, r, hz) == (uint64_t)exact);
	}
}

/* Points of a 2 GHz TSC and a 1 MHz reference, each 3000 ticks of it after the last. */
static void steady_points(struct clock_point *p, unsigned n, uint64_t mask)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (struct clock_point){5000 + i * 6000000ull, (60000 + i * 3000ull) & mask};
}

static void points_of_a_steady_clock(void **state)
{
	struct clock_point p[4];

	(void)state;
	steady_points(p, 4, UINT64_MAX);
	assert_int_equal(frequency_of_points(p, 4, UINT64_MAX, 1000000), 2000000000);
	assert_int_equal(frequency_of_points(p, 2, UINT64_MAX, 1000000), 2000000000);
	steady_points(p, 4, 0xffff); /* wraps between the second and the third */
	assert_int_equal(frequency_of_points(p, 4, 0xffff, 1000000), 2000000000);
	p[3].tsc += 600; /* 33 millionths of the whole: an error of reading, which the length evens
			    out */
	assert_int_equal(frequency_of_points(p, 4, 0xffff, 1000000), 2000066667);
	p[1] = p[2] = p[3] = p[0];
	assert_int_equal(frequency_of_points(p, 4, 0xffff, 1000000), 0);
}

static void points_one_of_which_is_spoiled(void **state)
{
	(void)state;
	for (unsigned spoiled = 1; spoiled < 4; spoiled++) {
		struct clock_point p[4];

		steady_points(p, 4, UINT64_MAX);
		p[spoiled].tsc += 400000; /* 200 us */
		assert_int_equal(frequency_of_points(p, 4, UINT64_MAX, 1000000), 2000000000);
	}
}

static void snapping(void **state)
{
	(void)state;
	assert_int_equal(snap_frequency(1000004000, 5), 1000000000);
	assert_int_equal(snap_frequency(1000005000, 5), 1000000000);
	assert_int_equal(snap_frequency(1000005001, 5), 1000005001);
	assert_int_equal(snap_frequency(2999991000, 5), 3000000000ull);
	assert_int_equal(snap_frequency(2894500000ull, 5), 2894500000ull);
	assert_int_equal(snap_frequency(400000, 5), 400000); /* nearest MHz is 0 */
	assert_int_equal(snap_frequency(0, 5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scales_are_exact_to_one),
		cmocka_unit_test(scale_is_monotone_and_centuries_are_right),
		cmocka_unit_test(never_stays_never),
		cmocka_unit_test(frequency),
		cmocka_unit_test(points_of_a_steady_clock),
		cmocka_unit_test(points_one_of_which_is_spoiled),
		cmocka_unit_test(snapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
