/*
 * The ACPI tables of a guest in the form that firmware takes: the tables without addresses, and the
 * script by which firmware puts them into memory and fills the addresses in. Pure.
 */
#ifndef GUESTS_GUEST_ACPI_LOADER_H
#define GUESTS_GUEST_ACPI_LOADER_H

#include "lib/reason.h"

#define ACPI_RSDP_SIZE   36u
#define ACPI_COMMAND     128u /* bytes of one command of the script */
#define ACPI_MAX_SCRIPT  (40 * ACPI_COMMAND)
#define ACPI_RSDP_FILE   "etc/acpi/rsdp"
#define ACPI_TABLES_FILE "etc/acpi/tables"
#define ACPI_SCRIPT_FILE "etc/table-loader"

struct acpi_loader {
	uint8_t *tables; /* as guest_acpi_build() left them at `base`, the RSDP first */
	uint32_t base;
	uint32_t room; /* of `tables` */

	uint32_t size; /* bytes of `tables` that are used */
	uint8_t rsdp[ACPI_RSDP_SIZE];
	uint8_t script[ACPI_MAX_SCRIPT];
	uint32_t script_size;
};

/* Takes the addresses and checksums out of `tables` and makes the rest of `l`. ERR_INVALID: a table
 * points beyond `room`; ERR_NO_MEMORY: there are more tables than the script has room for. */
int acpi_loader_build(struct acpi_loader *l, struct reason *why) __must_check;

#endif
