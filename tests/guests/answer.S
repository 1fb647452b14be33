/*
 * Sleeps until it is spoken to on COM1: '?' is answered with its command line, 'q' ends it with the status
 * 0, 'f' with 7, 'r' resets it and 'c' crashes it. One of many that run at the same time.
 */
#include "guest.h"
#include "checks.h"

#define COM1 0x3f8
#define IRQ4 0x24

main:
	call begin
	call pics_begin
	HANDLE(IRQ4, spoken_to)
	mov $ready, %esi
	call say
	/* the port's interrupt: when a byte came, and let through by OUT2 */
	mov $COM1 + 4, %edx
	mov $0x0b, %al
	out %al, %dx
	mov $COM1 + 1, %edx
	mov $1, %al
	out %al, %dx
	mov $0xef, %al
	out %al, $0x21
1:	sti
	hlt
	cli
	jmp 1b

/* Prints the command line and the string at ESI. */
say:
	push %esi
	mov boot_info, %ebx
	mov 16(%ebx), %esi
	call puts
	pop %esi
	jmp puts

spoken_to:
	mov $COM1 + 5, %edx
	in %dx, %al
	test $1, %al
	jz 2f
	mov $COM1, %edx
	in %dx, %al
	cmp $'q', %al
	je quit
	cmp $'f', %al
	je fail
	cmp $'r', %al
	je reset
	cmp $'c', %al
	je crash
	cmp $'?', %al
	jne spoken_to
	mov $answer, %esi
	call say
	jmp spoken_to
2:	mov $0x20, %al
	out %al, $0x20
	ret

quit:	xor %eax, %eax
	jmp end
fail:	mov $7, %eax
	jmp end
reset:	mov $6, %al
	mov $0xcf9, %edx
	out %al, %dx
	jmp reset
crash:	lidt nothing
	ud2

	.section .data
ready:	.asciz " is ready\n"
answer:	.asciz " answers\n"
nothing: .short 0
	.long 0
