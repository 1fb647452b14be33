/* The keyboard controller: resets, probing as Linux does it, answers, hostile state. */
#include "tests/unit/vdev_fake.h"

#include "guests/vdev/vkbc.h"

static struct vkbc kbc;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	vkbc_init(&kbc, &fake_host);
	return 0;
}

static uint8_t status(void)
{
	return vkbc_read(&kbc, 0x64);
}

static void command(uint8_t value)
{
	assert_int_equal(status() & 2, 0); /* the input buffer is never full */
	vkbc_write(&kbc, 0x64, value);
}

/* A command's answer. */
static uint8_t ask(uint8_t value)
{
	command(value);
	assert_int_equal(status() & 1, 1);
	return vkbc_read(&kbc, 0x60);
}

static void test_reset_commands(void **state)
{
	(void)state;
	command(0xFE);
	assert_int_equal(fake.n_power, 1);
	assert_int_equal(fake.power, VDEV_POWER_RESET);
	command(0xF0);
	assert_int_equal(fake.n_power, 2);
	command(0xFF); /* pulses nothing */
	command(0xFD); /* A20 */
	assert_int_equal(fake.n_power, 2);
	command(0xD1);
	vkbc_write(&kbc, 0x60, 0xDF);
	assert_int_equal(fake.n_power, 2);
	command(0xD1);
	vkbc_write(&kbc, 0x60, 0xDE);
	assert_int_equal(fake.n_power, 3);
	command(0xD1); /* the command that comes between takes its place */
	command(0xAE);
	vkbc_write(&kbc, 0x60, 0x00);
	assert_int_equal(fake.n_power, 3);
}

static void test_a20_is_open(void **state)
{
	(void)state;
	assert_int_equal(ask(0xD0), 0x03);
	command(0xD1);
	vkbc_write(&kbc, 0x60, 0xDD); /* A20 off */
	command(0xDD);
	assert_int_equal(ask(0xD0), 0x03);
	assert_int_equal(status(), 0x1C);
}

static void test_linux_probes(void **state)
{
	(void)state;
	assert_int_equal(status() & 1, 0); /* nothing to flush */
	assert_int_equal(ask(0x20), 0x65);
	command(0x60);
	vkbc_write(&kbc, 0x60, 0x74);
	assert_int_equal(ask(0x20), 0x74);
	assert_int_equal(ask(0xAA), 0x55);
	assert_int_equal(ask(0xAB), 0x00);
	assert_int_equal(ask(0xC0), 0x80);
	command(0xD3); /* the loop of the auxiliary port comes back without its mark: no such port
			*/
	vkbc_write(&kbc, 0x60, 0x5A);
	assert_int_equal(status() & 0x21, 0x01);
	assert_int_equal(vkbc_read(&kbc, 0x60), 0x5A);
	assert_int_not_equal(ask(0xA9), 0x00);
	command(0xA8);
	assert_int_equal(ask(0x20) & 0x20, 0x20);
	command(0xAD);
	assert_int_equal(ask(0x20) & 0x10, 0x10);
	command(0xAE);
	assert_int_equal(ask(0x20) & 0x10, 0x00);
	command(0xD2);
	vkbc_write(&kbc, 0x60, 0x99);
	assert_int_equal(vkbc_read(&kbc, 0x60), 0x99);
}

static void test_no_keyboard(void **state)
{
	(void)state;
	vkbc_write(&kbc, 0x60, 0xFF);
	assert_int_equal(status(), 0x55);
	assert_true(fake.level[LINE_KBD]);
	assert_int_equal(vkbc_read(&kbc, 0x60), 0xFE);
	assert_int_equal(status(), 0x14);
	assert_false(fake.level[LINE_KBD]);
	assert_int_equal(vkbc_read(&kbc, 0x60), 0xFE); /* the buffer keeps its byte */
	command(0x60);
	vkbc_write(&kbc, 0x60, 0x64); /* interrupt off */
	command(0xD4);
	vkbc_write(&kbc, 0x60, 0xF2);
	assert_false(fake.level[LINE_KBD]);
	assert_int_equal(status() & 0x41, 0x41);
	command(0x60);
	vkbc_write(&kbc, 0x60, 0x65);
	assert_true(fake.level[LINE_KBD]);
	vkbc_reset(&kbc);
	assert_false(fake.level[LINE_KBD]);
	assert_int_equal(status(), 0x14);
}

static void test_states(void **state)
{
	struct vkbc other;
	unsigned refused = 0;

	(void)state;
	command(0x60);
	vkbc_init(&other, &fake_host);
	fake_round_trip(&vkbc_type, &kbc, &other);
	assert_int_equal(vkbc_check(&other, NULL), 0);
	vkbc_write(&other, 0x60, 0x20);
	assert_int_equal(other.config, 0x20);
	for (unsigned a = 0; a < 256; a++) {
		for (unsigned b = 0; b < 256; b++) {
			struct reason why = {{0}};

			vkbc_init(&other, &fake_host);
			other.config = (uint8_t)a;
			other.status = (uint8_t)b;
			other.command = (uint8_t)(a ^ b);
			if (vkbc_check(&other, &why)) {
				refused++;
				assert_true(strlen(why.text) > 10);
				continue;
			}
			vkbc_write(&other, 0x60, (uint8_t)b);
			vkbc_write(&other, 0x64, (uint8_t)a);
			assert_int_equal(vkbc_check(&other, NULL), 0);
		}
	}
	assert_true(refused > 60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_reset_commands, setup),
		cmocka_unit_test_setup(test_a20_is_open, setup),
		cmocka_unit_test_setup(test_linux_probes, setup),
		cmocka_unit_test_setup(test_no_keyboard, setup),
		cmocka_unit_test_setup(test_states, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
