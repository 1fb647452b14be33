/*
 * Whole-state get and set, and the cheap partial views of it. Pure: works on the VMCB in memory.
 */
#include "arch/x86/svm/svm.h"
#include "lib/format.h"

static struct vmcb_segment *vmcb_seg(struct vmcb *b, enum segment_index s)
{
	switch (s) {
	case SEG_LDTR:
		return &b->ldtr;
	case SEG_TR:
		return &b->tr;
	default:
		return &b->seg[s];
	}
}

static void segment_get(const struct vmcb_segment *in, struct segment_state *out)
{
	out->base = in->base;
	out->limit = in->limit;
	out->selector = in->selector;
	out->attr = in->attr;
}

void svm_get_segment(const struct hv_vcpu *v, enum segment_index s, struct segment_state *out)
{
	segment_get(vmcb_seg(svm_vmcb(v), s), out);
}

void svm_get_code(const struct hv_vcpu *v, struct code_context *out)
{
	svm_code_of(svm_vmcb(v), v, out);
}

uint64_t svm_get_cr(const struct hv_vcpu *v, unsigned cr)
{
	const struct vmcb *b = svm_vmcb(v);

	switch (cr) {
	case 0:
		return b->cr0;
	case 2:
		return b->cr2;
	case 3:
		return b->cr3;
	default:
		return b->cr4;
	}
}

void svm_set_cr(struct hv_vcpu *v, unsigned cr, uint64_t value)
{
	struct vmcb *b = svm_vmcb(v);

	switch (cr) {
	case 0:
		b->cr0 = value;
		break;
	case 2:
		b->cr2 = value;
		b->clean &= ~CLEAN_CR2;
		return;
	case 3:
		b->cr3 = value;
		break;
	default:
		b->cr4 = value;
		break;
	}
	b->clean &= ~CLEAN_CR;
}

/* The processor reads them itself at each entry (AMD64 Architecture Programmer's Manual, volume 2,
 * "Legacy PAE Mode" of nested paging). */
void svm_set_pdptes(struct hv_vcpu *v, const uint64_t pdptes[4])
{
	(void)v;
	(void)pdptes;
}

/* The guest never sees EFER.SVME, which the processor demands to be set. */
uint64_t svm_get_efer(const struct hv_vcpu *v)
{
	return svm_vmcb(v)->efer & ~EFER_SVME;
}

void svm_set_efer(struct hv_vcpu *v, uint64_t value)
{
	struct vmcb *b = svm_vmcb(v);

	b->efer = value | EFER_SVME;
	b->clean &= ~CLEAN_CR;
}

void svm_get_state(const struct hv_vcpu *v, struct vcpu_state *out)
{
	struct vmcb *b = svm_vmcb(v);

	for (unsigned i = 0; i < GPR_COUNT; i++)
		out->gpr[i] = v->gpr[i];
	out->rip = v->rip;
	out->rflags = v->rflags;
	out->cr0 = b->cr0;
	out->cr2 = b->cr2;
	out->cr3 = b->cr3;
	out->cr4 = b->cr4;
	out->cr8 = v->cr8;
	out->efer = svm_get_efer(v);
	out->dr6 = b->dr6;
	out->dr7 = b->dr7;
	for (unsigned i = 0; i < SEG_COUNT; i++)
		segment_get(vmcb_seg(b, i), &out->seg[i]);
	out->gdtr = (struct table_state){.base = b->gdtr.base, .limit = (uint16_t)b->gdtr.limit};
	out->idtr = (struct table_state){.base = b->idtr.base, .limit = (uint16_t)b->idtr.limit};
	out->star = b->star;
	out->lstar = b->lstar;
	out->cstar = b->cstar;
	out->sfmask = b->sfmask;
	out->kernel_gs_base = b->kernel_gs_base;
	out->sysenter_cs = b->sysenter_cs;
	out->sysenter_esp = b->sysenter_esp;
	out->sysenter_eip = b->sysenter_eip;
	out->pat = b->g_pat;
	out->cpl = b->cpl;
	out->irq_blocked = v->irq_blocked;
	out->nmi_blocked = v->nmi_blocked;
}

static int check_state(const struct vcpu_state *s, struct reason *why)
{
	const struct svm_registers r = {
		.cr0 = s->cr0,
		.cr3 = s->cr3,
		.cr4 = s->cr4,
		.dr6 = s->dr6,
		.dr7 = s->dr7,
		.efer = s->efer | EFER_SVME,
		.cs_attr = s->seg[SEG_CS].attr,
	};
	int err = vcpu_state_check(s, why);

	return err ? err : svm_check_registers(&r, why);
}

int svm_set_state(struct hv_vcpu *v, const struct vcpu_state *in, struct reason *why)
{
	struct vmcb *b = svm_vmcb(v);
	int err = check_state(in, why);

	if (err)
		return err;
	for (unsigned i = 0; i < GPR_COUNT; i++)
		v->gpr[i] = in->gpr[i];
	v->rip = in->rip;
	v->rflags = in->rflags | RFLAGS_ONE;
	v->cr8 = (uint8_t)in->cr8;
	v->irq_blocked = in->irq_blocked;
	v->nmi_blocked = in->nmi_blocked;
	b->cr0 = in->cr0;
	b->cr2 = in->cr2;
	b->cr3 = in->cr3;
	b->cr4 = in->cr4;
	b->efer = in->efer | EFER_SVME;
	b->dr6 = in->dr6;
	b->dr7 = in->dr7;
	for (unsigned i = 0; i < SEG_COUNT; i++) {
		struct vmcb_segment *s = vmcb_seg(b, i);

		s->base = in->seg[i].base;
		s->limit = in->seg[i].limit;
		s->selector = in->seg[i].selector;
		s->attr = in->seg[i].attr;
	}
	b->gdtr.base = in->gdtr.base;
	b->gdtr.limit = in->gdtr.limit;
	b->idtr.base = in->idtr.base;
	b->idtr.limit = in->idtr.limit;
	b->star = in->star;
	b->lstar = in->lstar;
	b->cstar = in->cstar;
	b->sfmask = in->sfmask;
	b->kernel_gs_base = in->kernel_gs_base;
	b->sysenter_cs = in->sysenter_cs;
	b->sysenter_esp = in->sysenter_esp;
	b->sysenter_eip = in->sysenter_eip;
	b->g_pat = in->pat;
	b->cpl = in->cpl;
	/* the IRET that ends an NMI handler is seen, and no other (svm.c) */
	b->intercept1 &= ~INTERCEPT_IRET;
	if (in->nmi_blocked)
		b->intercept1 |= INTERCEPT_IRET;
	b->clean = 0;
	v->flush_wanted = true;
	return 0;
}

void svm_explain(const struct hv_vcpu *v, struct reason *why)
{
	if (svm_audit(svm_vmcb(v), v->phys_bits, why) == 0)
		refuse(why, ERR_INVALID, "no rule that is known is broken");
}

void svm_dump(const struct hv_vcpu *v, void (*line)(void *ctx, const char *text), void *ctx)
{
	const struct vmcb *b = svm_vmcb(v);
	char text[160];

	snprintf(text, sizeof(text),
		 "exit code 0x%llx info1 0x%llx info2 0x%llx interrupted 0x%llx",
		 (unsigned long long)b->exit_code, (unsigned long long)b->exit_info1,
		 (unsigned long long)b->exit_info2, (unsigned long long)b->exit_int_info);
	line(ctx, text);
	snprintf(text, sizeof(text), "inject 0x%llx int_ctl 0x%llx int_state 0x%llx asid %u",
		 (unsigned long long)b->event_inj, (unsigned long long)b->int_ctl,
		 (unsigned long long)b->int_state, b->asid);
	line(ctx, text);
	snprintf(text, sizeof(text), "intercepts 0x%08x 0x%08x exceptions 0x%08x n_cr3 0x%llx",
		 b->intercept1, b->intercept2, b->intercept_exceptions,
		 (unsigned long long)b->n_cr3);
	line(ctx, text);
}
