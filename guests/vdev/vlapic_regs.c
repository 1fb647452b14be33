/*
 * The local APIC's registers as the guest reaches them: the page (xAPIC) and the MSRs (x2APIC), and
 * the interrupt command. Called by the owner's core. Pure.
 *
 * Facts: Intel SDM volume 3, "The Local APIC Block Diagram" (register address map), "Interrupt
 * Command Register (ICR)", "Error Handling", and "x2APIC Register Address Space". What Intel and
 * AMD do differently follows Intel in x2APIC mode (APR and RRD do not exist) and AMD in xAPIC mode
 * (they read 0).
 */
#include "guests/vdev/vlapic_parts.h"

#define MSR_X2APIC    0x800u
#define REG(offset)   BIT((offset) >> 4)
#define REGS(from, n) ((BIT(n) - 1) << ((from) >> 4))

/* Registers that can be read: one bit for each 16 bytes of the first KiB of the page. */
#define X2APIC_READABLE                                                                          \
	(REG(LAPIC_ID) | REG(LAPIC_VERSION) | REG(LAPIC_TPR) | REG(LAPIC_PPR) | REG(LAPIC_LDR) | \
	 REG(LAPIC_SVR) | REGS(LAPIC_ISR, 8) | REGS(LAPIC_TMR, 8) | REGS(LAPIC_IRR, 8) |         \
	 REG(LAPIC_ESR) | REG(LAPIC_ICR) | REGS(LAPIC_LVT_TIMER, 6) | REG(LAPIC_TIMER_INIT) |    \
	 REG(LAPIC_TIMER_COUNT) | REG(LAPIC_TIMER_DIVIDE))
#define XAPIC_READABLE                                                                         \
	(X2APIC_READABLE | REG(LAPIC_APR) | REG(LAPIC_EOI) | REG(LAPIC_RRD) | REG(LAPIC_DFR) | \
	 REG(LAPIC_ICR2))

static bool in_set(uint64_t set, unsigned offset)
{
	return offset < 0x400 && (set >> (offset >> 4) & 1);
}

static uint32_t read_register(struct vlapic *l, unsigned offset)
{
	if (unlikely(offset == LAPIC_TIMER_COUNT))
		return vlapic_timer_count(l);
	return lapic_get(l, offset);
}

uint32_t vlapic_mmio_read(struct vlapic *l, unsigned offset, unsigned size)
{
	unsigned reg = offset & ~15u, shift = 8 * (offset & 15);
	uint32_t val;

	if (unlikely(!vlapic_is_xapic(l)))
		return size >= 4 ? UINT32_MAX : BIT32(8 * size) - 1;
	if (unlikely(!in_set(XAPIC_READABLE, reg))) {
		vlapic_error(l, ESR_REGISTER);
		return 0;
	}
	val = read_register(l, reg);
	if (likely(!shift && size >= 4))
		return val;
	val = shift < 32 ? val >> shift : 0;
	return size < 4 ? val & (BIT32(8 * size) - 1) : val;
}

static uint32_t lvt_bits(unsigned lvt)
{
	switch (lvt) {
	case LAPIC_LVT_TIMER:
		return LVT_TIMER_BITS;
	case LAPIC_LVT_ERROR:
		return LVT_ERROR_BITS;
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
		return LVT_LINT_BITS;
	default:
		return LVT_MODE_BITS;
	}
}

static void write_lvt(struct vlapic *l, unsigned lvt, uint32_t val)
{
	val &= lvt_bits(lvt);
	if (!(lapic_get(l, LAPIC_SVR) & SVR_ENABLE))
		val |= LVT_MASKED;
	if (lvt == LAPIC_LVT_TIMER)
		vlapic_timer_write_lvt(l, val);
	else
		lapic_set(l, lvt, val);
}

/* ESR shows what was detected since the write before. */
static void write_esr(struct vlapic *l)
{
	lapic_set(l, LAPIC_ESR, __atomic_exchange_n(&l->errors, 0, __ATOMIC_SEQ_CST));
}

static void write_icr(struct vlapic *l, uint32_t low, uint32_t dest)
{
	unsigned mode, shorthand;

	low &= ICR_BITS;
	lapic_set(l, LAPIC_ICR, low);
	mode = (low & ICR_MODE) >> ICR_MODE_SHIFT;
	shorthand = (low & ICR_SHORT) >> ICR_SHORT_SHIFT;

	switch (mode) {
	case APIC_FIXED:
	case APIC_LOWEST:
		if (shorthand == APIC_SHORT_SELF)
			vlapic_self_ipi(l, low & ICR_VECTOR);
		else if ((low & ICR_VECTOR) < LOWEST_VECTOR)
			vlapic_error(l, ESR_SEND_VECTOR);
		else
			l->host->ipi(l->host->ctx, low, dest);
		break;
	case APIC_INIT:
		/* "INIT level de-assert" set arbitration IDs when APICs had a bus of their own. */
		if ((low & ICR_LEVEL) && !(low & ICR_ASSERT))
			break;
		l->host->ipi(l->host->ctx, low, dest);
		break;
	case APIC_SMI:
	case APIC_NMI:
	case APIC_STARTUP:
		l->host->ipi(l->host->ctx, low, dest);
		break;
	default: /* reserved */
		break;
	}
}

static void write_tpr(struct vlapic *l, uint32_t val)
{
	lapic_set(l, LAPIC_TPR, val & 0xff);
	vlapic_update(l);
}

void vlapic_mmio_write(struct vlapic *l, unsigned offset, unsigned size, uint32_t val)
{
	if (unlikely(!vlapic_is_xapic(l) || size != 4 || (offset & 15)))
		return;

	switch (offset) {
	case LAPIC_TPR:
		write_tpr(l, val);
		break;
	case LAPIC_EOI:
		vlapic_eoi(l);
		break;
	case LAPIC_LDR:
		lapic_set(l, LAPIC_LDR, val & DEST_BITS);
		break;
	case LAPIC_DFR:
		lapic_set(l, LAPIC_DFR, val | ~DFR_BITS);
		break;
	case LAPIC_SVR:
		vlapic_write_svr(l, val);
		break;
	case LAPIC_ESR:
		write_esr(l);
		break;
	case LAPIC_ICR:
		write_icr(l, val, lapic_get(l, LAPIC_ICR2) >> 24);
		break;
	case LAPIC_ICR2:
		lapic_set(l, LAPIC_ICR2, val & DEST_BITS);
		break;
	case LAPIC_LVT_TIMER:
	case LAPIC_LVT_THERMAL:
	case LAPIC_LVT_PERF:
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
	case LAPIC_LVT_ERROR:
		write_lvt(l, offset, val);
		break;
	case LAPIC_TIMER_INIT:
		vlapic_timer_write_init(l, val);
		break;
	case LAPIC_TIMER_DIVIDE:
		vlapic_timer_write_divide(l, val);
		break;
	default: /* read-only, or no register at all */
		if (!in_set(XAPIC_READABLE, offset))
			vlapic_error(l, ESR_REGISTER);
		break;
	}
}

/* Where in the page an MSR's register is; behind the page for numbers out of range. */
static unsigned offset_of(uint32_t msr)
{
	return MIN(msr - MSR_X2APIC, 0x100u) << 4;
}

bool vlapic_msr_read(struct vlapic *l, uint32_t msr, uint64_t *val)
{
	unsigned offset = offset_of(msr);

	if (!vlapic_is_x2apic(l) || !in_set(X2APIC_READABLE, offset))
		return false;
	*val = read_register(l, offset);
	if (offset == LAPIC_ICR)
		*val |= (uint64_t)lapic_get(l, LAPIC_ICR2) << 32;
	return true;
}

/* Bits that may be set in a value written to the register; 0 for a register that takes 0 only.
 * False: it cannot be written. Read-only bits inside writable registers may be written and are
 * ignored. */
static bool x2apic_writable(unsigned offset, uint64_t *bits)
{
	switch (offset) {
	case LAPIC_TPR:
	case LAPIC_SELF_IPI:
		*bits = 0xff;
		return true;
	case LAPIC_EOI:
	case LAPIC_ESR:
		*bits = 0;
		return true;
	case LAPIC_SVR:
		*bits = SVR_BITS;
		return true;
	case LAPIC_ICR:
		*bits = ~(uint64_t)UINT32_MAX | ICR_BITS | ICR_BUSY;
		return true;
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
		*bits = LVT_LINT_BITS | LVT_BUSY | LVT_RIRR;
		return true;
	case LAPIC_LVT_TIMER:
	case LAPIC_LVT_THERMAL:
	case LAPIC_LVT_PERF:
	case LAPIC_LVT_ERROR:
		*bits = lvt_bits(offset) | LVT_BUSY;
		return true;
	case LAPIC_TIMER_INIT:
		*bits = UINT32_MAX;
		return true;
	case LAPIC_TIMER_DIVIDE:
		*bits = DIVIDE_BITS;
		return true;
	default:
		return false;
	}
}

bool vlapic_msr_write(struct vlapic *l, uint32_t msr, uint64_t val)
{
	unsigned offset = offset_of(msr);
	uint32_t low = (uint32_t)val;
	uint64_t bits;

	if (!vlapic_is_x2apic(l) || !x2apic_writable(offset, &bits) || (val & ~bits))
		return false;

	switch (offset) {
	case LAPIC_TPR:
		write_tpr(l, low);
		break;
	case LAPIC_EOI:
		vlapic_eoi(l);
		break;
	case LAPIC_SELF_IPI:
		vlapic_self_ipi(l, low & ICR_VECTOR);
		break;
	case LAPIC_ESR:
		write_esr(l);
		break;
	case LAPIC_SVR:
		vlapic_write_svr(l, low);
		break;
	case LAPIC_ICR:
		lapic_set(l, LAPIC_ICR2, (uint32_t)(val >> 32));
		write_icr(l, low, (uint32_t)(val >> 32));
		break;
	case LAPIC_TIMER_INIT:
		vlapic_timer_write_init(l, low);
		break;
	case LAPIC_TIMER_DIVIDE:
		vlapic_timer_write_divide(l, low);
		break;
	default: /* x2apic_writable() left the LVT */
		write_lvt(l, offset, low);
		break;
	}
	return true;
}
