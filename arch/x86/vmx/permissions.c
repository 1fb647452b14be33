/*
 * I/O and MSR bitmaps. Source: Intel SDM volume 3, "I/O-Bitmap Addresses" and "MSR-Bitmap Address".
 * Pure.
 */
#include "arch/x86/vmx/vmx.h"
#include "lib/string.h"

void vmx_permissions_init(struct hv_vm *vm)
{
	memset(vm->pages.va, 0xff, VMX_VM_PAGES * PAGE_SIZE);
}

/* Two pages follow each other: ports 0 to 7fffh, and the others. */
void vmx_allow_port(struct hv_vm *vm, uint16_t port, bool allow)
{
	uint8_t *bitmap = vm->pages.va + VMX_VM_IO_PAGE * PAGE_SIZE;
	uint8_t bit = (uint8_t)(1u << (port & 7));

	if (allow)
		bitmap[port >> 3] &= (uint8_t)~bit;
	else
		bitmap[port >> 3] |= bit;
}

static void set_bit(uint8_t *bitmap, uint32_t index, bool exits)
{
	uint8_t bit = (uint8_t)(1u << (index & 7));

	if (exits)
		bitmap[index >> 3] |= bit;
	else
		bitmap[index >> 3] &= (uint8_t)~bit;
}

/* Four bitmaps of 8192 MSRs: reads of the low and high range, then writes. All other MSRs exit. */
void vmx_allow_msr(struct hv_vm *vm, uint32_t msr, bool read, bool write)
{
	static const uint32_t range[] = {0x00000000, 0xc0000000};
	uint8_t *bitmap = vm->pages.va + VMX_VM_MSR_PAGE * PAGE_SIZE;

	for (unsigned i = 0; i < ARRAY_SIZE(range); i++) {
		uint32_t index = msr - range[i];

		if (index >= 8192)
			continue;
		set_bit(bitmap + i * 1024, index, !read);
		set_bit(bitmap + 2048 + i * 1024, index, !write);
	}
}
