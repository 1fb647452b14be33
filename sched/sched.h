/*
 * Run queues: one per core, with its own lock. Entities take turns; one that wakes up interrupts
 * the one that runs. An entity belongs to one core.
 */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include "arch/x86/percpu.h"
#include "lib/spinlock.h"
#include "sched/cpu_set.h"
#include "sched/timer.h"

enum sched_state {
	SCHED_PARKED,  /* out of the game: waking it does nothing until it is released */
	SCHED_BLOCKED, /* waits for sched_wake() */
	SCHED_QUEUED,
	SCHED_RUNNING,
};

struct sched_entity { /* all by the lock of the core's run queue */
	struct sched_entity *next;
	struct percpu *cpu; /* constant between sched_add and sched_remove */
	enum sched_state state;
	bool woken; /* while it was running */
};

#define SCHED_SLICE_NS (5 * NS_PER_MS)

/* Once, before the other cores start. */
void sched_init(void);

/* Gives an entity to a core; it is parked. */
void sched_add(struct sched_entity *e, struct percpu *cpu);
void sched_remove(struct sched_entity *e); /* parked */

/* The core of the set with the fewest entities, of those that can run guests; NULL: there is none.
 */
struct percpu *sched_least_loaded(const struct cpu_set *set);

/* Makes it runnable, and lets its core know if it was not. Any core, any context but NMI. Returns
 * whether it is running at this moment. */
bool sched_wake(struct sched_entity *e);

/* This core: the entity to run next, or NULL. Starts a time slice if others wait. */
struct sched_entity *sched_next(void);

/* This core: the running entity stops running. SCHED_QUEUED: it waits for its next turn.
 * SCHED_BLOCKED: it waits for sched_wake(), unless that came already. */
void sched_put_back(struct sched_entity *e, enum sched_state to);

/* This core's main loop: parks an entity of this core that is not running. */
void sched_park(struct sched_entity *e);

/* A parked entity may run again. Any core. */
void sched_release(struct sched_entity *e);

/* This core has nothing to run: halts until an interrupt, unless requests are there already. */
void sched_idle(void);

/* How long a core was idle so far, in TSC ticks. */
uint64_t sched_idle_ticks(const struct percpu *cpu);

#endif
