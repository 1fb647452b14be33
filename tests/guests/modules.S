/*
 * What multiboot's information structure says of command line, modules, screen and memory, for the test
 * to compare. Source: "Multiboot Specification version 0.6.96", "Boot information format".
 */
#include "guest.h"
#include "checks.h"

#define ASKED 0x124d /* memory, command line, modules, memory map, loader's name, screen */

	.macro PRINT string
	mov $\string, %esi
	call puts
	.endm

main:
	call begin
	mov boot_info, %ebx
	CHECK_IS(1, (%ebx), ASKED)
	PRINT cmdline_words
	mov 16(%ebx), %esi
	call puts
	PRINT end_words

	/* modules; 2: at a page, behind this program */
	mov 24(%ebx), %edi
	mov 20(%ebx), %ebp
next_module:
	test %ebp, %ebp
	jz screen
	mov (%edi), %esi
	test $0xfff, %esi
	CHECK 2, z
	cmp $image_end, %esi
	CHECK 2, ae
	CHECK_IS(2, 12(%edi), 0)
	PRINT module_words
	mov 8(%edi), %esi
	call puts
	PRINT size_words
	mov 4(%edi), %eax
	sub (%edi), %eax
	call put_decimal
	PRINT sum_words
	mov (%edi), %esi
	mov 4(%edi), %ecx
	sub %esi, %ecx
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
	add $16, %edi
	dec %ebp
	jmp next_module

	/* 3: text, 80 by 25; 4: what is written there stays */
screen:	CHECK_IS(3, 88(%ebx), 0xb8000)
	CHECK_IS(3, 92(%ebx), 0)
	CHECK_IS(3, 96(%ebx), 160)
	CHECK_IS(3, 100(%ebx), 80)
	CHECK_IS(3, 104(%ebx), 25)
	cmpw $0x0210, 108(%ebx)
	CHECK 3, e
	movw $0x0741, 0xb8000 + 24 * 160 + 158
	cmpw $0x0741, 0xb8000 + 24 * 160 + 158
	CHECK 4, e
	/* 5: entries of the map have 20 bytes and a size */
	mov 48(%ebx), %edi
	mov 44(%ebx), %ebp
1:	CHECK_IS(5, (%edi), 20)
	PRINT range_words
	mov 8(%edi), %eax
	call put_hex
	mov 4(%edi), %eax
	call put_hex
	mov $' ', %al
	call putc
	mov 16(%edi), %eax
	call put_hex
	mov 12(%edi), %eax
	call put_hex
	mov $' ', %al
	call putc
	mov 20(%edi), %eax
	call put_decimal
	mov $10, %al
	call putc
	add $24, %edi
	sub $24, %ebp
	ja 1b
	xor %eax, %eax
	ret

	.section .data
cmdline_words:	.asciz "command line ["
end_words:	.asciz "]\n"
module_words:	.asciz "module ["
size_words:	.asciz "], bytes "
sum_words:	.asciz ", their sum "
range_words:	.asciz "range "
	.section .text
