/*
 * How a core other than the boot CPU gets from its start-up interrupt into C.
 *
 * ap_trampoline is copied to a page below 1 MiB, whose number is the vector of the start-up IPI
 * (Intel SDM Volume 3, "Multiple-Processor (MP) Initialization"; AMD64 APM Volume 2, "Processor
 * Initialization State"). The four pages behind it hold page tables that map this one page at its physical
 * address, to read and to execute, and the hypervisor's half of the address space (smp.c builds them):
 * CR3 has 32 bits until long mode is on, and the final tables may lie above 4 GiB and map no low memory.
 */

#define CR0_PE  0x00000001
#define CR0_MP  0x00000002
#define CR0_ET  0x00000010
#define CR0_NE  0x00000020
#define CR0_WP  0x00010000
#define CR0_PG  0x80000000
#define CR4_PAE 0x20
#define MSR_EFER      0xc0000080
#define MSR_GS_BASE   0xc0000101
#define EFER_LME      0x100

/* enum ap_phase in smp.c, in the upper half of the ticket */
#define AP_OFFERED 0x100000000
#define AP_CLAIMED 0x200000000

#define CODE32 0x08
#define DATA   0x10
#define CODE64 0x18

	.section .rodata.ap, "a", @progbits
	.balign	16
	.globl	ap_trampoline, ap_trampoline_end
	.globl	ap_trampoline_gdt_base, ap_trampoline_jump32, ap_trampoline_jump64
	.globl	ap_trampoline_cr3, ap_trampoline_efer
	.code16
ap_trampoline:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	movzwl	%ax, %ebx
	shll	$4, %ebx		/* where this page is */
	lgdtl	gdtr - ap_trampoline
	movl	$(CR0_PE | CR0_ET), %eax
	movl	%eax, %cr0
	ljmpl	*(ap_trampoline_jump32 - ap_trampoline)

	.code32
start32:
	movl	$DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	ap_trampoline_cr3 - ap_trampoline(%ebx), %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	ap_trampoline_efer - ap_trampoline(%ebx), %eax
	wrmsr
	movl	$(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
	movl	%eax, %cr0
	ljmpl	*(ap_trampoline_jump64 - ap_trampoline)(%ebx)

	.code64
start64:
	movabsq	$ap_entry64, %rax
	jmpq	*%rax

	/* The descriptors are marked as accessed already, for the processor could not write that here. */
	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* 32-bit code */
	.quad	0x00cf93000000ffff	/* data */
	.quad	0x00af9b000000ffff	/* 64-bit code */
gdtr:
	.word	gdtr - gdt - 1
ap_trampoline_gdt_base:
	.long	gdt - ap_trampoline	/* smp.c adds the page's address */
	.balign	4
ap_trampoline_jump32:
	.long	start32 - ap_trampoline	/* the same */
	.word	CODE32
	.balign	4
ap_trampoline_jump64:
	.long	start64 - ap_trampoline	/* the same */
	.word	CODE64
	.balign	4
ap_trampoline_cr3:
	.long	0
ap_trampoline_efer:
	.long	EFER_LME		/* smp.c adds NXE */
ap_trampoline_end:

/*
 * In the image, on the trampoline's tables, without a stack or GS. A core that was given up may get here
 * late, while another is being started: only the core whose turn it is, by its APIC id, may go on, and
 * only if the boot CPU still waits (struct ap_start in smp.c). The others park here for ever.
 */
	.text
	.globl	ap_entry64
	.type	ap_entry64, @function
ap_entry64:
	movq	hostmap_root(%rip), %rax
	movq	%rax, %cr3

	/* the APIC id, as features.c reads it: leaf 0Bh if it says anything, else leaf 1 */
	xorl	%eax, %eax
	cpuid
	cmpl	$0xb, %eax
	jb	1f
	movl	$0xb, %eax
	xorl	%ecx, %ecx
	cpuid
	movl	%edx, %esi
	testl	%ebx, %ebx
	jnz	2f
1:	movl	$1, %eax
	cpuid
	shrl	$24, %ebx
	movl	%ebx, %esi

2:	movl	%esi, %esi
	movabsq	$AP_OFFERED, %rax
	orq	%rsi, %rax
	movabsq	$AP_CLAIMED, %rdx
	orq	%rsi, %rdx
	lock cmpxchgq %rdx, ap_start(%rip)
	jne	ap_park

	movl	$MSR_GS_BASE, %ecx
	movq	ap_start + 8(%rip), %rdi	/* .cpu */
	movl	%edi, %eax
	movq	%rdi, %rdx
	shrq	$32, %rdx
	wrmsr
	movq	ap_start + 16(%rip), %rsp	/* .stack_top */
	xorl	%ebp, %ebp
	call	ap_main
	.size	ap_entry64, . - ap_entry64

	.globl	ap_park
	.type	ap_park, @function
ap_park:
	cli
	hlt
	jmp	ap_park
	.size	ap_park, . - ap_park

	.section .note.GNU-stack, "", @progbits
