/*
 * The crash record of a guest's vCPU: why, its registers, and its last exits. Taken once when the
 * guest crashes, while its vCPU is parked; printed to the log then, and to the console whenever it
 * is asked for.
 */
#include "guests/crash.h"

#include "arch/x86/cpu.h"
#include "guests/vm.h"
#include "lib/format.h"
#include "lib/log.h"

#define LOGGED_EXITS 8u /* of the record; the rest would drive other lines out of the log */

typedef unsigned long long ull;

struct printer {
	crash_line *line;
	void *ctx;
};

static void say(const struct printer *p, const char *fmt, ...) __printf(2, 3);

static void say(const struct printer *p, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->line(p->ctx, text);
}

static void general_registers(const struct printer *p, const struct vcpu_state *s)
{
	static const char names[GPR_COUNT][4] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
						 "rsi", "rdi", "r8",  "r9",  "r10", "r11",
						 "r12", "r13", "r14", "r15"};
	say(p, "rip %016llx  rflags %08llx  cpl %u", (ull)s->rip, (ull)s->rflags, s->cpl);
	for (unsigned i = 0; i < GPR_COUNT; i += 4) {
		say(p, "%-3s %016llx  %-3s %016llx  %-3s %016llx  %-3s %016llx", names[i],
		    (ull)s->gpr[i], names[i + 1], (ull)s->gpr[i + 1], names[i + 2],
		    (ull)s->gpr[i + 2], names[i + 3], (ull)s->gpr[i + 3]);
	}
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
	n = MIN(r->n_exits, n);
	for (uint32_t i = n; i > 0; i--) {
		const struct exit_ring_entry *e = &r->exits[r->n_exits - i];

		say(p, "exit -%u: %s rip %016llx info %016llx", i - 1, exit_kind_name(e->kind),
		    (ull)e->rip, (ull)e->info);
	}
}

static void print(const struct printer *p, const struct crash_record *r, uint32_t exits)
{
	general_registers(p, &r->state);
	system_registers(p, &r->state);
	last_exits(p, r, exits);
}

void crash_print(const struct crash_record *r, crash_line *line, void *ctx)
{
	const struct printer p = {line, ctx};

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
	const struct printer to_log = {log_line, v};
	struct crash_record *r = &v->vm->crash[v->id];
	uint32_t n = MIN(v->ring_next, CRASH_EXITS);

	r->time_ns = uptime_ns();
	r->reason = v->vm->reason;
	hv->get_state(&v->hv, &r->state);
	r->n_exits = n;
	for (uint32_t i = 0; i < n; i++)
		r->exits[i] = v->ring[(v->ring_next - n + i) % EXIT_RING_SIZE];
	r->there = true;
	print(&to_log, r, LOGGED_EXITS);
	hv->dump(&v->hv, log_line, v);
}
