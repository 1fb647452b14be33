/*
 * A guest's serial streams: the ring's wrap, what is kept with and without a reader, typed input,
 * and both streams with their writer and reader on different threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "guests/serial.h"

static struct serial_port p;

static int setup(void **state)
{
	(void)state;
	memset(&p, 0, sizeof(p));
	return 0;
}

/* The n-th byte of the stream of these tests: its period divides no ring. */
static uint8_t nth(uint64_t n)
{
	return (uint8_t)(n % 251);
}

static void send(uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		assert_true(serial_send(&p, nth(i)));
}

static uint8_t buf[2 * SERIAL_OUT_SIZE];

/* Reads at most n bytes, which must be the stream from `from` on; returns how many came. */
static size_t read_from(uint64_t from, size_t n, bool want_stalled)
{
	bool stalled = !want_stalled;
	size_t got = serial_read(&p, buf, n, &stalled);

	assert_true(got <= n);
	assert_int_equal(stalled, want_stalled);
	for (size_t i = 0; i < got; i++)
		assert_int_equal(buf[i], nth(from + i));
	return got;
}

static void history_ends_at(uint64_t head, size_t n)
{
	uint64_t kept = MIN(head, (uint64_t)SERIAL_OUT_SIZE);
	size_t got;

	memset(buf, 0xff, sizeof(buf));
	got = serial_history(&p, buf, n);
	assert_int_equal(got, MIN(kept, (uint64_t)n));
	for (size_t i = 0; i < got; i++)
		assert_int_equal(buf[i], nth(head - got + i));
	assert_int_equal(buf[got], 0xff); /* not one too many */
}

/* ---- what the guest sends ---- */

static void test_without_reader(void **state)
{
	(void)state;
	history_ends_at(0, 10);
	send(0, 100);
	history_ends_at(100, 0);
	history_ends_at(100, 10);
	history_ends_at(100, 100);
	history_ends_at(100, 1000);
	/* never refused: the oldest bytes go */
	send(100, SERIAL_OUT_SIZE);
	history_ends_at(SERIAL_OUT_SIZE, SERIAL_OUT_SIZE);
	send(SERIAL_OUT_SIZE, SERIAL_OUT_SIZE + 1);
	history_ends_at(SERIAL_OUT_SIZE + 1, SERIAL_OUT_SIZE);
	history_ends_at(SERIAL_OUT_SIZE + 1, SERIAL_OUT_SIZE + 1);
	send(SERIAL_OUT_SIZE + 1, 5 * SERIAL_OUT_SIZE + 77);
	history_ends_at(5 * SERIAL_OUT_SIZE + 77, SERIAL_OUT_SIZE);
	assert_false(p.stalled);
}

static void test_reader_begins_now(void **state)
{
	(void)state;
	send(0, 500);
	serial_set_reader(&p, true);
	assert_int_equal(serial_unread(&p), 0);
	assert_int_equal(read_from(500, 10, false), 0);
	send(500, 520);
	assert_int_equal(serial_unread(&p), 20);
	serial_set_reader(&p, true); /* it is one already: nothing is skipped */
	assert_int_equal(read_from(500, 8, false), 8);
	assert_int_equal(serial_unread(&p), 12);
	assert_int_equal(read_from(508, sizeof(buf), false), 12);
	history_ends_at(520, 520); /* reading takes nothing away from the history */
	/* what is sent while nobody reads is skipped */
	serial_set_reader(&p, false);
	send(520, 40000);
	serial_set_reader(&p, true);
	send(40000, 40003);
	assert_int_equal(read_from(40000, 10, false), 3);
}

static void test_reader_loses_nothing(void **state)
{
	uint64_t sent = 0, got = 0;

	(void)state;
	serial_set_reader(&p, true);
	for (unsigned round = 0; round < 10; round++) {
		send(sent, got + SERIAL_OUT_SIZE);
		sent = got + SERIAL_OUT_SIZE;
		assert_false(p.stalled);
		assert_false(serial_send(&p, 0xee));
		assert_false(serial_send(&p, 0xee));
		assert_true(p.stalled);
		/* one byte of room, and the guest is to be told, once */
		assert_int_equal(read_from(got, 1, true), 1);
		assert_int_equal(read_from(got + 1, 1, false), 1);
		got += 2;
		send(sent, sent + 2);
		sent += 2;
		assert_false(serial_send(&p, 0xee));
		assert_int_equal(read_from(got, 1000 + round, true), 1000 + round);
		got += 1000 + round;
		history_ends_at(sent, SERIAL_OUT_SIZE);
	}
	assert_int_equal(read_from(got, sizeof(buf), false), sent - got);
	assert_int_equal(serial_unread(&p), 0);
}

/* A guest that waits for a reader who goes may send again. */
static void test_reader_goes(void **state)
{
	(void)state;
	serial_set_reader(&p, true);
	send(0, SERIAL_OUT_SIZE);
	assert_false(serial_send(&p, nth(SERIAL_OUT_SIZE)));
	serial_set_reader(&p, false);
	send(SERIAL_OUT_SIZE, SERIAL_OUT_SIZE + 10);
	history_ends_at(SERIAL_OUT_SIZE + 10, SERIAL_OUT_SIZE);
}

/* The guest's side may overtake the reader in the moment before it knows of it. */
static void test_overtaken(void **state)
{
	(void)state;
	p.reader = true;
	p.out_head = 3 * SERIAL_OUT_SIZE + 5;
	for (uint64_t i = p.out_head - SERIAL_OUT_SIZE; i < p.out_head; i++)
		p.out[i % SERIAL_OUT_SIZE] = nth(i);
	assert_int_equal(read_from(2 * SERIAL_OUT_SIZE + 5, sizeof(buf), false), SERIAL_OUT_SIZE);
	assert_int_equal(serial_unread(&p), 0);
}

/* ---- what is typed ---- */

static void test_input(void **state)
{
	uint8_t in[2 * SERIAL_IN_SIZE], byte;
	uint64_t put = 0, taken = 0;

	(void)state;
	assert_false(serial_peek(&p, &byte));
	p.in_head = p.in_tail = UINT32_MAX - 1500; /* the counters wrap soon */
	for (unsigned round = 0; round < 50; round++) {
		size_t n = (round * 131) % sizeof(in);
		size_t room = SERIAL_IN_SIZE - (size_t)(put - taken);
		size_t accepted;

		for (size_t i = 0; i < n; i++)
			in[i] = nth(put + i);
		accepted = serial_write(&p, in, n);
		assert_int_equal(accepted, MIN(n, room));
		put += accepted;
		for (size_t i = 0; i < 300 && taken < put; i++) {
			assert_true(serial_peek(&p, &byte));
			assert_int_equal(byte, nth(taken));
			assert_true(serial_peek(&p, &byte)); /* a look takes nothing */
			assert_int_equal(byte, nth(taken));
			serial_take(&p);
			taken++;
		}
	}
	while (serial_peek(&p, &byte)) {
		assert_int_equal(byte, nth(taken++));
		serial_take(&p);
	}
	assert_int_equal(taken, put);
	assert_true(p.in_head < UINT32_MAX / 2); /* they did */
}

/* ---- on two threads ---- */

#define STREAM 3000000u

static uint32_t told; /* atomic: the reader said that there is room */

static void *send_all(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; i < STREAM; i++) {
		while (!serial_send(&p, nth(i))) {
			/* as the guest does: offered again when told, and not before */
			while (!__atomic_exchange_n(&told, 0, __ATOMIC_SEQ_CST))
				sched_yield();
		}
	}
	return NULL;
}

/* No byte is lost, and no call either: a lost one would hang here. */
static void test_output_threads(void **state)
{
	pthread_t thread;
	uint64_t got = 0;
	unsigned wrong = 0;

	(void)state;
	serial_set_reader(&p, true);
	told = 0;
	assert_int_equal(pthread_create(&thread, NULL, send_all, NULL), 0);
	while (got < STREAM) {
		bool stalled;
		size_t n = serial_read(&p, buf, 1 + got % 5000, &stalled);

		for (size_t i = 0; i < n; i++)
			wrong += buf[i] != nth(got + i);
		got += n;
		if (stalled)
			__atomic_store_n(&told, 1, __ATOMIC_SEQ_CST);
		if (n == 0)
			sched_yield();
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(wrong, 0);
	assert_int_equal(got, STREAM);
	assert_int_equal(serial_unread(&p), 0);
}

static void *type_all(void *arg)
{
	uint8_t in[100];

	(void)arg;
	for (uint64_t put = 0; put < STREAM / 4;) {
		size_t n = MIN(sizeof(in), STREAM / 4 - put);
		size_t done;

		for (size_t i = 0; i < n; i++)
			in[i] = nth(put + i);
		done = serial_write(&p, in, n);
		put += done;
		if (done == 0)
			sched_yield();
	}
	return NULL;
}

static void test_input_threads(void **state)
{
	pthread_t thread;
	unsigned wrong = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, type_all, NULL), 0);
	for (uint64_t taken = 0; taken < STREAM / 4;) {
		uint8_t byte;

		if (!serial_peek(&p, &byte)) {
			sched_yield();
			continue;
		}
		wrong += byte != nth(taken++);
		serial_take(&p);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(wrong, 0);
}

static void drops_typed_input(void **state)
{
	static struct serial_port port;
	uint8_t byte;

	(void)state;
	assert_int_equal(serial_write(&port, (const uint8_t *)"old", 3), 3);
	serial_drop_input(&port);
	assert_false(serial_peek(&port, &byte));
	assert_int_equal(serial_write(&port, (const uint8_t *)"n", 1), 1);
	assert_true(serial_peek(&port, &byte));
	assert_int_equal(byte, 'n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drops_typed_input),
		cmocka_unit_test_setup(test_without_reader, setup),
		cmocka_unit_test_setup(test_reader_begins_now, setup),
		cmocka_unit_test_setup(test_reader_loses_nothing, setup),
		cmocka_unit_test_setup(test_reader_goes, setup),
		cmocka_unit_test_setup(test_overtaken, setup),
		cmocka_unit_test_setup(test_input, setup),
		cmocka_unit_test_setup(test_output_threads, setup),
		cmocka_unit_test_setup(test_input_threads, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
