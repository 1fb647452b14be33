/*
 * The 16550 driver: ports only, what can be decided without them is in uart_logic.c.
 *
 * Owns the console's UART and its two rings. Locking: the rings belong to the boot CPU, which turns
 * its interrupts off around them because the UART's interrupt comes to the same CPU. The emergency
 * path takes no lock: it raises a flag that makes everybody else leave the ports alone.
 *
 * Registers: "PC16550D Universal Asynchronous Receiver/Transmitter with FIFOs", section
 * "Registers".
 */
#include "drivers/uart.h"

#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "drivers/uart_logic.h"
#include "lib/string.h"

#define TX_RING (128 * KIB) /* the longest answer of a command fits */
#define RX_RING (4 * KIB)

enum {
	REG_DATA = 0, /* divisor's low byte when LCR_DLAB is set */
	REG_IER = 1,  /* divisor's high byte when LCR_DLAB is set */
	REG_FCR = 2,  /* write */
	REG_IIR = 2,  /* read */
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
};

#define IER_RX      0x01
#define IER_TX      0x02
#define FCR_ENABLE  0x01
#define FCR_CLEAR   0x06
#define FCR_RX_AT_8 0x80
#define IIR_FIFO    0xc0
#define LCR_8N1     0x03
#define LCR_DLAB    0x80
#define MCR_DTR_RTS 0x03
#define MCR_OUT2    0x08 /* gates the interrupt line on a PC */
#define MCR_LOOP    0x10
#define LSR_RX      0x01
#define LSR_THRE    0x20
#define LSR_TEMT    0x40

#define FIFO_BYTES 16
#define STATUS_LOOKS \
	200000 /* each takes about 1 us on an ISA or LPC bus: some tenths of a second */
#define LOOPBACK_TRIES 3
#define DROP_BYTES     64u
#define DRAIN_LIMIT    2048 /* bytes of waiting output that a dying hypervisor still sends */
#define TX_LOW         512  /* bytes left to send when more is asked for */
#define BURSTS         64   /* FIFO fills in one poll or interrupt */

static uint8_t tx_bytes[TX_RING] __no_dump, rx_bytes[RX_RING] __no_dump;

static struct uart {
	enum {
		UART_UNKNOWN,
		UART_OFF,
		UART_OPEN
	} state;
	uint8_t early; /* COM port to try at an early death */
	uint32_t early_baud;
	uint16_t base;
	uint8_t irq;
	uint8_t fifo; /* bytes that THRE makes room for */
	uint8_t ier;
	bool use_irq;
	bool tx_dead;   /* emergency: the transmitter does not answer */
	bool emergency; /* atomic */
	void (*notify)(void);
	struct byte_ring tx, rx;
} uart = {
	.early = 1,
	.early_baud = 115200,
	.tx = {.data = tx_bytes, .size = TX_RING},
	.rx = {.data = rx_bytes, .size = RX_RING},
};

static uint8_t reg_read(unsigned r)
{
	return in8((uint16_t)(uart.base + r));
}

static void reg_write(unsigned r, uint8_t v)
{
	out8((uint16_t)(uart.base + r), v);
}

/* Waits for any of the LSR bits, for a bounded time. */
static bool wait_status(uint8_t bits)
{
	for (unsigned i = 0; i < STATUS_LOOKS; i++) {
		if (reg_read(REG_LSR) & bits)
			return true;
		cpu_pause();
	}
	return false;
}

static void set_line(uint16_t divisor)
{
	reg_write(REG_IER, 0);
	reg_write(REG_LCR, LCR_DLAB | LCR_8N1);
	reg_write(REG_DATA, (uint8_t)divisor);
	reg_write(REG_IER, (uint8_t)(divisor >> 8));
	reg_write(REG_LCR, LCR_8N1);
	reg_write(REG_FCR, FCR_ENABLE | FCR_CLEAR | FCR_RX_AT_8);
	uart.fifo = (reg_read(REG_IIR) & IIR_FIFO) == IIR_FIFO ? FIFO_BYTES : 1;
}

/* What was received before: without a FIFO nothing else forgets it. */
static void drop_received(void)
{
	for (unsigned i = 0; i < DROP_BYTES && (reg_read(REG_LSR) & LSR_RX); i++)
		(void)reg_read(REG_DATA);
}

static bool probe_comes_back(void)
{
	static const uint8_t probe[] = {0xae, 0x51};

	for (unsigned i = 0; i < sizeof(probe); i++) {
		reg_write(REG_DATA, probe[i]);
		if (!wait_status(LSR_RX) || reg_read(REG_DATA) != probe[i])
			return false;
	}
	return true;
}

/* In loopback mode what is sent is received. A byte that was on its way in when the mode began may
 * come first (a key was pressed): the next try is without it. */
static bool loopback_works(void)
{
	bool ok = false;

	if (reg_read(REG_LSR) == 0xff)
		return false;
	reg_write(REG_MCR, MCR_LOOP | MCR_DTR_RTS);
	for (unsigned i = 0; !ok && i < LOOPBACK_TRIES; i++) {
		drop_received();
		ok = probe_comes_back();
	}
	reg_write(REG_MCR, MCR_DTR_RTS);
	return ok;
}

int uart_open(unsigned number, uint32_t baud, struct reason *why)
{
	int divisor = uart_divisor(baud, why);

	uart.state = UART_OFF;
	if (divisor < 0)
		return divisor;
	uart.base = uart_port_base(number);
	uart.irq = uart_port_irq(number);
	if (reg_read(REG_LSR) != 0xff) { /* firmware's last bytes, at its own speed */
		wait_status(LSR_TEMT);
		set_line((uint16_t)divisor);
		if (loopback_works()) {
			uart.state = UART_OPEN;
			return 0;
		}
	}
	return refuse(
		why, ERR_NOT_FOUND,
		"no UART answers at COM%u (port 0x%x): there is no console; say console=comN for "
		"another port",
		number, uart.base);
}

void uart_early(unsigned number, uint32_t baud)
{
	if (number) {
		uart.early = (uint8_t)number;
		uart.early_baud = baud;
	} else {
		uart_disable();
	}
}

void uart_disable(void)
{
	uart.state = UART_OFF;
}

static bool usable(void)
{
	return uart.state == UART_OPEN && !__atomic_load_n(&uart.emergency, __ATOMIC_RELAXED);
}

/* Asks for the interrupts that there is work for. Input stays in the UART while the ring is full,
 * so that the far end's flow control works where there is any. */
static void update_ier(void)
{
	uint8_t ier = 0;

	if (uart.use_irq) {
		if (ring_room(&uart.rx) >= FIFO_BYTES)
			ier |= IER_RX;
		if (ring_used(&uart.tx))
			ier |= IER_TX;
	}
	if (ier != uart.ier) {
		uart.ier = ier;
		reg_write(REG_IER, ier);
	}
}

/* Interrupts are off. */
static void move_bytes(void)
{
	for (unsigned burst = 0; burst < BURSTS; burst++) {
		uint8_t lsr = reg_read(REG_LSR);
		bool moved = false;

		if ((lsr & LSR_RX) && ring_room(&uart.rx)) {
			uint8_t c = reg_read(REG_DATA);

			ring_put(&uart.rx, &c, 1);
			moved = true;
		}
		if ((lsr & LSR_THRE) && ring_used(&uart.tx)) {
			uint8_t fifo[FIFO_BYTES];
			size_t n = ring_take(&uart.tx, fifo, uart.fifo);

			for (size_t i = 0; i < n; i++)
				reg_write(REG_DATA, fifo[i]);
			moved = true;
		}
		if (!moved)
			break;
	}
	update_ier();
}

static void uart_interrupt(void *ctx)
{
	void (*notify)(void) = ctx;

	if (!usable())
		return;
	reg_read(REG_IIR); /* acknowledges THRE where reading it does */
	move_bytes();
	/* The line is edge-triggered: let it fall, so that a cause that is left makes a new edge.
	 */
	reg_write(REG_IER, 0);
	reg_write(REG_IER, uart.ier);
	if (ring_used(&uart.rx) || ring_used(&uart.tx) <= TX_LOW)
		notify();
}

int uart_enable_irq(void (*notify)(void))
{
	uint8_t vector = (uint8_t)(VECTOR_IRQ_BASE + uart.irq);
	int err;

	if (!usable())
		return ERR_NOT_FOUND;
	irq_register(vector, uart_interrupt, (void *)notify);
	err = irq_route_isa(uart.irq, vector);
	if (err)
		return err;
	uart.use_irq = true;
	reg_write(REG_MCR, MCR_DTR_RTS | MCR_OUT2);
	uart_poll();
	return 0;
}

void uart_poll(void)
{
	bool on;

	if (!usable())
		return;
	on = irq_save();
	move_bytes();
	irq_restore(on);
}

size_t uart_tx_pending(void)
{
	return ring_used(&uart.tx);
}

size_t uart_write(const void *buf, size_t n)
{
	bool on;
	size_t done;

	if (!usable())
		return n;
	on = irq_save();
	done = ring_put(&uart.tx, buf, n);
	update_ier();
	irq_restore(on);
	return done;
}

size_t uart_read(void *buf, size_t n)
{
	bool on;
	size_t done;

	if (!usable())
		return 0;
	on = irq_save();
	done = ring_take(&uart.rx, buf, n);
	update_ier();
	irq_restore(on);
	return done;
}

void uart_emergency_begin(void)
{
	struct reason why;
	uint8_t c;

	if (__atomic_exchange_n(&uart.emergency, true, __ATOMIC_ACQ_REL))
		return;
	if (uart.state == UART_UNKNOWN)
		uart_open(uart.early, uart.early_baud, &why);
	if (uart.state != UART_OPEN)
		return;
	reg_write(REG_IER, 0);
	for (unsigned i = 0; i < DRAIN_LIMIT && ring_take(&uart.tx, &c, 1); i++)
		uart_emergency_write((const char *)&c, 1);
}

void uart_emergency_write(const char *text, size_t n)
{
	for (size_t i = 0; i < n && uart.state == UART_OPEN && !uart.tx_dead; i++) {
		if (wait_status(LSR_THRE))
			reg_write(REG_DATA, (uint8_t)text[i]);
		else
			uart.tx_dead = true;
	}
}

void uart_emergency_end(void)
{
	if (uart.state == UART_OPEN && !uart.tx_dead)
		wait_status(LSR_TEMT);
}
