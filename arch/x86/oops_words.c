/* Exceptions in words. Source: Intel SDM volume 3, "Exception and Interrupt Reference". Pure. */
#include "arch/x86/traps.h"
#include "lib/format.h"

const char *trap_name(uint64_t vector)
{
	static const char *const names[32] = {
		[0] = "divide error",
		[1] = "debug exception",
		[2] = "non-maskable interrupt",
		[3] = "breakpoint",
		[4] = "overflow",
		[5] = "bound range exceeded",
		[6] = "invalid opcode",
		[7] = "device not available",
		[8] = "double fault",
		[9] = "coprocessor segment overrun",
		[10] = "invalid TSS",
		[11] = "segment not present",
		[12] = "stack-segment fault",
		[13] = "general protection fault",
		[14] = "page fault",
		[16] = "x87 floating-point error",
		[17] = "alignment check",
		[18] = "machine check",
		[19] = "SIMD floating-point exception",
		[20] = "virtualization exception",
		[21] = "control protection exception",
		[28] = "hypervisor injection exception",
		[29] = "VMM communication exception",
		[30] = "security exception",
	};

	return vector < ARRAY_SIZE(names) && names[vector] ? names[vector] : "unexpected vector";
}

const char *page_fault_words(uint64_t error, char *buf, size_t size)
{
	const char *cause = error & BIT(3)   ? "reserved bit set in a page-table entry"
			    : error & BIT(5) ? "protection key"
			    : error & BIT(0) ? "access rights"
					     : "page not present";

	snprintf(buf, size, "%s %s, %s", error & BIT(2) ? "user" : "supervisor",
		 error & BIT(4)   ? "instruction fetch"
		 : error & BIT(1) ? "write"
				  : "read",
		 cause);
	return buf;
}
