/*
 * A processor's state: after power-on or reset, and which values it can have. Source: AMD64
 * Architecture Programmer's Manual, volume 2, "Processor Initialization State"; Intel SDM volume 3,
 * "Processor State After Reset". Pure.
 */
#include "arch/x86/state.h"

#include "lib/reason.h"

#define PAT_AFTER_RESET 0x0007040600070406ull

void vcpu_state_at_reset(struct vcpu_state *s)
{
	*s = (struct vcpu_state){
		.rip = 0xfff0,
		.rflags = RFLAGS_ONE,
		.cr0 = CR0_CD | CR0_NW | CR0_ET,
		.dr6 = 0xffff0ff0,
		.dr7 = 0x400,
		.pat = PAT_AFTER_RESET,
		.gdtr.limit = 0xffff,
		.idtr.limit = 0xffff,
	};
	for (unsigned i = 0; i < SEG_COUNT; i++) {
		s->seg[i].limit = 0xffff;
		s->seg[i].attr = SEG_ATTR_P | SEG_ATTR_S | 3; /* data, writable, accessed */
	}
	s->seg[SEG_CS].selector = 0xf000;
	s->seg[SEG_CS].base = 0xffff0000;
	s->seg[SEG_CS].attr = SEG_ATTR_P | SEG_ATTR_S | 0xb;
	s->seg[SEG_LDTR].attr = SEG_ATTR_P | 2;
	s->seg[SEG_TR].attr = SEG_ATTR_P | 0xb; /* busy 32-bit TSS */
}

/* What a guest's EFER can hold: the CPU models allow no more. */
#define EFER_BITS (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR)

/* What no processor would enter a guest with, and that EFER.LMA is what
 * the processor would make of it: emulation goes by that bit. */
int vcpu_state_check(const struct vcpu_state *s, struct reason *why)
{
	bool long_mode = (s->efer & EFER_LME) && (s->cr0 & CR0_PG);

	if (!(s->cr0 & CR0_CD) && (s->cr0 & CR0_NW))
		return refuse(why, ERR_INVALID, "CR0 has NW set without CD");
	if (s->cr0 >> 32)
		return refuse(why, ERR_INVALID, "CR0 has reserved bits set in its upper half");
	if ((s->cr0 & CR0_PG) && !(s->cr0 & CR0_PE))
		return refuse(why, ERR_INVALID, "CR0 has paging without protected mode");
	if (s->cr3 >> 52)
		return refuse(why, ERR_INVALID, "CR3 has reserved bits set");
	if (s->cr4 >> 32)
		return refuse(why, ERR_INVALID, "CR4 has reserved bits set in its upper half");
	if (s->dr6 >> 32 || s->dr7 >> 32)
		return refuse(why, ERR_INVALID, "DR6 or DR7 has bits set in its upper half");
	if (s->efer & EFER_SVME)
		return refuse(why, ERR_INVALID, "EFER.SVME is not a guest's to set");
	if (s->efer & ~EFER_BITS)
		return refuse(why, ERR_INVALID, "EFER has reserved bits set");
	if (long_mode != !!(s->efer & EFER_LMA))
		return refuse(why, ERR_INVALID,
			      "EFER.LMA does not follow from EFER.LME and CR0.PG");
	if (long_mode && !(s->cr4 & CR4_PAE))
		return refuse(why, ERR_INVALID, "long mode with paging needs CR4.PAE");
	if (long_mode && (s->seg[SEG_CS].attr & SEG_ATTR_L) && (s->seg[SEG_CS].attr & SEG_ATTR_DB))
		return refuse(why, ERR_INVALID, "CS has both L and D set in long mode");
	if (s->cpl > 3 || s->cr8 > 15)
		return refuse(why, ERR_INVALID, "the privilege level or CR8 is out of range");
	return 0;
}
