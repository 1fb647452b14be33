/*
 * The MSRs that a guest has: what they hold, what they take and what they refuse. With the word
 * `strict` on the command line also what the processor itself checks where the hypervisor lets it
 * (an emulator may not).
 */
#include "guest.h"
#include "checks.h"

#define MSR_TSC		 0x10
#define MSR_PLATFORM_ID	 0x17
#define MSR_TSC_ADJUST	 0x3b
#define MSR_PRED_CMD	 0x49
#define MSR_MTRR_CAP	 0xfe
#define MSR_SYSENTER_CS	 0x174
#define MSR_MCG_CAP	 0x179
#define MSR_MCG_STATUS	 0x17a
#define MSR_PAT		 0x277
#define MSR_MTRR_DEF	 0x2ff
#define MSR_EFER	 0xc0000080
#define MSR_STAR	 0xc0000081
#define MSR_FS_BASE	 0xc0000100
#define MSR_GS_BASE	 0xc0000101
#define MSR_KERNEL_GS	 0xc0000102
#define MSR_TSC_AUX	 0xc0000103
#define MSR_WALL_CLOCK	 0x4b564d00
#define MSR_SYSTEM_TIME	 0x4b564d01

/* Check `number` is whether the MSR takes the value and keeps it. */
#define KEEPS(number, msr, high, low)                                                              \
	WORKS(number, SET_MSR(msr, high, low));                                                    \
	call spoil;                                                                                \
	HOLDS(number, msr, high, low)
#define HOLDS(number, msr, high, low)                                                              \
	GET_MSR(msr);                                                                              \
	cmp $(low), %eax;                                                                          \
	CHECK number, e;                                                                           \
	cmp $(high), %edx;                                                                         \
	CHECK number, e
#define REFUSES(number, msr, high, low) FAULTS(number, VEC_GP, SET_MSR(msr, high, low))
#define ABSENT(number, msr)                                                                        \
	mov $(msr), %ecx;                                                                          \
	FAULTS(number, VEC_GP, rdmsr);                                                             \
	REFUSES(number, msr, 0, 0)

main:
	call begin
	/* 1: the MTRRs: 8 ranges, fixed ones, write-combining; 2: that cannot be written */
	HOLDS(1, MSR_MTRR_CAP, 0, 0x508)
	REFUSES(2, MSR_MTRR_CAP, 0, 0x508)
	/* 3: the default type; 4: types that are none; 5: reserved bits */
	KEEPS(3, MSR_MTRR_DEF, 0, 0xc06)
	REFUSES(4, MSR_MTRR_DEF, 0, 2)
	REFUSES(4, MSR_MTRR_DEF, 0, 3)
	REFUSES(4, MSR_MTRR_DEF, 0, 7)
	REFUSES(5, MSR_MTRR_DEF, 0, 0x1006)
	REFUSES(5, MSR_MTRR_DEF, 1, 6)
	/* 6, 7: a range's base and mask, the last one's too; 8: types, reserved bits; 9: there is no
	 * ninth */
	KEEPS(6, 0x200, 0, 0xc0000006)
	KEEPS(7, 0x201, 0xf, 0xc0000800)
	KEEPS(7, 0x20f, 0xf, 0xff000800)
	REFUSES(8, 0x200, 0, 0xc0000002)
	REFUSES(8, 0x200, 0, 0xc0000106)
	REFUSES(8, 0x201, 0, 0xc0000801)
	REFUSES(8, 0x200, 0x80000000, 6)
	ABSENT(9, 0x210)
	/* 10: fixed ranges, of each size; 11: their types */
	KEEPS(10, 0x250, 0x06060606, 0x06060606)
	KEEPS(10, 0x258, 0x06060606, 0x06060606)
	KEEPS(10, 0x26f, 0x05050505, 0x05050505)
	REFUSES(11, 0x250, 0, 0x02000000)
	REFUSES(11, 0x26f, 0x03000000, 0)
	ABSENT(11, 0x251)

	/* 12: PAT after a reset; 13: other types */
	HOLDS(12, MSR_PAT, 0x00070406, 0x00070406)
	KEEPS(13, MSR_PAT, 0x01040506, 0x00070406)

	/* ---- EFER ---- */
	/* 14: 0 after a reset; 15: SCE, NXE, LME while paging is off; 16: reserved bits */
	HOLDS(14, MSR_EFER, 0, 0)
	mov $0x20, %eax /* PAE, without which QEMU's TCG loses the host's paging at an exit with LME */
	mov %eax, %cr4
	KEEPS(15, MSR_EFER, 0, 0x901)
	REFUSES(16, MSR_EFER, 0, 2)
	REFUSES(16, MSR_EFER, 0, 0x10000000)
	REFUSES(16, MSR_EFER, 1, 0)
	HOLDS(16, MSR_EFER, 0, 0x901)
	KEEPS(16, MSR_EFER, 0, 0)
	/* 17: LME not while paging is on; 18: NXE is */
	call paging_on
	REFUSES(17, MSR_EFER, 0, 0x100)
	KEEPS(18, MSR_EFER, 0, 0x800)
	mov %cr0, %eax
	and $0x7fffffff, %eax
	mov %eax, %cr0
	KEEPS(18, MSR_EFER, 0, 0)

	/* ---- TSC ---- */
	/* 19: the MSR is what RDTSC gives; 20: TSC_ADJUST is 0 after a reset */
	rdtsc
	mov %eax, %ebx
	mov %edx, %esi
	GET_MSR(MSR_TSC)
	sub %ebx, %eax
	sbb %esi, %edx
	CHECK 19, nc
	cmp $0x100, %edx
	CHECK 19, b
	HOLDS(20, MSR_TSC_ADJUST, 0, 0)
	/* 21: it moves the TSC, forth and back; 22: and keeps its value */
	rdtsc
	mov %edx, %esi
	KEEPS(22, MSR_TSC_ADJUST, 0x10000000, 5)
	rdtsc
	sub %esi, %edx
	sub $0x10000000, %edx
	cmp $0x100, %edx
	CHECK 21, b
	KEEPS(22, MSR_TSC_ADJUST, 0xfffffff0, 0)
	rdtsc
	sub %esi, %edx
	sub $0xfffffff0, %edx
	cmp $0x100, %edx
	CHECK 21, b
	/* 23: writing the TSC sets it; 24: and moves TSC_ADJUST by as much: TSC - TSC_ADJUST is a clock
	 * that nothing disturbs */
	call undisturbed
	mov %edx, %esi
	WORKS(23, SET_MSR(MSR_TSC, 0x20000000, 0))
	rdtsc
	sub $0x20000000, %edx
	cmp $0x100, %edx
	CHECK 23, b
	call undisturbed
	sub %esi, %edx
	cmp $0x100, %edx
	CHECK 24, b
	WORKS(23, SET_MSR(MSR_TSC, 0, 0))
	rdtsc
	cmp $0x100, %edx
	CHECK 23, b
	SET_MSR(MSR_TSC_ADJUST, 0, 0)
	/* 25: TSC_AUX, if there is RDTSCP, has 32 bits and is what that gives */
	mov $0x80000001, %eax
	cpuid
	bt $27, %edx
	jnc 1f
	KEEPS(25, MSR_TSC_AUX, 0, 0x12345)
	REFUSES(25, MSR_TSC_AUX, 1, 0)
	rdtscp
	cmp $0x12345, %ecx
	CHECK 25, e
1:
	/* ---- system calls, bases ---- */
	KEEPS(26, MSR_SYSENTER_CS, 0, 8)
	KEEPS(26, MSR_SYSENTER_CS + 1, 0, 0x12345678)
	KEEPS(26, MSR_SYSENTER_CS + 2, 0, 0x23456789)
	KEEPS(27, MSR_STAR, 0x00180008, 0x11223344)
	KEEPS(27, MSR_STAR + 1, 0xffffffff, 0x80000000)
	KEEPS(27, MSR_STAR + 2, 0x00007fff, 0xfffff000)
	KEEPS(27, MSR_STAR + 3, 0, 0x47700)
	KEEPS(28, MSR_FS_BASE, 0x00001234, 0x56789abc)
	KEEPS(28, MSR_GS_BASE, 0xffff8000, 0)
	KEEPS(28, MSR_KERNEL_GS, 0x00007fff, 0xffffffff)
	/* 29: none of these has become another's */
	HOLDS(29, MSR_FS_BASE, 0x00001234, 0x56789abc)
	HOLDS(29, MSR_GS_BASE, 0xffff8000, 0)
	HOLDS(29, MSR_STAR + 1, 0xffffffff, 0x80000000)

	/* ---- machine checks, speculation, virtualization ---- */
	/* 30: no bank; 31: nothing happened; 32: nor can it be made */
	HOLDS(30, MSR_MCG_CAP, 0, 0)
	HOLDS(31, MSR_MCG_STATUS, 0, 0)
	WORKS(31, SET_MSR(MSR_MCG_STATUS, 0, 0))
	REFUSES(32, MSR_MCG_STATUS, 0, 1)
	ABSENT(32, 0x400) /* MC0_CTL */
	/* 53: the platform's identity is one that needs no microcode, and cannot be written */
	HOLDS(53, MSR_PLATFORM_ID, 0, 0)
	REFUSES(53, MSR_PLATFORM_ID, 0, 0)
	/* 33: a barrier that can be written only, if there is one */
	mov $0x80000008, %eax
	cpuid
	bt $12, %ebx
	jnc 1f
	WORKS(33, SET_MSR(MSR_PRED_CMD, 0, 1))
	mov $MSR_PRED_CMD, %ecx
	FAULTS(33, VEC_GP, rdmsr)
1:
	/* 34: nothing of virtualization, of either vendor */
	ABSENT(34, 0x3a)
	ABSENT(34, 0x480)
	ABSENT(34, 0xc0010114)
	ABSENT(34, 0xc0010117)
	/* 35: numbers that nobody has, at the ends of the permission maps' ranges too */
	ABSENT(35, 0x1fff)
	ABSENT(35, 0x2000)
	ABSENT(35, 0xc0001fff)
	ABSENT(35, 0xc0002000)
	ABSENT(35, 0xc0011fff)
	ABSENT(35, 0xbfffffff)
	ABSENT(35, 0xffffffff)

	/* ---- the paravirtual clock ---- */
	/* 36: no clock before it is asked for; 37: the wall clock is written there, with an even version
	 * and a time that a clock can show; 38: the system time, likewise; 39: not where there is no RAM */
	HOLDS(36, MSR_SYSTEM_TIME, 0, 0)
	movl $0, clock + 4
	KEEPS(37, MSR_WALL_CLOCK, 0, clock)
	testl $1, clock
	CHECK 37, z
	cmpl $900000000, clock + 4 /* 1998: some emulated machines are in 2000 */
	CHECK 37, a
	movl $0, clock
	KEEPS(38, MSR_SYSTEM_TIME, 0, clock + 1)
	testl $1, clock
	CHECK 38, z
	cmpl $0, clock
	CHECK 38, ne
	cmpl $0, clock + 24 /* the multiplier */
	CHECK 38, ne
	REFUSES(39, MSR_WALL_CLOCK, 0, 0xd0000000)
	REFUSES(39, MSR_SYSTEM_TIME, 0, 0xd0000001)
	REFUSES(39, MSR_SYSTEM_TIME, 0xffffffff, 0xfffffffd)
	HOLDS(39, MSR_SYSTEM_TIME, 0, clock + 1)
	/* 40: switched off, nothing is written any more */
	KEEPS(40, MSR_SYSTEM_TIME, 0, 0)
	movl $7, clock
	SET_MSR(MSR_TSC_ADJUST, 0, 1000)
	CHECK_IS(40, clock, 7)

	/* ---- what the processor checks ---- */
	mov boot_info, %ebx
	testl $4, (%ebx)
	jz 1f
	mov 16(%ebx), %esi
	cmpb $'s', (%esi)
	jne 1f
	REFUSES(50, MSR_PAT, 0, 2)
	REFUSES(50, MSR_PAT, 0, 0x300)
	REFUSES(50, MSR_PAT, 0x08000000, 0)
	REFUSES(51, MSR_FS_BASE, 0x00008000, 0)
	REFUSES(51, MSR_GS_BASE, 0x80000000, 0)
	REFUSES(51, MSR_KERNEL_GS, 0xffff7fff, 0xffffffff)
	REFUSES(52, MSR_STAR + 1, 0x00008000, 0)
1:	xor %eax, %eax
	ret

/* Other values where the answers will come. */
spoil:
	mov $0xdeadbeef, %eax
	mov %eax, %edx
	ret

/* EDX:EAX: TSC - TSC_ADJUST. */
undisturbed:
	GET_MSR(MSR_TSC_ADJUST)
	mov %eax, %ebx
	mov %edx, %edi
	rdtsc
	sub %ebx, %eax
	sbb %edi, %edx
	ret

/* Pages of 4 MiB, each where it is. */
paging_on:
	mov $pages, %edi
	mov $0x83, %eax
	mov $1024, %ecx
1:	stosl
	add $0x400000, %eax
	loop 1b
	mov $pages, %eax
	mov %eax, %cr3
	mov $0x10, %eax
	mov %eax, %cr4
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	ret

	.section .bss
	.balign 4096
pages:	.skip 4096
clock:	.skip 32
