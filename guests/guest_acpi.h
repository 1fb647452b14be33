/*
 * The ACPI tables of a guest, built in its memory in place of its firmware. Pure.
 */
#ifndef GUESTS_GUEST_ACPI_H
#define GUESTS_GUEST_ACPI_H

#include "lib/reason.h"
#include "mm/gmem.h"

/* xAPIC IDs are 0 to 254. */
#define GUEST_ACPI_MAX_VCPUS 255

/*
 * Writes RSDP, RSDT, XSDT, FADT, FACS, MADT, MCFG, HPET and DSDT to guest-physical 0xE0000-0xEFFFF
 * (guests/board.h; what else was there becomes zero) for processors with the APIC IDs 0 to n_vcpus
 * - 1, and answers the guest-physical address of the RSDP. ERR_INVALID: n_vcpus is not 1 to
 * GUEST_ACPI_MAX_VCPUS; ERR_RANGE: that area is not RAM of the guest.
 */
int guest_acpi_build(struct gmem *mem, unsigned n_vcpus, uint64_t *rsdp, struct reason *why);

#endif
