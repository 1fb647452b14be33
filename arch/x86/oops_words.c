/*
 * Exceptions in words. Source: Intel SDM Volume 3, "Exception and Interrupt Reference"; AMD64 APM
 * Volume 2, "Exceptions and Interrupts". Pure.
 */
#include "arch/x86/oops.h"

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

/* ---- the first line ---- */

static const char *page_fault_headline(const struct fault *f)
{
	bool fetch = f->error & PF_FETCH;

	if (f->cr2 < PAGE_SIZE)
		return fetch ? "call of a NULL pointer" : "NULL pointer dereference";
	if (f->error & PF_RESERVED)
		return "reserved bit in a page-table entry";
	if (fetch)
		return f->error & PF_PRESENT ? "execute of data" : "execute of what is not mapped";
	if ((f->error & PF_PRESENT) && (f->error & PF_WRITE))
		return "write to read-only memory";
	if (f->error & PF_PRESENT)
		return "forbidden access";
	return "access to what is not mapped";
}

const char *fault_headline(const struct fault *f, char *buf, size_t size)
{
	bool general = f->vector == VEC_GP || f->vector == VEC_SS;

	if (f->stack)
		snprintf(buf, size, "stack overflow: the %s stack, address: %016llx", f->stack,
			 (ull)f->cr2);
	else if (f->vector == VEC_PF)
		snprintf(buf, size, "%s, address: %016llx", page_fault_headline(f), (ull)f->cr2);
	else if (general && !canonical(f->rip))
		snprintf(buf, size, "non-canonical address, execute of: %016llx", (ull)f->rip);
	else if (general && !f->error && f->has_address && !canonical(f->address))
		snprintf(buf, size, "non-canonical address: %016llx", (ull)f->address);
	else
		snprintf(buf, size, "%s", trap_name(f->vector));
	return buf;
}

/* ---- page walks ---- */

enum { /* "Page-Translation-Table Entry Fields", the same at all levels but for PS and PAT */
	PTE_PRESENT = 1u << 0,
	PTE_WRITE = 1u << 1,
	PTE_USER = 1u << 2,
	PTE_UNCACHED = 1u << 4,
	PTE_LARGE = 1u << 7,
};
#define PTE_NO_EXECUTE BIT(63)

const char *walk_words(unsigned level, uint64_t va, uint64_t entry, char *buf, size_t size)
{
	static const char *const table[] = {"PT", "PD", "PDPT", "PML4"};
	static const char *const page[] = {"4 KiB page", "2 MiB page", "1 GiB page", "?"};
	bool leaf = level == 0 || (level < 3 && (entry & PTE_LARGE));
	unsigned index = (unsigned)(va >> (PAGE_SHIFT + 9 * level)) & 511;

	if (!(entry & PTE_PRESENT))
		snprintf(buf, size, "%s[%u] %016llx: not present", table[level & 3], index,
			 (ull)entry);
	else
		snprintf(buf, size, "%s[%u] %016llx: %s, %s%s%s%s", table[level & 3], index,
			 (ull)entry, leaf ? page[level & 3] : "table",
			 entry & PTE_WRITE ? "writable" : "read-only",
			 entry & PTE_NO_EXECUTE ? ", no execute" : "",
			 entry & PTE_USER ? ", user" : "",
			 leaf && (entry & PTE_UNCACHED) ? ", uncached" : "");
	return buf;
}
