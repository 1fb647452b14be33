/*
 * The local APIC that a guest sees: one per vCPU, xAPIC (a page of registers) and x2APIC (MSRs).
 * Pure.
 *
 * Who may call: the core that owns the vCPU calls everything. Any core may call vlapic_post() and
 * vlapic_matches(). Changes to the vCPU's APIC that the owner makes while another core matches show
 * up in that other core's routing a moment later, as between real processors.
 *
 * What waits is looked up in one cached answer, vlapic_pending(). It is kept by every function
 * here; who changes the register page by other means (loading a checkpoint, hardware that works on
 * the page) calls vlapic_sync() afterwards.
 */
#ifndef GUESTS_VDEV_VLAPIC_H
#define GUESTS_VDEV_VLAPIC_H

#include "guests/vdev/msi.h"
#include "guests/vdev/vdev.h"
#include "lib/reason.h"

#define VLAPIC_BASE    0xfee00000ull /* default address of the page */
#define VLAPIC_SIZE    0x1000ull
#define VLAPIC_VERSION 0x00050014u /* integrated, 6 LVT entries, no EOI-broadcast suppression */

/* IA32_APIC_BASE. */
#define APIC_BASE_BSP  BIT(8)
#define APIC_BASE_EXTD BIT(10)
#define APIC_BASE_EN   BIT(11)
#define APIC_BASE_ADDR 0x000ffffffffff000ull

/* Offsets of registers in the page. ISR, TMR and IRR are 8 registers each, 16 bytes apart. */
enum {
	LAPIC_ID = 0x020,
	LAPIC_VERSION = 0x030,
	LAPIC_TPR = 0x080,
	LAPIC_APR = 0x090,
	LAPIC_PPR = 0x0a0,
	LAPIC_EOI = 0x0b0,
	LAPIC_RRD = 0x0c0,
	LAPIC_LDR = 0x0d0,
	LAPIC_DFR = 0x0e0,
	LAPIC_SVR = 0x0f0,
	LAPIC_ISR = 0x100,
	LAPIC_TMR = 0x180,
	LAPIC_IRR = 0x200,
	LAPIC_ESR = 0x280,
	LAPIC_ICR = 0x300,
	LAPIC_ICR2 = 0x310,
	LAPIC_LVT_TIMER = 0x320,
	LAPIC_LVT_THERMAL = 0x330,
	LAPIC_LVT_PERF = 0x340,
	LAPIC_LVT_LINT0 = 0x350,
	LAPIC_LVT_LINT1 = 0x360,
	LAPIC_LVT_ERROR = 0x370,
	LAPIC_TIMER_INIT = 0x380,
	LAPIC_TIMER_COUNT = 0x390,
	LAPIC_TIMER_DIVIDE = 0x3e0,
	LAPIC_SELF_IPI = 0x3f0, /* x2APIC only */
};

#define SVR_VECTOR 0xffu
#define SVR_ENABLE BIT32(8)

#define ESR_SEND_VECTOR BIT32(5) /* an IPI was sent with a vector below 16 */
#define ESR_RECV_VECTOR BIT32(6) /* an interrupt came with a vector below 16 */
#define ESR_REGISTER    BIT32(7) /* a reserved offset of the page was accessed */

#define LVT_VECTOR      0xffu
#define LVT_MODE_SHIFT  8
#define LVT_MODE        (7u << LVT_MODE_SHIFT)
#define LVT_MASKED      BIT32(16)
#define LVT_TIMER_SHIFT 17
#define LVT_TIMER_MODE  (3u << LVT_TIMER_SHIFT)

#define ICR_VECTOR      0xffu
#define ICR_MODE_SHIFT  8
#define ICR_MODE        (7u << ICR_MODE_SHIFT)
#define ICR_LOGICAL     BIT32(11)
#define ICR_BUSY        BIT32(12)
#define ICR_ASSERT      BIT32(14)
#define ICR_LEVEL       BIT32(15)
#define ICR_SHORT_SHIFT 18
#define ICR_SHORT       (3u << ICR_SHORT_SHIFT)

enum apic_shorthand {
	APIC_SHORT_NONE, /* the destination field counts */
	APIC_SHORT_SELF,
	APIC_SHORT_ALL,
	APIC_SHORT_OTHERS,
};

/* All destinations: in xAPIC and messages, and in x2APIC. */
#define APIC_BROADCAST   0xffu
#define X2APIC_BROADCAST 0xffffffffu

struct vlapic_host {
	void *ctx;                  /* handed back to each call */
	uint64_t (*now)(void *ctx); /* guest time, ns */
	uint64_t (*tsc)(void *ctx); /* guest TSC */

	/* Guest time in ns at which the guest's TSC will have that value (later than now). */
	uint64_t (*tsc_to_ns)(void *ctx, uint64_t guest_tsc);

	/* The guest sent an interrupt to others (or an NMI, INIT, start-up to any): the low half of
	 * the interrupt command, and the destination (xAPIC: bits 7:0). */
	void (*ipi)(void *ctx, uint32_t icr_low, uint32_t dest);

	/* A level-triggered interrupt was ended: for the I/O APIC. */
	void (*eoi)(void *ctx, uint8_t vector);
};

struct vlapic {
	alignas(4096)
		uint32_t regs[1024]; /* the page; only what the field list names is ever set */

	uint64_t base;         /* IA32_APIC_BASE */
	uint64_t tsc_deadline; /* IA32_TSC_DEADLINE; 0: not armed */
	uint64_t timer_end;    /* guest ns at which the count reaches 0; TIME_NEVER: stands still */
	uint32_t id;           /* x2APIC ID */
	uint32_t errors;       /* ESR bits since ESR was written (any core sets them) */

	/* derived */
	uint64_t deadline; /* guest ns at which vlapic_expire() is wanted, or TIME_NEVER */
	uint32_t posted;   /* IRR was changed and not looked at since (any core sets it) */
	int16_t irr_top;   /* highest vector in IRR, -1: none */
	int16_t isr_top;   /* highest vector in ISR, -1: none */
	int16_t best;      /* what vlapic_pending() says */
	uint8_t irr_words; /* which of IRR's registers have bits, as far as looked at */
	uint8_t isr_words; /* which of ISR's */
	const struct vlapic_host *host;
};

extern const struct vdev_type vlapic_type;

/* Binds the APIC of vCPU `apic_id` to its host and resets it. IDs above 254 can be reached in
 * x2APIC mode only. */
void vlapic_init(struct vlapic *l, const struct vlapic_host *host, uint32_t apic_id, bool bsp);

/* Power-on: xAPIC mode at the default address, software-disabled. */
void vlapic_reset(struct vlapic *l);

/* An INIT signal: as power-on, but mode and address stay. */
void vlapic_init_signal(struct vlapic *l);

/* Rebuilds what is derived from the registers. */
void vlapic_sync(struct vlapic *l);

/* ERR_INVALID if loaded state is one that the APIC can never be in. Derived members are not looked
 * at: call vlapic_sync() when it is 0. */
int vlapic_check(const struct vlapic *l, struct reason *why);

/*
 * Mode and registers
 */

/* IA32_APIC_BASE. False: #GP (reserved bits, or a mode change that does not exist). */
bool vlapic_base_write(struct vlapic *l, uint64_t val) __must_check;

static inline uint64_t vlapic_base_read(const struct vlapic *l)
{
	return l->base;
}

/* Guest-physical address of the register page. */
static inline uint64_t vlapic_base_gpa(const struct vlapic *l)
{
	return l->base & APIC_BASE_ADDR;
}

/* The page is there: in xAPIC mode only. */
static inline bool vlapic_is_xapic(const struct vlapic *l)
{
	return (l->base & (APIC_BASE_EN | APIC_BASE_EXTD)) == APIC_BASE_EN;
}

static inline bool vlapic_is_x2apic(const struct vlapic *l)
{
	return (l->base & (APIC_BASE_EN | APIC_BASE_EXTD)) == (APIC_BASE_EN | APIC_BASE_EXTD);
}

/* An access to the page: `offset` in bytes below 4096, `size` 1, 2 or 4 (more counts as 4). A
 * register is 32 bits at a multiple of 16; the 12 bytes behind it read 0. A write that is not 4
 * bytes at a register is ignored. Not in xAPIC mode: reads all ones, writes ignored. */
uint32_t vlapic_mmio_read(struct vlapic *l, unsigned offset, unsigned size);
void vlapic_mmio_write(struct vlapic *l, unsigned offset, unsigned size, uint32_t val);

/* MSRs 0x800 to 0x8ff. False: #GP (not in x2APIC mode, no such register, read-only, write-only,
 * reserved bits). */
bool vlapic_msr_read(struct vlapic *l, uint32_t msr, uint64_t *val) __must_check;
bool vlapic_msr_write(struct vlapic *l, uint32_t msr, uint64_t val) __must_check;

/*
 * Interrupts
 */

/* Asks for interrupt `vector`; any core may. True if the vCPU must be kicked (or woken): it has not
 * been told of anything since it last looked. Dropped while software-disabled; a vector below 16
 * is an error that the ESR tells the guest of. */
bool vlapic_post(struct vlapic *l, uint8_t vector, bool level);

/* Takes over what other cores posted. */
void vlapic_collect(struct vlapic *l);

/* The vector that should be delivered now: the highest in IRR if its class is above the processor's
 * priority, else -1. */
static inline int vlapic_pending(struct vlapic *l)
{
	if (unlikely(__atomic_load_n(&l->posted, __ATOMIC_ACQUIRE)))
		vlapic_collect(l);
	return l->best;
}

/* Something is requested, deliverable now or not. */
static inline bool vlapic_has_waiting(struct vlapic *l)
{
	if (unlikely(__atomic_load_n(&l->posted, __ATOMIC_ACQUIRE)))
		vlapic_collect(l);
	return l->irr_top >= 0;
}

/* The priority class (1 to 15) of the interrupt that only the task priority holds back; 0: none. To
 * be asked when nothing is pending. */
static inline uint8_t vlapic_masked_class(const struct vlapic *l)
{
	int irr = l->irr_top >> 4, isr = l->isr_top < 0 ? 0 : l->isr_top >> 4;

	return l->irr_top >= 0 && irr > isr ? (uint8_t)irr : 0;
}

/* The processor takes `vector`: IRR to ISR. Returns the vector that it gets: if `vector` is not (or
 * no more) deliverable, that is the spurious one, and nothing is in service. */
uint8_t vlapic_accept(struct vlapic *l, uint8_t vector);

/* The guest ends the interrupt in service. Nothing new is deliverable after it unless
 * vlapic_has_waiting(). */
void vlapic_eoi(struct vlapic *l);

/* The guest asks for interrupt `vector` at this APIC. */
void vlapic_self_ipi(struct vlapic *l, uint8_t vector);

/* Task priority as CR8 shows it: 0 to 15. */
static inline uint8_t vlapic_cr8(const struct vlapic *l)
{
	return (uint8_t)(l->regs[LAPIC_TPR / 4] >> 4);
}

void vlapic_set_cr8(struct vlapic *l, uint8_t cr8);

/* The 8259's INT reaches this processor: LINT0 is unmasked ExtINT, or the APIC is off. Off by
 * software counts too: firmware would have set up LINT0 so ("virtual wire"), and a guest starts
 * without. */
static inline bool vlapic_accepts_pic(const struct vlapic *l)
{
	return !(l->base & APIC_BASE_EN) || !(l->regs[LAPIC_SVR / 4] & SVR_ENABLE) ||
	       (l->regs[LAPIC_LVT_LINT0 / 4] & (LVT_MASKED | LVT_MODE)) ==
		       (uint32_t)APIC_EXTINT << LVT_MODE_SHIFT;
}

/* What became of an event at a local source. */
enum vlapic_delivery {
	VLAPIC_NOTHING, /* masked */
	VLAPIC_POSTED,  /* a vector was put into IRR */
	VLAPIC_SMI,
	VLAPIC_NMI,
	VLAPIC_INIT,
	VLAPIC_EXTINT,
};

/* An edge at a local source, one of LAPIC_LVT_*: looks at its LVT entry. Posts a vector itself; the
 * other kinds are the caller's to deliver. A globally disabled APIC passes LINT0 as ExtINT and
 * LINT1 as NMI. */
enum vlapic_delivery vlapic_signal(struct vlapic *l, unsigned lvt);

/* Is this APIC a destination of `dest`? Any core may ask. `sender_is_x2apic`: 32-bit destination;
 * else (xAPIC, I/O APIC, message) 8 bits. A globally disabled APIC never is. */
bool vlapic_matches(const struct vlapic *l, uint32_t dest, bool logical, bool sender_is_x2apic);

/*
 * Timer: one count is 1 ns times the divisor (the input clock is 1 GHz).
 */

/* IA32_TSC_DEADLINE, in guest TSC. Outside TSC-deadline mode it reads 0 and ignores writes. */
uint64_t vlapic_tsc_deadline_read(struct vlapic *l);
void vlapic_tsc_deadline_write(struct vlapic *l, uint64_t tsc);

/* The relation of guest TSC and guest time was changed (the guest wrote its TSC). */
void vlapic_tsc_changed(struct vlapic *l);

/* Posts the timer's interrupt if it is due at guest time `now`, and moves `deadline` on. However
 * many periods have passed, one interrupt is posted. */
void vlapic_expire(struct vlapic *l, uint64_t now);

#endif
