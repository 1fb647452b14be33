/*
 * Instructions that may fault and go on: each has an entry in the exception table (extable.h) with the
 * exceptions that are expected of it.
 */
#define ON_GP (1 << 13)
#define ON_PF (1 << 14)

	.macro MAY_FAULT insn, vectors
	.pushsection __ex_table, "a"
	.balign 4
	.long \insn - ., refused - .
	.long \vectors
	.popsection
	.endm

	.section .text
/* bool rdmsr_safe(uint32_t msr, uint64_t *value) */
	.globl rdmsr_safe
	.type rdmsr_safe, @function
rdmsr_safe:
	mov %edi, %ecx
1:	rdmsr
	MAY_FAULT 1b, ON_GP
	shl $32, %rdx
	or %rdx, %rax
	mov %rax, (%rsi)
	mov $1, %eax
	ret
	.size rdmsr_safe, . - rdmsr_safe

/* bool wrmsr_safe(uint32_t msr, uint64_t value) */
	.globl wrmsr_safe
	.type wrmsr_safe, @function
wrmsr_safe:
	mov %edi, %ecx
	mov %esi, %eax
	mov %rsi, %rdx
	shr $32, %rdx
1:	wrmsr
	MAY_FAULT 1b, ON_GP
	mov $1, %eax
	ret
	.size wrmsr_safe, . - wrmsr_safe

/* bool read_byte_or_fault(const void *p, uint8_t *byte): #GP is of an address that is not canonical */
	.globl read_byte_or_fault
	.type read_byte_or_fault, @function
read_byte_or_fault:
1:	movb (%rdi), %al
	MAY_FAULT 1b, ON_GP | ON_PF
	movb %al, (%rsi)
	mov $1, %eax
	ret
	.size read_byte_or_fault, . - read_byte_or_fault

	.type refused, @function
refused:
	xor %eax, %eax
	ret
	.size refused, . - refused

	.section .note.GNU-stack, "", @progbits
