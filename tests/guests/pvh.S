/*
 * Booted by PVH: the processor's state, and what the start info says. What may vary with the
 * configuration (command line, modules, memory) is printed for the test to compare. Linked as ELF32 and,
 * with ELF64 defined, as ELF64.
 *
 * Source: Xen's "x86/HVM direct boot ABI", and its public header hvm/start_info.h.
 */
#include "guest.h"
#include "checks.h"

#define START_MAGIC 0x336ec578

	/* a note before it, which is to be skipped, and of a length that needs padding */
	.section .note.other, "a", @note
	.balign 4
	.long 4, 5, 18
	.asciz "GNU"
	.ascii "other"
	.balign 4
	.section .note.Xen, "a", @note
	.balign 4
#ifdef ELF64
	.long 4, 8, 18
	.asciz "Xen"
	.quad pvh_start
#else
	.long 4, 4, 18
	.asciz "Xen"
	.long pvh_start
#endif

	.section .text
pvh_start:
	mov $stack_top, %esp
	pushf
	popl entry_flags
	jmp _start

/* Check `number` is whether a selector's segment begins at 0, ends at 4 GiB, and is of that kind. */
	.macro FLAT number, register, kind
	mov %\register, %ax
	lsl %ax, %ecx
	lar %ax, %edx
	cmp $-1, %ecx
	CHECK \number, e
	and $0xf0ff00, %edx
	cmp $\kind, %edx
	CHECK \number, e
	.endm

/* Prints the string, the number in 16 digits. Changes EAX, ECX, EDX, ESI. */
	.macro PRINT string
	mov $\string, %esi
	call puts
	.endm
	.macro PRINT64 low, high
	mov \high, %eax
	call put_hex
	mov \low, %eax
	call put_hex
	.endm

main:
	/* 1: protected mode and no more; 2; 3: no interrupts, no single steps, no virtual 8086 */
	mov %cr0, %eax
	cmp $0x11, %eax
	CHECK 1, e
	mov %cr4, %eax
	test %eax, %eax
	CHECK 2, z
	testl $0x20300, entry_flags
	CHECK 3, z
	FLAT 4, cs, 0xc09b00
	FLAT 5, ds, 0xc09300
	FLAT 5, es, 0xc09300
	FLAT 5, ss, 0xc09300
	call begin

	mov boot_info, %ebx
	CHECK_IS(6, (%ebx), START_MAGIC)
	CHECK_IS(7, 4(%ebx), 1)
	CHECK_IS(8, 8(%ebx), 0)
	/* 9: all that the structure names lies below 4 GiB; 10: what is reserved */
	CHECK_IS(9, 20(%ebx), 0)
	CHECK_IS(9, 28(%ebx), 0)
	CHECK_IS(9, 36(%ebx), 0)
	CHECK_IS(9, 44(%ebx), 0)
	CHECK_IS(10, 52(%ebx), 0)
	/* 11: the ACPI tables' root */
	mov 32(%ebx), %esi
	CHECK_IS(11, (%esi), 0x20445352)
	CHECK_IS(11, 4(%esi), 0x20525450)
	/* 12: nothing was loaded where the zeros of this program go */
	mov $image_bss, %edi
1:	cmpb $0, (%edi)
	CHECK 12, e
	inc %edi
	cmp $image_bss_end, %edi
	jb 1b

	PRINT cmdline_words
	mov 24(%ebx), %esi
	call puts
	PRINT end_words

	/* modules; 13: below 4 GiB, at a page, behind this program */
	mov 16(%ebx), %edi
	mov 12(%ebx), %ebp
next_module:
	test %ebp, %ebp
	jz map
	CHECK_IS(13, 4(%edi), 0)
	CHECK_IS(13, 12(%edi), 0)
	CHECK_IS(13, 20(%edi), 0)
	CHECK_IS(13, 24(%edi), 0)
	CHECK_IS(13, 28(%edi), 0)
	mov (%edi), %esi
	test $0xfff, %esi
	CHECK 13, z
	cmp $image_end, %esi
	CHECK 13, ae
	PRINT module_words
	mov 16(%edi), %esi
	call puts
	PRINT size_words
	mov 8(%edi), %eax
	call put_decimal
	PRINT sum_words
	mov (%edi), %esi
	mov 8(%edi), %ecx
	xor %edx, %edx
	jecxz 2f
1:	movzbl (%esi), %eax
	add %eax, %edx
	inc %esi
	loop 1b
2:	mov %edx, %eax
	call put_decimal
	mov $10, %al
	call putc
	add $32, %edi
	dec %ebp
	jmp next_module

map:	mov 40(%ebx), %edi
	mov 48(%ebx), %ebp
1:	PRINT range_words
	PRINT64 (%edi), 4(%edi)
	mov $' ', %al
	call putc
	PRINT64 8(%edi), 12(%edi)
	mov $' ', %al
	call putc
	mov 16(%edi), %eax
	call put_decimal
	mov $10, %al
	call putc
	CHECK_IS(14, 20(%edi), 0)
	add $24, %edi
	dec %ebp
	jnz 1b
	xor %eax, %eax
	ret

	.section .data
cmdline_words:	.asciz "command line ["
end_words:	.asciz "]\n"
module_words:	.asciz "module ["
size_words:	.asciz "], bytes "
sum_words:	.asciz ", their sum "
range_words:	.asciz "range "
entry_flags:	.long 0
	.section .bss
image_bss:	.skip 4096
image_bss_end:
	.section .text
