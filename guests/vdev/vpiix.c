/*
 * The PIIX functions, from Intel's data sheets of the 82371SB (PIIX3), "PCI to ISA Bridge
 * Configuration Registers", and the 82371AB (PIIX4), "Power Management PCI Configuration
 * Registers". They are storage: interrupts are not routed by the ISA bridge, because no device
 * raises a PCI interrupt, and the power management's ports are where the ACPI tables say
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

#define CFG_ID       0x00
#define CFG_COMMAND  0x04
#define CFG_STATUS   0x06
#define CFG_REVISION 0x08
#define CFG_CLASS    0x0A
#define CFG_HEADER   0x0E
#define CFG_INT_LINE 0x3C
#define CFG_INT_PIN  0x3D

#define ID_PIIX3_ISA   0x70008086u
#define ID_PIIX4_PM    0x71138086u
#define CLASS_ISA      0x0601
#define CLASS_OTHER    0x0680
#define MULTI_FUNCTION 0x80
#define STATUS_MEDIUM  0x0280

#define ISA_COMMAND 0x0007 /* I/O, memory and bus master: hardwired */
#define ISA_PIRQ    0x60   /* 4 bytes: routing of PCI interrupts */
#define PIRQ_OFF    0x80
#define PIRQ_WRITE  0x8F

#define PM_REVISION   0x03
#define PM_COMMAND    0x0001
#define PM_BASE       0x40
#define PM_BASE_IO    0x1
#define PM_DEVACTB    0x58
#define DEVACTB_APMC  BIT32(25)
#define PM_MISC       0x80
#define PM_MISC_IO_EN 0x01

int vpiix_init(struct vpiix *v, struct vpci *bus)
{
	uint8_t *isa = v->isa.config, *pm = v->pm.config;
	int err;

	memset(v, 0, sizeof(*v));
	v->isa.bdf = VPCI_BDF(0, 1, 0);
	put_le32(isa + CFG_ID, ID_PIIX3_ISA);
	put_le16(isa + CFG_COMMAND, ISA_COMMAND);
	put_le16(isa + CFG_STATUS, STATUS_MEDIUM);
	put_le16(isa + CFG_CLASS, CLASS_ISA);
	isa[CFG_HEADER] = MULTI_FUNCTION;
	memset(isa + ISA_PIRQ, PIRQ_OFF, 4);
	memset(v->isa.write_mask + ISA_PIRQ, PIRQ_WRITE, 4);

	v->pm.bdf = VPCI_BDF(0, 1, 3);
	put_le32(pm + CFG_ID, ID_PIIX4_PM);
	put_le16(pm + CFG_COMMAND, PM_COMMAND);
	put_le16(pm + CFG_STATUS, STATUS_MEDIUM);
	pm[CFG_REVISION] = PM_REVISION;
	put_le16(pm + CFG_CLASS, CLASS_OTHER);
	pm[CFG_INT_LINE] = BOARD_SCI_IRQ;
	pm[CFG_INT_PIN] = 1;
	put_le32(pm + PM_BASE, BOARD_PM1_EVT_PORT | PM_BASE_IO);
	put_le32(pm + PM_DEVACTB, DEVACTB_APMC);
	pm[PM_MISC] = PM_MISC_IO_EN;
	v->pm.write_mask[CFG_INT_LINE] = 0xFF;

	err = vpci_add(bus, &v->isa);
	return err ? err : vpci_add(bus, &v->pm);
}
