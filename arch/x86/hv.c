/* Choosing the back end: the one place outside the back ends that names them. Privileged. */
#include "arch/x86/hv.h"

extern const struct hv_ops svm_ops;

const struct hv_ops *hv;
struct hv_caps hv_caps;

int hv_choose(const struct cpu_features *f, struct reason *why)
{
	if (f->svm || f->vendor == CPU_VENDOR_AMD) {
		hv = &svm_ops;
		return hv->probe(f, 0, &hv_caps, why);
	}
	if (f->vmx)
		return refuse(why, ERR_UNSUPPORTED,
			      "this CPU (%s) has Intel VMX, which this version of Skerry does not "
			      "use yet: boot it on an AMD processor with SVM",
			      f->brand);
	return refuse(
		why, ERR_UNSUPPORTED,
		"this CPU (%s) has neither AMD SVM nor Intel VMX: boot Skerry on a processor "
		"with hardware virtualization (in an emulator, choose a CPU model that has svm)",
		f->brand[0] ? f->brand : f->vendor_string);
}
