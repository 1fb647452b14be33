/* Call traces over a stack that is made here. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "arch/x86/oops.h"

#define STACK 0x10000ull
#define WORDS 512u

static uint64_t stack[WORDS];
static struct {
	uint64_t addr;
	bool guessed;
} seen[64];
static unsigned n_seen;

static bool read(void *ctx, uint64_t va, uint64_t *value)
{
	(void)ctx;
	if (va % 8 || va < STACK || va >= STACK + sizeof(stack))
		return false;
	*value = stack[(va - STACK) / 8];
	return true;
}

/* Addresses of 0xc0de.... are behind calls. */
static bool returns(void *ctx, uint64_t addr)
{
	(void)ctx;
	return addr >> 16 == 0xc0de;
}

static void frame(void *ctx, uint64_t addr, bool guessed)
{
	(void)ctx;
	assert_true(n_seen < 64);
	seen[n_seen].addr = addr;
	seen[n_seen++].guessed = guessed;
}

static const struct trace_view view = {.read = read, .returns = returns, .frame = frame};

static uint64_t at(unsigned word)
{
	return STACK + 8ull * word;
}

static void link(unsigned word, uint64_t next, uint64_t ret)
{
	stack[word] = next;
	stack[word + 1] = ret;
}

static void walk(uint64_t rsp, uint64_t rbp)
{
	n_seen = 0;
	trace_walk(&view, rsp, rbp);
}

static void expect(unsigned i, uint64_t addr, bool guessed)
{
	assert_true(i < n_seen);
	assert_int_equal(seen[i].addr, addr);
	assert_int_equal(seen[i].guessed, guessed);
}

static int setup(void **state)
{
	(void)state;
	memset(stack, 0, sizeof(stack));
	return 0;
}

static void follows_frames_to_the_stacks_begin(void **state)
{
	(void)state;
	link(10, at(20), 0xc0de0001);
	link(20, at(40), 0xc0de0002);
	link(40, 0, 0xc0de0003);
	walk(at(4), at(10));
	assert_int_equal(n_seen, 3);
	expect(0, 0xc0de0001, false);
	expect(1, 0xc0de0002, false);
	expect(2, 0xc0de0003, false);
	/* a return address of 0 ends it as well */
	link(20, at(40), 0);
	walk(at(4), at(10));
	assert_int_equal(n_seen, 1);
}

static void guesses_a_leafs_caller(void **state)
{
	(void)state;
	stack[5] = 0xc0de0bad;
	stack[6] = 12345;
	link(10, 0, 0xc0de0001);
	walk(at(4), at(10));
	assert_int_equal(n_seen, 2);
	expect(0, 0xc0de0bad, true);
	expect(1, 0xc0de0001, false);
	/* but not without end */
	for (unsigned i = 4; i < 10; i++)
		stack[i] = 0xc0de0bad;
	walk(at(4), at(10));
	assert_int_equal(n_seen, 5);
}

static void guesses_behind_a_broken_chain(void **state)
{
	(void)state;
	link(10, 0x5a5a5a5a5a5a5a58, 0xc0de0001);
	stack[30] = 0xc0de0002;
	stack[31] = 0xdead;
	walk(at(4), at(10));
	assert_int_equal(n_seen, 2);
	expect(0, 0xc0de0001, false);
	expect(1, 0xc0de0002, true);
	/* a chain that goes back does not go round */
	link(10, at(10), 0xc0de0001);
	walk(at(4), at(10));
	assert_int_equal(n_seen, 2);
	link(10, at(20), 0xc0de0001);
	link(20, at(10), 0xc0de0003);
	walk(at(4), at(10));
	assert_int_equal(n_seen, 3);
	expect(2, 0xc0de0002, true);
}

static void guesses_without_a_frame_pointer(void **state)
{
	static const uint64_t bad[] = {0, 1, 0x10001, STACK + 81, UINT64_MAX, STACK - 8};

	(void)state;
	stack[7] = 0xc0de0007;
	stack[300] = 0xc0de0008;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		walk(at(4), bad[i]);
		assert_int_equal(n_seen, 2);
		expect(0, 0xc0de0007, true);
		expect(1, 0xc0de0008, true);
	}
}

static void reads_no_stack_that_is_not_there(void **state)
{
	(void)state;
	walk(0, 0);
	assert_int_equal(n_seen, 0);
	walk(UINT64_MAX - 7, UINT64_MAX - 7);
	assert_int_equal(n_seen, 0);
	walk(3, at(10));
	assert_int_equal(n_seen, 0);
}

static void is_never_endless(void **state)
{
	(void)state;
	for (unsigned i = 0; i + 2 < WORDS; i += 2)
		link(i, at(i + 2), 0xc0de0000 + i);
	walk(at(0), at(0));
	assert_int_equal(n_seen, TRACE_DEPTH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(follows_frames_to_the_stacks_begin, setup),
		cmocka_unit_test_setup(guesses_a_leafs_caller, setup),
		cmocka_unit_test_setup(guesses_behind_a_broken_chain, setup),
		cmocka_unit_test_setup(guesses_without_a_frame_pointer, setup),
		cmocka_unit_test_setup(reads_no_stack_that_is_not_there, setup),
		cmocka_unit_test_setup(is_never_endless, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
