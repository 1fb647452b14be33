/*
 * Nested page table entries: the ordinary long-mode format, walked as user accesses. Source: AMD64
 * Architecture Programmer's Manual, volume 2, "Nested Paging". Pure.
 */
#include "arch/x86/svm/svm.h"

#define NPT_PRESENT BIT(0)
#define NPT_WRITE   BIT(1)
#define NPT_USER    BIT(2) /* always set: nested walks are user accesses */
#define NPT_LARGE   BIT(7)
#define NPT_NX      BIT(63)

/* A leaf leaves the memory type bits zero (write-back), so that the guest's PAT decides; for RAM
 * with a guest that never asks for anything else that is write-back. */
static uint64_t npt_leaf(uint64_t pa, unsigned level, unsigned perm)
{
	return pa | NPT_PRESENT | NPT_USER | (perm & SLPT_WRITE ? NPT_WRITE : 0) |
	       (perm & SLPT_EXEC ? 0 : NPT_NX) | (level > 1 ? NPT_LARGE : 0);
}

static uint64_t npt_table(uint64_t pa)
{
	return pa | NPT_PRESENT | NPT_WRITE | NPT_USER;
}

static bool npt_present(uint64_t entry)
{
	return entry & NPT_PRESENT;
}

static bool npt_is_leaf(uint64_t entry, unsigned level)
{
	return level == 1 || (level < 4 && (entry & NPT_LARGE));
}

static unsigned npt_perm(uint64_t entry)
{
	return SLPT_READ | (entry & NPT_WRITE ? SLPT_WRITE : 0u) |
	       (entry & NPT_NX ? 0u : SLPT_EXEC);
}

const struct slpt_format npt_format = {
	.name = "NPT",
	.address_mask = 0x000ffffffffff000ull,
	.levels = 4,
	.table = npt_table,
	.leaf = npt_leaf,
	.present = npt_present,
	.is_leaf = npt_is_leaf,
	.perm = npt_perm,
};
