/*
 * Ticket locks, and the order in which they may be taken: a lock may only be taken while locks of a
 * smaller rank are held. Debug builds (make DEBUG=1) check that at run time. In the unit tests they
 * are the same code, on one thread.
 */
#ifndef LIB_SPINLOCK_H
#define LIB_SPINLOCK_H

#include "lib/types.h"

/* Lock order, outermost first. */
enum lock_rank {
	LOCK_MACHINE, /* one guest's devices */
	LOCK_RUNQ,    /* one core's run queue; interrupt handlers take it, and those that follow */
	LOCK_TIMERS,  /* one core's timers */
	LOCK_HEAP,    /* these are not for interrupt handlers */
	LOCK_HOSTMAP,
	LOCK_FRAMES,
};

struct spinlock {
	uint16_t next, owner; /* atomic */
};

#ifdef SKERRY_DEBUG
/* Panic on a lock out of order, or of an interrupt handler taken with interrupts on
 * (arch/x86/lock_order.c). */
void lock_order_take(enum lock_rank rank);
void lock_order_drop(enum lock_rank rank);
#else
static inline void lock_order_take(enum lock_rank rank)
{
	(void)rank;
}

static inline void lock_order_drop(enum lock_rank rank)
{
	(void)rank;
}
#endif

static inline void spin_lock(struct spinlock *l, enum lock_rank rank)
{
	uint16_t mine;

	lock_order_take(rank);
	mine = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);
	while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != mine)
		__builtin_ia32_pause();
}

static inline void spin_unlock(struct spinlock *l, enum lock_rank rank)
{
	__atomic_store_n(&l->owner, (uint16_t)(l->owner + 1), __ATOMIC_RELEASE);
	lock_order_drop(rank);
}

#endif
