/*
 * The command framework: what a command is, how a line becomes a call, and completion. Pure: the
 * table and the guests' names are given by the caller.
 */
#ifndef CONSOLE_COMMAND_H
#define CONSOLE_COMMAND_H

#include "console/lineedit.h"
#include "console/out.h"
#include "lib/reason.h"
#include "lib/types.h"

#define ARGS_MAX_WORDS 4

enum command_option {
	OPTION_JSON = BIT32(0),     /* --json */
	OPTION_GENTLE = BIT32(1),   /* --gentle */
	OPTION_LEVEL = BIT32(2),    /* --level error|warn|info|debug */
	OPTION_LINES = BIT32(3),    /* -n NUMBER */
	OPTION_LIVE = BIT32(4),     /* --live */
	OPTION_KIND = BIT32(5),     /* --kind KIND,KIND,... */
	OPTION_VCPU = BIT32(6),     /* --vcpu NUMBER */
	OPTION_PREVIOUS = BIT32(7), /* --previous */
	OPTION_GUESTS = BIT32(8),   /* --guests */
};

/* A parsed line. Words point into the line's buffer. */
struct args {
	const char *word[ARGS_MAX_WORDS]; /* without the command and the options */
	unsigned n;
	bool json, gentle, live, previous, guests;
	int level;         /* enum log_level; -1: not said */
	uint32_t lines;    /* 0: not said */
	const char *kinds; /* NULL: not said */
	uint32_t vcpu;
};

enum command_argument {
	ARGUMENT_NONE,
	ARGUMENT_GUEST,
	ARGUMENT_COMMAND,
};

struct command {
	const char *name;
	const char *usage;   /* what follows the name: "GUEST [--json]" */
	const char *summary; /* one line, no full stop */
	const char *example; /* a whole line to type */
	void (*run)(const struct out *o, const struct args *a);
	enum command_argument argument; /* what a word is, for completion */
	uint8_t min_words, max_words;
	uint16_t options; /* enum command_option */
};

struct command_set {
	const struct command *commands;
	unsigned n;
	const char *(*guest_name)(unsigned i); /* of the i-th guest; NULL: there are no more */
	const char *(*kind_name)(unsigned i);  /* of exits, likewise */
};

/* Splits a line into words, in place: blanks separate; '...' and "..." keep blanks, a backslash
 * takes the next character as it is (not inside '...'). Returns the number of words, or ERR_INVALID
 * with a sentence (a quote that does not end, more than `max` words). */
int command_split(char *line, const char *word[], unsigned max, struct reason *why);

/* The command of that name, or NULL. */
const struct command *command_find(const struct command_set *set, const char *name);

/* Reads a line, checks it against the table and runs it. What is wrong with it is said as one
 * sentence that begins with "error: ". Changes the line. An empty one does nothing. */
void command_run(const struct command_set *set, char *line, const struct out *o);

/* A lineedit_complete over a `const struct command_set *`. */
size_t command_complete(void *set, const char *line, lineedit_candidate *take, void *take_ctx);

#endif
