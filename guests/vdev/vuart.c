/*
 * A 16550A serial port, from the PC16550D data sheet ("Registers", "FIFO Interrupt Mode
 * Operation").
 *
 * The line has no speed: a byte written is out at once if the host takes it, and waits in the
 * transmit FIFO otherwise, with the transmitter shown as busy. For the same reason the receiver's
 * time-out interrupt (bytes below the trigger level, nothing more comes) is signalled at once:
 * input is typed, so waiting for more would only add delay. The divisor, parity and break are
 * stored and have no effect; the only receive error is an overrun in loopback.
 *
 * Pure.
 */
#include "guests/vdev/vuart.h"

enum {
	REG_DATA = 0, /* DLL with DLAB */
	REG_IER,      /* DLM with DLAB */
	REG_IIR,      /* FCR when written */
	REG_LCR,
	REG_MCR,
	REG_LSR,
	REG_MSR,
	REG_SCR,
};

#define IER_RX    0x01
#define IER_TX    0x02
#define IER_LINE  0x04
#define IER_MODEM 0x08
#define IER_ALL   0x0F

#define IIR_NONE       0x01
#define IIR_MODEM      0x00
#define IIR_TX         0x02
#define IIR_RX         0x04
#define IIR_LINE       0x06
#define IIR_RX_TIMEOUT 0x0C
#define IIR_FIFO       0xC0

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02
#define FCR_CLEAR_TX 0x04
#define FCR_KEPT     0xC9 /* trigger level, DMA mode, enable */

#define LCR_DLAB 0x80

#define MCR_DTR  0x01
#define MCR_RTS  0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_ALL  0x1F

#define LSR_DATA    0x01
#define LSR_OVERRUN 0x02
#define LSR_THRE    0x20
#define LSR_TEMT    0x40

#define MSR_TERI   0x04 /* RI has fallen; the other deltas are any change */
#define MSR_DELTAS 0x0F
#define MSR_CTS    0x10
#define MSR_DSR    0x20
#define MSR_RI     0x40
#define MSR_DCD    0x80

/* A terminal is there and ready. */
#define MSR_CONNECTED (MSR_DCD | MSR_DSR | MSR_CTS)

static const struct vdev_field fields[] = {
	VDEV_FIELD(struct vuart, ier, 0, "interrupt enable register"),
	VDEV_FIELD(struct vuart, fcr, 0, "FIFO control register"),
	VDEV_FIELD(struct vuart, lcr, 0, "line control register"),
	VDEV_FIELD(struct vuart, mcr, 0, "modem control register"),
	VDEV_FIELD(struct vuart, msr, MSR_CONNECTED, "modem status register"),
	VDEV_FIELD(struct vuart, scr, 0, "scratch register"),
	VDEV_FIELD(struct vuart, dll, 12, "divisor, low byte (12: 9600 baud)"),
	VDEV_FIELD(struct vuart, dlm, 0, "divisor, high byte"),
	VDEV_FIELD(struct vuart, overrun, 0, "1: a received byte was lost"),
	VDEV_FIELD(struct vuart, tx_empty_irq, 0, "1: transmitter-empty interrupt not yet seen"),
	VDEV_ARRAY(struct vuart, rx, 0, "received bytes, a ring"),
	VDEV_FIELD(struct vuart, rx_head, 0, "index of the oldest received byte"),
	VDEV_FIELD(struct vuart, rx_count, 0, "received bytes that wait"),
	VDEV_ARRAY(struct vuart, tx, 0, "bytes to send, a ring"),
	VDEV_FIELD(struct vuart, tx_head, 0, "index of the oldest byte to send"),
	VDEV_FIELD(struct vuart, tx_count, 0, "bytes to send that wait"),
	VDEV_FIELD(struct vuart, rx_refused, 0, "1: the sender holds a byte back"),
	VDEV_FIELD(struct vuart, irq, 0, "level of the interrupt line"),
};

const struct vdev_type vuart_type = {
	.name = "uart",
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.version = 1,
};

static bool fifo_on(const struct vuart *v)
{
	return v->fcr & FCR_ENABLE;
}

/* Bytes that a direction holds. */
static unsigned capacity(const struct vuart *v)
{
	return fifo_on(v) ? VUART_FIFO : 1;
}

static unsigned trigger_level(const struct vuart *v)
{
	static const uint8_t levels[] = {1, 4, 8, 14};

	return fifo_on(v) ? levels[v->fcr >> 6] : 1;
}

/* The interrupt of highest priority. */
static uint8_t interrupt(const struct vuart *v)
{
	if ((v->ier & IER_LINE) && v->overrun)
		return IIR_LINE;
	if ((v->ier & IER_RX) && v->rx_count >= trigger_level(v))
		return IIR_RX;
	if ((v->ier & IER_RX) && v->rx_count)
		return IIR_RX_TIMEOUT;
	if ((v->ier & IER_TX) && v->tx_empty_irq)
		return IIR_TX;
	if ((v->ier & IER_MODEM) && (v->msr & MSR_DELTAS))
		return IIR_MODEM;
	return IIR_NONE;
}

/* On a PC, OUT2 connects the interrupt to the line; loopback holds OUT2 inactive. */
static bool irq_level(const struct vuart *v)
{
	return interrupt(v) != IIR_NONE && (v->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
}

static void update(struct vuart *v)
{
	bool irq = irq_level(v);

	if (irq == v->irq)
		return;
	v->irq = irq;
	v->host->line(v->host->ctx, LINE_COM1, irq);
}

static void push_rx(struct vuart *v, uint8_t byte)
{
	v->rx[(v->rx_head + v->rx_count) % VUART_FIFO] = byte;
	v->rx_count++;
}

static uint8_t pop_rx(struct vuart *v)
{
	uint8_t byte = v->rx[v->rx_head];

	if (v->rx_count == 0)
		return 0;
	v->rx_head = (v->rx_head + 1) % VUART_FIFO;
	v->rx_count--;
	return byte;
}

/* Hands waiting bytes to the host as far as it takes them. */
static void drain_tx(struct vuart *v)
{
	while (v->tx_count && v->host->serial_out(v->host->ctx, v->tx[v->tx_head])) {
		v->tx_head = (v->tx_head + 1) % VUART_FIFO;
		v->tx_count--;
		if (v->tx_count == 0)
			v->tx_empty_irq = 1;
	}
}

static void transmit(struct vuart *v, uint8_t byte)
{
	v->tx_empty_irq = 0;
	if (v->mcr & MCR_LOOP) {
		if (v->rx_count < capacity(v))
			push_rx(v, byte);
		else
			v->overrun = 1;
		v->tx_empty_irq = v->tx_count == 0;
		return;
	}
	if (v->tx_count < capacity(v)) { /* else the guest did not wait: the byte is lost */
		v->tx[(v->tx_head + v->tx_count) % VUART_FIFO] = byte;
		v->tx_count++;
	}
	drain_tx(v);
}

static void clear_rx(struct vuart *v)
{
	v->rx_head = 0;
	v->rx_count = 0;
}

static void clear_tx(struct vuart *v)
{
	if (v->tx_count)
		v->tx_empty_irq = 1;
	v->tx_head = 0;
	v->tx_count = 0;
}

static void write_fcr(struct vuart *v, uint8_t value)
{
	/* A change of the enable bit clears both; without it the other bits are not taken. */
	if ((value ^ v->fcr) & FCR_ENABLE)
		value |= FCR_CLEAR_RX | FCR_CLEAR_TX;
	if (value & FCR_CLEAR_RX)
		clear_rx(v);
	if (value & FCR_CLEAR_TX)
		clear_tx(v);
	v->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
}

/* The modem inputs: a ready terminal, or in loopback the four outputs. */
static uint8_t modem_inputs(const struct vuart *v)
{
	uint8_t inputs = 0;

	if (!(v->mcr & MCR_LOOP))
		return MSR_CONNECTED;
	if (v->mcr & MCR_RTS)
		inputs |= MSR_CTS;
	if (v->mcr & MCR_DTR)
		inputs |= MSR_DSR;
	if (v->mcr & MCR_OUT1)
		inputs |= MSR_RI;
	if (v->mcr & MCR_OUT2)
		inputs |= MSR_DCD;
	return inputs;
}

static void write_mcr(struct vuart *v, uint8_t value)
{
	uint8_t old = v->msr, inputs, deltas;

	v->mcr = value & MCR_ALL;
	inputs = modem_inputs(v);
	deltas = (uint8_t)((old ^ inputs) >> 4);
	if (inputs & MSR_RI)
		deltas &= (uint8_t)~MSR_TERI;
	v->msr = (uint8_t)(inputs | (old & MSR_DELTAS) | deltas);
}

static void write_ier(struct vuart *v, uint8_t value)
{
	/* Enabling the transmitter's interrupt while it is empty raises it again; Linux tests for
	 * this. */
	if ((value & IER_TX) && !(v->ier & IER_TX) && v->tx_count == 0)
		v->tx_empty_irq = 1;
	v->ier = value & IER_ALL;
}

static uint8_t read_iir(struct vuart *v)
{
	uint8_t iir = interrupt(v);

	if (iir == IIR_TX)
		v->tx_empty_irq = 0;
	return fifo_on(v) ? iir | IIR_FIFO : iir;
}

static uint8_t read_lsr(struct vuart *v)
{
	uint8_t lsr = 0;

	if (v->rx_count)
		lsr |= LSR_DATA;
	if (v->overrun)
		lsr |= LSR_OVERRUN;
	if (v->tx_count == 0)
		lsr |= LSR_THRE | LSR_TEMT;
	v->overrun = 0;
	return lsr;
}

static uint8_t read_msr(struct vuart *v)
{
	uint8_t msr = v->msr;

	v->msr &= (uint8_t)~MSR_DELTAS;
	return msr;
}

uint8_t vuart_read(struct vuart *v, uint16_t port)
{
	bool dlab = v->lcr & LCR_DLAB;
	uint8_t value;

	switch (port & 7) {
	case REG_DATA:
		value = dlab ? v->dll : pop_rx(v);
		break;
	case REG_IER:
		value = dlab ? v->dlm : v->ier;
		break;
	case REG_IIR:
		value = read_iir(v);
		break;
	case REG_LCR:
		value = v->lcr;
		break;
	case REG_MCR:
		value = v->mcr;
		break;
	case REG_LSR:
		value = read_lsr(v);
		break;
	case REG_MSR:
		value = read_msr(v);
		break;
	default:
		value = v->scr;
		break;
	}
	update(v);
	return value;
}

void vuart_write(struct vuart *v, uint16_t port, uint8_t value)
{
	bool dlab = v->lcr & LCR_DLAB;

	switch (port & 7) {
	case REG_DATA:
		if (dlab)
			v->dll = value;
		else
			transmit(v, value);
		break;
	case REG_IER:
		if (dlab)
			v->dlm = value;
		else
			write_ier(v, value);
		break;
	case REG_IIR:
		write_fcr(v, value);
		break;
	case REG_LCR:
		v->lcr = value;
		break;
	case REG_MCR:
		write_mcr(v, value);
		break;
	case REG_SCR:
		v->scr = value;
		break;
	default: /* LSR and MSR: factory test and read-only */
		break;
	}
	update(v);
}

bool vuart_can_receive(const struct vuart *v)
{
	return !(v->mcr & MCR_LOOP) && v->rx_count < capacity(v);
}

bool vuart_receive(struct vuart *v, uint8_t byte)
{
	v->rx_refused = !vuart_can_receive(v);
	if (v->rx_refused)
		return false;
	push_rx(v, byte);
	update(v);
	return true;
}

void vuart_tx_ready(struct vuart *v)
{
	drain_tx(v);
	update(v);
}

void vuart_init(struct vuart *v, const struct vdev_host *host)
{
	*v = (struct vuart){.host = host};
	vdev_reset(&vuart_type, v);
}

void vuart_reset(struct vuart *v)
{
	vuart_init(v, v->host);
	v->host->line(v->host->ctx, LINE_COM1, false);
}

int vuart_check(const struct vuart *v, struct reason *why)
{
	if (v->ier & ~IER_ALL || v->mcr & ~MCR_ALL || v->fcr & ~FCR_KEPT ||
	    (v->fcr && !fifo_on(v)) || (v->msr & ~MSR_DELTAS) != modem_inputs(v))
		return refuse(why, ERR_INVALID,
			      "A serial port register has bits that contradict each other.");
	if (v->rx_head >= VUART_FIFO || v->rx_count > capacity(v) || v->tx_head >= VUART_FIFO ||
	    v->tx_count > capacity(v))
		return refuse(why, ERR_INVALID, "A serial port FIFO is out of range.");
	if (v->overrun > 1 || v->tx_empty_irq > 1 || v->rx_refused > 1 ||
	    (v->tx_empty_irq && v->tx_count) || v->irq != irq_level(v))
		return refuse(why, ERR_INVALID, "A serial port flag is out of range.");
	return 0;
}
