/*
 * What the parts of the local APIC (vlapic.c, vlapic_regs.c, vlapic_timer.c, vlapic_state.c) share
 * among themselves. Nobody else includes this.
 */
#ifndef GUESTS_VDEV_VLAPIC_PARTS_H
#define GUESTS_VDEV_VLAPIC_PARTS_H

#include "guests/vdev/vlapic.h"

/* Timer modes in LVT bits 18:17. 3 is reserved: the timer stands still. */
enum {
	TIMER_ONE_SHOT = 0,
	TIMER_PERIODIC = 1,
	TIMER_TSC_DEADLINE = 2,
};

/* Bits of the registers that a guest can set. */
#define LVT_TIMER_BITS  (LVT_VECTOR | LVT_MASKED | LVT_TIMER_MODE)
#define LVT_MODE_BITS   (LVT_VECTOR | LVT_MASKED | LVT_MODE)
#define LVT_LINT_BITS   (LVT_MODE_BITS | BIT32(13) | BIT32(15)) /* polarity, trigger */
#define LVT_ERROR_BITS  (LVT_VECTOR | LVT_MASKED)
#define LVT_BUSY        BIT32(12) /* delivery status: read-only, never set here */
#define LVT_RIRR        BIT32(14) /* of LINT0 and LINT1: read-only, never set here */
#define SVR_BITS        (SVR_VECTOR | SVR_ENABLE | BIT32(9)) /* 9: focus checking, no effect */
#define ICR_BITS        (ICR_VECTOR | ICR_MODE | ICR_LOGICAL | ICR_ASSERT | ICR_LEVEL | ICR_SHORT)
#define DIVIDE_BITS     0xbu
#define DFR_BITS        0xf0000000u
#define DEST_BITS       0xff000000u /* of LDR and ICR2 in xAPIC mode */
#define ESR_BITS        (ESR_SEND_VECTOR | ESR_RECV_VECTOR | ESR_REGISTER)
#define LOWEST_VECTOR   16 /* below: reserved for exceptions, illegal in the APIC */
#define ILLEGAL_VECTORS 0xffffu

static inline uint32_t lapic_get(const struct vlapic *l, unsigned offset)
{
	return __atomic_load_n(&l->regs[offset / 4], __ATOMIC_RELAXED);
}

static inline void lapic_set(struct vlapic *l, unsigned offset, uint32_t val)
{
	__atomic_store_n(&l->regs[offset / 4], val, __ATOMIC_RELAXED);
}

/* Logical ID that x2APIC derives from the ID. (Intel SDM volume 3, "Deriving Logical x2APIC ID from
 * the Local x2APIC ID".) */
static inline uint32_t x2apic_ldr(uint32_t id)
{
	return id >> 4 << 16 | 1u << (id & 15);
}

/* Sets ESR bits and raises the error interrupt; any core may. True: kick, as vlapic_post(). */
bool vlapic_error(struct vlapic *l, uint32_t bits);

/* After a change of TPR or ISR, or of the mode. */
void vlapic_update(struct vlapic *l);

void vlapic_write_svr(struct vlapic *l, uint32_t val);

/* Timer registers. */
uint32_t vlapic_timer_count(struct vlapic *l);
void vlapic_timer_write_lvt(struct vlapic *l, uint32_t val);
void vlapic_timer_write_init(struct vlapic *l, uint32_t val);
void vlapic_timer_write_divide(struct vlapic *l, uint32_t val);
void vlapic_timer_reset(struct vlapic *l);

/* Recomputes `deadline`. */
void vlapic_timer_update(struct vlapic *l);

#endif
