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

/* What holds for every processor, beside the rules of entering a guest that each back end has:
 * EFER.SVME is not a guest's; and EFER.LMA is what the processor would make of it, because
 * emulation goes by that bit. */
int vcpu_state_check(const struct vcpu_state *s, struct reason *why)
{
	bool long_mode = (s->efer & EFER_LME) && (s->cr0 & CR0_PG);

	if (s->efer & EFER_SVME)
		return refuse(why, ERR_INVALID, "EFER.SVME is not a guest's to set");
	if ((s->cr0 & CR0_PG) && !(s->cr0 & CR0_PE))
		return refuse(why, ERR_INVALID, "CR0 has paging without protected mode");
	if (long_mode != !!(s->efer & EFER_LMA))
		return refuse(why, ERR_INVALID,
			      "EFER.LMA does not follow from EFER.LME and CR0.PG");
	if (s->cpl > 3 || s->cr8 > 15)
		return refuse(why, ERR_INVALID, "the privilege level or CR8 is out of range");
	return 0;
}
