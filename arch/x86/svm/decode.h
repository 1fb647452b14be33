/*
 * The pure parts of the SVM back end: decoding an exit, coding an event.
 */
#ifndef ARCH_X86_SVM_DECODE_H
#define ARCH_X86_SVM_DECODE_H

#include "arch/x86/hv.h"
#include "arch/x86/svm/vmcb.h"

/* The parts of svm_decode() that are not on the usual way. */
void svm_decode_interrupted(const struct vmcb *b, struct vm_exit *exit) __cold;
void svm_decode_other(const struct vmcb *b, struct vm_exit *exit);

static inline void svm_decode_io(const struct vmcb *b, struct vm_exit *exit)
{
	uint64_t info = b->exit_info1;

	exit->kind = EXIT_IO;
	exit->io.port = (uint16_t)(info >> IOIO_PORT_SHIFT);
	exit->io.size = info >> IOIO_SIZE_SHIFT & 7;
	exit->io.flags = info & (IOIO_IN | IOIO_STRING | IOIO_REP); /* the neutral ones alike */
	/* EXITINFO2 is the next RIP on every CPU with SVM, whether it has NRIPS or not. */
	exit->insn_len = (uint8_t)(b->exit_info2 - b->rip);
}

static inline void svm_decode_memory(const struct vmcb *b, struct vm_exit *exit)
{
	uint64_t info = b->exit_info1;
	unsigned access;

	if (info & NPF_FETCH)
		access = ACCESS_EXEC;
	else
		access = info & NPF_WRITE ? ACCESS_WRITE : ACCESS_READ;
	if (info & NPF_PRESENT)
		access |= ACCESS_PRESENT;
	if (info & NPF_TABLE_WALK)
		access |= ACCESS_WALK;
	exit->kind = EXIT_MEMORY;
	exit->insn_len = 0;
	exit->memory.gpa = GPA(b->exit_info2);
	exit->memory.access = (uint8_t)access;
	exit->memory.delivery = b->exit_int_info & EVENT_VALID;
}

/* What every exit has. A CPU without NRIPS leaves the next RIP as the VMCB was made: 0. */
static inline void svm_decode_common(const struct vmcb *b, struct vm_exit *exit)
{
	exit->insn_len = b->next_rip ? (uint8_t)(b->next_rip - b->rip) : 0;
}

/* The frequent kinds; false: it is another. */
static inline bool svm_decode_frequent(const struct vmcb *b, struct vm_exit *exit)
{
	uint64_t code = b->exit_code;

	if (code == VMEXIT_IOIO) {
		svm_decode_io(b, exit);
	} else if (code == VMEXIT_NPF) {
		svm_decode_memory(b, exit);
	} else if (code == VMEXIT_MSR) {
		exit->kind = EXIT_MSR;
		exit->msr.write = b->exit_info1 & 1;
	} else if (code == VMEXIT_CPUID) {
		exit->kind = EXIT_CPUID;
	} else if (code == VMEXIT_VMMCALL) {
		exit->kind = EXIT_HYPERCALL;
		exit->hypercall.vmmcall = true;
	} else {
		return false;
	}
	return true;
}

/* Turns the VMCB's exit fields into the neutral record. */
static inline void svm_decode(const struct vmcb *b, struct vm_exit *exit)
{
	svm_decode_common(b, exit);
	exit->interrupted.kind = EVENT_NONE;
	if (b->exit_int_info & EVENT_VALID)
		svm_decode_interrupted(b, exit);
	if (!svm_decode_frequent(b, exit))
		svm_decode_other(b, exit);
}

/* The EVENTINJ value that delivers `e`. */
uint64_t svm_event_encode(const struct vcpu_event *e);
struct vcpu_event svm_event_decode(uint64_t info);

#endif
