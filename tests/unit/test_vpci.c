/*
 * The PCI bus: probing, a bus scan, widths, write masks and more functions by both configuration
 * mechanisms. Devices with regions and interrupts: test_vpcitest.c.
 */
#include "tests/unit/vdev_fake.h"

#include "guests/vdev/vpci.h"

static struct vpci pci;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	vpci_init(&pci, &fake_host);
	return 0;
}

static void select_register(uint16_t bdf, unsigned reg)
{
	vpci_write(&pci, 0xCF8, 4, BIT32(31) | (uint32_t)bdf << 8 | (reg & 0xFC));
}

static uint32_t get(uint16_t bdf, unsigned reg, unsigned size)
{
	select_register(bdf, reg);
	return vpci_read(&pci, (uint16_t)(0xCFC + (reg & 3)), size);
}

static void set(uint16_t bdf, unsigned reg, unsigned size, uint32_t value)
{
	select_register(bdf, reg);
	vpci_write(&pci, (uint16_t)(0xCFC + (reg & 3)), size, value);
}

static void test_linux_finds_mechanism_1(void **state)
{
	(void)state;
	vpci_write(&pci, 0xCFB, 1, 0x01);
	assert_int_equal(vpci_read(&pci, 0xCF8, 4), 0);
	vpci_write(&pci, 0xCF8, 4, 0x80000000);
	assert_int_equal(vpci_read(&pci, 0xCF8, 4), 0x80000000);
	assert_int_equal(get(0, 0x0A, 2), 0x0600);
	vpci_write(&pci, 0xCF8, 4, 0xFFFFFFFF);
	assert_int_equal(vpci_read(&pci, 0xCF8, 4), 0x80FFFFFC);
	/* Other widths are not the address register. */
	vpci_write(&pci, 0xCF8, 2, 0);
	vpci_write(&pci, 0xCF9, 1, 0);
	assert_int_equal(vpci_read(&pci, 0xCF8, 4), 0x80FFFFFC);
	assert_int_equal(vpci_read(&pci, 0xCF8, 2), 0xFFFF);
	assert_int_equal(vpci_read(&pci, 0xCF9, 1), 0xFF);
}

static void test_bus_scan(void **state)
{
	(void)state;
	for (unsigned bdf = 0; bdf < 0x10000; bdf++)
		assert_int_equal(get((uint16_t)bdf, 0, 4), bdf ? 0xFFFFFFFF : 0x12378086);
	vpci_write(&pci, 0xCF8, 4, 0); /* not enabled */
	assert_int_equal(vpci_read(&pci, 0xCFC, 4), 0xFFFFFFFF);
	assert_int_equal(vpci_read(&pci, 0xCFC, 2), 0xFFFF);
	assert_int_equal(vpci_read(&pci, 0xCFC, 1), 0xFF);
	vpci_write(&pci, 0xCFC, 4, 0xFFFFFFFF);
}

static void test_widths(void **state)
{
	(void)state;
	assert_int_equal(get(0, 0, 2), 0x8086);
	assert_int_equal(get(0, 2, 2), 0x1237);
	assert_int_equal(get(0, 1, 1), 0x80);
	assert_int_equal(get(0, 3, 1), 0x12);
	assert_int_equal(get(0, 1, 2), 0x3780);
	assert_int_equal(get(0, 0x0E, 1), 0); /* one function */
	assert_int_equal(get(0, 0xFC, 4), 0);
	/* Across the register's end. */
	assert_int_equal(get(0, 3, 2), 0xFFFF);
	assert_int_equal(get(0, 1, 4), 0xFFFFFFFF);
	set(0, 0xFF, 4, 0);
}

static void test_write_mask(void **state)
{
	(void)state;
	for (unsigned reg = 0; reg < 256; reg += 4)
		set(0, reg, 4, 0xFFFFFFFF);
	assert_int_equal(get(0, 0, 4), 0x12378086);
	assert_int_equal(get(0, 4, 4), 0x02800146);
	assert_int_equal(get(0, 8, 4), 0x06000002);
	assert_int_equal(get(0, 0x0C, 4), 0x0000F800);
	assert_int_equal(get(0, 0x10, 4), 0);          /* no base address register */
	assert_int_equal(get(0, 0x58, 4), 0xFFFFFF00); /* shadow RAM: storage, 0x59 to 0x5f */
	assert_int_equal(get(0, 0x5C, 4), 0xFFFFFFFF);
	assert_int_equal(get(0, 0x60, 4), 0);
	set(0, 5, 1, 0);
	assert_int_equal(get(0, 4, 2), 0x0046);
	vpci_reset(&pci);
	assert_int_equal(vpci_read(&pci, 0xCF8, 4), 0);
	assert_int_equal(get(0, 4, 2), 0x0006);
}

static void test_more_functions(void **state)
{
	static struct vpci_function f[VPCI_MAX_FUNCTIONS];

	(void)state;
	f[0].bdf = VPCI_BDF(0, 0, 0);
	assert_int_equal(vpci_add(&pci, &f[0]), ERR_EXISTS);
	for (unsigned i = 1; i < VPCI_MAX_FUNCTIONS; i++) {
		vpci_function_init(&f[i], VPCI_BDF(i / 4, i, i % 8), 1, 2, 3, 4);
		f[i].config[0x40] = (uint8_t)i;
		f[i].write_mask[0x41] = 0x0F;
		assert_int_equal(vpci_add(&pci, &f[i]), 0);
	}
	f[0].bdf = VPCI_BDF(99, 0, 0);
	assert_int_equal(vpci_add(&pci, &f[0]), ERR_NO_MEMORY);
	for (unsigned i = 1; i < VPCI_MAX_FUNCTIONS; i++) {
		set(f[i].bdf, 0x40, 4, 0xFFFFFFFF);
		assert_int_equal(get(f[i].bdf, 0x40, 4), 0x0F00 | i);
	}
	assert_int_equal(get(VPCI_BDF(0, 1, 0), 0x40, 4), 0xFFFFFFFF);
}

/* The memory-mapped mechanism shows the same, and to a conventional function no more. */
static void test_ecam(void **state)
{
	(void)state;
	for (unsigned bdf = 0; bdf < 0x10000; bdf++)
		assert_int_equal(vpci_ecam_read(&pci, bdf << 12, 4), bdf ? 0xFFFFFFFF : 0x12378086);
	for (unsigned reg = 0; reg < 256; reg++) {
		for (unsigned size = 1; size <= 4; size *= 2)
			assert_int_equal(vpci_ecam_read(&pci, reg, size), get(0, reg, size));
	}
	for (unsigned reg = 256; reg < 4096; reg++) {
		vpci_ecam_write(&pci, reg, 1, 0);
		assert_int_equal(vpci_ecam_read(&pci, reg, 1), 0xFF);
	}
	assert_int_equal(vpci_ecam_read(&pci, 0x100, 4), 0xFFFFFFFF);
	/* 8 bytes are two registers; what is not aligned finds nothing. */
	assert_true(vpci_ecam_read(&pci, 0, 8) == 0x0280000612378086);
	for (unsigned reg = 1; reg < 8; reg++)
		assert_true(vpci_ecam_read(&pci, reg, 8) == UINT64_MAX);
	assert_true(vpci_ecam_read(&pci, 1 << 12, 8) == UINT64_MAX);
	vpci_ecam_write(&pci, 0x58, 8, 0x8877665544332211);
	assert_int_equal(get(0, 0x58, 4), 0x44332200);
	assert_int_equal(get(0, 0x5C, 4), 0x88776655);
	vpci_ecam_write(&pci, 0x5C, 8, 0);
	vpci_ecam_write(&pci, 0x5B, 2, 0);
	vpci_ecam_write(&pci, 0x59, 4, 0);
	assert_int_equal(get(0, 0x5C, 4), 0x88776655);
	assert_int_equal(get(0, 0x58, 4), 0x44332200);
	vpci_ecam_write(&pci, 0x5A, 2, 0xABCD);
	assert_int_equal(get(0, 0x58, 4), 0xABCD2200);
	vpci_ecam_write(&pci, 0x59, 1, 0xEE);
	assert_int_equal(vpci_ecam_read(&pci, 0x58, 4), 0xABCDEE00);
	/* Of other functions nothing is written. */
	vpci_ecam_write(&pci, 0x0FFFFFFC, 4, 0);
	vpci_ecam_write(&pci, 0x0FFFFFF8, 8, 0);
}

static void test_states(void **state)
{
	size_t size = vdev_saved_size(&vpci_type);
	uint8_t *buf = malloc(size);
	static struct vpci other;
	unsigned refused = 0;

	(void)state;
	assert_non_null(buf);
	set(0, 4, 2, 0x0100);
	vpci_init(&other, &fake_host);
	fake_round_trip(&vpci_type, &pci, &other);
	assert_int_equal(vpci_check(&other, NULL), 0);
	assert_int_equal(other.bridge.config[5], 1);
	assert_int_equal(size, 4 + 256);
	for (size_t i = 0; i < size; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			struct reason why = {{0}};

			vdev_save(&vpci_type, &pci, buf);
			buf[i] ^= (uint8_t)(1 << bit);
			assert_int_equal(vdev_load(&vpci_type, &other, buf, size), 0);
			if (vpci_check(&other, &why)) {
				assert_true(strlen(why.text) > 10);
				refused++;
			}
		}
	}
	/* All but 23 address bits, 2 command bits, 5 of the latency timer, 7 bytes of storage. */
	assert_int_equal(refused, size * 8 - 23 - 2 - 5 - 7 * 8);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_linux_finds_mechanism_1, setup),
		cmocka_unit_test_setup(test_bus_scan, setup),
		cmocka_unit_test_setup(test_widths, setup),
		cmocka_unit_test_setup(test_write_mask, setup),
		cmocka_unit_test_setup(test_more_functions, setup),
		cmocka_unit_test_setup(test_ecam, setup),
		cmocka_unit_test_setup(test_states, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
