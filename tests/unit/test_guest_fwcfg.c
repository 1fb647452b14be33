/*
 * What a guest finds in its firmware configuration device: SMBIOS tables walked as systems do it,
 * the ACPI script executed as firmware does it, a kernel in parts, and what is refused.
 */
#include "tests/unit/broken.h"
#include "tests/unit/guest_ram.h"

#include <stdio.h>

#include "guests/board.h"
#include "guests/guest_acpi.h"
#include "guests/guest_fwcfg.h"
#include "lib/le.h"

static struct fwcfg_input in;
static struct guest_fwcfg *f;
static struct reason why;
static uint8_t image[0x2000];
static struct load_blob kernel = {.data = image, .size = sizeof(image), .string = "vmlinuz"};

static int setup(void **state)
{
	uint64_t rsdp;

	(void)state;
	ram_make(64 * MIB, 0);
	assert_int_equal(guest_acpi_build(&ram, 3, &rsdp, &why), 0);
	in = (struct fwcfg_input){
		.info = {.guest = "web", .version = "0.1.0", .n_vcpus = 3, .memory = 64 * MIB},
		.firmware = true,
		.acpi = ram_at(BOARD_TABLES_START, BOARD_TABLES_SIZE),
		.cmdline = "a b",
	};
	memset(image, 0x5A, sizeof(image));
	image[0x1f1] = 4;
	put_le16(image + 0x1fe, 0xaa55);
	memcpy(image + 0x202, "HdrS", 4);
	put_le16(image + 0x206, 0x207);
	image[0x211] = 1;
	put_le32(image + 0x22c, 0x37ffffff);
	kernel.size = sizeof(image);
	f = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(f);
	return 0;
}

static int build(void)
{
	int err;

	free(f);
	f = calloc(1, guest_fwcfg_size(&in));
	assert_non_null(f);
	err = guest_fwcfg_build(f, &in, &why);
	if (err)
		assert_sentence(why.text);
	return err;
}

static const uint8_t *file(const char *name, uint32_t *size)
{
	for (unsigned i = 0; i < f->items.n_files; i++) {
		if (!strcmp(f->items.name[i], name)) {
			*size = f->items.file[i].size;
			return f->items.file[i].data;
		}
	}
	return NULL;
}

static const uint8_t *item(uint16_t key, uint32_t size)
{
	for (unsigned i = 0; i < f->items.n_keys; i++) {
		if (f->items.key[i] == key) {
			assert_int_equal(f->items.keyed[i].size, size);
			return f->items.keyed[i].data;
		}
	}
	return NULL;
}

static unsigned sum(const uint8_t *p, size_t n)
{
	unsigned total = 0;

	while (n--)
		total += *p++;
	return total & 0xFF;
}

/* ---- SMBIOS ---- */

static unsigned seen[256];

static const char *string_of(const uint8_t *s, unsigned field)
{
	const char *p = (const char *)s + s[1];

	for (unsigned n = 1; n < s[field]; n++)
		p += strlen(p) + 1;
	return p;
}

static void check_system(const uint8_t *s)
{
	uint8_t uuid[16];

	assert_string_equal(string_of(s, 4), "Skerry");
	assert_string_equal(string_of(s, 5), "Skerry");
	assert_string_equal(string_of(s, 6), "0.1.0");
	assert_string_equal(string_of(s, 7), "web");
	smbios_uuid("web", uuid);
	assert_memory_equal(s + 8, uuid, 16);
	assert_int_equal(uuid[7] >> 4, 8);
	assert_int_equal(uuid[8] >> 6, 2);
}

static void walk(const uint8_t *p, uint32_t size, uint32_t count, uint32_t largest)
{
	const uint8_t *start = p, *end = p + size;
	uint32_t found = 0, most = 0;
	uint64_t memory = 0;

	memset(seen, 0, sizeof(seen));
	while (p < end) {
		const uint8_t *next = p + p[1];

		assert_true(p + 4 <= end && p[1] >= 4 && next + 2 <= end);
		seen[p[0]]++;
		found++;
		for (unsigned n = 0; next[0] || next[1]; next++, n++)
			assert_true(next + 2 < end);
		next += 2;
		most = MAX(most, (uint32_t)(next - p));
		if (p[0] == 1)
			check_system(p);
		if (p[0] == 17)
			memory += le16(p + 12) * MIB;
		if (p[0] == 127)
			assert_ptr_equal(next, end);
		p = next;
	}
	assert_int_equal(p - start, size);
	assert_int_equal(found, count);
	assert_int_equal(most, largest);
	assert_int_equal(memory, in.info.memory);
	assert_int_equal(seen[0], 1);
	assert_int_equal(seen[1], 1);
	assert_int_equal(seen[3], 1);
	assert_int_equal(seen[4], in.info.n_vcpus);
	assert_int_equal(seen[16], 1);
	assert_int_equal(seen[19], in.info.memory > GMEM_HOLE_START ? 2 : 1);
	assert_int_equal(seen[32], 1);
	assert_int_equal(seen[127], 1);
}

static void check_anchor(const uint8_t *a, uint32_t address)
{
	assert_memory_equal(a, "_SM_", 4);
	assert_memory_equal(a + 16, "_DMI_", 5);
	assert_int_equal(a[5], 31);
	assert_int_equal(sum(a, 31), 0);
	assert_int_equal(sum(a + 16, 15), 0);
	assert_int_equal(le32(a + 24), address);
}

static void test_smbios(void **state)
{
	static const uint64_t sizes[] = {2 * MIB,  512 * MIB, 3 * GIB,
					 16 * GIB, 20 * GIB,  1024 * GIB};
	uint32_t size, n;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		in.info.memory = sizes[i];
		in.info.n_vcpus = i ? 1 : 255;
		assert_int_equal(build(), 0);
		const uint8_t *t = file("etc/smbios/smbios-tables", &size);
		const uint8_t *a = file("etc/smbios/smbios-anchor", &n);

		assert_non_null(t);
		assert_non_null(a);
		assert_int_equal(n, 31);
		check_anchor(a, 0);
		assert_int_equal(le16(a + 22), size);
		walk(t, size, le16(a + 28), le16(a + 8));
	}
}

static void test_smbios_in_memory(void **state)
{
	const uint8_t *a;

	(void)state;
	assert_int_equal(guest_smbios_build(&ram, &in.info, &why), 0);
	a = ram_at(0xF0000, 31);
	check_anchor(a, 0xF0020);
	walk(ram_at(0xF0020, 0x1000), le16(a + 22), le16(a + 28), le16(a + 8));
	ram.chunk[0] = NULL;
	assert_int_equal(guest_smbios_build(&ram, &in.info, &why), ERR_RANGE);
	assert_sentence(why.text);
}

static void test_smbios_room(void **state)
{
	uint8_t bytes[4096];

	(void)state;
	for (uint32_t room = 0; room < sizeof(bytes); room++) {
		struct smbios_tables t = {.room = room};
		uint8_t *copy = malloc(room + 1);

		t.data = copy;
		if (!smbios_build(&t, &in.info)) {
			assert_in_range(room, 300, 1000);
			assert_int_equal(t.size, room);
			free(copy);
			return;
		}
		free(copy);
	}
	fail();
}

static void test_uuids_differ(void **state)
{
	uint8_t a[16], b[16];

	(void)state;
	smbios_uuid("web", a);
	smbios_uuid("wec", b);
	assert_memory_not_equal(a, b, 8);
	assert_memory_not_equal(a + 8, b + 8, 8);
	smbios_uuid("web", b);
	assert_memory_equal(a, b, 16);
}

/* ---- ACPI ---- */

/* Where the script's files are put. */
static uint8_t low[64], *high;
static uint64_t high_at = 0x3ff0000;

static uint8_t *place(const char *name, uint64_t *address, uint32_t *size)
{
	if (!strcmp(name, ACPI_RSDP_FILE)) {
		*address = 0xf5000;
		file(name, size);
		return low;
	}
	assert_string_equal(name, ACPI_TABLES_FILE);
	*address = high_at;
	file(name, size);
	return high;
}

static void execute(const uint8_t *c)
{
	const char *name = (const char *)c + 4;
	uint64_t address, source;
	uint32_t size, start, length;
	uint8_t *p = place(name, &address, &size);

	switch (le32(c)) {
	case 1:
		assert_int_equal(address % le32(c + 60), 0);
		assert_int_equal(c[64], !strcmp(name, ACPI_RSDP_FILE) ? 2 : 1);
		memcpy(p, file(name, &size), size);
		return;
	case 2:
		place((const char *)c + 60, &source, &length);
		start = le32(c + 116);
		assert_true(start + c[120] <= size);
		if (c[120] == 8) {
			assert_true(le64(p + start) < length);
			put_le64(p + start, le64(p + start) + source);
		} else {
			assert_int_equal(c[120], 4);
			assert_true(le32(p + start) < length);
			put_le32(p + start, (uint32_t)(le32(p + start) + source));
		}
		return;
	case 3:
		start = le32(c + 64);
		length = le32(c + 68);
		assert_true(le32(c + 60) < size && start + length <= size);
		p[le32(c + 60)] = (uint8_t)(p[le32(c + 60)] - sum(p + start, length));
		return;
	default:
		fail();
	}
}

static const uint8_t *table(uint64_t address, const char *signature)
{
	const uint8_t *p = high + (address - high_at);
	uint32_t size;

	file(ACPI_TABLES_FILE, &size);
	assert_in_range(address, high_at, high_at + size - 36);
	assert_memory_equal(p, signature, 4);
	assert_true(address - high_at + le32(p + 4) <= size);
	if (memcmp(signature, "FACS", 4))
		assert_int_equal(sum(p, le32(p + 4)), 0);
	else
		assert_int_equal(address % 64, 0);
	return p;
}

static void test_acpi_script(void **state)
{
	const uint8_t *script, *rsdt, *xsdt, *fadt;
	uint32_t size, n;

	(void)state;
	assert_int_equal(build(), 0);
	high = malloc(BOARD_TABLES_SIZE);
	script = file(ACPI_SCRIPT_FILE, &n);
	assert_int_equal(n % 128, 0);
	for (uint32_t at = 0; at < n; at += 128)
		execute(script + at);

	file(ACPI_RSDP_FILE, &size);
	assert_int_equal(size, 36);
	assert_memory_equal(low, "RSD PTR ", 8);
	assert_int_equal(sum(low, 20), 0);
	assert_int_equal(sum(low, 36), 0);
	rsdt = table(le32(low + 16), "RSDT");
	xsdt = table(le64(low + 24), "XSDT");
	for (unsigned i = 0; 36 + 4 * i < le32(rsdt + 4); i++)
		assert_int_equal(le32(rsdt + 36 + 4 * i), le64(xsdt + 36 + 8 * i));
	fadt = table(le64(xsdt + 36), "FACP");
	table(le32(fadt + 36), "FACS");
	table(le32(fadt + 40), "DSDT");
	assert_int_equal(le32(fadt + 40), le64(fadt + 140));
	table(le64(xsdt + 44), "APIC");
	free(high);
}

static void test_broken_acpi(void **state)
{
	uint8_t *tables = malloc(BOARD_TABLES_SIZE);

	(void)state;
	in.acpi = tables;
	/* no address of a table may lead out of the area */
	memcpy(tables, ram_at(BOARD_TABLES_START, BOARD_TABLES_SIZE), BOARD_TABLES_SIZE);
	put_le32(tables + 16, BOARD_TABLES_START - 1);
	assert_int_equal(build(), ERR_INVALID);
	put_le32(tables + 16, BOARD_TABLES_START + BOARD_TABLES_SIZE - 35);
	assert_int_equal(build(), ERR_INVALID);
	memset(tables, 0, BOARD_TABLES_SIZE);
	assert_int_equal(build(), ERR_INVALID);
	free(tables);
}

/* ---- the rest ---- */

static void test_numbers(void **state)
{
	const uint8_t *map;
	uint32_t size;

	(void)state;
	in.info.memory = 4 * GIB;
	assert_int_equal(build(), 0);
	assert_memory_equal(item(VFWCFG_SIGNATURE, 4), "QEMU", 4);
	assert_int_equal(le32(item(VFWCFG_ID, 4)), 3);
	assert_int_equal(le64(item(VFWCFG_RAM_SIZE, 8)), 4 * GIB);
	assert_int_equal(le16(item(VFWCFG_CPUS, 2)), 3);
	assert_int_equal(le16(item(VFWCFG_MAX_CPUS, 2)), 3);
	map = file("etc/e820", &size);
	assert_int_equal(size, 60);
	assert_int_equal(le64(map), 0);
	assert_int_equal(le64(map + 8), 3 * GIB);
	assert_int_equal(le32(map + 16), 1);
	assert_int_equal(le64(map + 20), BOARD_PCI_ECAM_ADDR);
	assert_int_equal(le64(map + 28), BOARD_PCI_ECAM_SIZE);
	assert_int_equal(le32(map + 36), 2);
	assert_int_equal(le64(map + 40), 4 * GIB);
	assert_int_equal(le64(map + 48), GIB);
	assert_int_equal(le32(map + 56), 1);
	in.info.memory = 64 * MIB;
	assert_int_equal(build(), 0);
	file("etc/e820", &size);
	assert_int_equal(size, 40);
	assert_int_equal(le16(file("etc/sercon-port", &size)), 0x3f8);
	assert_null(item(VFWCFG_KERNEL_DATA, 0));
	assert_null(file("bootorder", &size));

	/* without firmware no tables are made for it */
	in.firmware = false;
	assert_int_equal(build(), 0);
	assert_null(file(ACPI_SCRIPT_FILE, &size));
	assert_non_null(file("etc/e820", &size));
}

static void test_files(void **state)
{
	static const char names[3][VFWCFG_NAME_MAX] = {"genroms/z.bin", "opt/x", "genroms/a.bin"};
	static const char own[1][VFWCFG_NAME_MAX] = {"etc/e820"};
	struct load_blob blobs[3] = {{"zz", 2, "z"}, {"xyz", 3, "x"}, {"a", 1, "a"}};
	uint32_t size;

	(void)state;
	in.file_name = names;
	in.file = blobs;
	in.n_files = 3;
	assert_int_equal(build(), 0);
	assert_memory_equal(file("opt/x", &size), "xyz", 3);
	assert_int_equal(size, 3);
	assert_string_equal((const char *)file("bootorder", &size),
			    "/rom@genroms/z.bin\n/rom@genroms/a.bin");
	assert_int_equal(size, 38);
	in.file_name = own;
	in.n_files = 1;
	assert_int_equal(build(), ERR_INVALID);
	blobs[0].size = BIT(32);
	assert_int_equal(build(), ERR_RANGE);
}

static void test_kernel(void **state)
{
	struct load_blob initrd = {.data = "initrd", .size = 6, .string = "initrd"};
	const uint8_t *setup_part;

	(void)state;
	in.with_kernel = true;
	in.kernel = &kernel;
	in.initrd = &initrd;
	assert_int_equal(build(), 0);
	assert_int_equal(le32(item(VFWCFG_SETUP_SIZE, 4)), 5 * 512);
	assert_int_equal(le32(item(VFWCFG_SETUP_ADDR, 4)), 0x10000);
	assert_int_equal(le32(item(VFWCFG_KERNEL_ADDR, 4)), 0x100000);
	assert_int_equal(le32(item(VFWCFG_KERNEL_SIZE, 4)), sizeof(image) - 5 * 512);
	assert_ptr_equal(item(VFWCFG_KERNEL_DATA, sizeof(image) - 5 * 512), image + 5 * 512);
	assert_memory_equal(item(VFWCFG_CMDLINE_DATA, 4), "a b", 4);
	assert_int_equal(le32(item(VFWCFG_INITRD_ADDR, 4)), 63 * MIB - 4096);
	assert_memory_equal(item(VFWCFG_INITRD_DATA, 6), "initrd", 6);
	setup_part = item(VFWCFG_SETUP_DATA, 5 * 512);
	assert_memory_equal(setup_part + 0x1f1, image + 0x1f1, 0x210 - 0x1f1);
	assert_int_equal(setup_part[0x211], 0x81);
	assert_int_equal(le32(setup_part + 0x218), 63 * MIB - 4096);
	assert_int_equal(le32(setup_part + 0x21c), 6);
	assert_int_equal(le32(setup_part + 0x228), 0x20000);

	/* on a page, and still not in the kernel's end */
	kernel.size = sizeof(image) - 100;
	initrd.size = 62 * MIB - sizeof(image) + 1;
	assert_int_equal(build(), ERR_RANGE);
	initrd.size--;
	assert_int_equal(build(), 0);
	assert_int_equal(le32(item(VFWCFG_INITRD_ADDR, 4)), MIB + sizeof(image));
	initrd.size = 62 * MIB;
	assert_int_equal(build(), ERR_RANGE);
	initrd.size = BIT(63);
	assert_int_equal(build(), ERR_RANGE);
}

static void test_bad_kernels(void **state)
{
	(void)state;
	in.with_kernel = true;
	in.kernel = &kernel;
	for (kernel.size = 0; kernel.size <= 5 * 512; kernel.size += 16) {
		uint8_t *copy = broken_copy(image, kernel.size);

		kernel.data = copy;
		assert_int_equal(build(), ERR_INVALID);
		free(copy);
	}
	kernel = (struct load_blob){.data = image, .size = sizeof(image), .string = "vmlinuz"};
	image[0x1f1] = 64; /* a setup part that is too long */
	assert_int_equal(build(), ERR_INVALID);
	image[0x1f1] = 4;
	put_le16(image + 0x206, 0x202);
	assert_int_equal(build(), ERR_INVALID);
	put_le16(image + 0x206, 0x203);
	image[0x211] = 0;
	assert_int_equal(build(), ERR_INVALID);
}

/* ---- firmware ---- */

#define ROM_MAX (16 * MIB)

static void test_firmware(void **state)
{
	static const uint64_t good[] = {64 * KIB, 128 * KIB, 256 * KIB, 3 * MIB + 64 * KIB,
					ROM_MAX};
	static const uint64_t bad[] = {0, 1, 64 * KIB - 1, 100 * KIB, ROM_MAX + 64 * KIB, BIT(63)};
	uint8_t *rom = malloc(ROM_MAX), *data = malloc(ROM_MAX);
	static uint8_t *chunk[2048];
	struct guest_entry entry;

	(void)state;
	for (unsigned i = 0; i < ROM_MAX; i++)
		data[i] = (uint8_t)(i >> 16 ^ i);
	memcpy(chunk, ram_chunk, sizeof(chunk));
	ram.chunk = chunk;
	ram.n_chunks = 2048;
	ram.rom_count = 8;
	ram.rom_first = 2048 - 8;
	for (unsigned i = 0; i < 8; i++)
		chunk[2040 + i] = rom + i * GMEM_CHUNK_SIZE;
	for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
		struct load_blob blob = {data + ROM_MAX - good[i], good[i], "bios.bin"};
		uint64_t tail = MIN(good[i], 128 * KIB);

		memset(rom, 0xFF, ROM_MAX);
		assert_int_equal(load_firmware(&ram, &blob, &entry, &why), 0);
		assert_true(entry.reset);
		assert_memory_equal(rom + ROM_MAX - good[i], blob.data, good[i]);
		if (good[i] < ROM_MAX)
			assert_int_equal(rom[ROM_MAX - good[i] - 1], 0xFF);
		assert_memory_equal(ram_at(MIB - tail, tail), data + ROM_MAX - tail, tail);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct load_blob blob = {data, bad[i], "bios.bin"};

		assert_int_equal(firmware_check(&blob, &why), ERR_INVALID);
		assert_sentence(why.text);
		assert_int_equal(load_firmware(&ram, &blob, &entry, &why), ERR_INVALID);
	}
	/* a ROM that is smaller than the image */
	ram.rom_count = 1;
	ram.rom_first = 2047;
	assert_int_equal(load_firmware(&ram, &(struct load_blob){data, 4 * MIB, "x"}, &entry, &why),
			 ERR_RANGE);
	assert_sentence(why.text);

	/* it is read, not written */
	assert_null(gmem_ptr_write(&ram, 0xFFFFFFF0, 1));
	assert_non_null(gmem_ptr(&ram, 0xFFFFFFF0, 1));
	assert_int_equal(gmem_write(&ram, 0xFFFFFFF0, data, 1), ERR_RANGE);
	assert_int_equal(gmem_fill(&ram, 0xFFE00000, 0, 1), ERR_RANGE);
	assert_int_equal(gmem_read(&ram, 0xFFFFFFF0, data, 16), 0);
	assert_non_null(gmem_ptr_write(&ram, 0, 1));
	free(rom);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_smbios, setup, teardown),
		cmocka_unit_test_setup_teardown(test_smbios_in_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_smbios_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uuids_differ, setup, teardown),
		cmocka_unit_test_setup_teardown(test_acpi_script, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken_acpi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_kernels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_firmware, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
