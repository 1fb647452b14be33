/*
 * How a back end's second-level page table entries look, as data and a few pure functions, so that
 * one walker (mm/slpt.c) serves both vendors.
 */
#ifndef MM_SLPT_FORMAT_H
#define MM_SLPT_FORMAT_H

#include "lib/types.h"

enum slpt_perm {
	SLPT_READ = BIT32(0),
	SLPT_WRITE = BIT32(1),
	SLPT_EXEC = BIT32(2),
	SLPT_RWX = SLPT_READ | SLPT_WRITE | SLPT_EXEC,
};

struct slpt_format {
	const char *name;
	uint64_t address_mask; /* physical-address bits of an entry */
	uint8_t levels;        /* 4 */
	/* Entry that points to a lower table. */
	uint64_t (*table)(uint64_t pa);
	/* Entry that maps a page; level 1: 4 KiB, 2: 2 MiB, 3: 1 GiB. */
	uint64_t (*leaf)(uint64_t pa, unsigned level, unsigned perm);
	bool (*present)(uint64_t entry);
	bool (*is_leaf)(uint64_t entry, unsigned level);
	unsigned (*perm)(uint64_t entry);
};

#endif
