/*
 * What the tiny guests share that check many things, in 32-bit mode: descriptor tables, one place for
 * all exceptions and interrupts, numbered checks, and the local APIC's and the 8259s' set-up. To be
 * included after guest.h; `main` calls `begin` first.
 *
 * A guest ends with the number of the first check that fails, 0 if none does; an exception that
 * nobody expects ends it with 1000 + its vector. Both are told on COM1. What a guest prints and how
 * it ends must be the same on every processor and at every speed.
 */

/* Check `number` is whether the flags say `cc`. */
	.macro CHECK number, cc
	j\cc .Lgood\@
	push $\number
	jmp failed
.Lgood\@:
	.endm

/* Check `number` is whether `place` holds `value`. */
#define CHECK_IS(number, place, value)                                                             \
	cmpl $value, place;                                                                        \
	CHECK number, e

/* Runs instructions, which may fault: `caught` is the vector after that, -1 if there was none. No
 * label 9 in them. */
#define TRY(insn...)                                                                               \
	movl $-1, caught;                                                                          \
	movl $9f, resume;                                                                          \
	insn;                                                                                      \
9:	movl $0, resume

/* Check `number` is whether the instructions raise the exception `vector`, or none. */
#define FAULTS(number, vector, insn...)                                                            \
	TRY(insn);                                                                                 \
	CHECK_IS(number, caught, vector)
#define WORKS(number, insn...) FAULTS(number, -1, insn)

/* `what` is called at each exception or interrupt of that vector, with EBP at the frame; it may change
 * every other register. The interrupted code goes on where the frame says. */
#define HANDLE(vector, what) movl $what, handlers + 4 * (vector)

/* How often a vector came. */
#define COUNT(vector) counts + 4 * (vector)

/* From EBP. */
#define FRAME_VECTOR 32
#define FRAME_ERROR  36
#define FRAME_EIP    40
#define FRAME_CS     44
#define FRAME_EFLAGS 48

#define EFLAGS_TF 0x100
#define EFLAGS_IF 0x200

#define VEC_DB 1
#define VEC_NMI 2
#define VEC_UD 6
#define VEC_GP 13

#define LAPIC 0xfee00000

/* From an MSR's number to EDX:EAX, and back. */
#define GET_MSR(number)                                                                            \
	mov $(number), %ecx;                                                                       \
	rdmsr
#define SET_MSR(number, high, low)                                                                 \
	mov $(number), %ecx;                                                                       \
	mov $(high), %edx;                                                                         \
	mov $(low), %eax;                                                                          \
	wrmsr

/* Waits until a vector came `n` times; if that does not happen, the guest does not end. Interrupts
 * are on while it sleeps, and off after it. */
#define SLEEP_UNTIL(vector, n)                                                                     \
7:	cli;                                                                                       \
	cmpl $n, COUNT(vector);                                                                    \
	jae 8f;                                                                                    \
	sti;                                                                                       \
	hlt;                                                                                       \
	jmp 7b;                                                                                    \
8:

	.section .text
/* Own descriptor tables, and every gate of the IDT to its stub. Changes EAX, ECX, EDI. */
begin:
	lgdt checks_gdt_pointer
	ljmp $8, $1f
1:	mov $16, %eax
	mov %eax, %ss
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %fs
	mov %eax, %gs
	mov $idt, %edi
	mov $stubs, %eax
	mov $256, %ecx
1:	mov %ax, (%edi)
	movw $8, 2(%edi)
	movw $0x8e00, 4(%edi)
	rorl $16, %eax
	mov %ax, 6(%edi)
	rorl $16, %eax
	add $16, %eax
	add $8, %edi
	loop 1b
	lidt idt_pointer
	ret

/* One for each vector, 16 bytes long: an error code, if the processor gives none, and the vector.
 * Those that push one: #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP. */
	.balign 16
stubs:
	.set vector, 0
	.rept 256
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	push $0
	.endif
	push $vector
	jmp trapped
	.set vector, vector + 1
	.endr
	.balign 16

trapped:
	pusha
	mov %esp, %ebp
	cld
	mov FRAME_VECTOR(%ebp), %eax
	incl counts(, %eax, 4)
	mov handlers(, %eax, 4), %ecx
	test %ecx, %ecx
	jz 1f
	call *%ecx
	jmp 3f
1:	cmp $32, %eax
	jae 3f
	cmpl $0, resume
	je unexpected
	mov %eax, caught
	xor %ecx, %ecx
	xchg resume, %ecx
	mov %ecx, FRAME_EIP(%ebp)
3:	popa
	add $8, %esp
	iret

unexpected:
	mov $unexpected_words, %esi
	call puts
	mov FRAME_VECTOR(%ebp), %eax
	call put_decimal
	mov $at_words, %esi
	call puts
	mov FRAME_EIP(%ebp), %eax
	call put_hex
	mov $10, %al
	call putc
	mov FRAME_VECTOR(%ebp), %eax
	add $1000, %eax
	jmp end

/* On the stack: the number of the check. */
failed:
	pusha
	mov $check_words, %esi
	call puts
	mov 32(%esp), %eax
	call put_decimal
	mov $failed_words, %esi
	call puts
	mov 28(%esp), %eax
	call put_hex
	mov $edx_words, %esi
	call puts
	mov 20(%esp), %eax
	call put_hex
	mov $10, %al
	call putc
	mov 32(%esp), %eax
	jmp end

/* Prints EAX in 8 hexadecimal digits. Changes EAX, ECX, EDX. */
put_hex:
	mov $8, %ecx
1:	rol $4, %eax
	push %eax
	and $15, %eax
	mov hex_digits(%eax), %al
	call putc
	pop %eax
	loop 1b
	ret

/* Handlers that end an interrupt of the local APIC (by its page, or in x2APIC mode) or of the 8259s. */
eoi_lapic:
	movl $0, LAPIC + 0xb0
	ret
eoi_x2apic:
	SET_MSR(0x80b, 0, 0)
	ret
eoi_pic2:
	mov $0x20, %al
	out %al, $0xa0
eoi_pic1:
	mov $0x20, %al
	out %al, $0x20
	ret

/* Sets the 8259s up for the vectors 0x20 and 0x28, all masked. Changes EAX. */
pics_begin:
	mov $0x11, %al /* edges, a cascade, ICW4 follows */
	out %al, $0x20
	out %al, $0xa0
	mov $0x20, %al
	out %al, $0x21
	mov $0x28, %al
	out %al, $0xa1
	mov $4, %al /* the slave is on input 2 */
	out %al, $0x21
	mov $2, %al
	out %al, $0xa1
	mov $1, %al /* 8086 mode */
	out %al, $0x21
	out %al, $0xa1
	mov $0xff, %al
	out %al, $0x21
	out %al, $0xa1
	ret

/* Switches the local APIC on by its page, with 0xff as the spurious vector. */
lapic_begin:
	movl $0x1ff, LAPIC + 0xf0
	ret

	.section .data
	.balign 8
checks_gdt:
	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
checks_gdt_pointer:
	.short 23
	.long checks_gdt
idt_pointer:
	.short 256 * 8 - 1
	.long idt
hex_digits:	  .ascii "0123456789abcdef"
unexpected_words: .asciz "exception "
at_words:	  .asciz " at 0x"
check_words:	  .asciz "check "
failed_words:	  .asciz " failed: EAX 0x"
edx_words:	  .asciz " EDX 0x"
caught:		  .long -1
resume:		  .long 0
	.section .bss
	.balign 8
idt:	  .skip 256 * 8
counts:	  .skip 256 * 4
handlers: .skip 256 * 4
	.section .text
