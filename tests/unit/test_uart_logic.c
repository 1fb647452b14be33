/*
 * Rings, divisors and names of the UART driver.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/uart_logic.h"

static void ring_keeps_order(void **state)
{
	uint8_t data[16], in[64], out[64], next_in = 0, next_out = 0;
	struct byte_ring r = {
		.data = data, .size = 16, .head = UINT32_MAX - 20, .tail = UINT32_MAX - 20};

	(void)state;
	srand(2);
	for (int round = 0; round < 5000; round++) {
		size_t n = (size_t)rand() % 20, room = ring_room(&r), got;

		for (size_t i = 0; i < n; i++)
			in[i] = (uint8_t)(next_in + i);
		got = ring_put(&r, in, n);
		assert_int_equal(got, n < room ? n : room);
		next_in = (uint8_t)(next_in + got);
		got = ring_take(&r, out, (size_t)rand() % 20);
		for (size_t i = 0; i < got; i++)
			assert_int_equal(out[i], next_out++);
		assert_int_equal(ring_used(&r), (uint8_t)(next_in - next_out));
		assert_int_equal(ring_used(&r) + ring_room(&r), 16);
	}
}

static void ring_limits(void **state)
{
	uint8_t data[4], out[8];
	struct byte_ring r = {.data = data, .size = 4};

	(void)state;
	assert_int_equal(ring_take(&r, out, 8), 0);
	assert_int_equal(ring_put(&r, "abcdef", 6), 4);
	assert_int_equal(ring_put(&r, "x", 1), 0);
	assert_int_equal(ring_take(&r, out, 8), 4);
	assert_memory_equal(out, "abcd", 4);
}

static void port_names(void **state)
{
	static const char *const bad[] = {"",     "com", "com0",  "com5", "com11",
					  "COM1", "tty", "nonee", ",com1"};
	struct reason why;

	(void)state;
	assert_int_equal(uart_port_number("com1", NULL), 1);
	assert_int_equal(uart_port_number("com4", NULL), 4);
	assert_int_equal(uart_port_number("com2,9600", NULL), 2);
	assert_int_equal(uart_port_number("none", NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		why.text[0] = '\0';
		assert_int_equal(uart_port_number(bad[i], &why), ERR_INVALID);
		assert_non_null(strstr(why.text, "com1"));
	}
	assert_int_equal(uart_port_base(1), 0x3f8);
	assert_int_equal(uart_port_irq(1), 4);
	assert_int_equal(uart_port_base(2), 0x2f8);
	assert_int_equal(uart_port_irq(2), 3);
	assert_int_equal(uart_port_base(3), 0x3e8);
	assert_int_equal(uart_port_irq(3), 4);
	assert_int_equal(uart_port_base(4), 0x2e8);
	assert_int_equal(uart_port_irq(4), 3);
}

static void divisors(void **state)
{
	struct reason why;

	(void)state;
	assert_int_equal(uart_divisor(115200, NULL), 1);
	assert_int_equal(uart_divisor(57600, NULL), 2);
	assert_int_equal(uart_divisor(38400, NULL), 3);
	assert_int_equal(uart_divisor(9600, NULL), 12);
	assert_int_equal(uart_divisor(50, NULL), 2304);
	assert_int_equal(uart_divisor(114000, NULL), 1); /* 1 % off */
	assert_int_equal(uart_divisor(100000, &why), ERR_INVALID);
	assert_non_null(strstr(why.text, "115200"));
	assert_int_equal(uart_divisor(0, &why), ERR_INVALID);
	assert_int_equal(uart_divisor(49, &why), ERR_INVALID);
	assert_int_equal(uart_divisor(115201, &why), ERR_INVALID);
	assert_int_equal(uart_divisor(UINT32_MAX, &why), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_keeps_order),
		cmocka_unit_test(ring_limits),
		cmocka_unit_test(port_names),
		cmocka_unit_test(divisors),
	};

	return cmocka_run_group_tests_name("uart_logic", tests, NULL, NULL);
}
