/* The high precision event timers: counter, both modes, every way of an interrupt, hostile state.
 */
#include "tests/unit/vdev_fake.h"

#include "guests/vdev/vhpet.h"

#define ID      0x00
#define CONFIG  0x10
#define STATUS  0x20
#define COUNTER 0xF0
#define TIMER   0x100 /* + 0x20 for each: configuration, comparator, message */

#define ON     1
#define LEGACY 2

#define LEVEL    0x2
#define IRQ      0x4
#define PERIODIC 0x8
#define VAL_SET  0x40
#define BITS32   0x100
#define LINE(n)  ((n) << 9)
#define MESSAGE  0x4000

static struct vhpet hpet;

static struct {
	unsigned n;
	uint64_t addr;
	uint32_t data;
} sent;

/* Lines of the fake machine, and the two that stand for the 8254's and the clock's. */
static unsigned legacy_rises[2];
static bool legacy_level[2];

static void line(void *ctx, unsigned n, bool level)
{
	if (n < LINE_COUNT) {
		assert_true(n >= 20);
		fake_line(ctx, n, level);
		return;
	}
	assert_true(n - LINE_COUNT < 2);
	legacy_rises[n - LINE_COUNT] += level && !legacy_level[n - LINE_COUNT];
	legacy_level[n - LINE_COUNT] = level;
}

static void msi(void *ctx, uint64_t addr, uint32_t data)
{
	(void)ctx;
	sent.n++;
	sent.addr = addr;
	sent.data = data;
}

static const struct vdev_host host = {.ctx = &fake, .now = fake_now, .line = line, .msi = msi};

static int setup(void **state)
{
	(void)state;
	fake_reset();
	memset(&sent, 0, sizeof(sent));
	memset(legacy_rises, 0, sizeof(legacy_rises));
	memset(legacy_level, 0, sizeof(legacy_level));
	vhpet_init(&hpet, &host);
	return 0;
}

static uint64_t get(unsigned reg)
{
	return vhpet_read(&hpet, reg, 8);
}

static void set(unsigned reg, uint64_t value)
{
	vhpet_write(&hpet, reg, 8, value);
}

/* Guest time goes on to the tick, with the calls that the machine makes. */
static void go_to(uint64_t tick)
{
	while (hpet.deadline <= tick * 10) {
		fake.now = MAX(fake.now, hpet.deadline);
		vhpet_expire(&hpet, fake.now - 1);
		vhpet_expire(&hpet, fake.now);
		assert_true(hpet.deadline > fake.now);
	}
	fake.now = tick * 10;
}

static void test_capabilities(void **state)
{
	(void)state;
	assert_int_equal(get(ID), 10000000ull << 32 | 0x8086A201);
	assert_int_equal(vhpet_read(&hpet, 0, 4), VHPET_BLOCK_ID);
	assert_int_equal(vhpet_read(&hpet, 4, 4), 10000000);
	set(ID, 0);
	assert_int_equal(get(ID), 10000000ull << 32 | 0x8086A201);
	for (unsigned t = 0; t < 3; t++) {
		assert_int_equal(get(TIMER + 0x20 * t), 0x00F0000000008030);
		assert_int_equal(get(TIMER + 0x20 * t + 8), UINT64_MAX);
		set(TIMER + 0x20 * t, UINT64_MAX & ~(uint64_t)LINE(31) & ~(uint64_t)VAL_SET);
		assert_int_equal(get(TIMER + 0x20 * t), 0x00F000000000C13E);
		assert_int_equal(get(TIMER + 0x20 * t + 8), UINT32_MAX);
	}
	for (unsigned reg = 0; reg < 0x400; reg += 8) { /* nothing else is there */
		if (reg == ID || reg == CONFIG || reg == STATUS || reg == COUNTER ||
		    (reg >= TIMER && reg < TIMER + 0x60 && (reg & 0x18) != 0x18))
			continue;
		set(reg, UINT64_MAX);
		assert_int_equal(get(reg), 0);
	}
}

static void test_counter(void **state)
{
	(void)state;
	fake.now = 12345;
	assert_int_equal(get(COUNTER), 0); /* it stands */
	set(COUNTER, 0x1122334455667788);
	assert_int_equal(get(COUNTER), 0x1122334455667788);
	set(CONFIG, ON);
	fake.now += 1000;
	assert_int_equal(get(COUNTER), 0x1122334455667788 + 100);
	set(CONFIG, 0);
	fake.now += 1000;
	assert_int_equal(get(COUNTER), 0x1122334455667788 + 100);
	set(CONFIG, ON);
	fake.now += 50;
	assert_int_equal(get(COUNTER), 0x1122334455667788 + 105);
	set(COUNTER, UINT64_MAX);
	fake.now += 20;
	assert_int_equal(get(COUNTER), 1);
	/* in halves; parts of a half can be read, not written */
	vhpet_write(&hpet, COUNTER + 4, 4, 0x89ABCDEF);
	assert_int_equal(get(COUNTER), 0x89ABCDEF00000001);
	vhpet_write(&hpet, COUNTER, 4, 0x76543210);
	assert_int_equal(get(COUNTER), 0x89ABCDEF76543210);
	assert_int_equal(vhpet_read(&hpet, COUNTER, 4), 0x76543210);
	assert_int_equal(vhpet_read(&hpet, COUNTER + 4, 4), 0x89ABCDEF);
	assert_int_equal(vhpet_read(&hpet, COUNTER + 6, 2), 0x89AB);
	assert_int_equal(vhpet_read(&hpet, COUNTER + 1, 1), 0x32);
	vhpet_write(&hpet, COUNTER, 1, 0);
	vhpet_write(&hpet, COUNTER, 2, 0);
	vhpet_write(&hpet, COUNTER + 2, 4, 0);
	vhpet_write(&hpet, COUNTER + 4, 8, 0);
	assert_int_equal(get(COUNTER), 0x89ABCDEF76543210);
}

static void test_one_shot(void **state)
{
	(void)state;
	set(TIMER, LINE(20) | IRQ);
	set(TIMER + 8, 1000);
	assert_int_equal(hpet.deadline, TIME_NEVER); /* halted */
	set(CONFIG, ON);
	assert_int_equal(hpet.deadline, 10000);
	go_to(999);
	assert_int_equal(fake.rises[20], 0);
	go_to(1000);
	assert_int_equal(fake.rises[20], 1);
	assert_true(fake.level[20]); /* until the next edge, or until it changes its ways */
	assert_int_equal(get(STATUS), 0);
	assert_int_equal(get(TIMER + 8), 1000);
	assert_int_equal(hpet.deadline, TIME_NEVER);
	/* what was missed comes after a wrap only, which is not in this life */
	set(TIMER + 8, 999);
	assert_int_equal(hpet.deadline, TIME_NEVER);
	/* an access that comes before the machine's call finds it done */
	set(TIMER + 8, 2000);
	fake.now = 20500;
	get(TIMER);
	assert_int_equal(fake.rises[20], 2);
	vhpet_expire(&hpet, fake.now);
	assert_int_equal(fake.rises[20], 2);
	/* halted, none comes; it goes on where it was */
	set(TIMER + 8, 3000);
	set(CONFIG, 0);
	assert_int_equal(hpet.deadline, TIME_NEVER);
	fake.now += 100000;
	set(CONFIG, ON);
	assert_int_equal(hpet.deadline, 30000 + 100000);
	/* and with its interrupt off */
	set(TIMER, LINE(20));
	assert_int_equal(hpet.deadline, TIME_NEVER);
	go_to(20000);
	assert_int_equal(fake.rises[20], 2);
}

static void test_32_bit_timer_wraps(void **state)
{
	(void)state;
	set(COUNTER, 0x5FFFFFFF0);
	set(TIMER, LINE(21) | IRQ | BITS32);
	set(TIMER + 8, 0x1234567800000010);
	assert_int_equal(get(TIMER + 8), 0x10);
	set(CONFIG, ON);
	go_to(0x1F);
	assert_int_equal(fake.rises[21], 0);
	go_to(0x20);
	assert_int_equal(fake.rises[21], 1);
	assert_int_equal(get(COUNTER), 0x600000010);
	assert_int_equal(hpet.deadline, (BIT(32) + 0x20) * 10);
	go_to(BIT(32) + 0x20);
	assert_int_equal(fake.rises[21], 2);
	fake.now = (20 * BIT(32) + 0x21) * 10; /* many at once */
	vhpet_expire(&hpet, fake.now);
	assert_int_equal(fake.rises[21], 3);
	assert_int_equal(hpet.deadline, (21 * BIT(32) + 0x20) * 10);
}

static void test_periodic(void **state)
{
	(void)state;
	/* as Linux does it: the first match with VAL_SET, then the period without */
	set(CONFIG, ON);
	go_to(500);
	set(TIMER + 0x20, LINE(22) | IRQ | PERIODIC | VAL_SET | BITS32);
	vhpet_write(&hpet, TIMER + 0x28, 4, 50500);
	vhpet_write(&hpet, TIMER + 0x28, 4, 20000);
	assert_int_equal(get(TIMER + 0x28), 50500);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(hpet.deadline, (50500 + 20000 * i) * 10);
		go_to(50500 + 20000 * i);
		assert_int_equal(fake.rises[22], i + 1);
		assert_int_equal(get(TIMER + 0x28), 50500 + 20000 * (i + 1));
	}
	/* many missed: one interrupt, and on on the same grid */
	fake.now = (50500 + 20000 * 5000 + 7) * 10;
	vhpet_expire(&hpet, fake.now);
	assert_int_equal(fake.rises[22], 11);
	assert_int_equal(get(TIMER + 0x28), 50500 + 20000 * 5001);
	/* VAL_SET alone: match and period at once; it clears itself */
	set(TIMER + 0x20, LINE(22) | IRQ | PERIODIC | VAL_SET);
	set(TIMER + 0x28, get(COUNTER) + 30000);
	assert_int_equal(get(TIMER + 0x20) & VAL_SET, 0);
	assert_int_equal(hpet.deadline, (get(COUNTER) + 30000) * 10);
	assert_int_equal(hpet.period[1], get(COUNTER) + 30000);
	/* in halves, each with VAL_SET */
	set(TIMER + 0x20, LINE(22) | IRQ | PERIODIC | VAL_SET);
	vhpet_write(&hpet, TIMER + 0x28, 4, 0x10);
	set(TIMER + 0x20, LINE(22) | IRQ | PERIODIC | VAL_SET);
	vhpet_write(&hpet, TIMER + 0x2C, 4, 0x20);
	assert_int_equal(get(TIMER + 0x28), 0x2000000010);
	assert_int_equal(hpet.period[1], 0x2000000010);
}

static void test_periods_out_of_reason(void **state)
{
	static const uint64_t periods[] = {1, 2, 3, 9999};

	(void)state;
	set(CONFIG, ON);
	for (unsigned i = 0; i < ARRAY_SIZE(periods); i++) {
		uint64_t begin = fake.now / 10;
		unsigned calls = 0;

		fake.rises[20] = 0;
		set(TIMER, LINE(20) | IRQ | PERIODIC | VAL_SET);
		set(TIMER + 8, begin + 5);
		set(TIMER + 8, periods[i]);
		while (hpet.deadline <= begin * 10 + NS_PER_S) {
			assert_true(hpet.deadline > fake.now);
			fake.now = hpet.deadline;
			vhpet_expire(&hpet, fake.now);
			calls++;
		}
		assert_in_range(calls, 9990, 10002); /* one in 100 us */
		assert_int_equal(fake.rises[20], calls);
		assert_true(get(TIMER + 8) - get(COUNTER) <= periods[i]);
		set(TIMER, 0);
	}
	/* a period of 0 matches once; the longest one does not come round */
	set(TIMER, LINE(20) | IRQ | PERIODIC | VAL_SET);
	set(TIMER + 8, get(COUNTER) + 100);
	set(TIMER + 8, 0);
	go_to(get(COUNTER) + 20000);
	assert_int_equal(hpet.deadline, TIME_NEVER);
	set(TIMER, LINE(20) | IRQ | PERIODIC | VAL_SET);
	set(TIMER + 8, get(COUNTER) + 100);
	set(TIMER + 8, UINT64_MAX);
	go_to(get(COUNTER) + 20000);
	assert_int_equal(hpet.deadline, TIME_NEVER);
}

static void test_level(void **state)
{
	(void)state;
	set(CONFIG, ON);
	set(TIMER, LINE(23) | IRQ | LEVEL);
	set(TIMER + 0x20, LINE(23) | IRQ | LEVEL | PERIODIC | VAL_SET);
	set(TIMER + 0x28, 20000);
	set(TIMER + 8, 100);
	go_to(100);
	assert_true(fake.level[23]);
	assert_int_equal(get(STATUS), 1);
	set(STATUS, 6); /* others' bits */
	assert_true(fake.level[23]);
	go_to(20000);
	assert_int_equal(get(STATUS), 3);
	set(STATUS, 1); /* the other holds the line */
	assert_true(fake.level[23]);
	set(STATUS, 2);
	assert_false(fake.level[23]);
	assert_int_equal(get(STATUS), 0);
	go_to(40000);
	assert_true(fake.level[23]);
	set(TIMER + 0x20, LINE(20) | IRQ | LEVEL | PERIODIC); /* moves to another line */
	assert_false(fake.level[23]);
	assert_true(fake.level[20]);
	set(TIMER + 0x20, LINE(20) | LEVEL | PERIODIC); /* the status stays without the interrupt */
	assert_false(fake.level[20]);
	assert_int_equal(get(STATUS), 2);
	set(STATUS, 2);
	fake.now = 600000;
	assert_int_equal(get(STATUS), 2); /* and comes without it */
	assert_false(fake.level[20]);
	set(TIMER + 0x20, LINE(20) | IRQ | LEVEL | PERIODIC);
	assert_true(fake.level[20]);
	set(CONFIG, 0);
	assert_false(fake.level[20]);
	assert_int_equal(get(STATUS), 2);
}

static void test_routes(void **state)
{
	(void)state;
	set(CONFIG, ON);
	set(TIMER, IRQ); /* none */
	set(TIMER + 8, 100);
	go_to(200);
	for (unsigned n = 0; n < 32; n++) {
		set(TIMER, LINE((uint64_t)n) | IRQ);
		assert_int_equal(get(TIMER) >> 9 & 31, n >= 20 && n < 24 ? n : n < 20 ? 0 : 23);
	}
	assert_int_equal(fake.rises[20] + fake.rises[23], 0);
}

static void test_legacy_replacement(void **state)
{
	(void)state;
	for (unsigned t = 0; t < 3; t++) {
		set(TIMER + 0x20 * t, LINE(21) | IRQ | (t == 1 ? LEVEL : 0));
		set(TIMER + 0x20 * t + 8, 100 * (t + 1));
	}
	assert_false(vhpet_replaces_legacy(&hpet));
	set(CONFIG, ON | LEGACY);
	assert_true(vhpet_replaces_legacy(&hpet));
	go_to(350);
	assert_int_equal(legacy_rises[0], 1);
	assert_int_equal(legacy_rises[1], 1);
	assert_true(legacy_level[1]);
	assert_int_equal(fake.rises[21], 1); /* the third's */
	assert_true(legacy_level[0]);
	set(CONFIG, ON); /* the level goes to the line that the timer asked for */
	assert_false(legacy_level[0]);
	assert_false(legacy_level[1]);
	assert_true(fake.level[21]);
}

static void test_messages(void **state)
{
	(void)state;
	set(CONFIG, ON | LEGACY);
	set(TIMER, IRQ | MESSAGE);
	set(TIMER + 0x10, 0xFEE0100C00004055);
	set(TIMER + 8, 100);
	go_to(100);
	assert_int_equal(sent.n, 1);
	assert_int_equal(sent.addr, 0xFEE0100C);
	assert_int_equal(sent.data, 0x4055);
	assert_int_equal(legacy_rises[0], 0);
	vhpet_write(&hpet, TIMER + 0x14, 4, 0x1000); /* memory is not written */
	assert_int_equal(get(TIMER + 0x10), 0x0000100000004055);
	set(TIMER + 8, 200);
	go_to(200);
	assert_int_equal(sent.n, 1);
}

static void test_save_and_load(void **state)
{
	struct vhpet other;

	(void)state;
	set(CONFIG, ON);
	set(TIMER, LINE(20) | IRQ | PERIODIC | VAL_SET);
	set(TIMER + 8, 20000);
	go_to(70000);
	vhpet_init(&other, &host);
	fake_round_trip(&vhpet_type, &hpet, &other);
	assert_int_equal(vhpet_check(&other, NULL), 0);
	assert_int_equal(other.deadline, 800000);
}

static void test_hostile_state(void **state)
{
	static const uint8_t values[] = {0, 1, 2, 0x0F, 0x7F, 0x80, 0xFF};
	size_t size = vdev_saved_size(&vhpet_type);
	uint8_t *buf = malloc(size);
	unsigned refused = 0;

	(void)state;
	assert_non_null(buf);
	set(CONFIG, ON | LEGACY);
	set(TIMER, LINE(20) | IRQ | PERIODIC | VAL_SET);
	set(TIMER + 8, 20000);
	set(TIMER + 0x20, LINE(21) | IRQ | LEVEL | BITS32);
	set(TIMER + 0x28, 30000);
	go_to(70000);
	for (size_t i = 0; i < size; i++) {
		for (unsigned j = 0; j < ARRAY_SIZE(values); j++) {
			struct reason why = {{0}};
			struct vhpet h;

			vdev_save(&vhpet_type, &hpet, buf);
			buf[i] = values[j];
			vhpet_init(&h, &host);
			assert_int_equal(vdev_load(&vhpet_type, &h, buf, size), 0);
			if (vhpet_check(&h, &why)) {
				assert_true(strlen(why.text) > 10);
				refused++;
				continue;
			}
			for (unsigned k = 0; k < 0x400; k += 4) {
				vhpet_expire(&h, fake.now);
				assert_true(h.deadline > fake.now);
				vhpet_read(&h, k, 4);
				vhpet_write(&h, k & ~7u, 8, k * 0x9E3779B97F4A7C15);
				vhpet_check(&h, &why);
				fake.now += NS_PER_S / 3;
			}
			assert_int_equal(vhpet_check(&h, &why), 0);
		}
	}
	assert_true(refused > 40);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_capabilities, setup),
		cmocka_unit_test_setup(test_counter, setup),
		cmocka_unit_test_setup(test_one_shot, setup),
		cmocka_unit_test_setup(test_32_bit_timer_wraps, setup),
		cmocka_unit_test_setup(test_periodic, setup),
		cmocka_unit_test_setup(test_periods_out_of_reason, setup),
		cmocka_unit_test_setup(test_level, setup),
		cmocka_unit_test_setup(test_routes, setup),
		cmocka_unit_test_setup(test_legacy_replacement, setup),
		cmocka_unit_test_setup(test_messages, setup),
		cmocka_unit_test_setup(test_save_and_load, setup),
		cmocka_unit_test_setup(test_hostile_state, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
