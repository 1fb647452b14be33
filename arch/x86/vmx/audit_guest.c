/*
 * VM entry's rules about the guest's state outside its segment registers. Source: Intel SDM volume
 * 3, "Checks on the Guest State Area". Pure.
 */
#include "arch/x86/vmx/audit_parts.h"

/* Source: Intel SDM volume 3, "IA32_DEBUGCTL MSR". */
#define DEBUGCTL_BTF      BIT(1)
#define DEBUGCTL_RESERVED (~0xffffull | BIT(3) | BIT(4) | BIT(5))

/* "Checks on Guest Control Registers, Debug Registers, and MSRs", first half. */
static int check_cr0_cr4(const struct vmx_audit *a, struct reason *why)
{
	uint64_t free = CR0_NW | CR0_CD; /* not checked: an entry does not change them */
	uint64_t cr0 = a->guest.cr0, cr4 = a->guest.cr4;
	int err;

	if (is_unrestricted(a))
		free |= CR0_PE | CR0_PG;
	err = audit_fixed_bits("guest CR0", cr0, a->cr0_fixed0 & ~free, a->cr0_fixed1 | free, why);
	if (err)
		return err;
	if ((cr0 & CR0_PG) && !(cr0 & CR0_PE))
		return BROKEN("guest CR0", cr0, "PG needs PE");
	err = audit_fixed_bits("guest CR4", cr4, a->cr4_fixed0, a->cr4_fixed1, why);
	if (err)
		return err;
	if ((cr4 & CR4_CET) && !(cr0 & CR0_WP))
		return BROKEN("guest CR4", cr4, "CET needs CR0.WP");
	return 0;
}

static int check_mode(const struct vmx_audit *a, struct reason *why)
{
	uint64_t cr0 = a->guest.cr0, cr4 = a->guest.cr4;

	if ((a->entry.value & ENTRY_CTL_LOAD_DEBUG) && (a->guest.debugctl & DEBUGCTL_RESERVED))
		return BROKEN("guest DEBUGCTL", a->guest.debugctl, "bit %d is reserved",
			      __builtin_ctzll(a->guest.debugctl & DEBUGCTL_RESERVED));
	if (is_long_mode(a) && !(cr0 & CR0_PG))
		return BROKEN("guest CR0", cr0, "long mode needs PG");
	if (is_long_mode(a) && !(cr4 & CR4_PAE))
		return BROKEN("guest CR4", cr4, "long mode needs PAE");
	if (!is_long_mode(a) && (cr4 & CR4_PCIDE))
		return BROKEN("guest CR4", cr4, "PCIDE needs long mode");
	return 0;
}

/* ... and second half. */
static int check_addresses(const struct vmx_audit *a, struct reason *why)
{
	int err = audit_cr3(a, "guest CR3", a->guest.cr3, why);

	if (err)
		return err;
	if ((a->entry.value & ENTRY_CTL_LOAD_DEBUG) && a->guest.dr7 >> 32)
		return BROKEN("guest DR7", a->guest.dr7, "bits 63:32 must be 0");
	err = audit_canonical(a, "guest SYSENTER_ESP", a->guest.sysenter_esp, why);
	if (err)
		return err;
	return audit_canonical(a, "guest SYSENTER_EIP", a->guest.sysenter_eip, why);
}

static int check_msrs(const struct vmx_audit *a, struct reason *why)
{
	bool lma = a->guest.efer & EFER_LMA, lme = a->guest.efer & EFER_LME;
	int err;

	if (a->entry.value & ENTRY_CTL_LOAD_PAT) {
		err = audit_pat("guest PAT", a->guest.pat, why);
		if (err)
			return err;
	}
	if (!(a->entry.value & ENTRY_CTL_LOAD_EFER))
		return 0;
	err = audit_efer_reserved("guest EFER", a->guest.efer, why);
	if (err)
		return err;
	if (lma != is_long_mode(a))
		return BROKEN("guest EFER", a->guest.efer,
			      "LMA differs from the long-mode bit of the entry controls");
	if (lma != lme && (a->guest.cr0 & CR0_PG))
		return BROKEN("guest EFER", a->guest.efer, "LMA differs from LME with paging on");
	return 0;
}

int audit_guest_registers(const struct vmx_audit *a, struct reason *why)
{
	static audit_check *const checks[] = {check_cr0_cr4, check_mode, check_addresses,
					      check_msrs};

	return audit_all(checks, ARRAY_SIZE(checks), a, why);
}

/* "Checks on Guest Descriptor-Table Registers". */
int audit_guest_tables(const struct vmx_audit *a, struct reason *why)
{
	int err = audit_canonical(a, "guest GDTR base", a->guest.gdtr.base, why);

	if (!err)
		err = audit_canonical(a, "guest IDTR base", a->guest.idtr.base, why);
	if (err)
		return err;
	if (a->guest.gdtr.limit >> 16)
		return BROKEN("guest GDTR limit", a->guest.gdtr.limit, "bits 31:16 must be 0");
	if (a->guest.idtr.limit >> 16)
		return BROKEN("guest IDTR limit", a->guest.idtr.limit, "bits 31:16 must be 0");
	return 0;
}

/* RIP need not be canonical, only fit: it may stand just behind the last byte of the lower half. */
static int check_rip(const struct vmx_audit *a, struct reason *why)
{
	uint64_t rip = a->guest.rip, high = bits_above(rip, a->linear_bits);

	if (!is_long_mode(a) || !(a->guest.seg[SEG_CS].access & ACCESS_L)) {
		if (rip >> 32)
			return BROKEN("guest RIP", rip, "bits 63:32 must be 0 outside 64-bit code");
	} else if (high && high != bits_above(UINT64_MAX, a->linear_bits)) {
		return BROKEN("guest RIP", rip, "bits 63:%u must be all alike", a->linear_bits);
	}
	return 0;
}

/* "Checks on Guest RIP, RFLAGS, and SSP". */
int audit_guest_rip(const struct vmx_audit *a, struct reason *why)
{
	uint64_t rflags = a->guest.rflags;
	uint64_t reserved = rflags & (~(BIT(22) - 1) | BIT(15) | BIT(5) | BIT(3));
	int err = check_rip(a, why);

	if (err)
		return err;
	if (reserved)
		return BROKEN("guest RFLAGS", rflags, "bit %d must be 0",
			      __builtin_ctzll(reserved));
	if (!(rflags & RFLAGS_ONE))
		return BROKEN("guest RFLAGS", rflags, "bit 1 must be 1");
	if ((rflags & RFLAGS_VM) && is_long_mode(a))
		return BROKEN("guest RFLAGS", rflags, "there is no virtual-8086 mode in long mode");
	if ((rflags & RFLAGS_VM) && !(a->guest.cr0 & CR0_PE))
		return BROKEN("guest RFLAGS", rflags, "there is no virtual-8086 mode in real mode");
	if (!(rflags & RFLAGS_IF) && injects(a, EVENT_TYPE_INTR))
		return BROKEN("guest RFLAGS", rflags,
			      "IF must be 1 when an external interrupt is injected");
	return 0;
}

/* Would the event wake a processor in this state? */
static bool activity_takes_event(const struct vmx_audit *a)
{
	uint32_t vector = a->entry_event & EVENT_VECTOR_MASK;
	bool nmi = injects(a, EVENT_TYPE_NMI);
	bool mc = injects(a, EVENT_TYPE_EXCEPTION) && vector == VEC_MC;
	bool db = injects(a, EVENT_TYPE_EXCEPTION) && vector == VEC_DB;

	switch (a->guest.activity) {
	case ACTIVITY_ACTIVE:
		return true;
	case ACTIVITY_HLT:
		return nmi || mc || db || injects(a, EVENT_TYPE_INTR) ||
		       injects(a, EVENT_TYPE_OTHER);
	case ACTIVITY_SHUTDOWN:
		return nmi || mc;
	default:
		return false;
	}
}

/* "Checks on Guest Non-Register State", by field. */
static int check_activity(const struct vmx_audit *a, struct reason *why)
{
	uint32_t activity = a->guest.activity;

	if (activity > ACTIVITY_WAIT)
		return BROKEN("guest activity", activity, "there is no state above 3");
	if (activity && !(a->misc >> (VMX_MISC_ACTIVITY_SHIFT + activity - 1) & 1))
		return BROKEN("guest activity", activity, "this processor does not support it");
	if (activity == ACTIVITY_HLT && (a->guest.seg[SEG_SS].access & SEG_ATTR_DPL))
		return BROKEN("guest activity", activity,
			      "HLT needs privilege level 0 (DPL of SS)");
	if (activity && (a->guest.interruptibility & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)))
		return BROKEN("guest activity", activity,
			      "must be 0 (active) while STI or MOV SS blocks events");
	if ((a->entry_event & EVENT_VALID) && !activity_takes_event(a))
		return BROKEN("guest activity", activity,
			      "the injected event 0x%x is blocked in this state", a->entry_event);
	return 0;
}

static int check_blocking(const struct vmx_audit *a, struct reason *why)
{
	uint32_t state = a->guest.interruptibility;

	if (injects(a, EVENT_TYPE_INTR) && (state & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)))
		return BROKEN("guest interruptibility", state,
			      "an external interrupt is injected while STI or MOV SS blocks it");
	if (injects(a, EVENT_TYPE_NMI) && (state & BLOCKED_BY_MOV_SS))
		return BROKEN("guest interruptibility", state,
			      "an NMI is injected while MOV SS blocks it");
	if (state & BLOCKED_BY_SMI)
		return BROKEN("guest interruptibility", state,
			      "blocking by SMI (bit 2) is for system-management mode");
	if (injects(a, EVENT_TYPE_NMI) && (a->pin.value & PIN_VIRTUAL_NMI) &&
	    (state & BLOCKED_BY_NMI))
		return BROKEN("guest interruptibility", state,
			      "an NMI is injected while an NMI blocks it");
	if ((state & BLOCKED_ENCLAVE) && (state & BLOCKED_BY_MOV_SS))
		return BROKEN("guest interruptibility", state,
			      "an enclave (bit 4) excludes blocking by MOV SS (bit 1)");
	return 0;
}

static int check_interruptibility(const struct vmx_audit *a, struct reason *why)
{
	uint32_t state = a->guest.interruptibility;

	if (state >> 5)
		return BROKEN("guest interruptibility", state, "bits 31:5 must be 0");
	if ((state & BLOCKED_BY_STI) && (state & BLOCKED_BY_MOV_SS))
		return BROKEN("guest interruptibility", state,
			      "STI and MOV SS (bits 0 and 1) cannot both block");
	if ((state & BLOCKED_BY_STI) && !(a->guest.rflags & RFLAGS_IF))
		return BROKEN("guest interruptibility", state,
			      "STI (bit 0) cannot block while RFLAGS.IF is 0");
	return check_blocking(a, why);
}

/* A single step is pending exactly if the instruction before was stepped over. */
static int check_pending_debug(const struct vmx_audit *a, struct reason *why)
{
	uint64_t pending = a->guest.pending_debug;
	bool step = (a->guest.rflags & RFLAGS_TF) && !(a->guest.debugctl & DEBUGCTL_BTF);
	bool stopped = a->guest.activity == ACTIVITY_HLT ||
		       (a->guest.interruptibility & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
	uint64_t reserved =
		pending & ~(0xfull | PENDING_DEBUG_ENABLED | PENDING_DEBUG_BS | PENDING_DEBUG_RTM);

	if (reserved)
		return BROKEN("guest pending debug exceptions", pending, "bit %d must be 0",
			      __builtin_ctzll(reserved));
	if (stopped && step != !!(pending & PENDING_DEBUG_BS))
		return BROKEN("guest pending debug exceptions", pending,
			      "BS (bit 14) must be %d after STI, MOV SS or HLT with TF %s", step,
			      step ? "set" : "clear or BTF set");
	if (!(pending & PENDING_DEBUG_RTM))
		return 0;
	if (pending != (PENDING_DEBUG_RTM | PENDING_DEBUG_ENABLED))
		return BROKEN("guest pending debug exceptions", pending,
			      "with RTM (bit 16), bit 12 and no other must be 1");
	if (a->guest.interruptibility & BLOCKED_BY_MOV_SS)
		return BROKEN("guest pending debug exceptions", pending,
			      "RTM (bit 16) excludes blocking by MOV SS");
	return 0;
}

/* The structure that it points to cannot be looked at here; all ones means none. */
static int check_link_pointer(const struct vmx_audit *a, struct reason *why)
{
	uint64_t link = a->guest.link_pointer;
	unsigned bits = a->basic & VMX_BASIC_32BIT_ADDRESSES ? 32 : a->phys_bits;

	if (link == UINT64_MAX)
		return 0;
	if (link & (PAGE_SIZE - 1))
		return BROKEN("VMCS link pointer", link,
			      "neither all ones nor a multiple of 4 KiB");
	if (bits_above(link, bits))
		return BROKEN("VMCS link pointer", link,
			      "has bits beyond the %u physical-address bits", bits);
	return 0;
}

int audit_guest_state(const struct vmx_audit *a, struct reason *why)
{
	static audit_check *const checks[] = {check_activity, check_interruptibility,
					      check_pending_debug, check_link_pointer};

	return audit_all(checks, ARRAY_SIZE(checks), a, why);
}

/* "Checks on Guest Page-Directory-Pointer-Table Entries"; without EPT they are in memory. */
int audit_guest_pdptes(const struct vmx_audit *a, struct reason *why)
{
	bool pae = (a->guest.cr0 & CR0_PG) && (a->guest.cr4 & CR4_PAE) && !is_long_mode(a);

	if (!pae || !(secondary_controls(a) & SECONDARY_EPT))
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(a->guest.pdpte); i++) {
		uint64_t entry = a->guest.pdpte[i];
		bool reserved = (entry & 0x1e6) || bits_above(entry, a->phys_bits);

		if ((entry & 1) && reserved)
			return refuse(why, ERR_INVALID,
				      "guest PDPTE%u 0x%llx: present, and has reserved bits set", i,
				      (unsigned long long)entry);
	}
	return 0;
}
