/*
 * What firmware for a PC expects besides the host bridge of a 440FX: the PIIX3's ISA bridge at
 * 00:01.0 and the PIIX4's power-management function at 00:01.3. Only guests that start with
 * firmware have them. Pure.
 */
#ifndef GUESTS_VDEV_VPIIX_H
#define GUESTS_VDEV_VPIIX_H

#include "guests/vdev/vpci.h"

struct vpiix {
	struct vpci_function isa;
	struct vpci_function pm;
};

extern const struct vdev_type vpiix_type;

/* Puts both into the reset state, and onto the bus. ERR_EXISTS, ERR_NO_MEMORY as vpci_add(). */
int vpiix_init(struct vpiix *v, struct vpci *bus);

#endif
