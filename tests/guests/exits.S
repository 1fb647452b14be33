/*
 * Leaves the guest by exits of known kinds in a known order, each in a function of its own, and halts with
 * interrupts off. With the command line "forever" it reads a port again and again instead.
 */
#include "guest.h"

#define LAPIC 0xfee00000

main:
	mov boot_info, %ebx
	mov 16(%ebx), %eax
	cmpb $'f', (%eax)
	je forever
	call identify
	call ports
	call msrs
	call device_memory
	call ask_hypervisor
	cli
	hlt

identify:
	xor %eax, %eax
	xor %ecx, %ecx
	cpuid
	cmp $0x444d4163, %ecx /* "cAMD" */
	jne 1f
	movb $0xd9, which + 2 /* its hypercall is VMMCALL */
1:	mov $7, %eax
	mov $1, %ecx
	cpuid
	ret

ports:
	mov $0x5a, %al
	out %al, $0x80
	in $0x21, %al
	mov $0xcf8, %edx
	mov $0x80000000, %eax
	out %eax, %dx
	mov $0x80, %edx
	mov $letters, %esi
	outsb
	ret

msrs:
	mov $0x1b, %ecx
	rdmsr
	mov $0x3b, %ecx
	mov $0x12, %eax
	xor %edx, %edx
	wrmsr
	ret

device_memory:
	mov LAPIC + 0x30, %eax
	movl $0x20, LAPIC + 0x80
	ret

ask_hypervisor:
	mov $0x1234, %eax
which:	.byte 0x0f, 0x01, 0xc1
	ret

forever:
	in $0x21, %al
	jmp forever

	.section .data
letters: .ascii "letters"
	.section .text
