/*
 * Hardware task switches; see task_switch.h. Source: Intel SDM volume 3, "Task Management" ("Task
 * Switching", "Exception Conditions Checked During a Task Switch", "Task-State Segment (TSS)",
 * "16-Bit Task-State Segment (TSS)") and "Treatment of Task Switches". Privileges of a task gate,
 * or of the TSS that a JMP or CALL names, were checked by the processor before it left the guest.
 *
 * Everything up to the commit point only looks: a page fault there leaves the old task as it was.
 */
#include "guests/task_switch.h"

#include "guests/gwalk.h"
#include "lib/string.h"

#define SELECTOR_TI 4u

#define TYPE_LDT      2u
#define TYPE_TSS      1u /* available, 16 bits */
#define TYPE_TSS_BUSY 2u /* this bit, beside */
#define TYPE_TSS_32   8u /* and this */

#define TYPE_ACCESSED   1u
#define TYPE_WRITABLE   2u /* of data; of code: readable */
#define TYPE_CONFORMING 4u /* of code; of data: expands down */
#define TYPE_CODE       8u

#define ATTR_VM86 (SEG_ATTR_P | SEG_ATTR_DPL | SEG_ATTR_S | TYPE_WRITABLE | TYPE_ACCESSED)

#define EFLAGS_KNOWN 0x3f7fd5ull /* what POPF and IRET know in 32 bits */
#define DR6_BT       BIT(15)
#define DR7_LOCAL    0x155ull /* L0 to L3, LE */

#define TSS32_MIN_LIMIT 0x67u
#define TSS16_MIN_LIMIT 0x2bu

struct tss32 {
	uint32_t link, stacks[6], cr3;
	uint32_t eip, eflags, gpr[8], seg[6]; /* what a switch saves */
	uint32_t ldt;
	uint16_t trap, io_map;
};

struct tss16 {
	uint16_t link, stacks[6];
	uint16_t ip, flags, gpr[8], seg[4]; /* what a switch saves */
	uint16_t ldt;
};

#define SAVED32_FROM offsetof(struct tss32, eip)
#define SAVED32_SIZE (offsetof(struct tss32, ldt) - SAVED32_FROM)
#define SAVED16_FROM offsetof(struct tss16, ip)
#define SAVED16_SIZE (offsetof(struct tss16, ldt) - SAVED16_FROM)

_Static_assert(sizeof(struct tss32) == TSS32_MIN_LIMIT + 1, "the manual's layout");
_Static_assert(sizeof(struct tss16) == TSS16_MIN_LIMIT + 1, "the manual's layout");

struct descriptor {
	uint32_t base, limit;
	uint16_t attr;
};

/* Bytes at a linear address, translated: at most two pages. */
struct span {
	uint64_t gpa[2];
	unsigned n[2];
};

/* A switch under way. */
struct switching {
	struct gmem *mem;
	struct vcpu_state *s;
	struct code_context paging;
	struct vcpu_event fault;
	unsigned ext; /* bit 0 of error codes: the program itself did not ask for the event */
};

/* ---- faults ---- */

static bool fail(struct switching *w, uint8_t vector, uint16_t selector)
{
	w->fault = (struct vcpu_event){
		.kind = EVENT_EXCEPTION,
		.vector = vector,
		.has_error = true,
		.error = (selector & ~3u) | w->ext,
	};
	return false;
}

bool task_switch_combine(const struct vcpu_event *first, struct vcpu_event *fault)
{
	/* "Interrupt 8—Double Fault Exception (#DF)" */
	static const uint32_t contributory =
		BIT32(VEC_DE) | BIT32(VEC_TS) | BIT32(VEC_NP) | BIT32(VEC_SS) | BIT32(VEC_GP);
	bool second_contributes = contributory >> fault->vector & 1;
	bool second_pf = fault->vector == VEC_PF;

	if (first->kind != EVENT_EXCEPTION || (!second_contributes && !second_pf))
		return true;
	if (first->vector == VEC_DF)
		return false;
	if (first->vector == VEC_PF || ((contributory >> first->vector & 1) && second_contributes))
		*fault = (struct vcpu_event){
			.kind = EVENT_EXCEPTION, .vector = VEC_DF, .has_error = true};
	return true;
}

/* ---- memory ---- */

static void paging_of(struct switching *w, uint8_t phys_bits)
{
	const struct vcpu_state *s = w->s;

	w->paging = (struct code_context){
		.rflags = s->rflags,
		.cr0 = s->cr0,
		.cr3 = s->cr3,
		.cr4 = s->cr4,
		.efer = s->efer,
		.phys_bits = phys_bits,
	};
}

/* Translates `len` bytes, fewer than a page, for the processor's own access. */
static bool translate(struct switching *w, uint32_t gva, unsigned len, unsigned access,
		      struct span *out)
{
	struct gpa gpa;

	out->n[0] = (unsigned)MIN((uint64_t)len, PAGE_SIZE - (gva & (PAGE_SIZE - 1)));
	out->n[1] = len - out->n[0];
	for (unsigned i = 0; i < 2 && out->n[i]; i++) {
		if (!gwalk(w->mem, &w->paging, i ? (uint32_t)(gva + out->n[0]) : gva,
			   access | WALK_IMPLICIT, &gpa, &w->fault))
			return false;
		out->gpa[i] = gpa.v;
	}
	return true;
}

/* Where there is no RAM, all ones are read. */
static void span_read(const struct switching *w, const struct span *sp, void *buf)
{
	uint8_t *p = buf;

	for (unsigned i = 0; i < 2 && sp->n[i]; p += sp->n[i++])
		if (gmem_read(w->mem, sp->gpa[i], p, sp->n[i]))
			memset(p, 0xff, sp->n[i]);
}

/* Where there is no RAM, nothing keeps it. */
static void span_write(struct switching *w, const struct span *sp, const void *buf)
{
	const uint8_t *p = buf;

	for (unsigned i = 0; i < 2 && sp->n[i]; p += sp->n[i++])
		(void)!gmem_write(w->mem, sp->gpa[i], p, sp->n[i]);
}

static bool read_linear(struct switching *w, uint32_t gva, void *buf, unsigned len)
{
	struct span sp;

	if (!translate(w, gva, len, 0, &sp))
		return false;
	span_read(w, &sp, buf);
	return true;
}

/* ---- descriptors ---- */

static struct descriptor unpack(uint64_t raw)
{
	struct descriptor d = {
		.base = (uint32_t)(raw >> 16 & 0xffffff) | (uint32_t)(raw >> 56) << 24,
		.limit = (uint32_t)(raw & 0xffff) | (uint32_t)(raw >> 32 & 0xf0000),
		.attr = (uint16_t)((raw >> 40 & 0xff) | (raw >> 44 & 0xf00)),
	};

	if (d.attr & SEG_ATTR_G)
		d.limit = d.limit << 12 | 0xfff;
	return d;
}

static struct segment_state loaded(uint16_t selector, const struct descriptor *d)
{
	return (struct segment_state){
		.base = d->base, .limit = d->limit, .selector = selector, .attr = d->attr};
}

/* The linear address of a selector's descriptor, in the GDT or the LDT. False: it has none. */
static bool descriptor_address(const struct vcpu_state *s, uint16_t selector, uint32_t *gva)
{
	const struct segment_state *ldt = &s->seg[SEG_LDTR];

	if (selector & SELECTOR_TI) {
		if (!(ldt->attr & SEG_ATTR_P) || (selector | 7u) > ldt->limit)
			return false;
		*gva = (uint32_t)ldt->base + (selector & ~7u);
		return true;
	}
	if (!(selector & ~3u) || (selector | 7u) > s->gdtr.limit)
		return false;
	*gva = (uint32_t)s->gdtr.base + (selector & ~7u);
	return true;
}

/* The descriptor of a segment register of the new task. */
static bool read_descriptor(struct switching *w, uint16_t selector, uint32_t *gva,
			    struct descriptor *out)
{
	uint64_t raw;

	if (!descriptor_address(w->s, selector, gva))
		return fail(w, VEC_TS, selector);
	if (!read_linear(w, *gva, &raw, sizeof(raw)))
		return false;
	*out = unpack(raw);
	return true;
}

/* Puts a descriptor that passed its checks into a segment register, and marks it as accessed. */
static bool load_segment(struct switching *w, enum segment_index i, uint16_t selector, uint32_t gva,
			 struct descriptor *d)
{
	struct span sp;
	uint8_t type;

	if (!(d->attr & TYPE_ACCESSED)) {
		if (!translate(w, gva + 5, 1, WALK_WRITE, &sp))
			return false;
		d->attr |= TYPE_ACCESSED;
		type = (uint8_t)d->attr;
		span_write(w, &sp, &type);
	}
	w->s->seg[i] = loaded(selector, d);
	return true;
}

static bool load_ldt(struct switching *w, uint16_t selector)
{
	struct descriptor d;
	uint32_t gva;

	if (!(selector & ~3u))
		return true; /* none */
	if (selector & SELECTOR_TI)
		return fail(w, VEC_TS, selector);
	if (!read_descriptor(w, selector, &gva, &d))
		return false;
	if ((d.attr & (SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_TYPE)) != (SEG_ATTR_P | TYPE_LDT))
		return fail(w, VEC_TS, selector);
	w->s->seg[SEG_LDTR] = loaded(selector, &d);
	return true;
}

static bool load_code(struct switching *w, uint16_t selector)
{
	struct descriptor d;
	unsigned dpl;
	uint32_t gva;

	if (!read_descriptor(w, selector, &gva, &d))
		return false;
	dpl = d.attr >> 5 & 3;
	if (!(d.attr & SEG_ATTR_S) || !(d.attr & TYPE_CODE))
		return fail(w, VEC_TS, selector);
	if (d.attr & TYPE_CONFORMING ? dpl > w->s->cpl : dpl != w->s->cpl)
		return fail(w, VEC_TS, selector);
	if (!(d.attr & SEG_ATTR_P))
		return fail(w, VEC_NP, selector);
	d.attr &= (uint16_t)~SEG_ATTR_L; /* means nothing outside long mode */
	return load_segment(w, SEG_CS, selector, gva, &d);
}

static bool load_stack(struct switching *w, uint16_t selector)
{
	struct descriptor d;
	uint32_t gva;

	if (!read_descriptor(w, selector, &gva, &d))
		return false;
	if ((d.attr & (SEG_ATTR_S | TYPE_CODE | TYPE_WRITABLE)) != (SEG_ATTR_S | TYPE_WRITABLE))
		return fail(w, VEC_TS, selector);
	if ((selector & 3) != w->s->cpl || (d.attr >> 5 & 3) != w->s->cpl)
		return fail(w, VEC_TS, selector);
	if (!(d.attr & SEG_ATTR_P))
		return fail(w, VEC_SS, selector);
	return load_segment(w, SEG_SS, selector, gva, &d);
}

static bool load_data(struct switching *w, enum segment_index i, uint16_t selector)
{
	struct descriptor d;
	unsigned dpl, need;
	bool conforming;
	uint32_t gva;

	if (!(selector & ~3u))
		return true; /* none */
	if (!read_descriptor(w, selector, &gva, &d))
		return false;
	dpl = d.attr >> 5 & 3;
	need = MAX(w->s->cpl, selector & 3u);
	conforming = (d.attr & TYPE_CODE) && (d.attr & TYPE_CONFORMING);
	if (!(d.attr & SEG_ATTR_S) || (d.attr & (TYPE_CODE | TYPE_WRITABLE)) == TYPE_CODE)
		return fail(w, VEC_TS, selector);
	if (!conforming && dpl < need)
		return fail(w, VEC_TS, selector);
	if (!(d.attr & SEG_ATTR_P))
		return fail(w, VEC_NP, selector);
	return load_segment(w, i, selector, gva, &d);
}

/* ---- the two layouts ---- */

static void save32(const struct vcpu_state *s, uint64_t rip, uint64_t rflags, struct tss32 *t)
{
	t->eip = (uint32_t)rip;
	t->eflags = (uint32_t)rflags;
	for (unsigned i = 0; i < ARRAY_SIZE(t->gpr); i++)
		t->gpr[i] = (uint32_t)s->gpr[i];
	for (unsigned i = 0; i < ARRAY_SIZE(t->seg); i++)
		t->seg[i] = s->seg[i].selector;
}

static void save16(const struct vcpu_state *s, uint64_t rip, uint64_t rflags, struct tss16 *t)
{
	t->ip = (uint16_t)rip;
	t->flags = (uint16_t)rflags;
	for (unsigned i = 0; i < ARRAY_SIZE(t->gpr); i++)
		t->gpr[i] = (uint16_t)s->gpr[i];
	for (unsigned i = 0; i < ARRAY_SIZE(t->seg); i++)
		t->seg[i] = s->seg[i].selector;
}

/* A 16-bit task has 16 bits of each register, no FS and GS, and neither CR3 nor a trap of its own.
 */
static void widen(const struct tss16 *t, struct tss32 *out)
{
	*out = (struct tss32){.link = t->link, .eip = t->ip, .eflags = t->flags, .ldt = t->ldt};
	for (unsigned i = 0; i < ARRAY_SIZE(t->gpr); i++)
		out->gpr[i] = t->gpr[i];
	for (unsigned i = 0; i < ARRAY_SIZE(t->seg); i++)
		out->seg[i] = t->seg[i];
}

/* ---- before the commit point ---- */

/* What is looked up first, so that nothing after it can fault before the new task is in place. */
struct plan {
	struct descriptor tss; /* the new one */
	bool nested, wide_old, wide_new;
	struct span task;                            /* the new TSS */
	struct span saved, link, old_type, new_type; /* what will be written */
};

static bool look_at_new(struct switching *w, const struct task_switch *t, struct plan *p)
{
	bool iret = t->source == TASK_SWITCH_IRET;
	uint32_t gva;
	uint64_t raw;
	unsigned type;

	if ((t->selector & SELECTOR_TI) || !descriptor_address(w->s, t->selector, &gva))
		return fail(w, iret ? VEC_TS : VEC_GP, t->selector);
	if (!read_linear(w, gva, &raw, sizeof(raw)))
		return false;
	p->tss = unpack(raw);
	type = p->tss.attr & (SEG_ATTR_S | SEG_ATTR_TYPE);
	if ((type & ~TYPE_TSS_32) != (iret ? TYPE_TSS | TYPE_TSS_BUSY : TYPE_TSS))
		return fail(w, iret ? VEC_TS : VEC_GP, t->selector);
	if (!(p->tss.attr & SEG_ATTR_P))
		return fail(w, VEC_NP, t->selector);
	p->wide_new = type & TYPE_TSS_32;
	if (p->tss.limit < (p->wide_new ? TSS32_MIN_LIMIT : TSS16_MIN_LIMIT))
		return fail(w, VEC_TS, t->selector);
	return translate(w, gva + 5, 1, iret ? 0 : WALK_WRITE, &p->new_type);
}

static bool look_at_old(struct switching *w, struct plan *p)
{
	const struct segment_state *tr = &w->s->seg[SEG_TR];
	uint64_t gdt = w->s->gdtr.base + (tr->selector & ~7u);
	unsigned from, size;

	p->wide_old = tr->attr & TYPE_TSS_32;
	from = p->wide_old ? SAVED32_FROM : SAVED16_FROM;
	size = p->wide_old ? SAVED32_SIZE : SAVED16_SIZE;
	if (tr->limit < from + size - 1)
		return fail(w, VEC_TS, tr->selector);
	if (!translate(w, (uint32_t)tr->base + from, size, WALK_WRITE, &p->saved))
		return false;
	if (p->nested)
		return true; /* it stays busy */
	return translate(w, (uint32_t)gdt + 5, 1, WALK_WRITE, &p->old_type);
}

static bool look_at_task(struct switching *w, struct plan *p)
{
	unsigned size = p->wide_new ? sizeof(struct tss32) : sizeof(struct tss16);

	if (p->nested && !translate(w, p->tss.base, sizeof(uint16_t), WALK_WRITE, &p->link))
		return false;
	return translate(w, p->tss.base, size, 0, &p->task);
}

/* ---- the switch ---- */

static void set_busy(struct switching *w, const struct span *type, bool busy)
{
	uint8_t byte;

	span_read(w, type, &byte);
	byte = (uint8_t)(busy ? byte | TYPE_TSS_BUSY : byte & ~TYPE_TSS_BUSY);
	span_write(w, type, &byte);
}

static void save_old(struct switching *w, const struct task_switch *t, const struct plan *p)
{
	const struct vcpu_state *s = w->s;
	uint64_t rip = s->rip + t->insn_len, rflags = s->rflags;
	struct tss32 wide;
	struct tss16 narrow;

	if (t->source == TASK_SWITCH_IRET)
		rflags &= ~RFLAGS_NT;
	if (t->source != TASK_SWITCH_GATE)
		rflags &= ~RFLAGS_RF; /* the instruction is done */
	if (p->wide_old) {
		save32(s, rip, rflags, &wide);
		span_write(w, &p->saved, (const uint8_t *)&wide + SAVED32_FROM);
	} else {
		save16(s, rip, rflags, &narrow);
		span_write(w, &p->saved, (const uint8_t *)&narrow + SAVED16_FROM);
	}
}

static void read_new(const struct switching *w, const struct plan *p, struct tss32 *task)
{
	struct tss16 narrow;

	if (p->wide_new) {
		span_read(w, &p->task, task);
		return;
	}
	span_read(w, &p->task, &narrow);
	widen(&narrow, task);
}

/* The segment registers of the new task before any descriptor is read: what remains of them when
 * one of the checks fails. The handler's frame shows their selectors; data and stack segments are
 * of no use. What the processor has behind a bad CS is not defined: a flat one lets it enter the
 * handler. */
static void begin_segments(struct vcpu_state *s, const struct tss32 *task)
{
	uint16_t dpl = (uint16_t)(s->cpl << 5);

	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		s->seg[i] = (struct segment_state){.selector = (uint16_t)task->seg[i]};
	s->seg[SEG_SS].attr = SEG_ATTR_S | TYPE_WRITABLE | TYPE_ACCESSED | dpl;
	s->seg[SEG_CS].limit = UINT32_MAX;
	s->seg[SEG_CS].attr = SEG_ATTR_G | SEG_ATTR_DB | SEG_ATTR_P | SEG_ATTR_S | TYPE_CODE |
			      TYPE_WRITABLE | TYPE_ACCESSED | dpl;
	s->seg[SEG_LDTR] = (struct segment_state){.selector = (uint16_t)task->ldt};
}

/* The point of no return: what no check holds back. */
static void commit(struct switching *w, const struct task_switch *t, struct plan *p,
		   struct tss32 *task)
{
	struct vcpu_state *s = w->s;

	if (!p->nested)
		set_busy(w, &p->old_type, false);
	save_old(w, t, p);
	read_new(w, p, task); /* which may be the same one */
	if (p->nested)
		span_write(w, &p->link, &s->seg[SEG_TR].selector);
	if (t->source != TASK_SWITCH_IRET)
		set_busy(w, &p->new_type, true);
	p->tss.attr |= TYPE_TSS_BUSY;
	s->seg[SEG_TR] = loaded(t->selector, &p->tss);
	s->cr0 |= CR0_TS;
	s->dr7 &= ~DR7_LOCAL;
	if (p->wide_new && (s->cr0 & CR0_PG)) {
		s->cr3 = task->cr3;
		w->paging.cr3 = task->cr3;
	}
	s->rip = task->eip;
	s->rflags = (task->eflags & EFLAGS_KNOWN) | RFLAGS_ONE | (p->nested ? RFLAGS_NT : 0);
	w->paging.rflags = s->rflags;
	for (unsigned i = 0; i < ARRAY_SIZE(task->gpr); i++)
		s->gpr[i] = task->gpr[i];
	s->cpl = s->rflags & RFLAGS_VM ? 3 : task->seg[SEG_CS] & 3;
	s->irq_blocked = false;
	begin_segments(s, task);
}

static void load_vm86(struct vcpu_state *s)
{
	for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
		s->seg[i].base = (uint64_t)s->seg[i].selector << 4;
		s->seg[i].limit = 0xffff;
		s->seg[i].attr = ATTR_VM86;
	}
}

static bool load_segments(struct switching *w, const struct tss32 *task)
{
	static const uint8_t data[] = {SEG_DS, SEG_ES, SEG_FS, SEG_GS};
	struct vcpu_state *s = w->s;

	if (s->rflags & RFLAGS_VM) {
		load_vm86(s);
		return load_ldt(w, (uint16_t)task->ldt);
	}
	if (!load_ldt(w, (uint16_t)task->ldt) || !load_code(w, (uint16_t)task->seg[SEG_CS]) ||
	    !load_stack(w, (uint16_t)task->seg[SEG_SS]))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
		if (!load_data(w, data[i], (uint16_t)task->seg[data[i]]))
			return false;
	return true;
}

/* Pushes the error code of the event, as wide as the task is. */
static bool push_error(struct switching *w, uint32_t error, bool wide)
{
	struct vcpu_state *s = w->s;
	const struct segment_state *ss = &s->seg[SEG_SS];
	uint32_t mask = ss->attr & SEG_ATTR_DB ? UINT32_MAX : 0xffff;
	uint32_t size = wide ? 4 : 2;
	uint32_t sp = ((uint32_t)s->gpr[GPR_RSP] - size) & mask, last = sp + size - 1;
	bool down = ss->attr & TYPE_CONFORMING && !(s->rflags & RFLAGS_VM);
	bool inside = last >= sp && (down ? sp > ss->limit && last <= mask : last <= ss->limit);
	struct span span;

	if (!inside)
		return fail(w, VEC_SS, 0);
	/* the stack is the task's own: a user's, if that is what runs */
	if (!translate(w, (uint32_t)ss->base + sp, size, WALK_WRITE | (s->cpl == 3 ? WALK_USER : 0),
		       &span))
		return false;
	span_write(w, &span, &error);
	s->gpr[GPR_RSP] = (s->gpr[GPR_RSP] & ~(uint64_t)mask) | sp;
	return true;
}

struct vcpu_event task_switch(struct gmem *mem, uint8_t phys_bits, const struct task_switch *t,
			      struct vcpu_state *s)
{
	struct switching w = {.mem = mem, .s = s};
	struct tss32 task;
	struct plan p;

	memset(&p, 0, sizeof(p));
	p.nested = t->source == TASK_SWITCH_CALL || t->source == TASK_SWITCH_GATE;
	w.ext = t->source == TASK_SWITCH_GATE && t->event.kind != EVENT_NONE;
	paging_of(&w, phys_bits);
	if (!look_at_new(&w, t, &p) || !look_at_old(&w, &p) || !look_at_task(&w, &p))
		return w.fault;
	commit(&w, t, &p, &task);
	if (!load_segments(&w, &task))
		return w.fault;
	if (t->event.has_error && !push_error(&w, t->event.error, p.wide_new))
		return w.fault;
	if (s->rip > s->seg[SEG_CS].limit) {
		w.ext = 0;
		(void)fail(&w, VEC_GP, 0);
	} else if (task.trap & 1) {
		w.fault = (struct vcpu_event){
			.kind = EVENT_EXCEPTION, .vector = VEC_DB, .payload = DR6_BT};
	}
	return w.fault;
}
