/*
 * A vCPU's exit for a hardware task switch: its whole state is taken, changed by task_switch.c, and
 * set again. Rare enough for that. Privileged.
 */
#include "guests/task_switch.h"
#include "guests/vm.h"

static bool uses_pdptes(const struct vcpu_state *s)
{
	return (s->cr0 & CR0_PG) && (s->cr4 & CR4_PAE);
}

void vcpu_task_switch(struct vcpu *v, const struct vm_exit *exit)
{
	const struct task_switch t = {
		.selector = exit->task_switch.selector,
		.source = exit->task_switch.source,
		.insn_len = exit->insn_len,
		.event = exit->interrupted,
	};
	struct vcpu_event fault;
	struct vcpu_state s;
	struct reason why;

	hv->get_state(&v->hv, &s);
	/* the event is delivered by the switch, or gone with the fault; and NMIs are blocked from
	 * the recognition of one to the next IRET, whether that ends in another task or not */
	v->hv.inject.kind = EVENT_NONE;
	if (t.event.kind == EVENT_NMI)
		s.nmi_blocked = true;
	else if (t.source == TASK_SWITCH_IRET)
		s.nmi_blocked = false;
	fault = task_switch(&v->vm->mem, v->hv.phys_bits, &t, &s);
	if (fault.kind != EVENT_NONE && !task_switch_combine(&t.event, &fault)) {
		vm_end(v->vm, VM_END_CRASH, 0,
		       "it ran into a triple fault in a task switch at RIP 0x%llx",
		       (unsigned long long)v->hv.rip);
		return;
	}
	if (hv->set_state(&v->hv, &s, &why)) {
		vm_end(v->vm, VM_END_CRASH, 0, "a task switch to TSS 0x%x gave no valid state: %s",
		       t.selector, why.text);
		return;
	}
	if (uses_pdptes(&s) && !vcpu_load_pdptes(v))
		fault = (struct vcpu_event){
			.kind = EVENT_EXCEPTION, .vector = VEC_GP, .has_error = true};
	v->hv.inject = fault;
	v->look = true; /* IF and the shadow may be others */
}
