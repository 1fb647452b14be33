/* The 8254: each mode's count and output, latches, port 0x61, ticks of channel 0, hostile state. */
#include "tests/unit/vdev_fake.h"

#include "guests/vdev/ticks.h"
#include "guests/vdev/vpit.h"

static struct vpit pit;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	vpit_init(&pit, &fake_host);
	return 0;
}

/* Puts the clock to the start of a tick. */
static void at_tick(uint64_t tick)
{
	fake.now = ticks_to_ns(tick, VPIT_HZ);
}

static void out(uint16_t port, uint8_t value)
{
	vpit_write(&pit, port, value);
}

static uint8_t in(uint16_t port)
{
	return vpit_read(&pit, port);
}

static uint16_t in16(uint16_t port)
{
	uint16_t lo = in(port);

	return (uint16_t)(lo | in(port) << 8);
}

static void program(unsigned channel, unsigned mode, uint16_t count)
{
	out(0x43, (uint8_t)(channel << 6 | 0x30 | mode << 1));
	out((uint16_t)(0x40 + channel), (uint8_t)count);
	out((uint16_t)(0x40 + channel), (uint8_t)(count >> 8));
}

static bool out2(void)
{
	return in(0x61) & 0x20;
}

static uint8_t status(unsigned channel)
{
	out(0x43, (uint8_t)(0xE0 | 2 << channel));
	return in((uint16_t)(0x40 + channel));
}

static void test_ticks(void **state)
{
	(void)state;
	assert_int_equal(ticks_at(0, VPIT_HZ), 0);
	assert_int_equal(ticks_at(NS_PER_S, VPIT_HZ), VPIT_HZ);
	assert_int_equal(ticks_at(NS_PER_S - 1, VPIT_HZ), VPIT_HZ - 1);
	assert_int_equal(ticks_at(1000000 * NS_PER_S, UINT32_MAX), 1000000ull * UINT32_MAX);
	for (uint64_t tick = 0; tick < 3000000; tick += 997) {
		uint64_t ns = ticks_to_ns(tick, VPIT_HZ);

		assert_int_equal(ticks_at(ns, VPIT_HZ), tick);
		if (ns)
			assert_int_equal(ticks_at(ns - 1, VPIT_HZ), tick - 1);
	}
}

static void test_reset_is_what_firmware_leaves(void **state)
{
	(void)state;
	assert_int_equal(pit.deadline, ticks_to_ns(65537, VPIT_HZ));
	at_tick(65537);
	vpit_expire(&pit, fake.now);
	assert_int_equal(fake.rises[LINE_PIT], 1);
	fake.now = 7 * NS_PER_S;
	out(0x61, 3);
	vpit_reset(&pit);
	assert_int_equal(in(0x61) & 0x0F, 0);
	assert_true(pit.deadline > fake.now + 54 * NS_PER_MS);
	assert_true(pit.deadline < fake.now + 56 * NS_PER_MS);
}

static void test_mode0(void **state)
{
	(void)state;
	out(0x61, 1);
	program(2, 0, 100);
	assert_false(out2());
	assert_int_equal(in16(0x42), 100);
	assert_int_equal(status(2), 0x40 | 0x30); /* null count until the next clock */
	at_tick(1);
	assert_int_equal(in16(0x42), 100);
	assert_int_equal(status(2), 0x30);
	at_tick(100);
	assert_int_equal(in16(0x42), 1);
	assert_false(out2());
	at_tick(101);
	assert_int_equal(in16(0x42), 0);
	assert_true(out2());
	assert_int_equal(status(2), 0xB0);
	at_tick(102);
	assert_int_equal(in16(0x42), 0xFFFF);
	assert_true(out2());
	/* The first byte of a new count lowers the output and stops. */
	out(0x42, 5);
	assert_false(out2());
	at_tick(1000);
	assert_false(out2());
	out(0x42, 0);
	at_tick(1005);
	assert_false(out2());
	at_tick(1006);
	assert_true(out2());
}

static void test_mode0_gate_pauses(void **state)
{
	(void)state;
	program(2, 0, 100); /* the gate is low */
	at_tick(50);
	assert_int_equal(in16(0x42), 100);
	out(0x61, 1);
	at_tick(80);
	assert_int_equal(in16(0x42), 70);
	out(0x61, 0);
	at_tick(500);
	assert_int_equal(in16(0x42), 70);
	assert_false(out2());
	out(0x61, 1);
	at_tick(569);
	assert_false(out2());
	at_tick(570);
	assert_true(out2());
	out(0x61, 0); /* the output stays high with the gate low */
	at_tick(900);
	assert_true(out2());
}

static void test_mode1_is_retriggered_by_the_gate(void **state)
{
	(void)state;
	program(2, 1, 10);
	at_tick(100);
	assert_true(out2());
	assert_int_equal(status(2) & 0x40, 0x40);
	out(0x61, 1);
	assert_true(out2());
	at_tick(101);
	assert_false(out2());
	at_tick(105);
	out(0x61, 0);
	out(0x42, 20); /* for the next one */
	out(0x42, 0);
	assert_false(out2());
	assert_int_equal(in16(0x42), 6);
	out(0x61, 1);
	at_tick(125);
	assert_false(out2());
	at_tick(126);
	assert_true(out2());
}

static void test_mode2(void **state)
{
	(void)state;
	out(0x61, 1);
	program(2, 2, 10);
	at_tick(1);
	assert_int_equal(in16(0x42), 10);
	at_tick(9);
	assert_int_equal(in16(0x42), 2);
	assert_true(out2());
	at_tick(10);
	assert_int_equal(in16(0x42), 1);
	assert_false(out2());
	at_tick(11);
	assert_int_equal(in16(0x42), 10);
	assert_true(out2());
	/* A new count waits for the end of the period. */
	at_tick(14);
	out(0x42, 4);
	out(0x42, 0);
	assert_int_equal(in16(0x42), 7);
	assert_int_equal(status(2) & 0x40, 0x40);
	at_tick(21);
	assert_int_equal(in16(0x42), 4);
	assert_int_equal(status(2) & 0x40, 0);
	at_tick(24);
	assert_int_equal(in16(0x42), 1);
	/* A low gate raises the output and stops; a rising one starts afresh. */
	out(0x61, 0);
	assert_true(out2());
	at_tick(400);
	assert_int_equal(in16(0x42), 1);
	out(0x61, 1);
	at_tick(401);
	assert_int_equal(in16(0x42), 4);
}

static void test_mode3(void **state)
{
	(void)state;
	out(0x61, 1);
	program(2, 7, 6); /* 7 is 3 */
	static const uint16_t even[] = {6, 4, 2, 6, 4, 2, 6};
	static const uint16_t odd[] = {4, 2, 0, 4, 2, 4};

	for (unsigned i = 0; i < ARRAY_SIZE(even); i++) {
		at_tick(1 + i);
		assert_int_equal(in16(0x42), even[i]);
		assert_int_equal(out2(), i % 6 < 3);
	}
	at_tick(100);
	program(2, 3, 5);
	for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
		at_tick(101 + i);
		assert_int_equal(in16(0x42), odd[i]);
		assert_int_equal(out2(), i % 5 < 3);
	}
	assert_int_equal(status(2) & 0x3F, 0x36);
}

static void test_mode4_and_5(void **state)
{
	(void)state;
	out(0x61, 1);
	program(2, 4, 3);
	for (unsigned i = 0; i < 8; i++) {
		at_tick(1 + i);
		assert_int_equal(out2(), i != 3);
	}
	assert_int_equal(in16(0x42), 0x10000 - 4);
	program(2, 5, 3);
	at_tick(20);
	assert_true(out2());
	out(0x61, 0);
	out(0x61, 1);
	for (unsigned i = 0; i < 8; i++) {
		at_tick(21 + i);
		assert_int_equal(out2(), i != 3);
	}
}

static void test_bcd(void **state)
{
	(void)state;
	out(0x61, 1);
	out(0x43, 0xB1); /* channel 2, both bytes, mode 0, decimal */
	out(0x42, 0x00);
	out(0x42, 0x10); /* 1000 */
	at_tick(2);
	assert_int_equal(in16(0x42), 0x0999);
	at_tick(1001);
	assert_true(out2());
	at_tick(1002);
	assert_int_equal(in16(0x42), 0x9999);
	out(0x43, 0xB5); /* mode 2, 0 is 10000 */
	out(0x42, 0);
	out(0x42, 0);
	at_tick(1003);
	assert_int_equal(in16(0x42), 0);
	at_tick(1004);
	assert_int_equal(in16(0x42), 0x9999);
	at_tick(1003 + 9999);
	assert_int_equal(in16(0x42), 1);
	for (unsigned digits = 0; digits < 0x10000; digits += 0x111) { /* not decimal: no harm */
		out(0x42, (uint8_t)digits);
		out(0x42, (uint8_t)(digits >> 8));
		fake.now += 3 * NS_PER_MS;
		in16(0x42);
	}
}

static void test_latches(void **state)
{
	(void)state;
	out(0x61, 1);
	program(2, 0, 0x1234);
	at_tick(1);
	out(0x43, 0x80); /* latch */
	at_tick(0x100);
	out(0x43, 0x80); /* the second is ignored */
	assert_int_equal(in(0x42), 0x34);
	at_tick(0x200);
	assert_int_equal(in(0x42), 0x12);
	assert_int_equal(in16(0x42), 0x1234 - 0x1FF);
	out(0x43, 0xC8); /* read-back: count and status of channel 2: status comes first */
	at_tick(0x300);
	assert_int_equal(in(0x42), 0x30);
	assert_int_equal(in16(0x42), 0x1234 - 0x1FF);
	assert_int_equal(in16(0x42), 0x1234 - 0x2FF);
	out(0x43, 0xDE); /* count of all three */
	assert_int_equal(pit.latched[0] + pit.latched[1] + pit.latched[2], 3);
	out(0x43, 0xB0); /* reprogramming drops the latch */
	assert_int_equal(pit.latched[2], 0);
	assert_int_equal(in(0x43), 0xFF);
	out(0x43, 0x90); /* low byte only */
	out(0x42, 0x50);
	at_tick(0x301);
	assert_int_equal(in(0x42), 0x50);
	at_tick(0x302);
	assert_int_equal(in(0x42), 0x4F);
	out(0x43, 0xA0); /* high byte only */
	out(0x42, 0x02);
	at_tick(0x303);
	assert_int_equal(in(0x42), 0x02);
	at_tick(0x304);
	assert_int_equal(in(0x42), 0x01);
}

static void test_port61(void **state)
{
	unsigned changes = 0;
	uint8_t last = in(0x61) & 0x10;

	(void)state;
	out(0x61, 0xFF);
	assert_int_equal(in(0x61) & 0x0F, 0x0F);
	assert_int_equal(in(0x61) & 0xC0, 0);
	for (fake.now = 0; fake.now < NS_PER_MS; fake.now += 1000) {
		changes += (in(0x61) & 0x10) != last;
		last = in(0x61) & 0x10;
	}
	assert_int_equal(changes, 66);
}

static void test_periodic_without_drift(void **state)
{
	unsigned n = 0;

	(void)state;
	program(0, 2, 11932);
	for (fake.now = 0; fake.now <= 1000 * NS_PER_S; fake.now = pit.deadline) {
		uint64_t due = pit.deadline;

		vpit_expire(&pit, due - 1); /* early: nothing */
		assert_int_equal(fake.rises[LINE_PIT], n);
		assert_int_equal(pit.deadline, due);
		fake.now = due;
		vpit_expire(&pit, due);
		assert_int_equal(fake.rises[LINE_PIT], ++n);
		assert_true(fake.level[LINE_PIT]);
	}
	assert_int_equal(n, (1000ull * VPIT_HZ - 1) / 11932);
}

static void test_missed_ticks_merge(void **state)
{
	(void)state;
	program(0, 3, 11932);
	fake.now = 10 * NS_PER_S;
	vpit_expire(&pit, fake.now);
	vpit_expire(&pit, fake.now);
	assert_int_equal(fake.rises[LINE_PIT], 1);
	assert_true(pit.deadline > fake.now);
	assert_true(pit.deadline <= fake.now + 10 * NS_PER_MS);
	assert_int_equal((ticks_at(pit.deadline, VPIT_HZ) - 1) % 11932, 0); /* on its grid */
}

static void test_no_storm(void **state)
{
	unsigned n = 0;

	(void)state;
	program(0, 2, 2);
	while (pit.deadline < NS_PER_S) {
		fake.now = pit.deadline;
		vpit_expire(&pit, fake.now);
		n++;
	}
	assert_in_range(n, 9000, 10001);
	out(0x43, 0x14); /* mode 2, low byte, count 1 is not allowed: no harm */
	out(0x40, 1);
	fake.now += NS_PER_S;
	vpit_expire(&pit, fake.now);
	assert_true(pit.deadline > fake.now + 99 * NS_PER_US);
}

static void test_one_shots_on_channel_0(void **state)
{
	(void)state;
	program(0, 0, 1000);
	assert_false(fake.level[LINE_PIT]);
	assert_int_equal(pit.deadline, ticks_to_ns(1001, VPIT_HZ));
	fake.now = pit.deadline;
	vpit_expire(&pit, fake.now);
	assert_int_equal(fake.rises[LINE_PIT], 1);
	assert_int_equal(pit.deadline, TIME_NEVER);
	vpit_expire(&pit, fake.now + NS_PER_S);
	assert_int_equal(fake.rises[LINE_PIT], 1);

	/* Mode 4 as Linux uses it: each count is one interrupt. */
	out(0x43, 0x38);
	assert_int_equal(pit.deadline, TIME_NEVER);
	for (unsigned i = 2; i < 5; i++) {
		out(0x40, 0xE8);
		out(0x40, 0x03);
		assert_true(pit.deadline > fake.now);
		fake.now = pit.deadline;
		vpit_expire(&pit, fake.now);
		assert_int_equal(fake.rises[LINE_PIT], i);
	}
	/* A write finds a tick that is due but was not delivered yet. */
	out(0x40, 0xE8);
	out(0x40, 0x03);
	fake.now = pit.deadline + 5;
	out(0x43, 0x38);
	assert_int_equal(fake.rises[LINE_PIT], 5);
	/* So does a read. */
	program(0, 0, 1000);
	fake.now = pit.deadline + 5;
	(void)in(0x40);
	assert_int_equal(fake.rises[LINE_PIT], 6);
	program(0, 1, 5); /* its gate never rises */
	assert_int_equal(pit.deadline, TIME_NEVER);
	program(0, 5, 5);
	assert_int_equal(pit.deadline, TIME_NEVER);
}

static void test_new_period_after_the_present_one(void **state)
{
	(void)state;
	program(0, 2, 1000);
	at_tick(501);
	out(0x40, 0xD0);
	out(0x40, 0x07); /* 2000 */
	assert_int_equal(pit.deadline, ticks_to_ns(1001, VPIT_HZ));
	fake.now = pit.deadline;
	vpit_expire(&pit, fake.now);
	assert_int_equal(pit.deadline, ticks_to_ns(3001, VPIT_HZ));
}

static void test_save_and_load(void **state)
{
	struct vpit other;

	(void)state;
	program(0, 2, 1234);
	program(2, 3, 777);
	out(0x61, 3);
	at_tick(5000);
	out(0x43, 0xC8);
	vpit_init(&other, &fake_host);
	fake_round_trip(&vpit_type, &pit, &other);
	assert_int_equal(vpit_check(&other, NULL), 0);
	at_tick(9000);
	assert_int_equal(vpit_read(&other, 0x42), in(0x42));
	assert_int_equal(vpit_read(&other, 0x42), in(0x42));
	assert_int_equal(other.deadline, pit.deadline);
}

/* Each byte of a saved state replaced by each of some values: refused, or harmless. */
static void test_hostile_state(void **state)
{
	static const uint8_t values[] = {0, 1, 2, 3, 4, 5, 6, 0x7F, 0x80, 0xFF};
	size_t size = vdev_saved_size(&vpit_type);
	uint8_t *buf = malloc(size);
	unsigned refused = 0;

	(void)state;
	assert_non_null(buf);
	program(0, 2, 1234);
	program(2, 3, 777);
	for (size_t i = 0; i < size; i++) {
		for (unsigned j = 0; j < ARRAY_SIZE(values); j++) {
			struct reason why = {{0}};
			struct vpit p;

			vdev_save(&vpit_type, &pit, buf);
			buf[i] = values[j];
			vpit_init(&p, &fake_host);
			assert_int_equal(vdev_load(&vpit_type, &p, buf, size), 0);
			if (vpit_check(&p, &why)) {
				assert_true(strlen(why.text) > 10);
				refused++;
				continue;
			}
			for (unsigned k = 0; k < 8; k++) {
				vpit_expire(&p, fake.now);
				assert_true(p.deadline > fake.now);
				vpit_read(&p, (uint16_t)(0x40 + k % 4));
				vpit_write(&p, (uint16_t)(0x40 + k % 4), (uint8_t)(k * 37));
				vpit_read(&p, 0x61);
				vpit_write(&p, 0x61, (uint8_t)k);
				fake.now += NS_PER_S;
			}
		}
	}
	assert_true(refused > 100);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_ticks, setup),
		cmocka_unit_test_setup(test_reset_is_what_firmware_leaves, setup),
		cmocka_unit_test_setup(test_mode0, setup),
		cmocka_unit_test_setup(test_mode0_gate_pauses, setup),
		cmocka_unit_test_setup(test_mode1_is_retriggered_by_the_gate, setup),
		cmocka_unit_test_setup(test_mode2, setup),
		cmocka_unit_test_setup(test_mode3, setup),
		cmocka_unit_test_setup(test_mode4_and_5, setup),
		cmocka_unit_test_setup(test_bcd, setup),
		cmocka_unit_test_setup(test_latches, setup),
		cmocka_unit_test_setup(test_port61, setup),
		cmocka_unit_test_setup(test_periodic_without_drift, setup),
		cmocka_unit_test_setup(test_missed_ticks_merge, setup),
		cmocka_unit_test_setup(test_no_storm, setup),
		cmocka_unit_test_setup(test_one_shots_on_channel_0, setup),
		cmocka_unit_test_setup(test_new_period_after_the_present_one, setup),
		cmocka_unit_test_setup(test_save_and_load, setup),
		cmocka_unit_test_setup(test_hostile_state, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
