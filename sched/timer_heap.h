/*
 * The order of armed timers: a leftist heap inside the timers themselves. No allocation; push and
 * remove are O(log n) in the worst case. Pure; the owner locks.
 */
#ifndef SCHED_TIMER_HEAP_H
#define SCHED_TIMER_HEAP_H

#include "lib/types.h"

/*
 * Every node's deadline is at or before its children's. `rank` is the length of the shortest way
 * down to a missing child, and the left child's is never the smaller one: so the way along the
 * right children, the only one that is ever walked downwards, is at most log2(n + 1) long.
 */
struct timer_node {
	uint64_t deadline; /* host TSC */
	struct timer_node *parent, *left, *right;
	uint32_t rank;
};

/* Puts a node that is in no heap into the heap with the root *root (NULL: empty). */
void timer_heap_push(struct timer_node **root, struct timer_node *n);

/* Takes a node out of the heap that it is in. */
void timer_heap_remove(struct timer_node **root, struct timer_node *n);

#endif
