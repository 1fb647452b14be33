/*
 * The command `trace`: a guest's exits, those that are kept or those that come. It writes in small
 * pieces, one in each round of the console, so that neither the guests nor the rest of the console
 * wait for it. One trace at a time; boot CPU only.
 */
#include "console/commands.h"
#include "console/console.h"
#include "console/guests_view.h"
#include "guests/exit_words.h"
#include "lib/format.h"
#include "lib/json_out.h"
#include "lib/string.h"

#define QUEUE EXIT_RING_SIZE

typedef unsigned long long ull;

struct queued {
	struct guest_exit exit;
	uint64_t dropped; /* chosen ones before it, for which there was no room here */
	uint64_t unseen;  /* ones before it that were overwritten, of whatever kind */
};

static struct {
	struct vm *vm;
	unsigned vcpu;
	uint32_t kinds; /* a bit for each that is chosen */
	bool live, json, all_kinds;
	bool alive; /* at the last look of a live trace */
	bool wide;  /* functions were named, and take more room than numbers */
	bool limited;
	uint32_t left;            /* to be shown, if limited */
	uint64_t next;            /* number of the exit that is looked at next */
	uint64_t dropped, unseen; /* since the last one that was queued */
	unsigned first, n;        /* of the queue */
	bool full; /* it was: nothing is queued until half of it is shown, so that what is shown
		      hangs together */
	struct queued queue[QUEUE];
} trace;

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* ---- from the ring to the queue ---- */

static void enqueue(const struct guest_exit *e)
{
	if (!(trace.kinds >> e->record.kind & 1))
		return;
	trace.full = trace.full ? trace.n > QUEUE / 2 : trace.n == QUEUE;
	if (trace.full) {
		trace.dropped++;
		return;
	}
	trace.queue[(trace.first + trace.n++) % QUEUE] =
		(struct queued){.exit = *e, .dropped = trace.dropped, .unseen = trace.unseen};
	trace.dropped = trace.unseen = 0;
}

/* Takes what came since the last look, all at once: the guest goes on to overwrite it. */
static void look(void)
{
	static struct guest_exit fresh[EXIT_RING_SIZE]; /* large for a stack */
	uint64_t lost;
	int n = guest_exits(trace.vm, trace.vcpu, &trace.next, fresh, EXIT_RING_SIZE, &lost);

	if (n < 0)
		return;
	trace.unseen += lost;
	for (int i = 0; i < n; i++)
		enqueue(&fresh[i]);
}

/* ---- from the queue to the terminal ---- */

/* Exits that are missing from what is shown. */
static void show_gap(const struct out *o, uint64_t dropped, uint64_t unseen)
{
	struct json_out j;

	if (trace.all_kinds) {
		dropped += unseen;
		unseen = 0;
	}
	if (!dropped && !unseen)
		return;
	if (trace.json) {
		json_init(&j, o->put, o->ctx);
		json_object(&j, NULL);
		json_uint(&j, "vcpu", trace.vcpu);
		json_uint(&j, "not_shown", dropped);
		json_uint(&j, "not_seen", unseen);
		json_end(&j);
		out_text(o, "\n");
		return;
	}
	if (!trace.live)
		out_printf(o, "(%llu earlier exit%s not kept)\n", (ull)unseen + dropped,
			   unseen + dropped == 1 ? " is" : "s are");
	else if (dropped)
		out_printf(o, "(%llu exit%s not shown)\n", (ull)dropped, plural(dropped));
	if (trace.live && unseen)
		out_printf(o, "(%llu exit%s of any kind not seen)\n", (ull)unseen, plural(unseen));
}

static void show_json(const struct out *o, const struct guest_exit *e)
{
	const struct exit_record *r = &e->record;
	struct json_out j;
	char buf[128];

	json_init(&j, o->put, o->ctx);
	json_object(&j, NULL);
	json_uint(&j, "seq", e->number);
	json_uint(&j, "vcpu", trace.vcpu);
	json_uint(&j, "time_ns", e->time_ns);
	json_string(&j, "kind", exit_kind_name(r->kind));
	snprintf(buf, sizeof(buf), "0x%llx", (ull)r->rip);
	json_string(&j, "rip", buf);
	if (guest_symbol(trace.vm, r->rip, buf, sizeof(buf)))
		json_string(&j, "symbol", buf);
	else
		json_null(&j, "symbol");
	exit_json(r, &j);
	json_end(&j);
	out_text(o, "\n");
}

static void show(const struct out *o, const struct guest_exit *e)
{
	const struct exit_record *r = &e->record;
	char where[64], words[96];

	if (trace.json) {
		show_json(o, e);
		return;
	}
	if (guest_symbol(trace.vm, r->rip, where, sizeof(where)))
		trace.wide = true;
	else
		snprintf(where, sizeof(where), "0x%llx", (ull)r->rip);
	exit_words(r, words, sizeof(words));
	out_printf(o, "[%5llu.%06llu] %-16s %-*s%s%s\n", (ull)(e->time_ns / NS_PER_S),
		   (ull)(e->time_ns % NS_PER_S / NS_PER_US), exit_kind_name(r->kind),
		   !words[0]    ? 0
		   : trace.wide ? 34
				: 18,
		   where, words[0] ? "  " : "", words);
}

/* Exits may come. */
static bool is_alive(void)
{
	static struct guest_view v; /* large for a stack */

	guest_look(trace.vm, &v);
	return v.state == GUEST_RUNNING || v.state == GUEST_PAUSED || v.state == GUEST_WAITING;
}

static bool show_first(const struct out *o)
{
	const struct queued *q = &trace.queue[trace.first];

	show_gap(o, q->dropped, q->unseen);
	show(o, &q->exit);
	trace.first = (trace.first + 1) % QUEUE;
	trace.n--;
	return !trace.limited || --trace.left;
}

/* Once it does not run any more, what it left last is taken. */
static void live_round(void)
{
	trace.alive = is_alive();
	look();
}

static enum console_step next_piece(const struct out *o)
{
	if (trace.n)
		return show_first(o) ? STEP_MORE : STEP_DONE;
	return trace.alive ? STEP_WAIT : STEP_DONE;
}

/* What was left over counts as not shown. */
static void end(const struct out *o)
{
	for (; trace.live && trace.n; trace.n--) {
		const struct queued *q = &trace.queue[trace.first];

		trace.dropped += q->dropped + 1;
		trace.unseen += q->unseen;
		trace.first = (trace.first + 1) % QUEUE;
	}
	if (trace.live && !(trace.limited && !trace.left))
		show_gap(o, trace.dropped, trace.unseen);
	if (trace.live && !trace.json && !trace.alive)
		out_printf(o, "guest %s does not run any more\n", guest_name(trace.vm));
}

static const struct console_task task_kept = {.step = next_piece, .end = end};
static const struct console_task task_live = {
	.round = live_round, .step = next_piece, .end = end, .any_key = true};

/* ---- the command ---- */

static void trace_kept(const struct out *o)
{
	look();
	if (trace.limited && trace.n > trace.left) {
		trace.first = (trace.first + trace.n - trace.left) % QUEUE;
		trace.n = trace.left;
		trace.queue[trace.first].unseen = 0; /* as was wanted */
	}
	if (trace.n || trace.json)
		console_begin(&task_kept);
	else if (trace.next)
		out_printf(o, "none of the exits that are kept of guest %s is of such a kind\n",
			   guest_name(trace.vm));
	else
		out_printf(o, "guest %s made no exit so far\n", guest_name(trace.vm));
}

void cmd_trace(const struct out *o, const struct args *a)
{
	struct vm *vm = named(o, a);
	struct reason why;
	uint64_t next;

	if (!vm)
		return;
	memset(&trace, 0, sizeof(trace));
	trace.vm = vm;
	trace.vcpu = a->vcpu;
	trace.live = a->live;
	trace.json = a->json;
	trace.all_kinds = !a->kinds;
	trace.kinds = UINT32_MAX;
	trace.limited = a->lines;
	trace.left = a->lines;
	if (a->kinds && exit_kinds_parse(a->kinds, &trace.kinds, &why)) {
		out_printf(o, "error: %s\n", why.text);
	} else if (guest_exits_end(vm, a->vcpu, &next)) {
		if (guest_exits_end(vm, 0, &next))
			out_printf(o, "error: guest '%s' has no exits: start it first\n",
				   guest_name(vm));
		else
			out_printf(o, "error: guest '%s' has no vCPU %u\n", guest_name(vm),
				   a->vcpu);
	} else if (!trace.live) {
		trace_kept(o);
	} else if (!is_alive()) {
		out_printf(o,
			   "error: guest '%s' does not run: without --live its last exits are "
			   "shown\n",
			   guest_name(vm));
	} else {
		trace.next = next;
		console_begin(&task_live);
	}
}
