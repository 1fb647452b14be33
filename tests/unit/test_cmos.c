/* The CMOS clock: BCD and binary, 12 and 24 hours, leap years, and registers that hold no date. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/cmos.h"

#define H24    0x02
#define BINARY 0x04

static uint8_t bcd(int v)
{
	return (uint8_t)(v / 10 * 16 + v % 10);
}

static struct cmos_time registers(const struct tm *tm, uint8_t status_b)
{
	int hour = tm->tm_hour;
	uint8_t pm = 0;
	struct cmos_time t;

	if (!(status_b & H24)) {
		pm = hour >= 12 ? 0x80 : 0;
		hour = hour % 12 ? hour % 12 : 12;
	}
#define put(v) (status_b & BINARY ? (uint8_t)(v) : bcd(v))
	t.second = put(tm->tm_sec);
	t.minute = put(tm->tm_min);
	t.hour = (uint8_t)(put(hour) | pm);
	t.day = put(tm->tm_mday);
	t.month = put(tm->tm_mon + 1);
	t.year = put(tm->tm_year % 100);
	t.status_b = status_b;
	return t;
}

static void agrees_with_the_c_library(void **state)
{
	const uint8_t modes[] = {0, H24, BINARY, H24 | BINARY};

	(void)state;
	srand(3);
	for (int i = 0; i < 20000; i++) {
		/* the whole century from 1970 to 2069 */
		time_t when = 1 + (time_t)((uint64_t)rand() * 4 % 3155760000u);
		struct tm tm;
		struct cmos_time t;

		gmtime_r(&when, &tm);
		t = registers(&tm, modes[i % 4]);
		assert_int_equal(cmos_seconds(&t), when);
	}
}

static void midnight_and_noon_by_12_hours(void **state)
{
	struct cmos_time t = {0, 0, 0x12, 1, 1, 0x26, 0};
	uint64_t day = 1767225600; /* 2026-01-01 */

	(void)state;
	assert_int_equal(cmos_seconds(&t), day);
	t.hour = 0x92;
	assert_int_equal(cmos_seconds(&t), day + 12 * 3600);
	t.hour = 0x91;
	assert_int_equal(cmos_seconds(&t), day + 23 * 3600);
	t.hour = 0x00;
	assert_int_equal(cmos_seconds(&t), 0);
	t.hour = 0x13;
	assert_int_equal(cmos_seconds(&t), 0);
}

static void what_is_no_date(void **state)
{
	const struct cmos_time good = {0x59, 0x59, 0x23, 0x28, 0x02, 0x26, H24};
	struct cmos_time t;

	(void)state;
	assert_true(cmos_seconds(&good));
#define refused(field, value)                          \
	do {                                           \
		t = good;                              \
		t.field = value;                       \
		assert_int_equal(cmos_seconds(&t), 0); \
	} while (0)
	refused(second, 0x60);
	refused(second, 0x5a);
	refused(minute, 0x60);
	refused(minute, 0xff);
	refused(hour, 0x24);
	refused(day, 0);
	refused(day, 0x29); /* 2026 is no leap year */
	refused(month, 0);
	refused(month, 0x13);
	refused(month, 0x0a);
	refused(year, 0x9a);
	refused(year, 0xa0);
	t = good;
	t.day = 0x29;
	t.year = 0x28;
	assert_true(cmos_seconds(&t));
	t.year = 0x00; /* 2000 was one */
	assert_int_equal(cmos_seconds(&t), 951868799);
	memset(&t, 0xff, sizeof(t)); /* no clock at all */
	assert_int_equal(cmos_seconds(&t), 0);
	memset(&t, 0, sizeof(t));
	assert_int_equal(cmos_seconds(&t), 0);
}

static void the_century_turns_at_70(void **state)
{
	struct cmos_time t = {0, 0, 0, 1, 1, 0x70, H24};

	(void)state;
	t.second = 1;
	assert_int_equal(cmos_seconds(&t), 1);
	t.year = 0x69;
	assert_int_equal(cmos_seconds(&t), 3124224001);
}

static void any_bytes(void **state)
{
	(void)state;
	srand(5);
	for (int i = 0; i < 200000; i++) {
		struct cmos_time t;

		for (size_t k = 0; k < sizeof(t); k++)
			((uint8_t *)&t)[k] = (uint8_t)rand();
		assert_true(cmos_seconds(&t) < 3155760000u);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_c_library),
		cmocka_unit_test(midnight_and_noon_by_12_hours),
		cmocka_unit_test(what_is_no_date),
		cmocka_unit_test(the_century_turns_at_70),
		cmocka_unit_test(any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
