/*
 * The line editor. Pure: bytes in, bytes out. Key sequences: "XTerm Control Sequences", section
 * "PC-Style Function Keys", and VT100's cursor keys.
 */
#include "console/lineedit.h"

#include "lib/format.h"
#include "lib/string.h"

#define CTRL(c) ((c)&0x1f)
#define BELL    "\a"
#define CONTEXT 8 /* bytes that stay visible left of the cursor in a line that is scrolled */

void lineedit_init(struct lineedit *e, const struct out *out, const char *prompt,
		   lineedit_complete *complete, void *ctx)
{
	memset(e, 0, sizeof(*e));
	e->out = out;
	e->prompt = prompt;
	e->complete = complete;
	e->complete_ctx = ctx;
}

/* Columns for the line; the last one stays free, so that no terminal wraps. */
static size_t columns(const struct lineedit *e)
{
	return TERMINAL_WIDTH - 1 - strlen(e->prompt);
}

static void draw(struct lineedit *e)
{
	size_t width = columns(e), end;

	if (e->scroll && e->pos < e->scroll + CONTEXT)
		e->scroll = e->pos > CONTEXT ? e->pos - CONTEXT : 0;
	if (e->pos - e->scroll > width)
		e->scroll = e->pos - width;
	end = MIN(e->len, e->scroll + width);
	out_text(e->out, "\r");
	out_text(e->out, e->prompt);
	out_bytes(e->out, e->line + e->scroll, end - e->scroll);
	out_text(e->out, "\x1b[K");
	if (e->pos < end)
		out_printf(e->out, "\x1b[%uD", (unsigned)(end - e->pos));
	e->shown = true;
}

void lineedit_show(struct lineedit *e)
{
	if (e->shown)
		return;
	if (e->len) {
		draw(e);
	} else {
		out_text(e->out, e->prompt);
		e->shown = true;
	}
}

void lineedit_hide(struct lineedit *e)
{
	if (e->shown)
		out_text(e->out, "\r\x1b[K");
	e->shown = false;
}

void lineedit_next(struct lineedit *e)
{
	e->line[0] = '\0';
	e->len = e->pos = e->scroll = 0;
	e->history_back = 0;
	e->shown = false;
}

static void bell(struct lineedit *e)
{
	out_text(e->out, BELL);
}

static void insert(struct lineedit *e, const char *text, size_t n)
{
	bool at_end = e->pos == e->len;

	if (e->len + n >= sizeof(e->line)) {
		bell(e);
		return;
	}
	memmove(e->line + e->pos + n, e->line + e->pos, e->len - e->pos + 1);
	memcpy(e->line + e->pos, text, n);
	e->len += n;
	e->pos += n;
	if (at_end && e->pos - e->scroll <= columns(e))
		out_bytes(e->out, text, n);
	else
		draw(e);
}

/* Cuts [from, to) out and puts the cursor there. */
static void cut(struct lineedit *e, size_t from, size_t to)
{
	if (from == to)
		return;
	memmove(e->line + from, e->line + to, e->len - to + 1);
	e->len -= to - from;
	e->pos = from;
	draw(e);
}

static void move_to(struct lineedit *e, size_t pos)
{
	if (pos == e->pos)
		return;
	e->pos = pos;
	draw(e);
}

static size_t word_start(const struct lineedit *e)
{
	size_t p = e->pos;

	while (p && e->line[p - 1] == ' ')
		p--;
	while (p && e->line[p - 1] != ' ')
		p--;
	return p;
}

/* ---- history ---- */

static char *history_line(struct lineedit *e, unsigned back)
{
	return e->history[(e->history_count - back) % HISTORY_LINES];
}

static void remember(struct lineedit *e)
{
	size_t blanks = 0;

	while (e->line[blanks] == ' ')
		blanks++;
	if (blanks == e->len)
		return;
	if (e->history_count && !strcmp(history_line(e, 1), e->line))
		return;
	memcpy(e->history[e->history_count % HISTORY_LINES], e->line, sizeof(e->line));
	e->history_count++;
}

static void browse(struct lineedit *e, int step)
{
	unsigned kept = MIN(e->history_count, (unsigned)HISTORY_LINES);
	unsigned back = e->history_back + (unsigned)step;

	if (back > kept) { /* below 0 too */
		bell(e);
		return;
	}
	if (e->history_back == 0)
		memcpy(e->edited, e->line, sizeof(e->line));
	e->history_back = back;
	memcpy(e->line, back ? history_line(e, back) : e->edited, sizeof(e->line));
	e->len = e->pos = strlen(e->line);
	e->scroll = 0;
	draw(e);
}

/* ---- completion ---- */

struct candidates {
	unsigned count;
	char common[64]; /* what all of them begin with */
	struct lineedit *e;
	size_t column;
};

static void take_common(void *ctx, const char *word)
{
	struct candidates *c = ctx;
	size_t n = 0;

	if (c->count++ == 0) {
		snprintf(c->common, sizeof(c->common), "%s", word);
		return;
	}
	while (c->common[n] && c->common[n] == word[n])
		n++;
	c->common[n] = '\0';
}

static void take_listing(void *ctx, const char *word)
{
	struct candidates *c = ctx;
	size_t len = strlen(word);

	if (c->column && c->column + 2 + len >= TERMINAL_WIDTH) {
		out_text(c->e->out, "\r\n");
		c->column = 0;
	}
	out_printf(c->e->out, "%s%s", c->column ? "  " : "", word);
	c->column += len + (c->column ? 2 : 0);
}

static void complete(struct lineedit *e)
{
	struct candidates c = {.e = e};
	char before[LINE_MAX_BYTES];
	size_t start, typed, more;

	memcpy(before, e->line, e->pos);
	before[e->pos] = '\0';
	start = e->complete(e->complete_ctx, before, take_common, &c);
	typed = e->pos - MIN(start, e->pos);
	more = strlen(c.common);
	if (c.count && more > typed)
		insert(e, c.common + typed, more - typed);
	if (c.count == 1) {
		if (e->line[e->pos] != ' ')
			insert(e, " ", 1);
		return;
	}
	if (c.count == 0 || !e->after_tab) {
		if (c.count == 0 || more <= typed)
			bell(e);
		return;
	}
	out_text(e->out, "\r\n");
	e->complete(e->complete_ctx, before, take_listing, &c);
	out_text(e->out, "\r\n");
	draw(e);
}

/* ---- keys ---- */

static void left(struct lineedit *e)
{
	move_to(e, e->pos ? e->pos - 1 : 0);
}

static void right(struct lineedit *e)
{
	move_to(e, MIN(e->pos + 1, e->len));
}

static void delete_here(struct lineedit *e)
{
	cut(e, e->pos, MIN(e->pos + 1, e->len));
}

static void sequence(struct lineedit *e, uint8_t final)
{
	switch (final) {
	case 'A':
		browse(e, 1);
		break;
	case 'B':
		browse(e, -1);
		break;
	case 'C':
		right(e);
		break;
	case 'D':
		left(e);
		break;
	case 'H':
		move_to(e, 0);
		break;
	case 'F':
		move_to(e, e->len);
		break;
	case '~':
		if (e->parameter == 1 || e->parameter == 7)
			move_to(e, 0);
		else if (e->parameter == 4 || e->parameter == 8)
			move_to(e, e->len);
		else if (e->parameter == 3)
			delete_here(e);
		break;
	}
}

/* A byte after ESC. What is not known is swallowed whole. */
static void feed_escape(struct lineedit *e, uint8_t c)
{
	switch (e->escape) {
	case ESCAPE_BEGUN:
		e->parameter = 0;
		e->escape = c == '[' ? ESCAPE_CSI : c == 'O' ? ESCAPE_SS3 : ESCAPE_NONE;
		break;
	case ESCAPE_CSI:
		if (c >= '0' && c <= '9') {
			if (e->parameter < 1000)
				e->parameter = e->parameter * 10 + (c - '0');
		} else if (c >= 0x40 && c <= 0x7e) {
			e->escape = ESCAPE_NONE;
			sequence(e, c);
		}
		break;
	default:
		e->escape = ESCAPE_NONE;
		sequence(e, c);
		break;
	}
}

static void control_key(struct lineedit *e, uint8_t c)
{
	switch (c) {
	case CTRL('A'):
		move_to(e, 0);
		break;
	case CTRL('E'):
		move_to(e, e->len);
		break;
	case CTRL('B'):
		left(e);
		break;
	case CTRL('F'):
		right(e);
		break;
	case CTRL('P'):
		browse(e, 1);
		break;
	case CTRL('N'):
		browse(e, -1);
		break;
	case CTRL('D'):
		delete_here(e);
		break;
	case CTRL('K'):
		cut(e, e->pos, e->len);
		break;
	case CTRL('U'):
		cut(e, 0, e->pos);
		break;
	case CTRL('W'):
		cut(e, word_start(e), e->pos);
		break;
	case CTRL('L'):
		out_text(e->out, "\x1b[H\x1b[2J");
		draw(e);
		break;
	case CTRL('C'):
		out_text(e->out, "\r\n");
		lineedit_next(e);
		lineedit_show(e);
		break;
	case '\b':
	case 0x7f:
		if (e->pos)
			cut(e, e->pos - 1, e->pos);
		break;
	}
}

bool lineedit_feed(struct lineedit *e, uint8_t c)
{
	bool after_cr = e->after_cr;

	e->after_cr = c == '\r';
	if (c == '\n' && after_cr)
		return false; /* the second half of one line end */
	lineedit_show(e);
	if (c == 0x1b) {
		e->escape = ESCAPE_BEGUN;
		e->after_tab = false;
		return false;
	}
	if (e->escape != ESCAPE_NONE && c >= 0x20) {
		feed_escape(e, c);
		return false;
	}
	e->escape = ESCAPE_NONE; /* a control character ends any sequence */
	if (c == '\r' || c == '\n') {
		move_to(e, e->len);
		out_text(e->out, "\r\n");
		e->shown = false;
		e->after_tab = false;
		remember(e);
		return true;
	}
	if (c == '\t') {
		complete(e);
		e->after_tab = true;
		return false;
	}
	e->after_tab = false;
	if (c >= 0x20 && c < 0x7f)
		insert(e, (const char *)&c, 1);
	else
		control_key(e, c);
	return false;
}

void lineedit_timeout(struct lineedit *e)
{
	e->escape = ESCAPE_NONE;
}
