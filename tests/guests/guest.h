/*
 * What the tiny guests share: a multiboot 1 header, the way to C-less assembly on a stack, output on
 * COM1, and the end through the debug-exit port. Each guest defines `main`, prints lines, and ends with
 * its status in EAX: 0 is success. Built for 32-bit protected mode by the Makefile; with LONG
 * defined the guest runs in 64-bit mode on page tables of its own (the first 4 GiB, 2 MiB pages).
 */
#ifdef LONG
#define BX %rbx
#define BP %rbp
#else
#define BX %ebx
#define BP %ebp
#endif

	.code32
	.section .text
	.balign 4
	.long 0x1BADB002, 0, -0x1BADB002
	.globl _start
_start:
	mov $stack_top, %esp
	mov %ebx, boot_info
#ifdef LONG
	mov $pds, %edi
	mov $0x83, %eax
	mov $2048, %ecx
1:	mov %eax, (%edi)
	movl $0, 4(%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 1b
	movl $pds + 0x0003, pdpt
	movl $pds + 0x1003, pdpt + 8
	movl $pds + 0x2003, pdpt + 16
	movl $pds + 0x3003, pdpt + 24
	movl $pdpt + 3, pml4
	mov $0x20, %eax
	mov %eax, %cr4
	mov $pml4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $0x100, %eax
	wrmsr
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	lgdt gdt_pointer
	ljmp $8, $entry64
	.code64
entry64:
#endif
	call main
	/* EAX: the status */
end:	mov $0xf4, %edx
	out %eax, %dx
1:	hlt
	jmp 1b

/* Prints the character in AL. Changes EDX. */
putc:
	mov $0x3f8, %edx
	out %al, %dx
	ret

/* Prints the string at ESI. Changes EAX, EDX, ESI. */
puts:
	lodsb
	test %al, %al
	jz 1f
	call putc
	jmp puts
1:	ret

/* ZF: the processor is Intel's. Changes EAX, EBX, ECX, EDX. */
is_intel:
	xor %eax, %eax
	cpuid
	cmp $0x6c65746e, %ecx /* "ntel" */
	ret

/* The hypercall EAX. Changes EBX, ECX, EDX, ESI. */
hypercall:
	mov %eax, %esi
	call is_intel
	mov %esi, %eax
	jne 1f
	vmcall
	ret
1:	vmmcall
	ret

/* Prints EAX in decimal. Changes EAX, ECX, EDX. */
put_decimal:
	mov $10, %ecx
	xor %edx, %edx
	div %ecx
	test %eax, %eax
#ifdef LONG
	push %rdx
	jz 1f
	call put_decimal
1:	pop %rax
#else
	push %edx
	jz 1f
	call put_decimal
1:	pop %eax
#endif
	add $'0', %al
	jmp putc

	.section .data
	.balign 8
gdt:	.quad 0, 0x00af9a000000ffff
gdt_pointer:
	.short 15
	.long gdt
	.section .bss
	.balign 4096
pml4:	.skip 4096
pdpt:	.skip 4096
pds:	.skip 4 * 4096
	.skip 8192
stack_top:
boot_info: .skip 4 /* the multiboot information's address */
	.section .note.GNU-stack, "", @progbits
	.section .text
