/*
 * Interrupt messages between the controllers that a guest sees: delivery modes, and the address and
 * data of a message-signalled interrupt. (Intel SDM volume 3, "Message Signalled Interrupts".)
 * Pure.
 */
#ifndef GUESTS_VDEV_MSI_H
#define GUESTS_VDEV_MSI_H

#include "lib/types.h"

/* Of redirection entries, messages, LVT entries and the interrupt command register: 3 bits each. */
enum apic_delivery_mode {
	APIC_FIXED = 0,
	APIC_LOWEST = 1,
	APIC_SMI = 2,
	APIC_NMI = 4,
	APIC_INIT = 5,
	APIC_STARTUP = 6,
	APIC_EXTINT = 7,
};

#define MSI_ADDR_BASE       0xfee00000ull
#define MSI_ADDR_BASE_SHIFT 20 /* the bits from here up are those of MSI_ADDR_BASE */
#define MSI_ADDR_DEST_SHIFT 12
#define MSI_ADDR_DEST       0xffull
#define MSI_ADDR_HINT       BIT(3) /* redirection hint: one of the destinations is enough */
#define MSI_ADDR_LOGICAL    BIT(2)
#define MSI_DATA_VECTOR     0xffu
#define MSI_DATA_MODE_SHIFT 8
#define MSI_DATA_ASSERT     BIT32(14)
#define MSI_DATA_LEVEL      BIT32(15)

#endif
