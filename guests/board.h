/*
 * The board that a guest sees: port and memory addresses that its devices, its ACPI tables and its
 * DSDT (guests/dsdt.asl includes this file) have to agree upon. Plain constants only, without
 * suffixes, because iasl's preprocessor reads them too. Interrupt lines: guests/vdev/vdev.h.
 */
#ifndef GUESTS_BOARD_H
#define GUESTS_BOARD_H

#define BOARD_PIC1_PORT       0x20  /* 2 ports */
#define BOARD_PIC2_PORT       0xA0  /* 2 ports */
#define BOARD_ELCR_PORT       0x4D0 /* 2 ports */
#define BOARD_PIT_PORT        0x40  /* 4 ports */
#define BOARD_KBD_DATA_PORT   0x60
#define BOARD_SPEAKER_PORT    0x61
#define BOARD_KBD_CMD_PORT    0x64
#define BOARD_RTC_PORT        0x70 /* 2 ports */
#define BOARD_SYSCTL_A_PORT   0x92
#define BOARD_DEBUG_EXIT_PORT 0xF4  /* 4 ports */
#define BOARD_COM1_PORT       0x3F8 /* 8 ports */
#define BOARD_FW_CFG_PORT     0x510
#define BOARD_FW_CFG_PORTS    12
#define BOARD_PM1_EVT_PORT    0x600 /* 4 ports */
#define BOARD_PM1_CNT_PORT    0x604 /* 2 ports */
#define BOARD_PM_TMR_PORT     0x608 /* 4 ports */
#define BOARD_PM_PORTS        12    /* from BOARD_PM1_EVT_PORT */
#define BOARD_PCI_ADDR_PORT   0xCF8 /* 4 ports, 32-bit accesses only */
#define BOARD_RESET_PORT      0xCF9 /* 8-bit accesses only */
#define BOARD_PCI_DATA_PORT   0xCFC /* 4 ports */

#define BOARD_RESET_VALUE  0x06 /* to BOARD_RESET_PORT: a full reset */
#define BOARD_SLP_TYP_S0   0    /* SLP_TYP of working */
#define BOARD_SLP_TYP_S5   5    /* SLP_TYP of soft-off */
#define BOARD_CMOS_CENTURY 0x32 /* CMOS byte that holds the century */

#define BOARD_SCI_IRQ  9
#define BOARD_COM1_IRQ 4
#define BOARD_RTC_IRQ  8
#define BOARD_PIT_GSI  2 /* the 8254's pin at the I/O APIC */

/* I/O regions of PCI functions are from here on only. */
#define BOARD_PCI_IO_START 0x1000

/* The PCI bus' four interrupt wires, A to D: pins of the I/O APIC, and IRQs of the 8259s. */
#define BOARD_PIRQ_A_GSI  16
#define BOARD_PIRQ_AB_IRQ 10
#define BOARD_PIRQ_CD_IRQ 11

/* Memory-mapped devices. RAM ends at the PCI window at the latest and continues at 4 GiB. PCI's
 * configuration window (ECAM, 1 MiB for each of 256 buses) parts the PCI window in two. */
#define BOARD_PCI_MMIO_START  0xC0000000
#define BOARD_PCI_MMIO_END    0xDFFFFFFF /* the last byte */
#define BOARD_PCI_MMIO_SIZE   0x20000000
#define BOARD_PCI_ECAM_ADDR   0xE0000000
#define BOARD_PCI_ECAM_SIZE   0x10000000
#define BOARD_PCI_MMIO2_START 0xF0000000
#define BOARD_PCI_MMIO2_END   0xFEBFFFFF
#define BOARD_PCI_MMIO2_SIZE  0x0EC00000
#define BOARD_IOAPIC_ADDR     0xFEC00000
#define BOARD_IOAPIC_ID       0
#define BOARD_HPET_ADDR       0xFED00000
#define BOARD_HPET_SIZE       0x400
#define BOARD_LAPIC_ADDR      0xFEE00000

/* The part of the old BIOS area that holds the ACPI tables; the memory map calls it reserved. */
#define BOARD_TABLES_START 0xE0000
#define BOARD_TABLES_SIZE  0x10000

/* The SMBIOS tables, behind them. The rest up to 1 MiB is left to kernels (guests/load.h). */
#define BOARD_SMBIOS_START 0xF0000
#define BOARD_SMBIOS_SIZE  0x8000

#endif
