/*
 * Non-maskable interrupts, which the guest sends to itself by the local APIC: they come with interrupts
 * off, one at a time, and what came meanwhile comes once, after the handler's IRET.
 */
#include "guest.h"
#include "checks.h"

#define ICR	 LAPIC + 0x300
#define SEND_NMI 0x4400 /* assert, to ID 0 */
#define SELF	 0x44000
#define LOW	 0x41

/* Turns without an exit until `place` is not `value`, but no more than are enough for seconds. */
#define SPIN_WHILE(place, value)                                                                   \
	mov $1 << 29, %ecx;                                                                        \
6:	cmpl $value, place;                                                                        \
	jne 5f;                                                                                    \
	dec %ecx;                                                                                  \
	jnz 6b;                                                                                    \
5:

main:
	call begin
	call lapic_begin
	movl $0, LAPIC + 0x310
	mov $0x30, %al /* the 8254 stands: no tick of its ends the guest's turn */
	out %al, $0x43
	HANDLE(VEC_NMI, note)
	HANDLE(LOW, eoi_lapic)

	/* 1: it comes at once though interrupts are off; 2: once */
	movl $SEND_NMI, ICR
after_first:
	nop
	CHECK_IS(1, COUNT(VEC_NMI), 1)
	cmpl $after_first, nmi_eip
	CHECK 1, e
	xor %eax, %eax
	cpuid
	CHECK_IS(2, COUNT(VEC_NMI), 1)
	/* 3: and it does not come by EFLAGS.IF of the interrupted code: that is off as before */
	pushf
	testl $EFLAGS_IF, (%esp)
	CHECK 3, z
	popf

	/* 4: two that come in the handler wait for its IRET; 5: they are one then, and it comes though
	 * nothing exits any more; 6: no third comes */
	movl $0, COUNT(VEC_NMI)
	HANDLE(VEC_NMI, sends_two)
	movl $SEND_NMI, ICR
	SPIN_WHILE(COUNT(VEC_NMI), 1)
	CHECK_IS(4, seen_inside, 1)
	CHECK_IS(5, COUNT(VEC_NMI), 2)
	xor %eax, %eax
	cpuid
	CHECK_IS(6, COUNT(VEC_NMI), 2)

	/* 7: an interrupt that waits as well comes after it, and only with interrupts on */
	movl $0, COUNT(VEC_NMI)
	movl $0, COUNT(LOW)
	HANDLE(VEC_NMI, note)
	movl $SELF | LOW, ICR
	movl $SEND_NMI, ICR
	CHECK_IS(7, COUNT(VEC_NMI), 1)
	CHECK_IS(7, COUNT(LOW), 0)
	sti
	nop
	cli
	CHECK_IS(7, COUNT(LOW), 1)

	/* 8: interrupts are taken in the handler, if it lets them; IRET of theirs lets the next NMI in */
	movl $0, COUNT(VEC_NMI)
	movl $0, COUNT(LOW)
	HANDLE(VEC_NMI, lets_in)
	movl $SEND_NMI, ICR
	CHECK_IS(8, COUNT(LOW), 1)
	CHECK_IS(9, COUNT(VEC_NMI), 2)
	CHECK_IS(9, seen_inside, 2)

	/* 10: it comes with interrupts on as well */
	movl $0, COUNT(VEC_NMI)
	HANDLE(VEC_NMI, note)
	sti
	movl $SEND_NMI, ICR
	CHECK_IS(10, COUNT(VEC_NMI), 1)
	cli

	/* 11: an I/O APIC pin in NMI mode: the 8254 on pin 2 */
	movl $0, COUNT(VEC_NMI)
	call pics_begin
	movl $0x14, 0xfec00000
	movl $0x400, 0xfec00010
	mov $0x30, %al /* one shot of 1000 clocks */
	out %al, $0x43
	mov $0xe8, %al
	out %al, $0x40
	mov $3, %al
	out %al, $0x40
	SPIN_WHILE(COUNT(VEC_NMI), 0)
	CHECK_IS(11, COUNT(VEC_NMI), 1)
	xor %eax, %eax
	ret

note:
	mov FRAME_EIP(%ebp), %eax
	mov %eax, nmi_eip
	ret

sends_two:
	cmpl $1, COUNT(VEC_NMI)
	jne 1f
	movl $SEND_NMI, ICR
	movl $SEND_NMI, ICR
	xor %eax, %eax
	cpuid
	mov COUNT(VEC_NMI), %eax
	mov %eax, seen_inside
1:	ret

lets_in:
	cmpl $1, COUNT(VEC_NMI)
	jne 1f
	movl $SEND_NMI, ICR
	movl $SELF | LOW, ICR
	sti
	nop
	SPIN_WHILE(COUNT(VEC_NMI), 1)
	cli
	mov COUNT(VEC_NMI), %eax
	mov %eax, seen_inside
1:	ret

	.section .bss
nmi_eip:     .skip 4
seen_inside: .skip 4
