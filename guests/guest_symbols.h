/*
 * Names of a guest's functions, from a list as `nm` prints it or as Linux's System.map: lines of an
 * address, a letter and a name, in any order. Pure: the text stays where it is and is not changed,
 * the index is memory of the caller's.
 *
 * The text comes from outside: whatever is no such line is passed over and counted.
 */
#ifndef GUESTS_GUEST_SYMBOLS_H
#define GUESTS_GUEST_SYMBOLS_H

#include "lib/types.h"

/* Bytes of a line; a longer one is none. */
#define GUEST_SYMBOL_LINE_MAX 512u

/* So far behind a function's begin nothing is called by its name. */
#define GUEST_SYMBOL_REACH MIB

struct guest_symbol {
	uint64_t address;
	uint32_t name; /* where it begins in the text */
	uint32_t spare;
};

struct guest_symbols {
	const char *text;
	uint32_t size;              /* of the text */
	struct guest_symbol *index; /* by address */
	uint32_t n;
};

struct guest_symbols_count {
	uint32_t functions; /* entries that the index needs */
	uint32_t bad;       /* lines that are no such line */
	uint32_t first_bad; /* number of the first of them, from 1; 0: none */
};

/* Looks through the text. */
void guest_symbols_count(const char *text, uint32_t size, struct guest_symbols_count *out);

/* Fills s->index, which has room for `room` entries, from s->text, and sorts it. */
void guest_symbols_index(struct guest_symbols *s, uint32_t room);

/* "main+0x12", or NULL where no function is. Returns buf. */
const char *guest_symbols_name(const struct guest_symbols *s, uint64_t address, char *buf,
			       size_t size);

#endif
