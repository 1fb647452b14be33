/*
 * The ring of exits: what a reader gets while nobody writes, and while a writer goes round and
 * round.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "guests/exit_ring.h"

#define KEPT (EXIT_RING_SIZE - 1)

static struct exit_ring ring;
static struct exit_record out[2 * EXIT_RING_SIZE];

/* Every part of a record says which one it is. */
static void write_one(uint64_t i)
{
	struct exit_record *e = exit_ring_begin(&ring, EXIT_MSR, i);

	e->tsc_low = (uint32_t)i;
	e->tsc_high = (uint32_t)(i >> 32);
	e->number = (uint32_t)i;
	e->value = i;
	e->flags = (uint8_t)i;
	exit_ring_commit(&ring);
}

static bool is_whole(const struct exit_record *e, uint64_t i)
{
	return e->rip == i && exit_record_tsc(e) == i && e->number == (uint32_t)i &&
	       e->value == i && e->flags == (uint8_t)i;
}

static void fill(uint64_t n)
{
	memset(&ring, 0, sizeof(ring));
	for (uint64_t i = 0; i < n; i++)
		write_one(i);
}

static void expect_read(uint64_t from, unsigned room, uint64_t first, unsigned n, uint64_t lost)
{
	uint64_t at = from, gone = 99;

	assert_int_equal(exit_ring_read(&ring, &at, out, room, &gone), n);
	assert_int_equal(gone, lost);
	assert_int_equal(at, first + n);
	for (unsigned i = 0; i < n; i++)
		assert_true(is_whole(&out[i], first + i));
}

static void reads_what_is_kept(void **state)
{
	(void)state;
	fill(0);
	expect_read(0, 10, 0, 0, 0);
	fill(3);
	expect_read(0, 10, 0, 3, 0);
	expect_read(1, 10, 1, 2, 0);
	expect_read(0, 2, 0, 2, 0);
	expect_read(3, 10, 3, 0, 0);
	expect_read(0, 0, 0, 0, 0);
	fill(KEPT);
	expect_read(0, EXIT_RING_SIZE, 0, KEPT, 0);
	assert_int_equal(exit_ring_last(&ring)->rip, KEPT - 1);
}

/* The place that is written next may be half written: one less than the ring's size is kept. */
static void says_what_is_overwritten(void **state)
{
	(void)state;
	fill(EXIT_RING_SIZE);
	expect_read(0, EXIT_RING_SIZE, 1, KEPT, 1);
	fill(1000);
	expect_read(0, EXIT_RING_SIZE, 1000 - KEPT, KEPT, 1000 - KEPT);
	expect_read(990, EXIT_RING_SIZE, 990, 10, 0);
	expect_read(0, 5, 1000 - KEPT, 5, 1000 - KEPT);
}

static void a_cursor_of_another_ring_does_no_harm(void **state)
{
	uint64_t at = 5000, lost;

	(void)state;
	fill(10);
	assert_int_equal(exit_ring_read(&ring, &at, out, 10, &lost), 0);
	assert_int_equal(lost, 0);
	at = UINT64_MAX;
	assert_int_equal(exit_ring_read(&ring, &at, out, 10, &lost), 0);
}

static bool stop;

static void *writer(void *unused)
{
	uint64_t i = 0;

	(void)unused;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		write_one(i++);
	return NULL;
}

static void a_reader_never_sees_half_a_record(void **state)
{
	uint64_t at = 0, seen = 0, missed = 0, before = 0;
	pthread_t thread;

	(void)state;
	fill(0);
	stop = false;
	assert_int_equal(pthread_create(&thread, NULL, writer, NULL), 0);
	while (seen + missed < 2000000) {
		uint64_t lost;
		unsigned n = exit_ring_read(&ring, &at, out, 64, &lost);

		for (unsigned i = 0; i < n; i++)
			if (!is_whole(&out[i], at - n + i))
				fail_msg("record %lu is not whole", (unsigned long)(at - n + i));
		seen += n;
		missed += lost;
		assert_int_equal(before + n + lost, at); /* none is forgotten, none comes twice */
		before = at;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_true(seen > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_is_kept),
		cmocka_unit_test(says_what_is_overwritten),
		cmocka_unit_test(a_cursor_of_another_ring_does_no_harm),
		cmocka_unit_test(a_reader_never_sees_half_a_record),
	};

	return cmocka_run_group_tests_name("exit_ring", tests, NULL, NULL);
}
