/*
 * I/O and MSR permission maps. Source: AMD64 Architecture Programmer's Manual, volume 2, "IOIO
 * Intercepts" and "MSR Intercepts". Pure.
 */
#include "arch/x86/svm/svm.h"
#include "lib/string.h"

void svm_permissions_init(struct hv_vm *vm)
{
	memset(vm->pages.va, 0xff, SVM_VM_PAGES * PAGE_SIZE);
}

void svm_allow_port(struct hv_vm *vm, uint16_t port, bool allow)
{
	uint8_t *iopm = vm->pages.va + SVM_VM_IOPM_PAGE * PAGE_SIZE;
	uint8_t bit = (uint8_t)(1u << (port & 7));

	if (allow)
		iopm[port >> 3] &= (uint8_t)~bit;
	else
		iopm[port >> 3] |= bit;
}

/* Three ranges of 8192 MSRs have two bits each (read, write); all others always exit. */
void svm_allow_msr(struct hv_vm *vm, uint32_t msr, bool read, bool write)
{
	static const uint32_t range[] = {0x00000000, 0xc0000000, 0xc0010000};
	uint8_t *msrpm = vm->pages.va + SVM_VM_MSRPM_PAGE * PAGE_SIZE;

	for (unsigned i = 0; i < ARRAY_SIZE(range); i++) {
		uint32_t index = msr - range[i];
		unsigned shift = (index & 3) * 2;
		uint8_t *byte = msrpm + i * 2048 + index / 4;

		if (index >= 8192)
			continue;
		*byte = (uint8_t)((*byte & ~(3u << shift)) | ((read ? 0u : 1u) | (write ? 0u : 2u))
								     << shift);
	}
}
