/*
 * Does each operation that exits 1000 times, and prints the ticks that one takes: under QEMU's -icount
 * these are instructions, the guest's own loop (two of them) included.
 */
#include "guest.h"

#define IPI 0x41 /* a vector */

#ifdef LONG
#define GATE_SIZE 16
#define IRET	  iretq
#else
#define GATE_SIZE 8
#define IRET	  iret
#endif

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
	/* In x2APIC mode: asks itself for an interrupt, which comes at once, and whose handler ends it. */
	.macro DO_SELF_IPI
	mov $0x83f, %ecx
	mov $IPI, %eax
	xor %edx, %edx
	wrmsr
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
	call x2apic_begin
	MEASURE x2apic-self-ipi, sti, DO_SELF_IPI
	cli
	xor %eax, %eax
	ret

/* The gate of IPI, and the local APIC on, in x2APIC mode. */
x2apic_begin:
#ifdef LONG
	xor %eax, %eax
	mov %eax, %ss /* not the loader's: IRET loads it again, and its descriptor table is gone */
#endif
	mov $ipi, %eax
	mov $idt + IPI * GATE_SIZE, %ebx
	mov %ax, (BX)
	mov %cs, %ecx
	mov %cx, 2(BX)
	movw $0x8e00, 4(BX) /* an interrupt gate */
	shr $16, %eax
	mov %ax, 6(BX)
	mov $idt_pointer, %ebx
	lidt (BX)
	mov $0x1b, %ecx
	rdmsr
	or $0xc00, %eax
	wrmsr
	mov $0x80f, %ecx
	mov $0x1ff, %eax
	xor %edx, %edx
	wrmsr
	ret

ipi:
	mov $0x80b, %ecx /* EOI */
	xor %eax, %eax
	xor %edx, %edx
	wrmsr
	IRET

	.section .data
	.balign 8
idt_pointer:
	.short (IPI + 1) * GATE_SIZE - 1
	.long idt
	.long 0
	.section .bss
	.balign 16
idt:	.skip (IPI + 1) * GATE_SIZE
	.section .text

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
