/* Choosing VMX controls; see controls.h. Pure. */
#include "arch/x86/vmx/controls.h"

#include "arch/x86/state.h"
#include "arch/x86/vmx/vmcs.h"

struct control {
	uint32_t bit;
	const char *name; /* as the Intel SDM calls it */
};

static const struct control pin_required[] = {
	{PIN_EXTERNAL_INTERRUPT, "external-interrupt exiting"},
	{PIN_NMI, "NMI exiting"},
	{PIN_VIRTUAL_NMI, "virtual NMIs"},
};

static const struct control primary_required[] = {
	{PRIMARY_SECONDARY, "secondary controls (EPT)"},
	{PRIMARY_TSC_OFFSET, "use TSC offsetting"},
	{PRIMARY_HLT, "HLT exiting"},
	{PRIMARY_MWAIT, "MWAIT exiting"},
	{PRIMARY_MONITOR, "MONITOR exiting"},
	{PRIMARY_RDPMC, "RDPMC exiting"},
	{PRIMARY_TPR_SHADOW, "use TPR shadow"},
	{PRIMARY_IO_BITMAPS, "use I/O bitmaps"},
	{PRIMARY_MSR_BITMAPS, "use MSR bitmaps"},
	{PRIMARY_INTERRUPT_WINDOW, "interrupt-window exiting"},
	{PRIMARY_NMI_WINDOW, "NMI-window exiting"},
};

/* What the guest does alone, and would be slow or wrong if it exited. */
static const struct control primary_forbidden[] = {
	{PRIMARY_CR3_LOAD, "CR3-load exiting"},
	{PRIMARY_CR3_STORE, "CR3-store exiting"},
	{PRIMARY_INVLPG, "INVLPG exiting"},
};

static const struct control secondary_required[] = {
	{SECONDARY_EPT, "EPT"},
	{SECONDARY_UNRESTRICTED, "unrestricted guest"},
	{SECONDARY_WBINVD, "WBINVD exiting"},
};

static const struct control exit_required[] = {
	{EXIT_CTL_HOST_64BIT, "host address-space size"},
	{EXIT_CTL_SAVE_DEBUG, "save debug controls"},
	{EXIT_CTL_SAVE_PAT, "save IA32_PAT"},
	{EXIT_CTL_LOAD_PAT, "load IA32_PAT"},
	{EXIT_CTL_SAVE_EFER, "save IA32_EFER"},
	{EXIT_CTL_LOAD_EFER, "load IA32_EFER"},
};

static const struct control entry_required[] = {
	{ENTRY_CTL_LOAD_DEBUG, "load debug controls"},
	{ENTRY_CTL_LONG_MODE, "IA-32e mode guest"},
	{ENTRY_CTL_LOAD_PAT, "load IA32_PAT"},
	{ENTRY_CTL_LOAD_EFER, "load IA32_EFER"},
};

static uint32_t must(uint64_t word)
{
	return (uint32_t)word;
}

static uint32_t may(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static int lacks(uint32_t cpu, const char *name, struct reason *why)
{
	return refuse(why, ERR_UNSUPPORTED,
		      "CPU %u has VMX without \"%s\", which Skerry needs: boot it on a later "
		      "processor (in an emulator, choose a later CPU model)",
		      cpu, name);
}

/* Adds what is required to what must be set. */
static int require(uint64_t word, const struct control *list, unsigned n, uint32_t cpu,
		   uint32_t *out, struct reason *why)
{
	*out = must(word);
	for (unsigned i = 0; i < n; i++) {
		if (!(may(word) & list[i].bit))
			return lacks(cpu, list[i].name, why);
		*out |= list[i].bit;
	}
	return 0;
}

#define REQUIRE(word, list, out) require(word, list, ARRAY_SIZE(list), cpu, out, why)

static int choose_primary(const struct vmx_capabilities *c, uint32_t cpu, struct vmx_controls *out,
			  struct reason *why)
{
	int err = REQUIRE(c->primary, primary_required, &out->primary);

	if (err)
		return err;
	out->primary &= ~(PRIMARY_INTERRUPT_WINDOW | PRIMARY_NMI_WINDOW) | must(c->primary);
	for (unsigned i = 0; i < ARRAY_SIZE(primary_forbidden); i++)
		if (out->primary & primary_forbidden[i].bit)
			return refuse(why, ERR_UNSUPPORTED,
				      "CPU %u cannot do VMX without \"%s\": boot Skerry on a later "
				      "processor",
				      cpu, primary_forbidden[i].name);
	return 0;
}

/* Instructions that the CPU has are the guest's only if VMX lets it execute them. */
static int choose_instructions(const struct vmx_capabilities *c, uint32_t cpu,
			       struct vmx_controls *out, struct reason *why)
{
	if (c->rdtscp && !(may(c->secondary) & SECONDARY_RDTSCP))
		return lacks(cpu, "enable RDTSCP", why);
	if (c->invpcid && !(may(c->secondary) & SECONDARY_INVPCID))
		return lacks(cpu, "enable INVPCID", why);
	/* where it cannot be enabled, XSAVES is hidden: nobody needs it */
	if (c->xsaves)
		out->secondary |= may(c->secondary) & SECONDARY_XSAVES;
	out->secondary |= (c->rdtscp ? SECONDARY_RDTSCP : 0) | (c->invpcid ? SECONDARY_INVPCID : 0);
	return 0;
}

static int choose_ept(const struct vmx_capabilities *c, uint32_t cpu, struct vmx_controls *out,
		      struct reason *why)
{
	const uint64_t vpid = EPT_CAP_INVVPID | EPT_CAP_INVVPID_ALL;
	static const struct {
		uint64_t bit;
		const char *name;
	} needed[] = {
		{EPT_CAP_WALK_4, "EPT page walks of four levels"},
		{EPT_CAP_WRITE_BACK, "write-back EPT paging structures"},
		{EPT_CAP_2M, "EPT pages of 2 MiB"},
		{EPT_CAP_INVEPT, "INVEPT"},
		{EPT_CAP_INVEPT_SINGLE, "single-context INVEPT"},
		{EPT_CAP_INVEPT_ALL, "all-context INVEPT"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(needed); i++)
		if (!(c->ept_vpid & needed[i].bit))
			return lacks(cpu, needed[i].name, why);
	out->ept_1g = c->ept_vpid & EPT_CAP_1G;
	out->ept_dirty = c->ept_vpid & EPT_CAP_ACCESS_DIRTY;
	out->vpid = (may(c->secondary) & SECONDARY_VPID) && (c->ept_vpid & vpid) == vpid;
	if (out->vpid)
		out->secondary |= SECONDARY_VPID;
	return 0;
}

static int check_firmware(const struct vmx_capabilities *c, uint32_t cpu, struct reason *why)
{
	/* unlocked: whoever comes first may switch it on */
	if (!(c->feature_control & FEATURE_CONTROL_LOCK) ||
	    (c->feature_control & FEATURE_CONTROL_VMX))
		return 0;
	return refuse(why, ERR_UNSUPPORTED,
		      "VMX is switched off and locked by the firmware on CPU %u: enable Intel "
		      "Virtualization Technology (VT-x) in the firmware set-up",
		      cpu);
}

int vmx_choose_controls(const struct vmx_capabilities *c, uint32_t cpu, struct vmx_controls *out,
			struct reason *why)
{
	int err = check_firmware(c, cpu, why);

	if (err)
		return err;
	*out = (struct vmx_controls){
		.capabilities = *c,
		.revision = (uint32_t)(c->basic & VMX_BASIC_REVISION),
		.timer_shift = c->misc & VMX_MISC_TIMER_SHIFT,
		/* an unrestricted guest has protection and paging as it likes */
		.cr0_fixed0 = c->cr0_fixed0 & ~(CR0_PE | CR0_PG),
		.cr4_fixed0 = c->cr4_fixed0,
	};
	if ((err = choose_primary(c, cpu, out, why)) ||
	    (err = REQUIRE(c->secondary, secondary_required, &out->secondary)) ||
	    (err = REQUIRE(c->pin, pin_required, &out->pin)) ||
	    (err = REQUIRE(c->exit, exit_required, &out->exit)) ||
	    (err = REQUIRE(c->entry, entry_required, &out->entry)) ||
	    (err = choose_instructions(c, cpu, out, why)) || (err = choose_ept(c, cpu, out, why)))
		return err;
	if (!(c->misc & VMX_MISC_SAVES_LMA))
		return lacks(cpu, "EFER.LMA in the VM-entry controls", why);
	if (may(c->pin) & PIN_PREEMPTION_TIMER)
		out->pin |= PIN_PREEMPTION_TIMER;
	out->entry &= ~ENTRY_CTL_LONG_MODE; /* follows the guest's EFER.LMA */
	return 0;
}

uint64_t vmx_feature_word(const struct vmx_controls *c)
{
	return (uint64_t)c->secondary << 32 | (c->pin & PIN_PREEMPTION_TIMER) |
	       (c->vpid ? 1u : 0u) | (c->ept_1g ? 2u : 0u) | (c->ept_dirty ? 4u : 0u) |
	       (uint32_t)c->timer_shift << 8;
}
