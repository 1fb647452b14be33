/*
 * The log ring: lines come back whole, in order, across laps, and a line that is being written or
 * that is garbled is never shown. Also what a warm reset leaves.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "lib/log.h"

#define SLOT  128
#define SLOTS 511

extern uint8_t log_ring[64 * 1024]; /* raw: magic, head, padding, then the slots */

static uint64_t fake_ns;
static uint32_t fake_cpu;

static void stamp(struct log_stamp *out)
{
	out->time_ns = fake_ns;
	out->cpu = fake_cpu;
}

static uint64_t head(void)
{
	uint64_t v;

	memcpy(&v, log_ring + 8, 8);
	return v;
}

static uint8_t *slot(uint64_t n)
{
	return log_ring + SLOT + n % SLOTS * SLOT;
}

static void set_mark(uint64_t n, uint64_t mark)
{
	memcpy(slot(n), &mark, 8);
}

static void lines_come_back(void **state)
{
	uint64_t cursor;
	struct log_line l;

	(void)state;
	fake_ns = 12345678;
	fake_cpu = 3;
	log_info("first %d", 1);
	log_set_stamp(stamp);
	cursor = log_oldest();
	assert_int_equal(log_read(&cursor, &l), LOG_READ_LINE);
	assert_string_equal(l.text, "first 1");
	assert_int_equal(l.time_ns, 0);
	assert_int_equal(log_read(&cursor, &l), LOG_READ_END);
	log_error("second\n");
	log_warn("%s", "");
	assert_int_equal(log_read(&cursor, &l), LOG_READ_LINE);
	assert_string_equal(l.text, "second");
	assert_int_equal(l.level, LOG_ERROR);
	assert_int_equal(l.cpu, 3);
	assert_int_equal(l.time_ns, 12345678);
	assert_int_equal(log_read(&cursor, &l), LOG_READ_LINE);
	assert_string_equal(l.text, "");
	assert_int_equal(l.level, LOG_WARN);
	assert_int_equal(log_read(&cursor, &l), LOG_READ_END);
}

static void every_length_survives(void **state)
{
	char text[400];
	struct log_line l;

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		uint64_t cursor = head();

		for (size_t i = 0; i < n; i++)
			text[i] = (char)('a' + (i + n) % 26);
		text[n] = '\0';
		log_debug("%s", text);
		assert_int_equal(log_read(&cursor, &l), LOG_READ_LINE);
		assert_int_equal(strlen(l.text), n < LOG_LINE_MAX - 1 ? n : LOG_LINE_MAX - 1);
		assert_memory_equal(l.text, text, strlen(l.text));
		assert_int_equal(log_read(&cursor, &l), LOG_READ_END);
	}
}

static void control_characters_are_masked(void **state)
{
	uint64_t cursor = head();
	struct log_line l;

	(void)state;
	log_info("a\x1b[2Jb\rc\nd\x7f\xc3\xa4\r\n");
	assert_int_equal(log_read(&cursor, &l), LOG_READ_LINE);
	assert_string_equal(l.text, "a?[2Jb?c?d?\xc3\xa4");
}

static void old_lines_are_lost_and_said(void **state)
{
	uint64_t cursor = head();
	struct log_line l;
	unsigned n = 0;
	int first = -1, number;

	(void)state;
	/* two slots a line: 511 is odd, so that the oldest slot is the second half of a line */
	for (int i = 0; i < 1000; i++)
		log_info("%-150d", i);
	assert_int_equal(log_read(&cursor, &l), LOG_READ_LOST);
	while (log_read(&cursor, &l) == LOG_READ_LINE) {
		assert_int_equal(sscanf(l.text, "%d", &number), 1);
		if (first < 0)
			first = number;
		assert_int_equal(number, first + (int)n);
		n++;
	}
	assert_int_equal(n, SLOTS / 2);
	assert_int_equal(number, 999);
	assert_int_equal(log_read(&cursor, &l), LOG_READ_END);
}

static void busy_lines_wait_or_are_skipped(void **state)
{
	uint64_t at = head(), cursor = at;
	struct log_line l;

	(void)state;
	log_info("%0150d", 7);
	log_info("next");
	set_mark(at + 1, 2 * (at + 2) - 1); /* its second half is being written */
	assert_int_equal(log_read(&cursor, &l), LOG_READ_BUSY);
	assert_int_equal(cursor, at);
	log_skip(&cursor);
	assert_int_equal(log_read(&cursor, &l), LOG_READ_BUSY);
	log_skip(&cursor);
	assert_int_equal(log_read(&cursor, &l), LOG_READ_LINE);
	assert_string_equal(l.text, "next");
	cursor = at;
	set_mark(at, 0); /* reserved, nothing written yet */
	assert_int_equal(log_read(&cursor, &l), LOG_READ_BUSY);
	cursor = head();
	log_skip(&cursor);
	assert_int_equal(cursor, head());
}

static void a_newer_slot_is_left_alone(void **state)
{
	uint64_t at = head(), cursor = at;
	struct log_line l;

	(void)state;
	set_mark(at, 2 * (at + SLOTS + 1)); /* somebody a lap ahead was faster */
	log_info("too late");
	assert_int_equal(log_read(&cursor, &l), LOG_READ_LOST);
	assert_int_equal(cursor, at + 1);
}

static void garbled_slots_are_refused(void **state)
{
	struct log_line l;

	(void)state;
	for (unsigned byte = 8; byte < 28; byte++)
		for (unsigned bit = 0; bit < 8; bit++) {
			uint64_t at = head(), cursor = at;

			log_info("%0200d", 1);
			log_info("after");
			slot(at)[byte] ^= (uint8_t)(1u << bit);
			slot(at + 1)[byte] ^= (uint8_t)(1u << bit);
			for (int i = 0; i < 5; i++)
				if (log_read(&cursor, &l) == LOG_READ_LINE)
					assert_true(strlen(l.text) < LOG_LINE_MAX);
			assert_int_equal(cursor, head());
		}
}

static void formats_with_time_and_mark(void **state)
{
	struct log_line l = {.time_ns = 1012345678, .level = LOG_WARN, .text = "hot"};
	char buf[64];
	size_t len = log_format(&l, buf, sizeof(buf));

	(void)state;
	assert_int_equal(len, strlen(buf));
	assert_string_equal(buf, "[    1.012345] warning: hot");
	l.level = LOG_ERROR;
	log_format(&l, buf, sizeof(buf));
	assert_string_equal(buf, "[    1.012345] error: hot");
	l.level = LOG_INFO;
	assert_int_equal(log_format(&l, buf, 10), 9);
	assert_string_equal(buf, "[    1.01");
}

static void levels_by_name(void **state)
{
	(void)state;
	for (int l = LOG_ERROR; l <= LOG_DEBUG; l++)
		assert_int_equal(log_level_parse(log_level_name((enum log_level)l)), l);
	assert_int_equal(log_level_parse("warn"), LOG_WARN);
	assert_int_equal(log_level_parse(""), -1);
	assert_int_equal(log_level_parse("infos"), -1);
	assert_string_equal(log_level_name((enum log_level)9), "?");
}

/* ---- several writers and a reader at once ---- */

#define WRITERS 3
#define LINES   3000
/* Lines by which a writer may lead: nobody gets a whole lap ahead of one that was put to sleep. */
#define AHEAD 60

static int written[WRITERS]; /* atomic */

static bool too_far(int line)
{
	for (int i = 0; i < WRITERS; i++)
		if (line > __atomic_load_n(&written[i], __ATOMIC_ACQUIRE) + AHEAD)
			return true;
	return false;
}

static void *writer(void *arg)
{
	int who = *(int *)arg;

	for (int i = 0; i < LINES; i++) {
		while (too_far(i))
			sched_yield();
		log_info("w%d %d %0*d", who, i, 1 + i % 200, i);
		__atomic_store_n(&written[who], i + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static bool all_written(void)
{
	for (int i = 0; i < WRITERS; i++)
		if (__atomic_load_n(&written[i], __ATOMIC_ACQUIRE) < LINES)
			return false;
	return true;
}

static void check_line(const char *text, int last[WRITERS])
{
	int who, n, again, digits, padded;

	assert_int_equal(sscanf(text, "w%d %d %d", &who, &n, &again), 3);
	assert_in_range(who, 0, WRITERS - 1);
	assert_int_equal(n, again);
	assert_true(n > last[who]);
	digits = snprintf(NULL, 0, "%d", n);
	padded = 1 + n % 200;
	assert_int_equal(strlen(strrchr(text, ' ') + 1), padded > digits ? padded : digits);
	last[who] = n;
}

static void concurrent_lines_stay_whole(void **state)
{
	int last[WRITERS] = {-1, -1, -1}, names[WRITERS] = {0, 1, 2}, seen = 0;
	pthread_t t[WRITERS];
	uint64_t cursor = head();
	struct log_line l;

	(void)state;
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, writer, &names[i]), 0);
	for (;;) {
		bool done = all_written();
		enum log_read_result got = log_read(&cursor, &l);

		if (got == LOG_READ_LINE) {
			check_line(l.text, last);
			seen++;
		} else if (got == LOG_READ_END && done) {
			break;
		}
	}
	for (int i = 0; i < WRITERS; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(last[i], LINES - 1);
	}
	assert_true(seen >= WRITERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_back),
		cmocka_unit_test(every_length_survives),
		cmocka_unit_test(control_characters_are_masked),
		cmocka_unit_test(old_lines_are_lost_and_said),
		cmocka_unit_test(busy_lines_wait_or_are_skipped),
		cmocka_unit_test(a_newer_slot_is_left_alone),
		cmocka_unit_test(garbled_slots_are_refused),
		cmocka_unit_test(formats_with_time_and_mark),
		cmocka_unit_test(levels_by_name),
		cmocka_unit_test(concurrent_lines_stay_whole),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
