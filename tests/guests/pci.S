/*
 * PCI configuration by mechanism 1: the address register, the host bridge, accesses of each width,
 * and functions that are not there.
 */
#include "guest.h"
#include "checks.h"

#define ADDRESS 0xcf8
#define DATA	0xcfc
#define ENABLE	0x80000000

/* Selects a register of device `device` on bus `bus`. */
#define SELECT(bus, device, register)                                                              \
	mov $ADDRESS, %edx;                                                                        \
	mov $(ENABLE | (bus) << 16 | (device) << 11 | (register)), %eax;                           \
	outl %eax, %dx

/* Reads the data register at `offset` into EAX, whose other bits are 0. */
	.macro DATA_IN insn, register, offset
	xor %eax, %eax
	mov $DATA + \offset, %edx
	\insn %dx, %\register
	.endm

main:
	call begin
	/* 1: the address register is read back, but for the bits that do not exist; 2: 8 and 16 bits
	 * wide it is not there */
	mov $ADDRESS, %edx
	mov $-1, %eax
	outl %eax, %dx
	xor %eax, %eax
	inl %dx, %eax
	cmp $0x80fffffc, %eax
	CHECK 1, e
	SELECT(0, 0, 0)
	xor %eax, %eax
	outb %al, %dx
	outw %ax, %dx
	inl %dx, %eax
	cmp $ENABLE, %eax
	CHECK 2, e
	xor %eax, %eax
	inw %dx, %ax
	cmp $0xffff, %eax
	CHECK 2, e
	/* 3: the reset control register, a byte within it, is another thing */
	mov $0xcf9, %edx
	mov $2, %al
	outb %al, %dx
	mov $ADDRESS, %edx
	inl %dx, %eax
	cmp $ENABLE, %eax
	CHECK 3, e

	/* 4: who the host bridge is; 5: by words; 6: by bytes; 7: its class; 8: one function, a header of
	 * the usual kind */
	DATA_IN inl, eax, 0
	cmp $0x12378086, %eax
	CHECK 4, e
	DATA_IN inw, ax, 0
	cmp $0x8086, %eax
	CHECK 5, e
	DATA_IN inw, ax, 2
	cmp $0x1237, %eax
	CHECK 5, e
	DATA_IN inb, al, 0
	cmp $0x86, %eax
	CHECK 6, e
	DATA_IN inb, al, 1
	cmp $0x80, %eax
	CHECK 6, e
	DATA_IN inb, al, 2
	cmp $0x37, %eax
	CHECK 6, e
	DATA_IN inb, al, 3
	cmp $0x12, %eax
	CHECK 6, e
	SELECT(0, 0, 8)
	DATA_IN inl, eax, 0
	shr $8, %eax
	cmp $0x060000, %eax
	CHECK 7, e
	SELECT(0, 0, 0xc)
	DATA_IN inb, al, 2
	cmp $0, %eax
	CHECK 8, e

	/* 9: who it is cannot be written; 10: what of the command register can; 11: nothing beyond the
	 * bytes of an access; 12: no base address wants memory */
	SELECT(0, 0, 0)
	mov $DATA, %edx
	mov $-1, %eax
	outl %eax, %dx
	DATA_IN inl, eax, 0
	cmp $0x12378086, %eax
	CHECK 9, e
	SELECT(0, 0, 4)
	mov $DATA, %edx
	mov $0xffff, %eax
	outw %ax, %dx
	DATA_IN inw, ax, 0
	cmp $0x0146, %eax
	CHECK 10, e
	xor %eax, %eax
	mov $DATA + 1, %edx
	outb %al, %dx
	DATA_IN inw, ax, 0
	cmp $0x0046, %eax
	CHECK 11, e
	mov $0x10, %edi
1:	lea ENABLE(%edi), %eax
	mov $ADDRESS, %edx
	outl %eax, %dx
	mov $DATA, %edx
	mov $-1, %eax
	outl %eax, %dx
	inl %dx, %eax
	test %eax, %eax
	CHECK 12, z
	add $4, %edi
	cmp $0x28, %edi
	jb 1b

	/* 13: no other device or function on bus 0; 14: none on other buses; 15: nothing without the
	 * enable bit; 16: what is written to what is not there has no effect */
	mov $0x100, %edi
1:	mov $ADDRESS, %edx
	lea ENABLE(%edi), %eax
	outl %eax, %dx
	DATA_IN inl, eax, 0
	cmp $-1, %eax
	CHECK 13, e
	DATA_IN inw, ax, 2
	cmp $0xffff, %eax
	CHECK 13, e
	DATA_IN inb, al, 1
	cmp $0xff, %eax
	CHECK 13, e
	add $0x100, %edi
	cmp $0x10000, %edi
	jb 1b
	SELECT(1, 0, 0)
	DATA_IN inl, eax, 0
	cmp $-1, %eax
	CHECK 14, e
	SELECT(255, 31, 0)
	DATA_IN inl, eax, 0
	cmp $-1, %eax
	CHECK 14, e
	mov $ADDRESS, %edx
	xor %eax, %eax
	outl %eax, %dx
	DATA_IN inl, eax, 0
	cmp $-1, %eax
	CHECK 15, e
	SELECT(0, 1, 4)
	mov $DATA, %edx
	xor %eax, %eax
	outl %eax, %dx
	DATA_IN inl, eax, 0
	cmp $-1, %eax
	CHECK 16, e
	SELECT(0, 0, 4)
	DATA_IN inw, ax, 0
	cmp $0x0046, %eax
	CHECK 16, e
	/* 17: an access that goes beyond the data register reads ones */
	SELECT(0, 0, 0)
	DATA_IN inl, eax, 2
	cmp $-1, %eax
	CHECK 17, e
	xor %eax, %eax
	ret
