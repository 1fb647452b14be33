/* Refusals: the sentence, its cut, and that nobody has to want it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "lib/reason.h"

static void test_sentence(void **state)
{
	struct reason why;

	(void)state;
	memset(&why, 0x5a, sizeof(why));
	assert_int_equal(refuse(&why, ERR_RANGE, "guest %s has %u vCPUs", "web", 3u), ERR_RANGE);
	assert_string_equal(why.text, "guest web has 3 vCPUs");
	assert_int_equal(refuse(&why, ERR_INVALID, "shorter"), ERR_INVALID);
	assert_string_equal(why.text, "shorter");
}

static void test_cut(void **state)
{
	struct {
		struct reason why;
		char guard[16];
	} r;
	char name[1000];

	(void)state;
	memset(&r, 0x5a, sizeof(r));
	for (size_t n = sizeof(r.why.text) - 10; n < sizeof(r.why.text) + 10; n++) {
		memset(name, 'x', n);
		name[n] = 0;
		assert_int_equal(refuse(&r.why, ERR_STATE, "%s", name), ERR_STATE);
		assert_int_equal(strlen(r.why.text), MIN(n, sizeof(r.why.text) - 1));
		assert_int_equal(r.guard[0], 0x5a);
	}
}

static void test_nobody_asks(void **state)
{
	(void)state;
	assert_int_equal(refuse(NULL, ERR_TIMEOUT, "%s", "unheard"), ERR_TIMEOUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sentence),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_nobody_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
