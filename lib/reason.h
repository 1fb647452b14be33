/*
 * One clear sentence that says what is wrong and what to do. Functions that can refuse take a
 * `struct reason *` and fill it; the caller shows it to the administrator. Pure.
 */
#ifndef LIB_REASON_H
#define LIB_REASON_H

#include "lib/types.h"

struct reason {
	char text[240];
};

/* Formats the sentence (cut at the buffer's end) and returns `err`, so that callers can write
 * `return refuse(why, ERR_INVALID, "...")`. `why` may be NULL. */
int refuse(struct reason *why, int err, const char *fmt, ...) __printf(3, 4) __cold;

#endif
