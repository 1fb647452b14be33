/*
 * The way into a guest and back.
 *
 * void svm_run(struct hv_vcpu *v, struct vm_exit *exit)
 *              rdi                rsi
 *
 * svm_before_entry() and svm_after_exit() do in C what is no world switch. GIF is clear from before the
 * guest's state is loaded until the host's is back, so that no interrupt or NMI ever runs on the guest's
 * GS, TR or SYSCALL MSRs. Inside, IF is set: with V_INTR_MASKING it is the host's IF at VMRUN that lets
 * a physical interrupt end the guest. STI stands well before VMRUN: QEMU's TCG would carry its shadow
 * into the guest's first instruction.
 *
 * The return stack: a guest leaves its own addresses in the processor's return stack. They would be
 * used by returns that have no call since the exit. There is one, the return from here, and it goes by
 * a call of its own; the caller's loop fills the return stack before it returns in its turn (rsb_fill()
 * in arch/x86/mitigations.h). All others have their calls.
 *
 * Source: AMD64 Architecture Programmer's Manual, volume 2, "VMRUN Instruction", "Global Interrupt
 * Flag, STGI and CLGI Instructions"; AMD, "Software Techniques for Managing Speculation".
 */
#include "offsets.h"

#define GPR(n) (HV_VCPU_GPR + 8 * (n))

	.section .text
	.globl svm_run
	.type svm_run, @function
svm_run:
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
	call svm_before_entry
	mov %rax, (%rsp) /* the host's VMCB */
	mov 8(%rsp), %rdi

	clgi
	sti
	mov HV_VCPU_PAGES_PA(%rdi), %rax
	vmload %rax
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
	vmrun %rax
	cli
	/* RAX is the VMCB's address again, RSP the host's; all else is the guest's. */
	vmsave %rax
	mov 8(%rsp), %rax
	mov %rcx, GPR(1)(%rax)
	mov %rdx, GPR(2)(%rax)
	mov %rbx, GPR(3)(%rax)
	mov %rbp, GPR(5)(%rax)
	mov %rsi, GPR(6)(%rax)
	mov %rdi, GPR(7)(%rax)
	mov %r8, GPR(8)(%rax)
	mov %r9, GPR(9)(%rax)
	mov %r10, GPR(10)(%rax)
	mov %r11, GPR(11)(%rax)
	mov %r12, GPR(12)(%rax)
	mov %r13, GPR(13)(%rax)
	mov %r14, GPR(14)(%rax)
	mov %r15, GPR(15)(%rax)
	/* No value of the guest's stays where speculation could use it: the callee-saved registers get
	 * the host's values back, the others are cleared. */
	mov %rax, %rdi
	mov (%rsp), %rax
	vmload %rax
	mov 16(%rsp), %rsi
	mov 24(%rsp), %r15
	mov 32(%rsp), %r14
	mov 40(%rsp), %r13
	mov 48(%rsp), %r12
	mov 56(%rsp), %rbx
	lea 64(%rsp), %rbp
	xor %ecx, %ecx
	xor %edx, %edx
	xor %r8d, %r8d
	xor %r9d, %r9d
	xor %r10d, %r10d
	xor %r11d, %r11d
	stgi
	call svm_after_exit
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
	.size svm_run, . - svm_run

	.section .note.GNU-stack, "", @progbits
