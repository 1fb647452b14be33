/* The multiboot 1 loader: ELF and address fields, the information structure, and every refusal. */
#include "tests/unit/broken.h"
#include "tests/unit/guest_ram.h"

#include "guests/load.h"
#include "lib/le.h"

#define SIZE 0x3000u

static uint8_t image[SIZE];
static struct load_blob kernel = {.data = image, .size = SIZE, .string = "kernel.elf"};
static struct guest_entry entry;
static struct reason why;

static void header(uint32_t at, uint32_t flags)
{
	put_le32(image + at, 0x1badb002);
	put_le32(image + at + 4, flags);
	put_le32(image + at + 8, -(0x1badb002 + flags));
}

static uint8_t *phdr(unsigned i, uint32_t vaddr, uint32_t paddr, uint32_t offset, uint32_t file,
		     uint32_t mem)
{
	uint8_t *p = image + 52 + 32 * i;

	put_le32(p, 1);
	put_le32(p + 4, offset);
	put_le32(p + 8, vaddr);
	put_le32(p + 12, paddr);
	put_le32(p + 16, file);
	put_le32(p + 20, mem);
	put_le16(image + 44, (uint16_t)(i + 1));
	return p;
}

static void fill_image(void)
{
	for (unsigned i = 0; i < SIZE; i++)
		image[i] = (uint8_t)(i * 5 + 1);
	memset(image, 0, 0x400);
	kernel.size = SIZE;
}

/* Two segments; the second's file part is followed by zeros. The entry is in the first. */
static void make_elf32(void)
{
	fill_image();
	memcpy(image, "\177ELF\1\1\1", 7);
	put_le16(image + 16, 2);
	put_le16(image + 18, 3);
	put_le32(image + 24, 0xc0100010);
	put_le32(image + 28, 52);
	put_le16(image + 42, 32);
	phdr(0, 0xc0100000, 0x100000, 0x1000, 0x800, 0x800);
	phdr(1, 0xc0102000, 0x102000, 0x2000, 0x400, 0x1000);
	header(0x1000, 3);
}

static int load_with(const struct load_blob *modules, unsigned n, const char *cmdline)
{
	struct load_blob k = kernel;
	uint8_t *copy = broken_copy(image, k.size);
	int err;

	k.data = copy;
	memset(&why, 0, sizeof(why));
	memset(&entry, 0xa5, sizeof(entry));
	err = load_multiboot(&ram, &k, modules, n, cmdline, &entry, &why);
	free(copy);
	if (err)
		assert_sentence(why.text);
	return err;
}

static int load(void)
{
	return load_with(NULL, 0, "");
}

static const uint8_t *info(void)
{
	return ram_at(entry.gpr[GPR_RBX], 120);
}

static const char *string_at(uint32_t gpa)
{
	return (const char *)ram_at(gpa, 1);
}

static void test_elf32(void **state)
{
	static const uint8_t zeros[0xc00];

	(void)state;
	make_elf32();
	ram_make(16 * MIB, 0xcc);
	assert_int_equal(load(), 0);
	assert_false(entry.long_mode);
	assert_int_equal(entry.rip, 0x100010); /* the physical place of the virtual entry */
	assert_int_equal(entry.cr3, 0);
	assert_int_equal(entry.gpr[GPR_RAX], 0x2badb002);
	assert_int_equal(entry.gpr[GPR_RSP], entry.rsp);
	assert_memory_equal(ram_at(0x100000, 0x800), image + 0x1000, 0x800);
	assert_int_equal(*ram_at(0x100800, 1), 0xcc); /* between segments: untouched */
	assert_memory_equal(ram_at(0x102000, 0x400), image + 0x2000, 0x400);
	assert_memory_equal(ram_at(0x102400, 0xc00), zeros, 0xc00);
	assert_int_equal(*ram_at(0x103000, 1), 0xcc);
	assert_true(le64(ram_at(entry.gdt_base + 0x10, 8)) == 0x00cf9b000000ffff);
	assert_true(le64(ram_at(entry.gdt_base + 0x18, 8)) == 0x00cf93000000ffff);
	assert_int_equal(entry.gdt_limit, 0x1f);
	/* An entry that is a physical address. */
	put_le32(image + 24, 0x102004);
	assert_int_equal(load(), 0);
	assert_int_equal(entry.rip, 0x102004);
}

static void test_info(void **state)
{
	static const char data[4097] = "module";
	const struct load_blob modules[] = {{data, sizeof(data), "first a=1"}, {"x", 1, "second"}};
	const uint8_t *m;

	(void)state;
	make_elf32();
	ram_make(16 * MIB, 0xcc);
	assert_int_equal(load_with(modules, 2, "one two"), 0);
	assert_int_equal(le32(info()), 0x124d);
	assert_int_equal(le32(info() + 4), 639);
	assert_int_equal(le32(info() + 8), 15 * 1024);
	assert_string_equal(string_at(le32(info() + 16)), "one two");
	assert_string_equal(string_at(le32(info() + 64)), "Skerry");
	assert_int_equal(le32(info() + 20), 2);
	m = ram_at(le32(info() + 24), 32);
	assert_int_equal(le32(m), 0x103000);
	assert_int_equal(le32(m + 4), 0x103000 + 4097);
	assert_string_equal(string_at(le32(m + 8)), "first a=1");
	assert_int_equal(le32(m + 12), 0);
	assert_int_equal(le32(m + 16), 0x105000);
	assert_int_equal(le32(m + 20), 0x105001);
	assert_string_equal(string_at(le32(m + 24)), "second");
	assert_memory_equal(ram_at(0x103000, 4097), data, 4097);
	assert_int_equal(*ram_at(0x105000, 1), 'x');

	assert_int_equal(le32(info() + 44), 96);
	m = ram_at(le32(info() + 48), 96);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(le32(m + 24 * i), 20);
	assert_int_equal(le64(m + 4), 0);
	assert_int_equal(le64(m + 12), 0x9fc00);
	assert_int_equal(le32(m + 20), 1);
	assert_int_equal(le64(m + 28), 0x9fc00);
	assert_int_equal(le32(m + 44), 2);
	assert_int_equal(le64(m + 52), 0x100000);
	assert_int_equal(le64(m + 60), 15 * MIB);
	assert_int_equal(le64(m + 76), 0xe0000000); /* PCI's configuration window */
	assert_int_equal(le64(m + 84), 256 * MIB);
	assert_int_equal(le32(m + 92), 2);

	/* The text screen. */
	assert_int_equal(le64(info() + 88), 0xb8000);
	assert_int_equal(le32(info() + 96), 160);
	assert_int_equal(le32(info() + 100), 80);
	assert_int_equal(le32(info() + 104), 25);
	assert_int_equal(info()[108], 16);
	assert_int_equal(info()[109], 2);

	/* RAM above 4 GiB. */
	ram_make(4 * GIB, 0);
	assert_int_equal(load(), 0);
	assert_int_equal(le32(info() + 44), 120);
	m = ram_at(le32(info() + 48), 120);
	assert_true(le64(m + 100) == 4 * GIB);
	assert_int_equal(le64(m + 108), GIB);
	assert_int_equal(le32(info() + 8), 3 * 1024 * 1024 - 1024);
	assert_int_equal(le32(info() + 20), 0);
}

static void test_elf64(void **state)
{
	uint8_t *p;

	(void)state;
	fill_image();
	memcpy(image, "\177ELF\2\1\1", 7);
	put_le16(image + 18, 62);
	put_le64(image + 24, 0xffffffff80100010);
	put_le64(image + 32, 64);
	put_le16(image + 54, 56);
	put_le16(image + 56, 1);
	p = image + 64;
	put_le32(p, 1);
	put_le64(p + 8, 0x1000);
	put_le64(p + 16, 0xffffffff80100000);
	put_le64(p + 24, 0x100000);
	put_le64(p + 32, 0x800);
	put_le64(p + 40, 0x900);
	header(0x1ff0, 0);
	ram_make(4 * MIB, 0xcc);
	assert_int_equal(load(), 0);
	assert_int_equal(entry.rip, 0x100010);
	assert_false(entry.long_mode);
	assert_memory_equal(ram_at(0x100000, 0x800), image + 0x1000, 0x800);
	assert_int_equal(*ram_at(0x1008ff, 1), 0);
	put_le64(p + 24, 4 * GIB);
	assert_int_equal(load(), ERR_RANGE);
	put_le64(p + 24, 0xffffffffffffffff);
	assert_int_equal(load(), ERR_RANGE);
	put_le64(p + 24, 0x100000);
	put_le64(p + 40, UINT64_MAX);
	assert_int_equal(load(), ERR_RANGE);
}

/* header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr. */
static void make_addresses(uint32_t h, uint32_t load_addr, uint32_t load_end, uint32_t bss_end,
			   uint32_t entry_addr)
{
	const uint32_t fields[] = {h, load_addr, load_end, bss_end, entry_addr};

	fill_image();
	header(0x104, 0x10003);
	for (unsigned i = 0; i < 5; i++)
		put_le32(image + 0x104 + 12 + 4 * i, fields[i]);
}

static void test_addresses(void **state)
{
	(void)state;
	ram_make(4 * MIB, 0xcc);
	make_addresses(0x100004, 0x100000, 0x100500, 0x100600, 0x100020);
	assert_int_equal(load(), 0);
	assert_int_equal(entry.rip, 0x100020);
	assert_memory_equal(ram_at(0x100000, 0x500), image + 0x100, 0x500);
	assert_int_equal(*ram_at(0x100500, 1), 0);
	assert_int_equal(*ram_at(0x1005ff, 1), 0);
	assert_int_equal(*ram_at(0x100600, 1), 0xcc);
	/* The whole file, and no zeros. They win over an ELF header. */
	ram_make(4 * MIB, 0xcc);
	make_addresses(0x100004, 0x100000, 0, 0, 0x100020);
	memcpy(image, "\177ELF\1\1\1", 7);
	assert_int_equal(load(), 0);
	assert_memory_equal(ram_at(0x100000, SIZE - 0x100), image + 0x100, SIZE - 0x100);
	assert_int_equal(*ram_at(0x100000 + SIZE - 0x100, 1), 0xcc);

	make_addresses(0xffffc, 0x100000, 0, 0, 0x100020);
	assert_int_equal(load(), ERR_INVALID);
	make_addresses(0x100105, 0x100000, 0, 0, 0x100020);
	assert_int_equal(load(), ERR_INVALID);
	make_addresses(0x100104, 0x100000, 0, 0, 0x100020);
	assert_int_equal(load(), 0);
	make_addresses(0x100004, 0x100000, 0xfffff, 0, 0x100020);
	assert_int_equal(load(), ERR_INVALID);
	make_addresses(0x100004, 0x100000, 0x100500, 0x1004ff, 0x100020);
	assert_int_equal(load(), ERR_INVALID);
	make_addresses(0x100004, 0x100000, 0, 0x100500, 0x100020); /* less than the file */
	assert_int_equal(load(), ERR_INVALID);
	make_addresses(0x100004, 0x100000, 0x102f00, 0, 0x100020);
	assert_int_equal(load(), 0);
	make_addresses(0x100004, 0x100000, 0x102f01, 0, 0x100020); /* more than the file */
	assert_int_equal(load(), ERR_INVALID);
	assert_non_null(strstr(why.text, "is broken or cut"));
	make_addresses(0x100004, 0x100000, 0, 0, 0xfffff);
	assert_int_equal(load(), ERR_INVALID);
	assert_non_null(strstr(why.text, "has its entry at 0xfffff, where it loads nothing"));
	make_addresses(0x100004, 0x100000, 0, 0, 0x100020);
	kernel.size = 0x104 + 31;
	assert_int_equal(load(), ERR_INVALID);
	assert_string_equal(why.text, "kernel.elf is cut within its multiboot header");
}

static void refused(int err, const char *sentence)
{
	assert_int_equal(load(), err);
	if (!strstr(why.text, sentence))
		fail_msg("%s\n  not in: %s", sentence, why.text);
	make_elf32();
}

static void test_header(void **state)
{
	(void)state;
	ram_make(4 * MIB, 0);
	make_elf32();
	image[0x1000]++;
	refused(ERR_INVALID, "kernel.elf is not a multiboot 1 kernel: it has no multiboot header");
	image[0x1008]++;
	refused(ERR_INVALID, "is not a multiboot 1 kernel");
	header(0x1000, 8);
	refused(ERR_UNSUPPORTED, "asks by its multiboot flags 0x8 for features");
	header(0x1000, 0x8000);
	refused(ERR_UNSUPPORTED, "flags 0x8000");
	header(0x1000, 7 | 0xfffe0000); /* a video mode, and bits that may be unknown */
	assert_int_equal(load(), 0);
	/* The last place within 8 KiB, and the next. */
	make_elf32();
	image[0x1000] = 0;
	header(8192 - 12, 0);
	assert_int_equal(load(), 0);
	make_elf32();
	image[0x1000] = 0;
	memset(image + 8180, 0, 12);
	header(8192 - 8, 0);
	refused(ERR_INVALID, "is not a multiboot 1 kernel");
	image[0x1000] = 0;
	header(0x1002, 0); /* not at a multiple of 4 */
	refused(ERR_INVALID, "is not a multiboot 1 kernel");
	kernel.size = 0;
	refused(ERR_INVALID, "is not a multiboot 1 kernel");
}

static void test_refusals(void **state)
{
	(void)state;
	ram_make(4 * MIB, 0);
	make_elf32();
	image[1] = 'X';
	refused(ERR_INVALID, "has a multiboot header without addresses, and is no ELF file");
	image[4] = 3;
	refused(ERR_UNSUPPORTED, "is an ELF file for another processor");
	image[5] = 2;
	refused(ERR_UNSUPPORTED, "is an ELF file for another processor");
	image[18] = 40;
	refused(ERR_UNSUPPORTED, "is an ELF file for another processor");
	image[18] = 62; /* x86-64 code in an ELF32 file */
	refused(ERR_UNSUPPORTED, "is an ELF file for another processor");
	put_le32(image + 28, SIZE - 63);
	refused(ERR_INVALID, "its program headers are not in the file");
	put_le32(image + 28, UINT32_MAX);
	refused(ERR_INVALID, "its program headers are not in the file");
	put_le16(image + 42, 31);
	refused(ERR_INVALID, "its program headers are not in the file");
	put_le16(image + 44, 0);
	refused(ERR_INVALID, "has its entry at 0xc0100010, where it loads nothing");
	phdr(1, 0, 0x102000, 0x2000, 0x1001, 0x1001);
	refused(ERR_INVALID,
		"its segment at 0x102000 wants 4097 bytes from offset 0x2000 of a file "
		"of 12288 bytes");
	phdr(1, 0, 0x102000, UINT32_MAX, 2, 2);
	refused(ERR_INVALID, "is broken or cut");
	phdr(1, 0, 0x102000, 0x2000, 0x400, 0x3ff);
	refused(ERR_INVALID, "is broken or cut");
	phdr(1, 0, 0x1007ff, 0x2000, 0x400, 0x400);
	refused(ERR_INVALID, "has segments that overlap, at 0x100000 and at 0x1007ff");
	phdr(1, 0, 0x9fbff, 0x2000, 1, 2);
	refused(ERR_RANGE, "has a segment at 0x9fbff to 0x9fc01, where a PC has no RAM");
	phdr(1, 0, 0xeffff, 0x2000, 1, 1);
	refused(ERR_RANGE, "where a PC has no RAM (0x9fc00 to 0xf0000)");
	phdr(1, 0, 0x9fc00, 0x2000, 1, 1);
	refused(ERR_RANGE, "where a PC has no RAM");
	phdr(1, 0, 0x3fffff, 0x2000, 1, 2);
	refused(ERR_RANGE, "guest memory of 4 MiB is too small for kernel.elf, which has a segment "
			   "at 0x3fffff to 0x400001");
	phdr(1, 0, 0xffffffff, 0x2000, 1, UINT32_MAX);
	refused(ERR_RANGE, "guest memory of 4 MiB is too small");
	/* Up to the edges. */
	phdr(1, 0, 0x9fbff, 0x2000, 1, 1);
	phdr(2, 0, 0x3fffff, 0x2000, 1, 1);
	phdr(3, 0, 0xf0000, 0x2000, 1, 1);
	assert_int_equal(load(), 0);
	/* Zeros alone may name any offset; other types and empty segments do not count. */
	make_elf32();
	phdr(1, 0, 0x102000, UINT32_MAX, 0, 0x1000);
	put_le32(phdr(2, 0, 0, UINT32_MAX, 1, UINT32_MAX), 4);
	phdr(3, 0, 0xb8000, UINT32_MAX, 0, 0);
	assert_int_equal(load(), 0);
	make_elf32();
	for (unsigned i = 0; i < 17; i++)
		phdr(i, 0x100000 + i * 16, 0x100000 + i * 16, 0x2000, 16, 16);
	refused(ERR_UNSUPPORTED, "has more than 16 segments to load");
}

static void no_overlap(uint64_t start, uint64_t end)
{
	const uint64_t block = entry.gdt_base - 4096;
	const uint64_t last = le32(info() + 64) + sizeof("Skerry");

	assert_true(block >= 0x1000 && last <= 0x9fc00);
	assert_true(end <= block || start >= last);
}

static void test_block_keeps_clear(void **state)
{
	(void)state;
	ram_make(4 * MIB, 0);
	make_elf32();
	assert_int_equal(load(), 0);
	assert_int_equal(entry.gdt_base, 0x2000); /* the lowest place: stack, then the GDT */
	phdr(2, 0, 0x1800, 0x2000, 1, 0x10000);
	assert_int_equal(load(), 0);
	no_overlap(0x1800, 0x11800);
	/* Given in descending order, so that each makes it look again. */
	phdr(2, 0, 0x20000, 0x2000, 1, 0x60000);
	phdr(3, 0, 0x10001, 0x2000, 1, 0xf000);
	phdr(4, 0, 0x1000, 0x2000, 1, 0xf000);
	assert_int_equal(load(), 0);
	no_overlap(0x20000, 0x80000);
	no_overlap(0x10001, 0x1f001);
	no_overlap(0x1000, 0x10000);
	assert_int_equal(entry.gdt_base, 0x81000);
	phdr(2, 0, 0x20000, 0x2000, 1, 0x7f000);
	put_le16(image + 44, 5); /* with the others */
	assert_int_equal(load(), ERR_RANGE);
	assert_non_null(strstr(why.text, "below 640 KiB for the boot information"));
}

static void test_modules_fit(void **state)
{
	static uint8_t data[3 * MIB];
	struct load_blob module = {data, 4 * MIB - 0x103000, "big"};

	(void)state;
	make_elf32();
	ram_make(4 * MIB, 0);
	assert_int_equal(load_with(&module, 1, ""), 0);
	module.size++;
	assert_int_equal(load_with(&module, 1, ""), ERR_RANGE);
	assert_string_equal(why.text,
			    "guest memory of 4 MiB is too small for module big of 3061 KiB "
			    "behind kernel.elf");
	module.size = UINT64_MAX;
	assert_int_equal(load_with(&module, 1, ""), ERR_RANGE);
	/* A kernel that lies in low RAM alone: modules go above 1 MiB. */
	make_elf32();
	phdr(0, 0xc0100000, 0x10000, 0x1000, 0x800, 0x800);
	phdr(1, 0, 0x20000, 0x2000, 1, 1);
	module.size = 0;
	assert_int_equal(load_with(&module, 1, ""), 0);
	assert_int_equal(le32(ram_at(le32(info() + 24), 16)), 0x100000);
	assert_int_equal(le32(ram_at(le32(info() + 24), 16) + 4), 0x100000);
	/* The first of two takes all. */
	make_elf32();
	const struct load_blob two[] = {{data, 4 * MIB - 0x103000, "a"}, {"x", 1, "b"}};
	assert_int_equal(load_with(two, 2, ""), ERR_RANGE);
	assert_non_null(strstr(why.text, "too small for module b"));
}

static void test_cut(void **state)
{
	(void)state;
	ram_make(4 * MIB, 0);
	make_elf32();
	for (uint64_t n = 0; n < 0x2400; n++) {
		kernel.size = n;
		assert_int_equal(load(), ERR_INVALID);
	}
	kernel.size = 0x2400;
	assert_int_equal(load(), 0);
}

static void test_random(void **state)
{
	const struct load_blob module = {"m", 1, "module"};
	unsigned good = 0;

	(void)state;
	ram_make(4 * MIB, 0);
	for (unsigned i = 0; i < 20000; i++) {
		if (i % 2) {
			make_elf32();
			broken_flip(image, 0, 52 + 64);
		} else {
			make_addresses(0x100004, 0x100000, 0x100500, 0x100600, 0x100020);
			broken_flip(image, 0x104, 0x124);
		}
		if (!load_with(&module, 1, "x")) {
			good++;
			assert_true(entry.rip < 4 * MIB);
			no_overlap(entry.rip, entry.rip + 1);
		}
	}
	assert_in_range(good, 1000, 19999);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elf32),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_elf64),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_block_keeps_clear),
		cmocka_unit_test(test_modules_fit),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
