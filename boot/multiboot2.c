/*
 * Reads the multiboot2 information structure that the boot loader left. Pure: works on a buffer,
 * copies everything that is wanted later, and keeps no pointer into it.
 *
 * Source of the layouts: Multiboot2 Specification, "Boot information format".
 */
#include "boot/info.h"
#include "lib/le.h"

enum tag_type {
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_LOADER = 2,
	TAG_MODULE = 3,
	TAG_MMAP = 6,
	TAG_EFI32 = 11,
	TAG_EFI64 = 12,
	TAG_ACPI_OLD = 14,
	TAG_ACPI_NEW = 15,
	TAG_EFI_MMAP = 17,
	TAG_EFI_BS = 18,
	TAG_LOAD_BASE = 21,
};

#define INFO_HEADER      8u  /* total size, reserved */
#define TAG_HEADER       8u  /* type, size */
#define MMAP_HEADER      16u /* a tag header, entry size, entry version */
#define MMAP_ENTRY_MIN   24u
#define MMAP_MAX_ENTRIES 2048u /* sorting is quadratic; a real map has at most a few hundred */
#define RSDP_V1_SIZE     20u
#define RSDP_V2_SIZE     36u

struct mmap {
	const uint8_t *entries;
	uint32_t entry_size;
	uint32_t count;
};

static struct mem_range mmap_entry(const struct mmap *map, uint32_t i)
{
	const uint8_t *e = map->entries + (size_t)i * map->entry_size;
	struct mem_range r = {.start = le64(e), .end = le64(e) + le64(e + 8)};
	uint32_t type = le32(e + 16);

	/* Types that are not known are reserved by the specification's word. */
	r.kind = type >= MEM_RAM && type <= MEM_BAD ? (enum mem_kind)type : MEM_RESERVED;
	return r;
}

/* Where ranges overlap, the kind of the higher rank holds. */
static int rank(enum mem_kind kind)
{
	switch (kind) {
	case MEM_RAM:
		return 1;
	case MEM_ACPI:
		return 2;
	case MEM_RESERVED:
		return 3;
	case MEM_NVS:
		return 4;
	case MEM_BAD:
		return 5;
	}
	return 0;
}

/* Appends a range; RAM is cut to whole pages, so that a page shared with something else is not RAM.
 */
static int add_range(struct boot_info *out, struct mem_range r, struct reason *why)
{
	if (r.kind == MEM_RAM) {
		if (r.start > UINT64_MAX - (PAGE_SIZE - 1))
			return 0;
		r.start = ALIGN_UP(r.start, PAGE_SIZE);
		r.end = ALIGN_DOWN(r.end, PAGE_SIZE);
		if (r.start >= r.end)
			return 0;
	}
	if (out->n_ranges == BOOT_MAX_RANGES)
		return refuse(why, ERR_RANGE,
			      "the boot loader's memory map has more than %d separate ranges",
			      BOOT_MAX_RANGES);
	out->ranges[out->n_ranges++] = r;
	return 0;
}

/*
 * Sorts the map and resolves overlaps: goes from one boundary (start or end of any entry) to the
 * next and takes the highest kind that covers the stretch between them.
 */
static int sort_ranges(const struct mmap *map, struct boot_info *out, struct reason *why)
{
	struct mem_range pending = {0};
	uint64_t pos = 0;
	int err;

	for (;;) {
		uint64_t next = UINT64_MAX;
		struct mem_range here = {.start = pos};
		int best = 0;

		for (uint32_t i = 0; i < map->count; i++) {
			struct mem_range r = mmap_entry(map, i);

			if (r.start > pos)
				next = MIN(next, r.start);
			if (r.end > pos)
				next = MIN(next, r.end);
			if (r.start <= pos && pos < r.end && rank(r.kind) > best) {
				best = rank(r.kind);
				here.kind = r.kind;
			}
		}
		here.end = next;
		if (best && pending.end == pos && pending.kind == here.kind && pending.end) {
			pending.end = next;
		} else {
			if (pending.end) {
				err = add_range(out, pending, why);
				if (err)
					return err;
				pending.end = 0;
			}
			if (best)
				pending = here;
		}
		if (next == UINT64_MAX)
			break;
		pos = next;
	}
	return pending.end ? add_range(out, pending, why) : 0;
}

static int parse_mmap(const uint8_t *tag, uint32_t size, struct mmap *map, struct reason *why)
{
	if (size < MMAP_HEADER)
		return refuse(why, ERR_INVALID,
			      "the boot loader's memory map is %u bytes long, too short", size);
	map->entry_size = le32(tag + 8);
	if (map->entry_size < MMAP_ENTRY_MIN || map->entry_size % 8)
		return refuse(
			why, ERR_INVALID,
			"the boot loader's memory map has entries of %u bytes: %u or a larger "
			"multiple of 8 is right",
			map->entry_size, MMAP_ENTRY_MIN);
	map->entries = tag + MMAP_HEADER;
	map->count = (size - MMAP_HEADER) / map->entry_size;
	if (map->count > MMAP_MAX_ENTRIES)
		return refuse(why, ERR_RANGE,
			      "the boot loader's memory map has %u entries, more than %u",
			      map->count, MMAP_MAX_ENTRIES);
	for (uint32_t i = 0; i < map->count; i++) {
		const uint8_t *e = map->entries + (size_t)i * map->entry_size;

		if (le64(e + 8) > UINT64_MAX - le64(e))
			return refuse(why, ERR_INVALID,
				      "the boot loader's memory map has a range of 0x%llx bytes at "
				      "0x%llx, beyond the end of the address space",
				      (unsigned long long)le64(e + 8), (unsigned long long)le64(e));
	}
	return 0;
}

/* Copies the string that takes up the rest of a tag. */
static int parse_string(const uint8_t *tag, uint32_t size, uint32_t offset, char *dst,
			size_t dst_size, const char *what, struct reason *why)
{
	const char *s = (const char *)tag + offset;
	size_t room = size > offset ? size - offset : 0;
	size_t len = strnlen(s, room);

	if (len == room)
		return refuse(why, ERR_INVALID, "the boot loader's %s has no end", what);
	if (len >= dst_size)
		return refuse(
			why, ERR_RANGE,
			"the boot loader's %s is %zu characters long: at most %zu are possible",
			what, len, dst_size - 1);
	memcpy(dst, s, len + 1);
	return 0;
}

static int parse_module(const uint8_t *tag, uint32_t size, struct boot_info *out,
			struct reason *why)
{
	struct boot_module *mod;

	if (out->n_modules == BOOT_MAX_MODULES)
		return refuse(why, ERR_RANGE, "the boot loader loaded more than %d modules",
			      BOOT_MAX_MODULES);
	if (size < TAG_HEADER + 8)
		return refuse(why, ERR_INVALID,
			      "the boot loader's description of module %u is %u bytes long, too "
			      "short",
			      out->n_modules + 1, size);
	mod = &out->modules[out->n_modules];
	mod->start = le32(tag + 8);
	mod->end = le32(tag + 12);
	if (mod->end < mod->start)
		return refuse(
			why, ERR_INVALID,
			"the boot loader's module %u ends at 0x%llx, before its start at 0x%llx",
			out->n_modules + 1, (unsigned long long)mod->end,
			(unsigned long long)mod->start);
	out->n_modules++;
	return parse_string(tag, size, 16, mod->string, sizeof(mod->string), "string of a module",
			    why);
}

/* The newer RSDP wins, whatever the order of the two tags. */
static int parse_rsdp(const uint8_t *tag, uint32_t size, uint32_t want, struct boot_info *out,
		      struct reason *why)
{
	if (size < TAG_HEADER + want)
		return refuse(
			why, ERR_INVALID,
			"the boot loader's copy of the ACPI RSDP is %u bytes long: %u are right",
			size - TAG_HEADER, want);
	if (out->has_rsdp && out->rsdp_len > want)
		return 0;
	memset(out->rsdp, 0, sizeof(out->rsdp));
	memcpy(out->rsdp, tag + TAG_HEADER, want);
	out->rsdp_len = want;
	out->has_rsdp = true;
	return 0;
}

static int parse_tag(const uint8_t *tag, uint32_t type, uint32_t size, struct boot_info *out,
		     struct mmap *map, struct reason *why)
{
	switch (type) {
	case TAG_CMDLINE:
		return parse_string(tag, size, TAG_HEADER, out->cmdline, sizeof(out->cmdline),
				    "command line", why);
	case TAG_LOADER:
		/* Only shown: a cut or missing end does no harm. */
		memset(out->loader, 0, sizeof(out->loader));
		memcpy(out->loader, tag + TAG_HEADER,
		       MIN(size - TAG_HEADER, sizeof(out->loader) - 1));
		return 0;
	case TAG_MODULE:
		return parse_module(tag, size, out, why);
	case TAG_MMAP:
		return parse_mmap(tag, size, map, why);
	case TAG_EFI32:
	case TAG_EFI64:
	case TAG_EFI_MMAP:
		out->uefi = true;
		return 0;
	case TAG_EFI_BS:
		return refuse(why, ERR_UNSUPPORTED,
			      "the boot loader left the UEFI boot services running: load the image "
			      "without asking it to keep them");
	case TAG_ACPI_OLD:
		return parse_rsdp(tag, size, RSDP_V1_SIZE, out, why);
	case TAG_ACPI_NEW:
		return parse_rsdp(tag, size, RSDP_V2_SIZE, out, why);
	case TAG_LOAD_BASE:
		if (size < TAG_HEADER + 4)
			return refuse(why, ERR_INVALID,
				      "the boot loader's load address is %u bytes long, too short",
				      size - TAG_HEADER);
		out->load_base = le32(tag + 8);
		return 0;
	default:
		return 0;
	}
}

int multiboot2_parse(const void *mbi, size_t len, struct boot_info *out, struct reason *why)
{
	const uint8_t *p = mbi;
	struct mmap map = {0};
	uint64_t off = INFO_HEADER;
	uint32_t total;
	int err;

	memset(out, 0, sizeof(*out));
	if (len < INFO_HEADER)
		return refuse(why, ERR_RANGE, "the boot loader's information cannot be read");
	total = le32(p);
	if (total < INFO_HEADER + TAG_HEADER || total > len)
		return refuse(
			why, ERR_RANGE,
			"the boot loader's information says that it is %u bytes long: 16 to %zu "
			"are possible",
			total, len);
	for (;;) {
		uint32_t type, size;

		if (off + TAG_HEADER > total)
			return refuse(why, ERR_INVALID,
				      "the boot loader's information ends without an end tag");
		type = le32(p + off);
		size = le32(p + off + 4);
		if (size < TAG_HEADER || size > total - off)
			return refuse(
				why, ERR_INVALID,
				"the boot loader's information has a tag (type %u) of %u bytes "
				"at offset %llu of %u",
				type, size, (unsigned long long)off, total);
		if (type == TAG_END)
			break;
		err = parse_tag(p + off, type, size, out, &map, why);
		if (err)
			return err;
		off += ALIGN_UP((uint64_t)size, 8);
	}
	if (!map.count)
		return refuse(
			why, ERR_INVALID,
			"the boot loader gave no memory map: use a loader that knows multiboot2, "
			"such as GRUB 2");
	return sort_ranges(&map, out, why);
}
