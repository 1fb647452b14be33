/* Finding VMX, and switching it on and off on a core. Privileged. */
#include "arch/x86/asm.h"
#include "arch/x86/vmx/insn.h"
#include "arch/x86/vmx/vmx.h"
#include "lib/string.h"

#define VPIDS 65536u

struct vmx_controls vmx_controls;

static void read_capabilities(const struct cpu_features *f, struct vmx_capabilities *c)
{
	bool exact;

	c->feature_control = rdmsr(MSR_FEATURE_CONTROL);
	c->basic = rdmsr(MSR_VMX_BASIC);
	exact = c->basic & VMX_BASIC_TRUE_CONTROLS;
	c->misc = rdmsr(MSR_VMX_MISC);
	c->pin = rdmsr(exact ? MSR_VMX_TRUE_PIN : MSR_VMX_PIN);
	c->primary = rdmsr(exact ? MSR_VMX_TRUE_PRIMARY : MSR_VMX_PRIMARY);
	c->exit = rdmsr(exact ? MSR_VMX_TRUE_EXIT : MSR_VMX_EXIT);
	c->entry = rdmsr(exact ? MSR_VMX_TRUE_ENTRY : MSR_VMX_ENTRY);
	/* these two exist where the controls before them can be set */
	c->secondary = c->primary >> 32 & PRIMARY_SECONDARY ? rdmsr(MSR_VMX_SECONDARY) : 0;
	c->ept_vpid =
		c->secondary >> 32 & (SECONDARY_EPT | SECONDARY_VPID) ? rdmsr(MSR_VMX_EPT_VPID) : 0;
	c->cr0_fixed0 = rdmsr(MSR_VMX_CR0_FIXED0);
	c->cr0_fixed1 = rdmsr(MSR_VMX_CR0_FIXED1);
	c->cr4_fixed0 = rdmsr(MSR_VMX_CR4_FIXED0);
	c->cr4_fixed1 = rdmsr(MSR_VMX_CR4_FIXED1);
	c->rdtscp = f->rdtscp;
	c->xsaves = f->xsaves;
	c->invpcid = f->max_basic >= 7 && (cpuid(7, 0).ebx & BIT32(10));
}

int vmx_probe(const struct cpu_features *f, uint32_t cpu, struct hv_caps *caps, struct reason *why)
{
	struct vmx_capabilities have;
	struct vmx_controls controls;
	int err;

	if (!f->virt_intel)
		return refuse(
			why, ERR_UNSUPPORTED,
			"CPU %u has no Intel VMX: boot Skerry on a processor with VT-x (in an "
			"emulator, choose a CPU model that has vmx)",
			cpu);
	read_capabilities(f, &have);
	err = vmx_choose_controls(&have, cpu, &controls, why);
	if (err)
		return err;
	controls.phys_bits = f->phys_bits;
	controls.linear_bits = (uint8_t)(cpuid(0x80000008, 0).eax >> 8);
	if (cpu == 0)
		vmx_controls = controls;
	*caps = (struct hv_caps){
		.name = "Intel VMX",
		.insn_len = true,
		.decode_assist = true,
		.flush_by_asid = controls.vpid,
		.huge_pages = controls.ept_1g,
		.keeps_pdptes = true,
		.nmi_window = true,
		.xsaves = controls.secondary & SECONDARY_XSAVES,
		.asids = controls.vpid ? VPIDS : 1,
		.bits = vmx_feature_word(&controls),
	};
	return 0;
}

/* Bits of CR0 and CR4 that must be one way in VMX operation (Intel SDM volume 3, "Restrictions on
 * VMX Operation"). */
static int check_fixed(uint32_t cpu, struct reason *why)
{
	const struct vmx_capabilities *c = &vmx_controls.capabilities;
	uint64_t cr0 = read_cr0(), cr4 = read_cr4() | CR4_VMXE;

	if ((cr0 & c->cr0_fixed0) != c->cr0_fixed0 || (cr0 & ~c->cr0_fixed1))
		return refuse(
			why, ERR_UNSUPPORTED,
			"CPU %u does not do VMX with CR0 0x%llx: this version of Skerry cannot "
			"use it",
			cpu, (unsigned long long)cr0);
	if ((cr4 & c->cr4_fixed0) != c->cr4_fixed0 || (cr4 & ~c->cr4_fixed1))
		return refuse(
			why, ERR_UNSUPPORTED,
			"CPU %u does not do VMX with CR4 0x%llx: this version of Skerry cannot "
			"use it",
			cpu, (unsigned long long)cr4);
	return 0;
}

int vmx_cpu_on(struct hv_pages pages, uint32_t cpu, struct reason *why)
{
	struct vmx_cpu *c = vmx_cpu_of(pages.va);
	uint64_t control = rdmsr(MSR_FEATURE_CONTROL);
	int err = check_fixed(cpu, why);

	if (err)
		return err;
	/* the firmware left it to us */
	if (!(control & FEATURE_CONTROL_LOCK))
		wrmsr(MSR_FEATURE_CONTROL, control | FEATURE_CONTROL_VMX | FEATURE_CONTROL_LOCK);
	memcpy(pages.va + VMX_CPU_VMXON_PAGE * PAGE_SIZE, &vmx_controls.revision,
	       sizeof(vmx_controls.revision));
	write_cr4(read_cr4() | CR4_VMXE);
	if (!vmxon(pages.pa.v + VMX_CPU_VMXON_PAGE * PAGE_SIZE)) {
		write_cr4(read_cr4() & ~CR4_VMXE);
		return refuse(why, ERR_UNSUPPORTED,
			      "CPU %u did not accept VMXON: VMX is not usable on it", cpu);
	}
	/* whatever the firmware left */
	invept(INVEPT_ALL, 0);
	if (vmx_controls.vpid)
		invvpid(INVVPID_ALL);
	c->flush_all = false;
	tag_pool_init(&c->vpids, VPIDS);
	return 0;
}

void vmx_cpu_off(struct hv_pages pages)
{
	(void)pages;
	vmxoff();
	write_cr4(read_cr4() & ~CR4_VMXE);
}
