/* Fetching instruction bytes; see insn.h. Pure. */
#include "guests/gwalk.h"
#include "guests/insn.h"
#include "lib/string.h"

/* How many of `want` bytes lie inside the code segment. */
static unsigned inside_segment(const struct code_context *c, unsigned want)
{
	if (code_is_64bit(c))
		return want;
	if (c->rip > c->cs_limit)
		return 0;
	return (unsigned)MIN((uint64_t)want, (uint64_t)c->cs_limit - c->rip + 1);
}

/* Copies what lies in one page of RAM. */
static unsigned fetch_part(struct gmem *m, const struct code_context *c, uint64_t gva, uint8_t *buf,
			   unsigned want, struct vcpu_event *fault)
{
	unsigned access = WALK_FETCH | (c->cpl == 3 ? WALK_USER : 0);
	unsigned n = (unsigned)MIN((uint64_t)want, PAGE_SIZE - (gva & (PAGE_SIZE - 1)));
	const void *p;
	struct gpa gpa;

	if (!gwalk_any(m, c, gva, access, &gpa, fault))
		return 0;
	p = gmem_ptr(m, gpa.v, n);
	if (p)
		memcpy(buf, p, n);
	else
		memset(buf, 0xff, n); /* nothing answers there */
	return n;
}

static inline uint32_t word_at(const void *p)
{
	uint32_t word = 0;

	if (likely(p))
		__builtin_memcpy(&word, p, sizeof(word));
	return word;
}

static __noinline uint32_t fetch_word_paged(const struct gmem *m, const struct code_context *c)
{
	uint64_t gpa;

	if (unlikely(!code_is_64bit(c)))
		return 0;
	gpa = c->cpl == 3 ? gwalk_straight(m, c, c->rip, WALK_FETCH | WALK_USER)
			  : gwalk_straight(m, c, c->rip, WALK_FETCH);
	return word_at(insn_page_bytes(m, gpa, sizeof(uint32_t)));
}

uint32_t insn_fetch_word(const struct gmem *m, const struct code_context *c)
{
	/* apart, so that the way without paging saves no registers */
	if (c->cr0 & CR0_PG)
		return fetch_word_paged(m, c);
	if (unlikely(c->rip + sizeof(uint32_t) > c->cs_limit))
		return 0;
	return word_at(insn_page_bytes(m, (uint32_t)(c->cs_base + c->rip), sizeof(uint32_t)));
}

unsigned insn_fetch(struct gmem *mem, const struct code_context *c, uint8_t *buf, unsigned want,
		    struct vcpu_event *fault)
{
	const void *simple = insn_fetch_simple(mem, c, INSN_BUFFER);
	uint64_t gva = c->cs_base + c->rip;
	struct vcpu_event second;
	unsigned n, got;

	/* two words are quicker than counted bytes */
	if (likely(simple)) {
		__builtin_memcpy(buf, simple, INSN_BUFFER);
		return want;
	}
	n = inside_segment(c, want);
	if (unlikely(!n)) {
		*fault = (struct vcpu_event){
			.kind = EVENT_EXCEPTION, .vector = VEC_GP, .has_error = true};
		return 0;
	}
	if (!code_is_64bit(c))
		gva = (uint32_t)gva;
	got = fetch_part(mem, c, gva, buf, n, fault);
	if (unlikely(got && got < n)) {
		gva += got;
		if (!code_is_64bit(c))
			gva = (uint32_t)gva;
		/* the instruction may well end before the page that cannot be read */
		got += fetch_part(mem, c, gva, buf + got, n - got, &second);
	}
	return got;
}
