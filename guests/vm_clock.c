/*
 * A guest's clock. While the guest runs, guest time is the host's TSC less `clock_base`; while it
 * does not, `clock_frozen` holds it. So a pause is no time for the guest, and its TSC, its timers
 * and its paravirtual clock stay in step, because they all come from here.
 */
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "guests/vm.h"

static bool running(const struct vm *vm)
{
	return vm->clock_frozen == TIME_NEVER;
}

uint64_t vm_clock_ns(const struct vm *vm)
{
	return tsc_to_ns(running(vm) ? rdtsc() - vm->clock_base : vm->clock_frozen);
}

uint64_t vm_clock_host_tsc(const struct vm *vm, uint64_t ns)
{
	if (ns == TIME_NEVER)
		return TIME_NEVER;
	/* conversion rounds down: a timer must not fire before its time, and find nothing to do */
	return vm->clock_base + ns_to_tsc(ns) + 2;
}

void vm_clock_start(struct vm *vm, uint64_t ticks)
{
	vm->clock_base = rdtsc() - ticks;
	vm->clock_frozen = TIME_NEVER;
	for (uint32_t i = 0; i < vm->n_vcpus; i++)
		vcpu_tsc_changed(vm->vcpus[i]);
}

void vm_clock_stop(struct vm *vm)
{
	if (running(vm))
		vm->clock_frozen = rdtsc() - vm->clock_base;
}
