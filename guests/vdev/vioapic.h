/*
 * The I/O APIC that a guest sees: 24 pins, version 0x20 (with the EOI register), in the page at
 * VIOAPIC_BASE. Pure.
 */
#ifndef GUESTS_VDEV_VIOAPIC_H
#define GUESTS_VDEV_VIOAPIC_H

#include "guests/vdev/msi.h"
#include "guests/vdev/vdev.h"
#include "lib/reason.h"

#define VIOAPIC_BASE 0xfec00000ull
#define VIOAPIC_SIZE 0x1000ull
#define VIOAPIC_PINS 24

/* A redirection entry. Everything else in it is reserved and reads 0; the delivery status too,
 * because a message is never on its way for long. */
#define REDIR_VECTOR     0xffull
#define REDIR_MODE_SHIFT 8
#define REDIR_MODE       (7ull << REDIR_MODE_SHIFT)
#define REDIR_LOGICAL    BIT(11)
#define REDIR_LOW        BIT(13) /* active low: stored, see vioapic.c */
#define REDIR_RIRR       BIT(14) /* a level was sent and no EOI came back yet; read-only */
#define REDIR_LEVEL      BIT(15)
#define REDIR_MASKED     BIT(16)
#define REDIR_DEST_SHIFT 56

struct vioapic {
	uint64_t redir[VIOAPIC_PINS];
	uint32_t lines; /* pins whose line is asserted */
	uint8_t id;     /* 0 to 15 */
	uint8_t select; /* IOREGSEL */
	const struct vdev_host *host;
};

extern const struct vdev_type vioapic_type;

/* Binds the device to its host and resets it. */
void vioapic_init(struct vioapic *io, const struct vdev_host *host);

/* Power-on: every pin masked, every line low. */
void vioapic_reset(struct vioapic *io);

/* 32-bit accesses at byte `offset` in the page. What is not a register reads 0 and ignores writes.
 */
uint32_t vioapic_read(const struct vioapic *io, unsigned offset);
void vioapic_write(struct vioapic *io, unsigned offset, uint32_t val);

/* Asserts or releases the line at `pin` (0 to 23; others are ignored). */
void vioapic_line(struct vioapic *io, unsigned pin, bool level);

/* A local APIC ended the level-triggered interrupt `vector`: lines that are still asserted
 * interrupt again. */
void vioapic_eoi(struct vioapic *io, uint8_t vector);

/* ERR_INVALID if loaded state is one that the device can never be in. */
int vioapic_check(const struct vioapic *io, struct reason *why);

#endif
