/* ELF files of guests; see elf.h. Pure. */
#include "guests/elf.h"

#include "lib/le.h"
#include "lib/string.h"

#define CLASS32       1u
#define CLASS64       2u
#define DATA_LSB      1u
#define MACHINE_386   3u
#define MACHINE_AMD64 62u
#define PT_LOAD       1u
#define PT_NOTE       4u

#define HEADER_SIZE 64u /* of the larger class: a file with a program header is longer anyway */
#define NOTE_HEADER 12u /* sizes of name and descriptor, type */

/* The fields that are wanted of a program header, of either class. */
struct program_header {
	uint32_t type;
	uint64_t offset, vaddr, paddr, file_len, mem_len, align;
};

bool elf_is(const struct load_blob *file)
{
	return file->size >= HEADER_SIZE && !memcmp(file->data, "\177ELF", 4);
}

int elf_open(const struct load_blob *file, struct elf *elf, struct reason *why)
{
	const uint8_t *f = file->data;
	bool is64 = f[4] == CLASS64;

	if ((!is64 && f[4] != CLASS32) || f[5] != DATA_LSB ||
	    le16(f + 18) != (is64 ? MACHINE_AMD64 : MACHINE_386))
		return refuse(why, ERR_UNSUPPORTED, "%s is an ELF file for another processor",
			      file->string);
	*elf = (struct elf){
		.file = file,
		.is64 = is64,
		.entry = is64 ? le64(f + 24) : le32(f + 24),
		.table = is64 ? le64(f + 32) : le32(f + 28),
		.entry_size = le16(f + (is64 ? 54 : 42)),
		.count = le16(f + (is64 ? 56 : 44)),
	};
	if (elf->entry_size < (is64 ? 56u : 32u) || elf->table > file->size ||
	    (uint64_t)elf->entry_size * elf->count > file->size - elf->table)
		return refuse(why, ERR_INVALID,
			      "%s is broken or cut: its program headers are not in the file",
			      file->string);
	return 0;
}

static struct program_header program_header(const struct elf *elf, uint32_t i)
{
	const uint8_t *p =
		(const uint8_t *)elf->file->data + elf->table + (uint64_t)i * elf->entry_size;

	if (elf->is64)
		return (struct program_header){.type = le32(p),
					       .offset = le64(p + 8),
					       .vaddr = le64(p + 16),
					       .paddr = le64(p + 24),
					       .file_len = le64(p + 32),
					       .mem_len = le64(p + 40),
					       .align = le64(p + 48)};
	return (struct program_header){.type = le32(p),
				       .offset = le32(p + 4),
				       .vaddr = le32(p + 8),
				       .paddr = le32(p + 12),
				       .file_len = le32(p + 16),
				       .mem_len = le32(p + 20),
				       .align = le32(p + 28)};
}

int elf_segments(const struct gmem *m, const struct elf *elf, struct load_segments *s,
		 uint64_t *entry, struct reason *why)
{
	*entry = elf->entry;
	for (uint32_t i = 0; i < elf->count; i++) {
		struct program_header ph = program_header(elf, i);
		int err;

		if (ph.type != PT_LOAD)
			continue;
		err = segments_add(m, s, ph.paddr, ph.mem_len, ph.offset, ph.file_len, why);
		if (err)
			return err;
		/* The entry is a virtual address; paging is off. */
		if (elf->entry >= ph.vaddr && elf->entry - ph.vaddr < ph.mem_len)
			*entry = ph.paddr + (elf->entry - ph.vaddr);
	}
	return 0;
}

/* Looks through the notes of one segment. `align` is that of names and descriptors. */
static int find_note(const struct elf *elf, const uint8_t *p, uint64_t left, uint64_t align,
		     const char *owner, uint32_t type, uint64_t *value, struct reason *why)
{
	uint32_t owner_len = (uint32_t)strlen(owner) + 1;

	while (left >= NOTE_HEADER) {
		uint32_t name_len = le32(p), len = le32(p + 4);
		uint64_t at = ALIGN_UP((uint64_t)NOTE_HEADER + name_len, align);
		/* The padding behind the last one may be missing. */
		uint64_t size = ALIGN_UP(at + len, align);

		if (at + len > left)
			return refuse(why, ERR_INVALID,
				      "%s is broken or cut: a note is longer than its segment",
				      elf->file->string);
		if (le32(p + 8) == type && name_len == owner_len &&
		    !memcmp(p + NOTE_HEADER, owner, owner_len)) {
			if (len != 4 && len != 8)
				return refuse(why, ERR_INVALID,
					      "%s is broken: its note %u of %s has %u bytes, not 4 "
					      "or 8",
					      elf->file->string, type, owner, len);
			*value = len == 8 ? le64(p + at) : le32(p + at);
			return 0;
		}
		if (size > left)
			break;
		p += size;
		left -= size;
	}
	return ERR_NOT_FOUND;
}

int elf_note(const struct elf *elf, const char *owner, uint32_t type, uint64_t *value,
	     struct reason *why)
{
	const uint8_t *f = elf->file->data;
	uint64_t left = elf->file->size;

	for (uint32_t i = 0; i < elf->count; i++) {
		struct program_header ph = program_header(elf, i);
		int err;

		if (ph.type != PT_NOTE)
			continue;
		if (ph.offset > elf->file->size || ph.file_len > elf->file->size - ph.offset)
			return refuse(why, ERR_INVALID,
				      "%s is broken or cut: its notes are not in the file",
				      elf->file->string);
		/* Else 65535 headers of the same bytes would have them looked at as often. */
		if (ph.file_len > left)
			return refuse(why, ERR_INVALID,
				      "%s is broken: its segments of notes overlap",
				      elf->file->string);
		left -= ph.file_len;
		err = find_note(elf, f + ph.offset, ph.file_len, ph.align == 8 ? 8 : 4, owner, type,
				value, why);
		if (err != ERR_NOT_FOUND)
			return err;
	}
	return ERR_NOT_FOUND;
}
