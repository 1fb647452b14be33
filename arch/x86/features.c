/*
 * Decoding of CPUID. Pure.
 *
 * Bits are as in the AMD64 Architecture Programmer's Manual Volume 3, "Obtaining Processor
 * Information Via the CPUID Instruction", and the Intel SDM Volume 2, "CPUID - CPU Identification".
 * Leaves beyond the processor's last one are never looked at: Intel answers them with the data of
 * the last basic leaf.
 */
#include "arch/x86/features.h"

#include "lib/string.h"

#define XSAVE_LEGACY_BYTES 512u
#define XSAVE_HEADER_BYTES 64u
#define XSAVE_MAX_BYTES    4096u /* the known components end at 2696 */

typedef struct cpuid_regs cpuid_fn(uint32_t leaf, uint32_t subleaf);

static bool bit(uint32_t word, unsigned n)
{
	return word >> n & 1;
}

static void read_vendor(struct cpu_features *f, cpuid_fn *cpuid)
{
	struct cpuid_regs r = cpuid(0, 0);

	f->max_basic = r.eax;
	memcpy(f->vendor_string, &r.ebx, 4);
	memcpy(f->vendor_string + 4, &r.edx, 4);
	memcpy(f->vendor_string + 8, &r.ecx, 4);
	if (!strcmp(f->vendor_string, "GenuineIntel"))
		f->vendor = CPU_VENDOR_INTEL;
	else if (!strcmp(f->vendor_string, "AuthenticAMD") ||
		 !strcmp(f->vendor_string, "HygonGenuine"))
		f->vendor = CPU_VENDOR_AMD;
	else
		f->vendor = CPU_VENDOR_OTHER;

	r = cpuid(0x80000000, 0);
	f->max_extended = r.eax >> 16 == 0x8000 ? r.eax : 0;
}

static void read_signature(struct cpu_features *f, uint32_t eax)
{
	uint32_t family = eax >> 8 & 0xf, model = eax >> 4 & 0xf;

	/* Both vendors extend the model from family 6 or 15 on; AMD has no family 6 with long mode.
	 */
	if (family == 6 || family == 0xf)
		model |= eax >> 12 & 0xf0;
	if (family == 0xf)
		family += eax >> 20 & 0xff;
	f->family = family;
	f->model = model;
}

static void read_basic(struct cpu_features *f, cpuid_fn *cpuid)
{
	struct cpuid_regs r = {0};

	if (f->max_basic >= 1)
		r = cpuid(1, 0);
	read_signature(f, r.eax);
	f->apic_id = r.ebx >> 24;
	f->virt_intel = bit(r.ecx, 5);
	f->x2apic = bit(r.ecx, 21);
	f->tsc_deadline = bit(r.ecx, 24);
	f->xsave = bit(r.ecx, 26);
	f->rdrand = bit(r.ecx, 30);
	f->hypervisor = bit(r.ecx, 31);

	if (f->max_basic >= 7) {
		r = cpuid(7, 0);
		f->smep = bit(r.ebx, 7);
		f->smap = bit(r.ebx, 20);
		f->umip = bit(r.ecx, 2);
		f->pku = bit(r.ecx, 3);
		f->md_clear = bit(r.edx, 10);
		f->ibpb = bit(r.edx, 26); /* which announces IBRS, too */
		f->l1d_flush = bit(r.edx, 28);
		f->arch_capabilities = bit(r.edx, 29);
	}

	/* "Extended Topology Enumeration": EBX is 0 where the leaf exists and says nothing. */
	if (f->max_basic >= 0xb) {
		r = cpuid(0xb, 0);
		if (r.ebx)
			f->apic_id = r.edx;
	}

	if (f->max_basic >= 0x15) {
		r = cpuid(0x15, 0);
		f->tsc_ratio_den = r.eax;
		f->tsc_ratio_num = r.ebx;
		f->crystal_hz = r.ecx;
	}
}

/* Copies the brand without the blanks that some processors pad it with on either side. */
static void read_brand(struct cpu_features *f, cpuid_fn *cpuid)
{
	char raw[49];
	size_t start = 0, end;

	for (uint32_t i = 0; i < 3; i++) {
		struct cpuid_regs r = cpuid(0x80000002 + i, 0);

		memcpy(raw + 16 * i, &r, 16);
	}
	raw[48] = 0;
	end = strlen(raw);
	while (raw[start] == ' ')
		start++;
	while (end > start && raw[end - 1] == ' ')
		end--;
	for (size_t i = start; i < end; i++) /* it is shown on a terminal */
		f->brand[i - start] = raw[i] >= ' ' && raw[i] <= '~' ? raw[i] : '?';
}

static void read_extended(struct cpu_features *f, cpuid_fn *cpuid)
{
	struct cpuid_regs r;

	f->phys_bits = 36;
	if (f->max_extended >= 0x80000001) {
		r = cpuid(0x80000001, 0);
		f->virt_amd = bit(r.ecx, 2);
		f->nx = bit(r.edx, 20);
		f->page_1g = bit(r.edx, 26);
		f->rdtscp = bit(r.edx, 27);
	}
	if (f->max_extended >= 0x80000004)
		read_brand(f, cpuid);
	if (f->max_extended >= 0x80000007)
		f->invariant_tsc = bit(cpuid(0x80000007, 0).edx, 8);
	if (f->max_extended >= 0x80000008) {
		r = cpuid(0x80000008, 0);
		f->phys_bits = (uint8_t)r.eax;
		f->fpu_error_ptr = bit(r.ebx, 2);
		f->ibpb |= bit(r.ebx, 12);
	}
	if (f->virt_amd && f->max_extended >= 0x8000000a) {
		r = cpuid(0x8000000a, 0);
		f->virt_amd_asids = r.ebx;
		f->virt_amd_features = r.edx;
	}
	if (f->max_extended >= 0x80000021)
		f->auto_ibrs = bit(cpuid(0x80000021, 0).eax, 8);
	if (f->vendor != CPU_VENDOR_AMD)
		f->fpu_error_ptr = true; /* Intel has always moved them */
}

/* XCR0 without the sets that XSETBV would refuse: AVX-512 in part or without AVX, PKRU without PKU.
 */
static uint64_t consistent_xcr0(uint64_t xcr0, bool pku)
{
	if (!(xcr0 & XCR0_AVX) || (xcr0 & XCR0_AVX512) != XCR0_AVX512)
		xcr0 &= ~(uint64_t)XCR0_AVX512;
	if (!pku)
		xcr0 &= ~(uint64_t)XCR0_PKRU;
	return xcr0;
}

/* Which XCR0 components there are and where the last one ends in the standard format. */
static void read_xsave(struct cpu_features *f, cpuid_fn *cpuid)
{
	const uint64_t legacy = XCR0_X87 | XCR0_SSE;
	uint32_t ends[64] = {0};
	struct cpuid_regs r;
	uint64_t xcr0;

	f->xsave_size = XSAVE_LEGACY_BYTES;
	r = cpuid(f->max_basic >= 0xd ? 0xd : 0, 0);
	xcr0 = (r.eax | (uint64_t)r.edx << 32) & XCR0_KNOWN;
	if (!f->xsave || f->max_basic < 0xd || (xcr0 & legacy) != legacy) {
		f->xsave = false;
		return;
	}

	for (uint32_t i = 2; i < 64; i++) {
		if (!(xcr0 >> i & 1))
			continue;
		r = cpuid(0xd, i);
		ends[i] = r.eax + r.ebx;
		/* a size or place that cannot be: do without the component */
		if (!r.eax || r.eax > XSAVE_MAX_BYTES || r.ebx > XSAVE_MAX_BYTES ||
		    r.ebx < XSAVE_LEGACY_BYTES + XSAVE_HEADER_BYTES || ends[i] > XSAVE_MAX_BYTES)
			xcr0 &= ~BIT(i);
	}
	f->xcr0_supported = consistent_xcr0(xcr0, f->pku);
	f->xsave_size = XSAVE_LEGACY_BYTES + XSAVE_HEADER_BYTES;
	for (uint32_t i = 2; i < 64; i++)
		if (f->xcr0_supported >> i & 1)
			f->xsave_size = MAX(f->xsave_size, ends[i]);

	r = cpuid(0xd, 1);
	f->xsaves = bit(r.eax, 3);
}

void features_read(struct cpu_features *out, cpuid_fn *cpuid)
{
	memset(out, 0, sizeof(*out));
	read_vendor(out, cpuid);
	read_basic(out, cpuid);
	read_extended(out, cpuid);
	read_xsave(out, cpuid);
}

#define SMI_ON_CMP_HALT BIT(27)
#define C1E_ON_CMP_HALT BIT(28)

bool features_c1e(const struct cpu_features *f)
{
	return f->vendor == CPU_VENDOR_AMD && (f->family == 0xf || f->family == 0x10);
}

uint64_t features_c1e_off(uint64_t value)
{
	return value & ~(SMI_ON_CMP_HALT | C1E_ON_CMP_HALT);
}

const char *features_missing(const struct cpu_features *boot, const struct cpu_features *other)
{
	if (boot->nx && !other->nx)
		return "no-execute pages (NX)";
	if (boot->page_1g && !other->page_1g)
		return "1 GiB pages";
	if (boot->smep && !other->smep)
		return "SMEP";
	if (boot->smap && !other->smap)
		return "SMAP";
	if (boot->umip && !other->umip)
		return "UMIP";
	if (boot->x2apic && !other->x2apic)
		return "x2APIC";
	if (boot->tsc_deadline && !other->tsc_deadline)
		return "the TSC-deadline timer";
	if (boot->xsave && !other->xsave)
		return "XSAVE";
	if (boot->xsaves && !other->xsaves)
		return "XSAVES";
	if (boot->xcr0_supported & ~other->xcr0_supported)
		return "a part of the extended register state (XCR0)";
	if (boot->xsave_size != other->xsave_size)
		return "the same layout of the extended register state (XSAVE)";
	if (other->phys_bits < boot->phys_bits)
		return "as many physical address bits";
	return NULL;
}
