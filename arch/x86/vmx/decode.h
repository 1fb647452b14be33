/*
 * The pure parts of the VMX back end's run loop: decoding an exit, coding an event.
 */
#ifndef ARCH_X86_VMX_DECODE_H
#define ARCH_X86_VMX_DECODE_H

#include "arch/x86/hv.h"
#include "arch/x86/vmx/vmcs.h"

/* The neutral kind of a basic exit reason. */
enum exit_kind vmx_exit_kind(uint32_t reason);

static inline void vmx_decode_io(uint64_t qualification, struct vm_exit *exit)
{
	exit->kind = EXIT_IO;
	exit->io.port = (uint16_t)(qualification >> IO_ACCESS_PORT_SHIFT);
	exit->io.size = (uint8_t)((qualification & IO_ACCESS_SIZE) + 1);
	exit->io.flags = (uint8_t)((qualification & IO_ACCESS_IN ? IO_IN : 0) |
				   (qualification & IO_ACCESS_STRING ? IO_STRING : 0) |
				   (qualification & IO_ACCESS_REP ? IO_REP : 0));
}

/* A read that is written back is reported as both: what counts is the write. */
static inline void vmx_decode_memory(uint64_t qualification, uint64_t gpa, struct vm_exit *exit)
{
	unsigned access;

	if (qualification & EPT_ACCESS_FETCH)
		access = ACCESS_EXEC;
	else
		access = qualification & EPT_ACCESS_WRITE ? ACCESS_WRITE : ACCESS_READ;
	if (qualification & EPT_ACCESS_PRESENT)
		access |= ACCESS_PRESENT;
	if ((qualification & EPT_ACCESS_LINEAR) && !(qualification & EPT_ACCESS_TRANSLATED))
		access |= ACCESS_WALK;
	exit->kind = EXIT_MEMORY;
	exit->memory.gpa = GPA(gpa);
	exit->memory.access = (uint8_t)access;
}

void vmx_decode_cr(uint64_t qualification, struct vm_exit *exit);

/* After `interrupted` is filled. */
void vmx_decode_task_switch(uint64_t qualification, uint32_t insn_len, struct vm_exit *exit);

/* `info`, `error`: of the exit's event. The qualification of a #PF is its address, of a #DB the
 * bits for DR6. */
void vmx_decode_exception(uint32_t info, uint32_t error, uint64_t qualification,
			  struct vm_exit *exit);

/* The entry-event field that delivers `e`; the error code stands in a field of its own. */
uint32_t vmx_event_encode(const struct vcpu_event *e);

/* The event whose delivery was cut off. Software interrupts and exceptions are none: RIP still
 * points at the instruction, which simply executes again. */
struct vcpu_event vmx_event_decode(uint32_t info, uint32_t error);

#endif
