/* Names of functions by the table inside the image, whose format tools/mksyms describes. Pure. */
#include "arch/x86/traps.h"
#include "lib/format.h"

#define SYMBOL_BASE 0xffffffff80000000ull /* what the table's addresses are relative to */

typedef unsigned long long ull;

struct symbol {
	uint32_t address, name;
};

/* The number of the entry that covers `offset`, or `n`. The last entry is the end mark. */
static uint32_t find(const struct symbol *s, uint32_t n, uint64_t offset)
{
	uint32_t low = 0, high = n - 1;

	if (n < 2 || offset < s[0].address || offset >= s[n - 1].address)
		return n;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (s[middle].address <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* The function at addr - back, with the offset of addr. */
static const char *name_at(const uint32_t *table, uint64_t addr, unsigned back, char *buf,
			   size_t size)
{
	const struct symbol *s = (const struct symbol *)(const void *)&table[1];
	uint64_t offset = addr - SYMBOL_BASE;
	uint32_t n = table[0], i = find(s, n, offset - back);

	if (i == n)
		snprintf(buf, size, "0x%llx", (ull)addr);
	else
		snprintf(buf, size, "%s+0x%llx/0x%x", (const char *)table + s[i].name,
			 (ull)(offset - s[i].address), s[i + 1].address - s[i].address);
	return buf;
}

const char *symbol_name(const uint32_t *table, uint64_t addr, char *buf, size_t size)
{
	return name_at(table, addr, 0, buf, size);
}

const char *symbol_name_of_return(const uint32_t *table, uint64_t addr, char *buf, size_t size)
{
	return name_at(table, addr, 1, buf, size);
}
