/*
 * The line editor, seen through a small terminal model: what the administrator sees is the prompt
 * and the part of the line around the cursor, whatever was typed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/lineedit.h"

/* ---- a terminal of one interesting row ---- */

static char row[TERMINAL_WIDTH + 1], raw[65536];
static size_t column, raw_len, rows, bells;
static int esc_state, esc_number;

static void clear_row(size_t from)
{
	for (size_t i = from; i < TERMINAL_WIDTH; i++)
		row[i] = ' ';
}

static void terminal_byte(char c)
{
	if (esc_state == 1) {
		assert_int_equal(c, '[');
		esc_state = 2;
		esc_number = 0;
	} else if (esc_state == 2 && c >= '0' && c <= '9') {
		esc_number = esc_number * 10 + c - '0';
	} else if (esc_state == 2) {
		esc_state = 0;
		if (c == 'K') {
			clear_row(column);
		} else if (c == 'D') {
			assert_true((size_t)esc_number <= column);
			column -= (size_t)esc_number;
		} else if (c == 'H') {
			column = 0;
		} else {
			assert_int_equal(c, 'J');
			clear_row(0);
		}
	} else if (c == 0x1b) {
		esc_state = 1;
	} else if (c == '\r') {
		column = 0;
	} else if (c == '\n') {
		rows++;
		clear_row(0);
	} else if (c == '\a') {
		bells++;
	} else {
		assert_true(c >= 0x20 && c < 0x7f);
		assert_true(column < TERMINAL_WIDTH - 1); /* never into the last column */
		row[column++] = c;
	}
}

static void put(void *ctx, const char *text, size_t n)
{
	(void)ctx;
	assert_true(raw_len + n < sizeof(raw));
	memcpy(raw + raw_len, text, n);
	raw_len += n;
	raw[raw_len] = '\0';
	for (size_t i = 0; i < n; i++)
		terminal_byte(text[i]);
}

static const struct out out = {.put = put};

static const char *const words[] = {"pause", "poweroff", "reset", "resume", NULL};

static size_t complete(void *ctx, const char *line, lineedit_candidate *take, void *take_ctx)
{
	size_t start = strlen(line);

	(void)ctx;
	while (start && line[start - 1] != ' ')
		start--;
	for (int i = 0; words[i]; i++)
		if (!strncmp(words[i], line + start, strlen(line + start)))
			take(take_ctx, words[i]);
	return start;
}

static struct lineedit e;

static int setup(void **state)
{
	(void)state;
	column = raw_len = rows = bells = 0;
	esc_state = 0;
	clear_row(0);
	lineedit_init(&e, &out, "> ", complete, NULL);
	lineedit_show(&e);
	return 0;
}

/* Types; lines that Enter ends are dropped. Returns the last one that was ended. */
static const char *type(const char *keys)
{
	static char done[LINE_MAX_BYTES];

	done[0] = '\0';
	for (; *keys; keys++)
		if (lineedit_feed(&e, (uint8_t)*keys)) {
			snprintf(done, sizeof(done), "%s", e.line);
			lineedit_next(&e);
			lineedit_show(&e);
		}
	return done;
}

static void expect_screen(const char *line, size_t cursor)
{
	char want[TERMINAL_WIDTH + 1];

	snprintf(want, sizeof(want), "> %-*s", TERMINAL_WIDTH - 2, line);
	assert_string_equal(row, want);
	assert_int_equal(column, 2 + cursor);
}

#define UP    "\x1b[A"
#define DOWN  "\x1b[B"
#define RIGHT "\x1b[C"
#define LEFT  "\x1b[D"

static void types_a_line(void **state)
{
	(void)state;
	assert_string_equal(type("list"), "");
	expect_screen("list", 4);
	assert_string_equal(raw, "> list"); /* plain echo, nothing else */
	assert_string_equal(type("\r"), "list");
	assert_int_equal(rows, 1);
	expect_screen("", 0);
}

static void line_ends(void **state)
{
	(void)state;
	assert_string_equal(type("a\n"), "a");
	assert_string_equal(type("b\r\n"), "b");
	assert_int_equal(rows, 2); /* CR LF is one end */
	assert_string_equal(type("\r"), "");
	assert_string_equal(type("\n"), ""); /* still the second half */
	assert_int_equal(rows, 3);
	type("\n");
	assert_int_equal(rows, 4);
}

static void moves_and_inserts(void **state)
{
	(void)state;
	type("bd" LEFT "c" LEFT LEFT "a");
	expect_screen("abcd", 1);
	type(RIGHT RIGHT RIGHT RIGHT RIGHT "e");
	expect_screen("abcde", 5);
	type("\x01"
	     "0");
	expect_screen("0abcde", 1);
	type("\x05"
	     "9");
	expect_screen("0abcde9", 7);
	type("\x02\x02\x06");
	expect_screen("0abcde9", 6);
	assert_string_equal(type("\r"), "0abcde9");
}

static void home_and_end_of_all_terminals(void **state)
{
	static const char *const home[] = {"\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~", "\x01"};
	static const char *const end[] = {"\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~", "\x05"};

	(void)state;
	type("abc");
	for (size_t i = 0; i < ARRAY_SIZE(home); i++) {
		type(home[i]);
		expect_screen("abc", 0);
		type(end[i]);
		expect_screen("abc", 3);
	}
	type("\x1bOD\x1bOD");
	expect_screen("abc", 1);
	type("\x1bOC");
	expect_screen("abc", 2);
}

static void deletes(void **state)
{
	(void)state;
	type("abcdef\b");
	expect_screen("abcde", 5);
	type("\x7f" LEFT LEFT "\x7f");
	expect_screen("acd", 1);
	type("\x1b[3~");
	expect_screen("ad", 1);
	type("\x04");
	expect_screen("a", 1);
	type("\x04\x1b[3~");
	expect_screen("a", 1);
	type("\x7f\x7f\x7f\x04");
	expect_screen("", 0);
}

static void cuts(void **state)
{
	(void)state;
	type("one two  three" LEFT LEFT "\x0b");
	expect_screen("one two  thr", 12);
	type("\x17");
	expect_screen("one two  ", 9);
	type("\x17");
	expect_screen("one ", 4);
	type("x\x01" RIGHT "\x15");
	expect_screen("ne x", 0);
	type("\x17\x15");
	expect_screen("ne x", 0);
	type("\x0b");
	expect_screen("", 0);
}

static void ctrl_c_and_ctrl_l(void **state)
{
	(void)state;
	type("abc\x03");
	assert_int_equal(rows, 1);
	expect_screen("", 0);
	assert_string_equal(type("x\r"), "x");
	type("abc" LEFT "\x0c");
	expect_screen("abc", 2);
}

static void history(void **state)
{
	(void)state;
	type("one\rtwo\rtwo\r   \r\rthree\r");
	type("new" UP);
	expect_screen("three", 5);
	type(UP);
	expect_screen("two", 3);
	type("\x10");
	expect_screen("one", 3);
	bells = 0;
	type(UP);
	expect_screen("one", 3);
	assert_int_equal(bells, 1);
	type(DOWN DOWN "\x0e");
	expect_screen("new", 3);
	type(DOWN);
	expect_screen("new", 3);
	assert_int_equal(bells, 2);
	assert_string_equal(type(UP UP "!\r"), "two!");
	type(UP UP UP);
	expect_screen("two", 3); /* the old one is unchanged */
}

static void history_is_bounded(void **state)
{
	char line[16];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(line, sizeof(line), "l%d\r", i);
		type(line);
	}
	for (int i = 0; i < 200; i++)
		type(UP);
	expect_screen("l68", 3);
	for (int i = 0; i < 31; i++)
		type(DOWN);
	expect_screen("l99", 3);
	type(DOWN);
	expect_screen("", 0);
}

static void completes(void **state)
{
	(void)state;
	type("pa\t");
	expect_screen("pause ", 6);
	type("r\t");
	expect_screen("pause res", 9);
	assert_int_equal(bells, 0);
	type("\t");
	assert_int_equal(rows, 2); /* listed below, and the line is back */
	assert_non_null(strstr(raw, "\r\nreset  resume\r\n"));
	expect_screen("pause res", 9);
	type("e\t");
	expect_screen("pause reset ", 12);
	type("zz\t");
	expect_screen("pause reset zz", 14);
	assert_int_equal(bells, 1);
	type("\t\t");
	assert_int_equal(rows, 2); /* nothing to list */
}

static void completes_in_the_middle(void **state)
{
	(void)state;
	type("res x" LEFT LEFT "u\t");
	expect_screen("resume x", 6);
	assert_string_equal(type("\r"), "resume x");
}

static void tab_then_other_key_then_tab(void **state)
{
	(void)state;
	type("re\t");
	assert_int_equal(rows, 0);
	type("s\x7f\t");
	assert_int_equal(rows, 0); /* not twice in a row */
}

static void long_lines_scroll(void **state)
{
	char line[LINE_MAX_BYTES];

	(void)state;
	for (size_t i = 0; i < LINE_MAX_BYTES - 1; i++) {
		line[i] = (char)('a' + i % 26);
		line[i + 1] = '\0';
		type((char[2]){line[i], '\0'});
		assert_int_equal(e.len, i + 1);
		assert_int_equal(row[column - 1], line[i]);
	}
	bells = 0;
	type("x");
	assert_int_equal(bells, 1);
	assert_int_equal(e.len, LINE_MAX_BYTES - 1);
	for (size_t i = LINE_MAX_BYTES - 1; i-- > 0;) {
		type(LEFT);
		assert_int_equal(row[column], line[i]);
	}
	assert_memory_equal(row + 2, line, TERMINAL_WIDTH - 3);
}

static void unknown_sequences_are_swallowed(void **state)
{
	(void)state;
	type("a\x1b[15~\x1b[1;5C\x1b[200~\x1b[<0;1;1M\x1bOP\x1bx\x1b[99999999999~b");
	assert_string_equal(type("\r"), "ab");
	type("c\xc3\xa4\x80\xff"
	     "d\x00\x1c\x1f");
	assert_string_equal(type("\r"), "cd");
	assert_string_equal(type("e\x1b[\r"), "e"); /* a control key ends a sequence */
}

static void lone_escape(void **state)
{
	(void)state;
	type("a\x1b");
	lineedit_timeout(&e);
	assert_string_equal(type("[A\r"), "a[A");
	type("b\x1b\x1b[D"
	     "c"); /* ESC ESC [ D: the second one counts */
	assert_string_equal(type("\r"), "cb");
}

static void hides_and_shows(void **state)
{
	(void)state;
	type("abc" LEFT);
	lineedit_hide(&e);
	assert_int_equal(column, 0);
	assert_string_equal(
		row,
		"                                                                                ");
	lineedit_hide(&e);
	put(NULL, "log line\r\n", 10);
	lineedit_show(&e);
	expect_screen("abc", 2);
	raw_len = 0;
	lineedit_show(&e);
	assert_int_equal(raw_len, 0);
	lineedit_hide(&e);
	type("x"); /* typing brings it back */
	expect_screen("abxc", 3);
}

/* Whatever is typed, the line stays within bounds and the screen agrees with it. */
static void random_keys(void **state)
{
	static const char *const keys[] = {
		"a",    "b ",    "\t",      LEFT,
		RIGHT,  UP,      DOWN,      "\x7f",
		"\x04", "\x01",  "\x05",    "\x0b",
		"\x15", "\x17",  "\r",      "\x1b",
		"[",    "\x1b[", "\x1b[3~", "pause ",
		"\x03", "\x80",  "\n",      "some quite long text to make it scroll "};

	(void)state;
	srand(3);
	for (int i = 0; i < 20000; i++) {
		raw_len = 0;
		type(keys[(size_t)rand() % ARRAY_SIZE(keys)]);
		assert_true(e.len < LINE_MAX_BYTES && e.pos <= e.len && e.scroll <= e.pos);
		assert_int_equal(strlen(e.line), e.len);
		assert_int_equal(column, 2 + e.pos - e.scroll);
		for (size_t c = 2; c < TERMINAL_WIDTH - 1; c++) {
			size_t at = e.scroll + c - 2;

			assert_int_equal(row[c], at < e.len ? e.line[at] : ' ');
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(types_a_line, setup),
		cmocka_unit_test_setup(line_ends, setup),
		cmocka_unit_test_setup(moves_and_inserts, setup),
		cmocka_unit_test_setup(home_and_end_of_all_terminals, setup),
		cmocka_unit_test_setup(deletes, setup),
		cmocka_unit_test_setup(cuts, setup),
		cmocka_unit_test_setup(ctrl_c_and_ctrl_l, setup),
		cmocka_unit_test_setup(history, setup),
		cmocka_unit_test_setup(history_is_bounded, setup),
		cmocka_unit_test_setup(completes, setup),
		cmocka_unit_test_setup(completes_in_the_middle, setup),
		cmocka_unit_test_setup(tab_then_other_key_then_tab, setup),
		cmocka_unit_test_setup(long_lines_scroll, setup),
		cmocka_unit_test_setup(unknown_sequences_are_swallowed, setup),
		cmocka_unit_test_setup(lone_escape, setup),
		cmocka_unit_test_setup(hides_and_shows, setup),
		cmocka_unit_test_setup(random_keys, setup),
	};

	return cmocka_run_group_tests_name("lineedit", tests, NULL, NULL);
}
