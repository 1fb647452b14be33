/*
 * The PCI test device, and by it what the PCI bus does for devices: sizing and decoding of regions,
 * interrupt wires, MSI and MSI-X with masks and pending bits, states that are loaded.
 */
#include "tests/unit/vdev_fake.h"

#include "guests/vdev/vpcitest.h"

#define BDF    VPCI_BDF(0, 5, 0)
#define MEMORY 0xC0001000u
#define IO     0x2080u
#define MSIX   0x123400000ull

#define IO_ON     1u
#define MEMORY_ON 2u
#define MASTER    4u
#define INTX_OFF  0x400u

static struct vpci pci;
static struct vpcitest dev;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake.msi_allowed = 1000;
	vpci_init(&pci, &fake_host);
	vpcitest_init(&dev, &pci);
	return 0;
}

static uint32_t get(unsigned reg, unsigned size)
{
	return (uint32_t)vpci_ecam_read(&pci, (uint32_t)BDF << 12 | reg, size);
}

static void set(unsigned reg, unsigned size, uint32_t value)
{
	vpci_ecam_write(&pci, (uint32_t)BDF << 12 | reg, size, value);
}

static unsigned capability(uint8_t id)
{
	unsigned n = 0;

	assert_int_equal(get(0x06, 2) & 0x10, 0x10);
	for (unsigned at = get(0x34, 1); at; at = get(at + 1, 1)) {
		assert_true(at >= 0x40 && at % 4 == 0 && n++ < 48);
		if (get(at, 1) == id)
			return at;
	}
	fail();
	return 0;
}

static void place(void)
{
	set(0x10, 4, MEMORY);
	set(0x14, 4, IO);
	set(0x18, 4, (uint32_t)MSIX);
	set(0x1C, 4, MSIX >> 32);
	set(0x04, 2, IO_ON | MEMORY_ON | MASTER);
}

static uint64_t mem_get(uint64_t gpa, unsigned size)
{
	uint64_t value = 0;

	assert_true(vpci_memory_read(&pci, gpa, size, &value));
	return value;
}

static void mem_set(uint64_t gpa, unsigned size, uint64_t value)
{
	assert_true(vpci_memory_write(&pci, gpa, size, value));
}

static uint32_t reg(unsigned offset)
{
	return (uint32_t)mem_get(MEMORY + offset, 4);
}

static bool memory_at(uint64_t gpa, unsigned size)
{
	uint64_t value;

	return vpci_memory_read(&pci, gpa, size, &value);
}

static bool io_at(unsigned port, unsigned size)
{
	uint32_t value;

	return vpci_io_read(&pci, (uint16_t)port, size, &value);
}

static void raise(unsigned vector)
{
	mem_set(MEMORY + VPCITEST_MESSAGE, 4, vector);
}

/* ---- configuration space ---- */

static void test_identity(void **state)
{
	(void)state;
	assert_int_equal(get(0x00, 4), 0x10F01AF4);
	assert_int_equal(get(0x08, 4), 0xFF000001);
	assert_int_equal(get(0x0E, 1), 0);
	assert_int_equal(get(0x2C, 4), 0x10F01AF4);
	assert_int_equal(get(0x3C, 2), 0x010A); /* IRQ 10, INTA# */
	assert_int_equal(get(0x04, 4), 0x00100000);
	for (unsigned reg4 = 0; reg4 < 0x40; reg4 += 4)
		set(reg4, 4, 0xFFFFFFFF);
	assert_int_equal(get(0x00, 4), 0x10F01AF4);
	assert_int_equal(get(0x04, 4), 0x00100547);
	assert_int_equal(get(0x08, 4), 0xFF000001);
	assert_int_equal(get(0x0C, 4), 0x000000FF);
	assert_int_equal(get(0x3C, 4), 0x000001FF);
}

static void test_sizing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++)
		set(0x10 + 4 * i, 4, 0xFFFFFFFF);
	assert_int_equal(get(0x10, 4), 0xFFFFF000);
	assert_int_equal(get(0x14, 4), 0xFFFFFF81);
	assert_int_equal(get(0x18, 4), 0xFFFFF004);
	assert_int_equal(get(0x1C, 4), 0xFFFFFFFF);
	assert_int_equal(get(0x20, 4), 0);
	assert_int_equal(get(0x24, 4), 0);
	assert_int_equal(get(0x30, 4), 0); /* no expansion ROM */
	set(0x10, 4, 0xC0001234);
	assert_int_equal(get(0x10, 4), 0xC0001000);
	set(0x13, 1, 0xD0); /* by bytes */
	set(0x11, 1, 0x50);
	assert_int_equal(get(0x10, 4), 0xD0005000);
	assert_int_equal(vpcitest_check(&dev, NULL), 0);
}

static void test_extended_space(void **state)
{
	(void)state;
	unsigned express = capability(0x10);

	assert_int_equal(get(express + 2, 2), 0x0092); /* version 2, integrated endpoint */
	assert_int_equal(get(0x100, 4), 0x0001000B);
	assert_int_equal(get(0x104, 4) >> 20, 20);
	set(0x108, 4, 0x12345678);
	set(0x10C, 4, 0);
	assert_int_equal(get(0x108, 4), 0x12345678);
	assert_int_equal(get(0x10C, 4), 0x59524B53);
	for (unsigned i = 0x114; i < 0x1000; i += 4) {
		set(i, 4, 0xFFFFFFFF);
		assert_int_equal(get(i, 4), 0);
	}
	assert_true(vpci_ecam_read(&pci, (uint32_t)BDF << 12 | 0x108, 8) == 0x59524B5312345678);
}

/* Both mechanisms show and write the same, whatever is thrown at them. */
static void test_mechanisms_agree(void **state)
{
	uint32_t x = 1;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		unsigned at = (x = x * 1664525 + 1013904223) >> 24;
		unsigned size = 1u << (x >> 20) % 3;
		uint32_t value = x * 2654435761u;
		uint16_t port = (uint16_t)(0xCFC + (at & 3));

		vpci_write(&pci, 0xCF8, 4, BIT32(31) | (uint32_t)BDF << 8 | (at & 0xFC));
		if (x & 0x100)
			vpci_write(&pci, port, size, value);
		else
			set(at, size, value);
		assert_int_equal(vpci_read(&pci, port, size), get(at, size));
		assert_int_equal(vpcitest_check(&dev, NULL), 0);
	}
}

/* ---- regions ---- */

static void test_decoding(void **state)
{
	(void)state;
	place();
	assert_true(memory_at(MEMORY, 4) && memory_at(MEMORY + 4092, 4) && io_at(IO, 1));
	assert_true(memory_at(MSIX, 8) && memory_at(MSIX + 4088, 8));
	/* Not a byte beyond. */
	assert_false(memory_at(MEMORY - 1, 1) || memory_at(MEMORY - 1, 4));
	assert_false(memory_at(MEMORY + 4096, 1) || memory_at(MEMORY + 4093, 4));
	assert_false(memory_at(MEMORY + (1ull << 32), 4) || memory_at((uint32_t)MSIX, 4));
	assert_false(io_at(IO - 1, 1) || io_at(IO + 128, 1) || io_at(IO + 127, 2));
	assert_false(io_at(IO + 125, 4) || io_at(IO - 1, 4) || io_at(0xFFFF, 4));
	assert_true(io_at(IO + 124, 4) && io_at(IO + 127, 1));
	/* Memory and I/O have a switch each. */
	set(0x04, 2, IO_ON);
	assert_false(memory_at(MEMORY, 4) || memory_at(MSIX, 4));
	assert_false(vpci_memory_write(&pci, MEMORY, 4, 0));
	assert_true(io_at(IO, 4));
	set(0x04, 2, MEMORY_ON);
	assert_true(memory_at(MEMORY, 4));
	assert_false(io_at(IO, 4) || vpci_io_write(&pci, IO, 4, 0));
	/* Moved. */
	set(0x10, 4, 0xF0000000);
	assert_false(memory_at(MEMORY, 4));
	assert_true(memory_at(0xF0000000, 4));
	set(0x04, 2, IO_ON);
	set(0x14, 4, 0xFFFFFFFF); /* beyond the last port */
	assert_false(io_at(0xFF80, 4));
	set(0x14, 4, 0xFF80);
	assert_true(io_at(0xFFFC, 4));
	vpcitest_reset(&dev);
	assert_false(io_at(0xFFFC, 4));
}

/* Of regions at the same place, the lowest BAR's answers. */
static void test_overlap(void **state)
{
	(void)state;
	place();
	set(0x18, 4, MEMORY);
	set(0x1C, 4, 0);
	assert_int_equal(reg(VPCITEST_ID), VPCITEST_ID_VALUE);
	set(0x10, 4, 0xD0000000);
	assert_int_equal(mem_get(MEMORY + 12, 4), 1); /* a masked vector */
}

static void test_counting(void **state)
{
	static const unsigned sizes[] = {1, 2, 4, 8};

	(void)state;
	place();
	for (unsigned i = 0; i < 4; i++) {
		uint64_t all = sizes[i] == 8 ? UINT64_MAX : BIT(8 * sizes[i]) - 1;

		mem_set(MEMORY + 0x801 + i, sizes[i], 0x1122334455667788);
		assert_int_equal(reg(VPCITEST_MEM_WRITES), i + 1);
		assert_int_equal(reg(VPCITEST_MEM_WHERE), sizes[i] << 16 | (0x801 + i));
		assert_true((reg(VPCITEST_MEM_LAST) | (uint64_t)reg(VPCITEST_MEM_LAST_HIGH)
							      << 32) == (0x1122334455667788 & all));
		assert_int_equal(mem_get(MEMORY + 0xFF8, sizes[i]) == (0x1122334455667788 & all),
				 true);
		assert_int_equal(reg(VPCITEST_MEM_READS), i + 1);
	}
	assert_int_equal(reg(VPCITEST_IO_READS), 0);
	for (unsigned i = 0; i < 3; i++) {
		uint32_t value;

		assert_true(vpci_io_write(&pci, IO + 0x41, sizes[i], 0xAABBCCDD));
		assert_true(vpci_io_read(&pci, IO + 0x7C, sizes[i], &value));
		assert_int_equal(value, 0xAABBCCDD & (BIT(8 * sizes[i]) - 1));
		assert_true(vpci_io_read(&pci, IO + VPCITEST_IO_WRITES, 4, &value));
		assert_int_equal(value, i + 1);
		assert_int_equal(reg(VPCITEST_IO_READS), i + 1);
		assert_int_equal(reg(VPCITEST_IO_WHERE), sizes[i] << 16 | 0x7C);
	}
	/* Registers are whole words. */
	assert_int_equal(mem_get(MEMORY + VPCITEST_ID, 1), 0xFF);
	assert_int_equal(mem_get(MEMORY + VPCITEST_ID, 2), 0xFFFF);
	assert_int_equal(mem_get(MEMORY + VPCITEST_ID + 1, 4), 0xFFFFFFFF);
	assert_true(mem_get(MEMORY + VPCITEST_ID, 8) == UINT64_MAX);
	mem_set(MEMORY + VPCITEST_INTX, 1, 1);
	assert_int_equal(reg(VPCITEST_INTX), 0);
	mem_set(MEMORY + VPCITEST_MEM_READS, 4, 0); /* read-only */
	assert_int_equal(reg(VPCITEST_MEM_READS), 4);
	mem_set(MEMORY + VPCITEST_CLEAR, 4, 0);
	for (unsigned at = VPCITEST_MEM_READS; at <= VPCITEST_CLEAR; at += 4)
		assert_int_equal(reg(at), 0);
}

/* ---- the wire ---- */

static void test_wire(void **state)
{
	(void)state;
	place();
	assert_int_equal(get(0x06, 2) & 8, 0);
	mem_set(MEMORY + VPCITEST_INTX, 4, 1);
	assert_true(fake.level[16] && fake.level[10]); /* device 5: wire A */
	assert_int_equal(get(0x06, 2) & 8, 8);
	set(0x04, 2, MEMORY_ON | INTX_OFF);
	assert_false(fake.level[16] || fake.level[10]);
	assert_int_equal(get(0x06, 2) & 8, 8); /* still wanted */
	set(0x04, 2, MEMORY_ON);
	assert_true(fake.level[16] && fake.level[10]);
	/* Messages take its place. */
	set(capability(0x05) + 2, 2, 1);
	assert_false(fake.level[16] || fake.level[10]);
	set(capability(0x05) + 2, 2, 0);
	assert_true(fake.level[16]);
	set(capability(0x11) + 3, 1, 0x80);
	assert_false(fake.level[16]);
	set(capability(0x11) + 3, 1, 0);
	assert_int_equal(fake.rises[16], 4);
	mem_set(MEMORY + VPCITEST_INTX, 4, 0xFFFFFFFE);
	assert_false(fake.level[16] || fake.level[10]);
	assert_int_equal(get(0x06, 2) & 8, 0);
	assert_int_equal(fake.n_msi, 0);
}

/* A second device on the same input: neither releases the other. */
static void test_shared_wire(void **state)
{
	static struct vpci_function same, neighbour, other;

	(void)state;
	place();
	vpci_function_init(&same, VPCI_BDF(0, 9, 0), 1, 1, 0, 0);      /* wire A too */
	vpci_function_init(&neighbour, VPCI_BDF(0, 6, 0), 1, 1, 0, 0); /* wire B: the same IRQ */
	vpci_function_init(&other, VPCI_BDF(0, 7, 0), 1, 1, 0, 0);     /* wire C */
	struct vpci_function *more[] = {&same, &neighbour, &other};

	for (unsigned i = 0; i < 3; i++) {
		vpci_function_pin(more[i]);
		vpci_function_reset(more[i]);
		assert_int_equal(vpci_add(&pci, more[i]), 0);
	}
	assert_int_equal(other.config[0x3C], 11);
	mem_set(MEMORY + VPCITEST_INTX, 4, 1);
	vpci_function_intx(&same, true);
	vpci_function_intx(&neighbour, true);
	assert_true(fake.level[16] && fake.level[17] && fake.level[10]);
	assert_false(fake.level[18] || fake.level[11]);
	mem_set(MEMORY + VPCITEST_INTX, 4, 0);
	assert_true(fake.level[16] && fake.level[10]);
	vpci_function_intx(&same, false);
	assert_false(fake.level[16]);
	assert_true(fake.level[17] && fake.level[10]);
	vpci_function_intx(&other, true);
	vpci_function_intx(&neighbour, false);
	assert_false(fake.level[17] || fake.level[10]);
	assert_true(fake.level[18] && fake.level[11]);
}

/* ---- MSI ---- */

static unsigned msi_on(unsigned allocated)
{
	unsigned cap = capability(0x05);

	set(cap + 4, 4, 0xFEE01003); /* the low bits cannot be written */
	set(cap + 8, 4, 0);
	set(cap + 12, 2, 0x4047);
	set(cap + 2, 2, 1 | allocated << 4);
	return cap;
}

static void test_msi(void **state)
{
	unsigned cap;

	(void)state;
	place();
	cap = capability(0x05);
	assert_int_equal(get(cap + 2, 2), 0x0184); /* 4 vectors, 64 bits, masks */
	raise(0);                                  /* not on yet */
	assert_int_equal(reg(VPCITEST_MESSAGE), 1);
	msi_on(0);
	assert_int_equal(get(cap + 4, 4), 0xFEE01000);
	raise(0);
	assert_int_equal(fake.n_msi, 1);
	assert_int_equal(fake.msi_addr, 0xFEE01000);
	assert_int_equal(fake.msi_data, 0x4047);
	/* One message is allocated: all vectors are that one. */
	raise(3);
	assert_int_equal(fake.n_msi, 2);
	assert_int_equal(fake.msi_data, 0x4047);
	/* Two, four, and more than there are. */
	msi_on(1);
	raise(2);
	assert_int_equal(fake.msi_data, 0x4046);
	for (unsigned allocated = 2; allocated < 8; allocated++) {
		msi_on(allocated);
		for (unsigned i = 0; i < 4; i++) {
			raise(i);
			assert_int_equal(fake.msi_data, 0x4044 + i);
		}
	}
	assert_int_equal(fake.n_msi, 3 + 6 * 4);
	raise(4);
	raise(0xFFFFFFFF);
	assert_int_equal(reg(VPCITEST_MESSAGE), 3);
	assert_int_equal(fake.n_msi, 3 + 6 * 4);
}

static void test_msi_masks(void **state)
{
	unsigned cap;

	(void)state;
	place();
	cap = msi_on(2);
	set(cap + 16, 4, 0xFFFFFFFF);
	assert_int_equal(get(cap + 16, 4), 0xF);
	for (unsigned i = 0; i < 4; i++)
		raise(i);
	raise(2); /* again: one message pends, not two */
	assert_int_equal(fake.n_msi, 0);
	assert_int_equal(get(cap + 20, 4), 0xF);
	set(cap + 20, 4, 0); /* read-only */
	assert_int_equal(get(cap + 20, 4), 0xF);
	set(cap + 16, 4, 0xB);
	assert_int_equal(fake.n_msi, 1);
	assert_int_equal(fake.msi_data, 0x4046);
	assert_int_equal(get(cap + 20, 4), 0xB);
	/* Without mastering nothing goes; with it, what pends does. */
	set(0x04, 2, MEMORY_ON);
	set(cap + 16, 4, 0);
	raise(2);
	assert_int_equal(fake.n_msi, 1);
	assert_int_equal(get(cap + 20, 4), 0xF);
	set(0x04, 2, MEMORY_ON | MASTER);
	assert_int_equal(fake.n_msi, 5);
	assert_int_equal(get(cap + 20, 4), 0);
	/* Nor while it is off. */
	set(cap + 16, 4, 1);
	raise(0);
	set(cap + 2, 2, 0);
	set(cap + 16, 4, 0);
	assert_int_equal(fake.n_msi, 5);
	msi_on(2);
	assert_int_equal(fake.n_msi, 6);
}

/* ---- MSI-X ---- */

static void entry(unsigned vector, uint64_t addr, uint32_t data, uint32_t control)
{
	mem_set(MSIX + 16 * vector, 8, addr);
	mem_set(MSIX + 16 * vector + 8, 4, data);
	mem_set(MSIX + 16 * vector + 12, 4, control);
}

static void msix_control(unsigned value)
{
	set(capability(0x11) + 2, 2, value);
}

static void test_msix(void **state)
{
	unsigned cap;

	(void)state;
	place();
	cap = capability(0x11);
	assert_int_equal(get(cap + 2, 2), 7); /* 8 entries */
	assert_int_equal(get(cap + 4, 4), 2); /* in BAR 2 */
	assert_int_equal(get(cap + 8, 4), 0x802);
	set(cap + 2, 2, 0x7FFF);
	assert_int_equal(get(cap + 2, 2), 0x4007);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(mem_get(MSIX + 16 * i + 12, 4), 1);
	entry(0, 0xFEE00000, 0x30, 0xFFFFFFFE);
	assert_int_equal(mem_get(MSIX + 12, 4), 0);
	entry(5, 0xFEE00003, 0x35, 0);
	assert_true(mem_get(MSIX + 0x50, 8) == 0xFEE00000);
	assert_true(mem_get(MSIX + 0x58, 8) == 0x35);
	/* Off; on with the function's mask; without. */
	raise(5);
	assert_int_equal(reg(VPCITEST_MESSAGE), 1);
	msix_control(0xC000);
	raise(5);
	assert_int_equal(fake.n_msi, 0);
	assert_int_equal(mem_get(MSIX + 0x800, 8), 0x20);
	msix_control(0x8000);
	assert_int_equal(fake.n_msi, 1);
	assert_int_equal(fake.msi_data, 0x35);
	assert_int_equal(mem_get(MSIX + 0x800, 4), 0);
	/* A vector's mask. */
	raise(1);
	raise(1);
	raise(7);
	assert_int_equal(fake.n_msi, 1);
	assert_int_equal(mem_get(MSIX + 0x800, 4), 0x82);
	mem_set(MSIX + 0x800, 8, 0); /* read-only */
	assert_int_equal(mem_get(MSIX + 0x800, 4), 0x82);
	entry(7, 0xFEE00000, 0x37, 0);
	assert_int_equal(fake.n_msi, 2);
	assert_int_equal(fake.msi_data, 0x37);
	mem_set(MSIX + 24, 8, 0x31); /* data and control at once; the address is 0 */
	assert_int_equal(fake.n_msi, 2);
	assert_int_equal(reg(VPCITEST_DROPPED), 1);
	/* Mastering. */
	set(0x04, 2, MEMORY_ON);
	raise(0);
	assert_int_equal(fake.n_msi, 2);
	set(0x04, 2, MEMORY_ON | MASTER);
	assert_int_equal(fake.n_msi, 3);
	raise(8);
	assert_int_equal(reg(VPCITEST_MESSAGE), 2);
	/* It goes before MSI. */
	msi_on(2);
	raise(5);
	assert_int_equal(fake.msi_data, 0x35);
}

static void test_msix_widths(void **state)
{
	(void)state;
	place();
	entry(2, 0xFEE00000, 0x32, 0);
	for (unsigned at = 0; at < 0x1000; at++) {
		for (unsigned size = 1; size <= 8; size *= 2) {
			uint64_t all = size == 8 ? UINT64_MAX : BIT(8 * size) - 1;

			if (at + size > 0x1000 || (size >= 4 && at % size == 0))
				continue;
			assert_true(mem_get(MSIX + at, size) == all);
			mem_set(MSIX + at, size, 0);
		}
	}
	assert_int_equal(mem_get(MSIX + 0x20, 4), 0xFEE00000);
	for (unsigned at = 8 * 16; at < 0x1000; at += 8) { /* no table there */
		mem_set(MSIX + at, 8, UINT64_MAX);
		assert_int_equal(mem_get(MSIX + at, 8), 0);
	}
	vpcitest_reset(&dev);
	place();
	assert_int_equal(mem_get(MSIX + 0x20, 4), 0);
	assert_int_equal(mem_get(MSIX + 0x2C, 4), 1);
}

/* Where a message goes that is no interrupt, and which levels do. */
static void test_odd_messages(void **state)
{
	static const uint64_t nowhere[] = {0,           0x1000,     0xFED00000,         0xFEF00000,
					   0x1FEE00000, 0xFEDFFFFC, 0xFEE00000FEE00000, 0xFFFFFFFC};

	(void)state;
	place();
	msix_control(0x8000);
	for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
		entry(0, nowhere[i], 0x30, 0);
		raise(0);
		assert_int_equal(reg(VPCITEST_DROPPED), i + 1);
	}
	assert_int_equal(fake.n_msi, 0);
	entry(0, 0xFEEFFFFC, 0x30, 0);
	raise(0);
	assert_int_equal(fake.n_msi, 1);
	assert_int_equal(fake.msi_addr, 0xFEEFFFFC);
	entry(0, 0xFEE00000, 0xC030, 0); /* a level */
	raise(0);
	assert_int_equal(fake.n_msi, 2);
	entry(0, 0xFEE00000, 0x8030, 0); /* its end */
	raise(0);
	assert_int_equal(fake.n_msi, 2);
	assert_int_equal(reg(VPCITEST_DROPPED), ARRAY_SIZE(nowhere));
}

/* ---- states ---- */

static void test_states(void **state)
{
	size_t size = vdev_saved_size(&vpcitest_type);
	uint8_t *buf = malloc(size);
	static struct vpci bus;
	static struct vpcitest other;
	unsigned refused = 0;

	(void)state;
	assert_non_null(buf);
	place();
	msix_control(0xC000);
	entry(3, 0xFEE00000, 0x33, 0);
	raise(3);
	mem_set(MEMORY + VPCITEST_INTX, 4, 1);
	mem_set(MEMORY + 0x900, 2, 7);
	mem_get(MEMORY + 0xFF8, 8);
	set(0x108, 4, 42);
	vpci_init(&bus, &fake_host);
	vpcitest_init(&other, &bus);
	fake_round_trip(&vpcitest_type, &dev, &other);
	assert_int_equal(vpcitest_check(&other, NULL), 0);
	/* It goes on from there. */
	vpci_ecam_write(&bus, (uint32_t)BDF << 12 | (capability(0x11) + 3), 1, 0x80);
	assert_int_equal(fake.n_msi, 1);
	assert_int_equal(fake.msi_data, 0x33);
	for (size_t i = 0; i < size; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			struct reason why = {{0}};

			vdev_save(&vpcitest_type, &dev, buf);
			buf[i] ^= (uint8_t)(1 << bit);
			assert_int_equal(vdev_load(&vpcitest_type, &other, buf, size), 0);
			if (vpcitest_check(&other, &why)) {
				assert_true(strlen(why.text) > 10);
				refused++;
				continue;
			}
			/* What is taken can be worked with. */
			vpci_function_write(&other.function, 0x04, 2, 0x7);
			for (unsigned vector = 0; vector < 8; vector++)
				vpci_function_raise(&other.function, vector);
			assert_int_equal(vpcitest_check(&other, NULL), 0);
			fake.n_msi = 0;
		}
	}
	/* The most of configuration space, and of the table's control words. */
	assert_true(refused > 200 * 8 && refused < size * 8 - 8 * 3 * 32);
	free(buf);
}

/* Whatever a guest does: every state is one that the check takes, and every message an interrupt's.
 */
static uint32_t seed = 1;

static uint32_t below(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)n * seed >> 32);
}

static void random_step(void)
{
	static const unsigned often[] = {0x04, 0x10, 0x42, 0x44, 0x48, 0x50, 0x5A};
	static const uint32_t values[] = {0, 7, 0xFFFFFFFF, MEMORY, IO, 0xFEE00000, 0x8000, 0x71};
	unsigned size = 1u << below(4);
	uint64_t value = below(2) ? values[below(ARRAY_SIZE(values))] : seed * 0x9E3779B97F4A7C15;
	uint32_t word;

	switch (below(8)) {
	case 0:
		set(often[below(ARRAY_SIZE(often))], 2u << below(2), (uint32_t)value);
		return;
	case 1:
		vpci_ecam_write(&pci, (uint32_t)BDF << 12 | below(4096), size, value);
		return;
	case 2:
		(void)vpci_ecam_read(&pci, below(1u << 28), size);
		return;
	case 3:
		(void)vpci_io_write(&pci, (uint16_t)(IO + below(160)), MIN(size, 4),
				    (uint32_t)value);
		(void)vpci_io_read(&pci, (uint16_t)(IO + below(160)), MIN(size, 4), &word);
		return;
	case 4:
		(void)vpci_memory_write(&pci, MEMORY + below(64), size, value);
		return;
	case 5:
		(void)vpci_memory_write(&pci, MEMORY + VPCITEST_MESSAGE, 4, below(9));
		return;
	case 6:
		(void)vpci_memory_write(&pci, MEMORY + VPCITEST_INTX, 4, below(2));
		return;
	default:
		(void)vpci_memory_write(&pci, MSIX + below(160) * 4, size, value);
		(void)vpci_memory_read(&pci, MSIX + below(4200), size, &value);
		return;
	}
}

static void test_random(void **state)
{
	unsigned messages = 0;

	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		if (i % 64 == 0) { /* something sensible, to go astray from */
			place();
			if (below(2))
				msi_on(below(8));
			entry(below(8), 0xFEE00000, below(0x10000), below(2));
		}
		random_step();
		messages += fake.n_msi;
		if (fake.n_msi)
			assert_int_equal(fake.msi_addr >> 20, 0xFEE);
		fake.n_msi = 0;
		assert_int_equal(vpcitest_check(&dev, NULL), 0);
		assert_int_equal(vpci_check(&pci, NULL), 0);
		assert_int_equal(fake.level[16], vpci_function_asserts(&dev.function));
		assert_int_equal(fake.level[10], fake.level[16]);
	}
	assert_true(messages > 1000 && fake.rises[16] > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_identity, setup),
		cmocka_unit_test_setup(test_sizing, setup),
		cmocka_unit_test_setup(test_extended_space, setup),
		cmocka_unit_test_setup(test_mechanisms_agree, setup),
		cmocka_unit_test_setup(test_decoding, setup),
		cmocka_unit_test_setup(test_overlap, setup),
		cmocka_unit_test_setup(test_counting, setup),
		cmocka_unit_test_setup(test_wire, setup),
		cmocka_unit_test_setup(test_shared_wire, setup),
		cmocka_unit_test_setup(test_msi, setup),
		cmocka_unit_test_setup(test_msi_masks, setup),
		cmocka_unit_test_setup(test_msix, setup),
		cmocka_unit_test_setup(test_msix_widths, setup),
		cmocka_unit_test_setup(test_odd_messages, setup),
		cmocka_unit_test_setup(test_states, setup),
		cmocka_unit_test_setup(test_random, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
