/*
 * The JSON writer: commas, nesting, and strings of any bytes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "lib/json_out.h"

static char text[4096];
static size_t used;

static void put(void *ctx, const char *s, size_t n)
{
	(void)ctx;
	assert_true(used + n < sizeof(text));
	memcpy(text + used, s, n);
	used += n;
	text[used] = '\0';
}

static struct json_out fresh(void)
{
	struct json_out j;

	used = 0;
	text[0] = '\0';
	json_init(&j, put, NULL);
	return j;
}

static void nests_and_separates(void **state)
{
	struct json_out j = fresh();

	(void)state;
	json_object(&j, NULL);
	json_string(&j, "a", "x");
	json_array(&j, "b");
	json_uint(&j, NULL, 0);
	json_uint(&j, NULL, UINT64_MAX);
	json_int(&j, NULL, INT64_MIN);
	json_object(&j, NULL);
	json_end(&j);
	json_array(&j, NULL);
	json_end(&j);
	json_end(&j);
	json_bool(&j, "c", true);
	json_bool(&j, "d", false);
	json_null(&j, "e");
	json_end(&j);
	assert_string_equal(
		text, "{\"a\":\"x\",\"b\":[0,18446744073709551615,-9223372036854775808,{},[]],"
		      "\"c\":true,\"d\":false,\"e\":null}");
	assert_int_equal(j.depth, 0);
	json_end(&j); /* one too many changes nothing */
	assert_int_equal(j.depth, 0);
}

static void empty_array_then_member(void **state)
{
	struct json_out j = fresh();

	(void)state;
	json_array(&j, NULL);
	json_array(&j, NULL);
	json_uint(&j, NULL, 1);
	json_end(&j);
	json_object(&j, NULL); /* at a depth that had a member before */
	json_uint(&j, "k", 2);
	json_end(&j);
	json_end(&j);
	assert_string_equal(text, "[[1],{\"k\":2}]");
}

static void expect_escaped(const char *in, size_t n, const char *out)
{
	struct json_out j = fresh();

	json_bytes(&j, NULL, in, n);
	assert_string_equal(text, out);
}

static void escapes(void **state)
{
	(void)state;
	expect_escaped("", 0, "\"\"");
	expect_escaped("a\"b\\c/", 6, "\"a\\\"b\\\\c/\"");
	expect_escaped("\xc2\x9b\xc2\xa0", 4, "\"\\u009b\xc2\xa0\"");
	expect_escaped("\0\x1f\n\x7f ", 5, "\"\\u0000\\u001f\\u000a\\u007f \"");
}

static void keys_are_escaped(void **state)
{
	struct json_out j = fresh();

	(void)state;
	json_object(&j, NULL);
	json_uint(&j, "\"", 1);
	json_end(&j);
	assert_string_equal(text, "{\"\\\"\":1}");
}

static void utf8_is_checked(void **state)
{
	(void)state;
	expect_escaped("\xc3\xa4", 2, "\"\xc3\xa4\"");
	expect_escaped("\xe2\x82\xac", 3, "\"\xe2\x82\xac\"");
	expect_escaped("\xf0\x9f\x98\x80", 4, "\"\xf0\x9f\x98\x80\"");
	expect_escaped("\xf4\x8f\xbf\xbf", 4, "\"\xf4\x8f\xbf\xbf\"");
	/* cut short, at each byte */
	expect_escaped("\xc3", 1, "\"\\ufffd\"");
	expect_escaped("\xe2\x82", 2, "\"\\ufffd\\ufffd\"");
	expect_escaped("\xf0\x9f\x98", 3, "\"\\ufffd\\ufffd\\ufffd\"");
	/* continuation alone, overlong, surrogate, too large, never valid */
	expect_escaped("\x80x", 2, "\"\\ufffdx\"");
	expect_escaped("\xc0\x80", 2, "\"\\ufffd\\ufffd\"");
	expect_escaped("\xc1\xbf", 2, "\"\\ufffd\\ufffd\"");
	expect_escaped("\xe0\x9f\xbf", 3, "\"\\ufffd\\ufffd\\ufffd\"");
	expect_escaped("\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\"");
	expect_escaped("\xf0\x8f\xbf\xbf", 4, "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
	expect_escaped("\xf4\x90\x80\x80", 4, "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
	expect_escaped("\xff\xfe", 2, "\"\\ufffd\\ufffd\"");
	expect_escaped("\xc3(", 2, "\"\\ufffd(\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nests_and_separates),
		cmocka_unit_test(empty_array_then_member),
		cmocka_unit_test(escapes),
		cmocka_unit_test(keys_are_escaped),
		cmocka_unit_test(utf8_is_checked),
	};

	return cmocka_run_group_tests_name("json_out", tests, NULL, NULL);
}
