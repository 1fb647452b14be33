/*
 * Names of functions by a table as tools/mksyms makes it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "arch/x86/traps.h"

#define BASE 0xffffffff80000000ull
#define N    4u

/* Three functions, of which the second is one byte long, and the end mark; then the names. */
static const struct {
	uint32_t count;
	struct {
		uint32_t address, name;
	} entries[N];
	char names[24];
} example = {
	.count = N,
	.entries = {{0x200000, 36}, {0x200040, 42}, {0x200041, 47}, {0x200100, 54}},
	.names = "first\0tiny\0longer",
};

static const char *name(uint64_t addr)
{
	static char buf[64];

	return symbol_name((const uint32_t *)(const void *)&example, addr, buf, sizeof(buf));
}

static const char *name_of_return(uint64_t addr)
{
	static char buf[64];

	return symbol_name_of_return((const uint32_t *)(const void *)&example, addr, buf,
				     sizeof(buf));
}

static void names_functions_with_offset_and_length(void **state)
{
	(void)state;
	assert_string_equal(name(BASE + 0x200000), "first+0x0/0x40");
	assert_string_equal(name(BASE + 0x20003f), "first+0x3f/0x40");
	assert_string_equal(name(BASE + 0x200040), "tiny+0x0/0x1");
	assert_string_equal(name(BASE + 0x200041), "longer+0x0/0xbf");
	assert_string_equal(name(BASE + 0x2000ff), "longer+0xbe/0xbf");
}

static void gives_the_number_where_no_function_is(void **state)
{
	(void)state;
	assert_string_equal(name(BASE + 0x1fffff), "0xffffffff801fffff");
	assert_string_equal(name(BASE + 0x200100), "0xffffffff80200100");
	assert_string_equal(name(0), "0x0");
	assert_string_equal(name(0x200000), "0x200000");
	assert_string_equal(name(BASE + 0x200000 + BIT(32)), "0x80200000");
	assert_string_equal(name(UINT64_MAX), "0xffffffffffffffff");
}

static void names_the_caller_of_a_return_address(void **state)
{
	(void)state;
	/* the call was the last instruction of the function before */
	assert_string_equal(name_of_return(BASE + 0x200040), "first+0x40/0x40");
	assert_string_equal(name_of_return(BASE + 0x200041), "tiny+0x1/0x1");
	assert_string_equal(name_of_return(BASE + 0x200100), "longer+0xbf/0xbf");
	assert_string_equal(name_of_return(BASE + 0x200020), "first+0x20/0x40");
	assert_string_equal(name_of_return(BASE + 0x200000), "0xffffffff80200000");
	assert_string_equal(name_of_return(BASE + 0x200101), "0xffffffff80200101");
	assert_string_equal(name_of_return(0), "0x0");
}

static void works_with_an_empty_table(void **state)
{
	static const uint32_t empty[1] = {0}, end_only[5] = {1, 0x200000, 12, 0, 0};
	char buf[64];

	(void)state;
	assert_string_equal(symbol_name(empty, BASE + 0x200000, buf, sizeof(buf)),
			    "0xffffffff80200000");
	assert_string_equal(symbol_name(end_only, BASE + 0x200000, buf, sizeof(buf)),
			    "0xffffffff80200000");
}

static void cuts_at_the_end_of_the_buffer(void **state)
{
	char buf[8];

	(void)state;
	assert_string_equal(symbol_name((const uint32_t *)(const void *)&example, BASE + 0x200012,
					buf, sizeof(buf)),
			    "first+0");
}

/* Every number of functions: the search must end at the right one. */
static void finds_each_of_many(void **state)
{
	static struct {
		uint32_t count;
		uint32_t entries[41][2];
		char names[4];
	} t = {.names = "f"};
	char buf[64];

	(void)state;
	for (uint32_t n = 2; n <= 41; n++) {
		t.count = n;
		for (uint32_t i = 0; i < n; i++) {
			t.entries[i][0] = 0x1000 + i * 16;
			t.entries[i][1] = offsetof(__typeof__(t), names);
		}
		for (uint32_t i = 0; i + 1 < n; i++) {
			symbol_name(&t.count, BASE + 0x1000 + i * 16 + 15, buf, sizeof(buf));
			assert_string_equal(buf, "f+0xf/0x10");
		}
		symbol_name(&t.count, BASE + 0x1000 + (n - 1) * 16, buf, sizeof(buf));
		assert_int_equal(buf[0], '0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_functions_with_offset_and_length),
		cmocka_unit_test(gives_the_number_where_no_function_is),
		cmocka_unit_test(names_the_caller_of_a_return_address),
		cmocka_unit_test(works_with_an_empty_table),
		cmocka_unit_test(cuts_at_the_end_of_the_buffer),
		cmocka_unit_test(finds_each_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
