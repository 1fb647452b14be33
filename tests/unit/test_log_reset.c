/*
 * The log through a warm reset: what the next run makes of the memory that this one leaves, and of
 * any other. Each run is a child process that shares the kept memory.
 */
#include "tests/unit/broken.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/crc32.h"
#include "lib/log.h"

#define SLOT  128
#define SLOTS 511

static uint8_t *kept; /* what a reset leaves alone */

/* Runs fn as a run of the hypervisor of its own; its answer is an exit status. */
static int run(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int first_run(void)
{
	log_info("before the move");
	if (log_keep(kept)->there)
		return 1;
	log_warn("%-150d", 2); /* two slots */
	log_error("last words");
	return 0;
}

/* Looks whether the lines of first_run() come, without those of which `without` has a bit. */
static int lines_but(unsigned without)
{
	static const char *const begin[] = {"before the move", "2 ", "last words"};
	uint64_t cursor;
	struct log_line l;

	cursor = log_previous_oldest();
	for (unsigned i = 0; i < 3; i++) {
		if (without & 1u << i)
			continue;
		if (!log_previous_read(&cursor, &l) || strncmp(l.text, begin[i], strlen(begin[i])))
			return 10 + (int)i;
		if (l.level != (i == 0 ? LOG_INFO : i == 1 ? LOG_WARN : LOG_ERROR))
			return 20;
	}
	return log_previous_read(&cursor, &l) ? 30 : 0;
}

static int own_log_is_fresh(void)
{
	uint64_t cursor = log_oldest();
	struct log_line l;

	if (log_read(&cursor, &l) != LOG_READ_LINE || strcmp(l.text, "mine"))
		return 40;
	return log_read(&cursor, &l) == LOG_READ_END ? 0 : 41;
}

static int second_run(void)
{
	const struct log_previous *p;
	int err;

	log_info("mine");
	p = log_keep(kept);
	if (!p->there || p->damaged || p->lines != 3)
		return 1;
	err = lines_but(0);
	return err ? err : own_log_is_fresh();
}

static int nothing_there(void)
{
	uint64_t cursor;
	struct log_line l;

	log_info("mine");
	if (log_keep(kept)->there)
		return 1;
	cursor = log_previous_oldest();
	return log_previous_read(&cursor, &l) ? 2 : own_log_is_fresh();
}

static int setup(void **state)
{
	(void)state;
	memset(kept, 0, LOG_BYTES);
	return 0;
}

static void the_next_run_reads_it(void **state)
{
	(void)state;
	assert_int_equal(run(first_run), 0);
	assert_int_equal(run(second_run), 0);
}

static int third_run(void)
{
	uint64_t cursor;
	struct log_line l;

	if (log_keep(kept)->lines != 1)
		return 1;
	cursor = log_previous_oldest();
	return log_previous_read(&cursor, &l) && !strcmp(l.text, "mine") ? 0 : 2;
}

static void only_the_run_before_is_kept(void **state)
{
	(void)state;
	assert_int_equal(run(first_run), 0);
	assert_int_equal(run(second_run), 0);
	assert_int_equal(run(third_run), 0);
}

static int long_run(void)
{
	log_keep(kept);
	for (int i = 0; i < 2000; i++)
		log_info("line %d", i);
	return 0;
}

static int after_long_run(void)
{
	uint64_t cursor;
	struct log_line l;
	char want[32];
	int i = 2000 - SLOTS;

	if (log_keep(kept)->lines != SLOTS || log_previous()->damaged)
		return 1;
	cursor = log_previous_oldest();
	for (; log_previous_read(&cursor, &l); i++) {
		snprintf(want, sizeof(want), "line %d", i);
		if (strcmp(l.text, want))
			return 2;
	}
	return i == 2000 ? 0 : 3;
}

static void the_last_lap_is_kept(void **state)
{
	(void)state;
	assert_int_equal(run(long_run), 0);
	assert_int_equal(run(after_long_run), 0);
}

static int first_line_lost(void)
{
	log_info("mine");
	return log_keep(kept)->damaged == 1 ? lines_but(1) : 1;
}

static int second_line_lost(void)
{
	log_info("mine");
	return log_keep(kept)->damaged == 1 ? lines_but(2) : 1;
}

static int header_lost(void)
{
	log_info("mine");
	return log_keep(kept)->damaged ? lines_but(0) : 1;
}

static void a_damaged_log_is_shown_as_far_as_it_is_good(void **state)
{
	(void)state;
	for (unsigned byte = 0; byte < SLOT; byte++) {
		setup(NULL);
		assert_int_equal(run(first_run), 0);
		kept[SLOT + byte] ^= 1;
		assert_int_equal(run(first_line_lost), 0);
	}
	/* the second half of the line of two slots */
	setup(NULL);
	assert_int_equal(run(first_run), 0);
	kept[SLOT * 3 + 60] ^= 0x80;
	assert_int_equal(run(second_line_lost), 0);
	for (unsigned byte = 0; byte < 16; byte++) {
		setup(NULL);
		assert_int_equal(run(first_run), 0);
		kept[byte] ^= 0xff;
		if (byte < 8)
			assert_int_equal(run(header_lost), 0);
		else /* that more was reserved than was written is no damage */
			run(header_lost);
	}
}

static void any_memory_gives_a_clean_log(void **state)
{
	(void)state;
	assert_int_equal(run(nothing_there), 0);
	memset(kept, 0xff, LOG_BYTES);
	assert_int_equal(run(nothing_there), 0);
	for (unsigned i = 0; i < 20; i++) {
		for (size_t b = 0; b < LOG_BYTES; b++)
			kept[b] = (uint8_t)broken_random();
		assert_int_equal(run(nothing_there), 0);
	}
}

static int reads_anything(void)
{
	uint64_t cursor;
	struct log_line l;
	unsigned n = 0;

	log_info("mine");
	log_keep(kept);
	cursor = log_previous_oldest();
	while (log_previous_read(&cursor, &l))
		if (++n > SLOTS || strlen(l.text) >= LOG_LINE_MAX)
			return 1;
	return own_log_is_fresh();
}

static void flipped_bits_do_no_harm(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		setup(NULL);
		assert_int_equal(run(i % 2 ? long_run : first_run), 0);
		broken_flip(kept, 0, i % 4 < 2 ? 512 : LOG_BYTES);
		assert_int_equal(run(reads_anything), 0);
	}
}

static void the_checksum_is_the_known_one(void **state)
{
	(void)state;
	assert_int_equal(crc32_of(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc32_of(crc32_of(0, "1234", 4), "56789", 5), 0xcbf43926);
	assert_int_equal(crc32_of(0, "", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_next_run_reads_it, setup),
		cmocka_unit_test_setup(only_the_run_before_is_kept, setup),
		cmocka_unit_test_setup(the_last_lap_is_kept, setup),
		cmocka_unit_test_setup(a_damaged_log_is_shown_as_far_as_it_is_good, setup),
		cmocka_unit_test_setup(any_memory_gives_a_clean_log, setup),
		cmocka_unit_test_setup(flipped_bits_do_no_harm, setup),
		cmocka_unit_test(the_checksum_is_the_known_one),
	};

	kept = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests_name("log after a reset", tests, NULL, NULL);
}
