/* The ACPI PM1 blocks and timer: register bits, power off, power button, carry, hostile state. */
#include "tests/unit/vdev_fake.h"

#include "guests/board.h"
#include "guests/vdev/ticks.h"
#include "guests/vdev/vpm.h"

#define STS 0x600
#define EN  0x602
#define CNT 0x604
#define TMR 0x608

static struct vpm pm;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	vpm_init(&pm, &fake_host);
	return 0;
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(vpm_read(&pm, STS, 4), 0);
	assert_int_equal(vpm_read(&pm, CNT, 2), 1); /* SCI_EN */
	vpm_write(&pm, CNT, 2, 0);
	assert_int_equal(vpm_read(&pm, CNT, 2), 1);
	vpm_write(&pm, CNT, 2, 0xDFFF);
	assert_int_equal(vpm_read(&pm, CNT, 2), 0x1C03);
	vpm_write(&pm, EN, 2, 0xFFFF);
	assert_int_equal(vpm_read(&pm, EN, 2), 0x0521);
	vpm_write(&pm, EN + 1, 1, 0);
	assert_int_equal(vpm_read(&pm, STS, 4), 0x00210000);
	vpm_write(&pm, STS, 4, 0x01000000);
	assert_int_equal(vpm_read(&pm, EN, 1), 0);
	assert_int_equal(vpm_read(&pm, EN + 1, 1), 1);
	assert_int_equal(vpm_read(&pm, 0x606, 2), 0xFFFF);
	vpm_write(&pm, 0x606, 2, 0);
	vpm_write(&pm, TMR, 4, 0x12345678); /* read-only */
	assert_int_equal(vpm_read(&pm, TMR, 4), 0);
	assert_int_equal(vpm_read(&pm, 0x60B, 4), 0xFFFFFF00); /* past the end */
	assert_int_equal(fake.n_power, 0);
}

static void test_power_off(void **state)
{
	(void)state;
	vpm_write(&pm, CNT, 2, 5 << 10 | 1); /* as Linux does: first the type, */
	assert_int_equal(fake.n_power, 0);
	vpm_write(&pm, CNT, 2, 1 << 13 | 5 << 10 | 1); /* then the enable */
	assert_int_equal(fake.n_power, 1);
	assert_int_equal(fake.power, VDEV_POWER_OFF);
	assert_int_equal(vpm_read(&pm, CNT, 2) & 1 << 13, 0);
	vpm_write(&pm, CNT + 1, 1, 1 << 5 | 5 << 2); /* one byte */
	assert_int_equal(fake.n_power, 2);
	for (unsigned type = 0; type < 8; type++)
		if (type != 5)
			vpm_write(&pm, CNT, 2, 1u << 13 | type << 10);
	assert_int_equal(fake.n_power, 2);
}

static void test_power_button(void **state)
{
	(void)state;
	vpm_power_button(&pm);
	assert_int_equal(vpm_read(&pm, STS, 2), 0x100);
	assert_false(fake.level[LINE_SCI]);
	vpm_write(&pm, EN, 2, 0x100);
	assert_true(fake.level[LINE_SCI]);
	vpm_write(&pm, STS, 2, 0x001); /* another bit */
	assert_true(fake.level[LINE_SCI]);
	vpm_write(&pm, STS, 2, 0x100);
	assert_false(fake.level[LINE_SCI]);
	vpm_power_button(&pm);
	assert_true(fake.level[LINE_SCI]);
	vpm_reset(&pm);
	assert_false(fake.level[LINE_SCI]);
	assert_int_equal(vpm_read(&pm, STS, 4), 0);
}

static void test_timer(void **state)
{
	(void)state;
	fake.now = NS_PER_S;
	assert_int_equal(vpm_read(&pm, TMR, 4), 3579545);
	assert_int_equal(vpm_read(&pm, TMR, 2), 3579545 & 0xFFFF);
	assert_int_equal(vpm_read(&pm, TMR + 1, 2), 3579545 >> 8 & 0xFFFF);
	fake.now = ticks_to_ns(BIT(32) + 7, VPM_TIMER_HZ);
	assert_int_equal(vpm_read(&pm, TMR, 4), 7);
}

static void test_timer_carry(void **state)
{
	uint64_t first = ticks_to_ns(BIT(31), VPM_TIMER_HZ);

	(void)state;
	assert_int_equal(pm.deadline, TIME_NEVER);
	fake.now = first - 1;
	assert_int_equal(vpm_read(&pm, STS, 2), 0);
	vpm_write(&pm, EN, 2, 1);
	assert_int_equal(pm.deadline, first);
	vpm_expire(&pm, fake.now);
	assert_false(fake.level[LINE_SCI]);
	fake.now = first;
	vpm_expire(&pm, fake.now);
	assert_true(fake.level[LINE_SCI]);
	assert_int_equal(pm.deadline, TIME_NEVER);
	vpm_write(&pm, STS, 2, 1);
	assert_false(fake.level[LINE_SCI]);
	assert_int_equal(pm.deadline, ticks_to_ns(BIT(32), VPM_TIMER_HZ));
	fake.now = ticks_to_ns(5 * BIT(31), VPM_TIMER_HZ);
	vpm_expire(&pm, fake.now);
	assert_int_equal(fake.rises[LINE_SCI], 2);
	vpm_write(&pm, STS, 2, 1);
	assert_int_equal(pm.deadline, ticks_to_ns(6 * BIT(31), VPM_TIMER_HZ));
	vpm_reset(&pm); /* the timer goes on */
	assert_int_equal(vpm_read(&pm, STS, 2), 0);
	assert_int_equal(vpm_read(&pm, TMR, 4), BIT(31));
}

static void test_save_and_load(void **state)
{
	size_t size = vdev_saved_size(&vpm_type);
	uint8_t *buf = malloc(size);
	unsigned refused = 0;
	struct vpm other;

	(void)state;
	assert_non_null(buf);
	vpm_power_button(&pm);
	vpm_write(&pm, EN, 2, 0x121);
	vpm_init(&other, &fake_host);
	fake_round_trip(&vpm_type, &pm, &other);
	assert_int_equal(vpm_check(&other, NULL), 0);
	assert_int_equal(vpm_read(&other, STS, 4), 0x01210100);
	for (size_t i = 0; i < size; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			struct reason why = {{0}};

			vdev_save(&vpm_type, &pm, buf);
			buf[i] ^= (uint8_t)(1 << bit);
			assert_int_equal(vdev_load(&vpm_type, &other, buf, size), 0);
			if (vpm_check(&other, &why)) {
				assert_true(strlen(why.text) > 10);
				refused++;
				continue;
			}
			vpm_expire(&other, fake.now);
			assert_true(other.deadline > fake.now);
		}
	}
	assert_true(refused > 60);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_registers, setup),
		cmocka_unit_test_setup(test_power_off, setup),
		cmocka_unit_test_setup(test_power_button, setup),
		cmocka_unit_test_setup(test_timer, setup),
		cmocka_unit_test_setup(test_timer_carry, setup),
		cmocka_unit_test_setup(test_save_and_load, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
