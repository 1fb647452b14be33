/*
 * A PCI device for tests, when the guest's configuration asks for it: it counts the accesses to its
 * two regions, and interrupts on demand by its line, by MSI or by MSI-X. Pure.
 *
 * Its identity is 1af4:10f0. The owner of vendor 1af4 has published the range 10f0 to 10ff for
 * experiments without registration (QEMU's "PCI IDs for QEMU"; PCI-SIG reserves no such range), so
 * it is nobody's product and no driver takes it. Its class is "device does not fit in any defined
 * class".
 *
 * It is a PCI Express endpoint integrated in the root complex, so it has 4 KiB of configuration
 * space, with a vendor-specific extended capability that holds 4 bytes to write. BAR 0 is memory,
 * 32 bits wide; BAR 1 is I/O; BAR 2 is memory, 64 bits wide, with the MSI-X table and pending bits.
 */
#ifndef GUESTS_VDEV_VPCITEST_H
#define GUESTS_VDEV_VPCITEST_H

#include "guests/vdev/vmsi.h"
#include "guests/vdev/vmsix.h"
#include "guests/vdev/vpci.h"

#define VPCITEST_VENDOR      0x1AF4
#define VPCITEST_DEVICE      0x10F0
#define VPCITEST_SLOT        5 /* the device's number on bus 0 */
#define VPCITEST_MEMORY_SIZE 4096
#define VPCITEST_IO_SIZE     128
#define VPCITEST_MSI_LOG2    2 /* 4 vectors */
#define VPCITEST_MSIX        8

/*
 * Registers, the same in both regions: 32 bits, taken by aligned accesses of 4 bytes only; others
 * there read all ones and are not taken. What lies above VPCITEST_COUNTED is counted: a read
 * answers the last value that was written there, of any width.
 */
enum {
	VPCITEST_ID = 0x00,         /* VPCITEST_ID_VALUE */
	VPCITEST_MEM_READS = 0x04,  /* counted reads of memory */
	VPCITEST_MEM_WRITES = 0x08, /* and writes */
	VPCITEST_MEM_LAST = 0x0C,   /* the last value written, low half */
	VPCITEST_MEM_LAST_HIGH = 0x10,
	VPCITEST_MEM_WHERE = 0x14, /* of the last read or write: size << 16 | offset */
	VPCITEST_IO_READS = 0x18,
	VPCITEST_IO_WRITES = 0x1C,
	VPCITEST_IO_LAST = 0x20,
	VPCITEST_IO_WHERE = 0x24,
	VPCITEST_INTX = 0x28, /* bit 0: the level of its interrupt pin */
	VPCITEST_MESSAGE =
		0x2C, /* written: raises that vector; read: how many writes raised none */
	VPCITEST_DROPPED = 0x30, /* messages that went nowhere: no address of interrupts */
	VPCITEST_CLEAR = 0x34,   /* any write: all counters 0 */
	VPCITEST_COUNTED = 0x40,
};

#define VPCITEST_ID_VALUE 0x59524B53u /* "SKRY" */

/* What an accessed region remembers. */
struct vpcitest_region {
	uint32_t reads;
	uint32_t writes;
	uint64_t last;
	uint32_t where;
};

struct vpcitest {
	struct vpci_function function;
	struct vmsi msi;
	struct vmsix msix;
	uint8_t extended[20];
	struct vpcitest_region memory, io;
	uint32_t refused; /* messages that no vector or no enabled capability took */
};

extern const struct vdev_type vpcitest_type;

/* Puts the device on the bus, which must have room for it, and resets it. It must not be moved
 * afterwards. */
void vpcitest_init(struct vpcitest *v, struct vpci *bus);

void vpcitest_reset(struct vpcitest *v);

/* Judges loaded fields; ERR_INVALID with a sentence. */
int vpcitest_check(const struct vpcitest *v, struct reason *why);

#endif
