/*
 * The multiboot2 header, and the way from the boot loader's 32-bit protected mode to C in the higher
 * half. Source: Multiboot2 Specification, "Multiboot2 header", "Machine state".
 *
 * The code here is position-independent: EBP holds how far the image was moved from its link address.
 * That comes from the loader's "image load base physical address" tag, so no stack is needed to find
 * it, and nothing outside the image is written.
 */
#define MULTIBOOT2_MAGIC     0xe85250d6
#define MULTIBOOT2_LOADED    0x36d76289
#define TAG_LOAD_BASE        21

#define IMAGE_PHYSICAL       0x200000
#define IMAGE_VIRTUAL        0xffffffff80200000
/* the link-time physical address of a symbol of the image */
#define PHYS(x)              ((x) - (IMAGE_VIRTUAL - IMAGE_PHYSICAL))

#define PTE_P                0x001
#define PTE_W                0x002
#define PTE_PS               0x080

#define BOOT_STACK_SIZE      16384

	.section .boot.header, "a"
	.balign 8
header:
	.long MULTIBOOT2_MAGIC
	.long 0 /* i386 */
	.long header_end - header
	.long -(MULTIBOOT2_MAGIC + (header_end - header))

	/* information request: command line, modules, memory map, EFI map, ACPI old and new, load base */
	.balign 8
	.short 1, 0
	.long 8 + 4 * 6
	.long 1, 3, 6, 14, 15, 21
	/* modules on page boundaries */
	.balign 8
	.short 6, 0
	.long 8
	/* relocatable: 2 MiB to 4 GiB, at multiples of 2 MiB, as low as possible */
	.balign 8
	.short 10, 0
	.long 24
	.long IMAGE_PHYSICAL, 0xffffffff, 0x200000, 1
	/* a console is there (a serial one): no framebuffer is wanted */
	.balign 8
	.short 4, 1
	.long 12
	.long 2
	.balign 8
	.short 0, 0
	.long 8
header_end:

	.section .boot, "ax"
	.code32
	.globl boot_entry32
	.type boot_entry32, @function
boot_entry32:
	cli
	cld
	cmp $MULTIBOOT2_LOADED, %eax
	jne stop
	/* find the load base among the tags at EBX */
	lea 8(%ebx), %esi
1:	mov (%esi), %eax
	test %eax, %eax
	jz stop
	cmp $TAG_LOAD_BASE, %eax
	je 2f
	mov 4(%esi), %eax
	lea 7(%esi, %eax), %esi
	and $~7, %esi
	jmp 1b
2:	mov 8(%esi), %ebp
	sub $IMAGE_PHYSICAL, %ebp
	lea PHYS(boot_stack_top)(%ebp), %esp

	/* long mode and NX, or nothing */
	mov %ebx, %edi
	mov $0x80000000, %eax
	cpuid
	lea PHYS(no_long_mode)(%ebp), %esi
	cmp $0x80000001, %eax
	jb refuse
	mov $0x80000001, %eax
	cpuid
	bt $29, %edx
	jnc refuse
	lea PHYS(no_nx)(%ebp), %esi
	bt $20, %edx
	jnc refuse
	mov %edi, %ebx

	/* the first 4 GiB by 2 MiB pages, for the identity and the direct map */
	lea PHYS(boot_pds)(%ebp), %edi
	mov $(PTE_P | PTE_W | PTE_PS), %eax
	mov $2048, %ecx
1:	mov %eax, (%edi)
	movl $0, 4(%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 1b
	lea PHYS(boot_pds) + PTE_P + PTE_W(%ebp), %eax
	lea PHYS(boot_pdpt_low)(%ebp), %edi
	mov $4, %ecx
1:	mov %eax, (%edi)
	add $4096, %eax
	add $8, %edi
	loop 1b
	/* 1 GiB at the image's place, from where it really lies */
	lea PHYS(boot_pd_image)(%ebp), %edi
	lea (PTE_P | PTE_W | PTE_PS)(%ebp), %eax
	mov $512, %ecx
1:	mov %eax, (%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 1b
	lea PHYS(boot_pd_image) + PTE_P + PTE_W(%ebp), %eax
	mov %eax, PHYS(boot_pdpt_high) + 510 * 8(%ebp)
	lea PHYS(boot_pdpt_low) + PTE_P + PTE_W(%ebp), %eax
	mov %eax, PHYS(boot_pml4)(%ebp)
	mov %eax, PHYS(boot_pml4) + 256 * 8(%ebp)
	lea PHYS(boot_pdpt_high) + PTE_P + PTE_W(%ebp), %eax
	mov %eax, PHYS(boot_pml4) + 511 * 8(%ebp)

	lea PHYS(boot_pml4)(%ebp), %eax
	mov %eax, %cr3
	mov $0x20, %eax /* PAE */
	mov %eax, %cr4
	mov $0xc0000080, %ecx
	rdmsr
	or $0x900, %eax /* LME, NXE */
	wrmsr
	mov $0x80010033, %eax /* PG, WP, NE, ET, MP, PE */
	mov %eax, %cr0

	lea PHYS(boot_gdt)(%ebp), %eax
	mov %eax, PHYS(boot_gdt_pointer) + 2(%ebp)
	lgdt PHYS(boot_gdt_pointer)(%ebp)
	lea PHYS(entry64_low)(%ebp), %eax
	push $8
	push %eax
	lret

/* Says the sentence at ESI on COM1, at 115200 baud whatever its state was, and stops. A port that is
 * not there, or never ready, costs some time. */
refuse:
	lea PHYS(com1_setup)(%ebp), %edi
	mov $0x3f8, %edx
	mov $5, %ecx
1:	mov (%edi), %dl
	mov 1(%edi), %al
	out %al, %dx
	add $2, %edi
	loop 1b
2:	mov $0xfd, %dl /* line status: can it take a byte? */
	mov $100000, %ecx
3:	in %dx, %al
	test $0x20, %al
	loopz 3b
	mov $0xf8, %dl
	lodsb
	test %al, %al
	jz stop
	out %al, %dx
	jmp 2b

stop:	/* so, too, when not loaded by multiboot2 with what the header asks for */
	hlt
	jmp stop

com1_setup: /* low byte of the port, value: divisor 1, 8N1, no interrupts */
	.byte 0xfb, 0x83, 0xf8, 1, 0xf9, 0, 0xfb, 0x03, 0xf9, 0
no_long_mode:
	.asciz "\r\nSkerry needs a 64-bit processor, and this is none.\r\n"
no_nx:
	.asciz "\r\nSkerry needs no-execute pages: switch NX (execute disable) on in the firmware set-up.\r\n"

	.code64
entry64_low:
	xor %eax, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %fs
	mov %eax, %gs
	mov %eax, %ss
	movabs $entry64, %rax
	jmp *%rax
entry64:
	/* the identity has served: from here on a null pointer is a fault, whose report needs a GDT that
	 * is still mapped */
	movq $boot_gdt, boot_gdt_pointer + 2
	lgdt boot_gdt_pointer
	movq $0, boot_pml4
	mov %cr3, %rax
	mov %rax, %cr3
	movabs $boot_stack_top, %rsp
	mov %ebx, %edi            /* multiboot2 information */
	lea IMAGE_PHYSICAL(%rbp), %esi /* load address */
	xor %ebp, %ebp
	call boot_main
	ud2

	.section .data
	.balign 8
boot_gdt:
	.quad 0
	.quad 0x00af9a000000ffff /* 64-bit code */
	.short 0
boot_gdt_pointer:
	.short 15
	.quad 0

	.section .bss
	.balign 4096
boot_pml4:	.skip 4096
boot_pdpt_low:	.skip 4096
boot_pdpt_high:	.skip 4096
boot_pd_image:	.skip 4096
boot_pds:	.skip 4 * 4096
	.globl boot_stack
boot_stack:	.skip BOOT_STACK_SIZE
	.globl boot_stack_top
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
