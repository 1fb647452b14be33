/*
 * Per-core timers. Privileged.
 *
 * Owns the cores' queues. Each has a lock (LOCK_TIMERS), taken with interrupts off since the
 * timer's interrupt takes it; callbacks run without it.
 */
#include "sched/timer.h"

#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "lib/spinlock.h"

/* Callbacks that run in one interrupt: the rest waits for the next, which comes at once, so timers
 * that arm themselves in the past cannot keep a core from its other work. */
#define MAX_EXPIRED 64

struct timer_queue {
	struct spinlock lock;
	struct timer_node *root;
	struct timer *running; /* whose callback runs now; atomic */
} __attribute__((aligned(64)));

static struct timer_queue queues[MAX_CPUS];

static struct timer_queue *queue_of(const struct percpu *cpu)
{
	return &queues[cpu->index];
}

/* Locks the queue that the timer is armed on; NULL if it is on none. Interrupts are off. */
static struct timer_queue *lock_queue(struct timer *t)
{
	for (;;) {
		struct timer_queue *q = __atomic_load_n(&t->queue, __ATOMIC_ACQUIRE);

		if (!q)
			return NULL;
		spin_lock(&q->lock, LOCK_TIMERS);
		if (t->queue == q)
			return q;
		spin_unlock(&q->lock, LOCK_TIMERS); /* it fired meanwhile */
	}
}

/* Takes the timer off its queue. The hardware timer stays as it is: at worst it interrupts for
 * nothing. */
static bool take_off(struct timer *t)
{
	struct timer_queue *q = lock_queue(t);

	if (!q)
		return false;
	timer_heap_remove(&q->root, &t->node);
	__atomic_store_n(&t->queue, NULL, __ATOMIC_RELEASE);
	spin_unlock(&q->lock, LOCK_TIMERS);
	return true;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	*t = (struct timer){.fn = fn};
}

void timer_arm(struct timer *t, struct percpu *cpu, uint64_t deadline)
{
	struct timer_queue *q = queue_of(cpu);
	bool on = irq_save(), first;

	take_off(t);
	if (deadline == TIME_NEVER) {
		irq_restore(on);
		return;
	}
	spin_lock(&q->lock, LOCK_TIMERS);
	t->node.deadline = deadline;
	timer_heap_push(&q->root, &t->node);
	__atomic_store_n(&t->queue, q, __ATOMIC_RELEASE);
	first = q->root == &t->node;
	/* Under the lock, so that an older head is not set after a newer one. A callback's own
	 * changes are seen when the interrupt that runs it ends. */
	if (first && cpu == this_cpu())
		lapic_timer_set(deadline);
	spin_unlock(&q->lock, LOCK_TIMERS);
	/* the other core's interrupt looks at its queue and sets its own hardware */
	if (first && cpu != this_cpu())
		lapic_send(cpu->apic_id, VECTOR_TIMER);
	irq_restore(on);
}

/* Waits until no other core is in the timer's callback. */
static void wait_while_running(const struct timer *t)
{
	for (uint32_t i = 0; i < n_cpus; i++)
		while (percpus[i] != this_cpu() &&
		       __atomic_load_n(&queues[i].running, __ATOMIC_ACQUIRE) == t)
			cpu_pause();
}

bool timer_cancel(struct timer *t)
{
	bool on = irq_save(), armed = false;

	do { /* again if the callback that ran armed the timer */
		armed |= take_off(t);
		wait_while_running(t);
	} while (__atomic_load_n(&t->queue, __ATOMIC_ACQUIRE));
	irq_restore(on);
	return armed;
}

static void on_timer(void *ctx)
{
	struct timer_queue *q = queue_of(this_cpu());
	uint64_t now = rdtsc();

	(void)ctx;
	spin_lock(&q->lock, LOCK_TIMERS);
	for (int n = 0; n < MAX_EXPIRED && q->root && q->root->deadline <= now; n++) {
		struct timer *t = container_of(q->root, struct timer, node);

		timer_heap_remove(&q->root, &t->node);
		/* `running` first: who sees the timer on no queue must see that it runs */
		__atomic_store_n(&q->running, t, __ATOMIC_RELAXED);
		__atomic_store_n(&t->queue, NULL, __ATOMIC_RELEASE);
		spin_unlock(&q->lock, LOCK_TIMERS);
		t->fn(t);
		__atomic_store_n(&q->running, NULL, __ATOMIC_RELEASE);
		spin_lock(&q->lock, LOCK_TIMERS);
	}
	lapic_timer_set(q->root ? q->root->deadline : TIME_NEVER);
	spin_unlock(&q->lock, LOCK_TIMERS);
}

void timers_init(void)
{
	irq_register(VECTOR_TIMER, on_timer, NULL);
}
