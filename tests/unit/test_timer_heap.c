/* The timers' heap against a plain array, with random operations; its shape rules after each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "sched/timer_heap.h"

#define N 512

static struct timer_node nodes[N];
static bool armed[N];
static struct timer_node *root;

/* Checks order, parents, ranks and the leftist rule; returns the number of nodes. */
static unsigned check(const struct timer_node *n, const struct timer_node *parent, unsigned depth)
{
	uint32_t l, r;

	if (!n)
		return 0;
	assert_true(depth < 2 * N);
	assert_ptr_equal(n->parent, parent);
	if (parent)
		assert_true(parent->deadline <= n->deadline);
	l = n->left ? n->left->rank : 0;
	r = n->right ? n->right->rank : 0;
	assert_true(l >= r);
	assert_int_equal(n->rank, r + 1);
	return 1 + check(n->left, n, depth + 1) + check(n->right, n, depth + 1);
}

static void reset(void)
{
	memset(nodes, 0, sizeof(nodes));
	memset(armed, 0, sizeof(armed));
	root = NULL;
}

static void push(unsigned i, uint64_t deadline)
{
	nodes[i].deadline = deadline;
	timer_heap_push(&root, &nodes[i]);
	armed[i] = true;
}

static void take(unsigned i)
{
	timer_heap_remove(&root, &nodes[i]);
	armed[i] = false;
	assert_null(nodes[i].parent);
	assert_null(nodes[i].left);
	assert_null(nodes[i].right);
}

static void check_all(void)
{
	uint64_t least = UINT64_MAX;
	unsigned n = 0;

	for (unsigned i = 0; i < N; i++)
		if (armed[i]) {
			n++;
			least = nodes[i].deadline < least ? nodes[i].deadline : least;
		}
	assert_int_equal(check(root, NULL, 0), n);
	if (n)
		assert_true(root->deadline == least);
}

static void few(void **state)
{
	(void)state;
	reset();
	push(0, 5);
	check_all();
	take(0);
	assert_null(root);
	push(0, 5);
	push(1, 5);
	push(2, 5);
	check_all();
	take(1);
	check_all();
	take(0);
	take(2);
	assert_null(root);
	push(3, UINT64_MAX);
	push(4, 0);
	assert_ptr_equal(root, &nodes[4]);
	take(3);
	assert_ptr_equal(root, &nodes[4]);
}

static void drains_in_order(int shape)
{
	uint64_t last = 0;

	reset();
	for (unsigned i = 0; i < N; i++)
		push(i, shape == 0 ? i : shape == 1 ? N - i : (i * 7919u) % 64);
	check_all();
	for (unsigned i = 0; i < N; i++) {
		assert_non_null(root);
		assert_true(root->deadline >= last);
		last = root->deadline;
		take((unsigned)(root - nodes));
	}
	assert_null(root);
}

static void in_order(void **state)
{
	(void)state;
	drains_in_order(0);
	drains_in_order(1);
	drains_in_order(2);
}

static void right_ways_are_short(void **state)
{
	unsigned len = 0;

	(void)state;
	reset();
	for (unsigned i = 0; i < N; i++)
		push(i, (uint64_t)rand());
	for (struct timer_node *n = root; n; n = n->right)
		len++;
	assert_in_range(len, 1, 9); /* log2(513) */
}

static void random_operations(void **state)
{
	(void)state;
	reset();
	srand(7);
	for (int step = 0; step < 20000; step++) {
		unsigned i = (unsigned)rand() % N;
		/* phases that fill and phases that empty */
		bool fill = (step / 1500) % 2 == 0;

		if (!armed[i] && (fill || rand() % 4 == 0))
			push(i, (uint64_t)(rand() % 1000));
		else if (armed[i] && (!fill || rand() % 4 == 0))
			take(i);
		if (step % 5 == 0)
			check_all();
	}
	while (root)
		take((unsigned)(root - nodes));
	check_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few),
		cmocka_unit_test(in_order),
		cmocka_unit_test(right_ways_are_short),
		cmocka_unit_test(random_operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
