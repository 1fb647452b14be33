/*
 * STI and HLT, which sleep until an interrupt without losing it: the timer is set to come a little later each
 * time, so that it comes before, between and after the two. An interrupt that is delivered in between, in the
 * shadow of STI, leaves the HLT without one: the guest never ends.
 */
#include "guest.h"
#include "checks.h"

#define TIMER	LAPIC + 0x320
#define INITIAL LAPIC + 0x380
#define DIVIDE	LAPIC + 0x3e0
#define TICK	0x81

#define LONGEST 30000 /* ns */
#define STEP	1

main:
	call begin
	call pics_begin
	call lapic_begin
	HANDLE(TICK, eoi_lapic)
	movl $0xb, DIVIDE /* by 1: the count is in ns */
	movl $TICK, TIMER
	xor %esi, %esi
	mov $1, %ebx
1:	mov %ebx, INITIAL
	sti
	hlt
	cli
	/* 1: as many interrupts as halts */
	inc %esi
	cmp %esi, COUNT(TICK)
	CHECK 1, e
	add $STEP, %ebx
	cmp $LONGEST, %ebx
	jb 1b
	xor %eax, %eax
	ret
