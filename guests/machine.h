/*
 * The board of a guest: all its devices, the buses that lead to them, and the wires between them.
 * One page shows which port and which address belongs to which device. Pure.
 *
 * The caller holds `lock` in every call; local APICs are not here, they belong to their vCPUs.
 */
#ifndef GUESTS_MACHINE_H
#define GUESTS_MACHINE_H

#include "guests/vdev/vdebugexit.h"
#include "guests/vdev/vdev.h"
#include "guests/vdev/vfwcfg.h"
#include "guests/vdev/vhpet.h"
#include "guests/vdev/vioapic.h"
#include "guests/vdev/vkbc.h"
#include "guests/vdev/vpci.h"
#include "guests/vdev/vpcitest.h"
#include "guests/vdev/vpic.h"
#include "guests/vdev/vpiix.h"
#include "guests/vdev/vpit.h"
#include "guests/vdev/vpm.h"
#include "guests/vdev/vreset.h"
#include "guests/vdev/vrtc.h"
#include "guests/vdev/vuart.h"
#include "lib/spinlock.h"

struct machine {
	struct spinlock lock;
	const struct vdev_host *host;
	struct vpic pic;
	struct vioapic ioapic;
	struct vpit pit;
	struct vrtc rtc;
	struct vpm pm;
	struct vhpet hpet;
	struct vuart uart;
	struct vkbc kbc;
	struct vreset reset;
	struct vpci pci;
	struct vfwcfg fwcfg;
	struct vpiix piix;        /* of guests with firmware */
	struct vpcitest pci_test; /* on the bus if machine_add_test_device() put it there */
	struct vdebugexit debug_exit;
	bool has_debug_exit;
	uint64_t deadline;       /* guest ns: the earliest of the devices' */
	uint64_t unknown_ports;  /* accesses to ports where nothing is */
	uint64_t unknown_memory; /* and to addresses where nothing is, or where a ROM is not written
				  */
};

/* `host->line` must call machine_line(). `wall_clock`: seconds since 1970, for the clock chip. */
void machine_init(struct machine *m, const struct vdev_host *host, bool debug_exit,
		  uint64_t wall_clock, uint64_t low_memory, uint64_t high_memory);

/* After machine_init(): the items of the firmware configuration device, and whether the guest has
 * the parts of a PC that only firmware looks for. */
void machine_set_firmware(struct machine *m, const struct vfwcfg_items *items, bool has_firmware);

/* Puts the PCI test device on the bus, after machine_init(). */
void machine_add_test_device(struct machine *m);

/* Size 1, 2 or 4. Where nothing is, reads give all ones. */
uint32_t machine_io_read(struct machine *m, uint16_t port, unsigned size);
void machine_io_write(struct machine *m, uint16_t port, unsigned size, uint32_t value);

/* Size 1, 2, 4 or 8. */
uint64_t machine_mmio_read(struct machine *m, uint64_t gpa, unsigned size);
void machine_mmio_write(struct machine *m, uint64_t gpa, unsigned size, uint64_t value);

/* A device drives one of its interrupt lines. */
void machine_line(struct machine *m, unsigned line, bool level);

/* Lets devices whose time has come act; `deadline` is new afterwards. */
void machine_expire(struct machine *m, uint64_t now);

#endif
