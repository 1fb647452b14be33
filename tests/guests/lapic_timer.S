/*
 * The local APIC: its timer in each mode, masks and priorities, self-interrupts, and x2APIC mode with
 * its legal and illegal changes and writes.
 */
#include "guest.h"
#include "checks.h"

#define TPR	 LAPIC + 0x80
#define PPR	 LAPIC + 0xa0
#define EOI	 LAPIC + 0xb0
#define ISR(v)	 LAPIC + 0x100 + ((v) / 32) * 16
#define IRR(v)	 LAPIC + 0x200 + ((v) / 32) * 16
#define ESR	 LAPIC + 0x280
#define ICR	 LAPIC + 0x300
#define TIMER	 LAPIC + 0x320
#define INITIAL	 LAPIC + 0x380
#define CURRENT	 LAPIC + 0x390
#define DIVIDE	 LAPIC + 0x3e0
#define MASKED	 0x10000
#define PERIODIC 0x20000
#define DEADLINE 0x40000
#define SELF	 0x44000 /* of ICR: to itself, assert, fixed */
#define BIT(v)	 (1 << ((v) % 32))

#define MSR_APIC_BASE 0x1b
#define MSR_DEADLINE  0x6e0

/* Vectors, each of a priority class of its own. */
#define LOW  0x41
#define HIGH 0x61
#define TICK 0x81

/* Both sides of a window in which what is pending comes: two instructions, for STI holds one. */
	.macro LET_IN
	sti
	nop
	nop
	cli
	.endm

	/* Waits until the timer has counted down to 0. */
	.macro COUNTED_DOWN
1:	pause
	cmpl $0, CURRENT
	jne 1b
	.endm

main:
	call begin
	call pics_begin
	call lapic_begin
	HANDLE(LOW, eoi_lapic)
	HANDLE(HIGH, eoi_lapic)
	HANDLE(TICK, eoi_lapic)
	movl $0xb, DIVIDE /* by 1 */

	/* 1, 2: version: a local APIC with 6 local vectors; 3: its base, on, the boot processor */
	mov LAPIC + 0x30, %eax
	cmp $0x10, %al
	CHECK 1, ae
	shr $16, %eax
	cmp $5, %al
	CHECK 2, ae
	GET_MSR(MSR_APIC_BASE)
	cmp $LAPIC + 0x900, %eax
	CHECK 3, e

	/* ---- one-shot ---- */
	/* 4: it comes; 5: once; 6: the count is 0 and stays it; 7: nothing is in service */
	movl $TICK, TIMER
	movl $200000, INITIAL
	SLEEP_UNTIL(TICK, 1)
	movl $200000, INITIAL
	COUNTED_DOWN
	LET_IN
	CHECK_IS(4, COUNT(TICK), 2)
	CHECK_IS(6, CURRENT, 0)
	LET_IN
	CHECK_IS(5, COUNT(TICK), 2)
	CHECK_IS(7, ISR(TICK), 0)

	/* 8: the count is below what it began with; 9: it goes down; 10: 0 stops it */
	movl $0xffffffff, INITIAL
1:	mov CURRENT, %eax
	cmp $0xffffffff, %eax
	je 1b
	mov %eax, %ebx
1:	mov CURRENT, %eax
	cmp %ebx, %eax
	CHECK 9, be
	je 1b
	cmpl $0xffffffff, INITIAL
	CHECK 8, e
	movl $0, INITIAL
	CHECK_IS(10, CURRENT, 0)

	/* 11: masked: it counts down, and nothing comes, not even when the mask is lifted */
	movl $TICK | MASKED, TIMER
	movl $100000, INITIAL
	COUNTED_DOWN
	movl $TICK, TIMER
	LET_IN
	CHECK_IS(11, COUNT(TICK), 2)
	/* 12: not shown as requested either */
	CHECK_IS(12, IRR(TICK), 0)

	/* 13: divided by 128 it comes as well; 14: the register keeps its three bits */
	movl $0xfffffffa, DIVIDE
	CHECK_IS(14, DIVIDE, 0xa)
	movl $1000, INITIAL
	SLEEP_UNTIL(TICK, 3)
	movl $0xb, DIVIDE
	CHECK_IS(13, COUNT(TICK), 3)

	/* ---- periodic ---- */
	/* 15: ticks come until it is stopped; 16: none after it */
	movl $0, COUNT(TICK)
	movl $TICK | PERIODIC, TIMER
	movl $1000000, INITIAL
	SLEEP_UNTIL(TICK, 10)
	movl $0, INITIAL
	LET_IN /* one may have been waiting */
	mov COUNT(TICK), %ebx
	cmp $10, %ebx
	CHECK 15, ae
	movl $TICK | MASKED | PERIODIC, TIMER
	movl $300000, INITIAL
	mov CURRENT, %esi /* until a period has ended */
1:	mov %esi, %edi
	mov CURRENT, %esi
	cmp %edi, %esi
	jbe 1b
	LET_IN
	cmp COUNT(TICK), %ebx
	CHECK 16, e
	movl $0, INITIAL

	/* ---- requests, service, priorities ---- */
	/* 17: requested while interrupts are off; 18: not in service yet */
	movl $0, COUNT(LOW)
	movl $SELF | LOW, ICR
	mov IRR(LOW), %eax
	test $BIT(LOW), %eax
	CHECK 17, nz
	CHECK_IS(18, ISR(LOW), 0)
	/* 19: TPR of its class holds it back; 20: PPR shows that; 21: TPR below lets it come */
	movl $0x4f, TPR
	LET_IN
	CHECK_IS(19, COUNT(LOW), 0)
	CHECK_IS(20, PPR, 0x4f)
	movl $0x3f, TPR
	LET_IN
	CHECK_IS(21, COUNT(LOW), 1)
	CHECK_IS(22, IRR(LOW), 0)
	movl $0, TPR

	/* While LOW is in service: 23: LOW waits; 24: HIGH interrupts it. What its handler saw: 25: it
	 * in service, 26: PPR of its class, 27: PPR of HIGH's in the inner one */
	HANDLE(LOW, nest)
	HANDLE(HIGH, inner)
	movl $SELF | LOW, ICR
	LET_IN
	CHECK_IS(23, seen_again, 1)
	CHECK_IS(24, seen_high, 1)
	mov seen_isr, %eax
	cmp $BIT(LOW), %eax
	CHECK 25, e
	CHECK_IS(26, seen_ppr, LOW & 0xf0)
	CHECK_IS(27, seen_inner_ppr, HIGH & 0xf0)
	/* 28: after its EOI LOW came again; 29: nothing is left in service */
	LET_IN
	CHECK_IS(28, COUNT(LOW), 3)
	CHECK_IS(29, PPR, 0)

	/* 30: the higher of two that wait comes first */
	HANDLE(LOW, order)
	HANDLE(HIGH, order)
	movl $SELF | LOW, ICR
	movl $SELF | HIGH, ICR
	LET_IN
	LET_IN
	CHECK_IS(30, order_seen, (HIGH << 8 | LOW))

	/* 31: an illegal vector comes to ESR, once ESR was written; 32: and goes by the next write */
	movl $0, ESR
	movl $SELF | 5, ICR
	movl $0, ESR
	testl $0x20, ESR
	CHECK 31, nz
	movl $0, ESR
	CHECK_IS(32, ESR, 0)

	/* ---- TSC deadline ---- */
	/* 33: not armed in another mode; 34: an armed one is read back; 35: it comes; 36: reads 0 then */
	movl $TICK, TIMER
	SET_MSR(MSR_DEADLINE, 1, 0)
	GET_MSR(MSR_DEADLINE)
	or %edx, %eax
	CHECK 33, z
	movl $0, COUNT(TICK)
	movl $TICK | DEADLINE, TIMER
	call far_deadline
	GET_MSR(MSR_DEADLINE)
	cmp %esi, %eax
	CHECK 34, e
	cmp %edi, %edx
	CHECK 34, e
	rdtsc
	add $1000000, %eax
	adc $0, %edx
	mov %eax, %esi
	mov %edx, %edi
	mov $MSR_DEADLINE, %ecx
	wrmsr
	SLEEP_UNTIL(TICK, 1)
	rdtsc
	sub %esi, %eax
	sbb %edi, %edx
	CHECK 35, nc /* not before its time */
	GET_MSR(MSR_DEADLINE)
	or %edx, %eax
	CHECK 36, z
	/* 37: one that has passed comes at once; 38: 0 disarms; 39: so does another mode */
	SET_MSR(MSR_DEADLINE, 0, 1)
	LET_IN
	CHECK_IS(37, COUNT(TICK), 2)
	call far_deadline
	SET_MSR(MSR_DEADLINE, 0, 0)
	GET_MSR(MSR_DEADLINE)
	or %edx, %eax
	CHECK 38, z
	call far_deadline
	movl $TICK | MASKED, TIMER
	GET_MSR(MSR_DEADLINE)
	or %edx, %eax
	CHECK 39, z
	/* 40: the initial count is not taken in deadline mode */
	movl $TICK | DEADLINE, TIMER
	movl $1000, INITIAL
	CHECK_IS(40, INITIAL, 0)

	/* ---- software disable ---- */
	/* 41: masks the local vectors, which cannot be unmasked */
	movl $TICK, TIMER
	movl $0xff, LAPIC + 0xf0
	CHECK_IS(41, TIMER, TICK | MASKED)
	movl $TICK, TIMER
	CHECK_IS(41, TIMER, TICK | MASKED)
	call lapic_begin

	/* ---- x2APIC ---- */
	/* 42: its MSRs are not there in xAPIC mode; 43 to 45: illegal modes and bits of the base */
	mov $0x802, %ecx
	FAULTS(42, VEC_GP, rdmsr)
	FAULTS(43, VEC_GP, SET_MSR(MSR_APIC_BASE, 0, LAPIC + 0x500))
	FAULTS(44, VEC_GP, SET_MSR(MSR_APIC_BASE, 0, LAPIC + 0x901))
	FAULTS(45, VEC_GP, SET_MSR(MSR_APIC_BASE, 0x80000000, LAPIC + 0x900))
	WORKS(46, SET_MSR(MSR_APIC_BASE, 0, LAPIC + 0xd00))
	/* 47: back to xAPIC mode in one step is illegal; 48: the page answers no more */
	FAULTS(47, VEC_GP, SET_MSR(MSR_APIC_BASE, 0, LAPIC + 0x900))
	mov LAPIC + 0x30, %eax
	cmp $-1, %eax
	CHECK 48, e
	/* 49: the ID is all 32 bits; 50: its logical one follows from it */
	GET_MSR(0x802)
	cmp $0, %eax
	CHECK 49, e
	GET_MSR(0x80d)
	cmp $1, %eax
	CHECK 50, e
	/* 51: a self-interrupt; 52: and one by ICR, which is one MSR */
	HANDLE(LOW, eoi_x2apic)
	HANDLE(TICK, eoi_x2apic)
	movl $0, COUNT(LOW)
	WORKS(51, SET_MSR(0x83f, 0, LOW))
	LET_IN
	CHECK_IS(51, COUNT(LOW), 1)
	WORKS(52, SET_MSR(0x830, 0, SELF | LOW))
	LET_IN
	CHECK_IS(52, COUNT(LOW), 2)
	WORKS(53, SET_MSR(0x830, 0, 0x4000 | LOW)) /* to ID 0 */
	LET_IN
	CHECK_IS(53, COUNT(LOW), 3)
	/* 54: TPR */
	WORKS(54, SET_MSR(0x808, 0, 0x40))
	SET_MSR(0x83f, 0, LOW)
	LET_IN
	CHECK_IS(54, COUNT(LOW), 3)
	GET_MSR(0x822) /* IRR of 0x40 to 0x5f */
	cmp $BIT(LOW), %eax
	CHECK 55, e
	SET_MSR(0x808, 0, 0)
	LET_IN
	CHECK_IS(55, COUNT(LOW), 4)
	/* 56: the timer */
	movl $0, COUNT(TICK)
	SET_MSR(0x83e, 0, 0xb)
	SET_MSR(0x832, 0, TICK)
	SET_MSR(0x838, 0, 100000)
	SLEEP_UNTIL(TICK, 1)
	CHECK_IS(56, COUNT(TICK), 1)
	/* 57 to 61: EOI takes 0 only, and is not read; TPR and a vector have 8 bits; ESR takes 0 only */
	FAULTS(57, VEC_GP, SET_MSR(0x80b, 0, 1))
	mov $0x80b, %ecx
	FAULTS(58, VEC_GP, rdmsr)
	FAULTS(59, VEC_GP, SET_MSR(0x808, 0, 0x100))
	FAULTS(60, VEC_GP, SET_MSR(0x83f, 0, 0x100))
	FAULTS(61, VEC_GP, SET_MSR(0x828, 0, 1))
	/* 62 to 66: read-only ones, the upper halves, the self-interrupt's write-only, and those that
	 * are not in this mode: DFR, ICR's upper half */
	FAULTS(62, VEC_GP, SET_MSR(0x802, 0, 0))
	FAULTS(63, VEC_GP, SET_MSR(0x808, 1, 0))
	mov $0x83f, %ecx
	FAULTS(64, VEC_GP, rdmsr)
	mov $0x80e, %ecx
	FAULTS(65, VEC_GP, rdmsr)
	mov $0x831, %ecx
	FAULTS(66, VEC_GP, rdmsr)
	/* 67: reserved bits of a local vector */
	FAULTS(67, VEC_GP, SET_MSR(0x832, 0, 0x80000))

	/* ---- off, and on again ---- */
	/* 68: off by way of nothing; 69: CPUID says so; 70: not straight back to x2APIC mode */
	WORKS(68, SET_MSR(MSR_APIC_BASE, 0, LAPIC + 0x100))
	mov $1, %eax
	cpuid
	bt $9, %edx
	CHECK 69, nc
	FAULTS(70, VEC_GP, SET_MSR(MSR_APIC_BASE, 0, LAPIC + 0xd00))
	/* 71: on, as after a reset: the spurious vector 0xff, all masked */
	WORKS(71, SET_MSR(MSR_APIC_BASE, 0, LAPIC + 0x900))
	CHECK_IS(71, LAPIC + 0xf0, 0xff)
	CHECK_IS(71, TIMER, MASKED)
	mov $1, %eax
	cpuid
	bt $9, %edx
	CHECK 72, c
	/* 73: the page can be moved, and answers there only */
	mov LAPIC + 0x30, %ebx
	WORKS(73, SET_MSR(MSR_APIC_BASE, 0, 0xfed00900))
	cmp 0xfed00030, %ebx
	CHECK 73, e
	CHECK_IS(73, LAPIC + 0x30, -1)

	xor %eax, %eax
	ret

/* A deadline that does not come, in EDI:ESI too. */
far_deadline:
	rdtsc
	add $0x1000, %edx
	mov %eax, %esi
	mov %edx, %edi
	mov $MSR_DEADLINE, %ecx
	wrmsr
	ret

/* The first LOW: asks for itself and for HIGH, and looks who comes. */
nest:
	mov ISR(LOW), %eax
	mov %eax, seen_isr
	mov PPR, %eax
	mov %eax, seen_ppr
	mov COUNT(LOW), %ebx
	HANDLE(LOW, eoi_lapic)
	movl $SELF | LOW, ICR
	movl $SELF | HIGH, ICR
	LET_IN
	cmp COUNT(LOW), %ebx
	sete seen_again
	mov COUNT(HIGH), %eax
	mov %eax, seen_high
	movl $0, EOI
	ret
inner:
	mov PPR, %eax
	mov %eax, seen_inner_ppr
	movl $0, EOI
	ret
order:
	shll $8, order_seen
	mov FRAME_VECTOR(%ebp), %eax
	or %eax, order_seen
	movl $0, EOI
	ret

	.section .bss
seen_isr:	.skip 4
seen_ppr:	.skip 4
seen_inner_ppr: .skip 4
seen_again:	.skip 4
seen_high:	.skip 4
order_seen:	.skip 4
