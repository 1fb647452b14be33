/*
 * Extended page table entries. Source: Intel SDM volume 3, "The Extended Page Table Mechanism
 * (EPT)". Pure.
 */
#include "arch/x86/vmx/vmx.h"

#define EPT_READ       BIT(0)
#define EPT_WRITE      BIT(1)
#define EPT_EXEC       BIT(2)
#define EPT_WRITE_BACK (6ull << 3)
#define EPT_IGNORE_PAT BIT(6)
#define EPT_LARGE      BIT(7)

/* RAM is write-back whatever the guest's PAT says: nothing but processors accesses it. */
static uint64_t ept_leaf(uint64_t pa, unsigned level, unsigned perm)
{
	return pa | EPT_WRITE_BACK | EPT_IGNORE_PAT | (perm & SLPT_READ ? EPT_READ : 0) |
	       (perm & SLPT_WRITE ? EPT_WRITE : 0) | (perm & SLPT_EXEC ? EPT_EXEC : 0) |
	       (level > 1 ? EPT_LARGE : 0);
}

static uint64_t ept_table(uint64_t pa)
{
	return pa | EPT_READ | EPT_WRITE | EPT_EXEC;
}

static bool ept_present(uint64_t entry)
{
	return entry & (EPT_READ | EPT_WRITE | EPT_EXEC);
}

static bool ept_is_leaf(uint64_t entry, unsigned level)
{
	return level == 1 || (level < 4 && (entry & EPT_LARGE));
}

static unsigned ept_perm(uint64_t entry)
{
	return (entry & EPT_READ ? SLPT_READ : 0u) | (entry & EPT_WRITE ? SLPT_WRITE : 0u) |
	       (entry & EPT_EXEC ? SLPT_EXEC : 0u);
}

const struct slpt_format ept_format = {
	.name = "EPT",
	.address_mask = 0x000ffffffffff000ull,
	.levels = 4,
	.table = ept_table,
	.leaf = ept_leaf,
	.present = ept_present,
	.is_leaf = ept_is_leaf,
	.perm = ept_perm,
};
