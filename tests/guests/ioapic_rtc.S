/*
 * The I/O APIC with its edges and levels, the real-time clock with its interrupts, time and memory, and
 * the ACPI timer.
 */
#include "guest.h"
#include "checks.h"

#define IOAPIC	 0xfec00000
#define WINDOW	 IOAPIC + 0x10
#define EDGE	 0x41
#define LEVEL	 0x51
#define RTC_PIC	 0x28 /* by the 8259s */
#define PIN(n)	 (0x10 + 2 * (n))
#define PIT_PIN	 2
#define RTC_PIN	 8
#define MASKED	 0x10000
#define LEVELLED 0x8000
#define RIRR	 0x4000

#define SET_PIN(n, value)                                                                          \
	movl $PIN(n), IOAPIC;                                                                      \
	movl $(value), WINDOW
#define CMOS_GET(register)                                                                         \
	mov $(register), %al;                                                                      \
	outb %al, $0x70;                                                                           \
	inb $0x71, %al
#define CMOS_SET(register, value)                                                                  \
	mov $(register), %al;                                                                      \
	outb %al, $0x70;                                                                           \
	mov $(value), %al;                                                                         \
	outb %al, $0x71

	.macro LET_IN
	sti
	nop
	nop
	cli
	.endm

main:
	call begin
	call pics_begin
	call lapic_begin
	movl $0x700, LAPIC + 0x350 /* the 8259s by LINT0 */
	HANDLE(EDGE, eoi_lapic)

	/* ---- the I/O APIC's registers ---- */
	/* 1: version and number of pins; 2: an ID can be written; 3: entries are masked; 4: what of an
	 * entry can be written; 5: there is nothing behind the last */
	movl $1, IOAPIC
	CHECK_IS(1, WINDOW, 0x170020)
	CHECK_IS(1, IOAPIC, 1)
	movl $0, IOAPIC
	movl $0x5000000, WINDOW
	CHECK_IS(2, WINDOW, 0x5000000)
	movl $0, WINDOW
	movl $PIN(0), IOAPIC
	CHECK_IS(3, WINDOW, MASKED)
	movl $PIN(23), IOAPIC
	CHECK_IS(3, WINDOW, MASKED)
	movl $~0x700, WINDOW
	CHECK_IS(4, WINDOW, 0x1a8ff) /* delivery status and remote IRR are read-only */
	movl $PIN(23) + 1, IOAPIC
	movl $0x12000000, WINDOW
	CHECK_IS(4, WINDOW, 0x12000000)
	SET_PIN(23, MASKED)
	movl $PIN(24), IOAPIC
	movl $-1, WINDOW
	CHECK_IS(5, WINDOW, 0)

	/* ---- edges: the 8254 on pin 2 ---- */
	/* 6: one comes; 7: masked, it is lost; 8: so that none comes with the mask lifted; 9: not of pin 0
	 * either */
	SET_PIN(PIT_PIN, EDGE)
	call shot
	LET_IN
	CHECK_IS(6, COUNT(EDGE), 1)
	SET_PIN(PIT_PIN, EDGE | MASKED)
	SET_PIN(0, EDGE)
	call shot
	LET_IN
	CHECK_IS(7, COUNT(EDGE), 1)
	SET_PIN(PIT_PIN, EDGE)
	LET_IN
	CHECK_IS(8, COUNT(EDGE), 1)
	/* 10: to another processor's ID it does not come; 11: by the logical ID it does */
	movl $PIN(PIT_PIN) + 1, IOAPIC
	movl $0x07000000, WINDOW
	call shot
	LET_IN
	CHECK_IS(10, COUNT(EDGE), 1)
	movl $-1, LAPIC + 0xe0
	movl $0x04000000, LAPIC + 0xd0
	SET_PIN(PIT_PIN, EDGE | 0x800)
	call shot
	LET_IN
	CHECK_IS(11, COUNT(EDGE), 2)
	movl $PIN(PIT_PIN) + 1, IOAPIC
	movl $0, WINDOW
	SET_PIN(PIT_PIN, MASKED)
	SET_PIN(0, MASKED)

	/* ---- the clock's periodic interrupt ---- */
	/* 12: by the 8259s, one for each read of register C; 13: C says which, and is clear after it;
	 * 14: without the read there is no second */
	HANDLE(RTC_PIC, rtc_pic)
	mov $0xfb, %al
	out %al, $0x21
	mov $0xfe, %al
	out %al, $0xa1
	CMOS_SET(0xa, 0x26) /* 1024 Hz */
	CMOS_GET(0xc)
	CMOS_SET(0xb, 0x42)
	SLEEP_UNTIL(RTC_PIC, 10)
	mov seen_c, %al
	and $0xc0, %al
	cmp $0xc0, %al
	CHECK 13, e
	HANDLE(RTC_PIC, eoi_pic2)
	CMOS_GET(0xc)
	movl $0, COUNT(RTC_PIC)
	SLEEP_UNTIL(RTC_PIC, 1)
	call wait_a_little
	LET_IN
	CHECK_IS(14, COUNT(RTC_PIC), 1)
	mov $0xff, %al
	out %al, $0xa1
	CMOS_GET(0xc)
	test $0x80, %al
	CHECK 13, nz
	CMOS_SET(0xb, 2)
	CMOS_GET(0xc)
	CMOS_GET(0xc)
	test $0xf0, %al
	CHECK 13, z

	/* 15: by the I/O APIC as a level: it comes again after each EOI until C is read; 16: remote IRR
	 * shows that an EOI is waited for; 17: and the 8259s say nothing meanwhile */
	movl $0, COUNT(RTC_PIC)
	HANDLE(LEVEL, level)
	SET_PIN(RTC_PIN, LEVEL | LEVELLED)
	CMOS_SET(0xb, 0x42)
	SLEEP_UNTIL(LEVEL, 3)
	LET_IN
	CHECK_IS(15, COUNT(LEVEL), 3)
	testl $RIRR, seen_entry
	CHECK 16, nz
	CHECK_IS(17, COUNT(RTC_PIC), 0)
	movl $PIN(RTC_PIN), IOAPIC
	testl $RIRR, WINDOW
	CHECK 16, z
	/* 18: a level that begins while masked comes when the mask is lifted; 19: in TMR it is a level */
	SET_PIN(RTC_PIN, LEVEL | LEVELLED | MASKED)
	CMOS_GET(0xc)
	CMOS_SET(0xb, 0x42)
	call wait_a_little
	LET_IN
	CHECK_IS(18, COUNT(LEVEL), 3)
	HANDLE(LEVEL, level_end)
	SET_PIN(RTC_PIN, LEVEL | LEVELLED)
	testl $1 << (LEVEL % 32), LAPIC + 0x180 + LEVEL / 32 * 16
	CHECK 19, nz
	LET_IN
	CHECK_IS(18, COUNT(LEVEL), 4)
	SET_PIN(RTC_PIN, MASKED)

	/* ---- time ---- */
	/* 20: the battery is good; 21: 24 hours, decimal; 22: each part of the time is one; 23: memory
	 * keeps what is written; 24: the size of RAM below and above 1 MiB */
	CMOS_GET(0xd)
	cmp $0x80, %al
	CHECK 20, e
	CMOS_GET(0xb)
	cmp $2, %al
	CHECK 21, e
	mov $limits, %esi
1:	mov (%esi), %al
	outb %al, $0x70
	inb $0x71, %al
	call parts_legal
	CHECK 22, be
	add $3, %esi
	cmpb $0xff, (%esi)
	jne 1b
	CMOS_SET(0x40, 0x5a)
	CMOS_SET(0x7f, 0xa5)
	CMOS_GET(0x40)
	cmp $0x5a, %al
	CHECK 23, e
	CMOS_GET(0x7f)
	cmp $0xa5, %al
	CHECK 23, e
	CMOS_GET(0x15)
	mov %al, %bl
	CMOS_GET(0x16)
	mov %al, %bh
	cmp $640, %bx
	CHECK 24, e
	CMOS_GET(0x17)
	mov %al, %bl
	CMOS_GET(0x18)
	mov %al, %bh
	cmp $15 * 1024, %bx
	CHECK 24, e
	/* 25: SET halts the clock, and what is written is the time; 26: it goes on from there, over
	 * midnight of a leap year's February */
	CMOS_SET(0xb, 0x82)
	CMOS_SET(0, 0x59)
	CMOS_SET(2, 0x59)
	CMOS_SET(4, 0x23)
	CMOS_SET(7, 0x29)
	CMOS_SET(8, 0x02)
	CMOS_SET(9, 0x24)
	CMOS_SET(0x32, 0x20)
	CMOS_GET(0xa)
	test $0x80, %al
	CHECK 25, z
	CMOS_GET(0)
	cmp $0x59, %al
	CHECK 25, e
	CMOS_SET(0xb, 2)
1:	CMOS_GET(0)
	cmp $0x59, %al
	je 1b
	CMOS_GET(7)
	cmp $1, %al
	CHECK 26, e
	CMOS_GET(8)
	cmp $3, %al
	CHECK 26, e
	CMOS_GET(4)
	test %al, %al
	CHECK 26, z
	/* update in progress shows and goes, in this second or, if the guest slept, in another one */
1:	CMOS_GET(0xa)
	test $0x80, %al
	jz 1b
1:	CMOS_GET(0xa)
	test $0x80, %al
	jnz 1b
	/* 27: the update interrupt, with its flag; 28: the alarm of each second, with its */
	HANDLE(RTC_PIC, rtc_pic)
	mov $0xfe, %al
	out %al, $0xa1
	movl $0, COUNT(RTC_PIC)
	CMOS_GET(0xc)
	CMOS_SET(0xb, 0x12)
	SLEEP_UNTIL(RTC_PIC, 1)
	mov seen_c, %al
	and $0x90, %al
	cmp $0x90, %al
	CHECK 27, e
	CMOS_SET(1, 0xff)
	CMOS_SET(3, 0xff)
	CMOS_SET(5, 0xff)
	movl $0, COUNT(RTC_PIC)
	CMOS_GET(0xc)
	CMOS_SET(0xb, 0x22)
	SLEEP_UNTIL(RTC_PIC, 1)
	mov seen_c, %al
	and $0xa0, %al
	cmp $0xa0, %al
	CHECK 28, e
	CMOS_SET(0xb, 2)

	/* ---- ACPI ---- */
	/* 29: the timer goes up, never down; 30: ACPI is on, and cannot be switched off; 31: three of its
	 * ticks are one of the 8254: what the 8254 counts lies within what is read around it */
	mov $0x608, %edx
	inl %dx, %eax
	mov %eax, %ebx
	mov $1000, %ecx
1:	inl %dx, %eax
	mov %eax, %esi
	sub %ebx, %eax
	CHECK 29, ns
	mov %esi, %ebx
	loop 1b
	mov $0x604, %edx
	inw %dx, %ax
	test $1, %al
	CHECK 30, nz
	xor %eax, %eax
	outw %ax, %dx
	inw %dx, %ax
	test $1, %al
	CHECK 30, nz
rates:	mov $1, %al /* channel 2's gate */
	out %al, $0x61
	mov $0xb0, %al
	out %al, $0x43
	mov $0xff, %al
	out %al, $0x42
	out %al, $0x42
	call both_timers
	mov %eax, first_before
	mov %edi, first_after
	mov %ebx, first_count
	call wait_a_little
	call both_timers
	sub first_before, %edi /* the outer time */
	sub first_after, %eax  /* the inner one */
	mov first_count, %ecx
	sub %ebx, %ecx
	movzwl %cx, %ecx
	lea (%ecx, %ecx, 2), %ecx
	cmp $3 * 60000, %edi
	ja rates /* the 8254 may have come around: once more */
	add $6, %edi
	cmp %edi, %ecx
	CHECK 31, be
	add $6, %ecx
	cmp %eax, %ecx
	CHECK 31, ae
	xor %eax, %eax
	ret

rtc_pic:
	CMOS_GET(0xc)
	mov %al, seen_c
	jmp eoi_pic2

/* Reads C at the third one only. */
level:
	movl $PIN(RTC_PIN), IOAPIC
	mov WINDOW, %eax
	mov %eax, seen_entry
	cmpl $3, COUNT(LEVEL)
	jb eoi_lapic
level_end:
	CMOS_SET(0xb, 2)
	CMOS_GET(0xc)
	jmp eoi_lapic

/* The 8254's output rises once; comes back when it has. */
shot:
	mov $0x30, %al
	out %al, $0x43
	mov $100, %al
	out %al, $0x40
	mov $0, %al
	out %al, $0x40
1:	mov $0xe2, %al
	out %al, $0x43
	in $0x40, %al
	test $0x80, %al
	jz 1b
	ret

/* ESI: a register, the lowest and the highest value that it may have. Flags: at most the highest in
 * decimal digits, or above. AL: the value. */
parts_legal:
	mov %al, %ah
	and $15, %ah
	cmp $9, %ah
	ja 1f
	cmp 1(%esi), %al
	jb 1f
	cmp 2(%esi), %al
	ret
1:	mov $1, %ah
	cmp $0, %ah /* above */
	ret

/* EAX, EDI: the ACPI timer before and after EBX: what channel 2 has left. */
both_timers:
	mov $0x608, %edx
	inl %dx, %eax
	mov %eax, %esi
	mov $0x80, %al
	out %al, $0x43
	in $0x42, %al
	mov %al, %bl
	in $0x42, %al
	mov %al, %bh
	movzwl %bx, %ebx
	inl %dx, %eax
	mov %eax, %edi
	mov %esi, %eax
	ret

/* Three milliseconds by the ACPI timer. */
wait_a_little:
	mov $0x608, %edx
	inl %dx, %eax
	mov %eax, %ecx
1:	inl %dx, %eax
	sub %ecx, %eax
	cmp $10740, %eax
	jb 1b
	ret

	.section .data
limits:	.byte 0, 0x00, 0x59, 2, 0x00, 0x59, 4, 0x00, 0x23, 6, 0x01, 0x07, 7, 0x01, 0x31
	.byte 8, 0x01, 0x12, 9, 0x00, 0x99, 0x32, 0x20, 0x21, 0xff
	.section .bss
seen_entry:	.skip 4
first_before:	.skip 4
first_after:	.skip 4
first_count:	.skip 4
seen_c:		.skip 1
