/*
 * Loaders of guest images: they put a kernel and its companions into guest RAM, build what the boot
 * protocol promises it, and say how the first vCPU starts. Pure: they work on memory given to them
 * and touch nothing else. An image is never trusted: what does not fit is refused with a sentence.
 *
 * The loaders write only through gmem, need all RAM populated that they touch, and leave RAM that
 * they do not use as it is. After a refusal the guest's RAM may be partly written; its creator
 * throws it away.
 */
#ifndef GUESTS_LOAD_H
#define GUESTS_LOAD_H

#include "arch/x86/state.h"
#include "lib/reason.h"
#include "lib/types.h"
#include "mm/gmem.h"

/* What every guest's first MiB looks like. */
#define LOAD_LOW_RAM_END 0x9fc00ull  /* RAM ends here; above: video, ACPI tables, ROM space */
#define LOAD_HIGH_START  0x100000ull /* RAM goes on here */
/* The place of the system ROM is RAM in our guests, and linkers are fond of putting an ELF file's
 * headers there, right below a kernel at 1 MiB. What begins in its lower half overwrites the SMBIOS
 * tables (guests/board.h): such a guest finds none. */
#define LOAD_ROM_START 0xf0000ull

/* Selectors of the flat segments in the GDT that each loader builds. */
#define LOAD_CODE_SELECTOR 0x10
#define LOAD_DATA_SELECTOR 0x18
#define LOAD_GDT_SIZE      0x20 /* bytes */

/* A file as it came: `string` is the module's own string, shown in sentences and given to a
 * multiboot guest with its module. */
struct load_blob {
	const void *data;
	uint64_t size; /* bytes */
	const char *string;
};

/*
 * How vCPU 0 starts: flat 4 GiB segments (code LOAD_CODE_SELECTOR, data and stack
 * LOAD_DATA_SELECTOR), interrupts off, the GDT in guest RAM. With `long_mode`: paging on with
 * `cr3`, 64-bit code segment; else 32-bit protected mode without paging.
 */
struct guest_entry {
	bool reset; /* as after reset instead: nothing else here counts */
	bool long_mode;
	uint64_t rip, rsp;
	uint64_t cr3; /* 0 without long_mode */
	uint64_t gdt_base;
	uint16_t gdt_limit;      /* bytes - 1 */
	uint64_t gpr[GPR_COUNT]; /* gpr[GPR_RSP] equals rsp */
};

/* The ways into a Linux kernel. */
enum linux_entry {
	LINUX_ENTRY_AUTO, /* 64-bit if the kernel has such an entry, else 32-bit */
	LINUX_ENTRY_32,
	LINUX_ENTRY_64,
};

/*
 * Loads a Linux bzImage by the 64-bit or the 32-bit boot protocol. `initrd` may be NULL. `rsdp` is
 * the guest-physical address of the guest's ACPI RSDP (0: none). Returns 0, ERR_INVALID (not such
 * an image, or a broken one), ERR_UNSUPPORTED (a protocol that is too old, or an entry that it does
 * not have) or ERR_RANGE (does not fit into the guest's memory).
 */
int load_linux(struct gmem *m, const struct load_blob *kernel, const struct load_blob *initrd,
	       const char *cmdline, enum linux_entry want, uint64_t rsdp, struct guest_entry *out,
	       struct reason *why) __must_check;

/*
 * Loads a multiboot 1 kernel (ELF, or any file with the header's address fields) and `n` modules.
 * Same errors as load_linux.
 */
int load_multiboot(struct gmem *m, const struct load_blob *kernel, const struct load_blob *modules,
		   unsigned n, const char *cmdline, struct guest_entry *out,
		   struct reason *why) __must_check;

/*
 * Loads an ELF kernel with an entry for the x86/HVM direct boot ABI (PVH), and `n` modules. `rsdp`
 * as for load_linux, and the same errors.
 */
int load_pvh(struct gmem *m, const struct load_blob *kernel, const struct load_blob *modules,
	     unsigned n, const char *cmdline, uint64_t rsdp, struct guest_entry *out,
	     struct reason *why) __must_check;

/*
 * Guests with firmware: whether the image has a possible size (a multiple of 64 KiB up to 16 MiB),
 * and the load: the image goes to the ROM below 4 GiB, all of which is there, and its last 128 KiB
 * to RAM below 1 MiB. The guest starts as a processor does after reset. Errors ERR_INVALID and
 * ERR_RANGE.
 */
int firmware_check(const struct load_blob *image, struct reason *why) __must_check;
int load_firmware(struct gmem *m, const struct load_blob *image, struct guest_entry *out,
		  struct reason *why) __must_check;

/* ---- for the loaders ---- */

/* Writes the GDT with the two flat segments, LOAD_GDT_SIZE bytes. ERR_RANGE if that is not RAM. */
int load_gdt(struct gmem *m, uint64_t gpa, bool long_mode) __must_check;

/* The memory map. Its types are those of the ACPI specification, "System Address Map Interfaces",
 * which every boot protocol uses. */
#define LOAD_RANGES         5u
#define LOAD_RANGE_RAM      1u
#define LOAD_RANGE_RESERVED 2u

struct load_range {
	uint64_t start, end; /* end exclusive */
	uint32_t type;
};

/* Returns how many there are, in ascending order. */
unsigned load_memory_map(const struct gmem *m, struct load_range out[LOAD_RANGES]);

/* Writes a string with its ending zero to `*next`, which moves on behind it. `at` becomes its
 * address. ERR_RANGE if that is not RAM. */
int load_string(struct gmem *m, const char *s, uint64_t *next, uint64_t *at) __must_check;

#endif
