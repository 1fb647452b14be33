/*
 * Samples of all cores; see sample.h. A core's percpu.sample says where its sample is wanted: set
 * by the one that asks, taken by the core's NMI handler. Privileged.
 */
#include "arch/x86/sample.h"

#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/oops.h"
#include "lib/string.h"

static void fill(struct cpu_sample *s, const struct trap_frame *f)
{
	const struct cpu_stack *main = &this_cpu()->stacks[0];
	uint64_t from = MAX(f->rsp, main->top - SAMPLE_STACK);

	s->regs = *f;
	s->stack_len = 0;
	if (f->rsp >= main->bottom && f->rsp < main->top) {
		s->stack_at = from;
		s->stack_len = main->top - from;
		memcpy(s->stack, (const void *)from, s->stack_len);
	}
	__atomic_store_n(&s->taken, true, __ATOMIC_RELEASE);
}

bool sample_by_nmi(const struct trap_frame *f)
{
	struct cpu_sample *s = __atomic_exchange_n(&this_cpu()->sample, NULL, __ATOMIC_ACQ_REL);

	if (s)
		fill(s, f);
	return s;
}

void cpus_sample(struct cpu_sample *const samples[], uint32_t n)
{
	struct trap_frame f;

	for (uint32_t i = 0; i < n; i++) {
		if (percpus[i] == this_cpu() || !samples[i])
			continue;
		__atomic_store_n(&percpus[i]->sample, samples[i], __ATOMIC_RELEASE);
		lapic_send_nmi(percpus[i]->apic_id);
	}
	capture_frame(&f);
	if (samples[this_cpu()->index])
		fill(samples[this_cpu()->index], &f);
	for (uint32_t i = 0; i < n; i++) {
		if (!samples[i])
			continue;
		for (unsigned t = 0;
		     t < 1000 && !__atomic_load_n(&samples[i]->taken, __ATOMIC_ACQUIRE); t++)
			delay_us(100);
		/* it must not come later, when the sample's memory is somebody else's; a handler
		 * that is at it gets the time to end */
		if (!__atomic_exchange_n(&percpus[i]->sample, NULL, __ATOMIC_ACQ_REL))
			while (!__atomic_load_n(&samples[i]->taken, __ATOMIC_ACQUIRE))
				cpu_pause();
	}
}
