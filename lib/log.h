/*
 * The hypervisor's log: whole lines with a level, kept in a ring, safe in every context (NMI
 * included). lib/log.c owns the ring; the console prints from it.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include "lib/types.h"

enum log_level {
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
};

#define LOG_LINE_MAX 256 /* bytes of a line, with the ending zero */

/* One line without a line end; cut at LOG_LINE_MAX - 1 bytes. Control characters become '?', so
 * that nothing that came from outside can steer the administrator's terminal. */
void log_write(enum log_level level, const char *fmt, ...) __printf(2, 3);

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

/* In words: "error", "warning", "info", "debug". */
const char *log_level_name(enum log_level level);

/* The level of that name ("warn" too), or -1. */
int log_level_parse(const char *name);

/* Who writes and when: set once at boot, when the clock runs. Called by log_write() in any context.
 * Until then lines carry time 0 and CPU 0. */
struct log_stamp {
	uint64_t time_ns; /* since the machine was started */
	uint32_t cpu;
};
void log_set_stamp(void (*stamp)(struct log_stamp *out));

/* ---- reading ---- */

struct log_line {
	uint64_t time_ns;
	uint16_t cpu;
	uint8_t level; /* enum log_level */
	char text[LOG_LINE_MAX];
};

enum log_read_result {
	LOG_READ_LINE, /* `out` is filled, the cursor stands behind the line */
	LOG_READ_END,  /* nothing newer */
	LOG_READ_BUSY, /* the line at the cursor is being written: look again later, or log_skip()
			*/
	LOG_READ_LOST, /* lines at the cursor were overwritten; it stands at the oldest kept one now
			*/
};

/* Cursor at the oldest line of this boot that is still kept. */
uint64_t log_oldest(void);

/* Reads the line at the cursor. Any core; readers and writers do not wait for each other. */
enum log_read_result log_read(uint64_t *cursor, struct log_line *out);

/* Steps over a line that stays busy (its writer was stopped). */
void log_skip(uint64_t *cursor);

/* ---- the run before ---- */

#define LOG_BYTES (64 * KIB)

struct log_previous {
	bool there;       /* a run before left something */
	uint32_t lines;   /* that can be read */
	uint32_t damaged; /* pieces that cannot */
};

/* Moves the log to these LOG_BYTES of memory, which a warm reset leaves alone, and looks at what an
 * earlier run left there, whatever it is. Once, while one core runs. */
const struct log_previous *log_keep(void *memory);
const struct log_previous *log_previous(void);

/* Where this run's log lies: LOG_BYTES. */
const void *log_memory(void);

/* Reads the previous run's log as far as it is good; false: there is no more. */
uint64_t log_previous_oldest(void);
bool log_previous_read(uint64_t *cursor, struct log_line *out);

/* "[    0.012345] text", errors and warnings marked by a word. Returns the length, at most size
 * - 1. */
size_t log_format(const struct log_line *line, char *buf, size_t size);

/* ---- when all is lost ---- */

/* Writes the text to the console's port by polling, with a time-out, from any core and any context,
 * and takes the console over: from the first call on nothing else is printed. '\n' ends a line.
 * Before the console is set up it goes to the port of the command line, or COM1, if a UART is
 * there. (console/emergency.c) */
void console_emergency(const char *text) __cold;

/* A broken invariant of the hypervisor: full report, then the panic policy. Never returns. Nothing
 * that comes from a guest, an image, a configuration or a console line may get here. */
void panic(const char *fmt, ...) __printf(1, 2) __noreturn __cold;

#define invariant(cond)                                                                  \
	do {                                                                             \
		if (unlikely(!(cond)))                                                   \
			panic("%s:%d: broken invariant: %s", __FILE__, __LINE__, #cond); \
	} while (0)

#endif
