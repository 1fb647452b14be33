/*
 * The firmware configuration device by its ports and by DMA, bad transfers, and the SMBIOS entry point
 * in memory.
 */
#include "guest.h"
#include "checks.h"

#define SELECTOR 0x510
#define DATA	 0x511
#define DMA	 0x514

#define ITEM_ID	       1
#define ITEM_RAM_SIZE  3
#define ITEM_DIRECTORY 0x19

#define DMA_ERROR  0x01
#define DMA_READ   0x02
#define DMA_SKIP   0x04
#define DMA_SELECT 0x08
#define DMA_WRITE  0x10

#define SMBIOS 0xf0000

/* Selects an item. */
#define SELECT(item)                                                                               \
	mov $(item), %eax;                                                                         \
	mov $SELECTOR, %edx;                                                                       \
	outw %ax, %dx;                                                                             \
	mov $DATA, %edx

/* Does a transfer; EAX is the answer in the control word. */
#define TRANSFER(control, length, address)                                                         \
	movl $(control), descriptor;                                                               \
	movl $(length), descriptor + 4;                                                            \
	movl $0, descriptor + 8;                                                                   \
	movl $(address), descriptor + 12;                                                          \
	call transfer

main:
	call begin
	/* 1: the signature, byte by byte and by a string instruction; 2: zeroes behind its end */
	SELECT(0)
	mov $4, %ecx
1:	shl $8, %ebx
	inb %dx, %al
	mov %al, %bl
	loop 1b
	cmp $0x51454d55, %ebx /* "QEMU" */
	CHECK 1, e
	inb %dx, %al
	cmp $0, %al
	CHECK 2, e
	SELECT(0)
	mov $buffer, %edi
	mov $8, %ecx
	rep insb
	CHECK_IS(1, buffer, 0x554d4551)
	CHECK_IS(2, buffer + 4, 0)
	/* 3: both interfaces are there; 4: how much RAM there is; 5: an item that is not there */
	SELECT(ITEM_ID)
	inb %dx, %al
	cmp $3, %al
	CHECK 3, e
	SELECT(ITEM_RAM_SIZE)
	mov $buffer, %edi
	mov $8, %ecx
	rep insb
	CHECK_IS(4, buffer, 16 << 20)
	CHECK_IS(4, buffer + 4, 0)
	SELECT(0x7777)
	inb %dx, %al
	cmp $0, %al
	CHECK 5, e
	/* 6: DMA says who it is */
	mov $DMA, %edx
	inl %dx, %eax
	cmp $0x554d4551, %eax /* "QEMU" */
	CHECK 6, e
	mov $DMA + 4, %edx
	inl %dx, %eax
	cmp $0x47464320, %eax /* " CFG" */
	CHECK 6, e
	/* 7: selects and reads; what is behind the item becomes zero, what is behind that stays */
	movl $-1, buffer
	movl $-1, buffer + 4
	movl $-1, buffer + 8
	TRANSFER(DMA_SELECT | DMA_READ, 8, buffer)
	cmp $0, %eax
	CHECK 7, e
	CHECK_IS(7, buffer, 0x554d4551)
	CHECK_IS(7, buffer + 4, 0)
	CHECK_IS(7, buffer + 8, -1)
	/* 8: skips, and goes on by the port */
	TRANSFER(DMA_SELECT | DMA_SKIP, 2, 0)
	cmp $0, %eax
	CHECK 8, e
	mov $DATA, %edx
	inb %dx, %al
	cmp $0x4d, %al
	CHECK 8, e
	/* 9: nothing can be written; 10: nor read to where no RAM is, or without end */
	TRANSFER(DMA_SELECT | DMA_WRITE, 4, buffer)
	cmp $DMA_ERROR, %eax
	CHECK 9, e
	TRANSFER(DMA_SELECT | DMA_READ, 4, 0xfee00000)
	cmp $DMA_ERROR, %eax
	CHECK 10, e
	TRANSFER(DMA_SELECT | DMA_READ, 4, 0x00fffffe)
	cmp $DMA_ERROR, %eax
	CHECK 10, e
	TRANSFER(DMA_SELECT | DMA_READ, 0xffffffff, buffer)
	cmp $DMA_ERROR, %eax
	CHECK 10, e
	/* 11: a descriptor that is not in RAM */
	mov $DMA + 4, %edx
	mov $0xf0ffffff, %eax /* 0xfffffff0 */
	outl %eax, %dx
	WORKS(11, outl %eax, %dx)
	/* 12: the files are in the order of their names, and their keys count from 0x20 */
	TRANSFER(ITEM_DIRECTORY << 16 | DMA_SELECT | DMA_READ, 4, buffer)
	mov buffer, %ebx
	bswap %ebx
	cmp $3, %ebx
	CHECK 12, ae
	movb $0, last_name
	mov $0x20, %ebp
2:	TRANSFER(DMA_READ, 64, buffer)
	mov buffer + 4, %ax
	xchg %al, %ah
	cmp %bp, %ax
	CHECK 12, e
	mov $last_name, %esi
	mov $buffer + 8, %edi
	mov $56, %ecx
	repe cmpsb
	CHECK 12, b
	mov $buffer + 8, %esi
	mov $last_name, %edi
	mov $56, %ecx
	rep movsb
	inc %ebp
	dec %ebx
	jnz 2b
	/* 13: the entry point of the SMBIOS tables, its checksum, and the first table's kind */
	CHECK_IS(13, SMBIOS, 0x5f4d535f) /* "_SM_" */
	mov $SMBIOS, %esi
	movzbl SMBIOS + 5, %ecx
	xor %ebx, %ebx
3:	lodsb
	add %al, %bl
	loop 3b
	cmp $0, %bl
	CHECK 13, e
	mov SMBIOS + 24, %esi
	cmpb $0, (%esi)
	CHECK 13, e
	xor %eax, %eax
	ret

/* Turns the descriptor's words into big-endian ones and hands it over; EAX: the control word. */
transfer:
	mov $descriptor, %esi
	mov $4, %ecx
1:	mov (%esi), %eax
	bswap %eax
	mov %eax, (%esi)
	add $4, %esi
	loop 1b
	mov $DMA, %edx
	xor %eax, %eax
	outl %eax, %dx
	mov $DMA + 4, %edx
	mov $descriptor, %eax
	bswap %eax
	outl %eax, %dx
	mov descriptor, %eax
	bswap %eax
	ret

	.section .bss
	.balign 16
descriptor: .skip 16
buffer:	    .skip 64
last_name:  .skip 56
