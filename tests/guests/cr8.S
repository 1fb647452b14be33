/*
 * An interrupt that only the task priority holds back comes as soon as CR8 is lowered, though nothing
 * else makes the guest exit: it spins. 1: it was held back; 2: it came; 3: likewise after an EOI that
 * left it held back by CR8 alone. Ends with the number of the first check that fails.
 */
#define LONG
#include "guest.h"

#define LAPIC  0xfee00000
#define LOW    0x41
#define HIGH   0x61
#define SELF   0x44000 /* to itself, fixed */
#define A_LONG_WHILE 2000000 /* and less than what the host lets a guest run on for */

/* Makes `handler` that of `vector`. */
#define GATE(vector, handler)                                                                      \
	mov $handler, %eax;                                                                        \
	mov %ax, idt + 16 * (vector)(%rip);                                                              \
	movw $8, idt + 16 * (vector) + 2(%rip);                                                          \
	movw $0x8e00, idt + 16 * (vector) + 4(%rip);                                                     \
	shr $16, %eax;                                                                             \
	mov %ax, idt + 16 * (vector) + 6(%rip)

main:
	xor %eax, %eax /* IRET loads it again: guest.h has no descriptor for it */
	mov %eax, %ss
	GATE(LOW, low)
	GATE(HIGH, high)
	lidt idt_pointer(%rip)
	mov $LAPIC, %ebx
	movl $0x1ff, 0xf0(%rbx)

	/* asked for while CR8 is above its class */
	mov $5, %eax
	mov %rax, %cr8
	movl $SELF | LOW, 0x300(%rbx)
	sti
	nop
	mov $1, %eax
	cmpl $0, count(%rip)
	jne failed
	xor %ecx, %ecx
	mov %rcx, %cr8
	call wait
	mov $2, %eax
	jc failed

	/* HIGH's handler asks for it, ends itself, and lowers CR8 then */
	movl $0, count(%rip)
	movl $SELF | HIGH, 0x300(%rbx)
	call wait
	mov $3, %eax
	jc failed
	xor %eax, %eax
failed:
	ret

/* CF: no interrupt LOW came. */
wait:
	mov $A_LONG_WHILE, %ecx
1:	cmpl $1, count(%rip)
	je 2f /* CF is clear then */
	dec %ecx
	jnz 1b
	stc
2:	ret

low:	incl count(%rip)
	movl $0, 0xb0(%rbx)
	iretq

high:	push %rax
	mov $6, %eax
	mov %rax, %cr8
	movl $SELF | LOW, 0x300(%rbx)
	movl $0, 0xb0(%rbx)
	xor %eax, %eax
	mov %rax, %cr8
	pop %rax
	iretq

	.section .data
	.balign 8
idt_pointer:
	.short 16 * 256 - 1
	.long idt, 0
	.section .bss
	.balign 16
idt:	.skip 16 * 256
count:	.skip 4
