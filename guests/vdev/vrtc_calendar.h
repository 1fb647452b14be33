/*
 * The calendar behind the real-time clock: seconds since 1970 to date and time and back (Gregorian,
 * no leap seconds). Pure.
 */
#ifndef GUESTS_VDEV_VRTC_CALENDAR_H
#define GUESTS_VDEV_VRTC_CALENDAR_H

#include "lib/types.h"

#define SECONDS_PER_DAY 86400

struct calendar {
	uint32_t year;    /* 0 to 9999 */
	uint8_t month;    /* 1 to 12 */
	uint8_t day;      /* 1 to 31 */
	uint8_t hour;     /* 0 to 23 */
	uint8_t minute;   /* 0 to 59 */
	uint8_t second;   /* 0 to 59 */
	uint8_t week_day; /* 1 is Sunday, 7 is Saturday */
};

/* The years 0 to 9999; what lies outside is cut to the first or last second of them. */
#define CALENDAR_FIRST (-62167219200)
#define CALENDAR_LAST  253402300799

struct calendar calendar_from_seconds(int64_t seconds);

/* Ignores `week_day`. A day that the month does not have counts on into the next one. */
int64_t calendar_to_seconds(const struct calendar *c);

#endif
