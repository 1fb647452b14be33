/*
 * Walking a guest's page tables: none, 32-bit, PAE, 4-level and 5-level paging, with the checks and
 * the exceptions of the architecture. Source: Intel SDM volume 3, "Paging" (sections on each mode,
 * "Access Rights", "Protection Keys", "Page-Fault Exceptions"); AMD64 APM volume 2, "Page
 * Translation and Protection". Pure.
 *
 * A table that lies outside RAM reads as all ones, like any address where nothing answers: present
 * with reserved bits set, so the walk ends in a page fault with the reserved bit in its error code.
 */
#include "guests/insn.h"

#include "guests/gwalk.h"

#define PTE_KEY(e) ((e) >> 59 & 15)

#define PTE_PAE_RESERVED (BIT(63) - BIT(52)) /* free for software in long mode */

#define PF_PRESENT  BIT32(0)
#define PF_RESERVED BIT32(3)
#define PF_KEY      BIT32(5)

#define PSE36_BITS 40 /* of a physical address by a 4 MiB page's PSE-36 bits */

/* What a walk has found: the rights of all levels together, and the entries whose accessed and
 * dirty bits are to be set. */
struct walk {
	uint64_t gpa[5]; /* of the entries, first to last */
	uint64_t entry[5];
	unsigned n;
	bool user, writable, executable;
	bool large;      /* the last entry maps more than 4 KiB */
	uint64_t page;   /* guest-physical address of the page */
	uint64_t offset; /* in it */
	unsigned key;
};

static bool fault_pf(struct vcpu_event *f, uint64_t gva, uint32_t error)
{
	*f = (struct vcpu_event){
		.kind = EVENT_EXCEPTION,
		.vector = VEC_PF,
		.has_error = true,
		.error = error,
		.payload = gva,
	};
	return false;
}

static bool fault_gp(struct vcpu_event *f)
{
	*f = (struct vcpu_event){.kind = EVENT_EXCEPTION, .vector = VEC_GP, .has_error = true};
	return false;
}

/* The error code that says what was tried. The fetch bit is reported only where it can matter. */
static uint32_t access_error(const struct code_context *c, unsigned access)
{
	uint32_t error = access & (WALK_WRITE | WALK_USER);
	bool nx = (c->efer & EFER_NXE) && (c->cr4 & CR4_PAE);

	if ((access & WALK_FETCH) && (nx || (c->cr4 & CR4_SMEP)))
		error |= WALK_FETCH;
	return error;
}

static uint64_t read64(const struct gmem *m, uint64_t gpa)
{
	const void *p = gmem_ptr(m, gpa, 8);
	uint64_t v = UINT64_MAX;

	if (p)
		__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t read32(const struct gmem *m, uint64_t gpa)
{
	const void *p = gmem_ptr(m, gpa, 4);
	uint32_t v = UINT32_MAX;

	if (p)
		__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

/* Bits of a 64-bit entry that must be zero whatever its level. */
static uint64_t reserved64(const struct code_context *c)
{
	uint64_t r = ADDRESS_MASK & ~(BIT(c->phys_bits) - 1);

	if (!(c->efer & EFER_LMA))
		r |= PTE_PAE_RESERVED;
	return c->efer & EFER_NXE ? r : r | PTE_NX;
}

/* The long-mode and PAE tables, from `level` down. False: not present or reserved; the flags of the
 * error code are in *error. */
static bool walk64(const struct gmem *m, const struct code_context *c, uint64_t gva, uint64_t table,
		   unsigned level, struct walk *w, uint32_t *error)
{
	uint64_t reserved = reserved64(c);

	for (;; level--) {
		unsigned shift = PAGE_SHIFT + 9 * (level - 1);
		uint64_t gpa = table + (gva >> shift & 511) * 8;
		uint64_t e = read64(m, gpa);
		bool leaf = level == 1 || ((e & PTE_PS) && level <= 3);
		uint64_t bad = reserved;

		if (!(e & PTE_P)) {
			*error = 0;
			return false;
		}
		if (level >= 4)
			bad |= PTE_PS;
		else if (leaf && level > 1)
			bad |= (BIT(shift) - 1) & ADDRESS_MASK & ~BIT(12); /* bit 12 is PAT */
		if (e & bad) {
			*error = PF_PRESENT | PF_RESERVED;
			return false;
		}
		w->gpa[w->n] = gpa;
		w->entry[w->n++] = e;
		w->user &= !!(e & PTE_U);
		w->writable &= !!(e & PTE_W);
		w->executable &= !(e & PTE_NX);
		if (leaf) {
			uint64_t mask = BIT(shift) - 1;

			w->large = level > 1;
			w->page = e & ADDRESS_MASK & ~mask;
			w->offset = gva & mask;
			w->key = PTE_KEY(e);
			return true;
		}
		table = e & ADDRESS_MASK;
	}
}

/* PAE paging outside long mode: four page-directory pointers, which have no rights of their own.
 * The processor keeps copies of them since CR3 was loaded; memory holds the same, unless the guest
 * changed it without loading CR3. */
static bool walk_pae(const struct gmem *m, const struct code_context *c, uint64_t gva,
		     struct walk *w, uint32_t *error)
{
	uint64_t pdpte = read64(m, (c->cr3 & 0xffffffe0) + (gva >> 30 & 3) * 8);

	if (!(pdpte & PTE_P)) {
		*error = 0;
		return false;
	}
	if (pdpte & (reserved64(c) | PTE_NX)) {
		*error = PF_PRESENT | PF_RESERVED;
		return false;
	}
	return walk64(m, c, gva, pdpte & ADDRESS_MASK, 2, w, error);
}

static bool walk32(const struct gmem *m, const struct code_context *c, uint64_t gva, struct walk *w,
		   uint32_t *error)
{
	uint64_t table = c->cr3 & 0xfffff000;

	for (unsigned level = 2;; level--) {
		unsigned shift = PAGE_SHIFT + 10 * (level - 1);
		uint64_t gpa = table + (gva >> shift & 1023) * 4;
		uint32_t e = read32(m, gpa);
		bool large = level == 2 && (e & PTE_PS) && (c->cr4 & CR4_PSE);

		if (!(e & PTE_P)) {
			*error = 0;
			return false;
		}
		w->gpa[w->n] = gpa;
		w->entry[w->n++] = e;
		w->user &= !!(e & PTE_U);
		w->writable &= !!(e & PTE_W);
		if (large) {
			unsigned high = MIN(c->phys_bits, PSE36_BITS) - 32u;
			uint64_t bits = e >> 13 & 0xff; /* bits 20:13 hold address bits 39:32 */

			if ((e & BIT(21)) || (bits >> high)) {
				*error = PF_PRESENT | PF_RESERVED;
				return false;
			}
			w->large = true;
			w->page = (e & 0xffc00000) | bits << 32;
			w->offset = gva & 0x3fffff;
			return true;
		}
		if (level == 1) {
			w->page = e & 0xfffff000;
			w->offset = gva & 0xfff;
			return true;
		}
		table = e & 0xfffff000;
	}
}

/* Are the rights that the tables give enough? */
static bool permitted(const struct code_context *c, unsigned access, const struct walk *w,
		      uint32_t *error)
{
	bool user = access & WALK_USER;

	*error = PF_PRESENT;
	if (user && !w->user)
		return false;
	if (access & WALK_FETCH) {
		if (!w->executable)
			return false;
		return user || !w->user || !(c->cr4 & CR4_SMEP);
	}
	/* first, as the error code tells it beside any other violation */
	if ((c->cr4 & CR4_PKE) && (c->efer & EFER_LMA) && w->user) {
		unsigned rights = c->pkru >> (2 * w->key) & 3; /* 0: no access, 1: no write */

		if ((rights & 1) ||
		    ((rights & 2) && (access & WALK_WRITE) && (user || (c->cr0 & CR0_WP)))) {
			*error |= PF_KEY;
			return false;
		}
	}
	if (!user && w->user && (c->cr4 & CR4_SMAP) &&
	    ((access & WALK_IMPLICIT) || !(c->rflags & RFLAGS_AC)))
		return false;
	return !(access & WALK_WRITE) || w->writable || !(user || (c->cr0 & CR0_WP));
}

/* Sets accessed and dirty bits as the processor would, one entry at a time and only where the entry
 * still is what was read. False: it has changed, walk again. */
static bool set_flags(struct gmem *m, const struct walk *w, bool wide, bool dirty)
{
	for (unsigned i = 0; i < w->n; i++) {
		uint64_t flags = PTE_A | (dirty && i == w->n - 1 ? PTE_D : 0);
		void *p;

		if ((w->entry[i] & flags) == flags)
			continue;
		p = gmem_ptr_write(m, w->gpa[i], wide ? 8 : 4);
		if (!p) /* a table in ROM: it stays as it is */
			continue;
		if (wide) {
			uint64_t old = w->entry[i];

			if (!__atomic_compare_exchange_n((uint64_t *)p, &old, old | flags, false,
							 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
				return false;
		} else {
			uint32_t old = (uint32_t)w->entry[i];

			if (!__atomic_compare_exchange_n((uint32_t *)p, &old, old | (uint32_t)flags,
							 false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
				return false;
		}
	}
	return true;
}

bool gva_is_canonical(const struct code_context *c, uint64_t gva)
{
	unsigned shift = c->cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;

	return (uint64_t)((int64_t)(gva << shift) >> shift) == gva;
}

bool gwalk(struct gmem *mem, const struct code_context *c, uint64_t gva, unsigned access,
	   struct gpa *out, struct vcpu_event *fault)
{
	bool wide = c->cr4 & CR4_PAE;

	if (!(c->cr0 & CR0_PG)) {
		*out = GPA(gva);
		return true;
	}
	if ((c->efer & EFER_LMA) && !gva_is_canonical(c, gva))
		return fault_gp(fault);
	for (;;) {
		struct walk w = {.user = true, .writable = true, .executable = true};
		uint32_t error = 0;
		bool found;

		if (c->efer & EFER_LMA)
			found = walk64(mem, c, gva, c->cr3 & ADDRESS_MASK,
				       c->cr4 & CR4_LA57 ? 5 : 4, &w, &error);
		else if (wide)
			found = walk_pae(mem, c, gva, &w, &error);
		else
			found = walk32(mem, c, gva, &w, &error);
		if (!found || !permitted(c, access, &w, &error))
			return fault_pf(fault, gva, error | access_error(c, access));
		if (!set_flags(mem, &w, wide, access & WALK_WRITE))
			continue;
		*out = GPA(w.page + w.offset);
		return true;
	}
}

uint64_t gwalk_fast(const struct gmem *m, const struct code_context *c, uint64_t gva,
		    unsigned access)
{
	uint64_t gpa = gwalk_straight(m, c, gva, access);

	/* reserved address bits of the tables above led nowhere: no RAM is there */
	return likely(!(gpa >> c->phys_bits)) ? gpa : GWALK_SLOW;
}
