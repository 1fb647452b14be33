/*
 * The arithmetic of clocks: conversion between tick rates without division, and what calibration
 * does with its samples. Pure.
 */
#ifndef ARCH_X86_TSC_MATH_H
#define ARCH_X86_TSC_MATH_H

#include "lib/types.h"

/* Ticks of one clock as ticks of another: (x * mult) >> shift. */
struct tick_scale {
	uint64_t mult;
	unsigned shift;
};

/*
 * The scale from a clock of from_hz to one of to_hz, both 1 Hz to 2^40 Hz. Divides: at boot only.
 */
struct tick_scale tick_scale_make(uint64_t from_hz, uint64_t to_hz);

/*
 * x ticks in the other clock, rounded down. As long as the result is below 2^63 (292 years of ns)
 * it is exact or one too small: mult is the ratio cut after 64 significant bits, so the product is
 * short by less than result / 2^63. Never decreases as x grows. Results that do not fit are
 * UINT64_MAX (TIME_NEVER), and so is TIME_NEVER itself.
 */
uint64_t tick_scale_apply(const struct tick_scale *s, uint64_t x);

/* Frequency in Hz of a clock that advanced `ticks` (below 2^40) while one of ref_hz (below 2^40)
 * advanced ref_ticks; 0 if ref_ticks is 0. Rounded to the nearest. */
uint64_t frequency_from(uint64_t ticks, uint64_t ref_ticks, uint64_t ref_hz);

/* Two clocks, read at the same moment. */
struct clock_point {
	uint64_t tsc, ref;
};

#define CLOCK_POINTS_MAX 16

/*
 * Frequency in Hz of the TSC by n points (2 to CLOCK_POINTS_MAX), between two of which the
 * reference, whose counter wraps at `mask`, advances by less than that. All of the time from the
 * first to the last counts, unless the stretches in between disagree (by more than 200 millionths:
 * something held the CPU up at a point): then the middle one of their rates. 0: it stands still.
 */
uint64_t frequency_of_points(const struct clock_point *points, unsigned n, uint64_t mask,
			     uint64_t ref_hz);

/* `hz`, or the nearest whole MHz if that is within `ppm` millionths, the measuring error. */
uint64_t snap_frequency(uint64_t hz, uint32_t ppm);

#endif
