/*
 * Exceptions in words. Source: Intel SDM Volume 3, "Exception and Interrupt Reference"; AMD64 APM
 * Volume 2, "Exceptions and Interrupts". Pure.
 */
#include "arch/x86/traps.h"

#include "arch/x86/state.h"
#include "lib/format.h"

typedef unsigned long long ull;

enum { /* "Page-Fault Error Code" */
	PF_PRESENT = 1u << 0,
	PF_WRITE = 1u << 1,
	PF_USER = 1u << 2,
	PF_RESERVED = 1u << 3,
	PF_FETCH = 1u << 4,
	PF_KEY = 1u << 5,
	PF_SHADOW_STACK = 1u << 6,
};

enum { /* "Error Code" of exceptions that name a selector */
	SEL_EXTERNAL = 1u << 0,
	SEL_IDT = 1u << 1,
	SEL_LDT = 1u << 2,
	SEL_INDEX = 0xfff8u,
};

const char *trap_name(uint64_t vector)
{
	static const char *const names[32] = {
		[VEC_DE] = "divide error",
		[VEC_DB] = "debug exception",
		[VEC_NMI] = "non-maskable interrupt",
		[VEC_BP] = "breakpoint",
		[VEC_OF] = "overflow",
		[VEC_BR] = "bound range exceeded",
		[VEC_UD] = "invalid opcode",
		[VEC_NM] = "device not available",
		[VEC_DF] = "double fault",
		[9] = "coprocessor segment overrun",
		[VEC_TS] = "invalid TSS",
		[VEC_NP] = "segment not present",
		[VEC_SS] = "stack-segment fault",
		[VEC_GP] = "general protection fault",
		[VEC_PF] = "page fault",
		[VEC_MF] = "x87 floating-point error",
		[VEC_AC] = "alignment check",
		[VEC_MC] = "machine check",
		[VEC_XM] = "SIMD floating-point exception",
		[20] = "virtualization exception",
		[VEC_CP] = "control protection exception",
		[28] = "hypervisor injection exception",
		[29] = "VMM communication exception",
		[30] = "security exception",
	};

	return vector < ARRAY_SIZE(names) && names[vector] ? names[vector] : "unexpected vector";
}

static const char *page_fault_cause(uint64_t error)
{
	if (error & PF_RESERVED)
		return "reserved bit set in a page-table entry";
	if (!(error & PF_PRESENT))
		return "page not present";
	if (error & PF_KEY)
		return "forbidden by the protection key";
	if (error & PF_SHADOW_STACK)
		return "shadow-stack access";
	if (error & PF_FETCH)
		return "page not executable";
	if (error & PF_WRITE)
		return "page not writable";
	return "page not accessible";
}

static const char *page_fault_access(uint64_t error)
{
	if (error & PF_FETCH)
		return "instruction fetch";
	return error & PF_WRITE ? "write" : "read";
}

static const char *selector_table(uint64_t error)
{
	if (error & SEL_IDT)
		return "IDT";
	return error & SEL_LDT ? "LDT" : "GDT";
}

const char *error_words(uint64_t vector, uint64_t error, char *buf, size_t size)
{
	buf[0] = 0;
	if (vector == VEC_PF)
		snprintf(buf, size, "%s %s, %s", error & PF_USER ? "user" : "supervisor",
			 page_fault_access(error), page_fault_cause(error));
	else if (vector >= VEC_TS && vector <= VEC_GP && error)
		snprintf(buf, size, "%s 0x%llx of the %s%s",
			 error & SEL_IDT ? "vector" : "selector",
			 (ull)(error & SEL_IDT ? (error & SEL_INDEX) >> 3 : error & SEL_INDEX),
			 selector_table(error),
			 error & SEL_EXTERNAL ? ", by an external event" : "");
	return buf;
}

const char *code_words(const int16_t *bytes, unsigned n, unsigned mark, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = 0;
	for (unsigned i = 0; i < n && at < size; i++) {
		const char *left = i == mark ? "<" : "", *right = i == mark ? ">" : "";
		const char *space = i ? " " : "";

		if (bytes[i] < 0)
			at += (size_t)snprintf(buf + at, size - at, "%s%s??%s", space, left, right);
		else
			at += (size_t)snprintf(buf + at, size - at, "%s%s%02x%s", space, left,
					       (unsigned)bytes[i] & 0xff, right);
	}
	return buf;
}
