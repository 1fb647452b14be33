/* The call trace over any memory; see oops.h. Pure. */
#include "arch/x86/oops.h"

#define GUESSES_INNER 4u         /* shown from before the first frame */
#define GUESSES_OUTER 12u        /* and behind a chain that broke */
#define SCAN_WORDS    1024u      /* looked at for them */
#define FRAME_MAX     (16 * KIB) /* no frame is larger: the stacks are not */

/* Words in [from, to) that a call may have pushed. */
static void guess(const struct trace_view *v, uint64_t from, uint64_t to, unsigned most)
{
	unsigned shown = 0, words = 0;
	uint64_t value;

	for (uint64_t at = from; at < to && words < SCAN_WORDS && shown < most; at += 8, words++) {
		if (!v->read(v->ctx, at, &value))
			return;
		if (v->returns(v->ctx, value)) {
			v->frame(v->ctx, value, true);
			shown++;
		}
	}
}

void trace_walk(const struct trace_view *v, uint64_t rsp, uint64_t rbp)
{
	uint64_t next, ret, end = rsp;

	if (rsp % 8)
		return;
	if (rbp % 8 || rbp < rsp || rbp - rsp > FRAME_MAX || !v->read(v->ctx, rbp, &next)) {
		/* no frame pointer to follow */
		guess(v, rsp, UINT64_MAX, GUESSES_OUTER);
		return;
	}
	guess(v, rsp, rbp, GUESSES_INNER);
	for (unsigned i = 0; i < TRACE_DEPTH; i++) {
		if (rbp % 8 || !v->read(v->ctx, rbp, &next) || !v->read(v->ctx, rbp + 8, &ret)) {
			guess(v, end, UINT64_MAX, GUESSES_OUTER);
			return;
		}
		if (!ret)
			return; /* where the stack began */
		v->frame(v->ctx, ret, false);
		end = rbp + 16;
		if (!next)
			return;
		/* outwards on each stack; from an interrupt's stack to the one it interrupted */
		if (next <= rbp && rbp - next < FRAME_MAX) {
			guess(v, end, UINT64_MAX, GUESSES_OUTER);
			return;
		}
		rbp = next;
	}
}
