/*
 * The crash record of a guest's vCPU: why, its registers, and its last exits. Taken once when the
 * guest crashes, while its vCPU is parked; printed to the log then, and to the console whenever it
 * is asked for.
 */
#include "guests/crash.h"

#include "arch/x86/cpu.h"
#include "guests/exit_words.h"
#include "guests/vm.h"
#include "lib/format.h"
#include "lib/log.h"

#define LOGGED_EXITS 8u /* of the record; the rest would drive other lines out of the log */
#define SYMBOL_MAX   68

typedef unsigned long long ull;

struct printer {
	struct vm *vm;
	crash_line *line;
	void *ctx;
};

static void say(const struct printer *p, const char *fmt, ...) __printf(2, 3);

static void say(const struct printer *p, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->line(p->ctx, text);
}

/* " (main+0x12)", or nothing. Returns buf. */
static const char *symbol_behind(const struct printer *p, uint64_t rip, char buf[SYMBOL_MAX])
{
	char name[SYMBOL_MAX - 4];

	if (vm_symbol(p->vm, rip, name, sizeof(name)))
		snprintf(buf, SYMBOL_MAX, " (%s)", name);
	else
		buf[0] = '\0';
	return buf;
}

static void general_registers(const struct printer *p, const struct vcpu_state *s)
{
	static const char names[GPR_COUNT][4] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
						 "rsi", "rdi", "r8",  "r9",  "r10", "r11",
						 "r12", "r13", "r14", "r15"};
	char symbol[SYMBOL_MAX];

	say(p, "rip %016llx%s  rflags %08llx  cpl %u", (ull)s->rip,
	    symbol_behind(p, s->rip, symbol), (ull)s->rflags, s->cpl);
	for (unsigned i = 0; i < GPR_COUNT; i += 4)
		say(p, "%-3s %016llx  %-3s %016llx  %-3s %016llx  %-3s %016llx", names[i],
		    (ull)s->gpr[i], names[i + 1], (ull)s->gpr[i + 1], names[i + 2],
		    (ull)s->gpr[i + 2], names[i + 3], (ull)s->gpr[i + 3]);
}

static void system_registers(const struct printer *p, const struct vcpu_state *s)
{
	static const char names[SEG_COUNT][5] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};

	say(p, "cr0 %08llx  cr2 %016llx  cr3 %016llx  cr4 %08llx  efer %04llx", (ull)s->cr0,
	    (ull)s->cr2, (ull)s->cr3, (ull)s->cr4, (ull)s->efer);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		say(p, "%-4s %04x  base %016llx  limit %08x  attributes %03x", names[i],
		    s->seg[i].selector, (ull)s->seg[i].base, s->seg[i].limit, s->seg[i].attr);
	say(p, "gdtr %016llx %04x  idtr %016llx %04x", (ull)s->gdtr.base, s->gdtr.limit,
	    (ull)s->idtr.base, s->idtr.limit);
}

static void last_exits(const struct printer *p, const struct crash_record *r, uint32_t n)
{
	char words[80], symbol[SYMBOL_MAX];

	n = MIN(r->n_exits, n);
	for (uint32_t i = n; i > 0; i--) {
		const struct exit_record *e = &r->exits[r->n_exits - i];

		exit_words(e, words, sizeof(words));
		say(p, "exit -%u: %s rip %016llx%s%s%s", i - 1, exit_kind_name(e->kind),
		    (ull)e->rip, symbol_behind(p, e->rip, symbol), words[0] ? " " : "", words);
	}
}

static void print(const struct printer *p, const struct crash_record *r, uint32_t exits)
{
	general_registers(p, &r->state);
	system_registers(p, &r->state);
	last_exits(p, r, exits);
}

void crash_print(struct vm *vm, const struct crash_record *r, crash_line *line, void *ctx)
{
	const struct printer p = {vm, line, ctx};

	say(&p, "%s", r->reason.text);
	say(&p, "at uptime %llu.%06llu s", (ull)(r->time_ns / NS_PER_S),
	    (ull)(r->time_ns % NS_PER_S / NS_PER_US));
	print(&p, r, CRASH_EXITS);
}

/* ---- taking it ---- */

static void log_line(void *ctx, const char *text)
{
	const struct vcpu *v = ctx;

	log_error("guest %s: vcpu%u: %s", v->vm->config->name, v->id, text);
}

void vcpu_crash_record(struct vcpu *v)
{
	const struct printer to_log = {v->vm, log_line, v};
	struct crash_record *r = &v->vm->crash[v->id];
	uint64_t from = v->ring.next - MIN(v->ring.next, CRASH_EXITS), lost;

	r->time_ns = uptime_ns();
	r->reason = v->vm->reason;
	hv->get_state(&v->hv, &r->state);
	r->n_exits = exit_ring_read(&v->ring, &from, r->exits, CRASH_EXITS, &lost);
	r->there = true;
	print(&to_log, r, LOGGED_EXITS);
	hv->dump(&v->hv, log_line, v);
}
