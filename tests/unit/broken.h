/*
 * Broken input for the tests of parsers: exact-size heap copies, so that AddressSanitizer catches a
 * read of one byte too many, and a fixed sequence of random numbers.
 */
#ifndef TESTS_UNIT_BROKEN_H
#define TESTS_UNIT_BROKEN_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/types.h"

static uint64_t broken_seed = 0x9e3779b97f4a7c15;

static inline uint64_t broken_random(void)
{
	broken_seed ^= broken_seed << 13;
	broken_seed ^= broken_seed >> 7;
	broken_seed ^= broken_seed << 17;
	return broken_seed;
}

/* The first `len` bytes of `data` in a block of just that size. */
static inline uint8_t *broken_copy(const void *data, size_t len)
{
	uint8_t *p = malloc(len ? len : 1);

	assert_non_null(p);
	memcpy(p, data, len);
	return p;
}

/* Changes 1 to 4 bytes of [from, to): a flipped bit, a random byte, or an extreme one. */
static inline void broken_flip(uint8_t *p, size_t from, size_t to)
{
	unsigned n = 1 + (unsigned)(broken_random() % 4);

	while (n--) {
		size_t at = from + (size_t)(broken_random() % (to - from));

		switch (broken_random() % 4) {
		case 0:
			p[at] = (uint8_t)(p[at] ^ (1u << (broken_random() % 8)));
			break;
		case 1:
			p[at] = (uint8_t)broken_random();
			break;
		case 2:
			p[at] = 0xff;
			break;
		default:
			p[at] = 0;
		}
	}
}

/* A sentence is there, is whole, and cannot steer a terminal. */
static inline void assert_sentence(const char *s)
{
	size_t len = strnlen(s, 240);

	assert_in_range(len, 10, 239);
	for (size_t i = 0; i < len; i++)
		assert_in_range((unsigned char)s[i], ' ', '~');
}

#endif
