/* Looking an instruction up in the exception table; see extable.h. Pure. */
#include "arch/x86/extable.h"

static uint64_t target(const int32_t *offset)
{
	return (uint64_t)offset + (uint64_t)(int64_t)*offset;
}

uint64_t extable_find(const struct extable_entry *start, const struct extable_entry *end,
		      uint64_t vector, uint64_t rip)
{
	for (const struct extable_entry *e = start; e < end; e++) {
		if (target(&e->insn) == rip)
			return vector < 32 && e->vectors >> vector & 1 ? target(&e->fixup) : 0;
	}
	return 0;
}
