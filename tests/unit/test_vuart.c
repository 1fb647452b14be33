/* The 16550A: Linux's probing, interrupts and priorities, FIFOs, a busy host, hostile state. */
#include "tests/unit/vdev_fake.h"

#include "guests/vdev/vuart.h"

#define DATA 0x3F8
#define IER  0x3F9
#define IIR  0x3FA
#define FCR  0x3FA
#define LCR  0x3FB
#define MCR  0x3FC
#define LSR  0x3FD
#define MSR  0x3FE
#define SCR  0x3FF

static struct vuart uart;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	vuart_init(&uart, &fake_host);
	return 0;
}

static uint8_t in(uint16_t port)
{
	return vuart_read(&uart, port);
}

static void out(uint16_t port, uint8_t value)
{
	vuart_write(&uart, port, value);
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(in(MSR), 0xB0);
	assert_int_equal(in(DATA), 0);
	out(SCR, 0xA5);
	assert_int_equal(in(SCR), 0xA5);
	out(IER, 0xFF);
	assert_int_equal(in(IER), 0x0F);
	out(MCR, 0xFF);
	assert_int_equal(in(MCR), 0x1F);
	out(MCR, 0);
	out(LCR, 0x83);
	assert_int_equal(in(DATA), 12);
	out(DATA, 1);
	out(IER, 2);
	assert_int_equal(in(DATA), 1);
	assert_int_equal(in(IER), 2);
	out(LCR, 0x43); /* break */
	assert_int_equal(in(LCR), 0x43);
	assert_int_equal(in(IER), 0x0F);
	out(LSR, 0xFF);
	out(MSR, 0xFF);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(fake.n_out, 0);
}

/* The steps of Linux's 8250 autoconfiguration. */
static void test_linux_finds_a_16550a(void **state)
{
	(void)state;
	out(IER, 0);
	assert_int_equal(in(IER)&0x0F, 0);
	out(IER, 0x0F);
	assert_int_equal(in(IER)&0x0F, 0x0F);
	out(IER, 0);
	out(MCR, 0x10 | 0x0A);
	assert_int_equal(in(MSR)&0xF0, 0x90);
	out(MCR, 0);
	out(LCR, 0xBF);
	out(FCR, 0);
	out(LCR, 0);
	out(FCR, 0x01);
	assert_int_equal(in(IIR) >> 6, 3); /* a 16550A, if there is no enhanced feature register */
	out(LCR, 0x80);
	assert_int_not_equal(in(IIR), 0);
	out(LCR, 0xBF);
	assert_int_not_equal(in(IIR), 0);
	/* not a 16750: its FIFO64 bit does not stick with DLAB */
	out(LCR, 0);
	out(FCR, 0x21);
	assert_int_equal(in(IIR) >> 5, 6);
	out(FCR, 0x01);
	out(LCR, 0x80);
	out(FCR, 0x21);
	assert_int_equal(in(IIR) >> 5, 6);
	out(LCR, 0);
	out(IER, 0x40); /* not an XScale: no UUE bit */
	assert_int_equal(in(IER), 0);
	/* the tests for transmitters without a proper empty interrupt */
	out(IER, 0x02);
	assert_int_equal(in(IIR)&0x0F, 0x02);
	assert_int_equal(in(IIR)&0x0F, 0x01);
	out(IER, 0);
	out(IER, 0x02);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(IIR)&0x0F, 0x02);
}

static void test_out2_gates_the_line(void **state)
{
	(void)state;
	out(IER, 0x02);
	assert_false(fake.level[LINE_COM1]);
	out(MCR, 0x08);
	assert_true(fake.level[LINE_COM1]);
	out(MCR, 0x18); /* loopback holds the pin */
	assert_false(fake.level[LINE_COM1]);
	out(MCR, 0x0B);
	assert_true(fake.level[LINE_COM1]);
	assert_int_equal(in(IIR), 0x02); /* reading it takes it back */
	assert_false(fake.level[LINE_COM1]);
	out(DATA, 'a');
	assert_true(fake.level[LINE_COM1]);
	vuart_reset(&uart);
	assert_false(fake.level[LINE_COM1]);
	assert_int_equal(fake.n_out, 1);
}

static void test_priorities(void **state)
{
	(void)state;
	out(FCR, 0xC1); /* trigger at 14 */
	out(MCR, 0x10); /* modem deltas and bytes by loopback */
	for (unsigned i = 0; i < 17; i++)
		out(DATA, (uint8_t)i); /* the last one is an overrun */
	out(IER, 0x0F);
	assert_int_equal(in(IIR), 0xC6);
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(IIR), 0xC4);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(in(DATA), i);
	assert_int_equal(in(IIR), 0xC4);
	assert_int_equal(in(DATA), 2);
	assert_int_equal(in(IIR), 0xCC); /* below the trigger level */
	for (unsigned i = 3; i < 16; i++)
		assert_int_equal(in(DATA), i);
	assert_int_equal(in(IIR), 0xC2);
	assert_int_equal(in(IIR), 0xC0);
	assert_int_equal(in(MSR), 0x0B); /* CTS, DSR and DCD have changed */
	assert_int_equal(in(MSR), 0x00);
	assert_int_equal(in(IIR), 0xC1);
	out(MCR, 0x14);
	assert_int_equal(in(MSR), 0x40); /* the ring has no delta when it begins */
	out(MCR, 0x10);
	assert_int_equal(in(MSR), 0x04);
}

static void test_trigger_levels(void **state)
{
	static const uint8_t levels[] = {1, 4, 8, 14};

	(void)state;
	out(IER, 0x01);
	for (unsigned i = 0; i < 4; i++) {
		out(FCR, (uint8_t)(i << 6 | 0x03));
		for (unsigned n = 1; n <= 16; n++) {
			assert_true(vuart_receive(&uart, (uint8_t)n));
			assert_int_equal(in(IIR), n < levels[i] ? 0xCC : 0xC4);
		}
		assert_false(vuart_receive(&uart, 99));
	}
	out(FCR, 0); /* off: both cleared, one byte deep */
	assert_int_equal(in(LSR), 0x60);
	assert_true(vuart_receive(&uart, 'a'));
	assert_false(vuart_receive(&uart, 'b'));
	assert_int_equal(in(IIR), 0x04);
	assert_int_equal(in(DATA), 'a');
}

static void test_receive_flow(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(IER, 0x01);
	out(MCR, 0x08);
	for (unsigned i = 0; i < 16; i++) {
		assert_true(vuart_can_receive(&uart));
		assert_true(vuart_receive(&uart, (uint8_t)('a' + i)));
		assert_true(fake.level[LINE_COM1]);
	}
	assert_false(uart.rx_refused);
	assert_false(vuart_receive(&uart, 'X'));
	assert_true(uart.rx_refused);
	assert_false(vuart_can_receive(&uart));
	assert_int_equal(in(DATA), 'a');
	assert_true(vuart_can_receive(&uart));
	assert_true(uart.rx_refused);
	assert_true(vuart_receive(&uart, 'q'));
	assert_false(uart.rx_refused);
	for (unsigned i = 1; i < 17; i++) {
		assert_int_equal(in(LSR), 0x61);
		assert_int_equal(in(DATA), 'a' + i);
	}
	assert_int_equal(in(LSR), 0x60);
	assert_false(fake.level[LINE_COM1]);
	out(MCR, 0x10); /* looped back: the outside waits */
	assert_false(vuart_receive(&uart, 'z'));
	assert_false(vuart_can_receive(&uart));
	out(MCR, 0x00);
	assert_true(vuart_receive(&uart, 'z'));
}

static void test_transmit_at_once(void **state)
{
	(void)state;
	for (const char *s = "hello"; *s; s++) {
		assert_int_equal(in(LSR), 0x60);
		out(DATA, (uint8_t)*s);
	}
	assert_int_equal(fake.n_out, 5);
	assert_memory_equal(fake.out, "hello", 5);
}

static void test_transmit_to_a_busy_host(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(MCR, 0x08);
	out(IER, 0x02);
	in(IIR);
	assert_false(fake.level[LINE_COM1]);
	fake.room = 3;
	for (unsigned i = 0; i < 20; i++)
		out(DATA, (uint8_t)('a' + i)); /* 3 go, 16 wait, the last is lost */
	assert_int_equal(fake.n_out, 3);
	assert_int_equal(in(LSR), 0);
	assert_int_equal(in(IIR), 0xC1);
	assert_true(vuart_tx_waiting(&uart));
	vuart_tx_ready(&uart); /* no room yet */
	assert_int_equal(fake.n_out, 3);
	fake.room = 10;
	vuart_tx_ready(&uart);
	assert_int_equal(fake.n_out, 13);
	assert_int_equal(in(LSR), 0);
	assert_false(fake.level[LINE_COM1]);
	fake.room = 100;
	vuart_tx_ready(&uart);
	assert_memory_equal(fake.out, "abcdefghijklmnopqrs", 19);
	assert_int_equal(fake.n_out, 19);
	assert_int_equal(in(LSR), 0x60);
	assert_true(fake.level[LINE_COM1]);
	assert_int_equal(in(IIR), 0xC2);
	assert_false(vuart_tx_waiting(&uart));
	vuart_tx_ready(&uart); /* nothing there: no interrupt either */
	assert_int_equal(in(IIR), 0xC1);
	/* Without FIFOs one byte waits. */
	out(FCR, 0);
	fake.room = 0;
	out(DATA, '1');
	out(DATA, '2');
	fake.room = 9;
	vuart_tx_ready(&uart);
	assert_int_equal(fake.n_out, 20);
	assert_int_equal(fake.out[19], '1');
	/* Clearing the FIFO drops what waits. */
	out(FCR, 0x01);
	fake.room = 0;
	out(DATA, '3');
	assert_int_equal(in(LSR), 0);
	out(FCR, 0x05);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(IIR), 0xC2);
	fake.room = 9;
	vuart_tx_ready(&uart);
	assert_int_equal(fake.n_out, 20);
}

static void test_save_and_load(void **state)
{
	struct vuart other;

	(void)state;
	out(FCR, 0x81);
	out(MCR, 0x0B);
	out(IER, 0x05);
	vuart_receive(&uart, 'x');
	fake.room = 0;
	out(DATA, 'y');
	vuart_init(&other, &fake_host);
	fake_round_trip(&vuart_type, &uart, &other);
	assert_int_equal(vuart_check(&other, NULL), 0);
	fake.room = 1;
	vuart_tx_ready(&other);
	assert_int_equal(fake.out[0], 'y');
	assert_int_equal(vuart_read(&other, DATA), 'x');
	assert_false(fake.level[LINE_COM1]);
}

static void test_hostile_state(void **state)
{
	size_t size = vdev_saved_size(&vuart_type);
	uint8_t *buf = malloc(size);
	unsigned refused = 0;

	(void)state;
	assert_non_null(buf);
	for (size_t i = 0; i < size; i++) {
		for (unsigned value = 0; value < 256; value++) {
			struct reason why = {{0}};
			struct vuart u;

			fake_reset();
			vdev_save(&vuart_type, &uart, buf);
			buf[i] = (uint8_t)value;
			vuart_init(&u, &fake_host);
			assert_int_equal(vdev_load(&vuart_type, &u, buf, size), 0);
			if (vuart_check(&u, &why)) {
				assert_true(strlen(why.text) > 10);
				refused++;
				continue;
			}
			for (uint16_t k = 0; k < 40; k++) {
				vuart_write(&u, k & 7, (uint8_t)(k * 37));
				vuart_read(&u, k & 7);
				vuart_receive(&u, (uint8_t)k);
				fake.room = k & 1;
				vuart_tx_ready(&u);
				assert_int_equal(vuart_check(&u, NULL), 0);
			}
		}
	}
	assert_true(refused > 1000);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_registers, setup),
		cmocka_unit_test_setup(test_linux_finds_a_16550a, setup),
		cmocka_unit_test_setup(test_out2_gates_the_line, setup),
		cmocka_unit_test_setup(test_priorities, setup),
		cmocka_unit_test_setup(test_trigger_levels, setup),
		cmocka_unit_test_setup(test_receive_flow, setup),
		cmocka_unit_test_setup(test_transmit_at_once, setup),
		cmocka_unit_test_setup(test_transmit_to_a_busy_host, setup),
		cmocka_unit_test_setup(test_save_and_load, setup),
		cmocka_unit_test_setup(test_hostile_state, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
