/* The boot loader's information: all tags, overlapping memory, and every way to be broken. */
#include "tests/unit/broken.h"

#include "boot/info.h"
#include "lib/le.h"

static uint8_t mbi[16384];
static uint32_t len;
static struct boot_info info;
static struct reason why;
static char said[4][240];
static unsigned n_said;

static void complain(void *ctx, const char *sentence)
{
	assert_ptr_equal(ctx, &info);
	assert_sentence(sentence);
	if (n_said < ARRAY_SIZE(said))
		strcpy(said[n_said], sentence);
	n_said++;
}

static void begin(void)
{
	memset(mbi, 0, sizeof(mbi));
	len = 8;
}

/* Appends a tag; returns where its content begins. */
static uint8_t *tag(uint32_t type, const void *data, uint32_t size)
{
	uint8_t *p = mbi + len;

	put_le32(p, type);
	put_le32(p + 4, size + 8);
	if (data)
		memcpy(p + 8, data, size);
	len = ALIGN_UP(len + 8 + size, 8u);
	assert_true(len < sizeof(mbi));
	return p + 8;
}

static void string_tag(uint32_t type, const char *s)
{
	tag(type, s, (uint32_t)strlen(s) + 1);
}

static void module_tag(uint32_t start, uint32_t end, const char *s)
{
	uint8_t *p = tag(3, NULL, 8 + (uint32_t)strlen(s) + 1);

	put_le32(p, start);
	put_le32(p + 4, end);
	memcpy(p + 8, s, strlen(s) + 1);
}

struct range {
	uint64_t start, size;
	uint32_t type;
};

static uint8_t *mmap_tag(const struct range *r, unsigned n)
{
	uint8_t *p = tag(6, NULL, 8 + 24 * n);

	put_le32(p, 24);
	for (unsigned i = 0; i < n; i++) {
		put_le64(p + 8 + 24 * i, r[i].start);
		put_le64(p + 16 + 24 * i, r[i].size);
		put_le32(p + 24 + 24 * i, r[i].type);
	}
	return p;
}

static void end(void)
{
	tag(0, NULL, 0);
	put_le32(mbi, len);
}

static int parse_copy(const void *data, size_t size)
{
	uint8_t *copy = broken_copy(data, size);
	int err;

	memset(&info, 0xa5, sizeof(info));
	memset(&why, 0, sizeof(why));
	n_said = 0;
	err = multiboot2_parse(copy, size, &info, complain, &info, &why);
	free(copy);
	if (err)
		assert_sentence(why.text);
	return err;
}

static int parse(void)
{
	return parse_copy(mbi, len);
}

static const struct range pc[] = {
	{0, 0x9fc00, 1},
	{0x9fc00, 0x400, 2},
	{0xf0000, 0x10000, 2},
	{0x100000, 0x7ee0000, 1},
	{0x7fe0000, 0x20000, 3},
	{0xfffc0000, 0x40000, 2},
	{0x100000000, 0x40000000, 1},
};

static void make_pc(void)
{
	uint8_t rsdp[36] = "RSD PTR ";

	begin();
	string_tag(1, "console=com1 loglevel=debug");
	string_tag(2, "GRUB 2.06");
	module_tag(0x200000, 0x200100, "config");
	module_tag(0x300000, 0x300000, "");
	tag(12, "\1\2\3\4\5\6\7", 8);
	mmap_tag(pc, ARRAY_SIZE(pc));
	rsdp[15] = 2;
	tag(15, rsdp, 36);
	tag(14, rsdp, 20);
	tag(21, "\0\0\x40\0", 4);
	tag(999, "unknown", 7);
	end();
}

static void test_pc(void **state)
{
	(void)state;
	make_pc();
	assert_int_equal(parse(), 0);
	assert_string_equal(info.cmdline, "console=com1 loglevel=debug");
	assert_string_equal(info.loader, "GRUB 2.06");
	assert_int_equal(info.n_modules, 2);
	assert_string_equal(info.modules[0].string, "config");
	assert_int_equal(info.modules[0].start, 0x200000);
	assert_int_equal(info.modules[0].end, 0x200100);
	assert_string_equal(info.modules[1].string, "");
	assert_true(info.uefi);
	assert_true(info.has_rsdp);
	assert_int_equal(info.rsdp_len, 36);
	assert_int_equal(info.rsdp[15], 2);
	assert_int_equal(info.n_ranges, 7);
	assert_int_equal(info.ranges[0].start, 0);
	assert_int_equal(info.ranges[0].end, 0x9f000); /* whole pages only */
	assert_int_equal(info.ranges[1].start, 0x9fc00);
	assert_int_equal(info.ranges[1].end, 0xa0000);
	assert_int_equal(info.ranges[6].end, 0x140000000);
	assert_int_equal(info.ranges[6].kind, MEM_RAM);
}

static void check_ranges(const struct range *in, unsigned n_in, const struct mem_range *want,
			 unsigned n_want)
{
	begin();
	mmap_tag(in, n_in);
	end();
	assert_int_equal(parse(), 0);
	assert_int_equal(info.n_ranges, n_want);
	for (unsigned i = 0; i < n_want; i++) {
		assert_int_equal(info.ranges[i].start, want[i].start);
		assert_int_equal(info.ranges[i].end, want[i].end);
		assert_int_equal(info.ranges[i].kind, want[i].kind);
	}
}

static void test_overlaps(void **state)
{
	/* Unsorted; a hole of NVS in RAM; bad memory above all; an unknown type is reserved;
	 * neighbours of one kind become one; the end of the address space. */
	const struct range in[] = {
		{0x300000, 0x100000, 1},         {0x100000, 0x200000, 1}, {0x180000, 0x1000, 4},
		{0x180800, 0x1000, 2},           {0x180000, 0x100, 5},    {0x390000, 0x1000, 77},
		{0x390000, 0x2000, 3},           {0x500000, 0, 2},        {0x600000, 0xfff, 1},
		{0xffffffffffff0000, 0xffff, 2},
	};
	const struct mem_range want[] = {
		{0x100000, 0x180000, MEM_RAM},
		{0x180000, 0x180100, MEM_BAD},
		{0x180100, 0x181000, MEM_NVS},
		{0x181000, 0x181800, MEM_RESERVED},
		{0x182000, 0x390000, MEM_RAM},
		{0x390000, 0x391000, MEM_RESERVED},
		{0x391000, 0x392000, MEM_ACPI},
		{0x392000, 0x400000, MEM_RAM},
		{0xffffffffffff0000, 0xffffffffffffffff, MEM_RESERVED},
	};
	/* A large entry around a small one of the same and of a weaker kind. */
	const struct range nested[] = {{0, 0x10000, 2}, {0x4000, 0x1000, 1}, {0x6000, 0x1000, 2}};
	const struct mem_range one[] = {{0, 0x10000, MEM_RESERVED}};

	(void)state;
	check_ranges(in, ARRAY_SIZE(in), want, ARRAY_SIZE(want));
	check_ranges(nested, ARRAY_SIZE(nested), one, 1);
}

static void test_sentences(void **state)
{
	uint8_t *p;

	(void)state;
	begin();
	end();
	assert_int_equal(parse(), ERR_INVALID);
	assert_non_null(strstr(why.text, "no memory map"));

	begin();
	p = mmap_tag(pc, ARRAY_SIZE(pc));
	end();
	put_le32(p, 20);
	assert_int_equal(parse(), ERR_INVALID);
	put_le32(p, 28);
	assert_int_equal(parse(), ERR_INVALID);
	put_le32(p, 0);
	assert_int_equal(parse(), ERR_INVALID);
	put_le32(p, 24);
	put_le64(p + 8, 0x1000);
	put_le64(p + 16, UINT64_MAX - 0xfff);
	assert_int_equal(parse(), ERR_INVALID);
	assert_non_null(strstr(why.text, "beyond the end of the address space"));
	put_le64(p + 16, UINT64_MAX - 0x1000);
	assert_int_equal(parse(), 0);

	begin();
	mmap_tag(pc, ARRAY_SIZE(pc));
	tag(18, NULL, 0);
	end();
	assert_int_equal(parse(), ERR_UNSUPPORTED);

	begin();
	mmap_tag(pc, ARRAY_SIZE(pc));
	module_tag(0x2000, 0x1fff, "x");
	end();
	assert_int_equal(parse(), ERR_INVALID);
	assert_non_null(strstr(why.text, "module 1 ends at 0x1fff, before its start at 0x2000"));

	begin();
	mmap_tag(pc, ARRAY_SIZE(pc));
	tag(1, "abc", 3); /* no ending zero */
	end();
	assert_int_equal(parse(), ERR_INVALID);
	assert_non_null(strstr(why.text, "command line has no end"));

	begin();
	mmap_tag(pc, ARRAY_SIZE(pc));
	tag(15, mbi, 35);
	end();
	assert_int_equal(parse(), ERR_INVALID);

	begin();
	mmap_tag(pc, ARRAY_SIZE(pc));
	put_le32(mbi, len); /* no end tag */
	assert_int_equal(parse(), ERR_INVALID);
	assert_non_null(strstr(why.text, "without an end tag"));
}

/* What the administrator's entry or the machine has too much of costs that, not the boot. */
static void test_limits(void **state)
{
	char text[1100];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[1000] = ' ';
	for (unsigned n = 1023; n <= 1024; n++) {
		text[n] = 0;
		begin();
		mmap_tag(pc, ARRAY_SIZE(pc));
		string_tag(1, text);
		end();
		assert_int_equal(parse(), 0);
		assert_int_equal(strlen(info.cmdline), n == 1023 ? 1023 : 1000);
		assert_int_equal(n_said, n == 1023 ? 0 : 1);
		text[n] = 'x';
	}
	assert_non_null(strstr(said[0], "1024 characters"));

	text[1090] = 0;
	text[1000] = 'x'; /* not even one word fits */
	begin();
	mmap_tag(pc, ARRAY_SIZE(pc));
	string_tag(1, text);
	end();
	assert_int_equal(parse(), 0);
	assert_string_equal(info.cmdline, "");

	for (unsigned n = 127; n <= 128; n++) {
		text[n] = 0;
		begin();
		mmap_tag(pc, ARRAY_SIZE(pc));
		module_tag(0, 1, text);
		module_tag(0x1000, 0x2000, "next");
		string_tag(2, text); /* the loader's name is cut to fit */
		end();
		assert_int_equal(parse(), 0);
		assert_int_equal(info.n_modules, n == 127 ? 2 : 1);
		assert_string_equal(info.modules[info.n_modules - 1].string, "next");
		assert_int_equal(n_said, n == 127 ? 0 : 1);
		text[n] = 'x';
	}
	assert_non_null(strstr(said[0], "128 characters"));

	for (unsigned n = BOOT_MAX_MODULES; n <= BOOT_MAX_MODULES + 2; n++) {
		begin();
		mmap_tag(pc, ARRAY_SIZE(pc));
		for (unsigned i = 0; i < n; i++)
			module_tag(0, i, "m");
		end();
		assert_int_equal(parse(), 0);
		assert_int_equal(info.n_modules, BOOT_MAX_MODULES);
		assert_int_equal(info.modules[BOOT_MAX_MODULES - 1].end, BOOT_MAX_MODULES - 1);
		assert_int_equal(n_said, n > BOOT_MAX_MODULES);
	}
	assert_non_null(strstr(said[0], "2 of the boot loader's modules"));
}

/* The loader's strings, and what was written in its entry. */
static void test_quoting(void **state)
{
	static const struct {
		const char *said, *meant;
	} cases[] = {
		{"it\\'s", "it's"},
		{"\\\"quoted\\\"", "\"quoted\""},
		{"back\\\\slash", "back\\slash"},
		{"\\\\\\\\", "\\\\"},
		{"\\x41 \\\\\\x41", "\\x41 \\\\x41"}, /* \xNN is passed as it is */
		{"\"two words\" more", "two words more"},
		{"\"it\\'s two\"", "it's two"},
		{"end\\", "end\\"},
		{"\"", ""},
		{"", ""},
	};
	char text[300];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		begin();
		mmap_tag(pc, ARRAY_SIZE(pc));
		string_tag(1, cases[i].said);
		module_tag(0, 1, cases[i].said);
		end();
		assert_int_equal(parse(), 0);
		assert_string_equal(info.cmdline, cases[i].meant);
		assert_string_equal(info.modules[0].string, cases[i].meant);
	}

	/* It is the name itself that may have 127 characters. */
	for (unsigned n = 127; n <= 128; n++) {
		for (unsigned i = 0; i < n; i++)
			memcpy(text + 2 * i, "\\'", 3);
		begin();
		mmap_tag(pc, ARRAY_SIZE(pc));
		module_tag(0, 1, text);
		end();
		assert_int_equal(parse(), 0);
		assert_int_equal(info.n_modules, n == 127 ? 1 : 0);
		assert_int_equal(n_said, n == 127 ? 0 : 1);
	}
}

static void check_info(void);

/* Of too many ranges those go that cost least. */
static void test_too_many_ranges(void **state)
{
	struct range r[BOOT_MAX_RANGES + 3];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(r); i++)
		r[i] = (struct range){(uint64_t)i << 20, i == 7 ? 0x1000 : 0x10000, 1};
	r[ARRAY_SIZE(r) - 1].size = 0x40000000;
	for (unsigned n = BOOT_MAX_RANGES; n <= BOOT_MAX_RANGES + 1; n++) {
		begin();
		mmap_tag(r, n);
		end();
		assert_int_equal(parse(), 0);
		assert_int_equal(info.n_ranges, BOOT_MAX_RANGES);
		assert_int_equal(n_said, n > BOOT_MAX_RANGES);
		check_info();
		assert_int_equal(info.ranges[7].start, n > BOOT_MAX_RANGES ? 8 << 20 : 7 << 20);
	}
	assert_non_null(strstr(said[0], "has 1 ranges more"));
	assert_non_null(strstr(said[0], "4 KiB of RAM"));

	/* Reserved ranges go before any RAM, however small; a big one at the end stays. */
	r[3].type = 2;
	r[5].type = 5;
	begin();
	mmap_tag(r, ARRAY_SIZE(r));
	end();
	assert_int_equal(parse(), 0);
	assert_int_equal(n_said, 1);
	assert_non_null(strstr(said[0], "has 3 ranges more"));
	assert_non_null(strstr(said[0], "4 KiB of RAM"));
	assert_int_equal(info.n_ranges, BOOT_MAX_RANGES);
	assert_int_equal(info.ranges[BOOT_MAX_RANGES - 1].end,
			 ((uint64_t)(ARRAY_SIZE(r) - 1) << 20) + 0x40000000);
	check_info();
}

static void check_info(void)
{
	for (uint32_t i = 0; i < info.n_ranges; i++) {
		assert_true(info.ranges[i].start < info.ranges[i].end);
		if (i)
			assert_true(info.ranges[i - 1].end <= info.ranges[i].start);
		if (info.ranges[i].kind == MEM_RAM)
			assert_false((info.ranges[i].start | info.ranges[i].end) % PAGE_SIZE);
	}
	for (uint32_t i = 0; i < info.n_modules; i++)
		assert_true(info.modules[i].start <= info.modules[i].end);
	assert_true(memchr(info.cmdline, 0, sizeof(info.cmdline)) != NULL);
	assert_true(memchr(info.loader, 0, sizeof(info.loader)) != NULL);
}

static void test_cut(void **state)
{
	(void)state;
	make_pc();
	/* The buffer is shorter than the structure says. */
	for (uint32_t n = 0; n < len; n++)
		assert_int_equal(parse_copy(mbi, n), ERR_RANGE);
	/* The structure itself says that it is shorter. */
	for (uint32_t n = 0; n < len; n++) {
		put_le32(mbi, n);
		assert_int_not_equal(parse_copy(mbi, MAX(n, 8)), 0);
	}
}

static void test_random(void **state)
{
	unsigned good = 0;

	(void)state;
	make_pc();
	for (unsigned i = 0; i < 30000; i++) {
		uint8_t copy[2048];

		memcpy(copy, mbi, len);
		broken_flip(copy, 0, len);
		if (!parse_copy(copy, len)) {
			good++;
			check_info();
		}
	}
	assert_in_range(good, 1000, 29000);
}

/* What the console needs to know is found without a look at the rest. */
static void test_command_line_alone(void **state)
{
	char line[32];

	(void)state;
	begin();
	tag(99, NULL, 5);
	string_tag(1, "console=none panic=stay");
	end();
	multiboot2_cmdline(mbi, sizeof(mbi), line, sizeof(line));
	assert_string_equal(line, "console=none panic=stay");
	multiboot2_cmdline(mbi, sizeof(mbi), line, 8);
	assert_string_equal(line, "console");
	multiboot2_cmdline(mbi, len - 1, line, sizeof(line));
	assert_string_equal(line, "");
	for (uint32_t cut = 0; cut < len; cut++) {
		uint8_t *copy = broken_copy(mbi, cut);

		if (cut >= 8)
			put_le32(copy, cut);
		multiboot2_cmdline(copy, cut, line, sizeof(line));
		free(copy);
	}
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t *copy = broken_copy(mbi, len);

		broken_flip(copy, 0, len);
		multiboot2_cmdline(copy, len, line, sizeof(line));
		free(copy);
	}
}

static void test_firmware_names(void **state)
{
	static const uint8_t smbios[] = "\3\0\0\0\0\0\0\0"
					"\1\10\0\0\1\0\0\0maker\0\0"
					"\177\4\0\0\0\0";
	static const struct range ram = {0x100000, 0x100000, 1};
	uint8_t *p;

	(void)state;
	begin();
	tag(13, smbios, sizeof(smbios));
	p = tag(12, NULL, 8);
	put_le64(p, 0x7e001018);
	mmap_tag(&ram, 1);
	end();
	assert_int_equal(parse(), 0);
	assert_string_equal(info.machine, "maker");
	assert_int_equal(info.efi64, 0x7e001018);
	assert_true(info.uefi);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pc),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_quoting),
		cmocka_unit_test(test_too_many_ranges),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_command_line_alone),
		cmocka_unit_test(test_firmware_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
