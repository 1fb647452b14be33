/* Whose memory is whose; see quota.h. Pure. */
#include "mm/quota.h"

/* What the guest was promised and does not hold yet. */
static uint64_t owed(const struct quota *q)
{
	return q->reserve > q->held ? q->reserve - q->held : 0;
}

uint64_t quota_available(const struct quota_pool *pool, const struct quota *q, uint64_t free)
{
	uint64_t others = pool->owed - owed(q) + pool->kept;

	return free > others ? free - others : 0;
}

int quota_reserve(struct quota_pool *pool, struct quota *q, uint64_t free)
{
	if (free < pool->owed + pool->kept || q->reserve > free - pool->owed - pool->kept)
		return ERR_NO_MEMORY;
	pool->owed += owed(q);
	return 0;
}

int quota_take(struct quota_pool *pool, struct quota *q, uint64_t n, uint64_t free)
{
	if (q->held > q->limit || n > q->limit - q->held)
		return ERR_RANGE;
	if (n > quota_available(pool, q, free))
		return ERR_NO_MEMORY;
	pool->owed -= owed(q);
	q->held += n;
	pool->owed += owed(q);
	return 0;
}

void quota_give(struct quota_pool *pool, struct quota *q, uint64_t n)
{
	pool->owed -= owed(q);
	q->held -= n;
	pool->owed += owed(q);
}
