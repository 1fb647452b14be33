/* What the files of the VMX back end share. */
#ifndef ARCH_X86_VMX_VMX_H
#define ARCH_X86_VMX_VMX_H

#include "arch/x86/hv.h"
#include "arch/x86/tag_pool.h"
#include "arch/x86/vmx/audit.h"
#include "arch/x86/vmx/controls.h"
#include "arch/x86/vmx/vmcs.h"

extern const struct slpt_format ept_format;

/* As the boot CPU can do them; a core that differs is not used. Written once, at boot. */
extern struct vmx_controls vmx_controls;

/* A core's pages: the VMXON region, and this structure. */
struct vmx_cpu {
	struct tag_pool vpids;
	bool flush_all; /* at the next entry */
};

enum {
	VMX_CPU_VMXON_PAGE,
	VMX_CPU_DATA_PAGE,
	VMX_CPU_PAGES,
};

/* A guest's pages: I/O bitmaps (8 KiB), then the MSR bitmaps. */
enum {
	VMX_VM_IO_PAGE = 0,
	VMX_VM_MSR_PAGE = 2,
	VMX_VM_PAGES = 3,
};

/* A vCPU's pages: the VMCS, the virtual-APIC page (of which the task priority is used), and struct
 * vmx_vcpu. */
enum {
	VMX_VCPU_VMCS_PAGE,
	VMX_VCPU_APIC_PAGE,
	VMX_VCPU_DATA_PAGE,
	VMX_VCPU_PAGES,
};

#define VIRTUAL_TPR 0x80 /* offset in the virtual-APIC page */

/* MSRs that no field of the VMCS holds: the guest's are in the processor while it is loaded. */
enum vmx_switched_msr {
	SWITCHED_STAR,
	SWITCHED_LSTAR,
	SWITCHED_CSTAR,
	SWITCHED_SFMASK,
	SWITCHED_KERNEL_GS_BASE,
	SWITCHED_COUNT,
};

struct vmx_vcpu {
	/* what the VMCS holds, so that nothing is written twice */
	uint64_t rflags, rsp;
	uint32_t interruptibility, primary, tpr_threshold, vpid;
	/* what no field holds, while the vCPU is not loaded: then it is in the processor, CR2 too,
	 * for the host takes no page fault that it survives */
	uint64_t cr2, dr6, msr[SWITCHED_COUNT];
	/* the host's, while it is loaded */
	uint64_t host_msr[SWITCHED_COUNT];
	struct table_state host_gdtr, host_idtr;
};

static inline struct vmx_cpu *vmx_cpu_of(void *cpu_pages)
{
	return (struct vmx_cpu *)(void *)((uint8_t *)cpu_pages + VMX_CPU_DATA_PAGE * PAGE_SIZE);
}

static inline struct vmx_vcpu *vmx_vcpu_of(const struct hv_vcpu *v)
{
	return (struct vmx_vcpu *)(void *)(v->pages.va + VMX_VCPU_DATA_PAGE * PAGE_SIZE);
}

static inline uint8_t *vmx_tpr(const struct hv_vcpu *v)
{
	return v->pages.va + VMX_VCPU_APIC_PAGE * PAGE_SIZE + VIRTUAL_TPR;
}

static inline uint64_t vmx_eptp(const struct hv_vm *vm)
{
	return vm->slpt_root.v | EPTP_WRITE_BACK | EPTP_WALK_4 |
	       (vmx_controls.ept_dirty ? EPTP_ACCESS_DIRTY : 0);
}

/* Makes the vCPU's VMCS current on this core, unless it is loaded here, until vmx_return(). Answers
 * what was current. Interrupts are off in between. */
struct vmx_borrowed {
	uint64_t was;
	bool irqs, loaded;
};

struct vmx_borrowed vmx_borrow(const struct hv_vcpu *v);
void vmx_return(const struct hv_vcpu *v, struct vmx_borrowed b);

/* enable.c */
int vmx_probe(const struct cpu_features *f, uint32_t cpu, struct hv_caps *caps, struct reason *why);
int vmx_cpu_on(struct hv_pages pages, uint32_t cpu, struct reason *why);
void vmx_cpu_off(struct hv_pages pages);

/* permissions.c */
void vmx_permissions_init(struct hv_vm *vm);
void vmx_allow_msr(struct hv_vm *vm, uint32_t msr, bool read, bool write);
void vmx_allow_port(struct hv_vm *vm, uint16_t port, bool allow);

/* load.c: a vCPU's life cycle on the cores */
void vmx_vcpu_init(struct hv_vcpu *v);
void vmx_vcpu_load(struct hv_vcpu *v, struct hv_pages cpu_pages, uint32_t cpu);
void vmx_vcpu_put(struct hv_vcpu *v);

/* state.c */
void vmx_code_of(const struct hv_vcpu *v, struct code_context *out);
void vmx_get_state(const struct hv_vcpu *v, struct vcpu_state *out);
int vmx_set_state(struct hv_vcpu *v, const struct vcpu_state *in, struct reason *why);
void vmx_get_segment(const struct hv_vcpu *v, enum segment_index s, struct segment_state *out);
uint64_t vmx_get_cr(const struct hv_vcpu *v, unsigned cr);
void vmx_set_cr(struct hv_vcpu *v, unsigned cr, uint64_t value);
void vmx_set_pdptes(struct hv_vcpu *v, const uint64_t pdptes[4]);
uint64_t vmx_get_efer(const struct hv_vcpu *v);
void vmx_set_efer(struct hv_vcpu *v, uint64_t value);

/* explain.c: copies the current VMCS, of `v`, for the auditor. */
void vmx_copy(const struct hv_vcpu *v, struct vmx_audit *out);
void vmx_explain(const struct hv_vcpu *v, struct reason *why);
void vmx_dump(const struct hv_vcpu *v, void (*line)(void *ctx, const char *text), void *ctx);

/* switch.S: run() of the contract, and the address that an exit comes to. */
void vmx_run(struct hv_vcpu *v, struct vm_exit *exit);
extern const char vmx_exit_entry[];

/* vmx.c, called from there: brings the VMCS up to date; takes over what the guest left, and decodes
 * the exit, or that there was no entry. */
void vmx_before_entry(struct hv_vcpu *v);
void vmx_after_exit(struct hv_vcpu *v, struct vm_exit *exit, bool failed);

#endif
