/* Tags of translations; see tag_pool.h. Pure. */
#include "arch/x86/tag_pool.h"

void tag_pool_init(struct tag_pool *p, uint32_t count)
{
	*p = (struct tag_pool){.generation = 1, .next = 1, .count = count};
}

bool tag_take(struct tag_pool *p, uint32_t *tag, uint64_t *generation)
{
	bool flush = false;

	if (p->next >= p->count) {
		p->generation++;
		p->next = 1;
		flush = true;
	}
	*tag = p->next++;
	*generation = p->generation;
	return flush;
}
