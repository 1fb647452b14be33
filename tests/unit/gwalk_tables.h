/* Guest page tables of each paging mode for the tests of the walk: one table a level, one page. */
#ifndef TESTS_UNIT_GWALK_TABLES_H
#define TESTS_UNIT_GWALK_TABLES_H

#include "tests/unit/guest_code.h"

#define PF_P   1u
#define PF_W   WALK_WRITE
#define PF_U   WALK_USER
#define PF_R   8u
#define PF_I   WALK_FETCH
#define PF_K   32u
#define TABLES 0x100000ull /* one page per level: the last level first */
#define PAGE   0x3456000ull
#define GVA    0x12345678ull
#define PHYS   40u

enum mode {
	M_32,
	M_PAE,
	M_4,
	M_5,
	M_COUNT,
};

static const unsigned levels[M_COUNT] = {2, 3, 4, 5};

static struct code_context c;
static enum mode mode;
static struct gpa out;
static struct vcpu_event fault;

static inline bool wide(void)
{
	return mode != M_32;
}

static inline unsigned shift_of(unsigned level)
{
	return 12 + (wide() ? 9u : 10u) * (level - 1);
}

static inline uint64_t entry_gpa(unsigned level, uint64_t gva)
{
	uint64_t i = gva >> shift_of(level);

	if (mode == M_PAE && level == 3)
		i &= 3;
	else
		i &= wide() ? 511 : 1023;
	return TABLES + (level - 1) * PAGE_SIZE + i * (wide() ? 8 : 4);
}

static inline void set(unsigned level, uint64_t gva, uint64_t v)
{
	if (wide())
		put64(entry_gpa(level, gva), v);
	else
		put32(entry_gpa(level, gva), (uint32_t)v);
}

static inline uint64_t get(unsigned level, uint64_t gva)
{
	return wide() ? get64(entry_gpa(level, gva)) : get32(entry_gpa(level, gva));
}

/* Tables that map `gva` to PAGE with all rights, and a supervisor context with WP and NXE. */
static inline void begin(enum mode m, uint64_t gva)
{
	mode = m;
	code_begin();
	c = code_64;
	c.phys_bits = PHYS;
	c.cr3 = TABLES + (levels[m] - 1) * PAGE_SIZE;
	if (m < M_4) {
		c.efer = m == M_PAE ? EFER_NXE : 0;
		c.cs_attr = code_32.cs_attr;
	}
	if (m == M_32)
		c.cr4 = 0;
	if (m == M_5)
		c.cr4 |= CR4_LA57;
	set(1, gva, PAGE | PTE_P | PTE_W | PTE_U);
	for (unsigned i = 2; i <= levels[m]; i++)
		set(i, gva,
		    (TABLES + (i - 2) * PAGE_SIZE) | PTE_P |
			    (m == M_PAE && i == 3 ? 0 : PTE_W | PTE_U));
}

static inline void walk_ok(uint64_t gva, unsigned access, uint64_t gpa)
{
	out.v = 1;
	memset(&fault, 0x5a, sizeof(fault));
	assert_true(gwalk(&code_mem, &c, gva, access, &out, &fault));
	assert_int_equal(out.v, gpa);
}

/* A level of the mode that has rights of its own. */
static inline bool has_rights(unsigned level)
{
	return mode != M_PAE || level < 3;
}

#endif
