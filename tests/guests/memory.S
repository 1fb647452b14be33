/*
 * Memory: RAM that the loader did not write is zero, where there is nothing all ones are read and
 * writes go nowhere, and each form of an instruction that may reach a device's registers does as it
 * does with RAM. With the word `dirty` on the command line the guest only fills its RAM, for the next
 * guest that gets it.
 */
#include "guest.h"
#include "checks.h"

#define TPR	LAPIC + 0x80
#define VERSION LAPIC + 0x30
#define HOLE	0xd0000000
#define VEC_PF	14
#define RAM_END 0x1000000 /* the tests give these guests 16 MiB */

main:
	call begin
	mov boot_info, %ebx
	/* 1: the information of the loader tells as much RAM */
	mov 8(%ebx), %eax
	shl $10, %eax
	add $0x100000, %eax
	cmp $RAM_END, %eax
	CHECK 1, e
	mov $image_end, %edi
	mov $RAM_END / 4, %ecx
	mov %edi, %eax
	shr $2, %eax
	sub %eax, %ecx
	testl $4, (%ebx)
	jz 1f
	mov 16(%ebx), %esi
	cmpb $'d', (%esi)
	jne 1f
	mov $0xa5a5a5a5, %eax
	rep; stosl
	xor %eax, %eax
	ret

	/* 2: RAM behind the image is zero */
1:	xor %eax, %eax
	repe; scasl
	CHECK 2, e

	/* ---- nothing ---- */
	/* 3 to 5: ones of each width; 6: written, they stay; 7: right behind RAM too, 8: and half in it */
	xor %eax, %eax
	mov HOLE, %eax
	cmp $-1, %eax
	CHECK 3, e
	xor %eax, %eax
	mov HOLE + 2, %ax
	cmp $0xffff, %eax
	CHECK 4, e
	xor %eax, %eax
	mov HOLE + 1, %al
	cmp $0xff, %eax
	CHECK 5, e
	movl $0, HOLE
	movb $0, HOLE + 1
	movw $0, HOLE + 2
	CHECK_IS(6, HOLE, -1)
	CHECK_IS(7, RAM_END, -1)
	movl $0x12345678, RAM_END - 4
	CHECK_IS(8, RAM_END - 2, 0xffff1234)
	movl $0x87654321, RAM_END - 2
	CHECK_IS(8, RAM_END - 4, 0x43215678)
	CHECK_IS(8, RAM_END, -1)
	/* 9: over the border of two pages of nothing, not aligned */
	CHECK_IS(9, HOLE + 0xffe, -1)
	/* 10: string instructions out of nothing, and into it */
	mov $HOLE, %esi
	mov $buffer, %edi
	mov $4, %ecx
	rep; movsl
	CHECK_IS(10, buffer, -1)
	CHECK_IS(10, buffer + 12, -1)
	CHECK_IS(10, buffer + 16, 0)
	mov $HOLE, %edi
	mov $1024, %ecx
	xor %eax, %eax
	rep; stosl
	test %ecx, %ecx
	CHECK 11, z
	cmp $HOLE + 4096, %edi
	CHECK 11, e
	/* 12: running there is an invalid opcode */
	movl $-1, caught
	movl $1f, resume
	mov $HOLE, %eax
	jmp *%eax
1:	CHECK_IS(12, caught, VEC_UD)

	/* ---- the local APIC's registers ---- */
	call lapic_begin
	/* 20 to 33: writes: immediate, register, and those that read first, with their flags */
	movl $0x50, TPR
	CHECK_IS(20, TPR, 0x50)
	mov $0x51, %eax
	mov %eax, TPR
	CHECK_IS(21, TPR, 0x51)
	mov $0x52, %ecx
	mov %ecx, TPR
	CHECK_IS(21, TPR, 0x52)
	orl $0x8, TPR
	CHECK_IS(22, TPR, 0x5a)
	andl $0xf0, TPR
	CHECK_IS(23, TPR, 0x50)
	xorl $0x11, TPR
	CHECK_IS(24, TPR, 0x41)
	addl $0xbf, TPR /* 0x100: the register has 8 bits */
	CHECK_IS(25, TPR, 0)
	incl TPR
	CHECK 26, nz
	CHECK_IS(26, TPR, 1)
	subl $2, TPR
	CHECK 27, c
	CHECK_IS(27, TPR, 0xff)
	decl TPR
	CHECK_IS(27, TPR, 0xfe)
	notl TPR
	CHECK_IS(28, TPR, 1)
	negl TPR
	CHECK 28, c
	CHECK_IS(28, TPR, 0xff)
	stc
	movl $0x10, TPR
	adcl $0x10, TPR
	CHECK_IS(29, TPR, 0x21)
	mov $0x60, %eax
	xchg %eax, TPR
	cmp $0x21, %eax
	CHECK 30, e
	CHECK_IS(30, TPR, 0x60)
	mov $0x10, %eax
	lock; xadd %eax, TPR
	cmp $0x60, %eax
	CHECK 31, e
	CHECK_IS(31, TPR, 0x70)
	mov $0x70, %eax
	mov $0x30, %edx
	lock; cmpxchg %edx, TPR
	CHECK 32, e
	CHECK_IS(32, TPR, 0x30)
	mov $0x70, %eax
	mov $0x20, %edx
	lock; cmpxchg %edx, TPR
	CHECK 32, ne
	cmp $0x30, %eax
	CHECK 32, e
	btsl $6, TPR
	CHECK 33, nc
	CHECK_IS(33, TPR, 0x70)
	btrl $4, TPR
	CHECK 33, c
	CHECK_IS(33, TPR, 0x60)
	btl $5, TPR
	CHECK 33, c

	/* 34 to 38: reads into registers, in computations, and widened */
	mov VERSION, %ebx
	mov VERSION, %esi
	cmp %ebx, %esi
	CHECK 34, e
	cmp VERSION, %ebx
	CHECK 35, e
	cmp %ebx, VERSION
	CHECK 35, e
	xor %eax, %eax
	or VERSION, %eax
	cmp %ebx, %eax
	CHECK 36, e
	sub VERSION, %eax
	CHECK 36, z
	test %ebx, VERSION
	CHECK 37, nz
	movzbl VERSION, %eax
	movzbl %bl, %ecx
	cmp %ecx, %eax
	CHECK 38, e
	movsbl VERSION, %eax
	movsbl %bl, %ecx
	cmp %ecx, %eax
	CHECK 38, e

	/* 40 to 45: string instructions: RAM's and registers' end on either side, both directions */
	mov $VERSION, %esi
	lodsl
	cmp %ebx, %eax
	CHECK 40, e
	cmp $VERSION + 4, %esi
	CHECK 40, e
	mov $VERSION, %esi
	mov $buffer, %edi
	movsl
	cmp buffer, %ebx
	CHECK 41, e
	cmp $buffer + 4, %edi
	CHECK 41, e
	movl $0x40, buffer
	mov $buffer, %esi
	mov $TPR, %edi
	movsl
	CHECK_IS(42, TPR, 0x40)
	mov $0x20, %eax
	mov $TPR, %edi
	std
	stosl
	cld
	CHECK_IS(43, TPR, 0x20)
	cmp $TPR - 4, %edi
	CHECK 43, e
	mov %ebx, buffer
	mov $buffer, %esi
	mov $VERSION, %edi
	cmpsl
	CHECK 44, e
	mov $VERSION, %edi
	mov %ebx, %eax
	scasl
	CHECK 45, e

	/* 46, 47: addresses by base, index and scale, and by a segment with a base */
	mov $LAPIC, %esi
	mov $4, %ecx
	mov 0x20(%esi, %ecx, 4), %eax
	cmp %ebx, %eax
	CHECK 46, e
	lgdt gdt_pointer_here
	mov $24, %eax
	mov %eax, %fs
	mov %fs:0x30, %eax
	cmp %ebx, %eax
	CHECK 47, e
	mov $16, %eax
	mov %eax, %fs

	/* 50: an instruction that lies over the border of two pages; 51: the same with paging, where the
	 * second page is another one; 52: that one absent: a page fault, and nothing was done */
	movl $0, TPR
	call crosses
	CHECK_IS(50, TPR, 0x44)
	call paging_on
	movl $0, TPR
	call crosses
	CHECK_IS(51, TPR, 0x55)
	movl $0, TPR
	mov $second_page, %eax
	shr $12, %eax
	movl $0, page_table(, %eax, 4)
	mov %cr3, %eax
	mov %eax, %cr3
	FAULTS(52, VEC_PF, call crosses)
	add $4, %esp /* what the call pushed */
	CHECK_IS(52, TPR, 0)
	xor %eax, %eax
	ret

/* Pages of 4 KiB for the first 4 MiB, of 4 MiB for the rest; but other_page lies where
 * second_page is. */
paging_on:
	mov $page_directory, %edi
	mov $0x83, %eax
	mov $1024, %ecx
1:	stosl
	add $0x400000, %eax
	loop 1b
	mov $page_table, %edi
	mov $3, %eax
	mov $1024, %ecx
1:	stosl
	add $4096, %eax
	loop 1b
	mov $second_page, %eax
	shr $12, %eax
	movl $other_page + 3, page_table(, %eax, 4)
	movl $page_table + 3, page_directory
	mov $page_directory, %eax
	mov %eax, %cr3
	mov $0x10, %eax /* PSE */
	mov %eax, %cr4
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	ret

	/* MOV of an immediate to TPR, 10 bytes of which 4, the immediate, lie in the second page. */
	.balign 4096
	.skip 4090
crosses:
	.byte 0xc7, 0x05
	.long TPR
second_page:
	.long 0x44
	ret
	.balign 4096
other_page:
	.long 0x55
	ret

	.section .data
	.balign 8
gdt_here:
	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
	.quad 0xfe4092e000000fff /* at the local APIC, as long as its page */
gdt_pointer_here:
	.short 31
	.long gdt_here
	.section .bss
	.balign 4096
page_directory: .skip 4096
page_table:	.skip 4096
buffer:		.skip 64
