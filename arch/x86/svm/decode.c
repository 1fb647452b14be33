/* Decoding of SVM exits; see decode.h. Pure. */
#include "arch/x86/svm/decode.h"

uint64_t svm_event_encode(const struct vcpu_event *e)
{
	static const uint8_t type[] = {
		[EVENT_INTERRUPT] = EVENT_TYPE_INTR,
		[EVENT_NMI] = EVENT_TYPE_NMI,
		[EVENT_EXCEPTION] = EVENT_TYPE_EXCEPTION,
		[EVENT_SOFT_INT] = EVENT_TYPE_SOFT,
	};
	uint64_t v = EVENT_VALID | (uint64_t)type[e->kind] << EVENT_TYPE_SHIFT | e->vector;

	if (e->has_error)
		v |= EVENT_ERROR_VALID | (uint64_t)e->error << EVENT_ERROR_SHIFT;
	return v;
}

struct vcpu_event svm_event_decode(uint64_t info)
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
		/* INT3 and INTO are reported as exceptions; like INT n they simply execute again,
		 * because RIP still points at them. */
		if (e.vector == VEC_BP || e.vector == VEC_OF)
			return (struct vcpu_event){0};
		e.kind = EVENT_EXCEPTION;
		break;
	default: /* INT n: RIP still points at it, so it executes again */
		return (struct vcpu_event){0};
	}
	if (info & EVENT_ERROR_VALID) {
		e.has_error = true;
		e.error = (uint32_t)(info >> EVENT_ERROR_SHIFT);
	}
	return e;
}

static void decode_control(const struct vmcb *b, bool write, struct vm_exit *exit)
{
	exit->kind = EXIT_CONTROL_REG;
	exit->control.cr = b->exit_code & 15;
	exit->control.write = write;
	exit->control.decode = !(b->exit_info1 & CR_INFO_MOV);
	exit->control.gpr = b->exit_info1 & 15;
}

static void decode_exception(const struct vmcb *b, struct vm_exit *exit)
{
	uint8_t vector = (uint8_t)(b->exit_code - VMEXIT_EXCEPTION);
	/* #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP push an error code */
	static const uint32_t with_error = BIT32(VEC_DF) | BIT32(VEC_TS) | BIT32(VEC_NP) |
					   BIT32(VEC_SS) | BIT32(VEC_GP) | BIT32(VEC_PF) |
					   BIT32(VEC_AC) | BIT32(VEC_CP);

	exit->kind = vector == VEC_MC ? EXIT_MACHINE_CHECK : EXIT_EXCEPTION;
	exit->exception.vector = vector;
	exit->exception.has_error = with_error >> vector & 1;
	exit->exception.error = (uint32_t)b->exit_info1;
	exit->exception.payload = vector == VEC_PF ? b->exit_info2 : 0;
}

void svm_decode_interrupted(const struct vmcb *b, struct vm_exit *exit)
{
	exit->interrupted = svm_event_decode(b->exit_int_info);
	/* a page fault wrote CR2 before its delivery began, and delivering it again writes it again
	 */
	if (exit->interrupted.kind == EVENT_EXCEPTION && exit->interrupted.vector == VEC_PF)
		exit->interrupted.payload = b->cr2;
}

void svm_decode_other(const struct vmcb *b, struct vm_exit *exit)
{
	exit->raw_code = b->exit_code;
	exit->raw_info1 = b->exit_info1;
	switch (b->exit_code) {
	case VMEXIT_INTR:
	case VMEXIT_NMI:
	case VMEXIT_SMI:
		exit->kind = EXIT_HOST_EVENT;
		return;
	case VMEXIT_VINTR:
	case VMEXIT_IRET:
		exit->kind = EXIT_WINDOW;
		return;
	case VMEXIT_HLT:
		exit->kind = EXIT_HALT;
		return;
	case VMEXIT_PAUSE:
		exit->kind = EXIT_PAUSE;
		return;
	case VMEXIT_XSETBV:
		exit->kind = EXIT_XSETBV;
		return;
	case VMEXIT_INVD:
	case VMEXIT_WBINVD:
		exit->kind = EXIT_CACHE;
		return;
	case VMEXIT_SHUTDOWN:
		exit->kind = EXIT_SHUTDOWN;
		return;
	case VMEXIT_INIT:
		exit->kind = EXIT_INIT;
		return;
	case VMEXIT_INVALID:
		exit->kind = EXIT_ENTRY_FAILED;
		return;
	case VMEXIT_RDPMC: /* of a counter that there is not */
		exit->kind = EXIT_REFUSED;
		exit->refused.protection = true;
		return;
	case VMEXIT_RSM:
	case VMEXIT_INVLPGA:
	case VMEXIT_VMRUN:
	case VMEXIT_VMLOAD:
	case VMEXIT_VMSAVE:
	case VMEXIT_STGI:
	case VMEXIT_CLGI:
	case VMEXIT_SKINIT:
	case VMEXIT_MONITOR:
	case VMEXIT_MWAIT:
	case VMEXIT_MWAIT_ARMED:
	case VMEXIT_RDPRU:
	case VMEXIT_INVLPGB:
	case VMEXIT_INVLPGB_BAD:
	case VMEXIT_MCOMMIT:
	case VMEXIT_TLBSYNC:
		exit->kind = EXIT_REFUSED;
		exit->refused.protection = false;
		return;
	case VMEXIT_CR_READ ... VMEXIT_CR_READ + 15:
		decode_control(b, false, exit);
		return;
	case VMEXIT_CR_WRITE ... VMEXIT_CR_WRITE + 15:
		decode_control(b, true, exit);
		return;
	case VMEXIT_EXCEPTION ... VMEXIT_EXCEPTION + 31:
		decode_exception(b, exit);
		return;
	default:
		exit->kind = EXIT_UNKNOWN;
		return;
	}
}
