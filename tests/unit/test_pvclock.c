/*
 * The paravirtual clock: the scale against arithmetic in 128 bits, read as a guest reads it; the
 * version protocol; addresses that are not RAM.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "guests/pvclock.h"

__extension__ typedef unsigned __int128 uint128;

static uint64_t random64(void)
{
	static uint64_t x = 0x853c49e6748fea9b;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* ---- the scale ---- */

/* As Linux's pvclock_scale_delta() defines it. */
static uint64_t guest_ns(uint64_t ticks, struct pvclock_scale s)
{
	if (s.shift < 0)
		ticks >>= -s.shift;
	else
		ticks <<= s.shift;
	return (uint64_t)((uint128)ticks * s.mul >> 32);
}

static void check_scale(uint64_t hz)
{
	struct pvclock_scale s = pvclock_scale(hz);
	/* mul = floor(10^9 * 2^(32 - shift) / hz), with its highest bit set */
	uint128 exact = ((uint128)NS_PER_S << (64 - s.shift)) / hz >> 32;

	assert_true(s.mul >= BIT32(31));
	assert_int_equal(s.mul, exact);
	/* an hour: at most one part in 2^31 behind, never ahead */
	for (unsigned i = 0; i < 3; i++) {
		uint64_t ticks = i == 0 ? hz : i == 1 ? 3600 * hz : random64() % (3600 * hz);
		uint64_t want = (uint64_t)((uint128)ticks * NS_PER_S / hz);
		uint64_t got = guest_ns(ticks, s);

		assert_true(got <= want);
		/* the rounding of `mul`, of the ticks that the shift drops, and of the result */
		assert_true(want - got <= (want >> 31) + NS_PER_S / hz * 2 + 4);
	}
}

static void test_scale(void **state)
{
	static const uint64_t edges[] = {
		1000000,          1000001,    3579545,    14318180,   NS_PER_S / 2,
		NS_PER_S / 2 - 1, 999999999,  NS_PER_S,   1000000001, 1999999999,
		2000000000,       2000000001, 2999999999, 3999999999, 4294967295,
		4294967296,       4294967297, 7999999999, 9999999999, 10000000000,
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(edges); i++)
		check_scale(edges[i]);
	for (unsigned i = 0; i < 20000; i++)
		check_scale(1000000 + random64() % (10000000000 - 1000000 + 1));
	/* beyond what any machine has it is still sound */
	assert_int_equal(guest_ns(7, pvclock_scale(1)), 7 * NS_PER_S);
	assert_true(pvclock_scale(BIT(62)).mul >= BIT32(31));
}

static void test_scale_by_hand(void **state)
{
	(void)state;
	/* 1 GHz: half of 2^32, shifted left by one */
	assert_int_equal(pvclock_scale(NS_PER_S).mul, 0x80000000);
	assert_int_equal(pvclock_scale(NS_PER_S).shift, 1);
	/* 2 GHz: half a nanosecond each */
	assert_int_equal(pvclock_scale(2 * NS_PER_S).mul, 0x80000000);
	assert_int_equal(pvclock_scale(2 * NS_PER_S).shift, 0);
	/* 3 GHz: two thirds, shifted right by one */
	assert_int_equal(pvclock_scale(3 * NS_PER_S).mul, 0xaaaaaaaa);
	assert_int_equal(pvclock_scale(3 * NS_PER_S).shift, -1);
}

/* ---- the structures ---- */

#define CHUNKS 4u /* the third is a hole */

static uint8_t *chunks[CHUNKS];
static struct gmem mem = {.chunk = chunks, .n_chunks = CHUNKS, .size = 3 * GMEM_CHUNK_SIZE};

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CHUNKS; i++) {
		if (i == 2)
			continue;
		chunks[i] = malloc(GMEM_CHUNK_SIZE);
		assert_non_null(chunks[i]);
		memset(chunks[i], 0xcc, GMEM_CHUNK_SIZE);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CHUNKS; i++) {
		free(chunks[i]);
		chunks[i] = NULL;
	}
	return 0;
}

static uint64_t get(uint64_t gpa, unsigned size)
{
	uint64_t value = 0;

	assert_int_equal(gmem_read(&mem, gpa, &value, size), 0);
	return value;
}

static void put_version(uint64_t gpa, uint32_t version)
{
	assert_int_equal(gmem_write(&mem, gpa, &version, sizeof(version)), 0);
}

/* What must come out of each version that may be found: even, and larger. */
static const struct {
	uint32_t found, left;
} versions[] = {
	{0, 2},
	{1, 4},
	{2, 4},
	{0xcccccccc, 0xccccccce},
	{7, 10},
	{0xfffffffc, 0xfffffffe},
	{UINT32_MAX - 1, 0},
	{UINT32_MAX, 2},
};

static void check_time(uint64_t gpa)
{
	const struct pvclock_scale scale = {0xaaaaaaab, -1};

	assert_int_equal(gmem_fill(&mem, gpa - 1, 0xcc, PVCLOCK_TIME_SIZE + 2), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(versions); i++) {
		put_version(gpa, versions[i].found);
		assert_int_equal(pvclock_write_time(&mem, gpa, 0x1122334455667788,
						    0x99aabbccddeeff00 + i, scale),
				 0);
		assert_int_equal(get(gpa, 4), versions[i].left);
		assert_int_equal(get(gpa + 4, 4), 0);
		assert_int_equal(get(gpa + 8, 8), 0x1122334455667788);
		assert_int_equal(get(gpa + 16, 8), 0x99aabbccddeeff00 + i);
		assert_int_equal(get(gpa + 24, 4), 0xaaaaaaab);
		assert_int_equal(get(gpa + 28, 1), 0xff);
		assert_int_equal(get(gpa + 29, 1), 1); /* stable */
		assert_int_equal(get(gpa + 30, 2), 0);
		/* and nothing beside it */
		assert_int_equal(get(gpa - 1, 1), 0xcc);
		assert_int_equal(get(gpa + 32, 1), 0xcc);
	}
}

static void test_time(void **state)
{
	(void)state;
	check_time(0x1000);
	check_time(0x2004);
	check_time(0x3001); /* the caller's matter */
	check_time(2 * GMEM_CHUNK_SIZE - 40);
	check_time(GMEM_CHUNK_SIZE - 4); /* across two chunks */
	check_time(GMEM_CHUNK_SIZE - 2);
}

static void check_wall(uint64_t gpa)
{
	for (unsigned i = 0; i < ARRAY_SIZE(versions); i++) {
		put_version(gpa, versions[i].found);
		assert_int_equal(pvclock_write_wall(&mem, gpa, 0x65432100 + i, 999999999), 0);
		assert_int_equal(get(gpa, 4), versions[i].left);
		assert_int_equal(get(gpa + 4, 4), 0x65432100 + i);
		assert_int_equal(get(gpa + 8, 4), 999999999);
		assert_int_equal(get(gpa - 1, 1), 0xcc);
		assert_int_equal(get(gpa + 12, 1), 0xcc);
	}
}

static void test_wall(void **state)
{
	(void)state;
	check_wall(0x1000);
	check_wall(0x2003);
	check_wall(GMEM_CHUNK_SIZE - 1);
}

static void test_not_ram(void **state)
{
	const struct pvclock_scale scale = {1, 0};
	const uint64_t hole = 2 * GMEM_CHUNK_SIZE, end = CHUNKS * GMEM_CHUNK_SIZE;
	uint8_t *before[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		before[i] = malloc(GMEM_CHUNK_SIZE);
		assert_non_null(before[i]);
		memcpy(before[i], chunks[i ? 3 : 1], GMEM_CHUNK_SIZE);
	}
	/* each way to touch the hole or the end, by any part of the structure */
	for (uint64_t d = 1; d <= PVCLOCK_TIME_SIZE; d++) {
		if (d < PVCLOCK_TIME_SIZE) {
			assert_int_equal(pvclock_write_time(&mem, hole - d, 1, 2, scale),
					 ERR_RANGE);
			assert_int_equal(pvclock_write_time(&mem, end - d, 1, 2, scale), ERR_RANGE);
			assert_int_equal(pvclock_write_time(&mem, 0 - d, 1, 2, scale), ERR_RANGE);
		}
		if (d < PVCLOCK_WALL_SIZE) {
			assert_int_equal(pvclock_write_wall(&mem, hole - d, 1, 2), ERR_RANGE);
			assert_int_equal(pvclock_write_wall(&mem, end - d, 1, 2), ERR_RANGE);
			assert_int_equal(pvclock_write_wall(&mem, 0 - d, 1, 2), ERR_RANGE);
		}
		assert_int_equal(pvclock_write_time(&mem, hole + GMEM_CHUNK_SIZE - d, 1, 2, scale),
				 ERR_RANGE);
		assert_int_equal(pvclock_write_wall(&mem, hole + GMEM_CHUNK_SIZE - d, 1, 2),
				 ERR_RANGE);
	}
	assert_int_equal(pvclock_write_time(&mem, BIT(63), 1, 2, scale), ERR_RANGE);
	assert_int_equal(pvclock_write_wall(&mem, UINT64_MAX, 1, 2), ERR_RANGE);
	/* and then nothing was written, also not the version */
	assert_memory_equal(before[0], chunks[1], GMEM_CHUNK_SIZE);
	assert_memory_equal(before[1], chunks[3], GMEM_CHUNK_SIZE);
	for (unsigned i = 0; i < 2; i++)
		free(before[i]);
	/* up to the edge is fine */
	assert_int_equal(pvclock_write_time(&mem, hole - PVCLOCK_TIME_SIZE, 1, 2, scale), 0);
	assert_int_equal(pvclock_write_time(&mem, end - PVCLOCK_TIME_SIZE, 1, 2, scale), 0);
	assert_int_equal(pvclock_write_wall(&mem, hole - PVCLOCK_WALL_SIZE, 1, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scale),
		cmocka_unit_test(test_scale_by_hand),
		cmocka_unit_test_setup_teardown(test_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wall, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_ram, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
