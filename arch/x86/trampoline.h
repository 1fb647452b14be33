/*
 * Where the other cores start: choosing the pages, and the page tables in them. Pure
 * (trampoline.c); arch/x86/ap.S is the code.
 */
#ifndef ARCH_X86_TRAMPOLINE_H
#define ARCH_X86_TRAMPOLINE_H

#include "boot/info.h"
#include "lib/types.h"

/* The code, then PML4, page directory pointers, page directory, page table. */
#define TRAMPOLINE_PAGES 5

/*
 * TRAMPOLINE_PAGES whole pages of RAM between 4 KiB and 640 KiB that hold no module: the highest
 * such, for firmware keeps its own at the low end. Empty ({0, 0}) if there are none.
 */
struct mem_range trampoline_place(const struct boot_info *info);

/*
 * Builds the four tables at `tables` (virtual; physical address pa + 4096): the page at pa, to read
 * and execute, and the upper half of the address space as in the PML4 `root`.
 */
void trampoline_tables(uint64_t *tables, uint64_t pa, const uint64_t *root);

#endif
