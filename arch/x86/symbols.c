/*
 * Names of functions from the table inside the image (tools/mksyms describes its format). The look-up
 * is pure but for where the table lies.
 */
#include "arch/x86/traps.h"
#include "lib/format.h"

#define SYMBOL_BASE 0xffffffff80000000ull

extern const uint32_t skerry_symbols_start[];

struct symbol {
	uint32_t address, name;
};

const char *symbolize(uint64_t addr, char *buf, size_t size)
{
	uint32_t n = skerry_symbols_start[0];
	const struct symbol *s = (const struct symbol *)(const void *)&skerry_symbols_start[1];
	uint64_t offset = addr - SYMBOL_BASE;
	uint32_t low = 0, high = n;

	/* the last entry is the end mark */
	if (n < 2 || offset < s[0].address || offset >= s[n - 1].address) {
		snprintf(buf, size, "0x%llx", (unsigned long long)addr);
		return buf;
	}
	while (high - low > 1) {
		uint32_t middle = (low + high) / 2;

		if (s[middle].address <= offset)
			low = middle;
		else
			high = middle;
	}
	snprintf(buf, size, "%s+0x%llx/0x%x", (const char *)skerry_symbols_start + s[low].name,
		 (unsigned long long)(offset - s[low].address), s[low + 1].address - s[low].address);
	return buf;
}
