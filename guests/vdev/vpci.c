/*
 * The PCI bus: configuration mechanism 1 (PCI Local Bus Specification 3.0, "Configuration Mechanism
 * #1"), the memory-mapped one (PCI Express Base Specification, "PCI Express Enhanced Configuration
 * Access Mechanism (ECAM)"), the way to the functions' regions, and a host bridge with the identity
 * of Intel's 440FX (82441FX data sheet), which every system knows and from which none expects more
 * than an ordinary PC.
 *
 * Pure.
 */
#include "guests/vdev/vpci.h"

#include "guests/board.h"
#include "lib/string.h"

#define ADDRESS_ENABLE BIT32(31)
#define ADDRESS_BITS   0x80FFFFFCu /* the others read 0 */

#define ECAM_FUNCTION_SHIFT 12 /* of the offset: bus, device and function from here on */

#define VENDOR_INTEL   0x8086
#define DEVICE_440FX   0x1237
#define REVISION_440FX 0x02
#define CLASS_BRIDGE   0x060000
#define COMMAND_440FX  0x0006 /* memory and bus master: hardwired */
#define STATUS_440FX   0x0280 /* medium DEVSEL timing, fast back-to-back */

/*
 * "Programmable Attribute Map Registers": they choose between RAM and firmware for reads and writes
 * of 0xC0000-0xFFFFF. Here RAM is behind all of that area always, for reads and writes, so they are
 * storage without effect: firmware that shadows itself there finds what it wrote.
 */
#define PAM_440FX       0x59
#define PAM_COUNT_440FX 7

static const struct vdev_field fields[] = {
	VDEV_FIELD(struct vpci, address, 0, "configuration address register"),
	VDEV_ARRAY(struct vpci, bridge.config, 0, "configuration space of the host bridge"),
};

const struct vdev_type vpci_type = {
	.name = "pci",
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.version = 1,
};

static struct vpci_function *find(struct vpci *v, uint16_t bdf)
{
	for (unsigned i = 0; i < v->n_functions; i++)
		if (v->functions[i]->bdf == bdf)
			return v->functions[i];
	return NULL;
}

static uint32_t ones(unsigned size)
{
	return size >= 4 ? UINT32_MAX : BIT32(size * 8) - 1;
}

/* ---- configuration ---- */

/* Both mechanisms end here. An access of no function, or over the end of an aligned 4 bytes, finds
 * nothing. */
static uint32_t config_read(struct vpci *v, uint16_t bdf, unsigned reg, unsigned size)
{
	const struct vpci_function *f = find(v, bdf);

	if (!f || (reg & 3) + size > 4)
		return ones(size);
	return vpci_function_read(f, reg, size);
}

static void config_write(struct vpci *v, uint16_t bdf, unsigned reg, unsigned size, uint32_t value)
{
	struct vpci_function *f = find(v, bdf);

	if (f && (reg & 3) + size <= 4)
		vpci_function_write(f, reg, size, value);
}

static unsigned selected_register(const struct vpci *v, uint16_t port)
{
	return (v->address & 0xFC) + (port & 3u);
}

uint32_t vpci_read(struct vpci *v, uint16_t port, unsigned size)
{
	if (port < BOARD_PCI_DATA_PORT)
		return port == BOARD_PCI_ADDR_PORT && size == 4 ? v->address : ones(size);
	if (!(v->address & ADDRESS_ENABLE))
		return ones(size);
	return config_read(v, (uint16_t)(v->address >> 8), selected_register(v, port), size);
}

void vpci_write(struct vpci *v, uint16_t port, unsigned size, uint32_t value)
{
	if (port < BOARD_PCI_DATA_PORT) {
		if (port == BOARD_PCI_ADDR_PORT && size == 4)
			v->address = value & ADDRESS_BITS;
		return;
	}
	if (v->address & ADDRESS_ENABLE)
		config_write(v, (uint16_t)(v->address >> 8), selected_register(v, port), size,
			     value);
}

uint64_t vpci_ecam_read(struct vpci *v, uint32_t offset, unsigned size)
{
	uint16_t bdf = (uint16_t)(offset >> ECAM_FUNCTION_SHIFT);
	unsigned reg = offset & (VPCI_EXPRESS_SIZE - 1);

	if (size < 8)
		return config_read(v, bdf, reg, size);
	if (reg % 8)
		return UINT64_MAX;
	return config_read(v, bdf, reg, 4) | (uint64_t)config_read(v, bdf, reg + 4, 4) << 32;
}

void vpci_ecam_write(struct vpci *v, uint32_t offset, unsigned size, uint64_t value)
{
	uint16_t bdf = (uint16_t)(offset >> ECAM_FUNCTION_SHIFT);
	unsigned reg = offset & (VPCI_EXPRESS_SIZE - 1);

	if (size < 8) {
		config_write(v, bdf, reg, size, (uint32_t)value);
	} else if (reg % 8 == 0) {
		config_write(v, bdf, reg, 4, (uint32_t)value);
		config_write(v, bdf, reg + 4, 4, (uint32_t)(value >> 32));
	}
}

/* ---- regions ---- */

/* Which function takes an access, by which BAR and at which offset. */
struct target {
	struct vpci_function *f;
	unsigned bar;
	unsigned offset;
};

static bool find_target(struct vpci *v, bool io, uint64_t address, unsigned size, struct target *t)
{
	for (unsigned i = 0; i < v->n_functions; i++) {
		int bar = vpci_function_find(v->functions[i], io, address, size, &t->offset);

		if (bar < 0)
			continue;
		t->f = v->functions[i];
		t->bar = (unsigned)bar;
		return true;
	}
	return false;
}

bool vpci_io_read(struct vpci *v, uint16_t port, unsigned size, uint32_t *value)
{
	struct target t;

	if (!find_target(v, true, port, size, &t))
		return false;
	*value = (uint32_t)t.f->ops->read(t.f, t.bar, t.offset, size) & ones(size);
	return true;
}

bool vpci_io_write(struct vpci *v, uint16_t port, unsigned size, uint32_t value)
{
	struct target t;

	if (!find_target(v, true, port, size, &t))
		return false;
	t.f->ops->write(t.f, t.bar, t.offset, size, value & ones(size));
	return true;
}

bool vpci_memory_read(struct vpci *v, uint64_t gpa, unsigned size, uint64_t *value)
{
	struct target t;

	if (!find_target(v, false, gpa, size, &t))
		return false;
	*value = t.f->ops->read(t.f, t.bar, t.offset, size);
	if (size < 8)
		*value &= ones(size);
	return true;
}

bool vpci_memory_write(struct vpci *v, uint64_t gpa, unsigned size, uint64_t value)
{
	struct target t;

	if (!find_target(v, false, gpa, size, &t))
		return false;
	t.f->ops->write(t.f, t.bar, t.offset, size, size < 8 ? value & ones(size) : value);
	return true;
}

/* ---- interrupt wires ---- */

void vpci_update_line(struct vpci_function *f)
{
	struct vpci *v = f->bus;
	unsigned wire = vpci_wire(f->bdf);
	unsigned asserted = 0;

	if (!v || !f->config[PCI_INTERRUPT_PIN])
		return;
	for (unsigned i = 0; i < v->n_functions; i++) {
		if (vpci_function_asserts(v->functions[i]))
			asserted |= BIT32(vpci_wire(v->functions[i]->bdf));
	}
	v->host->line(v->host->ctx, LINE_PIRQ_A + wire, asserted & BIT32(wire));
	if (wire < 2)
		v->host->line(v->host->ctx, LINE_PIRQ_AB, asserted & 0x3);
	else
		v->host->line(v->host->ctx, LINE_PIRQ_CD, asserted & 0xC);
}

/* ---- what is on the bus ---- */

int vpci_add(struct vpci *v, struct vpci_function *f)
{
	if (find(v, f->bdf))
		return ERR_EXISTS;
	if (v->n_functions == VPCI_MAX_FUNCTIONS)
		return ERR_NO_MEMORY;
	f->bus = v;
	v->functions[v->n_functions++] = f;
	return 0;
}

static void init_bridge(struct vpci_function *f)
{
	vpci_function_init(f, VPCI_BDF(0, 0, 0), VENDOR_INTEL, DEVICE_440FX, CLASS_BRIDGE,
			   REVISION_440FX);
	pci_put(f->fresh, PCI_COMMAND, 2, COMMAND_440FX);
	pci_put(f->fresh, PCI_STATUS, 2, STATUS_440FX);
	pci_put(f->write_mask, PCI_COMMAND, 2, PCI_COMMAND_SERR | PCI_COMMAND_PARITY);
	pci_put(f->write_mask, PCI_LATENCY, 1, 0xF8);
	memset(f->write_mask + PAM_440FX, 0xFF, PAM_COUNT_440FX);
}

void vpci_init(struct vpci *v, const struct vdev_host *host)
{
	memset(v, 0, sizeof(*v));
	v->host = host;
	init_bridge(&v->bridge);
	(void)vpci_add(v, &v->bridge); /* the table is empty */
	vpci_reset(v);
}

void vpci_reset(struct vpci *v)
{
	vdev_reset(&vpci_type, v);
	vpci_function_reset(&v->bridge);
}

int vpci_check(const struct vpci *v, struct reason *why)
{
	if (v->address & ~ADDRESS_BITS)
		return refuse(why, ERR_INVALID,
			      "The PCI configuration address has bits that do not exist.");
	return vpci_function_check(&v->bridge, "PCI host bridge", why);
}
