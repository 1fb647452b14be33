/* What the page-table walk shares with fetch and emulation; the public part is in insn.h. Pure. */
#ifndef GUESTS_GWALK_H
#define GUESTS_GWALK_H

#include "guests/insn.h"

/* Is the linear address canonical under the guest's paging (48 or 57 bits)? For long mode. */
bool gva_is_canonical(const struct code_context *c, uint64_t gva);

/* The same answer as gwalk() for the common case in long mode, in a few dozen instructions. False:
 * not the common case; ask gwalk(). */
bool gwalk_fast(const struct gmem *m, const struct code_context *c, uint64_t gva, unsigned access,
		struct gpa *out);

/* gwalk(), by the short way where that is possible. */
static inline bool gwalk_any(struct gmem *m, const struct code_context *c, uint64_t gva,
			     unsigned access, struct gpa *out, struct vcpu_event *fault)
{
	if ((c->efer & EFER_LMA) && gwalk_fast(m, c, gva, access, out))
		return true;
	return gwalk(m, c, gva, access, out, fault);
}

/*
 * The first eight bytes at CS:RIP as one little-endian word, on the way of every exit whose length
 * the hardware does not report. False where that is not simple (a fault, a segment's or a page's
 * end, an address without RAM): insn_fetch() is exact.
 */
static inline bool insn_fetch_word(const struct gmem *m, const struct code_context *c,
				   uint64_t *word)
{
	uint64_t gva = c->cs_base + c->rip;
	struct gpa gpa = {gva};
	const void *p;

	if (c->efer & EFER_LMA) {
		if (!code_is_64bit(c) ||
		    !gwalk_fast(m, c, gva, WALK_FETCH | (c->cpl == 3 ? WALK_USER : 0), &gpa))
			return false;
	} else if ((c->cr0 & CR0_PG) || c->rip + 7 > c->cs_limit || gva > UINT32_MAX - 7) {
		return false;
	}
	if (unlikely((gpa.v & (PAGE_SIZE - 1)) > PAGE_SIZE - 8))
		return false;
	p = gmem_ptr(m, gpa.v, 8);
	if (unlikely(!p))
		return false;
	__builtin_memcpy(word, p, 8);
	return true;
}

#endif
