/*
 * The SVM back end: vCPU life cycle and the entry. Everything that decides is in the pure files
 * beside it. A vCPU is used by one core at a time (arch/x86/hv.h), so there are no locks.
 */
#include "arch/x86/svm/svm.h"

#include "lib/string.h"

#define INTERCEPT1_ALWAYS                                                                       \
	(INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_SMI | INTERCEPT_INIT | INTERCEPT_RDPMC |    \
	 INTERCEPT_CPUID | INTERCEPT_RSM | INTERCEPT_INVD | INTERCEPT_HLT | INTERCEPT_INVLPGA | \
	 INTERCEPT_IOIO | INTERCEPT_MSR | INTERCEPT_SHUTDOWN)

#define INTERCEPT2_ALWAYS                                                                 \
	(INTERCEPT_VMRUN | INTERCEPT_VMMCALL | INTERCEPT_VMLOAD | INTERCEPT_VMSAVE |      \
	 INTERCEPT_STGI | INTERCEPT_CLGI | INTERCEPT_SKINIT | INTERCEPT_WBINVD |          \
	 INTERCEPT_MONITOR | INTERCEPT_MWAIT | INTERCEPT_MWAIT_ARMED | INTERCEPT_XSETBV | \
	 INTERCEPT_RDPRU)

#define INTERCEPT3_ALWAYS (INTERCEPT_INVLPGB | INTERCEPT_MCOMMIT | INTERCEPT_TLBSYNC)

/* Machine checks are the host's. The other two are the guest's, and go back to it: but one that
 * recurs in its own delivery would never let the host's interrupts in. */
#define INTERCEPT_EXCEPTIONS (BIT32(VEC_MC) | BIT32(VEC_DB) | BIT32(VEC_AC))

static void svm_vcpu_init(struct hv_vcpu *v)
{
	struct vmcb *b = svm_vmcb(v);
	struct vcpu_state s;
	struct reason why;

	memset(b, 0, sizeof(*b));
	/* CR4 alone: its bits are the guest's CPU model. The others are the guest's own business
	 * under nested paging. */
	b->intercept_cr_write = BIT32(4);
	b->intercept_exceptions = INTERCEPT_EXCEPTIONS;
	b->intercept1 = INTERCEPT1_ALWAYS;
	b->intercept2 = INTERCEPT2_ALWAYS;
	b->intercept3 = INTERCEPT3_ALWAYS;
	b->iopm_base = v->vm->pages.pa.v + SVM_VM_IOPM_PAGE * PAGE_SIZE;
	b->msrpm_base = v->vm->pages.pa.v + SVM_VM_MSRPM_PAGE * PAGE_SIZE;
	b->int_ctl = INT_CTL_MASKING;
	b->np_enable = NP_ENABLE;
	b->n_cr3 = v->vm->slpt_root.v;
	v->tag_generation = 0;
	v->last_cpu = UINT32_MAX;
	v->inject.kind = EVENT_NONE;
	v->window_wanted = false;
	v->nmi_window_wanted = false;
	v->window_armed = false;
	v->tsc_changed = true;
	vcpu_state_at_reset(&s);
	(void)svm_set_state(v, &s, &why); /* these values pass its checks: a unit test holds that */
}

static void svm_vcpu_load(struct hv_vcpu *v, struct hv_pages cpu_pages, uint32_t cpu)
{
	v->cpu_pages = cpu_pages.va;
	if (v->last_cpu != cpu) {
		/* another core's cached VMCB and identifiers mean nothing here */
		v->last_cpu = cpu;
		v->tag_generation = 0;
		svm_vmcb(v)->clean = 0;
	}
}

static void svm_vcpu_put(struct hv_vcpu *v)
{
	v->cpu_pages = NULL;
}

/* Gives the vCPU an identifier under which no stale translation is cached. */
static void take_tag(struct svm_cpu *c, struct hv_vcpu *v, struct vmcb *b)
{
	if (tag_take(&c->asids, &v->tag, &v->tag_generation))
		c->flush_all = true;
	v->flush_wanted = false;
	b->asid = v->tag;
	b->clean &= ~CLEAN_ASID;
}

/* EVENTINJ does not set CR2: it is part of the guest's state. An NMI blocks further ones until the
 * guest's IRET, which is made to exit for that. */
static uint64_t take_event(struct hv_vcpu *v, struct vmcb *b)
{
	uint64_t code;

	if (!(b->cr0 & CR0_PE))
		v->inject.has_error = false; /* real mode has none */
	code = svm_event_encode(&v->inject);
	if (v->inject.kind == EVENT_EXCEPTION && v->inject.vector == VEC_PF)
		svm_set_cr(v, 2, v->inject.payload);
	if (v->inject.kind == EVENT_EXCEPTION && v->inject.vector == VEC_DB) {
		b->dr6 |= v->inject.payload;
		b->dr7 &= ~DR7_GD;
		b->clean &= ~CLEAN_DR;
	}
	if (v->inject.kind == EVENT_NMI) {
		v->nmi_blocked = true;
		b->intercept1 |= INTERCEPT_IRET;
		b->clean &= ~CLEAN_INTERCEPTS;
	}
	v->inject.kind = EVENT_NONE;
	return code;
}

/* A virtual interrupt that is never delivered: its intercept is the window. While the task priority
 * holds the interrupt back, a write of CR8 is, instead of the virtual interrupt's own priority,
 * which emulators compare wrongly. With a virtual interrupt that waits, writes of CR8 exit as well:
 * QEMU's TCG aborts when it carries one out (its helper raises the interrupt without the lock that
 * this takes). The end of NMI blocking has an intercept of its own; an NMI that
 * waits for an instruction boundary without a shadow waits for one with interrupts on, too, or for
 * any other exit. */
static void window_update(struct hv_vcpu *v, struct vmcb *b)
{
	bool masked = v->window_wanted && v->cr8 >= v->window_class;
	bool nmi = v->nmi_window_wanted && !v->nmi_blocked;
	uint64_t int_ctl = b->int_ctl & ~(INT_CTL_V_IRQ | INT_CTL_PRIO | INT_CTL_IGNORE_TPR);
	uint32_t intercepts = b->intercept1 & ~INTERCEPT_VINTR;
	uint16_t cr_writes = b->intercept_cr_write & (uint16_t)~BIT32(8);

	v->window_armed = v->window_wanted || nmi;
	if ((v->window_wanted && !masked) || nmi) {
		int_ctl |= INT_CTL_V_IRQ | INT_CTL_PRIO | INT_CTL_IGNORE_TPR;
		intercepts |= INTERCEPT_VINTR;
	}
	if (v->window_armed)
		cr_writes |= (uint16_t)BIT32(8);
	if (b->int_ctl != int_ctl)
		b->clean &= ~CLEAN_TPR;
	if (b->intercept1 != intercepts || b->intercept_cr_write != cr_writes)
		b->clean &= ~CLEAN_INTERCEPTS;
	b->int_ctl = int_ctl;
	b->intercept1 = intercepts;
	b->intercept_cr_write = cr_writes;
}

/* The guest is about to execute the IRET that ends its NMI handler. Interrupts stay blocked over
 * that one instruction, so that the next NMI is not nested into the frame that it is leaving. */
static void nmi_handler_ends(struct hv_vcpu *v, struct vmcb *b)
{
	v->nmi_blocked = false;
	v->irq_blocked = true;
	b->intercept1 &= ~INTERCEPT_IRET;
	b->clean &= ~CLEAN_INTERCEPTS;
}

/* What an entry seldom needs. */
static __cold __noinline uint64_t prepare_entry(struct hv_vcpu *v)
{
	struct svm_cpu *c = svm_cpu_of(v->cpu_pages);
	struct vmcb *b = svm_vmcb(v);

	if (v->inject.kind != EVENT_NONE)
		b->event_inj = take_event(v, b);
	if (v->window_wanted || v->nmi_window_wanted || v->window_armed)
		window_update(v, b);
	if (v->tsc_changed && b->tsc_offset != v->tsc_offset) {
		b->tsc_offset = v->tsc_offset;
		b->clean &= ~CLEAN_INTERCEPTS;
	}
	v->tsc_changed = false;
	if (v->flush_wanted || v->tag_generation != c->asids.generation)
		take_tag(c, v, b);
	if (c->flush_all) {
		b->tlb_control = TLB_FLUSH_ALL;
		c->flush_all = false;
	}
	if ((uint8_t)b->int_ctl != v->cr8) {
		b->int_ctl = (b->int_ctl & ~INT_CTL_TPR) | v->cr8;
		b->clean &= ~CLEAN_TPR;
	}
	return c->host_vmcb_pa;
}

uint64_t svm_before_entry(struct hv_vcpu *v)
{
	struct svm_cpu *c = svm_cpu_of(v->cpu_pages);
	struct vmcb *b = svm_vmcb(v);

	b->rax = v->gpr[GPR_RAX];
	b->rsp = v->gpr[GPR_RSP];
	b->rip = v->rip;
	b->rflags = v->rflags;
	b->int_state = v->irq_blocked;
	if (unlikely(v->attention || v->inject.kind != EVENT_NONE ||
		     v->tag_generation != c->asids.generation || (uint8_t)b->int_ctl != v->cr8))
		return prepare_entry(v);
	return c->host_vmcb_pa;
}

/* An exit of one of the kinds that are not frequent, or that cut an event off. */
static __noinline void decode_rest(struct hv_vcpu *v, struct vm_exit *exit)
{
	struct vmcb *b = svm_vmcb(v);

	if (b->exit_int_info & EVENT_VALID) {
		svm_decode_interrupted(b, exit);
		v->inject = exit->interrupted;
	}
	if (!svm_decode_frequent(b, exit))
		svm_decode_other(b, exit);
	if (!exit->insn_len)
		svm_code_of(b, v, &exit->code);
	if (b->exit_code == VMEXIT_IRET)
		nmi_handler_ends(v, b);
	/* what was refused stays as it was, to be explained */
	if (b->exit_code != VMEXIT_INVALID)
		b->event_inj = 0;
}

void svm_after_exit(struct hv_vcpu *v, struct vm_exit *exit)
{
	struct vmcb *b = svm_vmcb(v);

	b->clean = CLEAN_ALL;
	b->tlb_control = TLB_FLUSH_NOTHING;
	v->gpr[GPR_RAX] = b->rax;
	v->gpr[GPR_RSP] = b->rsp;
	v->rip = b->rip;
	v->rflags = b->rflags;
	v->irq_blocked = b->int_state & INT_STATE_SHADOW;
	v->cr8 = b->int_ctl & 0xf;
	svm_decode_common(b, exit);
	if (unlikely((b->exit_int_info & EVENT_VALID) || !svm_decode_frequent(b, exit))) {
		decode_rest(v, exit);
		return;
	}
	b->event_inj = 0;
	if (!exit->insn_len)
		svm_code_of(b, v, &exit->code);
}

const struct hv_ops svm_ops = {
	.name = "AMD SVM",
	.cpu_pages = SVM_CPU_PAGES,
	.vm_pages = SVM_VM_PAGES,
	.vcpu_pages = 1,
	.slpt = &npt_format,
	.probe = svm_probe,
	.cpu_on = svm_cpu_on,
	.cpu_off = svm_cpu_off,
	.vm_init = svm_permissions_init,
	.vm_allow_msr = svm_allow_msr,
	.vm_allow_port = svm_allow_port,
	.vcpu_init = svm_vcpu_init,
	.vcpu_load = svm_vcpu_load,
	.vcpu_put = svm_vcpu_put,
	.run = svm_run,
	.get_state = svm_get_state,
	.set_state = svm_set_state,
	.get_code = svm_get_code,
	.get_segment = svm_get_segment,
	.get_cr = svm_get_cr,
	.set_cr = svm_set_cr,
	.set_pdptes = svm_set_pdptes,
	.get_efer = svm_get_efer,
	.set_efer = svm_set_efer,
	.explain = svm_explain,
	.dump = svm_dump,
};
