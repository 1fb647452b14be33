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

/* The controls U+0080 to U+009F, which terminals obey like an escape sequence: C2 80 to C2 9F, or
 * the second byte alone. Forgets the first byte, too. */
static bool is_c1(struct guest_lines *g, uint8_t c)
{
	uint8_t before = g->len ? (uint8_t)g->line[g->len - 1] : 0;

	if (c < 0x80 || c > 0x9f || (before >= 0x80 && before != 0xc2))
		return false;
	if (before == 0xc2)
		g->len--;
	return true;
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
		} else if (is_text(g, bytes[i]) && !is_c1(g, bytes[i])) {
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
