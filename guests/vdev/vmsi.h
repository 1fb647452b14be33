/*
 * The MSI capability of a PCI function: 64-bit addresses, up to 32 vectors with a mask for each
 * (PCI Local Bus Specification 3.0, "MSI Capability Structure"). All its state is in the function's
 * configuration space. Pure.
 */
#ifndef GUESTS_VDEV_VMSI_H
#define GUESTS_VDEV_VMSI_H

#include "guests/vdev/vpci.h"

struct vmsi {
	struct vpci_function *f;
	uint8_t cap; /* its offset in configuration space */
	uint8_t log2_vectors;
};

/* Gives `f` the capability with 1 << `log2_vectors` vectors (at most 5). `m` must outlive `f`. */
void vmsi_init(struct vmsi *m, struct vpci_function *f, unsigned log2_vectors);

bool vmsi_enabled(const struct vmsi *m);

/*
 * Raises a vector: it pends until it is not masked and the function may master the bus. If the
 * guest allocated fewer vectors than there are, the low bits of `vector` choose. False: there is
 * none such.
 */
bool vmsi_raise(struct vmsi *m, unsigned vector);

/* Sends what pends and may go; called after each write to configuration space. */
void vmsi_deliver(struct vmsi *m);

#endif
