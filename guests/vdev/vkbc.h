/*
 * The 8042 keyboard controller without a keyboard (ports 0x60 and 0x64): for its reset line, its
 * A20 gate (always open), and so that programs which poll or test it get answers. Drives LINE_KBD.
 * Pure.
 */
#ifndef GUESTS_VDEV_VKBC_H
#define GUESTS_VDEV_VKBC_H

#include "guests/vdev/vdev.h"
#include "lib/reason.h"

struct vkbc {
	const struct vdev_host *host;

	uint8_t config;
	uint8_t status;
	uint8_t data;
	uint8_t command;
};

extern const struct vdev_type vkbc_type;

void vkbc_init(struct vkbc *v, const struct vdev_host *host);
void vkbc_reset(struct vkbc *v);

/* `port`: 0x60 or 0x64. */
uint8_t vkbc_read(struct vkbc *v, uint16_t port);
void vkbc_write(struct vkbc *v, uint16_t port, uint8_t value);

/* Judges loaded fields; ERR_INVALID with a sentence. */
int vkbc_check(const struct vkbc *v, struct reason *why);

#endif
