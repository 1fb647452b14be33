/*
 * The MSI-X capability of a PCI function with its table of messages and its pending bits, which are
 * in a memory region of the function (PCI Local Bus Specification 3.0, "MSI-X Capability and Table
 * Structures"). Pure.
 */
#ifndef GUESTS_VDEV_VMSIX_H
#define GUESTS_VDEV_VMSIX_H

#include "guests/vdev/vpci.h"

#define VMSIX_MAX_VECTORS 8
#define VMSIX_BAR_SIZE    4096 /* the table at its begin, the pending bits in its upper half */
#define VMSIX_PENDING     0x800

/* Words of a table entry. */
enum {
	VMSIX_ADDRESS,
	VMSIX_ADDRESS_HIGH,
	VMSIX_DATA,
	VMSIX_CONTROL, /* bit 0: masked; the others are reserved */
	VMSIX_WORDS,
};

/* `table` and `pending` belong into the device's field list; the control register is in the
 * function's configuration space. */
struct vmsix {
	struct vpci_function *f;
	uint8_t cap; /* its offset in configuration space */
	uint8_t n_vectors;
	uint32_t table[VMSIX_MAX_VECTORS * VMSIX_WORDS];
	uint64_t pending; /* one bit for each vector */
};

/* Gives `f` the capability with `n_vectors` (1 to VMSIX_MAX_VECTORS), in a region that is BAR `bar`
 * with VMSIX_BAR_SIZE bytes. `m` must outlive `f`. */
void vmsix_init(struct vmsix *m, struct vpci_function *f, unsigned bar, unsigned n_vectors);

/* Power-on: every vector masked, nothing pends. */
void vmsix_reset(struct vmsix *m);

bool vmsix_enabled(const struct vmsix *m);

/* Raises a vector: it pends until neither it nor the function is masked and the function may master
 * the bus. False: there is none such. */
bool vmsix_raise(struct vmsix *m, unsigned vector);

/* Sends what pends and may go; called after each write to configuration space and to the table. */
void vmsix_deliver(struct vmsix *m);

/* Accesses to the region: aligned ones of 4 or 8 bytes; others read all ones and are not taken. */
uint64_t vmsix_read(const struct vmsix *m, unsigned offset, unsigned size);
void vmsix_write(struct vmsix *m, unsigned offset, unsigned size, uint64_t value);

/* Judges loaded state. */
int vmsix_check(const struct vmsix *m, struct reason *why);

#endif
