/* The real-time clock: calendar, formats, setting the clock, each interrupt, CMOS, hostile state.
 */
#include "tests/unit/vdev_fake.h"

#include <time.h>

#include "guests/vdev/vrtc.h"
#include "guests/vdev/vrtc_calendar.h"

#define NEW_YEARS_EVE 1767225598ull /* 2025-12-31 23:59:58, a Wednesday */

static struct vrtc rtc;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	vrtc_init(&rtc, &fake_host);
	vrtc_set_time(&rtc, NEW_YEARS_EVE);
	return 0;
}

static uint8_t get(uint8_t reg)
{
	vrtc_write(&rtc, 0x70, reg);
	return vrtc_read(&rtc, 0x71);
}

static void set(uint8_t reg, uint8_t value)
{
	vrtc_write(&rtc, 0x70, reg);
	vrtc_write(&rtc, 0x71, value);
}

/* Century to second, as hexadecimal digits. */
static void expect_clock(uint64_t date, uint32_t time)
{
	assert_int_equal(get(0x32), date >> 24 & 0xFF);
	assert_int_equal(get(9), date >> 16 & 0xFF);
	assert_int_equal(get(8), date >> 8 & 0xFF);
	assert_int_equal(get(7), date & 0xFF);
	assert_int_equal(get(4), time >> 16 & 0xFF);
	assert_int_equal(get(2), time >> 8 & 0xFF);
	assert_int_equal(get(0), time & 0xFF);
}

static void test_calendar_agrees_with_the_c_library(void **state)
{
	(void)state;
	for (int64_t day = CALENDAR_FIRST / 86400; day <= CALENDAR_LAST / 86400; day++) {
		time_t t = day * 86400 + (day & 0xFFFF);
		struct calendar c = calendar_from_seconds(t);

		assert_int_equal(calendar_to_seconds(&c), t);
		if (day % 13 == 0 || day > CALENDAR_LAST / 86400 - 800 ||
		    day < CALENDAR_FIRST / 86400 + 800) {
			struct tm tm;

			gmtime_r(&t, &tm);
			assert_int_equal(c.year, tm.tm_year + 1900);
			assert_int_equal(c.month, tm.tm_mon + 1);
			assert_int_equal(c.day, tm.tm_mday);
			assert_int_equal(c.hour, tm.tm_hour);
			assert_int_equal(c.minute, tm.tm_min);
			assert_int_equal(c.second, tm.tm_sec);
			assert_int_equal(c.week_day, tm.tm_wday + 1);
		}
	}
	assert_int_equal(calendar_from_seconds(INT64_MAX).year, 9999);
	assert_int_equal(calendar_from_seconds(INT64_MIN).year, 0);
	assert_int_equal(calendar_to_seconds(&(struct calendar){.month = 1, .day = 1}),
			 CALENDAR_FIRST);
}

static void test_time_goes_on(void **state)
{
	(void)state;
	expect_clock(0x20251231, 0x235958);
	assert_int_equal(get(6), 4);
	fake.now = 2 * NS_PER_S - 1;
	expect_clock(0x20251231, 0x235959);
	fake.now = 2 * NS_PER_S;
	expect_clock(0x20260101, 0x000000);
	assert_int_equal(get(6), 5);
	fake.now = 60 * 86400 * NS_PER_S;
	expect_clock(0x20260301, 0x235958);
	assert_int_equal(vrtc_read(&rtc, 0x70), 0xFF);
	vrtc_set_time(&rtc, UINT64_MAX);
	expect_clock(0x99991231, 0x235959);
}

static void test_formats(void **state)
{
	static const uint8_t hours[24] = {0x12, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
					  0x08, 0x09, 0x10, 0x11, 0x92, 0x81, 0x82, 0x83,
					  0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x90, 0x91};
	(void)state;
	set(0xB, 0x04); /* binary, 12 hours */
	assert_int_equal(get(4), 0x80 | 11);
	assert_int_equal(get(2), 59);
	assert_int_equal(get(9), 25);
	assert_int_equal(get(0x32), 20);
	set(0xB, 0x06);
	assert_int_equal(get(4), 23);
	set(0xB, 0);
	for (unsigned h = 0; h < 24; h++) {
		vrtc_set_time(&rtc, h * 3600);
		assert_int_equal(get(4), hours[h]);
	}
	for (unsigned h = 0; h < 24; h++) { /* and back */
		set(0xB, 0);
		set(4, hours[h]);
		set(0xB, 0x06);
		assert_int_equal(get(4), h);
	}
}

static void test_linux_sets_the_clock(void **state)
{
	(void)state;
	fake.now = 300 * NS_PER_MS;
	set(0xB, get(0xB) | 0x80);
	set(0xA, 0x70);
	set(9, 0x04);
	set(8, 0x02);
	set(7, 0x29);
	set(4, 0x12);
	set(2, 0x34);
	set(0, 0x56);
	set(0x32, 0x20);
	fake.now += 10 * NS_PER_S; /* it stands */
	expect_clock(0x20040229, 0x123456);
	set(0xB, 0x02);
	fake.now += 10 * NS_PER_S;
	expect_clock(0x20040229, 0x123456);
	set(0xA, 0x26);
	fake.now += 499 * NS_PER_MS; /* the first second is a half one */
	expect_clock(0x20040229, 0x123456);
	fake.now += NS_PER_MS;
	expect_clock(0x20040229, 0x123457);
	fake.now += NS_PER_S;
	expect_clock(0x20040229, 0x123458);
	/* One register while it runs. */
	set(2, 0x35);
	expect_clock(0x20040229, 0x123558);
}

static void test_nonsense_is_brought_into_range(void **state)
{
	(void)state;
	set(0xB, 0x86);
	for (uint8_t reg = 0; reg < 10; reg++)
		set(reg, 0xFF);
	set(0x32, 0xFF);
	set(0xB, 0x06);
	assert_int_equal(get(0x32), 99);
	assert_int_equal(get(9), 99);
	assert_int_equal(get(8), 12);
	assert_int_equal(get(7), 31);
	assert_int_equal(get(4), 23);
	set(0xB, 0x86);
	for (uint8_t reg = 0; reg < 10; reg++)
		set(reg, 0);
	set(0x32, 0);
	set(0xB, 0x06);
	assert_int_equal(get(8), 1);
	assert_int_equal(get(7), 1);
	set(8, 2);
	set(7, 31); /* year 0 has a 29 February */
	assert_int_equal(get(8), 3);
	assert_int_equal(get(7), 2);
}

static void test_update_in_progress(void **state)
{
	(void)state;
	assert_int_equal(get(0xA), 0x26);
	fake.now = NS_PER_S - 2229 * NS_PER_US;
	assert_int_equal(get(0xA), 0x26);
	fake.now = NS_PER_S - 2228 * NS_PER_US;
	assert_int_equal(get(0xA), 0xA6);
	fake.now = NS_PER_S - 1;
	assert_int_equal(get(0xA), 0xA6);
	set(0xB, 0x82);
	assert_int_equal(get(0xA), 0x26);
	set(0xB, 0x02);
	fake.now = NS_PER_S;
	assert_int_equal(get(0xA), 0x26);
	set(0xA, 0xFF); /* UIP cannot be written */
	assert_int_equal(get(0xA), 0x7F);
}

static void test_flags_without_interrupts(void **state)
{
	(void)state;
	set(0xA, 0x20);
	assert_int_equal(get(0xC), 0);
	fake.now = NS_PER_S - 1;
	assert_int_equal(get(0xC), 0);
	fake.now = NS_PER_S;
	assert_int_equal(get(0xC), 0x10);
	assert_int_equal(get(0xC), 0);
	set(0xA, 0x26);
	fake.now += NS_PER_MS;
	assert_int_equal(get(0xC), 0x40);
	set(1, 0x03); /* 00:00:03 */
	fake.now = 5 * NS_PER_S - 1;
	assert_int_equal(get(0xC), 0x50);
	fake.now = 5 * NS_PER_S;
	assert_int_equal(get(0xC), 0x70);
	set(0xC, 0xFF);
	set(0xD, 0);
	assert_int_equal(get(0xC), 0);
	assert_int_equal(get(0xD), 0x80);
	assert_int_equal(rtc.deadline, TIME_NEVER);
	assert_int_equal(fake.rises[LINE_RTC], 0);
}

static void test_update_interrupt(void **state)
{
	(void)state;
	set(5, 0x12); /* no alarm at midnight */
	fake.now = 1500 * NS_PER_MS;
	set(0xB, 0x12);
	/* The flag of the second that has passed is still there. */
	assert_int_equal(fake.rises[LINE_RTC], 1);
	assert_int_equal(get(0xC) & 0x90, 0x90);
	for (unsigned i = 2; i < 6; i++) {
		assert_false(fake.level[LINE_RTC]);
		assert_int_equal(rtc.deadline, i * NS_PER_S);
		vrtc_expire(&rtc, rtc.deadline - 1);
		assert_false(fake.level[LINE_RTC]);
		fake.now = rtc.deadline;
		vrtc_expire(&rtc, fake.now);
		assert_true(fake.level[LINE_RTC]);
		assert_int_equal(rtc.deadline, TIME_NEVER);
		assert_int_equal(get(0xC) & 0xB0, 0x90);
	}
	set(0xB, 0x92); /* SET switches it off */
	assert_int_equal(get(0xB), 0x82);
	assert_int_equal(rtc.deadline, TIME_NEVER);
}

static void test_alarm_interrupt(void **state)
{
	(void)state;
	set(5, 0x00);
	set(3, 0x01);
	set(1, 0x10); /* 00:01:10 */
	set(0xB, 0x22);
	assert_int_equal(rtc.deadline, 72 * NS_PER_S);
	fake.now = rtc.deadline;
	vrtc_expire(&rtc, fake.now);
	assert_true(fake.level[LINE_RTC]);
	assert_int_equal(get(0xC) & 0xA0, 0xA0);
	assert_false(fake.level[LINE_RTC]);
	assert_int_equal(rtc.deadline, (72 + 86400) * NS_PER_S); /* tomorrow */
	set(5, 0xC0);                                            /* each hour */
	assert_int_equal(rtc.deadline, (72 + 3600) * NS_PER_S);
	set(3, 0xFF); /* each minute */
	assert_int_equal(rtc.deadline, (72 + 60) * NS_PER_S);
	set(1, 0xC7); /* each second */
	assert_int_equal(rtc.deadline, 73 * NS_PER_S);
	set(1, 0x61); /* no such second */
	assert_int_equal(rtc.deadline, TIME_NEVER);
	set(1, 0x00);
	set(5, 0x24);
	assert_int_equal(rtc.deadline, TIME_NEVER);
	/* 12 hours: 1 p.m.; 00 is no hour. */
	set(0xB, 0x20);
	set(5, 0x81);
	set(3, 0x00);
	assert_int_equal(rtc.deadline, (13 * 3600 + 2) * NS_PER_S);
	set(5, 0x00);
	assert_int_equal(rtc.deadline, TIME_NEVER);
	set(0xB, 0xA0);
	set(5, 0x81);
	assert_int_equal(rtc.deadline, TIME_NEVER); /* it stands */
}

static void test_periodic_interrupt(void **state)
{
	static const struct {
		uint8_t rate;
		unsigned hz;
	} rates[] = {{1, 256}, {2, 128}, {3, 8192}, {6, 1024}, {13, 8}, {15, 2}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
		uint64_t end = fake.now + 10 * NS_PER_S;
		unsigned n = 0;

		set(0xA, 0x20 | rates[i].rate);
		get(0xC);
		set(0xB, 0x42);
		get(0xC);
		while (rtc.deadline <= end) {
			fake.now = rtc.deadline;
			vrtc_expire(&rtc, fake.now);
			assert_true(fake.level[LINE_RTC]);
			assert_int_equal(get(0xC) & 0xC0, 0xC0);
			assert_false(fake.level[LINE_RTC]);
			n++;
		}
		assert_int_equal(n, 10 * rates[i].hz);
	}
	set(0xA, 0x20);
	assert_int_equal(rtc.deadline, TIME_NEVER);
	set(0xA, 0x26);
	set(0xB, 0xC2); /* SET does not stop it, */
	assert_true(rtc.deadline != TIME_NEVER);
	set(0xA, 0x66); /* the divider does */
	assert_int_equal(rtc.deadline, TIME_NEVER);
	set(0xA, 0x26);
	fake.now += 100 * NS_PER_S; /* many missed: one flag */
	vrtc_expire(&rtc, fake.now);
	get(0xC);
	assert_int_equal(get(0xC), 0);
}

static void test_reset_keeps_time_and_memory(void **state)
{
	(void)state;
	set(0x40, 0xA5);
	set(0xB, 0x7A);
	fake.now = NS_PER_S;
	vrtc_expire(&rtc, fake.now);
	assert_true(fake.level[LINE_RTC]);
	vrtc_reset(&rtc);
	assert_false(fake.level[LINE_RTC]);
	assert_int_equal(rtc.deadline, TIME_NEVER);
	assert_int_equal(get(0xB), 0x02);
	assert_int_equal(get(0xC), 0);
	assert_int_equal(get(0x40), 0xA5);
	expect_clock(0x20251231, 0x235959);
}

static void test_memory_size(void **state)
{
	(void)state;
	vrtc_set_memory(&rtc, 0, 0);
	assert_int_equal(get(0x15) | get(0x16) << 8, 0);
	assert_int_equal(get(0x17) | get(0x18) << 8, 0);
	vrtc_set_memory(&rtc, 2 * MIB, 0);
	assert_int_equal(get(0x15) | get(0x16) << 8, 640);
	assert_int_equal(get(0x17) | get(0x18) << 8, 1024);
	assert_int_equal(get(0x30) | get(0x31) << 8, 1024);
	assert_int_equal(get(0x34) | get(0x35) << 8, 0);
	vrtc_set_memory(&rtc, 512 * MIB, 0);
	assert_int_equal(get(0x17) | get(0x18) << 8, 0xFFFF);
	assert_int_equal(get(0x34) | get(0x35) << 8, (512 - 16) * 16);
	assert_int_equal(get(0x5B) | get(0x5C) << 8 | get(0x5D) << 16, 0);
	vrtc_set_memory(&rtc, 3 * GIB, 5 * GIB);
	assert_int_equal(get(0x34) | get(0x35) << 8, (3072 - 16) * 16);
	assert_int_equal(get(0x5B) | get(0x5C) << 8 | get(0x5D) << 16, 5 * 16384);
	vrtc_set_memory(&rtc, 3 * GIB, UINT64_MAX);
	assert_int_equal(get(0x5B) | get(0x5C) << 8 | get(0x5D) << 16, 0xFFFFFF);
}

static void test_nmi_mask_bit(void **state)
{
	(void)state;
	set(0x80 | 0x40, 0x77);
	assert_int_equal(rtc.index, 0xC0);
	assert_int_equal(get(0x40), 0x77);
	assert_int_equal(rtc.index, 0x40);
}

static void test_save_and_load(void **state)
{
	struct vrtc other;

	(void)state;
	set(0xB, 0x72);
	fake.now = 12345678901ull;
	get(0x0C);
	vrtc_init(&other, &fake_host);
	fake_round_trip(&vrtc_type, &rtc, &other);
	assert_int_equal(vrtc_check(&other, NULL), 0);
	assert_int_equal(other.deadline, rtc.deadline);
}

static void test_hostile_state(void **state)
{
	static const uint8_t values[] = {0, 1, 0x3B, 0x7F, 0x80, 0xC0, 0xFF};
	size_t size = vdev_saved_size(&vrtc_type);
	uint8_t *buf = malloc(size);
	unsigned refused = 0;

	(void)state;
	assert_non_null(buf);
	set(0xB, 0x72);
	for (size_t i = 0; i < size; i++) {
		for (unsigned j = 0; j < ARRAY_SIZE(values); j++) {
			struct reason why = {{0}};
			struct vrtc r;

			vdev_save(&vrtc_type, &rtc, buf);
			buf[i] = values[j];
			vrtc_init(&r, &fake_host);
			assert_int_equal(vdev_load(&vrtc_type, &r, buf, size), 0);
			if (vrtc_check(&r, &why)) {
				assert_true(strlen(why.text) > 10);
				refused++;
				continue;
			}
			for (unsigned k = 0; k < 16; k++) {
				vrtc_expire(&r, fake.now);
				assert_true(r.deadline > fake.now);
				vrtc_write(&r, 0x70, (uint8_t)k);
				vrtc_read(&r, 0x71);
				vrtc_write(&r, 0x71, (uint8_t)(k * 37));
				fake.now += NS_PER_S / 3;
			}
		}
	}
	assert_true(refused > 40);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_calendar_agrees_with_the_c_library, setup),
		cmocka_unit_test_setup(test_time_goes_on, setup),
		cmocka_unit_test_setup(test_formats, setup),
		cmocka_unit_test_setup(test_linux_sets_the_clock, setup),
		cmocka_unit_test_setup(test_nonsense_is_brought_into_range, setup),
		cmocka_unit_test_setup(test_update_in_progress, setup),
		cmocka_unit_test_setup(test_flags_without_interrupts, setup),
		cmocka_unit_test_setup(test_update_interrupt, setup),
		cmocka_unit_test_setup(test_alarm_interrupt, setup),
		cmocka_unit_test_setup(test_periodic_interrupt, setup),
		cmocka_unit_test_setup(test_reset_keeps_time_and_memory, setup),
		cmocka_unit_test_setup(test_memory_size, setup),
		cmocka_unit_test_setup(test_nmi_mask_bit, setup),
		cmocka_unit_test_setup(test_save_and_load, setup),
		cmocka_unit_test_setup(test_hostile_state, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
