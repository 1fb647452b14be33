/*
 * void clear_pages(void *pages, size_t size), see clear_pages.h. The stores pass by the caches.
 *
 * 16 bytes a store, which is half the work of REP STOSQ where each step of that counts. XMM0 holds whatever
 * guest's value is loaded, so it is given back; nothing that may interrupt this uses it.
 * No privileged instruction.
 */

	.text
	.globl clear_pages
	.type clear_pages, @function
clear_pages:
	pushq %rbp
	movq %rsp, %rbp
	subq $16, %rsp
	movups %xmm0, (%rsp)
	xorps %xmm0, %xmm0
	addq %rdi, %rsi
1:
	.irp offset, 0, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240
	movntps %xmm0, \offset(%rdi)
	.endr
	addq $256, %rdi
	cmpq %rsi, %rdi
	jne 1b
	sfence
	movups (%rsp), %xmm0
	leave
	ret
	.size clear_pages, . - clear_pages

	.section .note.GNU-stack, "", @progbits
