/* The Linux loader: both entries, what boot_params says, where things go, and every refusal. */
#include "tests/unit/broken.h"
#include "tests/unit/guest_ram.h"

#include "guests/load.h"
#include "lib/le.h"

#define SETUP  (5 * 512u) /* boot sector and 4 sectors */
#define CODE   (3 * 4096u + 16)
#define IMAGE  (SETUP + CODE)
#define PARAMS 0x9000

static uint8_t image[IMAGE];
static struct load_blob kernel = {.data = image, .size = IMAGE, .string = "vmlinuz"};
static struct guest_entry entry;
static struct reason why;
static enum linux_entry want;

/* A relocatable 64-bit kernel of protocol 2.15, as Debian's. */
static void make_kernel(void)
{
	for (unsigned i = 0; i < IMAGE; i++)
		image[i] = (uint8_t)(i * 7 + 3);
	memset(image + 0x1f1, 0, 0x268 - 0x1f1);
	image[0x1f1] = 4;
	put_le32(image + 0x1f4, CODE / 16);
	put_le16(image + 0x1fe, 0xaa55);
	image[0x200] = 0xeb;
	image[0x201] = 0x6a; /* the header ends at 0x26c */
	memcpy(image + 0x202, "HdrS", 4);
	put_le16(image + 0x206, 0x20f);
	image[0x211] = 1;
	put_le32(image + 0x214, 0x100000);
	put_le32(image + 0x22c, 0x7fffffff);
	put_le32(image + 0x230, 0x200000);
	image[0x234] = 1;
	put_le16(image + 0x236, 0x7f);
	put_le32(image + 0x238, 2047);
	put_le64(image + 0x258, 0x1000000);
	put_le32(image + 0x260, 0x800000);
	kernel.size = IMAGE;
}

static int load(const struct load_blob *initrd, const char *cmdline)
{
	struct load_blob k = kernel;
	uint8_t *copy = broken_copy(image, k.size);
	int err;

	k.data = copy;
	memset(&why, 0, sizeof(why));
	memset(&entry, 0xa5, sizeof(entry));
	err = load_linux(&ram, &k, initrd, cmdline, want, 0xe0000, &entry, &why);
	free(copy);
	if (err)
		assert_sentence(why.text);
	return err;
}

static void check_e820(unsigned i, uint64_t start, uint64_t end, uint32_t type)
{
	const uint8_t *e = ram_at(PARAMS + 0x2d0 + 20 * i, 20);

	assert_int_equal(le64(e), start);
	assert_int_equal(le64(e + 8), end - start);
	assert_int_equal(le32(e + 16), type);
}

static void test_64bit(void **state)
{
	static const char initrd_data[5000] = "initrd";
	const struct load_blob initrd = {initrd_data, sizeof(initrd_data), "initrd.gz"};
	const uint8_t *p;

	(void)state;
	make_kernel();
	ram_make(64 * MIB, 0xcc);
	assert_int_equal(load(&initrd, "console=ttyS0"), 0);

	assert_true(entry.long_mode);
	assert_int_equal(entry.rip, 0x1000200);
	assert_int_equal(entry.gpr[GPR_RSI], PARAMS);
	assert_int_equal(entry.gpr[GPR_RSP], entry.rsp);
	assert_int_equal(entry.gpr[GPR_RBX] | entry.gpr[GPR_RBP] | entry.gpr[GPR_RDI], 0);
	assert_memory_equal(ram_at(0x1000000, CODE), image + SETUP, CODE);

	p = ram_at(PARAMS, 4096);
	assert_memory_equal(p + 0x1f1, image + 0x1f1, 0x210 - 0x1f1);
	assert_memory_equal(p + 0x22c, image + 0x22c, 0x26c - 0x22c);
	assert_int_equal(p[0x26c], 0); /* nothing behind the header's end */
	assert_int_equal(p[0x1ef], 0); /* the sentinel */
	assert_int_equal(p[0x1f0], 0);
	assert_int_equal(p[0x210], 0xff);
	assert_int_equal(le64(p + 0x70), 0xe0000);
	assert_int_equal(le32(p + 0x214), 0x1000000);
	assert_string_equal((const char *)ram_at(le32(p + 0x228), 14), "console=ttyS0");
	assert_int_equal(le32(p + 0x21c), sizeof(initrd_data));
	assert_int_equal(le32(p + 0x218), 64 * MIB - 8192);
	assert_memory_equal(ram_at(le32(p + 0x218), 5000), initrd_data, 5000);
	assert_int_equal(p[6], 3); /* text mode, 80 by 25 */
	assert_int_equal(p[7], 80);
	assert_int_equal(p[14], 25);
	assert_int_equal(p[15], 1);
	assert_int_equal(p[0x1e8], 4);
	check_e820(0, 0, 0x9fc00, 1);
	check_e820(1, 0x9fc00, 0x100000, 2);
	check_e820(2, 0x100000, 64 * MIB, 1);
	check_e820(3, 0xe0000000, 0xf0000000, 2);
}

static void test_tables_and_gdt(void **state)
{
	const uint8_t *gdt;

	(void)state;
	make_kernel();
	ram_make(64 * MIB, 0xcc);
	assert_int_equal(load(NULL, ""), 0);
	/* Walk the tables for the first and last page of each GiB. */
	for (uint64_t va = 0; va < 4 * GIB; va += 512 * MIB - LARGE_PAGE_SIZE) {
		uint64_t e = le64(ram_at(entry.cr3 + 8 * (va >> 39), 8));

		assert_int_equal(e & 0xfff, 3);
		e = le64(ram_at((e & ~0xfffull) + 8 * ((va >> 30) & 511), 8));
		assert_int_equal(e & 0xfff, 3);
		e = le64(ram_at((e & ~0xfffull) + 8 * ((va >> 21) & 511), 8));
		assert_int_equal(e, va | 0x83);
	}
	assert_int_equal(le64(ram_at(entry.cr3 + 8, 8)), 0);
	assert_int_equal(le64(ram_at(entry.cr3 + 4096 + 8 * 4, 8)), 0);
	assert_int_equal(entry.gdt_limit, 0x1f);
	gdt = ram_at(entry.gdt_base, 0x20);
	assert_int_equal(le64(gdt), 0);
	assert_int_equal(le64(gdt + 8), 0);
	assert_true(le64(gdt + 0x10) == 0x00af9b000000ffff);
	assert_true(le64(gdt + 0x18) == 0x00cf93000000ffff);
	/* No initrd. */
	assert_int_equal(le32(ram_at(PARAMS + 0x218, 4)), 0);
	assert_int_equal(le32(ram_at(PARAMS + 0x21c, 4)), 0);
}

static void test_32bit(void **state)
{
	(void)state;
	make_kernel();
	put_le16(image + 0x236, 4);
	ram_make(64 * MIB, 0);
	assert_int_equal(load(NULL, ""), 0);
	assert_false(entry.long_mode);
	assert_int_equal(entry.rip, 0x1000000);
	assert_int_equal(entry.cr3, 0);
	assert_int_equal(entry.gpr[GPR_RSI], PARAMS);
	assert_int_equal(entry.gpr[GPR_RBX] | entry.gpr[GPR_RBP] | entry.gpr[GPR_RDI], 0);
	assert_true(le64(ram_at(entry.gdt_base + 0x10, 8)) == 0x00cf9b000000ffff);

	/* Before 2.12 the flags are not there. */
	make_kernel();
	put_le16(image + 0x206, 0x20b);
	assert_int_equal(load(NULL, ""), 0);
	assert_false(entry.long_mode);
}

static void test_places(void **state)
{
	(void)state;
	/* Not relocatable: just where it wants to be, as memtest86+. */
	make_kernel();
	image[0x234] = 0;
	put_le64(image + 0x258, 0x123000);
	put_le32(image + 0x230, 0);
	ram_make(16 * MIB, 0);
	assert_int_equal(load(NULL, ""), 0);
	assert_int_equal(entry.rip, 0x123200);
	/* Relocatable: aligned. */
	make_kernel();
	put_le64(image + 0x258, 0x123000);
	assert_int_equal(load(NULL, ""), 0);
	assert_int_equal(entry.rip, 0x200200);
	/* A boot sector with no count of sectors has 4; one with the most. */
	make_kernel();
	image[0x1f1] = 0;
	ram_make(64 * MIB, 0);
	assert_int_equal(load(NULL, ""), 0);
	assert_memory_equal(ram_at(0x1000000, CODE), image + SETUP, CODE);
}

static void test_entry_by_choice(void **state)
{
	(void)state;
	ram_make(64 * MIB, 0);
	make_kernel();
	want = LINUX_ENTRY_64;
	assert_int_equal(load(NULL, ""), 0);
	assert_true(entry.long_mode);
	want = LINUX_ENTRY_32;
	assert_int_equal(load(NULL, ""), 0);
	assert_false(entry.long_mode);
	assert_int_equal(entry.rip, 0x1000000);
	assert_int_equal(entry.cr3, 0);
	assert_true(le64(ram_at(entry.gdt_base + 0x10, 8)) == 0x00cf9b000000ffff);
	/* With too little code for the other entry this one is right. */
	put_le32(image + 0x1f4, 0x200 / 16);
	assert_int_equal(load(NULL, ""), 0);
	/* A kernel without the other entry, by its flags or by its age. */
	make_kernel();
	put_le16(image + 0x236, 0x7e);
	assert_int_equal(load(NULL, ""), 0);
	want = LINUX_ENTRY_64;
	assert_int_equal(load(NULL, ""), ERR_UNSUPPORTED);
	assert_string_equal(why.text, "vmlinuz has no 64-bit entry");
	make_kernel();
	put_le16(image + 0x206, 0x20b);
	assert_int_equal(load(NULL, ""), ERR_UNSUPPORTED);
	want = LINUX_ENTRY_AUTO;
	/* A protocol that nobody knows yet: what is known of it holds. */
	put_le16(image + 0x206, 0xffff);
	assert_int_equal(load(NULL, ""), 0);
	assert_true(entry.long_mode);
	put_le16(image + 0x206, 0x20a);
	assert_int_equal(load(NULL, ""), 0);
	assert_false(entry.long_mode);
}

static void test_high_ram(void **state)
{
	const struct load_blob initrd = {"x", 1, "i"};

	(void)state;
	make_kernel();
	ram_make(4 * GIB, 0);
	assert_int_equal(load(&initrd, ""), 0);
	assert_int_equal(ram_at(PARAMS, 4096)[0x1e8], 5);
	check_e820(2, 0x100000, 3 * GIB, 1);
	check_e820(3, 0xe0000000, 0xf0000000, 2);
	check_e820(4, 4 * GIB, 5 * GIB, 1);
	assert_int_equal(le32(ram_at(PARAMS + 0x218, 4)), 0x7ffff000); /* initrd_addr_max */
	put_le32(image + 0x22c, 0xffffffff);
	assert_int_equal(load(&initrd, ""), 0);
	assert_int_equal(le32(ram_at(PARAMS + 0x218, 4)), 3 * GIB - 4096);
	assert_int_equal(le64(ram_at(PARAMS + 0x0c0, 8)), 0);
}

/* An initrd that does not fit below 4 GiB. */
static void test_high_initrd(void **state)
{
	static uint8_t data[8 * MIB];
	struct load_blob initrd = {data, sizeof(data), "initrd.gz"};

	(void)state;
	memset(data, 0x5a, sizeof(data));
	make_kernel(); /* ends at 24 MiB */
	put_le32(image + 0x22c, 0x1ffffff);
	ram_make(3 * GIB + 8 * MIB, 0);
	assert_int_equal(load(&initrd, ""), 0);
	assert_int_equal(le32(ram_at(PARAMS + 0x218, 4)), 24 * MIB);
	assert_int_equal(le64(ram_at(PARAMS + 0x0c0, 8)), 0);
	put_le32(image + 0x260, 0x800001);
	assert_int_equal(load(&initrd, ""), 0);
	assert_int_equal(le32(ram_at(PARAMS + 0x218, 4)), 0);
	assert_int_equal(le32(ram_at(PARAMS + 0x0c0, 4)), 1);
	assert_int_equal(le32(ram_at(PARAMS + 0x21c, 4)), sizeof(data));
	assert_int_equal(le32(ram_at(PARAMS + 0x0c4, 4)), 0);
	assert_memory_equal(ram_at(4 * GIB, GMEM_CHUNK_SIZE), data, GMEM_CHUNK_SIZE);
	assert_int_equal(*ram_at(4 * GIB + sizeof(data) - 1, 1), 0x5a);
	/* At the top of the RAM there. */
	initrd.size = 7 * MIB + 1;
	put_le32(image + 0x22c, 0);
	assert_int_equal(load(&initrd, ""), 0);
	assert_int_equal(le32(ram_at(PARAMS + 0x218, 4)), MIB - 4096);
	/* Not without RAM for it, not by the 32-bit entry, and not if the kernel cannot. */
	initrd.size = 8 * MIB + 1;
	assert_int_equal(load(&initrd, ""), ERR_RANGE);
	assert_non_null(strstr(why.text, "takes an initrd at, 0 MiB, nor above 4 GiB"));
	initrd.size = 1;
	want = LINUX_ENTRY_32;
	assert_int_equal(load(&initrd, ""), ERR_RANGE);
	assert_null(strstr(why.text, "nor above"));
	want = LINUX_ENTRY_AUTO;
	put_le16(image + 0x236, 0x7d);
	assert_int_equal(load(&initrd, ""), ERR_RANGE);
	assert_null(strstr(why.text, "nor above"));
	put_le16(image + 0x236, 0x3);
	assert_int_equal(load(&initrd, ""), 0);
	/* All that is below is used first, with a guest whose RAM goes on above. */
	make_kernel();
	put_le32(image + 0x22c, UINT32_MAX);
	initrd.size = 3 * GIB - 24 * MIB + 1;
	assert_int_equal(load(&initrd, ""), ERR_RANGE);
	assert_non_null(strstr(why.text, "does not fit between the kernel, which ends at 24 MiB, "
					 "and the highest address that the kernel takes an initrd "
					 "at, 3072 MiB, nor above 4 GiB"));
}

static void test_just_fits(void **state)
{
	static uint8_t data[8 * MIB];
	struct load_blob initrd = {data, sizeof(data), "initrd.gz"};

	(void)state;
	make_kernel(); /* needs 16 MiB to 24 MiB */
	ram_make(24 * MIB, 0);
	assert_int_equal(load(NULL, ""), 0);
	ram_make(22 * MIB, 0);
	assert_int_equal(load(NULL, ""), ERR_RANGE);
	assert_string_equal(why.text,
			    "guest memory of 22 MiB is too small for vmlinuz, which needs "
			    "RAM up to 24 MiB");
	ram_make(32 * MIB, 0);
	assert_int_equal(load(&initrd, ""), 0);
	assert_int_equal(le32(ram_at(PARAMS + 0x218, 4)), 24 * MIB);
	put_le32(image + 0x260, 0x800001);
	assert_int_equal(load(&initrd, ""), ERR_RANGE);
	assert_string_equal(why.text, "guest memory of 32 MiB is too small for initrd.gz, which "
				      "needs RAM up to 33 MiB");
	initrd.size -= 4096;
	assert_int_equal(load(&initrd, ""), 0);
	/* The image counts if it claims to need less. */
	ram_make(24 * MIB, 0);
	initrd.size = sizeof(data);
	put_le32(image + 0x260, 0);
	assert_int_equal(load(&initrd, ""), ERR_RANGE);
	initrd.size -= ALIGN_UP(CODE, 4096u);
	assert_int_equal(load(&initrd, ""), 0);
	put_le32(image + 0x260, 0x800001);
	initrd.size = sizeof(data) - 4096;
	/* The kernel takes no initrd so high. */
	ram_make(64 * MIB, 0);
	put_le32(image + 0x22c, 0x1ffffff);
	assert_int_equal(load(&initrd, ""), 0);
	initrd.size++;
	assert_int_equal(load(&initrd, ""), ERR_RANGE);
	assert_string_equal(why.text,
			    "initrd.gz does not fit between the kernel, which ends at 24 "
			    "MiB, and the highest address that the kernel takes an initrd "
			    "at, 32 MiB, nor above 4 GiB");
	put_le32(image + 0x22c, 0);
	assert_int_equal(load(&initrd, ""), ERR_RANGE);
	initrd.size = 5 * GIB;
	assert_int_equal(load(&initrd, ""), ERR_RANGE);
	/* 2 MiB of RAM hold no kernel, but say so. */
	ram_make(2 * MIB, 0);
	assert_int_equal(load(NULL, ""), ERR_RANGE);
}

static void test_cmdline(void **state)
{
	static char line[0x10001];

	(void)state;
	make_kernel();
	ram_make(64 * MIB, 0);
	memset(line, 'x', 2047);
	assert_int_equal(load(NULL, line), 0);
	assert_string_equal((const char *)ram_at(0xa000, 2048), line);
	line[2047] = 'x';
	assert_int_equal(load(NULL, line), ERR_RANGE);
	assert_string_equal(why.text, "the command line has 2048 characters, but vmlinuz takes at "
				      "most 2047");
	/* Whatever the kernel says, there is room for 64 KiB. */
	put_le32(image + 0x238, UINT32_MAX);
	memset(line, 'x', 0xffff);
	assert_int_equal(load(NULL, line), 0);
	line[0xffff] = 'x';
	assert_int_equal(load(NULL, line), ERR_RANGE);
}

static void refused(int err, const char *sentence)
{
	assert_int_equal(load(NULL, ""), err);
	if (!strstr(why.text, sentence))
		fail_msg("%s\n  not in: %s", sentence, why.text);
	make_kernel();
}

static void test_refusals(void **state)
{
	(void)state;
	ram_make(64 * MIB, 0);
	make_kernel();
	image[0x202] = 'X';
	refused(ERR_INVALID, "vmlinuz is not a Linux kernel image (bzImage)");
	image[0x1fe] = 0;
	refused(ERR_INVALID, "is not a Linux kernel image");
	kernel.size = 0;
	refused(ERR_INVALID, "is not a Linux kernel image");
	put_le16(image + 0x206, 0x209);
	refused(ERR_UNSUPPORTED, "has boot protocol 2.09: 2.10 (Linux 2.6.31) or newer is needed");
	image[0x211] = 0;
	refused(ERR_UNSUPPORTED, "is a zImage");
	put_le32(image + 0x1f4, CODE / 16 + 1);
	refused(ERR_INVALID, "is cut: its header speaks of 14880 bytes, the file has 14864");
	put_le32(image + 0x1f4, UINT32_MAX);
	refused(ERR_INVALID, "is cut");
	put_le32(image + 0x1f4, 0);
	refused(ERR_INVALID, "is cut");
	image[0x1f1] = 255;
	refused(ERR_INVALID, "is cut");
	put_le32(image + 0x1f4, 0x200 / 16);
	refused(ERR_INVALID, "has only 512 bytes of code, too few for its 64-bit entry");
	put_le32(image + 0x230, 0x300000);
	refused(ERR_INVALID, "kernel alignment of 0x300000, which is no power of two");
	put_le32(image + 0x230, 0);
	refused(ERR_INVALID, "which is no power of two");
	put_le64(image + 0x258, 0xff000);
	image[0x234] = 0;
	refused(ERR_INVALID, "wants to be loaded at 0xff000");
	put_le64(image + 0x258, 4 * GIB);
	refused(ERR_INVALID, "wants to be loaded at 0x100000000");
	put_le64(image + 0x258, UINT64_MAX);
	refused(ERR_INVALID, "wants to be loaded at 0xffffffffffffffff");
	put_le64(image + 0x258, 0xffffffff);
	refused(ERR_INVALID, "wants to be loaded at 0x100000000"); /* by its alignment */
	put_le64(image + 0x258, 0xffe00000);
	refused(ERR_RANGE, "guest memory of 64 MiB is too small for vmlinuz");
	put_le32(image + 0x260, UINT32_MAX);
	refused(ERR_RANGE, "guest memory of 64 MiB is too small for vmlinuz");

	/* The code's size counts even if init_size is less. */
	put_le32(image + 0x260, 0);
	assert_int_equal(load(NULL, ""), 0);
	/* The last paragraph may be cut by up to 15 bytes. */
	ram_make(64 * MIB, 0);
	kernel.size = IMAGE - 15;
	assert_int_equal(load(NULL, ""), 0);
	assert_int_equal(*ram_at(0x1000000 + CODE - 15, 1), 0);
	kernel.size = IMAGE - 16;
	assert_int_equal(load(NULL, ""), ERR_INVALID);
	/* A header that says it is tiny, or runs on: its room in boot_params is what counts. */
	make_kernel();
	image[0x201] = 0;
	assert_int_equal(load(NULL, ""), 0);
	image[0x201] = 255;
	assert_int_equal(load(NULL, ""), 0);
	assert_int_equal(ram_at(PARAMS, 4096)[0x290], 0);
}

static void test_cut(void **state)
{
	(void)state;
	ram_make(64 * MIB, 0);
	make_kernel();
	for (uint64_t n = 0; n + 16 <= IMAGE; n++) {
		kernel.size = n;
		assert_int_equal(load(NULL, ""), ERR_INVALID);
	}
}

static void test_random(void **state)
{
	unsigned good = 0;

	(void)state;
	ram_make(64 * MIB, 0);
	for (unsigned i = 0; i < 8000; i++) {
		static const char data[100];
		const struct load_blob initrd = {data, sizeof(data), "initrd"};

		make_kernel();
		broken_flip(image, 0x1f1, 0x268);
		if (!load(&initrd, "console=ttyS0")) {
			uint64_t low = entry.rip - (entry.long_mode ? 0x200 : 0);
			uint32_t at = le32(ram_at(PARAMS + 0x218, 4));

			good++;
			assert_in_range(low, MIB, 64 * MIB - 1);
			assert_true(at >= low + CODE - 15 || low >= at + 100);
			assert_true(at + 100 <= 64 * MIB);
		}
	}
	assert_in_range(good, 1000, 19999);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_64bit),       cmocka_unit_test(test_tables_and_gdt),
		cmocka_unit_test(test_32bit),       cmocka_unit_test(test_places),
		cmocka_unit_test(test_high_ram),    cmocka_unit_test(test_entry_by_choice),
		cmocka_unit_test(test_high_initrd), cmocka_unit_test(test_just_fits),
		cmocka_unit_test(test_cmdline),     cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_cut),         cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
