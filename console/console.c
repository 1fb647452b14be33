/*
 * The console: who gets the input, whose output is printed, and in which order.
 *
 * Owns the terminal (line editor, what stands on the screen), the attached guest, and how far the
 * log was printed. Locking: none, the boot CPU's main loop is the only user; interrupt handlers
 * (UART, tick) just ask for a round by CORE_CONSOLE.
 *
 * Output goes to the UART's ring. Each source is only asked for more while little waits there, so a
 * guest is slowed down to the speed of the line, log lines stay in the log, and a command's answer
 * always finds room.
 */
#include "console/console.h"

#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "console/command.h"
#include "console/commands.h"
#include "console/guest_lines.h"
#include "console/guests_view.h"
#include "console/lineedit.h"
#include "console/terminal.h"
#include "drivers/uart.h"
#include "drivers/uart_logic.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/string.h"
#include "sched/timer.h"

#define CTRL_LEAVE 0x1d /* Ctrl-] */
#define CTRL_C     0x03

/* A source writes while at most so many bytes wait in the UART's ring: the shell may when the
 * others may not, so that a talkative guest cannot shut the administrator out. */
#define GUEST_BACKLOG 1024
#define LOG_BACKLOG   (4 * KIB)
#define SHELL_BACKLOG (16 * KIB)

#define TASK_STEPS 64 /* of a command's task in one round */

#define TICK        (10 * NS_PER_MS)
#define PATIENCE    (200 * NS_PER_MS) /* for the end of a guest's control sequence */
#define BUSY_LOG    (100 * NS_PER_MS) /* a line that is still being written is passed over */
#define LONE_ESC    (100 * NS_PER_MS)
#define STUCK_INPUT (2 * NS_PER_S) /* a guest that takes no input for so long gets none */
#define FLUSH_TIME  (5 * NS_PER_S)
#define FLUSH_LOOKS 200000 /* rounds without progress until a flush is given up */

struct guest_slot { /* a guest whose output is shown while it is not attached */
	struct vm *vm;
	struct guest_lines lines;
};

struct console_log console_log = {.level = LOG_INFO};

static struct {
	struct out raw;  /* bytes to the UART */
	struct out text; /* with '\n' as line end: commands */
	struct lineedit edit;
	struct terminal term;
	struct timer tick;
	uint64_t now; /* of this round, in ns */

	struct vm *attached;
	struct vm *attach_first; /* the configuration's guest, until it was attached */
	struct vm *turn;         /* whose output is looked for next */
	struct vm *left;         /* left by the byte before: Ctrl-] again sends one */

	const struct console_task *task; /* what a command left to be done, or NULL */
	bool task_first;                 /* it writes before the guests do, in every other round */

	bool held; /* an input byte that was read and not used yet */
	uint8_t held_byte;
	uint64_t input_at; /* when the last byte of input came */
	uint64_t stuck_at; /* since when the attached guest takes none; 0: it does */
	uint64_t quiet_at; /* since when own lines wait for a sequence to end; 0: they do not */
	uint64_t busy_at;  /* since when the next log line is being written; 0: it is not */
	bool lines_lost;
	uint64_t bytes_lost; /* of a command's answer */

	struct guest_slot slots[CONFIG_MAX_GUESTS];
} con;

static void raw_put(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	con.bytes_lost += len - uart_write(text, len);
}

static void text_put(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	terminal_text(&con.term, text, len);
}

static bool room_for(size_t waiting)
{
	return uart_tx_pending() <= waiting;
}

/* ---- the hypervisor's own lines ---- */

/* The hypervisor's lines may be printed: not into the middle of the attached guest's control
 * sequence, unless that does not end. */
static bool may_interrupt(void)
{
	if (!con.attached || terminal_may_interrupt(&con.term)) {
		con.quiet_at = 0;
		return true;
	}
	if (!con.quiet_at)
		con.quiet_at = con.now;
	return con.now - con.quiet_at >= PATIENCE;
}

static void print_log_line(const struct log_line *line)
{
	char text[LOG_LINE_MAX + 32];

	if (con.lines_lost)
		terminal_line(&con.term, "(lines of the log were lost here)");
	con.lines_lost = false;
	log_format(line, text, sizeof(text));
	terminal_line(&con.term, text);
}

static void print_log(void)
{
	static struct log_line line; /* large for a stack */

	while (room_for(LOG_BACKLOG) && may_interrupt()) {
		switch (log_read(&console_log.cursor, &line)) {
		case LOG_READ_LINE:
			if (line.level <= console_log.level)
				print_log_line(&line);
			break;
		case LOG_READ_LOST:
			con.lines_lost = true;
			break;
		case LOG_READ_BUSY:
			if (!con.busy_at)
				con.busy_at = con.now;
			if (con.now - con.busy_at < BUSY_LOG)
				return;
			log_skip(&console_log.cursor);
			con.lines_lost = true;
			break;
		case LOG_READ_END:
			con.busy_at = 0;
			return;
		}
		con.busy_at = 0;
	}
}

/* ---- output of guests that are not attached ---- */

static struct guest_slot *slot_of(struct vm *vm)
{
	struct guest_slot *unused = NULL;

	for (unsigned i = 0; i < ARRAY_SIZE(con.slots); i++) {
		if (con.slots[i].vm == vm)
			return &con.slots[i];
		if (!con.slots[i].vm && !unused)
			unused = &con.slots[i];
	}
	if (unused)
		unused->vm = vm;
	return unused;
}

static void show_guest_line(void *vm, const char *line)
{
	char text[CONFIG_NAME_MAX + GUEST_LINE_MAX + 4];

	snprintf(text, sizeof(text), "%s: %s", guest_name(vm), line);
	terminal_line(&con.term, text);
}

static bool on_console(struct vm *vm)
{
	static struct guest_view v; /* large for a stack */

	guest_look(vm, &v);
	return v.serial == SERIAL_CONSOLE;
}

/* Shows one portion of a guest's output, if it goes to the terminal. False: nothing came. */
static bool drain_one(struct vm *vm)
{
	struct guest_slot *slot;
	uint8_t buf[256];
	size_t n;

	if (vm == con.attached) {
		n = guest_read(vm, buf, sizeof(buf));
		terminal_guest_bytes(&con.term, buf, n);
		return n;
	}
	slot = on_console(vm) && may_interrupt() ? slot_of(vm) : NULL;
	if (!slot)
		return false;
	n = guest_read(vm, buf, sizeof(buf));
	guest_lines_feed(&slot->lines, buf, n, con.now, show_guest_line, vm);
	return n;
}

static struct vm *next_in_turn(struct vm *vm)
{
	struct vm *next = guest_next(vm);

	return next ? next : guest_next(NULL);
}

/* All guests take turns, also from one call to the next: none fills the line for itself. Ends when
 * a whole round brought nothing, or there is no room. */
static void drain_guests(void)
{
	struct vm *vm = con.turn ? con.turn : guest_next(NULL), *silent_since = NULL;

	while (vm && vm != silent_since && room_for(GUEST_BACKLOG)) {
		if (drain_one(vm))
			silent_since = NULL;
		else if (!silent_since)
			silent_since = vm;
		con.turn = vm = next_in_turn(vm);
	}
	for (vm = guest_next(NULL); vm; vm = guest_next(vm)) {
		struct guest_slot *slot = vm != con.attached && on_console(vm) ? slot_of(vm) : NULL;

		if (slot && room_for(GUEST_BACKLOG) && may_interrupt())
			guest_lines_tick(&slot->lines, con.now, show_guest_line, vm);
	}
}

/* ---- the attached guest ---- */

struct tail { /* the last line of a guest's output, as text */
	char line[GUEST_LINE_MAX];
};

static void keep_tail(void *ctx, const char *line)
{
	struct tail *t = ctx;

	snprintf(t->line, sizeof(t->line), "%s", line);
}

/* Shows the line that the guest's cursor stands in (its prompt), which went by before. */
static void show_current_line(struct vm *vm)
{
	static uint8_t kept[GUEST_LINE_MAX];
	static struct guest_lines lines;
	static struct tail tail;
	size_t n = guest_history(vm, kept, sizeof(kept)), start;

	start = n -= MIN(n, guest_unread(vm));
	while (start && kept[start - 1] != '\n')
		start--;
	memset(&lines, 0, sizeof(lines));
	tail.line[0] = '\0';
	guest_lines_feed(&lines, kept + start, n - start, 0, keep_tail, &tail);
	guest_lines_end(&lines, keep_tail, &tail);
	out_text(&con.text, tail.line);
}

static void attach(struct vm *vm, const char *remark)
{
	char text[CONFIG_NAME_MAX + 64];
	struct guest_slot *slot = slot_of(vm);

	if (slot)
		memset(&slot->lines, 0, sizeof(slot->lines));
	snprintf(text, sizeof(text), "attached to %s%s; Ctrl-] leaves", guest_name(vm), remark);
	terminal_line(&con.term, text);
	con.attached = vm;
	con.left = NULL;
	con.stuck_at = 0;
	con.attach_first = NULL;
	guest_listen(vm, true);
	show_current_line(vm);
}

/* It runs, or will go on by itself or by a command. */
static bool is_attachable(const struct guest_view *v)
{
	return v->state == GUEST_RUNNING || v->state == GUEST_PAUSED || v->state == GUEST_WAITING;
}

int console_attach(struct vm *vm, struct reason *why)
{
	struct guest_view v;

	guest_look(vm, &v);
	if (!is_attachable(&v))
		return refuse(why, ERR_STATE, "guest '%s' is %s: start it first", v.name,
			      guest_state_name(v.state));
	attach(vm, v.state == GUEST_PAUSED    ? ", which is paused"
		   : v.state == GUEST_WAITING ? ", which waits to restart"
					      : "");
	return 0;
}

/* The guest is not attached any more: its output is kept only, unless it goes to the console. */
static void detach(void)
{
	struct guest_slot *slot = slot_of(con.attached);

	if (slot)
		slot->lines.continued = con.term.mid_line;
	if (!on_console(con.attached))
		guest_listen(con.attached, false);
	con.attached = NULL;
}

static void leave(void)
{
	char text[2 * CONFIG_NAME_MAX + 64];
	const char *name = guest_name(con.attached);

	con.left = con.attached;
	detach();
	terminal_fresh_line(&con.term);
	snprintf(text, sizeof(text), "left %s, which goes on; attach %s returns", name, name);
	terminal_line(&con.term, text);
}

/* The shell comes back when the attached guest has ended and all that it wrote was printed. */
static void notice_end(void)
{
	char text[CONFIG_NAME_MAX + 300];
	static struct guest_view v; /* large for a stack */
	uint8_t byte;

	guest_look(con.attached, &v);
	if (is_attachable(&v) || !room_for(LOG_BACKLOG))
		return;
	if (guest_read(con.attached, &byte, 1)) {
		terminal_guest_bytes(&con.term, &byte, 1);
		return;
	}
	if (v.has_status)
		snprintf(text, sizeof(text), "guest %s ended with status %u", v.name, v.status);
	else
		snprintf(text, sizeof(text), "guest %s has %s%s%s", v.name,
			 guest_state_name(v.state), v.reason[0] ? ": " : "", v.reason);
	detach();
	terminal_line(&con.term, text);
	con.held = false; /* it was typed for the guest */
}

/* The configuration's guest is attached as soon as it runs, or has run: what it wrote is shown. */
static void attach_first(void)
{
	struct guest_view v;

	if (!con.attach_first || con.attached)
		return;
	guest_look(con.attach_first, &v);
	if (v.state != GUEST_CREATED)
		attach(con.attach_first, "");
}

/* The administrator was faster: a key was pressed before it ran. */
static void forget_first(void)
{
	if (con.attach_first && !on_console(con.attach_first))
		guest_listen(con.attach_first, false);
	con.attach_first = NULL;
}

/* ---- input ---- */

static bool next_byte(uint8_t *c)
{
	if (con.held) {
		con.held = false;
		*c = con.held_byte;
		return true;
	}
	return uart_read(c, 1) == 1;
}

static void hold_byte(uint8_t c)
{
	con.held = true;
	con.held_byte = c;
}

/* One byte for the attached guest; false when it cannot be used now. */
static bool attached_byte(uint8_t c)
{
	uint8_t next;

	if (c == CTRL_LEAVE) {
		if (!next_byte(&next)) {
			leave();
			return true;
		}
		if (next != CTRL_LEAVE) {
			hold_byte(next);
			leave();
			return true;
		}
	}
	if (guest_write(con.attached, &c, 1)) {
		con.stuck_at = 0;
		return true;
	}
	if (!con.stuck_at)
		con.stuck_at = con.now;
	if (con.now - con.stuck_at >= STUCK_INPUT)
		return true; /* dropped: what comes behind it, Ctrl-] above all, must be seen */
	hold_byte(c);
	return false;
}

static void show_prompt(void)
{
	if (con.attached || con.edit.shown || con.task)
		return;
	if (con.bytes_lost) {
		con.bytes_lost = 0;
		terminal_line(&con.term, "error: the answer was too long, its end is missing");
	}
	if (con.term.mid_line)
		terminal_fresh_line(&con.term);
	lineedit_show(&con.edit);
}

static void shell_byte(uint8_t c)
{
	struct vm *left = con.left;

	con.left = NULL;
	forget_first();
	if (c == CTRL_LEAVE) { /* twice: it was meant for the guest */
		if (left && !console_attach(left, NULL))
			guest_write(left, &c, 1);
		return;
	}
	show_prompt();
	if (!lineedit_feed(&con.edit, c))
		return;
	command_run(&commands, con.edit.line, &con.text);
	lineedit_next(&con.edit);
}

/* ---- what a command left to be done ---- */

void console_begin(const struct console_task *task)
{
	con.task = task;
	con.task_first = false;
}

static void end_task(void)
{
	const struct console_task *task = con.task;

	con.task = NULL;
	task->end(&con.text);
}

/* Only so much that guests and log lines find room beside it. */
static void work_on_task(void)
{
	enum console_step did = STEP_MORE;

	if (con.task && con.task->round)
		con.task->round();
	for (unsigned i = 0; con.task && did == STEP_MORE && i < TASK_STEPS; i++) {
		if (!room_for(GUEST_BACKLOG))
			return;
		did = con.task->step(&con.text);
		if (did == STEP_DONE)
			end_task();
	}
}

/* A byte that comes while a task is not done; false when it has to wait. */
static bool task_byte(uint8_t c)
{
	if (c != CTRL_C && !con.task->any_key) {
		hold_byte(c);
		return false;
	}
	end_task();
	return true;
}

/* False when it cannot be used now. */
static bool take_byte(uint8_t c)
{
	if (con.task)
		return task_byte(c);
	if (con.attached)
		return attached_byte(c);
	shell_byte(c);
	return true;
}

static void take_input(void)
{
	uint8_t c;

	while ((con.attached || room_for(SHELL_BACKLOG)) && next_byte(&c)) {
		con.input_at = con.now;
		if (!take_byte(c))
			break;
	}
	if (con.now - con.input_at >= LONE_ESC)
		lineedit_timeout(&con.edit);
}

/* ---- rounds ---- */

void console_poll(void)
{
	con.now = uptime_ns();
	uart_poll();
	attach_first();
	con.task_first = !con.task_first;
	if (con.task_first)
		work_on_task();
	drain_guests();
	print_log(); /* after what led to it */
	work_on_task();
	take_input();
	if (con.attached)
		notice_end();
	if (room_for(SHELL_BACKLOG))
		show_prompt();
	uart_poll();
}

/* What guests wrote and what they were in the middle of. */
static void flush_guests(void)
{
	attach_first();
	drain_guests();
	for (unsigned i = 0; i < ARRAY_SIZE(con.slots); i++)
		if (con.slots[i].vm && room_for(GUEST_BACKLOG))
			guest_lines_end(&con.slots[i].lines, show_guest_line, con.slots[i].vm);
	if (con.attached)
		notice_end();
}

void console_flush(void)
{
	uint64_t begin = uptime_ns();
	size_t before = SIZE_MAX, now;

	for (unsigned looks = 0; looks < FLUSH_LOOKS; looks++) {
		con.now = uptime_ns();
		flush_guests();
		print_log();
		now = uart_tx_pending();
		if (!now || con.now - begin >= FLUSH_TIME)
			break;
		if (now < before)
			looks = 0;
		before = now;
		uart_poll();
		cpu_pause();
	}
}

static void wake(void)
{
	cpu_request(percpus[0], CORE_CONSOLE);
}

static void tick(struct timer *t)
{
	wake();
	timer_arm(t, percpus[0], rdtsc() + ns_to_tsc(TICK));
}

void console_early(const struct boot_options *options)
{
	int number = options->console[0] ? uart_port_number(options->console, NULL) : 1;

	if (number >= 0)
		uart_early((unsigned)number, options->baud ? options->baud : 115200);
}

void console_init(const struct config *config, const struct boot_options *options)
{
	const char *name = options->console[0] ? options->console : config->console_port;
	uint32_t baud = options->baud ? options->baud : config->console_baud;
	struct reason why;
	int number;

	memset(&con, 0, sizeof(con));
	console_log.level = options->loglevel;
	con.raw.put = raw_put;
	con.text.put = text_put;
	lineedit_init(&con.edit, &con.raw, "skerry> ", command_complete, (void *)&commands);
	terminal_init(&con.term, &con.raw, &con.edit);

	number = uart_port_number(name[0] ? name : "com1", &why);
	if (number < 0) {
		log_warn("%s; com1 is used", why.text);
		number = 1;
	}
	if (number == 0)
		uart_disable();
	else if (uart_open((unsigned)number, baud ? baud : 115200, &why))
		log_error("%s", why.text);
	else
		log_info("console: COM%d at %u baud", number, baud ? baud : 115200);
}

void console_start(const struct config *config)
{
	for (struct vm *vm = guest_next(NULL); vm; vm = guest_next(vm))
		guest_listen(vm, on_console(vm));
	con.attach_first = config->attach[0] ? guest_find(config->attach) : NULL;
	if (con.attach_first)
		guest_listen(con.attach_first, true);
	if (uart_enable_irq(wake))
		log_info("console: the UART's interrupt is not routed; it is polled");
	timer_init(&con.tick, tick);
	timer_arm(&con.tick, percpus[0], rdtsc() + ns_to_tsc(TICK));
	wake();
}
