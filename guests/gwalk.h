/* What the page-table walk shares with fetch and emulation; the public part is in insn.h. Pure. */
#ifndef GUESTS_GWALK_H
#define GUESTS_GWALK_H

#include "guests/insn.h"

/* Is the linear address canonical under the guest's paging (48 or 57 bits)? For long mode. */
bool gva_is_canonical(const struct code_context *c, uint64_t gva);

/* No address: not the common case. */
#define GWALK_SLOW UINT64_MAX

/* The guest-physical address that gwalk() would give, for the common case in long mode and in a few
 * dozen instructions; GWALK_SLOW: not the common case, ask gwalk(). */
uint64_t gwalk_fast(const struct gmem *m, const struct code_context *c, uint64_t gva,
		    unsigned access);

/* gwalk(), by the short way where that is possible. */
static inline bool gwalk_any(struct gmem *m, const struct code_context *c, uint64_t gva,
			     unsigned access, struct gpa *out, struct vcpu_event *fault)
{
	uint64_t gpa = c->cr0 & CR0_PG ? gwalk_fast(m, c, gva, access) : gva;

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
		gpa = gwalk_fast(m, c, gpa, c->cpl == 3 ? WALK_FETCH | WALK_USER : WALK_FETCH);
	} else {
		if (unlikely(c->rip + n > c->cs_limit))
			return NULL;
		gpa = (uint32_t)gpa;
	}
	return insn_page_bytes(m, gpa, n);
}

#endif
