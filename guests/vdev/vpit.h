/*
 * The 8254 interval timer (ports 0x40-0x43) and system control port B (0x61), which holds the gate
 * of channel 2 and shows its output. Channel 0 drives LINE_PIT. Pure.
 */
#ifndef GUESTS_VDEV_VPIT_H
#define GUESTS_VDEV_VPIT_H

#include "guests/vdev/vdev.h"
#include "lib/reason.h"

#define VPIT_HZ       1193182u
#define VPIT_CHANNELS 3

/* What the counting element of a channel does. */
enum vpit_state {
	VPIT_NO_COUNT, /* control word written, count not yet */
	VPIT_ARMED,    /* modes 1 and 5: waits for a rising gate */
	VPIT_COUNTING,
	VPIT_HELD, /* the gate is low (modes 0, 2, 3, 4) */
};

struct vpit {
	const struct vdev_host *host;

	uint8_t mode[VPIT_CHANNELS];
	uint8_t bcd[VPIT_CHANNELS];
	uint8_t access[VPIT_CHANNELS];
	uint8_t state[VPIT_CHANNELS];
	uint16_t count[VPIT_CHANNELS];
	uint16_t loaded[VPIT_CHANNELS];
	uint8_t null_count[VPIT_CHANNELS];
	uint64_t start[VPIT_CHANNELS];
	uint64_t held[VPIT_CHANNELS];
	uint64_t reload_at[VPIT_CHANNELS];
	uint8_t write_msb[VPIT_CHANNELS];
	uint8_t write_lsb[VPIT_CHANNELS];
	uint8_t read_msb[VPIT_CHANNELS];
	uint8_t latched[VPIT_CHANNELS];
	uint16_t latch[VPIT_CHANNELS];
	uint8_t status_latched[VPIT_CHANNELS];
	uint8_t status[VPIT_CHANNELS];
	uint8_t port61;
	uint8_t out0;
	uint64_t deadline; /* guest ns */
};

extern const struct vdev_type vpit_type;

/* As PC firmware leaves it: channel 0 in mode 3 with the longest period (18.2 Hz), since a guest
 * that is loaded directly has no firmware to set it up. vpit_init() does not touch the line yet. */
void vpit_init(struct vpit *v, const struct vdev_host *host);
void vpit_reset(struct vpit *v);

/* `port`: 0x40-0x43 or 0x61. */
uint8_t vpit_read(struct vpit *v, uint16_t port);
void vpit_write(struct vpit *v, uint16_t port, uint8_t value);

/* Delivers the tick of channel 0 that was due at `deadline`, if `now` has reached it. */
void vpit_expire(struct vpit *v, uint64_t now);

/* Judges loaded fields; ERR_INVALID with a sentence. */
int vpit_check(const struct vpit *v, struct reason *why);

#endif
