/*
 * What a device that a guest sees may ask of the machine that it sits in, and how a device
 * describes its state.
 *
 * A device is plain data (its state structure) beside one pointer to this host interface. It
 * touches nothing else, so it builds and runs in a unit test on the developer's machine. All calls
 * into a device and its timers are made by one vCPU at a time (the machine's lock,
 * guests/machine.c).
 *
 * Time is guest time: nanoseconds since the guest was created, standing still while it is paused.
 * A device with timers keeps the next point at which it wants to be called in a field `deadline`
 * (TIME_NEVER: none); the machine reads it after each call and calls `<device>_expire(dev, now)`
 * when it has passed. `expire` may be called early or late, and must do nothing before its time.
 */
#ifndef GUESTS_VDEV_VDEV_H
#define GUESTS_VDEV_VDEV_H

#include "lib/types.h"

/* Interrupt lines of the board. 0 to 15 are the ISA lines; line n reaches the 8259 pair as IRQ n
 * and the I/O APIC as pin n (line 0, the 8254, as pin 2). 16 to 23 reach the I/O APIC only. Each
 * wire of the PCI bus drives two lines: for the 8259 pair 10 (A and B) or 11 (C and D), and for the
 * I/O APIC its own of 16 to 19. */
enum {
	LINE_PIT = 0,
	LINE_KBD = 1,
	LINE_COM1 = 4,
	LINE_RTC = 8,
	LINE_SCI = 9,
	LINE_PIRQ_AB = 10,
	LINE_PIRQ_CD = 11,
	LINE_PIRQ_A = 16,
	LINE_HPET_FIRST = 20, /* the guest chooses */
	LINE_HPET_COUNT = 4,
	LINE_COUNT = 24,
	LINE_HPET_PIT = LINE_COUNT,
	LINE_HPET_RTC,
};

/* Why a device asks for the machine to be stopped. */
enum vdev_power {
	VDEV_POWER_OFF,   /* ACPI S5 */
	VDEV_POWER_RESET, /* keyboard controller, port 0x92, port 0xcf9, FADT reset register */
	VDEV_POWER_EXIT,  /* debug-exit port: `value` is the guest's status */
};

struct vdev_host {
	void *ctx; /* handed back to each call */

	/* Guest time now, in nanoseconds. */
	uint64_t (*now)(void *ctx);

	/* Sets the level of an interrupt line (LINE_*); an edge is a low-high pair. */
	void (*line)(void *ctx, unsigned line, bool level);

	/* Sends a message-signalled interrupt as a write of `data` to `addr` (the 0xFEExxxxx
	 * format). The I/O APIC delivers through this too. */
	void (*msi)(void *ctx, uint64_t addr, uint32_t data);

	/* The 8259 pair's INT output changed. */
	void (*pic_int)(void *ctx, bool level);

	/* A byte leaves the guest's serial port. False: no room now; the device keeps the byte,
	 * shows its transmitter as busy, and tries again when the machine calls vuart_tx_ready().
	 */
	bool (*serial_out)(void *ctx, uint8_t byte);

	/* Copies from and to guest RAM, for devices that do so themselves. ERR_RANGE, and nothing
	 * was copied, if any byte is not RAM. */
	int (*read_memory)(void *ctx, uint64_t gpa, void *buf, uint64_t len);
	int (*write_memory)(void *ctx, uint64_t gpa, const void *buf, uint64_t len);

	/* The guest asked for its power to be switched, or ended itself with `value`. */
	void (*power)(void *ctx, enum vdev_power what, uint32_t value);
};

/*
 * One list of fields per device: it serves reset, save, restore and documentation. The state
 * structure's members that are listed are its whole guest-visible state; what is left out is the
 * host pointer and what can be derived. Arrays are one entry with a count.
 */
struct vdev_field {
	const char *name;
	const char *doc; /* half a sentence: what it holds, units */
	uint16_t offset; /* in the state structure */
	uint16_t size;   /* of one element, in bytes: 1, 2, 4 or 8 */
	uint16_t count;  /* elements; 1 for a plain member */
	uint64_t reset;  /* each element's value after reset */
};

#define VDEV_FIELD(type, member, reset_, doc_)                                               \
	{                                                                                    \
		.name = #member, .doc = doc_, .offset = offsetof(type, member),              \
		.size = sizeof(((type *)0)->member), .count = 1, .reset = (uint64_t)(reset_) \
	}
#define VDEV_ARRAY(type, member, reset_, doc_)                                                    \
	{                                                                                         \
		.name = #member, .doc = doc_, .offset = offsetof(type, member),                   \
		.size = sizeof(((type *)0)->member[0]), .count = ARRAY_SIZE(((type *)0)->member), \
		.reset = (uint64_t)(reset_)                                                       \
	}

struct vdev_type {
	const char *name;
	const struct vdev_field *fields;
	uint16_t n_fields;
	uint16_t version; /* of the field list, raised when it changes */
};

/* Sets each listed field of `state` to its reset value. */
void vdev_reset(const struct vdev_type *type, void *state);

/* Bytes that vdev_save() writes: fields in list order, little-endian, no padding. */
size_t vdev_saved_size(const struct vdev_type *type);

/* Writes the listed fields to `buf` (vdev_saved_size() bytes). */
void vdev_save(const struct vdev_type *type, const void *state, uint8_t *buf);

/* Reads them back; ERR_INVALID if `size` is not vdev_saved_size(). Values are not judged here: each
 * device's `<device>_check` does that. */
int vdev_load(const struct vdev_type *type, void *state, const uint8_t *buf, size_t size);

#endif
