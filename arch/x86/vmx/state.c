/*
 * Whole-state get and set, and the cheap partial views of it.
 *
 * CR0 and CR4 of the guest are two each: what the processor runs with, and what the guest reads
 * where a bit is not its own to set. Its own are all but those that the processor wants in one way
 * in VMX operation (NE, VMXE), the cache bits of CR0, and what its CPU model does not have of CR4.
 *
 * Source: Intel SDM volume 3, "Guest-State Area", "Guest/Host Masks and Read Shadows for CR0 and
 * CR4".
 */
#include "arch/x86/vmx/vmx.h"

#include "arch/x86/vmx/audit_parts.h"
#include "arch/x86/vmx/insn.h"

static uint64_t cr0_mask(void)
{
	return vmx_controls.cr0_fixed0 | CR0_NE | CR0_NW | CR0_CD;
}

static uint64_t cr4_mask(const struct hv_vcpu *v)
{
	return vmx_controls.cr4_fixed0 | CR4_MCE | ~v->cr4_allowed;
}

/* What the processor runs with. */
static uint64_t real_cr0(uint64_t value)
{
	return (value & ~(CR0_NW | CR0_CD)) | vmx_controls.cr0_fixed0;
}

static uint64_t real_cr4(uint64_t value)
{
	return value | vmx_controls.cr4_fixed0 | CR4_MCE;
}

static void write_guest_cr0(uint64_t value)
{
	vmwrite(VMCS_CR0_SHADOW, value);
	vmwrite(VMCS_GUEST_CR0, real_cr0(value));
}

static void write_guest_cr4(uint64_t value)
{
	vmwrite(VMCS_CR4_SHADOW, value);
	vmwrite(VMCS_GUEST_CR4, real_cr4(value));
}

uint64_t vmx_get_cr(const struct hv_vcpu *v, unsigned cr)
{
	uint64_t mask;

	switch (cr) {
	case 0:
		mask = cr0_mask();
		return (vmread(VMCS_GUEST_CR0) & ~mask) | (vmread(VMCS_CR0_SHADOW) & mask);
	case 2:
		return read_cr2();
	case 3:
		return vmread(VMCS_GUEST_CR3);
	default:
		mask = cr4_mask(v);
		return (vmread(VMCS_GUEST_CR4) & ~mask) | (vmread(VMCS_CR4_SHADOW) & mask);
	}
}

void vmx_set_cr(struct hv_vcpu *v, unsigned cr, uint64_t value)
{
	(void)v;
	switch (cr) {
	case 0:
		write_guest_cr0(value);
		break;
	case 2:
		write_cr2(value);
		break;
	case 3:
		vmwrite(VMCS_GUEST_CR3, value);
		break;
	default:
		write_guest_cr4(value);
		break;
	}
}

void vmx_set_pdptes(struct hv_vcpu *v, const uint64_t pdptes[4])
{
	struct vmx_borrowed b = vmx_borrow(v);

	for (unsigned i = 0; i < 4; i++)
		vmwrite(VMCS_GUEST_PDPTE0 + 2 * i, pdptes[i]);
	vmx_return(v, b);
}

uint64_t vmx_get_efer(const struct hv_vcpu *v)
{
	(void)v;
	return vmread(VMCS_GUEST_EFER);
}

void vmx_set_efer(struct hv_vcpu *v, uint64_t value)
{
	uint64_t controls = vmread(VMCS_ENTRY_CONTROLS) & ~(uint64_t)ENTRY_CTL_LONG_MODE;

	(void)v;
	vmwrite(VMCS_GUEST_EFER, value);
	vmwrite(VMCS_ENTRY_CONTROLS, controls | (value & EFER_LMA ? ENTRY_CTL_LONG_MODE : 0));
}

/* Access rights have a descriptor's bits 11:8 four higher, and a bit for "unusable" of their own.
 */
static uint16_t attr_of_access(uint64_t access)
{
	uint64_t attr = (access & 0xff) | (access >> 4 & 0xf00);

	return (uint16_t)(access & ACCESS_UNUSABLE ? attr & ~(uint64_t)SEG_ATTR_P : attr);
}

static uint32_t access_of_attr(uint16_t attr)
{
	uint32_t access = (attr & 0xffu) | (attr & 0xf00u) << 4;

	return attr & SEG_ATTR_P ? access : access | ACCESS_UNUSABLE;
}

void vmx_get_segment(const struct hv_vcpu *v, enum segment_index s, struct segment_state *out)
{
	(void)v;
	out->base = vmread(VMCS_GUEST_ES_BASE + 2 * s);
	out->limit = (uint32_t)vmread(VMCS_GUEST_ES_LIMIT + 2 * s);
	out->selector = (uint16_t)vmread(VMCS_GUEST_ES_SEL + 2 * s);
	out->attr = attr_of_access(vmread(VMCS_GUEST_ES_ACCESS + 2 * s));
}

static void set_segment(enum segment_index s, const struct segment_state *in)
{
	vmwrite(VMCS_GUEST_ES_BASE + 2 * s, in->base);
	vmwrite(VMCS_GUEST_ES_LIMIT + 2 * s, in->limit);
	vmwrite(VMCS_GUEST_ES_SEL + 2 * s, in->selector);
	vmwrite(VMCS_GUEST_ES_ACCESS + 2 * s, access_of_attr(in->attr));
}

/* What fetching an instruction needs. The privilege level is SS's. */
void vmx_code_of(const struct hv_vcpu *v, struct code_context *out)
{
	out->rip = v->rip;
	out->rflags = v->rflags;
	out->cr0 = vmx_get_cr(v, 0);
	out->cr3 = vmread(VMCS_GUEST_CR3);
	out->cr4 = vmx_get_cr(v, 4);
	out->efer = vmread(VMCS_GUEST_EFER);
	out->cs_limit = (uint32_t)vmread(VMCS_GUEST_ES_LIMIT + 2 * SEG_CS);
	out->cs_attr = attr_of_access(vmread(VMCS_GUEST_ES_ACCESS + 2 * SEG_CS));
	out->cpl = vmread(VMCS_GUEST_ES_ACCESS + 2 * SEG_SS) >> 5 & 3;
	out->phys_bits = v->phys_bits;
	out->cs_base = code_is_64bit(out) ? 0 : vmread(VMCS_GUEST_ES_BASE + 2 * SEG_CS);
}

void vmx_get_state(const struct hv_vcpu *v, struct vcpu_state *out)
{
	struct vmx_borrowed b = vmx_borrow(v);
	const struct vmx_vcpu *x = vmx_vcpu_of(v);

	for (unsigned i = 0; i < GPR_COUNT; i++)
		out->gpr[i] = v->gpr[i];
	out->rip = v->rip;
	out->rflags = v->rflags;
	out->cr0 = vmx_get_cr(v, 0);
	out->cr2 = x->cr2;
	out->cr3 = vmread(VMCS_GUEST_CR3);
	out->cr4 = vmx_get_cr(v, 4);
	out->cr8 = v->cr8;
	out->efer = vmread(VMCS_GUEST_EFER);
	out->dr6 = x->dr6;
	out->dr7 = vmread(VMCS_GUEST_DR7);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		vmx_get_segment(v, i, &out->seg[i]);
	out->gdtr = (struct table_state){.base = vmread(VMCS_GUEST_GDTR_BASE),
					 .limit = (uint16_t)vmread(VMCS_GUEST_GDTR_LIMIT)};
	out->idtr = (struct table_state){.base = vmread(VMCS_GUEST_IDTR_BASE),
					 .limit = (uint16_t)vmread(VMCS_GUEST_IDTR_LIMIT)};
	out->star = x->msr[SWITCHED_STAR];
	out->lstar = x->msr[SWITCHED_LSTAR];
	out->cstar = x->msr[SWITCHED_CSTAR];
	out->sfmask = x->msr[SWITCHED_SFMASK];
	out->kernel_gs_base = x->msr[SWITCHED_KERNEL_GS_BASE];
	out->sysenter_cs = vmread(VMCS_GUEST_SYSENTER_CS);
	out->sysenter_esp = vmread(VMCS_GUEST_SYSENTER_ESP);
	out->sysenter_eip = vmread(VMCS_GUEST_SYSENTER_EIP);
	out->pat = vmread(VMCS_GUEST_PAT);
	out->cpl = vmread(VMCS_GUEST_ES_ACCESS + 2 * SEG_SS) >> 5 & 3;
	out->irq_blocked = v->irq_blocked;
	out->nmi_blocked = v->nmi_blocked;
	vmx_return(v, b);
}

/* What no field of the VMCS holds is loaded by instructions, which would fault in the host for a
 * value that no guest can have. And there is no other privilege level than that of SS. */
static int check_outside(const struct vmx_audit *a, const struct vcpu_state *s, struct reason *why)
{
	unsigned dpl = s->seg[SEG_SS].attr >> 5 & 3;
	int err;

	if ((err = audit_canonical(a, "guest LSTAR", s->lstar, why)) ||
	    (err = audit_canonical(a, "guest CSTAR", s->cstar, why)) ||
	    (err = audit_canonical(a, "guest kernel GS base", s->kernel_gs_base, why)))
		return err;
	if (s->sfmask >> 32)
		return BROKEN("guest SFMASK", s->sfmask, "bits 63:32 must be 0");
	if (s->dr6 >> 32)
		return BROKEN("guest DR6", s->dr6, "bits 63:32 must be 0");
	if (s->cpl != dpl)
		return BROKEN("guest privilege level", s->cpl, "differs from the DPL %u of SS",
			      dpl);
	return 0;
}

/* Would the processor enter a guest with this state? The rest is as the VMCS has it. */
static int check_state(const struct hv_vcpu *v, const struct vcpu_state *s, struct reason *why)
{
	struct vmx_audit a;
	int err;

	vmx_copy(v, &a);
	a.guest.cr0 = real_cr0(s->cr0);
	a.guest.cr3 = s->cr3;
	a.guest.cr4 = real_cr4(s->cr4);
	a.guest.dr7 = s->dr7;
	a.guest.rip = s->rip;
	a.guest.rflags = s->rflags | RFLAGS_ONE;
	a.guest.efer = s->efer;
	a.guest.pat = s->pat;
	a.guest.sysenter_esp = s->sysenter_esp;
	a.guest.sysenter_eip = s->sysenter_eip;
	for (unsigned i = 0; i < SEG_COUNT; i++)
		a.guest.seg[i] = (struct vmx_audit_segment){
			.base = s->seg[i].base,
			.limit = s->seg[i].limit,
			.access = access_of_attr(s->seg[i].attr),
			.selector = s->seg[i].selector,
		};
	a.guest.gdtr = (struct vmx_audit_table){s->gdtr.base, s->gdtr.limit};
	a.guest.idtr = (struct vmx_audit_table){s->idtr.base, s->idtr.limit};
	a.guest.interruptibility = 0;
	a.guest.activity = ACTIVITY_ACTIVE;
	a.guest.pending_debug = 0;
	a.entry.value &= ~ENTRY_CTL_LONG_MODE;
	if (s->efer & EFER_LMA)
		a.entry.value |= ENTRY_CTL_LONG_MODE;
	a.entry_event = 0;
	err = vmx_audit_guest(&a, why);
	return err ? err : check_outside(&a, s, why);
}

int vmx_set_state(struct hv_vcpu *v, const struct vcpu_state *in, struct reason *why)
{
	struct vmx_vcpu *x = vmx_vcpu_of(v);
	int err = vcpu_state_check(in, why);
	struct vmx_borrowed b;

	if (err)
		return err;
	b = vmx_borrow(v);
	err = check_state(v, in, why);
	if (err) {
		vmx_return(v, b);
		return err;
	}
	for (unsigned i = 0; i < GPR_COUNT; i++)
		v->gpr[i] = in->gpr[i];
	v->rip = in->rip;
	v->rflags = x->rflags = in->rflags | RFLAGS_ONE;
	x->rsp = in->gpr[GPR_RSP];
	vmwrite(VMCS_GUEST_RIP, v->rip);
	vmwrite(VMCS_GUEST_RSP, x->rsp);
	vmwrite(VMCS_GUEST_RFLAGS, v->rflags);
	v->cr8 = (uint8_t)in->cr8;
	*vmx_tpr(v) = (uint8_t)(v->cr8 << 4);
	vmwrite(VMCS_CR0_MASK, cr0_mask());
	vmwrite(VMCS_CR4_MASK, cr4_mask(v));
	write_guest_cr0(in->cr0);
	write_guest_cr4(in->cr4);
	x->cr2 = in->cr2;
	vmwrite(VMCS_GUEST_CR3, in->cr3);
	vmx_set_efer(v, in->efer);
	x->dr6 = in->dr6;
	vmwrite(VMCS_GUEST_DR7, in->dr7);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		set_segment(i, &in->seg[i]);
	vmwrite(VMCS_GUEST_GDTR_BASE, in->gdtr.base);
	vmwrite(VMCS_GUEST_GDTR_LIMIT, in->gdtr.limit);
	vmwrite(VMCS_GUEST_IDTR_BASE, in->idtr.base);
	vmwrite(VMCS_GUEST_IDTR_LIMIT, in->idtr.limit);
	x->msr[SWITCHED_STAR] = in->star;
	x->msr[SWITCHED_LSTAR] = in->lstar;
	x->msr[SWITCHED_CSTAR] = in->cstar;
	x->msr[SWITCHED_SFMASK] = in->sfmask;
	x->msr[SWITCHED_KERNEL_GS_BASE] = in->kernel_gs_base;
	vmwrite(VMCS_GUEST_SYSENTER_CS, in->sysenter_cs);
	vmwrite(VMCS_GUEST_SYSENTER_ESP, in->sysenter_esp);
	vmwrite(VMCS_GUEST_SYSENTER_EIP, in->sysenter_eip);
	vmwrite(VMCS_GUEST_PAT, in->pat);
	/* brought up to date by the next entry */
	v->irq_blocked = in->irq_blocked;
	v->nmi_blocked = in->nmi_blocked;
	x->interruptibility = 0;
	vmwrite(VMCS_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_PENDING_DEBUG, 0);
	vmwrite(VMCS_ENTRY_EVENT, 0); /* a failed entry leaves its event there */
	v->flush_wanted = true;
	vmx_return(v, b);
	return 0;
}
