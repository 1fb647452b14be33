/*
 * Debug exceptions: single steps over instructions that the hypervisor does for the guest, shadows of
 * STI and MOV SS, breakpoints by debug registers, and the instructions that trap.
 */
#include "guest.h"
#include "checks.h"

#define LAPIC_VERSION LAPIC + 0x30
#define DR6_BS	      0x4000
#define VEC_BP	      3
#define VEC_OF	      4
#define TICK	      0x81

/* The first step is that of the next instruction; the last ones are within TF_OFF. */
	.macro TF_ON
	pushf
	orl $EFLAGS_TF, (%esp)
	popf
	.endm
	.macro TF_OFF
	pushf
	andl $~EFLAGS_TF, (%esp)
	popf
	.endm

/* Single-steps over `insn`, and over nothing else: check `number` is whether one #DB comes
 * right behind it and the next behind the NOP that follows, both with DR6.BS. */
#define STEPS(number, insn...)                                                                     \
	movl $0, steps;                                                                            \
	TF_ON;                                                                         \
	insn;                                                                                      \
6:	nop;                                                                                       \
5:	TF_OFF;                                                                        \
	cmpl $6b, step_eip;                                                                        \
	CHECK number, e;                                                                           \
	cmpl $5b, step_eip + 4;                                                                    \
	CHECK number, e;                                                                           \
	CHECK_IS(number, step_dr6, DR6_BS);                                                        \
	CHECK_IS(number, step_dr6 + 4, DR6_BS)

main:
	call begin
	call lapic_begin
	HANDLE(VEC_DB, step)

	/* 1: one that the processor does itself; 2 to 15: those that the
	 * hypervisor does, but RDTSC */
	STEPS(1, inc %ebx)
	xor %eax, %eax
	STEPS(2, cpuid)
	STEPS(3, in $0x21, %al)
	mov $0x3fb, %edx
	STEPS(4, in %dx, %al)
	mov $0xff, %al
	STEPS(5, out %al, $0x21)
	STEPS(6, mov LAPIC_VERSION, %eax)
	STEPS(7, movl $0, LAPIC + 0x80)
	STEPS(8, orl $0, LAPIC + 0x80)
	mov $0x3b, %ecx
	STEPS(9, rdmsr)
	xor %eax, %eax
	xor %edx, %edx
	STEPS(10, wrmsr)
	mov %cr4, %eax
	STEPS(11, mov %eax, %cr4)
	STEPS(12, wbinvd)
	mov $LAPIC_VERSION, %esi
	STEPS(13, lodsl)
	STEPS(14, rdtsc)
	mov $text, %esi
	mov $0x3ff, %edx
	STEPS(15, outsb)

	/* 16: a prefix more; 17: a fault is no step, its handler is not stepped through, and the step is
	 * that of the instruction that the handler goes back to */
	xor %eax, %eax
	STEPS(16, .byte 0x3e, 0x0f, 0xa2)
	mov $0x12345678, %ecx
	movl $0, steps
	TF_ON
	TRY(rdmsr)
after_try:
	TF_OFF
	CHECK_IS(17, caught, VEC_GP)
	cmpl $after_try, step_eip + 8 /* two are of TRY's own before */
	CHECK 17, e

	/* 18, 19: HLT with TF: the step wakes it, whether interrupts are on or off */
	sti
	STEPS(18, hlt)
	cli
	STEPS(19, hlt)

	/* 20: a step after each iteration of REP: 2 before the last leave EIP at it */
	mov $LAPIC_VERSION, %esi
	mov $scratch, %edi
	mov $3, %ecx
	movl $0, steps
	TF_ON
rep_movs:
	rep; movsb
rep_end:
	TF_OFF
	cmpl $rep_movs, step_eip
	CHECK 20, e
	cmpl $rep_movs, step_eip + 4
	CHECK 20, e
	cmpl $rep_end, step_eip + 8
	CHECK 20, e

	/* ---- shadows ---- */
	/* 22: an interrupt that waits comes one instruction after STI; 23: not if that is CLI */
	HANDLE(TICK, interrupt)
	movl $0x44000 | TICK, LAPIC + 0x300
	sti
	nop
after_nop:
	nop
	cli
	cmpl $after_nop, interrupt_eip
	CHECK 22, e
	movl $0x44000 | TICK, LAPIC + 0x300
	sti
	cli
	CHECK_IS(23, COUNT(TICK), 1)
	/* 24: the instruction in the shadow may be one that exits, which ends the shadow */
	movl $0, interrupt_eip
	sti
	in $0x21, %al
after_in:
	nop
	cli
	cmpl $after_in, interrupt_eip
	CHECK 24, e
	/* 25: STI while interrupts are on makes no shadow of its own: STI; STI; the interrupt comes
	 * after the second at the latest */
	movl $0x44000 | TICK, LAPIC + 0x300
	sti
	sti
after_sti:
	nop
	cli
	cmpl $after_sti, interrupt_eip
	CHECK 25, e

	/* 26: no step right after MOV SS: the first comes behind the next instruction */
	movl $0, steps
	mov %ss, %ebx
	TF_ON
	mov %ebx, %ss
	nop
after_ss:
	nop
	TF_OFF
	cmpl $after_ss, step_eip
	CHECK 26, e

	/* ---- breakpoints by debug registers ---- */
	/* 27: of an instruction: before it, once, with DR6.B0; RF lets it go on */
	HANDLE(VEC_DB, breakpoint)
	mov $target, %eax
	mov %eax, %dr0
	mov $0x401, %eax
	mov %eax, %dr7
	movl $0, steps
target: nop
	CHECK_IS(27, steps, 1)
	cmpl $target, step_eip
	CHECK 27, e
	CHECK_IS(27, step_dr6, 1)
	/* 28: of one that exits: the same */
	mov $target2, %eax
	mov %eax, %dr0
	movl $0, steps
	xor %eax, %eax
target2: cpuid
	CHECK_IS(28, steps, 1)
	cmpl $target2, step_eip
	CHECK 28, e
	/* 29, 30: of a write by DR1 and of any access by DR2: after it, with their bits of DR6 */
	mov $scratch, %eax
	mov %eax, %dr1
	add $4, %eax
	mov %eax, %dr2
	mov $0x0fd00414, %eax /* DR1: writes of 4 bytes, DR2: all of 4 bytes */
	mov %eax, %dr7
	movl $0, steps
	mov scratch, %eax
	CHECK_IS(29, steps, 0)
	movl $1, scratch
after_write:
	CHECK_IS(29, steps, 1)
	cmpl $after_write, step_eip
	CHECK 29, e
	CHECK_IS(29, step_dr6, 2)
	movl $0, steps
	mov scratch + 4, %eax
after_read:
	CHECK_IS(30, steps, 1)
	cmpl $after_read, step_eip
	CHECK 30, e
	CHECK_IS(30, step_dr6, 4)
	/* 31: DR3 keeps what is written, over many exits and a sleep; 32: so do the others */
	mov $0x13579bdf, %eax
	mov %eax, %dr3
	mov $0x400, %eax
	mov %eax, %dr7
	movl $0, COUNT(TICK)
	movl $TICK, LAPIC + 0x320
	movl $0xb, LAPIC + 0x3e0
	movl $3000000, LAPIC + 0x380
	SLEEP_UNTIL(TICK, 1)
	mov %dr3, %eax
	cmp $0x13579bdf, %eax
	CHECK 31, e
	mov %dr2, %eax
	cmp $scratch + 4, %eax
	CHECK 32, e
	mov %dr7, %eax
	cmp $0x400, %eax
	CHECK 32, e

	/* ---- instructions that trap ---- */
	/* 33: INT3: EIP behind it; 34: INTO */
	HANDLE(VEC_BP, interrupt)
	HANDLE(VEC_OF, interrupt)
	int3
after_int3:
	cmpl $after_int3, interrupt_eip
	CHECK 33, e
	mov $0x7fffffff, %eax
	add $1, %eax
	into
after_into:
	cmpl $after_into, interrupt_eip
	CHECK 34, e
	xor %eax, %eax
	into
	CHECK_IS(34, COUNT(VEC_OF), 1)
	/* 35: INT n */
	HANDLE(0x90, interrupt)
	int $0x90
after_int:
	cmpl $after_int, interrupt_eip
	CHECK 35, e
	CHECK_IS(35, COUNT(0x90), 1)
	xor %eax, %eax
	ret

/* Notes where a step came, and clears DR6. */
step:
	mov %dr6, %ebx
	and $0xe00f, %ebx
	mov steps, %ecx
	cmp $8, %ecx
	jae 1f
	mov FRAME_EIP(%ebp), %eax
	mov %eax, step_eip(, %ecx, 4)
	mov %ebx, step_dr6(, %ecx, 4)
1:	incl steps
	mov $0xffff0ff0, %eax
	mov %eax, %dr6
	ret

breakpoint:
	orl $0x10000, FRAME_EFLAGS(%ebp) /* RF */
	jmp step

interrupt:
	mov FRAME_EIP(%ebp), %eax
	mov %eax, interrupt_eip
	cmpl $TICK, FRAME_VECTOR(%ebp)
	je eoi_lapic
	ret

	.section .data
text:	.ascii "."
	.section .bss
	.balign 16
scratch:	.skip 16
steps:		.skip 4
step_eip:	.skip 32
step_dr6:	.skip 32
interrupt_eip:	.skip 4
