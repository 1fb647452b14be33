/*
 * The PCI device for tests: see vpcitest.h. Pure.
 *
 * Its capabilities are from the PCI Express Base Specification, "PCI Express Capability Structure"
 * (version 2; an integrated endpoint has no link, and needs no I/O: all its registers are in memory
 * too) and "Vendor-Specific Extended Capability".
 */
#include "guests/vdev/vpcitest.h"

#include "lib/string.h"

#define CLASS_OTHER 0xFF0000
#define REVISION    1

enum {
	BAR_MEMORY = 0,
	BAR_IO = 1,
	BAR_MSIX = 2,
};

#define CAP_EXPRESS         0x10
#define CAP_EXPRESS_SIZE    60
#define EXPRESS_FLAGS       2
#define EXPRESS_DEVCAP      4
#define EXPRESS_DEVCTL      8
#define FLAGS_V2_INTEGRATED (2 | 9 << 4)
#define DEVCAP_ROLE_ERRORS  BIT32(15) /* required since version 1.1 */
#define DEVCTL_ERRORS       0x000F    /* which errors are reported */

/* The extended capability at 0x100: an ID of 0x000b and version 1, the last of its list; the
 * vendor's ID, revision and length; 12 bytes, of which the first 4 can be written. */
static const uint8_t extended_fresh[] = {0x0B, 0x00, 0x01, 0x00, 0x01, 0x00, 0x41, 0x01, 0, 0,
					 0,    0,    'S',  'K',  'R',  'Y',  0,    0,    0, 0};
static const uint8_t extended_mask[sizeof(extended_fresh)] = {
	[8] = 0xFF, [9] = 0xFF, [10] = 0xFF, [11] = 0xFF};

static const struct vdev_field fields[] = {
	VDEV_ARRAY(struct vpcitest, function.config, 0, "configuration space"),
	VDEV_ARRAY(struct vpcitest, extended, 0, "its extended part, from 0x100"),
	VDEV_FIELD(struct vpcitest, function.dropped, 0, "messages without an interrupt's address"),
	VDEV_ARRAY(struct vpcitest, msix.table, 0, "MSI-X table"),
	VDEV_FIELD(struct vpcitest, msix.pending, 0, "MSI-X pending bits"),
	VDEV_FIELD(struct vpcitest, memory.reads, 0, "counted reads of memory"),
	VDEV_FIELD(struct vpcitest, memory.writes, 0, "counted writes to memory"),
	VDEV_FIELD(struct vpcitest, memory.last, 0, "last value written to memory"),
	VDEV_FIELD(struct vpcitest, memory.where, 0, "size and offset of the last access"),
	VDEV_FIELD(struct vpcitest, io.reads, 0, "counted reads of ports"),
	VDEV_FIELD(struct vpcitest, io.writes, 0, "counted writes to ports"),
	VDEV_FIELD(struct vpcitest, io.last, 0, "last value written to a port"),
	VDEV_FIELD(struct vpcitest, io.where, 0, "size and offset of the last access"),
	VDEV_FIELD(struct vpcitest, refused, 0, "raised messages that there are not"),
};

const struct vdev_type vpcitest_type = {
	.name = "pcitest",
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.version = 1,
};

static struct vpcitest *of(struct vpci_function *f)
{
	return container_of(f, struct vpcitest, function);
}

static uint32_t read_register(const struct vpcitest *v, unsigned offset)
{
	switch (offset) {
	case VPCITEST_ID:
		return VPCITEST_ID_VALUE;
	case VPCITEST_MEM_READS:
		return v->memory.reads;
	case VPCITEST_MEM_WRITES:
		return v->memory.writes;
	case VPCITEST_MEM_LAST:
		return (uint32_t)v->memory.last;
	case VPCITEST_MEM_LAST_HIGH:
		return (uint32_t)(v->memory.last >> 32);
	case VPCITEST_MEM_WHERE:
		return v->memory.where;
	case VPCITEST_IO_READS:
		return v->io.reads;
	case VPCITEST_IO_WRITES:
		return v->io.writes;
	case VPCITEST_IO_LAST:
		return (uint32_t)v->io.last;
	case VPCITEST_IO_WHERE:
		return v->io.where;
	case VPCITEST_INTX:
		return (v->function.config[PCI_STATUS] & PCI_STATUS_INTERRUPT) != 0;
	case VPCITEST_MESSAGE:
		return v->refused;
	case VPCITEST_DROPPED:
		return v->function.dropped;
	default:
		return 0;
	}
}

static void write_register(struct vpcitest *v, unsigned offset, uint32_t value)
{
	switch (offset) {
	case VPCITEST_INTX:
		vpci_function_intx(&v->function, value & 1);
		return;
	case VPCITEST_MESSAGE:
		if (!vpci_function_raise(&v->function, value))
			v->refused++;
		return;
	case VPCITEST_CLEAR:
		v->memory = (struct vpcitest_region){0};
		v->io = (struct vpcitest_region){0};
		v->refused = 0;
		v->function.dropped = 0;
		return;
	default:
		return;
	}
}

static bool is_register(unsigned offset, unsigned size)
{
	return offset % 4 == 0 && size == 4;
}

static struct vpcitest_region *region(struct vpcitest *v, unsigned bar, unsigned offset,
				      unsigned size)
{
	struct vpcitest_region *r = bar == BAR_IO ? &v->io : &v->memory;

	r->where = size << 16 | offset;
	return r;
}

static uint64_t read_bar(struct vpci_function *f, unsigned bar, unsigned offset, unsigned size)
{
	struct vpcitest *v = of(f);
	struct vpcitest_region *r;

	if (bar == BAR_MSIX)
		return vmsix_read(&v->msix, offset, size);
	if (offset < VPCITEST_COUNTED)
		return is_register(offset, size) ? read_register(v, offset) : UINT64_MAX;
	r = region(v, bar, offset, size);
	r->reads++;
	return r->last;
}

static void write_bar(struct vpci_function *f, unsigned bar, unsigned offset, unsigned size,
		      uint64_t value)
{
	struct vpcitest *v = of(f);
	struct vpcitest_region *r;

	if (bar == BAR_MSIX) {
		vmsix_write(&v->msix, offset, size, value);
	} else if (offset >= VPCITEST_COUNTED) {
		r = region(v, bar, offset, size);
		r->writes++;
		r->last = value;
	} else if (is_register(offset, size)) {
		write_register(v, offset, (uint32_t)value);
	}
}

static const struct vpci_ops ops = {
	.read = read_bar,
	.write = write_bar,
};

static void add_express(struct vpci_function *f)
{
	uint8_t cap = vpci_function_capability(f, CAP_EXPRESS, CAP_EXPRESS_SIZE);

	pci_put(f->fresh, cap + EXPRESS_FLAGS, 2, FLAGS_V2_INTEGRATED);
	pci_put(f->fresh, cap + EXPRESS_DEVCAP, 4, DEVCAP_ROLE_ERRORS);
	pci_put(f->write_mask, cap + EXPRESS_DEVCTL, 2, DEVCTL_ERRORS);
	f->express = true;
}

void vpcitest_init(struct vpcitest *v, struct vpci *bus)
{
	struct vpci_function *f = &v->function;

	vpci_function_init(f, VPCI_BDF(0, VPCITEST_SLOT, 0), VPCITEST_VENDOR, VPCITEST_DEVICE,
			   CLASS_OTHER, REVISION);
	pci_put(f->fresh, PCI_SUBSYSTEM_VENDOR, 2, VPCITEST_VENDOR);
	pci_put(f->fresh, PCI_SUBSYSTEM, 2, VPCITEST_DEVICE);
	pci_put(f->write_mask, PCI_COMMAND, 2, PCI_COMMAND_PARITY | PCI_COMMAND_SERR);
	pci_put(f->write_mask, PCI_CACHE_LINE, 1, 0xFF);
	vpci_function_bar(f, BAR_MEMORY, VPCI_BAR_MEMORY, VPCITEST_MEMORY_SIZE);
	vpci_function_bar(f, BAR_IO, VPCI_BAR_IO, VPCITEST_IO_SIZE);
	vpci_function_bar(f, BAR_MSIX, VPCI_BAR_MEMORY64, VMSIX_BAR_SIZE);
	vpci_function_pin(f);
	vmsi_init(&v->msi, f, VPCITEST_MSI_LOG2);
	vmsix_init(&v->msix, f, BAR_MSIX, VPCITEST_MSIX);
	add_express(f);
	f->extended = v->extended;
	f->extended_fresh = extended_fresh;
	f->extended_mask = extended_mask;
	f->extended_size = sizeof(v->extended);
	f->ops = &ops;
	(void)vpci_add(bus, f); /* there is room, and its place is its own */
	vpcitest_reset(v);
}

void vpcitest_reset(struct vpcitest *v)
{
	vdev_reset(&vpcitest_type, v);
	vmsix_reset(&v->msix);
	vpci_function_reset(&v->function);
}

static bool is_where(uint32_t where, unsigned region_size)
{
	unsigned size = where >> 16, offset = where & 0xFFFF;

	if (!where)
		return true;
	return (size == 1 || size == 2 || size == 4 || size == 8) && offset >= VPCITEST_COUNTED &&
	       offset + size <= region_size;
}

int vpcitest_check(const struct vpcitest *v, struct reason *why)
{
	int err = vpci_function_check(&v->function, "PCI test device", why);

	if (!err)
		err = vmsix_check(&v->msix, why);
	if (err)
		return err;
	if (v->io.last >> 32 || v->io.where >> 16 > 4 || !is_where(v->io.where, VPCITEST_IO_SIZE) ||
	    !is_where(v->memory.where, VPCITEST_MEMORY_SIZE))
		return refuse(why, ERR_INVALID,
			      "The PCI test device remembers an access that cannot have been.");
	return 0;
}
