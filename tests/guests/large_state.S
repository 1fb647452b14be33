/*
 * Large state: fills x87, MXCSR, the vector registers as wide and as many as there are (XMM0 to 15,
 * YMM0 to 15, ZMM0 to 31), mask registers, PKRU and DR0 to DR3 with values of its own, leaves the
 * guest in one way or another, and looks whether all of it is still there; again and again, while
 * other guests do the same on the same core. It says what it had in use. Before that: what CPUID
 * says of the area's sizes, XSAVEC, XSAVES and IA32_XSS.
 *
 * The first letter of the command line chooses the values. With `n` the guest knows nothing of XSAVE
 * (CR4.OSXSAVE is 0) and has x87 and SSE alone. Runs in 64-bit mode.
 */
#include "guest.h"

#define ROUNDS	    240
#define TICK	    0x81
#define LAPIC	    0xfee00000
#define SLEEP_NS    2000000
#define BUSY_NS	    15000000 /* longer than a turn on a shared core */
#define IA32_XSS    0xda0
#define CR4_BASE    0x620 /* PAE, OSFXSR, OSXMMEXCPT */
#define CR4_OSXSAVE 0x40000
#define CR4_PKE	    0x400000

#define XCR0_AVX    0x4
#define XCR0_AVX512 0xe0
#define XCR0_PKRU   0x200

#define VECTORS (32 * 64)
#define MASKS	(8 * 8)
#define X87	108 /* as FNSAVE writes it */
#define AREA	8192

	/* Check `number` is whether the flags say `cc`. */
	.macro CHECK number, cc
	j\cc .Lgood\@
	mov $\number, %eax
	jmp failed
.Lgood\@:
	.endm

/* The vector of the exception that the instructions raise is in `caught`, 0 if none. */
#define TRY(insn...)                                                                               \
	movl $0, caught;                                                                           \
	movl $9f, resume;                                                                          \
	insn;                                                                                      \
9:	movl $0, resume

	.macro VECTORS_DO insn, prefix, count, size, place, store
	.altmacro
	.set number, 0
	.rept \count
	VECTOR_DO \insn, \prefix, %number, \size, \place, \store
	.set number, number + 1
	.endr
	.noaltmacro
	.endm
	.macro VECTOR_DO insn, prefix, number, size, place, store
	.if \store
	\insn %\prefix\number, \place + \number * \size
	.else
	\insn \place + \number * \size, %\prefix\number
	.endif
	.endm

main:
	xor %eax, %eax
	mov %eax, %ss /* what an interrupt saves and IRET loads again */
	call idt_begin
	mov $LAPIC, %edi
	movl $0x1ff, 0xf0(%rdi)
	movl $0xb, 0x3e0(%rdi)
	movl $0x20000 | TICK, 0x320(%rdi) /* periodic */
	movb $'a', word
	mov boot_info, %ebx
	testl $4, (%rbx)
	jz 1f
	mov 16(%rbx), %esi
	mov (%rsi), %al
	mov %al, word
1:	mov %cr0, %rax
	and $~0xc, %eax /* EM, TS */
	or $0x22, %eax	/* NE, MP */
	mov %rax, %cr0
	mov $CR4_BASE, %eax
	mov %rax, %cr4

	call enable
	testl $XCR0_AVX512 | XCR0_PKRU | XCR0_AVX | 3, enabled
	jz 1f
	call sizes
	call formats
1:	movzbl word, %eax
	imul $2654435761, %eax, %eax
	mov %eax, seed
	movl $0, round
again:
	call fill
	call leave_guest
	call verify
	incl round
	cmpl $ROUNDS, round
	jb again
	call report
	xor %eax, %eax
	ret

/* Switches on all that there is: `enabled` is XCR0, or 0 without XSAVE. */
enable:
	/* 1: OSXSAVE and OSPKE are not shown before they are on; 2: nor are the instructions there */
	mov $1, %eax
	cpuid
	bt $27, %ecx
	CHECK 1, nc
	mov %ecx, %ebp
	xor %ecx, %ecx
	TRY(xgetbv)
	cmpl $6, caught
	CHECK 2, e
	bt $26, %ebp
	jnc 1f
	cmpb $'n', word
	je 1f
	mov $CR4_BASE | CR4_OSXSAVE, %eax
	mov %rax, %cr4
	mov $1, %eax
	cpuid
	bt $27, %ecx
	CHECK 1, c
	mov $0xd, %eax
	xor %ecx, %ecx
	cpuid
	mov %eax, enabled
	mov %ecx, area_size
	xor %ecx, %ecx
	xsetbv
	mov $0xd, %eax
	mov $1, %ecx
	cpuid
	mov %eax, formats_there
	/* 3: no supervisor component; 4: OSPKE follows CR4.PKE, and PKRU comes with its component */
	or %ecx, %edx
	CHECK 3, z
	mov $7, %eax
	xor %ecx, %ecx
	cpuid
	bt $4, %ecx
	CHECK 4, nc
	mov %ecx, %eax
	shl $6, %eax
	xor enabled, %eax
	test $XCR0_PKRU, %eax
	CHECK 4, z
	testl $XCR0_PKRU, enabled
	jz 1f
	mov $CR4_BASE | CR4_OSXSAVE | CR4_PKE, %eax
	mov %rax, %cr4
	mov $7, %eax
	xor %ecx, %ecx
	cpuid
	bt $4, %ecx
	CHECK 4, c
1:	ret

/* What leaf 0Dh says for an XCR0 of 3 and of all, against its own subleaves. */
sizes:
	xor %ecx, %ecx
	xor %edx, %edx
	mov $3, %eax
	xsetbv
	call expected_sizes
	xor %ecx, %ecx
	xor %edx, %edx
	mov enabled, %eax
	xsetbv
	call expected_sizes
	/* 5: the size of all is also ECX's */
	cmp %esi, area_size
	CHECK 5, e
	ret

expected_sizes:
	xor %ecx, %ecx
	xgetbv
	mov %eax, %ebp
	mov $576, %esi /* standard format */
	mov $576, %edi /* compacted */
	mov $2, %r8d
1:	mov $0xd, %eax
	mov %r8d, %ecx
	cpuid
	bt %r8d, %ebp
	jnc 3f
	test $2, %ecx
	jz 2f
	add $63, %edi
	and $~63, %edi
2:	add %eax, %edi
	add %ebx, %eax
	cmp %eax, %esi
	cmovb %eax, %esi
	/* 6: a user component, and nothing in it is armed to fault */
	test $~2, %ecx
	CHECK 6, z
	jmp 4f
	/* 7: what cannot be switched on is not described */
3:	bt %r8d, enabled
	jc 4f
	or %ebx, %eax
	or %ecx, %eax
	CHECK 7, z
4:	inc %r8d
	cmp $32, %r8d
	jb 1b
	/* 8: the standard size; 9: the compacted one */
	mov $0xd, %eax
	xor %ecx, %ecx
	cpuid
	cmp %esi, %ebx
	CHECK 8, e
	testl $0xa, formats_there
	jz 5f
	mov $0xd, %eax
	mov $1, %ecx
	cpuid
	cmp %edi, %ebx
	CHECK 9, e
	mov %edi, compact_size
5:	ret

/* XSAVEC and XSAVES with their ways back, and IA32_XSS. */
formats:
	testl $2, formats_there
	jz 1f
	call area_begin
	call fill
	mov $-1, %eax
	mov $-1, %edx
	xsavec64 area
	call area_check
	call forget
	mov $-1, %eax
	mov $-1, %edx
	xrstor64 area
	call verify
1:	testl $8, formats_there
	jz 2f
	/* 10, 11: IA32_XSS is 0 and may stay so; 12: nothing else; 13: not even what CPUs have */
	mov $IA32_XSS, %ecx
	rdmsr
	or %edx, %eax
	CHECK 10, z
	TRY(xor %eax, %eax; xor %edx, %edx; wrmsr)
	cmpl $0, caught
	CHECK 11, e
	TRY(mov $1, %eax; wrmsr)
	cmpl $13, caught
	CHECK 12, e
	TRY(mov $0x100, %eax; wrmsr)
	cmpl $13, caught
	CHECK 13, e
	call area_begin
	call fill
	mov $-1, %eax
	mov $-1, %edx
	xsaves64 area
	call area_check
	call forget
	mov $-1, %eax
	mov $-1, %edx
	xrstors64 area
	call verify
	ret
	/* 14, 15, 16: hidden: neither the instructions nor the register are there */
2:	TRY(xsaves64 area)
	cmpl $6, caught
	CHECK 14, e
	TRY(xrstors64 area)
	cmpl $6, caught
	CHECK 15, e
	mov $IA32_XSS, %ecx
	TRY(rdmsr)
	cmpl $13, caught
	CHECK 16, e
	ret

area_begin:
	mov $area, %edi
	mov $AREA, %ecx
	mov $0xa5, %al
	rep stosb
	/* the header is what XSAVEC does not write as a whole */
	mov $area + 512, %edi
	mov $64, %ecx
	xor %eax, %eax
	rep stosb
	ret

/* 17: XCOMP_BV names all; 18: nothing was written beyond the compacted size */
area_check:
	mov area + 520, %rax
	btr $63, %rax
	CHECK 17, c
	mov enabled, %ecx
	cmp %rcx, %rax
	CHECK 17, e
	mov compact_size, %ecx
1:	cmpb $0xa5, area(%rcx)
	CHECK 18, e
	inc %ecx
	cmp $AREA, %ecx
	jb 1b
	ret

/* Other values into the registers. */
forget:
	fninit
	xor %eax, %eax
	movl $0x1f80, found
	ldmxcsr found
	testl $XCR0_AVX, enabled
	jz 1f
	vzeroall
1:	testl $XCR0_AVX512, enabled
	jz 2f
	vpxorq %zmm31, %zmm31, %zmm31
	vpxorq %zmm17, %zmm17, %zmm17
	kxorq %k7, %k7, %k7
	kxorq %k1, %k1, %k1
2:	testl $XCR0_PKRU, enabled
	jz 3f
	xor %ecx, %ecx
	xor %edx, %edx
	wrpkru
3:	ret

/* The next value, in EAX. */
random:
	imul $1664525, seed, %eax
	add $1013904223, %eax
	mov %eax, seed
	ret

fill:
	mov $values, %edi
	mov $values_size / 4, %ecx
1:	call random
	bswap %eax /* the lower bits repeat too soon */
	stosl
	loop 1b
	/* masked exceptions, whatever precision, rounding and flags */
	andl $0x603f, mxcsr
	orl $0x1f80, mxcsr
	andw $0x0c00, control
	orw $0x037f, control
	ldmxcsr mxcsr
	fninit
	fldcw control
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7
	fldt x87_values + 16 * \n
	.endr
	mov seed, %ecx
	shr $20, %ecx
	and $7, %ecx
	inc %ecx
1:	fincstp
	loop 1b
	fxam /* condition codes */
	testl $0x1000000, seed
	jz 1f
	ffree %st(3)
1:	fnsave x87
	frstor x87

	mov enabled, %ebp
	test $XCR0_AVX512, %ebp
	jz 1f
	VECTORS_DO vmovdqu64, zmm, 32, 64, values, 0
	VECTORS_DO kmovq, k, 8, 8, masks, 0
	jmp 3f
1:	test $XCR0_AVX, %ebp
	jz 2f
	VECTORS_DO vmovups, ymm, 16, 32, values, 0
	jmp 3f
2:	VECTORS_DO movups, xmm, 16, 16, values, 0
3:	test $XCR0_PKRU, %ebp
	jz 4f
	xor %ecx, %ecx
	xor %edx, %edx
	mov pkru, %eax
	wrpkru
4:	mov debug, %rax
	mov %rax, %dr0
	mov debug + 8, %rax
	mov %rax, %dr1
	mov debug + 16, %rax
	mov %rax, %dr2
	mov debug + 24, %rax
	mov %rax, %dr3
	ret

verify:
	/* 20: MXCSR; 21: control, status and tags; 22: the x87 registers */
	stmxcsr found
	mov found, %eax
	mov mxcsr, %edx
	cmp %edx, %eax
	CHECK 20, e
	fnsave found
	.irp at, 0, 4, 8
	mov found + \at, %ax
	mov x87 + \at, %dx
	cmp %dx, %ax
	CHECK 21, e
	.endr
	mov $found + 28, %esi
	mov $x87 + 28, %edi
	mov $80, %ecx
	repe cmpsb
	CHECK 22, e
	/* 23: the vector registers; 24: the masks */
	mov enabled, %ebp
	test $XCR0_AVX512, %ebp
	jz 1f
	VECTORS_DO vmovdqu64, zmm, 32, 64, found, 1
	mov $32 * 64, %ecx
	call compare
	VECTORS_DO kmovq, k, 8, 8, found, 1
	mov $found, %esi
	mov $masks, %edi
	mov $MASKS, %ecx
	repe cmpsb
	CHECK 24, e
	jmp 3f
1:	test $XCR0_AVX, %ebp
	jz 2f
	VECTORS_DO vmovups, ymm, 16, 32, found, 1
	mov $16 * 32, %ecx
	call compare
	jmp 3f
2:	VECTORS_DO movups, xmm, 16, 16, found, 1
	mov $16 * 16, %ecx
	call compare
	/* 25: PKRU */
3:	test $XCR0_PKRU, %ebp
	jz 4f
	xor %ecx, %ecx
	rdpkru
	mov pkru, %edx
	cmp %edx, %eax
	CHECK 25, e
	/* 26: the debug registers */
	.irp n, 0, 1, 2, 3
4:	mov %dr\n, %rax
	mov debug + 8 * \n, %rdx
	cmp %rdx, %rax
	CHECK 26, e
	.endr
	/* 27: XCR0 */
	test %ebp, %ebp
	jz 5f
	xor %ecx, %ecx
	xgetbv
	mov %ebp, %edx
	cmp %edx, %eax
	CHECK 27, e
5:	ret

compare:
	mov $found, %esi
	mov $values, %edi
	repe cmpsb
	CHECK 23, e
	ret

/* Out of the guest and back: short exits; sleep; a busy time, from which another guest's turn takes the
 * core; sleep with all but x87 and SSE off in XCR0, which keeps the values all the same. */
leave_guest:
	xor %eax, %eax
	cpuid
	in $0x21, %al
	mov round, %eax
	and $3, %eax
	jz 1f
	cmp $2, %eax
	jb sleep
	je busy
	cmpl $0, enabled
	je sleep
	xor %ecx, %ecx
	xor %edx, %edx
	mov $3, %eax
	xsetbv
	call sleep
	/* 28: others had theirs meanwhile */
	xor %ecx, %ecx
	xgetbv
	cmp $3, %eax
	CHECK 28, e
	xor %edx, %edx
	mov enabled, %eax
	xsetbv
1:	ret

/* The timer is periodic, for QEMU 7.2's VMRUN does not load the shadow of STI from the VMCB: an
 * interrupt may come between STI and HLT. */
sleep:
	movl $SLEEP_NS, %eax
	call start_timer
1:	cli
	cmpl $0, ticks
	jne 2f
	sti
	hlt
	jmp 1b
2:	jmp stop_timer

busy:
	movl $BUSY_NS, %eax
	call start_timer
	sti
1:	cmpl $0, ticks
	je 1b
	cli
	jmp stop_timer

/* EAX: in nanoseconds, which the timer counts. */
start_timer:
	movl $0, ticks
	mov $LAPIC, %edi
	mov %eax, 0x380(%rdi)
	ret

stop_timer:
	xor %eax, %eax
	mov $LAPIC, %edi
	mov %eax, 0x380(%rdi)
	ret

tick:
	push %rdi
	incl ticks
	mov $LAPIC, %edi
	movl $0, 0xb0(%rdi)
	pop %rdi
	iretq

/* "state: " and the name of each component that was in use. */
report:
	mov $said_state, %esi
	call puts
	mov $said_legacy, %esi
	call puts
	mov enabled, %ebp
	mov $names, %ebx
1:	mov (%rbx), %ecx
	test %ecx, %ecx
	jz 3f
	bt %ecx, %ebp
	jnc 2f
	mov 4(%rbx), %esi
	call puts
2:	add $8, %ebx
	jmp 1b
3:	mov formats_there, %ebp
	mov $format_names, %ebx
4:	mov (%rbx), %ecx
	test %ecx, %ecx
	jz 6f
	bt %ecx, %ebp
	jnc 5f
	mov 4(%rbx), %esi
	call puts
5:	add $8, %ebx
	jmp 4b
6:	mov $10, %al
	jmp putc

/* EAX: the number of the check. */
failed:
	mov %eax, %ebx
	mov $said_check, %esi
	call puts
	mov %ebx, %eax
	call put_decimal
	mov $said_round, %esi
	call puts
	mov round, %eax
	call put_decimal
	mov $10, %al
	call putc
	mov %ebx, %eax
	jmp end

/* ---- interrupts ---- */

idt_begin:
	mov $idt, %edi
	mov $stubs, %eax
	mov $32, %ecx
1:	call gate
	add $16, %eax
	add $16, %edi
	loop 1b
	mov $tick, %eax
	mov $idt + 16 * TICK, %edi
	call gate
	lidt idt_pointer
	ret

/* EAX: the handler; EDI: the gate. */
gate:
	mov %eax, %edx
	mov %dx, (%rdi)
	movw $8, 2(%rdi)
	movw $0x8e00, 4(%rdi)
	shr $16, %edx
	mov %dx, 6(%rdi)
	ret

	.balign 16
stubs:
	.set vector, 0
	.rept 32
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	push $0
	.endif
	push $vector
	jmp exception
	.set vector, vector + 1
	.endr
	.balign 16

exception:
	push %rax
	mov 8(%rsp), %eax
	cmpl $0, resume
	je 1f
	mov %eax, caught
	mov resume, %eax
	mov %rax, 24(%rsp)
	pop %rax
	add $16, %rsp
	iretq
1:	add $1000, %eax
	jmp failed

	.section .data
	.balign 4
names:
	.long 2, said_avx, 5, said_opmask, 6, said_zmm, 7, said_hi16, 9, said_pkru, 0
format_names:
	.long 1, said_xsavec, 2, said_xgetbv1, 3, said_xsaves, 0
idt_pointer:
	.short 256 * 16 - 1
	.quad idt
said_state:   .asciz "state: "
said_legacy:  .asciz "x87 sse dr"
said_avx:     .asciz " avx"
said_opmask:  .asciz " opmask"
said_zmm:     .asciz " zmm-hi256"
said_hi16:    .asciz " hi16-zmm"
said_pkru:    .asciz " pkru"
said_xsavec:  .asciz " xsavec"
said_xgetbv1: .asciz " xgetbv1"
said_xsaves:  .asciz " xsaves"
said_check:   .asciz "check "
said_round:   .asciz " failed in round "
	.section .bss
	.balign 64
area:	     .skip AREA
values:	     .skip VECTORS
masks:	     .skip MASKS
x87_values:  .skip 8 * 16
debug:	     .skip 4 * 8
mxcsr:	     .skip 4
control:     .skip 4
pkru:	     .skip 4
	     .set values_size, . - values
	.balign 64
found:	     .skip VECTORS
x87:	     .skip X87 + 4
	.balign 16
idt:	     .skip 256 * 16
seed:	     .skip 4
round:	     .skip 4
ticks:	     .skip 4
resume:	     .skip 4
caught:	     .skip 4
enabled:     .skip 4
area_size:   .skip 4
compact_size: .skip 4
formats_there: .skip 4
word:	     .skip 1
