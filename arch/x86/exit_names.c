/* The names of exit kinds, for people and scripts. Pure. */
#include "arch/x86/hv.h"

static const char *const names[EXIT_KIND_COUNT] = {
	[EXIT_HOST_EVENT] = "host-event",
	[EXIT_MACHINE_CHECK] = "machine-check",
	[EXIT_CPUID] = "cpuid",
	[EXIT_MSR] = "msr",
	[EXIT_IO] = "io",
	[EXIT_MEMORY] = "memory",
	[EXIT_CONTROL_REG] = "control-register",
	[EXIT_XSETBV] = "xsetbv",
	[EXIT_HALT] = "halt",
	[EXIT_PAUSE] = "pause",
	[EXIT_HYPERCALL] = "hypercall",
	[EXIT_EXCEPTION] = "exception",
	[EXIT_WINDOW] = "window",
	[EXIT_NOTIFY] = "notify",
	[EXIT_APIC_ACCESS] = "apic-access",
	[EXIT_APIC_IPI] = "apic-ipi",
	[EXIT_EOI] = "eoi",
	[EXIT_CACHE] = "cache",
	[EXIT_TASK_SWITCH] = "task-switch",
	[EXIT_REFUSED] = "refused-instruction",
	[EXIT_SHUTDOWN] = "shutdown",
	[EXIT_INIT] = "init",
	[EXIT_ENTRY_FAILED] = "entry-failed",
	[EXIT_UNKNOWN] = "unknown",
};

const char *exit_kind_name(enum exit_kind kind)
{
	return (unsigned)kind < EXIT_KIND_COUNT ? names[kind] : "?";
}
