/*
 * The I/O APICs: all pins but the firmware's own masked at boot, ISA lines routed for the few
 * devices that the hypervisor itself drives. Privileged. The table is written at boot only; routing
 * is done by the boot CPU.
 *
 * Registers: 82093AA "I/O Advanced Programmable Interrupt Controller", "I/O APIC Registers".
 */
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "lib/log.h"
#include "mm/hostmap.h"

#define IOREGSEL      0x00
#define IOWIN         0x10
#define IOAPICVER     0x01
#define IOREDTBL(pin) (0x10 + 2 * (pin))

#define REDIR_DELIVERY   (7u << 8)
#define REDIR_SMI        (2u << 8)
#define REDIR_ACTIVE_LOW BIT32(13)
#define REDIR_LEVEL      BIT32(15)
#define REDIR_MASKED     BIT32(16)

struct ioapic {
	volatile uint8_t *mmio;
	uint32_t gsi_base, pins;
};

static struct ioapic ioapics[BOOT_MAX_IOAPICS];
static uint32_t n_ioapics;
static struct acpi_override overrides[BOOT_MAX_OVERRIDES];
static uint32_t n_overrides;

static uint32_t ioapic_read(const struct ioapic *io, uint32_t reg)
{
	*(volatile uint32_t *)(io->mmio + IOREGSEL) = reg;
	return *(volatile uint32_t *)(io->mmio + IOWIN);
}

static void ioapic_write(const struct ioapic *io, uint32_t reg, uint32_t v)
{
	*(volatile uint32_t *)(io->mmio + IOREGSEL) = reg;
	*(volatile uint32_t *)(io->mmio + IOWIN) = v;
}

/*
 * The two 8259s: initialised, so that a spurious interrupt of theirs cannot look like an exception,
 * and masked for good. ICW1 to ICW4 as in "8259A Programmable Interrupt Controller",
 * "Initialization Command Words". Done whether the MADT admits them or not: the ports belong to
 * nothing else.
 */
static void mask_8259s(void)
{
	out8(0x20, 0x11);
	out8(0xa0, 0x11);
	out8(0x21, 0x20);
	out8(0xa1, 0x28);
	out8(0x21, 0x04);
	out8(0xa1, 0x02);
	out8(0x21, 0x01);
	out8(0xa1, 0x01);
	out8(0x21, 0xff);
	out8(0xa1, 0xff);
}

/* A pin that the firmware lets raise system management interrupts: it serves some device, or the
 * board's own health, out of our sight. */
static bool is_firmwares(const struct ioapic *io, uint32_t pin)
{
	return (ioapic_read(io, IOREDTBL(pin)) & REDIR_DELIVERY) == REDIR_SMI;
}

static void add_ioapic(const struct acpi_ioapic *found)
{
	struct ioapic *io = &ioapics[n_ioapics];

	io->mmio = hostmap_device(HPA(found->address), 0x20);
	if (!io->mmio) {
		log_warn("I/O APIC %u at %#lx cannot be mapped: its devices stay silent", found->id,
			 found->address);
		return;
	}
	io->gsi_base = found->gsi_base;
	io->pins = (ioapic_read(io, IOAPICVER) >> 16 & 0xff) + 1;
	if (io->pins > 240) { /* all ones: nothing answers there */
		log_warn("I/O APIC %u at %#lx does not answer: its devices stay silent", found->id,
			 found->address);
		return;
	}
	for (uint32_t pin = 0; pin < io->pins; pin++)
		if (!is_firmwares(io, pin))
			ioapic_write(io, IOREDTBL(pin), REDIR_MASKED);
	n_ioapics++;
}

void ioapic_init(const struct acpi_info *acpi)
{
	mask_8259s();
	for (uint32_t i = 0; i < acpi->n_ioapics && i < BOOT_MAX_IOAPICS; i++)
		add_ioapic(&acpi->ioapics[i]);
	for (; n_overrides < acpi->n_overrides && n_overrides < BOOT_MAX_OVERRIDES; n_overrides++)
		overrides[n_overrides] = acpi->overrides[n_overrides];
}

int irq_route_isa(uint8_t irq, uint8_t vector)
{
	uint32_t gsi = irq, low = vector; /* fixed, physical, edge, active high: as ISA is */

	for (uint32_t i = 0; i < n_overrides; i++) {
		if (overrides[i].irq != irq)
			continue;
		gsi = overrides[i].gsi;
		if (overrides[i].active_low)
			low |= REDIR_ACTIVE_LOW;
		if (overrides[i].level)
			low |= REDIR_LEVEL;
	}
	if (percpus[0]->apic_id > 0xfe) /* the destination field has 8 bits */
		return ERR_UNSUPPORTED;
	for (uint32_t i = 0; i < n_ioapics; i++) {
		const struct ioapic *io = &ioapics[i];

		if (gsi < io->gsi_base || gsi - io->gsi_base >= io->pins)
			continue;
		if (is_firmwares(io, gsi - io->gsi_base))
			return ERR_UNSUPPORTED;
		ioapic_write(io, IOREDTBL(gsi - io->gsi_base) + 1, percpus[0]->apic_id << 24);
		ioapic_write(io, IOREDTBL(gsi - io->gsi_base), low);
		return 0;
	}
	return ERR_NOT_FOUND;
}
