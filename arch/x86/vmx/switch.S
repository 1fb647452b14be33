/*
 * The way into a guest and back.
 *
 * void vmx_run(struct hv_vcpu *v, struct vm_exit *exit)
 *              rdi                rsi
 *
 * vmx_before_entry() and vmx_after_exit() do in C what is no world switch. An exit loads the host's
 * segments, descriptor tables, CR3, RSP and RIP from the VMCS, so that nothing of the host ever runs on
 * the guest's; interrupts are off all the way, and one that is pending ends the guest whatever IF says.
 *
 * The return stack: a guest leaves its own addresses in the processor's return stack. They would be
 * used by returns that have no call since the exit. There is one, the return from here, and it goes by
 * a call of its own; the caller's loop fills the return stack before it returns in its turn (rsb_fill()
 * in arch/x86/mitigations.h). All others have their calls.
 *
 * Source: Intel SDM volume 3, "VM Entries", "VM Exits".
 */
#include "offsets.h"

#define GPR(n) (HV_VCPU_GPR + 8 * (n))
#define FIELD_HOST_RSP 0x6c14

	.section .text
	.globl vmx_run
	.type vmx_run, @function
vmx_run:
	push %rbp
	mov %rsp, %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	push %rsi
	push %rdi
	sub $8, %rsp
	call vmx_before_entry
	mov 8(%rsp), %rdi

	/* where an exit comes to: the same place as long as the vCPU stays in one loop */
	cmp %rsp, HV_VCPU_HOST_STACK(%rdi)
	je 1f
	mov %rsp, HV_VCPU_HOST_STACK(%rdi)
	mov $FIELD_HOST_RSP, %eax
	vmwrite %rsp, %rax
1:	cmpb $0, mitigations + MITIGATIONS_VERW
	je 1f
	/* overwrites the processor's buffers; any selector of a writable segment will do */
	movw %ss, (%rsp)
	verw (%rsp)
1:	cmpb $0, HV_VCPU_LAUNCHED(%rdi)
	mov GPR(0)(%rdi), %rax
	mov GPR(1)(%rdi), %rcx
	mov GPR(2)(%rdi), %rdx
	mov GPR(3)(%rdi), %rbx
	mov GPR(5)(%rdi), %rbp
	mov GPR(6)(%rdi), %rsi
	mov GPR(8)(%rdi), %r8
	mov GPR(9)(%rdi), %r9
	mov GPR(10)(%rdi), %r10
	mov GPR(11)(%rdi), %r11
	mov GPR(12)(%rdi), %r12
	mov GPR(13)(%rdi), %r13
	mov GPR(14)(%rdi), %r14
	mov GPR(15)(%rdi), %r15
	mov GPR(7)(%rdi), %rdi
	je 1f
	vmresume
	jmp 2f
1:	vmlaunch
	/* The processor did not take the VMCS: registers and stack are as they were. */
2:	mov 8(%rsp), %rdi
	mov $1, %edx
	jmp 3f

	.globl vmx_exit_entry
vmx_exit_entry:
	/* RSP is the host's; all else is the guest's. */
	mov %rdi, (%rsp)
	mov 8(%rsp), %rdi
	mov %rax, GPR(0)(%rdi)
	mov %rcx, GPR(1)(%rdi)
	mov %rdx, GPR(2)(%rdi)
	mov %rbx, GPR(3)(%rdi)
	mov %rbp, GPR(5)(%rdi)
	mov %rsi, GPR(6)(%rdi)
	mov %r8, GPR(8)(%rdi)
	mov %r9, GPR(9)(%rdi)
	mov %r10, GPR(10)(%rdi)
	mov %r11, GPR(11)(%rdi)
	mov %r12, GPR(12)(%rdi)
	mov %r13, GPR(13)(%rdi)
	mov %r14, GPR(14)(%rdi)
	mov %r15, GPR(15)(%rdi)
	mov (%rsp), %rax
	mov %rax, GPR(7)(%rdi)
	xor %edx, %edx
	/* No value of the guest's stays where speculation could use it: the callee-saved registers get
	 * the host's values back, the others are cleared. */
3:	mov 16(%rsp), %rsi
	mov 24(%rsp), %r15
	mov 32(%rsp), %r14
	mov 40(%rsp), %r13
	mov 48(%rsp), %r12
	mov 56(%rsp), %rbx
	lea 64(%rsp), %rbp
	xor %eax, %eax
	xor %ecx, %ecx
	xor %r8d, %r8d
	xor %r9d, %r9d
	xor %r10d, %r10d
	xor %r11d, %r11d
	call vmx_after_exit
	mov (%rbp), %rcx
	add $72, %rsp
	mov %rcx, %rbp
	pop %rcx
	/* return to RCX, whatever the return stack holds */
	call 2f
1:	pause
	lfence
	jmp 1b
2:	mov %rcx, (%rsp)
	ret
	.size vmx_run, . - vmx_run

	.section .note.GNU-stack, "", @progbits
