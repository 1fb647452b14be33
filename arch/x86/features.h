/*
 * What a CPU can do, as this core's CPUID says. Decoding is pure (features.c); executing the
 * instruction is privileged.
 */
#ifndef ARCH_X86_FEATURES_H
#define ARCH_X86_FEATURES_H

#include "lib/types.h"

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

enum cpu_vendor {
	CPU_VENDOR_OTHER,
	CPU_VENDOR_INTEL,
	CPU_VENDOR_AMD, /* and Hygon */
};

/* Components of XCR0 that the hypervisor knows how to switch: it enables and shows no others. */
enum {
	XCR0_X87 = 1u << 0,
	XCR0_SSE = 1u << 1,
	XCR0_AVX = 1u << 2,
	XCR0_AVX512 = 7u << 5, /* mask registers and both halves of the upper registers */
	XCR0_PKRU = 1u << 9,
	XCR0_KNOWN = XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512 | XCR0_PKRU,
};

struct cpu_features {
	enum cpu_vendor vendor;
	char vendor_string[13];
	char brand[49]; /* without the blanks around it; empty if the CPU has none */
	uint32_t family, model;
	uint32_t max_basic, max_extended; /* last leaves; max_extended is 0 without any */
	uint32_t apic_id; /* of the core that executed CPUID: 32 bits with leaf 0Bh */
	uint8_t phys_bits;
	bool x2apic, tsc_deadline, invariant_tsc, page_1g, nx, smep, smap, umip;
	bool xsave, xsaves, rdtscp, rdrand, pku;
	bool fpu_error_ptr; /* XSAVE and XRSTOR always move the x87 error pointers */
	bool ibpb, auto_ibrs, md_clear, l1d_flush;
	bool arch_capabilities;  /* MSR IA32_ARCH_CAPABILITIES is there */
	uint64_t xcr0_supported; /* CPUID leaf 0Dh, of the known components; consistent sets only */
	uint32_t xsave_size; /* bytes for all of xcr0_supported, standard format; 512 without XSAVE
			      */
	/* virtualization, raw: each back end reads its own bits */
	bool virt_amd, virt_intel, hypervisor;
	uint32_t virt_amd_asids, virt_amd_features; /* CPUID Fn8000_000A */
	/* CPUID leaf 15h: TSC Hz = crystal_hz * tsc_ratio_num / tsc_ratio_den; 0 where not said */
	uint32_t tsc_ratio_den, tsc_ratio_num, crystal_hz;
};

/* Reads this core's features. `cpuid` is the instruction, or a test's table. Pure. */
void features_read(struct cpu_features *out,
		   struct cpuid_regs (*cpuid)(uint32_t leaf, uint32_t subleaf));

/*
 * Can a core with the features `other` work beside the boot CPU `boot`, which uses all that it has
 * for the hypervisor itself? Returns NULL, or the name of the first feature that is missing. Pure.
 */
const char *features_missing(const struct cpu_features *boot, const struct cpu_features *other);

/*
 * MSRC001_0055 (Interrupt Pending Message) of AMD's families 0Fh and 10h, in which firmware
 * switches C1E on: a halted core goes into a deeper state then, and its local APIC's timer stops.
 * BIOS and Kernel Developer's Guide for Family 10h, "Interrupt Pending and CMP-Halt Register";
 * Revision Guide for Family 10h, erratum 400. features_c1e: does this core have it?
 * features_c1e_off: the value without it. Pure.
 */
bool features_c1e(const struct cpu_features *f);
uint64_t features_c1e_off(uint64_t value);

#endif
