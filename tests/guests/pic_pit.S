/*
 * The 8259s and the 8254: ticks that wake an idle guest, masks, acknowledge and end of interrupt, a
 * request that goes away, counting modes and their read-back, channel 2's gate and port 0x61.
 */
#include "guest.h"
#include "checks.h"

#define IRQ0	  0x20
#define SPURIOUS1 0x27
#define PIC1	  0x20
#define PIC2	  0xa0
#define PIT(n)	  (0x40 + (n))
#define MODE(channel, mode) ((channel) << 6 | 0x30 | (mode) << 1)

	.macro OUT port, value
	mov $\value, %al
	outb %al, $\port
	.endm

	/* Starts a channel: control word, count. */
#define START(channel, mode, count)                                                                \
	OUT 0x43, MODE(channel, mode);                                                             \
	mov $((count) & 255), %al;                                                                 \
	outb %al, $PIT(channel);                                                                   \
	mov $((count) >> 8), %al;                                                                  \
	outb %al, $PIT(channel)

	/* Two instructions in which what is pending comes. */
	.macro LET_IN
	sti
	nop
	nop
	cli
	.endm

	/* IRR or ISR of the master in AL. */
	.macro IRR1
	OUT PIC1, 0x0a
	inb $PIC1, %al
	.endm
	.macro ISR1
	OUT PIC1, 0x0b
	inb $PIC1, %al
	.endm

main:
	call begin
	/* 1: masked after initialisation by what we write; the mask can be read */
	call pics_begin
	inb $PIC1 + 1, %al
	cmp $0xff, %al
	CHECK 1, e
	OUT PIC2 + 1, 0x5a
	inb $PIC2 + 1, %al
	cmp $0x5a, %al
	CHECK 1, e
	OUT PIC2 + 1, 0xff

	/* ---- ticks ---- */
	/* 2: they come, and wake HLT; 3: nothing else does */
	HANDLE(IRQ0, eoi_pic1)
	START(0, 2, 1193)
	OUT PIC1 + 1, 0xfe
	SLEEP_UNTIL(IRQ0, 20)
	mov COUNT(IRQ0), %eax
	cmp $20, %eax
	CHECK 2, e
	CHECK_IS(3, COUNT(SPURIOUS1), 0)
	/* 4: the rate: 10 ticks take more than 8 periods by the ACPI timer, which is three times as fast;
	 * no upper limit is certain of a guest's time */
	movl $0, COUNT(IRQ0)
	SLEEP_UNTIL(IRQ0, 1)
	mov $0x608, %edx
	inl %dx, %eax
	mov %eax, %ebx
	SLEEP_UNTIL(IRQ0, 11)
	inl %dx, %eax
	sub %ebx, %eax
	cmp $8 * 3 * 1193, %eax
	CHECK 4, ae

	/* 5: masked, none comes, however long; 6: but it is requested, and comes with the mask lifted */
	OUT PIC1 + 1, 0xff
	movl $0, COUNT(IRQ0)
	call wait_tick
	LET_IN
	CHECK_IS(5, COUNT(IRQ0), 0)
	START(0, 0, 100)
	call wait_out0
	IRR1
	test $1, %al
	CHECK 6, nz
	OUT PIC1 + 1, 0xfe
	LET_IN
	CHECK_IS(6, COUNT(IRQ0), 1)
	/* 7: mode 0 gives one interrupt, not more */
	call wait_a_little
	LET_IN
	CHECK_IS(7, COUNT(IRQ0), 1)

	/* 8: in service until its end is told, and no further one comes meanwhile */
	HANDLE(IRQ0, no_eoi)
	START(0, 0, 100)
	call wait_out0
	LET_IN
	CHECK_IS(8, COUNT(IRQ0), 2)
	ISR1
	cmp $1, %al
	CHECK 8, e
	START(0, 0, 100)
	call wait_out0
	LET_IN
	CHECK_IS(8, COUNT(IRQ0), 2)
	HANDLE(IRQ0, eoi_pic1)
	OUT PIC1, 0x20
	ISR1
	test %al, %al
	CHECK 9, z
	LET_IN
	CHECK_IS(9, COUNT(IRQ0), 3)

	/* 10: a specific end of interrupt; 11: automatic end of interrupt */
	HANDLE(IRQ0, no_eoi)
	START(0, 0, 100)
	call wait_out0
	LET_IN
	OUT PIC1, 0x60
	ISR1
	test %al, %al
	CHECK 10, z
	OUT PIC1, 0x11
	OUT PIC1 + 1, 0x20
	OUT PIC1 + 1, 4
	OUT PIC1 + 1, 3
	OUT PIC1 + 1, 0xfe
	movl $0, COUNT(IRQ0)
	START(0, 0, 100)
	call wait_out0
	LET_IN
	CHECK_IS(11, COUNT(IRQ0), 1)
	ISR1
	test %al, %al
	CHECK 11, z

	/* 12: poll mode acknowledges: bit 7 and the number; 13: nothing waits: bit 7 is clear */
	call pics_begin
	OUT PIC1 + 1, 0xfe
	START(0, 0, 100)
	call wait_out0
	OUT PIC1, 0x0c
	inb $PIC1, %al
	cmp $0x80, %al
	CHECK 12, e
	OUT PIC1, 0x20
	OUT PIC1, 0x0c
	inb $PIC1, %al
	test $0x80, %al
	CHECK 13, z

	/* 14: a request that went away before it was acknowledged: poll sees none of it */
	START(0, 0, 100)
	call wait_out0
	OUT 0x43, MODE(0, 0) /* the output falls */
	OUT PIC1, 0x0c
	inb $PIC1, %al
	test $0x80, %al
	CHECK 14, z
	/* 15: the request itself is gone; 16: and no interrupt comes of it */
	IRR1
	test $1, %al
	CHECK 15, z
	movl $0, COUNT(IRQ0)
	LET_IN
	CHECK_IS(16, COUNT(IRQ0), 0)

	/* ---- the counter ---- */
	/* 17: it counts down from what was loaded; 18: latched, it stands */
	START(0, 2, 0xffff)
	call count0
	mov %eax, %ebx
1:	call count0
	cmp %ebx, %eax
	CHECK 17, be
	je 1b
	OUT 0x43, 0x00 /* latch channel 0 */
	call wait_a_little
	inb $PIT(0), %al
	mov %al, %cl
	inb $PIT(0), %al
	mov %al, %ch
	movzwl %cx, %ebx
	call count0
	cmp %eax, %ebx
	CHECK 18, ne
	/* 19: the read-back's status: both bytes, mode 2, loaded */
	OUT 0x43, 0xe2
	inb $PIT(0), %al
	and $0x7f, %al /* the output is high but for one clock in 65535 */
	cmp $0x34, %al
	CHECK 19, e
	/* 20: in decimal no digit is above 9 */
	OUT 0x43, MODE(0, 2) | 1
	OUT PIT(0), 0x99
	OUT PIT(0), 0x99
	mov $50, %edi
1:	call digits_legal
	CHECK 20, z
	dec %edi
	jnz 1b

	/* ---- channel 2 and port 0x61 ---- */
	/* 21: the bits that can be written are read back; 22: the gate off, it stands */
	OUT 0x61, 0
	inb $0x61, %al
	and $0xf, %al
	CHECK 21, z
	OUT 0x61, 3
	inb $0x61, %al
	and $0xf, %al
	cmp $3, %al
	CHECK 21, e
	OUT 0x61, 0
	START(2, 0, 2000)
	call count2
	mov %eax, %ebx
	call wait_a_little
	call count2
	cmp %ebx, %eax
	CHECK 22, e
	/* 23: its output is low; 24: with the gate on it rises at the end, and stays */
	inb $0x61, %al
	test $0x20, %al
	CHECK 23, z
	OUT 0x61, 1
1:	inb $0x61, %al
	test $0x20, %al
	jz 1b
	call wait_a_little
	inb $0x61, %al
	test $0x20, %al
	CHECK 24, nz
	/* 25: the refresh bit toggles */
	inb $0x61, %al
	mov %al, %bl
1:	inb $0x61, %al
	xor %bl, %al
	test $0x10, %al
	jz 1b
	/* 25: mode 3: the output changes both ways */
	START(2, 3, 100)
1:	inb $0x61, %al
	test $0x20, %al
	jnz 1b
1:	inb $0x61, %al
	test $0x20, %al
	jz 1b
	xor %eax, %eax
	ret

no_eoi:
	ret

/* The count of a channel, latched first. */
count0:
	OUT 0x43, 0x00
	inb $PIT(0), %al
	mov %al, %cl
	inb $PIT(0), %al
	jmp 1f
count2:
	OUT 0x43, 0x80
	inb $PIT(2), %al
	mov %al, %cl
	inb $PIT(2), %al
1:	mov %al, %ch
	movzwl %cx, %eax
	ret

/* ZF: all 4 digits of the count are below 10. */
digits_legal:
	call count0
	mov %eax, %ebx
	mov $4, %ecx
1:	mov %ebx, %eax
	and $15, %eax
	cmp $10, %eax
	jae 2f
	shr $4, %ebx
	loop 1b
	xor %eax, %eax
	ret
2:	or $1, %eax
	ret

/* Until channel 0's output is high. */
wait_out0:
	OUT 0x43, 0xe2
	inb $PIT(0), %al
	test $0x80, %al
	jz wait_out0
	ret

/* Until channel 0 in mode 2 has begun anew. */
wait_tick:
	call count0
	mov %eax, %ebx
1:	call count0
	cmp %ebx, %eax
	ja 2f
	mov %eax, %ebx
	jmp 1b
2:	ret

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
