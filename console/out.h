/*
 * Where text goes: a place that takes bytes, and formatted writing to it. Pure.
 */
#ifndef CONSOLE_OUT_H
#define CONSOLE_OUT_H

#include "lib/types.h"

struct out {
	void (*put)(void *ctx, const char *text, size_t len);
	void *ctx;
};

void out_bytes(const struct out *o, const char *text, size_t len);
void out_text(const struct out *o, const char *text);

/* One call writes at most 511 bytes; what is longer is cut. */
void out_printf(const struct out *o, const char *fmt, ...) __printf(2, 3);

/* "512 MiB", "1536 KiB", "12 B": the largest unit that keeps it whole. Returns buf. */
const char *format_size(uint64_t bytes, char buf[24]);

/* "3 d 04:05:06.789", or without the days. Returns buf. */
const char *format_duration(uint64_t ns, char buf[32]);

#endif
