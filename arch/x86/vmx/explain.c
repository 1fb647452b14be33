/*
 * What a VMCS holds, in words: why the processor refuses it, and for crash records. Privileged.
 */
#include "arch/x86/vmx/vmx.h"

#include "arch/x86/vmx/insn.h"
#include "lib/format.h"

typedef unsigned long long ull;

static void copy_controls(struct vmx_audit *out)
{
	const struct vmx_capabilities *c = &vmx_controls.capabilities;

	out->basic = c->basic;
	out->misc = c->misc;
	out->ept_vpid = c->ept_vpid;
	out->cr0_fixed0 = c->cr0_fixed0;
	out->cr0_fixed1 = c->cr0_fixed1;
	out->cr4_fixed0 = c->cr4_fixed0;
	out->cr4_fixed1 = c->cr4_fixed1;
	out->phys_bits = vmx_controls.phys_bits;
	out->linear_bits = vmx_controls.linear_bits;
	out->pin = (struct vmx_audit_control){(uint32_t)vmread(VMCS_PIN_CONTROLS), c->pin};
	out->primary =
		(struct vmx_audit_control){(uint32_t)vmread(VMCS_PRIMARY_CONTROLS), c->primary};
	out->secondary =
		(struct vmx_audit_control){(uint32_t)vmread(VMCS_SECONDARY_CONTROLS), c->secondary};
	out->exit = (struct vmx_audit_control){(uint32_t)vmread(VMCS_EXIT_CONTROLS), c->exit};
	out->entry = (struct vmx_audit_control){(uint32_t)vmread(VMCS_ENTRY_CONTROLS), c->entry};
	out->cr3_targets = (uint32_t)vmread(VMCS_CR3_TARGETS);
	out->io_bitmap_a = vmread(VMCS_IO_BITMAP_A);
	out->io_bitmap_b = vmread(VMCS_IO_BITMAP_B);
	out->msr_bitmap = vmread(VMCS_MSR_BITMAP);
	out->virtual_apic = vmread(VMCS_VIRTUAL_APIC);
	out->apic_access = 0;
	out->eptp = vmread(VMCS_EPTP);
	out->vpid = vmx_controls.vpid ? (uint16_t)vmread(VMCS_VPID) : 0;
	out->tpr_threshold = (uint32_t)vmread(VMCS_TPR_THRESHOLD);
	out->entry_event = (uint32_t)vmread(VMCS_ENTRY_EVENT);
	out->entry_event_error = (uint32_t)vmread(VMCS_ENTRY_EVENT_ERROR);
	out->entry_insn_len = (uint32_t)vmread(VMCS_ENTRY_INSN_LEN);
}

static void copy_host(struct vmx_audit *out)
{
	out->host.cr0 = vmread(VMCS_HOST_CR0);
	out->host.cr3 = vmread(VMCS_HOST_CR3);
	out->host.cr4 = vmread(VMCS_HOST_CR4);
	out->host.rip = vmread(VMCS_HOST_RIP);
	out->host.efer = vmread(VMCS_HOST_EFER);
	out->host.pat = vmread(VMCS_HOST_PAT);
	out->host.sysenter_esp = vmread(VMCS_HOST_SYSENTER_ESP);
	out->host.sysenter_eip = vmread(VMCS_HOST_SYSENTER_EIP);
	out->host.es_sel = (uint16_t)vmread(VMCS_HOST_ES_SEL);
	out->host.cs_sel = (uint16_t)vmread(VMCS_HOST_CS_SEL);
	out->host.ss_sel = (uint16_t)vmread(VMCS_HOST_SS_SEL);
	out->host.ds_sel = (uint16_t)vmread(VMCS_HOST_DS_SEL);
	out->host.fs_sel = (uint16_t)vmread(VMCS_HOST_FS_SEL);
	out->host.gs_sel = (uint16_t)vmread(VMCS_HOST_GS_SEL);
	out->host.tr_sel = (uint16_t)vmread(VMCS_HOST_TR_SEL);
	out->host.fs_base = vmread(VMCS_HOST_FS_BASE);
	out->host.gs_base = vmread(VMCS_HOST_GS_BASE);
	out->host.tr_base = vmread(VMCS_HOST_TR_BASE);
	out->host.gdtr_base = vmread(VMCS_HOST_GDTR_BASE);
	out->host.idtr_base = vmread(VMCS_HOST_IDTR_BASE);
}

static void copy_guest(struct vmx_audit *out)
{
	out->guest.cr0 = vmread(VMCS_GUEST_CR0);
	out->guest.cr3 = vmread(VMCS_GUEST_CR3);
	out->guest.cr4 = vmread(VMCS_GUEST_CR4);
	out->guest.dr7 = vmread(VMCS_GUEST_DR7);
	out->guest.rip = vmread(VMCS_GUEST_RIP);
	out->guest.rflags = vmread(VMCS_GUEST_RFLAGS);
	out->guest.efer = vmread(VMCS_GUEST_EFER);
	out->guest.pat = vmread(VMCS_GUEST_PAT);
	out->guest.debugctl = vmread(VMCS_GUEST_DEBUGCTL);
	out->guest.sysenter_esp = vmread(VMCS_GUEST_SYSENTER_ESP);
	out->guest.sysenter_eip = vmread(VMCS_GUEST_SYSENTER_EIP);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		out->guest.seg[i] = (struct vmx_audit_segment){
			.base = vmread(VMCS_GUEST_ES_BASE + 2 * i),
			.limit = (uint32_t)vmread(VMCS_GUEST_ES_LIMIT + 2 * i),
			.access = (uint32_t)vmread(VMCS_GUEST_ES_ACCESS + 2 * i),
			.selector = (uint16_t)vmread(VMCS_GUEST_ES_SEL + 2 * i),
		};
	out->guest.gdtr.base = vmread(VMCS_GUEST_GDTR_BASE);
	out->guest.gdtr.limit = (uint32_t)vmread(VMCS_GUEST_GDTR_LIMIT);
	out->guest.idtr.base = vmread(VMCS_GUEST_IDTR_BASE);
	out->guest.idtr.limit = (uint32_t)vmread(VMCS_GUEST_IDTR_LIMIT);
	out->guest.interruptibility = (uint32_t)vmread(VMCS_INTERRUPTIBILITY);
	out->guest.activity = (uint32_t)vmread(VMCS_ACTIVITY);
	out->guest.pending_debug = vmread(VMCS_PENDING_DEBUG);
	out->guest.link_pointer = vmread(VMCS_LINK_POINTER);
	for (unsigned i = 0; i < 4; i++)
		out->guest.pdpte[i] = vmread(VMCS_GUEST_PDPTE0 + 2 * i);
}

void vmx_copy(const struct hv_vcpu *v, struct vmx_audit *out)
{
	copy_controls(out);
	out->vtpr = *vmx_tpr(v);
	copy_host(out);
	copy_guest(out);
}

void vmx_explain(const struct hv_vcpu *v, struct reason *why)
{
	struct vmx_borrowed b = vmx_borrow(v);
	struct vmx_audit copy;

	vmx_copy(v, &copy);
	if (vmx_audit(&copy, why) == 0)
		refuse(why, ERR_INVALID, "no rule that is known is broken (instruction error %u)",
		       (unsigned)vmread(VMCS_INSN_ERROR));
	vmx_return(v, b);
}

void vmx_dump(const struct hv_vcpu *v, void (*line)(void *ctx, const char *text), void *ctx)
{
	struct vmx_borrowed b = vmx_borrow(v);
	char text[160];

	snprintf(text, sizeof(text),
		 "exit reason 0x%llx qualification 0x%llx event 0x%llx interrupted 0x%llx",
		 (ull)vmread(VMCS_EXIT_REASON), (ull)vmread(VMCS_QUALIFICATION),
		 (ull)vmread(VMCS_EXIT_EVENT), (ull)vmread(VMCS_VECTORING));
	line(ctx, text);
	snprintf(text, sizeof(text),
		 "inject 0x%llx interruptibility 0x%llx activity %llu pending debug 0x%llx VPID "
		 "%llu",
		 (ull)vmread(VMCS_ENTRY_EVENT), (ull)vmread(VMCS_INTERRUPTIBILITY),
		 (ull)vmread(VMCS_ACTIVITY), (ull)vmread(VMCS_PENDING_DEBUG),
		 (ull)vmx_vcpu_of(v)->vpid);
	line(ctx, text);
	snprintf(text, sizeof(text),
		 "controls: pin 0x%llx primary 0x%llx secondary 0x%llx entry 0x%llx exit 0x%llx "
		 "EPTP 0x%llx",
		 (ull)vmread(VMCS_PIN_CONTROLS), (ull)vmread(VMCS_PRIMARY_CONTROLS),
		 (ull)vmread(VMCS_SECONDARY_CONTROLS), (ull)vmread(VMCS_ENTRY_CONTROLS),
		 (ull)vmread(VMCS_EXIT_CONTROLS), (ull)vmread(VMCS_EPTP));
	line(ctx, text);
	vmx_return(v, b);
}
