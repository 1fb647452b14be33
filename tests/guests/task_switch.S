/*
 * Hardware task switches, which one vendor's processors do and the other's leave to the hypervisor: by
 * JMP, CALL and IRET, by task gates with and without an error code, with an LDT, page tables, virtual-8086
 * mode and a 16-bit TSS, and the faults before and after the new task is in place. With the word "strict"
 * also what QEMU's emulation does not do.
 */
#include "guest.h"
#include "checks.h"

#define VEC_DF	   8
#define VEC_TS	   10
#define VEC_NP	   11
#define VEC_PF	   14
#define EFLAGS_NT  0x4000
#define EFLAGS_VM  0x20000
#define CR0_TS	   8
#define BUSY	   2

#define MAIN	   0x18
#define TASK	   0x20
#define LDT	   0x28
#define TASK16	   0x30
#define ABSENT	   0x38 /* a TSS */
#define SHORT	   0x40 /* likewise */
#define NO_DATA	   0x48 /* a data segment that is not present */
#define GATE	   0x50 /* to TASK */

/* Where in a TSS. */
#define LINK	0
#define ESP0	4
#define SS0	8
#define CR3	28
#define EIP	32
#define EFLAGS	36
#define EBX	52
#define ESP	56
#define ES	72
#define CS	76
#define SS	80
#define DS	84
#define FS	88
#define GS	92
#define LDTR	96
#define TRAP	100

#define TYPE(selector) our_gdt + (selector) + 5

/* A descriptor of 32-bit base and small limit, without its base. */
#define SYSTEM(limit, type) .quad (limit) | (type) << 40

/* The base of a system descriptor. Changes EAX. */
#define SET_BASE(selector, place)                                                                  \
	mov $place, %eax;                                                                          \
	mov %ax, our_gdt + (selector) + 2;                                                         \
	shr $16, %eax;                                                                             \
	mov %al, our_gdt + (selector) + 4;                                                         \
	mov %ah, our_gdt + (selector) + 7

/* The task's next turn is `where`, with a fresh stack. */
#define TASK_AT(where)                                                                             \
	movl $where, task + EIP;                                                                   \
	movl $task_stack, task + ESP;                                                              \
	movl $2, task + EFLAGS

#define TASK_GATE(vector)                                                                          \
	movl $TASK << 16, idt + 8 * (vector);                                                      \
	movl $0x8500, idt + 8 * (vector) + 4

/* Check `number` is whether a descriptor is busy (BUSY) or not (0). */
#define CHECK_BUSY(number, selector, busy)                                                         \
	mov TYPE(selector), %al;                                                                   \
	and $BUSY, %al;                                                                            \
	cmp $busy, %al;                                                                            \
	CHECK number, e

/* Check `number` is whether TR is that. */
#define CHECK_TR(number, selector)                                                                 \
	str %eax;                                                                                  \
	cmp $selector, %ax;                                                                        \
	CHECK number, e

/* Check `number` is whether NT is (nz) set or not (z). */
#define CHECK_NT(number, is)                                                                       \
	pushf;                                                                                     \
	pop %eax;                                                                                  \
	test $EFLAGS_NT, %eax;                                                                     \
	CHECK number, is

/* Check `number` is whether the instruction faults with that error code. */
#define FAULTS_WITH(number, vector, code, insn...)                                                 \
	FAULTS(number, vector, insn);                                                              \
	CHECK_IS(number, error, code)

main:
	call begin
	SET_BASE(MAIN, main_tss)
	SET_BASE(TASK, task)
	SET_BASE(LDT, ldt)
	SET_BASE(TASK16, task16)
	SET_BASE(ABSENT, task)
	SET_BASE(SHORT, task)
	lgdt our_gdt_pointer
	mov $MAIN, %eax
	ltr %ax
	HANDLE(VEC_TS, note)
	HANDLE(VEC_NP, note)
	HANDLE(VEC_GP, note)
	HANDLE(VEC_DB, note)

	/* ---- JMP ---- */
	/* 1 to 4: there and back; what the task finds, and what this one finds again */
	TASK_AT(jumped_to)
	movl $0x11223344, task + EBX
	movl $0x55667788, %ebx
	mov $0x4ff, %eax /* all local and global breakpoints of address 0 */
	mov %eax, %dr7
	clts
	std
	ljmp $TASK, $0
jumped_back:
	pushf
	cld
	pop %eax
	test $0x400, %eax
	CHECK 4, nz
	cmp $0x55667788, %ebx
	CHECK 4, e
	CHECK_IS(4, main_tss + EIP, jumped_back)
	CHECK_TR(4, MAIN)
	CHECK_NT(4, z)
	CHECK_BUSY(4, MAIN, BUSY)
	CHECK_BUSY(4, TASK, 0)
	mov $0x400, %eax
	mov %eax, %dr7
	/* 5: through a task gate of the GDT */
	TASK_AT(by_gate)
	ljmp $GATE, $0
	CHECK_TR(5, MAIN)

	/* ---- CALL and IRET ---- */
	/* 6, 7: nested, twice: an IRET leaves the task behind it */
	TASK_AT(called)
	movl $0, turns
	lcall $TASK, $0
	CHECK_IS(7, turns, 1)
	CHECK_TR(7, MAIN)
	CHECK_NT(7, z)
	CHECK_BUSY(7, TASK, 0)
	CHECK_BUSY(7, MAIN, BUSY)
	testl $EFLAGS_NT, task + EFLAGS
	CHECK 7, z
	lcall $GATE, $0
	CHECK_IS(7, turns, 2)
	CHECK_TR(7, MAIN)

	/* ---- task gates of the IDT ---- */
	/* 8: INT n: behind the instruction */
	TASK_GATE(0x90)
	int $0x90
after_int:
	CHECK_IS(8, turns, 3)
	CHECK_IS(8, main_tss + EIP, after_int)
	CHECK_NT(8, z)
	/* 9: a fault: at the instruction, which the task then skips */
	TASK_AT(fault_task)
	TASK_GATE(VEC_UD)
	movl $0, turns
faulting:
	ud2
	CHECK_IS(9, turns, 1)
	CHECK_IS(9, main_tss + EIP, faulting + 2)
	/* 10: with an error code */
	TASK_AT(error_task)
	TASK_GATE(VEC_GP)
	mov $0x1230, %eax
	mov %eax, %fs
	CHECK_IS(10, turns, 2)
	CHECK_IS(10, error, 0x1230)
	CHECK_IS(10, task + ESP, task_stack)
	/* 11: a double fault: the gate of #GP is not there */
	TASK_AT(error_task)
	TASK_GATE(VEC_DF)
	movl $0x500, idt + 8 * VEC_GP + 4
	movl $-1, error
	mov %eax, %fs
	CHECK_IS(11, turns, 3)
	CHECK_IS(11, error, 0)
	/* 12: an interrupt from outside */
	call lapic_begin
	TASK_AT(interrupt_task)
	TASK_GATE(0x81)
	movl $0x44081, LAPIC + 0x300
	sti
	nop
	nop
	cli
	CHECK_IS(12, turns, 4)
	CHECK_TR(12, MAIN)
	/* 13: an NMI, and another: the IRET that ends the first task lets it in */
	TASK_AT(nmi_task)
	TASK_GATE(VEC_NMI)
	movl $0, turns
	movl $0x44400, LAPIC + 0x300
	nop
	nop
	CHECK_IS(13, turns, 1)
	CHECK_TR(13, MAIN)
	movl $0x44400, LAPIC + 0x300
	nop
	nop
	CHECK_IS(13, turns, 2)
	/* interrupt gates again, as the rest needs them */
	call begin
	lgdt our_gdt_pointer

	/* ---- faults of the old task ---- */
	/* 14 to 17: a busy TSS, one not present, one too short, one beyond the table */
	FAULTS_WITH(14, VEC_GP, MAIN, ljmp $MAIN, $0)
	FAULTS_WITH(15, VEC_NP, ABSENT, ljmp $ABSENT, $0)
	FAULTS_WITH(16, VEC_TS, SHORT, lcall $SHORT, $0)
	FAULTS_WITH(17, VEC_GP, 0x1230, ljmp $0x1230, $0)
	/* 18: back to a task that is not busy; NT is as it was, and nothing was saved */
	movl $TASK, main_tss + LINK
	movl $0x12345678, main_tss + EIP
	pushf
	orl $EFLAGS_NT, (%esp)
	popf
	FAULTS_WITH(18, VEC_TS, TASK, iret)
	CHECK_NT(18, nz)
	CHECK_IS(18, main_tss + EIP, 0x12345678)
	CHECK_TR(18, MAIN)
	pushf
	andl $~EFLAGS_NT, (%esp)
	popf

	/* ---- faults of the new task ---- */
	/* 19: a segment that is not present; the task is in place, at its first instruction */
	TASK_AT(never)
	movl $NO_DATA, task + GS
	movl $in_task, resume
	movl $-1, caught
	ljmp $TASK, $0
	CHECK_IS(19, caught, VEC_NP)
	CHECK_IS(19, error, NO_DATA)
	cmpl $never, eip
	je 1f
	call is_strict /* QEMU's emulation says where the old task was */
	CHECK 19, ne
1:
	CHECK_IS(19, seen_tr, TASK)
	/* 20: a data segment beyond the table */
	TASK_AT(never)
	movl $0x10, task + GS
	movl $0x100, task + FS
	movl $in_task, resume
	ljmp $TASK, $0
	CHECK_IS(20, caught, VEC_TS)
	CHECK_IS(20, error, 0x100)
	CHECK_IS(20, seen_tr, TASK)
	movl $0x10, task + FS

	/* ---- what a task brings along ---- */
	/* 21: an LDT, with a data segment in it */
	TASK_AT(with_ldt)
	mov $ldt_word, %eax
	mov %ax, ldt + 2
	shr $16, %eax
	mov %al, ldt + 4
	movl $LDT, task + LDTR
	movl $4, task + FS
	ljmp $TASK, $0
	CHECK_IS(21, turns, 0x1d7)
	testb $1, ldt + 5 /* it was accessed */
	jnz 1f
	call is_strict /* QEMU's emulation does not note that here */
	CHECK 21, ne
1:
	/* 22: this task has none */
	sldt %eax
	test %ax, %ax
	CHECK 22, z
	movl $0, task + LDTR
	movl $0x10, task + FS

	/* 23, 24: page tables. CR3 is loaded, and not saved */
	mov $tables, %edi
	mov $0x83, %eax
	mov $1024, %ecx
1:	mov %eax, (%edi)
	mov %eax, 4096(%edi)
	add $0x400000, %eax
	add $4, %edi
	loop 1b
	movl $0x83, tables + 4096 + 0x200 * 4 /* 2 GiB is address 0 there */
	movl $0x400083, tables + 0x200 * 4    /* and 4 MiB here */
	movl $tables, main_tss + CR3
	movl $tables + 4096, task + CR3
	movl $0x1111, 0x500
	movl $0x2222, 0x400500
	mov $tables, %eax
	mov %eax, %cr3
	mov %cr4, %eax
	or $0x10, %eax
	mov %eax, %cr4
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	CHECK_IS(23, 0x80000500, 0x2222)
	TASK_AT(with_tables)
	ljmp $TASK, $0
	CHECK_IS(24, 0x80000500, 0x2222)
	mov %cr3, %eax
	cmp $tables, %eax
	CHECK 24, e
	/* 25: the new TSS is not mapped: the old task goes on */
	HANDLE(VEC_PF, note)
	movl $0, tables + 0x200 * 4
	mov $tables, %eax
	mov %eax, %cr3
	movl $0x67, our_gdt + ABSENT
	movl $0x80008900, our_gdt + ABSENT + 4
	FAULTS_WITH(25, VEC_PF, 0, ljmp $ABSENT, $0)
	mov %cr2, %eax
	and $-4096, %eax
	cmp $0x80000000, %eax
	CHECK 25, e
	CHECK_BUSY(25, ABSENT, 0)
	CHECK_TR(25, MAIN)
	/* 26: a page fault to a task: it has the address and the error code, and then maps the page */
	TASK_AT(fault_in_page)
	movl $tables, task + CR3
	TASK_GATE(VEC_PF)
	movl $-1, error
	movl $-1, 0x80000504
	CHECK_IS(26, error, 2)
	CHECK_IS(26, eip, 0x80000504)
	CHECK_IS(26, 0x400504, -1)
	mov %cr0, %eax
	and $0x7fffffff, %eax
	mov %eax, %cr0

	/* 27: virtual-8086 mode: HLT faults there, to the task's own stack of ring 0 */
	movb $0xf4, 0x7000
	movl $0, task + EIP
	movl $EFLAGS_VM | 2, task + EFLAGS
	movl $0x700, task + CS
	movl $0x1234, task + DS
	movl $0x10, task + SS0
	movl $task_stack, task + ESP0
	mov $from_vm86, %eax
	mov idt + 8 * VEC_GP, %ebx
	mov idt + 8 * VEC_GP + 4, %edx
	mov %ax, idt + 8 * VEC_GP
	shr $16, %eax
	mov %ax, idt + 8 * VEC_GP + 6
	ljmp $TASK, $0
	CHECK_IS(27, turns, 0x86)
	mov %ebx, idt + 8 * VEC_GP
	mov %edx, idt + 8 * VEC_GP + 4
	movl $8, task + CS
	movl $0x10, task + DS

	/* 28: a 16-bit TSS */
	mov $stub16, %esi
	mov $0x7000, %edi
	mov $stub16_end - stub16, %ecx
	rep movsb
	mov $0x77777777, %ebx
	ljmp $TASK16, $0
	cmp $0x77777777, %ebx
	CHECK 28, e
	CHECK_IS(28, seen_tr, TASK16)
	CHECK_IS(28, turns, 0x5a5a)
	CHECK_BUSY(28, TASK16, 0)

	/* 29: the T bit: a trap before the first instruction */
	call is_strict
	jne 3f
	TASK_AT(never)
	movl $1, task + TRAP
	movl $in_task, resume
	ljmp $TASK, $0
	CHECK_IS(29, caught, VEC_DB)
	CHECK_IS(29, eip, never)
	CHECK_IS(29, seen_tr, TASK)
	mov %dr6, %eax
	test $0x8000, %eax
	CHECK 29, nz
3:	xor %eax, %eax
	ret

/* ZF: the word "strict" is on the command line. Changes EBX, ESI. */
is_strict:
	mov boot_info, %ebx
	mov (%ebx), %esi
	not %esi
	test $4, %esi
	jnz 1f
	mov 16(%ebx), %esi
	cmpb $'s', (%esi)
1:	ret

/* ---- what the task does ---- */

jumped_to:
	CHECK_TR(1, TASK)
	cmp $0x11223344, %ebx
	CHECK 1, e
	cmp $task_stack, %esp
	CHECK 1, e
	CHECK_NT(1, z)
	CHECK_BUSY(2, MAIN, 0)
	CHECK_BUSY(2, TASK, BUSY)
	mov %cr0, %eax
	test $CR0_TS, %eax
	CHECK 3, nz
	mov %dr7, %eax
	test $0x155, %eax
	CHECK 3, z
	test $0xaa, %eax
	CHECK 3, nz
	xor %eax, %eax
	mov %eax, %dr7
	mov %eax, %ebx
by_gate:
	ljmp $MAIN, $0

called:
	CHECK_TR(6, TASK)
	CHECK_NT(6, nz)
	CHECK_BUSY(6, MAIN, BUSY)
	CHECK_BUSY(6, TASK, BUSY)
	CHECK_IS(6, task + LINK, MAIN)
	incl turns
	iret
	jmp called

fault_task:
	CHECK_IS(9, main_tss + EIP, faulting)
	CHECK_IS(9, task + LINK, MAIN)
	addl $2, main_tss + EIP
	incl turns
	iret

error_task:
	pop error
	addl $2, main_tss + EIP
	incl turns
	iret

interrupt_task:
	call eoi_lapic
	incl turns
	iret

nmi_task:
	incl turns
	iret
	jmp nmi_task

fault_in_page:
	pop error
	mov %cr2, %eax
	mov %eax, eip
	movl $0x400083, tables + 0x200 * 4
	iret

in_task:
	str seen_tr
	ljmp $MAIN, $0

with_ldt:
	mov %fs:0, %eax
	mov %eax, turns
	sldt %eax
	cmp $LDT, %ax
	CHECK 21, e
	ljmp $MAIN, $0

with_tables:
	CHECK_IS(24, 0x80000500, 0x1111)
	ljmp $MAIN, $0

/* Copied to where 16 bits of EIP reach. */
stub16:
	mov %ebx, %eax
	mov %ax, turns
	str seen_tr
	ljmp $MAIN, $0
stub16_end:

never:
	push $99
	jmp failed

/* ---- handlers; the second one comes without data segments ---- */

note:
	mov FRAME_ERROR(%ebp), %eax
	mov %eax, error
	mov FRAME_VECTOR(%ebp), %eax
	mov %eax, caught
	mov FRAME_EIP(%ebp), %eax
	mov %eax, eip
	xor %ecx, %ecx
	xchg resume, %ecx
	test %ecx, %ecx
	jz unexpected
	mov %ecx, FRAME_EIP(%ebp)
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	ret

from_vm86:
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	testl $EFLAGS_VM, 12(%esp)
	CHECK 27, nz
	CHECK_IS(27, (%esp), 0)
	CHECK_IS(27, 4(%esp), 0)
	CHECK_IS(27, 8(%esp), 0x700)
	CHECK_IS(27, 28(%esp), 0x1234) /* DS */
	movl $0x86, turns
	ljmp $MAIN, $0

	.section .data
	.balign 8
our_gdt:
	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
	SYSTEM(103, 0x89)
	SYSTEM(103, 0x89)
	SYSTEM(7, 0x82)
	SYSTEM(43, 0x81)
	SYSTEM(103, 0x09)
	SYSTEM(102, 0x89)
	.quad 0x00cf12000000ffff
	.quad TASK << 16 | 0x85 << 40
our_gdt_end:
our_gdt_pointer:
	.short our_gdt_end - our_gdt - 1
	.long our_gdt
	.balign 8
ldt:	.quad 0x0040920000000003
ldt_word: .long 0x1d7
	.balign 4
task:	.fill 18, 4, 0
	.long 0x10, 8, 0x10, 0x10, 0x10, 0x10, 0, 104 << 16
task16:	.fill 7, 2, 0
	.short 0x7000, 2, 0, 0, 0, 0x5a5a, 0x7f00, 0, 0, 0
	.short 0x10, 8, 0x10, 0x10, 0
	.section .bss
	.balign 4096
tables:	.skip 2 * 4096
main_tss: .skip 104
	.skip 1024
task_stack:
turns:	.skip 4
error:	.skip 4
eip:	.skip 4
seen_tr: .skip 4
