/*
 * Loads an ELF kernel with an entry for PVH: Linux (vmlinux), FreeBSD, Xen, small kernels. Pure:
 * writes into guest RAM only.
 *
 * Source: Xen's "x86/HVM direct boot ABI" (docs/misc/pvh) for the machine's state and the note, and
 * its public headers hvm/start_info.h (version 1) and elfnote.h for the layouts.
 *
 * What lies where in guest RAM: the kernel's segments where they want to be; the modules from the
 * first page behind the last segment (at least 1 MiB); one block with GDT, start info, memory map,
 * module list and strings in the lowest gap of the first 640 KiB that no segment uses.
 */
#include "guests/elf.h"
#include "guests/load_segments.h"
#include "lib/le.h"

#define NOTE_OWNER        "Xen"
#define NOTE_PHYS32_ENTRY 18u

#define START_MAGIC   0x336ec578u
#define START_VERSION 1u /* with a memory map */
#define START_SIZE    56u
#define MODULE_ENTRY  32u
#define MAP_ENTRY     24u

/* Guest-physical addresses of the parts of the block; `next` is where the following part goes. */
struct block {
	uint64_t gdt, start, map, modules, next;
};

static uint64_t block_size(const struct load_blob *modules, unsigned n, const char *cmdline)
{
	uint64_t size = LOAD_GDT_SIZE + START_SIZE + LOAD_RANGES * MAP_ENTRY + strlen(cmdline) + 1;

	for (unsigned i = 0; i < n; i++)
		size += MODULE_ENTRY + strlen(modules[i].string) + 1;
	return size;
}

static void lay_out(struct block *b, uint64_t at, unsigned n)
{
	b->gdt = at;
	b->start = b->gdt + LOAD_GDT_SIZE;
	b->map = b->start + START_SIZE;
	b->modules = b->map + LOAD_RANGES * MAP_ENTRY;
	b->next = b->modules + (uint64_t)n * MODULE_ENTRY;
}

/* Appends a string to the block; its address goes to a field of 64 bits. */
static int put_string(struct gmem *m, struct block *b, const char *s, uint8_t *field)
{
	uint64_t at;
	int err = load_string(m, s, &b->next, &at);

	put_le64(field, at);
	return err;
}

static int put_modules(struct gmem *m, const struct load_segments *s, struct block *b,
		       const struct load_blob *modules, unsigned n, struct reason *why)
{
	uint64_t at = segments_end(s);

	for (unsigned i = 0; i < n; i++) {
		uint8_t entry[MODULE_ENTRY] = {0};
		int err;

		put_le64(entry, at);
		put_le64(entry + 8, modules[i].size);
		err = segments_put_module(m, s, &modules[i], &at, why);
		if (err)
			return err;
		if (put_string(m, b, modules[i].string, entry + 16) ||
		    gmem_write(m, b->modules + (uint64_t)i * MODULE_ENTRY, entry, sizeof(entry)))
			return refuse(why, ERR_RANGE, "the list of modules is not in RAM");
	}
	return 0;
}

static int put_start(struct gmem *m, struct block *b, unsigned n, const char *cmdline,
		     uint64_t rsdp)
{
	uint8_t start[START_SIZE] = {0}, map[LOAD_RANGES * MAP_ENTRY] = {0};
	struct load_range ranges[LOAD_RANGES];
	unsigned n_ranges = load_memory_map(m, ranges);

	for (unsigned i = 0; i < n_ranges; i++) {
		uint8_t *e = map + (size_t)i * MAP_ENTRY;

		put_le64(e, ranges[i].start);
		put_le64(e + 8, ranges[i].end - ranges[i].start);
		put_le32(e + 16, ranges[i].type);
	}
	put_le32(start, START_MAGIC);
	put_le32(start + 4, START_VERSION);
	put_le32(start + 12, n);
	put_le64(start + 16, n ? b->modules : 0);
	put_le64(start + 32, rsdp);
	put_le64(start + 40, b->map);
	put_le32(start + 48, n_ranges);
	if (put_string(m, b, cmdline, start + 24) || gmem_write(m, b->map, map, sizeof(map)) ||
	    gmem_write(m, b->start, start, sizeof(start)))
		return ERR_RANGE;
	return load_gdt(m, b->gdt, false);
}

static int read_kernel(struct gmem *m, const struct load_blob *kernel, struct load_segments *s,
		       uint64_t *entry, struct reason *why)
{
	uint64_t elf_entry; /* for the kernel's other way in */
	struct elf elf;
	int err;

	if (!elf_is(kernel))
		return refuse(why, ERR_INVALID, "%s is not a PVH kernel: it is no ELF file",
			      kernel->string);
	err = elf_open(kernel, &elf, why);
	if (err)
		return err;
	err = elf_note(&elf, NOTE_OWNER, NOTE_PHYS32_ENTRY, entry, why);
	if (err == ERR_NOT_FOUND)
		return refuse(why, ERR_INVALID,
			      "%s is not a PVH kernel: it has no note of Xen's type 18 with the "
			      "entry's address",
			      kernel->string);
	if (err)
		return err;
	err = elf_segments(m, &elf, s, &elf_entry, why);
	return err ? err : segments_check_entry(s, *entry, why);
}

int load_pvh(struct gmem *m, const struct load_blob *kernel, const struct load_blob *modules,
	     unsigned n, const char *cmdline, uint64_t rsdp, struct guest_entry *out,
	     struct reason *why)
{
	struct load_segments segments = {.file = kernel};
	uint64_t entry, at;
	struct block b;
	int err;

	err = read_kernel(m, kernel, &segments, &entry, why);
	if (err)
		return err;
	err = segments_gap(&segments, block_size(modules, n, cmdline), &at, why);
	if (err)
		return err;
	err = segments_put(m, &segments, why);
	if (err)
		return err;
	lay_out(&b, at, n);
	err = put_modules(m, &segments, &b, modules, n, why);
	if (err)
		return err;
	if (put_start(m, &b, n, cmdline, rsdp))
		return refuse(why, ERR_RANGE,
			      "the start info does not fit into the guest's memory");

	memset(out, 0, sizeof(*out));
	out->rip = entry;
	out->gdt_base = b.gdt;
	out->gdt_limit = LOAD_GDT_SIZE - 1;
	out->gpr[GPR_RBX] = b.start;
	return 0;
}
