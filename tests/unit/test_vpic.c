/*
 * The 8259A pair: initialisation, priorities, every kind of EOI, cascade, spurious interrupts,
 * polls, level and edge.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guests/vdev/vpic.h"

static struct {
	bool level;
	unsigned changes;
} out;

static void pic_int(void *ctx, bool level)
{
	(void)ctx;
	assert_int_not_equal(level, out.level); /* told on change only */
	out.level = level;
	out.changes++;
}

static const struct vdev_host host = {.pic_int = pic_int};
static struct vpic pic;

static void setup_chip(uint16_t port, uint8_t base, uint8_t icw3, uint8_t icw4)
{
	vpic_write(&pic, port, 0x11);
	vpic_write(&pic, port + 1, base);
	vpic_write(&pic, port + 1, icw3);
	vpic_write(&pic, port + 1, icw4);
}

/* As an operating system does: vectors 0x20 and 0x28, nothing masked. */
static int setup(void **state)
{
	(void)state;
	memset(&out, 0, sizeof(out));
	memset(&pic, 0xa5, sizeof(pic));
	vpic_init(&pic, &host);
	setup_chip(0x20, 0x20, 4, 1);
	setup_chip(0xa0, 0x28, 2, 1);
	return 0;
}

static void check_sane(void)
{
	assert_int_equal(vpic_check(&pic, NULL), 0);
	assert_int_equal(vpic_output(&pic), out.level);
}

static void expect_vector(uint8_t vector)
{
	assert_true(out.level);
	assert_int_equal(vpic_ack(&pic), vector);
	check_sane();
}

static void raise_irq(unsigned irq)
{
	vpic_line(&pic, irq, false);
	vpic_line(&pic, irq, true);
}

static uint8_t isr(uint16_t port)
{
	vpic_write(&pic, port, 0x0b);
	return vpic_read(&pic, port);
}

static uint8_t irr(uint16_t port)
{
	vpic_write(&pic, port, 0x0a);
	return vpic_read(&pic, port);
}

static void test_power_on(void **state)
{
	(void)state;
	vpic_init(&pic, &host);
	assert_int_equal(vpic_read(&pic, 0x21), 0xff);
	assert_int_equal(vpic_read(&pic, 0xa1), 0xff);
	assert_int_equal(vpic_read(&pic, 0x20), 0);
	raise_irq(0);
	raise_irq(8);
	assert_false(out.level);
	check_sane();
	vpic_write(&pic, 0x21, 0xfa);
	expect_vector(0x08);
	vpic_write(&pic, 0x20, 0x20);
	vpic_write(&pic, 0xa1, 0xfe);
	expect_vector(0x70);
}

static void test_initialisation(void **state)
{
	(void)state;
	raise_irq(3);
	expect_vector(0x23);
	vpic_write(&pic, 0x21, 0x55);
	vpic_write(&pic, 0x20, 0x68); /* special mask */
	vpic_write(&pic, 0x20, 0xc3); /* priorities */
	vpic_write(&pic, 0x20, 0x11);
	/* ICW1 clears masks and service, and wants a new edge; nothing interrupts meanwhile. */
	assert_int_equal(vpic_read(&pic, 0x20), 0);
	assert_int_equal(vpic_read(&pic, 0x21), 0);
	assert_int_equal(isr(0x20), 0);
	raise_irq(4);
	assert_false(out.level);
	vpic_write(&pic, 0x21, 0x47); /* low three bits do not count */
	vpic_write(&pic, 0x21, 0x04);
	assert_false(out.level);
	vpic_write(&pic, 0x21, 0x01);
	expect_vector(0x44);
	/* Priorities are the default again. */
	raise_irq(7);
	raise_irq(5);
	vpic_write(&pic, 0x20, 0x20);
	expect_vector(0x45);
	/* The data port is the mask again. */
	vpic_write(&pic, 0x21, 0x3c);
	assert_int_equal(vpic_read(&pic, 0x21), 0x3c);
	check_sane();
}

static void test_short_initialisation(void **state)
{
	(void)state;
	/* No ICW4, no ICW3: one word. AEOI from before must be gone. */
	setup_chip(0x20, 0x20, 4, 3);
	vpic_write(&pic, 0x20, 0x12);
	vpic_write(&pic, 0x21, 0x60);
	vpic_write(&pic, 0x21, 0x0f);
	assert_int_equal(vpic_read(&pic, 0x21), 0x0f);
	raise_irq(6);
	expect_vector(0x66);
	assert_int_equal(isr(0x20), 0x40);
	/* ICW4 but no ICW3; ICW3 but no ICW4. */
	vpic_write(&pic, 0x20, 0x13);
	vpic_write(&pic, 0x21, 0x20);
	vpic_write(&pic, 0x21, 0x01);
	vpic_write(&pic, 0x21, 0xf0);
	assert_int_equal(vpic_read(&pic, 0x21), 0xf0);
	vpic_write(&pic, 0x20, 0x10);
	vpic_write(&pic, 0x21, 0x20);
	vpic_write(&pic, 0x21, 0x04);
	vpic_write(&pic, 0x21, 0xf1);
	assert_int_equal(vpic_read(&pic, 0x21), 0xf1);
	check_sane();
}

static void test_priority(void **state)
{
	(void)state;
	raise_irq(5);
	raise_irq(3);
	expect_vector(0x23);
	assert_false(out.level); /* 5 is lower than 3 in service */
	raise_irq(4);
	assert_false(out.level);
	raise_irq(1); /* nests */
	expect_vector(0x21);
	assert_int_equal(isr(0x20), 0x0a);
	assert_int_equal(irr(0x20), 0x30);
	vpic_write(&pic, 0x20, 0x20);
	assert_int_equal(isr(0x20), 0x08);
	assert_false(out.level);
	vpic_write(&pic, 0x20, 0x20);
	expect_vector(0x24);
	vpic_write(&pic, 0x20, 0x64); /* specific */
	expect_vector(0x25);
	vpic_write(&pic, 0x20, 0x61); /* specific, of one that is not in service */
	assert_int_equal(isr(0x20), 0x20);
	vpic_write(&pic, 0x20, 0x20);
	vpic_write(&pic, 0x20, 0x20); /* nothing left to end */
	assert_int_equal(isr(0x20), 0);
	assert_false(out.level);
	check_sane();
}

static void test_same_again(void **state)
{
	(void)state;
	raise_irq(0);
	expect_vector(0x20);
	vpic_line(&pic, 0, true); /* no edge */
	assert_int_equal(irr(0x20), 0);
	raise_irq(0);
	assert_int_equal(irr(0x20), 1);
	assert_false(out.level); /* not before the EOI */
	vpic_write(&pic, 0x20, 0x20);
	expect_vector(0x20);
}

static void test_mask(void **state)
{
	(void)state;
	vpic_write(&pic, 0x21, 0x02);
	raise_irq(1);
	assert_false(out.level);
	assert_int_equal(irr(0x20), 2);
	vpic_write(&pic, 0x21, 0);
	assert_true(out.level);
	vpic_write(&pic, 0x21, 0x02);
	assert_false(out.level);
	vpic_write(&pic, 0x21, 0);
	expect_vector(0x21);
}

static void test_cascade(void **state)
{
	(void)state;
	raise_irq(12);
	assert_int_equal(irr(0x20), 0x04);
	raise_irq(3);
	expect_vector(0x2c); /* the cascade is input 2 */
	assert_int_equal(isr(0x20), 0x04);
	assert_int_equal(isr(0xa0), 0x10);
	assert_false(out.level);
	raise_irq(8); /* the slave asks, the master is busy with it */
	assert_false(out.level);
	vpic_write(&pic, 0xa0, 0x20);
	assert_false(out.level);
	vpic_write(&pic, 0x20, 0x20);
	expect_vector(0x28);
	vpic_write(&pic, 0xa0, 0x20);
	vpic_write(&pic, 0x20, 0x20);
	expect_vector(0x23);
	vpic_write(&pic, 0x20, 0x20);
	assert_int_equal(isr(0x20), 0);
	/* Line 2 itself does not exist, nor 16. */
	vpic_line(&pic, 2, true);
	vpic_line(&pic, 16, true);
	vpic_line(&pic, 0xffffffff, true);
	assert_false(out.level);
	check_sane();
}

static void test_cascade_two_waiting(void **state)
{
	(void)state;
	raise_irq(9);
	raise_irq(10);
	expect_vector(0x29);
	vpic_write(&pic, 0xa0, 0x20);
	vpic_write(&pic, 0x20, 0x20);
	expect_vector(0x2a);
	/* The same with automatic EOI in the slave: its INT must fall for the next edge. */
	vpic_write(&pic, 0xa0, 0x20);
	vpic_write(&pic, 0x20, 0x20);
	setup_chip(0xa0, 0x28, 2, 3);
	raise_irq(9);
	raise_irq(10);
	expect_vector(0x29);
	vpic_write(&pic, 0x20, 0x20);
	expect_vector(0x2a);
	vpic_write(&pic, 0x20, 0x20);
	assert_false(out.level);
}

static void test_special_fully_nested(void **state)
{
	(void)state;
	setup_chip(0x20, 0x20, 4, 0x11);
	raise_irq(12);
	expect_vector(0x2c);
	raise_irq(3);
	assert_false(out.level); /* lower than the slave */
	raise_irq(8);
	expect_vector(0x28); /* the slave again, for something more urgent */
	assert_int_equal(isr(0xa0), 0x11);
	raise_irq(9);
	assert_false(out.level);
	raise_irq(1);
	expect_vector(0x21);
	raise_irq(8);
	vpic_write(&pic, 0xa0, 0x60); /* 8 done: the slave asks again, but 1 is in service */
	assert_false(out.level);
	vpic_write(&pic, 0x20, 0x20);
	expect_vector(0x28);
}

static void test_spurious(void **state)
{
	(void)state;
	raise_irq(4);
	vpic_line(&pic, 4, false);
	assert_false(out.level);
	assert_int_equal(vpic_ack(&pic), 0x27);
	assert_int_equal(isr(0x20), 0);
	check_sane();
	raise_irq(9);
	assert_true(out.level);
	vpic_write(&pic, 0xa1, 0x02);
	assert_false(out.level);
	assert_int_equal(vpic_ack(&pic), 0x27);
	/* On the slave: its line goes away between the master's INTA and its own. */
	vpic_write(&pic, 0xa1, 0);
	assert_true(out.level);
	pic.chip[1].irr = 0;
	assert_int_equal(vpic_ack(&pic), 0x2f);
	assert_int_equal(isr(0x20), 0x04); /* the master must be ended */
	assert_int_equal(isr(0xa0), 0);
}

static void test_real_irq7(void **state)
{
	(void)state;
	raise_irq(7);
	expect_vector(0x27);
	assert_int_equal(isr(0x20), 0x80);
	raise_irq(15);
	expect_vector(0x2f); /* input 2 is above 7 */
	assert_int_equal(isr(0xa0), 0x80);
}

static void test_level(void **state)
{
	(void)state;
	/* ELCR: reserved bits stay 0. */
	vpic_write(&pic, 0x4d0, 0xff);
	vpic_write(&pic, 0x4d1, 0xff);
	assert_int_equal(vpic_read(&pic, 0x4d0), 0xf8);
	assert_int_equal(vpic_read(&pic, 0x4d1), 0xde);
	vpic_line(&pic, 5, true);
	expect_vector(0x25);
	assert_int_equal(irr(0x20), 0x20); /* still asks */
	vpic_write(&pic, 0x20, 0x20);
	expect_vector(0x25); /* again: the line is high */
	vpic_line(&pic, 5, false);
	vpic_write(&pic, 0x20, 0x20);
	assert_false(out.level);
	vpic_line(&pic, 11, true);
	expect_vector(0x2b);
	vpic_write(&pic, 0xa0, 0x20);
	vpic_write(&pic, 0x20, 0x20);
	expect_vector(0x2b);
	/* Line 0 remains an edge. */
	vpic_write(&pic, 0xa0, 0x20);
	vpic_write(&pic, 0x20, 0x20);
	vpic_line(&pic, 11, false);
	vpic_line(&pic, 0, true);
	expect_vector(0x20);
	vpic_write(&pic, 0x20, 0x20);
	assert_false(out.level);
}

static void test_edge_becomes_level(void **state)
{
	(void)state;
	vpic_line(&pic, 6, true);
	expect_vector(0x26);
	vpic_write(&pic, 0x20, 0x20);
	assert_false(out.level);
	vpic_write(&pic, 0x4d0, 0x40);
	expect_vector(0x26);
	vpic_write(&pic, 0x4d0, 0);
	check_sane();
}

static void test_all_level(void **state)
{
	(void)state;
	vpic_line(&pic, 1, true);
	vpic_write(&pic, 0x20, 0x19); /* LTIM */
	vpic_write(&pic, 0x21, 0x20);
	vpic_write(&pic, 0x21, 4);
	vpic_write(&pic, 0x21, 1);
	expect_vector(0x21);
	vpic_write(&pic, 0x20, 0x20);
	expect_vector(0x21);
	vpic_line(&pic, 1, false);
	vpic_write(&pic, 0x20, 0x20);
	raise_irq(14); /* the cascade is a level now too */
	expect_vector(0x2e);
	vpic_write(&pic, 0xa0, 0x20);
	vpic_write(&pic, 0x20, 0x20);
	assert_false(out.level);
}

static void test_auto_eoi(void **state)
{
	(void)state;
	setup_chip(0x20, 0x20, 4, 3);
	raise_irq(5);
	raise_irq(6);
	expect_vector(0x25);
	assert_int_equal(isr(0x20), 0);
	expect_vector(0x26);
	assert_false(out.level);
	/* With rotation the one that was served becomes the last. */
	vpic_write(&pic, 0x20, 0x80);
	raise_irq(0);
	raise_irq(1);
	expect_vector(0x20);
	raise_irq(0);
	expect_vector(0x21);
	expect_vector(0x20);
	vpic_write(&pic, 0x20, 0x00);
	raise_irq(1);
	expect_vector(0x21);
	raise_irq(0);
	raise_irq(1);
	expect_vector(0x21); /* 0 is still the lowest */
	expect_vector(0x20);
}

static void test_rotation(void **state)
{
	(void)state;
	vpic_write(&pic, 0x20, 0xc4); /* 4 is the lowest, 5 the highest */
	raise_irq(4);
	raise_irq(0);
	raise_irq(5);
	expect_vector(0x25);
	vpic_write(&pic, 0x20, 0xa0); /* rotate on non-specific EOI: 5 the lowest */
	raise_irq(5);
	expect_vector(0x20);
	vpic_write(&pic, 0x20, 0xe0); /* rotate on specific EOI of 0 */
	expect_vector(0x24);
	vpic_write(&pic, 0x20, 0x20);
	expect_vector(0x25);
	vpic_write(&pic, 0x20, 0x40); /* no operation */
	assert_int_equal(isr(0x20), 0x20);
	vpic_write(&pic, 0x20, 0x20);
	assert_int_equal(isr(0x20), 0);
	vpic_write(&pic, 0x20, 0xa0); /* nothing in service: nothing rotates */
	raise_irq(0);
	raise_irq(1);
	expect_vector(0x21);
}

static void test_special_mask(void **state)
{
	(void)state;
	raise_irq(1);
	expect_vector(0x21);
	raise_irq(5);
	assert_false(out.level);
	vpic_write(&pic, 0x21, 0x02);
	assert_false(out.level);
	vpic_write(&pic, 0x20, 0x68);
	expect_vector(0x25); /* a masked level in service blocks nobody */
	vpic_write(&pic, 0x20, 0x20);
	assert_int_equal(isr(0x20), 0x02); /* and is not ended by a plain EOI */
	vpic_write(&pic, 0x20, 0x20);
	assert_int_equal(isr(0x20), 0x02);
	vpic_write(&pic, 0x20, 0x61);
	assert_int_equal(isr(0x20), 0);
	/* Without ESMM the mode bit has no meaning. */
	vpic_write(&pic, 0x20, 0x08);
	raise_irq(3);
	expect_vector(0x23);
	vpic_write(&pic, 0x21, 0x08);
	raise_irq(4);
	expect_vector(0x24);
	vpic_write(&pic, 0x20, 0x48); /* mode off */
	vpic_write(&pic, 0x20, 0x64);
	raise_irq(6);
	assert_false(out.level);
	vpic_write(&pic, 0x20, 0x20);
	expect_vector(0x26);
}

static void test_poll(void **state)
{
	(void)state;
	vpic_write(&pic, 0x20, 0x0c);
	assert_int_equal(vpic_read(&pic, 0x20), 0);
	raise_irq(3);
	vpic_write(&pic, 0x20, 0x0c);
	assert_int_equal(vpic_read(&pic, 0x21), 0x83); /* either port polls */
	assert_false(out.level);
	assert_int_equal(vpic_read(&pic, 0x21), 0); /* once */
	assert_int_equal(isr(0x20), 8);
	vpic_write(&pic, 0x20, 0x20);
	/* The register choice survives, and poll wins over it. */
	vpic_write(&pic, 0x20, 0x0a);
	vpic_write(&pic, 0x20, 0x0f);
	raise_irq(4);
	assert_int_equal(vpic_read(&pic, 0x20), 0x84);
	assert_int_equal(vpic_read(&pic, 0x20), 0);
	vpic_write(&pic, 0x20, 0x20);
	/* Master and slave one after the other. */
	raise_irq(10);
	vpic_write(&pic, 0x20, 0x0c);
	assert_int_equal(vpic_read(&pic, 0x20), 0x82);
	vpic_write(&pic, 0xa0, 0x0c);
	assert_int_equal(vpic_read(&pic, 0xa0), 0x82);
	assert_int_equal(isr(0xa0), 4);
	assert_int_equal(isr(0x20), 4);
	check_sane();
	/* The slave alone: the master's request goes with it. */
	vpic_write(&pic, 0x20, 0x20);
	vpic_write(&pic, 0xa0, 0x20);
	raise_irq(10);
	assert_true(out.level);
	vpic_write(&pic, 0xa0, 0x0c);
	assert_int_equal(vpic_read(&pic, 0xa0), 0x82);
	assert_false(out.level);
	check_sane();
}

static void test_other_ports(void **state)
{
	(void)state;
	static const uint16_t ports[] = {0x22,  0x1f,  0xa2, 0x9f,   0x120,
					 0x4d2, 0x4cf, 0,    0xffff, 0x4a0};

	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
		struct vpic before = pic;

		vpic_write(&pic, ports[i], 0x11);
		assert_int_equal(vpic_read(&pic, ports[i]), 0xff);
		assert_memory_equal(&before, &pic, sizeof(pic));
	}
}

static void test_reset_lowers_output(void **state)
{
	(void)state;
	raise_irq(1);
	assert_true(out.level);
	vpic_reset(&pic);
	assert_false(out.level);
	vpic_reset(&pic);
	check_sane();
}

static void test_check(void **state)
{
	(void)state;
	static const struct {
		uint8_t member, value;
	} bad[] = {
		{offsetof(struct vpic_chip, lowest), 8},
		{offsetof(struct vpic_chip, base), 0x21},
		{offsetof(struct vpic_chip, expect), 1},
		{offsetof(struct vpic_chip, expect), 5},
		{offsetof(struct vpic_chip, want_icw4), 2},
		{offsetof(struct vpic_chip, single), 2},
		{offsetof(struct vpic_chip, all_level), 0x80},
		{offsetof(struct vpic_chip, nested), 2},
		{offsetof(struct vpic_chip, auto_eoi), 2},
		{offsetof(struct vpic_chip, rotate_aeoi), 2},
		{offsetof(struct vpic_chip, special_mask), 2},
		{offsetof(struct vpic_chip, read_isr), 2},
		{offsetof(struct vpic_chip, poll), 2},
		{offsetof(struct vpic_chip, elcr), 0x01},
		{offsetof(struct vpic_chip, irr), 0x40}, /* without its line */
	};
	struct vpic good;

	vpic_line(&pic, 3, true);
	check_sane();
	good = pic;
	for (unsigned chip = 0; chip < 2; chip++) {
		for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
			pic = good;
			((uint8_t *)&pic.chip[chip])[bad[i].member] = bad[i].value;
			assert_int_equal(vpic_check(&pic, NULL), ERR_INVALID);
		}
	}
	pic = good;
	pic.output = 0;
	assert_int_equal(vpic_check(&pic, NULL), ERR_INVALID);
	pic = good;
	pic.chip[0].line |= 4; /* the slave is quiet */
	assert_int_equal(vpic_check(&pic, NULL), ERR_INVALID);
	pic = good;
	pic.chip[0].elcr = 0x20;
	pic.chip[0].line |= 0x20; /* a level that does not ask */
	assert_int_equal(vpic_check(&pic, NULL), ERR_INVALID);
}

/* Whatever a guest writes, the state stays one that vpic_check() accepts, and the output is told.
 */
static void test_random(void **state)
{
	(void)state;
	static const uint16_t ports[] = {0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1};
	uint32_t seed = 12345;

	for (unsigned i = 0; i < 200000; i++) {
		seed = seed * 1664525 + 1013904223;
		uint16_t port = ports[(seed >> 8) % 6];
		uint8_t val = (uint8_t)(seed >> 16);

		switch (seed >> 29) {
		case 0:
		case 1:
			vpic_write(&pic, port, val);
			break;
		case 2:
			vpic_read(&pic, port);
			break;
		case 3:
			vpic_ack(&pic);
			break;
		case 4:
			vpic_write(&pic, port & 0x80 ? 0xa0 : 0x20, 0x20);
			break;
		default:
			vpic_line(&pic, val & 15, val & 16);
			break;
		}
		check_sane();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_power_on, setup),
		cmocka_unit_test_setup(test_initialisation, setup),
		cmocka_unit_test_setup(test_short_initialisation, setup),
		cmocka_unit_test_setup(test_priority, setup),
		cmocka_unit_test_setup(test_same_again, setup),
		cmocka_unit_test_setup(test_mask, setup),
		cmocka_unit_test_setup(test_cascade, setup),
		cmocka_unit_test_setup(test_cascade_two_waiting, setup),
		cmocka_unit_test_setup(test_special_fully_nested, setup),
		cmocka_unit_test_setup(test_spurious, setup),
		cmocka_unit_test_setup(test_real_irq7, setup),
		cmocka_unit_test_setup(test_level, setup),
		cmocka_unit_test_setup(test_edge_becomes_level, setup),
		cmocka_unit_test_setup(test_all_level, setup),
		cmocka_unit_test_setup(test_auto_eoi, setup),
		cmocka_unit_test_setup(test_rotation, setup),
		cmocka_unit_test_setup(test_special_mask, setup),
		cmocka_unit_test_setup(test_poll, setup),
		cmocka_unit_test_setup(test_other_ports, setup),
		cmocka_unit_test_setup(test_reset_lowers_output, setup),
		cmocka_unit_test_setup(test_check, setup),
		cmocka_unit_test_setup(test_random, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
