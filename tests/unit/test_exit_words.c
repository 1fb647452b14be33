/*
 * Exits in words and as JSON, and the choice of kinds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "guests/exit_words.h"

static char json[1024];

static void put(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	strncat(json, text, len);
}

static void expect(struct exit_record e, const char *words, const char *members)
{
	char buf[160], whole[600];
	struct json_out j;

	assert_string_equal(exit_words(&e, buf, sizeof(buf)), words);
	json[0] = '\0';
	json_init(&j, put, NULL);
	json_object(&j, NULL);
	exit_json(&e, &j);
	json_end(&j);
	snprintf(whole, sizeof(whole), "{%s}", members);
	assert_string_equal(json, whole);
}

#define E(k, ...) ((struct exit_record){.kind = (k), __VA_ARGS__})

static void ports(void **state)
{
	(void)state;
	expect(E(EXIT_IO, .io = {0x3f8, 1, 0}, .value = 0x12345641), "out 0x3f8, 1 byte: 0x41",
	       "\"port\":\"0x3f8\",\"size\":1,\"write\":true,\"string\":false,\"rep\":false,"
	       "\"value\":\"0x41\"");
	expect(E(EXIT_IO, .io = {0xcf8, 4, 0}, .value = 0xffffffff80000000),
	       "out 0xcf8, 4 bytes: 0x80000000",
	       "\"port\":\"0xcf8\",\"size\":4,\"write\":true,\"string\":false,\"rep\":false,"
	       "\"value\":\"0x80000000\"");
	expect(E(EXIT_IO, .io = {0x64, 2, IO_IN}, .value = 7), "in 0x64, 2 bytes",
	       "\"port\":\"0x64\",\"size\":2,\"write\":false,\"string\":false,\"rep\":false");
	expect(E(EXIT_IO, .io = {0x1f0, 2, IO_IN | IO_STRING | IO_REP}), "rep ins 0x1f0, 2 bytes",
	       "\"port\":\"0x1f0\",\"size\":2,\"write\":false,\"string\":true,\"rep\":true");
	expect(E(EXIT_IO, .io = {0x3f8, 1, IO_STRING}, .value = 7), "outs 0x3f8, 1 byte",
	       "\"port\":\"0x3f8\",\"size\":1,\"write\":true,\"string\":true,\"rep\":false");
	/* no size that hardware reports, and yet no shift too far */
	expect(E(EXIT_IO, .io = {1, 255, 0}, .value = 7), "out 0x1, 255 bytes: 0x7",
	       "\"port\":\"0x1\",\"size\":255,\"write\":true,\"string\":false,\"rep\":false,"
	       "\"value\":\"0x7\"");
}

static void msrs(void **state)
{
	(void)state;
	expect(E(EXIT_MSR, .number = 0x1b, .value = 5), "read 0x1b APIC_BASE",
	       "\"msr\":\"0x1b\",\"name\":\"APIC_BASE\",\"write\":false");
	expect(E(EXIT_MSR, .number = 0xc0000080, .flags = EXIT_MSR_WRITE, .value = 0xd01),
	       "write 0xc0000080 EFER: 0xd01",
	       "\"msr\":\"0xc0000080\",\"name\":\"EFER\",\"write\":true,\"value\":\"0xd01\"");
	expect(E(EXIT_MSR, .number = 0xdead, .flags = EXIT_MSR_WRITE, .value = UINT64_MAX),
	       "write 0xdead: 0xffffffffffffffff",
	       "\"msr\":\"0xdead\",\"name\":null,\"write\":true,"
	       "\"value\":\"0xffffffffffffffff\"");
	assert_string_equal(msr_name(0x830), "X2APIC_ICR");
	assert_string_equal(msr_name(0x20f), "MTRR_VARIABLE");
	assert_null(msr_name(0x220));
	assert_null(msr_name(UINT32_MAX));
}

static void memory(void **state)
{
	(void)state;
	expect(E(EXIT_MEMORY, .flags = ACCESS_READ, .value = 0xfee00020), "read 0xfee00020",
	       "\"gpa\":\"0xfee00020\",\"access\":\"read\",\"mapped\":false,\"page_walk\":false,"
	       "\"delivery\":false");
	expect(E(EXIT_MEMORY, .flags = ACCESS_WRITE | ACCESS_WALK | ACCESS_PRESENT,
		 .value = 0x1000),
	       "write 0x1000, which is mapped, by a page walk",
	       "\"gpa\":\"0x1000\",\"access\":\"write\",\"mapped\":true,\"page_walk\":true,"
	       "\"delivery\":false");
	expect(E(EXIT_MEMORY, .flags = ACCESS_EXEC | EXIT_MEMORY_DELIVERY, .value = 1),
	       "execute 0x1, to deliver an event",
	       "\"gpa\":\"0x1\",\"access\":\"execute\",\"mapped\":false,\"page_walk\":false,"
	       "\"delivery\":true");
}

static void the_others(void **state)
{
	(void)state;
	expect(E(EXIT_CPUID, .number = 0x80000001, .value = 0x1234567800000002),
	       "leaf 0x80000001, subleaf 0x2", "\"leaf\":\"0x80000001\",\"subleaf\":\"0x2\"");
	expect(E(EXIT_CONTROL_REG, .number = 4, .flags = EXIT_CONTROL_WRITE), "write CR4",
	       "\"register\":4,\"write\":true");
	expect(E(EXIT_CONTROL_REG, .number = 0), "read CR0", "\"register\":0,\"write\":false");
	expect(E(EXIT_XSETBV, .value = 7), "XCR0: 0x7", "\"register\":0,\"value\":\"0x7\"");
	expect(E(EXIT_HYPERCALL, .value = 42), "number 0x2a", "\"number\":\"0x2a\"");
	expect(E(EXIT_TASK_SWITCH, .number = 0x28, .flags = TASK_SWITCH_CALL), "call to TSS 0x28",
	       "\"by\":\"call\",\"selector\":\"0x28\"");
	expect(E(EXIT_TASK_SWITCH, .number = 0x8, .flags = TASK_SWITCH_GATE),
	       "task gate to TSS 0x8", "\"by\":\"task gate\",\"selector\":\"0x8\"");
	expect(E(EXIT_EXCEPTION, .number = 1), "debug exception",
	       "\"vector\":1,\"name\":\"debug exception\"");
	expect(E(EXIT_EXCEPTION, .number = 17, .flags = EXIT_EXCEPTION_ERROR),
	       "alignment check, error code 0x0",
	       "\"vector\":17,\"name\":\"alignment check\",\"error\":\"0x0\"");
	expect(E(EXIT_REFUSED, .flags = EXIT_REFUSED_GP), "#GP", "\"answer\":\"#GP\"");
	expect(E(EXIT_REFUSED), "#UD", "\"answer\":\"#UD\"");
	expect(E(EXIT_ENTRY_FAILED, .value = 0x80000021), "code 0x80000021",
	       "\"code\":\"0x80000021\"");
	expect(E(EXIT_UNKNOWN, .value = 9), "code 0x9", "\"code\":\"0x9\"");
	expect(E(EXIT_HALT), "", "");
	expect(E(EXIT_HOST_EVENT, .value = 7), "", "");
	expect(E(200), "", "");
}

static void words_are_cut(void **state)
{
	struct exit_record e = E(EXIT_IO, .io = {0x3f8, 1, 0}, .value = 0x41);
	char whole[64], buf[64];

	(void)state;
	exit_words(&e, whole, sizeof(whole));
	for (size_t size = 1; size < sizeof(buf); size++) {
		memset(buf, 'x', sizeof(buf));
		exit_words(&e, buf, size);
		assert_true(strlen(buf) < size);
		assert_memory_equal(buf, whole, strlen(buf));
		for (size_t i = size; i < sizeof(buf); i++)
			assert_int_equal(buf[i], 'x');
	}
}

static void kinds_are_chosen(void **state)
{
	static const char *const wrong[] = {"",          "cpui",    "cpuidx", "cpuid,", ",",
					    "cpuid,,io", "io, msr", "IO",     "kind"};
	struct reason why;
	uint32_t kinds;

	(void)state;
	for (unsigned k = 0; k < EXIT_KIND_COUNT; k++) {
		assert_int_equal(exit_kinds_parse(exit_kind_name(k), &kinds, &why), 0);
		assert_int_equal(kinds, BIT32(k));
	}
	assert_int_equal(exit_kinds_parse("io,cpuid,io", &kinds, &why), 0);
	assert_int_equal(kinds, BIT32(EXIT_IO) | BIT32(EXIT_CPUID));
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(exit_kinds_parse(wrong[i], &kinds, &why), ERR_INVALID);
	assert_string_equal(why.text, "no kind of exit 'kind': say cpuid, io, memory or the like, "
				      "with commas between; Tab lists them");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports),         cmocka_unit_test(msrs),
		cmocka_unit_test(memory),        cmocka_unit_test(the_others),
		cmocka_unit_test(words_are_cut), cmocka_unit_test(kinds_are_chosen),
	};

	return cmocka_run_group_tests_name("exit_words", tests, NULL, NULL);
}
