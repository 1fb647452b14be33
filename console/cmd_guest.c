/*
 * Commands about guests. No state of its own; boot CPU only.
 */
#include "console/commands.h"
#include "console/console.h"
#include "console/guest_lines.h"
#include "console/guests_view.h"
#include "lib/format.h"
#include "lib/json_out.h"
#include "lib/string.h"

static const char *serial_name(enum config_serial s)
{
	return s == SERIAL_CONSOLE ? "console" : "ring";
}

static const char *boot_name(enum config_boot b)
{
	static const char *const names[] = {
		[BOOT_LINUX] = "linux",
		[BOOT_MULTIBOOT] = "multiboot",
		[BOOT_PVH] = "pvh",
		[BOOT_FIRMWARE] = "firmware",
	};

	return names[b];
}

struct vm *named(const struct out *o, const struct args *a)
{
	struct vm *vm = guest_find(a->word[0]);
	bool first = true;

	if (vm)
		return vm;
	out_printf(o, "error: no guest '%.32s': ", a->word[0]);
	for (vm = guest_next(NULL); vm; vm = guest_next(vm)) {
		out_printf(o, "%s%s", first ? "guests are " : ", ", guest_name(vm));
		first = false;
	}
	out_text(o, first ? "there are no guests\n" : "\n");
	return NULL;
}

/* How it ended, in a few words, or the empty string. */
static const char *ending(const struct guest_view *v, char *buf, size_t size)
{
	buf[0] = '\0';
	if (v->has_status)
		snprintf(buf, size, "status %u", v->status);
	else
		snprintf(buf, size, "%s", v->reason);
	return buf;
}

static void json_ending(struct json_out *j, const struct guest_view *v)
{
	if (v->has_status)
		json_uint(j, "status", v->status);
	else
		json_null(j, "status");
	json_string(j, "reason", v->reason);
}

void guest_shares_json(struct json_out *j, const struct guest_view *v)
{
	json_uint(j, "held", v->held);
	if (v->limit == CONFIG_NO_LIMIT)
		json_null(j, "limit");
	else
		json_uint(j, "limit", v->limit);
	json_uint(j, "reserve", v->reserve);
}

static void list_json(const struct out *o)
{
	struct guest_view v;
	struct json_out j;

	json_init(&j, o->put, o->ctx);
	json_array(&j, NULL);
	for (struct vm *vm = guest_next(NULL); vm; vm = guest_next(vm)) {
		guest_look(vm, &v);
		json_object(&j, NULL);
		json_string(&j, "name", v.name);
		json_string(&j, "state", guest_state_name(v.state));
		json_uint(&j, "memory", v.memory);
		guest_shares_json(&j, &v);
		json_uint(&j, "vcpus", v.vcpus);
		json_string(&j, "serial", serial_name(v.serial));
		json_ending(&j, &v);
		json_end(&j);
	}
	json_end(&j);
	out_text(o, "\n");
}

void cmd_list(const struct out *o, const struct args *a)
{
	struct guest_view v;
	char size[24], how[240];

	if (a->json) {
		list_json(o);
		return;
	}
	if (!guest_next(NULL)) {
		out_text(o, "no guests\n");
		return;
	}
	out_printf(o, "%-16s %-8s %10s %5s  %-7s  %s\n", "NAME", "STATE", "MEMORY", "VCPUS",
		   "SERIAL", "REASON");
	for (struct vm *vm = guest_next(NULL); vm; vm = guest_next(vm)) {
		guest_look(vm, &v);
		out_printf(o, "%-16s %-8s %10s %5u  %-7s  %s\n", v.name, guest_state_name(v.state),
			   format_size(v.memory, size), v.vcpus, serial_name(v.serial),
			   ending(&v, how, sizeof(how)));
	}
}

static bool is_all(const struct cpu_set *set)
{
	struct cpu_set all = cpu_set_all();

	return !memcmp(set, &all, sizeof(all));
}

static const char *affinity_text(const struct guest_view *v, char text[CONFIG_STRING_MAX])
{
	cpu_set_format(&v->affinity, text, CONFIG_STRING_MAX);
	return text;
}

static const char *then_name(enum config_then then)
{
	return then == THEN_RESTART ? "restart" : "stop";
}

/* The last time that a vCPU left the guest; false: it did not so far. */
static bool last_exit(struct vm *vm, unsigned vcpu, struct guest_exit *out)
{
	uint64_t from, lost;

	if (guest_exits_end(vm, vcpu, &from) || !from--)
		return false;
	return guest_exits(vm, vcpu, &from, out, 1, &lost) == 1;
}

static void last_exit_json(struct json_out *j, struct vm *vm, unsigned vcpu)
{
	struct guest_exit e;
	char buf[128];

	if (!last_exit(vm, vcpu, &e)) {
		json_null(j, "last_exit");
		return;
	}
	json_object(j, "last_exit");
	json_string(j, "kind", exit_kind_name(e.record.kind));
	snprintf(buf, sizeof(buf), "0x%llx", (unsigned long long)e.record.rip);
	json_string(j, "rip", buf);
	if (guest_symbol(vm, e.record.rip, buf, sizeof(buf)))
		json_string(j, "symbol", buf);
	else
		json_null(j, "symbol");
	json_end(j);
}

static void last_exit_text(const struct out *o, struct vm *vm, unsigned vcpu)
{
	struct guest_exit e;
	char buf[64];

	if (!last_exit(vm, vcpu, &e))
		return;
	if (!guest_symbol(vm, e.record.rip, buf, sizeof(buf)))
		snprintf(buf, sizeof(buf), "0x%llx", (unsigned long long)e.record.rip);
	out_printf(o, ", last exit: %s at %s", exit_kind_name(e.record.kind), buf);
}

static void info_json(const struct out *o, struct vm *vm, const struct guest_view *v)
{
	char cpus[CONFIG_STRING_MAX];
	struct json_out j;

	json_init(&j, o->put, o->ctx);
	json_object(&j, NULL);
	json_string(&j, "name", v->name);
	json_string(&j, "state", guest_state_name(v->state));
	json_ending(&j, v);
	json_bool(&j, "crash", v->has_crash);
	json_string(&j, "boot", boot_name(v->boot));
	json_uint(&j, "memory", v->memory);
	json_uint(&j, "overhead", v->overhead);
	guest_shares_json(&j, v);
	if (is_all(&v->affinity))
		json_null(&j, "affinity");
	else
		json_string(&j, "affinity", affinity_text(v, cpus));
	json_string(&j, "on_crash", then_name(v->on_crash));
	json_string(&j, "on_reset", then_name(v->on_reset));
	json_uint(&j, "restarts", v->restarts);
	if (v->state == GUEST_WAITING)
		json_uint(&j, "restart_in_ns", v->restart_in_ns);
	else
		json_null(&j, "restart_in_ns");
	json_string(&j, "serial", serial_name(v->serial));
	json_uint(&j, "uptime_ns", v->uptime_ns);
	json_array(&j, "vcpus");
	for (uint32_t i = 0; i < MIN(v->vcpus, GUEST_VIEW_VCPUS); i++) {
		json_object(&j, NULL);
		json_uint(&j, "vcpu", i);
		if (v->cpu[i] == GUEST_NO_CPU)
			json_null(&j, "cpu");
		else
			json_uint(&j, "cpu", v->cpu[i]);
		last_exit_json(&j, vm, i);
		json_end(&j);
	}
	json_end(&j);
	json_end(&j);
	out_text(o, "\n");
}

void cmd_info(const struct out *o, const struct args *a)
{
	struct vm *vm = named(o, a);
	struct guest_view v;
	char buf[32], size[24], cpus[CONFIG_STRING_MAX];

	if (!vm)
		return;
	guest_look(vm, &v);
	if (a->json) {
		info_json(o, vm, &v);
		return;
	}
	out_printf(o, "name:     %s\nstate:    %s\n", v.name, guest_state_name(v.state));
	if (v.has_status)
		out_printf(o, "status:   %u\n", v.status);
	if (v.reason[0])
		out_printf(o, "reason:   %s\n", v.reason);
	if (v.has_crash)
		out_printf(o, "crash:    recorded; crash %s shows it\n", v.name);
	if (v.state == GUEST_WAITING)
		out_printf(o, "waits:    %s until it boots again\n",
			   format_duration(v.restart_in_ns, buf));
	out_printf(o, "boot:     %s\n", boot_name(v.boot));
	out_printf(o, "memory:   %s", format_size(v.memory, size));
	out_printf(o, ", and %llu KiB of the hypervisor's\n",
		   (unsigned long long)((v.overhead + KIB - 1) / KIB));
	if (v.limit != CONFIG_NO_LIMIT)
		out_printf(o, "limit:    %s\n", format_size(v.limit, size));
	if (v.reserve)
		out_printf(o, "reserve:  %s\n", format_size(v.reserve, size));
	if (!is_all(&v.affinity))
		out_printf(o, "affinity: CPU %s\n", affinity_text(&v, cpus));
	out_printf(o, "restarts: %llu; after a crash: %s, after a reset: %s\n",
		   (unsigned long long)v.restarts, then_name(v.on_crash), then_name(v.on_reset));
	out_printf(o, "serial:   %s\n", serial_name(v.serial));
	out_printf(o, "uptime:   %s\n", format_duration(v.uptime_ns, buf));
	for (uint32_t i = 0; i < MIN(v.vcpus, GUEST_VIEW_VCPUS); i++) {
		if (v.cpu[i] == GUEST_NO_CPU)
			out_printf(o, "vCPU %u:   not on a core now", i);
		else
			out_printf(o, "vCPU %u:   on CPU %u", i, v.cpu[i]);
		last_exit_text(o, vm, i);
		out_text(o, "\n");
	}
}

/* Does it, and says which state that led to. */
static void act(const struct out *o, const struct args *a, enum guest_action action)
{
	struct vm *vm = named(o, a);
	struct guest_view v;
	struct reason why;

	if (!vm)
		return;
	if (guest_act(vm, action, &why)) {
		out_printf(o, "error: %s\n", why.text);
	} else if (action == ACTION_DESTROY) {
		out_printf(o, "%s is destroyed: its memory is free, start begins it anew\n",
			   a->word[0]);
	} else if (action == ACTION_POWER_BUTTON) {
		out_printf(o, "%s was told to switch itself off\n", a->word[0]);
	} else {
		guest_look(vm, &v);
		out_printf(o, "%s is %s\n", v.name, guest_state_name(v.state));
	}
}

void cmd_start(const struct out *o, const struct args *a)
{
	act(o, a, ACTION_START);
}

void cmd_pause(const struct out *o, const struct args *a)
{
	act(o, a, ACTION_PAUSE);
}

void cmd_resume(const struct out *o, const struct args *a)
{
	act(o, a, ACTION_RESUME);
}

void cmd_stop(const struct out *o, const struct args *a)
{
	act(o, a, a->gentle ? ACTION_POWER_BUTTON : ACTION_STOP);
}

void cmd_reset(const struct out *o, const struct args *a)
{
	act(o, a, ACTION_RESET);
}

void cmd_destroy(const struct out *o, const struct args *a)
{
	act(o, a, ACTION_DESTROY);
}

void cmd_attach(const struct out *o, const struct args *a)
{
	struct vm *vm = named(o, a);
	struct reason why;

	if (vm && console_attach(vm, &why))
		out_printf(o, "error: %s\n", why.text);
}

void cmd_screen(const struct out *o, const struct args *a)
{
	static char cells[SCREEN_ROWS * SCREEN_COLUMNS]; /* too much for a stack */
	struct vm *vm = named(o, a);
	struct json_out j;

	if (!vm)
		return;
	if (guest_screen(vm, cells)) {
		out_printf(o, "error: guest '%s' has no screen memory now\n", guest_name(vm));
		return;
	}
	json_init(&j, o->put, o->ctx);
	if (a->json) {
		json_object(&j, NULL);
		json_string(&j, "name", guest_name(vm));
		json_array(&j, "lines");
	}
	for (unsigned y = 0; y < SCREEN_ROWS; y++) {
		char *row = cells + y * SCREEN_COLUMNS;
		size_t len = SCREEN_COLUMNS;

		for (size_t x = 0; x < len; x++)
			if (row[x] < 0x20 || row[x] > 0x7e)
				row[x] = row[x] ? '.' : ' ';
		while (len && row[len - 1] == ' ')
			len--;
		if (a->json)
			json_bytes(&j, NULL, row, len);
		else
			out_printf(o, "|%.*s\n", (int)len, row);
	}
	if (a->json) {
		json_end(&j);
		json_end(&j);
		out_text(o, "\n");
	}
}

/* ---- crash ---- */

static void crash_text_line(void *ctx, const char *text)
{
	out_printf(ctx, "%s\n", text);
}

static void crash_json_line(void *ctx, const char *text)
{
	json_string(ctx, NULL, text);
}

void cmd_crash(const struct out *o, const struct args *a)
{
	struct vm *vm = named(o, a);
	struct out to = *o;
	struct json_out j;

	if (!vm)
		return;
	if (!a->json) {
		if (guest_crash(vm, crash_text_line, &to))
			out_printf(o, "guest %s has not crashed so far\n", guest_name(vm));
		return;
	}
	json_init(&j, o->put, o->ctx);
	json_object(&j, NULL);
	json_string(&j, "name", guest_name(vm));
	json_array(&j, "lines");
	(void)guest_crash(vm, crash_json_line, &j);
	json_end(&j);
	json_end(&j);
	out_text(o, "\n");
}

/* ---- serial ---- */

struct serial_listing {
	const struct out *o;
	struct json_out json;
	bool as_json;
	uint32_t skip; /* lines that come before the wanted ones */
	uint32_t count;
};

static void count_line(void *ctx, const char *line)
{
	struct serial_listing *l = ctx;

	(void)line;
	l->count++;
}

static void show_line(void *ctx, const char *line)
{
	struct serial_listing *l = ctx;

	if (l->skip) {
		l->skip--;
	} else if (l->as_json) {
		json_string(&l->json, NULL, line);
	} else {
		out_text(l->o, line);
		out_text(l->o, "\n");
	}
}

static void each_line(const uint8_t *bytes, size_t n, guest_line *fn, struct serial_listing *l)
{
	static struct guest_lines lines;

	memset(&lines, 0, sizeof(lines));
	guest_lines_feed(&lines, bytes, n, 0, fn, l);
	guest_lines_end(&lines, fn, l);
}

void cmd_serial(const struct out *o, const struct args *a)
{
	static uint8_t kept[16 * KIB];
	struct serial_listing l = {.o = o, .as_json = a->json};
	struct vm *vm = named(o, a);
	size_t n;

	if (!vm)
		return;
	n = guest_history(vm, kept, sizeof(kept));
	each_line(kept, n, count_line, &l);
	if (a->lines && a->lines < l.count)
		l.skip = l.count - a->lines;
	json_init(&l.json, o->put, o->ctx);
	if (a->json) {
		json_object(&l.json, NULL);
		json_string(&l.json, "name", guest_name(vm));
		json_array(&l.json, "lines");
	}
	each_line(kept, n, show_line, &l);
	if (a->json) {
		json_end(&l.json);
		json_end(&l.json);
		out_text(o, "\n");
	}
}

/* ---- stats ---- */

static void stats_json(struct json_out *j, unsigned i, const struct guest_stats *s)
{
	json_object(j, NULL);
	json_uint(j, "vcpu", i);
	json_uint(j, "run_ns", s->run_ns);
	json_uint(j, "injected", s->injected);
	json_object(j, "exits");
	for (unsigned k = 0; k < EXIT_KIND_COUNT; k++)
		if (s->exits[k])
			json_uint(j, exit_kind_name(k), s->exits[k]);
	json_end(j);
	json_end(j);
}

static void stats_text(const struct out *o, unsigned i, const struct guest_stats *s)
{
	uint64_t all = 0;
	char buf[32];

	for (unsigned k = 0; k < EXIT_KIND_COUNT; k++)
		all += s->exits[k];
	out_printf(o, "vCPU %u: ran for %s, %llu exits, %llu events delivered\n", i,
		   format_duration(s->run_ns, buf), (unsigned long long)all,
		   (unsigned long long)s->injected);
	for (unsigned k = 0; k < EXIT_KIND_COUNT; k++)
		if (s->exits[k])
			out_printf(o, "  %-20s %14llu\n", exit_kind_name(k),
				   (unsigned long long)s->exits[k]);
}

void cmd_stats(const struct out *o, const struct args *a)
{
	struct vm *vm = named(o, a);
	struct guest_stats s;
	struct json_out j;

	if (!vm)
		return;
	json_init(&j, o->put, o->ctx);
	if (a->json) {
		json_object(&j, NULL);
		json_string(&j, "name", guest_name(vm));
		json_array(&j, "vcpus");
	}
	for (unsigned i = 0; guest_stats(vm, i, &s) == 0; i++) {
		if (a->json)
			stats_json(&j, i, &s);
		else
			stats_text(o, i, &s);
	}
	if (a->json) {
		json_end(&j);
		json_end(&j);
		out_text(o, "\n");
	}
}
