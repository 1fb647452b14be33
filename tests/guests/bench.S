/*
 * Does each operation that exits 1000 times, and prints the ticks that one takes: under QEMU's -icount
 * these are instructions, the guest's own loop (two of them) included.
 */
#include "guest.h"

	.macro MEASURE name, setup, op
	\setup
	\op /* once before: the first one fills caches */
	rdtsc
	mov %eax, %esi
	mov $1000, %edi
9:	\op
	dec %edi
	jnz 9b
	rdtsc
	sub %esi, %eax
	mov $8f, %esi
	call report
	.section .data
8:	.asciz "\name "
	.section .text
	.endm

	.macro DO_CPUID
	xor %eax, %eax
	cpuid
	.endm
	.macro DO_VMMCALL
	mov $9999, %eax
	vmmcall
	.endm
	.macro DO_VMCALL
	mov $9999, %eax
	vmcall
	.endm
	.macro DO_IN
	in $0x21, %al
	.endm
	.macro DO_LAPIC_READ
	mov 0x30(BX), %eax
	.endm
	.macro DO_TPR_WRITE
	movl $0, 0x80(BX)
	.endm
	.macro DO_RDMSR
	mov $0x3b, %ecx
	rdmsr
	.endm

main:
	MEASURE cpuid, nop, DO_CPUID
	call is_intel
	je 1f
	MEASURE hypercall, nop, DO_VMMCALL
	jmp 2f
1:	MEASURE hypercall, nop, DO_VMCALL
2:
	MEASURE in-0x21, nop, DO_IN
	MEASURE lapic-read, "mov $0xfee00000, %ebx", DO_LAPIC_READ
	MEASURE lapic-tpr-write, "mov $0xfee00000, %ebx", DO_TPR_WRITE
	MEASURE rdmsr-tsc-adjust, nop, DO_RDMSR
	xor %eax, %eax
	ret

/* EAX: ticks of 1000; ESI: the name. */
report:
	xor %edx, %edx
	mov $1000, %ecx
	div %ecx
	mov %eax, %edi
	call puts
	mov %edi, %eax
	call put_decimal
	mov $10, %al
	jmp putc
