/*
 * Names of a guest's functions: lists as nm and Linux have them, and what is no list at all.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guests/guest_symbols.h"

static struct guest_symbols symbols;
static struct guest_symbols_count counted;

/* Both are copied to memory of just their size, so that a read beyond is found. */
static void load(const char *text, size_t size)
{
	char *copy = malloc(size ? size : 1);

	free((char *)(uintptr_t)symbols.text);
	free(symbols.index);
	memcpy(copy, text, size);
	guest_symbols_count(copy, (uint32_t)size, &counted);
	symbols = (struct guest_symbols){.text = copy, .size = (uint32_t)size};
	symbols.index =
		malloc((counted.functions ? counted.functions : 1) * sizeof(*symbols.index));
	guest_symbols_index(&symbols, counted.functions);
	assert_int_equal(symbols.n, counted.functions);
	for (uint32_t i = 1; i < symbols.n; i++)
		assert_true(symbols.index[i - 1].address <= symbols.index[i].address);
}

static void load_text(const char *text)
{
	load(text, strlen(text));
}

static int forget(void **state)
{
	(void)state;
	free((char *)(uintptr_t)symbols.text);
	free(symbols.index);
	symbols = (struct guest_symbols){0};
	return 0;
}

static void expect_name(uint64_t address, const char *name)
{
	char buf[64];
	const char *got = guest_symbols_name(&symbols, address, buf, sizeof(buf));

	if (name)
		assert_string_equal(got, name);
	else
		assert_null(got);
}

static void linux_system_map(void **state)
{
	(void)state;
	load_text("0000000000000000 D __per_cpu_start\n"
		  "0000000000001000 d cpu_debug_store\n"
		  "ffffffff81000000 T startup_64\n"
		  "ffffffff81000000 T _stext\n"
		  "ffffffff81000000 T _text\n"
		  "ffffffff81000040 t verify_cpu.cold\n"
		  "ffffffff81c00000 T _etext\n"
		  "ffffffff82000000 R __start_rodata\n");
	assert_int_equal(counted.functions, 5);
	assert_int_equal(counted.bad, 0);
	expect_name(0xffffffff81000000, "startup_64+0x0");
	expect_name(0xffffffff8100003f, "startup_64+0x3f");
	expect_name(0xffffffff81000040, "verify_cpu.cold+0x0");
	expect_name(0xffffffff81c00004, "_etext+0x4");
	expect_name(0xffffffff80ffffff, NULL);
	expect_name(0, NULL);
	expect_name(0x1000, NULL);
	/* too far behind the one before: a module's code, say */
	expect_name(0xffffffff81c00000 + GUEST_SYMBOL_REACH - 1, "_etext+0xfffff");
	expect_name(0xffffffff81c00000 + GUEST_SYMBOL_REACH, NULL);
	expect_name(0xffffffffc0000000, NULL);
	expect_name(UINT64_MAX, NULL);
}

static void nm_output_in_any_order(void **state)
{
	(void)state;
	load_text("         U puts\n"
		  "00100030 t zero\n"
		  "00100000 T begin\r\n"
		  "         w __gmon_start__\n"
		  "\n"
		  "00100020 W middle\t[module]\n"
		  "00200000 B table\n"
		  "00100010 i chosen");
	assert_int_equal(counted.functions, 4);
	assert_int_equal(counted.bad, 0);
	expect_name(0x100000, "begin+0x0");
	expect_name(0x10001f, "chosen+0xf");
	expect_name(0x100020, "middle+0x0");
	expect_name(0x100031, "zero+0x1");
}

static void what_is_no_line_is_passed_over_and_counted(void **state)
{
	(void)state;
	load_text("100 T good\n"
		  "hello world\n"
		  "100\n"
		  "100 T\n"
		  "100 T \n"
		  "100 TT name\n"
		  "10g T name\n"
		  "0x100 T name\n"
		  "11112222333344445 T name\n"
		  "100 T n\001me\n"
		  "100 T n\303\244me\n"
		  "100 1 name\n"
		  "T name\n"
		  "200 T too\n");
	assert_int_equal(counted.functions, 2);
	assert_int_equal(counted.bad, 12);
	assert_int_equal(counted.first_bad, 2);
	expect_name(0x100, "good+0x0");
	expect_name(0x201, "too+0x1");
}

static void empty_and_binary(void **state)
{
	static char noise[20000];

	(void)state;
	load_text("");
	assert_int_equal(counted.functions, 0);
	assert_int_equal(counted.bad, 0);
	expect_name(0, NULL);
	load_text("\n\n \n");
	assert_int_equal(counted.bad, 0);
	load_text("1000 T only");
	expect_name(0x1000, "only+0x0");
	srand(1);
	for (unsigned round = 0; round < 50; round++) {
		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (char)rand();
		load(noise, sizeof(noise));
		expect_name(0x1000, NULL);
	}
	/* one line without an end */
	memset(noise, 'a', sizeof(noise));
	load(noise, sizeof(noise));
	assert_int_equal(counted.bad, 1);
	assert_int_equal(counted.first_bad, 1);
}

static void long_names(void **state)
{
	char line[GUEST_SYMBOL_LINE_MAX + 2], buf[GUEST_SYMBOL_LINE_MAX + 40];

	(void)state;
	memset(line, 'n', sizeof(line));
	memcpy(line, "100 T ", 6);
	load(line, GUEST_SYMBOL_LINE_MAX);
	assert_int_equal(counted.functions, 1);
	assert_int_equal(strlen(guest_symbols_name(&symbols, 0x100, buf, sizeof(buf))),
			 GUEST_SYMBOL_LINE_MAX - 6 + 4);
	assert_int_equal(strlen(guest_symbols_name(&symbols, 0x100, buf, 20)), 19); /* cut */
	load(line, GUEST_SYMBOL_LINE_MAX + 1);
	assert_int_equal(counted.functions, 0);
	assert_int_equal(counted.bad, 1);
}

/* Cut anywhere, and with each byte changed: it may mean something else, but nothing is read
 * outside. */
static void broken_anywhere(void **state)
{
	static const char text[] =
		"ffffffff81000000 T one\n  U two\nffffffff81000010 t three\tx\r\n";
	char changed[sizeof(text)];

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++)
		load(text, n);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			char buf[80];

			memcpy(changed, text, sizeof(text));
			changed[i] = (char)(changed[i] ^ 1 << bit);
			load(changed, sizeof(text) - 1);
			guest_symbols_name(&symbols, 0xffffffff81000008, buf, sizeof(buf));
		}
	}
}

static void many_in_any_order(void **state)
{
	enum {
		N = 5000
	};
	static char text[N * 24];
	size_t len = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		unsigned k = i * 3779 % N; /* each number once */

		len += (size_t)sprintf(text + len, "%x t f%u\n", 0x1000 + 16 * k, k);
	}
	load(text, len);
	for (unsigned k = 0; k < N; k++) {
		char name[32];

		sprintf(name, "f%u+0xf", k);
		expect_name(0x1000 + 16 * k + 15, name);
	}
}

static void an_index_with_too_little_room(void **state)
{
	(void)state;
	load_text("100 T one\n200 T two\n");
	guest_symbols_index(&symbols, 1);
	assert_int_equal(symbols.n, 1);
	expect_name(0x200, "one+0x100");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_system_map),
		cmocka_unit_test(nm_output_in_any_order),
		cmocka_unit_test(what_is_no_line_is_passed_over_and_counted),
		cmocka_unit_test(empty_and_binary),
		cmocka_unit_test(long_names),
		cmocka_unit_test(broken_anywhere),
		cmocka_unit_test(many_in_any_order),
		cmocka_unit_test(an_index_with_too_little_room),
	};

	return cmocka_run_group_tests_name("guest_symbols", tests, NULL, forget);
}
