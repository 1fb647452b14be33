/* The hypervisor's command line: every option, every wrong form of it, and hostile bytes. */
#include "tests/unit/broken.h"

#include "boot/info.h"
#include "lib/log.h"

static struct boot_options opt;
static char last[240];
static int n_said;

static void complain(void *ctx, const char *sentence)
{
	assert_ptr_equal(ctx, &opt);
	assert_sentence(sentence);
	strncpy(last, sentence, sizeof(last) - 1);
	n_said++;
}

static int parse(const char *line)
{
	char *copy = (char *)broken_copy(line, strlen(line) + 1);
	int n;

	n_said = 0;
	last[0] = 0;
	memset(&opt, 0xa5, sizeof(opt));
	n = cmdline_parse(copy, &opt, complain, &opt);
	free(copy);
	assert_int_equal(n, n_said);
	return n;
}

static void test_defaults(void **state)
{
	(void)state;
	assert_int_equal(parse(""), 0);
	assert_string_equal(opt.console, "");
	assert_int_equal(opt.baud, 0);
	assert_int_equal(opt.loglevel, LOG_INFO);
	assert_int_equal(opt.maxcpus, UINT32_MAX);
	assert_int_equal(opt.exit, MACHINE_EXIT_ACPI);
	assert_true(opt.mitigations);
	assert_int_equal(parse("  \t "), 0);
}

static void test_all(void **state)
{
	(void)state;
	assert_int_equal(parse(" console=com2,9600 loglevel=debug  maxcpus=4 "
			       "exit=isa-debug:0x501 mitigations=off "),
			 0);
	assert_string_equal(opt.console, "com2");
	assert_int_equal(opt.baud, 9600);
	assert_int_equal(opt.loglevel, LOG_DEBUG);
	assert_int_equal(opt.maxcpus, 4);
	assert_int_equal(opt.exit, MACHINE_EXIT_ISA_DEBUG);
	assert_int_equal(opt.exit_port, 0x501);
	assert_false(opt.mitigations);

	assert_int_equal(parse("console=none loglevel=error exit=bochs mitigations=auto"), 0);
	assert_string_equal(opt.console, "none");
	assert_int_equal(opt.loglevel, LOG_ERROR);
	assert_int_equal(opt.exit, MACHINE_EXIT_BOCHS);
	assert_true(opt.mitigations);

	assert_int_equal(parse("loglevel=warn exit=isa-debug:244 exit=acpi loglevel=info"), 0);
	assert_int_equal(opt.loglevel, LOG_INFO); /* the later word holds */
	assert_int_equal(opt.exit, MACHINE_EXIT_ACPI);
}

static void test_wrong_words(void **state)
{
	static const char *const wrong[] = {
		"console",
		"console=",
		"console=com0",
		"console=com5",
		"console=com11",
		"console=com",
		"console=none1",
		"console=com1,",
		"console=com1,0",
		"console=com1,7",
		"console=com1,115201",
		"console=com1,9601",
		"console=com1,9600,8n1",
		"loglevel=",
		"loglevel=INFO",
		"loglevel=infos",
		"maxcpus=0",
		"maxcpus=-1",
		"maxcpus=4294967296",
		"maxcpus=0x",
		"maxcpus=4x",
		"maxcpus=99999999999999999999999999999999",
		"exit=isa-debug",
		"exit=isa-debug:",
		"exit=isa-debug:0",
		"exit=isa-debug:0x10000",
		"exit=isa-debug:0xg",
		"exit=none",
		"mitigations=on",
		"panic",
		"panic=",
		"panic=halt",
		"panic=,",
		"panic=stay,",
		"panic=,dump",
		"panic=dump,dump",
		"panic=stay,stay",
		"panic=stay,reboot=1",
		"panic=reboot=1,stay",
		"panic=reboot=1,reboot=2",
		"panic=reboot",
		"panic=reboot=",
		"panic=reboot=-1",
		"panic=reboot=86401",
		"panic=reboot=1s",
		"panic=dump reboot=1",
		"Console=com1",
		"consoles=com1",
		"consol=com1",
		"quiet",
		"=",
		/* longer than any word, good up to the cut */
		"maxcpus=00000000000000000000000000000000000000000000000000000044",
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		char line[128] = "maxcpus=7 ";

		assert_int_equal(parse(strcat(strcat(line, wrong[i]), " loglevel=debug")), 1);
		assert_non_null(strstr(last, "command line: \""));
		assert_string_equal(opt.console, "");
		assert_int_equal(opt.baud, 0);
		assert_int_equal(opt.loglevel, LOG_DEBUG);
		assert_int_equal(opt.maxcpus, 7);
		assert_int_equal(opt.exit, MACHINE_EXIT_ACPI);
		assert_false(opt.panic.reboot);
	}
}

static void test_panic_policy(void **state)
{
	(void)state;
	assert_int_equal(parse(""), 0);
	assert_false(opt.panic.dump || opt.panic.reboot);
	assert_int_equal(parse("panic=dump"), 0);
	assert_true(opt.panic.dump && !opt.panic.reboot);
	assert_int_equal(parse("panic=reboot=0"), 0);
	assert_true(!opt.panic.dump && opt.panic.reboot);
	assert_int_equal(opt.panic.reboot_s, 0);
	assert_int_equal(parse("panic=dump,reboot=86400"), 0);
	assert_true(opt.panic.dump && opt.panic.reboot);
	assert_int_equal(opt.panic.reboot_s, 86400);
	assert_int_equal(parse("panic=reboot=0x10,dump"), 0);
	assert_int_equal(opt.panic.reboot_s, 16);
	assert_int_equal(parse("panic=dump,stay"), 0);
	assert_true(opt.panic.dump && !opt.panic.reboot);
	assert_int_equal(parse("panic=dump,reboot=5 panic=stay"), 0); /* the later word holds */
	assert_false(opt.panic.dump || opt.panic.reboot);
	assert_int_equal(parse("panic=never"), 1);
	assert_string_equal(
		last, "command line: \"panic=never\" is not understood: panic= takes stay, "
		      "reboot=SECONDS (0 to 86400) or dump, or dump with one of them, such as "
		      "dump,reboot=10");
}

static void test_sentences(void **state)
{
	(void)state;
	parse("console=com9");
	assert_string_equal(last,
			    "command line: \"console=com9\" is not understood: console= takes "
			    "com1 to com4 or none, with a rate if wanted, such as com1,115200");
	parse("quiet");
	assert_string_equal(last,
			    "command line: \"quiet\" is unknown: console=, loglevel=, maxcpus=, "
			    "exit=, mitigations= and panic= are there");
	parse("\033[2Jx\xff");
	assert_non_null(strstr(last, "\"?[2Jx?\"")); /* an escape sequence is defused */
}

static void test_random(void **state)
{
	static const char good[] =
		"console=com2,9600 loglevel=debug maxcpus=4 exit=isa-debug:0x501 "
		"mitigations=off";

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		char line[sizeof(good)];

		memcpy(line, good, sizeof(good));
		broken_flip((uint8_t *)line, 0, sizeof(good) - 1);
		parse(line);
		assert_in_range(strnlen(opt.console, 16), 0, 4);
		assert_in_range(opt.loglevel, LOG_ERROR, LOG_DEBUG);
		assert_true(opt.maxcpus >= 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),    cmocka_unit_test(test_all),
		cmocka_unit_test(test_wrong_words), cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_random),      cmocka_unit_test(test_panic_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
