/*
 * Says why VMRUN ended in VMEXIT_INVALID: checks a control block against the processor's rules, in
 * the order of the manual, and names the first field that breaks one. The rules about registers
 * also decide which state a guest can be given (state.c). Source: AMD64 Architecture Programmer's
 * Manual, volume 2, "Canonicalization and Consistency Checks", "Event Injection", "Nested Paging
 * and VMRUN/#VMEXIT", "NMI Virtualization". Pure.
 *
 * Rules for what this hypervisor never switches on (AVIC, encrypted state, shadow stacks) are left
 * out.
 */
#include "arch/x86/entry_audit.h"
#include "arch/x86/svm/svm.h"

/* What a guest's CR4 and EFER can hold: the CPU models allow no more. */
#define CR4_BITS                                                                                  \
	(CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | \
	 CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_UMIP | CR4_LA57 | CR4_FSGSBASE | CR4_PCIDE |           \
	 CR4_OSXSAVE | CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_CET)
#define EFER_BITS (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME | EFER_FFXSR)

static int check_control_registers(const struct svm_registers *r, struct reason *why)
{
	uint64_t cr4_reserved = r->cr4 & ~CR4_BITS;

	if ((r->cr0 & CR0_NW) && !(r->cr0 & CR0_CD))
		return BROKEN("guest CR0", r->cr0, "NW needs CD");
	if (r->cr0 >> 32)
		return BROKEN("guest CR0", r->cr0, "bits 63:32 must be 0");
	if (r->cr3 >> 52)
		return BROKEN("guest CR3", r->cr3, "bits 63:52 must be 0");
	if (cr4_reserved)
		return BROKEN("guest CR4", r->cr4, "bit %d must be 0",
			      __builtin_ctzll(cr4_reserved));
	if (r->dr6 >> 32)
		return BROKEN("guest DR6", r->dr6, "bits 63:32 must be 0");
	if (r->dr7 >> 32)
		return BROKEN("guest DR7", r->dr7, "bits 63:32 must be 0");
	return 0;
}

static int check_modes(const struct svm_registers *r, struct reason *why)
{
	uint64_t efer_reserved = r->efer & ~EFER_BITS;
	bool long_mode = (r->efer & EFER_LME) && (r->cr0 & CR0_PG);

	if (efer_reserved)
		return BROKEN("guest EFER", r->efer, "bit %d must be 0",
			      __builtin_ctzll(efer_reserved));
	if (long_mode && !(r->cr4 & CR4_PAE))
		return BROKEN("guest CR4", r->cr4, "long mode with paging needs PAE");
	if (long_mode && !(r->cr0 & CR0_PE))
		return BROKEN("guest CR0", r->cr0, "long mode with paging needs PE");
	if (long_mode && (r->cs_attr & SEG_ATTR_L) && (r->cs_attr & SEG_ATTR_DB))
		return BROKEN("guest CS attributes", r->cs_attr,
			      "L and D are both set in long mode");
	if ((r->cr4 & CR4_CET) && !(r->cr0 & CR0_WP))
		return BROKEN("guest CR4", r->cr4, "CET needs CR0.WP");
	return 0;
}

int svm_check_registers(const struct svm_registers *r, struct reason *why)
{
	int err;

	if (!(r->efer & EFER_SVME))
		return BROKEN("guest EFER", r->efer, "SVME (bit 12) must be 1");
	err = check_control_registers(r, why);
	if (err)
		return err;
	return check_modes(r, why);
}

static bool is_long_mode(const struct vmcb *b)
{
	return (b->efer & EFER_LME) && (b->cr0 & CR0_PG);
}

/* Are `pages` pages at `base`, whose low 12 bits are ignored, within the physical addresses? */
static bool in_reach(uint64_t base, unsigned pages, unsigned phys_bits)
{
	uint64_t last = (base >> PAGE_SHIFT) + pages - 1;

	return phys_bits >= 64 || last >> (MAX(phys_bits, 12u) - PAGE_SHIFT) == 0;
}

static int check_addresses(const struct vmcb *b, unsigned phys_bits, struct reason *why)
{
	static const char rule[] = "extends beyond the physical-address bits";

	if (is_long_mode(b) && !in_reach(b->cr3, 1, phys_bits))
		return BROKEN("guest CR3", b->cr3, "%s, which are %u", rule, phys_bits);
	if (!in_reach(b->iopm_base, SVM_IOPM_PAGES, phys_bits))
		return BROKEN("I/O permissions map", b->iopm_base, "%s, which are %u", rule,
			      phys_bits);
	if (!in_reach(b->msrpm_base, SVM_MSRPM_PAGES, phys_bits))
		return BROKEN("MSR permissions map", b->msrpm_base, "%s, which are %u", rule,
			      phys_bits);
	return 0;
}

/* #BP and #OF are what INT3 and INTO raise, and are exceptions here. */
static bool is_exception(unsigned vector)
{
	static const uint32_t reserved = BIT32(VEC_NMI) | BIT32(9) | BIT32(15) | BIT32(20) |
					 BIT32(22) | BIT32(23) | BIT32(24) | BIT32(25) | BIT32(26) |
					 BIT32(27) | BIT32(31);

	return vector < 32 && !(reserved >> vector & 1);
}

static int check_event(const struct vmcb *b, struct reason *why)
{
	unsigned type = b->event_inj >> EVENT_TYPE_SHIFT & EVENT_TYPE_MASK;
	unsigned vector = b->event_inj & 0xff;
	bool code_64bit = is_long_mode(b) && (b->seg[SEG_CS].attr & SEG_ATTR_L);

	if (!(b->event_inj & EVENT_VALID))
		return 0;
	switch (type) {
	case EVENT_TYPE_INTR:
	case EVENT_TYPE_NMI:
	case EVENT_TYPE_SOFT:
		return 0;
	case EVENT_TYPE_EXCEPTION:
		break;
	default:
		return BROKEN("injected event", b->event_inj, "type %u is reserved", type);
	}
	if (!is_exception(vector))
		return BROKEN("injected event", b->event_inj, "vector %u is not an exception",
			      vector);
	if (code_64bit && (vector == VEC_BR || vector == VEC_OF))
		return BROKEN("injected event", b->event_inj,
			      "exception %u does not exist in 64-bit mode", vector);
	return 0;
}

static int check_nested_paging(const struct vmcb *b, unsigned phys_bits, struct reason *why)
{
	int bad = pat_bad_entry(b->g_pat);

	if (!(b->np_enable & NP_ENABLE))
		return 0;
	if (!in_reach(b->n_cr3, 1, phys_bits))
		return BROKEN("nested CR3", b->n_cr3,
			      "extends beyond the physical-address bits, which are %u", phys_bits);
	if (bad >= 0)
		return BROKEN("guest PAT", b->g_pat, "entry %d is %u, which is no memory type", bad,
			      (unsigned)(b->g_pat >> (8 * bad)) & 0xff);
	return 0;
}

static int check_controls(const struct vmcb *b, struct reason *why)
{
	int err;

	if (!(b->intercept2 & INTERCEPT_VMRUN))
		return BROKEN("intercepts at 10h", b->intercept2, "VMRUN (bit 0) must be 1");
	err = check_event(b, why);
	if (err)
		return err;
	if (!b->asid)
		return BROKEN("ASID", b->asid, "0 is the host's");
	if ((b->int_ctl & INT_CTL_V_NMI_ENABLE) && !(b->intercept1 & INTERCEPT_NMI))
		return BROKEN("interrupt control", b->int_ctl,
			      "virtual NMIs (bit 26) need the NMI intercept");
	return 0;
}

int svm_audit(const struct vmcb *b, unsigned phys_bits, struct reason *why)
{
	const struct svm_registers r = {
		.cr0 = b->cr0,
		.cr3 = b->cr3,
		.cr4 = b->cr4,
		.dr6 = b->dr6,
		.dr7 = b->dr7,
		.efer = b->efer,
		.cs_attr = b->seg[SEG_CS].attr,
	};
	int err = svm_check_registers(&r, why);

	if (!err)
		err = check_addresses(b, phys_bits, why);
	if (!err)
		err = check_controls(b, why);
	if (!err)
		err = check_nested_paging(b, phys_bits, why);
	return err;
}
