/*
 * The parts of a kernel's file that go to fixed places of guest RAM: for the loaders of ELF files
 * and of files with multiboot's address fields. They are checked one by one when they are added,
 * and nothing is written before all are known to fit. Pure.
 */
#ifndef GUESTS_LOAD_SEGMENTS_H
#define GUESTS_LOAD_SEGMENTS_H

#include "guests/load.h"

#define SEGMENTS_MAX 16u

struct load_segment {
	uint64_t start, end;       /* guest-physical, end exclusive */
	uint64_t offset, file_len; /* in the file; the rest up to `end` is zeros */
};

struct load_segments {
	const struct load_blob *file;
	unsigned n;
	struct load_segment at[SEGMENTS_MAX];
};

/* Adds what is to be loaded at [start, start + mem_len): the file's bytes from `offset`, then
 * zeros. ERR_INVALID, ERR_RANGE or ERR_UNSUPPORTED unless it is in the file, lies in RAM and
 * collides with nothing. An empty one is no segment. */
int segments_add(const struct gmem *m, struct load_segments *s, uint64_t start, uint64_t mem_len,
		 uint64_t offset, uint64_t file_len, struct reason *why) __must_check;

/* ERR_INVALID if `entry` is not in a segment. */
int segments_check_entry(const struct load_segments *s, uint64_t entry,
			 struct reason *why) __must_check;

/* The lowest page of RAM below 640 KiB, but not the first, from which `size` bytes touch no
 * segment. ERR_RANGE: there is none. */
int segments_gap(const struct load_segments *s, uint64_t size, uint64_t *at,
		 struct reason *why) __must_check;

/* Writes all segments. */
int segments_put(struct gmem *m, const struct load_segments *s, struct reason *why) __must_check;

/* The first page behind all segments, at least LOAD_HIGH_START: where modules go. */
uint64_t segments_end(const struct load_segments *s);

/* Writes a module to the page `*at` below 4 GiB, and moves `*at` to the page behind it. */
int segments_put_module(struct gmem *m, const struct load_segments *s,
			const struct load_blob *module, uint64_t *at,
			struct reason *why) __must_check;

#endif
