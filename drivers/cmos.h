/*
 * The machine's battery-backed clock, read once at boot.
 */
#ifndef DRIVERS_CMOS_H
#define DRIVERS_CMOS_H

#include "lib/types.h"

/* The clock's registers as they are in CMOS. */
struct cmos_time {
	uint8_t second, minute, hour, day, month, year; /* registers 0, 2, 4, 7, 8, 9 */
	uint8_t status_b;
};

/* Seconds since 1970, taking the clock for UTC and years 70 to 99 for 19xx; 0 if the registers hold
 * no valid date (a dead battery). Pure (cmos_time.c). */
uint64_t cmos_seconds(const struct cmos_time *t);

/* Reads the clock; wall_clock_seconds() (arch/x86/cpu.h) counts on from here. */
void cmos_init(void);

#endif
