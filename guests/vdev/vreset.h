/*
 * The two ports of a PC that reset it without the keyboard controller: system control port A (0x92)
 * and the reset control register (0xcf9), which the guest's FADT names as its reset register. Pure.
 */
#ifndef GUESTS_VDEV_VRESET_H
#define GUESTS_VDEV_VRESET_H

#include "guests/vdev/vdev.h"
#include "lib/reason.h"

struct vreset {
	const struct vdev_host *host;

	uint8_t control;
};

extern const struct vdev_type vreset_type;

void vreset_init(struct vreset *v, const struct vdev_host *host);
void vreset_reset(struct vreset *v);

/* `port`: 0x92 or 0xcf9. */
uint8_t vreset_read(const struct vreset *v, uint16_t port);
void vreset_write(struct vreset *v, uint16_t port, uint8_t value);

/* Judges loaded fields; ERR_INVALID with a sentence. */
int vreset_check(const struct vreset *v, struct reason *why);

#endif
