/*
 * The VMX back end: the entry, and what an exit left. Everything that decides is in the pure files
 * beside it. A vCPU is used by one core at a time (arch/x86/hv.h), so there are no locks.
 */
#include "arch/x86/vmx/vmx.h"

#include "arch/x86/vmx/decode.h"
#include "arch/x86/vmx/insn.h"

/* Gives the vCPU a tag under which no stale translation is cached. Without tags each entry drops
 * the guest's linear translations; those of guest-physical addresses are tagged by the EPT pointer.
 */
static void take_tag(struct vmx_cpu *c, struct hv_vcpu *v, struct vmx_vcpu *x)
{
	if (vmx_controls.vpid) {
		if (tag_take(&c->vpids, &v->tag, &v->tag_generation))
			c->flush_all = true;
		if (x->vpid != v->tag)
			vmwrite(VMCS_VPID, v->tag);
		x->vpid = v->tag;
	}
	v->tag_generation = c->vpids.generation;
	if (v->flush_wanted)
		invept(INVEPT_SINGLE, vmx_eptp(v->vm));
	v->flush_wanted = false;
}

/* Bits of DR6 that each #DB sets or clears; the others it only sets. */
#define DR6_BREAKPOINTS 0xfull

/* The event field does not set CR2 or DR6: they are part of the guest's state. Real mode has no
 * error codes, and the processor refuses them there. */
static void take_event(struct hv_vcpu *v)
{
	struct vcpu_event *e = &v->inject;

	if (e->kind == EVENT_EXCEPTION && e->vector == VEC_PF)
		write_cr2(e->payload);
	if (e->kind == EVENT_EXCEPTION && e->vector == VEC_DB) {
		write_dr6((read_dr6() & ~DR6_BREAKPOINTS) | e->payload);
		vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~DR7_GD);
	}
	if (e->kind == EVENT_NMI)
		v->nmi_blocked = false; /* the entry itself blocks them again */
	if (e->has_error && !(vmread(VMCS_GUEST_CR0) & CR0_PE))
		e->has_error = false;
	vmwrite(VMCS_ENTRY_EVENT, vmx_event_encode(e));
	if (e->has_error)
		vmwrite(VMCS_ENTRY_EVENT_ERROR, e->error);
	if (e->kind == EVENT_SOFT_INT)
		vmwrite(VMCS_ENTRY_INSN_LEN, e->insn_len);
	e->kind = EVENT_NONE;
}

/* An interrupt that waits for IF or the end of a shadow, one that the task priority holds back, an
 * NMI that waits for the end of the one before: each has its own exit. */
static void window_update(struct hv_vcpu *v, struct vmx_vcpu *x)
{
	uint32_t primary = vmx_controls.primary, threshold = 0;

	if (v->window_wanted && v->cr8 < v->window_class)
		primary |= PRIMARY_INTERRUPT_WINDOW;
	else if (v->window_wanted)
		threshold = v->window_class;
	if (v->nmi_window_wanted)
		primary |= PRIMARY_NMI_WINDOW;
	if (primary != x->primary)
		vmwrite(VMCS_PRIMARY_CONTROLS, primary);
	if (threshold != x->tpr_threshold)
		vmwrite(VMCS_TPR_THRESHOLD, threshold);
	x->primary = primary;
	x->tpr_threshold = threshold;
	v->window_armed = v->window_wanted || v->nmi_window_wanted;
}

/* The contract does not tell STI from MOV SS; where the processor did, its answer is kept. */
static void interruptibility_update(struct hv_vcpu *v, struct vmx_vcpu *x)
{
	uint32_t shadow = x->interruptibility & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);
	uint32_t now = v->nmi_blocked ? BLOCKED_BY_NMI : 0;

	if (v->irq_blocked && shadow)
		now |= shadow;
	else if (v->irq_blocked)
		now |= v->rflags & RFLAGS_IF ? BLOCKED_BY_STI : BLOCKED_BY_MOV_SS;
	if (now == x->interruptibility)
		return;
	vmwrite(VMCS_INTERRUPTIBILITY, now);
	/* a single-step trap that waited in the shadow was given with the instruction that was done
	 */
	vmwrite(VMCS_PENDING_DEBUG,
		v->irq_blocked && (v->rflags & RFLAGS_TF) ? PENDING_DEBUG_BS : 0);
	x->interruptibility = now;
}

/* What an entry seldom needs. */
static __cold __noinline void prepare_entry(struct hv_vcpu *v)
{
	struct vmx_cpu *c = vmx_cpu_of(v->cpu_pages);
	struct vmx_vcpu *x = vmx_vcpu_of(v);

	if (v->inject.kind != EVENT_NONE)
		take_event(v);
	interruptibility_update(v, x);
	*vmx_tpr(v) = (uint8_t)(v->cr8 << 4);
	if (v->window_wanted || v->nmi_window_wanted || v->window_armed)
		window_update(v, x);
	if (v->tsc_changed)
		vmwrite(VMCS_TSC_OFFSET, v->tsc_offset);
	v->tsc_changed = false;
	if (v->flush_wanted || v->tag_generation != c->vpids.generation)
		take_tag(c, v, x);
	if (c->flush_all) {
		invvpid(INVVPID_ALL);
		c->flush_all = false;
	}
}

void vmx_before_entry(struct hv_vcpu *v)
{
	struct vmx_cpu *c = vmx_cpu_of(v->cpu_pages);
	struct vmx_vcpu *x = vmx_vcpu_of(v);

	if (unlikely(v->attention || v->inject.kind != EVENT_NONE || x->interruptibility ||
		     v->tag_generation != c->vpids.generation || *vmx_tpr(v) >> 4 != v->cr8))
		prepare_entry(v);
	vmwrite(VMCS_GUEST_RIP, v->rip);
	if (unlikely(v->gpr[GPR_RSP] != x->rsp))
		vmwrite(VMCS_GUEST_RSP, v->gpr[GPR_RSP]);
	if (unlikely(v->rflags != x->rflags))
		vmwrite(VMCS_GUEST_RFLAGS, v->rflags);
}

/* No entry at all (VMfail), or one that was refused. The fields are as they were written for it. */
static __cold void entry_failed(struct hv_vcpu *v, struct vm_exit *exit, uint32_t reason)
{
	struct vmx_vcpu *x = vmx_vcpu_of(v);

	x->rsp = v->gpr[GPR_RSP];
	x->rflags = v->rflags;
	/* a machine check on the way in is no fault of the guest's */
	exit->kind =
		(reason & REASON_MASK) == REASON_ENTRY_MC ? EXIT_MACHINE_CHECK : EXIT_ENTRY_FAILED;
	exit->raw_code = reason;
	exit->raw_info1 = reason ? vmread(VMCS_QUALIFICATION) : vmread(VMCS_INSN_ERROR);
	v->irq_blocked = false;
}

/* An NMI is the host's: its handler is called as if it had come here. All exceptions but the
 * machine check are the guest's own. */
static void decode_event(struct hv_vcpu *v, struct vm_exit *exit)
{
	uint32_t info = (uint32_t)vmread(VMCS_EXIT_EVENT);
	uint32_t type = info >> EVENT_TYPE_SHIFT & EVENT_TYPE_MASK;

	if (type == EVENT_TYPE_NMI) {
		exit->kind = EXIT_HOST_EVENT;
		raise_nmi();
		return;
	}
	vmx_decode_exception(info, (uint32_t)vmread(VMCS_EXIT_EVENT_ERROR), exit->raw_info1, exit);
	/* INT1 traps, and yet the exit is before it */
	if (type == EVENT_TYPE_ICEBP) {
		v->rip += vmread(VMCS_EXIT_INSN_LEN);
		v->irq_blocked = false;
	} else if (exit->exception.vector == VEC_DB && v->irq_blocked && (v->rflags & RFLAGS_TF)) {
		/* the exit does not leave what an entry in this shadow wants to see (Intel SDM
		 * volume 3, "Checks on Guest Non-Register State") */
		vmwrite(VMCS_PENDING_DEBUG, vmread(VMCS_PENDING_DEBUG) | PENDING_DEBUG_BS);
	}
}

/* An IRET that faulted had ended the blocking of NMIs already, and will end it again (Intel SDM
 * volume 3, "Information About NMI Unblocking Due to IRET"). */
static bool nmi_unblocked(const struct vm_exit *exit, uint32_t reason)
{
	if (reason == REASON_EPT_VIOLATION)
		return exit->raw_info1 & EPT_ACCESS_NMI_UNBLOCKING;
	return reason == REASON_EXCEPTION && (vmread(VMCS_EXIT_EVENT) & EVENT_NMI_UNBLOCKING);
}

/* A page fault wrote CR2 before its delivery began, and a debug exception DR6; delivering it again
 * writes the same again. */
static uint64_t payload_of(const struct vcpu_event *e)
{
	if (e->kind != EVENT_EXCEPTION)
		return 0;
	if (e->vector == VEC_PF)
		return read_cr2();
	return e->vector == VEC_DB ? read_dr6() & DR6_BREAKPOINTS : 0;
}

/* Exits that do not come from an instruction that is to be done for the guest, or may have cut off
 * the delivery of an event. */
static __noinline void decode_rest(struct hv_vcpu *v, struct vm_exit *exit, uint32_t reason)
{
	uint32_t vectoring = (uint32_t)vmread(VMCS_VECTORING);

	exit->insn_len = 0;
	exit->raw_code = reason;
	exit->raw_info1 = vmread(VMCS_QUALIFICATION);
	exit->kind = (uint8_t)vmx_exit_kind(reason);
	if (unlikely(vectoring & EVENT_VALID)) {
		exit->interrupted =
			vmx_event_decode(vectoring, (uint32_t)vmread(VMCS_VECTORING_ERROR));
		exit->interrupted.payload = payload_of(&exit->interrupted);
		v->inject = exit->interrupted;
	} else if (unlikely(nmi_unblocked(exit, reason))) {
		v->nmi_blocked = true;
	}
	switch (reason) {
	case REASON_EPT_VIOLATION:
		vmx_decode_memory(exit->raw_info1, vmread(VMCS_GUEST_PHYSICAL), exit);
		exit->memory.delivery = vectoring & EVENT_VALID;
		vmx_code_of(v, &exit->code);
		return;
	case REASON_EXCEPTION:
		decode_event(v, exit);
		return;
	case REASON_RDPMC: /* of a counter that there is not */
		exit->refused.protection = true;
		return;
	case REASON_TASK_SWITCH:
		if (!(vectoring & EVENT_VALID))
			exit->interrupted = (struct vcpu_event){0};
		vmx_decode_task_switch(exit->raw_info1, (uint32_t)vmread(VMCS_EXIT_INSN_LEN), exit);
		return;
	case REASON_CR:
		exit->insn_len = (uint8_t)vmread(VMCS_EXIT_INSN_LEN);
		vmx_decode_cr(exit->raw_info1, exit);
		return;
	default:
		exit->refused.protection = false;
		exit->insn_len = (uint8_t)vmread(VMCS_EXIT_INSN_LEN);
		return;
	}
}

void vmx_after_exit(struct hv_vcpu *v, struct vm_exit *exit, bool failed)
{
	struct vmx_vcpu *x = vmx_vcpu_of(v);
	uint32_t reason = failed ? 0 : (uint32_t)vmread(VMCS_EXIT_REASON);

	if (unlikely(failed || (reason & REASON_ENTRY_FAILED))) {
		entry_failed(v, exit, reason);
		return;
	}
	v->launched = true;
	v->rip = vmread(VMCS_GUEST_RIP);
	v->gpr[GPR_RSP] = x->rsp = vmread(VMCS_GUEST_RSP);
	v->rflags = x->rflags = vmread(VMCS_GUEST_RFLAGS);
	v->cr8 = *vmx_tpr(v) >> 4;
	v->blocked = 0;
	x->interruptibility = (uint32_t)vmread(VMCS_INTERRUPTIBILITY);
	if (unlikely(x->interruptibility)) {
		v->irq_blocked = x->interruptibility & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);
		v->nmi_blocked = x->interruptibility & BLOCKED_BY_NMI;
	}
	/* the frequent kinds: instructions, which cut no event off */
	if (reason == REASON_IO) {
		vmx_decode_io(vmread(VMCS_QUALIFICATION), exit);
	} else if (reason == REASON_RDMSR || reason == REASON_WRMSR) {
		exit->kind = EXIT_MSR;
		exit->msr.write = reason == REASON_WRMSR;
	} else if (reason == REASON_CPUID) {
		exit->kind = EXIT_CPUID;
	} else if (reason == REASON_VMCALL) {
		exit->kind = EXIT_HYPERCALL;
		exit->hypercall.vmmcall = false;
	} else {
		decode_rest(v, exit, reason);
		return;
	}
	exit->insn_len = (uint8_t)vmread(VMCS_EXIT_INSN_LEN);
}

const struct hv_ops vmx_ops = {
	.name = "Intel VMX",
	.cpu_pages = VMX_CPU_PAGES,
	.vm_pages = VMX_VM_PAGES,
	.vcpu_pages = VMX_VCPU_PAGES,
	.slpt = &ept_format,
	.probe = vmx_probe,
	.cpu_on = vmx_cpu_on,
	.cpu_off = vmx_cpu_off,
	.vm_init = vmx_permissions_init,
	.vm_allow_msr = vmx_allow_msr,
	.vm_allow_port = vmx_allow_port,
	.vcpu_init = vmx_vcpu_init,
	.vcpu_load = vmx_vcpu_load,
	.vcpu_put = vmx_vcpu_put,
	.run = vmx_run,
	.get_state = vmx_get_state,
	.set_state = vmx_set_state,
	.get_code = vmx_code_of,
	.get_segment = vmx_get_segment,
	.get_cr = vmx_get_cr,
	.set_cr = vmx_set_cr,
	.set_pdptes = vmx_set_pdptes,
	.get_efer = vmx_get_efer,
	.set_efer = vmx_set_efer,
	.explain = vmx_explain,
	.dump = vmx_dump,
};
