/*
 * Sets of the machine's CPUs, and the text that people write them in: "0,2-3". Pure.
 */
#ifndef SCHED_CPU_SET_H
#define SCHED_CPU_SET_H

#include "arch/x86/percpu.h"
#include "lib/types.h"

struct cpu_set {
	uint64_t bits[MAX_CPUS / 64];
};

/* Numbers and ranges with commas between, numbers ascending, no blanks. False: it is not that, or
 * names a CPU from MAX_CPUS on. */
bool cpu_set_parse(const char *text, struct cpu_set *out);

/* Writes the shortest such text; cuts it if it does not fit. */
void cpu_set_format(const struct cpu_set *set, char *out, size_t size);

static inline struct cpu_set cpu_set_all(void)
{
	struct cpu_set set;

	for (unsigned i = 0; i < ARRAY_SIZE(set.bits); i++)
		set.bits[i] = UINT64_MAX;
	return set;
}

static inline bool cpu_set_has(const struct cpu_set *set, uint32_t cpu)
{
	return cpu < MAX_CPUS && (set->bits[cpu / 64] >> (cpu % 64) & 1);
}

#endif
