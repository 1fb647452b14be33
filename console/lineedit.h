/*
 * The line editor: turns bytes from a terminal into lines, with history and completion. Pure.
 *
 * Keys: Left, Right, Home, End, Delete, Backspace, Up and Down (history), Tab (completion; twice
 * lists), Ctrl-A E B F (motion), K U W (cut), P N (history), L (clear the screen), D (delete), C
 * (drop the line); arrows and the like as VT100 and xterm send them. Bytes above 0x7e are ignored.
 * The terminal is taken to be 80 columns wide; a longer line scrolls sideways.
 *
 * Nothing depends on timing, apart from an ESC that nothing follows: see lineedit_timeout().
 */
#ifndef CONSOLE_LINEEDIT_H
#define CONSOLE_LINEEDIT_H

#include "console/out.h"
#include "lib/types.h"

#define LINE_MAX_BYTES 256 /* with the ending zero */
#define HISTORY_LINES  32
#define TERMINAL_WIDTH 80

/* Takes one candidate for the word before the cursor. */
typedef void lineedit_candidate(void *ctx, const char *word);

/* Calls `take` for each word that may stand there and begins with what is typed; `line` ends at the
 * cursor. Returns where the word begins in `line`. */
typedef size_t lineedit_complete(void *ctx, const char *line, lineedit_candidate *take,
				 void *take_ctx);

enum lineedit_escape {
	ESCAPE_NONE,
	ESCAPE_BEGUN, /* ESC */
	ESCAPE_CSI,   /* ESC [ and parameters */
	ESCAPE_SS3,   /* ESC O */
};

struct lineedit {
	const struct out *out;
	const char *prompt;
	lineedit_complete *complete;
	void *complete_ctx;

	char line[LINE_MAX_BYTES];
	size_t len, pos;
	size_t scroll; /* first byte of the line that is shown */
	bool shown;    /* prompt and line stand on the screen */

	enum lineedit_escape escape;
	unsigned parameter; /* first number of a CSI sequence */
	bool after_cr, after_tab;

	char history[HISTORY_LINES][LINE_MAX_BYTES];
	unsigned history_count;      /* lines ever stored */
	unsigned history_back;       /* how far back the shown line is; 0: the edited one */
	char edited[LINE_MAX_BYTES]; /* what was being typed before Up was pressed */
};

void lineedit_init(struct lineedit *e, const struct out *out, const char *prompt,
		   lineedit_complete *complete, void *ctx);

/* Feeds one byte. True: Enter was pressed, and the line stands in e->line until lineedit_next();
 * the cursor is at the start of the next screen line. */
bool lineedit_feed(struct lineedit *e, uint8_t byte) __must_check;

/* Begins a new, empty line (not shown yet). */
void lineedit_next(struct lineedit *e);

/* Takes prompt and line off the screen, and puts them back: around output that comes in between. */
void lineedit_hide(struct lineedit *e);
void lineedit_show(struct lineedit *e);

/* Nothing came for a while: an ESC that nothing followed is forgotten. */
void lineedit_timeout(struct lineedit *e);

#endif
