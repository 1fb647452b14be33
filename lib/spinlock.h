/*
 * Ticket locks, and the order in which they may be taken: a lock may only be taken while locks of a
 * smaller rank are held. In the unit tests they are the same code, on one thread.
 */
#ifndef LIB_SPINLOCK_H
#define LIB_SPINLOCK_H

#include "lib/types.h"

/* Lock order, outermost first. */
enum lock_rank {
	LOCK_GUESTS,  /* the list of guests and their life cycle */
	LOCK_MACHINE, /* one guest's devices */
	LOCK_RUNQ,    /* one core's run queue */
	LOCK_TIMERS,  /* one core's timers */
	LOCK_HEAP,
	LOCK_HOSTMAP,
	LOCK_FRAMES,
	LOCK_CONSOLE,
};

struct spinlock {
	uint16_t next, owner; /* atomic */
};

static inline void spin_lock(struct spinlock *l)
{
	uint16_t mine = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != mine)
		__builtin_ia32_pause();
}

static inline void spin_unlock(struct spinlock *l)
{
	__atomic_store_n(&l->owner, (uint16_t)(l->owner + 1), __ATOMIC_RELEASE);
}

#endif
