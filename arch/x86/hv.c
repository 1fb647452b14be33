/* Choosing the back end: the one place outside the back ends that names them. Privileged. */
#include "arch/x86/hv.h"

extern const struct hv_ops svm_ops, vmx_ops;

const struct hv_ops *hv;
struct hv_caps hv_caps;

int hv_choose(const struct cpu_features *f, struct reason *why)
{
	if (f->virt_amd || f->vendor == CPU_VENDOR_AMD)
		hv = &svm_ops;
	else if (f->virt_intel || f->vendor == CPU_VENDOR_INTEL)
		hv = &vmx_ops;
	else
		return refuse(
			why, ERR_UNSUPPORTED,
			"this CPU (%s) has neither AMD SVM nor Intel VMX: boot Skerry on a "
			"processor "
			"with hardware virtualization (in an emulator, choose a CPU model that has "
			"svm or vmx)",
			f->brand[0] ? f->brand : f->vendor_string);
	return hv->probe(f, 0, &hv_caps, why);
}
