/*
 * Loads a multiboot 1 kernel: an ELF file, or any file whose header has the address fields. Pure:
 * writes into guest RAM only.
 *
 * Source: "Multiboot Specification version 0.6.96": "Header layout", "Machine state", "Boot
 * information format". ELF: "Tool Interface Standard (TIS) Executable and Linking Format", "ELF
 * Header" and "Program Header". As with GRUB, an ELF64 file is taken too, if it lies below 4 GiB;
 * it is entered in 32-bit mode all the same.
 *
 * What lies where in guest RAM: the kernel's segments where they want to be; the modules from the
 * first page behind the last segment (at least 1 MiB); one block with stack, GDT, information
 * structure, memory map, module list and strings in the lowest gap of the first 640 KiB that no
 * segment uses.
 */
#include "guests/board.h"
#include "guests/load.h"
#include "lib/le.h"

#define MAGIC_HEADER      0x1badb002u
#define MAGIC_LOADER      0x2badb002u
#define HEADER_SEARCH     8192u /* the header lies wholly within the first bytes */
#define HEADER_SIZE       12u   /* magic, flags, checksum */
#define HEADER_SIZE_ADDRS 32u   /* with the address fields */

#define WANT_ADDRESSES BIT32(16)
/* Bits 0 to 15 must be refused if unknown. Modules lie on pages (0) and the memory map is given (1)
 * anyway; a video mode (2) is a wish, and the text mode of the machine is what there is. */
#define WANT_KNOWN     0x7u
#define WANT_MANDATORY 0xffffu

#define INFO_MEMORY  BIT32(0)
#define INFO_CMDLINE BIT32(2)
#define INFO_MODULES BIT32(3)
#define INFO_MMAP    BIT32(6)
#define INFO_LOADER  BIT32(9)

#define ELF_CLASS32       1u
#define ELF_CLASS64       2u
#define ELF_DATA_LSB      1u
#define ELF_MACHINE_386   3u
#define ELF_MACHINE_AMD64 62u
#define ELF_PT_LOAD       1u

#define MAX_SEGMENTS 16u
#define BLOCK_LOW    0x1000ull /* page 0 is left to real-mode tables */

static const char loader_name[] = "Skerry";

struct segment {
	uint64_t start, end;       /* guest-physical, end exclusive */
	uint64_t offset, file_len; /* in the file; the rest up to `end` is zeros */
};

struct image {
	const struct load_blob *file;
	uint32_t header; /* offset of the multiboot header */
	uint32_t flags;
	uint64_t entry;
	unsigned n_segments;
	struct segment segments[MAX_SEGMENTS];
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

/* Adds what is to be loaded at [start, start + mem_len), if it lies in RAM and collides with
 * nothing. */
static int add_segment(struct gmem *m, struct image *img, uint64_t start, uint64_t mem_len,
		       uint64_t offset, uint64_t file_len, struct reason *why)
{
	const char *name = img->file->string;
	uint64_t end = start + mem_len;

	if (!mem_len)
		return 0;
	/* A segment of zeros alone may name any offset. */
	if (!file_len)
		offset = 0;
	if (file_len > mem_len || offset > img->file->size || file_len > img->file->size - offset)
		return refuse(why, ERR_INVALID,
			      "%s is broken or cut: its segment at 0x%llx wants %llu bytes from "
			      "offset 0x%llx of a file of %llu bytes",
			      name, (unsigned long long)start, (unsigned long long)file_len,
			      (unsigned long long)offset, (unsigned long long)img->file->size);
	if (start > UINT32_MAX || mem_len > UINT32_MAX)
		return refuse(why, ERR_RANGE, "%s has a segment at 0x%llx, not below 4 GiB", name,
			      (unsigned long long)start);
	if (end > LOAD_LOW_RAM_END && start < LOAD_ROM_START)
		return refuse(why, ERR_RANGE,
			      "%s has a segment at 0x%llx to 0x%llx, where a PC has no RAM (0x%llx "
			      "to 0x%llx)",
			      name, (unsigned long long)start, (unsigned long long)end,
			      (unsigned long long)LOAD_LOW_RAM_END,
			      (unsigned long long)LOAD_ROM_START);
	if (end > gmem_low_end(m->size))
		return refuse(
			why, ERR_RANGE,
			"guest memory of %llu MiB is too small for %s, which has a segment at "
			"0x%llx to 0x%llx",
			(unsigned long long)(m->size / MIB), name, (unsigned long long)start,
			(unsigned long long)end);
	for (unsigned i = 0; i < img->n_segments; i++) {
		if (start < img->segments[i].end && img->segments[i].start < end)
			return refuse(why, ERR_INVALID,
				      "%s has segments that overlap, at 0x%llx and at 0x%llx", name,
				      (unsigned long long)img->segments[i].start,
				      (unsigned long long)start);
	}
	if (img->n_segments == MAX_SEGMENTS)
		return refuse(why, ERR_UNSUPPORTED, "%s has more than %u segments to load", name,
			      MAX_SEGMENTS);
	img->segments[img->n_segments++] = (struct segment){
		.start = start, .end = end, .offset = offset, .file_len = file_len};
	return 0;
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
	return add_segment(m, img, load, bss_end ? bss_end - load : len, offset, len, why);
}

/* The fields that are wanted of a program header, of either class. */
struct program_header {
	uint32_t type;
	uint64_t offset, vaddr, paddr, file_len, mem_len;
};

static struct program_header read_program_header(const uint8_t *p, bool elf64)
{
	if (elf64)
		return (struct program_header){.type = le32(p),
					       .offset = le64(p + 8),
					       .vaddr = le64(p + 16),
					       .paddr = le64(p + 24),
					       .file_len = le64(p + 32),
					       .mem_len = le64(p + 40)};
	return (struct program_header){.type = le32(p),
				       .offset = le32(p + 4),
				       .vaddr = le32(p + 8),
				       .paddr = le32(p + 12),
				       .file_len = le32(p + 16),
				       .mem_len = le32(p + 20)};
}

static int read_elf(struct gmem *m, struct image *img, struct reason *why)
{
	const uint8_t *f = img->file->data;
	uint64_t size = img->file->size, table, entry;
	uint32_t entry_size, count;
	bool elf64;

	if (size < 64 || memcmp(f, "\177ELF", 4))
		return refuse(why, ERR_INVALID,
			      "%s has a multiboot header without addresses, and is no ELF file",
			      img->file->string);
	elf64 = f[4] == ELF_CLASS64;
	if ((!elf64 && f[4] != ELF_CLASS32) || f[5] != ELF_DATA_LSB ||
	    le16(f + 18) != (elf64 ? ELF_MACHINE_AMD64 : ELF_MACHINE_386))
		return refuse(why, ERR_UNSUPPORTED, "%s is an ELF file for another processor",
			      img->file->string);
	entry = elf64 ? le64(f + 24) : le32(f + 24);
	table = elf64 ? le64(f + 32) : le32(f + 28);
	entry_size = le16(f + (elf64 ? 54 : 42));
	count = le16(f + (elf64 ? 56 : 44));
	if (entry_size < (elf64 ? 56u : 32u) || table > size ||
	    (uint64_t)entry_size * count > size - table)
		return refuse(why, ERR_INVALID,
			      "%s is broken or cut: its program headers are not in the file",
			      img->file->string);
	img->entry = entry;
	for (uint32_t i = 0; i < count; i++) {
		struct program_header ph =
			read_program_header(f + table + (uint64_t)i * entry_size, elf64);
		int err;

		if (ph.type != ELF_PT_LOAD)
			continue;
		err = add_segment(m, img, ph.paddr, ph.mem_len, ph.offset, ph.file_len, why);
		if (err)
			return err;
		/* The entry is a virtual address; paging is off. */
		if (entry >= ph.vaddr && entry - ph.vaddr < ph.mem_len)
			img->entry = ph.paddr + (entry - ph.vaddr);
	}
	return 0;
}

static int check_entry(const struct image *img, struct reason *why)
{
	for (unsigned i = 0; i < img->n_segments; i++) {
		if (img->entry >= img->segments[i].start && img->entry < img->segments[i].end)
			return 0;
	}
	return refuse(why, ERR_INVALID, "%s has its entry at 0x%llx, where it loads nothing",
		      img->file->string, (unsigned long long)img->entry);
}

static int put_segments(struct gmem *m, const struct image *img, struct reason *why)
{
	const uint8_t *f = img->file->data;

	for (unsigned i = 0; i < img->n_segments; i++) {
		const struct segment *s = &img->segments[i];
		uint64_t data_end = s->start + s->file_len;

		if (gmem_write(m, s->start, f + s->offset, s->file_len) ||
		    gmem_fill(m, data_end, 0, s->end - data_end))
			return refuse(why, ERR_RANGE, "%s does not fit into the guest's memory",
				      img->file->string);
	}
	return 0;
}

/* ---- the block below 640 KiB ---- */

#define STACK_SIZE     PAGE_SIZE
#define INFO_SIZE      120u
#define MMAP_ENTRY     24u /* with its own size field of 4 bytes in front */
#define MMAP_ENTRIES   5u
#define MODULE_ENTRY   16u
#define MMAP_AVAILABLE 1u
#define MMAP_RESERVED  2u

/* Guest-physical addresses of the parts of the block; `next` is where the following part goes. */
struct block {
	uint64_t start, gdt, info, mmap, modules, next;
};

static uint64_t strings_size(const struct load_blob *modules, unsigned n, const char *cmdline)
{
	uint64_t size = sizeof(loader_name) + strlen(cmdline) + 1;

	for (unsigned i = 0; i < n; i++)
		size += strlen(modules[i].string) + 1;
	return size;
}

/* The lowest place for `size` bytes, beginning at a page, that no segment touches. */
static int place_block(const struct image *img, uint64_t size, unsigned n, struct block *b,
		       struct reason *why)
{
	uint64_t at = BLOCK_LOW;

	for (unsigned i = 0; i < img->n_segments; i++) {
		const struct segment *s = &img->segments[i];

		if (at < s->end && s->start < at + size) {
			at = ALIGN_UP(s->end, PAGE_SIZE);
			/* The segments are in no order: begin anew with the higher address. */
			i = UINT32_MAX;
		}
	}
	if (at + size > LOAD_LOW_RAM_END)
		return refuse(why, ERR_RANGE,
			      "%s leaves no %llu bytes below 640 KiB for the boot information",
			      img->file->string, (unsigned long long)size);
	b->start = at;
	b->gdt = at + STACK_SIZE;
	b->info = b->gdt + LOAD_GDT_SIZE;
	b->mmap = b->info + INFO_SIZE;
	b->modules = b->mmap + MMAP_ENTRIES * MMAP_ENTRY;
	b->next = b->modules + (uint64_t)n * MODULE_ENTRY;
	return 0;
}

/* Appends a string to the block; its address goes to `*address`. */
static int put_string(struct gmem *m, struct block *b, const char *s, uint32_t *address)
{
	uint64_t len = strlen(s) + 1;

	*address = (uint32_t)b->next;
	b->next += len;
	return gmem_write(m, *address, s, len);
}

/* Modules go behind the kernel, each at a page. */
static int put_modules(struct gmem *m, const struct image *img, struct block *b,
		       const struct load_blob *modules, unsigned n, struct reason *why)
{
	uint64_t limit = gmem_low_end(m->size);
	uint64_t at = LOAD_HIGH_START;

	for (unsigned i = 0; i < img->n_segments; i++)
		at = MAX(at, ALIGN_UP(img->segments[i].end, PAGE_SIZE));
	for (unsigned i = 0; i < n; i++) {
		const struct load_blob *mod = &modules[i];
		uint8_t entry[MODULE_ENTRY] = {0};
		uint32_t string;

		if (at > limit || mod->size > limit - at ||
		    gmem_write(m, at, mod->data, mod->size) ||
		    put_string(m, b, mod->string, &string))
			return refuse(why, ERR_RANGE,
				      "guest memory of %llu MiB is too small for module %s of %llu "
				      "KiB behind %s",
				      (unsigned long long)(m->size / MIB), mod->string,
				      (unsigned long long)(ALIGN_UP(mod->size, KIB) / KIB),
				      img->file->string);
		put_le32(entry, (uint32_t)at);
		put_le32(entry + 4, (uint32_t)(at + mod->size));
		put_le32(entry + 8, string);
		if (gmem_write(m, b->modules + (uint64_t)i * MODULE_ENTRY, entry, sizeof(entry)))
			return refuse(why, ERR_RANGE, "the list of modules is not in RAM");
		at = ALIGN_UP(at + mod->size, PAGE_SIZE);
	}
	return 0;
}

/* Writes the memory map; returns its length in bytes. The machine's memory as in load_linux.c. */
static uint32_t make_mmap(const struct gmem *m, uint8_t map[MMAP_ENTRIES * MMAP_ENTRY])
{
	const struct {
		uint64_t start, end;
		uint32_t type;
	} ranges[MMAP_ENTRIES] = {
		{0, LOAD_LOW_RAM_END, MMAP_AVAILABLE},
		{LOAD_LOW_RAM_END, LOAD_HIGH_START, MMAP_RESERVED},
		{LOAD_HIGH_START, gmem_low_end(m->size), MMAP_AVAILABLE},
		{BOARD_PCI_ECAM_ADDR, BOARD_PCI_ECAM_ADDR + (uint64_t)BOARD_PCI_ECAM_SIZE,
		 MMAP_RESERVED},
		{GMEM_HOLE_END, gmem_high_end(m->size), MMAP_AVAILABLE},
	};
	uint32_t len = 0;

	for (unsigned i = 0; i < MMAP_ENTRIES; i++) {
		if (ranges[i].start >= ranges[i].end)
			continue;
		put_le32(map + len, MMAP_ENTRY - 4);
		put_le64(map + len + 4, ranges[i].start);
		put_le64(map + len + 12, ranges[i].end - ranges[i].start);
		put_le32(map + len + 20, ranges[i].type);
		len += MMAP_ENTRY;
	}
	return len;
}

static int put_info(struct gmem *m, struct block *b, unsigned n, const char *cmdline)
{
	uint8_t info[INFO_SIZE] = {0}, map[MMAP_ENTRIES * MMAP_ENTRY];
	uint32_t map_len = make_mmap(m, map), string;

	put_le32(info, INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MMAP | INFO_LOADER);
	put_le32(info + 4, (uint32_t)(LOAD_LOW_RAM_END / KIB));
	put_le32(info + 8, (uint32_t)((gmem_low_end(m->size) - LOAD_HIGH_START) / KIB));
	if (put_string(m, b, cmdline, &string))
		return ERR_RANGE;
	put_le32(info + 16, string);
	put_le32(info + 20, n);
	put_le32(info + 24, (uint32_t)b->modules);
	put_le32(info + 44, map_len);
	put_le32(info + 48, (uint32_t)b->mmap);
	if (put_string(m, b, loader_name, &string))
		return ERR_RANGE;
	put_le32(info + 64, string);
	if (gmem_write(m, b->mmap, map, map_len) || gmem_write(m, b->info, info, sizeof(info)))
		return ERR_RANGE;
	return load_gdt(m, b->gdt, false);
}

int load_multiboot(struct gmem *m, const struct load_blob *kernel, const struct load_blob *modules,
		   unsigned n, const char *cmdline, struct guest_entry *out, struct reason *why)
{
	struct image img = {.file = kernel};
	struct block b = {0};
	uint64_t size = STACK_SIZE + LOAD_GDT_SIZE + INFO_SIZE + MMAP_ENTRIES * MMAP_ENTRY +
			(uint64_t)n * MODULE_ENTRY + strings_size(modules, n, cmdline);
	int err;

	err = find_header(&img, why);
	if (err)
		return err;
	err = img.flags & WANT_ADDRESSES ? read_addresses(m, &img, why) : read_elf(m, &img, why);
	if (err)
		return err;
	err = check_entry(&img, why);
	if (err)
		return err;
	err = place_block(&img, size, n, &b, why);
	if (err)
		return err;
	err = put_segments(m, &img, why);
	if (err)
		return err;
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
