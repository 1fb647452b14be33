/* How soon a guest may restart by itself; see restart.h. Pure. */
#include "guests/restart.h"

void restart_fresh(struct restart_policy *p, uint64_t now)
{
	p->quick = 0;
	p->started = now;
}

uint64_t restart_delay(struct restart_policy *p, uint64_t now)
{
	if (now - p->started >= RESTART_SETTLED)
		p->quick = 0;
	if (p->quick < UINT32_MAX)
		p->quick++;
	if (p->quick <= RESTART_FREE)
		return 0;
	return MIN(NS_PER_S << MIN(p->quick - RESTART_FREE - 1, 6u), RESTART_MAX);
}

void restart_begins(struct restart_policy *p, uint64_t now)
{
	p->started = now;
}
