/*
 * What a VMCS holds, in words: why the processor refuses it, and for crash records. Privileged.
 */
#include "arch/x86/vmx/vmx.h"

#include "arch/x86/vmx/insn.h"
#include "lib/format.h"

typedef unsigned long long ull;

void vmx_explain(const struct hv_vcpu *v, struct reason *why)
{
	struct vmx_borrowed b = vmx_borrow(v);

	refuse(why, ERR_INVALID, "instruction error %u", (unsigned)vmread(VMCS_INSN_ERROR));
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
