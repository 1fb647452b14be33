/* Sets of CPUs as people write them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "sched/cpu_set.h"

static void test_good_ones_come_back(void **state)
{
	static const char *const lists[] = {"0", "7", "0-3", "0,2", "0,2-3,255", "63-64", "0-255"};
	char text[64];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++) {
		struct cpu_set set;

		assert_true(cpu_set_parse(lists[i], &set));
		cpu_set_format(&set, text, sizeof(text));
		assert_string_equal(text, lists[i]);
	}
}

static void test_members(void **state)
{
	struct cpu_set set;

	(void)state;
	assert_true(cpu_set_parse("1,62-65", &set));
	for (uint32_t i = 0; i < 300; i++)
		assert_int_equal(cpu_set_has(&set, i), i == 1 || (i >= 62 && i <= 65));
}

static void test_shortest_text(void **state)
{
	struct cpu_set set;
	char text[8];

	(void)state;
	assert_true(cpu_set_parse("0,1,2,4-5,6", &set));
	cpu_set_format(&set, text, sizeof(text));
	assert_string_equal(text, "0-2,4-6");
	assert_true(cpu_set_parse("0,2,4,6,8,10", &set));
	cpu_set_format(&set, text, sizeof(text)); /* cut, and ended */
	assert_string_equal(text, "0,2,4,6");
}

static void test_broken_ones(void **state)
{
	static const char *const lists[] = {
		"",     ",",   "a",   "-",   "1-",    "-1",  "1,",    ",1",
		"1,,2", "2-1", "2,1", "1,1", "1-3,3", "256", "0-256", "99999999999999999999",
		"1 ",   " 1",  "1;2", "0x1", "1-2-3"};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++) {
		struct cpu_set set;

		assert_false(cpu_set_parse(lists[i], &set));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_ones_come_back),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_shortest_text),
		cmocka_unit_test(test_broken_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
