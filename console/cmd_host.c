/*
 * Commands about the machine and the hypervisor. No state of its own; boot CPU only.
 */
#include "arch/x86/cpu.h"
#include "arch/x86/hv.h"
#include "console/commands.h"
#include "console/console.h"
#include "console/dump.h"
#include "console/guests_view.h"
#include "console/build_id.h"
#include "lib/format.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "mm/heap.h"
#include "sched/sched.h"

/* ---- cpus ---- */

static const struct {
	const char *word;
	uint16_t offset; /* of a bool in struct cpu_features */
} feature_words[] = {
	{"x2APIC", offsetof(struct cpu_features, x2apic)},
	{"TSC deadline", offsetof(struct cpu_features, tsc_deadline)},
	{"invariant TSC", offsetof(struct cpu_features, invariant_tsc)},
	{"1 GiB pages", offsetof(struct cpu_features, page_1g)},
	{"NX", offsetof(struct cpu_features, nx)},
	{"SMEP", offsetof(struct cpu_features, smep)},
	{"SMAP", offsetof(struct cpu_features, smap)},
	{"UMIP", offsetof(struct cpu_features, umip)},
	{"XSAVE", offsetof(struct cpu_features, xsave)},
	{"RDTSCP", offsetof(struct cpu_features, rdtscp)},
	{"IBPB", offsetof(struct cpu_features, ibpb)},
	{"automatic IBRS", offsetof(struct cpu_features, auto_ibrs)},
	{"MD_CLEAR", offsetof(struct cpu_features, md_clear)},
	{"L1D flush", offsetof(struct cpu_features, l1d_flush)},
};

/* What virtualization offers: the cores agree, or are not used. */
static const struct {
	const char *word;
	uint16_t offset; /* of a bool in struct hv_caps */
} hv_words[] = {
	{"instruction lengths", offsetof(struct hv_caps, insn_len)},
	{"decode assists", offsetof(struct hv_caps, decode_assist)},
	{"flush by ASID", offsetof(struct hv_caps, flush_by_asid)},
	{"TSC scaling", offsetof(struct hv_caps, tsc_scale)},
	{"1 GiB guest pages", offsetof(struct hv_caps, huge_pages)},
};

static bool flag_at(const void *record, uint16_t offset)
{
	bool flag;

	memcpy(&flag, (const char *)record + offset, sizeof(flag));
	return flag;
}

static void each_feature(const struct percpu *p, void (*fn)(void *ctx, const char *word), void *ctx)
{
	if (p->hv_on && hv_caps.name) {
		fn(ctx, hv_caps.name);
		for (unsigned i = 0; i < ARRAY_SIZE(hv_words); i++)
			if (flag_at(&hv_caps, hv_words[i].offset))
				fn(ctx, hv_words[i].word);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(feature_words); i++)
		if (flag_at(&p->features, feature_words[i].offset))
			fn(ctx, feature_words[i].word);
}

/* The guest whose vCPU is loaded on core `cpu`, into `name`; answers whether there is one. */
static bool who_runs(uint32_t cpu, char name[CONFIG_NAME_MAX], uint32_t *vcpu)
{
	struct guest_view v;

	for (struct vm *vm = guest_next(NULL); vm; vm = guest_next(vm)) {
		guest_look(vm, &v);
		for (uint32_t i = 0; i < MIN(v.vcpus, GUEST_VIEW_VCPUS); i++) {
			if (v.cpu[i] != cpu)
				continue;
			memcpy(name, v.name, CONFIG_NAME_MAX);
			*vcpu = i;
			return true;
		}
	}
	return false;
}

static int64_t skew_ns(const struct percpu *p)
{
	uint64_t ticks = (uint64_t)(p->tsc_skew < 0 ? -p->tsc_skew : p->tsc_skew);
	int64_t ns = (int64_t)tsc_to_ns(ticks);

	return p->tsc_skew < 0 ? -ns : ns;
}

static void json_word(void *ctx, const char *word)
{
	json_string(ctx, NULL, word);
}

static void cpu_json(struct json_out *j, const struct percpu *p)
{
	char name[CONFIG_NAME_MAX];
	uint32_t vcpu;

	json_object(j, NULL);
	json_uint(j, "cpu", p->index);
	json_uint(j, "apic_id", p->apic_id);
	json_string(j, "model", p->features.brand);
	json_bool(j, "virtualization", p->hv_on);
	if (who_runs(p->index, name, &vcpu)) {
		json_string(j, "guest", name);
		json_uint(j, "vcpu", vcpu);
	} else {
		json_null(j, "guest");
		json_null(j, "vcpu");
	}
	json_uint(j, "idle_ns", tsc_to_ns(sched_idle_ticks(p)));
	json_int(j, "tsc_skew_ns", skew_ns(p));
	json_array(j, "features");
	each_feature(p, json_word, j);
	json_end(j);
	json_end(j);
}

struct word_list {
	const struct out *o;
	unsigned n;
};

static void text_word(void *ctx, const char *word)
{
	struct word_list *l = ctx;

	out_printf(l->o, "%s%s", l->n++ ? ", " : "", word);
}

static void cpu_text(const struct out *o, const struct percpu *p)
{
	char name[CONFIG_NAME_MAX], state[CONFIG_NAME_MAX + 24], idle[32];
	struct word_list l = {.o = o};
	uint32_t vcpu;

	if (who_runs(p->index, name, &vcpu))
		snprintf(state, sizeof(state), "runs %s vCPU %u", name, vcpu);
	else
		snprintf(state, sizeof(state), p->hv_on ? "idle" : "no virtualization");
	out_printf(o, "CPU %u, APIC ID %u: %s; idle for %s, TSC %+lld ns; ", p->index, p->apic_id,
		   state, format_duration(tsc_to_ns(sched_idle_ticks(p)), idle),
		   (long long)skew_ns(p));
	each_feature(p, text_word, &l);
	out_text(o, "\n");
}

void cmd_cpus(const struct out *o, const struct args *a)
{
	struct json_out j;

	json_init(&j, o->put, o->ctx);
	if (a->json)
		json_array(&j, NULL);
	else
		out_printf(o, "%s, TSC %llu MHz by %s\n", percpus[0]->features.brand,
			   (unsigned long long)(tsc_hz / 1000000), tsc_source);
	for (uint32_t i = 0; i < n_cpus; i++) {
		if (a->json)
			cpu_json(&j, percpus[i]);
		else
			cpu_text(o, percpus[i]);
	}
	if (a->json) {
		json_end(&j);
		out_text(o, "\n");
	}
}

/* ---- memory ---- */

static const struct {
	const char *key, *words;
	enum frame_owner owner;
} owners[] = {
	{"free", "  free", FRAME_FREE},
	{"guest_ram", "  RAM of guests", FRAME_GUEST_RAM},
	{"guest_tables", "  tables of guests", FRAME_GUEST_TABLE},
	{"page_tables", "  page tables", FRAME_PAGE_TABLE},
	{"heap", "  heap", FRAME_HEAP},
	{"hypervisor", "  hypervisor", FRAME_HYPERVISOR},
};

extern const char image_start[], image_end[]; /* linker.ld */

static uint64_t image_bytes(void)
{
	return (uint64_t)(uintptr_t)image_end - (uint64_t)(uintptr_t)image_start;
}

/* What the hypervisor takes for itself, without the frame records, in bytes. */
static uint64_t own_bytes(const struct frame_stats *f)
{
	uint64_t frames = f->by_owner[FRAME_HYPERVISOR] + f->by_owner[FRAME_HEAP] +
			  f->by_owner[FRAME_PAGE_TABLE];

	return image_bytes() + frames * PAGE_SIZE;
}

/* Bytes that are kept for guests and that they do not hold now. */
static uint64_t set_aside(void)
{
	struct guest_view v;
	uint64_t sum = 0;

	for (struct vm *vm = guest_next(NULL); vm; vm = guest_next(vm)) {
		guest_look(vm, &v);
		sum += v.reserve - MIN(v.reserve, v.held);
	}
	return sum;
}

/* Bytes of RAM that the guest holds now. */
static uint64_t held(const struct guest_view *v)
{
	return v->state == GUEST_CREATED ? 0 : v->memory;
}

static void memory_json(const struct out *o, const struct frame_stats *f,
			const struct heap_stats *h)
{
	struct guest_view v;
	struct json_out j;

	json_init(&j, o->put, o->ctx);
	json_object(&j, NULL);
	json_uint(&j, "total", f->total * PAGE_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(owners); i++)
		json_uint(&j, owners[i].key, f->by_owner[owners[i].owner] * PAGE_SIZE);
	json_uint(&j, "set_aside", set_aside());
	json_uint(&j, "image", image_bytes());
	json_uint(&j, "frame_records", f->record_bytes);
	json_uint(&j, "own", own_bytes(f));
	json_uint(&j, "largest_block", PAGE_SIZE << f->largest_order);
	json_uint(&j, "heap_used", h->used_bytes);
	json_uint(&j, "heap_objects", h->objects);
	json_array(&j, "guests");
	for (struct vm *vm = guest_next(NULL); vm; vm = guest_next(vm)) {
		guest_look(vm, &v);
		json_object(&j, NULL);
		json_string(&j, "name", v.name);
		json_uint(&j, "memory", held(&v));
		json_uint(&j, "overhead", v.overhead);
		guest_shares_json(&j, &v);
		json_end(&j);
	}
	json_end(&j);
	json_end(&j);
	out_text(o, "\n");
}

static uint64_t kib(uint64_t bytes)
{
	return (bytes + KIB - 1) / KIB;
}

static void memory_line(const struct out *o, const char *what, uint64_t bytes)
{
	out_printf(o, "%-36s %12llu KiB\n", what, (unsigned long long)kib(bytes));
}

void cmd_memory(const struct out *o, const struct args *a)
{
	struct frame_stats f;
	struct heap_stats h;
	struct guest_view v;

	frames_stats(&f);
	heap_stats(&h);
	if (a->json) {
		memory_json(o, &f, &h);
		return;
	}
	memory_line(o, "to be given out", f.total * PAGE_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(owners); i++)
		memory_line(o, owners[i].words, f.by_owner[owners[i].owner] * PAGE_SIZE);
	if (set_aside())
		memory_line(o, "of what is free, kept for guests", set_aside());
	memory_line(o, "besides: hypervisor's image", image_bytes());
	memory_line(o, "besides: frame records", f.record_bytes);
	memory_line(o, "hypervisor in all, without records", own_bytes(&f));
	for (struct vm *vm = guest_next(NULL); vm; vm = guest_next(vm)) {
		guest_look(vm, &v);
		out_printf(o, "guest %s: %llu KiB of RAM, and %llu KiB beyond it", v.name,
			   (unsigned long long)kib(held(&v)), (unsigned long long)kib(v.overhead));
		if (v.limit != CONFIG_NO_LIMIT)
			out_printf(o, "; at most %llu KiB", (unsigned long long)kib(v.limit));
		if (v.reserve)
			out_printf(o, "; %llu KiB are kept for it",
				   (unsigned long long)kib(v.reserve));
		out_text(o, "\n");
	}
}

/* ---- log ---- */

/* The next line of the log that was asked for, as far as it is kept; false: there is no more. */
static bool next_log_line(bool previous, uint64_t *cursor, struct log_line *line)
{
	enum log_read_result got;

	if (previous)
		return log_previous_read(cursor, line);
	while ((got = log_read(cursor, line)) != LOG_READ_END) {
		if (got == LOG_READ_LINE)
			return true;
		if (got == LOG_READ_BUSY)
			log_skip(cursor);
	}
	return false;
}

/* Calls fn, if there is one, for each kept line of at most that level after the first `skip`;
 * returns how many lines there are. */
static uint32_t each_log_line(bool previous, int level, uint32_t skip,
			      void (*fn)(void *ctx, const struct log_line *l), void *ctx)
{
	uint64_t cursor = previous ? log_previous_oldest() : log_oldest();
	struct log_line line;
	uint32_t n = 0;

	while (next_log_line(previous, &cursor, &line)) {
		if (line.level > level)
			continue;
		if (n++ >= skip && fn)
			fn(ctx, &line);
	}
	return n;
}

static void log_text(void *ctx, const struct log_line *l)
{
	char text[LOG_LINE_MAX + 32];

	log_format(l, text, sizeof(text));
	out_text(ctx, text);
	out_text(ctx, "\n");
}

static void log_json(void *ctx, const struct log_line *l)
{
	struct json_out *j = ctx;

	json_object(j, NULL);
	json_uint(j, "time_ns", l->time_ns);
	json_uint(j, "cpu", l->cpu);
	json_string(j, "level", log_level_name(l->level));
	json_string(j, "text", l->text);
	json_end(j);
}

static void say_previous(const struct out *o)
{
	const struct log_previous *p = log_previous();

	if (!p->there)
		out_text(o, "no log of a run before is in memory: the machine was switched off, or "
			    "its firmware or boot loader cleared the memory\n");
	else if (p->damaged)
		out_printf(o, "(%u pieces of this log were damaged and are left out)\n",
			   p->damaged);
}

void cmd_log(const struct out *o, const struct args *a)
{
	int level = a->level < 0 ? LOG_DEBUG : a->level;
	struct out to = *o;
	uint32_t skip = 0;
	struct json_out j;

	if (a->lines) {
		uint32_t n = each_log_line(a->previous, level, 0, NULL, NULL);

		skip = n - MIN(n, a->lines);
	}
	if (!a->json) {
		each_log_line(a->previous, level, skip, log_text, &to);
		if (a->previous)
			say_previous(o);
		return;
	}
	json_init(&j, o->put, o->ctx);
	json_array(&j, NULL);
	each_log_line(a->previous, level, skip, log_json, &j);
	json_end(&j);
	out_text(o, "\n");
}

/* ---- dump ---- */

static enum console_step dump_more(const struct out *o)
{
	return dump_step(o) ? STEP_MORE : STEP_DONE;
}

void cmd_dump(const struct out *o, const struct args *a)
{
	static const struct console_task task = {.step = dump_more, .end = dump_end};
	struct reason why;

	if (dump_begin(o, a->guests, &why))
		out_printf(o, "error: %s\n", why.text);
	else
		console_begin(&task);
}

/* ---- version and the end ---- */

void cmd_version(const struct out *o, const struct args *a)
{
	struct json_out j;

	if (!a->json) {
		out_printf(o, "Skerry %s (build %s, %s)\n", skerry_version, skerry_build,
			   skerry_compiler);
		return;
	}
	json_init(&j, o->put, o->ctx);
	json_object(&j, NULL);
	json_string(&j, "name", "Skerry");
	json_string(&j, "version", skerry_version);
	json_string(&j, "build", skerry_build);
	json_string(&j, "compiler", skerry_compiler);
	json_end(&j);
	out_text(o, "\n");
}

void cmd_reboot(const struct out *o, const struct args *a)
{
	(void)a;
	out_text(o, "resetting the machine\n");
	console_flush();
	machine_reset();
}

void cmd_poweroff(const struct out *o, const struct args *a)
{
	(void)a;
	out_text(o, "switching the machine off\n");
	console_flush();
	machine_exit(guests_machine_status());
}
