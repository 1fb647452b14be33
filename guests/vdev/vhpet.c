/*
 * The high precision event timers, from the IA-PC HPET specification 1.0a ("Memory Mapped
 * Registers", "Timer Operation Modes", "Legacy Replacement Route", "FSB Interrupt Delivery").
 *
 * Nothing here counts. While the main counter runs it is guest time in ticks of 10 ns plus
 * `counter`; each timer keeps the tick of guest time at which its comparator matches next. What
 * has matched since is worked off when somebody looks, and only timers whose interrupts are on have
 * a deadline.
 *
 * All timers are alike: 64 bits, which a guest may cut to 32, and periodic. A comparator matches
 * where the counter is equal to it, so one that was passed already matches a wrap later. A write
 * to a periodic timer's comparator is its new period, with VAL_SET its next match besides.
 *
 * Pure.
 */
#include "guests/vdev/vhpet.h"

#include "guests/vdev/msi.h"

#define TICK_NS   10u
#define PERIOD_FS 10000000ull /* of a tick */

/* Interrupts of a periodic timer come not closer together than this, however small its period: one
 * stands for several then, so that the host's timer does not fire without a pause. */
#define MIN_PERIOD_NS (100 * NS_PER_US)

#define REG_ID      0x000
#define REG_CONFIG  0x010
#define REG_STATUS  0x020
#define REG_COUNTER 0x0F0
#define REG_TIMERS  0x100 /* 0x20 bytes for each */
#define TIMER_SHIFT 5

#define TIMER_CONFIG     0x00 /* in a timer's registers */
#define TIMER_COMPARATOR 0x08
#define TIMER_MESSAGE    0x10

#define CONFIG_ENABLE BIT32(0)
#define CONFIG_LEGACY BIT32(1)
#define CONFIG_BITS   (CONFIG_ENABLE | CONFIG_LEGACY)

#define T_LEVEL        BIT32(1)
#define T_INTERRUPT    BIT32(2)
#define T_PERIODIC     BIT32(3)
#define T_CAN_PERIODIC BIT32(4)
#define T_CAN_64       BIT32(5)
#define T_VAL_SET      BIT32(6)
#define T_32           BIT32(8)
#define T_ROUTE_SHIFT  9
#define T_ROUTE        (31u << T_ROUTE_SHIFT)
#define T_MESSAGE      BIT32(14)
#define T_CAN_MESSAGE  BIT32(15)
#define T_ROUTES_SHIFT 32
#define T_WRITABLE     (T_LEVEL | T_INTERRUPT | T_PERIODIC | T_VAL_SET | T_32 | T_ROUTE | T_MESSAGE)
#define T_CAPABILITIES (T_CAN_PERIODIC | T_CAN_64 | T_CAN_MESSAGE)

/* Pins of the I/O APIC that a guest may choose. */
#define ROUTES (((1u << LINE_HPET_COUNT) - 1) << LINE_HPET_FIRST)

#define LINES (ROUTES | BIT32(LINE_HPET_PIT) | BIT32(LINE_HPET_RTC))

/* Ticks of guest time beyond this are centuries away: never. */
#define TICK_MAX BIT(60)
#define NO_MATCH UINT64_MAX

static const struct vdev_field fields[] = {
	VDEV_FIELD(struct vhpet, config, 0, "general configuration"),
	VDEV_FIELD(struct vhpet, status, 0, "levels that wait for their end, one bit each"),
	VDEV_FIELD(struct vhpet, counter, 0,
		   "main counter; while it runs, less guest time in ticks"),
	VDEV_ARRAY(struct vhpet, timer, 0, "what is writable of a timer's configuration"),
	VDEV_ARRAY(struct vhpet, comparator, UINT64_MAX, "comparator: the next match"),
	VDEV_ARRAY(struct vhpet, period, 0, "ticks between matches of a periodic timer"),
	VDEV_ARRAY(struct vhpet, message, 0, "data and address of the message"),
	VDEV_ARRAY(struct vhpet, match, NO_MATCH, "next match, in ticks of guest time"),
	VDEV_FIELD(struct vhpet, edges, 0, "lines that an edge left high, one bit each"),
	VDEV_FIELD(struct vhpet, lines, 0, "lines held high, one bit each"),
	VDEV_FIELD(struct vhpet, deadline, TIME_NEVER, "next interrupt, guest ns"),
};

const struct vdev_type vhpet_type = {
	.name = "hpet",
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.version = 1,
};

static uint64_t time_now(const struct vhpet *v)
{
	return v->host->now(v->host->ctx);
}

static bool running(const struct vhpet *v)
{
	return v->config & CONFIG_ENABLE;
}

bool vhpet_replaces_legacy(const struct vhpet *v)
{
	return v->config & CONFIG_LEGACY;
}

static uint64_t counter_at(const struct vhpet *v, uint64_t tick)
{
	return running(v) ? v->counter + tick : v->counter;
}

/* The bits that a timer compares. */
static uint64_t width(const struct vhpet *v, unsigned t)
{
	return v->timer[t] & T_32 ? UINT32_MAX : UINT64_MAX;
}

static uint64_t later(uint64_t tick, uint64_t distance)
{
	return distance > TICK_MAX || tick + distance > TICK_MAX ? NO_MATCH : tick + distance;
}

/* Looks anew when timer `t` matches: at `tick` already, if its comparator is what the counter
 * shows. */
static void find_match(struct vhpet *v, unsigned t, uint64_t tick)
{
	uint64_t distance = (v->comparator[t] - counter_at(v, tick)) & width(v, t);

	v->match[t] = running(v) ? later(tick, distance) : NO_MATCH;
}

/* ---- interrupts ---- */

/* The line of timer `t`, which does not send messages; 0: it was given none. */
static unsigned line_of(const struct vhpet *v, unsigned t)
{
	if (vhpet_replaces_legacy(v) && t < 2)
		return t == 0 ? LINE_HPET_PIT : LINE_HPET_RTC;
	return (v->timer[t] & T_ROUTE) >> T_ROUTE_SHIFT;
}

/* Sets the lines to what the levels of all timers together ask for. An edge leaves its line high,
 * as the 8259s want it. */
static void drive_lines(struct vhpet *v)
{
	uint32_t lines = v->edges;
	uint32_t changed;

	for (unsigned t = 0; t < VHPET_TIMERS; t++)
		if (running(v) && (v->status & BIT32(t)) && (v->timer[t] & T_LEVEL) &&
		    (v->timer[t] & T_INTERRUPT) && !(v->timer[t] & T_MESSAGE))
			lines |= BIT32(line_of(v, t)) & ~BIT32(0);
	changed = lines ^ v->lines;
	v->lines = lines;
	for (unsigned line = 0; changed; line++, changed >>= 1)
		if (changed & 1)
			v->host->line(v->host->ctx, line, lines >> line & 1);
}

/* A message is written where the guest says; only that of an interrupt has an effect. */
static void send(struct vhpet *v, unsigned t)
{
	uint64_t addr = v->message[t] >> 32;

	if (addr >> 20 == MSI_ADDR_BASE >> 20)
		v->host->msi(v->host->ctx, addr, (uint32_t)v->message[t]);
}

/* Timer `t` has matched, once or more often. */
static void interrupt(struct vhpet *v, unsigned t)
{
	unsigned line = line_of(v, t);

	if (v->timer[t] & T_LEVEL) /* drive_lines() does the rest */
		v->status |= (uint8_t)BIT32(t);
	if (!(v->timer[t] & T_INTERRUPT))
		return;
	if (v->timer[t] & T_MESSAGE) {
		send(v, t);
	} else if (!(v->timer[t] & T_LEVEL) && line) {
		v->edges &= ~BIT32(line);
		drive_lines(v);
		v->edges |= BIT32(line);
		drive_lines(v);
	}
}

/* ---- matches ---- */

/* Works off the matches of timer `t` up to `tick`: the next one is after it. */
static bool pass(struct vhpet *v, unsigned t, uint64_t tick)
{
	uint64_t step = v->timer[t] & T_PERIODIC ? v->period[t] & width(v, t) : 0;
	uint64_t missed;

	if (tick < v->match[t])
		return false;
	if (!step) { /* it stays where it is, and the counter comes round */
		missed = (tick - v->match[t]) >> 32;
		v->match[t] = v->timer[t] & T_32 ? v->match[t] + ((missed + 1) << 32) : NO_MATCH;
		return true;
	}
	missed = (tick - v->match[t]) / step;
	v->comparator[t] = (v->comparator[t] + missed * step + step) & width(v, t);
	v->match[t] = later(v->match[t] + missed * step, step);
	return true;
}

static void sync(struct vhpet *v, uint64_t now)
{
	for (unsigned t = 0; t < VHPET_TIMERS; t++)
		if (pass(v, t, now / TICK_NS))
			interrupt(v, t);
	drive_lines(v);
}

static void set_deadline(struct vhpet *v, uint64_t now)
{
	v->deadline = TIME_NEVER;
	for (unsigned t = 0; t < VHPET_TIMERS; t++) {
		uint64_t at;

		if (!(v->timer[t] & T_INTERRUPT) || v->match[t] == NO_MATCH)
			continue;
		at = v->match[t] * TICK_NS;
		if ((v->timer[t] & T_PERIODIC) && v->period[t] < MIN_PERIOD_NS / TICK_NS)
			at = MAX(at, now + MIN_PERIOD_NS);
		v->deadline = MIN(v->deadline, at);
	}
}

void vhpet_expire(struct vhpet *v, uint64_t now)
{
	if (now < v->deadline)
		return;
	sync(v, now);
	set_deadline(v, now);
}

/* ---- registers ---- */

static uint64_t read_timer(const struct vhpet *v, unsigned t, unsigned reg)
{
	switch (reg) {
	case TIMER_CONFIG:
		return (uint64_t)ROUTES << T_ROUTES_SHIFT | T_CAPABILITIES |
		       (v->timer[t] & ~T_VAL_SET);
	case TIMER_COMPARATOR:
		return v->comparator[t] & width(v, t);
	case TIMER_MESSAGE:
		return v->message[t];
	default:
		return 0;
	}
}

static uint64_t read_register(const struct vhpet *v, unsigned offset, uint64_t now)
{
	unsigned t = (offset - REG_TIMERS) >> TIMER_SHIFT;

	switch (offset) {
	case REG_ID:
		return PERIOD_FS << 32 | VHPET_BLOCK_ID;
	case REG_CONFIG:
		return v->config;
	case REG_STATUS:
		return v->status;
	case REG_COUNTER:
		return counter_at(v, now / TICK_NS);
	default:
		return offset >= REG_TIMERS && t < VHPET_TIMERS ? read_timer(v, t, offset & 0x18)
								: 0;
	}
}

/* The main counter's reading needs no timer to be looked at: systems tell the time by it. */
uint64_t vhpet_read(struct vhpet *v, unsigned offset, unsigned size)
{
	uint64_t now = time_now(v);
	uint64_t value;

	if ((offset & ~7u) != REG_COUNTER) {
		sync(v, now);
		set_deadline(v, now);
	}
	value = read_register(v, offset & ~7u, now) >> 8 * (offset & 7);
	return size == 8 ? value : value & (BIT(8 * size) - 1);
}

/* `mask`: the bits of the register that are written. */
static uint64_t merge(uint64_t old, uint64_t value, uint64_t mask)
{
	return (old & ~mask) | (value & mask);
}

static void write_config(struct vhpet *v, uint64_t value, uint64_t tick)
{
	uint64_t counter = counter_at(v, tick);
	uint8_t changed = (value ^ v->config) & CONFIG_BITS;

	v->config ^= changed;
	if (changed & CONFIG_LEGACY)
		v->edges = 0;
	if (!(changed & CONFIG_ENABLE))
		return;
	v->counter = running(v) ? counter - tick : counter;
	for (unsigned t = 0; t < VHPET_TIMERS; t++)
		find_match(v, t, tick);
}

static void write_counter(struct vhpet *v, uint64_t value, uint64_t mask, uint64_t tick)
{
	value = merge(counter_at(v, tick), value, mask);
	v->counter = running(v) ? value - tick : value;
	for (unsigned t = 0; t < VHPET_TIMERS; t++)
		find_match(v, t, tick);
}

/* A route that there is not leaves the old one, which the guest can read. */
static void write_timer_config(struct vhpet *v, unsigned t, uint64_t value, uint64_t tick)
{
	uint64_t route = (value & T_ROUTE) >> T_ROUTE_SHIFT;

	value &= T_WRITABLE;
	if (!(ROUTES >> route & 1))
		value = merge(value, v->timer[t], T_ROUTE);
	if ((value ^ v->timer[t]) & (T_LEVEL | T_INTERRUPT | T_ROUTE | T_MESSAGE))
		v->edges &= ~BIT32(line_of(v, t));
	v->timer[t] = (uint16_t)value;
	v->comparator[t] &= width(v, t);
	v->period[t] &= width(v, t);
	find_match(v, t, tick);
}

static void write_comparator(struct vhpet *v, unsigned t, uint64_t value, uint64_t mask,
			     uint64_t tick)
{
	mask &= width(v, t);
	if (v->timer[t] & T_PERIODIC)
		v->period[t] = merge(v->period[t], value, mask);
	if (!(v->timer[t] & T_PERIODIC) || (v->timer[t] & T_VAL_SET)) {
		v->comparator[t] = merge(v->comparator[t], value, mask);
		find_match(v, t, tick);
	}
	v->timer[t] &= (uint16_t)~T_VAL_SET;
}

static void write_timer(struct vhpet *v, unsigned t, unsigned reg, uint64_t value, uint64_t mask,
			uint64_t tick)
{
	if (reg == TIMER_CONFIG && (mask & UINT32_MAX))
		write_timer_config(v, t, value, tick);
	else if (reg == TIMER_COMPARATOR)
		write_comparator(v, t, value, mask, tick);
	else if (reg == TIMER_MESSAGE)
		v->message[t] = merge(v->message[t], value, mask);
}

static void write_register(struct vhpet *v, unsigned offset, uint64_t value, uint64_t mask,
			   uint64_t tick)
{
	unsigned t = (offset - REG_TIMERS) >> TIMER_SHIFT;

	if (offset == REG_CONFIG && (mask & UINT32_MAX))
		write_config(v, value, tick);
	else if (offset == REG_STATUS)
		v->status &= (uint8_t) ~(value & mask);
	else if (offset == REG_COUNTER)
		write_counter(v, value, mask, tick);
	else if (offset >= REG_TIMERS && t < VHPET_TIMERS)
		write_timer(v, t, offset & 0x18, value, mask, tick);
}

void vhpet_write(struct vhpet *v, unsigned offset, unsigned size, uint64_t value)
{
	uint64_t now = time_now(v);
	unsigned shift = 8 * (offset & 7);

	if (size < 4 || offset % size)
		return;
	sync(v, now); /* a match that is due comes before what the write changes */
	write_register(v, offset & ~7u, value << shift,
		       size == 8 ? UINT64_MAX : (uint64_t)UINT32_MAX << shift, now / TICK_NS);
	drive_lines(v);
	set_deadline(v, now);
}

void vhpet_init(struct vhpet *v, const struct vdev_host *host)
{
	*v = (struct vhpet){.host = host};
	vdev_reset(&vhpet_type, v);
}

int vhpet_check(const struct vhpet *v, struct reason *why)
{
	if ((v->config & ~CONFIG_BITS) || v->status >> VHPET_TIMERS ||
	    ((v->lines | v->edges) & ~LINES))
		return refuse(why, ERR_INVALID,
			      "The high precision event timers have a reserved bit set.");
	for (unsigned t = 0; t < VHPET_TIMERS; t++) {
		uint32_t route = (v->timer[t] & T_ROUTE) >> T_ROUTE_SHIFT;

		if ((v->timer[t] & ~T_WRITABLE) || (route && !(ROUTES >> route & 1)) ||
		    (v->comparator[t] & ~width(v, t)) || (v->period[t] & ~width(v, t)))
			return refuse(why, ERR_INVALID,
				      "The high precision event timer %u is set up as none can be.",
				      t);
		if (v->match[t] != NO_MATCH && (!running(v) || v->match[t] > TICK_MAX))
			return refuse(why, ERR_INVALID,
				      "The high precision event timer %u matches out of range.", t);
	}
	return 0;
}
