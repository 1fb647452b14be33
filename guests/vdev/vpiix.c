/*
 * The PIIX functions, from Intel's data sheets of the 82371SB (PIIX3), "PCI to ISA Bridge
 * Configuration Registers", and the 82371AB (PIIX4), "Power Management PCI Configuration
 * Registers". They are storage: the routing of PCI interrupts is the board's (vpci.h) whatever is
 * written to the ISA bridge, and the power management's ports are where the ACPI tables say
 * (guests/vdev/vpm.c), already enabled, so firmware leaves them there.
 *
 * There is no SMI. The bit that says that APM requests raise one is set, which tells firmware that
 * its handler is in place; then it does not try to install one.
 *
 * Pure.
 */
#include "guests/vdev/vpiix.h"

#include "guests/board.h"
#include "lib/le.h"

#define VENDOR_INTEL   0x8086
#define STATUS_MEDIUM  0x0280
#define HEADER_TYPE    0x0E
#define MULTI_FUNCTION 0x80

#define DEVICE_PIIX3_ISA 0x7000
#define CLASS_ISA        0x060100
#define ISA_COMMAND      0x0007 /* I/O, memory and bus master: hardwired */
#define ISA_PIRQ         0x60   /* 4 bytes: routing of PCI interrupts */
#define PIRQ_OFF         0x80
#define PIRQ_WRITE       0x8F

#define DEVICE_PIIX4_PM 0x7113
#define CLASS_OTHER     0x068000
#define PM_REVISION     0x03
#define PM_COMMAND      0x0001
#define PM_BASE         0x40
#define PM_BASE_IO      0x1
#define PM_DEVACTB      0x58
#define DEVACTB_APMC    BIT32(25)
#define PM_MISC         0x80
#define PM_MISC_IO_EN   0x01

static const struct vdev_field fields[] = {
	VDEV_ARRAY(struct vpiix, isa.config, 0, "configuration space of the ISA bridge"),
	VDEV_ARRAY(struct vpiix, pm.config, 0, "configuration space of the power management"),
};

const struct vdev_type vpiix_type = {
	.name = "piix",
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.version = 1,
};

static void describe(struct vpiix *v)
{
	uint8_t *isa = v->isa.fresh, *pm = v->pm.fresh;

	vpci_function_init(&v->isa, VPCI_BDF(0, 1, 0), VENDOR_INTEL, DEVICE_PIIX3_ISA, CLASS_ISA,
			   0);
	put_le16(isa + PCI_COMMAND, ISA_COMMAND);
	put_le16(isa + PCI_STATUS, STATUS_MEDIUM);
	isa[HEADER_TYPE] = MULTI_FUNCTION;
	memset(isa + ISA_PIRQ, PIRQ_OFF, 4);
	memset(v->isa.write_mask + ISA_PIRQ, PIRQ_WRITE, 4);

	vpci_function_init(&v->pm, VPCI_BDF(0, 1, 3), VENDOR_INTEL, DEVICE_PIIX4_PM, CLASS_OTHER,
			   PM_REVISION);
	put_le16(pm + PCI_COMMAND, PM_COMMAND);
	put_le16(pm + PCI_STATUS, STATUS_MEDIUM);
	pm[PCI_INTERRUPT_LINE] = BOARD_SCI_IRQ;
	pm[PCI_INTERRUPT_PIN] = 1;
	v->pm.write_mask[PCI_INTERRUPT_LINE] = 0xFF;
	put_le32(pm + PM_BASE, BOARD_PM1_EVT_PORT | PM_BASE_IO);
	put_le32(pm + PM_DEVACTB, DEVACTB_APMC);
	pm[PM_MISC] = PM_MISC_IO_EN;
}

int vpiix_init(struct vpiix *v, struct vpci *bus)
{
	int err;

	memset(v, 0, sizeof(*v));
	describe(v);
	vpci_function_reset(&v->isa);
	vpci_function_reset(&v->pm);
	err = vpci_add(bus, &v->isa);
	return err ? err : vpci_add(bus, &v->pm);
}
