/*
 * One-shot timers by the host's TSC: a queue for each core, O(log n), no allocation. Privileged;
 * the order is kept by sched/timer_heap.c.
 *
 * The owner of a timer keeps timer_arm and timer_cancel of that timer from running at the same time
 * (by a lock of its own, or because only one core does it); everything else is safe from any core
 * and any context but NMI.
 */
#ifndef SCHED_TIMER_H
#define SCHED_TIMER_H

#include "arch/x86/percpu.h"
#include "lib/types.h"
#include "sched/timer_heap.h"

struct timer_queue;

struct timer {
	struct timer_node node; /* by the lock of `queue` */
	struct timer_queue
		*queue; /* that it is armed on, or NULL; atomic, changed under that lock */
	/* Runs in interrupt context, with interrupts off and no lock of the timers held, on the
	 * core of the queue. May arm this and other timers. The timer may be gone when it returns.
	 */
	void (*fn)(struct timer *t);
};

/* Before smp_start. */
void timers_init(void);

void timer_init(struct timer *t, void (*fn)(struct timer *t));

/* Arms the timer for `deadline` (host TSC) on a core; armed before, there or elsewhere, it is
 * moved. One that is past fires as soon as that core takes interrupts. TIME_NEVER disarms it. */
void timer_arm(struct timer *t, struct percpu *cpu, uint64_t deadline);

/* Disarms the timer. When it returns, fn is not running on another core and will not run: the
 * timer's memory may be freed. So the caller must not hold a lock that fn takes, nor be a
 * callback that fn cancels. Returns whether it was armed. */
bool timer_cancel(struct timer *t);

#endif
