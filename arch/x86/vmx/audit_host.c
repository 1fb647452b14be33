/*
 * VM entry's rules about the host's state. Source: Intel SDM volume 3, "Checks on Host Control
 * Registers, MSRs, and SSP", "Checks on Host Segment and Descriptor-Table Registers", "Checks
 * Related to Address-Space Size". Pure.
 */
#include "arch/x86/vmx/audit_parts.h"

static int check_registers(const struct vmx_audit *a, struct reason *why)
{
	int err;

	/* NW and CD are not checked: an exit does not change them */
	err = audit_fixed_bits("host CR0", a->host.cr0, a->cr0_fixed0 & ~(CR0_NW | CR0_CD),
			       a->cr0_fixed1 | CR0_NW | CR0_CD, why);
	if (err)
		return err;
	err = audit_fixed_bits("host CR4", a->host.cr4, a->cr4_fixed0, a->cr4_fixed1, why);
	if (err)
		return err;
	if ((a->host.cr4 & CR4_CET) && !(a->host.cr0 & CR0_WP))
		return BROKEN("host CR4", a->host.cr4, "CET needs CR0.WP");
	err = audit_cr3(a, "host CR3", a->host.cr3, why);
	if (err)
		return err;
	err = audit_canonical(a, "host SYSENTER_ESP", a->host.sysenter_esp, why);
	if (err)
		return err;
	return audit_canonical(a, "host SYSENTER_EIP", a->host.sysenter_eip, why);
}

static int check_msrs(const struct vmx_audit *a, struct reason *why)
{
	uint64_t wanted = a->exit.value & EXIT_CTL_HOST_64BIT ? EFER_LMA | EFER_LME : 0;
	int err;

	if (a->exit.value & EXIT_CTL_LOAD_PAT) {
		err = audit_pat("host PAT", a->host.pat, why);
		if (err)
			return err;
	}
	if (!(a->exit.value & EXIT_CTL_LOAD_EFER))
		return 0;
	err = audit_efer_reserved("host EFER", a->host.efer, why);
	if (err)
		return err;
	if ((a->host.efer & (EFER_LMA | EFER_LME)) != wanted)
		return BROKEN("host EFER", a->host.efer,
			      "LMA and LME must each be the 64-bit host bit of the exit controls");
	return 0;
}

static int check_segments(const struct vmx_audit *a, struct reason *why)
{
	const struct {
		const char *name;
		uint16_t value;
	} selectors[] = {
		{"host CS selector", a->host.cs_sel}, {"host SS selector", a->host.ss_sel},
		{"host DS selector", a->host.ds_sel}, {"host ES selector", a->host.es_sel},
		{"host FS selector", a->host.fs_sel}, {"host GS selector", a->host.gs_sel},
		{"host TR selector", a->host.tr_sel},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(selectors); i++) {
		if (selectors[i].value & 7)
			return refuse(why, ERR_INVALID,
				      "%s 0x%x: its RPL and table indicator must be 0",
				      selectors[i].name, selectors[i].value);
	}
	if (!a->host.cs_sel)
		return BROKEN("host CS selector", a->host.cs_sel, "must not be 0");
	if (!a->host.tr_sel)
		return BROKEN("host TR selector", a->host.tr_sel, "must not be 0");
	return 0;
}

static int check_bases(const struct vmx_audit *a, struct reason *why)
{
	const struct {
		const char *name;
		uint64_t value;
	} bases[] = {
		{"host FS base", a->host.fs_base},     {"host GS base", a->host.gs_base},
		{"host GDTR base", a->host.gdtr_base}, {"host IDTR base", a->host.idtr_base},
		{"host TR base", a->host.tr_base},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bases); i++) {
		int err = audit_canonical(a, bases[i].name, bases[i].value, why);

		if (err)
			return err;
	}
	return 0;
}

/* The host runs in 64-bit mode, so it must come back to it; what else the manual demands of a
 * 32-bit host cannot be reached. */
static int check_address_space(const struct vmx_audit *a, struct reason *why)
{
	if (!(a->exit.value & EXIT_CTL_HOST_64BIT))
		return BROKEN("exit controls", a->exit.value,
			      "the host is in 64-bit mode, so bit 9 must be 1");
	if (!(a->host.cr4 & CR4_PAE))
		return BROKEN("host CR4", a->host.cr4, "a 64-bit host needs PAE");
	return audit_canonical(a, "host RIP", a->host.rip, why);
}

int audit_host(const struct vmx_audit *a, struct reason *why)
{
	static audit_check *const checks[] = {
		check_registers, check_msrs, check_segments, check_bases, check_address_space,
	};

	return audit_all(checks, ARRAY_SIZE(checks), a, why);
}
