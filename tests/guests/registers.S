/*
 * Fills every register that the processor has beside the general ones (x87, XMM, YMM or ZMM 0 to 31,
 * opmasks, PKRU, DR0 to DR3, the control words) in 64-bit mode, and finds them again after it slept,
 * exited, or was busy for so long that others had the core. The first letter of the command line
 * chooses the pattern; with `p` the guest is a plain one, that leaves XSAVE off. Prints its XCR0 (3 for
 * a plain one).
 */
#define LONG
#include "guest.h"

#define ROUNDS	    300
#define TICK	    0x40
#define LAPIC	    0xfee00000
#define CR4_FX	    0x600 /* OSFXSR, OSXMMEXCPT */
#define CR4_OSXSAVE 0x40000
#define CR4_PKE	    0x400000

/* In `values` and `found`. */
#define X87	 0
#define OPMASKS	 64
#define DEBUG	 128
#define VECTORS	 192
#define SIZE	 (VECTORS + 32 * 64)

	/* Ends with the number unless the flags say `cc`. */
	.macro CHECK number, cc
	j\cc .Lgood\@
	mov $\number, %eax
	jmp end
.Lgood\@:
	.endm

	/* Compares so many bytes of `values` and `found`. */
	.macro SAME number, from, bytes
	mov $values + \from, %esi
	mov $found + \from, %edi
	mov $\bytes, %ecx
	repe cmpsb
	CHECK \number, e
	.endm

	/* Registers from `first` to `last`, `size` bytes apart, from or to EDI's area. */
	.macro LOAD insn, register, first, last, size
	.set n, \first
	.rept \last - \first + 1
	ONE_LOAD \insn, \register, %n, \size
	.set n, n + 1
	.endr
	.endm

	.altmacro
	.macro ONE_LOAD insn, register, n, size
	\insn VECTORS + \n * \size(%rdi), %\register\n
	.endm
	.macro ONE_STORE insn, register, n, size
	\insn %\register\n, VECTORS + \n * \size(%rdi)
	.endm
	.macro STORE insn, register, first, last, size
	.set n, \first
	.rept \last - \first + 1
	ONE_STORE \insn, \register, %n, \size
	.set n, n + 1
	.endr
	.endm

main:
	xor %eax, %eax
	mov %eax, %ss /* IRET takes it back */
	/* one gate: the APIC's timer */
	mov $idt + TICK * 16, %edi
	mov $ticked, %eax
	mov %ax, (%rdi)
	movl $0x8e000008, 2(%rdi)
	movw $0x8e00, 4(%rdi)
	shr $16, %eax
	mov %ax, 6(%rdi)
	mov $idt_pointer, %eax
	lidt (%rax)
	mov $LAPIC, %r15d
	movl $0x1ff, 0xf0(%r15)
	movl $0xb, 0x3e0(%r15)
	movl $TICK, 0x320(%r15)

	/* R8: the letter; R9: XCR0; R10: 1 with protection keys; R11: vectors: 0 XMM, 1 YMM, 2 ZMM */
	mov $boot_info, %eax
	mov (%rax), %ebx
	mov $'a', %r8d
	testl $4, (%rbx)
	jz 1f
	mov 16(%rbx), %esi
	movzbl (%rsi), %r8d
1:	mov %cr0, %rax
	and $~0xc, %eax /* EM, TS */
	or $0x22, %eax	/* NE, MP */
	mov %rax, %cr0
	mov %cr4, %rax
	or $CR4_FX, %eax
	mov %rax, %cr4
	mov $3, %r9d
	xor %r10d, %r10d
	xor %r11d, %r11d
	cmp $'p', %r8d
	je begin
	mov $1, %eax
	cpuid
	bt $26, %ecx
	jnc begin
	mov %cr4, %rax
	or $CR4_OSXSAVE, %eax
	mov %rax, %cr4
	mov $0xd, %eax
	xor %ecx, %ecx
	cpuid
	mov %eax, %r9d
	xor %ecx, %ecx
	xsetbv
	mov %r9d, %r11d
	shr $2, %r11d
	and $1, %r11d
	mov $7, %eax
	xor %ecx, %ecx
	cpuid
	bt $9, %r9d
	jnc 1f
	mov %cr4, %rax
	or $CR4_PKE, %eax
	mov %rax, %cr4
	mov $1, %r10d
1:	mov %r9d, %eax
	and $0xe0, %eax
	cmp $0xe0, %eax
	jne begin
	bt $30, %ebx /* opmasks of 64 bits */
	jnc begin
	mov $2, %r11d

begin:
	mov $words, %esi
	call puts
	mov %r9d, %eax
	call put_decimal
	mov $10, %al
	call putc
	mov %r8d, %r12d /* the pattern */
	xor %r13d, %r13d /* the round */
	/* the rounding, another one for each letter, in both control words */
	mov %r8d, %eax
	and $3, %eax
	shl $10, %eax
	or $0x37f, %eax
	mov $control, %edi
	mov %eax, (%rdi)
	shl $3, %eax
	and $0x6000, %eax
	or $0x1f80, %eax
	mov %eax, 4(%rdi)

again:
	mov $values, %edi
	mov $SIZE / 4, %ecx
1:	imul $1103515245, %r12d, %r12d
	add $12345, %r12d
	mov %r12d, %eax
	stosl
	loop 1b
	mov $values, %edi
	movl $0, DEBUG + 4(%rdi) /* canonical addresses */
	movl $0, DEBUG + 12(%rdi)
	movl $0, DEBUG + 20(%rdi)
	movl $0, DEBUG + 28(%rdi)

	mov $control, %eax
	fninit
	fldcw (%rax)
	ldmxcsr 4(%rax)
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7
	fildll X87 + 8 * \n(%rdi)
	.endr
	.irp n, 0, 1, 2, 3
	mov DEBUG + 8 * \n(%rdi), %rax
	mov %rax, %dr\n
	.endr
	test %r10d, %r10d
	jz 1f
	mov %r12d, %eax
	xor %ecx, %ecx
	xor %edx, %edx
	wrpkru
1:	cmp $1, %r11d
	ja 2f
	je 1f
	LOAD movups, xmm, 0, 15, 16
	jmp 3f
1:	LOAD vmovups, ymm, 0, 15, 32
	jmp 3f
2:	LOAD vmovups, zmm, 0, 31, 64
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7
	kmovq OPMASKS + 8 * \n(%rdi), %k\n
	.endr
3:
	call elsewhere

	/* 1: vectors; 2: opmasks */
	mov $found, %edi
	cmp $1, %r11d
	ja 2f
	je 1f
	STORE movups, xmm, 0, 15, 16
	SAME 1, VECTORS, 256
	jmp 3f
1:	STORE vmovups, ymm, 0, 15, 32
	SAME 1, VECTORS, 512
	jmp 3f
2:	STORE vmovups, zmm, 0, 31, 64
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7
	kmovq %k\n, OPMASKS + 8 * \n(%rdi)
	.endr
	SAME 1, VECTORS, 2048
	SAME 2, OPMASKS, 64
3:	/* 3: the control words; 4: x87; 5: debug registers; 6: protection keys; 7: XCR0 */
	mov $found, %edi
	mov $control, %esi
	fnstcw (%rdi)
	mov (%rdi), %ax
	cmp (%rsi), %ax
	CHECK 3, e
	stmxcsr (%rdi)
	mov (%rdi), %eax
	cmp 4(%rsi), %eax
	CHECK 3, e
	.irp n, 7, 6, 5, 4, 3, 2, 1, 0
	fistpll X87 + 8 * \n(%rdi)
	.endr
	SAME 4, X87, 64
	mov $found, %edi
	.irp n, 0, 1, 2, 3
	mov %dr\n, %rax
	mov %rax, DEBUG + 8 * \n(%rdi)
	.endr
	SAME 5, DEBUG, 32
	test %r10d, %r10d
	jz 1f
	xor %ecx, %ecx
	rdpkru
	cmp %r12d, %eax
	CHECK 6, e
1:	mov %cr4, %rax
	test $CR4_OSXSAVE, %eax
	jz 1f
	xor %ecx, %ecx
	xgetbv
	cmp %r9d, %eax
	CHECK 7, e
1:	inc %r13d
	cmp $ROUNDS, %r13d
	jb again
	xor %eax, %eax
	ret

/* Sleeps, exits, or is busy. */
elsewhere:
	test $3, %r13d
	jnz 2f
	mov $ticks, %edi
	movl $0, (%rdi)
	movl $20000, 0x380(%r15)
1:	cli
	cmpl $0, (%rdi)
	jne 9f
	sti
	hlt
	jmp 1b
2:	test $1, %r13d
	jz 4f
	mov $20, %edi
3:	xor %eax, %eax
	cpuid
	in $0x21, %al
	pause
	dec %edi
	jnz 3b
	ret
4:	mov $100000, %edi
5:	dec %edi
	jnz 5b
9:	cli
	ret

ticked:
	push %rax
	mov $ticks, %eax
	incl (%rax)
	movl $0, 0xb0(%r15)
	pop %rax
	iretq

	.section .data
words:	     .asciz "XCR0 "
	.balign 8
idt_pointer: .short (TICK + 1) * 16 - 1
	.long idt, 0
	.section .bss
	.balign 64
values:	 .skip SIZE
found:	 .skip SIZE
idt:	 .skip (TICK + 1) * 16
control: .skip 8
ticks:	 .skip 4
