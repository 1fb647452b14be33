/*
 * The state of a virtual CPU in vendor-neutral form: what both back ends get and set, what a
 * checkpoint holds, and what instruction emulation reads. Plain data, pure.
 */
#ifndef ARCH_X86_STATE_H
#define ARCH_X86_STATE_H

#include "lib/reason.h"
#include "lib/types.h"

/* General registers in the hardware's encoding. */
enum gpr_index {
	GPR_RAX,
	GPR_RCX,
	GPR_RDX,
	GPR_RBX,
	GPR_RSP,
	GPR_RBP,
	GPR_RSI,
	GPR_RDI,
	GPR_R8,
	GPR_R9,
	GPR_R10,
	GPR_R11,
	GPR_R12,
	GPR_R13,
	GPR_R14,
	GPR_R15,
	GPR_COUNT,
};

/* Segment registers: the first six in the hardware's encoding. */
enum segment_index {
	SEG_ES,
	SEG_CS,
	SEG_SS,
	SEG_DS,
	SEG_FS,
	SEG_GS,
	SEG_LDTR,
	SEG_TR,
	SEG_COUNT,
};

/* Attributes as in the middle of a descriptor: type 3:0, S 4, DPL 6:5, P 7, AVL 8, L 9, D/B 10,
 * G 11. A segment that cannot be used has P clear. `limit` is in bytes, granularity already
 * applied. */
struct segment_state {
	uint64_t base;
	uint32_t limit;
	uint16_t selector;
	uint16_t attr;
};

#define SEG_ATTR_TYPE 0x00f
#define SEG_ATTR_S    0x010
#define SEG_ATTR_DPL  0x060
#define SEG_ATTR_P    0x080
#define SEG_ATTR_L    0x200
#define SEG_ATTR_DB   0x400
#define SEG_ATTR_G    0x800

struct table_state { /* GDTR, IDTR */
	uint64_t base;
	uint16_t limit;
};

/* An event to deliver, or that was being delivered when the guest was left. */
enum vcpu_event_kind {
	EVENT_NONE,
	EVENT_INTERRUPT, /* external, vectored by a controller */
	EVENT_NMI,
	EVENT_EXCEPTION,
	EVENT_SOFT_INT, /* INT n, INT3, INTO: `insn_len` counts */
};

struct vcpu_event {
	uint8_t kind; /* enum vcpu_event_kind */
	uint8_t vector;
	bool has_error;
	uint8_t insn_len;
	uint32_t error;
	uint64_t payload; /* CR2 of a #PF, DR6 bits of a #DB */
};

enum vector {
	VEC_DE = 0,
	VEC_DB = 1,
	VEC_NMI = 2,
	VEC_BP = 3,
	VEC_OF = 4,
	VEC_BR = 5,
	VEC_UD = 6,
	VEC_NM = 7,
	VEC_DF = 8,
	VEC_TS = 10,
	VEC_NP = 11,
	VEC_SS = 12,
	VEC_GP = 13,
	VEC_PF = 14,
	VEC_MF = 16,
	VEC_AC = 17,
	VEC_MC = 18,
	VEC_XM = 19,
	VEC_CP = 21,
};

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_VME        BIT(0)
#define CR4_PVI        BIT(1)
#define CR4_TSD        BIT(2)
#define CR4_DE         BIT(3)
#define CR4_PSE        BIT(4)
#define CR4_PAE        BIT(5)
#define CR4_MCE        BIT(6)
#define CR4_PGE        BIT(7)
#define CR4_PCE        BIT(8)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_VMXE       BIT(13)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE        BIT(22)
#define CR4_CET        BIT(23)

#define DR7_GD BIT(13)

#define EFER_SCE   BIT(0)
#define EFER_LME   BIT(8)
#define EFER_LMA   BIT(10)
#define EFER_NXE   BIT(11)
#define EFER_SVME  BIT(12)
#define EFER_FFXSR BIT(14)

#define RFLAGS_CF   BIT(0)
#define RFLAGS_ONE  BIT(1) /* always set */
#define RFLAGS_PF   BIT(2)
#define RFLAGS_AF   BIT(4)
#define RFLAGS_ZF   BIT(6)
#define RFLAGS_SF   BIT(7)
#define RFLAGS_TF   BIT(8)
#define RFLAGS_IF   BIT(9)
#define RFLAGS_DF   BIT(10)
#define RFLAGS_OF   BIT(11)
#define RFLAGS_IOPL (BIT(12) | BIT(13))
#define RFLAGS_NT   BIT(14)
#define RFLAGS_RF   BIT(16)
#define RFLAGS_VM   BIT(17)
#define RFLAGS_AC   BIT(18)

/* What is needed to fetch and understand the instruction at RIP: a part of the state that is cheap
 * to get. */
struct code_context {
	uint64_t rip; /* offset in the code segment */
	uint64_t rflags;
	uint64_t cr0, cr3, cr4, efer;
	uint64_t cs_base; /* 0 in 64-bit mode */
	uint32_t cs_limit;
	uint16_t cs_attr; /* SEG_ATTR_* */
	uint8_t cpl;
	uint32_t pkru; /* of the guest, if CR4.PKE; no back end fills it, fpu_guest_pkru() tells it
			*/
	uint8_t phys_bits; /* of the guest's physical addresses: entry bits above are reserved */
};

/* The whole state of a vCPU but for what is switched in the same way for both vendors (extended
 * registers, DR0 to DR3, TSC_AUX). */
struct vcpu_state {
	uint64_t gpr[GPR_COUNT];
	uint64_t rip, rflags;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer;
	uint64_t dr6, dr7;
	struct segment_state seg[SEG_COUNT];
	struct table_state gdtr, idtr;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t pat;
	uint8_t cpl;
	bool irq_blocked, nmi_blocked;
};

/* After power-on or reset. */
void vcpu_state_at_reset(struct vcpu_state *s);

/* ERR_INVALID and a sentence for a state that no processor can have. */
int vcpu_state_check(const struct vcpu_state *s, struct reason *why);

static inline bool code_is_64bit(const struct code_context *c)
{
	return (c->efer & EFER_LMA) && (c->cs_attr & SEG_ATTR_L);
}

#endif
