/*
 * The shared terminal: own lines begin at a line's start and cut nothing in two; and guests' output
 * as lines of plain text.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/guest_lines.h"
#include "console/terminal.h"

static char shown[65536];
static size_t used;

static void put(void *ctx, const char *text, size_t n)
{
	(void)ctx;
	assert_true(used + n < sizeof(shown));
	memcpy(shown + used, text, n);
	used += n;
	shown[used] = '\0';
}

static const struct out out = {.put = put};
static struct lineedit edit;
static struct terminal term;

static size_t no_words(void *ctx, const char *line, lineedit_candidate *take, void *take_ctx)
{
	(void)ctx;
	(void)take;
	(void)take_ctx;
	return strlen(line);
}

static int setup(void **state)
{
	(void)state;
	used = 0;
	shown[0] = '\0';
	lineedit_init(&edit, &out, "> ", no_words, NULL);
	terminal_init(&term, &out, &edit);
	return 0;
}

static void guest(const char *text)
{
	terminal_guest_bytes(&term, (const uint8_t *)text, strlen(text));
}

static void own_lines_between_guest_lines(void **state)
{
	(void)state;
	terminal_line(&term, "one");
	guest("a\r\n");
	terminal_line(&term, "two");
	guest("login: ");
	terminal_line(&term, "three");
	terminal_line(&term, "four");
	assert_string_equal(shown, "one\r\na\r\ntwo\r\nlogin: \r\nthree\r\nfour\r\n");
}

static void carriage_return_is_no_line_start(void **state)
{
	(void)state;
	guest("10 %\r");
	terminal_line(&term, "x");
	guest("\r");
	terminal_line(&term, "y");
	guest("a\n\r");
	terminal_line(&term, "z");
	assert_string_equal(shown, "10 %\r\r\nx\r\n\ry\r\na\n\rz\r\n");
}

static void guest_bytes_pass_raw(void **state)
{
	char all[256];

	(void)state;
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	terminal_guest_bytes(&term, (const uint8_t *)all, sizeof(all));
	assert_int_equal(used, sizeof(all));
	assert_memory_equal(shown, all, sizeof(all));
}

static void sequences_are_not_cut(void **state)
{
	static const char *const whole[] = {
		"\x1b[31m", "\x1b[?1049h", "\x1b(B",       "\x1b]0;title\x07", "\x1b]0;title\x1b\\",
		"\x1bM",    "\xc3\xa4",    "\xe2\x82\xac", "\xf0\x9f\x98\x80",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
		size_t n = strlen(whole[i]);

		for (size_t k = 0; k < n; k++) {
			guest((char[2]){whole[i][k], '\0'});
			assert_int_equal(terminal_may_interrupt(&term), k == n - 1);
		}
	}
	guest("\x80\xbf"); /* stray continuation bytes */
	assert_true(terminal_may_interrupt(&term));
	guest("\xf0"
	      "ab"); /* a character that never ends */
	assert_true(terminal_may_interrupt(&term));
}

static void an_endless_string_is_closed(void **state)
{
	(void)state;
	guest("\x1b]0;ti");
	terminal_line(&term, "x");
	assert_true(terminal_may_interrupt(&term));
	assert_string_equal(shown, "\x1b]0;ti\x1b\\\r\nx\r\n");
}

static void prompt_makes_way(void **state)
{
	(void)state;
	lineedit_show(&edit);
	assert_false(lineedit_feed(&edit, 'l'));
	terminal_line(&term, "one");
	terminal_line(&term, "two");
	lineedit_show(&edit);
	assert_string_equal(shown, "> l\r\x1b[Kone\r\ntwo\r\n\r> l\x1b[K");
}

static void command_output(void **state)
{
	(void)state;
	terminal_text(&term, "a\nb\n\nc", 6);
	assert_string_equal(shown, "a\r\nb\r\n\r\nc");
	terminal_fresh_line(&term);
	terminal_fresh_line(&term);
	assert_string_equal(shown, "a\r\nb\r\n\r\nc\r\n");
}

/* ---- guest_lines ---- */

static struct guest_lines lines;

static void show(void *ctx, const char *line)
{
	(void)ctx;
	assert_true(strlen(line) < GUEST_LINE_MAX);
	put(NULL, "<", 1);
	put(NULL, line, strlen(line));
	put(NULL, ">", 1);
}

static int setup_lines(void **state)
{
	memset(&lines, 0, sizeof(lines));
	return setup(state);
}

static void feed(const char *text, uint64_t now)
{
	guest_lines_feed(&lines, (const uint8_t *)text, strlen(text), now, show, NULL);
}

static void whole_lines(void **state)
{
	(void)state;
	feed("one\r\ntw", 0);
	feed("o\n\r\n\nend", 0);
	assert_string_equal(shown, "<one><two><><>");
	guest_lines_end(&lines, show, NULL);
	guest_lines_end(&lines, show, NULL);
	assert_string_equal(shown, "<one><two><><><end>");
}

static void plain_text_only(void **state)
{
	(void)state;
	feed("\x1b[1;31mred\x1b[0m \x1b]0;t\x07x\x1b]0;t\x1b\\y\x1b(Bz\a\b\x7f\tt \xc3\xa4\n", 0);
	assert_string_equal(shown, "<red xyz\tt \xc3\xa4>");
	feed("\x1b]never\nnext\n", 0); /* a line end gets out of everything */
	assert_string_equal(shown + 14, "<><next>");
}

/* U+0080 to U+009F: controls of one character, in UTF-8 and as bare bytes. */
static void no_c1_controls(void **state)
{
	(void)state;
	feed("a\xc2\x9b"
	     "2Jb\x9b"
	     "c\xc2\xa0\xc3\x84\xe2\x82\x80\n",
	     0);
	assert_string_equal(shown, "<a2Jbc\xc2\xa0\xc3\x84\xe2\x82\x80>");
}

static void partial_lines_after_a_while(void **state)
{
	(void)state;
	feed("login: ", 1000);
	guest_lines_tick(&lines, 1000 + GUEST_LINE_FLUSH - 1, show, NULL);
	assert_string_equal(shown, "");
	guest_lines_tick(&lines, 1000 + GUEST_LINE_FLUSH, show, NULL);
	assert_string_equal(shown, "<login: >");
	guest_lines_tick(&lines, UINT64_MAX, show, NULL);
	assert_string_equal(shown, "<login: >");
	feed("\r\n", 0); /* its end: not an empty line */
	assert_string_equal(shown, "<login: >");
	feed("\r\nx\n", 0);
	assert_string_equal(shown, "<login: ><><x>");
}

static void waiting_counts_from_the_first_byte(void **state)
{
	(void)state;
	feed("a\nb", 10);
	feed("c", 10 + GUEST_LINE_FLUSH / 2);
	guest_lines_tick(&lines, 10 + GUEST_LINE_FLUSH, show, NULL);
	assert_string_equal(shown, "<a><bc>");
}

static void long_lines_are_split(void **state)
{
	char text[3 * GUEST_LINE_MAX];
	size_t bytes = 0;

	(void)state;
	for (size_t n = 1; n < sizeof(text); n++) {
		setup_lines(NULL);
		memset(text, 'x', n);
		text[n] = '\0';
		feed(text, 0);
		feed("\n", 0);
		bytes = 0;
		for (size_t i = 0; i < used; i++)
			bytes += shown[i] == 'x';
		assert_int_equal(bytes, n);
		assert_int_equal(used, n + 2 * ((n + GUEST_LINE_MAX - 2) / (GUEST_LINE_MAX - 1)));
	}
}

static void random_bytes(void **state)
{
	uint8_t bytes[64];

	(void)state;
	srand(5);
	for (int i = 0; i < 20000; i++) {
		size_t n = (size_t)rand() % sizeof(bytes);

		used = 0;
		for (size_t k = 0; k < n; k++)
			bytes[k] = (uint8_t)(rand() % 4 ? rand() : "\x1b[]\n\\m"[rand() % 6]);
		guest_lines_feed(&lines, bytes, n, 0, show, NULL);
		assert_true(lines.len < GUEST_LINE_MAX);
		for (size_t k = 0; k < used; k++)
			assert_true((uint8_t)shown[k] >= 0x20 || shown[k] == '\t');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(own_lines_between_guest_lines, setup),
		cmocka_unit_test_setup(carriage_return_is_no_line_start, setup),
		cmocka_unit_test_setup(guest_bytes_pass_raw, setup),
		cmocka_unit_test_setup(sequences_are_not_cut, setup),
		cmocka_unit_test_setup(an_endless_string_is_closed, setup),
		cmocka_unit_test_setup(prompt_makes_way, setup),
		cmocka_unit_test_setup(command_output, setup),
		cmocka_unit_test_setup(whole_lines, setup_lines),
		cmocka_unit_test_setup(plain_text_only, setup_lines),
		cmocka_unit_test_setup(no_c1_controls, setup_lines),
		cmocka_unit_test_setup(partial_lines_after_a_while, setup_lines),
		cmocka_unit_test_setup(waiting_counts_from_the_first_byte, setup_lines),
		cmocka_unit_test_setup(long_lines_are_split, setup_lines),
		cmocka_unit_test_setup(random_bytes, setup_lines),
	};

	return cmocka_run_group_tests_name("terminal", tests, NULL, NULL);
}
