/*
 * The world switch.
 *
 * void svm_enter(struct hv_vcpu *v, uint64_t vmcb_pa, uint64_t host_vmcb_pa)
 *                rdi                rsi               rdx
 *
 * GIF is clear from before the guest's state is loaded until the host's is back, so that no
 * interrupt or NMI ever runs on the guest's GS, TR or SYSCALL MSRs. Inside, IF is set: with
 * V_INTR_MASKING it is the host's IF at VMRUN that lets a physical interrupt end the guest.
 *
 * Source: AMD64 Architecture Programmer's Manual, volume 2, "VMRUN Instruction", "Global Interrupt
 * Flag, STGI and CLGI Instructions".
 */
#include "offsets.h"

#define GPR(n) (HV_VCPU_GPR + 8 * (n))

	.section .text
	.globl svm_enter
	.type svm_enter, @function
svm_enter:
	push %rbp
	mov %rsp, %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	push %rdx
	push %rdi

	clgi
	mov %rsi, %rax
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
	sti
	vmrun %rax
	cli
	/* RAX is the VMCB's address again, RSP the host's; all else is the guest's. */
	vmsave %rax
	mov (%rsp), %rax
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
	mov 8(%rsp), %rax
	vmload %rax

	/* No value of the guest's stays where speculation could use it: the callee-saved registers are the
	 * host's again, the others are cleared. */
	mov 16(%rsp), %r15
	mov 24(%rsp), %r14
	mov 32(%rsp), %r13
	mov 40(%rsp), %r12
	mov 48(%rsp), %rbx
	mov 56(%rsp), %rbp
	xor %ecx, %ecx
	xor %edx, %edx
	xor %esi, %esi
	xor %edi, %edi
	xor %r8d, %r8d
	xor %r9d, %r9d
	xor %r10d, %r10d
	xor %r11d, %r11d

	/* Nor a return address in the return stack: 32 calls that never return there. */
	cmpb $0, mitigations+MITIGATIONS_RSB_FILL(%rip)
	je 2f
	.rept 32
	call 1f
	int3
1:
	.endr
	add $(32 * 8), %rsp
	lfence
2:
	stgi
	add $64, %rsp
	ret
	.size svm_enter, . - svm_enter

	.section .note.GNU-stack, "", @progbits
