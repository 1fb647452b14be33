/*
 * VM entry's rules about the VM-execution, VM-exit and VM-entry controls. Source: Intel SDM volume
 * 3, "Checks on VMX Controls": "VM-Execution Control Fields", "VM-Exit Control Fields", "VM-Entry
 * Control Fields". Pure.
 */
#include "arch/x86/vmx/audit_parts.h"

/* Source: appendix "VMX Capability Reporting Facility". */
static int check_reserved(const char *name, const struct vmx_audit_control *c, struct reason *why)
{
	uint32_t missing = (uint32_t)c->allowed & ~c->value;
	uint32_t extra = c->value & ~(uint32_t)(c->allowed >> 32);

	if (missing)
		return refuse(why, ERR_INVALID, "%s 0x%x: this processor needs bit %d to be 1",
			      name, c->value, __builtin_ctz(missing));
	if (extra)
		return refuse(why, ERR_INVALID, "%s 0x%x: this processor needs bit %d to be 0",
			      name, c->value, __builtin_ctz(extra));
	return 0;
}

static int check_page(const struct vmx_audit *a, const char *name, uint64_t address,
		      struct reason *why)
{
	unsigned bits = a->basic & VMX_BASIC_32BIT_ADDRESSES ? 32 : a->phys_bits;

	if (address & (PAGE_SIZE - 1))
		return refuse(why, ERR_INVALID, "%s 0x%llx: not a multiple of 4 KiB", name,
			      (unsigned long long)address);
	if (bits_above(address, bits))
		return refuse(why, ERR_INVALID,
			      "%s 0x%llx: has bits beyond the %u physical-address bits", name,
			      (unsigned long long)address, bits);
	return 0;
}

static int check_execution_reserved(const struct vmx_audit *a, struct reason *why)
{
	int err = check_reserved("pin-based controls", &a->pin, why);

	if (!err)
		err = check_reserved("primary controls", &a->primary, why);
	if (!err && (a->primary.value & PRIMARY_SECONDARY))
		err = check_reserved("secondary controls", &a->secondary, why);
	return err;
}

static int check_bitmaps(const struct vmx_audit *a, struct reason *why)
{
	int err = 0;

	if (a->cr3_targets > VMX_MISC_CR3_TARGETS(a->misc))
		return BROKEN("CR3-target count", a->cr3_targets,
			      "this processor has no more than %u",
			      (unsigned)VMX_MISC_CR3_TARGETS(a->misc));
	if (a->primary.value & PRIMARY_IO_BITMAPS) {
		err = check_page(a, "I/O bitmap A", a->io_bitmap_a, why);
		if (!err)
			err = check_page(a, "I/O bitmap B", a->io_bitmap_b, why);
	}
	if (!err && (a->primary.value & PRIMARY_MSR_BITMAPS))
		err = check_page(a, "MSR bitmaps", a->msr_bitmap, why);
	return err;
}

static int check_tpr_shadow(const struct vmx_audit *a, struct reason *why)
{
	uint32_t secondary = secondary_controls(a);
	unsigned vtpr = (a->vtpr >> 4) & 0xf;
	int err;

	if (!(a->primary.value & PRIMARY_TPR_SHADOW)) {
		if (secondary &
		    (SECONDARY_X2APIC | SECONDARY_APIC_REGISTERS | SECONDARY_INTERRUPT_DELIVERY))
			return BROKEN("secondary controls", secondary,
				      "bits 4, 8 and 9 need the TPR shadow of the primary ones");
		return 0;
	}
	err = check_page(a, "virtual-APIC address", a->virtual_apic, why);
	if (err || (secondary & SECONDARY_INTERRUPT_DELIVERY))
		return err;
	if (a->tpr_threshold >> 4)
		return BROKEN("TPR threshold", a->tpr_threshold, "bits 31:4 must be 0");
	if (!(secondary & SECONDARY_APIC_ACCESS) && a->tpr_threshold > vtpr)
		return BROKEN("TPR threshold", a->tpr_threshold,
			      "above the %u in bits 7:4 of the virtual TPR", vtpr);
	return 0;
}

static int check_nmi(const struct vmx_audit *a, struct reason *why)
{
	if ((a->pin.value & PIN_VIRTUAL_NMI) && !(a->pin.value & PIN_NMI))
		return BROKEN("pin-based controls", a->pin.value,
			      "virtual NMIs (bit 5) need NMI exiting (bit 3)");
	if ((a->primary.value & PRIMARY_NMI_WINDOW) && !(a->pin.value & PIN_VIRTUAL_NMI))
		return BROKEN("primary controls", a->primary.value,
			      "the NMI window (bit 22) needs virtual NMIs");
	return 0;
}

static int check_apic(const struct vmx_audit *a, struct reason *why)
{
	uint32_t secondary = secondary_controls(a);

	if (secondary & SECONDARY_APIC_ACCESS) {
		int err = check_page(a, "APIC-access address", a->apic_access, why);

		if (err)
			return err;
		if (secondary & SECONDARY_X2APIC)
			return BROKEN("secondary controls", secondary,
				      "x2APIC mode (bit 4) excludes APIC accesses (bit 0)");
	}
	if ((secondary & SECONDARY_INTERRUPT_DELIVERY) && !(a->pin.value & PIN_EXTERNAL_INTERRUPT))
		return BROKEN("secondary controls", secondary,
			      "interrupt delivery (bit 9) needs external-interrupt exiting");
	return 0;
}

/* Source: "Extended-Page-Table Pointer (EPTP)". */
static int check_eptp(const struct vmx_audit *a, struct reason *why)
{
	uint64_t type = a->eptp & EPTP_MEMORY_TYPE;

	if (!(type == EPTP_WRITE_BACK && (a->ept_vpid & EPT_CAP_WRITE_BACK)) &&
	    !(type == EPTP_UNCACHED && (a->ept_vpid & EPT_CAP_UNCACHED)))
		return BROKEN("EPTP", a->eptp, "this processor has no memory type %u for it",
			      (unsigned)type);
	if ((a->eptp & EPTP_WALK) != EPTP_WALK_4 || !(a->ept_vpid & EPT_CAP_WALK_4))
		return BROKEN("EPTP", a->eptp, "bits 5:3 must say a page walk of 4 levels");
	if ((a->eptp & EPTP_ACCESS_DIRTY) && !(a->ept_vpid & EPT_CAP_ACCESS_DIRTY))
		return BROKEN("EPTP", a->eptp, "this processor has no access and dirty bits");
	if (a->eptp & 0xf80)
		return BROKEN("EPTP", a->eptp, "bits 11:7 must be 0");
	if (bits_above(a->eptp, a->phys_bits))
		return BROKEN("EPTP", a->eptp, "has bits beyond the %u physical-address bits",
			      a->phys_bits);
	return 0;
}

static int check_paging(const struct vmx_audit *a, struct reason *why)
{
	uint32_t secondary = secondary_controls(a);

	if ((secondary & SECONDARY_VPID) && !a->vpid)
		return BROKEN("VPID", a->vpid, "must not be 0");
	if (secondary & SECONDARY_EPT)
		return check_eptp(a, why);
	if (secondary & SECONDARY_UNRESTRICTED)
		return BROKEN("secondary controls", secondary,
			      "unrestricted guest (bit 7) needs EPT (bit 1)");
	return 0;
}

static int check_exit_controls(const struct vmx_audit *a, struct reason *why)
{
	int err = check_reserved("exit controls", &a->exit, why);

	if (err)
		return err;
	if ((a->exit.value & EXIT_CTL_SAVE_TIMER) && !(a->pin.value & PIN_PREEMPTION_TIMER))
		return BROKEN("exit controls", a->exit.value,
			      "saving the preemption timer (bit 22) needs the timer to be on");
	return 0;
}

static int check_entry_controls(const struct vmx_audit *a, struct reason *why)
{
	int err = check_reserved("entry controls", &a->entry, why);

	if (err)
		return err;
	if (a->entry.value & (ENTRY_CTL_SMM | ENTRY_CTL_DUAL_SMM))
		return BROKEN("entry controls", a->entry.value,
			      "bits 10 and 11 must be 0 outside system-management mode");
	return 0;
}

static int check_event_type(const struct vmx_audit *a, struct reason *why)
{
	uint32_t type = (a->entry_event >> EVENT_TYPE_SHIFT) & EVENT_TYPE_MASK;
	uint32_t vector = a->entry_event & EVENT_VECTOR_MASK;
	bool monitor_trap = (a->primary.allowed >> 32) & PRIMARY_MONITOR_TRAP;

	if (type == 1 || (type == EVENT_TYPE_OTHER && !monitor_trap))
		return BROKEN("entry event", a->entry_event, "type %u is reserved", type);
	if (type == EVENT_TYPE_NMI && vector != VEC_NMI)
		return BROKEN("entry event", a->entry_event, "an NMI must have vector 2, not %u",
			      vector);
	if (type == EVENT_TYPE_EXCEPTION && vector > 31)
		return BROKEN("entry event", a->entry_event,
			      "an exception's vector must not be above 31, but is %u", vector);
	if (type == EVENT_TYPE_OTHER && vector)
		return BROKEN("entry event", a->entry_event,
			      "a pending monitor trap must have vector 0, not %u", vector);
	return 0;
}

/* #CP pushes one on processors that have it. */
static bool pushes_error(const struct vmx_audit *a, uint32_t vector)
{
	static const uint32_t always = BIT32(VEC_DF) | BIT32(VEC_TS) | BIT32(VEC_NP) |
				       BIT32(VEC_SS) | BIT32(VEC_GP) | BIT32(VEC_PF) |
				       BIT32(VEC_AC);

	return vector < 32 &&
	       ((always >> vector & 1) || (vector == VEC_CP && (a->cr4_fixed1 & CR4_CET)));
}

/* A guest in real mode pushes none. Without "unrestricted guest" it is never in real mode. */
static int check_event_error(const struct vmx_audit *a, struct reason *why)
{
	bool has = a->entry_event & EVENT_ERROR_VALID;
	bool protected = (a->guest.cr0 & CR0_PE) || !is_unrestricted(a);
	uint32_t vector = a->entry_event & EVENT_VECTOR_MASK;

	if (!injects(a, EVENT_TYPE_EXCEPTION) || !protected) {
		if (has)
			return BROKEN("entry event", a->entry_event,
				      "only an exception in protected mode pushes an error code");
	} else if (!(a->basic & VMX_BASIC_ANY_ERROR_CODE) && has != pushes_error(a, vector)) {
		return BROKEN("entry event", a->entry_event, "exception %u %s an error code",
			      vector, has ? "must not push" : "must push");
	}
	return 0;
}

static int check_event(const struct vmx_audit *a, struct reason *why)
{
	int err;

	if (!(a->entry_event & EVENT_VALID))
		return 0;
	err = check_event_type(a, why);
	if (!err)
		err = check_event_error(a, why);
	if (err)
		return err;
	if (a->entry_event & 0x7ffff000)
		return BROKEN("entry event", a->entry_event, "bits 30:12 must be 0");
	if ((a->entry_event & EVENT_ERROR_VALID) && a->entry_event_error >> 16)
		return BROKEN("entry event's error code", a->entry_event_error,
			      "bits 31:16 must be 0");
	if (!injects(a, EVENT_TYPE_SOFT_INT) && !injects(a, EVENT_TYPE_ICEBP) &&
	    !injects(a, EVENT_TYPE_SOFT_EXC))
		return 0;
	if (a->entry_insn_len > 15)
		return BROKEN("entry instruction length", a->entry_insn_len,
			      "no instruction is longer than 15 bytes");
	if (!a->entry_insn_len && !(a->misc & VMX_MISC_LENGTH_0))
		return BROKEN("entry instruction length", a->entry_insn_len,
			      "a software event needs its instruction's length");
	return 0;
}

int audit_controls(const struct vmx_audit *a, struct reason *why)
{
	static audit_check *const checks[] = {
		check_execution_reserved,
		check_bitmaps,
		check_tpr_shadow,
		check_nmi,
		check_apic,
		check_paging,
		check_exit_controls,
		check_entry_controls,
		check_event,
	};

	return audit_all(checks, ARRAY_SIZE(checks), a, why);
}
