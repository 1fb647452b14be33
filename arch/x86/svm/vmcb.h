/*
 * The virtual machine control block and the names of its bits. Source: AMD64 Architecture
 * Programmer's Manual, volume 2, "Layout of VMCB" and "SVM Intercept Codes".
 */
#ifndef ARCH_X86_SVM_VMCB_H
#define ARCH_X86_SVM_VMCB_H

#include "lib/types.h"

/* MSRs and their bits */
#define MSR_VM_CR       0xc0010114u
#define VM_CR_LOCK      BIT(3)
#define VM_CR_SVMDIS    BIT(4)
#define MSR_VM_HSAVE_PA 0xc0010117u
#define MSR_EFER        0xc0000080u

/* CPUID Fn8000_000A EDX */
#define SVM_CPUID_NP             BIT32(0)
#define SVM_CPUID_NRIPS          BIT32(3)
#define SVM_CPUID_TSC_RATE       BIT32(4)
#define SVM_CPUID_VMCB_CLEAN     BIT32(5)
#define SVM_CPUID_FLUSH_BY_ASID  BIT32(6)
#define SVM_CPUID_DECODE_ASSISTS BIT32(7)

struct vmcb_segment {
	uint16_t selector;
	uint16_t attr; /* SEG_ATTR_*: the hardware's packed form is the neutral one */
	uint32_t limit;
	uint64_t base;
};

struct vmcb {
	/* control area */
	uint16_t intercept_cr_read, intercept_cr_write;
	uint16_t intercept_dr_read, intercept_dr_write;
	uint32_t intercept_exceptions;
	uint32_t intercept1, intercept2, intercept3;
	uint8_t reserved_018[0x3c - 0x18];
	uint16_t pause_filter_threshold, pause_filter_count;
	uint64_t iopm_base, msrpm_base;
	uint64_t tsc_offset;
	uint32_t asid;
	uint8_t tlb_control;
	uint8_t reserved_05d[3];
	uint64_t int_ctl;
	uint64_t int_state;
	uint64_t exit_code, exit_info1, exit_info2, exit_int_info;
	uint64_t np_enable;
	uint64_t avic_apic_bar, ghcb;
	uint64_t event_inj;
	uint64_t n_cr3;
	uint64_t lbr_control;
	uint32_t clean;
	uint32_t reserved_0c4;
	uint64_t next_rip;
	uint8_t n_fetched;
	uint8_t fetched[15];
	uint8_t reserved_0e0[0x400 - 0xe0];

	/* state save area */
	struct vmcb_segment seg[6]; /* ES, CS, SS, DS, FS, GS */
	struct vmcb_segment gdtr, ldtr, idtr, tr;
	uint8_t reserved_4a0[0x4cb - 0x4a0];
	uint8_t cpl;
	uint32_t reserved_4cc;
	uint64_t efer;
	uint8_t reserved_4d8[0x548 - 0x4d8];
	uint64_t cr4, cr3, cr0;
	uint64_t dr7, dr6;
	uint64_t rflags, rip;
	uint8_t reserved_580[0x5d8 - 0x580];
	uint64_t rsp;
	uint8_t reserved_5e0[0x5f8 - 0x5e0];
	uint64_t rax;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t cr2;
	uint8_t reserved_648[0x668 - 0x648];
	uint64_t g_pat;
	uint8_t reserved_670[0x1000 - 0x670];
};

_Static_assert(offsetof(struct vmcb, pause_filter_threshold) == 0x3c, "vmcb layout");
_Static_assert(offsetof(struct vmcb, asid) == 0x58, "vmcb layout");
_Static_assert(offsetof(struct vmcb, exit_code) == 0x70, "vmcb layout");
_Static_assert(offsetof(struct vmcb, event_inj) == 0xa8, "vmcb layout");
_Static_assert(offsetof(struct vmcb, clean) == 0xc0, "vmcb layout");
_Static_assert(offsetof(struct vmcb, fetched) == 0xd1, "vmcb layout");
_Static_assert(offsetof(struct vmcb, seg) == 0x400, "vmcb layout");
_Static_assert(offsetof(struct vmcb, cpl) == 0x4cb, "vmcb layout");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "vmcb layout");
_Static_assert(offsetof(struct vmcb, cr4) == 0x548, "vmcb layout");
_Static_assert(offsetof(struct vmcb, rip) == 0x578, "vmcb layout");
_Static_assert(offsetof(struct vmcb, rsp) == 0x5d8, "vmcb layout");
_Static_assert(offsetof(struct vmcb, rax) == 0x5f8, "vmcb layout");
_Static_assert(offsetof(struct vmcb, cr2) == 0x640, "vmcb layout");
_Static_assert(offsetof(struct vmcb, g_pat) == 0x668, "vmcb layout");
_Static_assert(sizeof(struct vmcb) == 0x1000, "vmcb layout");

/* intercept1 */
#define INTERCEPT_INTR        BIT32(0)
#define INTERCEPT_NMI         BIT32(1)
#define INTERCEPT_SMI         BIT32(2)
#define INTERCEPT_INIT        BIT32(3)
#define INTERCEPT_VINTR       BIT32(4)
#define INTERCEPT_RDPMC       BIT32(15)
#define INTERCEPT_CPUID       BIT32(18)
#define INTERCEPT_RSM         BIT32(19)
#define INTERCEPT_IRET        BIT32(20)
#define INTERCEPT_INVD        BIT32(22)
#define INTERCEPT_PAUSE       BIT32(23)
#define INTERCEPT_HLT         BIT32(24)
#define INTERCEPT_INVLPGA     BIT32(26)
#define INTERCEPT_IOIO        BIT32(27)
#define INTERCEPT_MSR         BIT32(28)
#define INTERCEPT_FERR_FREEZE BIT32(30)
#define INTERCEPT_SHUTDOWN    BIT32(31)

/* intercept2 */
#define INTERCEPT_VMRUN       BIT32(0)
#define INTERCEPT_VMMCALL     BIT32(1)
#define INTERCEPT_VMLOAD      BIT32(2)
#define INTERCEPT_VMSAVE      BIT32(3)
#define INTERCEPT_STGI        BIT32(4)
#define INTERCEPT_CLGI        BIT32(5)
#define INTERCEPT_SKINIT      BIT32(6)
#define INTERCEPT_WBINVD      BIT32(9)
#define INTERCEPT_MONITOR     BIT32(10)
#define INTERCEPT_MWAIT       BIT32(11)
#define INTERCEPT_MWAIT_ARMED BIT32(12)
#define INTERCEPT_XSETBV      BIT32(13)
#define INTERCEPT_RDPRU       BIT32(14)

/* intercept3 */
#define INTERCEPT_INVLPGB (BIT32(0) | BIT32(1))
#define INTERCEPT_MCOMMIT BIT32(3)
#define INTERCEPT_TLBSYNC BIT32(4)

/* tlb_control */
#define TLB_FLUSH_NOTHING   0
#define TLB_FLUSH_ALL       1
#define TLB_FLUSH_THIS_ASID 3

/* int_ctl */
#define INT_CTL_TPR          0xffull
#define INT_CTL_V_IRQ        BIT(8)
#define INT_CTL_PRIO         (0xfull << 16)
#define INT_CTL_IGNORE_TPR   BIT(20)
#define INT_CTL_MASKING      BIT(24)
#define INT_CTL_V_NMI_ENABLE BIT(26)

/* np_enable */
#define NP_ENABLE BIT(0)

/* int_state */
#define INT_STATE_SHADOW BIT(0)

/* event_inj, exit_int_info */
#define EVENT_TYPE_SHIFT     8
#define EVENT_TYPE_MASK      7u
#define EVENT_TYPE_INTR      0u
#define EVENT_TYPE_NMI       2u
#define EVENT_TYPE_EXCEPTION 3u
#define EVENT_TYPE_SOFT      4u
#define EVENT_ERROR_VALID    BIT(11)
#define EVENT_VALID          BIT(31)
#define EVENT_ERROR_SHIFT    32

/* VMCB clean field: what the processor may keep from the last entry of this VMCB on this core */
#define CLEAN_INTERCEPTS BIT32(0) /* intercepts, TSC offset, pause filter */
#define CLEAN_IOPM       BIT32(1)
#define CLEAN_ASID       BIT32(2)
#define CLEAN_TPR        BIT32(3) /* int_ctl */
#define CLEAN_NP         BIT32(4)
#define CLEAN_CR         BIT32(5) /* CR0, CR3, CR4, EFER */
#define CLEAN_DR         BIT32(6)
#define CLEAN_DT         BIT32(7)
#define CLEAN_SEG        BIT32(8)
#define CLEAN_CR2        BIT32(9)
#define CLEAN_ALL        0x3ffu

/* exit codes */
#define VMEXIT_CR_READ     0x000
#define VMEXIT_CR_WRITE    0x010
#define VMEXIT_EXCEPTION   0x040
#define VMEXIT_INTR        0x060
#define VMEXIT_NMI         0x061
#define VMEXIT_SMI         0x062
#define VMEXIT_INIT        0x063
#define VMEXIT_VINTR       0x064
#define VMEXIT_RDPMC       0x06f
#define VMEXIT_CPUID       0x072
#define VMEXIT_RSM         0x073
#define VMEXIT_IRET        0x074
#define VMEXIT_INVD        0x076
#define VMEXIT_PAUSE       0x077
#define VMEXIT_HLT         0x078
#define VMEXIT_INVLPGA     0x07a
#define VMEXIT_IOIO        0x07b
#define VMEXIT_MSR         0x07c
#define VMEXIT_FERR_FREEZE 0x07e
#define VMEXIT_SHUTDOWN    0x07f
#define VMEXIT_VMRUN       0x080
#define VMEXIT_VMMCALL     0x081
#define VMEXIT_VMLOAD      0x082
#define VMEXIT_VMSAVE      0x083
#define VMEXIT_STGI        0x084
#define VMEXIT_CLGI        0x085
#define VMEXIT_SKINIT      0x086
#define VMEXIT_WBINVD      0x089
#define VMEXIT_MONITOR     0x08a
#define VMEXIT_MWAIT       0x08b
#define VMEXIT_MWAIT_ARMED 0x08c
#define VMEXIT_XSETBV      0x08d
#define VMEXIT_RDPRU       0x08e
#define VMEXIT_INVLPGB     0x0a0
#define VMEXIT_INVLPGB_BAD 0x0a1
#define VMEXIT_MCOMMIT     0x0a3
#define VMEXIT_TLBSYNC     0x0a4
#define VMEXIT_NPF         0x400
#define VMEXIT_INVALID     UINT64_MAX

/* EXITINFO1 of IOIO */
#define IOIO_IN         BIT(0)
#define IOIO_STRING     BIT(2)
#define IOIO_REP        BIT(3)
#define IOIO_SIZE_SHIFT 4 /* bits 6:4, one hot: 1, 2, 4 bytes */
#define IOIO_PORT_SHIFT 16

/* EXITINFO1 of a nested page fault */
#define NPF_PRESENT    BIT(0)
#define NPF_WRITE      BIT(1)
#define NPF_FETCH      BIT(4)
#define NPF_TABLE_WALK BIT(33)

/* EXITINFO1 of a MOV to CR with decode assists */
#define CR_INFO_MOV BIT(63)

#endif
