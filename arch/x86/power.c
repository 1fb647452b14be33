/*
 * The machine's end: power off, reset, and stopping the other cores. Privileged; everything here
 * works from a panic, in any context. The configuration is written once at boot.
 */
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/oops.h"
#include "lib/format.h"
#include "lib/log.h"
#include "mm/hostmap.h"

/* ACPI specification, "PM1 Control Registers" */
#define PM1_SCI_EN      BIT32(0)
#define PM1_SLP_TYP(t)  ((uint32_t)((t)&7) << 10)
#define PM1_SLP_TYP_ALL PM1_SLP_TYP(7)
#define PM1_SLP_EN      BIT32(13)

#define NOBODY UINT32_MAX

static struct boot_options options;
static struct acpi_info acpi;
static bool configured;
static uint32_t stopper = NOBODY; /* index of the core that stops the others; atomic */
static uint32_t stopped;          /* atomic */

/* A register block of the FADT, mapped at boot: there may be no memory, or a held lock, at the end.
 */
struct acpi_register {
	bool there;
	uint16_t port; /* 0: in memory */
	volatile void *mmio;
};

static struct acpi_register pm1a, pm1b, reset_register;

static void map_register(struct acpi_register *r, const struct acpi_gas *gas, unsigned bytes)
{
	if (!gas->address)
		return;
	if (gas->space == 1 && gas->address <= 0x10000 - bytes) {
		r->port = (uint16_t)gas->address;
		r->there = true;
	} else if (gas->space == 0) {
		r->mmio = hostmap_device(HPA(gas->address), bytes);
		r->there = r->mmio;
	}
}

void machine_exit_configure(const struct boot_options *o, const struct acpi_info *a)
{
	options = *o;
	acpi = *a;
	map_register(&pm1a, &acpi.pm1a_cnt, 2);
	map_register(&pm1b, &acpi.pm1b_cnt, 2);
	if (acpi.reset_supported)
		map_register(&reset_register, &acpi.reset_reg, 1);
	configured = true;
}

/* ---- stopping the other cores ---- */

bool cpu_should_stop(void)
{
	uint32_t by = __atomic_load_n(&stopper, __ATOMIC_ACQUIRE);

	return by != NOBODY && by != this_cpu()->index;
}

void cpu_stop_here(const struct trap_frame *f)
{
	irq_disable();
	__atomic_store_n(&this_cpu()->stopped_at, f, __ATOMIC_RELEASE);
	__atomic_fetch_add(&stopped, 1, __ATOMIC_RELEASE);
	for (;;)
		__asm__ volatile("hlt" ::: "memory");
}

void cpus_stop(void)
{
	uint32_t expected = NOBODY, me = this_cpu()->index, n;

	if (!__atomic_compare_exchange_n(&stopper, &expected, me, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE)) {
		struct trap_frame f;

		if (expected == me)
			return; /* once more, from within the end */
		capture_frame(&f);
		cpu_stop_here(&f);
	}
	irq_disable();
	n = __atomic_load_n(&n_cpus, __ATOMIC_ACQUIRE);
	for (uint32_t i = 0; i < n; i++)
		if (i != me)
			lapic_send_nmi(percpus[i]->apic_id);
	/* a core that is stuck in firmware does not answer: go on without it after 100 ms */
	for (int i = 0; i < 1000 && __atomic_load_n(&stopped, __ATOMIC_ACQUIRE) + 1 < n; i++)
		delay_us(100);
}

/* ---- power off ---- */

static uint16_t pm1_read(const struct acpi_register *r)
{
	return r->mmio ? *(volatile uint16_t *)r->mmio : in16(r->port);
}

static void pm1_write(const struct acpi_register *r, uint32_t v)
{
	if (r->mmio)
		*(volatile uint16_t *)r->mmio = (uint16_t)v;
	else
		out16(r->port, (uint16_t)v);
}

/* The sleep states belong to ACPI mode: asks the firmware for it if it is not on. */
static void acpi_mode(void)
{
	if (pm1_read(&pm1a) & PM1_SCI_EN || !acpi.smi_cmd || acpi.smi_cmd > 0xffff ||
	    !acpi.acpi_enable)
		return;
	out8((uint16_t)acpi.smi_cmd, acpi.acpi_enable);
	for (int i = 0; i < 3000 && !(pm1_read(&pm1a) & PM1_SCI_EN); i++)
		delay_us(100);
}

static void sleep_write(const struct acpi_register *r, uint8_t type)
{
	uint32_t v = (pm1_read(r) & ~(PM1_SLP_TYP_ALL | PM1_SLP_EN)) | PM1_SLP_TYP(type);

	/* the type first, then with the enable bit: some chip sets want it so */
	pm1_write(r, v);
	pm1_write(r, v | PM1_SLP_EN);
}

static const char *off_by_acpi(void)
{
	if (!acpi.has_fadt || !pm1a.there)
		return "its ACPI tables name no power management register";
	if (!acpi.has_s5)
		return "its ACPI tables do not say how (no \\_S5)";
	acpi_mode();
	sleep_write(&pm1a, acpi.s5_typ_a);
	if (pm1b.there)
		sleep_write(&pm1b, acpi.s5_typ_b);
	delay_us(3000000);
	return "the machine did not react to ACPI S5";
}

static const char *off_by_isa_debug(enum machine_status status)
{
	out8(options.exit_port, (uint8_t)status);
	delay_us(100000);
	return "nothing answers at the port of exit=isa-debug";
}

static const char *off_by_bochs(void)
{
	for (const char *p = "Shutdown"; *p; p++)
		out8(0x8900, (uint8_t)*p);
	delay_us(100000);
	return "nothing answers at the port of exit=bochs";
}

static const char *status_words(enum machine_status status)
{
	switch (status) {
	case STATUS_OK:
		return "all guests ended well";
	case STATUS_GUEST_FAILED:
		return "a guest failed";
	case STATUS_CONFIG_REFUSED:
		return "the configuration was refused";
	case STATUS_PANIC:
		return "the hypervisor stopped itself";
	}
	return "unknown";
}

static void halt(void) __noreturn;

static void halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" ::: "memory");
}

void machine_exit(enum machine_status status)
{
	const char *why = "the boot did not get far enough";
	char line[160];

	cpus_stop();
	snprintf(line, sizeof(line), "skerry: machine exit, status %d (%s)\n", (int)status,
		 status_words(status));
	console_emergency(line);
	if (configured) {
		switch (options.exit) {
		case MACHINE_EXIT_ACPI:
			why = status == STATUS_PANIC
				      ? "after a panic it stays on for the report to be read"
				      : off_by_acpi();
			break;
		case MACHINE_EXIT_ISA_DEBUG:
			why = off_by_isa_debug(status);
			break;
		case MACHINE_EXIT_BOCHS:
			why = off_by_bochs();
			break;
		}
	}
	snprintf(line, sizeof(line),
		 "skerry: the machine cannot be switched off: %s; it is halted, switch it off by "
		 "hand\n",
		 why);
	console_emergency(line);
	halt();
}

/* ---- reset ---- */

static void reset_by_acpi(void)
{
	if (!reset_register.there)
		return;
	if (reset_register.mmio)
		*(volatile uint8_t *)reset_register.mmio = acpi.reset_value;
	else
		out8(reset_register.port, acpi.reset_value);
	delay_us(100000);
}

/* "Reset Control Register" of the PCI chip sets: first the kind, then the rising edge. */
static void reset_by_pci(void)
{
	uint8_t v = in8(0xcf9) & (uint8_t)~6;

	out8(0xcf9, v | 2);
	delay_us(50);
	out8(0xcf9, v | 6);
	delay_us(100000);
}

/* The keyboard controller pulls the reset line when it is told to; it may be busy. */
static void reset_by_keyboard(void)
{
	for (int i = 0; i < 1000 && in8(0x64) & 2; i++)
		delay_us(100);
	out8(0x64, 0xfe);
	delay_us(100000);
}

static void reset_by_triple_fault(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __packed none = {0};

	__asm__ volatile("lidt %0; ud2" ::"m"(none));
}

void machine_reset(void)
{
	cpus_stop();
	console_emergency("skerry: machine reset\n");
	/* the log outlives a reset in memory, not in the caches */
	__asm__ volatile("wbinvd" ::: "memory");
	reset_by_acpi();
	reset_by_pci();
	reset_by_keyboard();
	reset_by_triple_fault();
	halt();
}

/* ---- after a panic ---- */

const struct panic_policy *panic_policy(void)
{
	return &options.panic;
}

void machine_panic(void)
{
	char line[80];

	if (!configured || !options.panic.reboot)
		machine_exit(STATUS_PANIC);
	snprintf(line, sizeof(line), "skerry: panic=reboot: the machine is reset in %u s\n",
		 options.panic.reboot_s);
	console_emergency(line);
	for (uint32_t s = 0; s < options.panic.reboot_s; s++)
		delay_us(1000000);
	machine_reset();
}
