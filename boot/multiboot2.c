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
	TAG_SMBIOS = 13,
	TAG_ACPI_OLD = 14,
	TAG_ACPI_NEW = 15,
	TAG_EFI_MMAP = 17,
	TAG_EFI_BS = 18,
};

#define INFO_HEADER      8u  /* total size, reserved */
#define TAG_HEADER       8u  /* type, size */
#define MMAP_HEADER      16u /* a tag header, entry size, entry version */
#define MMAP_ENTRY_MIN   24u
#define MMAP_MAX_ENTRIES 2048u /* sorting is quadratic; a real map has at most a few hundred */
#define SMBIOS_HEADER    16u
#define RSDP_V1_SIZE     20u
#define RSDP_V2_SIZE     36u

struct parse {
	struct boot_info *out;
	void (*complain)(void *ctx, const char *sentence);
	void *ctx;
	uint32_t modules_too_many;
	uint32_t ranges_lost;
	uint64_t ram_lost; /* bytes in them */
};

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

/* What is lost without a range: nobody looks for what is reserved or bad, which is never used. */
static uint64_t worth(const struct mem_range *r)
{
	return r->kind == MEM_RESERVED || r->kind == MEM_BAD ? 0 : r->end - r->start;
}

/* Makes room in a full table by dropping the range of the least worth, which may be the new one:
 * what is in no range is not used. */
static void replace_least(struct parse *ps, struct mem_range r)
{
	struct boot_info *out = ps->out;
	struct mem_range lost = r;
	uint32_t least = BOOT_MAX_RANGES;

	for (uint32_t i = 0; i < BOOT_MAX_RANGES; i++) {
		if (worth(&out->ranges[i]) < worth(&lost)) {
			lost = out->ranges[i];
			least = i;
		}
	}
	ps->ranges_lost++;
	if (lost.kind == MEM_RAM)
		ps->ram_lost += lost.end - lost.start;
	if (least == BOOT_MAX_RANGES)
		return;
	for (uint32_t i = least; i + 1 < BOOT_MAX_RANGES; i++)
		out->ranges[i] = out->ranges[i + 1];
	out->ranges[BOOT_MAX_RANGES - 1] = r;
}

/* Appends a range; RAM is cut to whole pages, so that a page shared with something else is not RAM.
 */
static void add_range(struct parse *ps, struct mem_range r)
{
	struct boot_info *out = ps->out;

	if (r.kind == MEM_RAM) {
		if (r.start > UINT64_MAX - (PAGE_SIZE - 1))
			return;
		r.start = ALIGN_UP(r.start, PAGE_SIZE);
		r.end = ALIGN_DOWN(r.end, PAGE_SIZE);
		if (r.start >= r.end)
			return;
	}
	if (out->n_ranges == BOOT_MAX_RANGES)
		replace_least(ps, r);
	else
		out->ranges[out->n_ranges++] = r;
}

/*
 * Sorts the map and resolves overlaps: goes from one boundary (start or end of any entry) to the
 * next and takes the highest kind that covers the stretch between them.
 */
static void sort_ranges(struct parse *ps, const struct mmap *map)
{
	struct mem_range pending = {0};
	uint64_t pos = 0;

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
				add_range(ps, pending);
				pending.end = 0;
			}
			if (best)
				pending = here;
		}
		if (next == UINT64_MAX)
			break;
		pos = next;
	}
	if (pending.end)
		add_range(ps, pending);
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

/* Finds the string that takes up the rest of a tag. */
static int find_string(const uint8_t *tag, uint32_t size, uint32_t offset, const char **s,
		       size_t *len, const char *what, struct reason *why)
{
	size_t room = size > offset ? size - offset : 0;

	*s = (const char *)tag + offset;
	*len = strnlen(*s, room);
	if (*len == room)
		return refuse(why, ERR_INVALID, "the boot loader's %s has no end", what);
	return 0;
}

/*
 * The text that the administrator wrote, from what the loader makes of it: GRUB puts a backslash
 * before each backslash and quotation mark (but not before a backslash that begins \xNN), and
 * quotation marks around a word with blanks. Keeps at most size - 1 characters, and an ending zero;
 * returns how many there are.
 */
static size_t unquote(const char *s, size_t len, char *dst, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] == '"')
			continue;
		if (s[i] == '\\' && i + 1 < len &&
		    (s[i + 1] == '\\' || s[i + 1] == '\'' || s[i + 1] == '"'))
			i++;
		if (n < size - 1)
			dst[n] = s[i];
		n++;
	}
	dst[MIN(n, size - 1)] = 0;
	return n;
}

/* A command line that is too long ends with the last word that fits whole. */
static int parse_cmdline(struct parse *ps, const uint8_t *tag, uint32_t size, struct reason *why)
{
	char *line = ps->out->cmdline;
	const size_t max = sizeof(ps->out->cmdline) - 1;
	struct reason sentence;
	const char *s;
	size_t len, kept;
	int err = find_string(tag, size, TAG_HEADER, &s, &len, "command line", why);

	if (err)
		return err;
	len = unquote(s, len, line, max + 1);
	if (len > max) {
		kept = max;
		while (kept && line[kept] != ' ')
			kept--;
		line[kept] = 0;
		refuse(&sentence, 0,
		       "the command line is %zu characters long and only its first %zu are used: "
		       "shorten it in the boot loader's entry to at most %zu",
		       len, kept, max);
		ps->complain(ps->ctx, sentence.text);
	}
	return 0;
}

/* A module that does not fit in is left out, and its memory may be used: a string that was cut
 * might be another's. */
static int parse_module(struct parse *ps, const uint8_t *tag, uint32_t size, struct reason *why)
{
	struct boot_info *out = ps->out;
	struct boot_module mod = {0};
	struct reason sentence;
	const char *s;
	size_t len;
	int err;

	if (size < TAG_HEADER + 8)
		return refuse(why, ERR_INVALID,
			      "the boot loader's description of module %u is %u bytes long, too "
			      "short",
			      out->n_modules + 1, size);
	mod.start = le32(tag + 8);
	mod.end = le32(tag + 12);
	if (mod.end < mod.start)
		return refuse(
			why, ERR_INVALID,
			"the boot loader's module %u ends at 0x%llx, before its start at 0x%llx",
			out->n_modules + 1, (unsigned long long)mod.end,
			(unsigned long long)mod.start);
	err = find_string(tag, size, 16, &s, &len, "string of a module", why);
	if (err)
		return err;
	len = unquote(s, len, mod.string, sizeof(mod.string));
	if (len >= sizeof(mod.string)) {
		refuse(&sentence, 0,
		       "a module is left out, because its string is %zu characters long and at "
		       "most %zu are possible: shorten it in the boot loader's entry",
		       len, sizeof(mod.string) - 1);
		ps->complain(ps->ctx, sentence.text);
		return 0;
	}
	if (out->n_modules == BOOT_MAX_MODULES) {
		ps->modules_too_many++;
		return 0;
	}
	out->modules[out->n_modules++] = mod;
	return 0;
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

static int parse_tag(struct parse *ps, const uint8_t *tag, uint32_t type, uint32_t size,
		     struct mmap *map, struct reason *why)
{
	struct boot_info *out = ps->out;

	switch (type) {
	case TAG_CMDLINE:
		return parse_cmdline(ps, tag, size, why);
	case TAG_LOADER:
		/* Only shown: a cut or missing end does no harm. */
		memset(out->loader, 0, sizeof(out->loader));
		memcpy(out->loader, tag + TAG_HEADER,
		       MIN(size - TAG_HEADER, sizeof(out->loader) - 1));
		return 0;
	case TAG_MODULE:
		return parse_module(ps, tag, size, why);
	case TAG_MMAP:
		return parse_mmap(tag, size, map, why);
	case TAG_EFI64:
		if (size >= TAG_HEADER + 8)
			out->efi64 = le64(tag + TAG_HEADER);
		out->uefi = true;
		return 0;
	case TAG_EFI32:
	case TAG_EFI_MMAP:
		out->uefi = true;
		return 0;
	case TAG_SMBIOS: /* version, reserved bytes, then the table */
		if (size > SMBIOS_HEADER)
			smbios_name(tag + SMBIOS_HEADER, size - SMBIOS_HEADER, out->machine,
				    sizeof(out->machine));
		return 0;
	case TAG_EFI_BS:
		return refuse(why, ERR_UNSUPPORTED,
			      "the boot loader left the UEFI boot services running: load the image "
			      "without asking it to keep them");
	case TAG_ACPI_OLD:
		return parse_rsdp(tag, size, RSDP_V1_SIZE, out, why);
	case TAG_ACPI_NEW:
		return parse_rsdp(tag, size, RSDP_V2_SIZE, out, why);
	default:
		return 0;
	}
}

/* One sentence for all of a kind. */
static void complain_of_limits(struct parse *ps)
{
	struct reason sentence;

	if (ps->modules_too_many) {
		refuse(&sentence, 0,
		       "%u of the boot loader's modules are left out: at most %d are possible",
		       ps->modules_too_many, BOOT_MAX_MODULES);
		ps->complain(ps->ctx, sentence.text);
	}
	if (ps->ranges_lost) {
		refuse(&sentence, 0,
		       "the boot loader's memory map has %u ranges more than the %d that are "
		       "possible: the smallest are left out, and %llu KiB of RAM with them",
		       ps->ranges_lost, BOOT_MAX_RANGES, (unsigned long long)(ps->ram_lost / 1024));
		ps->complain(ps->ctx, sentence.text);
	}
}

int multiboot2_parse(const void *mbi, size_t len, struct boot_info *out,
		     void (*complain)(void *ctx, const char *sentence), void *ctx,
		     struct reason *why)
{
	struct parse ps = {.out = out, .complain = complain, .ctx = ctx};
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
		err = parse_tag(&ps, p + off, type, size, &map, why);
		if (err)
			return err;
		off += ALIGN_UP((uint64_t)size, 8);
	}
	if (!map.count)
		return refuse(
			why, ERR_INVALID,
			"the boot loader gave no memory map: use a loader that knows multiboot2, "
			"such as GRUB 2");
	sort_ranges(&ps, &map);
	complain_of_limits(&ps);
	return 0;
}

void multiboot2_cmdline(const void *mbi, size_t len, char *out, size_t size)
{
	const uint8_t *p = mbi;
	uint64_t off = INFO_HEADER;
	uint32_t total = len < INFO_HEADER ? 0 : le32(p);

	*out = 0;
	if (total > len)
		return;
	while (off + TAG_HEADER <= total) {
		uint32_t type = le32(p + off), tag_size = le32(p + off + 4);

		if (type == TAG_END || tag_size < TAG_HEADER || tag_size > total - off)
			return;
		if (type == TAG_CMDLINE) {
			const char *s = (const char *)p + off + TAG_HEADER;

			unquote(s, strnlen(s, tag_size - TAG_HEADER), out, size);
			return;
		}
		off += ALIGN_UP((uint64_t)tag_size, 8);
	}
}
