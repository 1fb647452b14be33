/* Decoding of VMX exits; see decode.h. Pure. */
#include "arch/x86/vmx/decode.h"

/* B0 to B3, BD, BS */
#define DR6_CAUSES 0x600full

enum exit_kind vmx_exit_kind(uint32_t reason)
{
	/* EXIT_HOST_EVENT is 0: what is not named here is said to be unknown by a 0 in `known` */
	static const struct {
		bool known;
		uint8_t kind;
	} kinds[] = {
		[REASON_EXCEPTION] = {true, EXIT_EXCEPTION},
		[REASON_INTERRUPT] = {true, EXIT_HOST_EVENT},
		[REASON_TRIPLE_FAULT] = {true, EXIT_SHUTDOWN},
		[REASON_INIT] = {true, EXIT_INIT},
		[REASON_SIPI] = {true, EXIT_INIT},
		[REASON_INTERRUPT_WINDOW] = {true, EXIT_WINDOW},
		[REASON_NMI_WINDOW] = {true, EXIT_WINDOW},
		[REASON_TASK_SWITCH] = {true, EXIT_TASK_SWITCH},
		[REASON_CPUID] = {true, EXIT_CPUID},
		[REASON_GETSEC] = {true, EXIT_REFUSED},
		[REASON_HLT] = {true, EXIT_HALT},
		[REASON_INVD] = {true, EXIT_CACHE},
		[REASON_RDPMC] = {true, EXIT_REFUSED},
		[REASON_RSM] = {true, EXIT_REFUSED},
		[REASON_VMCALL] = {true, EXIT_HYPERCALL},
		[REASON_VMCLEAR... REASON_VMXON] = {true, EXIT_REFUSED},
		[REASON_CR] = {true, EXIT_CONTROL_REG},
		[REASON_IO] = {true, EXIT_IO},
		[REASON_RDMSR] = {true, EXIT_MSR},
		[REASON_WRMSR] = {true, EXIT_MSR},
		[REASON_BAD_GUEST_STATE] = {true, EXIT_ENTRY_FAILED},
		[REASON_BAD_MSR_LOAD] = {true, EXIT_ENTRY_FAILED},
		[REASON_MWAIT] = {true, EXIT_REFUSED},
		[REASON_MONITOR] = {true, EXIT_REFUSED},
		[REASON_PAUSE] = {true, EXIT_PAUSE},
		[REASON_ENTRY_MC] = {true, EXIT_ENTRY_FAILED},
		[REASON_TPR_THRESHOLD] = {true, EXIT_WINDOW},
		[REASON_EPT_VIOLATION] = {true, EXIT_MEMORY},
		[REASON_INVEPT] = {true, EXIT_REFUSED},
		[REASON_TIMER] = {true, EXIT_HOST_EVENT},
		[REASON_INVVPID] = {true, EXIT_REFUSED},
		[REASON_WBINVD] = {true, EXIT_CACHE},
		[REASON_XSETBV] = {true, EXIT_XSETBV},
		[REASON_VMFUNC] = {true, EXIT_REFUSED},
		[REASON_ENCLS] = {true, EXIT_REFUSED},
		[REASON_SEAMCALL] = {true, EXIT_REFUSED},
		[REASON_TDCALL] = {true, EXIT_REFUSED},
	};

	if (reason >= ARRAY_SIZE(kinds) || !kinds[reason].known)
		return EXIT_UNKNOWN;
	return kinds[reason].kind;
}

/* Only moves to CR0 and CR4 are made to exit: CLTS and LMSW concern no bit that is the host's. */
void vmx_decode_cr(uint64_t qualification, struct vm_exit *exit)
{
	unsigned type = qualification >> CR_ACCESS_TYPE_SHIFT & 3;

	exit->kind = EXIT_CONTROL_REG;
	exit->control.cr = qualification & CR_ACCESS_NUMBER;
	exit->control.write = type != CR_ACCESS_MOV_FROM;
	exit->control.decode = type == CR_ACCESS_CLTS || type == CR_ACCESS_LMSW;
	exit->control.gpr = qualification >> CR_ACCESS_GPR_SHIFT & 15;
}

/* "Exit Qualification for Task Switches": the neutral sources are numbered alike. */
void vmx_decode_task_switch(uint64_t qualification, uint32_t insn_len, struct vm_exit *exit)
{
	bool event = exit->interrupted.kind != EVENT_NONE;

	exit->task_switch.selector = (uint16_t)qualification;
	exit->task_switch.source = qualification >> TASK_SWITCH_SOURCE_SHIFT & 3;
	exit->insn_len = event ? 0 : (uint8_t)insn_len;
}

/* The address of a #PF; the causes of a #DB, as in DR6. */
static uint64_t payload_of(uint8_t vector, uint64_t qualification)
{
	if (vector == VEC_PF)
		return qualification;
	return vector == VEC_DB ? qualification & DR6_CAUSES : 0;
}

void vmx_decode_exception(uint32_t info, uint32_t error, uint64_t qualification,
			  struct vm_exit *exit)
{
	uint8_t vector = (uint8_t)info;

	exit->kind = vector == VEC_MC ? EXIT_MACHINE_CHECK : EXIT_EXCEPTION;
	exit->exception.vector = vector;
	exit->exception.has_error = info & EVENT_ERROR_VALID;
	exit->exception.error = exit->exception.has_error ? error : 0;
	exit->exception.payload = payload_of(vector, qualification);
}

uint32_t vmx_event_encode(const struct vcpu_event *e)
{
	static const uint8_t type[] = {
		[EVENT_INTERRUPT] = EVENT_TYPE_INTR,
		[EVENT_NMI] = EVENT_TYPE_NMI,
		[EVENT_EXCEPTION] = EVENT_TYPE_EXCEPTION,
		[EVENT_SOFT_INT] = EVENT_TYPE_SOFT_INT,
	};

	return EVENT_VALID | (uint32_t)type[e->kind] << EVENT_TYPE_SHIFT | e->vector |
	       (e->has_error ? EVENT_ERROR_VALID : 0);
}

struct vcpu_event vmx_event_decode(uint32_t info, uint32_t error)
{
	struct vcpu_event e = {.vector = (uint8_t)info};

	if (!(info & EVENT_VALID))
		return (struct vcpu_event){0};
	switch (info >> EVENT_TYPE_SHIFT & EVENT_TYPE_MASK) {
	case EVENT_TYPE_INTR:
		e.kind = EVENT_INTERRUPT;
		break;
	case EVENT_TYPE_NMI:
		e.kind = EVENT_NMI;
		break;
	case EVENT_TYPE_EXCEPTION:
		e.kind = EVENT_EXCEPTION;
		break;
	default:
		return (struct vcpu_event){0};
	}
	if (info & EVENT_ERROR_VALID) {
		e.has_error = true;
		e.error = error;
	}
	return e;
}
