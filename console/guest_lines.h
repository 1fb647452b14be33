/*
 * A guest's output as lines of plain text: for guests that are shown with their name while
 * unattached, and for output that is shown again later. Takes out what would steer the terminal.
 * Pure.
 */
#ifndef CONSOLE_GUEST_LINES_H
#define CONSOLE_GUEST_LINES_H

#include "console/sequence.h"
#include "lib/types.h"

#define GUEST_LINE_MAX   256               /* bytes of a line, with the ending zero */
#define GUEST_LINE_FLUSH (200 * NS_PER_MS) /* a line that does not end is shown after this */

struct guest_lines {
	char line[GUEST_LINE_MAX];
	size_t len;
	uint64_t since; /* when the first byte of this line came, in ns */
	enum sequence sequence;
	bool continued; /* the line's beginning was shown already */
};

typedef void guest_line(void *ctx, const char *line);

/* Feeds output that came at time `now`; calls `show` for each line that it completes, at most once
 * for GUEST_LINE_MAX bytes. */
void guest_lines_feed(struct guest_lines *g, const uint8_t *bytes, size_t n, uint64_t now,
		      guest_line *show, void *ctx);

/* Shows a line that has been waiting for its end for GUEST_LINE_FLUSH. */
void guest_lines_tick(struct guest_lines *g, uint64_t now, guest_line *show, void *ctx);

/* Shows what there is of the last line. */
void guest_lines_end(struct guest_lines *g, guest_line *show, void *ctx);

#endif
