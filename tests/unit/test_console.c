/*
 * The console as a whole: the real shell, terminal and commands over a serial port, guests and a
 * clock that are played here. What is looked at is what the administrator would see.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86/cpu.h"
#include "arch/x86/hv.h"
#include "console/console.h"
#include "console/guests_view.h"
#include "console/build_id.h"
#include "drivers/uart.h"
#include "lib/log.h"
#include "mm/frame.h"
#include "mm/heap.h"
#include "sched/timer.h"

#define PROMPT "skerry> "
#define ERASE  "\r\x1b[K"

/* ---- the serial port ---- */

#define RING 131072

static char screen[1 << 20], waiting[RING], keys[65536];
static size_t screen_len, waiting_len, keys_len, keys_at, line_speed; /* bytes a poll takes */
static bool uart_missing;
static unsigned opened;
static uint32_t opened_baud;

int uart_open(unsigned number, uint32_t baud, struct reason *why)
{
	opened = number;
	opened_baud = baud;
	return uart_missing ? refuse(why, ERR_NOT_FOUND, "no UART answers") : 0;
}

void uart_disable(void)
{
	opened = 0;
}

static unsigned early = 99;
static uint32_t early_baud;

void uart_early(unsigned number, uint32_t baud)
{
	early = number;
	early_baud = baud;
}

int uart_enable_irq(void (*notify)(void))
{
	(void)notify;
	return 0;
}

void uart_poll(void)
{
	size_t n = waiting_len < line_speed ? waiting_len : line_speed;

	assert_true(screen_len + n < sizeof(screen));
	memcpy(screen + screen_len, waiting, n);
	screen_len += n;
	screen[screen_len] = '\0';
	memmove(waiting, waiting + n, waiting_len - n);
	waiting_len -= n;
}

size_t uart_tx_pending(void)
{
	return waiting_len;
}

size_t uart_write(const void *buf, size_t n)
{
	n = n < RING - waiting_len ? n : RING - waiting_len;
	memcpy(waiting + waiting_len, buf, n);
	waiting_len += n;
	return n;
}

size_t uart_read(void *buf, size_t n)
{
	n = n < keys_len - keys_at ? n : keys_len - keys_at;
	memcpy(buf, keys + keys_at, n);
	keys_at += n;
	return n;
}

/* ---- a dump ---- */

static unsigned dump_length = 5, dump_pieces, dumps_cancelled;
static bool dump_guests;

int dump_begin(const struct out *o, bool guests, struct reason *why)
{
	(void)why;
	out_text(o, "begin\n");
	dump_guests = guests;
	dump_pieces = dump_length;
	return 0;
}

bool dump_step(const struct out *o)
{
	out_printf(o, "piece %u\n", dump_pieces);
	return --dump_pieces;
}

void dump_end(const struct out *o)
{
	if (!dump_pieces)
		return;
	out_text(o, "stopped\n");
	dumps_cancelled++;
}

/* ---- clock, cores, memory ---- */

const char image_start[8192], image_end[1]; /* where they lie does not matter */
const char skerry_version[] = "9.8", skerry_build[] = "v9-1-gabc", skerry_compiler[] = "cc 1";

static uint64_t now_ns;
static struct percpu cpus[2];

struct percpu *percpus[MAX_CPUS] = {&cpus[0], &cpus[1]};
uint32_t n_cpus = 2;
uint64_t tsc_hz = 2000000000;
const char *tsc_source = "CPUID";
struct hv_caps hv_caps = {.name = "AMD SVM", .insn_len = true};

uint64_t uptime_ns(void)
{
	return now_ns;
}

uint64_t sched_idle_ticks(const struct percpu *cpu)
{
	return cpu->idle_tsc;
}

uint64_t tsc_to_ns(uint64_t ticks)
{
	return ticks / 2;
}

uint64_t ns_to_tsc(uint64_t ns)
{
	return ns * 2;
}

void cpu_request(struct percpu *cpu, uint32_t bits)
{
	cpu->requests |= bits;
}

void timer_init(struct timer *t, void (*fn)(struct timer *))
{
	t->fn = fn;
}

static struct timer *armed;

void timer_arm(struct timer *t, struct percpu *cpu, uint64_t deadline)
{
	assert_ptr_equal(cpu, &cpus[0]);
	assert_true(deadline > 0);
	armed = t;
}

static int machine_end = -1;
static jmp_buf the_end_of;

void machine_exit(enum machine_status status)
{
	machine_end = (int)status;
	longjmp(the_end_of, 1);
}

void machine_reset(void)
{
	machine_end = 100;
	longjmp(the_end_of, 1);
}

const char *exit_kind_name(enum exit_kind kind)
{
	static char name[EXIT_KIND_COUNT][8];

	snprintf(name[kind], sizeof(name[kind]), "kind%u", (unsigned)kind);
	return name[kind];
}

void frames_stats(struct frame_stats *out)
{
	*out = (struct frame_stats){.total = 1000, .record_bytes = 8000, .largest_order = 3};
	out->by_owner[FRAME_FREE] = 500;
	out->by_owner[FRAME_GUEST_RAM] = 250;
}

void heap_stats(struct heap_stats *out)
{
	*out = (struct heap_stats){.used_bytes = 4096, .objects = 7};
}

/* ---- guests ---- */

struct vm {
	struct guest_view v;
	char out[70000], in[70000];
	size_t out_len, out_at, in_len;
	bool listening, deaf;
	enum guest_action last;
	bool refuses;
};

static struct vm guests[3], *web, *db;
static unsigned n_guests;

struct vm *guest_next(struct vm *prev)
{
	unsigned i = prev ? (unsigned)(prev - guests) + 1 : 0;

	return i < n_guests ? &guests[i] : NULL;
}

struct vm *guest_find(const char *name)
{
	for (unsigned i = 0; i < n_guests; i++)
		if (!strcmp(guests[i].v.name, name))
			return &guests[i];
	return NULL;
}

const char *guest_name(const struct vm *vm)
{
	return vm->v.name;
}

void guest_look(struct vm *vm, struct guest_view *out)
{
	*out = vm->v;
}

const char *guest_state_name(enum guest_state state)
{
	static const char *const names[] = {"created", "running", "paused",
					    "stopped", "crashed", "waiting"};

	return names[state];
}

int guest_act(struct vm *vm, enum guest_action action, struct reason *why)
{
	static const enum guest_state to[] = {GUEST_RUNNING, GUEST_PAUSED,  GUEST_RUNNING,
					      GUEST_STOPPED, GUEST_RUNNING, GUEST_RUNNING,
					      GUEST_CREATED};

	vm->last = action;
	if (vm->refuses)
		return refuse(why, ERR_STATE, "guest '%s' will not", vm->v.name);
	vm->v.state = to[action];
	return 0;
}

int guest_stats(struct vm *vm, unsigned vcpu, struct guest_stats *out)
{
	if (vcpu >= vm->v.vcpus)
		return ERR_NOT_FOUND;
	*out = (struct guest_stats){.run_ns = 1500000000, .injected = 4};
	out->exits[0] = 10;
	out->exits[2] = 32;
	return 0;
}

int guest_crash(struct vm *vm, void (*line)(void *ctx, const char *text), void *ctx)
{
	if (!vm->v.has_crash)
		return ERR_NOT_FOUND;
	line(ctx, "it ran into a triple fault");
	line(ctx, "exit -0: \"shutdown\"");
	return 0;
}

/* A guest's exits, made here: number n happened at n us, by instruction n. */
static struct exit_record exits[4096];
static uint64_t n_exits;
static bool has_vcpu;

int guest_exits_end(struct vm *vm, unsigned vcpu, uint64_t *next)
{
	if (!has_vcpu || vcpu >= vm->v.vcpus)
		return ERR_NOT_FOUND;
	*next = n_exits;
	return 0;
}

int guest_exits(struct vm *vm, unsigned vcpu, uint64_t *from, struct guest_exit *out, unsigned n,
		uint64_t *lost)
{
	uint64_t end, first;
	unsigned got = 0;

	if (guest_exits_end(vm, vcpu, &end))
		return ERR_NOT_FOUND;
	first = end > EXIT_RING_SIZE - 1 ? end - (EXIT_RING_SIZE - 1) : 0;
	first = MAX(first, *from);
	*lost = first - *from;
	for (; got < n && first < end; first++, got++)
		out[got] = (struct guest_exit){
			.number = first, .time_ns = 1000 * first, .record = exits[first]};
	*from = first;
	return (int)got;
}

static void leaves(enum exit_kind kind, uint32_t number)
{
	assert_true(n_exits < ARRAY_SIZE(exits));
	exits[n_exits] =
		(struct exit_record){.kind = (uint8_t)kind, .rip = n_exits, .number = number};
	n_exits++;
}

const char *guest_symbol(struct vm *vm, uint64_t rip, char *buf, size_t size)
{
	if (vm != web || rip < 100)
		return NULL;
	snprintf(buf, size, "work+0x%llx", (unsigned long long)(rip - 100));
	return buf;
}

int guest_screen(struct vm *vm, char out[SCREEN_ROWS * SCREEN_COLUMNS])
{
	if (vm->v.state == GUEST_CREATED)
		return ERR_NOT_FOUND;
	memset(out, ' ', SCREEN_ROWS * SCREEN_COLUMNS);
	memcpy(out, "Booting \x1b\0\xdb", 11);
	return 0;
}

void guest_listen(struct vm *vm, bool on)
{
	if (on && !vm->listening)
		vm->out_at = vm->out_len;
	vm->listening = on;
}

size_t guest_read(struct vm *vm, uint8_t *buf, size_t n)
{
	assert_true(vm->listening);
	n = n < vm->out_len - vm->out_at ? n : vm->out_len - vm->out_at;
	memcpy(buf, vm->out + vm->out_at, n);
	vm->out_at += n;
	return n;
}

size_t guest_unread(struct vm *vm)
{
	return vm->out_len - vm->out_at;
}

size_t guest_write(struct vm *vm, const uint8_t *buf, size_t n)
{
	if (vm->deaf)
		return 0;
	assert_true(vm->in_len + n < sizeof(vm->in));
	memcpy(vm->in + vm->in_len, buf, n);
	vm->in_len += n;
	vm->in[vm->in_len] = '\0';
	return n;
}

size_t guest_history(struct vm *vm, uint8_t *buf, size_t n)
{
	n = n < vm->out_len ? n : vm->out_len;
	memcpy(buf, vm->out + vm->out_len - n, n);
	return n;
}

enum machine_status guests_machine_status(void)
{
	return STATUS_GUEST_FAILED;
}

/* ---- helpers ---- */

static void stamp(struct log_stamp *out)
{
	*out = (struct log_stamp){.time_ns = now_ns};
}

static struct config config;
static struct boot_options options;

static struct vm *add_guest(const char *name, enum config_serial serial)
{
	struct vm *vm = &guests[n_guests++];

	snprintf(vm->v.name, sizeof(vm->v.name), "%s", name);
	vm->v.state = GUEST_RUNNING;
	vm->v.serial = serial;
	vm->v.memory = 512 * MIB;
	vm->v.overhead = 100 * KIB;
	vm->v.held = 512 * MIB + 100 * KIB;
	vm->v.limit = CONFIG_NO_LIMIT;
	vm->v.affinity = cpu_set_all();
	vm->v.on_reset = THEN_RESTART;
	vm->v.vcpus = 1;
	vm->v.uptime_ns = 3723004000000;
	vm->v.cpu[0] = GUEST_NO_CPU;
	return vm;
}

static void poll(void)
{
	console_poll();
	now_ns += NS_PER_MS;
}

static void clear(void)
{
	screen_len = 0;
	screen[0] = '\0';
}

/* What appears on the screen when this is typed. */
static const char *type(const char *text)
{
	size_t n = strlen(text);

	clear();
	assert_true(keys_len + n < sizeof(keys));
	memcpy(keys + keys_len, text, n);
	keys_len += n;
	for (int i = 0; i < 20; i++)
		poll();
	return screen;
}

static void writes(struct vm *vm, const char *text)
{
	size_t n = strlen(text);

	assert_true(vm->out_len + n <= sizeof(vm->out));
	memcpy(vm->out + vm->out_len, text, n);
	vm->out_len += n;
}

static int setup(void **state)
{
	(void)state;
	screen_len = waiting_len = keys_len = keys_at = 0;
	line_speed = SIZE_MAX;
	uart_missing = false;
	memset(guests, 0, sizeof(guests));
	memset(&config, 0, sizeof(config));
	options = (struct boot_options){.loglevel = LOG_INFO};
	n_guests = 0;
	machine_end = -1;
	n_exits = 0;
	has_vcpu = true;
	now_ns += 100 * NS_PER_S;
	cpus[0] = (struct percpu){.index = 0, .apic_id = 0, .hv_on = true};
	cpus[1] = (struct percpu){.index = 1, .apic_id = 4, .tsc_skew = -20, .idle_tsc = 2000000};
	strcpy(cpus[0].features.brand, "Test CPU");
	cpus[0].features.nx = true;
	web = add_guest("web", SERIAL_RING);
	db = add_guest("db", SERIAL_CONSOLE);
	return 0;
}

/* Boots, with the log up to here out of the way. */
static void boot(void)
{
	console_init(&config, &options);
	log_set_stamp(stamp);
	console_start(&config);
	console_flush();
	clear();
}

static void start(void)
{
	boot();
	type("");
	clear();
}

/* ---- tests ---- */

static void begins_with_a_prompt(void **state)
{
	(void)state;
	boot();
	poll();
	assert_string_equal(screen, PROMPT);
	poll();
	assert_string_equal(screen, PROMPT);
	assert_int_equal(opened, 1);
	assert_int_equal(opened_baud, 115200);
}

static void chooses_the_port(void **state)
{
	(void)state;
	strcpy(config.console_port, "com2");
	config.console_baud = 9600;
	boot();
	assert_int_equal(opened, 2);
	assert_int_equal(opened_baud, 9600);
	strcpy(options.console, "com3");
	options.baud = 57600;
	boot();
	assert_int_equal(opened, 3);
	assert_int_equal(opened_baud, 57600);
	strcpy(options.console, "none");
	boot();
	assert_int_equal(opened, 0);
	strcpy(options.console, "tty9");
	console_init(&config, &options);
	assert_int_equal(opened, 1);
	console_flush();
	assert_non_null(strstr(screen, "no console port 'tty9'"));
	uart_missing = true;
	console_init(&config, &options);
	poll();
	assert_non_null(strstr(screen, "error: no UART answers"));
}

static void tick_asks_for_a_round(void **state)
{
	struct timer *t;

	(void)state;
	boot();
	cpus[0].requests = 0;
	t = armed;
	assert_non_null(t);
	armed = NULL;
	t->fn(t);
	assert_int_equal(cpus[0].requests, CORE_CONSOLE);
	assert_ptr_equal(armed, t);
}

static void runs_commands(void **state)
{
	(void)state;
	start();
	assert_string_equal(type("list\r"),
			    "list\r\n"
			    "NAME             STATE        MEMORY VCPUS  SERIAL   REASON\r\n"
			    "web              running     512 MiB     1  ring     \r\n"
			    "db               running     512 MiB     1  console  \r\n" PROMPT);
	assert_string_equal(
		type("lsit\r") + 6,
		"error: no command 'lsit': commands are attach, cpus, crash, destroy, "
		"dump, help, info, list, log, memory, pause, poweroff, reboot, reset, "
		"resume, screen, serial, start, stats, stop, trace, version\r\n" PROMPT);
	assert_string_equal(type("info wbe\r"),
			    "info wbe\r\nerror: no guest 'wbe': guests are web, db\r\n" PROMPT);
	n_guests = 0;
	assert_string_equal(type("info wbe\r"),
			    "info wbe\r\nerror: no guest 'wbe': there are no guests\r\n" PROMPT);
	assert_string_equal(type("list\r"), "list\r\nno guests\r\n" PROMPT);
	assert_string_equal(type("list --json\r"), "list --json\r\n[]\r\n" PROMPT);
}

static void a_script_types_fast(void **state)
{
	(void)state;
	start();
	type("pause web\rresume web\rlist --json\rattach web\rls\rdate\r\x1dversion\r");
	assert_string_equal(web->in, "ls\rdate\r");
	assert_non_null(strstr(screen, "web is paused\r\n"));
	assert_non_null(strstr(screen, "web is running\r\n"));
	assert_non_null(strstr(screen, "\"name\":\"db\""));
	assert_non_null(strstr(screen, "Skerry 9.8 (build v9-1-gabc, cc 1)\r\n"));
}

static void life_cycle_commands(void **state)
{
	static const struct {
		const char *line;
		enum guest_action action;
		const char *answer;
	} cases[] = {
		{"start web\r", ACTION_START, "web is running\r\n"},
		{"pause web\r", ACTION_PAUSE, "web is paused\r\n"},
		{"resume web\r", ACTION_RESUME, "web is running\r\n"},
		{"stop web\r", ACTION_STOP, "web is stopped\r\n"},
		{"stop --gentle web\r", ACTION_POWER_BUTTON,
		 "web was told to switch itself off\r\n"},
		{"reset web\r", ACTION_RESET, "web is running\r\n"},
		{"destroy web\r", ACTION_DESTROY,
		 "web is destroyed: its memory is free, start begins it "
		 "anew\r\n"},
	};

	(void)state;
	start();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		web->refuses = false;
		type(cases[i].line);
		assert_int_equal(web->last, cases[i].action);
		assert_non_null(strstr(screen, cases[i].answer));
		web->refuses = true;
		type(cases[i].line);
		assert_non_null(strstr(screen, "\r\nerror: guest 'web' will not\r\n" PROMPT));
	}
}

static void json_answers_are_one_line(void **state)
{
	static const char *const lines[][2] = {
		{"list --json\r",
		 "[{\"name\":\"web\",\"state\":\"stopped\",\"memory\":536870912,"
		 "\"held\":536973312,\"limit\":null,\"reserve\":0,\"vcpus\":1,"
		 "\"serial\":\"ring\",\"status\":7,\"reason\":\"said \\\"bye\\\"\"},"},
		{"info web --json\r", "{\"name\":\"web\",\"state\":\"stopped\",\"status\":7,"},
		{"info db --json\r", "\"vcpus\":[{\"vcpu\":0,\"cpu\":1,\"last_exit\":null}]}"},
		{"stats web --json\r",
		 "{\"name\":\"web\",\"vcpus\":[{\"vcpu\":0,\"run_ns\":1500000000,"
		 "\"injected\":4,\"exits\":{\"kind0\":10,\"kind2\":32}}]}"},
		{"cpus --json\r",
		 "\"guest\":\"db\",\"vcpu\":0,\"idle_ns\":1000000,\"tsc_skew_ns\":-10,"},
		{"memory --json\r", "{\"total\":4096000,\"free\":2048000,\"guest_ram\":1024000,"},
		{"version --json\r", "{\"name\":\"Skerry\",\"version\":\"9.8\",\"build\":\"v9-1-"
				     "gabc\",\"compiler\":\"cc 1\"}"},
		{"log --json -n 1\r",
		 ",\"cpu\":0,\"level\":\"info\",\"text\":\"tell \\\"me\\\"\"}]"},
		{"screen web --json\r", "{\"name\":\"web\",\"lines\":[\"Booting . .\",\"\","},
		{"serial web --json\r", "{\"name\":\"web\",\"lines\":[\"one\",\"two\"]}"},
	};

	(void)state;
	start();
	web->v.state = GUEST_STOPPED;
	web->v.has_status = true;
	web->v.status = 7;
	strcpy(web->v.reason, "said \"bye\"");
	db->v.cpu[0] = 1;
	writes(web, "one\r\ntwo");
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char *answer, *end;

		log_info("tell \"me\"");
		type("");
		type(lines[i][0]);
		answer = strstr(screen, "\r\n") + 2;
		end = strstr(answer, "\r\n");
		assert_non_null(end);
		assert_string_equal(end + 2, PROMPT);
		*end = '\0';
		assert_non_null(strstr(answer, lines[i][1]));
		assert_true((answer[0] == '[' && end[-1] == ']') ||
			    (answer[0] == '{' && end[-1] == '}'));
	}
}

/* What a guest may take, and when it boots again. */
static void shares_and_restarts(void **state)
{
	(void)state;
	start();
	assert_null(strstr(type("memory\r"), "kept for"));
	assert_null(strstr(type("info web\r"), "limit:"));
	assert_null(strstr(screen, "reserve:"));
	assert_null(strstr(screen, "affinity:"));
	assert_null(strstr(screen, "waits:"));
	assert_non_null(
		strstr(screen, "restarts: 0; after a crash: stop, after a reset: restart\r\n"));

	web->v.limit = 600 * MIB;
	web->v.reserve = 514 * MIB;
	web->v.held = 512 * MIB;
	assert_true(cpu_set_parse("0,2-3", &web->v.affinity));
	web->v.on_crash = THEN_RESTART;
	web->v.restarts = 5;
	web->v.state = GUEST_WAITING;
	web->v.restart_in_ns = 3500000000;
	type("info web\r");
	assert_non_null(strstr(screen, "state:    waiting\r\n"));
	assert_non_null(strstr(screen, "waits:    00:00:03.500 until it boots again\r\n"));
	assert_non_null(strstr(screen, "limit:    600 MiB\r\nreserve:  514 MiB\r\n"
				       "affinity: CPU 0,2-3\r\n"));
	assert_non_null(strstr(screen, "restarts: 5; after a crash: restart, after"));
	assert_non_null(strstr(type("info web --json\r"),
			       "\"limit\":629145600,\"reserve\":538968064,\"affinity\":\"0,2-3\","
			       "\"on_crash\":\"restart\",\"on_reset\":\"restart\",\"restarts\":5,"
			       "\"restart_in_ns\":3500000000,"));
	assert_non_null(strstr(type("info db --json\r"), "\"affinity\":null,"));
	assert_non_null(strstr(screen, "\"restart_in_ns\":null,"));
	/* 2 MiB that it does not hold are kept; more than the reserve of one takes none of others
	 */
	db->v.reserve = 4 * MIB;
	type("memory\r");
	assert_non_null(
		strstr(screen, "\r\nof what is free, kept for guests             2048 KiB"));
	assert_non_null(strstr(screen, "KiB beyond it; at most 614400 KiB; 526336 KiB are kept for "
				       "it\r\n"));
	assert_non_null(strstr(type("memory --json\r"), "\"set_aside\":2097152,"));

	/* the terminal stays with a guest that waits */
	type("attach web\r");
	assert_non_null(strstr(screen, "attached to web, which waits to restart; Ctrl-] leaves"));
	for (unsigned i = 0; i < 100; i++)
		poll();
	assert_null(strstr(screen, PROMPT "\r"));
	type("\x1d");
}

static void text_answers(void **state)
{
	(void)state;
	start();
	web->v.state = GUEST_CRASHED;
	strcpy(web->v.reason, "triple fault");
	db->v.cpu[0] = 1;
	assert_non_null(
		strstr(type("list\r"),
		       "web              crashed     512 MiB     1  ring     triple fault"));
	assert_non_null(strstr(type("info web\r"), "reason:   triple fault\r\n"));
	assert_non_null(strstr(screen, "memory:   512 MiB, and 100 KiB of the hypervisor's\r\n"));
	assert_non_null(strstr(screen, "uptime:   01:02:03.004\r\n"));
	assert_non_null(strstr(screen, "vCPU 0:   not on a core now\r\n"));
	assert_non_null(strstr(type("info db\r"), "vCPU 0:   on CPU 1\r\n"));
	assert_non_null(strstr(type("stats web\r"),
			       "vCPU 0: ran for 00:00:01.500, 42 exits, 4 events delivered\r\n"));
	assert_non_null(strstr(type("cpus\r"),
			       "Test CPU, TSC 2000 MHz by CPUID\r\nCPU 0, APIC ID 0: idle;"));
	assert_non_null(strstr(screen, "AMD SVM, instruction lengths, NX\r\n"));
	assert_non_null(strstr(
		screen, "CPU 1, APIC ID 4: runs db vCPU 0; idle for 00:00:00.001, TSC -10 ns"));
	assert_non_null(strstr(type("memory\r"),
			       "\r\n  free                                       2000 KiB\r\n"));
	assert_non_null(strstr(screen, "guest web: 524288 KiB of RAM, and 100 KiB beyond it\r\n"));
	assert_non_null(strstr(type("screen web\r"), "|Booting . .\r\n|\r\n"));
	assert_non_null(strstr(type("help stop\r"),
			       "usage:   stop GUEST [--gentle]\r\nexample: stop web --gentle\r\n"));
	assert_non_null(strstr(type("help\r"), "\r\npoweroff  end the machine now"));
	assert_non_null(strstr(type("help x\r"), "error: no command 'x'"));
	web->v.state = GUEST_CREATED;
	assert_non_null(
		strstr(type("screen web\r"), "error: guest 'web' has no screen memory now\r\n"));
}

static void every_command_has_help(void **state)
{
	char line[64], *name, *rest;
	static char list[8192];

	(void)state;
	start();
	strcpy(list, type("help\r"));
	rest = strstr(list, "\r\n") + 2;
	while ((name = strtok_r(rest, "\r\n", &rest)) && strncmp(name, PROMPT, strlen(PROMPT))) {
		assert_true(strlen(name) < 80 + 20);
		snprintf(line, sizeof(line), "help %.*s\r", (int)strcspn(name, " "), name);
		assert_null(strstr(type(line), "error: "));
		assert_non_null(strstr(screen, "usage: "));
	}
}

static void log_command(void **state)
{
	(void)state;
	start();
	log_error("bad");
	log_debug("fine");
	log_info("last");
	type("");
	type("log --level error -n 1\r");
	assert_non_null(strstr(screen, "] error: bad\r\n" PROMPT));
	type("log -n 2\r");
	assert_non_null(strstr(screen, "] fine\r\n"));
	assert_non_null(strstr(screen, "] last\r\n" PROMPT));
	assert_null(strstr(screen, "bad"));
}

static void log_lines_redraw_the_prompt(void **state)
{
	(void)state;
	start();
	type("li");
	clear();
	now_ns = 1000 * NS_PER_S;
	log_info("one");
	log_warn("two");
	log_debug("too fine");
	poll();
	assert_string_equal(screen, ERASE "[ 1000.000000] one\r\n[ 1000.000000] warning: two\r\n"
					  "\r" PROMPT "li\x1b[K");
	assert_string_equal(type("st x\r") + 4,
			    "\r\nerror: list does not take 'x': usage: list [--json]\r\n" PROMPT);
}

static void loglevel_is_obeyed(void **state)
{
	(void)state;
	options.loglevel = LOG_ERROR;
	start();
	log_warn("quiet");
	log_error("loud");
	type("");
	assert_null(strstr(screen, "quiet"));
	assert_non_null(strstr(screen, "error: loud\r\n"));
	options.loglevel = LOG_DEBUG;
	start();
	log_debug("all");
	assert_non_null(strstr(type(""), "all\r\n"));
}

static void lost_log_lines_are_said(void **state)
{
	(void)state;
	start();
	for (int i = 0; i < 2000; i++)
		log_info("line %d", i);
	type("");
	assert_non_null(strstr(screen, "(lines of the log were lost here)\r\n"));
	assert_non_null(strstr(screen, "line 1999\r\n"));
	assert_null(strstr(screen, "line 1000\r\n"));
}

static void shows_lines_of_console_guests(void **state)
{
	(void)state;
	start();
	writes(db, "ready\r\nlogin: ");
	writes(web, "secret\r\n");
	poll();
	assert_string_equal(screen, ERASE "db: ready\r\n" PROMPT);
	for (int i = 0; i < 250; i++)
		poll();
	assert_string_equal(screen, ERASE "db: ready\r\n" PROMPT ERASE "db: login: \r\n" PROMPT);
	assert_null(strstr(screen, "secret"));
	assert_false(web->listening);
}

static void attaches_and_leaves(void **state)
{
	(void)state;
	start();
	writes(web, "Welcome\r\n\x1b[6n~ # ");
	assert_string_equal(type("attach web\r"),
			    "attach web\r\nattached to web; Ctrl-] leaves\r\n~ # ");
	assert_string_equal(type("ls\r\x03\x04\x1b[A"), "");
	assert_string_equal(web->in, "ls\r\x03\x04\x1b[A");
	writes(web, "\x1b[1mbin\x1b[0m\r\n~ # ");
	assert_string_equal(type(""), "\x1b[1mbin\x1b[0m\r\n~ # ");
	assert_string_equal(type("\x1d"),
			    "\r\nleft web, which goes on; attach web returns\r\n" PROMPT);
	assert_false(web->listening);
	writes(web, "x\r\n");
	assert_string_equal(type("\r"), "\r\n" PROMPT);
	assert_string_equal(type("attach nobody\r") + 15,
			    "error: no guest 'nobody': guests are web, db\r\n" PROMPT);
	web->v.state = GUEST_STOPPED;
	assert_string_equal(type("attach web\r") + 10,
			    "\r\nerror: guest 'web' is stopped: start it first\r\n" PROMPT);
	web->v.state = GUEST_PAUSED;
	assert_string_equal(type("attach web\r") + 10,
			    "\r\nattached to web, which is paused; Ctrl-] leaves\r\n");
}

static void leave_key_twice_sends_one(void **state)
{
	(void)state;
	start();
	type("attach web\r");
	assert_string_equal(type("\x1d\x1d"), "");
	assert_string_equal(web->in, "\x1d");
	type("\x1d"); /* slowly */
	assert_non_null(strstr(screen, PROMPT));
	type("\x1d");
	assert_string_equal(web->in, "\x1d\x1d");
	type("a");
	assert_string_equal(web->in, "\x1d\x1d"
				     "a");
	type("\x1dlist\r");
	assert_non_null(strstr(screen, "NAME"));
	type("\x1d"); /* not right after leaving: nothing */
	assert_int_equal(web->in_len, 3);
	type("\x1d");
	assert_int_equal(web->in_len, 3);
}

static void own_lines_while_attached(void **state)
{
	(void)state;
	start();
	type("attach web\r");
	clear();
	writes(web, "~ # ");
	poll();
	log_info("note");
	writes(db, "hello\n");
	poll();
	assert_non_null(strstr(screen, "~ # \r\ndb: hello\r\n["));
	assert_non_null(strstr(screen, "] note\r\n"));
	assert_null(strstr(screen, PROMPT));
	writes(web, "\x1b[3");
	poll();
	clear();
	log_info("later");
	poll();
	assert_string_equal(screen, ""); /* not into the middle of a sequence */
	writes(web, "1mred");
	poll();
	poll();
	assert_non_null(strstr(screen, "1mred\r\n["));
	writes(web, "\x1b[3");
	poll();
	clear();
	log_info("at last");
	type("");
	assert_string_equal(screen, "");
	for (int i = 0; i < 200; i++)
		poll();
	assert_non_null(strstr(screen, "at last\r\n"));
}

static void the_shell_returns_when_the_guest_ends(void **state)
{
	(void)state;
	start();
	type("attach web\r");
	writes(web, "bye");
	web->v.state = GUEST_STOPPED;
	strcpy(web->v.reason, "it switched itself off");
	assert_string_equal(type(""),
			    "bye\r\nguest web has stopped: it switched itself off\r\n" PROMPT);
	web->v.state = GUEST_RUNNING;
	type("attach web\r");
	web->v.state = GUEST_STOPPED;
	web->v.has_status = true;
	web->v.status = 3;
	assert_string_equal(type(""), "\r\nguest web ended with status 3\r\n" PROMPT);
	web->v.has_status = false;
	web->v.state = GUEST_RUNNING;
	type("attach db\r");
	db->v.state = GUEST_CRASHED;
	strcpy(db->v.reason, "triple fault");
	assert_string_equal(type(""), "guest db has crashed: triple fault\r\n" PROMPT);
	assert_true(db->listening);
}

static void attaches_the_configured_guest(void **state)
{
	(void)state;
	strcpy(config.attach, "web");
	web->v.state = GUEST_CREATED;
	boot();
	writes(web, "before ");
	assert_string_equal(type(""), PROMPT);
	web->v.state = GUEST_RUNNING;
	writes(web, "after");
	assert_string_equal(type(""), ERASE "attached to web; Ctrl-] leaves\r\nbefore after");
}

static void a_configured_guest_may_be_faster(void **state)
{
	(void)state;
	strcpy(config.attach, "web");
	web->v.state = GUEST_CREATED;
	boot();
	writes(web, "hello\r\n");
	web->v.state = GUEST_STOPPED;
	web->v.has_status = true;
	type("");
	assert_string_equal(screen, "attached to web; Ctrl-] leaves\r\nhello\r\nguest web ended "
				    "with status 0\r\n" PROMPT);
	assert_false(web->listening);
}

static void a_key_cancels_the_configured_guest(void **state)
{
	(void)state;
	strcpy(config.attach, "web");
	web->v.state = GUEST_CREATED;
	boot();
	assert_true(web->listening);
	type("l");
	assert_false(web->listening);
	web->v.state = GUEST_RUNNING;
	assert_string_equal(type(""), "");
	strcpy(config.attach, "gone");
	start(); /* no such guest: the shell */
}

static void input_waits_for_the_guest(void **state)
{
	(void)state;
	start();
	type("attach web\r");
	web->deaf = true;
	type("abc");
	assert_int_equal(web->in_len, 0);
	web->deaf = false;
	type("d");
	assert_string_equal(web->in, "abcd");
	web->deaf = true;
	type("efg\x1d");
	assert_null(strstr(screen, PROMPT)); /* waits a while for it */
	now_ns += 3 * NS_PER_S;
	type("");
	assert_non_null(strstr(screen, PROMPT)); /* but not for ever */
	assert_string_equal(web->in, "abcd");
}

static void a_talkative_guest_does_not_shut_out(void **state)
{
	static char flood[60001];

	(void)state;
	start();
	for (size_t i = 0; i < sizeof(flood) - 1; i++)
		flood[i] = i % 50 == 49 ? '\n' : 'x';
	line_speed = 16;
	writes(db, flood);
	type("");
	type("list\r");
	for (int i = 0; i < 400 && !strstr(screen, "NAME"); i++)
		poll();
	assert_non_null(strstr(screen, "NAME"));
	assert_true(db->out_at < db->out_len);
	type("attach db\r");
	for (int i = 0; i < 20; i++)
		type("");
	clear();
	type("\x1d");
	for (int i = 0; i < 400 && !strstr(screen, PROMPT); i++)
		poll();
	assert_non_null(strstr(screen, PROMPT));
	assert_true(db->out_at < db->out_len); /* it was slowed down, nothing was lost */
	line_speed = SIZE_MAX;
}

/* Of guests that never stop writing, each gets its share of the line, the attached one too. */
static void talkative_guests_share_the_line(void **state)
{
	static char flood[60001];
	size_t before;

	(void)state;
	start();
	for (size_t i = 0; i < sizeof(flood) - 1; i++)
		flood[i] = i % 50 == 49 ? '\n' : 'x';
	web->v.serial = db->v.serial = SERIAL_CONSOLE;
	guest_listen(web, true);
	guest_listen(db, true);
	line_speed = 100;
	writes(web, flood);
	writes(db, flood);
	for (int i = 0; i < 100; i++)
		poll();
	assert_true(web->out_at > 2000 && db->out_at > 2000);
	assert_in_range(web->out_at + 1000 - db->out_at, 0, 2000);
	before = web->out_at;
	type("attach db\r");
	for (int i = 0; i < 100; i++)
		poll();
	assert_in_range(web->out_at, before + 1000, sizeof(flood) - 2);
	assert_in_range(db->out_at, 2000, sizeof(flood) - 2);
	/* and the shell comes back when the attached one ends, whatever the others write */
	db->out_at = db->out_len;
	db->v.state = GUEST_STOPPED;
	clear();
	for (int i = 0; i < 100 && !strstr(screen, "guest db has stopped"); i++)
		poll();
	assert_non_null(strstr(screen, "guest db has stopped"));
	line_speed = SIZE_MAX;
}

static void nothing_is_lost_on_a_slow_line(void **state)
{
	static char text[60001];
	size_t at = 0;

	(void)state;
	start();
	type("attach web\r");
	clear();
	line_speed = 100;
	for (int i = 0; at + 8 < sizeof(text); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%d\r\n", i);
	writes(web, text);
	for (int i = 0; i < 1500; i++)
		poll();
	assert_string_equal(screen, text);
}

static void flush_sends_everything(void **state)
{
	(void)state;
	start();
	clear();
	line_speed = 7;
	log_info("to the end");
	writes(db, "whole\nhalf");
	console_flush();
	assert_non_null(strstr(screen, "to the end\r\n"));
	assert_non_null(strstr(screen, "db: whole\r\ndb: half\r\n"));
	assert_int_equal(waiting_len, 0);
	line_speed = 0; /* a UART that stopped */
	log_info("never");
	console_flush();
	assert_true(waiting_len > 0);
}

static void the_end(void **state)
{
	(void)state;
	start();
	if (!setjmp(the_end_of))
		type("poweroff\r");
	assert_int_equal(machine_end, STATUS_GUEST_FAILED);
	assert_non_null(strstr(screen, "switching the machine off\r\n"));
	start();
	if (!setjmp(the_end_of))
		type("reboot\r");
	assert_int_equal(machine_end, 100);
	assert_non_null(strstr(screen, "resetting the machine\r\n"));
}

static void serial_command(void **state)
{
	(void)state;
	start();
	writes(web, "one\r\n\x1b[2Jtwo\r\nthree");
	assert_string_equal(type("serial web -n 2\r") + 15, "\r\ntwo\r\nthree\r\n" PROMPT);
	assert_string_equal(type("serial web\r") + 10, "\r\none\r\ntwo\r\nthree\r\n" PROMPT);
	assert_string_equal(type("serial db\r") + 9, "\r\n" PROMPT);
}

static void tab_completes_guests(void **state)
{
	(void)state;
	start();
	assert_string_equal(type("pau\td\t\r"), "pause db \r\ndb is paused\r\n" PROMPT);
}

static void an_early_death_goes_where_the_command_line_says(void **state)
{
	struct boot_options o = {0};

	(void)state;
	console_early(&o);
	assert_int_equal(early, 1);
	assert_int_equal(early_baud, 115200);
	strcpy(o.console, "com3");
	o.baud = 9600;
	console_early(&o);
	assert_int_equal(early, 3);
	assert_int_equal(early_baud, 9600);
	strcpy(o.console, "none");
	console_early(&o);
	assert_int_equal(early, 0);
}

static void a_dump_goes_on_over_many_rounds(void **state)
{
	(void)state;
	start();
	type("dump --guests\r");
	assert_true(dump_guests);
	assert_non_null(strstr(screen, "begin\r\npiece 5\r\n"));
	assert_non_null(strstr(screen, "piece 1\r\n" PROMPT));
	type("dump\r");
	assert_false(dump_guests);
}

static void ctrl_c_stops_a_dump(void **state)
{
	unsigned before = dumps_cancelled;

	(void)state;
	start();
	dump_length = 1000000;
	type("dump\r");
	assert_null(strstr(screen, "\n" PROMPT));
	assert_int_equal(dumps_cancelled, before);
	type("\x03");
	assert_int_equal(dumps_cancelled, before + 1);
	assert_non_null(strstr(screen, "stopped\r\n" PROMPT));
	type("list\r");
	assert_non_null(strstr(screen, "NAME"));
	dump_length = 5;
}

static void shows_a_guests_crash(void **state)
{
	(void)state;
	start();
	type("crash web\r");
	assert_non_null(strstr(screen, "guest web has not crashed so far\r\n"));
	type("crash web --json\r");
	assert_non_null(strstr(screen, "{\"name\":\"web\",\"lines\":[]}\r\n"));
	web->v.has_crash = true;
	type("crash web\r");
	assert_non_null(strstr(screen, "it ran into a triple fault\r\nexit -0: \"shutdown\"\r\n"));
	type("crash web --json\r");
	assert_non_null(strstr(screen, "\"lines\":[\"it ran into a triple fault\","
				       "\"exit -0: \\\"shutdown\\\"\"]}\r\n"));
	type("info web\r");
	assert_non_null(strstr(screen, "crash:    recorded; crash web shows it\r\n"));
	type("log --previous\r");
	assert_non_null(strstr(screen, "no log of a run before is in memory"));
}

static void traces_what_is_kept(void **state)
{
	(void)state;
	start();
	assert_string_equal(type("trace web\r") + 11, "guest web made no exit so far\r\n" PROMPT);
	for (unsigned i = 0; i < 99; i++)
		leaves(EXIT_HALT, 0);
	leaves(EXIT_CPUID, 7);
	leaves(EXIT_EXCEPTION, 1);
	leaves(EXIT_HALT, 0);
	assert_string_equal(
		type("trace db -n 3\r") + 15,
		"[    0.000099] kind2            0x63                leaf 0x7, subleaf 0x0\r\n"
		"[    0.000100] kind11           0x64                debug exception\r\n"
		"[    0.000101] kind8            0x65\r\n" PROMPT);
	/* functions take more room */
	assert_string_equal(
		type("trace web -n 2\r") + 16,
		"[    0.000100] kind11           work+0x0                            debug "
		"exception\r\n"
		"[    0.000101] kind8            work+0x1\r\n" PROMPT);
	assert_string_equal(type("trace web --kind kind2,kind11 -n 1\r") + 36,
			    "[    0.000100] kind11           work+0x0                            "
			    "debug exception\r\n" PROMPT);
	assert_string_equal(
		type("trace web --kind kind4\r") + 24,
		"none of the exits that are kept of guest web is of such a kind\r\n" PROMPT);
	assert_string_equal(
		type("trace web --json -n 2\r") + 23,
		"{\"seq\":100,\"vcpu\":0,\"time_ns\":100000,\"kind\":\"kind11\",\"rip\":\"0x64\","
		"\"symbol\":\"work+0x0\",\"vector\":1,\"name\":\"debug exception\"}\r\n"
		"{\"seq\":101,\"vcpu\":0,\"time_ns\":101000,\"kind\":\"kind8\",\"rip\":\"0x65\","
		"\"symbol\":\"work+0x1\"}\r\n" PROMPT);
	for (unsigned i = 0; i < 200; i++)
		leaves(EXIT_HALT, 0);
	assert_string_equal(
		type("trace web --kind kind2\r") + 24,
		"(47 earlier exits are not kept)\r\n"
		"[    0.000099] kind2            0x63                leaf 0x7, subleaf 0x0"
		"\r\n" PROMPT);
}

static void info_has_the_last_exit(void **state)
{
	(void)state;
	start();
	for (unsigned i = 0; i < 101; i++)
		leaves(EXIT_HALT, 0);
	assert_non_null(strstr(type("info web\r"),
			       "vCPU 0:   not on a core now, last exit: kind8 at work+0x0\r\n"));
	assert_non_null(strstr(type("info db\r"), ", last exit: kind8 at 0x64\r\n"));
	assert_non_null(strstr(type("info web --json\r"),
			       "\"cpu\":null,\"last_exit\":{\"kind\":\"kind8\",\"rip\":\"0x64\","
			       "\"symbol\":\"work+0x0\"}}]"));
}

static void trace_refuses(void **state)
{
	(void)state;
	start();
	assert_string_equal(type("trace web --vcpu 1\r") + 20,
			    "error: guest 'web' has no vCPU 1\r\n" PROMPT);
	assert_non_null(
		strstr(type("trace web --kind kind2,x\r"), "error: no kind of exit 'x': say "));
	web->v.state = GUEST_STOPPED;
	assert_string_equal(type("trace web --live\r") + 18,
			    "error: guest 'web' does not run: without --live its last exits are "
			    "shown\r\n" PROMPT);
	has_vcpu = false;
	assert_string_equal(type("trace web\r") + 11,
			    "error: guest 'web' has no exits: start it first\r\n" PROMPT);
}

/* A long answer: what is typed meanwhile waits, and Ctrl-C ends it. */
static void a_long_trace_waits_for_the_line(void **state)
{
	const char *at;

	(void)state;
	start();
	for (unsigned i = 0; i < 300; i++)
		leaves(EXIT_HALT, 0);
	line_speed = 100;
	type("trace web\rlist\r");
	writes(db, "db goes on\n");
	for (int i = 0; i < 1000; i++)
		poll();
	at = strstr(screen, "(45 earlier exits are not kept)");
	for (unsigned i = 45; i < 300; i++) {
		char time[32];

		snprintf(time, sizeof(time), "[    0.%06u] ", i);
		assert_non_null(at);
		at = strstr(at, time);
	}
	assert_non_null(at);
	assert_null(strstr(at, "goes on")); /* that came long before */
	assert_non_null(strstr(screen, "db: db goes on"));
	assert_non_null(strstr(at, PROMPT "list\r\nNAME"));
	type("trace web\r\x03");
	for (int i = 0; i < 100; i++)
		poll();
	assert_null(strstr(screen, "[    0.000299]"));
	assert_string_equal(screen + screen_len - strlen(PROMPT), PROMPT);
	line_speed = SIZE_MAX;
}

static void traces_live(void **state)
{
	(void)state;
	start();
	leaves(EXIT_HALT, 0);
	type("trace web --live\r");
	assert_null(strstr(screen, "kind8")); /* that was before */
	assert_null(strstr(screen, PROMPT));
	clear();
	leaves(EXIT_CPUID, 1);
	log_info("a line of the log");
	poll();
	assert_non_null(strstr(screen,
			       "[    0.000001] kind2            0x1                 leaf 0x1, "
			       "subleaf 0x0\r\n"));
	assert_non_null(strstr(screen, "a line of the log\r\n"));
	clear();
	for (unsigned i = 0; i < 292; i++) /* 37 more than are kept */
		leaves(EXIT_HALT, 0);
	poll();
	assert_non_null(strstr(screen, "(37 exits not shown)\r\n[    0.000039] kind8"));
	assert_string_equal(type("x") + screen_len - strlen(PROMPT), PROMPT);
	assert_non_null(strstr(type("list\r"), "NAME")); /* the x was for the trace */
	/* so many */
	type("trace web --live -n 2 --kind kind2\r");
	leaves(EXIT_HALT, 0);
	leaves(EXIT_CPUID, 2);
	leaves(EXIT_CPUID, 3);
	leaves(EXIT_CPUID, 4);
	clear();
	type("");
	assert_non_null(strstr(screen, "leaf 0x3"));
	assert_null(strstr(screen, "leaf 0x4"));
	assert_string_equal(screen + screen_len - strlen(PROMPT), PROMPT);
	/* over a restart, to its end */
	type("trace web --live\r");
	web->v.state = GUEST_WAITING;
	assert_null(strstr(type(""), PROMPT));
	leaves(EXIT_CPUID, 5);
	web->v.state = GUEST_STOPPED;
	clear();
	type("");
	assert_non_null(strstr(
		screen, "leaf 0x5, subleaf 0x0\r\nguest web does not run any more\r\n" PROMPT));
}

/* On a slow line what is shown hangs together, and no exit is forgotten in the count. */
static void a_live_trace_on_a_slow_line(void **state)
{
	unsigned shown = 0, missing = 0, run = 0, longest = 0;

	(void)state;
	start();
	type("trace web --live\r");
	clear();
	line_speed = 60;
	for (unsigned i = 0; i < 200; i++) {
		for (unsigned k = 0; k < 20; k++)
			leaves(EXIT_HALT, 0);
		poll();
	}
	line_speed = SIZE_MAX;
	keys[keys_len++] = 0x03;
	poll();
	for (const char *at = screen; *at; at += strcspn(at, "\n"), at += *at != '\0') {
		unsigned n;

		if (sscanf(at, "(%u exit", &n) == 1) {
			missing += n;
			run = 0;
		} else if (*at == '[') {
			shown++;
			longest = MAX(longest, ++run);
		}
	}
	assert_true(missing > 0);
	assert_int_equal(shown + missing, 4000);
	assert_true(longest >= 100);
}

static void tab_completes_kinds(void **state)
{
	(void)state;
	start();
	leaves(EXIT_CPUID, 1);
	assert_non_null(strstr(type("trace web --ki\tkind2\r"), "leaf 0x1"));
	assert_non_null(strstr(type("trace web --kind kind8,kind2\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\r"),
			       "leaf 0x1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(begins_with_a_prompt, setup),
		cmocka_unit_test_setup(chooses_the_port, setup),
		cmocka_unit_test_setup(tick_asks_for_a_round, setup),
		cmocka_unit_test_setup(runs_commands, setup),
		cmocka_unit_test_setup(a_script_types_fast, setup),
		cmocka_unit_test_setup(life_cycle_commands, setup),
		cmocka_unit_test_setup(json_answers_are_one_line, setup),
		cmocka_unit_test_setup(text_answers, setup),
		cmocka_unit_test_setup(shares_and_restarts, setup),
		cmocka_unit_test_setup(every_command_has_help, setup),
		cmocka_unit_test_setup(log_command, setup),
		cmocka_unit_test_setup(log_lines_redraw_the_prompt, setup),
		cmocka_unit_test_setup(loglevel_is_obeyed, setup),
		cmocka_unit_test_setup(lost_log_lines_are_said, setup),
		cmocka_unit_test_setup(shows_lines_of_console_guests, setup),
		cmocka_unit_test_setup(attaches_and_leaves, setup),
		cmocka_unit_test_setup(leave_key_twice_sends_one, setup),
		cmocka_unit_test_setup(own_lines_while_attached, setup),
		cmocka_unit_test_setup(the_shell_returns_when_the_guest_ends, setup),
		cmocka_unit_test_setup(attaches_the_configured_guest, setup),
		cmocka_unit_test_setup(a_configured_guest_may_be_faster, setup),
		cmocka_unit_test_setup(a_key_cancels_the_configured_guest, setup),
		cmocka_unit_test_setup(input_waits_for_the_guest, setup),
		cmocka_unit_test_setup(a_talkative_guest_does_not_shut_out, setup),
		cmocka_unit_test_setup(talkative_guests_share_the_line, setup),
		cmocka_unit_test_setup(nothing_is_lost_on_a_slow_line, setup),
		cmocka_unit_test_setup(flush_sends_everything, setup),
		cmocka_unit_test_setup(the_end, setup),
		cmocka_unit_test_setup(serial_command, setup),
		cmocka_unit_test_setup(tab_completes_guests, setup),
		cmocka_unit_test_setup(a_dump_goes_on_over_many_rounds, setup),
		cmocka_unit_test_setup(ctrl_c_stops_a_dump, setup),
		cmocka_unit_test_setup(shows_a_guests_crash, setup),
		cmocka_unit_test_setup(an_early_death_goes_where_the_command_line_says, setup),
		cmocka_unit_test_setup(traces_what_is_kept, setup),
		cmocka_unit_test_setup(info_has_the_last_exit, setup),
		cmocka_unit_test_setup(trace_refuses, setup),
		cmocka_unit_test_setup(a_long_trace_waits_for_the_line, setup),
		cmocka_unit_test_setup(traces_live, setup),
		cmocka_unit_test_setup(a_live_trace_on_a_slow_line, setup),
		cmocka_unit_test_setup(tab_completes_kinds, setup),
	};

	return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
