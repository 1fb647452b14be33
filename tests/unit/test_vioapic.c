/*
 * The I/O APIC: its registers, message format, edges, levels and remote IRR.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guests/vdev/vioapic.h"

static struct {
	unsigned n;
	uint64_t addr;
	uint32_t data;
} sent;

static struct vioapic io;

static void msi(void *ctx, uint64_t addr, uint32_t data)
{
	assert_ptr_equal(ctx, &sent);
	sent.n++;
	sent.addr = addr;
	sent.data = data;
}

static const struct vdev_host host = {.ctx = &sent, .msi = msi};

static int setup(void **state)
{
	(void)state;
	memset(&sent, 0, sizeof(sent));
	memset(&io, 0xa5, sizeof(io));
	vioapic_init(&io, &host);
	return 0;
}

static uint32_t get(uint8_t reg)
{
	vioapic_write(&io, 0, reg);
	return vioapic_read(&io, 0x10);
}

static void set(uint8_t reg, uint32_t val)
{
	vioapic_write(&io, 0, reg);
	vioapic_write(&io, 0x10, val);
	assert_int_equal(vioapic_check(&io, NULL), 0);
}

static void set_pin(unsigned pin, uint64_t entry)
{
	set((uint8_t)(0x11 + 2 * pin), (uint32_t)(entry >> 32));
	set((uint8_t)(0x10 + 2 * pin), (uint32_t)entry);
}

static void expect_sent(unsigned n, uint64_t addr, uint32_t data)
{
	assert_int_equal(sent.n, n);
	assert_int_equal(sent.addr, addr);
	assert_int_equal(sent.data, data);
	assert_int_equal(vioapic_check(&io, NULL), 0);
}

static void pulse(unsigned pin)
{
	vioapic_line(&io, pin, true);
	vioapic_line(&io, pin, false);
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(get(1), 0x00170020);
	assert_int_equal(get(0), 0);
	for (unsigned pin = 0; pin < 24; pin++) {
		assert_int_equal(get((uint8_t)(0x10 + 2 * pin)), 0x10000);
		assert_int_equal(get((uint8_t)(0x11 + 2 * pin)), 0);
	}
	set(0, 0xffffffff);
	assert_int_equal(get(0), 0x0f000000);
	assert_int_equal(get(2), 0x0f000000);
	set(1, 0);
	set(2, 0);
	assert_int_equal(get(1), 0x00170020);
	assert_int_equal(get(2), 0x0f000000);
	/* Reserved and read-only bits. */
	set(0x10, 0xffffffff);
	set(0x11, 0xffffffff);
	assert_int_equal(get(0x10), 0x0001afff);
	assert_int_equal(get(0x11), 0xff000000);
	set(0x3e, 0x12345);
	assert_int_equal(get(0x3e), 0x12345 & 0x1afff);
	/* IOREGSEL is 8 bits and can be read. */
	vioapic_write(&io, 0, 0xabcdef3e);
	assert_int_equal(vioapic_read(&io, 0), 0x3e);
	/* Behind the table, and elsewhere in the page: nothing. */
	for (unsigned reg = 3; reg < 256; reg++) {
		if (reg == 0x10)
			reg = 0x40;
		set((uint8_t)reg, 0xffffffff);
		assert_int_equal(get((uint8_t)reg), 0);
	}
	struct vioapic before = io;

	for (unsigned off = 1; off < 0x1000; off++) {
		if (off == 0x10 || off == 0x40)
			continue;
		vioapic_write(&io, off, 0xffffffff);
		assert_int_equal(vioapic_read(&io, off), 0);
	}
	assert_int_equal(vioapic_read(&io, 0x40), 0);
	assert_memory_equal(&before, &io, sizeof(io));
	assert_int_equal(sent.n, 0);
}

static void test_edge(void **state)
{
	(void)state;
	pulse(4); /* masked: lost */
	set_pin(4, 0x0500000000000034);
	assert_int_equal(sent.n, 0);
	vioapic_line(&io, 4, true);
	expect_sent(1, 0xfee05000, 0x4034);
	vioapic_line(&io, 4, true); /* no edge */
	assert_int_equal(sent.n, 1);
	vioapic_line(&io, 4, false);
	assert_int_equal(sent.n, 1);
	vioapic_line(&io, 4, true);
	assert_int_equal(sent.n, 2);
	assert_int_equal(get(0x18), 0x34); /* no remote IRR */
	vioapic_eoi(&io, 0x34);
	assert_int_equal(sent.n, 2);
	/* An edge under the mask is lost even if the line stays high. */
	set(0x18, 0x10034);
	pulse(4);
	vioapic_line(&io, 4, true);
	set(0x18, 0x34);
	assert_int_equal(sent.n, 2);
	/* Pins that are not there. */
	vioapic_line(&io, 24, true);
	vioapic_line(&io, 0xffffffff, true);
	assert_int_equal(sent.n, 2);
	assert_int_equal(vioapic_check(&io, NULL), 0);
}

static void test_message_format(void **state)
{
	(void)state;
	set_pin(0, 0xff00000000000000 | 0x800 | 0x20);
	pulse(0);
	expect_sent(1, 0xfeeff004, 0x4020); /* logical */
	set_pin(0, 0x0300000000000000 | 0x900 | 0x21);
	pulse(0);
	expect_sent(2, 0xfee0300c, 0x4121); /* lowest priority: redirection hint */
	set_pin(0, 0x0100000000000000 | 0x400 | 0x22);
	pulse(0);
	expect_sent(3, 0xfee01000, 0x4422); /* NMI */
	set_pin(0, 0x0000000000000000 | 0x700);
	pulse(0);
	expect_sent(4, 0xfee00000, 0x4700); /* ExtINT */
	/* Polarity has no effect. */
	set_pin(0, 0x2000 | 0x40);
	assert_int_equal(sent.n, 4);
	pulse(0);
	expect_sent(5, 0xfee00000, 0x4040);
	set_pin(23, 0x50);
	pulse(23);
	expect_sent(6, 0xfee00000, 0x4050);
}

static void test_level(void **state)
{
	(void)state;
	set_pin(9, 0x8000 | 0x31);
	vioapic_line(&io, 9, true);
	expect_sent(1, 0xfee00000, 0xc031);
	assert_int_equal(get(0x22), 0xc031); /* remote IRR */
	vioapic_line(&io, 9, false);
	vioapic_line(&io, 9, true);
	assert_int_equal(sent.n, 1); /* waits for the EOI */
	vioapic_eoi(&io, 0x32);
	assert_int_equal(sent.n, 1); /* of this vector */
	vioapic_eoi(&io, 0x31);
	expect_sent(2, 0xfee00000, 0xc031); /* still asserted: again */
	assert_int_equal(get(0x22), 0xc031);
	vioapic_line(&io, 9, false);
	vioapic_eoi(&io, 0x31);
	assert_int_equal(sent.n, 2);
	assert_int_equal(get(0x22), 0x8031);
	vioapic_eoi(&io, 0x31); /* nothing to end */
	assert_int_equal(sent.n, 2);
}

static void test_level_mask(void **state)
{
	(void)state;
	set_pin(9, 0x18031);
	vioapic_line(&io, 9, true);
	assert_int_equal(sent.n, 0);
	set(0x22, 0x8031); /* unmasked: still asserted */
	assert_int_equal(sent.n, 1);
	set(0x22, 0x18031); /* masked while it waits for the EOI */
	assert_int_equal(get(0x22), 0x1c031);
	vioapic_eoi(&io, 0x31);
	assert_int_equal(sent.n, 1);
	assert_int_equal(get(0x22), 0x18031);
	vioapic_line(&io, 9, false);
	set(0x22, 0x8031); /* gone by now */
	assert_int_equal(sent.n, 1);
	vioapic_line(&io, 9, true);
	assert_int_equal(sent.n, 2);
	set(0x22, 0x18031);
	set(0x22, 0x8031);
	assert_int_equal(sent.n, 2); /* remote IRR holds it */
}

static void test_eoi_register(void **state)
{
	(void)state;
	set_pin(10, 0x8060);
	set_pin(11, 0x8060); /* two pins share a vector */
	set_pin(12, 0x8061);
	vioapic_line(&io, 10, true);
	vioapic_line(&io, 11, true);
	vioapic_line(&io, 12, true);
	assert_int_equal(sent.n, 3);
	vioapic_line(&io, 10, false);
	vioapic_write(&io, 0x40, 0x60);
	assert_int_equal(sent.n, 4);
	assert_int_equal(get(0x24), 0x8060);
	assert_int_equal(get(0x26), 0xc060);
	assert_int_equal(get(0x28), 0xc061);
	vioapic_write(&io, 0x40, 0x61);
	assert_int_equal(sent.n, 5);
}

static void test_trigger_change(void **state)
{
	(void)state;
	set_pin(9, 0x8031);
	vioapic_line(&io, 9, true);
	assert_int_equal(sent.n, 1);
	set(0x22, 0x10031); /* edge: drops remote IRR */
	assert_int_equal(get(0x22), 0x10031);
	set(0x22, 0x8031);
	assert_int_equal(sent.n, 2);
	/* A guest cannot set or clear remote IRR itself. */
	set(0x22, 0x8031);
	assert_int_equal(get(0x22), 0xc031);
	vioapic_line(&io, 9, false);
	vioapic_eoi(&io, 0x31);
	set(0x22, 0xc031);
	assert_int_equal(get(0x22), 0x8031);
	/* The high half leaves the low half alone, and the other way. */
	set(0x23, 0x77000000);
	assert_int_equal(get(0x22), 0x8031);
	set(0x22, 0x8032);
	assert_int_equal(get(0x23), 0x77000000);
}

/* SMI, NMI, INIT and ExtINT are edges, whatever the trigger bit says. */
static void test_level_of_edge_modes(void **state)
{
	(void)state;
	static const uint32_t modes[] = {0x200, 0x400, 0x500, 0x700};

	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
		setup(NULL);
		set_pin(5, 0x8000 | modes[i]);
		vioapic_line(&io, 5, true);
		expect_sent(1, 0xfee00000, 0x4000 | modes[i]);
		assert_int_equal(get(0x1a), 0x8000 | modes[i]);
		vioapic_line(&io, 5, false);
		vioapic_line(&io, 5, true);
		assert_int_equal(sent.n, 2);
	}
	setup(NULL);
	set_pin(5, 0x8100 | 0x41); /* lowest priority can be a level */
	vioapic_line(&io, 5, true);
	expect_sent(1, 0xfee00008, 0xc141);
	assert_int_equal(get(0x1a), 0xc141);
}

static void test_reset(void **state)
{
	(void)state;
	set(0, 0x05000000);
	set_pin(9, 0x8031);
	vioapic_line(&io, 9, true);
	vioapic_reset(&io);
	assert_int_equal(get(0x22), 0x10000);
	assert_int_equal(get(0), 0);
	set_pin(9, 0x8031);
	assert_int_equal(sent.n, 1); /* the line is low */
}

static void test_check(void **state)
{
	(void)state;
	assert_int_equal(vioapic_check(&io, NULL), 0);
	io.id = 16;
	assert_int_equal(vioapic_check(&io, NULL), ERR_INVALID);
	setup(NULL);
	io.lines = BIT32(24);
	assert_int_equal(vioapic_check(&io, NULL), ERR_INVALID);
	setup(NULL);
	io.lines = 0xffffff;
	assert_int_equal(vioapic_check(&io, NULL), 0);
	for (unsigned bit = 0; bit < 64; bit++) {
		bool ok = bit < 12 || bit == 13 || bit == 15 || bit == 16 || bit >= 56;

		setup(NULL);
		io.redir[23] = BIT(bit);
		assert_int_equal(vioapic_check(&io, NULL), ok ? 0 : ERR_INVALID);
	}
	setup(NULL);
	io.redir[3] = REDIR_LEVEL | REDIR_RIRR;
	assert_int_equal(vioapic_check(&io, NULL), 0);
	io.redir[3] |= (uint64_t)APIC_NMI << REDIR_MODE_SHIFT;
	assert_int_equal(vioapic_check(&io, NULL), ERR_INVALID);
	io.redir[3] = REDIR_LEVEL;
	assert_int_equal(vioapic_check(&io, NULL), 0);
	io.lines = BIT32(3); /* should have been sent */
	assert_int_equal(vioapic_check(&io, NULL), ERR_INVALID);
	io.redir[3] |= REDIR_MASKED;
	assert_int_equal(vioapic_check(&io, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_registers, setup),
		cmocka_unit_test_setup(test_edge, setup),
		cmocka_unit_test_setup(test_message_format, setup),
		cmocka_unit_test_setup(test_level, setup),
		cmocka_unit_test_setup(test_level_mask, setup),
		cmocka_unit_test_setup(test_eoi_register, setup),
		cmocka_unit_test_setup(test_trigger_change, setup),
		cmocka_unit_test_setup(test_level_of_edge_modes, setup),
		cmocka_unit_test_setup(test_reset, setup),
		cmocka_unit_test_setup(test_check, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
