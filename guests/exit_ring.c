/* Reading the ring of exits while it is written; see exit_ring.h. Pure. */
#include "guests/exit_ring.h"

/* The oldest number whose record is surely whole. The place of the one before is the next to be
 * written, and perhaps is being written already. */
static uint64_t oldest(uint64_t next)
{
	return next < EXIT_RING_SIZE ? 0 : next - (EXIT_RING_SIZE - 1);
}

unsigned exit_ring_read(const struct exit_ring *r, uint64_t *from, struct exit_record *out,
			unsigned n, uint64_t *lost)
{
	uint64_t next = __atomic_load_n(&r->next, __ATOMIC_ACQUIRE);
	uint64_t first = MAX(*from, oldest(next)), sure;
	unsigned copied = 0, gone;

	*lost = first - *from;
	while (copied < n && first + copied < next) {
		out[copied] = r->record[(first + copied) % EXIT_RING_SIZE];
		copied++;
	}
	/* what was copied was read before this is */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	sure = oldest(__atomic_load_n(&r->next, __ATOMIC_RELAXED));
	*from = first + copied;
	if (sure <= first)
		return copied;
	gone = (unsigned)MIN(sure - first, copied);
	*lost += gone;
	for (unsigned i = gone; i < copied; i++)
		out[i - gone] = out[i];
	return copied - gone;
}
