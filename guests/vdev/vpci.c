/*
 * PCI configuration mechanism 1, from the PCI Local Bus Specification ("Configuration Mechanism
 * #1", "Configuration Space Organization"), and a host bridge with the identity of Intel's 440FX
 * (82441FX data sheet), which every system knows and from which none expects more than an ordinary
 * PC.
 *
 * Pure.
 */
#include "guests/vdev/vpci.h"

#include "guests/board.h"
#include "lib/string.h"

#define ADDRESS_ENABLE BIT32(31)
#define ADDRESS_BITS   0x80FFFFFCu /* the others read 0 */

#define CFG_VENDOR   0x00
#define CFG_DEVICE   0x02
#define CFG_COMMAND  0x04
#define CFG_STATUS   0x06
#define CFG_REVISION 0x08
#define CFG_CLASS    0x0A
#define CFG_LATENCY  0x0D
/* Programmable attribute map: what lies at 0xC0000 to 0xFFFFF. Storage only, it is RAM always. */
#define CFG_PAM      0x59
#define CFG_PAM_SIZE 7

#define VENDOR_INTEL   0x8086
#define DEVICE_440FX   0x1237
#define REVISION_440FX 0x02
#define CLASS_BRIDGE   0x0600
#define COMMAND_440FX  0x0006 /* memory and bus master: hardwired */
#define COMMAND_WRITE  0x0140 /* SERR and parity error response */
#define STATUS_440FX   0x0280 /* medium DEVSEL timing, fast back-to-back */

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

static void put(uint8_t *bytes, unsigned offset, unsigned size, uint32_t value)
{
	for (unsigned i = 0; i < size; i++)
		bytes[offset + i] = (uint8_t)(value >> i * 8);
}

static void fill_bridge(uint8_t *config)
{
	memset(config, 0, VPCI_CONFIG_SIZE);
	put(config, CFG_VENDOR, 2, VENDOR_INTEL);
	put(config, CFG_DEVICE, 2, DEVICE_440FX);
	put(config, CFG_COMMAND, 2, COMMAND_440FX);
	put(config, CFG_STATUS, 2, STATUS_440FX);
	put(config, CFG_REVISION, 1, REVISION_440FX);
	put(config, CFG_CLASS, 2, CLASS_BRIDGE);
}

static struct vpci_function *find(struct vpci *v, uint16_t bdf)
{
	for (unsigned i = 0; i < v->n_functions; i++)
		if (v->functions[i]->bdf == bdf)
			return v->functions[i];
	return NULL;
}

/* The function that the address register selects, or NULL. */
static struct vpci_function *selected(struct vpci *v)
{
	if (!(v->address & ADDRESS_ENABLE))
		return NULL;
	return find(v, (uint16_t)(v->address >> 8));
}

uint32_t vpci_read(struct vpci *v, uint16_t port, unsigned size)
{
	uint32_t value = size >= 4 ? UINT32_MAX : BIT32(size * 8) - 1;
	unsigned offset = port & 3u;
	const struct vpci_function *f;

	if (port < BOARD_PCI_DATA_PORT)
		return port == BOARD_PCI_ADDR_PORT && size == 4 ? v->address : value;
	f = selected(v);
	if (!f || size > 4 || offset + size > 4)
		return value;
	value = 0;
	for (unsigned i = 0; i < size; i++)
		value |= (uint32_t)f->config[(v->address & 0xFC) + offset + i] << i * 8;
	return value;
}

void vpci_write(struct vpci *v, uint16_t port, unsigned size, uint32_t value)
{
	unsigned offset = port & 3u;
	struct vpci_function *f;

	if (port < BOARD_PCI_DATA_PORT) {
		if (port == BOARD_PCI_ADDR_PORT && size == 4)
			v->address = value & ADDRESS_BITS;
		return;
	}
	f = selected(v);
	if (!f || size > 4 || offset + size > 4)
		return;
	for (unsigned i = 0; i < size; i++) {
		unsigned reg = (v->address & 0xFC) + offset + i;
		uint8_t mask = f->write_mask[reg];

		f->config[reg] =
			(uint8_t)((f->config[reg] & ~mask) | ((uint8_t)(value >> i * 8) & mask));
	}
}

int vpci_add(struct vpci *v, struct vpci_function *f)
{
	if (find(v, f->bdf))
		return ERR_EXISTS;
	if (v->n_functions == VPCI_MAX_FUNCTIONS)
		return ERR_NO_MEMORY;
	v->functions[v->n_functions++] = f;
	return 0;
}

void vpci_init(struct vpci *v, const struct vdev_host *host)
{
	memset(v, 0, sizeof(*v));
	v->host = host;
	v->bridge.bdf = VPCI_BDF(0, 0, 0);
	put(v->bridge.write_mask, CFG_COMMAND, 2, COMMAND_WRITE);
	put(v->bridge.write_mask, CFG_LATENCY, 1, 0xF8);
	memset(v->bridge.write_mask + CFG_PAM, 0xFF, CFG_PAM_SIZE);
	(void)vpci_add(v, &v->bridge); /* the table is empty */
	vpci_reset(v);
}

void vpci_reset(struct vpci *v)
{
	vdev_reset(&vpci_type, v);
	fill_bridge(v->bridge.config);
}

/* Whether all bytes that a guest cannot write are those of `fresh`. */
static bool unchanged(const struct vpci_function *f, const uint8_t *fresh)
{
	for (unsigned i = 0; i < VPCI_CONFIG_SIZE; i++)
		if ((f->config[i] ^ fresh[i]) & ~f->write_mask[i])
			return false;
	return true;
}

int vpci_check(const struct vpci *v, struct reason *why)
{
	uint8_t fresh[VPCI_CONFIG_SIZE];

	fill_bridge(fresh);
	if (v->address & ~ADDRESS_BITS)
		return refuse(why, ERR_INVALID,
			      "The PCI configuration address has bits that do not exist.");
	if (!unchanged(&v->bridge, fresh))
		return refuse(why, ERR_INVALID, "The PCI host bridge is another one than ours.");
	return 0;
}
