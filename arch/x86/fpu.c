/*
 * Switching guests' extended registers. Privileged. The mask and size are written once by the boot
 * CPU.
 */
#include "arch/x86/fpu.h"

#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "lib/string.h"
#include "mm/heap.h"

#define CR0_MP         BIT(1)
#define CR0_EM         BIT(2)
#define CR0_TS         BIT(3)
#define CR0_NE         BIT(5)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_OSXSAVE    BIT(18)
#define CR4_PKE        BIT(22)

/* Which supervisor components XSAVES keeps. */
#define MSR_XSS 0xda0u

#define FCW_INITIAL   0x37f
#define MXCSR_INITIAL 0x1f80
#define FCW_OFFSET    0
#define MXCSR_OFFSET  24

static uint64_t host_xcr0; /* 0: the CPU has no XSAVE, FXSAVE does */
static size_t area_size = sizeof(struct fpu_area);
static bool pointers_leak;

void fpu_init_host_this_cpu(void)
{
	const struct cpu_features *f = &this_cpu()->features;
	uint64_t cr4 = read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT;

	write_cr0((read_cr0() & ~(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE);
	if (this_cpu()->index == 0) {
		host_xcr0 = f->xcr0_supported;
		area_size = MAX(sizeof(struct fpu_area), (size_t)f->xsave_size);
		pointers_leak = !f->fpu_error_ptr;
	}
	if (host_xcr0)
		cr4 |= CR4_OSXSAVE;
	write_cr4(cr4);
	if (host_xcr0)
		xsetbv(0, host_xcr0);
	/* of every guest, too, which may have no other value */
	if (f->xsaves)
		wrmsr(MSR_XSS, 0);
}

struct fpu_area *fpu_area_alloc(void)
{
	/* a page at least: that is the heap's promise of an alignment of 64 bytes and more */
	struct fpu_area *area = heap_alloc(MAX(area_size, PAGE_SIZE));

	if (area)
		fpu_area_init(area);
	return area;
}

void fpu_area_init(struct fpu_area *area)
{
	const uint16_t fcw = FCW_INITIAL;
	const uint32_t mxcsr = MXCSR_INITIAL;

	memset(area, 0, area_size);
	memcpy(area->legacy + FCW_OFFSET, &fcw, sizeof(fcw));
	memcpy(area->legacy + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
	/* x87 and SSE are said to be in the area: then the area alone tells the whole state */
	area->xstate_bv = host_xcr0 & (XCR0_X87 | XCR0_SSE);
}

/*
 * AMD's CPUs without the feature bit move the x87 error pointers (last instruction, data address,
 * opcode) only while an exception is pending: without care a guest would find those of the one
 * before (AMD64 APM Volume 2, "FXSAVE and FXRSTOR Instructions"). Loading a constant from our own
 * memory overwrites them; a register is freed before, and pending exceptions dropped, so that the
 * load cannot fault.
 */
static void overwrite_pointers(void)
{
	static const int32_t zero;

	__asm__ volatile("fnclex; ffree %%st(7); fildl %0" ::"m"(zero));
}

/*
 * Keys are off in the hypervisor, whose own accesses are none of the guest's business. They count
 * for user pages only, of which it has none, but not every emulator knows that; and RDPKRU needs
 * them on. Interrupts are off meanwhile, so that as little as possible runs with them.
 */
uint32_t fpu_guest_pkru(void)
{
	bool interrupts = irq_save();
	uint64_t cr4 = read_cr4();
	uint32_t pkru, zero;

	write_cr4(cr4 | CR4_PKE);
	__asm__ volatile("rdpkru" : "=a"(pkru), "=d"(zero) : "c"(0));
	write_cr4(cr4);
	irq_restore(interrupts);
	return pkru;
}

void fpu_load(const struct fpu_area *area, uint64_t guest_xcr0)
{
	if (pointers_leak)
		overwrite_pointers();
	if (!host_xcr0) {
		__asm__ volatile("fxrstor64 %0" ::"m"(*area));
		return;
	}
	__asm__ volatile("xrstor64 %0" ::"m"(*area), "a"((uint32_t)host_xcr0),
			 "d"((uint32_t)(host_xcr0 >> 32))
			 : "memory");
	if (guest_xcr0 != host_xcr0)
		xsetbv(0, guest_xcr0);
}

void fpu_save(struct fpu_area *area, uint64_t *guest_xcr0)
{
	uint64_t now;

	if (!host_xcr0) {
		__asm__ volatile("fxsave64 %0" : "+m"(*area)::"memory");
		return;
	}
	now = xgetbv(0);
	if (fpu_xcr0_legal(now, host_xcr0))
		*guest_xcr0 = now;
	if (now != host_xcr0)
		xsetbv(0, host_xcr0);
	__asm__ volatile("xsave64 %0"
			 : "+m"(*area)
			 : "a"((uint32_t)host_xcr0), "d"((uint32_t)(host_xcr0 >> 32))
			 : "memory");
}
