/*
 * Resets itself once, the way that the first letter of the command line says, and looks afterwards at
 * what a reset leaves: RAM that the loader does not write keeps its values; processor and devices are
 * as after power-on.
 *
 * c: port 0xcf9; k: keyboard controller, pulse; o: keyboard controller, output port; p: port 0x92.
 */
#include "guest.h"
#include "checks.h"

#define MAGIC 0x534b4552
#define MARK  0x800000 /* in RAM, behind the image: magic, number of boots */

main:
	call begin
	mov boot_info, %ebx
	mov 16(%ebx), %esi
	mov (%esi), %al
	mov %al, way
	cmpl $MAGIC, MARK
	je second
	movl $MAGIC, MARK
	movl $1, MARK + 4

	/* changes all that is looked at later */
	call lapic_begin
	movl $0x40, LAPIC + 0x80
	movl $0x41, LAPIC + 0x320
	mov $0xfb, %al
	out %al, $0x21
	SET_MSR(0x3b, 0, 1000) /* TSC_ADJUST */
	SET_MSR(0x174, 0, 8)
	SET_MSR(0xc0000080, 0, 1)
	SET_MSR(0xc0000102, 1, 2)
	SET_MSR(0x2ff, 0, 0xc06)
	mov $0x12345, %eax
	mov %eax, %dr0
	mov $0x402, %eax /* on, by the global bit */
	mov %eax, %dr7
	mov $0x600, %eax
	mov %eax, %cr4
	movl $0x5000000, 0xfec00010
	movl $0x10, 0xfec00000
	movl $0x41, 0xfec00010

	mov way, %al
	cmp $'c', %al
	je by_cf9
	cmp $'k', %al
	je by_pulse
	cmp $'o', %al
	je by_output_port
	cmp $'p', %al
	je by_port92
	push $1
	jmp failed

by_cf9: /* 2: without the rising bit nothing happens */
	mov $0xcf9, %edx
	mov $2, %al
	out %al, %dx
	in %dx, %al
	cmp $2, %al
	CHECK 2, e
	mov $6, %al
	out %al, %dx
	jmp still_here
by_pulse: /* of another output: nothing happens; then of the reset */
	mov $0xfd, %al
	out %al, $0x64
	mov $0xfe, %al
	out %al, $0x64
	jmp still_here
by_output_port:
	mov $0xd1, %al
	out %al, $0x64
	mov $0x03, %al
	out %al, $0x60
	mov $0xd1, %al
	out %al, $0x64
	mov $0x02, %al
	out %al, $0x60
	jmp still_here
by_port92: /* 3: A20 is on */
	in $0x92, %al
	cmp $2, %al
	CHECK 3, e
	out %al, $0x92
	mov $3, %al
	out %al, $0x92
	jmp still_here

still_here:
	push $9
	jmp failed

second:
	/* 10: this is the second time, not a later one */
	incl MARK + 4
	CHECK_IS(10, MARK + 4, 2)
	/* 11: the local APIC; 12: the 8259s; 13: the I/O APIC */
	CHECK_IS(11, LAPIC + 0xf0, 0xff)
	CHECK_IS(11, LAPIC + 0x80, 0)
	CHECK_IS(11, LAPIC + 0x320, 0x10000)
	in $0x21, %al
	cmp $0xff, %al
	CHECK 12, e
	movl $0x10, 0xfec00000
	CHECK_IS(13, 0xfec00010, 0x10000)
	movl $0, 0xfec00000
	CHECK_IS(13, 0xfec00010, 0)
	/* 14: CR4 and debug registers; CR2 is nothing to rely on: Bochs does not load a guest's */
	mov %cr4, %eax
	test %eax, %eax
	CHECK 14, z
	mov %dr0, %eax
	test %eax, %eax
	CHECK 14, z
	mov %dr7, %eax
	cmp $0x400, %eax
	CHECK 14, e
	/* 15 to 20: MSRs; not PAT, which QEMU's TCG does not switch */
	GET_MSR(0x3b)
	or %edx, %eax
	CHECK 15, z
	GET_MSR(0x174)
	test %eax, %eax
	CHECK 16, z
	GET_MSR(0xc0000080)
	test %eax, %eax
	CHECK 17, z
	GET_MSR(0xc0000102)
	or %edx, %eax
	CHECK 18, z
	GET_MSR(0x2ff) /* as firmware would leave it */
	cmp $0xc06, %eax
	CHECK 19, e
	GET_MSR(0x1b)
	cmp $LAPIC + 0x900, %eax
	CHECK 20, e
	xor %eax, %eax
	ret

	.section .bss
way:	.skip 1
