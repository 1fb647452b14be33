/*
 * The local APIC's timer: one-shot, periodic and TSC-deadline. Called by the owner's core. Pure.
 *
 * The count is never stored: `timer_end` is the guest time at which it reaches 0, and reads compute
 * it. A masked timer counts on without waking anybody (`deadline` is TIME_NEVER then); each access
 * first settles what happened since, so that an end before the access counts with the mask of then.
 *
 * Facts: Intel SDM volume 3, "APIC Timer" and "TSC-Deadline Mode".
 */
#include "guests/vdev/vlapic_parts.h"

/* A shorter period is stretched to this. Each end costs the host a timer interrupt and an exit, and
 * no guest could serve one a microsecond; the guest that asks pays with a slower tick. */
#define MIN_PERIOD_NS NS_PER_US

static unsigned mode(const struct vlapic *l)
{
	return (lapic_get(l, LAPIC_LVT_TIMER) & LVT_TIMER_MODE) >> LVT_TIMER_SHIFT;
}

/* Initial count and current count mean something. */
static bool counts(const struct vlapic *l)
{
	return mode(l) <= TIMER_PERIODIC;
}

/* "Divide Configuration Register": bits 3, 1 and 0 say 2, 4, ... 128, and 7 says 1. */
static unsigned divide_shift(const struct vlapic *l)
{
	uint32_t d = lapic_get(l, LAPIC_TIMER_DIVIDE);

	return ((d & 3) + (d >> 1 & 4) + 1) & 7;
}

/* From the initial count to 0, in ns. */
static uint64_t duration(const struct vlapic *l)
{
	uint64_t ns = (uint64_t)lapic_get(l, LAPIC_TIMER_INIT) << divide_shift(l);

	return mode(l) == TIMER_PERIODIC ? MAX(ns, MIN_PERIOD_NS) : ns;
}

void vlapic_timer_update(struct vlapic *l)
{
	bool masked = lapic_get(l, LAPIC_LVT_TIMER) & LVT_MASKED;

	l->deadline = masked ? TIME_NEVER : l->timer_end;
}

/* Accounts for the count having reached 0 before `now`. */
static void settle(struct vlapic *l, uint64_t now)
{
	uint32_t lvt = lapic_get(l, LAPIC_LVT_TIMER);

	if (now < l->timer_end || l->timer_end == TIME_NEVER)
		return;
	if (mode(l) == TIMER_PERIODIC) {
		uint64_t period = duration(l);

		l->timer_end += ((now - l->timer_end) / period + 1) * period;
	} else {
		l->timer_end = TIME_NEVER;
		l->tsc_deadline = 0;
	}
	if (!(lvt & LVT_MASKED))
		vlapic_post(l, lvt & LVT_VECTOR, false);
}

static uint64_t settle_now(struct vlapic *l)
{
	uint64_t now = l->host->now(l->host->ctx);

	settle(l, now);
	return now;
}

/* The count at `now`, which is settled. A count that has begun is a whole one: at the start it is
 * the initial count, and 0 only at the end. */
static uint32_t count_at(const struct vlapic *l, uint64_t now)
{
	unsigned shift = divide_shift(l);
	uint64_t all = (uint64_t)lapic_get(l, LAPIC_TIMER_INIT) << shift;
	uint64_t left;

	if (l->timer_end == TIME_NEVER || !counts(l))
		return 0;
	left = MIN(l->timer_end - now, all);
	return (uint32_t)((left + BIT(shift) - 1) >> shift);
}

uint32_t vlapic_timer_count(struct vlapic *l)
{
	uint64_t now = settle_now(l);

	vlapic_timer_update(l);
	return count_at(l, now);
}

void vlapic_timer_write_init(struct vlapic *l, uint32_t val)
{
	uint64_t now;

	if (!counts(l))
		return;
	now = settle_now(l);
	lapic_set(l, LAPIC_TIMER_INIT, val);
	l->timer_end = val ? now + duration(l) : TIME_NEVER;
	vlapic_timer_update(l);
}

/* The count stands and goes on at the new speed. */
void vlapic_timer_write_divide(struct vlapic *l, uint32_t val)
{
	uint64_t now = settle_now(l);
	uint32_t count = count_at(l, now);

	lapic_set(l, LAPIC_TIMER_DIVIDE, val & DIVIDE_BITS);
	if (count)
		l->timer_end = now + ((uint64_t)count << divide_shift(l));
	vlapic_timer_update(l);
}

/* Changing to or from TSC-deadline mode disarms; between one-shot and periodic the count runs on.
 * `val` has no reserved bits. */
void vlapic_timer_write_lvt(struct vlapic *l, uint32_t val)
{
	unsigned old = mode(l);

	settle_now(l);
	lapic_set(l, LAPIC_LVT_TIMER, val);
	if (mode(l) != old && (old >= TIMER_TSC_DEADLINE || !counts(l)))
		vlapic_timer_reset(l);
	vlapic_timer_update(l);
}

void vlapic_timer_reset(struct vlapic *l)
{
	lapic_set(l, LAPIC_TIMER_INIT, 0);
	l->timer_end = TIME_NEVER;
	l->tsc_deadline = 0;
}

/* Translates the TSC deadline to guest time; one that has passed is due at once. */
static void arm_tsc(struct vlapic *l, uint64_t now)
{
	void *ctx = l->host->ctx;

	if (!l->tsc_deadline)
		l->timer_end = TIME_NEVER;
	else if (l->tsc_deadline <= l->host->tsc(ctx))
		l->timer_end = now;
	else
		l->timer_end = l->host->tsc_to_ns(ctx, l->tsc_deadline);
	settle(l, now);
	vlapic_timer_update(l);
}

uint64_t vlapic_tsc_deadline_read(struct vlapic *l)
{
	settle_now(l);
	vlapic_timer_update(l);
	return l->tsc_deadline;
}

void vlapic_tsc_deadline_write(struct vlapic *l, uint64_t tsc)
{
	uint64_t now;

	if (mode(l) != TIMER_TSC_DEADLINE)
		return;
	now = settle_now(l);
	l->tsc_deadline = tsc;
	arm_tsc(l, now);
}

void vlapic_tsc_changed(struct vlapic *l)
{
	if (l->tsc_deadline)
		arm_tsc(l, l->host->now(l->host->ctx));
}

void vlapic_expire(struct vlapic *l, uint64_t now)
{
	settle(l, now);
	vlapic_timer_update(l);
}
