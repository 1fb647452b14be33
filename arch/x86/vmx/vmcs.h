/*
 * The fields of the virtual-machine control structure, the names of their bits, the VMX capability
 * MSRs and the exit reasons. Source: Intel SDM volume 3, "Virtual Machine Control Structures", "VMX
 * Basic Exit Reasons", and appendices "VMX Capability Reporting Facility" and "Field Encoding in
 * VMCS".
 */
#ifndef ARCH_X86_VMX_VMCS_H
#define ARCH_X86_VMX_VMCS_H

#include "lib/types.h"

/* MSRs and their bits */
#define MSR_FEATURE_CONTROL       0x03au
#define FEATURE_CONTROL_LOCK      BIT(0)
#define FEATURE_CONTROL_VMX       BIT(2) /* outside SMX operation */
#define MSR_VMX_BASIC             0x480u
#define VMX_BASIC_REVISION        0x7fffffffull
#define VMX_BASIC_SIZE_SHIFT      32 /* bits 44:32, bytes of a region, at most 4096 */
#define VMX_BASIC_32BIT_ADDRESSES BIT(48)
#define VMX_BASIC_TYPE_SHIFT      50 /* bits 53:50, memory type of the structures; 6: write-back */
#define VMX_BASIC_TRUE_CONTROLS   BIT(55)
#define VMX_BASIC_ANY_ERROR_CODE  BIT(56) /* injected exceptions need not push their error code */
#define MSR_VMX_PIN               0x481u
#define MSR_VMX_PRIMARY           0x482u
#define MSR_VMX_EXIT              0x483u
#define MSR_VMX_ENTRY             0x484u
#define MSR_VMX_MISC              0x485u
#define VMX_MISC_TIMER_SHIFT      0x1full /* bits 4:0: the preemption timer counts TSC >> this */
#define VMX_MISC_SAVES_LMA        BIT(5)  /* exits store EFER.LMA in the entry controls */
#define VMX_MISC_ACTIVITY_SHIFT   6       /* bits 8:6: supports HLT, shutdown, wait-for-SIPI */
#define VMX_MISC_CR3_TARGETS(m)   (((m) >> 16) & 0x1ff)
#define VMX_MISC_LENGTH_0         BIT(30) /* injection takes an instruction length of 0 */
#define MSR_VMX_CR0_FIXED0        0x486u
#define MSR_VMX_CR0_FIXED1        0x487u
#define MSR_VMX_CR4_FIXED0        0x488u
#define MSR_VMX_CR4_FIXED1        0x489u
#define MSR_VMX_SECONDARY         0x48bu
#define MSR_VMX_EPT_VPID          0x48cu
#define MSR_VMX_TRUE_PIN          0x48du
#define MSR_VMX_TRUE_PRIMARY      0x48eu
#define MSR_VMX_TRUE_EXIT         0x48fu
#define MSR_VMX_TRUE_ENTRY        0x490u

/* IA32_VMX_EPT_VPID_CAP */
#define EPT_CAP_WALK_4         BIT(6)
#define EPT_CAP_UNCACHED       BIT(8)
#define EPT_CAP_WRITE_BACK     BIT(14) /* of the paging structures */
#define EPT_CAP_2M             BIT(16)
#define EPT_CAP_1G             BIT(17)
#define EPT_CAP_INVEPT         BIT(20)
#define EPT_CAP_ACCESS_DIRTY   BIT(21)
#define EPT_CAP_INVEPT_SINGLE  BIT(25)
#define EPT_CAP_INVEPT_ALL     BIT(26)
#define EPT_CAP_INVVPID        BIT(32)
#define EPT_CAP_INVVPID_SINGLE BIT(41)
#define EPT_CAP_INVVPID_ALL    BIT(42)

/* pin-based controls */
#define PIN_EXTERNAL_INTERRUPT BIT32(0)
#define PIN_NMI                BIT32(3)
#define PIN_VIRTUAL_NMI        BIT32(5)
#define PIN_PREEMPTION_TIMER   BIT32(6)

/* primary processor-based controls */
#define PRIMARY_INTERRUPT_WINDOW BIT32(2)
#define PRIMARY_TSC_OFFSET       BIT32(3)
#define PRIMARY_HLT              BIT32(7)
#define PRIMARY_INVLPG           BIT32(9)
#define PRIMARY_MWAIT            BIT32(10)
#define PRIMARY_RDPMC            BIT32(11)
#define PRIMARY_RDTSC            BIT32(12)
#define PRIMARY_CR3_LOAD         BIT32(15)
#define PRIMARY_CR3_STORE        BIT32(16)
#define PRIMARY_TERTIARY         BIT32(17)
#define PRIMARY_CR8_LOAD         BIT32(19)
#define PRIMARY_CR8_STORE        BIT32(20)
#define PRIMARY_TPR_SHADOW       BIT32(21)
#define PRIMARY_NMI_WINDOW       BIT32(22)
#define PRIMARY_MOV_DR           BIT32(23)
#define PRIMARY_IO_ALL           BIT32(24)
#define PRIMARY_IO_BITMAPS       BIT32(25)
#define PRIMARY_MONITOR_TRAP     BIT32(27)
#define PRIMARY_MSR_BITMAPS      BIT32(28)
#define PRIMARY_MONITOR          BIT32(29)
#define PRIMARY_PAUSE            BIT32(30)
#define PRIMARY_SECONDARY        BIT32(31)

/* secondary processor-based controls */
#define SECONDARY_APIC_ACCESS        BIT32(0)
#define SECONDARY_EPT                BIT32(1)
#define SECONDARY_TABLE_EXITING      BIT32(2)
#define SECONDARY_RDTSCP             BIT32(3)
#define SECONDARY_X2APIC             BIT32(4)
#define SECONDARY_VPID               BIT32(5)
#define SECONDARY_WBINVD             BIT32(6)
#define SECONDARY_UNRESTRICTED       BIT32(7)
#define SECONDARY_APIC_REGISTERS     BIT32(8)
#define SECONDARY_INTERRUPT_DELIVERY BIT32(9)
#define SECONDARY_PAUSE_LOOP         BIT32(10)
#define SECONDARY_INVPCID            BIT32(12)
#define SECONDARY_XSAVES             BIT32(20)

/* exit controls */
#define EXIT_CTL_SAVE_DEBUG    BIT32(2)
#define EXIT_CTL_HOST_64BIT    BIT32(9)
#define EXIT_CTL_ACK_INTERRUPT BIT32(15)
#define EXIT_CTL_SAVE_PAT      BIT32(18)
#define EXIT_CTL_LOAD_PAT      BIT32(19)
#define EXIT_CTL_SAVE_EFER     BIT32(20)
#define EXIT_CTL_LOAD_EFER     BIT32(21)
#define EXIT_CTL_SAVE_TIMER    BIT32(22)

/* entry controls */
#define ENTRY_CTL_LOAD_DEBUG BIT32(2)
#define ENTRY_CTL_LONG_MODE  BIT32(9) /* "IA-32e mode guest" */
#define ENTRY_CTL_SMM        BIT32(10)
#define ENTRY_CTL_DUAL_SMM   BIT32(11)
#define ENTRY_CTL_LOAD_PAT   BIT32(14)
#define ENTRY_CTL_LOAD_EFER  BIT32(15)

/* Fields: 16-bit control, guest, host */
#define VMCS_VPID         0x0000
#define VMCS_GUEST_ES_SEL 0x0800 /* then CS, SS, DS, FS, GS, LDTR, TR by 2 */
#define VMCS_HOST_ES_SEL  0x0c00 /* then CS, SS, DS, FS, GS, TR by 2 */
#define VMCS_HOST_CS_SEL  0x0c02
#define VMCS_HOST_SS_SEL  0x0c04
#define VMCS_HOST_DS_SEL  0x0c06
#define VMCS_HOST_FS_SEL  0x0c08
#define VMCS_HOST_GS_SEL  0x0c0a
#define VMCS_HOST_TR_SEL  0x0c0c

/* 64-bit control, read-only, guest, host */
#define VMCS_IO_BITMAP_A    0x2000
#define VMCS_IO_BITMAP_B    0x2002
#define VMCS_MSR_BITMAP     0x2004
#define VMCS_TSC_OFFSET     0x2010
#define VMCS_VIRTUAL_APIC   0x2012
#define VMCS_APIC_ACCESS    0x2014
#define VMCS_EPTP           0x201a
#define VMCS_XSS_EXITING    0x202c
#define VMCS_GUEST_PHYSICAL 0x2400
#define VMCS_LINK_POINTER   0x2800
#define VMCS_GUEST_DEBUGCTL 0x2802
#define VMCS_GUEST_PAT      0x2804
#define VMCS_GUEST_EFER     0x2806
#define VMCS_GUEST_PDPTE0   0x280a /* then 1, 2, 3 by 2 */
#define VMCS_HOST_PAT       0x2c00
#define VMCS_HOST_EFER      0x2c02

/* 32-bit control, read-only, guest, host */
#define VMCS_PIN_CONTROLS       0x4000
#define VMCS_PRIMARY_CONTROLS   0x4002
#define VMCS_EXCEPTION_BITMAP   0x4004
#define VMCS_PF_ERROR_MASK      0x4006
#define VMCS_PF_ERROR_MATCH     0x4008
#define VMCS_CR3_TARGETS        0x400a
#define VMCS_EXIT_CONTROLS      0x400c
#define VMCS_EXIT_MSR_STORES    0x400e
#define VMCS_EXIT_MSR_LOADS     0x4010
#define VMCS_ENTRY_CONTROLS     0x4012
#define VMCS_ENTRY_MSR_LOADS    0x4014
#define VMCS_ENTRY_EVENT        0x4016
#define VMCS_ENTRY_EVENT_ERROR  0x4018
#define VMCS_ENTRY_INSN_LEN     0x401a
#define VMCS_TPR_THRESHOLD      0x401c
#define VMCS_SECONDARY_CONTROLS 0x401e
#define VMCS_INSN_ERROR         0x4400
#define VMCS_EXIT_REASON        0x4402
#define VMCS_EXIT_EVENT         0x4404
#define VMCS_EXIT_EVENT_ERROR   0x4406
#define VMCS_VECTORING          0x4408
#define VMCS_VECTORING_ERROR    0x440a
#define VMCS_EXIT_INSN_LEN      0x440c
#define VMCS_EXIT_INSN_INFO     0x440e
#define VMCS_GUEST_ES_LIMIT     0x4800 /* by 2, in the order of the selectors */
#define VMCS_GUEST_GDTR_LIMIT   0x4810
#define VMCS_GUEST_IDTR_LIMIT   0x4812
#define VMCS_GUEST_ES_ACCESS    0x4814 /* by 2 */
#define VMCS_INTERRUPTIBILITY   0x4824
#define VMCS_ACTIVITY           0x4826
#define VMCS_GUEST_SYSENTER_CS  0x482a
#define VMCS_PREEMPTION_TIMER   0x482e
#define VMCS_HOST_SYSENTER_CS   0x4c00

/* natural width: control, read-only, guest, host */
#define VMCS_CR0_MASK           0x6000
#define VMCS_CR4_MASK           0x6002
#define VMCS_CR0_SHADOW         0x6004
#define VMCS_CR4_SHADOW         0x6006
#define VMCS_QUALIFICATION      0x6400
#define VMCS_GUEST_LINEAR       0x640a
#define VMCS_GUEST_CR0          0x6800
#define VMCS_GUEST_CR3          0x6802
#define VMCS_GUEST_CR4          0x6804
#define VMCS_GUEST_ES_BASE      0x6806 /* by 2 */
#define VMCS_GUEST_GDTR_BASE    0x6816
#define VMCS_GUEST_IDTR_BASE    0x6818
#define VMCS_GUEST_DR7          0x681a
#define VMCS_GUEST_RSP          0x681c
#define VMCS_GUEST_RIP          0x681e
#define VMCS_GUEST_RFLAGS       0x6820
#define VMCS_PENDING_DEBUG      0x6822
#define VMCS_GUEST_SYSENTER_ESP 0x6824
#define VMCS_GUEST_SYSENTER_EIP 0x6826
#define VMCS_HOST_CR0           0x6c00
#define VMCS_HOST_CR3           0x6c02
#define VMCS_HOST_CR4           0x6c04
#define VMCS_HOST_FS_BASE       0x6c06
#define VMCS_HOST_GS_BASE       0x6c08
#define VMCS_HOST_TR_BASE       0x6c0a
#define VMCS_HOST_GDTR_BASE     0x6c0c
#define VMCS_HOST_IDTR_BASE     0x6c0e
#define VMCS_HOST_SYSENTER_ESP  0x6c10
#define VMCS_HOST_SYSENTER_EIP  0x6c12
#define VMCS_HOST_RSP           0x6c14
#define VMCS_HOST_RIP           0x6c16

/* access rights of a segment: like a descriptor's with bits 11:8 of it at 15:12; bits 7:0 are those
 * of SEG_ATTR_* */
#define ACCESS_L        BIT32(13)
#define ACCESS_DB       BIT32(14)
#define ACCESS_G        BIT32(15)
#define ACCESS_UNUSABLE BIT32(16)

/* interruptibility */
#define BLOCKED_BY_STI    BIT32(0)
#define BLOCKED_BY_MOV_SS BIT32(1)
#define BLOCKED_BY_SMI    BIT32(2)
#define BLOCKED_BY_NMI    BIT32(3)
#define BLOCKED_ENCLAVE   BIT32(4) /* the event cut an SGX enclave off */

/* activity */
#define ACTIVITY_ACTIVE   0
#define ACTIVITY_HLT      1
#define ACTIVITY_SHUTDOWN 2
#define ACTIVITY_WAIT     3

/* pending debug exceptions */
#define PENDING_DEBUG_ENABLED BIT(12)
#define PENDING_DEBUG_BS      BIT(14)
#define PENDING_DEBUG_RTM     BIT(16)

/* event fields: to inject, that caused the exit, that was being delivered */
#define EVENT_VECTOR_MASK    0xffu
#define EVENT_TYPE_SHIFT     8
#define EVENT_TYPE_MASK      7u
#define EVENT_TYPE_INTR      0u
#define EVENT_TYPE_NMI       2u
#define EVENT_TYPE_EXCEPTION 3u /* of the hardware */
#define EVENT_TYPE_SOFT_INT  4u
#define EVENT_TYPE_ICEBP     5u /* "privileged software exception" */
#define EVENT_TYPE_SOFT_EXC  6u /* INT3, INTO */
#define EVENT_TYPE_OTHER     7u
#define EVENT_ERROR_VALID    BIT32(11)
#define EVENT_NMI_UNBLOCKING BIT32(12) /* of an exit: an IRET had ended NMI blocking */
#define EVENT_VALID          BIT32(31)

/* EPTP */
#define EPTP_MEMORY_TYPE  7ull
#define EPTP_UNCACHED     0ull
#define EPTP_WRITE_BACK   6ull
#define EPTP_WALK         (7ull << 3)
#define EPTP_WALK_4       (3ull << 3)
#define EPTP_ACCESS_DIRTY BIT(6)

/* exit reasons */
#define REASON_EXCEPTION        0
#define REASON_INTERRUPT        1
#define REASON_TRIPLE_FAULT     2
#define REASON_INIT             3
#define REASON_SIPI             4
#define REASON_INTERRUPT_WINDOW 7
#define REASON_NMI_WINDOW       8
#define REASON_TASK_SWITCH      9
#define REASON_CPUID            10
#define REASON_GETSEC           11
#define REASON_HLT              12
#define REASON_INVD             13
#define REASON_INVLPG           14
#define REASON_RDPMC            15
#define REASON_RDTSC            16
#define REASON_RSM              17
#define REASON_VMCALL           18
#define REASON_VMCLEAR          19
#define REASON_VMXON            27
#define REASON_CR               28
#define REASON_DR               29
#define REASON_IO               30
#define REASON_RDMSR            31
#define REASON_WRMSR            32
#define REASON_BAD_GUEST_STATE  33
#define REASON_BAD_MSR_LOAD     34
#define REASON_MWAIT            36
#define REASON_MONITOR          39
#define REASON_PAUSE            40
#define REASON_ENTRY_MC         41
#define REASON_TPR_THRESHOLD    43
#define REASON_EPT_VIOLATION    48
#define REASON_EPT_MISCONFIG    49
#define REASON_INVEPT           50
#define REASON_TIMER            52
#define REASON_INVVPID          53
#define REASON_WBINVD           54
#define REASON_XSETBV           55
#define REASON_VMFUNC           59
#define REASON_ENCLS            60
#define REASON_SEAMCALL         76
#define REASON_TDCALL           77
#define REASON_MASK             0xffffu
#define REASON_ENTRY_FAILED     BIT32(31)

/* task switches: the selector is in bits 15:0 */
#define TASK_SWITCH_SOURCE_SHIFT 30 /* 2 bits */

/* qualification of a control-register access */
#define CR_ACCESS_NUMBER     0xfull
#define CR_ACCESS_TYPE_SHIFT 4 /* 2 bits */
#define CR_ACCESS_MOV_TO     0
#define CR_ACCESS_MOV_FROM   1
#define CR_ACCESS_CLTS       2
#define CR_ACCESS_LMSW       3
#define CR_ACCESS_GPR_SHIFT  8 /* 4 bits */

/* qualification of an I/O instruction */
#define IO_ACCESS_SIZE       7ull /* 0, 1, 3: 1, 2, 4 bytes */
#define IO_ACCESS_IN         BIT(3)
#define IO_ACCESS_STRING     BIT(4)
#define IO_ACCESS_REP        BIT(5)
#define IO_ACCESS_PORT_SHIFT 16

/* qualification of an EPT violation */
#define EPT_ACCESS_READ           BIT(0)
#define EPT_ACCESS_WRITE          BIT(1)
#define EPT_ACCESS_FETCH          BIT(2)
#define EPT_ACCESS_PRESENT        (BIT(3) | BIT(4) | BIT(5)) /* what the entries allowed */
#define EPT_ACCESS_LINEAR         BIT(7)                     /* the linear address is valid */
#define EPT_ACCESS_TRANSLATED     BIT(8) /* of the translated address, not of the walk to it */
#define EPT_ACCESS_NMI_UNBLOCKING BIT(12)

#endif
