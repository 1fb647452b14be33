/*
 * The deciding parts of the UART driver. Pure.
 */
#include "drivers/uart_logic.h"

#include "lib/string.h"

#define BASE_RATE 115200u /* 1.8432 MHz / 16 */

size_t ring_put(struct byte_ring *r, const void *buf, size_t n)
{
	const uint8_t *src = buf;
	uint32_t at = r->head & (r->size - 1);
	size_t first;

	n = MIN(n, (size_t)ring_room(r));
	first = MIN(n, (size_t)(r->size - at));
	memcpy(r->data + at, src, first);
	memcpy(r->data, src + first, n - first);
	r->head += (uint32_t)n;
	return n;
}

size_t ring_take(struct byte_ring *r, void *buf, size_t n)
{
	uint8_t *dst = buf;
	uint32_t at = r->tail & (r->size - 1);
	size_t first;

	n = MIN(n, (size_t)ring_used(r));
	first = MIN(n, (size_t)(r->size - at));
	memcpy(dst, r->data + at, first);
	memcpy(dst + first, r->data, n - first);
	r->tail += (uint32_t)n;
	return n;
}

int uart_port_number(const char *name, struct reason *why)
{
	size_t len = strlen(name);
	const char *comma = strchr(name, ',');

	if (comma)
		len = (size_t)(comma - name);
	if (len == 4 && !memcmp(name, "none", 4))
		return 0;
	if (len == 4 && !memcmp(name, "com", 3) && name[3] >= '1' && name[3] <= '4')
		return name[3] - '0';
	return refuse(why, ERR_INVALID,
		      "no console port '%.*s': say com1, com2, com3, com4 or none",
		      (int)MIN(len, (size_t)32), name);
}

static const struct {
	uint16_t base;
	uint8_t irq;
} ports[] = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};

uint16_t uart_port_base(unsigned number)
{
	return ports[(number - 1) % ARRAY_SIZE(ports)].base;
}

uint8_t uart_port_irq(unsigned number)
{
	return ports[(number - 1) % ARRAY_SIZE(ports)].irq;
}

int uart_divisor(uint32_t baud, struct reason *why)
{
	uint32_t divisor, real, off;

	if (baud < 50 || baud > BASE_RATE)
		return refuse(why, ERR_INVALID,
			      "no UART runs at %u baud: say 50 to 115200, usually 115200 or 9600",
			      baud);
	divisor = (BASE_RATE + baud / 2) / baud;
	real = BASE_RATE / divisor;
	off = real > baud ? real - baud : baud - real;
	if (off * 100 > baud * 3)
		return refuse(why, ERR_INVALID,
			      "%u baud cannot be made from the UART's clock (the nearest is %u)",
			      baud, real);
	return (int)divisor;
}
