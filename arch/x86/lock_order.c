/*
 * The lock order of lib/spinlock.h, checked. Debug builds only. Owns percpu.locks_held, a bit for
 * each rank that the core holds; an interrupt handler begins with none. Privileged.
 */
#include "arch/x86/asm.h"
#include "arch/x86/percpu.h"
#include "lib/log.h"
#include "lib/spinlock.h"

void lock_order_take(enum lock_rank rank)
{
	bool irqs = irq_save(); /* for the core to stay the same, and the word */
	struct percpu *cpu = this_cpu();

	if (cpu->locks_held >> rank)
		panic("lock order: rank %u is taken while ranks 0x%x are held", rank,
		      cpu->locks_held);
	if ((rank == LOCK_RUNQ || rank == LOCK_TIMERS) && irqs)
		panic("lock order: rank %u, which interrupt handlers take, is taken with "
		      "interrupts on",
		      rank);
	if (rank != LOCK_RUNQ && rank != LOCK_TIMERS && cpu->in_interrupt)
		panic("lock order: rank %u is taken by an interrupt handler", rank);
	cpu->locks_held |= BIT32(rank);
	irq_restore(irqs);
}

void lock_order_drop(enum lock_rank rank)
{
	__atomic_fetch_and(&this_cpu()->locks_held, ~BIT32(rank), __ATOMIC_RELAXED);
}
