/*
 * The high precision event timers: the counter, one-shot and periodic timers, edges, levels and
 * messages, and what happens to the 8254 and the real-time clock when the timers take their places.
 */
#include "guest.h"
#include "checks.h"

#define HPET	    0xfed00000
#define CONFIG	    HPET + 0x10
#define STATUS	    HPET + 0x20
#define COUNTER	    HPET + 0xf0
#define TIMER(n)    HPET + 0x100 + 0x20 * (n)
#define COMPARE(n)  TIMER(n) + 8
#define MESSAGE(n)  TIMER(n) + 16

#define LEVEL	    2
#define IRQ	    4
#define PERIODIC    8
#define VAL_SET	    0x40
#define BITS32	    0x100
#define LINE(n)	    (n) << 9
#define BY_MESSAGE  0x4000

#define MS	    100000 /* ticks of a millisecond, of 10 ns */

#define IRQ0	    0x20
#define IRQ8	    0x28
#define EDGE	    0x60
#define LEVELS	    0x61
#define SENT	    0x62

	.macro OUT port, value
	mov $\value, %al
	outb %al, $\port
	.endm

	.macro LET_IN
	sti
	nop
	nop
	cli
	.endm

	/* Pin 20 or 21 of the I/O APIC to a vector. */
	.macro PIN number, low
	movl $0x10 + 2 * \number, 0xfec00000
	movl $\low, 0xfec00010
	movl $0x11 + 2 * \number, 0xfec00000
	movl $0, 0xfec00010
	.endm

/* The comparator of a timer, so many ticks from now; the counter stands meanwhile, or it might pass. */
#define AHEAD(timer, ticks)                                                                        \
	mov COUNTER, %eax;                                                                         \
	add $(ticks), %eax;                                                                        \
	mov %eax, COMPARE(timer)
#define SOON(timer, ticks)                                                                         \
	andl $~1, CONFIG;                                                                          \
	AHEAD(timer, ticks);                                                                       \
	orl $1, CONFIG

/* A periodic timer, by its first match and its period. */
#define EVERY(timer, config, ticks)                                                                \
	movl $(config) | IRQ | PERIODIC | VAL_SET | BITS32, TIMER(timer);                          \
	andl $~1, CONFIG;                                                                          \
	AHEAD(timer, ticks);                                                                       \
	movl $(ticks), COMPARE(timer);                                                             \
	orl $1, CONFIG

main:
	call begin
	call lapic_begin
	movl $0x700, LAPIC + 0x350 /* the 8259s' interrupts come by LINT0 */
	call pics_begin
	HANDLE(EDGE, eoi_lapic)
	HANDLE(SENT, eoi_lapic)
	HANDLE(LEVELS, end_level)
	HANDLE(IRQ0, eoi_pic1)
	HANDLE(IRQ8, end_irq8)
	PIN 20, EDGE
	PIN 21, 0x8000 | LEVELS

	/* 1: what it is: three timers of 64 bits, legacy replacement, 10 ns */
	CHECK_IS(1, HPET, 0x8086a201)
	CHECK_IS(1, HPET + 4, 10000000)
	CHECK_IS(1, TIMER(2), 0x8030)
	CHECK_IS(1, TIMER(2) + 4, 0x00f00000)
	CHECK_IS(1, TIMER(3), 0)

	/* 2: it stands, at what was written; 3: it goes, by the ACPI timer's measure not too slowly;
	 * 4: and stands again */
	movl $0, COUNTER + 4
	movl $-500, COUNTER
	call wait_a_little
	CHECK_IS(2, COUNTER, -500)
	movl $1, CONFIG
	call wait_a_little
	CHECK_IS(3, COUNTER + 4, 1)
	mov COUNTER, %eax
	cmp $MS - 1000, %eax
	CHECK 3, ae
	movl $0, CONFIG
	mov COUNTER, %ebx
	call wait_a_little
	cmp COUNTER, %ebx
	CHECK 4, e

	/* ---- one-shot ---- */
	/* 5: nothing comes while the counter stands; 6: but when it goes; 7: once */
	movl $0, COMPARE(0) + 4
	movl $LINE(20) | IRQ | BITS32, TIMER(0)
	AHEAD(0, 50000)
	call wait_a_little
	LET_IN
	CHECK_IS(5, COUNT(EDGE), 0)
	movl $1, CONFIG
	SLEEP_UNTIL(EDGE, 1)
	call wait_a_little
	LET_IN
	CHECK_IS(7, COUNT(EDGE), 1)
	CHECK_IS(7, STATUS, 0)
	/* 8: with its interrupt off none comes */
	movl $LINE(20) | BITS32, TIMER(0)
	SOON(0, 1000)
	call wait_a_little
	LET_IN
	CHECK_IS(8, COUNT(EDGE), 1)

	/* ---- periodic ---- */
	/* 9: on a grid: the eleventh comes at the end of as many periods at the earliest */
	movl $0, COUNT(EDGE)
	mov COUNTER, %ebx
	EVERY(0, LINE(20), MS)
	SLEEP_UNTIL(EDGE, 11)
	mov COUNTER, %eax
	sub %ebx, %eax
	cmp $11 * MS, %eax
	CHECK 9, ae
	/* 10: the comparator has moved on, in steps of the period */
	mov COMPARE(0), %eax
	sub %ebx, %eax
	cmp $12 * MS, %eax
	CHECK 10, ae
	/* 11: one that is absurdly short leaves the guest time to do something */
	EVERY(0, LINE(20), 1)
	mov $1000, %edi
	sti
1:	dec %edi
	jnz 1b
	cli
	movl $0, TIMER(0)

	/* ---- levels ---- */
	/* 12: a level stays until its status is written, the status of another does not end it */
	movl $0x10 + 2 * 21, 0xfec00000
	movl $0x18000 | LEVELS, 0xfec00010
	movl $LINE(21) | IRQ | LEVEL | BITS32, TIMER(1)
	movl $0, COMPARE(1) + 4
	SOON(1, 1000)
	call wait_a_little
	CHECK_IS(12, STATUS, 2)
	movl $5, STATUS
	CHECK_IS(12, STATUS, 2)
	movl $2, STATUS
	CHECK_IS(12, STATUS, 0)
	/* 13: it interrupts until then */
	PIN 21, 0x8000 | LEVELS
	LET_IN
	CHECK_IS(13, COUNT(LEVELS), 0)
	SOON(1, 1000)
	SLEEP_UNTIL(LEVELS, 3)
	call wait_a_little
	LET_IN
	CHECK_IS(13, COUNT(LEVELS), 3)
	CHECK_IS(13, STATUS, 0)
	movl $0, TIMER(1)

	/* ---- messages ---- */
	/* 14: to the local APIC */
	movl $0xfee00000, MESSAGE(2) + 4
	movl $0x4000 | SENT, MESSAGE(2)
	EVERY(2, BY_MESSAGE, MS)
	SLEEP_UNTIL(SENT, 3)
	movl $0, TIMER(2)

	/* ---- in the place of the 8254 and the real-time clock ---- */
	/* 15: the 8254's ticks come; 16: not while the timers have its line */
	OUT 0x43, 0x34
	OUT 0x40, 1193 & 0xff
	OUT 0x40, 1193 >> 8
	OUT 0x21, 0xfa /* the 8254 and the cascade */
	SLEEP_UNTIL(IRQ0, 2)
	movl $3, CONFIG
	LET_IN
	movl $0, COUNT(IRQ0)
	mov $5, %edi
1:	call wait_a_little
	LET_IN
	dec %edi
	jnz 1b
	CHECK_IS(16, COUNT(IRQ0), 0)
	/* 17: the first timer's come instead, whatever line it has; 18: the second's in the clock's */
	EVERY(0, 0, MS)
	SLEEP_UNTIL(IRQ0, 5)
	movl $0, TIMER(0)
	OUT 0xa1, 0xfe
	EVERY(1, LINE(20), MS)
	SLEEP_UNTIL(IRQ8, 5)
	movl $0, TIMER(1)
	OUT 0xa1, 0xff
	/* 19: and back */
	movl $1, CONFIG
	movl $0, COUNT(IRQ0)
	SLEEP_UNTIL(IRQ0, 5)
	xor %eax, %eax
	ret

end_irq8:
	jmp eoi_pic2

/* The third time it ends the level. */
end_level:
	cmpl $3, COUNT(LEVELS)
	jb 1f
	movl $2, STATUS
1:	jmp eoi_lapic

/* A millisecond of guest time by the ACPI timer. */
wait_a_little:
	mov $0x608, %edx
	inl %dx, %eax
	mov %eax, %ecx
1:	inl %dx, %eax
	sub %ecx, %eax
	cmp $3580, %eax
	jb 1b
	ret
