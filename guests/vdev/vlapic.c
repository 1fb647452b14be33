/*
 * The local APIC's core: what waits and what is in service, priorities, modes, logical and physical
 * addresses, local sources. Owns nothing beyond struct vlapic. Pure.
 *
 * Locking: none. The owner's core calls everything; vlapic_post() and vlapic_matches() come from
 * any core and touch IRR, TMR, `errors` and `posted` by atomic operations only. A poster sets IRR
 * first and `posted` after; the owner clears `posted` first and reads IRR after. So either the
 * owner sees the new bit, or `posted` is set again and the poster was told to kick.
 *
 * Facts are from the Intel SDM volume 3, chapter "Advanced Programmable Interrupt Controller"
 * (APIC), and the AMD APM volume 2, chapter of the same name.
 */
#include "guests/vdev/vlapic_parts.h"

/* Which of the 8 registers from `base` (ISR or IRR) have a bit set. */
static uint8_t words_in_use(const struct vlapic *l, unsigned base)
{
	uint8_t words = 0;

	for (unsigned i = 0; i < 8; i++)
		words |= (uint8_t)(lapic_get(l, base + 16 * i) ? BIT32(i) : 0);
	return words;
}

/* The highest vector in them, or -1. One of the `words` may be empty again, that of an interrupt
 * which was taken. */
static int16_t highest(const struct vlapic *l, unsigned base, uint8_t *words)
{
	while (*words) {
		unsigned i = 31u - (unsigned)__builtin_clz(*words);
		uint32_t word = lapic_get(l, base + 16 * i);

		if (word)
			return (int16_t)(32 * i + 31u - (unsigned)__builtin_clz(word));
		*words = (uint8_t)(*words & ~BIT32(i));
	}
	return -1;
}

static unsigned word_of(unsigned base, uint8_t vector)
{
	return (base + 16u * (vector / 32u)) / 4;
}

static uint32_t bit_of(uint8_t vector)
{
	return BIT32(vector % 32);
}

/* "Task and Processor Priorities": PPR is TPR, or the class of what is in service if that is
 * higher. */
void vlapic_update(struct vlapic *l)
{
	uint32_t ppr = lapic_get(l, LAPIC_TPR);
	uint32_t isr = l->isr_top < 0 ? 0 : (uint32_t)l->isr_top & 0xf0;

	if (isr > (ppr & 0xf0))
		ppr = isr;
	lapic_set(l, LAPIC_PPR, ppr);
	l->best = -1;
	if (l->irr_top >= 0 && ((uint32_t)l->irr_top & 0xf0) > (ppr & 0xf0))
		l->best = l->irr_top;
}

void vlapic_collect(struct vlapic *l)
{
	(void)__atomic_exchange_n(&l->posted, 0, __ATOMIC_SEQ_CST);
	l->irr_words = words_in_use(l, LAPIC_IRR);
	l->irr_top = highest(l, LAPIC_IRR, &l->irr_words);
	vlapic_update(l);
}

void vlapic_sync(struct vlapic *l)
{
	lapic_set(l, LAPIC_ID, vlapic_is_x2apic(l) ? l->id : l->id << 24);
	lapic_set(l, LAPIC_VERSION, VLAPIC_VERSION);
	l->isr_words = words_in_use(l, LAPIC_ISR);
	l->isr_top = highest(l, LAPIC_ISR, &l->isr_words);
	vlapic_collect(l);
	vlapic_timer_update(l);
}

/* Sets the bits of a legal vector. False: it was requested already. */
static bool set_request(struct vlapic *l, uint8_t vector, bool level)
{
	uint32_t *tmr = &l->regs[word_of(LAPIC_TMR, vector)];
	uint32_t *irr = &l->regs[word_of(LAPIC_IRR, vector)];
	uint32_t bit = bit_of(vector);

	if (level)
		__atomic_fetch_or(tmr, bit, __ATOMIC_SEQ_CST);
	else if (__atomic_load_n(tmr, __ATOMIC_RELAXED) & bit)
		__atomic_fetch_and(tmr, ~bit, __ATOMIC_SEQ_CST);
	return !(__atomic_fetch_or(irr, bit, __ATOMIC_SEQ_CST) & bit);
}

/* From any core. */
static bool request(struct vlapic *l, uint8_t vector, bool level)
{
	/* Set already: who set it has told the owner, or is about to. */
	return set_request(l, vector, level) &&
	       !__atomic_exchange_n(&l->posted, 1, __ATOMIC_SEQ_CST);
}

void vlapic_self_ipi(struct vlapic *l, uint8_t vector)
{
	if (vector < LOWEST_VECTOR) {
		vlapic_error(l, ESR_SEND_VECTOR);
		return;
	}
	if (!(lapic_get(l, LAPIC_SVR) & SVR_ENABLE) || !set_request(l, vector, false))
		return;
	/* What others post meanwhile, they announce by `posted`. */
	l->irr_words |= (uint8_t)BIT32(vector / 32u);
	if (vector > l->irr_top) {
		l->irr_top = vector;
		vlapic_update(l);
	}
}

bool vlapic_error(struct vlapic *l, uint32_t bits)
{
	uint32_t lvt = lapic_get(l, LAPIC_LVT_ERROR);
	uint8_t vector = lvt & LVT_VECTOR;

	if (!(lvt & LVT_MASKED) && vector < LOWEST_VECTOR)
		bits |= ESR_RECV_VECTOR;
	__atomic_fetch_or(&l->errors, bits, __ATOMIC_SEQ_CST);
	if ((lvt & LVT_MASKED) || vector < LOWEST_VECTOR)
		return false;
	return request(l, vector, false);
}

bool vlapic_post(struct vlapic *l, uint8_t vector, bool level)
{
	/* Also false when globally disabled: that resets SVR. */
	if (!(lapic_get(l, LAPIC_SVR) & SVR_ENABLE))
		return false;
	if (vector < LOWEST_VECTOR)
		return vlapic_error(l, ESR_RECV_VECTOR);
	return request(l, vector, level);
}

uint8_t vlapic_accept(struct vlapic *l, uint8_t vector)
{
	uint32_t *irr = &l->regs[word_of(LAPIC_IRR, vector)];
	uint32_t *isr = &l->regs[word_of(LAPIC_ISR, vector)];

	if (!(__atomic_load_n(irr, __ATOMIC_RELAXED) & bit_of(vector)) ||
	    (vector & 0xf0) <= (lapic_get(l, LAPIC_PPR) & 0xf0))
		return lapic_get(l, LAPIC_SVR) & SVR_VECTOR;

	__atomic_fetch_and(irr, ~bit_of(vector), __ATOMIC_SEQ_CST);
	*isr |= bit_of(vector);
	l->isr_top = vector; /* above PPR, so above all others in service */
	l->isr_words |= (uint8_t)BIT32(vector / 32u);
	l->irr_top = highest(l, LAPIC_IRR, &l->irr_words);
	vlapic_update(l);
	return vector;
}

/* "Signaling Interrupt Servicing Completion". */
void vlapic_eoi(struct vlapic *l)
{
	uint8_t vector;
	uint32_t *isr;

	if (l->isr_top < 0)
		return; /* after a spurious interrupt, say: nothing to end */
	vector = (uint8_t)l->isr_top;
	isr = &l->regs[word_of(LAPIC_ISR, vector)];
	*isr &= ~bit_of(vector);
	l->isr_top = highest(l, LAPIC_ISR, &l->isr_words);
	vlapic_update(l);
	if (lapic_get(l, LAPIC_TMR + 16u * (vector / 32u)) & bit_of(vector))
		l->host->eoi(l->host->ctx, vector);
}

void vlapic_set_cr8(struct vlapic *l, uint8_t cr8)
{
	lapic_set(l, LAPIC_TPR, (cr8 & 15u) << 4);
	vlapic_update(l);
}

/* Software disable masks all local sources ("Local APIC State After It Has Been Software
 * Disabled"). What is in IRR and ISR stays and is still delivered. */
void vlapic_write_svr(struct vlapic *l, uint32_t val)
{
	lapic_set(l, LAPIC_SVR, val & SVR_BITS);
	if (val & SVR_ENABLE)
		return;
	vlapic_timer_write_lvt(l, lapic_get(l, LAPIC_LVT_TIMER) | LVT_MASKED);
	for (unsigned lvt = LAPIC_LVT_THERMAL; lvt <= LAPIC_LVT_ERROR; lvt += 16)
		lapic_set(l, lvt, lapic_get(l, lvt) | LVT_MASKED);
}

enum vlapic_delivery vlapic_signal(struct vlapic *l, unsigned lvt)
{
	uint32_t entry = lapic_get(l, lvt);

	if (!(l->base & APIC_BASE_EN)) {
		if (lvt == LAPIC_LVT_LINT0)
			return VLAPIC_EXTINT;
		return lvt == LAPIC_LVT_LINT1 ? VLAPIC_NMI : VLAPIC_NOTHING;
	}
	if (entry & LVT_MASKED)
		return VLAPIC_NOTHING;

	switch ((entry & LVT_MODE) >> LVT_MODE_SHIFT) {
	case APIC_FIXED:
		vlapic_post(l, entry & LVT_VECTOR, false);
		return VLAPIC_POSTED;
	case APIC_SMI:
		return VLAPIC_SMI;
	case APIC_NMI:
		return VLAPIC_NMI;
	case APIC_INIT:
		return VLAPIC_INIT;
	case APIC_EXTINT:
		return VLAPIC_EXTINT;
	default: /* reserved */
		return VLAPIC_NOTHING;
	}
}

/* "Determining IPI Destination" and "Logical Destination Mode in x2APIC Mode". */
bool vlapic_matches(const struct vlapic *l, uint32_t dest, bool logical, bool sender_is_x2apic)
{
	uint64_t base = __atomic_load_n(&l->base, __ATOMIC_RELAXED);
	uint32_t ldr = lapic_get(l, LAPIC_LDR);

	if (!(base & APIC_BASE_EN))
		return false;
	if (!sender_is_x2apic)
		dest &= 0xff;
	if (dest == (sender_is_x2apic ? X2APIC_BROADCAST : APIC_BROADCAST))
		return true;
	if (base & APIC_BASE_EXTD) {
		if (!logical)
			return dest == l->id;
		return dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff);
	}
	if (dest > 0xff) /* xAPICs have 8 bits only */
		return false;
	if (!logical)
		return dest == (l->id & 0xff);

	ldr >>= 24;
	switch (lapic_get(l, LAPIC_DFR) >> 28) {
	case 0xf: /* flat: one bit each */
		return dest & ldr;
	case 0: /* cluster in 7:4, one bit each in 3:0 */
		return dest >> 4 == ldr >> 4 && (dest & ldr & 0xf);
	default:
		return false;
	}
}

/* "Local APIC State Transitions", in the section on x2APIC: off to xAPIC to x2APIC to off, and
 * xAPIC to off. Turning it off loses all state. */
bool vlapic_base_write(struct vlapic *l, uint64_t val)
{
	uint64_t modes = APIC_BASE_EN | APIC_BASE_EXTD;
	uint64_t from = l->base & modes, to = val & modes;

	if (val & ~(APIC_BASE_ADDR | APIC_BASE_BSP | modes))
		return false;
	if (to == APIC_BASE_EXTD)
		return false;
	if ((from == 0 && to == modes) || (from == modes && to == APIC_BASE_EN))
		return false;

	/* Which processor is the boot processor is not for the guest to choose. */
	val = (val & ~APIC_BASE_BSP) | (l->base & APIC_BASE_BSP);
	__atomic_store_n(&l->base, val, __ATOMIC_RELAXED);
	if (from == to)
		return true;
	if (to == modes) {
		lapic_set(l, LAPIC_LDR, x2apic_ldr(l->id));
		lapic_set(l, LAPIC_ICR2, 0);
		vlapic_sync(l);
	} else {
		vlapic_init_signal(l);
	}
	return true;
}
