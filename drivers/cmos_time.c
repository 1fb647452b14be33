/*
 * The CMOS clock's registers as seconds. Pure.
 *
 * MC146818A "Real-Time Clock Plus RAM", "Time, Calendar, and Alarm Locations" and "Register B".
 */
#include "drivers/cmos.h"

#define STATUS_B_24H    BIT32(1)
#define STATUS_B_BINARY BIT32(2)
#define HOUR_PM         0x80u

/* A register's number; 255, which nothing allows, if it is no BCD. */
static uint32_t number(uint8_t v, bool binary)
{
	if (binary)
		return v;
	return (v & 0xf) > 9 || v > 0x99 ? 255 : (v >> 4) * 10u + (v & 0xf);
}

static bool is_leap(uint32_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

uint64_t cmos_seconds(const struct cmos_time *t)
{
	static const uint8_t days_in[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool binary = t->status_b & STATUS_B_BINARY, h24 = t->status_b & STATUS_B_24H;
	bool pm = !h24 && t->hour & HOUR_PM;
	uint32_t second = number(t->second, binary), minute = number(t->minute, binary);
	uint32_t hour = number(h24 ? t->hour : t->hour & (uint8_t)~HOUR_PM, binary);
	uint32_t day = number(t->day, binary), month = number(t->month, binary);
	uint32_t year = number(t->year, binary);
	uint64_t days = 0;

	if (!h24) {
		if (hour < 1 || hour > 12)
			return 0;
		hour = hour % 12 + (pm ? 12 : 0);
	}
	if (second > 59 || minute > 59 || hour > 23 || month < 1 || month > 12 || year > 99)
		return 0;
	year += year < 70 ? 2000 : 1900;
	if (day < 1 || day > days_in[month - 1] + (month == 2 && is_leap(year) ? 1u : 0u))
		return 0;

	for (uint32_t y = 1970; y < year; y++)
		days += is_leap(y) ? 366 : 365;
	for (uint32_t m = 1; m < month; m++)
		days += days_in[m - 1] + (m == 2 && is_leap(year) ? 1u : 0u);
	days += day - 1;
	return ((days * 24 + hour) * 60 + minute) * 60 + second;
}
