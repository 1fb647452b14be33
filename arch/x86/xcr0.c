/*
 * Which values XCR0 may have. Pure.
 *
 * Intel SDM Volume 1, "Enabling the XSAVE Feature Set and XSAVE-Enabled Features"; AMD64 APM Volume
 * 2, "XFEATURE_ENABLED_MASK (XCR0)".
 */
#include "arch/x86/fpu.h"

bool fpu_xcr0_legal(uint64_t xcr0, uint64_t allowed)
{
	if (xcr0 & ~allowed || !(xcr0 & XCR0_X87))
		return false;
	if (xcr0 & XCR0_AVX && !(xcr0 & XCR0_SSE))
		return false;
	if (xcr0 & XCR0_AVX512)
		return xcr0 & XCR0_AVX && (xcr0 & XCR0_AVX512) == XCR0_AVX512;
	return true;
}
