/*
 * The layout of a dump: an ELF core file, as a debugger opens it. Pure.
 *
 * The file has a header, the notes (each CPU's registers), and then each segment's pages, one
 * segment after the other. It is never there as a whole: its pages are made one by one.
 */
#ifndef CONSOLE_DUMP_CORE_H
#define CONSOLE_DUMP_CORE_H

#include "arch/x86/traps.h"
#include "lib/types.h"

#define DUMP_MAX_SEGMENTS 1024u
#define DUMP_MAX_CPUS     256u

struct dump_segment {
	uint64_t va, size; /* whole pages */
};

struct dump_core {
	const struct dump_segment *segments;
	uint32_t n_segments;
	uint32_t n_cpus;
	/* registers of CPU i; NULL: they are not known */
	const struct trap_frame *(*registers)(void *ctx, uint32_t i);
	void *ctx;
	const char *text; /* a note of our own: what this is about */
};

/* Bytes of the header and of the whole file: multiples of a page. */
uint64_t dump_core_header_size(const struct dump_core *c);
uint64_t dump_core_size(const struct dump_core *c);

/* Makes the header's page at `offset`, a multiple of a page. */
void dump_core_header_page(const struct dump_core *c, uint64_t offset, uint8_t page[PAGE_SIZE]);

/* The address whose page stands at `offset` of the file, behind the header. */
uint64_t dump_core_address(const struct dump_core *c, uint64_t offset);

#endif
