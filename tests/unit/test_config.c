/* The configuration: schema, defaults, each refusal with its sentence, and broken JSON. */
#include "tests/unit/broken.h"

#include <stdio.h>

#include "guests/config.h"
#include "guests/json.h"

static struct config cfg;
static char said[16][240];
static unsigned n_said;

static bool exists(void *ctx, const char *string)
{
	static const char *const names[] = {"vmlinuz", "initrd.gz", "kernel.elf", "mod 1"};

	assert_ptr_equal(ctx, &cfg);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(names[i], string))
			return true;
	}
	return false;
}

static void complain(void *ctx, const char *sentence)
{
	assert_ptr_equal(ctx, &n_said);
	assert_sentence(sentence);
	strncpy(said[MIN(n_said, 15u)], sentence, 239);
	n_said++;
}

static int parse_bytes(const void *json, size_t len)
{
	static const struct config_modules modules = {.ctx = &cfg, .exists = exists};
	char *copy = (char *)broken_copy(json, len);
	int err;

	n_said = 0;
	memset(said, 0, sizeof(said));
	memset(&cfg, 0xa5, sizeof(cfg));
	err = config_parse(copy, len, &modules, &cfg, complain, &n_said);
	free(copy);
	if (err) {
		/* Nothing of a bad file is left over. */
		assert_true(n_said > 0);
		assert_string_equal(cfg.console_port, "com1");
		assert_int_equal(cfg.console_baud, 115200);
		assert_string_equal(cfg.attach, "");
		assert_int_equal(cfg.n_guests, 0);
	}
	return err;
}

static int parse(const char *json)
{
	return parse_bytes(json, strlen(json));
}

#define LINUX "\"boot\": {\"linux\": \"vmlinuz\"}"
#define WEB   "{\"name\": \"web\", \"memory\": \"512M\", " LINUX "}"

static const char full[] =
	"{\"console\": {\"port\": \"com2\", \"baud\": 9600, \"attach\": \"web\"},\n"
	" \"when_idle\": \"poweroff\",\n"
	" \"guests\": [\n"
	"  {\"name\": \"web\", \"memory\": \"512M\", \"vcpus\": 1, \"autostart\": false,\n"
	"   \"serial\": \"console\", \"devices\": {\"debug_exit\": true, \"test_device\": true},\n"
	"   \"symbols\": \"mod 1\",\n"
	"   \"boot\": {\"linux\": \"vmlinuz\", \"initrd\": \"initrd.gz\",\n"
	"    \"cmdline\": \"console=ttyS0 a=\\\"b\\\\c\\\" \\/ \\u0041\\u007e\"}},\n"
	"  {\"name\": \"b_2-x\", \"memory\": \"2048K\",\n"
	"   \"boot\": {\"multiboot\": \"kernel.elf\", \"cmdline\": \"\",\n"
	"    \"modules\": [\"mod 1\", \"initrd.gz\"]}}\n"
	" ]\n}\n";

static void test_full(void **state)
{
	const struct guest_config *g = cfg.guests;

	(void)state;
	assert_int_equal(parse(full), 0);
	assert_int_equal(n_said, 0);
	assert_string_equal(cfg.console_port, "com2");
	assert_int_equal(cfg.console_baud, 9600);
	assert_string_equal(cfg.attach, "web");
	assert_int_equal(cfg.when_idle, WHEN_IDLE_POWEROFF);
	assert_int_equal(cfg.n_guests, 2);
	assert_int_equal(cfg.n_refused, 0);
	assert_string_equal(g[0].name, "web");
	assert_int_equal(g[0].memory, 512 * MIB);
	assert_int_equal(g[0].vcpus, 1);
	assert_false(g[0].autostart);
	assert_int_equal(g[0].serial, SERIAL_CONSOLE);
	assert_true(g[0].debug_exit);
	assert_true(g[0].test_device);
	assert_int_equal(g[0].boot, BOOT_LINUX);
	assert_string_equal(g[0].kernel, "vmlinuz");
	assert_string_equal(g[0].initrd, "initrd.gz");
	assert_string_equal(g[0].cmdline, "console=ttyS0 a=\"b\\c\" / A~");
	assert_string_equal(g[0].symbols, "mod 1");
	assert_string_equal(g[1].symbols, "");
	assert_string_equal(g[1].name, "b_2-x");
	assert_int_equal(g[1].memory, 2 * MIB);
	assert_int_equal(g[1].boot, BOOT_MULTIBOOT);
	assert_string_equal(g[1].kernel, "kernel.elf");
	assert_string_equal(g[1].initrd, "");
	assert_int_equal(g[1].n_modules, 2);
	assert_string_equal(g[1].modules[0].file, "mod 1");
	assert_string_equal(g[1].modules[0].string, "mod 1");
	assert_string_equal(g[1].modules[1].file, "initrd.gz");
	assert_int_equal(g[0].entry, LINUX_ENTRY_AUTO);
}

static void test_firmware(void **state)
{
	const struct guest_config *g = cfg.guests;

	(void)state;
	assert_int_equal(parse("{\"guests\": [{\"name\": \"pc\", \"memory\": \"2M\", \"boot\": "
			       "{\"firmware\": \"mod 1\", \"kernel\": \"kernel.elf\", "
			       "\"initrd\": \"initrd.gz\", \"cmdline\": \"a b\"}, \"fw_cfg\": "
			       "{\"opt/x\": \"mod 1\", \"genroms/y\": \"vmlinuz\"}}]}"),
			 0);
	assert_int_equal(n_said, 0);
	assert_int_equal(cfg.n_guests, 1);
	assert_int_equal(g->boot, BOOT_FIRMWARE);
	assert_string_equal(g->firmware, "mod 1");
	assert_string_equal(g->kernel, "kernel.elf");
	assert_string_equal(g->initrd, "initrd.gz");
	assert_string_equal(g->cmdline, "a b");
	assert_int_equal(g->n_fw_files, 2);
	assert_string_equal(g->fw_name[0], "opt/x");
	assert_string_equal(g->fw_file[0], "mod 1");
	assert_string_equal(g->fw_name[1], "genroms/y");
	assert_string_equal(g->fw_file[1], "vmlinuz");
}

static void test_boot(void **state)
{
	static const char *const words[] = {"auto", "32", "64"};
	const struct guest_config *g = cfg.guests;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		char json[256];

		sprintf(json,
			"{\"guests\": [{\"name\": \"a\", \"memory\": \"2M\", \"boot\": "
			"{\"linux\": \"vmlinuz\", \"entry\": \"%s\"}}]}",
			words[i]);
		assert_int_equal(parse(json), 0);
		assert_int_equal(n_said, 0);
		assert_int_equal(g->entry, i);
	}
	assert_int_equal(
		parse("{\"guests\": [{\"name\": \"a\", \"memory\": \"2M\", \"boot\": {\"pvh\": "
		      "\"kernel.elf\", \"cmdline\": \"x\", \"modules\": [\"mod 1\", {\"string\": "
		      "\"b=1 c\", \"file\": \"initrd.gz\"}, {\"file\": \"mod 1\", \"string\": "
		      "\"\"}]}}]}"),
		0);
	assert_int_equal(n_said, 0);
	assert_int_equal(g->boot, BOOT_PVH);
	assert_string_equal(g->kernel, "kernel.elf");
	assert_string_equal(g->cmdline, "x");
	assert_int_equal(g->n_modules, 3);
	assert_string_equal(g->modules[0].file, "mod 1");
	assert_string_equal(g->modules[0].string, "mod 1");
	assert_string_equal(g->modules[1].file, "initrd.gz");
	assert_string_equal(g->modules[1].string, "b=1 c");
	assert_string_equal(g->modules[2].file, "mod 1");
	assert_string_equal(g->modules[2].string, "");
}

static void test_defaults(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"guests\": [" WEB "]}"), 0);
	assert_int_equal(n_said, 0);
	assert_string_equal(cfg.console_port, "com1");
	assert_int_equal(cfg.console_baud, 115200);
	assert_string_equal(cfg.attach, "");
	assert_int_equal(cfg.when_idle, WHEN_IDLE_SHELL);
	assert_int_equal(cfg.guests[0].vcpus, 1);
	assert_true(cfg.guests[0].autostart);
	assert_int_equal(cfg.guests[0].serial, SERIAL_RING);
	assert_false(cfg.guests[0].debug_exit);
	assert_false(cfg.guests[0].test_device);
	assert_string_equal(cfg.guests[0].cmdline, "");
	assert_int_equal(cfg.guests[0].n_modules, 0);
	assert_int_equal(parse("{\"guests\": [], \"console\": {\"attach\": \"\"}}"), 0);
	assert_int_equal(cfg.n_guests, 0);
	assert_int_equal(parse("{\"guests\":[{\"boot\":{\"linux\":\"vmlinuz\"},\"name\":\"web\","
			       "\"\\u006demory\":\"512M\"}]}"),
			 0);
	assert_int_equal(cfg.n_guests, 1); /* order and escapes in keys do not matter */
}

struct fault {
	const char *json;
	const char *sentence; /* a part of it */
};

/* Faults outside any guest: nothing is taken. */
static void test_whole_refused(void **state)
{
	static const struct fault faults[] = {
		{"",
		 "configuration: this is not JSON: line 1, column 1: the text ends where a value "
		 "is expected"},
		{"[]", "configuration: a list [...] stands where an object {...} is right"},
		{"3", "configuration: this is not JSON"},
		{"\"x\"", "configuration: a string in double quotes stands where an object"},
		{"{}", "guests: the key is missing"},
		{"{\"guests\": {}}", "guests: an object {...} stands where a list [...] is right"},
		{"{\"guests\": [], \"guests\": []}", "guests: the key is there twice"},
		{"{\"guests\": [], \"gusts\": []}",
		 "there is no key \"gusts\": docs/guide.md lists the keys"},
		{"{\"guests\": [], \"a key that is far too long for its buffer\": []}",
		 "there is no key \"a key that is far too long for \""},
		{"{\"guests\": [], \"when_idle\": \"sleep\"}",
		 "when_idle: \"shell\" or \"poweroff\" is right"},
		{"{\"guests\": [], \"when_idle\": true}",
		 "when_idle: true or false stands where a string in double quotes is right"},
		{"{\"guests\": [], \"when_idle\": null}", "when_idle: null stands where"},
		{"{\"guests\": [], \"console\": []}", "console: a list [...] stands where"},
		{"{\"guests\": [], \"console\": {\"speed\": 1}}",
		 "there is no key \"console.speed\""},
		{"{\"guests\": [], \"console\": {\"port\": \"com5\"}}",
		 "console.port: \"com1\" to \"com4\" or \"none\" is right"},
		{"{\"guests\": [], \"console\": {\"port\": \"com11\"}}", "console.port: "},
		{"{\"guests\": [], \"console\": {\"port\": \"com1xxxxxxx\"}}", "console.port: "},
		{"{\"guests\": [], \"console\": {\"port\": 1}}",
		 "console.port: a number stands where"},
		{"{\"guests\": [], \"console\": {\"baud\": 0}}", "console.baud: 115200 or"},
		{"{\"guests\": [], \"console\": {\"baud\": 115201}}", "console.baud: 115200 or"},
		{"{\"guests\": [], \"console\": {\"baud\": 9601}}", "console.baud: 115200 or"},
		{"{\"guests\": [], \"console\": {\"baud\": 9600.0}}", "console.baud: 115200 or"},
		{"{\"guests\": [], \"console\": {\"baud\": -9600}}", "console.baud: 115200 or"},
		{"{\"guests\": [], \"console\": {\"baud\": 4294976896}}", "console.baud: 115200"},
		{"{\"guests\": [], \"console\": {\"baud\": \"9600\"}}",
		 "console.baud: a string in double quotes stands where a number is right"},
		{"{\"guests\": [" WEB "], \"console\": {\"attach\": \"db\"}}",
		 "console.attach: there is no guest \"db\""},
		{"{\"guests\": [" WEB "], \"console\": {\"attach\": \"We\"}}",
		 "console.attach: the name of a guest, or \"\" for none, is right"},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(faults); i++) {
		assert_int_equal(parse(faults[i].json), ERR_INVALID);
		assert_int_equal(n_said, 1);
		if (!strstr(said[0], faults[i].sentence))
			fail_msg("%s\n  not in: %s", faults[i].sentence, said[0]);
		assert_int_equal(cfg.n_guests, 0);
	}
}

#define GUEST(memory, rest) "{\"name\": \"bad\", \"memory\": " memory rest "}"
#define MEM(memory)         GUEST(memory, ", " LINUX)
#define KEY(rest)           GUEST("\"2M\"", ", " rest)
#define BOOT(boot)          KEY("\"boot\": {" boot "}")
#define NAME(name)          "{\"name\": " name ", \"memory\": \"2M\", " LINUX "}"

/* Faults in a guest: it is left out, and the one behind it is taken. */
static void test_guest_refused(void **state)
{
	static const struct fault faults[] = {
		{"7", "guest number 1: a number stands where an object {...} is right"},
		{"{}", "guest number 1: name: the key is missing"},
		{NAME("\"\""), "guest number 1: name: 1 to 31 characters of a-z"},
		{NAME("\"Web\""), "guest number 1: name: 1 to 31"},
		{NAME("\"1web\""), "guest number 1: name: 1 to 31"},
		{NAME("\"-web\""), "guest number 1: name: 1 to 31"},
		{NAME("\"we b\""), "guest number 1: name: 1 to 31"},
		{NAME("\"web\\u0000\""), "guest number 1: name: 1 to 31"},
		{NAME("\"abcdefghijklmnopqrstuvwxyz012345\""), "guest number 1: name: 1 to 31"},
		{NAME("null"), "guest number 1: name: null stands where a string"},
		{"{\"name\": \"bad\", " LINUX "}", "guest bad: memory: the key is missing"},
		{KEY("\"name\": \"bad\", " LINUX), "guest bad: name: the key is there twice"},
		{KEY("\"memry\": 1, " LINUX), "guest bad: there is no key \"memry\""},
		{MEM("512"), "guest bad: memory: a number stands where a string"},
		{MEM("\"512\""), "guest bad: memory: a whole number with K, M or G behind it"},
		{MEM("\"M\""), "guest bad: memory: a whole number"},
		{MEM("\"\""), "guest bad: memory: a whole number"},
		{MEM("\"-2M\""), "guest bad: memory: a whole number"},
		{MEM("\" 2M\""), "guest bad: memory: a whole number"},
		{MEM("\"2M \""), "guest bad: memory: a whole number"},
		{MEM("\"2MB\""), "guest bad: memory: a whole number"},
		{MEM("\"2m\""), "guest bad: memory: a whole number"},
		{MEM("\"1.5G\""), "guest bad: memory: a whole number"},
		{MEM("\"1T\""), "guest bad: memory: a whole number"},
		{MEM("\"99999999999999999999999999G\""), "guest bad: memory: a whole number"},
		{MEM("\"0M\""), "guest bad: memory: 0M is impossible: 2M to 1024G are right"},
		{MEM("\"1M\""), "guest bad: memory: 1M is impossible"},
		{MEM("\"1025G\""), "guest bad: memory: 1025G is impossible"},
		{MEM("\"99999999999999G\""), "guest bad: memory: 99999999999999G is impossible"},
		{MEM("\"3M\""), "guest bad: memory: 3M is not a multiple of 2M"},
		{MEM("\"2049K\""), "guest bad: memory: 2049K is not a multiple of 2M"},
		{KEY("\"limit\": 4194304, " LINUX), "guest bad: limit: a number stands where"},
		{KEY("\"limit\": \"3M\", " LINUX), "guest bad: limit: 3M is not a multiple of 2M"},
		{KEY("\"limit\": \"0M\", " LINUX), "guest bad: limit: 0M is impossible"},
		{KEY("\"limit\": \"4M\", \"limit\": \"4M\", " LINUX),
		 "guest bad: limit: the key is there twice"},
		{GUEST("\"4M\"", ", \"limit\": \"2M\", " LINUX),
		 "guest bad: limit: it is less than the guest's memory"},
		{KEY("\"reserve\": null, " LINUX), "guest bad: reserve: null stands where"},
		{KEY("\"reserve\": \"much\", " LINUX), "guest bad: reserve: a whole number"},
		{KEY("\"limit\": \"4M\", \"reserve\": \"6M\", " LINUX),
		 "guest bad: reserve: it is more than the limit"},
		{KEY("\"affinity\": [0], " LINUX), "guest bad: affinity: a list [...] stands"},
		{KEY("\"affinity\": 0, " LINUX), "guest bad: affinity: a number stands where"},
		{KEY("\"affinity\": \"\", " LINUX), "guest bad: affinity: \"\" is no list of CPUs"},
		{KEY("\"affinity\": \"256\", " LINUX),
		 "guest bad: affinity: \"256\" is no list of CPUs: ascending numbers below 256"},
		{KEY("\"affinity\": \"3-2\", " LINUX), "guest bad: affinity: \"3-2\" is no list"},
		{KEY("\"affinity\": \"1, 2\", " LINUX), "guest bad: affinity: \"1, 2\" is no list"},
		{KEY("\"on_crash\": \"reboot\", " LINUX),
		 "guest bad: on_crash: \"stop\" or \"restart\" is right"},
		{KEY("\"on_reset\": true, " LINUX), "guest bad: on_reset: true or false stands"},
		{KEY("\"vcpus\": 2, " LINUX),
		 "guest bad: vcpus: 2 are asked for, but more than one vCPU is not supported yet"},
		{KEY("\"vcpus\": 0, " LINUX), "guest bad: vcpus: a whole number from 1 is right"},
		{KEY("\"vcpus\": 1.0, " LINUX), "guest bad: vcpus: a whole number from 1"},
		{KEY("\"vcpus\": -1, " LINUX), "guest bad: vcpus: a whole number from 1"},
		{KEY("\"vcpus\": 4294967297, " LINUX), "guest bad: vcpus: a whole number from 1"},
		{KEY("\"vcpus\": true, " LINUX), "guest bad: vcpus: true or false stands where"},
		{KEY("\"autostart\": 1, " LINUX), "guest bad: autostart: a number stands where"},
		{KEY("\"serial\": \"com1\", " LINUX),
		 "guest bad: serial: \"ring\" or \"console\" is right"},
		{KEY("\"devices\": {\"debug_exit\": \"yes\"}, " LINUX),
		 "guest bad: devices.debug_exit: a string in double quotes stands where true or"},
		{KEY("\"devices\": {\"net\": true}, " LINUX),
		 "guest bad: there is no key \"devices.net\""},
		{KEY("\"devices\": true, " LINUX), "guest bad: devices: true or false stands"},
		{KEY("\"symbols\": \"System.map\", " LINUX),
		 "guest bad: symbols: no module with the string \"System.map\" was loaded"},
		{KEY("\"symbols\": true, " LINUX), "guest bad: symbols: true or false stands"},
		{KEY("\"vcpus\": 1"), "guest bad: boot: the key is missing"},
		{KEY("\"boot\": \"vmlinuz\""), "guest bad: boot: a string in double quotes stands"},
		{BOOT(""), "guest bad: boot: exactly one of \"linux\", \"multiboot\", \"pvh\" and "
			   "\"firmware\" is right"},
		{BOOT("\"linux\": \"vmlinuz\", \"multiboot\": \"kernel.elf\""),
		 "guest bad: boot: exactly one of"},
		{BOOT("\"pvh\": \"kernel.elf\", \"multiboot\": \"kernel.elf\""),
		 "guest bad: boot: exactly one of"},
		{BOOT("\"pvh\": \"kernel.elf\", \"initrd\": \"initrd.gz\""),
		 "guest bad: there is no key \"boot.initrd\""},
		{BOOT("\"pvh\": \"vmlinux\""), "guest bad: boot.pvh: no module with the string"},
		{BOOT("\"linux\": \"vmlinuz\", \"entry\": \"16\""),
		 "guest bad: boot.entry: \"auto\", \"32\" or \"64\" is right"},
		{BOOT("\"linux\": \"vmlinuz\", \"entry\": 64"),
		 "guest bad: boot.entry: a number stands where a string"},
		{BOOT("\"pvh\": \"kernel.elf\", \"entry\": \"32\""),
		 "guest bad: there is no key \"boot.entry\""},
		{BOOT("\"pvh\": \"kernel.elf\", \"modules\": [{\"file\": \"mod 1\"}]"),
		 "guest bad: boot.modules.string: the key is missing"},
		{BOOT("\"pvh\": \"kernel.elf\", \"modules\": [{\"string\": \"mod 1\"}]"),
		 "guest bad: boot.modules.file: the key is missing"},
		{BOOT("\"pvh\": \"kernel.elf\", \"modules\": [{\"file\": \"mod 2\", "
		      "\"string\": \"x\"}]"),
		 "guest bad: boot.modules.file: no module with the string \"mod 2\""},
		{BOOT("\"pvh\": \"kernel.elf\", \"modules\": [{\"file\": \"mod 1\", "
		      "\"string\": 1}]"),
		 "guest bad: boot.modules.string: a number stands where a string"},
		{BOOT("\"pvh\": \"kernel.elf\", \"modules\": [{\"file\": \"mod 1\", "
		      "\"string\": \"\", \"name\": \"x\"}]"),
		 "guest bad: there is no key \"boot.modules.name\""},
		{BOOT("\"linux\": \"vmlinux\""),
		 "guest bad: boot.linux: no module with the string \"vmlinux\" was loaded: add its "
		 "line to the boot loader's menu"},
		{BOOT("\"linux\": \"\""), "guest bad: boot.linux: the string of a module is right"},
		{BOOT("\"linux\": \"vmlinuz\", \"initrd\": \"x\""),
		 "guest bad: boot.initrd: no module with the string \"x\""},
		{BOOT("\"linux\": \"vmlinuz\", \"initrd\": null"), "guest bad: boot.initrd: null"},
		{BOOT("\"linux\": \"vmlinuz\", \"modules\": []"),
		 "guest bad: there is no key \"boot.modules\""},
		{BOOT("\"linux\": \"vmlinuz\", \"linux\": \"vmlinuz\""),
		 "guest bad: boot.linux: the key is there twice"},
		{BOOT("\"linux\": \"vmlinuz\", \"cmdline\": \"a\\nb\""),
		 "guest bad: boot.cmdline: it holds a character that is not printable ASCII, after "
		 "\"a\""},
		{BOOT("\"firmware\": \"mod 2\""),
		 "guest bad: boot.firmware: no module with the string \"mod 2\""},
		{BOOT("\"firmware\": \"mod 1\", \"linux\": \"vmlinuz\""),
		 "guest bad: boot: exactly one of"},
		{BOOT("\"firmware\": \"mod 1\", \"initrd\": \"initrd.gz\""),
		 "guest bad: boot: an initrd and a command line need a \"kernel\""},
		{BOOT("\"firmware\": \"mod 1\", \"cmdline\": \"a\""),
		 "guest bad: boot: an initrd and a command line need a \"kernel\""},
		{KEY("\"fw_cfg\": []"), "guest bad: fw_cfg: a list [...] stands where an object"},
		{KEY("\"fw_cfg\": {\"\": \"mod 1\"}"), "guest bad: fw_cfg: a file needs a name"},
		{KEY("\"fw_cfg\": {\"a\": \"mod 2\"}"), "guest bad: fw_cfg: no module with"},
		{KEY("\"fw_cfg\": {\"a\": 1}"), "guest bad: fw_cfg: a number stands where"},
		{KEY("\"fw_cfg\": {\"a\": \"mod 1\", \"a\": \"mod 1\"}"),
		 "guest bad: fw_cfg: a is there twice"},
		{KEY("\"fw_cfg\": {\"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\": "
		     "\"mod 1\"}"),
		 "guest bad: fw_cfg: it is longer than 55 characters"},
		{KEY("\"fw_cfg\": {\"1\": \"mod 1\", \"2\": \"mod 1\", \"3\": \"mod 1\", "
		     "\"4\": \"mod 1\", \"5\": \"mod 1\", \"6\": \"mod 1\", \"7\": \"mod 1\", "
		     "\"8\": \"mod 1\", \"9\": \"mod 1\"}"),
		 "guest bad: fw_cfg: there are 9: at most 8 are possible"},
		{BOOT("\"linux\": \"vmlinuz\", \"cmdline\": \"\xc3\xa9\""),
		 "guest bad: boot.cmdline: it holds a character that is not printable ASCII"},
		{BOOT("\"linux\": \"vmlinuz\", \"cmdline\": \"\\u00e9\""),
		 "guest bad: boot.cmdline: it holds a character that is not printable ASCII"},
		{BOOT("\"linux\": \"vmlinuz\", \"cmdline\": \"\\u1041\""),
		 "guest bad: boot.cmdline: it holds a character that is not printable ASCII"},
		{BOOT("\"multiboot\": \"kernel.elf\", \"initrd\": \"initrd.gz\""),
		 "guest bad: there is no key \"boot.initrd\""},
		{BOOT("\"multiboot\": \"kernel.elf\", \"modules\": \"mod 1\""),
		 "guest bad: boot.modules: a string in double quotes stands where a list"},
		{BOOT("\"multiboot\": \"kernel.elf\", \"modules\": [\"mod 1\", \"mod 2\"]"),
		 "guest bad: boot.modules: no module with the string \"mod 2\""},
		{BOOT("\"multiboot\": \"kernel.elf\", \"modules\": [[]]"),
		 "guest bad: boot.modules: a list [...] stands where a string"},
		{BOOT("\"multiboot\": \"kernel.elf\", \"modules\": [\"mod 1\", \"mod 1\", "
		      "\"mod 1\", \"mod 1\", \"mod 1\", \"mod 1\", \"mod 1\", \"mod 1\", \"mod "
		      "1\"]"),
		 "guest bad: boot.modules: there are 9: at most 8 are possible"},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(faults); i++) {
		char json[1024];

		snprintf(json, sizeof(json), "{\"guests\": [%s, " WEB "]}", faults[i].json);
		assert_int_equal(parse(json), 0);
		if (!n_said || !strstr(said[0], faults[i].sentence))
			fail_msg("%s\n  not in: %s", faults[i].sentence, said[0]);
		assert_int_equal(cfg.n_refused, 1);
		assert_int_equal(cfg.n_guests, 1);
		assert_string_equal(cfg.guests[0].name, "web");
	}
}

static void test_every_fault_is_said(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"guests\": [{\"name\": \"x\", \"memory\": \"3M\", \"vcpus\": 3, "
			       "\"boot\": {\"linux\": \"a\", \"initrd\": \"b\"}}]}"),
			 0);
	assert_int_equal(n_said, 4);
	for (unsigned i = 0; i < n_said; i++)
		assert_int_equal(strncmp(said[i], "guest x: ", 9), 0);
	assert_int_equal(cfg.n_refused, 1);
	assert_int_equal(parse("{\"a\": 1, \"b\": 2, \"when_idle\": 3}"), ERR_INVALID);
	assert_int_equal(n_said, 4);
}

static void test_same_name(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"guests\": [" WEB "," WEB "," NAME("\"db\"") "]}"), 0);
	assert_int_equal(n_said, 1);
	assert_string_equal(said[0], "guest web: name: another guest has this name already");
	assert_int_equal(cfg.n_guests, 2);
	assert_string_equal(cfg.guests[0].name, "web");
	assert_int_equal(cfg.guests[0].memory, 512 * MIB);
	assert_string_equal(cfg.guests[1].name, "db");
}

static void test_attach_to_refused(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"console\": {\"attach\": \"bad\"}, \"guests\": [" MEM(
				 "\"1M\"") ", " WEB "]}"),
			 0);
	assert_int_equal(n_said, 2);
	assert_string_equal(said[1],
			    "console.attach: guest bad was refused, so the shell comes up");
	assert_string_equal(cfg.attach, "");
	assert_int_equal(cfg.n_guests, 1);
}

/* What a guest may take, and what becomes of it when it fails. */
static void test_shares(void **state)
{
	const struct guest_config *g = cfg.guests;
	struct cpu_set all = cpu_set_all();
	char text[16];

	(void)state;
	assert_int_equal(parse("{\"guests\": [" WEB "]}"), 0);
	assert_true(g->limit == CONFIG_NO_LIMIT);
	assert_int_equal(g->reserve, 0);
	assert_memory_equal(&g->affinity, &all, sizeof(all));
	assert_int_equal(g->on_crash, THEN_STOP);
	assert_int_equal(g->on_reset, THEN_RESTART);
	/* in any order: only the whole guest can say whether limit and reserve are right */
	assert_int_equal(
		parse("{\"guests\": [{\"reserve\": \"4M\", \"limit\": \"4096K\", \"name\": \"a\", "
		      "\"memory\": \"4M\", \"affinity\": \"0,2-3,255\", \"on_crash\": "
		      "\"restart\", \"on_reset\": \"stop\", " LINUX "}]}"),
		0);
	assert_int_equal(n_said, 0);
	assert_int_equal(g->limit, 4 * MIB);
	assert_int_equal(g->reserve, 4 * MIB);
	cpu_set_format(&g->affinity, text, sizeof(text));
	assert_string_equal(text, "0,2-3,255");
	assert_int_equal(g->on_crash, THEN_RESTART);
	assert_int_equal(g->on_reset, THEN_STOP);
	/* a reserve may be more than the memory: tables are paid from it too */
	assert_int_equal(parse("{\"guests\": [" KEY("\"reserve\": \"8M\", " LINUX) "]}"), 0);
	assert_int_equal(n_said, 0);
}

static void test_limits(void **state)
{
	static char json[16384];
	static char pad[CONFIG_CMDLINE_MAX + 1];

	(void)state;
	for (unsigned n = CONFIG_MAX_GUESTS; n <= CONFIG_MAX_GUESTS + 1; n++) {
		char *p = json + sprintf(json, "{\"guests\": [");

		for (unsigned i = 0; i < n; i++)
			p += sprintf(p,
				     "%s{\"name\": \"g%u\", \"memory\": \"2M\", \"boot\": "
				     "{\"linux\": \"vmlinuz\", \"initrd\": \"initrd.gz\", "
				     "\"cmdline\": \"a\"}, \"vcpus\": 1, \"autostart\": true}",
				     i ? "," : "", i);
		strcpy(p, "]}");
		assert_int_equal(parse(json), n == CONFIG_MAX_GUESTS ? 0 : ERR_INVALID);
	}
	assert_string_equal(said[0], "guests: there are 65: at most 64 are possible");

	memset(pad, 'x', sizeof(pad) - 1);
	for (unsigned n = CONFIG_CMDLINE_MAX - 1; n <= CONFIG_CMDLINE_MAX; n++) {
		sprintf(json,
			"{\"guests\": [" BOOT("\"linux\": \"vmlinuz\", \"cmdline\": \"%.*s\"") "]}",
			(int)n, pad);
		assert_int_equal(parse(json), 0);
		assert_int_equal(cfg.n_refused, n == CONFIG_CMDLINE_MAX);
	}
	assert_string_equal(said[0], "guest bad: boot.cmdline: it is longer than 2047 characters");

	sprintf(json, "{\"guests\": [" BOOT("\"linux\": \"%.*s\"") "]}", CONFIG_STRING_MAX, pad);
	assert_int_equal(parse(json), 0);
	assert_string_equal(said[0], "guest bad: boot.linux: it is longer than 127 characters");
}

/* jsmn lets much of this pass. */
static void test_not_json(void **state)
{
	static const char *const wrong[] = {
		"{\"guests\": []} x",
		"{\"guests\": []} {}",
		"{\"guests\": []}}",
		"{\"guests\": []",
		"{\"guests\": [}",
		"{\"guests\" []}",
		"{\"guests\": [],}",
		"{\"guests\": [,]}",
		"{\"guests\": [1,]}",
		"{\"guests\": [1 2]}",
		"{\"guests\"}",
		"{\"guests\":}",
		"{\"guests\": [] \"a\": 1}",
		"{\"guests\": \"a\": 1}",
		"{guests: []}",
		"{'guests': []}",
		"{\"guests\": [tru]}",
		"{\"guests\": [nul]}",
		"{\"guests\": [truex]}",
		"{\"guests\": [01]}",
		"{\"guests\": [1.]}",
		"{\"guests\": [.5]}",
		"{\"guests\": [1e]}",
		"{\"guests\": [+1]}",
		"{\"guests\": [-]}",
		"{\"guests\": [0x1]}",
		"{\"guests\": [\"\\x\"]}",
		"{\"guests\": [\"\\u12g4\"]}",
		"{\"guests\": [\"\\u12\"]}",
		"{\"guests\": [\"a\nb\"]}",
		"{\"guests\": [\"a]}",
		"{1: []}",
		"{[]: []}",
		"// x\n{\"guests\": []}",
		"\xef\xbb\xbf{\"guests\": []}",
		":",
		",",
		"}",
		"\"",
		"\\",
		"{\"guests\": [NaN]}",
		"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]",
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		if (parse(wrong[i]) != ERR_INVALID || n_said != 1 ||
		    strncmp(said[0], "configuration: this is not JSON: line ", 38))
			fail_msg("%s: %s", wrong[i], said[0]);
	}
	assert_int_equal(parse_bytes("{\"guests\": []}\0", 15), ERR_INVALID);
	assert_int_equal(parse_bytes("{\"guests\": [\"\0\"]}", 17), ERR_INVALID);
	parse("{\n \"guests\": [\n  nope]}");
	assert_string_equal(said[0],
			    "configuration: this is not JSON: line 3, column 3: a value is "
			    "expected");
}

static void test_depth_and_tokens(void **state)
{
	static char json[3 * JSON_MAX_TOKENS];
	struct reason why;
	char *p;

	(void)state;
	for (unsigned n = JSON_MAX_DEPTH; n <= JSON_MAX_DEPTH + 1; n++) {
		memset(json, '[', n);
		memset(json + n, ']', n);
		assert_int_equal(json_parse(json, 2 * n, &why),
				 n == JSON_MAX_DEPTH ? 0 : ERR_INVALID);
	}
	for (unsigned n = JSON_MAX_TOKENS - 1; n <= JSON_MAX_TOKENS; n++) {
		p = json;
		for (unsigned i = 0; i < n; i++) {
			*p++ = i ? ',' : '[';
			*p++ = '1';
		}
		*p++ = ']';
		assert_int_equal(json_parse(json, (size_t)(p - json), &why),
				 n == JSON_MAX_TOKENS ? ERR_RANGE : 0);
	}
	strcpy(json, "[1e5, -0.5E-3, true, \"\", {}, null]");
	assert_int_equal(json_parse(json, strlen(json), &why), 0);
	assert_int_equal(json_count(0), 6);
	assert_int_equal(json_kind(1), JSON_NUMBER);
	assert_int_equal(json_kind(2), JSON_NUMBER);
	assert_int_equal(json_kind(3), JSON_BOOL);
	assert_int_equal(json_kind(4), JSON_STRING);
	assert_int_equal(json_kind(json_next(4)), JSON_OBJECT);
	assert_int_equal(json_kind(6), JSON_NULL);
}

static void test_cut(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(full) - 2; n++)
		assert_int_equal(parse_bytes(full, n), ERR_INVALID);
	assert_int_equal(parse_bytes(full, sizeof(full) - 2), 0); /* without the last line end */
}

static void check_config(void)
{
	assert_true(cfg.n_guests <= CONFIG_MAX_GUESTS);
	for (uint32_t i = 0; i < cfg.n_guests; i++) {
		const struct guest_config *g = &cfg.guests[i];

		assert_in_range(strnlen(g->name, CONFIG_NAME_MAX), 1, CONFIG_NAME_MAX - 1);
		assert_in_range(g->memory, 2 * MIB, 1024 * GIB);
		assert_int_equal(g->memory % (2 * MIB), 0);
		assert_int_equal(g->vcpus, 1);
		assert_true(g->n_modules <= CONFIG_MAX_MODULES);
		assert_true(exists(&cfg, g->kernel));
	}
}

static void test_random(void **state)
{
	static const char marks[] = "{}[]\":,\\0123tfn eu\n";
	unsigned good = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		char json[sizeof(full)];

		memcpy(json, full, sizeof(full));
		if (i % 2)
			broken_flip((uint8_t *)json, 0, sizeof(full) - 1);
		else
			json[broken_random() % (sizeof(full) - 1)] =
				marks[broken_random() % (sizeof(marks) - 1)];
		if (!parse_bytes(json, sizeof(full) - 1)) {
			good++;
			check_config();
		}
	}
	assert_in_range(good, 500, 19500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_firmware),
		cmocka_unit_test(test_boot),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_whole_refused),
		cmocka_unit_test(test_guest_refused),
		cmocka_unit_test(test_every_fault_is_said),
		cmocka_unit_test(test_same_name),
		cmocka_unit_test(test_attach_to_refused),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_not_json),
		cmocka_unit_test(test_depth_and_tokens),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
