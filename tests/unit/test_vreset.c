/* Ports 0x92 and 0xcf9, and the debug-exit port. */
#include "tests/unit/vdev_fake.h"

#include "guests/vdev/vdebugexit.h"
#include "guests/vdev/vreset.h"

static struct vreset v;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	vreset_init(&v, &fake_host);
	return 0;
}

static void test_port92(void **state)
{
	(void)state;
	assert_int_equal(vreset_read(&v, 0x92), 0x02);
	vreset_write(&v, 0x92, 0xFE);
	assert_int_equal(fake.n_power, 0);
	vreset_write(&v, 0x92, 0x00);
	assert_int_equal(vreset_read(&v, 0x92), 0x02);
	vreset_write(&v, 0x92, 0x01);
	assert_int_equal(fake.n_power, 1);
	assert_int_equal(fake.power, VDEV_POWER_RESET);
}

static void test_reset_control(void **state)
{
	(void)state;
	vreset_write(&v, 0xCF9, 0x02);
	assert_int_equal(vreset_read(&v, 0xCF9), 0x02);
	assert_int_equal(fake.n_power, 0);
	vreset_write(&v, 0xCF9, 0x06);
	assert_int_equal(fake.n_power, 1);
	assert_int_equal(fake.power, VDEV_POWER_RESET);
	vreset_write(&v, 0xCF9, 0xFF); /* no rise */
	assert_int_equal(fake.n_power, 1);
	assert_int_equal(vreset_read(&v, 0xCF9), 0x0E);
	vreset_reset(&v);
	assert_int_equal(vreset_read(&v, 0xCF9), 0);
	vreset_write(&v, 0xCF9, 0x06); /* the FADT's way: at once */
	assert_int_equal(fake.n_power, 2);
}

static void test_states(void **state)
{
	struct vreset other;

	(void)state;
	vreset_write(&v, 0xCF9, 0x0A);
	vreset_init(&other, &fake_host);
	fake_round_trip(&vreset_type, &v, &other);
	for (unsigned value = 0; value < 256; value++) {
		struct reason why = {{0}};

		other.control = (uint8_t)value;
		assert_int_equal(vreset_check(&other, &why), value & 0xF1 ? ERR_INVALID : 0);
	}
}

static void test_debug_exit(void **state)
{
	struct vdebugexit d;

	(void)state;
	vdebugexit_init(&d, &fake_host);
	assert_int_equal(vdebugexit_read(&d, 1), 0xFF);
	assert_int_equal(vdebugexit_read(&d, 2), 0xFFFF);
	assert_int_equal(vdebugexit_read(&d, 4), 0xFFFFFFFF);
	vdebugexit_write(&d, 1, 0x12345678);
	assert_int_equal(fake.power, VDEV_POWER_EXIT);
	assert_int_equal(fake.power_value, 0x78);
	vdebugexit_write(&d, 2, 0x12345678);
	assert_int_equal(fake.power_value, 0x5678);
	vdebugexit_write(&d, 4, 0x12345678);
	assert_int_equal(fake.power_value, 0x12345678);
	vdebugexit_write(&d, 1, 0);
	assert_int_equal(fake.power_value, 0);
	assert_int_equal(fake.n_power, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_port92, setup),
		cmocka_unit_test_setup(test_reset_control, setup),
		cmocka_unit_test_setup(test_states, setup),
		cmocka_unit_test_setup(test_debug_exit, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
