/* The PVH loader: the note in files of both classes, the start info, and every refusal. */
#include "tests/unit/broken.h"
#include "tests/unit/guest_ram.h"

#include "guests/board.h"
#include "guests/load.h"
#include "lib/le.h"

#define SIZE  0x3000u
#define NOTES 0x2800u
#define RSDP  0xe0000u

static uint8_t image[SIZE];
static struct load_blob kernel = {.data = image, .size = SIZE, .string = "vmlinux"};
static struct guest_entry entry;
static struct reason why;
static bool elf64;
static uint32_t notes_len;

/* Program header `i`; those that count are 0 to the last one made. */
static void phdr(unsigned i, uint32_t type, uint64_t paddr, uint64_t offset, uint64_t file,
		 uint64_t mem)
{
	uint8_t *p = image + 64 + (elf64 ? 56 : 32) * i;

	put_le32(p, type);
	if (elf64) {
		put_le64(p + 8, offset);
		put_le64(p + 16, paddr + 0xffffffff80000000);
		put_le64(p + 24, paddr);
		put_le64(p + 32, file);
		put_le64(p + 40, mem);
		put_le64(p + 48, 4);
	} else {
		put_le32(p + 4, (uint32_t)offset);
		put_le32(p + 8, (uint32_t)paddr + 0xc0000000);
		put_le32(p + 12, (uint32_t)paddr);
		put_le32(p + 16, (uint32_t)file);
		put_le32(p + 20, (uint32_t)mem);
		put_le32(p + 28, 4);
	}
	put_le16(image + (elf64 ? 56 : 44), (uint16_t)(i + 1));
}

static void align_notes(uint64_t align)
{
	uint8_t *p = image + 64 + (elf64 ? 56 : 32) * 2;

	if (elf64)
		put_le64(p + 48, align);
	else
		put_le32(p + 28, (uint32_t)align);
}

/* Appends a note, padded to `align`. */
static void note(const char *owner, uint32_t type, const void *desc, uint32_t len, uint32_t align)
{
	uint8_t *p = image + NOTES + notes_len;
	uint32_t name_len = (uint32_t)strlen(owner) + 1, at = ALIGN_UP(12 + name_len, align);

	put_le32(p, name_len);
	put_le32(p + 4, len);
	put_le32(p + 8, type);
	memcpy(p + 12, owner, name_len);
	memcpy(p + at, desc, len);
	notes_len += ALIGN_UP(at + len, align);
	phdr(2, 4, 0x200000, NOTES, notes_len, notes_len);
}

static void entry_note(uint64_t gpa, uint32_t len)
{
	uint8_t desc[8];

	put_le64(desc, gpa);
	note("Xen", 18, desc, len, 4);
}

/* Two segments and notes; the second segment's file part is followed by zeros. */
static void make(bool is64)
{
	elf64 = is64;
	for (unsigned i = 0; i < SIZE; i++)
		image[i] = (uint8_t)(i * 5 + 1);
	memset(image, 0, 0x400);
	memset(image + NOTES, 0, SIZE - NOTES);
	kernel.size = SIZE;
	notes_len = 0;
	memcpy(image, is64 ? "\177ELF\2\1\1" : "\177ELF\1\1\1", 7);
	put_le16(image + 16, 2);
	put_le16(image + 18, is64 ? 62 : 3);
	if (is64) {
		put_le64(image + 24, 0xffffffff80100010);
		put_le64(image + 32, 64);
		put_le16(image + 54, 56);
	} else {
		put_le32(image + 24, 0xc0100010);
		put_le32(image + 28, 64);
		put_le16(image + 42, 32);
	}
	phdr(0, 1, 0x100000, 0x1000, 0x800, 0x800);
	phdr(1, 1, 0x102000, 0x2000, 0x400, 0x1000);
	note("GNU", 18, "\1\2\3", 3, 4);
	note("Xen", 6, "linux", 6, 4);
	entry_note(0x102004, is64 ? 8 : 4);
}

static int load_with(const struct load_blob *modules, unsigned n, const char *cmdline)
{
	struct load_blob k = kernel;
	uint8_t *copy = broken_copy(image, k.size);
	int err;

	k.data = copy;
	memset(&why, 0, sizeof(why));
	memset(&entry, 0xa5, sizeof(entry));
	err = load_pvh(&ram, &k, modules, n, cmdline, RSDP, &entry, &why);
	free(copy);
	if (err)
		assert_sentence(why.text);
	return err;
}

static int load(void)
{
	return load_with(NULL, 0, "");
}

static const uint8_t *start(void)
{
	return ram_at(entry.gpr[GPR_RBX], 56);
}

static const char *string_at(uint64_t gpa)
{
	return (const char *)ram_at(gpa, 1);
}

static void test_both_classes(void **state)
{
	static const uint8_t zeros[0xc00];

	(void)state;
	for (unsigned is64 = 0; is64 <= 1; is64++) {
		make(is64);
		ram_make(16 * MIB, 0xcc);
		assert_int_equal(load(), 0);
		assert_false(entry.long_mode);
		assert_int_equal(entry.rip, 0x102004); /* the note's, not the header's */
		assert_int_equal(entry.cr3, 0);
		assert_int_equal(entry.gpr[GPR_RSP], entry.rsp);
		for (unsigned r = 0; r < GPR_COUNT; r++)
			assert_true(r == GPR_RBX || !entry.gpr[r]);
		assert_memory_equal(ram_at(0x100000, 0x800), image + 0x1000, 0x800);
		assert_int_equal(*ram_at(0x100800, 1), 0xcc);
		assert_memory_equal(ram_at(0x102000, 0x400), image + 0x2000, 0x400);
		assert_memory_equal(ram_at(0x102400, 0xc00), zeros, 0xc00);
		assert_int_equal(*ram_at(0x103000, 1), 0xcc);
		assert_true(le64(ram_at(entry.gdt_base + 0x10, 8)) == 0x00cf9b000000ffff);
		assert_true(le64(ram_at(entry.gdt_base + 0x18, 8)) == 0x00cf93000000ffff);
		assert_int_equal(entry.gdt_limit, 0x1f);
	}
}

static void test_start_info(void **state)
{
	static const char data[4097] = "module";
	const struct load_blob modules[] = {{data, sizeof(data), "initrd"}, {"x", 1, "b=2 c"}};
	const uint8_t *m;

	(void)state;
	make(true);
	ram_make(16 * MIB, 0xcc);
	assert_int_equal(load_with(modules, 2, "one two"), 0);
	assert_int_equal(le32(start()), 0x336ec578);
	assert_int_equal(le32(start() + 4), 1);
	assert_int_equal(le32(start() + 8), 0);
	assert_int_equal(le32(start() + 12), 2);
	assert_string_equal(string_at(le64(start() + 24)), "one two");
	assert_int_equal(le64(start() + 32), RSDP);
	assert_int_equal(le32(start() + 52), 0);
	m = ram_at(le64(start() + 16), 64);
	assert_int_equal(le64(m), 0x103000);
	assert_int_equal(le64(m + 8), 4097);
	assert_string_equal(string_at(le64(m + 16)), "initrd");
	assert_int_equal(le64(m + 24), 0);
	assert_int_equal(le64(m + 32), 0x105000);
	assert_int_equal(le64(m + 40), 1);
	assert_string_equal(string_at(le64(m + 48)), "b=2 c");
	assert_int_equal(le64(m + 56), 0);
	assert_memory_equal(ram_at(0x103000, 4097), data, 4097);
	assert_int_equal(*ram_at(0x105000, 1), 'x');

	assert_int_equal(le32(start() + 48), 4);
	m = ram_at(le64(start() + 40), 96);
	assert_int_equal(le64(m), 0);
	assert_int_equal(le64(m + 8), 0x9fc00);
	assert_int_equal(le64(m + 16), 1); /* the type, and zeros */
	assert_int_equal(le64(m + 24), 0x9fc00);
	assert_int_equal(le64(m + 32), 0x60400);
	assert_int_equal(le64(m + 40), 2);
	assert_int_equal(le64(m + 48), 0x100000);
	assert_int_equal(le64(m + 56), 15 * MIB);
	assert_int_equal(le64(m + 64), 1);
	assert_int_equal(le64(m + 72), BOARD_PCI_ECAM_ADDR);
	assert_int_equal(le64(m + 80), BOARD_PCI_ECAM_SIZE);
	assert_int_equal(le64(m + 88), 2);

	/* RAM above 4 GiB, and no modules. */
	ram_make(4 * GIB, 0);
	assert_int_equal(load(), 0);
	assert_int_equal(le32(start() + 48), 5);
	m = ram_at(le64(start() + 40), 120);
	assert_true(le64(m + 96) == 4 * GIB);
	assert_int_equal(le64(m + 104), GIB);
	assert_int_equal(le64(m + 112), 1);
	assert_int_equal(le32(start() + 12), 0);
	assert_int_equal(le64(start() + 16), 0);
}

/* Nothing of the block touches a segment, or itself. */
static void test_block(void **state)
{
	const struct load_blob modules[] = {{"a", 1, "first"}, {"b", 1, "second"}};
	uint64_t last;

	(void)state;
	make(true);
	ram_make(4 * MIB, 0);
	phdr(3, 1, 0x1010, 0x2000, 1, 0x10000);
	assert_int_equal(load_with(modules, 2, "x"), 0);
	assert_int_equal(entry.gdt_base, 0x12000);
	assert_in_range(entry.gpr[GPR_RBX], 0x12020, 0x13000);
	last = le64(start() + 24); /* the command line comes after the modules' strings */
	assert_in_range(le64(start() + 40), entry.gpr[GPR_RBX] + 56, last - 1);
	assert_in_range(le64(start() + 16), le64(start() + 40) + 96, last - 64);
	assert_in_range(le64(ram_at(le64(start() + 16) + 48, 8)), le64(start() + 16) + 64,
			last - sizeof("second"));
	phdr(3, 1, 0x1000, 0x2000, 1, 0x9ec00);
	assert_int_equal(load(), ERR_RANGE);
	assert_non_null(strstr(why.text, "below 640 KiB for the boot information"));
}

static void refused(int err, const char *sentence)
{
	bool is64 = elf64;

	assert_int_equal(load(), err);
	if (!strstr(why.text, sentence))
		fail_msg("%s\n  not in: %s", sentence, why.text);
	make(is64);
}

static void test_notes(void **state)
{
	(void)state;
	ram_make(4 * MIB, 0);
	for (unsigned is64 = 0; is64 <= 1; is64++) {
		uint8_t *last;

		/* 4 or 8 bytes in either class; the first one counts; nothing behind it matters. */
		make(is64);
		entry_note(0x100000, 8);
		put_le32(image + NOTES + notes_len - 20, UINT32_MAX);
		assert_int_equal(load(), 0);
		assert_int_equal(entry.rip, 0x102004);
		make(is64);
		notes_len = 0;
		entry_note(0x100000, is64 ? 4 : 8);
		assert_int_equal(load(), 0);
		assert_int_equal(entry.rip, 0x100000);
		/* Others' notes, with that number. */
		make(is64);
		notes_len = 0;
		note("XEN", 18, "\0\0\x10", 4, 4);
		note("Xenx", 18, "\0\0\x10", 4, 4);
		note("Xe", 18, "\0\0\x10", 4, 4);
		refused(ERR_INVALID,
			"vmlinux is not a PVH kernel: it has no note of Xen's type 18");
		notes_len = 0;
		note("Xen", 18, "\0\0\x10\0\0\0", 6, 4);
		refused(ERR_INVALID, "vmlinux is broken: its note 18 of Xen has 6 bytes");
		notes_len = 0;
		note("Xen", 18, "", 0, 4);
		refused(ERR_INVALID, "its note 18 of Xen has 0 bytes");
		/* Another alignment, as newer notes of GNU have. */
		notes_len = 0;
		note("GNU", 5, "\1\2\3\4", 4, 8);
		note("Xen", 18, "\0\0\x10\0\0\0\0", 8, 8);
		align_notes(8);
		assert_int_equal(load(), 0);
		assert_int_equal(entry.rip, 0x100000);
		make(is64);
		/* In a second segment of notes, behind an empty one. */
		phdr(3, 4, 0, NOTES, notes_len, 0);
		put_le32(image + 64 + (is64 ? 56 : 32) * 2, 6);
		assert_int_equal(load(), 0);
		/* Segments of notes may be all of the file, but not more by overlapping. */
		make(is64);
		notes_len = 0;
		note("GNU", 18, "\1\2\3", 3, 4);
		phdr(3, 4, 0, NOTES, SIZE - NOTES, 0);
		phdr(4, 4, 0, 0x400, NOTES - notes_len, 0);
		memset(image + 0x400, 0, SIZE - 0x400);
		assert_int_equal(load(), ERR_INVALID);
		assert_non_null(strstr(why.text, "has no note of Xen's type 18"));
		phdr(5, 4, 0, NOTES, 1, 0);
		refused(ERR_INVALID, "vmlinux is broken: its segments of notes overlap");
		make(is64);
		/* Lengths that go beyond the segment, or wrap. */
		last = image + NOTES + notes_len - (is64 ? 24 : 20);
		put_le32(last, UINT32_MAX);
		refused(ERR_INVALID, "is broken or cut: a note is longer than its segment");
		put_le32(last + 4, UINT32_MAX);
		refused(ERR_INVALID, "a note is longer than its segment");
		put_le32(last + 4, 5 + 4 * is64);
		refused(ERR_INVALID, "a note is longer than its segment");
		phdr(2, 4, 0, NOTES, notes_len - 1, 0);
		refused(ERR_INVALID, "a note is longer than its segment");
		phdr(2, 4, 0, NOTES, 11, 0);
		refused(ERR_INVALID, "has no note of Xen's type 18");
		phdr(2, 4, 0, SIZE - 3, 4, 4);
		refused(ERR_INVALID, "its notes are not in the file");
		phdr(2, 4, 0, UINT32_MAX, UINT32_MAX, 4);
		refused(ERR_INVALID, "its notes are not in the file");
		/* The file ends with the entry itself: no padding is needed. */
		kernel.size = NOTES + notes_len;
		assert_int_equal(load(), 0);
	}
	phdr(2, 4, 0, 0xffffffffffffff00, 0x200, 4);
	refused(ERR_INVALID, "its notes are not in the file");
}

static void test_refusals(void **state)
{
	(void)state;
	ram_make(4 * MIB, 0);
	for (unsigned is64 = 0; is64 <= 1; is64++) {
		make(is64);
		image[0] = 'M';
		refused(ERR_INVALID, "vmlinux is not a PVH kernel: it is no ELF file");
		kernel.size = 63;
		refused(ERR_INVALID, "it is no ELF file");
		kernel.size = 0;
		refused(ERR_INVALID, "it is no ELF file");
		image[4] = 3;
		refused(ERR_UNSUPPORTED, "is an ELF file for another processor");
		image[4] ^= 3; /* the other class */
		refused(ERR_UNSUPPORTED, "is an ELF file for another processor");
		image[5] = 2;
		refused(ERR_UNSUPPORTED, "is an ELF file for another processor");
		image[18] = 40;
		refused(ERR_UNSUPPORTED, "is an ELF file for another processor");
		put_le16(image + (is64 ? 54 : 42), is64 ? 55 : 31);
		refused(ERR_INVALID, "its program headers are not in the file");
		put_le16(image + (is64 ? 56 : 44), UINT16_MAX);
		refused(ERR_INVALID, "its program headers are not in the file");
		put_le32(image + (is64 ? 32 : 28), UINT32_MAX);
		refused(ERR_INVALID, "its program headers are not in the file");
		put_le16(image + (is64 ? 56 : 44), 0);
		refused(ERR_INVALID, "has no note of Xen's type 18");
		notes_len = 0;
		entry_note(0x100800, 4);
		refused(ERR_INVALID, "has its entry at 0x100800, where it loads nothing");
		notes_len = 0;
		entry_note(UINT64_MAX, 8);
		refused(ERR_INVALID, "has its entry at 0xffffffffffffffff, where it loads nothing");
		phdr(1, 1, 0x102000, 0x2000, 0x1001, 0x1001);
		put_le16(image + (is64 ? 56 : 44), 3);
		refused(ERR_INVALID, "its segment at 0x102000 wants 4097 bytes from offset 0x2000");
		phdr(1, 1, 0xb8000, 0x2000, 0x400, 0x400);
		put_le16(image + (is64 ? 56 : 44), 3);
		refused(ERR_RANGE, "where a PC has no RAM");
		phdr(1, 1, 0x3ff001, 0x2000, 0x400, 0x1000);
		put_le16(image + (is64 ? 56 : 44), 3);
		refused(ERR_RANGE, "guest memory of 4 MiB is too small for vmlinux");
	}
	phdr(1, 1, 0xffffffffffffff00, 0x2000, 0x400, 0x1000);
	put_le16(image + 56, 3);
	refused(ERR_RANGE, "not below 4 GiB");
	phdr(1, 1, 0x102000, 0x2000, 0x400, 0xffffffffffefe000);
	put_le16(image + 56, 3);
	refused(ERR_RANGE, "not below 4 GiB");
}

static void test_modules_fit(void **state)
{
	static uint8_t data[3 * MIB];
	struct load_blob module = {data, 4 * MIB - 0x103000, "big"};

	(void)state;
	make(false);
	ram_make(4 * MIB, 0);
	assert_int_equal(load_with(&module, 1, ""), 0);
	module.size++;
	assert_int_equal(load_with(&module, 1, ""), ERR_RANGE);
	assert_string_equal(why.text, "guest memory of 4 MiB is too small for module big of 3061 "
				      "KiB behind vmlinux");
	module.size = UINT64_MAX;
	assert_int_equal(load_with(&module, 1, ""), ERR_RANGE);
}

static void test_cut(void **state)
{
	(void)state;
	ram_make(4 * MIB, 0);
	for (unsigned is64 = 0; is64 <= 1; is64++) {
		make(is64);
		for (uint64_t n = 0; n < NOTES + notes_len; n++) {
			kernel.size = n;
			assert_int_equal(load(), ERR_INVALID);
		}
		kernel.size = NOTES + notes_len;
		assert_int_equal(load(), 0);
	}
}

static void test_random(void **state)
{
	const struct load_blob module = {"m", 1, "module"};
	unsigned fine = 0;

	(void)state;
	ram_make(4 * MIB, 0);
	for (unsigned i = 0; i < 12000; i++) {
		make(i % 2);
		if (i % 3)
			broken_flip(image, 0, 64 + 3 * 56);
		else
			broken_flip(image, NOTES, NOTES + notes_len);
		if (!load_with(&module, 1, "x")) {
			fine++;
			assert_in_range(entry.rip, 0, 4 * MIB - 1);
			assert_int_equal(le32(start()), 0x336ec578);
			assert_in_range(le64(ram_at(le64(start() + 16), 8)), MIB, 4 * MIB - 1);
		}
	}
	assert_in_range(fine, 1000, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_classes), cmocka_unit_test(test_start_info),
		cmocka_unit_test(test_block),        cmocka_unit_test(test_notes),
		cmocka_unit_test(test_refusals),     cmocka_unit_test(test_modules_fit),
		cmocka_unit_test(test_cut),          cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
