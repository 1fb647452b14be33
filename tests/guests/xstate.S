/*
 * Extended state: XSETBV's legal and illegal values, what CPUID shows of it, and x87, SSE and AVX
 * registers that keep their values while other guests have theirs on the same core. The first letter of
 * the command line chooses the pattern; with `s` the guest does without AVX and has it off in XCR0.
 */
#include "guest.h"
#include "checks.h"

#define ROUNDS	     600
#define TICK	     0x81
#define CR4_OSFXSR   0x600 /* and OSXMMEXCPT */
#define CR4_OSXSAVE  0x40000
#define X87	     (8 * 8)
#define XMM	     (8 * 16)
#define YMM	     (8 * 32)

#define XSETBV(number, high, low)                                                                  \
	mov $number, %ecx;                                                                         \
	mov $high, %edx;                                                                           \
	mov $low, %eax;                                                                            \
	xsetbv

	/* Each of the 8 registers from or to `place`, by `insn`. */
	.macro LOAD_ALL insn, register, size, place
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7
	\insn \place + \n * \size, %\register\n
	.endr
	.endm
	.macro STORE_ALL insn, register, size, place
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7
	\insn %\register\n, \place + \n * \size
	.endr
	.endm

main:
	call begin
	call lapic_begin
	HANDLE(TICK, eoi_lapic)
	movl $0xb, LAPIC + 0x3e0
	movl $TICK, LAPIC + 0x320
	mov boot_info, %ebx
	movb $'a', word
	testl $4, (%ebx)
	jz 1f
	mov 16(%ebx), %esi
	mov (%esi), %al
	mov %al, word
1:
	mov %cr0, %eax
	and $~0xc, %eax /* EM, TS */
	or $0x22, %eax	/* NE, MP */
	mov %eax, %cr0
	mov $CR4_OSFXSR, %eax
	mov %eax, %cr4

	mov $1, %eax
	cpuid
	bt $26, %ecx
	jnc turns /* a processor without XSAVE */

	/* ---- XSETBV ---- */
	/* 1: CPUID does not show OSXSAVE; 2, 3: so the instructions are not there */
	bt $27, %ecx
	CHECK 1, nc
	FAULTS(2, VEC_UD, XSETBV(0, 0, 1))
	xor %ecx, %ecx
	FAULTS(3, VEC_UD, xgetbv)
	/* 4: it does, with CR4; 5: XCR0 is 1 after a reset */
	mov $CR4_OSFXSR | CR4_OSXSAVE, %eax
	mov %eax, %cr4
	mov $1, %eax
	cpuid
	bt $27, %ecx
	CHECK 4, c
	xor %ecx, %ecx
	xgetbv
	cmp $1, %eax
	CHECK 5, e
	test %edx, %edx
	CHECK 5, z
	/* 6, 7: x87 must be on, AVX needs SSE; 8, 9: no such register; 10, 11: bits nobody has;
	 * 12: none of that has changed it */
	FAULTS(6, VEC_GP, XSETBV(0, 0, 0))
	FAULTS(6, VEC_GP, XSETBV(0, 0, 2))
	FAULTS(7, VEC_GP, XSETBV(0, 0, 5))
	FAULTS(8, VEC_GP, XSETBV(1, 0, 1))
	FAULTS(9, VEC_GP, XSETBV(0x80000000, 0, 1))
	FAULTS(10, VEC_GP, XSETBV(0, 0x80000000, 1))
	FAULTS(11, VEC_GP, XSETBV(0, 0x40000000, 3))
	xor %ecx, %ecx
	xgetbv
	cmp $1, %eax
	CHECK 12, e
	/* 13: what CPUID does not list is refused, bit by bit; 14: what it lists first is taken */
	mov $0xd, %eax
	xor %ecx, %ecx
	cpuid
	mov %eax, listed
	mov $31, %ebx
1:	bt %ebx, listed
	jc 2f
	mov $3, %eax
	bts %ebx, %eax
	xor %edx, %edx
	xor %ecx, %ecx
	FAULTS(13, VEC_GP, xsetbv)
2:	dec %ebx
	jns 1b
	WORKS(14, XSETBV(0, 0, 3))
	/* 15: the size that is on is that of the legacy area and the header; 16: with AVX it grows */
	mov $0xd, %eax
	xor %ecx, %ecx
	cpuid
	cmp $576, %ebx
	CHECK 15, e
	cmpb $'s', word
	je turns
	bt $2, %eax
	jnc turns
	WORKS(16, XSETBV(0, 0, 7))
	mov $0xd, %eax
	xor %ecx, %ecx
	cpuid
	cmp $576 + 256, %ebx
	CHECK 16, e
	/* 17: OSXSAVE off and on keeps it */
	mov $CR4_OSFXSR, %eax
	mov %eax, %cr4
	mov $CR4_OSFXSR | CR4_OSXSAVE, %eax
	mov %eax, %cr4
	xor %ecx, %ecx
	xgetbv
	cmp $7, %eax
	CHECK 17, e
	movb $1, has_avx
	/* 18: what is on takes so much in the compacted format; 19: which XSAVEC writes */
	mov $0xd, %eax
	mov $1, %ecx
	cpuid
	bt $1, %eax
	jnc turns
	cmp $576 + 256, %ebx
	CHECK 18, e
	mov $7, %eax
	xor %edx, %edx
	xsavec values
	CHECK_IS(19, values + 520, 7)
	CHECK_IS(19, values + 524, 0x80000000)
	WORKS(19, xrstor values)

	/* ---- registers, in turns with other guests ---- */
turns:
	movzbl word, %eax
	mov %eax, seed
	/* the rounding: another one for each pattern */
	and $3, %eax
	shl $10, %eax
	or $0x37f, %eax
	mov %eax, control
	shl $3, %eax
	and $0x6000, %eax
	or $0x1f80, %eax
	mov %eax, mxcsr
	movl $0, round
again:
	mov $values, %edi
	mov $(X87 + YMM) / 4, %ecx
	mov seed, %eax
1:	imul $1103515245, %eax, %eax
	add $12345, %eax
	stosl
	loop 1b
	mov %eax, seed
	fninit
	fldcw control
	ldmxcsr mxcsr
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7
	fildll values + 8 * \n
	.endr
	cmpb $0, has_avx
	je 1f
	LOAD_ALL vmovups, ymm, 32, values + X87
	jmp 2f
1:	LOAD_ALL movups, xmm, 16, values + X87
2:
	call elsewhere

	cmpb $0, has_avx
	je 1f
	STORE_ALL vmovups, ymm, 32, found + X87
	mov $YMM / 4, %edx
	jmp 2f
1:	STORE_ALL movups, xmm, 16, found + X87
	mov $XMM / 4, %edx
2:	/* 20: the control words; 21: the x87 stack; 22: XMM or YMM registers */
	fnstcw found_control
	movzwl found_control, %eax
	cmp control, %eax
	CHECK 20, e
	stmxcsr found_control
	mov found_control, %eax
	cmp mxcsr, %eax
	CHECK 20, e
	.irp n, 7, 6, 5, 4, 3, 2, 1, 0
	fistpll found + 8 * \n
	.endr
	mov $values, %esi
	mov $found, %edi
	mov $X87 / 4, %ecx
	repe; cmpsl
	CHECK 21, e
	mov %edx, %ecx
	mov $values + X87, %esi
	mov $found + X87, %edi
	repe; cmpsl
	CHECK 22, e
	/* 23: XCR0 */
	mov %cr4, %eax
	test $CR4_OSXSAVE, %eax
	jz 1f
	xor %ecx, %ecx
	xgetbv
	movzbl has_avx, %ecx
	lea 3(, %ecx, 4), %ecx
	cmp %ecx, %eax
	CHECK 23, e
1:	incl round
	cmpl $ROUNDS, round
	jb again
	xor %eax, %eax
	ret

/* Leaves the guest: for an instruction, or to sleep, which lets another one run. */
elsewhere:
	xor %eax, %eax
	cpuid
	pause
	in $0x21, %al
	testl $3, round
	jnz 1f
	movl $0, COUNT(TICK)
	movl $20000, LAPIC + 0x380
	SLEEP_UNTIL(TICK, 1)
1:	ret

	.section .bss
	.balign 64
values:	       .skip 576 + 256
found:	       .skip X87 + YMM
listed:	       .skip 4
seed:	       .skip 4
round:	       .skip 4
control:       .skip 4
mxcsr:	       .skip 4
found_control: .skip 4
word:	       .skip 1
has_avx:       .skip 1
