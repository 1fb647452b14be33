/*
 * Hardware task switches, for processors that leave them to the hypervisor: state saved to the old
 * task-state segment, loaded from the new one, with the checks and the exceptions of the
 * architecture. Pure.
 */
#ifndef GUESTS_TASK_SWITCH_H
#define GUESTS_TASK_SWITCH_H

#include "arch/x86/hv.h"
#include "mm/gmem.h"

struct task_switch {
	uint16_t selector; /* of the new TSS */
	uint8_t source;    /* enum task_switch_source */
	uint8_t insn_len;  /* what RIP is moved over for the old task: 0 for an event from outside
			    * it */
	/* what came by a task gate; EVENT_NONE: the program's own INT n, INT3 or INTO */
	struct vcpu_event event;
};

/*
 * Does the switch in `s`, a state outside long mode. `phys_bits` are those of the guest's physical
 * addresses. Returns the exception that the guest is to take next in the state that `s` then is:
 * the old task's, untouched, before the point where the switch is committed, the new task's after
 * it. EVENT_NONE: none. The event that was being delivered is gone either way; what its delivery
 * and the exception make together is for task_switch_combine().
 */
struct vcpu_event task_switch(struct gmem *mem, uint8_t phys_bits, const struct task_switch *t,
			      struct vcpu_state *s);

/* What a fault in the delivery of `first` comes to: itself, a double fault, or false: shutdown. */
bool task_switch_combine(const struct vcpu_event *first, struct vcpu_event *fault);

#endif
