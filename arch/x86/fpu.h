/*
 * A guest's floating point and vector registers (x87, SSE, AVX, AVX-512, PKRU) and its XCR0. The
 * hypervisor uses none of them itself, so they stay the guest's from vCPU load to put. Privileged.
 */
#ifndef ARCH_X86_FPU_H
#define ARCH_X86_FPU_H

#include "arch/x86/features.h"
#include "lib/types.h"

/* As XSAVE (or FXSAVE) writes it, in the standard format: as many bytes as the CPU says, 64-byte
 * aligned. */
struct fpu_area {
	uint8_t legacy[512];
	uint64_t xstate_bv; /* which components below hold anything but their initial state */
	uint64_t xcomp_bv;  /* 0: standard format */
	uint64_t reserved[6];
	uint8_t extended[];
};

/* Memory for one vCPU's registers in their initial state, or NULL. heap_free() gives it back. */
struct fpu_area *fpu_area_alloc(void);

/* The state after power-on or reset. */
void fpu_area_init(struct fpu_area *area);

/* Makes the registers usable on this core, and XCR0 all that the hypervisor knows to switch. The
 * boot CPU comes first. */
void fpu_init_host_this_cpu(void);

/* Puts a vCPU's registers and its XCR0 into this core. The area must be what fpu_save or
 * fpu_area_init made; XCR0 must be legal (fpu_xcr0_legal). */
void fpu_load(const struct fpu_area *area, uint64_t guest_xcr0);

/* Takes them out again: all components, also those that the guest has switched off in its XCR0.
 * Gives the XCR0 that the guest left, for XSETBV need not be intercepted; one that the host does
 * not know is not given back (the old value stays). */
void fpu_save(struct fpu_area *area, uint64_t *guest_xcr0);

/* The protection-key rights of the guest whose registers are loaded. Only where it has keys. */
uint32_t fpu_guest_pkru(void);

/* Would XSETBV take this value from a guest that may use the components `allowed`? Pure
 * (arch/x86/xcr0.c). */
bool fpu_xcr0_legal(uint64_t xcr0, uint64_t allowed);

#endif
