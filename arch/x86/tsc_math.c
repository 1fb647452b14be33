/*
 * The arithmetic of clocks. Pure.
 */
#include "arch/x86/tsc_math.h"

#define DISAGREEMENT 5000 /* one part in as many */

/* floor(a * 2^64 / b) for a < b, by long division: no 128-bit division routine is linked. */
static uint64_t fraction_bits(uint64_t a, uint64_t b)
{
	uint64_t q = 0;

	for (unsigned i = 0; i < 64; i++) {
		/* a < b <= 2^63, so doubling does not overflow */
		a <<= 1;
		q <<= 1;
		if (a >= b) {
			a -= b;
			q |= 1;
		}
	}
	return q;
}

struct tick_scale tick_scale_make(uint64_t from_hz, uint64_t to_hz)
{
	struct tick_scale s = {.shift = 64};

	/* Bring to/from into [1/2, 1), so that 64 bits of fraction are 64 significant bits. */
	while (to_hz >= from_hz) {
		from_hz <<= 1;
		s.shift--;
	}
	while (to_hz << 1 < from_hz) {
		to_hz <<= 1;
		s.shift++;
	}
	s.mult = fraction_bits(to_hz, from_hz);
	return s;
}

uint64_t tick_scale_apply(const struct tick_scale *s, uint64_t x)
{
	unsigned __int128 product = (unsigned __int128)x * s->mult >> s->shift;

	if (x == TIME_NEVER || product >> 64)
		return TIME_NEVER;
	return (uint64_t)product;
}

uint64_t frequency_from(uint64_t ticks, uint64_t ref_ticks, uint64_t ref_hz)
{
	uint64_t whole = 0, rest = 0;

	if (!ref_ticks)
		return 0;
	/* ticks * ref_hz / ref_ticks, one bit of ref_hz after the other (Horner) */
	for (int i = 39; i >= 0; i--) {
		whole <<= 1;
		rest <<= 1;
		if (ref_hz >> i & 1)
			rest += ticks;
		whole += rest / ref_ticks;
		rest %= ref_ticks;
	}
	return whole + (rest >= ref_ticks - rest);
}

/* The middle of n samples; sorts them. */
static uint64_t median(uint64_t *samples, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		uint64_t v = samples[i];
		unsigned j = i;

		for (; j && samples[j - 1] > v; j--)
			samples[j] = samples[j - 1];
		samples[j] = v;
	}
	return samples[n / 2];
}

uint64_t frequency_of_points(const struct clock_point *points, unsigned n, uint64_t mask,
			     uint64_t ref_hz)
{
	uint64_t samples[CLOCK_POINTS_MAX] = {0}, ref = 0, whole, middle, off;

	for (unsigned i = 0; i + 1 < n; i++) {
		uint64_t advanced = (points[i + 1].ref - points[i].ref) & mask;

		samples[i] = frequency_from(points[i + 1].tsc - points[i].tsc, advanced, ref_hz);
		ref += advanced;
	}
	whole = frequency_from(points[n - 1].tsc - points[0].tsc, ref, ref_hz);
	middle = median(samples, n - 1);
	off = whole > middle ? whole - middle : middle - whole;
	return off <= middle / DISAGREEMENT ? whole : middle;
}

uint64_t snap_frequency(uint64_t hz, uint32_t ppm)
{
	const uint64_t mhz = 1000000;
	uint64_t nearest = (hz + mhz / 2) / mhz * mhz;
	uint64_t off = hz > nearest ? hz - nearest : nearest - hz;

	/* off < 2^19, so the product fits */
	return nearest && off * mhz <= nearest * ppm ? nearest : hz;
}
