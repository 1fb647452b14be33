/*
 * Says why a VM entry failed: checks a copy of the control structure against the architecture's
 * rules for VM entry, in the order of the manual, and names the first field that breaks one. Used
 * after a failure, so nothing here is fast. Source: Intel SDM volume 3, chapter "VM Entries",
 * sections "Checks on VMX Controls and Host-State Area" and "Checking and Loading Guest State".
 * Pure.
 *
 * Rules for what this hypervisor never switches on (lists of MSRs, other MSRs than PAT and EFER,
 * posted interrupts, VM functions, shadow structures, page-modification logging) are left out, and
 * fields that no rule is about have no copy.
 */
#ifndef ARCH_X86_VMX_AUDIT_H
#define ARCH_X86_VMX_AUDIT_H

#include "arch/x86/state.h"
#include "lib/reason.h"
#include "lib/types.h"

struct vmx_audit_control {
	uint32_t value;
	uint64_t allowed; /* its capability MSR: low half, bits that must be 1; high half, that may
			   */
};

struct vmx_audit_segment {
	uint64_t base;
	uint32_t limit;
	uint32_t access;
	uint16_t selector;
};

struct vmx_audit_table {
	uint64_t base;
	uint32_t limit;
};

struct vmx_audit {
	/* What the processor can do: capability MSRs, and address widths from CPUID 8000_0008. */
	uint64_t basic, misc, ept_vpid;
	uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	uint8_t phys_bits, linear_bits;

	struct vmx_audit_control pin, primary, secondary, exit, entry;
	uint32_t cr3_targets;
	uint64_t io_bitmap_a, io_bitmap_b, msr_bitmap, virtual_apic, apic_access, eptp;
	uint16_t vpid;
	uint32_t tpr_threshold;
	uint32_t vtpr; /* the word at 80h of the virtual-APIC page */
	uint32_t entry_event, entry_event_error, entry_insn_len;

	struct {
		uint64_t cr0, cr3, cr4;
		uint64_t rip;
		uint64_t efer, pat;
		uint64_t sysenter_esp, sysenter_eip;
		uint16_t es_sel, cs_sel, ss_sel, ds_sel, fs_sel, gs_sel, tr_sel;
		uint64_t fs_base, gs_base, tr_base, gdtr_base, idtr_base;
	} host;

	struct {
		uint64_t cr0, cr3, cr4, dr7;
		uint64_t rip, rflags;
		uint64_t efer, pat, debugctl;
		uint64_t sysenter_esp, sysenter_eip;
		struct vmx_audit_segment seg[SEG_COUNT];
		struct vmx_audit_table gdtr, idtr;
		uint32_t interruptibility, activity;
		uint64_t pending_debug;
		uint64_t link_pointer;
		uint64_t pdpte[4];
	} guest;
};

/* 0: no rule is broken. Otherwise ERR_INVALID and a sentence: the field, its value, and the rule in
 * words. */
int vmx_audit(const struct vmx_audit *a, struct reason *why);

/* The rules about the guest's state alone, without the upper entries of PAE paging. */
int vmx_audit_guest(const struct vmx_audit *a, struct reason *why);

#endif
