/*
 * The command framework: splitting, checking against the table, and completion.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/command.h"
#include "lib/log.h"

static char said[4096];

static void put(void *ctx, const char *text, size_t n)
{
	size_t used = strlen(said);

	(void)ctx;
	assert_true(used + n < sizeof(said));
	memcpy(said + used, text, n);
	said[used + n] = '\0';
}

static const struct out out = {.put = put};

static struct args last;
static const char *ran;

static void run_one(const struct out *o, const struct args *a)
{
	(void)o;
	last = *a;
	ran = "one";
}

static void run_two(const struct out *o, const struct args *a)
{
	last = *a;
	ran = "two";
	out_printf(o, "two %s\n", a->n ? a->word[0] : "-");
}

static const struct command table[] = {
	{"list", "[--json]", "", "", run_one, ARGUMENT_NONE, 0, 0, OPTION_JSON},
	{"log", "[...]", "", "", run_one, ARGUMENT_NONE, 0, 0,
	 OPTION_JSON | OPTION_LEVEL | OPTION_LINES},
	{"stop", "GUEST [--gentle]", "", "", run_two, ARGUMENT_GUEST, 1, 1, OPTION_GENTLE},
	{"help", "[COMMAND]", "", "", run_two, ARGUMENT_COMMAND, 0, 1, 0},
	{"see", "GUEST [...]", "", "", run_one, ARGUMENT_GUEST, 1, 1,
	 OPTION_LIVE | OPTION_KIND | OPTION_VCPU},
	{"off", "", "", "", run_one, ARGUMENT_NONE, 0, 0, 0},
};

static const char *guest(unsigned i)
{
	static const char *const names[] = {"web", "wiki", "db"};

	return i < ARRAY_SIZE(names) ? names[i] : NULL;
}

static const char *kind(unsigned i)
{
	static const char *const names[] = {"io", "cpuid", "control"};

	return i < ARRAY_SIZE(names) ? names[i] : NULL;
}

static const struct command_set set = {
	.commands = table, .n = ARRAY_SIZE(table), .guest_name = guest, .kind_name = kind};

static const char *run(const char *text)
{
	static char line[512];

	snprintf(line, sizeof(line), "%s", text);
	said[0] = '\0';
	ran = "";
	command_run(&set, line, &out);
	return said;
}

/* The words of a line, joined by '|', or the sentence. */
static const char *split(const char *text)
{
	static char line[512], joined[512];
	const char *word[4];
	struct reason why;
	int n;

	snprintf(line, sizeof(line), "%s", text);
	n = command_split(line, word, 4, &why);
	joined[0] = '\0';
	if (n < 0)
		return strcpy(joined, why.text);
	for (int i = 0; i < n; i++) {
		strcat(joined, i ? "|" : "");
		strcat(joined, word[i]);
	}
	return joined;
}

static void splits(void **state)
{
	(void)state;
	assert_string_equal(split(""), "");
	assert_string_equal(split("  \t "), "");
	assert_string_equal(split("a"), "a");
	assert_string_equal(split("  a \t b  "), "a|b");
	assert_string_equal(split("'a b' \"c d\"e"), "a b|c de");
	assert_string_equal(split("a'' ''"), "a|");
	assert_string_equal(split("'' b"), "|b");
	assert_string_equal(split("a\\ b 'c\\d' \"e\\\"f\""), "a b|c\\d|e\"f");
	assert_string_equal(split("a\\"), "a\\");
	assert_string_equal(split("\"it's\""), "it's");
	assert_string_equal(split("a b c d"), "a|b|c|d");
	assert_string_equal(split("a b c d e"), "a line has at most 4 words");
	assert_string_equal(split("a 'b"), "a ' is missing at the end");
	assert_string_equal(split("a \"b\\\""), "a \" is missing at the end");
}

static void runs(void **state)
{
	(void)state;
	assert_string_equal(run("   "), "");
	assert_string_equal(ran, "");
	assert_string_equal(run("list"), "");
	assert_string_equal(ran, "one");
	assert_false(last.json);
	assert_int_equal(last.level, -1);
	assert_int_equal(last.lines, 0);
	run("list --json");
	assert_true(last.json);
	assert_string_equal(run("stop web"), "two web\n");
	assert_false(last.gentle);
	run("stop --gentle 'w eb'");
	assert_true(last.gentle);
	assert_string_equal(last.word[0], "w eb");
	assert_string_equal(run("help"), "two -\n");
	run("log -n 12 --level=warn --json");
	assert_int_equal(last.lines, 12);
	assert_int_equal(last.level, LOG_WARN);
	assert_true(last.json);
	run("log --level debug");
	assert_int_equal(last.level, LOG_DEBUG);
	run("see --vcpu 0 web --live --kind a,b");
	assert_int_equal(last.vcpu, 0);
	assert_true(last.live);
	assert_string_equal(last.kinds, "a,b");
	run("see web --kind=x --vcpu=3");
	assert_int_equal(last.vcpu, 3);
	assert_false(last.live);
	assert_string_equal(last.kinds, "x");
	run("see web");
	assert_null(last.kinds);
	assert_string_equal(run("stop -"), "two -\n"); /* a lone dash is a word */
}

static void refuses(void **state)
{
	static const char *const cases[][2] = {
		{"lst", "error: no command 'lst': commands are list, log, stop, help, see, off\n"},
		{"'a b", "error: a ' is missing at the end\n"},
		{"list web", "error: list does not take 'web': usage: list [--json]\n"},
		{"off x", "error: off does not take 'x': usage: off\n"},
		{"off --json", "error: off has no option '--json': usage: off\n"},
		{"list --jsonx", "error: list has no option '--jsonx': usage: list [--json]\n"},
		{"list --jso", "error: list has no option '--jso': usage: list [--json]\n"},
		{"list --json=1", "error: list has no option '--json=1': usage: list [--json]\n"},
		{"stop", "error: stop wants a guest: usage: stop GUEST [--gentle]\n"},
		{"stop --gentle", "error: stop wants a guest: usage: stop GUEST [--gentle]\n"},
		{"stop a b", "error: stop does not take 'b': usage: stop GUEST [--gentle]\n"},
		{"log -n", "error: -n wants a value: usage: log [...]\n"},
		{"log -n 0", "error: -n wants a number of lines, not '0'\n"},
		{"log -n -3", "error: -n wants a number of lines, not '-3'\n"},
		{"log -n 1x", "error: -n wants a number of lines, not '1x'\n"},
		{"log -n 99999999999999",
		 "error: -n wants a number of lines, not '99999999999999'\n"},
		{"log -n ''", "error: -n wants a number of lines, not ''\n"},
		{"see web --kind", "error: --kind wants a value: usage: see GUEST [...]\n"},
		{"see web --vcpu x", "error: --vcpu wants a vCPU's number, not 'x'\n"},
		{"see web --vcpu -1", "error: --vcpu wants a vCPU's number, not '-1'\n"},
		{"log --level", "error: --level wants a value: usage: log [...]\n"},
		{"log --level=", "error: no level '': say error, warn, info or debug\n"},
		{"log --level loud", "error: no level 'loud': say error, warn, info or debug\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_string_equal(run(cases[i][0]), cases[i][1]);
		assert_string_equal(ran, "");
	}
}

static void too_many_words(void **state)
{
	char line[256] = "list";

	(void)state;
	for (int i = 0; i < 20; i++)
		strcat(line, " x");
	assert_string_equal(run(line), "error: a line has at most 16 words\n");
}

/* Any bytes are either run or answered with one sentence. */
static void random_lines(void **state)
{
	static const char bytes[] = "stop log list -n--json='\"\\ \t\xff=12";
	char line[64];

	(void)state;
	srand(4);
	for (int i = 0; i < 20000; i++) {
		size_t n = (size_t)rand() % sizeof(line);

		for (size_t k = 0; k < n; k++)
			line[k] = bytes[(size_t)rand() % (sizeof(bytes) - 1)];
		line[n] = '\0';
		run(line);
		if (said[0] && !ran[0]) {
			assert_int_equal(strncmp(said, "error: ", 7), 0);
			assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
		}
	}
}

static char offered[512];

static void take(void *ctx, const char *word)
{
	(void)ctx;
	strcat(offered, offered[0] ? "," : "");
	strcat(offered, word);
}

static void expect_offer(const char *line, size_t start, const char *candidates)
{
	offered[0] = '\0';
	assert_int_equal(command_complete((void *)&set, line, take, NULL), start);
	assert_string_equal(offered, candidates);
}

static void completes(void **state)
{
	(void)state;
	expect_offer("", 0, "list,log,stop,help,see,off");
	expect_offer("l", 0, "list,log");
	expect_offer("  l", 2, "list,log");
	expect_offer("x", 0, "");
	expect_offer("stop ", 5, "web,wiki,db");
	expect_offer("stop w", 5, "web,wiki");
	expect_offer("stop web -", 9, "--gentle");
	expect_offer("stop --g", 5, "--gentle");
	expect_offer("  stop  d", 8, "db");
	expect_offer("help l", 5, "list,log");
	expect_offer("list ", 5, "");
	expect_offer("list --", 5, "--json");
	expect_offer("log -", 4, "--json,--level,-n");
	expect_offer("off -", 4, "");
	expect_offer("see web --", 8, "--live,--kind,--vcpu");
	expect_offer("see web --k", 8, "--kind");
	expect_offer("see web --kind ", 15, "io,cpuid,control");
	expect_offer("see web --kind  c", 16, "cpuid,control");
	expect_offer("see web --kind io,c", 18, "cpuid,control");
	expect_offer("see web --kind io,", 18, "io,cpuid,control");
	expect_offer("see web --kind=c", 15, "cpuid,control");
	expect_offer("see web --kind=io,cp", 18, "cpuid");
	expect_offer("see --kind io w", 14, "web,wiki");
	expect_offer("see x--kind ", 12, "web,wiki,db");
	expect_offer("stop --kind ", 12, "web,wiki,db");
	expect_offer("nonsense w", 9, "");
	expect_offer("a-very-long-word-that-is-no-command-at-all w", 43, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits),       cmocka_unit_test(runs),
		cmocka_unit_test(refuses),      cmocka_unit_test(too_many_words),
		cmocka_unit_test(random_lines), cmocka_unit_test(completes),
	};

	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
