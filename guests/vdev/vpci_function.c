/*
 * What PCI functions have in common: configuration space with its masks, base address registers,
 * the capability list, and how an interrupt leaves. Owns nothing beyond struct vpci_function. Pure.
 *
 * Facts are from the PCI Local Bus Specification 3.0, "Configuration Space Organization", "Base
 * Addresses", "Capabilities List", "Message Signaled Interrupts", and the PCI Express Base
 * Specification, "PCI Express Enhanced Configuration Access Mechanism (ECAM)".
 */
#include "guests/board.h"
#include "guests/vdev/msi.h"
#include "guests/vdev/vmsi.h"
#include "guests/vdev/vmsix.h"
#include "guests/vdev/vpci.h"
#include "lib/string.h"

#define BAR_IO       0x1u
#define BAR_64       0x4u
#define BAR_IO_LOW   0x3u /* bits that are no address */
#define BAR_MEM_LOW  0xFu
#define BAR_REG(bar) (PCI_BAR0 + 4 * (bar))

#define PIN_A 1

void vpci_function_init(struct vpci_function *f, uint16_t bdf, uint16_t vendor, uint16_t device,
			uint32_t class_code, uint8_t revision)
{
	memset(f, 0, sizeof(*f));
	f->bdf = bdf;
	f->next_capability = PCI_FIRST_CAPABILITY;
	pci_put(f->fresh, PCI_VENDOR, 2, vendor);
	pci_put(f->fresh, PCI_DEVICE, 2, device);
	pci_put(f->fresh, PCI_CLASS, 3, class_code);
	pci_put(f->fresh, PCI_REVISION, 1, revision);
}

/* A guest finds the size by writing ones: the address bits below it cannot be written. */
void vpci_function_bar(struct vpci_function *f, unsigned bar, enum vpci_bar_kind kind,
		       uint32_t size)
{
	bool io = kind == VPCI_BAR_IO;

	f->bar[bar] = (struct vpci_bar){.kind = (uint8_t)kind, .size = size};
	pci_put(f->fresh, BAR_REG(bar), 4, io ? BAR_IO : kind == VPCI_BAR_MEMORY64 ? BAR_64 : 0);
	pci_put(f->write_mask, BAR_REG(bar), 4, ~(size - 1) & ~(io ? BAR_IO_LOW : BAR_MEM_LOW));
	if (kind == VPCI_BAR_MEMORY64)
		pci_put(f->write_mask, BAR_REG(bar + 1), 4, UINT32_MAX);
	f->write_mask[PCI_COMMAND] |= io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
}

void vpci_function_pin(struct vpci_function *f)
{
	f->fresh[PCI_INTERRUPT_PIN] = PIN_A;
	f->fresh[PCI_INTERRUPT_LINE] =
		vpci_wire(f->bdf) < 2 ? BOARD_PIRQ_AB_IRQ : BOARD_PIRQ_CD_IRQ;
	f->write_mask[PCI_INTERRUPT_LINE] = 0xff;
	f->write_mask[PCI_COMMAND + 1] |= PCI_COMMAND_INTX_OFF >> 8;
	f->own_mask[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
}

uint8_t vpci_function_capability(struct vpci_function *f, uint8_t id, unsigned size)
{
	uint8_t at = f->next_capability;

	if (f->last_capability)
		f->fresh[f->last_capability + 1] = at;
	else
		f->fresh[PCI_CAPABILITIES] = at;
	f->fresh[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
	f->fresh[at] = id;
	f->last_capability = at;
	f->next_capability = (uint8_t)(at + ALIGN_UP(size, 4u));
	return at;
}

void vpci_function_reset(struct vpci_function *f)
{
	memcpy(f->config, f->fresh, sizeof(f->config));
	if (f->extended)
		memcpy(f->extended, f->extended_fresh, f->extended_size);
	f->dropped = 0;
}

/* ---- configuration space ---- */

/* A conventional function does not decode the extended register number, so nothing answers there;
 * in a PCI Express function what no capability has is zero. */
static uint8_t read_extended(const struct vpci_function *f, unsigned at)
{
	if (!f->express)
		return 0xff;
	return at < f->extended_size ? f->extended[at] : 0;
}

uint32_t vpci_function_read(const struct vpci_function *f, unsigned reg, unsigned size)
{
	uint32_t value = 0;

	if (reg < VPCI_CONFIG_SIZE)
		return pci_get(f->config, reg, size);
	for (unsigned i = 0; i < size; i++)
		value |= (uint32_t)read_extended(f, reg - VPCI_CONFIG_SIZE + i) << i * 8;
	return value;
}

static void put_masked(uint8_t *byte, uint8_t mask, uint8_t value)
{
	*byte = (uint8_t)((*byte & ~mask) | (value & mask));
}

static void write_extended(struct vpci_function *f, unsigned at, uint8_t value)
{
	if (at < f->extended_size)
		put_masked(&f->extended[at], f->extended_mask[at], value);
}

void vpci_function_write(struct vpci_function *f, unsigned reg, unsigned size, uint32_t value)
{
	for (unsigned i = 0; i < size; i++, reg++, value >>= 8) {
		if (reg < VPCI_CONFIG_SIZE)
			put_masked(&f->config[reg], f->write_mask[reg], (uint8_t)value);
		else
			write_extended(f, reg - VPCI_CONFIG_SIZE, (uint8_t)value);
	}
	/* Mastering, an enable or a mask may be another now. */
	if (f->msix)
		vmsix_deliver(f->msix);
	if (f->msi)
		vmsi_deliver(f->msi);
	vpci_update_line(f);
}

static uint32_t command(const struct vpci_function *f)
{
	return pci_get(f->config, PCI_COMMAND, 2);
}

bool vpci_function_is_master(const struct vpci_function *f)
{
	return command(f) & PCI_COMMAND_MASTER;
}

/* ---- regions ---- */

static uint64_t bar_address(const struct vpci_function *f, unsigned bar)
{
	uint64_t low = pci_get(f->config, BAR_REG(bar), 4);

	if (f->bar[bar].kind == VPCI_BAR_IO)
		return low & ~(uint64_t)BAR_IO_LOW;
	if (f->bar[bar].kind == VPCI_BAR_MEMORY64)
		low |= (uint64_t)pci_get(f->config, BAR_REG(bar + 1), 4) << 32;
	return low & ~(uint64_t)BAR_MEM_LOW;
}

int vpci_function_find(const struct vpci_function *f, bool io, uint64_t address, unsigned size,
		       unsigned *offset)
{
	if (!(command(f) & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
		return -1;
	for (unsigned i = 0; i < VPCI_BARS; i++) {
		const struct vpci_bar *b = &f->bar[i];
		uint64_t at;

		if (b->kind == VPCI_BAR_NONE || (b->kind == VPCI_BAR_IO) != io)
			continue;
		at = address - bar_address(f, i);
		if (at < b->size && size <= b->size - at) {
			*offset = (unsigned)at;
			return (int)i;
		}
	}
	return -1;
}

/* ---- interrupts ---- */

bool vpci_function_asserts(const struct vpci_function *f)
{
	return (f->config[PCI_STATUS] & PCI_STATUS_INTERRUPT) &&
	       !(command(f) & PCI_COMMAND_INTX_OFF) && !(f->msi && vmsi_enabled(f->msi)) &&
	       !(f->msix && vmsix_enabled(f->msix));
}

void vpci_function_intx(struct vpci_function *f, bool level)
{
	put_masked(&f->config[PCI_STATUS], PCI_STATUS_INTERRUPT, level ? 0xff : 0);
	vpci_update_line(f);
}

bool vpci_function_raise(struct vpci_function *f, unsigned vector)
{
	if (f->msix && vmsix_enabled(f->msix))
		return vmsix_raise(f->msix, vector);
	return f->msi && vmsi_enabled(f->msi) && vmsi_raise(f->msi, vector);
}

/* A level that is taken back has no effect (Intel SDM volume 3, "Message Data Register Format"). */
void vpci_function_message(struct vpci_function *f, uint64_t addr, uint32_t data)
{
	const struct vdev_host *host;

	if (addr >> MSI_ADDR_BASE_SHIFT != MSI_ADDR_BASE >> MSI_ADDR_BASE_SHIFT) {
		f->dropped++;
		return;
	}
	if (!f->bus || ((data & MSI_DATA_LEVEL) && !(data & MSI_DATA_ASSERT)))
		return;
	host = f->bus->host;
	host->msi(host->ctx, addr, data);
}

/* ---- loaded state ---- */

int vpci_function_check(const struct vpci_function *f, const char *name, struct reason *why)
{
	for (unsigned i = 0; i < VPCI_CONFIG_SIZE; i++) {
		if ((f->config[i] ^ f->fresh[i]) & ~(f->write_mask[i] | f->own_mask[i]))
			return refuse(why, ERR_INVALID,
				      "The configuration space of the %s cannot have 0x%02x at "
				      "0x%02x.",
				      name, f->config[i], i);
	}
	for (unsigned i = 0; i < f->extended_size; i++) {
		if ((f->extended[i] ^ f->extended_fresh[i]) & ~f->extended_mask[i])
			return refuse(why, ERR_INVALID,
				      "The configuration space of the %s cannot have 0x%02x at "
				      "0x%03x.",
				      name, f->extended[i], VPCI_CONFIG_SIZE + i);
	}
	return 0;
}
