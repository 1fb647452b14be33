/*
 * Finding SVM and switching it on, on each core. Source: AMD64 Architecture Programmer's Manual,
 * volume 2, "Enabling SVM". Privileged.
 */
#include "arch/x86/asm.h"
#include "arch/x86/svm/svm.h"

int svm_probe(const struct cpu_features *f, uint32_t cpu, struct hv_caps *caps, struct reason *why)
{
	if (!f->virt_amd)
		return refuse(why, ERR_UNSUPPORTED,
			      "CPU %u has no AMD SVM: boot Skerry on a processor with AMD-V (in an "
			      "emulator, choose a CPU model that has svm)",
			      cpu);
	if (rdmsr(MSR_VM_CR) & VM_CR_SVMDIS)
		return refuse(
			why, ERR_UNSUPPORTED,
			"SVM is switched off%s by the firmware on CPU %u: enable SVM (AMD-V) in "
			"the firmware set-up",
			rdmsr(MSR_VM_CR) & VM_CR_LOCK ? " and locked" : "", cpu);
	if (!(f->virt_amd_features & SVM_CPUID_NP))
		return refuse(
			why, ERR_UNSUPPORTED,
			"CPU %u has SVM without nested paging, which Skerry needs: boot it on a "
			"later processor (in an emulator, add the CPU feature npt)",
			cpu);
	if (f->virt_amd_asids < 2)
		return refuse(
			why, ERR_UNSUPPORTED,
			"CPU %u reports %u address-space identifiers and SVM needs at least 2", cpu,
			f->virt_amd_asids);
	*caps = (struct hv_caps){
		.name = "AMD SVM",
		.insn_len = f->virt_amd_features & SVM_CPUID_NRIPS,
		.decode_assist = f->virt_amd_features & SVM_CPUID_DECODE_ASSISTS,
		.flush_by_asid = f->virt_amd_features & SVM_CPUID_FLUSH_BY_ASID,
		.tsc_scale = f->virt_amd_features & SVM_CPUID_TSC_RATE,
		.huge_pages = f->page_1g,
		.xsaves = f->xsaves,
		.asids = f->virt_amd_asids,
		.bits = f->virt_amd_features,
	};
	return 0;
}

/* VMSAVE keeps the host's FS, GS, TR, LDTR, KernelGSBase, SYSCALL and SYSENTER state for VMLOAD. */
static void vmsave(uint64_t pa)
{
	__asm__ volatile("vmsave %%rax" ::"a"(pa) : "memory");
}

int svm_cpu_on(struct hv_pages pages, uint32_t cpu, struct reason *why)
{
	struct svm_cpu *c = svm_cpu_of(pages.va);
	struct cpuid_regs r = cpuid(0x8000000a, 0);

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	if (!(rdmsr(MSR_EFER) & EFER_SVME))
		return refuse(why, ERR_UNSUPPORTED,
			      "CPU %u did not accept EFER.SVME: SVM is not usable", cpu);
	wrmsr(MSR_VM_HSAVE_PA, pages.pa.v + SVM_CPU_HSAVE_PAGE * PAGE_SIZE);
	c->host_vmcb_pa = pages.pa.v + SVM_CPU_HOST_VMCB_PAGE * PAGE_SIZE;
	/* whatever the firmware left in the TLB under these identifiers goes at the first entry */
	c->flush_all = true;
	tag_pool_init(&c->asids, r.ebx);
	vmsave(c->host_vmcb_pa);
	return 0;
}

void svm_cpu_off(struct hv_pages pages)
{
	(void)pages;
	wrmsr(MSR_VM_HSAVE_PA, 0);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
}
