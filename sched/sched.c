/* Run queues; see sched.h. Locking: runq.lock for everything in it. Privileged. */
#include "sched/sched.h"

#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "lib/log.h"

struct runq {
	struct spinlock lock;
	struct sched_entity *head, *tail; /* waiting */
	struct timer slice;
	uint32_t n_entities;
	uint32_t n_waiting;
};

static struct runq runqs[MAX_CPUS];

static struct runq *runq_of(const struct percpu *cpu)
{
	return &runqs[cpu->index];
}

static bool lock(struct runq *q)
{
	bool irqs = irq_save(); /* timers wake entities from interrupt context */

	spin_lock(&q->lock, LOCK_RUNQ);
	return irqs;
}

static void unlock(struct runq *q, bool irqs)
{
	spin_unlock(&q->lock, LOCK_RUNQ);
	irq_restore(irqs);
}

static void push(struct runq *q, struct sched_entity *e)
{
	e->state = SCHED_QUEUED;
	e->next = NULL;
	if (q->tail)
		q->tail->next = e;
	else
		q->head = e;
	q->tail = e;
	q->n_waiting++;
}

static struct sched_entity *pop(struct runq *q)
{
	struct sched_entity *e = q->head;

	if (!e)
		return NULL;
	q->head = e->next;
	if (!q->head)
		q->tail = NULL;
	q->n_waiting--;
	return e;
}

static void slice_over(struct timer *t)
{
	(void)t;
	cpu_request(this_cpu(), CORE_RESCHEDULE);
}

void sched_init(void)
{
	for (unsigned i = 0; i < MAX_CPUS; i++)
		timer_init(&runqs[i].slice, slice_over);
}

void sched_add(struct sched_entity *e, struct percpu *cpu)
{
	struct runq *q = runq_of(cpu);
	bool irqs = lock(q);

	*e = (struct sched_entity){.cpu = cpu, .state = SCHED_PARKED};
	q->n_entities++;
	unlock(q, irqs);
}

void sched_remove(struct sched_entity *e)
{
	struct runq *q = runq_of(e->cpu);
	bool irqs = lock(q);

	invariant(e->state == SCHED_PARKED);
	q->n_entities--;
	unlock(q, irqs);
}

struct percpu *sched_least_loaded(const struct cpu_set *set)
{
	struct percpu *best = NULL;

	for (uint32_t i = 0; i < n_cpus; i++) {
		/* of equals the last: the first one also has the console */
		if (percpus[i]->hv_on && cpu_set_has(set, i) &&
		    (!best || runqs[i].n_entities <= runq_of(best)->n_entities))
			best = percpus[i];
	}
	return best;
}

bool sched_wake(struct sched_entity *e)
{
	struct runq *q = runq_of(e->cpu);
	bool irqs = lock(q);
	enum sched_state was = e->state;

	if (was == SCHED_RUNNING)
		e->woken = true;
	else if (was == SCHED_BLOCKED)
		push(q, e);
	unlock(q, irqs);
	if (was == SCHED_BLOCKED)
		cpu_request(e->cpu, CORE_RESCHEDULE);
	return was == SCHED_RUNNING;
}

struct sched_entity *sched_next(void)
{
	struct percpu *cpu = this_cpu();
	struct runq *q = runq_of(cpu);
	bool irqs = lock(q);
	struct sched_entity *e = pop(q);
	bool share = q->n_waiting != 0;

	if (e) {
		e->state = SCHED_RUNNING;
		e->woken = false;
	}
	unlock(q, irqs);
	/* armed only when it is needed: a vCPU that is alone on its core is never disturbed */
	if (e && share)
		timer_arm(&q->slice, cpu, rdtsc() + ns_to_tsc(SCHED_SLICE_NS));
	return e;
}

void sched_put_back(struct sched_entity *e, enum sched_state to)
{
	struct runq *q = runq_of(e->cpu);
	bool irqs = lock(q);

	if (to == SCHED_QUEUED || (to == SCHED_BLOCKED && e->woken))
		push(q, e);
	else
		e->state = to;
	unlock(q, irqs);
}

void sched_park(struct sched_entity *e)
{
	struct runq *q = runq_of(e->cpu);
	bool irqs = lock(q);

	invariant(e->state != SCHED_RUNNING);
	if (e->state == SCHED_QUEUED) {
		struct sched_entity **link = &q->head, *prev = NULL;

		while (*link != e) {
			prev = *link;
			link = &prev->next;
		}
		*link = e->next;
		if (q->tail == e)
			q->tail = prev;
		q->n_waiting--;
	}
	e->state = SCHED_PARKED;
	unlock(q, irqs);
}

void sched_release(struct sched_entity *e)
{
	struct runq *q = runq_of(e->cpu);
	bool irqs = lock(q);

	if (e->state == SCHED_PARKED)
		e->state = SCHED_BLOCKED;
	unlock(q, irqs);
	sched_wake(e);
}

void sched_idle(void)
{
	struct percpu *cpu = this_cpu();

	irq_disable();
	if (!__atomic_load_n(&cpu->requests, __ATOMIC_SEQ_CST)) {
		uint64_t from = rdtsc();

		__atomic_store_n(&cpu->idle_since, from, __ATOMIC_RELAXED);
		halt_until_interrupt();
		__atomic_store_n(&cpu->idle_since, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&cpu->idle_tsc, cpu->idle_tsc + rdtsc() - from, __ATOMIC_RELAXED);
	}
	irq_enable();
}

uint64_t sched_idle_ticks(const struct percpu *cpu)
{
	uint64_t since = __atomic_load_n(&cpu->idle_since, __ATOMIC_RELAXED);
	uint64_t ticks = __atomic_load_n(&cpu->idle_tsc, __ATOMIC_RELAXED);

	return since ? ticks + (rdtsc() - since) : ticks;
}
