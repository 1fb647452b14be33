/* What the page-table walk shares with fetch and emulation; the public part is in insn.h. Pure. */
#ifndef GUESTS_GWALK_H
#define GUESTS_GWALK_H

#include "guests/insn.h"

#define PTE_P        BIT(0)
#define PTE_W        BIT(1)
#define PTE_U        BIT(2)
#define PTE_A        BIT(5)
#define PTE_D        BIT(6)
#define PTE_PS       BIT(7)
#define PTE_NX       BIT(63)
#define ADDRESS_MASK 0x000ffffffffff000ull

/* No address: not the common case. */
#define GWALK_SLOW UINT64_MAX

/* The entry at `offset` of the table that `e` points to. One with NX or reserved bits set at the
 * top seems to lie beyond RAM, and so leads to the slow way. */
static inline uint64_t gwalk_entry(uint8_t *const *chunk, uint64_t n_chunks, uint64_t e,
				   uint64_t offset)
{
	uint64_t i = e >> GMEM_CHUNK_SHIFT;
	uint64_t next;

	if (unlikely(i >= n_chunks || !chunk[i]))
		return 0;
	__builtin_memcpy(&next, chunk[i] + (e & (GMEM_CHUNK_SIZE - 1) & ADDRESS_MASK) + offset,
			 sizeof(next));
	return next;
}

/*
 * The common case, in a straight line: 4-level paging, a 4 KiB or 2 MiB page whose accessed bits
 * are set, nothing forbidden. Every other outcome is left to gwalk(), which is exact. What all
 * levels must have is gathered by AND, what none may have by OR, and looked at once. Long mode
 * only.
 */
static __force_inline uint64_t gwalk_straight(const struct gmem *m, const struct code_context *c,
					      uint64_t gva, unsigned access)
{
	uint8_t *const *chunk = m->chunk;
	uint64_t n = m->n_chunks;
	uint64_t must = PTE_P | PTE_A, never = 0;
	uint64_t e4, e3, e, all, any, mask = PAGE_SIZE - 1;

	if (unlikely((c->cr4 & (CR4_LA57 | CR4_PKE)) ||
		     (uint64_t)((int64_t)(gva << 16) >> 16) != gva))
		return GWALK_SLOW;
	e4 = gwalk_entry(chunk, n, c->cr3 & ADDRESS_MASK, gva >> 36 & 0xff8);
	e3 = gwalk_entry(chunk, n, e4, gva >> 27 & 0xff8);
	e = gwalk_entry(chunk, n, e3, gva >> 18 & 0xff8);
	all = e4 & e3 & e;
	any = e4 | e3;
	if (unlikely(any & PTE_PS))
		return GWALK_SLOW;
	any |= e;
	if (e & PTE_PS) {
		mask = LARGE_PAGE_SIZE - 1;
		if (unlikely(e & mask & ADDRESS_MASK & ~BIT(12))) /* bit 12 is PAT */
			return GWALK_SLOW;
	} else {
		e = gwalk_entry(chunk, n, e, gva >> 9 & 0xff8);
		all &= e;
		any |= e;
	}
	/* user pages for user accesses, supervisor pages for supervisor accesses: then neither SMEP
	 * nor SMAP has a say */
	if (access & WALK_USER)
		must |= PTE_U;
	else if (unlikely(all & PTE_U))
		return GWALK_SLOW;
	if (access & WALK_WRITE) {
		must |= PTE_W;
		if (unlikely(!(e & PTE_D)))
			return GWALK_SLOW;
	}
	if ((access & WALK_FETCH) || !(c->efer & EFER_NXE))
		never |= PTE_NX;
	if (unlikely((all & must) != must || (any & never)))
		return GWALK_SLOW;
	return (e & ADDRESS_MASK & ~mask) | (gva & mask);
}

/* Is the linear address canonical under the guest's paging (48 or 57 bits)? For long mode. */
bool gva_is_canonical(const struct code_context *c, uint64_t gva);

/* The guest-physical address that gwalk() would give, for the common case in long mode and in a few
 * dozen instructions; GWALK_SLOW: not the common case, ask gwalk(). */
uint64_t gwalk_fast(const struct gmem *m, const struct code_context *c, uint64_t gva,
		    unsigned access);

/* gwalk(), by the short way where that is possible. */
static inline bool gwalk_any(struct gmem *m, const struct code_context *c, uint64_t gva,
			     unsigned access, struct gpa *out, struct vcpu_event *fault)
{
	uint64_t gpa = gva;

	if (c->cr0 & CR0_PG)
		gpa = likely(c->efer & EFER_LMA) ? gwalk_fast(m, c, gva, access) : GWALK_SLOW;

	if (unlikely(gpa == GWALK_SLOW))
		return gwalk(m, c, gva, access, out, fault);
	out->v = gpa;
	return true;
}

/* `n` bytes at guest-physical `gpa`, if they lie in one page of RAM. GWALK_SLOW never does. */
static inline const void *insn_page_bytes(const struct gmem *m, uint64_t gpa, unsigned n)
{
	const uint8_t *chunk;

	if (unlikely((gpa & (PAGE_SIZE - 1)) > PAGE_SIZE - n ||
		     gpa >> GMEM_CHUNK_SHIFT >= m->n_chunks))
		return NULL;
	chunk = m->chunk[gpa >> GMEM_CHUNK_SHIFT]; /* a page lies in one chunk */
	return likely(chunk) ? chunk + (gpa & (GMEM_CHUNK_SIZE - 1)) : NULL;
}

/* The first four bytes at CS:RIP in the simple case, as a little-endian word; 0 in every other. */
uint32_t insn_fetch_word(const struct gmem *m, const struct code_context *c);

/* The simple case of a fetch of `n` bytes: inside the segment, inside a page, inside RAM, by the
 * short walk. NULL for every other: insn_fetch() is exact. */
static inline const void *insn_fetch_simple(const struct gmem *m, const struct code_context *c,
					    unsigned n)
{
	uint64_t gpa = c->cs_base + c->rip;

	if (c->cr0 & CR0_PG) {
		if (unlikely(!code_is_64bit(c)))
			return NULL;
		gpa = c->cpl == 3 ? gwalk_straight(m, c, gpa, WALK_FETCH | WALK_USER)
				  : gwalk_straight(m, c, gpa, WALK_FETCH);
	} else {
		if (unlikely(c->rip + n > c->cs_limit))
			return NULL;
		gpa = (uint32_t)gpa;
	}
	return insn_page_bytes(m, gpa, n);
}

#endif
