/*
 * The local APIC's state as a whole: its field list, reset, and the judgement of loaded state.
 * Called by the owner's core. Pure.
 *
 * The ID, the version and PPR are derived, not state: vlapic_sync() puts them into the page.
 *
 * Facts: Intel SDM volume 3, "Local APIC State After Power-Up or Reset" and "Local APIC State After
 * an INIT Reset".
 */
#include "guests/vdev/vlapic_parts.h"
#include "lib/string.h"

_Static_assert(offsetof(struct vlapic, regs) == 0, "a register's offset is its field's offset");

#define REG(register_, reset_, doc_)                                                         \
	{                                                                                    \
		.name = #register_, .doc = doc_, .offset = register_, .size = 4, .count = 1, \
		.reset = reset_                                                              \
	}
#define REG8(register_, doc_)                                                                     \
	REG(register_, 0, doc_ ", vectors 0 to 31"), REG(register_ + 0x10, 0, doc_ ", 32 to 63"), \
		REG(register_ + 0x20, 0, doc_ ", 64 to 95"),                                      \
		REG(register_ + 0x30, 0, doc_ ", 96 to 127"),                                     \
		REG(register_ + 0x40, 0, doc_ ", 128 to 159"),                                    \
		REG(register_ + 0x50, 0, doc_ ", 160 to 191"),                                    \
		REG(register_ + 0x60, 0, doc_ ", 192 to 223"),                                    \
		REG(register_ + 0x70, 0, doc_ ", 224 to 255")

static const struct vdev_field fields[] = {
	REG(LAPIC_TPR, 0, "task priority"),
	REG(LAPIC_LDR, 0, "logical destination"),
	REG(LAPIC_DFR, UINT32_MAX, "destination format"),
	REG(LAPIC_SVR, 0xff, "spurious vector, software enable"),
	REG8(LAPIC_ISR, "in service"),
	REG8(LAPIC_TMR, "accepted as level"),
	REG8(LAPIC_IRR, "requested"),
	REG(LAPIC_ESR, 0, "errors as last latched"),
	REG(LAPIC_ICR, 0, "interrupt command"),
	REG(LAPIC_ICR2, 0, "its destination"),
	REG(LAPIC_LVT_TIMER, LVT_MASKED, "timer interrupt and mode"),
	REG(LAPIC_LVT_THERMAL, LVT_MASKED, "thermal interrupt"),
	REG(LAPIC_LVT_PERF, LVT_MASKED, "performance counter interrupt"),
	REG(LAPIC_LVT_LINT0, LVT_MASKED, "local pin 0"),
	REG(LAPIC_LVT_LINT1, LVT_MASKED, "local pin 1"),
	REG(LAPIC_LVT_ERROR, LVT_MASKED, "error interrupt"),
	REG(LAPIC_TIMER_INIT, 0, "initial count"),
	REG(LAPIC_TIMER_DIVIDE, 0, "divide configuration"),
	VDEV_FIELD(struct vlapic, base, VLAPIC_BASE | APIC_BASE_EN, "IA32_APIC_BASE"),
	VDEV_FIELD(struct vlapic, tsc_deadline, 0, "IA32_TSC_DEADLINE"),
	VDEV_FIELD(struct vlapic, timer_end, TIME_NEVER, "guest ns at which the count is 0"),
	VDEV_FIELD(struct vlapic, errors, 0, "errors since they were latched"),
};

const struct vdev_type vlapic_type = {
	.name = "lapic",
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.version = 1,
};

static void reset(struct vlapic *l, uint64_t base)
{
	vdev_reset(&vlapic_type, l);
	l->base = base;
	if (vlapic_is_x2apic(l))
		lapic_set(l, LAPIC_LDR, x2apic_ldr(l->id));
	vlapic_sync(l);
}

void vlapic_reset(struct vlapic *l)
{
	reset(l, VLAPIC_BASE | APIC_BASE_EN | (l->base & APIC_BASE_BSP));
}

void vlapic_init_signal(struct vlapic *l)
{
	reset(l, l->base);
}

void vlapic_init(struct vlapic *l, const struct vlapic_host *host, uint32_t apic_id, bool bsp)
{
	memset(l, 0, sizeof(*l));
	l->host = host;
	l->id = apic_id;
	l->deadline = TIME_NEVER;
	l->base = bsp ? APIC_BASE_BSP : 0;
	vlapic_reset(l);
}

/* No register has a bit that nothing can set. */
static bool registers_ok(const struct vlapic *l)
{
	static const struct {
		uint16_t offset, count;
		uint32_t settable;
	} regs[] = {
		{LAPIC_TPR, 1, 0xff},
		{LAPIC_SVR, 1, SVR_BITS},
		{LAPIC_ISR, 1, ~ILLEGAL_VECTORS},
		{LAPIC_TMR, 1, ~ILLEGAL_VECTORS},
		{LAPIC_IRR, 1, ~ILLEGAL_VECTORS},
		{LAPIC_ESR, 1, ESR_BITS},
		{LAPIC_ICR, 1, ICR_BITS},
		{LAPIC_LVT_TIMER, 1, LVT_TIMER_BITS},
		{LAPIC_LVT_THERMAL, 2, LVT_MODE_BITS}, /* and performance counters */
		{LAPIC_LVT_LINT0, 2, LVT_LINT_BITS},
		{LAPIC_LVT_ERROR, 1, LVT_ERROR_BITS},
		{LAPIC_TIMER_DIVIDE, 1, DIVIDE_BITS},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
		for (unsigned n = 0; n < regs[i].count; n++) {
			if (lapic_get(l, regs[i].offset + 16 * n) & ~regs[i].settable)
				return false;
		}
	}
	return (lapic_get(l, LAPIC_DFR) | DFR_BITS) == UINT32_MAX && !(l->errors & ~ESR_BITS);
}

/* What each mode fixes. */
static bool mode_ok(const struct vlapic *l)
{
	uint32_t waiting = 0;

	if (l->base & ~(APIC_BASE_ADDR | APIC_BASE_BSP | APIC_BASE_EN | APIC_BASE_EXTD))
		return false;
	if (vlapic_is_x2apic(l))
		return lapic_get(l, LAPIC_LDR) == x2apic_ldr(l->id);
	if ((lapic_get(l, LAPIC_LDR) | lapic_get(l, LAPIC_ICR2)) & ~DEST_BITS)
		return false;
	if (l->base & APIC_BASE_EXTD)
		return false;
	if (l->base & APIC_BASE_EN)
		return true;
	/* Turning it off has reset it, and then nothing reaches it. */
	for (unsigned i = 0; i < 8; i++)
		waiting |= lapic_get(l, LAPIC_IRR + 16 * i) | lapic_get(l, LAPIC_ISR + 16 * i);
	return !waiting && !(lapic_get(l, LAPIC_SVR) & SVR_ENABLE) && l->timer_end == TIME_NEVER;
}

static bool masks_ok(const struct vlapic *l)
{
	uint32_t all = LVT_MASKED;

	for (unsigned lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt += 16)
		all &= lapic_get(l, lvt);
	return all || (lapic_get(l, LAPIC_SVR) & SVR_ENABLE);
}

static bool timer_ok(const struct vlapic *l)
{
	unsigned mode = (lapic_get(l, LAPIC_LVT_TIMER) & LVT_TIMER_MODE) >> LVT_TIMER_SHIFT;
	bool runs = l->timer_end != TIME_NEVER;
	bool init = lapic_get(l, LAPIC_TIMER_INIT);

	switch (mode) {
	case TIMER_ONE_SHOT:
	case TIMER_PERIODIC:
		return !l->tsc_deadline && (init || !runs);
	case TIMER_TSC_DEADLINE:
		return !init && (l->tsc_deadline || !runs);
	default:
		return !init && !l->tsc_deadline && !runs;
	}
}

int vlapic_check(const struct vlapic *l, struct reason *why)
{
	if (!registers_ok(l))
		return refuse(why, ERR_INVALID, "A local APIC register has a reserved bit set.");
	if (!mode_ok(l))
		return refuse(why, ERR_INVALID, "The local APIC's state does not fit its mode.");
	if (!masks_ok(l))
		return refuse(why, ERR_INVALID,
			      "The local APIC is off by software, but has an unmasked source.");
	if (!timer_ok(l))
		return refuse(why, ERR_INVALID,
			      "The local APIC's timer does not fit its mode and count.");
	return 0;
}
