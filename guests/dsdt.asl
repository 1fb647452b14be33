/*
 * The guest's DSDT: what of the board is not found by other means. Compiled by iasl at build time
 * (-tc gives build/dsdt.hex, which guests/guest_acpi.c includes). Addresses come from guests/board.h.
 *
 * Processors are in the MADT only. There is no keyboard device: see guests/vdev/vkbc.c.
 */
#include "guests/board.h"

DefinitionBlock ("", "DSDT", 2, "SKERRY", "SKERRY  ", 1)
{
	/* Working and soft-off; there are no other sleeping states. */
	Name (\_S0, Package () { BOARD_SLP_TYP_S0, 0, 0, 0 })
	Name (\_S5, Package () { BOARD_SLP_TYP_S5, 0, 0, 0 })

	/* The guest says whether it uses the I/O APIC (1) or the 8259s (0). */
	Name (PICM, 0)
	Method (\_PIC, 1)
	{
		PICM = Arg0
	}

	Scope (\_SB)
	{
		Device (ECAM)
		{
			Name (_HID, EisaId ("PNP0C02")) /* the configuration window of MCFG */
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, BOARD_PCI_ECAM_ADDR, BOARD_PCI_ECAM_SIZE)
			})
		}

		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03")) /* PCI bus, configuration mechanism 1 */
			Name (_UID, 0)
			Name (_BBN, 0)
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					0, 0, 0xFF, 0, 0x100)
				IO (Decode16, BOARD_PCI_ADDR_PORT, BOARD_PCI_ADDR_PORT, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0, 0x0CF7, 0, 0x0CF8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x0D00, 0xFFFF, 0, 0xF300)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					NonCacheable, ReadWrite, 0, BOARD_PCI_MMIO_START,
					BOARD_PCI_MMIO_END, 0, BOARD_PCI_MMIO_SIZE)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					NonCacheable, ReadWrite, 0, BOARD_PCI_MMIO2_START,
					BOARD_PCI_MMIO2_END, 0, BOARD_PCI_MMIO2_SIZE)
			})

			/*
			 * Which interrupt each pin of the devices 1 to 31 has: wire (device - 1 + pin) of
			 * four (guests/vdev/vpci.h). Made here because a list of all would be long.
			 */
			Method (_PRT, 0, Serialized)
			{
				Local0 = Package (124) {}
				Local1 = 0
				While (Local1 < 124)
				{
					Local2 = (Local1 >> 2) /* device - 1 */
					Local3 = ((Local2 + Local1) & 3) /* wire */
					If (PICM)
					{
						Local4 = (BOARD_PIRQ_A_GSI + Local3)
					}
					ElseIf (Local3 < 2)
					{
						Local4 = BOARD_PIRQ_AB_IRQ
					}
					Else
					{
						Local4 = BOARD_PIRQ_CD_IRQ
					}
					Local5 = Package (4) { 0, 0, 0, 0 }
					Local5[0] = (((Local2 + 1) << 16) | 0xFFFF)
					Local5[1] = (Local1 & 3)
					Local5[3] = Local4
					Local0[Local1] = Local5
					Local1++
				}
				Return (Local0)
			}

			Device (PIC)
			{
				Name (_HID, EisaId ("PNP0000")) /* 8259 */
				Name (_CRS, ResourceTemplate ()
				{
					IO (Decode16, BOARD_PIC1_PORT, BOARD_PIC1_PORT, 1, 2)
					IO (Decode16, BOARD_PIC2_PORT, BOARD_PIC2_PORT, 1, 2)
					IO (Decode16, BOARD_ELCR_PORT, BOARD_ELCR_PORT, 1, 2)
					IRQNoFlags () { 2 }
				})
			}

			Device (TIMR)
			{
				Name (_HID, EisaId ("PNP0100")) /* 8254 */
				Name (_CRS, ResourceTemplate ()
				{
					IO (Decode16, BOARD_PIT_PORT, BOARD_PIT_PORT, 1, 4)
					IRQNoFlags () { 0 }
				})
			}

			Device (SPKR)
			{
				Name (_HID, EisaId ("PNP0800")) /* speaker */
				Name (_CRS, ResourceTemplate ()
				{
					IO (Decode16, BOARD_SPEAKER_PORT, BOARD_SPEAKER_PORT, 1, 1)
				})
			}

			Device (RTC)
			{
				Name (_HID, EisaId ("PNP0B00")) /* MC146818 */
				Name (_CRS, ResourceTemplate ()
				{
					IO (Decode16, BOARD_RTC_PORT, BOARD_RTC_PORT, 1, 2)
					IRQNoFlags () { BOARD_RTC_IRQ }
				})
			}

			Device (HPET)
			{
				Name (_HID, EisaId ("PNP0103")) /* high precision event timers */
				Name (_CRS, ResourceTemplate ()
				{
					Memory32Fixed (ReadOnly, BOARD_HPET_ADDR, BOARD_HPET_SIZE)
				})
			}

			Device (COM1)
			{
				Name (_HID, EisaId ("PNP0501")) /* 16550A */
				Name (_UID, 1)
				Name (_CRS, ResourceTemplate ()
				{
					IO (Decode16, BOARD_COM1_PORT, BOARD_COM1_PORT, 1, 8)
					IRQNoFlags () { BOARD_COM1_IRQ }
				})
			}

			Device (FWCF)
			{
				Name (_HID, "QEMU0002") /* firmware configuration device */
				Name (_STA, 0x0B)       /* there, but nothing for a user interface */
				Name (_CRS, ResourceTemplate ()
				{
					IO (Decode16, BOARD_FW_CFG_PORT, BOARD_FW_CFG_PORT, 1,
						BOARD_FW_CFG_PORTS)
				})
			}

			Device (MISC)
			{
				Name (_HID, EisaId ("PNP0C02")) /* ports that no driver claims */
				Name (_UID, 2)
				Name (_CRS, ResourceTemplate ()
				{
					IO (Decode16, BOARD_SYSCTL_A_PORT, BOARD_SYSCTL_A_PORT, 1, 1)
					IO (Decode16, BOARD_PM1_EVT_PORT, BOARD_PM1_EVT_PORT, 1,
						BOARD_PM_PORTS)
				})
			}
		}
	}
}
