/*
 * What the boot loader and the firmware's tables say, as plain data. Filled by the pure parsers in
 * boot/multiboot2.c, boot/acpi_tables.c and boot/cmdline.c.
 */
#ifndef BOOT_INFO_H
#define BOOT_INFO_H

#include "lib/reason.h"
#include "lib/types.h"

#define BOOT_MAX_RANGES    256
#define BOOT_MAX_MODULES   128
#define BOOT_MAX_CPUS      256
#define BOOT_MAX_IOAPICS   16
#define BOOT_MAX_OVERRIDES 24

enum mem_kind { /* multiboot2 memory map entry types */
	MEM_RAM = 1,
	MEM_RESERVED = 2,
	MEM_ACPI = 3, /* ACPI tables, reclaimable */
	MEM_NVS = 4,
	MEM_BAD = 5,
};

struct mem_range {
	uint64_t start, end; /* bytes, end exclusive */
	enum mem_kind kind;
};

struct boot_module {
	uint64_t start, end;
	char string[128]; /* the module line's string, as it was written: "config", "vmlinuz", … */
};

struct boot_info {
	uint32_t n_ranges;
	struct mem_range ranges[BOOT_MAX_RANGES]; /* sorted, non-overlapping, whole pages of RAM */
	uint32_t n_modules;
	struct boot_module modules[BOOT_MAX_MODULES];
	bool uefi; /* an EFI tag was there */
	bool has_rsdp;
	uint8_t rsdp[36]; /* copy of the RSDP from the tag, version 1 padded with zeros */
	uint32_t rsdp_len;
	char cmdline[1024];
	char loader[64];
	uint64_t efi64;    /* address of UEFI's 64-bit system table, 0: not told */
	char machine[128]; /* its name by an SMBIOS tag; empty: there was none */
};

/*
 * Parses a multiboot2 information structure of at most `len` bytes (its own total size is checked
 * against it). Overlapping ranges are resolved in favour of the more reserved kind. What the limits
 * here have no room for is left out or cut, and told to `complain`. Returns 0, or ERR_INVALID /
 * ERR_RANGE / ERR_UNSUPPORTED with a sentence: the structure is broken, has no memory map or one
 * that is no map, or UEFI's boot services run.
 */
int multiboot2_parse(const void *mbi, size_t len, struct boot_info *out,
		     void (*complain)(void *ctx, const char *sentence), void *ctx,
		     struct reason *why);

/*
 * The command line alone, without a look at anything else, so that what it says of the console
 * holds even if the rest turns out to be broken. Empty if it cannot be found.
 */
void multiboot2_cmdline(const void *mbi, size_t len, char *out, size_t size);

/* Where `size` bytes for the log are kept from one run to the next (boot/log_place.c); 0: nowhere.
 */
uint64_t log_place(const struct boot_info *info, struct mem_range image, uint64_t size);

/* ---- SMBIOS (boot/smbios.c) ---- */

/* Finds the table's entry point in the `len` bytes at `area`; tells where the table lies. */
bool smbios_find(const uint8_t *area, size_t len, uint64_t *table, uint32_t *table_len);

/* The machine's name by the table: maker, product, version and firmware, as printable text. Empty
 * if it has none. Returns out. */
const char *smbios_name(const uint8_t *table, size_t len, char *out, size_t size);

/* Where the entry point is by UEFI's system table, or 0. `table` and what it points to are reached
 * as ACPI's tables are. */
struct acpi_memory;
uint64_t smbios_by_efi(uint64_t system_table, const struct acpi_memory *mem);

/* ---- ACPI static tables ---- */

struct acpi_cpu {
	uint32_t apic_id;
};

struct acpi_ioapic {
	uint64_t address;
	uint32_t gsi_base;
	uint8_t id;
};

struct acpi_override { /* ISA interrupt source override */
	uint8_t irq;
	uint32_t gsi;
	bool active_low, level;
};

struct acpi_gas {      /* generic address structure */
	uint8_t space; /* 0 memory, 1 I/O port, 2 PCI configuration */
	uint64_t address;
};

struct acpi_info {
	uint32_t n_cpus;
	struct acpi_cpu cpus[BOOT_MAX_CPUS];
	uint32_t n_ioapics;
	struct acpi_ioapic ioapics[BOOT_MAX_IOAPICS];
	uint32_t n_overrides;
	struct acpi_override overrides[BOOT_MAX_OVERRIDES];
	bool has_fadt;
	uint64_t dsdt;
	struct acpi_gas pm1a_cnt, pm1b_cnt, pm_timer, reset_reg;
	uint8_t reset_value;
	bool reset_supported, pm_timer_32bit;
	uint32_t smi_cmd;
	uint8_t acpi_enable;
	bool has_s5;
	uint8_t s5_typ_a, s5_typ_b; /* SLP_TYP values of \_S5, from the DSDT's static package */
	uint64_t hpet;              /* base address of the first HPET block, 0: none */
};

/* How the parser reaches physical memory: the host address of [pa, pa + len), or NULL if it cannot
 * be read. */
struct acpi_memory {
	void *ctx;
	const void *(*map)(void *ctx, uint64_t pa, uint64_t len);
};

/*
 * Walks RSDP, XSDT or RSDT, MADT, FADT, DSDT (for \_S5 only), HPET. Checks signatures,
 * lengths and checksums. A broken optional table is told to `complain` and left out; a broken RSDP,
 * root table or MADT is ERR_INVALID or ERR_RANGE with a sentence, a missing RSDP or MADT is
 * ERR_NOT_FOUND. Processors that are not enabled are left out, and so are those beyond the limit,
 * which is told to `complain`.
 */
int acpi_parse(const struct boot_info *boot, const struct acpi_memory *mem, struct acpi_info *out,
	       void (*complain)(void *ctx, const char *sentence), void *ctx, struct reason *why);

/* ---- the hypervisor's command line ---- */

enum exit_method {
	MACHINE_EXIT_ACPI,
	MACHINE_EXIT_ISA_DEBUG,
	MACHINE_EXIT_BOCHS,
};

/* What follows a panic's report; panic=. */
struct panic_policy {
	bool dump;         /* first the dump goes to the console */
	bool reboot;       /* then a reset, else it stays */
	uint32_t reboot_s; /* after so many seconds */
};

struct boot_options {
	char console[16]; /* console=com1[,BAUD] … com4, none; empty: as the configuration says */
	uint32_t baud;    /* 0: as the configuration says */
	uint8_t loglevel; /* enum log_level; loglevel=error|warn|info|debug; default info */
	uint32_t maxcpus; /* maxcpus=N; default UINT32_MAX */
	enum exit_method exit;
	uint16_t exit_port;        /* of isa-debug */
	bool mitigations;          /* mitigations=auto|off; default auto */
	struct panic_policy panic; /* panic=stay|dump|reboot=N; default stay */
#ifdef SKERRY_DEBUG
	bool provoke_early; /* provoke=early: dies before the console is configured */
#endif
};

/* Parses the command line over the defaults. Each unknown or malformed word is told to `complain`
 * as one sentence and left at its default; returns the number of complaints. */
int cmdline_parse(const char *line, struct boot_options *out,
		  void (*complain)(void *ctx, const char *sentence), void *ctx);

#endif
