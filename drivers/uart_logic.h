/*
 * The parts of the UART driver that decide: byte rings, the divisor, the ports' names. Pure.
 */
#ifndef DRIVERS_UART_LOGIC_H
#define DRIVERS_UART_LOGIC_H

#include "lib/reason.h"
#include "lib/types.h"

/* A ring of bytes between one writer and one reader; the caller serialises them. */
struct byte_ring {
	uint8_t *data;
	uint32_t size;       /* a power of two */
	uint32_t head, tail; /* bytes ever written and taken, modulo 2^32 */
};

static inline uint32_t ring_used(const struct byte_ring *r)
{
	return r->head - r->tail;
}

static inline uint32_t ring_room(const struct byte_ring *r)
{
	return r->size - ring_used(r);
}

/* Both return how many bytes they moved. */
size_t ring_put(struct byte_ring *r, const void *buf, size_t n);
size_t ring_take(struct byte_ring *r, void *buf, size_t n);

/* The number of "com1" to "com4" (1 to 4), 0 for "none", or ERR_INVALID with a sentence. What
 * follows a comma is ignored. */
int uart_port_number(const char *name, struct reason *why);

/* I/O address and ISA interrupt line of COM1 to COM4, as IBM's PC/AT laid them out. */
uint16_t uart_port_base(unsigned number);
uint8_t uart_port_irq(unsigned number);

/* Divisor for `baud` (50 to 115200, within 3 % of a rate that the 1.8432 MHz clock gives), or
 * ERR_INVALID with a sentence. */
int uart_divisor(uint32_t baud, struct reason *why);

#endif
