/*
 * A leftist heap of timers. Pure.
 */
#include "sched/timer_heap.h"

static uint32_t rank_of(const struct timer_node *n)
{
	return n ? n->rank : 0;
}

/* Restores order of the children and the rank of a node; says whether the rank changed. */
static bool settle(struct timer_node *n)
{
	uint32_t old = n->rank;

	if (rank_of(n->left) < rank_of(n->right)) {
		struct timer_node *t = n->left;

		n->left = n->right;
		n->right = t;
	}
	n->rank = rank_of(n->right) + 1;
	return n->rank != old;
}

/*
 * Joins two heaps whose roots have no parent: down along the right children, sewing them together
 * in order, then up again to settle the ranks.
 */
static struct timer_node *merge(struct timer_node *a, struct timer_node *b)
{
	struct timer_node *root = NULL, *last = NULL;

	while (a && b) {
		struct timer_node *first = a->deadline <= b->deadline ? a : b;

		if (first == a)
			a = a->right;
		else
			b = b->right;
		first->parent = last;
		if (last)
			last->right = first;
		else
			root = first;
		last = first;
	}
	if (!a)
		a = b;
	if (!last)
		return a;
	last->right = a;
	if (a)
		a->parent = last;
	for (; last; last = last->parent)
		settle(last);
	return root;
}

void timer_heap_push(struct timer_node **root, struct timer_node *n)
{
	n->parent = n->left = n->right = NULL;
	n->rank = 1;
	*root = merge(*root, n);
}

void timer_heap_remove(struct timer_node **root, struct timer_node *n)
{
	struct timer_node *parent = n->parent, *rest;

	if (n->left)
		n->left->parent = NULL;
	if (n->right)
		n->right->parent = NULL;
	rest = merge(n->left, n->right);
	if (rest)
		rest->parent = parent;
	if (!parent)
		*root = rest;
	else if (parent->left == n)
		parent->left = rest;
	else
		parent->right = rest;
	/*
	 * The ranks above follow. A rank decides the parent's only while it is the smaller one of
	 * the two children, before or after, and then the parent's is greater by one: the climb
	 * ends after as many steps as there are ranks.
	 */
	while (parent && settle(parent))
		parent = parent->parent;
	n->parent = n->left = n->right = NULL;
}
