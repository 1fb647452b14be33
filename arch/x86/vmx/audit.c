/*
 * The auditor of VM entries: its parts in the order of the manual, and the rules that hold for host
 * and guest alike. Source: Intel SDM volume 3, "VM Entries". Pure.
 */
#include "arch/x86/vmx/audit_parts.h"

int audit_all(audit_check *const *checks, unsigned n, const struct vmx_audit *a, struct reason *why)
{
	for (unsigned i = 0; i < n; i++) {
		int err = checks[i](a, why);

		if (err)
			return err;
	}
	return 0;
}

/* Bits that VMX operation fixes. Source: "Restrictions on VMX Operation", appendix "VMX-Fixed Bits
 * in CR0". */
int audit_fixed_bits(const char *name, uint64_t value, uint64_t must, uint64_t may,
		     struct reason *why)
{
	uint64_t missing = must & ~value;
	uint64_t extra = value & ~may;

	if (missing)
		return refuse(why, ERR_INVALID, "%s 0x%llx: bit %d must be 1 in VMX operation",
			      name, (unsigned long long)value, __builtin_ctzll(missing));
	if (extra)
		return refuse(why, ERR_INVALID, "%s 0x%llx: bit %d must be 0 in VMX operation",
			      name, (unsigned long long)value, __builtin_ctzll(extra));
	return 0;
}

/* The processor's widest linear address counts, whatever paging mode is on. */
int audit_canonical(const struct vmx_audit *a, const char *name, uint64_t address,
		    struct reason *why)
{
	uint64_t high = bits_above(address, a->linear_bits ? a->linear_bits - 1u : 0);

	if (high && high != bits_above(UINT64_MAX, a->linear_bits ? a->linear_bits - 1u : 0))
		return refuse(why, ERR_INVALID,
			      "%s 0x%llx: not a canonical address of %u linear-address bits", name,
			      (unsigned long long)address, a->linear_bits);
	return 0;
}

int audit_cr3(const struct vmx_audit *a, const char *name, uint64_t value, struct reason *why)
{
	if (bits_above(value, MIN(a->phys_bits, 52u)))
		return refuse(why, ERR_INVALID,
			      "%s 0x%llx: has bits beyond the %u physical-address bits", name,
			      (unsigned long long)value, a->phys_bits);
	return 0;
}

int audit_pat(const char *name, uint64_t value, struct reason *why)
{
	int i = pat_bad_entry(value);

	if (i >= 0)
		return refuse(why, ERR_INVALID,
			      "%s 0x%llx: entry %d is %u, which is no memory type", name,
			      (unsigned long long)value, i, (unsigned)(value >> (8 * i)) & 0xff);
	return 0;
}

int audit_efer_reserved(const char *name, uint64_t value, struct reason *why)
{
	uint64_t reserved = value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE);

	if (reserved)
		return refuse(why, ERR_INVALID, "%s 0x%llx: bit %d is reserved", name,
			      (unsigned long long)value, __builtin_ctzll(reserved));
	return 0;
}

/* Only some processors refuse this, with an exit qualification of 3; so it is blamed last. Source:
 * "Checks on Guest Non-Register State", "VM-Entry Failures During or After Loading Guest State". */
static int check_nmi_after_sti(const struct vmx_audit *a, struct reason *why)
{
	if (injects(a, EVENT_TYPE_NMI) && (a->guest.interruptibility & BLOCKED_BY_STI))
		return BROKEN("guest interruptibility", a->guest.interruptibility,
			      "this processor may refuse an injected NMI while STI blocks events");
	return 0;
}

int vmx_audit_guest(const struct vmx_audit *a, struct reason *why)
{
	static audit_check *const parts[] = {
		audit_guest_registers, audit_guest_segments, audit_guest_tables,
		audit_guest_rip,       audit_guest_state,
	};

	return audit_all(parts, ARRAY_SIZE(parts), a, why);
}

int vmx_audit(const struct vmx_audit *a, struct reason *why)
{
	static audit_check *const parts[] = {
		audit_controls,       audit_host,         audit_guest_registers,
		audit_guest_segments, audit_guest_tables, audit_guest_rip,
		audit_guest_state,    audit_guest_pdptes, check_nmi_after_sti,
	};

	return audit_all(parts, ARRAY_SIZE(parts), a, why);
}
