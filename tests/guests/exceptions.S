/*
 * Takes three million #UD, each handled by the guest itself, while the host's interrupts take it off its
 * core at any instruction. Ends with 1 if the stack does not come out even, which it does not when an exit
 * between an exception and its handler forgets that the exception was delivered; with 2 if one was lost or
 * came twice.
 */
#include "guest.h"

#define TIMES 3000000

main:
	cli
	/* a gate for vector 6, in a table that ends with it */
	mov $ud, %eax
	mov %eax, idt + 6 * 8
	shr $16, %eax
	mov %ax, idt + 6 * 8 + 6
	movw $8, idt + 6 * 8 + 2
	movw $0x8e00, idt + 6 * 8 + 4
	lgdt flat_gdt_pointer
	ljmp $8, $1f
1:	mov $16, %eax
	mov %eax, %ss
	lidt idt_pointer
	xor %edi, %edi
	mov %esp, %ebp
	mov $TIMES, %ecx
1:	ud2
	loop 1b
	mov $1, %eax
	cmp %esp, %ebp
	jne 2f
	inc %eax
	cmp $TIMES, %edi
	jne 2f
	xor %eax, %eax
2:	mov %ebp, %esp
	ret

ud:	inc %edi
	addl $2, (%esp)
	iret

	.section .data
	.balign 8
idt:	.skip 7 * 8
idt_pointer:
	.short 7 * 8 - 1
	.long idt
	.balign 8
flat_gdt:
	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
flat_gdt_pointer:
	.short 23
	.long flat_gdt
	.section .text
