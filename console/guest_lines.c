/*
 * Guest output as lines of plain text. Pure.
 */
#include "console/guest_lines.h"

#include "lib/string.h"

static void finish(struct guest_lines *g, bool continued, guest_line *show, void *ctx)
{
	g->line[g->len] = '\0';
	show(ctx, g->line);
	g->len = 0;
	g->continued = continued;
}

/* Answers whether the byte is text and not part of a control sequence. */
static bool is_text(struct guest_lines *g, uint8_t c)
{
	bool inside = g->sequence != SEQUENCE_NONE;

	g->sequence = sequence_next(g->sequence, c);
	return !inside && (c == '\t' || (c >= 0x20 && c != 0x7f));
}

void guest_lines_feed(struct guest_lines *g, const uint8_t *bytes, size_t n, uint64_t now,
		      guest_line *show, void *ctx)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n') {
			g->sequence = SEQUENCE_NONE;
			if (g->len || !g->continued)
				finish(g, false, show, ctx);
			g->continued = false;
		} else if (is_text(g, bytes[i])) {
			if (!g->len)
				g->since = now;
			g->line[g->len++] = (char)bytes[i];
			if (g->len == sizeof(g->line) - 1)
				finish(g, true, show, ctx);
		}
	}
}

void guest_lines_tick(struct guest_lines *g, uint64_t now, guest_line *show, void *ctx)
{
	if (g->len && now - g->since >= GUEST_LINE_FLUSH)
		finish(g, true, show, ctx);
}

void guest_lines_end(struct guest_lines *g, guest_line *show, void *ctx)
{
	if (g->len)
		finish(g, false, show, ctx);
	g->continued = false;
}
