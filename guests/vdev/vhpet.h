/*
 * The high precision event timers: a 64-bit counter of 100 MHz and three comparators, in the page
 * at BOARD_HPET_ADDR. Drives LINE_HPET_FIRST and the lines after it, sends messages, or takes the
 * places of the 8254 and the real-time clock (LINE_HPET_PIT and LINE_HPET_RTC). Pure.
 */
#ifndef GUESTS_VDEV_VHPET_H
#define GUESTS_VDEV_VHPET_H

#include "guests/board.h"
#include "guests/vdev/vdev.h"
#include "lib/reason.h"

#define VHPET_TIMERS 3

/* The low half of the capabilities, which the ACPI table repeats: vendor, legacy replacement,
 * 64-bit counter, number of the last timer, revision. */
#define VHPET_BLOCK_ID \
	((uint32_t)0x8086 << 16 | BIT32(15) | BIT32(13) | (VHPET_TIMERS - 1) << 8 | 1)

struct vhpet {
	const struct vdev_host *host;

	uint8_t config;
	uint8_t status;
	uint64_t counter;
	uint16_t timer[VHPET_TIMERS];
	uint64_t comparator[VHPET_TIMERS];
	uint64_t period[VHPET_TIMERS];
	uint64_t message[VHPET_TIMERS];
	uint64_t match[VHPET_TIMERS];
	uint32_t edges;
	uint32_t lines;
	uint64_t deadline; /* guest ns */
};

extern const struct vdev_type vhpet_type;

/* Halted at 0, every timer off. */
void vhpet_init(struct vhpet *v, const struct vdev_host *host);

/* `offset` below BOARD_HPET_SIZE. Registers are read in parts of any size (1, 2, 4 or 8) and
 * written in aligned ones of 4 or 8 bytes; other writes do nothing. */
uint64_t vhpet_read(struct vhpet *v, unsigned offset, unsigned size);
void vhpet_write(struct vhpet *v, unsigned offset, unsigned size, uint64_t value);

/* Whether it has taken the places of the 8254 and the real-time clock. */
bool vhpet_replaces_legacy(const struct vhpet *v);

void vhpet_expire(struct vhpet *v, uint64_t now);

/* Judges loaded fields; ERR_INVALID with a sentence. */
int vhpet_check(const struct vhpet *v, struct reason *why);

#endif
