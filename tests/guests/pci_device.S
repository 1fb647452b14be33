/*
 * The PCI test device (guests/vdev/vpcitest.h): found by both configuration mechanisms, its regions
 * sized, moved and laid over other things, accesses counted, and interrupts by its wire (I/O APIC and
 * 8259s), by MSI and by MSI-X, with masks and pending bits; a region above 4 GiB.
 */
#include "guest.h"
#include "checks.h"

#define SLOT	5
#define ID	0x10f01af4
#define ADDRESS 0xcf8
#define DATA	0xcfc
#define SELECTOR(register) (0x80000000 | SLOT << 11 | (register))
#define ECAM	0xe0000000
#define CONFIG	ECAM + (SLOT << 15) /* + a register */

/* Where its regions go. */
#define MEMORY	0xc0004000
#define MEMORY2 0xf0012000
#define PORTS	0x2080
#define PORTS2	0xe100
#define MSIX	0xc0008000
#define PENDING MSIX + 0x800
#define HIGH_LOW 0xd3400000 /* and 4 GiB */
#define WINDOW_VA 0x40000000 /* where paging shows that */

/* Of the memory region and of the ports. */
#define MEM_READS  0x04
#define MEM_WRITES 0x08
#define MEM_LAST   0x0c
#define MEM_WHERE  0x14
#define IO_READS   0x18
#define IO_WRITES  0x1c
#define IO_LAST    0x20
#define IO_WHERE   0x24
#define INTX	   0x28
#define MESSAGE	   0x2c
#define DROPPED	   0x30
#define CLEAR	   0x34
#define COUNTED	   0x40
#define SKRY	   0x59524b53

#define COMMAND	  0x04
#define STATUS	  0x06
#define BAR(n)	  (0x10 + 4 * (n))
#define IO_ON	  1
#define MEMORY_ON 2
#define MASTER	  4
#define INTX_OFF  0x400

/* The capabilities are where the list leads, which check 5 follows. */
#define MSI_CAP	    0x40
#define MSIX_CAP    0x58
#define MSI_ON	    1
#define MSIX_ON	    0x8000
#define MSIX_MASKED 0x4000

#define IOAPIC	 0xfec00000
#define WINDOW	 IOAPIC + 0x10
#define PIN(n)	 (0x10 + 2 * (n))
#define INTX_PIN 16
#define INTX_IRQ 10
#define MASKED	 0x10000
#define LEVEL	 0x8000
#define LOW	 0x2000
#define ESR	 LAPIC + 0x280

/* Vectors. */
#define PIC_IRQ (0x20 + INTX_IRQ)
#define WIRE	0x61
#define MSI	0x70 /* and the next three */
#define MSIX_A	0x81
#define MSIX_B	0x91

	.macro LET_IN
	sti
	nop
	nop
	cli
	.endm

/* One configuration register of the device by mechanism 1. */
#define CFG_GET(register)                                                                          \
	mov $ADDRESS, %edx;                                                                        \
	mov $SELECTOR(register), %eax;                                                             \
	outl %eax, %dx;                                                                            \
	mov $DATA, %edx;                                                                           \
	inl %dx, %eax
#define CFG_SET(register, value)                                                                   \
	mov $ADDRESS, %edx;                                                                        \
	mov $SELECTOR(register), %eax;                                                             \
	outl %eax, %dx;                                                                            \
	mov $DATA, %edx;                                                                           \
	mov $(value), %eax;                                                                        \
	outl %eax, %dx
#define CFG_IS(number, register, value)                                                            \
	CFG_GET(register);                                                                         \
	cmp $(value), %eax;                                                                        \
	CHECK number, e
#define COMMAND_SET(value) movw $(value), CONFIG + COMMAND
#define PORT_GET(port, offset)                                                                     \
	mov $(port + offset), %edx;                                                                \
	inl %dx, %eax
#define PORT_IS(number, port, offset, value)                                                       \
	PORT_GET(port, offset);                                                                    \
	cmp $(value), %eax;                                                                        \
	CHECK number, e
#define RAISE(vector) movl $(vector), MEMORY + MESSAGE
#define ENTRY(n)      MSIX + 16 * (n)
#define ENTRY_SET(n, low, data, control)                                                           \
	movl $(low), ENTRY(n);                                                                     \
	movl $0, ENTRY(n) + 4;                                                                     \
	movl $(data), ENTRY(n) + 8;                                                                \
	movl $(control), ENTRY(n) + 12

main:
	call begin
	call pics_begin
	call lapic_begin
	HANDLE(MSI, eoi_lapic)
	HANDLE(MSI + 1, eoi_lapic)
	HANDLE(MSI + 2, eoi_lapic)
	HANDLE(MSI + 3, eoi_lapic)
	HANDLE(MSIX_A, eoi_lapic)
	HANDLE(MSIX_B, eoi_lapic)
	HANDLE(WIRE, wire)
	HANDLE(PIC_IRQ, wire_pic)

	/* ---- configuration space ---- */
	/* 1: it is there once on bus 0, by mechanism 1; 2: and by the configuration window */
	xor %edi, %edi
	xor %ebx, %ebx
1:	mov $ADDRESS, %edx
	mov %edi, %eax
	shl $8, %eax
	or $0x80000000, %eax
	outl %eax, %dx
	mov $DATA, %edx
	inl %dx, %eax
	mov %edi, %ecx
	shl $12, %ecx
	cmp %eax, ECAM(%ecx)
	CHECK 2, e
	cmp $ID, %eax
	jne 2f
	inc %ebx
	cmp $SLOT << 3, %edi
	CHECK 1, e
2:	inc %edi
	cmp $256, %edi
	jb 1b
	cmp $1, %ebx
	CHECK 1, e
	CHECK_IS(2, ECAM + 0x0ffff000, -1) /* the last function of the last bus */

	/* 3: both mechanisms show the same, by each width; 4: and write the same */
	xor %edi, %edi
1:	mov $ADDRESS, %edx
	lea SELECTOR(0)(%edi), %eax
	outl %eax, %dx
	mov $DATA, %edx
	inl %dx, %eax
	cmp %eax, CONFIG(%edi)
	CHECK 3, e
	inw %dx, %ax
	cmp %ax, CONFIG(%edi)
	CHECK 3, e
	mov $DATA + 2, %edx
	inw %dx, %ax
	cmp %ax, CONFIG + 2(%edi)
	CHECK 3, e
	inc %edx
	inb %dx, %al
	cmp %al, CONFIG + 3(%edi)
	CHECK 3, e
	add $4, %edi
	cmp $0x100, %edi
	jb 1b
	movb $0x5a, CONFIG + 0x3c /* the interrupt line */
	CFG_GET(0x3c)
	cmp $0x5a, %al
	CHECK 4, e
	CFG_SET(0x3c, 10)
	CHECK_IS(4, CONFIG + 0x3c, 0x10a)
	movw $0xa5a5, CONFIG + MSI_CAP + 12
	movb $0x3c, CONFIG + MSI_CAP + 13
	CFG_GET(MSI_CAP + 12)
	cmp $0x3ca5, %eax
	CHECK 4, e
	/* 5: its class, its capabilities in this order: MSI, MSI-X, PCI Express; 6: what lies above 256
	 * bytes, of it and of the host bridge, which has no such thing; 7: what is not aligned is done in
	 * parts in the window, and finds nothing through the data register */
	CFG_IS(5, 0x08, 0xff000001)
	CFG_IS(5, 0x2c, ID)
	CFG_GET(COMMAND)
	shr $16, %eax
	cmp $0x10, %eax
	CHECK 5, e
	CFG_IS(5, 0x34, MSI_CAP)
	CHECK_IS(5, CONFIG + MSI_CAP, 0x01845805)
	CHECK_IS(5, CONFIG + MSIX_CAP, 0x00076411)
	CHECK_IS(5, CONFIG + 0x64, 0x00920010)
	CHECK_IS(6, CONFIG + 0x100, 0x0001000b)
	movl $0x12345678, CONFIG + 0x108
	movl $0, CONFIG + 0x10c
	CHECK_IS(6, CONFIG + 0x108, 0x12345678)
	CHECK_IS(6, CONFIG + 0x10c, SKRY)
	CHECK_IS(6, CONFIG + 0xffc, 0)
	CHECK_IS(6, ECAM + 0x100, -1)
	CHECK_IS(6, ECAM, 0x12378086)
	CHECK_IS(7, CONFIG + 2, ID >> 16)
	movl $0x9abcdef0, CONFIG + 0x106
	CHECK_IS(7, CONFIG + 0x104, 0x01410001)
	CHECK_IS(7, CONFIG + 0x108, 0x12349abc)
	CFG_GET(0)
	inc %edx
	inl %dx, %eax
	cmp $-1, %eax
	CHECK 7, e

	/* ---- regions ---- */
	/* 8: how large they are; 9: nothing answers while they are off */
	CFG_SET(BAR(0), -1)
	CFG_IS(8, BAR(0), 0xfffff000)
	CFG_SET(BAR(1), -1)
	CFG_IS(8, BAR(1), 0xffffff81)
	CFG_SET(BAR(2), -1)
	CFG_IS(8, BAR(2), 0xfffff004)
	CFG_SET(BAR(3), -1)
	CFG_IS(8, BAR(3), -1)
	CFG_SET(BAR(4), -1)
	CFG_IS(8, BAR(4), 0)
	CFG_SET(BAR(0), MEMORY)
	movl $PORTS, CONFIG + BAR(1)
	movl $MSIX, CONFIG + BAR(2)
	movl $0, CONFIG + BAR(3)
	CFG_IS(8, BAR(1), PORTS | 1)
	CHECK_IS(9, MEMORY, -1)
	PORT_IS(9, PORTS, 0, -1)
	/* 10: each answers when it is on; 11: not a byte beyond */
	COMMAND_SET(MEMORY_ON)
	CHECK_IS(10, MEMORY, SKRY)
	PORT_IS(10, PORTS, 0, -1)
	COMMAND_SET(IO_ON)
	CHECK_IS(10, MEMORY, -1)
	PORT_IS(10, PORTS, 0, SKRY)
	COMMAND_SET(IO_ON | MEMORY_ON | MASTER)
	CHECK_IS(10, MEMORY, SKRY)
	CHECK_IS(10, ENTRY(7) + 12, 1)
	CHECK_IS(11, MEMORY - 4, -1)
	CHECK_IS(11, MEMORY + 0x1000, -1)
	PORT_IS(11, PORTS - 4, 0, -1)
	PORT_IS(11, PORTS + 128, 0, -1)
	PORT_IS(11, PORTS + 126, 0, -1)
	CHECK_IS(11, MEMORY + MEM_READS, 0)

	/* 12: accesses to memory are counted, with width and place; 13: those to ports */
	movl $0x11223344, MEMORY + COUNTED
	movw $0x5566, MEMORY + 0x802
	movb $0x77, MEMORY + 0xfff
	CHECK_IS(12, MEMORY + MEM_WRITES, 3)
	CHECK_IS(12, MEMORY + MEM_READS, 0)
	CHECK_IS(12, MEMORY + MEM_LAST, 0x77)
	CHECK_IS(12, MEMORY + MEM_WHERE, 0x10fff)
	movzwl MEMORY + 0x802, %eax
	cmp $0x77, %eax
	CHECK 12, e
	CHECK_IS(12, MEMORY + MEM_READS, 1)
	CHECK_IS(12, MEMORY + MEM_WHERE, 0x20802)
	mov $PORTS + 0x41, %edx
	mov $0xaabbccdd, %eax
	outl %eax, %dx
	outw %ax, %dx
	outb %al, %dx
	xor %eax, %eax
	inw %dx, %ax
	cmp $0xdd, %eax
	CHECK 13, e
	CHECK_IS(13, MEMORY + IO_WRITES, 3)
	PORT_IS(13, PORTS, IO_READS, 1)
	PORT_IS(13, PORTS, IO_LAST, 0xdd)
	PORT_IS(13, PORTS, IO_WHERE, 0x20041)
	/* 14: five by a string instruction; 15: they are forgotten */
	mov $ports_out, %esi
	mov $PORTS + 0x50, %edx
	mov $5, %ecx
	rep outsb
	CHECK_IS(14, MEMORY + IO_WRITES, 8)
	CHECK_IS(14, MEMORY + IO_LAST, 5)
	mov $MEMORY + 0x100, %edi
	mov $4, %ecx
	mov $9, %eax
	rep stosl
	CHECK_IS(14, MEMORY + MEM_WRITES, 7)
	CHECK_IS(14, MEMORY + MEM_LAST, 9)
	movl $0, MEMORY + CLEAR
	CHECK_IS(15, MEMORY + IO_WRITES, 0)
	CHECK_IS(15, MEMORY + MEM_WRITES, 0)

	/* 16: they are moved; what it counted stays */
	movl $1, MEMORY + COUNTED
	CFG_SET(BAR(0), MEMORY2)
	CFG_SET(BAR(1), PORTS2)
	CHECK_IS(16, MEMORY, -1)
	CHECK_IS(16, MEMORY2, SKRY)
	CHECK_IS(16, MEMORY2 + MEM_WRITES, 1)
	PORT_IS(16, PORTS, 0, -1)
	PORT_IS(16, PORTS2, 0, SKRY)
	/* 17: RAM goes before it; 18: the APICs do, and the configuration window; 19: the board's ports */
	movl $ram, CONFIG + BAR(0)
	movl $0x12345678, ram
	CHECK_IS(17, ram, 0x12345678)
	CHECK_IS(17, ram + 4, 0)
	movl $IOAPIC, CONFIG + BAR(0)
	movl $1, IOAPIC
	movzbl WINDOW, %eax
	cmp $0x20, %eax
	CHECK 18, e
	movl $LAPIC, CONFIG + BAR(0)
	CHECK_IS(18, LAPIC + 0xf0, 0x1ff)
	movl $0xfffff000, CONFIG + BAR(0)
	CHECK_IS(18, 0xfffff000, -1)
	movl $CONFIG, CONFIG + BAR(0)
	CHECK_IS(18, CONFIG, ID)
	movl $0x380, CONFIG + BAR(1)
	mov $0x3fd, %edx
	inb %dx, %al
	and $0x60, %al
	cmp $0x60, %al
	CHECK 19, e
	CFG_SET(BAR(1), 0xc80)
	CFG_IS(19, 0, ID)
	PORT_IS(19, 0xc80, 0, -1)
	/* 20: two of its own at one place: the first */
	movl $MSIX, CONFIG + BAR(0)
	CHECK_IS(20, MSIX, SKRY)
	movl $MEMORY, CONFIG + BAR(0)
	CHECK_IS(20, MSIX, 0)
	CFG_SET(BAR(1), PORTS)

	/* ---- the wire ---- */
	/* 21: a level at the I/O APIC, which comes once; the status register tells; 22: not while it is
	 * disabled, but then */
	movl $PIN(INTX_PIN) + 1, IOAPIC
	movl $0, WINDOW
	movl $PIN(INTX_PIN), IOAPIC
	movl $(WIRE | LEVEL | LOW), WINDOW
	movl $1, MEMORY + INTX
	cmpw $0x18, CONFIG + STATUS
	CHECK 21, e
	LET_IN
	CHECK_IS(21, COUNT(WIRE), 1)
	CHECK_IS(21, MEMORY + INTX, 0)
	cmpw $0x10, CONFIG + STATUS
	CHECK 21, e
	LET_IN
	CHECK_IS(21, COUNT(WIRE), 1)
	COMMAND_SET(INTX_OFF | IO_ON | MEMORY_ON | MASTER)
	movl $1, MEMORY + INTX
	LET_IN
	CHECK_IS(22, COUNT(WIRE), 1)
	cmpw $0x18, CONFIG + STATUS
	CHECK 22, e
	COMMAND_SET(IO_ON | MEMORY_ON | MASTER)
	LET_IN
	CHECK_IS(22, COUNT(WIRE), 2)
	/* 23: it comes again until the device is content */
	movl $2, wire_patience
	movl $1, MEMORY + INTX
	LET_IN
	LET_IN
	LET_IN
	LET_IN
	CHECK_IS(23, COUNT(WIRE), 5)
	movl $(WIRE | LEVEL | LOW | MASKED), WINDOW
	/* 24: the same by the 8259s, as a level */
	movl $0x700, LAPIC + 0x350 /* LINT0 */
	mov $0x4d1, %edx
	mov $1 << (INTX_IRQ - 8), %al
	outb %al, %dx
	mov $0xfb, %al
	outb %al, $0x21
	mov $0xff - (1 << (INTX_IRQ - 8)), %al
	outb %al, $0xa1
	movl $1, MEMORY + INTX
	LET_IN
	CHECK_IS(24, COUNT(PIC_IRQ), 1)
	CHECK_IS(24, COUNT(WIRE), 5)
	LET_IN
	CHECK_IS(24, COUNT(PIC_IRQ), 1)
	mov $0xff, %al
	outb %al, $0x21

	/* ---- MSI ---- */
	/* 25: a message is refused while it is off; 26: four vectors */
	RAISE(0)
	CHECK_IS(25, MEMORY + MESSAGE, 1)
	movl $LAPIC, CONFIG + MSI_CAP + 4
	movl $0, CONFIG + MSI_CAP + 8
	movw $MSI, CONFIG + MSI_CAP + 12
	movw $(MSI_ON | 2 << 4), CONFIG + MSI_CAP + 2
	RAISE(0)
	RAISE(1)
	RAISE(3)
	LET_IN
	LET_IN
	LET_IN
	CHECK_IS(26, COUNT(MSI), 1)
	CHECK_IS(26, COUNT(MSI + 1), 1)
	CHECK_IS(26, COUNT(MSI + 2), 0)
	CHECK_IS(26, COUNT(MSI + 3), 1)
	/* 27: one that is masked pends, and comes when it is not; 28: so does one without mastering */
	movl $4, CONFIG + MSI_CAP + 16
	RAISE(2)
	LET_IN
	CHECK_IS(27, COUNT(MSI + 2), 0)
	CHECK_IS(27, CONFIG + MSI_CAP + 20, 4)
	movl $0, CONFIG + MSI_CAP + 16
	LET_IN
	CHECK_IS(27, COUNT(MSI + 2), 1)
	CHECK_IS(27, CONFIG + MSI_CAP + 20, 0)
	COMMAND_SET(MEMORY_ON)
	RAISE(2)
	LET_IN
	CHECK_IS(28, COUNT(MSI + 2), 1)
	COMMAND_SET(IO_ON | MEMORY_ON | MASTER)
	LET_IN
	CHECK_IS(28, COUNT(MSI + 2), 2)
	/* 29: with one vector allocated, all are that one; no wire meanwhile; 30: four there are */
	movw $MSI_ON, CONFIG + MSI_CAP + 2
	RAISE(3)
	LET_IN
	CHECK_IS(29, COUNT(MSI), 2)
	CHECK_IS(29, COUNT(MSI + 3), 1)
	movl $(WIRE | LEVEL | LOW), WINDOW
	movl $1, MEMORY + INTX
	LET_IN
	CHECK_IS(29, COUNT(WIRE), 5)
	movl $0, MEMORY + INTX
	RAISE(4)
	CHECK_IS(30, MEMORY + MESSAGE, 2)

	/* ---- MSI-X, which goes before MSI ---- */
	/* 31: each vector has its own message; 32: its mask; 33: the function's; 34: mastering */
	ENTRY_SET(1, LAPIC, MSIX_A, 0)
	ENTRY_SET(6, LAPIC, MSIX_B, 0)
	movw $MSIX_ON, CONFIG + MSIX_CAP + 2
	RAISE(1)
	LET_IN
	CHECK_IS(31, COUNT(MSIX_A), 1)
	CHECK_IS(31, COUNT(MSIX_B), 0)
	RAISE(6)
	LET_IN
	CHECK_IS(31, COUNT(MSIX_B), 1)
	CHECK_IS(31, COUNT(MSI), 2)
	movl $1, ENTRY(6) + 12
	RAISE(6)
	RAISE(6)
	RAISE(1)
	LET_IN
	CHECK_IS(32, COUNT(MSIX_A), 2)
	CHECK_IS(32, COUNT(MSIX_B), 1)
	CHECK_IS(32, PENDING, 0x40)
	movl $0, ENTRY(6) + 12
	LET_IN
	CHECK_IS(32, COUNT(MSIX_B), 2)
	CHECK_IS(32, PENDING, 0)
	movw $(MSIX_ON | MSIX_MASKED), CONFIG + MSIX_CAP + 2
	RAISE(1)
	RAISE(6)
	LET_IN
	CHECK_IS(33, PENDING, 0x42)
	CHECK_IS(33, COUNT(MSIX_A), 2)
	movw $MSIX_ON, CONFIG + MSIX_CAP + 2
	LET_IN
	LET_IN
	CHECK_IS(33, COUNT(MSIX_A), 3)
	CHECK_IS(33, COUNT(MSIX_B), 3)
	COMMAND_SET(MEMORY_ON)
	RAISE(1)
	LET_IN
	CHECK_IS(34, COUNT(MSIX_A), 3)
	CHECK_IS(34, PENDING, 2)
	COMMAND_SET(MEMORY_ON | MASTER)
	LET_IN
	CHECK_IS(34, COUNT(MSIX_A), 4)

	/* 35: addresses that are none of interrupts; 36: modes of delivery that have no effect here, and
	 * a level's end; 37: a vector that is none; 38: lowest priority; 39: logical, by a level; 40:
	 * an NMI */
	movl $0, MEMORY + CLEAR
	ENTRY_SET(1, 0x1000, MSIX_A, 0)
	RAISE(1)
	movl $0xfef00000, ENTRY(1)
	RAISE(1)
	movl $IOAPIC, ENTRY(1)
	RAISE(1)
	movl $LAPIC, ENTRY(1)
	movl $1, ENTRY(1) + 4
	RAISE(1)
	CHECK_IS(35, MEMORY + DROPPED, 4)
	LET_IN
	CHECK_IS(35, COUNT(MSIX_A), 4)
	ENTRY_SET(1, LAPIC, MSIX_A | 0x200, 0)
	mov $modes, %esi
1:	xor %eax, %eax
	lodsw
	test %eax, %eax
	jz 2f
	mov %eax, ENTRY(1) + 8
	RAISE(1)
	LET_IN
	jmp 1b
2:	CHECK_IS(36, COUNT(MSIX_A), 4)
	movl $(LAPIC | 0x77 << 12), ENTRY(1)
	movl $MSIX_A, ENTRY(1) + 8
	RAISE(1) /* to an APIC that is not there */
	LET_IN
	CHECK_IS(36, COUNT(MSIX_A), 4)
	movl $LAPIC, ENTRY(1)
	movl $0, ESR
	movl $3, ENTRY(1) + 8
	RAISE(1)
	LET_IN
	movl $0, ESR
	CHECK_IS(37, ESR, 0x40)
	movl $0, ESR
	movl $(MSIX_A | 0x100), ENTRY(1) + 8
	movl $(LAPIC | 8), ENTRY(1)
	RAISE(1)
	LET_IN
	CHECK_IS(38, COUNT(MSIX_A), 5)
	movl $0xffffffff, LAPIC + 0xe0 /* flat */
	movl $0x01000000, LAPIC + 0xd0
	movl $(LAPIC | 1 << 12 | 4), ENTRY(1)
	movl $(MSIX_A | 0xc000), ENTRY(1) + 8
	RAISE(1)
	LET_IN
	CHECK_IS(39, COUNT(MSIX_A), 6)
	HANDLE(VEC_NMI, nothing)
	movl $0x400, ENTRY(1) + 8
	RAISE(1)
	nop
	CHECK_IS(40, COUNT(VEC_NMI), 1)
	CHECK_IS(40, MEMORY + DROPPED, 4)

	/* 41: a region above 4 GiB is not one below; 42: it is there, by PAE's tables; 43: with the table
	 * that was below */
	movl $HIGH_LOW, CONFIG + BAR(2)
	movl $1, CONFIG + BAR(3)
	CHECK_IS(41, ENTRY(1) + 8, -1)
	CHECK_IS(41, HIGH_LOW + 16 + 8, -1)
	call pages
	CHECK_IS(42, WINDOW_VA + 16 + 8, 0x400)
	movl $MSIX_A, WINDOW_VA + 16 + 8
	movl $LAPIC, WINDOW_VA + 16
	RAISE(1)
	LET_IN
	CHECK_IS(43, COUNT(MSIX_A), 7)
	movl $0x2, CONFIG + BAR(3)
	CHECK_IS(43, WINDOW_VA + 16 + 8, -1)
	CHECK_IS(43, MEMORY, SKRY)
	xor %eax, %eax
	ret

/* The first and the last GiB as they are, and WINDOW_VA to the region above 4 GiB. */
pages:	mov $0x83, %eax
	mov $pds, %edi
	mov $512, %ecx
1:	mov %eax, (%edi)
	movl $0, 4(%edi)
	lea 0xc0000000(%eax), %edx
	mov %edx, 0x3000(%edi)
	movl $0, 0x3004(%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 1b
	movl $(HIGH_LOW | 0x83), pds + 0x1000
	movl $1, pds + 0x1004
	movl $pds + 1, pdpt
	movl $pds + 0x1001, pdpt + 8
	movl $pds + 0x3001, pdpt + 24
	mov $0x20, %eax
	mov %eax, %cr4
	mov $pdpt, %eax
	mov %eax, %cr3
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	ret

/* The device is content when wire_patience has run out. */
wire:	call content
	jmp eoi_lapic
wire_pic:
	call content
	jmp eoi_pic2
content:
	decl wire_patience
	jns nothing
	movl $0, wire_patience
	movl $0, MEMORY + INTX
nothing:
	ret

	.section .data
wire_patience: .long 0
ports_out:     .byte 1, 2, 3, 4, 5
	.balign 2
/* SMI, reserved, INIT, start-up, ExtINT; the end of a level. */
modes:	.short 0x200 | MSIX_A, 0x300 | MSIX_A, 0x500, 0x600 | MSIX_A, 0x700 | MSIX_A
	.short 0x8000 | MSIX_A, 0
	.section .bss
	.balign 4096
ram:	.skip 4096
	.section .text
