/* What the files of the SVM back end share. */
#ifndef ARCH_X86_SVM_SVM_H
#define ARCH_X86_SVM_SVM_H

#include "arch/x86/hv.h"
#include "arch/x86/svm/decode.h"
#include "arch/x86/svm/vmcb.h"
#include "arch/x86/tag_pool.h"

extern const struct slpt_format npt_format;

/* A core's pages: the hardware's host save area, a VMCB that holds the host's FS, GS, TR, LDTR and
 * SYSCALL state for VMLOAD, and this structure. */
struct svm_cpu {
	struct tag_pool asids;
	uint64_t host_vmcb_pa;
	bool flush_all; /* at the next entry */
};

enum {
	SVM_CPU_HSAVE_PAGE,
	SVM_CPU_HOST_VMCB_PAGE,
	SVM_CPU_DATA_PAGE,
	SVM_CPU_PAGES,
};

/* A guest's pages: I/O permissions (12 KiB), then MSR permissions (8 KiB). */
enum {
	SVM_VM_IOPM_PAGE = 0,
	SVM_VM_MSRPM_PAGE = 3,
	SVM_VM_PAGES = 5,
	SVM_IOPM_PAGES = SVM_VM_MSRPM_PAGE - SVM_VM_IOPM_PAGE,
	SVM_MSRPM_PAGES = SVM_VM_PAGES - SVM_VM_MSRPM_PAGE,
};

static inline struct svm_cpu *svm_cpu_of(void *cpu_pages)
{
	return (struct svm_cpu *)((uint8_t *)cpu_pages + SVM_CPU_DATA_PAGE * PAGE_SIZE);
}

static inline struct vmcb *svm_vmcb(const struct hv_vcpu *v)
{
	return (struct vmcb *)(void *)v->pages.va;
}

/* What fetching an instruction needs: on the way of every exit. Outside 64-bit mode the CS base
 * counts, in it the hardware keeps it 0 in effect. */
static inline void svm_code_of(const struct vmcb *b, const struct hv_vcpu *v,
			       struct code_context *out)
{
	out->rip = v->rip;
	out->rflags = v->rflags;
	out->cr0 = b->cr0;
	out->cr3 = b->cr3;
	out->cr4 = b->cr4;
	out->efer = b->efer;
	out->cs_limit = b->seg[SEG_CS].limit;
	out->cs_attr = b->seg[SEG_CS].attr;
	out->cpl = b->cpl;
	out->phys_bits = v->phys_bits;
	out->cs_base = code_is_64bit(out) ? 0 : b->seg[SEG_CS].base;
}

/* enable.c */
int svm_probe(const struct cpu_features *f, uint32_t cpu, struct hv_caps *caps, struct reason *why);
int svm_cpu_on(struct hv_pages pages, uint32_t cpu, struct reason *why);
void svm_cpu_off(struct hv_pages pages);

/* state.c */
void svm_get_state(const struct hv_vcpu *v, struct vcpu_state *out);
int svm_set_state(struct hv_vcpu *v, const struct vcpu_state *in, struct reason *why);
void svm_get_code(const struct hv_vcpu *v, struct code_context *out);
void svm_get_segment(const struct hv_vcpu *v, enum segment_index s, struct segment_state *out);
uint64_t svm_get_cr(const struct hv_vcpu *v, unsigned cr);
void svm_set_cr(struct hv_vcpu *v, unsigned cr, uint64_t value);
uint64_t svm_get_efer(const struct hv_vcpu *v);
void svm_set_efer(struct hv_vcpu *v, uint64_t value);
void svm_set_pdptes(struct hv_vcpu *v, const uint64_t pdptes[4]);
void svm_explain(const struct hv_vcpu *v, struct reason *why);
void svm_dump(const struct hv_vcpu *v, void (*line)(void *ctx, const char *text), void *ctx);

/* audit.c: the rules by which VMRUN refuses a guest with VMEXIT_INVALID. 0: none is broken.
 * Otherwise ERR_INVALID and a sentence that names the first field that breaks one, with its value.
 */
struct svm_registers { /* the guest's registers that have such rules */
	uint64_t cr0, cr3, cr4, dr6, dr7, efer;
	uint16_t cs_attr;
};

int svm_check_registers(const struct svm_registers *r, struct reason *why);

/* The whole block, as it was at VMRUN: before anything takes the event out of it. Addresses must be
 * below 1 << `phys_bits`. */
int svm_audit(const struct vmcb *b, unsigned phys_bits, struct reason *why);

/* permissions.c */
void svm_permissions_init(struct hv_vm *vm);
void svm_allow_msr(struct hv_vm *vm, uint32_t msr, bool read, bool write);
void svm_allow_port(struct hv_vm *vm, uint16_t port, bool allow);

/* switch.S: run() of the contract. */
void svm_run(struct hv_vcpu *v, struct vm_exit *exit);

/* svm.c, called from there: brings the VMCB up to date, and answers the address of the VMCB with
 * the host's state; takes over what the guest left, and decodes the exit. */
uint64_t svm_before_entry(struct hv_vcpu *v);
void svm_after_exit(struct hv_vcpu *v, struct vm_exit *exit);

#endif
