/* Date arithmetic of the real-time clock: see vrtc_calendar.h. Pure. */
#include "guests/vdev/vrtc_calendar.h"

#define DAYS_PER_400_YEARS 146097
#define DAYS_TO_1970       719528 /* from 0000-01-01 */

static bool leap(uint32_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static uint32_t month_days(uint32_t year, uint32_t month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && leap(year) ? 1u : 0u);
}

/* Days from 0000-01-01 to the first day of `year`; year 0 is a leap year. */
static uint32_t days_before_year(uint32_t year)
{
	return year ? year * 365 + (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400 + 1 : 0;
}

struct calendar calendar_from_seconds(int64_t seconds)
{
	struct calendar c = {0};
	uint32_t days, rest;

	seconds = MIN(MAX(seconds, CALENDAR_FIRST), CALENDAR_LAST);
	seconds -= CALENDAR_FIRST;
	days = (uint32_t)(seconds / SECONDS_PER_DAY);
	rest = (uint32_t)(seconds % SECONDS_PER_DAY);
	c.hour = (uint8_t)(rest / 3600);
	c.minute = (uint8_t)(rest / 60 % 60);
	c.second = (uint8_t)(rest % 60);
	c.week_day = (uint8_t)((days + 6) % 7 + 1); /* 0000-01-01 was a Saturday */

	c.year = (uint32_t)(days * 400ull / DAYS_PER_400_YEARS); /* right, or off by one */
	if (days_before_year(c.year + 1) <= days)
		c.year++;
	if (days_before_year(c.year) > days)
		c.year--;
	days -= days_before_year(c.year);
	for (c.month = 1; days >= month_days(c.year, c.month); c.month++)
		days -= month_days(c.year, c.month);
	c.day = (uint8_t)(days + 1);
	return c;
}

int64_t calendar_to_seconds(const struct calendar *c)
{
	int64_t days = days_before_year(c->year);

	for (uint32_t month = 1; month < c->month; month++)
		days += month_days(c->year, month);
	days += c->day - 1 - DAYS_TO_1970;
	return days * SECONDS_PER_DAY + c->hour * 3600 + c->minute * 60 + c->second;
}
