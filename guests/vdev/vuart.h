/*
 * A 16550A serial port, COM1 (ports 0x3f8-0x3ff). Drives LINE_COM1 as a level. Pure.
 */
#ifndef GUESTS_VDEV_VUART_H
#define GUESTS_VDEV_VUART_H

#include "guests/vdev/vdev.h"
#include "lib/reason.h"

#define VUART_FIFO 16u

struct vuart {
	const struct vdev_host *host;

	uint8_t ier;
	uint8_t fcr;
	uint8_t lcr;
	uint8_t mcr;
	uint8_t msr;
	uint8_t scr;
	uint8_t dll;
	uint8_t dlm;
	uint8_t overrun;
	uint8_t tx_empty_irq;
	uint8_t rx[VUART_FIFO];
	uint8_t rx_head;
	uint8_t rx_count;
	uint8_t tx[VUART_FIFO];
	uint8_t tx_head;
	uint8_t tx_count;
	uint8_t rx_refused;
	uint8_t irq;
};

extern const struct vdev_type vuart_type;

void vuart_init(struct vuart *v, const struct vdev_host *host);
void vuart_reset(struct vuart *v);

/* `port`: 0x3f8-0x3ff (the low three bits count). */
uint8_t vuart_read(struct vuart *v, uint16_t port);
void vuart_write(struct vuart *v, uint16_t port, uint8_t value);

/*
 * A byte comes in from outside. False: there is no room (or the guest has looped the port back to
 * itself), the caller keeps the byte. `rx_refused` then stays 1 until a byte is taken; the caller
 * tries again when the guest has accessed the port and vuart_can_receive() says that there is room.
 */
bool vuart_receive(struct vuart *v, uint8_t byte);
bool vuart_can_receive(const struct vuart *v);

/* The host has room for output again, after serial_out() had returned false. */
void vuart_tx_ready(struct vuart *v);

/* Bytes wait in the transmitter for vuart_tx_ready(). */
static inline bool vuart_tx_waiting(const struct vuart *v)
{
	return v->tx_count != 0;
}

/* Judges loaded fields; ERR_INVALID with a sentence. */
int vuart_check(const struct vuart *v, struct reason *why);

#endif
