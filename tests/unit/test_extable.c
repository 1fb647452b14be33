/* The exception table: only the listed instruction, and only the exceptions that it lists. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "arch/x86/extable.h"

#define GP 13
#define PF 14

static struct extable_entry table[2];
static uint8_t code[64]; /* what the entries speak of */

static int32_t offset(const uint8_t *to, const int32_t *from)
{
	return (int32_t)((intptr_t)to - (intptr_t)from);
}

static void fill(void)
{
	table[0].insn = offset(&code[10], &table[0].insn);
	table[0].fixup = offset(&code[40], &table[0].fixup);
	table[0].vectors = BIT32(GP);
	table[1].insn = offset(&code[20], &table[1].insn);
	table[1].fixup = offset(&code[50], &table[1].fixup);
	table[1].vectors = BIT32(GP) | BIT32(PF);
}

static uint64_t find(uint64_t vector, unsigned at)
{
	return extable_find(table, table + 2, vector, (uint64_t)(uintptr_t)&code[at]);
}

static void finds_what_is_listed(void **state)
{
	(void)state;
	fill();
	assert_int_equal(find(GP, 10), (uintptr_t)&code[40]);
	assert_int_equal(find(GP, 20), (uintptr_t)&code[50]);
	assert_int_equal(find(PF, 20), (uintptr_t)&code[50]);
}

static void finds_nothing_else(void **state)
{
	(void)state;
	fill();
	assert_int_equal(find(PF, 10), 0);
	for (unsigned vector = 0; vector < 300; vector++) {
		assert_int_equal(find(vector, 11), 0);
		assert_int_equal(find(vector, 9), 0);
		if (vector != GP)
			assert_int_equal(find(vector, 10), 0);
	}
	assert_int_equal(find(UINT64_MAX, 20), 0);
	assert_int_equal(extable_find(table, table, GP, (uint64_t)(uintptr_t)&code[10]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_is_listed),
		cmocka_unit_test(finds_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
