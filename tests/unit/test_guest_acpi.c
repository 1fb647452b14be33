/*
 * The guest's ACPI tables: found, linked and checksummed as a guest's system reads them, and saying
 * what the devices do.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "guests/board.h"
#include "guests/guest_acpi.h"
#include "guests/vdev/vdev.h"
#include "lib/le.h"

static uint8_t *ram;
static uint8_t *chunks[1];
static struct gmem mem;
static uint64_t rsdp;

static int setup(void **state)
{
	(void)state;
	ram = malloc(GMEM_CHUNK_SIZE);
	if (!ram)
		return -1;
	memset(ram, 0xA5, GMEM_CHUNK_SIZE);
	chunks[0] = ram;
	mem = (struct gmem){.chunk = chunks, .n_chunks = 1, .size = GMEM_CHUNK_SIZE};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(ram);
	return 0;
}

static unsigned sum(const uint8_t *p, size_t n)
{
	unsigned total = 0;

	while (n--)
		total += *p++;
	return total & 0xFF;
}

/* A table at a guest-physical address, checked for its place, length and checksum. */
static const uint8_t *table(uint64_t gpa, const char *signature)
{
	const uint8_t *p = ram + gpa;

	assert_in_range(gpa, BOARD_TABLES_START, BOARD_TABLES_START + BOARD_TABLES_SIZE - 36);
	assert_int_equal(gpa % 16, 0);
	assert_memory_equal(p, signature, 4);
	assert_in_range(le32(p + 4), 36, BOARD_TABLES_START + BOARD_TABLES_SIZE - gpa);
	assert_int_equal(sum(p, le32(p + 4)), 0);
	return p;
}

static const uint8_t *xsdt_entry(unsigned i, const char *signature)
{
	const uint8_t *xsdt = table(le64(ram + rsdp + 24), "XSDT");

	assert_true(36 + i * 8 < le32(xsdt + 4));
	return table(le64(xsdt + 36 + i * 8), signature);
}

static void build(unsigned n_vcpus)
{
	struct reason why = {{0}};

	assert_int_equal(guest_acpi_build(&mem, n_vcpus, &rsdp, &why), 0);
	assert_string_equal(why.text, "");
}

static void test_root(void **state)
{
	(void)state;
	build(1);
	assert_int_equal(rsdp, 0xE0000);
	assert_memory_equal(ram + rsdp, "RSD PTR ", 8);
	assert_int_equal(sum(ram + rsdp, 20), 0);
	assert_int_equal(sum(ram + rsdp, 36), 0);
	assert_int_equal(ram[rsdp + 15], 2);
	assert_int_equal(le32(ram + rsdp + 20), 36);
	const uint8_t *rsdt = table(le32(ram + rsdp + 16), "RSDT");
	const uint8_t *xsdt = table(le64(ram + rsdp + 24), "XSDT");

	assert_int_equal(le32(rsdt + 4), 36 + 16);
	assert_int_equal(le32(xsdt + 4), 36 + 32);
	assert_int_equal(le32(rsdt + 36), le64(xsdt + 36));
	assert_int_equal(le32(rsdt + 40), le64(xsdt + 44));
	assert_int_equal(le32(rsdt + 44), le64(xsdt + 52));
	assert_int_equal(le32(rsdt + 48), le64(xsdt + 60));
	/* Nothing outside the area was touched. */
	assert_int_equal(ram[0xDFFFF], 0xA5);
	assert_int_equal(ram[0x100000], 0xA5);
	assert_int_equal(ram[0xEFFFF], 0);
}

static void expect_io(const uint8_t *gas, unsigned port, unsigned bits)
{
	assert_int_equal(gas[0], 1);
	assert_int_equal(gas[1], bits);
	assert_int_equal(gas[2], 0);
	assert_int_equal(le64(gas + 4), port);
}

static void test_fadt(void **state)
{
	const uint8_t *fadt, *facs;

	(void)state;
	build(2);
	fadt = xsdt_entry(0, "FACP");
	assert_int_equal(le32(fadt + 4), 268);
	assert_int_equal(fadt[8], 5);
	facs = ram + le32(fadt + 36);
	assert_int_equal(le32(fadt + 36) % 64, 0);
	assert_memory_equal(facs, "FACS", 4);
	assert_int_equal(le32(facs + 4), 64);
	assert_int_equal(le64(fadt + 132), 0);
	table(le32(fadt + 40), "DSDT");
	assert_int_equal(le64(fadt + 140), le32(fadt + 40));
	assert_int_equal(le16(fadt + 46), LINE_SCI);
	assert_int_equal(le32(fadt + 48), 0); /* no SMI command port */
	assert_int_equal(le32(fadt + 56), 0x600);
	assert_int_equal(le32(fadt + 64), 0x604);
	assert_int_equal(le32(fadt + 76), 0x608);
	assert_int_equal(fadt[88], 4);
	assert_int_equal(fadt[89], 2);
	assert_int_equal(fadt[91], 4);
	assert_int_equal(fadt[108], 0x32);
	assert_int_equal(le16(fadt + 109) & 0x2, 0); /* no 8042 to look for */
	assert_int_equal(le32(fadt + 112) & BIT32(8), BIT32(8));
	expect_io(fadt + 116, 0xCF9, 8);
	assert_int_equal(fadt[128], 6);
	expect_io(fadt + 148, 0x600, 32);
	expect_io(fadt + 172, 0x604, 16);
	expect_io(fadt + 208, 0x608, 32);
}

static void check_madt(unsigned n_vcpus)
{
	const uint8_t *madt = xsdt_entry(1, "APIC");
	const uint8_t *end = madt + le32(madt + 4);
	unsigned counts[5] = {0};

	assert_int_equal(le32(madt + 36), 0xFEE00000);
	assert_int_equal(le32(madt + 40), 1);
	for (const uint8_t *p = madt + 44; p < end; p += p[1]) {
		assert_true(p[1] >= 2 && p + p[1] <= end);
		assert_true(p[0] < 5);
		switch (p[0]) {
		case 0:
			assert_int_equal(p[1], 8);
			assert_int_equal(p[2], counts[0]);
			assert_int_equal(p[3], counts[0]);
			assert_int_equal(le32(p + 4), 1);
			break;
		case 1:
			assert_int_equal(p[1], 12);
			assert_int_equal(le32(p + 4), 0xFEC00000);
			assert_int_equal(le32(p + 8), 0);
			break;
		case 2:
			assert_int_equal(p[1], 10);
			assert_int_equal(p[3], counts[2] ? LINE_SCI : LINE_PIT);
			assert_int_equal(le32(p + 4), counts[2] ? LINE_SCI : 2);
			assert_int_equal(le16(p + 8), counts[2] ? 0x000D : 0);
			break;
		default:
			assert_int_equal(p[0], 4);
			assert_int_equal(p[1], 6);
			assert_int_equal(p[2], 0xFF);
			assert_int_equal(p[5], 1);
			break;
		}
		counts[p[0]]++;
	}
	assert_int_equal(counts[0], n_vcpus);
	assert_int_equal(counts[1], 1);
	assert_int_equal(counts[2], 2);
	assert_int_equal(counts[4], 1);
}

static void test_madt(void **state)
{
	static const unsigned counts[] = {255, 1, 2, 8, 254};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) { /* built again over the old ones */
		build(counts[i]);
		check_madt(counts[i]);
	}
}

static void test_mcfg(void **state)
{
	const uint8_t *mcfg;

	(void)state;
	build(1);
	mcfg = xsdt_entry(2, "MCFG");
	assert_int_equal(le32(mcfg + 4), 36 + 8 + 16);
	assert_int_equal(le64(mcfg + 36), 0);
	assert_int_equal(le64(mcfg + 44), 0xE0000000);
	assert_int_equal(le16(mcfg + 52), 0); /* segment */
	assert_int_equal(mcfg[54], 0);        /* first and last bus */
	assert_int_equal(mcfg[55], 255);
	assert_int_equal(le32(mcfg + 56), 0);
}

static void test_hpet(void **state)
{
	const uint8_t *hpet;

	(void)state;
	build(1);
	hpet = xsdt_entry(3, "HPET");
	assert_int_equal(le32(hpet + 4), 56);
	assert_int_equal(hpet[8], 1);
	assert_int_equal(le32(hpet + 36), 0x8086A201);
	assert_int_equal(le32(hpet + 40), 0); /* in memory */
	assert_int_equal(le64(hpet + 44), 0xFED00000);
	assert_int_equal(hpet[52], 0);
	assert_int_equal(le16(hpet + 53), 10000);
}

/* Whether the DSDT contains these bytes. */
static bool contains(const uint8_t *dsdt, const void *bytes, size_t n)
{
	for (uint32_t i = 36; i + n <= le32(dsdt + 4); i++)
		if (memcmp(dsdt + i, bytes, n) == 0)
			return true;
	return false;
}

static void test_dsdt(void **state)
{
	/* Name (_S5, Package () {5, 0, 0, 0}); an I/O descriptor; a memory window's limits. */
	static const uint8_t s5[] = {0x08, '_', 'S', '5', '_', 0x12, 7, 4, 0x0A, 5, 0, 0, 0};
	static const uint8_t com1[] = {0x47, 1, 0xF8, 3, 0xF8, 3, 1, 8, 0x22, 0x10, 0};
	static const uint8_t window[] = {0, 0, 0, 0xC0, 0xFF, 0xFF, 0xFF, 0xDF};
	static const uint8_t window2[] = {0, 0, 0, 0xF0, 0xFF, 0xFF, 0xBF, 0xFE};
	/* A fixed memory range: the configuration window between them. */
	static const uint8_t ecam[] = {0x86, 9, 0, 1, 0, 0, 0, 0xE0, 0, 0, 0, 0x10};
	const uint8_t *fadt, *dsdt;

	(void)state;
	build(1);
	fadt = xsdt_entry(0, "FACP");
	dsdt = table(le32(fadt + 40), "DSDT");
	assert_int_equal(dsdt[8], 2);
	assert_true(contains(dsdt, s5, sizeof(s5)));
	assert_true(contains(dsdt, com1, sizeof(com1)));
	assert_true(contains(dsdt, window, sizeof(window)));
	assert_true(contains(dsdt, window2, sizeof(window2)));
	assert_true(contains(dsdt, ecam, sizeof(ecam)));
	assert_int_equal(BOARD_PCI_MMIO_START + (uint64_t)BOARD_PCI_MMIO_SIZE - 1,
			 BOARD_PCI_MMIO_END);
	assert_int_equal(BOARD_PCI_ECAM_ADDR, BOARD_PCI_MMIO_END + 1);
	assert_int_equal(BOARD_PCI_ECAM_ADDR + BOARD_PCI_ECAM_SIZE, BOARD_PCI_MMIO2_START);
	assert_int_equal(BOARD_PCI_MMIO2_START + (uint64_t)BOARD_PCI_MMIO2_SIZE - 1,
			 BOARD_PCI_MMIO2_END);
	assert_int_equal(BOARD_PIRQ_A_GSI, LINE_PIRQ_A);
	assert_int_equal(BOARD_PIRQ_AB_IRQ, LINE_PIRQ_AB);
	assert_int_equal(BOARD_PIRQ_CD_IRQ, LINE_PIRQ_CD);
	assert_int_equal(BOARD_PCI_MMIO_START, GMEM_HOLE_START);
	assert_int_equal(BOARD_SCI_IRQ, LINE_SCI);
	assert_int_equal(BOARD_COM1_IRQ, LINE_COM1);
	assert_int_equal(BOARD_RTC_IRQ, LINE_RTC);
}

static void test_refusals(void **state)
{
	uint8_t *none[1] = {NULL};
	struct reason why = {{0}};

	(void)state;
	rsdp = 1;
	assert_int_equal(guest_acpi_build(&mem, 0, &rsdp, &why), ERR_INVALID);
	assert_non_null(strstr(why.text, "1 to 255"));
	assert_int_equal(guest_acpi_build(&mem, 256, &rsdp, NULL), ERR_INVALID);
	mem.n_chunks = 0;
	assert_int_equal(guest_acpi_build(&mem, 1, &rsdp, &why), ERR_RANGE);
	assert_non_null(strstr(why.text, "0xe0000"));
	mem = (struct gmem){.chunk = none, .n_chunks = 1};
	assert_int_equal(guest_acpi_build(&mem, 1, &rsdp, &why), ERR_RANGE);
	assert_int_equal(rsdp, 1);
	for (size_t i = 0; i < GMEM_CHUNK_SIZE; i++)
		assert_int_equal(ram[i], 0xA5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_root, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fadt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_madt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mcfg, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hpet, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dsdt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
