/*
 * Requests and calls from core to core. Privileged.
 *
 * Owns the lists of calls that wait for a core: pushed by any core, taken whole by the core itself,
 * both atomically, so there is no lock.
 */
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"

struct core_call {
	void (*fn)(void *arg);
	void *arg;
	struct core_call *next;
	bool done; /* atomic; the caller's stack is gone after it */
};

static struct core_call *calls[MAX_CPUS]; /* atomic; by the target's index */

void cpu_request(struct percpu *cpu, uint32_t bits)
{
	uint32_t old = __atomic_fetch_or(&cpu->requests, bits, __ATOMIC_SEQ_CST);

	/* Bits that stand there already were kicked for and not taken yet. */
	if ((old & bits) != bits && cpu != this_cpu())
		lapic_send(cpu->apic_id, VECTOR_KICK);
}

void cpu_take_calls(void)
{
	struct core_call *c =
		__atomic_exchange_n(&calls[this_cpu()->index], NULL, __ATOMIC_ACQUIRE);
	bool on = irq_save();

	while (c) {
		struct core_call *next = c->next;

		c->fn(c->arg);
		__atomic_store_n(&c->done, true, __ATOMIC_RELEASE);
		c = next;
	}
	irq_restore(on);
}

void cpu_call(struct percpu *cpu, void (*fn)(void *arg), void *arg)
{
	struct core_call c = {.fn = fn, .arg = arg};

	if (cpu == this_cpu()) {
		bool on = irq_save();

		fn(arg);
		irq_restore(on);
		return;
	}
	c.next = __atomic_load_n(&calls[cpu->index], __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&calls[cpu->index], &c.next, &c, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
	cpu_request(cpu, CORE_CALL);
	while (!__atomic_load_n(&c.done, __ATOMIC_ACQUIRE)) {
		cpu_take_calls(); /* two cores that call each other must not wait for ever */
		cpu_pause();
	}
}
