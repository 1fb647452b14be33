/*
 * A guest's CPU model; see cpu_model.h. Sources: AMD64 Architecture Programmer's Manual, volume 3,
 * "Obtaining Processor Information Via the CPUID Instruction"; Intel SDM, volume 2, "CPUID".
 * Pure.
 */
#include "guests/cpu_model.h"

#include "arch/x86/state.h"

#define B BIT32

/* Leaf 1 ECX. x2APIC, TSC-deadline and the hypervisor bit are ours, whatever the host has. */
#define LEAF1_ECX_OURS (B(21) | B(24) | B(31))
#define LEAF1_ECX_ALLOW                                                                        \
	(B(0) /* SSE3 */ | B(1) /* PCLMULQDQ */ | B(9) /* SSSE3 */ | B(12) /* FMA */ |         \
	 B(13) /* CMPXCHG16B */ | B(17) /* PCID */ | B(19) /* SSE4.1 */ | B(20) /* SSE4.2 */ | \
	 B(22) /* MOVBE */ | B(23) /* POPCNT */ | B(25) /* AES */ | B(26) /* XSAVE */ |        \
	 B(28) /* AVX */ | B(29) /* F16C */ | B(30) /* RDRAND */)
#define LEAF1_ECX_OSXSAVE B(27)
#define LEAF1_EDX_APIC    B(9)
/* The APIC and the MTRRs are ours; machine checks are there, with no bank. */
#define LEAF1_EDX_OURS (LEAF1_EDX_APIC | B(12) /* MTRR */ | B(7) /* MCE */ | B(14) /* MCA */)
#define LEAF1_EDX_ALLOW                                                                      \
	(B(0) /* FPU */ | B(1) /* VME */ | B(2) /* DE */ | B(3) /* PSE */ | B(4) /* TSC */ | \
	 B(5) /* MSR */ | B(6) /* PAE */ | B(8) /* CMPXCHG8B */ | B(11) /* SEP */ |          \
	 B(13) /* PGE */ | B(15) /* CMOV */ | B(16) /* PAT */ | B(17) /* PSE36 */ |          \
	 B(19) /* CLFLUSH */ | B(23) /* MMX */ | B(24) /* FXSR */ | B(25) /* SSE */ |        \
	 B(26) /* SSE2 */)

#define LEAF7_EBX_OURS B(1) /* TSC_ADJUST */
#define LEAF7_EBX_ALLOW                                                                   \
	(B(0) /* FSGSBASE */ | B(3) /* BMI1 */ | B(5) /* AVX2 */ | B(7) /* SMEP */ |      \
	 B(8) /* BMI2 */ | B(9) /* ERMS */ | B(10) /* INVPCID */ | B(16) /* AVX512F */ |  \
	 B(17) /* AVX512DQ */ | B(18) /* RDSEED */ | B(19) /* ADX */ | B(20) /* SMAP */ | \
	 B(21) /* AVX512IFMA */ | B(23) /* CLFLUSHOPT */ | B(24) /* CLWB */ |             \
	 B(28) /* AVX512CD */ | B(29) /* SHA */ | B(30) /* AVX512BW */ | B(31) /* AVX512VL */)
#define LEAF7_ECX_ALLOW                                                                        \
	(B(1) /* AVX512VBMI */ | B(2) /* UMIP */ | B(3) /* PKU */ | B(6) /* AVX512VBMI2 */ |   \
	 B(8) /* GFNI */ | B(9) /* VAES */ | B(10) /* VPCLMULQDQ */ | B(11) /* AVX512VNNI */ | \
	 B(12) /* AVX512BITALG */ | B(14) /* AVX512VPOPCNTDQ */ | B(22) /* RDPID */)
#define LEAF7_ECX_OSPKE B(4)
#define LEAF7_EDX_ALLOW (B(4) /* fast short REP MOV */)

#define EXT1_ECX_ALLOW                                                                          \
	(B(0) /* LAHF in 64-bit mode */ | B(4) /* MOV CR8 by LOCK MOV CR0 */ | B(5) /* ABM */ | \
	 B(6) /* SSE4A */ | B(7) /* misaligned SSE */ | B(8) /* PREFETCHW */)
/* AMD repeats much of leaf 1 here. */
#define EXT1_EDX_REPEATED 0x0183f3ffu
#define EXT1_EDX_ALLOW                                                                    \
	(((LEAF1_EDX_ALLOW | LEAF1_EDX_OURS) & EXT1_EDX_REPEATED) | B(11) /* SYSCALL */ | \
	 B(20) /* NX */ | B(22) /* MMX extensions */ | B(25) /* FFXSR */ |                \
	 B(26) /* 1 GiB pages */ | B(27) /* RDTSCP */ | B(29) /* long mode */)
#define EXT7_EDX_ALLOW B(8) /* invariant TSC */
#define EXT8_EBX_ALLOW (B(0) /* CLZERO */ | B(12) /* IBPB */)

/* Leaf 0Dh: EAX of subleaf 1, and ECX of a component's. */
#define XSTATE_XSAVEC  B(1)
#define XSTATE_XSAVES  B(3)
#define XSTATE_ALIGNED B(1) /* to 64 bytes, in the compacted format */

/* KVM's paravirtual leaves: CLOCKSOURCE2, a stable TSC, and no delay wanted after port accesses. */
#define PV_FEATURES_EAX (B(1) | B(3) | B(24))

static void basic_leaves(struct cpu_model *m, struct cpuid_regs (*cpuid)(uint32_t, uint32_t))
{
	struct cpuid_regs r = cpuid(0, 0);

	m->max_basic = MIN(r.eax, CPU_MODEL_BASIC_LEAVES - 1);
	r.eax = m->max_basic;
	m->basic[0] = r;

	r = cpuid(1, 0);
	r.ebx &= 0x0000ff00; /* CLFLUSH size; APIC ID and count are each vCPU's */
	r.ecx = (r.ecx & LEAF1_ECX_ALLOW) | LEAF1_ECX_OURS;
	r.edx = (r.edx & LEAF1_EDX_ALLOW) | LEAF1_EDX_OURS;
	m->basic[1] = r;

	if (m->max_basic >= 2)
		m->basic[2] = cpuid(2, 0);
	/* 3 (serial number), 4 (cache topology), 5 (MONITOR), 9 and 0Ah (counters) stay hidden */
	if (m->max_basic >= 6)
		m->basic[6].eax = B(2); /* the APIC timer always runs */
	if (m->max_basic >= 7) {
		r = cpuid(7, 0);
		m->basic[7].ebx = (r.ebx & LEAF7_EBX_ALLOW) | LEAF7_EBX_OURS;
		m->basic[7].ecx = r.ecx & LEAF7_ECX_ALLOW;
		m->basic[7].edx = r.edx & LEAF7_EDX_ALLOW;
	}
}

static void extended_leaves(struct cpu_model *m, struct cpuid_regs (*cpuid)(uint32_t, uint32_t))
{
	struct cpuid_regs r = cpuid(0x80000000, 0);

	m->max_extended = MIN(r.eax, 0x80000000u + CPU_MODEL_EXTENDED_LEAVES - 1);
	for (uint32_t leaf = 0x80000000; leaf <= m->max_extended; leaf++)
		m->extended[leaf - 0x80000000] = cpuid(leaf, 0);
	m->extended[0].eax = m->max_extended;
	m->extended[1].ecx &= EXT1_ECX_ALLOW;
	m->extended[1].edx &= EXT1_EDX_ALLOW;
	m->extended[7] = (struct cpuid_regs){.edx = m->extended[7].edx & EXT7_EDX_ALLOW};
	m->extended[8].ebx &= EXT8_EBX_ALLOW;
	/* bits of physical addresses; of linear ones no more than 4 levels translate, with LA57
	 * hidden */
	m->extended[8].eax =
		(m->extended[8].eax & 0xff) | MIN(m->extended[8].eax & 0xff00, 48u << 8);
	m->extended[8].ecx = 0; /* the number of cores is the guest's own */
	m->extended[8].edx = 0;
}

/* Components go in groups: a later part of AVX-512 without the others is not legal in XCR0. */
static void xstate_leaves(struct cpu_model *m, struct cpuid_regs (*cpuid)(uint32_t, uint32_t),
			  uint64_t host_xcr0, bool xsaves)
{
	if (!(m->basic[1].ecx & B(26)) || m->max_basic < 0xd || !host_xcr0)
		return;
	m->xcr0 = host_xcr0;
	m->xstate[0] =
		(struct cpuid_regs){.eax = (uint32_t)m->xcr0, .edx = (uint32_t)(m->xcr0 >> 32)};
	/* Not XFD. ECX and EDX stay 0: no supervisor component. */
	m->xstate[1].eax = cpuid(0xd, 1).eax & (B(0) /* XSAVEOPT */ | XSTATE_XSAVEC |
						B(2) /* XGETBV 1 */ | XSTATE_XSAVES);
	if (!xsaves)
		m->xstate[1].eax &= ~XSTATE_XSAVES;
	for (uint32_t i = 2; i < CPU_MODEL_XSTATE_LEAVES - 1; i++) {
		if (!(m->xcr0 & BIT(i)))
			continue;
		m->xstate[i] = cpuid(0xd, i);
		m->xstate[i].ecx &= XSTATE_ALIGNED;
		m->xstate[i].edx = 0;
	}
	m->xstate[0].ecx = cpu_model_xsave_size(m, m->xcr0);
}

/* A feature that works by extended state is not there without that state. */
static void drop_without_state(struct cpu_model *m)
{
	static const uint32_t avx512_ebx = B(16) | B(17) | B(21) | B(28) | B(30) | B(31);
	static const uint32_t avx512_ecx = B(1) | B(6) | B(11) | B(12) | B(14);

	if (!m->xcr0)
		m->basic[1].ecx &= ~B(26);
	if (!(m->xcr0 & BIT(2))) {
		m->basic[1].ecx &= ~(B(12) | B(28) | B(29));
		m->basic[7].ebx &= ~B(5);
		m->basic[7].ecx &= ~(B(9) | B(10));
	}
	if ((m->xcr0 & (BIT(5) | BIT(6) | BIT(7))) != (BIT(5) | BIT(6) | BIT(7))) {
		m->basic[7].ebx &= ~avx512_ebx;
		m->basic[7].ecx &= ~avx512_ecx;
	}
	if (!(m->xcr0 & BIT(9)))
		m->basic[7].ecx &= ~B(3);
}

static uint64_t allowed_cr4(const struct cpu_model *m)
{
	static const struct {
		uint8_t leaf; /* 1 or 7 */
		char reg;     /* 'b', 'c', 'd' */
		uint8_t bit;
		uint64_t cr4;
	} by_feature[] = {
		{1, 'd', 1, CR4_VME | CR4_PVI},
		{1, 'd', 4, CR4_TSD},
		{1, 'd', 2, CR4_DE},
		{1, 'd', 3, CR4_PSE},
		{1, 'd', 6, CR4_PAE},
		{1, 'd', 13, CR4_PGE},
		{1, 'd', 24, CR4_OSFXSR},
		{1, 'd', 25, CR4_OSXMMEXCPT},
		{1, 'c', 17, CR4_PCIDE},
		{1, 'c', 26, CR4_OSXSAVE},
		{7, 'b', 0, CR4_FSGSBASE},
		{7, 'b', 7, CR4_SMEP},
		{7, 'b', 20, CR4_SMAP},
		{7, 'c', 2, CR4_UMIP},
		{7, 'c', 3, CR4_PKE},
	};
	uint64_t cr4 = CR4_MCE | CR4_PCE;

	for (unsigned i = 0; i < ARRAY_SIZE(by_feature); i++) {
		const struct cpuid_regs *r = &m->basic[by_feature[i].leaf];
		uint32_t reg = by_feature[i].reg == 'b'   ? r->ebx
			       : by_feature[i].reg == 'c' ? r->ecx
							  : r->edx;

		if (reg & B(by_feature[i].bit))
			cr4 |= by_feature[i].cr4;
	}
	return cr4;
}

void cpu_model_init(struct cpu_model *m,
		    struct cpuid_regs (*cpuid)(uint32_t leaf, uint32_t subleaf), uint64_t host_xcr0,
		    bool xsaves, uint64_t tsc_hz)
{
	*m = (struct cpu_model){0};
	basic_leaves(m, cpuid);
	extended_leaves(m, cpuid);
	xstate_leaves(m, cpuid, host_xcr0, xsaves);
	drop_without_state(m);
	m->cr4 = allowed_cr4(m);
	m->efer = EFER_SCE | EFER_LME | EFER_LMA;
	if (m->extended[1].edx & B(20))
		m->efer |= EFER_NXE;
	if (m->extended[1].edx & B(25))
		m->efer |= EFER_FFXSR;
	m->tsc_khz = (uint32_t)(tsc_hz / 1000);
	m->phys_bits = m->max_extended >= 0x80000008 ? (uint8_t)m->extended[8].eax : 36;
	m->has_rdtscp = (m->extended[1].edx & B(27)) || (m->basic[7].ecx & B(22));
	m->has_xsaves = m->xstate[1].eax & XSTATE_XSAVES;
	m->has_ibpb = m->extended[8].ebx & B(12);
}

uint32_t cpu_model_xsave_size(const struct cpu_model *m, uint64_t xcr0)
{
	uint32_t size = 512 + 64;

	for (unsigned i = 2; i < CPU_MODEL_XSTATE_LEAVES - 1; i++) {
		if (xcr0 & m->xcr0 & BIT(i))
			size = MAX(size, m->xstate[i].eax + m->xstate[i].ebx);
	}
	return size;
}

uint32_t cpu_model_xsavec_size(const struct cpu_model *m, uint64_t xcr0)
{
	uint32_t size = 512 + 64;

	for (unsigned i = 2; i < CPU_MODEL_XSTATE_LEAVES - 1; i++) {
		if (!(xcr0 & m->xcr0 & BIT(i)))
			continue;
		if (m->xstate[i].ecx & XSTATE_ALIGNED)
			size = (size + 63) & ~63u;
		size += m->xstate[i].eax;
	}
	return size;
}

static struct cpuid_regs topology(uint32_t subleaf, const struct cpuid_dynamic *d)
{
	struct cpuid_regs r = {.ecx = subleaf & 0xff, .edx = d->apic_id};

	/* one thread a core, all cores in one package */
	if (subleaf == 0) {
		r.ebx = 1;
		r.ecx |= 1u << 8;
	} else if (subleaf == 1) {
		while ((1u << r.eax) < d->n_vcpus)
			r.eax++;
		r.ebx = d->n_vcpus;
		r.ecx |= 2u << 8;
	}
	return r;
}

static struct cpuid_regs paravirtual(const struct cpu_model *m, uint32_t leaf)
{
	switch (leaf - CPU_MODEL_PV_BASE) {
	case 0: /* "KVMKVMKVM", and the last leaf */
		return (struct cpuid_regs){CPU_MODEL_PV_BASE + 0x10, 0x4b4d564b, 0x564b4d56, 0x4d};
	case 1:
		return (struct cpuid_regs){.eax = PV_FEATURES_EAX};
	case 0x10: /* frequencies in kHz: TSC, and the APIC timer's input */
		return (struct cpuid_regs){.eax = m->tsc_khz, .ebx = 1000000};
	default:
		return (struct cpuid_regs){0};
	}
}

static struct cpuid_regs basic(const struct cpu_model *m, uint32_t leaf, uint32_t subleaf,
			       const struct cpuid_dynamic *d)
{
	struct cpuid_regs r = m->basic[leaf];

	switch (leaf) {
	case 1:
		r.ebx |= d->apic_id << 24 | d->n_vcpus << 16;
		if (d->n_vcpus > 1)
			r.edx |= B(28);
		if (d->cr4 & CR4_OSXSAVE)
			r.ecx |= LEAF1_ECX_OSXSAVE;
		if (!d->apic_on)
			r.edx &= ~LEAF1_EDX_APIC;
		return r;
	case 7:
		if (subleaf)
			return (struct cpuid_regs){0};
		if (d->cr4 & CR4_PKE)
			r.ecx |= LEAF7_ECX_OSPKE;
		return r;
	case 0xb:
		return topology(subleaf, d);
	case 0xd:
		if (subleaf >= CPU_MODEL_XSTATE_LEAVES)
			return (struct cpuid_regs){0};
		r = m->xstate[subleaf];
		if (subleaf == 0 && m->xcr0)
			r.ebx = cpu_model_xsave_size(m, d->xcr0);
		/* IA32_XSS is 0 */
		if (subleaf == 1 && (r.eax & (XSTATE_XSAVEC | XSTATE_XSAVES)))
			r.ebx = cpu_model_xsavec_size(m, d->xcr0);
		return r;
	default:
		return r;
	}
}

struct cpuid_regs cpu_model_cpuid(const struct cpu_model *m, uint32_t leaf, uint32_t subleaf,
				  const struct cpuid_dynamic *d)
{
	struct cpuid_regs r;

	if (leaf <= m->max_basic)
		return basic(m, leaf, subleaf, d);
	if (leaf >= 0x80000000 && leaf <= m->max_extended) {
		r = m->extended[leaf - 0x80000000];
		if (leaf == 0x80000001 && !d->apic_on)
			r.edx &= ~LEAF1_EDX_APIC;
		return r;
	}
	if (leaf - CPU_MODEL_PV_BASE < 0x100)
		return paravirtual(m, leaf);
	/* AMD's processors answer zeros beyond the last leaf */
	return (struct cpuid_regs){0};
}
