/*
 * Conversion between guest nanoseconds and the periods ("ticks") of a clock of fixed frequency,
 * both counted from guest time 0. Devices count in ticks, so that rounding never adds up to a
 * drift. Exact in 64 bits: a product never exceeds 10^9 x 2^32. Pure.
 */
#ifndef GUESTS_VDEV_TICKS_H
#define GUESTS_VDEV_TICKS_H

#include "lib/types.h"

/* Periods of a clock of `hz` (1 to 2^32 - 1) that are complete at `ns`. */
static inline uint64_t ticks_at(uint64_t ns, uint32_t hz)
{
	return ns / NS_PER_S * hz + ns % NS_PER_S * hz / NS_PER_S;
}

/* The first nanosecond at which ticks_at() answers `ticks`. */
static inline uint64_t ticks_to_ns(uint64_t ticks, uint32_t hz)
{
	return ticks / hz * NS_PER_S + (ticks % hz * NS_PER_S + hz - 1) / hz;
}

#endif
