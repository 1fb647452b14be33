/*
 * A vCPU on the cores: making its VMCS, loading it on a core, putting it. A VMCS that is put is
 * cleared, so that any core may take it next, or look into it. Privileged.
 */
#include "arch/x86/vmx/vmx.h"

#include "arch/x86/cpu.h"
#include "arch/x86/vmx/insn.h"
#include "lib/string.h"

#define MSR_PAT            0x277u
#define MSR_EFER           0xc0000080u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_STAR           0xc0000081u
#define MSR_LSTAR          0xc0000082u
#define MSR_CSTAR          0xc0000083u
#define MSR_SFMASK         0xc0000084u
#define MSR_KERNEL_GS_BASE 0xc0000102u

#define NO_VMCS UINT64_MAX

/* No guest stays for longer without an exit, even if the host's own timer failed. */
#define LONGEST_STAY_NS NS_PER_S

static const uint32_t switched[SWITCHED_COUNT] = {
	[SWITCHED_STAR] = MSR_STAR,
	[SWITCHED_LSTAR] = MSR_LSTAR,
	[SWITCHED_CSTAR] = MSR_CSTAR,
	[SWITCHED_SFMASK] = MSR_SFMASK,
	[SWITCHED_KERNEL_GS_BASE] = MSR_KERNEL_GS_BASE,
};

struct vmx_borrowed vmx_borrow(const struct hv_vcpu *v)
{
	struct vmx_borrowed b = {.irqs = irq_save(), .loaded = v->cpu_pages};
	struct vmx_vcpu *x = vmx_vcpu_of(v);

	if (b.loaded) { /* then the processor has what no field holds */
		x->cr2 = read_cr2();
		x->dr6 = read_dr6();
		for (unsigned i = 0; i < SWITCHED_COUNT; i++)
			x->msr[i] = rdmsr(switched[i]);
		return b;
	}
	b.was = vmptrst();
	vmptrld(v->pages.pa.v);
	return b;
}

void vmx_return(const struct hv_vcpu *v, struct vmx_borrowed b)
{
	struct vmx_vcpu *x = vmx_vcpu_of(v);

	if (b.loaded) {
		write_cr2(x->cr2);
		write_dr6(x->dr6);
		for (unsigned i = 0; i < SWITCHED_COUNT; i++)
			wrmsr(switched[i], x->msr[i]);
	} else {
		vmclear(v->pages.pa.v);
		if (b.was != NO_VMCS)
			vmptrld(b.was);
	}
	irq_restore(b.irqs);
}

static void write_controls(const struct hv_vcpu *v)
{
	const struct vmx_controls *c = &vmx_controls;
	uint64_t vm = v->vm->pages.pa.v;

	vmwrite(VMCS_PIN_CONTROLS, c->pin);
	vmwrite(VMCS_PRIMARY_CONTROLS, c->primary);
	vmwrite(VMCS_SECONDARY_CONTROLS, c->secondary);
	vmwrite(VMCS_EXIT_CONTROLS, c->exit);
	vmwrite(VMCS_ENTRY_CONTROLS, c->entry);
	/* Machine checks are the host's. The other two are the guest's, and go back to it: but one
	 * that recurs in its own delivery would never let the host's interrupts in. */
	vmwrite(VMCS_EXCEPTION_BITMAP, BIT32(VEC_MC) | BIT32(VEC_DB) | BIT32(VEC_AC));
	vmwrite(VMCS_PF_ERROR_MASK, 0);
	vmwrite(VMCS_PF_ERROR_MATCH, 0);
	vmwrite(VMCS_CR3_TARGETS, 0);
	vmwrite(VMCS_EXIT_MSR_STORES, 0);
	vmwrite(VMCS_EXIT_MSR_LOADS, 0);
	vmwrite(VMCS_ENTRY_MSR_LOADS, 0);
	vmwrite(VMCS_ENTRY_EVENT, 0);
	vmwrite(VMCS_TPR_THRESHOLD, 0);
	vmwrite(VMCS_IO_BITMAP_A, vm + VMX_VM_IO_PAGE * PAGE_SIZE);
	vmwrite(VMCS_IO_BITMAP_B, vm + (VMX_VM_IO_PAGE + 1) * PAGE_SIZE);
	vmwrite(VMCS_MSR_BITMAP, vm + VMX_VM_MSR_PAGE * PAGE_SIZE);
	vmwrite(VMCS_VIRTUAL_APIC, v->pages.pa.v + VMX_VCPU_APIC_PAGE * PAGE_SIZE);
	vmwrite(VMCS_EPTP, vmx_eptp(v->vm));
	vmwrite(VMCS_TSC_OFFSET, 0);
	if (c->vpid)
		vmwrite(VMCS_VPID, 1);
	/* XSAVES and XRSTORS never exit: the guest has no supervisor component to keep */
	if (c->secondary & SECONDARY_XSAVES)
		vmwrite(VMCS_XSS_EXITING, 0);
	vmwrite(VMCS_LINK_POINTER, NO_VMCS);
	vmwrite(VMCS_GUEST_DEBUGCTL, 0);
	vmwrite(VMCS_ACTIVITY, ACTIVITY_ACTIVE);
}

void vmx_vcpu_init(struct hv_vcpu *v)
{
	struct vmx_vcpu *x = vmx_vcpu_of(v);
	struct vmx_borrowed b;
	struct vcpu_state s;
	struct reason why;

	memset(v->pages.va, 0, VMX_VCPU_PAGES * PAGE_SIZE);
	memcpy(v->pages.va, &vmx_controls.revision, sizeof(vmx_controls.revision));
	vmclear(v->pages.pa.v);
	v->cpu_pages = NULL;
	v->tag_generation = 0;
	v->last_cpu = UINT32_MAX;
	v->inject.kind = EVENT_NONE;
	v->attention = 0;
	v->tsc_changed = true;
	b = vmx_borrow(v);
	write_controls(v);
	x->primary = vmx_controls.primary;
	x->vpid = 1;
	vmx_return(v, b);
	vcpu_state_at_reset(&s);
	(void)vmx_set_state(v, &s, &why); /* these values pass its checks: a unit test holds that */
}

/* What is the same for all vCPUs of a core, and is loaded at each exit. */
static void write_host(struct vmx_vcpu *x)
{
	x->host_gdtr = read_gdtr();
	x->host_idtr = read_idtr();
	vmwrite(VMCS_HOST_ES_SEL, 0);
	vmwrite(VMCS_HOST_CS_SEL, read_cs());
	vmwrite(VMCS_HOST_SS_SEL, read_ss());
	vmwrite(VMCS_HOST_DS_SEL, 0);
	vmwrite(VMCS_HOST_FS_SEL, 0);
	vmwrite(VMCS_HOST_GS_SEL, 0);
	vmwrite(VMCS_HOST_TR_SEL, read_tr());
	vmwrite(VMCS_HOST_CR0, read_cr0());
	vmwrite(VMCS_HOST_CR3, read_cr3());
	vmwrite(VMCS_HOST_CR4, read_cr4());
	vmwrite(VMCS_HOST_FS_BASE, rdmsr(MSR_FS_BASE));
	vmwrite(VMCS_HOST_GS_BASE, rdmsr(MSR_GS_BASE));
	vmwrite(VMCS_HOST_TR_BASE, (uint64_t)this_cpu()->tss);
	vmwrite(VMCS_HOST_GDTR_BASE, x->host_gdtr.base);
	vmwrite(VMCS_HOST_IDTR_BASE, x->host_idtr.base);
	vmwrite(VMCS_HOST_SYSENTER_CS, 0);
	vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
	vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
	vmwrite(VMCS_HOST_PAT, rdmsr(MSR_PAT));
	vmwrite(VMCS_HOST_EFER, rdmsr(MSR_EFER));
	vmwrite(VMCS_HOST_RIP, (uint64_t)vmx_exit_entry);
}

void vmx_vcpu_load(struct hv_vcpu *v, struct hv_pages cpu_pages, uint32_t cpu)
{
	struct vmx_vcpu *x = vmx_vcpu_of(v);

	vmptrld(v->pages.pa.v);
	v->launched = false;
	v->host_stack = 0; /* not written yet */
	v->cpu_pages = cpu_pages.va;
	if (v->last_cpu != cpu) {
		/* what this core may know of an older life of these tables */
		v->last_cpu = cpu;
		v->tag_generation = 0;
		invept(INVEPT_SINGLE, vmx_eptp(v->vm));
	}
	write_host(x);
	if (vmx_controls.pin & PIN_PREEMPTION_TIMER)
		vmwrite(VMCS_PREEMPTION_TIMER,
			MIN(ns_to_tsc(LONGEST_STAY_NS) >> vmx_controls.timer_shift, UINT32_MAX));
	for (unsigned i = 0; i < SWITCHED_COUNT; i++) {
		x->host_msr[i] = rdmsr(switched[i]);
		wrmsr(switched[i], x->msr[i]);
	}
	write_cr2(x->cr2);
	write_dr6(x->dr6);
}

void vmx_vcpu_put(struct hv_vcpu *v)
{
	struct vmx_vcpu *x = vmx_vcpu_of(v);

	x->cr2 = read_cr2();
	x->dr6 = read_dr6();
	for (unsigned i = 0; i < SWITCHED_COUNT; i++) {
		x->msr[i] = rdmsr(switched[i]);
		wrmsr(switched[i], x->host_msr[i]);
	}
	/* an exit leaves the greatest limits */
	load_tables(x->host_gdtr, x->host_idtr);
	vmclear(v->pages.pa.v);
	v->cpu_pages = NULL;
}
