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

#endif
