/*
 * The administrator's console on the host's serial port: the shell, the attached guest, and the
 * hypervisor's own lines. Boot CPU only.
 */
#ifndef CONSOLE_CONSOLE_H
#define CONSOLE_CONSOLE_H

#include "boot/info.h"
#include "console/out.h"
#include "guests/config.h"
#include "lib/reason.h"
#include "lib/types.h"

struct vm;

/* From here on the log's lines carry their time and core: once the clock is calibrated. */
void console_stamp_log(void);

/* As soon as the command line is known: a report of an early death goes to the port that it names,
 * or touches none if it says console=none. Before it, it goes to COM1. */
void console_early(const struct boot_options *options);

/* Finds the UART that the command line or else the configuration names; from here on log lines are
 * printed, by console_flush() until the main loop runs. A missing or wrong UART is logged, and the
 * console works on as if its output were thrown away. */
void console_init(const struct config *config, const struct boot_options *options);

/* The machine is up and the guests are known, but none runs yet: begins to listen to them, takes
 * the UART's interrupt and begins the 10 ms tick. The shell appears in the first console_poll(). */
void console_start(const struct config *config);

/* One round: input, the guests' output, log lines. Called by the boot CPU's main loop when
 * CORE_CONSOLE is set. Never waits. */
void console_poll(void);

/* Prints the log and the guests' output up to now and waits until all of it is sent: at most 5 s,
 * and not on a UART that stops taking it. During boot, and before the machine ends. */
void console_flush(void);

/* Attaches the terminal to a running or paused guest's serial port. ERR_STATE with a sentence. */
int console_attach(struct vm *vm, struct reason *why);

/*
 * A command whose answer is long, or does not end by itself: it is written in pieces between the
 * console's other work, and the prompt comes when it is done. Ctrl-C ends it; what is typed besides
 * waits for the shell, or, with `any_key`, ends it too.
 */
enum console_step {
	STEP_MORE, /* wrote something */
	STEP_WAIT, /* nothing for now */
	STEP_DONE,
};

struct console_task {
	void (*round)(void); /* first in each round, even if there is no room; or NULL */
	enum console_step (*step)(const struct out *o); /* one line or so */
	void (*end)(const struct out *o);               /* once, however it ended */
	bool any_key;
};

/* Called by a command, which then returns. */
void console_begin(const struct console_task *task);

/* How far the log was printed, and up to which level (for console_emergency). */
struct console_log {
	uint64_t cursor;
	uint8_t level; /* enum log_level */
};
extern struct console_log console_log;

#endif
