/*
 * A ROM of 64 KiB instead of firmware: the state after reset, that code runs from the ROM in real and in
 * protected mode, that it is read and cannot be written, and its copy below 1 MiB. Ends with the number of
 * the first check that fails, 0 if none does. Linked to where it is, the last 64 KiB below 4 GiB.
 */
#define BASE	  0xffff0000
#define COPY	  0x000f0000
#define RESET_CR0 0x60000010

/* Check `number` is whether the flags say `cc`. */
	.macro CHECK number, cc
	j\cc .Lgood\@
	mov $\number, %eax
	jmp end
.Lgood\@:
	.endm

	.section .text
	.globl _start
rom:
	.code16
start:
	/* 1: the control register; 2: the flags; 3: the code segment; 4: the others */
	mov %edx, %ebp
	mov %cr0, %eax
	cmp $RESET_CR0, %eax
	CHECK 1, e
	mov $0x7000, %sp
	pushfl
	popl %eax
	and $~0x54, %eax /* which the comparison changed: PF, AF, ZF */
	cmp $2, %eax
	CHECK 2, e
	mov %cs, %ax
	cmp $0xf000, %ax
	CHECK 3, e
	mov %ds, %ax
	mov %es, %cx
	or %cx, %ax
	mov %ss, %cx
	or %cx, %ax
	mov %fs, %cx
	or %cx, %ax
	mov %gs, %cx
	or %cx, %ax
	CHECK 4, z
	/* 5: EDX was the processor's signature */
	mov $1, %eax
	cpuid
	cmp %eax, %ebp
	CHECK 5, e

	lgdtl %cs:(gdt_pointer - rom)
	mov $0x11, %eax
	mov %eax, %cr0
	ljmpl $8, $protected
	.code32
protected:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	/* 6: what is written to the ROM is lost, in each way of writing */
	mov $words, %esi
	movl $-1, (%esi)
	movb $-1, 5(%esi)
	lock incl (%esi)
	orl $0x10101010, (%esi)
	mov $-1, %eax
	xchg %eax, 4(%esi)
	cmp $0x89abcdef, %eax
	CHECK 6, e
	mov %esi, %edi
	mov $2, %ecx
	rep stosl
	cmpl $0x01234567, (%esi)
	CHECK 6, e
	cmpl $0x89abcdef, 4(%esi)
	CHECK 6, e
	/* 7: so is what is written below the image, where the ROM is empty */
	movl $0, BASE - 4
	cmpl $-1, BASE - 4
	CHECK 7, e
	/* 8: the copy is the same; 9: it can be written, and is not the ROM itself */
	mov $BASE, %esi
	mov $COPY, %edi
	mov $0x4000, %ecx
	repe cmpsl
	CHECK 8, e
	notl COPY + words - BASE
	cmpl $~0x01234567, COPY + words - BASE
	CHECK 9, e
	cmpl $0x01234567, words
	CHECK 9, e
	xor %eax, %eax
end:	mov $0xf4, %edx
	out %eax, %dx
1:	hlt
	jmp 1b

	.balign 8
gdt:	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.short 23
	.long gdt
	.balign 8
words:	.long 0x01234567, 0x89abcdef

	.org 0xfff0
	.code16
_start:
	jmp start
	.org 0x10000
	.section .note.GNU-stack, "", @progbits
