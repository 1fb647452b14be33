/*
 * The script that QEMU's and the PC's firmware executes on the files of ACPI tables
 * ("etc/table-loader"). Its commands have 128 bytes each: a number, file names of 56 bytes, and
 * numbers, all little-endian. Source: the documentation of the format in QEMU ("BIOS
 * linker/loader") and the firmware that executes it; tables from the ACPI specification, "ACPI
 * Software Programming Model".
 *
 * Tables are found by walking from the RSDP, so a table that guest_acpi.c adds needs nothing here.
 *
 * Pure.
 */
#include "guests/guest_acpi_loader.h"

#include "lib/le.h"

#define FILE_NAME 56u

/* Commands, and where their numbers are. */
enum {
	ALLOCATE = 1,
	ADD_POINTER = 2,
	ADD_CHECKSUM = 3,
};
#define ALLOCATE_ALIGN  (4 + FILE_NAME)
#define ALLOCATE_ZONE   (8 + FILE_NAME)
#define POINTER_SOURCE  (4 + FILE_NAME)
#define POINTER_OFFSET  (4 + 2 * FILE_NAME)
#define POINTER_SIZE    (8 + 2 * FILE_NAME)
#define CHECKSUM_OFFSET (4 + FILE_NAME)
#define CHECKSUM_START  (8 + FILE_NAME)
#define CHECKSUM_LENGTH (12 + FILE_NAME)

#define ZONE_HIGH 1
#define ZONE_FSEG 2 /* 0xF0000 to 0xFFFFF */

#define TABLES_ALIGN 64 /* the FACS' */
#define RSDP_ALIGN   16

#define RSDP_CHECKSUM  8
#define RSDP_RSDT      16
#define RSDP_XSDT      24
#define RSDP_XCHECKSUM 32
#define RSDP_V1_SIZE   20

#define HDR_LENGTH    4
#define HDR_CHECKSUM  9
#define HDR_SIZE      36
#define FADT_FACS     36
#define FADT_DSDT     40
#define FADT_X_DSDT   140
#define FADT_MIN_SIZE 148

static uint8_t *command(struct acpi_loader *l, uint32_t what, const char *file)
{
	uint8_t *p = l->script + l->script_size;

	if (l->script_size == ACPI_MAX_SCRIPT)
		return NULL;
	l->script_size += ACPI_COMMAND;
	memset(p, 0, ACPI_COMMAND);
	put_le32(p, what);
	memcpy(p + 4, file, strlen(file));
	return p;
}

static int allocate(struct acpi_loader *l, const char *file, uint32_t align, uint8_t zone)
{
	uint8_t *p = command(l, ALLOCATE, file);

	if (!p)
		return ERR_NO_MEMORY;
	put_le32(p + ALLOCATE_ALIGN, align);
	p[ALLOCATE_ZONE] = zone;
	return 0;
}

/* The pointer at `at`, which is `offset` bytes into `file`, becomes an offset into the tables; `to`
 * is that offset. */
static int pointer(struct acpi_loader *l, const char *file, uint8_t *at, uint32_t offset,
		   uint8_t size, uint32_t *to)
{
	uint64_t address = size == 8 ? le64(at) : le32(at);
	uint8_t *p = command(l, ADD_POINTER, file);

	if (!p)
		return ERR_NO_MEMORY;
	if (address < l->base || address - l->base > l->room - HDR_SIZE)
		return ERR_INVALID;
	*to = (uint32_t)(address - l->base);
	if (size == 8)
		put_le64(at, *to);
	else
		put_le32(at, *to);
	memcpy(p + POINTER_SOURCE, ACPI_TABLES_FILE, sizeof(ACPI_TABLES_FILE));
	put_le32(p + POINTER_OFFSET, offset);
	p[POINTER_SIZE] = size;
	return 0;
}

static int table_pointer(struct acpi_loader *l, uint32_t offset, uint8_t size, uint32_t *to)
{
	return pointer(l, ACPI_TABLES_FILE, l->tables + offset, offset, size, to);
}

static int rsdp_pointer(struct acpi_loader *l, uint32_t offset, uint8_t size, uint32_t *to)
{
	return pointer(l, ACPI_RSDP_FILE, l->rsdp + offset, offset, size, to);
}

/* The byte at `offset` of `file`, now `at`, is to make `length` bytes from `start` add up to 0. */
static int checksum(struct acpi_loader *l, const char *file, uint8_t *at, uint32_t offset,
		    uint32_t start, uint32_t length)
{
	uint8_t *p = command(l, ADD_CHECKSUM, file);

	if (!p)
		return ERR_NO_MEMORY;
	*at = 0;
	put_le32(p + CHECKSUM_OFFSET, offset);
	put_le32(p + CHECKSUM_START, start);
	put_le32(p + CHECKSUM_LENGTH, length);
	return 0;
}

static uint32_t length_of(const struct acpi_loader *l, uint32_t table)
{
	return le32(l->tables + table + HDR_LENGTH);
}

/* Notes that a table is used, and whether it is whole. */
static int take(struct acpi_loader *l, uint32_t table)
{
	uint32_t length = length_of(l, table);

	if (length < HDR_SIZE || length > l->room - table)
		return ERR_INVALID;
	l->size = MAX(l->size, table + length);
	return 0;
}

static int take_summed(struct acpi_loader *l, uint32_t table)
{
	int err = take(l, table);

	return err ? err
		   : checksum(l, ACPI_TABLES_FILE, l->tables + table + HDR_CHECKSUM,
			      table + HDR_CHECKSUM, table, length_of(l, table));
}

/* What the FADT points to; the two addresses of the DSDT are the same. */
static int take_fadt(struct acpi_loader *l, uint32_t fadt)
{
	uint32_t facs, dsdt;
	int err = length_of(l, fadt) < FADT_MIN_SIZE ? ERR_INVALID : 0;

	if (!err)
		err = table_pointer(l, fadt + FADT_FACS, 4, &facs);
	if (!err)
		err = take(l, facs); /* which has no checksum */
	if (!err)
		err = table_pointer(l, fadt + FADT_DSDT, 4, &dsdt);
	if (!err)
		err = table_pointer(l, fadt + FADT_X_DSDT, 8, &dsdt);
	return err ? err : take_summed(l, dsdt);
}

/* RSDT (`width` 4) or XSDT (8): the tables that it lists are taken with the first one only. */
static int take_root(struct acpi_loader *l, uint32_t root, uint8_t width, bool with_tables)
{
	uint32_t end = root + length_of(l, root), table;
	int err = take(l, root);

	for (uint32_t at = root + HDR_SIZE; !err && at + width <= end; at += width) {
		err = table_pointer(l, at, width, &table);
		if (err || !with_tables)
			continue;
		err = take(l, table);
		if (!err && !memcmp(l->tables + table, "FACP", 4))
			err = take_fadt(l, table);
		if (!err)
			err = take_summed(l, table);
	}
	return err ? err : take_summed(l, root);
}

int acpi_loader_build(struct acpi_loader *l, struct reason *why)
{
	uint32_t rsdt, xsdt;
	int err;

	l->size = 0;
	l->script_size = 0;
	memcpy(l->rsdp, l->tables, ACPI_RSDP_SIZE);
	memset(l->tables, 0, ACPI_RSDP_SIZE);
	err = allocate(l, ACPI_RSDP_FILE, RSDP_ALIGN, ZONE_FSEG);
	if (!err)
		err = allocate(l, ACPI_TABLES_FILE, TABLES_ALIGN, ZONE_HIGH);
	if (!err)
		err = rsdp_pointer(l, RSDP_RSDT, 4, &rsdt);
	if (!err)
		err = rsdp_pointer(l, RSDP_XSDT, 8, &xsdt);
	if (!err)
		err = take_root(l, rsdt, 4, true);
	if (!err)
		err = take_root(l, xsdt, 8, false);
	if (!err)
		err = checksum(l, ACPI_RSDP_FILE, l->rsdp + RSDP_CHECKSUM, RSDP_CHECKSUM, 0,
			       RSDP_V1_SIZE);
	if (!err)
		err = checksum(l, ACPI_RSDP_FILE, l->rsdp + RSDP_XCHECKSUM, RSDP_XCHECKSUM, 0,
			       ACPI_RSDP_SIZE);
	return err ? refuse(why, err, "the ACPI tables cannot be given to firmware") : 0;
}
