/*
 * The words of a fault report.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "arch/x86/oops.h"
#include "arch/x86/state.h"

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

static const char *first_line(struct fault f)
{
	return fault_headline(&f, buf, sizeof(buf));
}

static void says_what_in_one_line(void **state)
{
	(void)state;
	assert_string_equal(first_line((struct fault){.vector = VEC_PF, .cr2 = 8}),
			    "NULL pointer dereference, address: 0000000000000008");
	assert_string_equal(first_line((struct fault){.vector = VEC_PF, .error = 0x10}),
			    "call of a NULL pointer, address: 0000000000000000");
	assert_string_equal(
		first_line((struct fault){.vector = VEC_PF, .error = 0x11, .cr2 = 0x5000}),
		"execute of data, address: 0000000000005000");
	assert_string_equal(
		first_line((struct fault){.vector = VEC_PF, .error = 0x10, .cr2 = 0x5000}),
		"execute of what is not mapped, address: 0000000000005000");
	assert_string_equal(first_line((struct fault){.vector = VEC_PF, .error = 3, .cr2 = 0x5000}),
			    "write to read-only memory, address: 0000000000005000");
	assert_string_equal(first_line((struct fault){.vector = VEC_PF, .error = 1, .cr2 = 0x5000}),
			    "forbidden access, address: 0000000000005000");
	assert_string_equal(first_line((struct fault){.vector = VEC_PF, .error = 2, .cr2 = 0x1000}),
			    "access to what is not mapped, address: 0000000000001000");
	assert_string_equal(first_line((struct fault){.vector = VEC_PF, .error = 9, .cr2 = 0x5000}),
			    "reserved bit in a page-table entry, address: 0000000000005000");
	assert_string_equal(
		first_line((struct fault){.vector = VEC_DF, .cr2 = 0x7ff8, .stack = "main"}),
		"stack overflow: the main stack, address: 0000000000007ff8");
	assert_string_equal(first_line((struct fault){.vector = VEC_DE}), "divide error");
	assert_string_equal(first_line((struct fault){.vector = VEC_MC}), "machine check");
}

static void says_which_address_is_not_canonical(void **state)
{
	struct fault f = {.vector = VEC_GP, .has_address = true, .address = 0x1234567800000018};

	(void)state;
	assert_string_equal(first_line(f), "non-canonical address: 1234567800000018");
	f.vector = VEC_SS;
	assert_string_equal(first_line(f), "non-canonical address: 1234567800000018");
	f.error = 0x50; /* then it is a selector's */
	assert_string_equal(first_line(f), "stack-segment fault");
	f.error = 0;
	f.address = 0xffff800000000000;
	assert_string_equal(first_line(f), "stack-segment fault");
	f = (struct fault){.vector = VEC_GP, .address = 0x1234567800000018};
	assert_string_equal(first_line(f), "general protection fault");
	f.rip = 0x8000deadbeef0000;
	assert_string_equal(first_line(f), "non-canonical address, execute of: 8000deadbeef0000");
	assert_true(canonical(0x00007fffffffffff) && canonical(0xffff800000000000));
	assert_false(canonical(0x0000800000000000) || canonical(0xffff7fffffffffff));
}

static const char *level(unsigned l, uint64_t va, uint64_t entry)
{
	return walk_words(l, va, entry, buf, sizeof(buf));
}

static void explains_page_walks(void **state)
{
	(void)state;
	assert_string_equal(level(3, 8, 0), "PML4[0] 0000000000000000: not present");
	assert_string_equal(level(3, 0xffff800000000000, 0x1063),
			    "PML4[256] 0000000000001063: table, writable");
	assert_string_equal(level(2, 0x40000000, 0x80000000400000e3),
			    "PDPT[1] 80000000400000e3: 1 GiB page, writable, no execute");
	assert_string_equal(level(1, 0x200000, 0xa1),
			    "PD[1] 00000000000000a1: 2 MiB page, read-only");
	assert_string_equal(level(0, 0x3000, 0x8000000000000017),
			    "PT[3] 8000000000000017: 4 KiB page, writable, no execute, user, "
			    "uncached");
	assert_string_equal(level(0, 0x1ff000, 0x80), "PT[511] 0000000000000080: not present");
	/* the bit means something else in the lowest table, and nothing in the highest */
	assert_string_equal(level(0, 0, 0x81), "PT[0] 0000000000000081: 4 KiB page, read-only");
	assert_string_equal(level(3, 0, 0x81), "PML4[0] 0000000000000081: table, read-only");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_in_one_line),
		cmocka_unit_test(says_which_address_is_not_canonical),
		cmocka_unit_test(explains_page_walks),
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
