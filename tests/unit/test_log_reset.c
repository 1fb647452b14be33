/*
 * What the log ring makes of memory that an earlier run left: each test begins a program anew (the
 * ring is looked at once, in the first log_write()), so each is a child process.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/log.h"

extern uint8_t log_ring[64 * 1024];

static void put64(size_t at, uint64_t v)
{
	memcpy(log_ring + at, &v, 8);
}

#define MAGIC 0x31474f4c59524b53ull

/* Writes two lines and reads them back; 0 if just these two come. */
static int fresh_lines_only(void)
{
	struct log_line l;
	uint64_t cursor;
	char text[210];

	if (log_oldest() != 0 && log_read(&(uint64_t){0}, &l) == LOG_READ_LINE)
		return 1; /* nothing may be shown before the first line */
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	log_info("two");
	cursor = log_oldest();
	if (log_read(&cursor, &l) != LOG_READ_LINE || strcmp(l.text, text))
		return 2;
	if (log_read(&cursor, &l) != LOG_READ_LINE || strcmp(l.text, "two"))
		return 3;
	return log_read(&cursor, &l) == LOG_READ_END ? 0 : 4;
}

static void in_child(void (*prepare)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		prepare();
		_exit(fresh_lines_only());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void zeros(void)
{
}

static void ones(void)
{
	memset(log_ring, 0xff, sizeof(log_ring));
}

static void noise(void)
{
	srand(1);
	for (size_t i = 0; i < sizeof(log_ring); i++)
		log_ring[i] = (uint8_t)rand();
}

static void noise_with_magic(void)
{
	noise();
	put64(0, MAGIC);
}

static void noise_with_magic_and_head(void)
{
	noise();
	put64(0, MAGIC);
	put64(8, 12345);
}

static void huge_head(void)
{
	put64(0, MAGIC);
	put64(8, UINT64_MAX - 1);
}

static void a_run_before(void)
{
	put64(0, MAGIC);
	put64(8, 1000);
	for (uint64_t n = 1000 - 511; n < 1000; n++)
		put64(128 + n % 511 * 128, 2 * (n + 1));
}

static void any_memory_gives_a_clean_log(void **state)
{
	(void)state;
	in_child(zeros);
	in_child(ones);
	in_child(noise);
	in_child(noise_with_magic);
	in_child(noise_with_magic_and_head);
	in_child(huge_head);
	in_child(a_run_before);
}

static void keeps_the_run_before(void **state)
{
	uint64_t head;

	(void)state;
	a_run_before();
	log_info("new");
	memcpy(&head, log_ring + 8, 8);
	assert_int_equal(head, 1001);
	assert_int_equal(log_oldest(), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_memory_gives_a_clean_log),
		cmocka_unit_test(keeps_the_run_before),
	};

	return cmocka_run_group_tests_name("log after a reset", tests, NULL, NULL);
}
