/*
 * What bringing up cores needs of the local APIC beyond arch/x86/cpu.h. Privileged; for arch/x86
 * only.
 */
#ifndef ARCH_X86_LAPIC_H
#define ARCH_X86_LAPIC_H

#include "lib/types.h"

#define ICR_ASSERT  BIT32(14)
#define ICR_NMI     (4u << 8)
#define ICR_INIT    (5u << 8)
#define ICR_STARTUP (6u << 8) /* low byte: page number below 1 MiB */

/* Writes the interrupt command register: `low` to the core with that APIC id. Not from NMI
 * handlers. */
void lapic_icr(uint32_t apic_id, uint32_t low);

/* Ids above 254 can be reached in x2APIC mode only. */
bool lapic_is_x2apic(void);

#endif
