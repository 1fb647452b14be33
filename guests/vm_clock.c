/*
 * A guest's clock. While the guest runs, guest time is the machine's time less `clock_base`; while
 * it does not, `clock_frozen` holds it. So a pause is no time for the guest, and its TSC, its
 * timers and its paravirtual clock stay in step, because they all come from here.
 *
 * The machine's time is the boot CPU's TSC, as every core knows it from its own and the difference
 * that was measured at boot.
 */
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "guests/vm.h"

/* Later than this a timer never fires: centuries, and far from where additions wrap. */
#define LAST_DEADLINE_NS (TIME_NEVER / 64)

static uint64_t machine_tsc(void)
{
	return rdtsc() - (uint64_t)this_cpu()->tsc_skew;
}

static bool running(const struct vm *vm)
{
	return vm->clock_frozen == TIME_NEVER;
}

/* What was measured is not exact: right after the start a core may still be before it. */
static uint64_t ticks_since_base(const struct vm *vm)
{
	uint64_t ticks = machine_tsc() - vm->clock_base;

	return (int64_t)ticks < 0 ? 0 : ticks;
}

uint64_t vm_clock_ns(const struct vm *vm)
{
	return tsc_to_ns(running(vm) ? ticks_since_base(vm) : vm->clock_frozen);
}

uint64_t vm_clock_host_tsc(const struct vm *vm, const struct percpu *cpu, uint64_t ns)
{
	if (ns > LAST_DEADLINE_NS)
		return TIME_NEVER;
	/* conversion rounds down: a timer must not fire before its time, and find nothing to do */
	return vm->clock_base + (uint64_t)cpu->tsc_skew + ns_to_tsc(ns) + 2;
}

uint64_t vm_clock_tsc_offset(const struct vm *vm, const struct percpu *cpu)
{
	return 0 - (vm->clock_base + (uint64_t)cpu->tsc_skew);
}

void vm_clock_start(struct vm *vm, uint64_t ticks)
{
	vm->clock_base = machine_tsc() - ticks;
	vm->clock_frozen = TIME_NEVER;
	for (uint32_t i = 0; i < vm->n_vcpus; i++)
		vcpu_tsc_changed(vm->vcpus[i]);
}

void vm_clock_stop(struct vm *vm)
{
	if (running(vm))
		vm->clock_frozen = ticks_since_base(vm);
}
