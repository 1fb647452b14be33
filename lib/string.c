/*
 * Memory and string functions with the C library's contracts. Only the hypervisor uses these; unit
 * tests link them under other names (tests/unit/test_string.c). Pure.
 *
 * Short copies are the common ones, and they are made by words: the string instructions have a
 * start-up cost that large blocks alone are worth.
 */
#include "lib/string.h"

#define SHORT_COPY 64u

typedef uint64_t __attribute__((may_alias, aligned(1))) word;

/* From the lowest address upwards, each word read before it is written: right for overlapping
 * areas, too, if dst lies below src. */
static inline void copy_up(uint8_t *d, const uint8_t *s, size_t n)
{
	size_t words = n / 8;

	if (n > SHORT_COPY) {
		__asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words)::"memory");
	} else {
		for (; words; words--, d += 8, s += 8)
			*(word *)d = *(const word *)s;
	}
	for (n &= 7; n; n--)
		*d++ = *s++;
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	copy_up(dst, src, n);
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	uint8_t *d = dst;
	const uint8_t *s = src;

	if ((uintptr_t)d - (uintptr_t)s >= n) {
		copy_up(d, s, n);
		return dst;
	}
	while (n--)
		d[n] = s[n];
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	uint8_t *d = dst;
	uint64_t pattern = (uint8_t)c * 0x0101010101010101ull;
	size_t words = n / 8;

	if (n > SHORT_COPY) {
		__asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
	} else {
		for (; words; words--, d += 8)
			*(word *)d = pattern;
	}
	for (n &= 7; n; n--)
		*d++ = (uint8_t)c;
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n; n--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	for (const uint8_t *p = s; n; n--, p++) {
		if (*p == (uint8_t)c)
			return (void *)(uintptr_t)p;
	}
	return NULL;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	while (n && *a && *a == *b) {
		a++;
		b++;
		n--;
	}
	return n ? (uint8_t)*a - (uint8_t)*b : 0;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)(uintptr_t)s;
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *found = NULL;

	for (;; s++) {
		if (*s == (char)c)
			found = s;
		if (!*s)
			return (char *)(uintptr_t)found;
	}
}
