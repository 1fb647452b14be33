/*
 * The pair of 8259A interrupt controllers that a guest sees: ports 0x20, 0x21 (master), 0xa0, 0xa1
 * (slave, on the master's input 2), and the edge/level control registers at 0x4d0 and 0x4d1. Pure.
 */
#ifndef GUESTS_VDEV_VPIC_H
#define GUESTS_VDEV_VPIC_H

#include "guests/vdev/vdev.h"
#include "lib/reason.h"

/* One 8259A. Flags are 0 or 1. */
struct vpic_chip {
	uint8_t line;      /* level of each input */
	uint8_t irr;       /* requests: latched edges, or the level of level-triggered inputs */
	uint8_t isr;       /* in service */
	uint8_t imr;       /* masked */
	uint8_t elcr;      /* level-triggered inputs */
	uint8_t base;      /* vector of input 0 */
	uint8_t lowest;    /* input with the lowest priority; the next one has the highest */
	uint8_t expect;    /* initialisation word that comes next: 2, 3 or 4; 0: initialised */
	uint8_t want_icw4; /* ICW1 announced an ICW4 */
	uint8_t single;    /* ICW1 said that no ICW3 comes */
	uint8_t all_level; /* ICW1's LTIM: every input is level-triggered */
	uint8_t nested;    /* special fully nested mode */
	uint8_t auto_eoi;
	uint8_t rotate_aeoi; /* rotate priorities on automatic EOI */
	uint8_t special_mask;
	uint8_t read_isr; /* the command port reads ISR, not IRR */
	uint8_t poll;     /* the next read is a poll */
};

struct vpic {
	struct vpic_chip chip[2]; /* master, slave */
	uint8_t output;           /* the master's INT, as last told to the host */
	const struct vdev_host *host;
};

extern const struct vdev_type vpic_type;

/* Binds the device to its host and resets it. */
void vpic_init(struct vpic *p, const struct vdev_host *host);

/* Power-on: every line low and masked, vectors 0x08 and 0x70 as PC firmware leaves them, so that a
 * guest which was started without firmware sees what it expects. */
void vpic_reset(struct vpic *p);

/* One-byte port accesses to the six ports above. Other ports: reads give 0xff, writes do nothing.
 */
uint8_t vpic_read(struct vpic *p, uint16_t port);
void vpic_write(struct vpic *p, uint16_t port, uint8_t val);

/* Sets the level of ISA line `irq`, 0 to 15. Line 2 does not exist (the slave sits there); it and
 * lines above 15 are ignored. */
void vpic_line(struct vpic *p, unsigned irq, bool level);

/* The processor acknowledges (two INTA cycles): returns the vector. Without a request that is the
 * spurious one, input 7 of the chip that was asked. */
uint8_t vpic_ack(struct vpic *p);

/* The INT output. */
static inline bool vpic_output(const struct vpic *p)
{
	return p->output;
}

/* ERR_INVALID if loaded state is one that the device can never be in. */
int vpic_check(const struct vpic *p, struct reason *why);

#endif
