/*
 * The CPU model of a guest, made from the tables of real CPUs, of one that has everything and of
 * random ones: what is hidden, what follows the vCPU's own state, sizes of extended state, leaves
 * out of range.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86/state.h"
#include "guests/cpu_model.h"
#include "tests/unit/cpuid_tables.h"

static struct cpu_model m;

static const struct cpuid_dynamic plain = {.xcr0 = 1, .n_vcpus = 1, .apic_on = true};

static struct cpuid_regs ask(uint32_t leaf, uint32_t subleaf)
{
	return cpu_model_cpuid(&m, leaf, subleaf, &plain);
}

static struct cpuid_regs ask_with(uint32_t leaf, uint32_t subleaf, struct cpuid_dynamic d)
{
	return cpu_model_cpuid(&m, leaf, subleaf, &d);
}

static bool is_zero(struct cpuid_regs r)
{
	return !(r.eax | r.ebx | r.ecx | r.edx);
}

static bool xsaves; /* the back end can let it through */

static void make(uint64_t xcr0)
{
	memset(&m, 0x5a, sizeof(m));
	cpu_model_init(&m, table_cpuid, xcr0, xsaves, 2999999999);
}

/* ---- features by name ---- */

enum {
	EBX = 1,
	ECX,
	EDX
};

struct feature {
	const char *name;
	uint32_t leaf;
	int reg, bit;
};

static bool has(struct feature f)
{
	struct cpuid_regs r = ask(f.leaf, 0);

	return (f.reg == EBX ? r.ebx : f.reg == ECX ? r.ecx : r.edx) >> f.bit & 1;
}

/* Never shown, whatever the host has. */
static const struct feature hidden[] = {
	{"DTES64", 1, ECX, 2},
	{"MONITOR", 1, ECX, 3},
	{"DS-CPL", 1, ECX, 4},
	{"VMX", 1, ECX, 5},
	{"SMX", 1, ECX, 6},
	{"EST", 1, ECX, 7},
	{"TM2", 1, ECX, 8},
	{"CNXT-ID", 1, ECX, 10},
	{"SDBG", 1, ECX, 11},
	{"xTPR", 1, ECX, 14},
	{"PDCM", 1, ECX, 15},
	{"DCA", 1, ECX, 18},
	{"OSXSAVE", 1, ECX, 27},
	{"PSN", 1, EDX, 18},
	{"DS", 1, EDX, 21},
	{"ACPI", 1, EDX, 22},
	{"SS", 1, EDX, 27},
	{"HTT", 1, EDX, 28},
	{"TM", 1, EDX, 29},
	{"PBE", 1, EDX, 31},
	{"SGX", 7, EBX, 2},
	{"HLE", 7, EBX, 4},
	{"RTM", 7, EBX, 11},
	{"PQM", 7, EBX, 12},
	{"MPX", 7, EBX, 14},
	{"PT", 7, EBX, 25},
	{"OSPKE", 7, ECX, 4},
	{"WAITPKG", 7, ECX, 5},
	{"CET_SS", 7, ECX, 7},
	{"LA57", 7, ECX, 16},
	{"KL", 7, ECX, 23},
	{"ENQCMD", 7, ECX, 29},
	{"PKS", 7, ECX, 31},
	{"PCONFIG", 7, EDX, 18},
	{"CET_IBT", 7, EDX, 20},
	{"AMX", 7, EDX, 24},
	{"IBRS", 7, EDX, 26},
	{"STIBP", 7, EDX, 27},
	{"ARCH_CAP", 7, EDX, 29},
	{"SSBD", 7, EDX, 31},
	{"SVM", 0x80000001, ECX, 2},
	{"EXTAPIC", 0x80000001, ECX, 3},
	{"OSVW", 0x80000001, ECX, 9},
	{"IBS", 0x80000001, ECX, 10},
	{"XOP", 0x80000001, ECX, 11},
	{"SKINIT", 0x80000001, ECX, 12},
	{"WDT", 0x80000001, ECX, 13},
	{"LWP", 0x80000001, ECX, 15},
	{"FMA4", 0x80000001, ECX, 16},
	{"TCE", 0x80000001, ECX, 17},
	{"PERFCTR", 0x80000001, ECX, 23},
	{"MONITORX", 0x80000001, ECX, 29},
	{"IBRS", 0x80000008, EBX, 14},
	{"SSBD", 0x80000008, EBX, 24},
	{"WBNOINVD", 0x80000008, EBX, 9},
};

/* Shown whatever the host has: Skerry provides them. */
static const struct feature ours[] = {
	{"x2APIC", 1, ECX, 21}, {"TSC-deadline", 1, ECX, 24}, {"hypervisor", 1, ECX, 31},
	{"APIC", 1, EDX, 9},    {"MTRR", 1, EDX, 12},         {"MCE", 1, EDX, 7},
	{"MCA", 1, EDX, 14},    {"TSC_ADJUST", 7, EBX, 1},
};

static void check_always(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(hidden); i++)
		if (has(hidden[i]))
			fail_msg("%s is shown", hidden[i].name);
	for (unsigned i = 0; i < ARRAY_SIZE(ours); i++)
		if (ours[i].leaf <= m.max_basic && !has(ours[i]))
			fail_msg("%s is missing", ours[i].name);
	assert_true(is_zero(ask(3, 0)) && is_zero(ask(4, 0)) && is_zero(ask(5, 0)));
	assert_true(is_zero(ask(9, 0)) && is_zero(ask(0xa, 0)));
	for (uint32_t leaf = m.max_basic + 1; leaf < m.max_basic + 40; leaf++)
		assert_true(is_zero(ask(leaf, 0)));
	/* 8000000Ah is SVM's */
	for (uint32_t leaf = 0x80000009; leaf < 0x80000030; leaf++)
		assert_true(is_zero(ask(leaf, 0)));
	assert_int_equal(ask(0x80000008, 0).ecx, 0);
}

/* ---- real CPUs ---- */

static void test_epyc(void **state)
{
	static const struct feature there[] = {
		{"SSE3", 1, ECX, 0},
		{"SSE4.2", 1, ECX, 20},
		{"AES", 1, ECX, 25},
		{"XSAVE", 1, ECX, 26},
		{"AVX", 1, ECX, 28},
		{"RDRAND", 1, ECX, 30},
		{"FPU", 1, EDX, 0},
		{"PAE", 1, EDX, 6},
		{"PGE", 1, EDX, 13},
		{"SSE2", 1, EDX, 26},
		{"FSGSBASE", 7, EBX, 0},
		{"AVX2", 7, EBX, 5},
		{"SMEP", 7, EBX, 7},
		{"SMAP", 7, EBX, 20},
		{"NX", 0x80000001, EDX, 20},
		{"1 GiB pages", 0x80000001, EDX, 26},
		{"long mode", 0x80000001, EDX, 29},
		{"SYSCALL", 0x80000001, EDX, 11},
		{"LAHF", 0x80000001, ECX, 0},
	};
	struct cpuid_regs r;

	(void)state;
	use(qemu_epyc);
	make(7);
	check_always();
	for (unsigned i = 0; i < ARRAY_SIZE(there); i++)
		if (!has(there[i]))
			fail_msg("%s is missing", there[i].name);
	r = ask(0, 0);
	assert_int_equal(r.eax, 0xd);
	assert_int_equal(r.ebx, 0x68747541);
	assert_int_equal(ask(1, 0).eax, 0x00800f12);
	assert_int_equal(ask(1, 0).ebx, 0x00010800); /* this vCPU is number 0, of 1 */
	assert_int_equal(ask(0x80000000, 0).eax, 0x80000008);
	assert_int_equal(ask(0x80000002, 0).eax, 0x20444d41);
	assert_int_equal(ask(0x80000008, 0).eax, 0x3028);
	assert_int_equal(m.phys_bits, 40);
	assert_int_equal(m.tsc_khz, 2999999);
	assert_int_equal(m.efer, EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE);
	assert_int_equal(m.cr4, CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE |
					CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE | CR4_OSXSAVE |
					CR4_SMEP | CR4_SMAP);
	assert_int_equal(m.xcr0, 7);
	assert_true(m.has_rdtscp);
	assert_false(m.has_ibpb);
}

static void test_max(void **state)
{
	(void)state;
	use(qemu_max);
	make(XCR0_KNOWN & 0x21f);
	check_always();
	assert_int_equal(m.xcr0, 0x207); /* MPX is not switched */
	assert_true(m.cr4 & CR4_UMIP);
	assert_true(m.cr4 & CR4_PKE);
	assert_false(m.cr4 & (CR4_LA57 | CR4_VMXE));
	assert_true(has((struct feature){"PKU", 7, ECX, 3}));
	/* the host has 57 linear bits; with LA57 hidden a guest has 48 */
	assert_int_equal(ask(0x80000008, 0).eax, 0x3028);
	assert_int_equal(m.phys_bits, 40);
	/* without the PKRU state no protection keys */
	make(7);
	assert_false(has((struct feature){"PKU", 7, ECX, 3}));
	assert_false(m.cr4 & CR4_PKE);
}

static void test_intel(void **state)
{
	static const struct feature avx512[] = {
		{"F", 7, EBX, 16},    {"DQ", 7, EBX, 17},        {"CD", 7, EBX, 28},
		{"BW", 7, EBX, 30},   {"VL", 7, EBX, 31},        {"VBMI", 7, ECX, 1},
		{"VNNI", 7, ECX, 11}, {"VPOPCNTDQ", 7, ECX, 14},
	};

	(void)state;
	use(intel_server);
	make(XCR0_KNOWN);
	check_always();
	assert_int_equal(ask(0, 0).eax,
			 0xd); /* frequency and topology leaves of the host are not the guest's */
	for (unsigned i = 0; i < ARRAY_SIZE(avx512); i++)
		assert_true(has(avx512[i]));
	assert_int_equal(m.phys_bits, 0x34);
	assert_true(m.cr4 & CR4_PCIDE);
	/* without its state AVX-512 is hidden as a whole, half of it is none */
	for (unsigned drop = 5; drop <= 8; drop++) {
		make(drop == 8 ? 7 : XCR0_KNOWN & ~BIT(drop));
		for (unsigned i = 0; i < ARRAY_SIZE(avx512); i++)
			assert_false(has(avx512[i]));
		assert_true(has((struct feature){"AVX2", 7, EBX, 5}));
	}
	/* without the state of AVX what needs it goes too */
	make(3);
	assert_false(has((struct feature){"AVX", 1, ECX, 28}));
	assert_false(has((struct feature){"FMA", 1, ECX, 12}));
	assert_false(has((struct feature){"F16C", 1, ECX, 29}));
	assert_false(has((struct feature){"AVX2", 7, EBX, 5}));
	assert_false(has((struct feature){"VAES", 7, ECX, 9}));
	assert_true(has((struct feature){"XSAVE", 1, ECX, 26}));
}

/* ---- extended state ---- */

static void test_xsave(void **state)
{
	(void)state;
	use(intel_server);
	make(XCR0_KNOWN);
	assert_int_equal(ask(0xd, 0).eax, XCR0_KNOWN);
	assert_int_equal(ask(0xd, 0).edx, 0);
	assert_int_equal(ask(0xd, 0).ecx,
			 0xa88);              /* all that the guest may enable: not AMX's 11 KiB */
	assert_int_equal(ask(0xd, 1).eax, 7); /* XSAVEOPT, XSAVEC, XGETBV 1; not XSAVES, XFD */
	assert_int_equal(ask(0xd, 1).ecx | ask(0xd, 1).edx, 0);
	assert_int_equal(ask(0xd, 2).eax, 0x100);
	assert_int_equal(ask(0xd, 7).ebx, 0x680);
	assert_true(is_zero(ask(0xd, 3)));
	assert_true(is_zero(ask(0xd, 17)) && is_zero(ask(0xd, 18)));
	assert_true(is_zero(ask(0xd, 63)) && is_zero(ask(0xd, 64)) &&
		    is_zero(ask(0xd, UINT32_MAX)));
	/* EBX follows XCR0 */
	assert_int_equal(ask_with(0xd, 0, (struct cpuid_dynamic){.xcr0 = 1}).ebx, 576);
	assert_int_equal(ask_with(0xd, 0, (struct cpuid_dynamic){.xcr0 = 3}).ebx, 576);
	assert_int_equal(ask_with(0xd, 0, (struct cpuid_dynamic){.xcr0 = 7}).ebx, 0x340);
	assert_int_equal(ask_with(0xd, 0, (struct cpuid_dynamic){.xcr0 = 0xe7}).ebx, 0xa80);
	assert_int_equal(ask_with(0xd, 0, (struct cpuid_dynamic){.xcr0 = 0x2e7}).ebx, 0xa88);
	assert_int_equal(ask_with(0xd, 0, (struct cpuid_dynamic){.xcr0 = 0x203}).ebx, 0xa88);
	/* in the compacted format what is off takes no room */
	assert_int_equal(ask_with(0xd, 1, (struct cpuid_dynamic){.xcr0 = 3}).ebx, 576);
	assert_int_equal(ask_with(0xd, 1, (struct cpuid_dynamic){.xcr0 = 7}).ebx, 576 + 256);
	assert_int_equal(ask_with(0xd, 1, (struct cpuid_dynamic){.xcr0 = 0x203}).ebx, 576 + 8);
	assert_int_equal(ask_with(0xd, 1, (struct cpuid_dynamic){.xcr0 = 0x2e7}).ebx,
			 576 + 256 + 0x640 + 8);
	m.xstate[9].ecx = 2; /* at a multiple of 64 */
	m.xstate[5].eax = 8;
	assert_int_equal(ask_with(0xd, 1, (struct cpuid_dynamic){.xcr0 = 0x223}).ebx, 576 + 64 + 8);
	make(XCR0_KNOWN);
	/* what the guest cannot have enabled counts nothing */
	assert_int_equal(cpu_model_xsave_size(&m, UINT64_MAX), 0xa88);
	assert_int_equal(cpu_model_xsave_size(&m, BIT(17) | BIT(18)), 576);
}

/* XSAVES with no supervisor component, and the sizes of the compacted format. */
static void test_xsaves(void **state)
{
	static const struct {
		uint64_t xcr0;
		uint32_t size;
	} compacted[] = {
		{1, 576},
		{3, 576},
		{7, 576 + 0x100},
		{0x203, 576 + 8},
		{0x207, 576 + 0x100 + 8},
		{0xe7, 576 + 0x100 + 0x40 + 0x200 + 0x400},
		{0x2e7, 576 + 0x100 + 0x40 + 0x200 + 0x400 + 8},
		{UINT64_MAX, 576 + 0x100 + 0x40 + 0x200 + 0x400 + 8},
	};

	(void)state;
	use(intel_server);
	make(XCR0_KNOWN);
	assert_false(m.has_xsaves); /* VMX cannot enable it */
	xsaves = true;
	make(XCR0_KNOWN);
	assert_true(m.has_xsaves);
	assert_int_equal(ask(0xd, 1).eax, 0xf);
	assert_int_equal(ask(0xd, 1).ecx | ask(0xd, 1).edx, 0); /* 0x1900 on the host */
	for (unsigned i = 0; i < ARRAY_SIZE(compacted); i++) {
		struct cpuid_dynamic d = {.xcr0 = compacted[i].xcr0};

		assert_int_equal(ask_with(0xd, 1, d).ebx, compacted[i].size);
	}
	/* a component's alignment counts, and is shown; that it faults on first use is not */
	row(0xd, 9)->ecx = 6;
	row(0xd, 9)->edx = 1;
	row(0xd, 2)->eax = 0x108;
	make(XCR0_KNOWN);
	assert_int_equal(ask(0xd, 9).ecx, 2);
	assert_int_equal(ask(0xd, 9).edx, 0);
	assert_int_equal(ask_with(0xd, 1, (struct cpuid_dynamic){.xcr0 = 0x207}).ebx,
			 576 + 0x140 + 8);
	/* the host has it not, or has no state to keep by it */
	row(0xd, 1)->eax = 5;
	make(XCR0_KNOWN);
	assert_false(m.has_xsaves);
	assert_int_equal(ask(0xd, 1).ebx, 0);
	row(0xd, 1)->eax = 0xf;
	make(0);
	assert_false(m.has_xsaves);
	assert_true(is_zero(ask(0xd, 1)));
	xsaves = false;
}

/* No extended state: no XSAVE, in no way. */
static void test_no_xsave(void **state)
{
	(void)state;
	for (unsigned how = 0; how < 3; how++) {
		use(qemu_epyc);
		if (how == 0)
			row(1, 0)->ecx &= ~BIT32(26);
		if (how == 1)
			row(0, 0)->eax = 7; /* the leaf is missing */
		make(how == 2 ? 0 : 7);     /* the hypervisor cannot switch it */
		assert_false(has((struct feature){"XSAVE", 1, ECX, 26}));
		assert_false(has((struct feature){"AVX", 1, ECX, 28}));
		assert_false(has((struct feature){"AVX2", 7, EBX, 5}));
		assert_int_equal(m.xcr0, 0);
		assert_false(m.cr4 & CR4_OSXSAVE);
		for (uint32_t sub = 0; sub < 4; sub++)
			assert_true(is_zero(ask(0xd, sub)));
	}
}

/* ---- what follows the vCPU ---- */

static void test_dynamic_bits(void **state)
{
	struct cpuid_dynamic d = plain;

	(void)state;
	use(qemu_max);
	make(XCR0_KNOWN & 0x21f);
	d.cr4 = CR4_OSXSAVE;
	assert_int_equal(ask_with(1, 0, d).ecx ^ ask(1, 0).ecx, BIT32(27));
	assert_int_equal(ask_with(7, 0, d).ecx, ask(7, 0).ecx);
	d.cr4 = CR4_PKE;
	assert_int_equal(ask_with(7, 0, d).ecx ^ ask(7, 0).ecx, BIT32(4));
	assert_true(is_zero(ask_with(7, 1, d)));
	assert_true(is_zero(ask_with(7, UINT32_MAX, d)));
	d = plain;
	d.apic_on = false;
	assert_int_equal(ask_with(1, 0, d).edx ^ ask(1, 0).edx, BIT32(9));
	assert_int_equal(ask_with(0x80000001, 0, d).edx ^ ask(0x80000001, 0).edx, BIT32(9));
	assert_int_equal(ask_with(0x80000001, 0, d).ecx, ask(0x80000001, 0).ecx);
	d = plain;
	d.apic_id = 0x57;
	d.n_vcpus = 12;
	assert_int_equal(ask_with(1, 0, d).ebx, 0x570c0800);
	assert_true(ask_with(1, 0, d).edx & BIT32(28));
}

static void test_topology(void **state)
{
	struct cpuid_regs r;

	(void)state;
	use(qemu_max);
	make(7);
	for (uint32_t n = 1; n <= 64; n++) {
		struct cpuid_dynamic d = {.apic_id = n - 1, .n_vcpus = n, .apic_on = true};

		r = ask_with(0xb, 0, d); /* threads of a core: one */
		assert_int_equal(r.eax, 0);
		assert_int_equal(r.ebx, 1);
		assert_int_equal(r.ecx, 0x100);
		assert_int_equal(r.edx, n - 1);
		r = ask_with(0xb, 1, d); /* cores of the package: all */
		assert_true(1u << r.eax >= n);
		assert_true(r.eax == 0 || 1u << (r.eax - 1) < n);
		assert_int_equal(r.ebx, n);
		assert_int_equal(r.ecx, 0x201);
		assert_int_equal(r.edx, n - 1);
		r = ask_with(0xb, 2, d); /* no further level */
		assert_int_equal(r.eax | r.ebx, 0);
		assert_int_equal(r.ecx, 2);
		assert_int_equal(r.edx, n - 1);
	}
	/* ECX repeats the low byte of what was asked */
	assert_int_equal(ask(0xb, 0x12345).ecx, 0x45);
}

static void test_paravirtual(void **state)
{
	struct cpuid_regs r;

	(void)state;
	use(qemu_max);
	make(7);
	r = ask(0x40000000, 0);
	assert_int_equal(r.eax, 0x40000010);
	assert_memory_equal(&r.ebx, "KVMKVMKVM\0\0\0", 12);
	r = ask(0x40000001, 0);
	assert_int_equal(r.eax, BIT32(1) | BIT32(3) | BIT32(24));
	assert_int_equal(r.ebx | r.ecx | r.edx, 0);
	r = ask(0x40000010, 0);
	assert_int_equal(r.eax, 2999999);
	assert_int_equal(r.ebx, 1000000);
	assert_true(is_zero(ask(0x40000002, 0)) && is_zero(ask(0x40000011, 0)));
	assert_true(is_zero(ask(0x400000ff, 0)) && is_zero(ask(0x40000100, 0)));
	assert_true(is_zero(ask(0x3fffffff, 0)));
}

/* The short cut never answers otherwise than the long way. */
static void check_fixed(uint32_t leaf)
{
	static const struct cpuid_dynamic states[] = {
		{.xcr0 = 1, .n_vcpus = 1, .apic_on = true},
		{.cr4 = CR4_OSXSAVE | CR4_PKE, .xcr0 = 7, .apic_id = 3, .n_vcpus = 4},
	};
	const struct cpuid_regs *fixed = cpu_model_fixed(&m, leaf);

	for (unsigned i = 0; fixed && i < ARRAY_SIZE(states); i++) {
		for (uint32_t sub = 0; sub < 3; sub++) {
			struct cpuid_regs r = cpu_model_cpuid(&m, leaf, sub, &states[i]);

			assert_memory_equal(fixed, &r, sizeof(r));
		}
	}
}

static void test_fixed_leaves(void **state)
{
	(void)state;
	use(qemu_max);
	make(7);
	for (uint32_t leaf = 0; leaf < 64; leaf++) {
		check_fixed(leaf);
		check_fixed(0x40000000 + leaf);
		check_fixed(0x80000000 + leaf);
		check_fixed(0x7fffffff - leaf);
		check_fixed(0xffffffff - leaf);
	}
	assert_non_null(cpu_model_fixed(&m, 0));
	assert_non_null(cpu_model_fixed(&m, 0x80000008));
	assert_null(cpu_model_fixed(&m, 1));
}

/* ---- CPUs that nobody makes ---- */

static struct cpuid_regs all_ones(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	if (leaf == 0)
		return (struct cpuid_regs){0x20, UINT32_MAX, UINT32_MAX, UINT32_MAX};
	if (leaf == 0xd)
		return (struct cpuid_regs){0x40, 0x240, 0, 0};
	return (struct cpuid_regs){UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
}

/* One that has every bit set shows the allow-lists themselves. */
static void test_everything(void **state)
{
	(void)state;
	memset(&m, 0x5a, sizeof(m));
	cpu_model_init(&m, all_ones, XCR0_KNOWN, xsaves, NS_PER_S);
	check_always();
	assert_int_equal(m.max_basic, 0xd);
	assert_int_equal(m.max_extended, 0x80000008);
	/* written down once more, as a guard against bits that slip in */
	assert_int_equal(ask(1, 0).ecx, 0xf7fa3203 & ~BIT32(27));
	assert_int_equal(ask(1, 0).edx, 0x078bfbff);
	assert_int_equal(ask(7, 0).ebx, 0xf1bf07ab);
	assert_int_equal(ask(7, 0).ecx, 0x00405f4e);
	assert_int_equal(ask(7, 0).edx, 0x00000010);
	assert_int_equal(ask(0x80000001, 0).ecx, 0x000001f1);
	assert_int_equal(ask(0x80000001, 0).edx, 0x2fd3fbff);
	assert_int_equal(ask(0x80000007, 0).edx, 0x00000100);
	assert_int_equal(ask(0x80000007, 0).eax | ask(0x80000007, 0).ebx | ask(0x80000007, 0).ecx,
			 0);
	assert_int_equal(ask(0x80000008, 0).ebx, 0x00001001);
	assert_int_equal(ask(6, 0).eax, 4);
	assert_int_equal(ask(6, 0).ecx, 0);
	assert_int_equal(m.cr4, 0x00770fff);
}

static struct cpuid_regs nothing(uint32_t leaf, uint32_t subleaf)
{
	(void)leaf;
	(void)subleaf;
	return (struct cpuid_regs){0};
}

/* One whose CPUID has no leaves: the model is poor, and no answer comes from outside of it. */
static void test_nothing(void **state)
{
	(void)state;
	memset(&m, 0x5a, sizeof(m));
	cpu_model_init(&m, nothing, 0, xsaves, 0);
	assert_int_equal(m.max_basic, 0);
	assert_true(is_zero(ask(0x80000000, 0)));
	assert_true(is_zero(ask(0x80000001, 0)));
	assert_true(is_zero(ask(0x80001000, 0)));
	assert_true(is_zero(ask(0xffffffff, 0)));
	assert_true(is_zero(ask(7, 0)));
	assert_null(cpu_model_fixed(&m, 0x80000000));
	assert_null(cpu_model_fixed(&m, 0x80001000));
	assert_int_equal(m.phys_bits, 36); /* what the architecture says where CPUID does not */
	assert_int_equal(m.xcr0, 0);
}

static uint64_t seed;

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static struct cpuid_regs any(uint32_t leaf, uint32_t subleaf)
{
	uint64_t a = mix(seed + leaf * 0x10001ull + subleaf), b = mix(a);
	struct cpuid_regs r = {(uint32_t)a, (uint32_t)(a >> 32), (uint32_t)b, (uint32_t)(b >> 32)};

	if (leaf == 0)
		r.eax &= 0x1f;
	if (leaf == 0x80000000 && (seed & 1))
		r.eax = 0x80000000 | (r.eax & 0x1f);
	return r;
}

static void test_random_hosts(void **state)
{
	(void)state;
	for (seed = 1; seed < 3000; seed++) {
		uint64_t xcr0 = mix(seed) & XCR0_KNOWN;

		cpu_model_init(&m, any, xcr0, xsaves, NS_PER_S);
		for (unsigned i = 0; i < ARRAY_SIZE(hidden); i++)
			assert_false(has(hidden[i]));
		/* nothing is shown that neither the host has nor Skerry provides */
		assert_int_equal(ask(1, 0).ecx & ~any(1, 0).ecx & ~0x81200000u, 0);
		assert_int_equal(ask(7, 0).ebx & ~any(7, 0).ebx & ~2u, 0);
		assert_int_equal(ask(7, 0).ecx & ~any(7, 0).ecx, 0);
		assert_int_equal(ask(0x80000001, 0).edx & ~any(0x80000001, 0).edx, 0);
		assert_int_equal(m.xcr0 & ~xcr0, 0);
		/* any question is answered from within the model */
		for (unsigned i = 0; i < 50; i++) {
			uint64_t q = mix(seed * 64 + i);
			uint32_t leaf = (uint32_t)q & 0xc000001f;

			(void)ask(i & 1 ? leaf : (uint32_t)q, (uint32_t)(q >> 32) & 0x7f);
			(void)ask(0x80000000u + (uint32_t)(q & 0xfffff), 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_epyc),         cmocka_unit_test(test_max),
		cmocka_unit_test(test_intel),        cmocka_unit_test(test_xsave),
		cmocka_unit_test(test_xsaves),       cmocka_unit_test(test_no_xsave),
		cmocka_unit_test(test_dynamic_bits), cmocka_unit_test(test_topology),
		cmocka_unit_test(test_paravirtual),  cmocka_unit_test(test_fixed_leaves),
		cmocka_unit_test(test_everything),   cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_random_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
