/*
 * The debug-exit port (0xf4, when the guest's configuration asks for it): a write of 8, 16 or 32
 * bits ends the guest with the value as its status. It has no state. Pure.
 */
#ifndef GUESTS_VDEV_VDEBUGEXIT_H
#define GUESTS_VDEV_VDEBUGEXIT_H

#include "guests/vdev/vdev.h"

struct vdebugexit {
	const struct vdev_host *host;
};

void vdebugexit_init(struct vdebugexit *v, const struct vdev_host *host);

/* `size`: 1, 2 or 4 bytes. Reads give all ones. */
uint32_t vdebugexit_read(const struct vdebugexit *v, unsigned size);
void vdebugexit_write(struct vdebugexit *v, unsigned size, uint32_t value);

#endif
