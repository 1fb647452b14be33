/*
 * The hypervisor's own memory and string functions against the C library's. They are compiled in
 * here under other names, so that both can be called.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define memcpy  own_memcpy
#define memmove own_memmove
#define memset  own_memset
#define memcmp  own_memcmp
#define memchr  own_memchr
#define strlen  own_strlen
#define strnlen own_strnlen
#define strcmp  own_strcmp
#define strncmp own_strncmp
#define strchr  own_strchr
#define strrchr own_strrchr
#include "lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef strrchr

#define AREA  320u
#define SIZES 140u /* past SHORT_COPY, with every remainder */

static uint8_t own[AREA], libc[AREA], source[AREA];

static void fill(uint8_t *p, unsigned seed)
{
	for (unsigned i = 0; i < AREA; i++)
		p[i] = (uint8_t)(i * 7 + seed);
}

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void copies_every_size_and_alignment(void **state)
{
	(void)state;
	fill(source, 3);
	for (size_t n = 0; n < SIZES; n++) {
		for (size_t at = 0; at < 9; at++) {
			fill(own, 100);
			fill(libc, 100);
			assert_ptr_equal(own_memcpy(own + at, source + 8 - at, n), own + at);
			memcpy(libc + at, source + 8 - at, n);
			assert_memory_equal(own, libc, AREA);
		}
	}
}

static void moves_overlapping_areas(void **state)
{
	static const size_t distances[] = {0, 1, 2, 7, 8, 9, 15, 16, 63, 64, 65, 130};

	(void)state;
	for (size_t n = 0; n < SIZES; n++) {
		for (size_t i = 0; i < ARRAY_SIZE(distances); i++) {
			size_t d = distances[i];

			fill(own, 0);
			fill(libc, 0);
			assert_ptr_equal(own_memmove(own + 10, own + 10 + d, n), own + 10);
			memmove(libc + 10, libc + 10 + d, n);
			assert_memory_equal(own, libc, AREA);
			assert_ptr_equal(own_memmove(own + 10 + d, own + 10, n), own + 10 + d);
			memmove(libc + 10 + d, libc + 10, n);
			assert_memory_equal(own, libc, AREA);
		}
	}
}

static void sets_every_size(void **state)
{
	static const int values[] = {0, 0xa5, 0x1ff, -1};

	(void)state;
	for (size_t n = 0; n < SIZES; n++) {
		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			fill(own, 9);
			fill(libc, 9);
			assert_ptr_equal(own_memset(own + 5, values[i], n), own + 5);
			memset(libc + 5, values[i], n);
			assert_memory_equal(own, libc, AREA);
		}
	}
}

static void compares_bytes_as_unsigned(void **state)
{
	uint8_t a[4] = {1, 2, 0x80, 4}, b[4] = {1, 2, 0x7f, 5};

	(void)state;
	assert_int_equal(own_memcmp(a, b, 0), 0);
	assert_int_equal(own_memcmp(a, b, 2), 0);
	assert_true(own_memcmp(a, b, 3) > 0);
	assert_true(own_memcmp(b, a, 4) < 0);
	b[2] = 0x80;
	assert_true(own_memcmp(a, b, 4) < 0);
	assert_int_equal(own_memcmp(a, a, 4), 0);
}

static void finds_a_byte(void **state)
{
	const char text[] = "a\xff"
			    "b\0c";

	(void)state;
	assert_ptr_equal(own_memchr(text, 'b', sizeof(text)), text + 2);
	assert_null(own_memchr(text, 'b', 2));
	assert_null(own_memchr(text, 'a', 0));
	assert_ptr_equal(own_memchr(text, 'c', sizeof(text)), text + 4);
	assert_ptr_equal(own_memchr(text, -1, sizeof(text)), text + 1);
	assert_ptr_equal(own_memchr(text, 0, sizeof(text)), text + 3);
}

/* In memory of its own that ends right behind, so that the sanitizer sees a look too far. */
static char *exact(const char *s, size_t n)
{
	char *p = malloc(n ? n : 1);

	assert_non_null(p);
	memcpy(p, s, n);
	return p;
}

static void measures_strings(void **state)
{
	char *open = exact("abcd", 4);

	(void)state;
	assert_int_equal(own_strlen(""), 0);
	assert_int_equal(own_strlen("abc"), 3);
	assert_int_equal(own_strnlen("abc", 0), 0);
	assert_int_equal(own_strnlen("abc", 2), 2);
	assert_int_equal(own_strnlen("abc", 3), 3);
	assert_int_equal(own_strnlen("abc", 9), 3);
	assert_int_equal(own_strnlen(open, 4), 4); /* not one byte further */
	free(open);
}

static const char *const words[] = {"",    "a",    "b",    "ab",    "abc",  "abd", "abcd",
				    "aab", "\x7f", "\xff", "a\xff", "aaab", "ba",  "cdcdce"};

static void compares_strings_like_the_c_library(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(words); j++) {
			assert_int_equal(sign(own_strcmp(words[i], words[j])),
					 sign(strcmp(words[i], words[j])));
			for (size_t n = 0; n < 6; n++)
				assert_int_equal(sign(own_strncmp(words[i], words[j], n)),
						 sign(strncmp(words[i], words[j], n)));
		}
	}
}

static void compares_no_further_than_told(void **state)
{
	char *a = exact("abc", 3), *b = exact("abd", 3);

	(void)state;
	assert_int_equal(own_strncmp(a, b, 2), 0);
	assert_true(own_strncmp(a, b, 3) < 0);
	assert_int_equal(own_strncmp(a, a, 3), 0);
	free(a);
	free(b);
}

static void finds_characters(void **state)
{
	static const int characters[] = {'a', 'b', 'd', 'x', 0, 0xff, 'a' + 256};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(characters); j++) {
			assert_ptr_equal(own_strchr(words[i], characters[j]),
					 strchr(words[i], characters[j]));
			assert_ptr_equal(own_strrchr(words[i], characters[j]),
					 strrchr(words[i], characters[j]));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_every_size_and_alignment),
		cmocka_unit_test(moves_overlapping_areas),
		cmocka_unit_test(sets_every_size),
		cmocka_unit_test(compares_bytes_as_unsigned),
		cmocka_unit_test(finds_a_byte),
		cmocka_unit_test(measures_strings),
		cmocka_unit_test(compares_strings_like_the_c_library),
		cmocka_unit_test(compares_no_further_than_told),
		cmocka_unit_test(finds_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
