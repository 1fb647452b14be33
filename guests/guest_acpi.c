/*
 * The ACPI tables of a guest, from the ACPI specification 5.0, "ACPI Software Programming Model"
 * (RSDP to MADT; offsets below are those of its tables). What they say has to be what the devices
 * in guests/vdev/ do; addresses come from guests/board.h.
 *
 * Pure.
 */
#include "guests/guest_acpi.h"

#include "dsdt.hex" /* dsdt_aml_code, compiled from guests/dsdt.asl */
#include "guests/board.h"
#include "guests/vdev/vhpet.h"
#include "lib/le.h"

/* Header of a system description table. */
#define HDR_LENGTH       4
#define HDR_REVISION     8
#define HDR_CHECKSUM     9
#define HDR_OEM_ID       10
#define HDR_OEM_TABLE    16
#define HDR_OEM_REVISION 24
#define HDR_CREATOR      28
#define HDR_CREATOR_REV  32
#define HDR_SIZE         36

#define RSDP_CHECKSUM  8
#define RSDP_OEM_ID    9
#define RSDP_REVISION  15
#define RSDP_RSDT      16
#define RSDP_LENGTH    20
#define RSDP_XSDT      24
#define RSDP_XCHECKSUM 32
#define RSDP_SIZE      36
#define RSDP_V1_SIZE   20

#define FADT_FACS        36
#define FADT_DSDT        40
#define FADT_SCI         46
#define FADT_PM1A_EVT    56
#define FADT_PM1A_CNT    64
#define FADT_PM_TMR      76
#define FADT_PM1_EVT_LEN 88
#define FADT_PM1_CNT_LEN 89
#define FADT_PM_TMR_LEN  91
#define FADT_C2_LATENCY  96
#define FADT_C3_LATENCY  98
#define FADT_CENTURY     108
#define FADT_BOOT_ARCH   109
#define FADT_FLAGS       112
#define FADT_RESET_REG   116
#define FADT_RESET_VALUE 128
#define FADT_X_DSDT      140
#define FADT_X_PM1A_EVT  148
#define FADT_X_PM1A_CNT  172
#define FADT_X_PM_TMR    208
#define FADT_SIZE        268
#define FADT_REVISION_5  5

#define NO_C2_LATENCY 101  /* microseconds: more than 100 says that there is no C2, */
#define NO_C3_LATENCY 1001 /* more than 1000 that there is no C3 */

/* There are ISA devices, VGA text memory and a CMOS clock; there is no keyboard to look for. */
#define BOOT_LEGACY_DEVICES 0x0001

#define FLAG_WBINVD          BIT32(0)
#define FLAG_PROC_C1         BIT32(2)
#define FLAG_NO_SLEEP_BUTTON BIT32(5) /* and with bit 4 clear, a fixed power button */
#define FLAG_NO_RTC_WAKE     BIT32(6)
#define FLAG_TIMER_32_BITS   BIT32(8)
#define FLAG_RESET_REG       BIT32(10)

#define FACS_SIZE    64
#define FACS_VERSION 32
#define FACS_ALIGN   64

#define MADT_LAPIC_ADDR   36
#define MADT_FLAGS        40
#define MADT_SIZE         44 /* without its entries */
#define MADT_REVISION_3   3
#define MADT_8259_PRESENT 1

#define MCFG_BASE     44 /* of the one entry: its first bus is 0 and its segment 0 */
#define MCFG_LAST_BUS 55
#define MCFG_SIZE     60
#define ECAM_BUS_SIZE 0x100000 /* bytes of a bus */

#define POLARITY_HIGH  0x1
#define TRIGGER_LEVEL  0xC
#define ALL_PROCESSORS 0xFF
#define NMI_LINT       1

enum {
	ENTRY_LAPIC = 0,
	ENTRY_IOAPIC = 1,
	ENTRY_OVERRIDE = 2,
	ENTRY_LAPIC_NMI = 4,
};

#define HPET_BLOCK_ID 36
#define HPET_ADDR     40 /* a generic address */
#define HPET_MIN_TICK 53
#define HPET_SIZE     56

/* What a periodic timer can be trusted with: 100 us (guests/vdev/vhpet.c), in ticks of 10 ns. */
#define HPET_MIN_TICKS 10000

#define SPACE_IO    1
#define ACCESS_BYTE 1
#define ACCESS_WORD 2
#define ACCESS_LONG 3

/* The largest MADT, the other tables, the DSDT and their alignment fit by far. */
_Static_assert(sizeof(dsdt_aml_code) < BOARD_TABLES_SIZE / 2, "the DSDT is too large");

/* The area that is being filled: `at` is its host address, `used` bytes of it are taken. */
struct area {
	uint8_t *at;
	uint32_t used;
};

/* Takes `size` bytes aligned to `align`; answers their offset. */
static uint32_t take(struct area *a, uint32_t size, uint32_t align)
{
	uint32_t offset = ALIGN_UP(a->used, align);

	a->used = offset + size;
	return offset;
}

static uint32_t address(uint32_t offset)
{
	return BOARD_TABLES_START + offset;
}

/* The byte that makes `size` bytes add up to 0. */
static uint8_t checksum(const uint8_t *p, uint32_t size)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + p[i]);
	return (uint8_t)-sum;
}

/* Fills the header of a table whose body is complete. */
static void finish(uint8_t *p, const char *signature, uint32_t size, uint8_t revision)
{
	memcpy(p, signature, 4);
	put_le32(p + HDR_LENGTH, size);
	p[HDR_REVISION] = revision;
	memcpy(p + HDR_OEM_ID, "SKERRY", 6);
	memcpy(p + HDR_OEM_TABLE, "SKERRY  ", 8);
	put_le32(p + HDR_OEM_REVISION, 1);
	memcpy(p + HDR_CREATOR, "SKRY", 4);
	put_le32(p + HDR_CREATOR_REV, 1);
	p[HDR_CHECKSUM] = 0;
	p[HDR_CHECKSUM] = checksum(p, size);
}

/* A generic address structure of a register in I/O space. */
static void put_io_register(uint8_t *p, uint16_t port, uint8_t bits, uint8_t access)
{
	p[0] = SPACE_IO;
	p[1] = bits;
	p[2] = 0;
	p[3] = access;
	put_le64(p + 4, port);
}

static uint32_t build_dsdt(struct area *a)
{
	uint32_t offset = take(a, sizeof(dsdt_aml_code), 16);

	memcpy(a->at + offset, dsdt_aml_code, sizeof(dsdt_aml_code)); /* iasl made the header */
	return offset;
}

static uint32_t build_facs(struct area *a)
{
	uint32_t offset = take(a, FACS_SIZE, FACS_ALIGN);
	uint8_t *p = a->at + offset;

	memcpy(p, "FACS", 4);
	put_le32(p + HDR_LENGTH, FACS_SIZE);
	p[FACS_VERSION] = 2;
	return offset;
}

static uint32_t build_fadt(struct area *a, uint32_t facs, uint32_t dsdt)
{
	uint32_t offset = take(a, FADT_SIZE, 16);
	uint8_t *p = a->at + offset;

	put_le32(p + FADT_FACS, address(facs));
	put_le32(p + FADT_DSDT, address(dsdt));
	put_le16(p + FADT_SCI, BOARD_SCI_IRQ);
	/* No SMI command port: the machine is in ACPI mode always (guests/vdev/vpm.c). */
	put_le32(p + FADT_PM1A_EVT, BOARD_PM1_EVT_PORT);
	put_le32(p + FADT_PM1A_CNT, BOARD_PM1_CNT_PORT);
	put_le32(p + FADT_PM_TMR, BOARD_PM_TMR_PORT);
	p[FADT_PM1_EVT_LEN] = 4;
	p[FADT_PM1_CNT_LEN] = 2;
	p[FADT_PM_TMR_LEN] = 4;
	put_le16(p + FADT_C2_LATENCY, NO_C2_LATENCY);
	put_le16(p + FADT_C3_LATENCY, NO_C3_LATENCY);
	p[FADT_CENTURY] = BOARD_CMOS_CENTURY;
	put_le16(p + FADT_BOOT_ARCH, BOOT_LEGACY_DEVICES);
	put_le32(p + FADT_FLAGS, FLAG_WBINVD | FLAG_PROC_C1 | FLAG_NO_SLEEP_BUTTON |
					 FLAG_NO_RTC_WAKE | FLAG_TIMER_32_BITS | FLAG_RESET_REG);
	put_io_register(p + FADT_RESET_REG, BOARD_RESET_PORT, 8, ACCESS_BYTE);
	p[FADT_RESET_VALUE] = BOARD_RESET_VALUE;
	/* The FACS has a 32-bit address only: of two, systems warn or doubt which is meant. */
	put_le64(p + FADT_X_DSDT, address(dsdt));
	put_io_register(p + FADT_X_PM1A_EVT, BOARD_PM1_EVT_PORT, 32, ACCESS_WORD);
	put_io_register(p + FADT_X_PM1A_CNT, BOARD_PM1_CNT_PORT, 16, ACCESS_WORD);
	put_io_register(p + FADT_X_PM_TMR, BOARD_PM_TMR_PORT, 32, ACCESS_LONG);
	finish(p, "FACP", FADT_SIZE, FADT_REVISION_5);
	return offset;
}

/* Appends an entry to the MADT that ends the area; answers its start, with type and length set. */
static uint8_t *madt_entry(struct area *a, uint8_t type, uint8_t size)
{
	uint8_t *p = a->at + take(a, size, 1);

	p[0] = type;
	p[1] = size;
	return p;
}

static void madt_override(struct area *a, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	uint8_t *p = madt_entry(a, ENTRY_OVERRIDE, 10);

	p[2] = 0; /* ISA */
	p[3] = irq;
	put_le32(p + 4, gsi);
	put_le16(p + 8, flags);
}

static uint32_t build_madt(struct area *a, unsigned n_vcpus)
{
	uint32_t offset = take(a, MADT_SIZE, 16);
	uint8_t *madt = a->at + offset;
	uint8_t *p;

	put_le32(madt + MADT_LAPIC_ADDR, BOARD_LAPIC_ADDR);
	put_le32(madt + MADT_FLAGS, MADT_8259_PRESENT);
	for (unsigned i = 0; i < n_vcpus; i++) {
		p = madt_entry(a, ENTRY_LAPIC, 8);
		p[2] = (uint8_t)i;  /* processor ID */
		p[3] = (uint8_t)i;  /* APIC ID */
		put_le32(p + 4, 1); /* enabled */
	}
	p = madt_entry(a, ENTRY_IOAPIC, 12);
	p[2] = BOARD_IOAPIC_ID;
	put_le32(p + 4, BOARD_IOAPIC_ADDR);
	put_le32(p + 8, 0); /* its first interrupt */
	madt_override(a, 0, BOARD_PIT_GSI, 0);
	madt_override(a, BOARD_SCI_IRQ, BOARD_SCI_IRQ, POLARITY_HIGH | TRIGGER_LEVEL);
	p = madt_entry(a, ENTRY_LAPIC_NMI, 6);
	p[2] = ALL_PROCESSORS;
	put_le16(p + 3, 0);
	p[5] = NMI_LINT;
	finish(madt, "APIC", a->used - offset, MADT_REVISION_3);
	return offset;
}

/* Where PCI's configuration window is: PCI Firmware Specification, "MCFG Table Description". */
static uint32_t build_mcfg(struct area *a)
{
	uint32_t offset = take(a, MCFG_SIZE, 16);
	uint8_t *p = a->at + offset;

	put_le64(p + MCFG_BASE, BOARD_PCI_ECAM_ADDR);
	p[MCFG_LAST_BUS] = BOARD_PCI_ECAM_SIZE / ECAM_BUS_SIZE - 1;
	finish(p, "MCFG", MCFG_SIZE, 1);
	return offset;
}

/* IA-PC HPET specification 1.0a, "The HPET Description Table"; the flags after the minimal tick
 * promise nothing of the page's protection. */
static uint32_t build_hpet(struct area *a)
{
	uint32_t offset = take(a, HPET_SIZE, 16);
	uint8_t *p = a->at + offset;

	put_le32(p + HPET_BLOCK_ID, VHPET_BLOCK_ID);
	put_le64(p + HPET_ADDR + 4, BOARD_HPET_ADDR); /* in memory, no width: all zero before it */
	put_le16(p + HPET_MIN_TICK, HPET_MIN_TICKS);
	finish(p, "HPET", HPET_SIZE, 1);
	return offset;
}

/* The table that points to the others; `width` is the size of an address: 4 (RSDT) or 8 (XSDT). */
static uint32_t build_root(struct area *a, uint32_t width, const uint32_t *tables, uint32_t n)
{
	uint32_t offset = take(a, HDR_SIZE + n * width, 16);
	uint8_t *p = a->at + offset;

	/* The upper half of an 8-byte address stays 0. */
	for (uint32_t i = 0; i < n; i++)
		put_le32(p + HDR_SIZE + i * width, address(tables[i]));
	finish(p, width == 8 ? "XSDT" : "RSDT", HDR_SIZE + n * width, 1);
	return offset;
}

static void build_rsdp(uint8_t *p, uint32_t rsdt, uint32_t xsdt)
{
	memcpy(p, "RSD PTR ", 8);
	memcpy(p + RSDP_OEM_ID, "SKERRY", 6);
	p[RSDP_REVISION] = 2;
	put_le32(p + RSDP_RSDT, address(rsdt));
	put_le32(p + RSDP_LENGTH, RSDP_SIZE);
	put_le64(p + RSDP_XSDT, address(xsdt));
	p[RSDP_CHECKSUM] = checksum(p, RSDP_V1_SIZE);
	p[RSDP_XCHECKSUM] = checksum(p, RSDP_SIZE);
}

int guest_acpi_build(struct gmem *mem, unsigned n_vcpus, uint64_t *rsdp, struct reason *why)
{
	struct area area = {0};
	uint32_t first, facs, dsdt, rsdt, xsdt;
	uint32_t tables[4];

	if (n_vcpus < 1 || n_vcpus > GUEST_ACPI_MAX_VCPUS)
		return refuse(why, ERR_INVALID,
			      "A guest has 1 to %u virtual CPUs: its ACPI tables cannot list %u.",
			      GUEST_ACPI_MAX_VCPUS, n_vcpus);
	area.at = gmem_ptr_write(mem, BOARD_TABLES_START, BOARD_TABLES_SIZE);
	if (!area.at)
		return refuse(why, ERR_RANGE,
			      "The guest has no memory at 0x%x, where its ACPI tables belong.",
			      BOARD_TABLES_START);

	memset(area.at, 0, BOARD_TABLES_SIZE);
	first = take(&area, RSDP_SIZE, 16); /* where systems look first */
	facs = build_facs(&area);
	dsdt = build_dsdt(&area);
	tables[0] = build_fadt(&area, facs, dsdt);
	tables[1] = build_madt(&area, n_vcpus);
	tables[2] = build_mcfg(&area);
	tables[3] = build_hpet(&area);
	rsdt = build_root(&area, 4, tables, ARRAY_SIZE(tables));
	xsdt = build_root(&area, 8, tables, ARRAY_SIZE(tables));
	build_rsdp(area.at + first, rsdt, xsdt);
	*rsdp = address(first);
	return 0;
}
