/*
 * Which mitigations a CPU needs. Pure.
 *
 * Intel: "Speculative Execution Side Channel Mitigations" and the sections on microarchitectural
 * data sampling and L1 terminal fault. AMD: "Software Techniques for Managing Speculation on AMD
 * Processors", and the AMD64 APM Volume 2, "Speculation Control MSRs"; AMD's processors keep MDS
 * and L1TF out by design.
 */
#include "arch/x86/mitigations.h"
#include "lib/format.h"
#include "lib/string.h"

struct mitigations mitigations_choose(const struct cpu_features *f, uint64_t arch_cap, bool wanted)
{
	struct mitigations m = {0};

	if (!wanted)
		return m;
	m.rsb_fill = true;
	m.ibpb_on_switch = f->ibpb;
	m.auto_ibrs = f->auto_ibrs;
	if (f->vendor == CPU_VENDOR_INTEL) {
		/* also against TSX asynchronous abort and register-file data sampling */
		m.verw = f->md_clear &&
			 (!(arch_cap & ARCH_CAP_MDS_NO) || !(arch_cap & ARCH_CAP_TAA_NO));
		m.verw |= (arch_cap & ARCH_CAP_RFDS_CLEAR) != 0;
		m.enhanced_ibrs = arch_cap & ARCH_CAP_IBRS_ALL;
		m.l1d_flush =
			f->l1d_flush && !(arch_cap & (ARCH_CAP_RDCL_NO | ARCH_CAP_SKIP_L1DFL));
	}
	return m;
}

const char *mitigations_describe(const struct mitigations *m, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s%s%s%s", m->rsb_fill ? ", return stack filled" : "",
		 m->ibpb_on_switch ? ", IBPB between guests" : "", m->verw ? ", VERW" : "",
		 m->l1d_flush ? ", L1D flushed" : "", m->auto_ibrs ? ", automatic IBRS" : "",
		 m->enhanced_ibrs ? ", enhanced IBRS" : "");
	if (!buf[0])
		snprintf(buf, size, ", none");
	memmove(buf, buf + 2, strlen(buf) - 1); /* without the first ", " */
	return buf;
}
