/* What the files of the VM-entry auditor share: its parts, and the checks that several need. */
#ifndef ARCH_X86_VMX_AUDIT_PARTS_H
#define ARCH_X86_VMX_AUDIT_PARTS_H

#include "arch/x86/entry_audit.h"
#include "arch/x86/vmx/audit.h"
#include "arch/x86/vmx/vmcs.h"

typedef int audit_check(const struct vmx_audit *a, struct reason *why);

/* audit_controls.c */
int audit_controls(const struct vmx_audit *a, struct reason *why);
/* audit_host.c */
int audit_host(const struct vmx_audit *a, struct reason *why);
/* audit_guest.c */
int audit_guest_registers(const struct vmx_audit *a, struct reason *why);
int audit_guest_tables(const struct vmx_audit *a, struct reason *why);
int audit_guest_rip(const struct vmx_audit *a, struct reason *why);
int audit_guest_state(const struct vmx_audit *a, struct reason *why);
int audit_guest_pdptes(const struct vmx_audit *a, struct reason *why);
/* audit_segments.c */
int audit_guest_segments(const struct vmx_audit *a, struct reason *why);

/* audit.c: the first failure of `n` checks, or 0. */
int audit_all(audit_check *const *checks, unsigned n, const struct vmx_audit *a,
	      struct reason *why);

/* audit.c: rules that hold for host and guest alike; `name` is the field's. */
int audit_fixed_bits(const char *name, uint64_t value, uint64_t must, uint64_t may,
		     struct reason *why);
int audit_canonical(const struct vmx_audit *a, const char *name, uint64_t address,
		    struct reason *why);
int audit_cr3(const struct vmx_audit *a, const char *name, uint64_t value, struct reason *why);
int audit_pat(const char *name, uint64_t value, struct reason *why);
int audit_efer_reserved(const char *name, uint64_t value, struct reason *why);

/* The bits of `value` above its low `width`. */
static inline uint64_t bits_above(uint64_t value, unsigned width)
{
	return width < 64 ? value >> width : 0;
}

/* The secondary controls count only if the primary ones say so. */
static inline uint32_t secondary_controls(const struct vmx_audit *a)
{
	return a->primary.value & PRIMARY_SECONDARY ? a->secondary.value : 0;
}

static inline bool is_unrestricted(const struct vmx_audit *a)
{
	return secondary_controls(a) & SECONDARY_UNRESTRICTED;
}

static inline bool is_long_mode(const struct vmx_audit *a)
{
	return a->entry.value & ENTRY_CTL_LONG_MODE;
}

/* Is an event of this type injected? */
static inline bool injects(const struct vmx_audit *a, uint32_t type)
{
	return (a->entry_event & EVENT_VALID) &&
	       ((a->entry_event >> EVENT_TYPE_SHIFT) & EVENT_TYPE_MASK) == type;
}

#endif
