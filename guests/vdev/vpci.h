/*
 * PCI configuration mechanism 1 (ports 0xcf8 and 0xcfc) with a host bridge at 00:00.0. A device
 * that is a PCI function embeds a struct vpci_function and registers it with vpci_add(); an address
 * at which nothing is registered reads all ones. Pure.
 */
#ifndef GUESTS_VDEV_VPCI_H
#define GUESTS_VDEV_VPCI_H

#include "guests/vdev/vdev.h"
#include "lib/reason.h"

#define VPCI_CONFIG_SIZE                256
#define VPCI_MAX_FUNCTIONS              32
#define VPCI_BDF(bus, device, function) ((uint16_t)((bus) << 8 | (device) << 3 | (function)))

/* One function. `config` is its state and belongs into its device's field list; `write_mask` has a
 * one for each bit that the guest may write. */
struct vpci_function {
	uint16_t bdf; /* VPCI_BDF() */
	uint8_t config[VPCI_CONFIG_SIZE];
	uint8_t write_mask[VPCI_CONFIG_SIZE];
};

struct vpci {
	const struct vdev_host *host;
	struct vpci_function *functions[VPCI_MAX_FUNCTIONS];
	unsigned n_functions;

	uint32_t address;
	struct vpci_function bridge;
};

extern const struct vdev_type vpci_type;

/* `v` holds pointers to itself: it must not be moved afterwards. */
void vpci_init(struct vpci *v, const struct vdev_host *host);

/* Clears the address and the bridge; other functions are reset by their devices. */
void vpci_reset(struct vpci *v);

/* Registers a function, which must outlive `v`. ERR_EXISTS: its place is taken; ERR_NO_MEMORY: the
 * table is full. */
int vpci_add(struct vpci *v, struct vpci_function *f);

/*
 * `port`: 0xcf8-0xcff; `size`: 1, 2 or 4. The address register takes 32-bit accesses at 0xcf8 only
 * (8-bit accesses at 0xcf9 are the reset control register, vreset.h); others read all ones and are
 * not taken.
 */
uint32_t vpci_read(struct vpci *v, uint16_t port, unsigned size);
void vpci_write(struct vpci *v, uint16_t port, unsigned size, uint32_t value);

/* Judges loaded fields; ERR_INVALID with a sentence. */
int vpci_check(const struct vpci *v, struct reason *why);

#endif
