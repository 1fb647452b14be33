/*
 * An exit in words and as JSON: for `trace` and for crash records. Pure.
 */
#ifndef GUESTS_EXIT_WORDS_H
#define GUESTS_EXIT_WORDS_H

#include "guests/exit_ring.h"
#include "lib/json_out.h"
#include "lib/reason.h"

/* What the exit was about, beyond its kind: "out 0x3f8, 1 byte: 0x41". Empty: the kind says all.
 * Returns buf. */
const char *exit_words(const struct exit_record *e, char *buf, size_t size);

/* The same as members of the object that is open. docs/guide.md lists them. */
void exit_json(const struct exit_record *e, struct json_out *j);

/* Reads "cpuid,io" into a mask with a bit for each enum exit_kind. ERR_INVALID with a sentence. */
int exit_kinds_parse(const char *list, uint32_t *kinds, struct reason *why);

/* The usual name of an MSR, as the manuals have it, or NULL. (msr_names.c) */
const char *msr_name(uint32_t index);

#endif
