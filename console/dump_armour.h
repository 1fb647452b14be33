/*
 * Binary records as lines of text that survive a serial line, a terminal and a log file; the
 * program tools/skerry-dump reads them back. Pure.
 *
 *   @00001f BASE64... 1a2b3c4d     a record begins: number of the line, its bytes, their checksum
 *   +000020 BASE64... 5e6f7a8b     it goes on
 *
 * Each line has up to 72 bytes. The checksum is the CRC-32 of the line up to it (the mark, the
 * number and the text), so that a damaged line is known, and by its number a lost one. A record
 * begins with 20 bytes, low byte first: where its content belongs in the file (8), its length there
 * (4), its length here (4; LZ4's block format if it is less), and the CRC-32 of the content as it
 * is in the file (4).
 */
#ifndef CONSOLE_DUMP_ARMOUR_H
#define CONSOLE_DUMP_ARMOUR_H

#include "console/out.h"
#include "lib/types.h"

#define ARMOUR_HEADER     20u
#define ARMOUR_LINE_BYTES 72u

struct armour {
	const struct out *out;
	uint32_t lines; /* so far */
};

/* Writes one record. `packed` may be the content itself: then packed_len is len. */
void armour_record(struct armour *a, uint64_t offset, const uint8_t *content, uint32_t len,
		   const uint8_t *packed, uint32_t packed_len);

#endif
