/*
 * The cores of the machine: bringing them up, the clock, their local APICs, cross-core calls, and
 * ending the machine. Privileged.
 */
#ifndef ARCH_X86_CPU_H
#define ARCH_X86_CPU_H

#include "arch/x86/percpu.h"
#include "boot/info.h"
#include "lib/types.h"

/* Vectors of the hypervisor's own interrupts. */
enum {
	VECTOR_IRQ_BASE = 0x30, /* host devices: I/O APIC pins that drivers ask for */
	VECTOR_TIMER = 0xf0,    /* local APIC timer */
	VECTOR_KICK = 0xf1,     /* look at your requests */
	VECTOR_ERROR = 0xfe,    /* local APIC error */
	VECTOR_SPURIOUS = 0xff,
};

/* ---- interrupts ---- */

typedef void irq_handler(void *ctx);

/* Registers the handler of a host interrupt vector (all cores). Runs with interrupts off; the EOI
 * is sent by the caller of the handler. */
void irq_register(uint8_t vector, irq_handler *handler, void *ctx);

/* Routes ISA line `irq` (by the MADT's overrides) to a vector on the boot CPU. ERR_NOT_FOUND
 * without an I/O APIC that has it. */
int irq_route_isa(uint8_t irq, uint8_t vector);

/* Masks every pin of every I/O APIC, and the two 8259s. */
void ioapic_init(const struct acpi_info *acpi);

/* ---- local APIC of this core ---- */

/* On the boot CPU first, after tsc_calibrate: chooses x2APIC or xAPIC for all cores and calibrates
 * the timer. */
void lapic_init_this_cpu(void);

/* Sends a fixed interrupt or an NMI. Any context but NMI handlers. */
void lapic_send(uint32_t apic_id, uint8_t vector);
void lapic_send_nmi(uint32_t apic_id);

/* Ends the interrupt in service. Called by the interrupt dispatcher after the handler, for every
 * vector but VECTOR_SPURIOUS, which has none in service. */
void lapic_eoi(void);

/* Makes this core's timer interrupt at or soon after TSC value `deadline` (TIME_NEVER: off). A
 * deadline in the past fires at once. Works by TSC-deadline mode or the calibrated one-shot
 * counter, which may fire early when the deadline is farther away than it can count: look at the
 * time in the handler. */
void lapic_timer_set(uint64_t deadline);

/* ---- time ---- */

/* TSC frequency, in Hz, calibrated at boot: CPUID 15h if a measurement agrees, else by the ACPI PM
 * timer, else HPET, else the 8254. `tsc_source` names which. */
extern uint64_t tsc_hz;
extern const char *tsc_source;
void tsc_calibrate(const struct acpi_info *acpi);
uint64_t tsc_to_ns(uint64_t ticks);   /* a length of time; at most 1 ns too small, for centuries */
uint64_t ns_to_tsc(uint64_t ns);      /* TIME_NEVER stays TIME_NEVER, both ways */
uint64_t uptime_ns(void);             /* since tsc_calibrate began; 0 before */
uint64_t tsc_uptime_ns(uint64_t tsc); /* what it was when the boot CPU's TSC was that */
void delay_us(uint64_t us);

/* Seconds since 1970 by the CMOS clock at boot plus uptime (drivers/cmos.c). */
uint64_t wall_clock_seconds(void);

/* ---- cores ---- */

/* The boot CPU's area, static: the first thing that C does, for GS must be right. */
void percpu_init_boot(void);

/* Maps a core's four stacks, with guard pages; false when out of memory. For the boot CPU, too,
 * once the heap is there. */
bool percpu_make_stacks(struct percpu *cpu);

/* Chooses the pages below 640 KiB that the other cores start in. Before anything is placed in low
 * memory. An empty range: there is no room, and smp_start says so. */
struct mem_range smp_reserve_trampoline(const struct boot_info *info);

/* Starts the other cores of the MADT, `max` in all, by INIT-SIPI-SIPI. A core that does not answer
 * in time is named and left out. Each runs `entry` with interrupts off. */
void smp_start(const struct acpi_info *acpi, uint32_t max, void (*entry)(void));

/* Sets request bits of a core and interrupts it if it is another one. Any core, any context but
 * NMI. */
void cpu_request(struct percpu *cpu, uint32_t bits);

/* ---- the end ---- */

enum machine_status {
	STATUS_OK = 0,             /* all guests ended with 0 */
	STATUS_GUEST_FAILED = 1,   /* a guest ended with another status, or crashed */
	STATUS_CONFIG_REFUSED = 2, /* a configuration was refused */
	STATUS_PANIC = 3,
};

/* Ends the machine by the configured method (boot option exit=), or resets it. The other cores are
 * stopped first; if nothing works, says so and halts. */
void machine_exit(enum machine_status status) __noreturn;
void machine_reset(void) __noreturn;

/* What panic= says is to follow a report. The dump is the caller's to send before. */
const struct panic_policy *panic_policy(void);
void machine_panic(void) __noreturn;

void machine_exit_configure(const struct boot_options *options, const struct acpi_info *acpi);

/* Stops all other cores for good, by NMI, and waits for them a moment. When two cores do it at the
 * same time, one of them stops in it. */
void cpus_stop(void);

/* Has cpus_stop been called by another core? The NMI handler asks first of all, and then stops,
 * with what it interrupted. */
bool cpu_should_stop(void);
void cpu_stop_here(const struct trap_frame *f) __noreturn;

#endif
