/*
 * Whose memory is whose: for each guest how much of the machine's memory it holds, may hold, and is
 * sure to get. Pure arithmetic on page frames; frees and takings themselves are the caller's.
 * Locking: the caller's, one for all quotas of a pool.
 */
#ifndef MM_QUOTA_H
#define MM_QUOTA_H

#include "lib/types.h"

/* The promises to all guests together. */
struct quota_pool {
	uint64_t owed; /* frames that reservations promise and nobody holds yet */
	uint64_t kept; /* frames that no guest gets: the hypervisor's own growth */
};

struct quota {            /* in frames */
	uint64_t limit;   /* never holds more */
	uint64_t reserve; /* is sure to get as many; at most `limit` */
	uint64_t held;
};

/* What a guest could take now, of `free` frames of the machine: not what is owed to others. */
uint64_t quota_available(const struct quota_pool *pool, const struct quota *q, uint64_t free);

/* Makes the promise of q->reserve. ERR_NO_MEMORY: `free` frames do not suffice. */
int quota_reserve(struct quota_pool *pool, struct quota *q, uint64_t free) __must_check;

/* Books n frames for the guest. ERR_RANGE: more than its limit; ERR_NO_MEMORY: more than it may
 * take of `free`. Nothing is booked then. */
int quota_take(struct quota_pool *pool, struct quota *q, uint64_t n, uint64_t free) __must_check;

/* Books n frames back; n is at most what it holds. */
void quota_give(struct quota_pool *pool, struct quota *q, uint64_t n);

#endif
