/*
 * The words of a fault report.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "arch/x86/state.h"
#include "arch/x86/traps.h"

static char buf[160];

static const char *words(uint64_t vector, uint64_t error)
{
	memset(buf, 'x', sizeof(buf));
	return error_words(vector, error, buf, sizeof(buf));
}

static void names_vectors(void **state)
{
	(void)state;
	assert_string_equal(trap_name(0), "divide error");
	assert_string_equal(trap_name(8), "double fault");
	assert_string_equal(trap_name(13), "general protection fault");
	assert_string_equal(trap_name(14), "page fault");
	assert_string_equal(trap_name(30), "security exception");
	assert_string_equal(trap_name(15), "unexpected vector");
	assert_string_equal(trap_name(31), "unexpected vector");
	assert_string_equal(trap_name(32), "unexpected vector");
	assert_string_equal(trap_name(UINT64_MAX), "unexpected vector");
}

static void explains_page_faults(void **state)
{
	(void)state;
	assert_string_equal(words(VEC_PF, 0x00), "supervisor read, page not present");
	assert_string_equal(words(VEC_PF, 0x02), "supervisor write, page not present");
	assert_string_equal(words(VEC_PF, 0x03), "supervisor write, page not writable");
	assert_string_equal(words(VEC_PF, 0x01), "supervisor read, page not accessible");
	assert_string_equal(words(VEC_PF, 0x10), "supervisor instruction fetch, page not present");
	assert_string_equal(words(VEC_PF, 0x11),
			    "supervisor instruction fetch, page not executable");
	assert_string_equal(words(VEC_PF, 0x07), "user write, page not writable");
	assert_string_equal(words(VEC_PF, 0x09),
			    "supervisor read, reserved bit set in a page-table entry");
	/* some emulators leave the present bit out there */
	assert_string_equal(words(VEC_PF, 0x08),
			    "supervisor read, reserved bit set in a page-table entry");
	assert_string_equal(words(VEC_PF, 0x21),
			    "supervisor read, forbidden by the protection key");
	assert_string_equal(words(VEC_PF, 0x43), "supervisor write, shadow-stack access");
}

static void explains_selectors(void **state)
{
	(void)state;
	assert_string_equal(words(VEC_GP, 0x48), "selector 0x48 of the GDT");
	assert_string_equal(words(VEC_NP, 0x4c), "selector 0x48 of the LDT");
	assert_string_equal(words(VEC_TS, 0x49), "selector 0x48 of the GDT, by an external event");
	assert_string_equal(words(VEC_GP, (0x33 << 3) + 2), "vector 0x33 of the IDT");
	assert_string_equal(words(VEC_SS, 0xfff8), "selector 0xfff8 of the GDT");
	assert_string_equal(words(VEC_GP, 0), "");
}

static void says_nothing_of_other_codes(void **state)
{
	(void)state;
	assert_string_equal(words(VEC_DE, 0), "");
	assert_string_equal(words(VEC_DF, 0), "");
	assert_string_equal(words(VEC_AC, 0x10), "");
	assert_string_equal(words(UINT64_MAX, UINT64_MAX), "");
}

static void cuts_at_the_end_of_the_buffer(void **state)
{
	char small[11];

	(void)state;
	assert_string_equal(error_words(VEC_PF, 2, small, sizeof(small)), "supervisor");
	error_words(VEC_PF, 2, small, 1);
	assert_int_equal(small[0], 0);
}

static void marks_the_code_byte(void **state)
{
	static const int16_t bytes[] = {0x00, 0x0f, 0xff, -1, 0x90};

	(void)state;
	assert_string_equal(code_words(bytes, 5, 2, buf, sizeof(buf)), "00 0f <ff> ?? 90");
	assert_string_equal(code_words(bytes, 5, 3, buf, sizeof(buf)), "00 0f ff <?"
								       "?> 90");
	assert_string_equal(code_words(bytes, 5, 0, buf, sizeof(buf)), "<00> 0f ff ?? 90");
	assert_string_equal(code_words(bytes, 1, 7, buf, sizeof(buf)), "00");
	assert_string_equal(code_words(bytes, 0, 0, buf, sizeof(buf)), "");
}

/* The report's own size is enough, and a smaller one is never overrun. */
static void code_bytes_stay_in_the_buffer(void **state)
{
	int16_t bytes[32];

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(strlen(code_words(bytes, 32, 16, buf, 32 * 3 + 2)), 32 * 3 + 1);
	for (size_t size = 1; size < 32 * 3 + 2; size++) {
		char guarded[32 * 3 + 4];

		memset(guarded, '!', sizeof(guarded));
		code_words(bytes, 32, 16, guarded, size);
		assert_int_equal(strlen(guarded), size - 1);
		assert_int_equal(guarded[size], '!');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_vectors),
		cmocka_unit_test(explains_page_faults),
		cmocka_unit_test(explains_selectors),
		cmocka_unit_test(says_nothing_of_other_codes),
		cmocka_unit_test(cuts_at_the_end_of_the_buffer),
		cmocka_unit_test(marks_the_code_byte),
		cmocka_unit_test(code_bytes_stay_in_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
