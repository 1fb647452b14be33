/*
 * The crash record of a guest's vCPU: why, its registers, and its last exits, to the log. The vCPU
 * is parked.
 */
#include "guests/exit_words.h"
#include "guests/vm.h"
#include "lib/format.h"
#include "lib/log.h"

#define SHOWN_EXITS 8u
#define SYMBOL_MAX  68

typedef unsigned long long ull;

static void log_line(void *ctx, const char *text)
{
	const struct vcpu *v = ctx;

	log_error("guest %s: vcpu%u: %s", v->vm->config->name, v->id, text);
}

/* " (main+0x12)", or nothing. Returns buf. */
static const char *symbol_behind(struct vcpu *v, uint64_t rip, char buf[SYMBOL_MAX])
{
	char name[SYMBOL_MAX - 4];

	if (vm_symbol(v->vm, rip, name, sizeof(name)))
		snprintf(buf, SYMBOL_MAX, " (%s)", name);
	else
		buf[0] = '\0';
	return buf;
}

static void general_registers(struct vcpu *v, const struct vcpu_state *s)
{
	static const char names[GPR_COUNT][4] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
						 "rsi", "rdi", "r8",  "r9",  "r10", "r11",
						 "r12", "r13", "r14", "r15"};
	char text[160], symbol[SYMBOL_MAX];

	snprintf(text, sizeof(text), "rip %016llx%s  rflags %08llx  cpl %u", (ull)s->rip,
		 symbol_behind(v, s->rip, symbol), (ull)s->rflags, s->cpl);
	log_line(v, text);
	for (unsigned i = 0; i < GPR_COUNT; i += 4) {
		snprintf(text, sizeof(text),
			 "%-3s %016llx  %-3s %016llx  %-3s %016llx  %-3s %016llx", names[i],
			 (ull)s->gpr[i], names[i + 1], (ull)s->gpr[i + 1], names[i + 2],
			 (ull)s->gpr[i + 2], names[i + 3], (ull)s->gpr[i + 3]);
		log_line(v, text);
	}
}

static void system_registers(struct vcpu *v, const struct vcpu_state *s)
{
	static const char names[SEG_COUNT][5] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};
	char text[160];

	snprintf(text, sizeof(text),
		 "cr0 %08llx  cr2 %016llx  cr3 %016llx  cr4 %08llx  efer %04llx", (ull)s->cr0,
		 (ull)s->cr2, (ull)s->cr3, (ull)s->cr4, (ull)s->efer);
	log_line(v, text);
	for (unsigned i = 0; i < SEG_COUNT; i++) {
		snprintf(text, sizeof(text), "%-4s %04x  base %016llx  limit %08x  attributes %03x",
			 names[i], s->seg[i].selector, (ull)s->seg[i].base, s->seg[i].limit,
			 s->seg[i].attr);
		log_line(v, text);
	}
	snprintf(text, sizeof(text), "gdtr %016llx %04x  idtr %016llx %04x", (ull)s->gdtr.base,
		 s->gdtr.limit, (ull)s->idtr.base, s->idtr.limit);
	log_line(v, text);
}

static void last_exits(struct vcpu *v)
{
	uint64_t from = v->ring.next - MIN(v->ring.next, SHOWN_EXITS), lost;
	struct exit_record last[SHOWN_EXITS];
	unsigned n = exit_ring_read(&v->ring, &from, last, SHOWN_EXITS, &lost);
	char text[200], words[80], symbol[SYMBOL_MAX];

	for (unsigned i = 0; i < n; i++) {
		const struct exit_record *e = &last[i];

		exit_words(e, words, sizeof(words));
		snprintf(text, sizeof(text), "exit -%u: %s rip %016llx%s%s%s", n - 1 - i,
			 exit_kind_name(e->kind), (ull)e->rip, symbol_behind(v, e->rip, symbol),
			 words[0] ? " " : "", words);
		log_line(v, text);
	}
}

void vcpu_crash_record(struct vcpu *v)
{
	struct vcpu_state s;

	hv->get_state(&v->hv, &s);
	general_registers(v, &s);
	system_registers(v, &s);
	last_exits(v);
	hv->dump(&v->hv, log_line, v);
}
