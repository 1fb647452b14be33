/*
 * The 8259A pair: priorities, initialisation, acknowledge. Owns nothing beyond its state structure;
 * the machine's lock serialises all calls. Pure.
 *
 * Facts are from Intel's "8259A Programmable Interrupt Controller" data sheet (sections
 * "Initialization Command Words", "Operation Command Words", "Fully Nested Mode", "End of
 * Interrupt", "Automatic Rotation", "Poll Command", "Special Mask Mode", "Edge and Level Triggered
 * Modes", "The Special Fully Nested Mode") and, for ELCR, from the "82371SB (PIIX3)" data sheet.
 *
 * A request exists as long as its line is high: the data sheet wants the line to stay high until
 * the first INTA, and answers with a spurious interrupt 7 if it did not. An acknowledged edge is
 * used up, a level stays. So raising a line sets its IRR bit, lowering it clears it, in both modes,
 * and the trigger mode matters only when a request is acknowledged.
 *
 * Not modelled, because a PC cannot use it: the 8080 call mode, buffered mode, and a cascade other
 * than "slave on input 2" (ICW3 is taken and ignored).
 */
#include "guests/vdev/vpic.h"

#define CASCADE  2
#define SPURIOUS 7

#define ICW1_IC4   0x01
#define ICW1_SNGL  0x02
#define ICW1_LTIM  0x08
#define ICW1       0x10 /* on the command port: starts initialisation */
#define ICW4_AEOI  0x02
#define ICW4_SFNM  0x10
#define OCW3       0x08 /* on the command port without ICW1 */
#define OCW3_RIS   0x01
#define OCW3_RR    0x02
#define OCW3_POLL  0x04
#define OCW3_SMM   0x20
#define OCW3_ESMM  0x40
#define POLL_VALID 0x80

/* OCW2, bits 7 to 5: R, SL, EOI. */
enum {
	OCW2_ROTATE_AEOI_OFF = 0,
	OCW2_EOI = 1,
	OCW2_EOI_SPECIFIC = 3,
	OCW2_ROTATE_AEOI_ON = 4,
	OCW2_ROTATE_EOI = 5,
	OCW2_SET_PRIORITY = 6,
	OCW2_ROTATE_EOI_SPECIFIC = 7,
};

/* Inputs that may be level-triggered: not 0, 1, 2, 8 and 13 (PIIX3, "ELCR1", "ELCR2"). */
static const uint8_t elcr_mask[2] = {0xf8, 0xde};

#define CHIP(n, base_)                                                                           \
	VDEV_FIELD(struct vpic, chip[n].line, 0, "levels of the inputs"),                        \
		VDEV_FIELD(struct vpic, chip[n].irr, 0, "requested"),                            \
		VDEV_FIELD(struct vpic, chip[n].isr, 0, "in service"),                           \
		VDEV_FIELD(struct vpic, chip[n].imr, 0xff, "masked"),                            \
		VDEV_FIELD(struct vpic, chip[n].elcr, 0, "level-triggered"),                     \
		VDEV_FIELD(struct vpic, chip[n].base, base_, "vector of input 0"),               \
		VDEV_FIELD(struct vpic, chip[n].lowest, 7, "input of lowest priority"),          \
		VDEV_FIELD(struct vpic, chip[n].expect, 0, "next initialisation word, 0: none"), \
		VDEV_FIELD(struct vpic, chip[n].want_icw4, 0, "ICW4 was announced"),             \
		VDEV_FIELD(struct vpic, chip[n].single, 0, "no ICW3 was announced"),             \
		VDEV_FIELD(struct vpic, chip[n].all_level, 0, "level mode for all inputs"),      \
		VDEV_FIELD(struct vpic, chip[n].nested, 0, "special fully nested mode"),         \
		VDEV_FIELD(struct vpic, chip[n].auto_eoi, 0, "automatic EOI"),                   \
		VDEV_FIELD(struct vpic, chip[n].rotate_aeoi, 0, "rotate on automatic EOI"),      \
		VDEV_FIELD(struct vpic, chip[n].special_mask, 0, "special mask mode"),           \
		VDEV_FIELD(struct vpic, chip[n].read_isr, 0, "command port reads ISR"),          \
		VDEV_FIELD(struct vpic, chip[n].poll, 0, "next read polls")

static const struct vdev_field fields[] = {
	CHIP(0, 0x08),
	CHIP(1, 0x70),
	VDEV_FIELD(struct vpic, output, 0, "INT of the master"),
};

const struct vdev_type vpic_type = {
	.name = "pic",
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.version = 1,
};

static uint8_t level_mask(const struct vpic_chip *c)
{
	return c->all_level ? 0xff : c->elcr;
}

/* How far input `n` is from the highest priority: 0 to 7. */
static unsigned rank(const struct vpic_chip *c, unsigned n)
{
	return (n - c->lowest - 1u) & 7;
}

/* The input of highest priority among `inputs`, or -1. */
static int first(const struct vpic_chip *c, uint8_t inputs)
{
	unsigned shift = (c->lowest + 1u) & 7;
	unsigned rotated = (((unsigned)inputs << 8 | inputs) >> shift) & 0xff;

	if (!inputs)
		return -1;
	return (int)(((unsigned)__builtin_ctz(rotated) + shift) & 7);
}

/* The input that the chip would interrupt for now, or -1. */
static int request(const struct vpic *p, const struct vpic_chip *c)
{
	int n = first(c, c->irr & (uint8_t)~c->imr);
	int busy;

	if (n < 0 || c->expect)
		return -1;
	busy = first(c, c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr);
	if (busy < 0 || rank(c, (unsigned)n) < rank(c, (unsigned)busy))
		return n;
	/* The slave may have something more urgent than what it is being served for. */
	if (c->nested && c == &p->chip[0] && n == CASCADE && busy == CASCADE)
		return n;
	return -1;
}

static void set_input(struct vpic_chip *c, unsigned n, bool level)
{
	uint8_t bit = (uint8_t)(1u << n);

	if (!level) {
		c->irr &= (uint8_t)~bit;
		c->line &= (uint8_t)~bit;
	} else if (!(c->line & bit)) {
		c->irr |= bit;
		c->line |= bit;
	}
}

/* Carries the slave's INT to the master and the master's to the host. */
static void update(struct vpic *p)
{
	bool out;

	set_input(&p->chip[0], CASCADE, request(p, &p->chip[1]) >= 0);
	out = request(p, &p->chip[0]) >= 0;
	if (out != p->output) {
		p->output = out;
		p->host->pic_int(p->host->ctx, out);
	}
}

/* INTA, seen by one chip that requests for input `n`. */
static void acknowledge(struct vpic *p, struct vpic_chip *c, unsigned n)
{
	uint8_t bit = (uint8_t)(1u << n);

	if (!(level_mask(c) & bit))
		c->irr &= (uint8_t)~bit;
	if (!c->auto_eoi)
		c->isr |= bit;
	else if (c->rotate_aeoi)
		c->lowest = (uint8_t)n;
	/* INT falls during an acknowledge, so that a slave which has more gives the master an edge.
	 */
	if (c == &p->chip[1])
		set_input(&p->chip[0], CASCADE, false);
}

uint8_t vpic_ack(struct vpic *p)
{
	struct vpic_chip *c = &p->chip[0];
	int n = request(p, c);

	if (n >= 0)
		acknowledge(p, c, (unsigned)n);
	if (n == CASCADE) {
		c = &p->chip[1];
		n = request(p, c);
		if (n >= 0)
			acknowledge(p, c, (unsigned)n);
	}
	update(p);
	return (uint8_t)(c->base + (n < 0 ? SPURIOUS : n));
}

static uint8_t poll(struct vpic *p, struct vpic_chip *c)
{
	int n = request(p, c);

	c->poll = 0;
	if (n < 0)
		return 0;
	acknowledge(p, c, (unsigned)n);
	update(p);
	return (uint8_t)(POLL_VALID | n);
}

uint8_t vpic_read(struct vpic *p, uint16_t port)
{
	struct vpic_chip *c = &p->chip[port >> 7 & 1];

	if (unlikely((port & ~0x81) != 0x20))
		return (port & ~1) == 0x4d0 ? p->chip[port & 1].elcr : 0xff;
	if (unlikely(c->poll))
		return poll(p, c);
	if (port & 1)
		return c->imr;
	return c->read_isr ? c->isr : c->irr;
}

static void write_icw1(struct vpic_chip *c, uint8_t val)
{
	c->expect = 2;
	c->want_icw4 = val & ICW1_IC4;
	c->single = !!(val & ICW1_SNGL);
	c->all_level = !!(val & ICW1_LTIM);
	c->irr = c->line & level_mask(c); /* an edge must come anew */
	c->isr = 0;
	c->imr = 0;
	c->lowest = 7;
	c->nested = 0;
	c->auto_eoi = 0;
	c->rotate_aeoi = 0;
	c->special_mask = 0;
	c->read_isr = 0;
	c->poll = 0;
}

static void write_ocw2(struct vpic_chip *c, uint8_t val)
{
	unsigned command = val >> 5;
	int n = val & 7;

	/* In special mask mode a masked level is out of reach of the non-specific EOI. */
	if (command == OCW2_EOI || command == OCW2_ROTATE_EOI)
		n = first(c, c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr);
	if (n < 0)
		return;

	switch (command) {
	case OCW2_ROTATE_AEOI_OFF:
	case OCW2_ROTATE_AEOI_ON:
		c->rotate_aeoi = command == OCW2_ROTATE_AEOI_ON;
		break;
	case OCW2_SET_PRIORITY:
		c->lowest = (uint8_t)n;
		break;
	case OCW2_ROTATE_EOI:
	case OCW2_ROTATE_EOI_SPECIFIC:
		c->lowest = (uint8_t)n;
		c->isr &= (uint8_t) ~(1u << n);
		break;
	case OCW2_EOI:
	case OCW2_EOI_SPECIFIC:
		c->isr &= (uint8_t) ~(1u << n);
		break;
	default: /* 2: no operation */
		break;
	}
}

static void write_ocw3(struct vpic_chip *c, uint8_t val)
{
	if (val & OCW3_ESMM)
		c->special_mask = !!(val & OCW3_SMM);
	if (val & OCW3_POLL)
		c->poll = 1;
	else if (val & OCW3_RR)
		c->read_isr = val & OCW3_RIS;
}

static void write_data(struct vpic_chip *c, uint8_t val)
{
	uint8_t last = c->want_icw4 ? 4 : 0;

	switch (c->expect) {
	case 2:
		c->base = val & 0xf8;
		c->expect = c->single ? last : 3;
		break;
	case 3:
		c->expect = last;
		break;
	case 4:
		c->nested = !!(val & ICW4_SFNM);
		c->auto_eoi = !!(val & ICW4_AEOI);
		c->expect = 0;
		break;
	default:
		c->imr = val;
		break;
	}
}

void vpic_write(struct vpic *p, uint16_t port, uint8_t val)
{
	struct vpic_chip *c = &p->chip[port >> 7 & 1];

	if ((port & ~1) == 0x4d0) {
		c = &p->chip[port & 1];
		c->elcr = val & elcr_mask[port & 1];
		c->irr |= c->line & c->elcr;
	} else if ((port & ~0x81) != 0x20) {
		return;
	} else if (port & 1) {
		write_data(c, val);
	} else if (val & ICW1) {
		write_icw1(c, val);
	} else if (val & OCW3) {
		write_ocw3(c, val);
	} else {
		write_ocw2(c, val);
	}
	update(p);
}

void vpic_line(struct vpic *p, unsigned irq, bool level)
{
	if (irq == CASCADE || irq > 15)
		return;
	set_input(&p->chip[irq >> 3], irq & 7, level);
	update(p);
}

void vpic_reset(struct vpic *p)
{
	bool was = p->output;

	vdev_reset(&vpic_type, p);
	if (was)
		p->host->pic_int(p->host->ctx, false);
}

void vpic_init(struct vpic *p, const struct vdev_host *host)
{
	p->host = host;
	vdev_reset(&vpic_type, p);
}

static int check_chip(const struct vpic_chip *c, unsigned n, struct reason *why)
{
	uint8_t flags = c->want_icw4 | c->single | c->all_level | c->nested | c->auto_eoi |
			c->rotate_aeoi | c->special_mask | c->read_isr | c->poll;

	if (flags > 1)
		return refuse(why, ERR_INVALID, "A flag of 8259 number %u is neither 0 nor 1.", n);
	if (c->lowest > 7 || (c->base & 7) || (c->elcr & ~elcr_mask[n]) || c->expect > 4 ||
	    c->expect == 1)
		return refuse(why, ERR_INVALID,
			      "8259 number %u has a mode, vector or trigger that does not exist.",
			      n);
	/* A request needs its line, and a level cannot be used up. */
	if ((c->irr & ~c->line) || (c->line & level_mask(c) & ~c->irr))
		return refuse(why, ERR_INVALID,
			      "The requests of 8259 number %u do not fit its lines.", n);
	return 0;
}

int vpic_check(const struct vpic *p, struct reason *why)
{
	bool cascade = p->chip[0].line & (1u << CASCADE);
	int err;

	for (unsigned n = 0; n < 2; n++) {
		err = check_chip(&p->chip[n], n, why);
		if (err)
			return err;
	}
	if (cascade != (request(p, &p->chip[1]) >= 0) ||
	    p->output != (request(p, &p->chip[0]) >= 0))
		return refuse(why, ERR_INVALID,
			      "An output of the 8259 pair is not what its requests give.");
	return 0;
}
