/*
 * What a guest must not have: SVM and VMX hidden in CPUID, SVM instructions and unknown MSRs refused
 * with the architecture's exceptions, unknown ports and memory reading all ones. Ends with the number
 * of the first check that fails, 0 if none does.
 */
#include "guest.h"

#define CHECK(number, vector, insn...)                                                             \
	movl $0, caught;                                                                           \
	movl $9f, resume;                                                                          \
	insn;                                                                                      \
9:	cmpl $vector + 1, caught;                                                                  \
	mov $number, %eax;                                                                         \
	jne failed

main:
	/* #UD and #GP come to `handler`, which notes the vector + 1 and goes on at `resume` */
	mov $6, %ecx
	mov $ud, %eax
	call set_gate
	mov $13, %ecx
	mov $gp, %eax
	call set_gate
	sgdt old_gdt
	lgdt new_gdt_pointer
	ljmp $8, $1f
1:	mov $16, %eax
	mov %eax, %ss
	mov %eax, %ds
	mov %eax, %es
	lidt idt_pointer

	/* 1: no SVM; 2: no VMX, and the hypervisor bit is there */
	mov $0x80000001, %eax
	cpuid
	mov $1, %eax
	bt $2, %ecx
	jc failed
	mov $1, %eax
	cpuid
	mov $2, %eax
	bt $5, %ecx
	jc failed
	bt $31, %ecx
	jnc failed

	mov $0x200000, %eax /* a page's address, or the emulator finds fault with it first */
	CHECK(3, 6, vmrun %eax)
	mov $0x200000, %eax
	CHECK(4, 6, vmload %eax)
	mov $0x200000, %eax
	CHECK(5, 6, vmsave %eax)
	CHECK(6, 6, clgi)
	CHECK(7, 6, stgi)
	mov $0x12345678, %ecx
	CHECK(8, 13, rdmsr)
	CHECK(9, 13, wrmsr)
	/* 10: CR4 bits that this CPU model does not have */
	mov $0x2000, %eax
	CHECK(10, 13, mov %eax, %cr4)
	/* 11: EFER.SVME */
	mov $0xc0000080, %ecx
	mov $0x1000, %eax
	xor %edx, %edx
	CHECK(11, 13, wrmsr)
	/* 12: an unknown hypercall answers -1000 */
	mov $9999, %eax
	vmmcall
	cmp $-1000, %eax
	mov $12, %eax
	jne failed
	/* 13, 14, 15: nothing at a port; 16: nothing at an address */
	mov $0x5660, %edx
	xor %eax, %eax
	in %dx, %eax
	cmp $-1, %eax
	mov $13, %eax
	jne failed
	xor %eax, %eax
	in %dx, %ax
	cmp $0xffff, %eax
	mov $14, %eax
	jne failed
	xor %eax, %eax
	in %dx, %al
	cmp $0xff, %eax
	mov $15, %eax
	jne failed
	mov 0xd0000000, %ebx
	cmp $-1, %ebx
	mov $16, %eax
	jne failed
	/* 17: string output reaches the port; the line is looked for by the test */
	mov $text, %esi
	mov $(text_end - text), %ecx
	mov $0x3f8, %edx
	rep outsb
	test %ecx, %ecx
	mov $17, %eax
	jnz failed
	xor %eax, %eax
failed:
	ret

/* Gate ECX of the IDT leads to EAX. */
set_gate:
	lea idt(, %ecx, 8), %edi
	mov %ax, (%edi)
	movw $8, 2(%edi)
	movw $0x8e00, 4(%edi)
	shr $16, %eax
	mov %ax, 6(%edi)
	ret
gp:	movl $14, caught
	add $4, %esp /* the error code */
	jmp handler
ud:	movl $7, caught
handler:
	push %eax
	mov resume, %eax
	mov %eax, 4(%esp)
	pop %eax
	iret

	.section .data
	.balign 8
flat:	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
new_gdt_pointer:
	.short 23
	.long flat
idt_pointer:
	.short 32 * 8 - 1
	.long idt
text:	.ascii "a line by rep outsb\n"
text_end:
	.section .bss
	.balign 8
idt:	.skip 32 * 8
old_gdt: .skip 8
caught:	.skip 4
resume:	.skip 4
