/*
 * What a guest must not have: SVM and VMX hidden in CPUID, SVM instructions and unknown MSRs refused
 * with the architecture's exceptions, unknown ports and memory reading all ones. Ends with the number
 * of the first check that fails, 0 if none does.
 */
#include "guest.h"
#include "checks.h"

main:
	call begin

	/* 1: no SVM; 2: no VMX, and the hypervisor bit is there */
	mov $0x80000001, %eax
	cpuid
	bt $2, %ecx
	CHECK 1, nc
	mov $1, %eax
	cpuid
	bt $5, %ecx
	CHECK 2, nc
	bt $31, %ecx
	CHECK 2, c

	mov $0x200000, %eax /* a page's address, or the emulator finds fault with it first */
	FAULTS(3, 6, vmrun %eax)
	mov $0x200000, %eax
	FAULTS(4, 6, vmload %eax)
	mov $0x200000, %eax
	FAULTS(5, 6, vmsave %eax)
	FAULTS(6, 6, clgi)
	FAULTS(7, 6, stgi)
	mov $0x12345678, %ecx
	FAULTS(8, 13, rdmsr)
	FAULTS(9, 13, wrmsr)
	/* 10: CR4 bits that this CPU model does not have */
	mov $0x2000, %eax
	FAULTS(10, 13, mov %eax, %cr4)
	/* 11: EFER.SVME */
	mov $0xc0000080, %ecx
	mov $0x1000, %eax
	xor %edx, %edx
	FAULTS(11, 13, wrmsr)
	/* 12: an unknown hypercall answers -1000 */
	mov $9999, %eax
	call hypercall
	cmp $-1000, %eax
	CHECK 12, e
	/* 13, 14, 15: nothing at a port; 16: nothing at an address */
	mov $0x5660, %edx
	xor %eax, %eax
	in %dx, %eax
	cmp $-1, %eax
	CHECK 13, e
	xor %eax, %eax
	in %dx, %ax
	cmp $0xffff, %eax
	CHECK 14, e
	xor %eax, %eax
	in %dx, %al
	cmp $0xff, %eax
	CHECK 15, e
	mov 0xd0000000, %ebx
	cmp $-1, %ebx
	CHECK 16, e
	/* 17: string output reaches the port; the line is looked for by the test */
	mov $text, %esi
	mov $(text_end - text), %ecx
	mov $0x3f8, %edx
	rep outsb
	test %ecx, %ecx
	CHECK 17, z
	xor %eax, %eax
	ret

	.section .data
text:	.ascii "a line by rep outsb\n"
text_end:
