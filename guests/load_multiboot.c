/*
 * Loads a multiboot 1 kernel: an ELF file, or any file whose header has the address fields. Pure:
 * writes into guest RAM only.
 *
 * Source: "Multiboot Specification version 0.6.96": "Header layout", "Machine state", "Boot
 * information format". As with GRUB, an ELF64 file is taken too, if it lies below 4 GiB; it is
 * entered in 32-bit mode all the same.
 *
 * What lies where in guest RAM: the kernel's segments where they want to be; the modules from the
 * first page behind the last segment (at least 1 MiB); one block with stack, GDT, information
 * structure, memory map, module list and strings in the lowest gap of the first 640 KiB that no
 * segment uses.
 */
#include "guests/elf.h"
#include "guests/load_segments.h"
#include "lib/le.h"

#define MAGIC_HEADER      0x1badb002u
#define MAGIC_LOADER      0x2badb002u
#define HEADER_SEARCH     8192u /* the header lies wholly within the first bytes */
#define HEADER_SIZE       12u   /* magic, flags, checksum */
#define HEADER_SIZE_ADDRS 32u   /* with the address fields */

#define WANT_ADDRESSES BIT32(16)
/* Bits 0 to 15 must be refused if unknown. Modules lie on pages (0), and the memory map (1) and
 * what the screen is (2) are given anyway. The video mode in the header is a wish, "only a
 * recommended" one: the text mode of the machine is what there is. */
#define WANT_KNOWN     0x7u
#define WANT_MANDATORY 0xffffu

#define INFO_MEMORY  BIT32(0)
#define INFO_CMDLINE BIT32(2)
#define INFO_MODULES BIT32(3)
#define INFO_MMAP    BIT32(6)
#define INFO_LOADER  BIT32(9)
#define INFO_SCREEN  BIT32(12)

/* The text screen of a PC: 80 by 25 characters of 2 bytes. */
#define SCREEN_ADDR    0xb8000u
#define SCREEN_COLUMNS 80u
#define SCREEN_LINES   25u
#define SCREEN_TEXT    2u

static const char loader_name[] = "Skerry";

struct image {
	const struct load_blob *file;
	uint32_t header; /* offset of the multiboot header */
	uint32_t flags;
	uint64_t entry;
	struct load_segments segments;
};

static int find_header(struct image *img, struct reason *why)
{
	const uint8_t *p = img->file->data;
	uint64_t end = MIN(img->file->size, HEADER_SEARCH);

	for (uint32_t off = 0; off + HEADER_SIZE <= end; off += 4) {
		if (le32(p + off) != MAGIC_HEADER ||
		    le32(p + off) + le32(p + off + 4) + le32(p + off + 8) != 0)
			continue;
		img->header = off;
		img->flags = le32(p + off + 4);
		if (img->flags & WANT_MANDATORY & ~WANT_KNOWN)
			return refuse(
				why, ERR_UNSUPPORTED,
				"%s asks by its multiboot flags 0x%x for features that are not "
				"there: 0x%x are known",
				img->file->string, img->flags, WANT_KNOWN | WANT_ADDRESSES);
		return 0;
	}
	return refuse(why, ERR_INVALID,
		      "%s is not a multiboot 1 kernel: it has no multiboot header within its first "
		      "8 KiB",
		      img->file->string);
}

/* The header's address fields: header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr. */
static int read_addresses(struct gmem *m, struct image *img, struct reason *why)
{
	const uint8_t *h = (const uint8_t *)img->file->data + img->header;
	uint32_t header, load, load_end, bss_end;
	uint64_t offset, len;

	if (img->file->size - img->header < HEADER_SIZE_ADDRS)
		return refuse(why, ERR_INVALID, "%s is cut within its multiboot header",
			      img->file->string);
	header = le32(h + 12);
	load = le32(h + 16);
	load_end = le32(h + 20);
	bss_end = le32(h + 24);
	img->entry = le32(h + 28);
	if (header < load || header - load > img->header || (load_end && load_end < load) ||
	    (bss_end && bss_end < MAX(load, load_end)))
		return refuse(why, ERR_INVALID,
			      "%s has a multiboot header whose addresses contradict each other",
			      img->file->string);
	offset = img->header - (header - load);
	len = load_end ? load_end - load : img->file->size - offset;
	if (bss_end && len > bss_end - load)
		return refuse(why, ERR_INVALID,
			      "%s has a multiboot header whose addresses contradict each other",
			      img->file->string);
	return segments_add(m, &img->segments, load, bss_end ? bss_end - load : len, offset, len,
			    why);
}

static int read_elf(struct gmem *m, struct image *img, struct reason *why)
{
	struct elf elf;
	int err;

	if (!elf_is(img->file))
		return refuse(why, ERR_INVALID,
			      "%s has a multiboot header without addresses, and is no ELF file",
			      img->file->string);
	err = elf_open(img->file, &elf, why);
	return err ? err : elf_segments(m, &elf, &img->segments, &img->entry, why);
}

/* ---- the block below 640 KiB ---- */

#define STACK_SIZE   PAGE_SIZE
#define INFO_SIZE    120u
#define MMAP_ENTRY   24u /* with its own size field of 4 bytes in front */
#define MODULE_ENTRY 16u

/* Guest-physical addresses of the parts of the block; `next` is where the following part goes. */
struct block {
	uint64_t gdt, info, mmap, modules, next;
};

static uint64_t strings_size(const struct load_blob *modules, unsigned n, const char *cmdline)
{
	uint64_t size = sizeof(loader_name) + strlen(cmdline) + 1;

	for (unsigned i = 0; i < n; i++)
		size += strlen(modules[i].string) + 1;
	return size;
}

static void lay_out(struct block *b, uint64_t at, unsigned n)
{
	b->gdt = at + STACK_SIZE;
	b->info = b->gdt + LOAD_GDT_SIZE;
	b->mmap = b->info + INFO_SIZE;
	b->modules = b->mmap + LOAD_RANGES * MMAP_ENTRY;
	b->next = b->modules + (uint64_t)n * MODULE_ENTRY;
}

/* Appends a string to the block; its address goes to a field of 32 bits. */
static int put_string(struct gmem *m, struct block *b, const char *s, uint8_t *field)
{
	uint64_t at;
	int err = load_string(m, s, &b->next, &at);

	put_le32(field, (uint32_t)at);
	return err;
}

static int put_modules(struct gmem *m, const struct image *img, struct block *b,
		       const struct load_blob *modules, unsigned n, struct reason *why)
{
	uint64_t at = segments_end(&img->segments);

	for (unsigned i = 0; i < n; i++) {
		const struct load_blob *mod = &modules[i];
		uint8_t entry[MODULE_ENTRY] = {0};
		int err;

		put_le32(entry, (uint32_t)at);
		put_le32(entry + 4, (uint32_t)(at + mod->size));
		err = segments_put_module(m, &img->segments, mod, &at, why);
		if (err)
			return err;
		if (put_string(m, b, mod->string, entry + 8) ||
		    gmem_write(m, b->modules + (uint64_t)i * MODULE_ENTRY, entry, sizeof(entry)))
			return refuse(why, ERR_RANGE, "the list of modules is not in RAM");
	}
	return 0;
}

/* Writes the memory map; returns its length in bytes. */
static uint32_t make_mmap(const struct gmem *m, uint8_t map[LOAD_RANGES * MMAP_ENTRY])
{
	struct load_range ranges[LOAD_RANGES];
	unsigned n = load_memory_map(m, ranges);

	for (unsigned i = 0; i < n; i++) {
		uint8_t *e = map + (size_t)i * MMAP_ENTRY;

		put_le32(e, MMAP_ENTRY - 4);
		put_le64(e + 4, ranges[i].start);
		put_le64(e + 12, ranges[i].end - ranges[i].start);
		put_le32(e + 20, ranges[i].type);
	}
	return n * MMAP_ENTRY;
}

static int put_info(struct gmem *m, struct block *b, unsigned n, const char *cmdline)
{
	uint8_t info[INFO_SIZE] = {0}, map[LOAD_RANGES * MMAP_ENTRY];
	uint32_t map_len = make_mmap(m, map);

	put_le32(info,
		 INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MMAP | INFO_LOADER | INFO_SCREEN);
	put_le32(info + 4, (uint32_t)(LOAD_LOW_RAM_END / KIB));
	put_le32(info + 8, (uint32_t)((gmem_low_end(m->size) - LOAD_HIGH_START) / KIB));
	put_le32(info + 20, n);
	put_le32(info + 24, (uint32_t)b->modules);
	put_le32(info + 44, map_len);
	put_le32(info + 48, (uint32_t)b->mmap);
	put_le64(info + 88, SCREEN_ADDR);
	put_le32(info + 96, SCREEN_COLUMNS * 2);
	put_le32(info + 100, SCREEN_COLUMNS);
	put_le32(info + 104, SCREEN_LINES);
	info[108] = 16;
	info[109] = SCREEN_TEXT;
	if (put_string(m, b, cmdline, info + 16) || put_string(m, b, loader_name, info + 64) ||
	    gmem_write(m, b->mmap, map, map_len) || gmem_write(m, b->info, info, sizeof(info)))
		return ERR_RANGE;
	return load_gdt(m, b->gdt, false);
}

int load_multiboot(struct gmem *m, const struct load_blob *kernel, const struct load_blob *modules,
		   unsigned n, const char *cmdline, struct guest_entry *out, struct reason *why)
{
	struct image img = {.file = kernel, .segments.file = kernel};
	struct block b;
	uint64_t size = STACK_SIZE + LOAD_GDT_SIZE + INFO_SIZE + LOAD_RANGES * MMAP_ENTRY +
			(uint64_t)n * MODULE_ENTRY + strings_size(modules, n, cmdline);
	uint64_t at;
	int err;

	err = find_header(&img, why);
	if (err)
		return err;
	err = img.flags & WANT_ADDRESSES ? read_addresses(m, &img, why) : read_elf(m, &img, why);
	if (err)
		return err;
	err = segments_check_entry(&img.segments, img.entry, why);
	if (err)
		return err;
	err = segments_gap(&img.segments, size, &at, why);
	if (err)
		return err;
	err = segments_put(m, &img.segments, why);
	if (err)
		return err;
	lay_out(&b, at, n);
	err = put_modules(m, &img, &b, modules, n, why);
	if (err)
		return err;
	if (put_info(m, &b, n, cmdline))
		return refuse(why, ERR_RANGE,
			      "the boot information does not fit into the guest's memory");

	memset(out, 0, sizeof(*out));
	out->rip = img.entry;
	out->rsp = b.gdt;
	out->gdt_base = b.gdt;
	out->gdt_limit = LOAD_GDT_SIZE - 1;
	out->gpr[GPR_RSP] = b.gdt;
	out->gpr[GPR_RAX] = MAGIC_LOADER;
	out->gpr[GPR_RBX] = b.info;
	return 0;
}
