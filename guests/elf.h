/*
 * ELF files of guests, both classes, little endian, for x86: what lies where, and notes. Pure. The
 * file is never trusted: every offset is checked against its size.
 *
 * Source: "Tool Interface Standard (TIS) Executable and Linking Format", "ELF Header", "Program
 * Header" and "Note Section", and "ELF-64 Object File Format" for the other class.
 */
#ifndef GUESTS_ELF_H
#define GUESTS_ELF_H

#include "guests/load_segments.h"

struct elf {
	const struct load_blob *file;
	bool is64;
	uint64_t entry; /* a virtual address */
	uint64_t table; /* offset of the program headers */
	uint32_t entry_size, count;
};

bool elf_is(const struct load_blob *file);

/* Of a file that elf_is() holds for one. ERR_INVALID: broken; ERR_UNSUPPORTED: not for x86. */
int elf_open(const struct load_blob *file, struct elf *elf, struct reason *why) __must_check;

/* Adds all segments that are to be loaded, at their physical addresses. `entry` becomes the
 * physical address of the entry. Errors of segments_add. */
int elf_segments(const struct gmem *m, const struct elf *elf, struct load_segments *s,
		 uint64_t *entry, struct reason *why) __must_check;

/* The number that the first note with that owner and type holds, in 4 or 8 bytes. ERR_NOT_FOUND: no
 * such note, and no sentence; ERR_INVALID: broken notes. */
int elf_note(const struct elf *elf, const char *owner, uint32_t type, uint64_t *value,
	     struct reason *why) __must_check;

#endif
