/*
 * Unpacks files that were packed by gzip, with zlib's inflate. Pure: works on memory given to it. A
 * file is never trusted: its own word about how large it becomes is not used, and its checksums are
 * checked.
 *
 * Source: RFC 1952, "GZIP file format specification". A file may have several members, whose
 * contents are joined. Zeros behind the last one are padding; anything else there is refused.
 */
#ifndef GUESTS_GUNZIP_H
#define GUESTS_GUNZIP_H

#include "guests/load.h"

/* Bytes of working memory, aligned to 16, that both functions are given: inflate's state and
 * window, and a buffer for what is only counted. */
#define GUNZIP_WORK (96 * KIB)

bool gunzip_is(const struct load_blob *file);

/* How many bytes the file becomes. ERR_INVALID: it is broken or cut; ERR_RANGE: more than `limit`,
 * found out as soon as it is. */
int gunzip_size(const struct load_blob *file, void *work, uint64_t limit, uint64_t *size,
		struct reason *why) __must_check;

/* Writes them to `out`, which has just that size. */
int gunzip(const struct load_blob *file, void *work, void *out, uint64_t size,
	   struct reason *why) __must_check;

#endif
