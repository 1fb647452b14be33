/* Zeroing of large blocks: every byte of the block, none beside it, and no register is lost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86/clear_pages.h"

#define GUARD 256u

static void test_all_and_nothing_else(void **state)
{
	static const size_t sizes[] = {256, 4096, 2u << 20};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		size_t size = sizes[i];
		uint8_t *area = aligned_alloc(256, size + 2 * GUARD);

		assert_non_null(area);
		memset(area, 0xA5, size + 2 * GUARD);
		clear_pages(area + GUARD, size);
		for (size_t at = 0; at < size + 2 * GUARD; at++)
			assert_int_equal(area[at], at < GUARD || at >= GUARD + size ? 0xA5 : 0);
		free(area);
	}
}

/* XMM0 may hold a guest's value. */
static void test_the_vector_register_is_given_back(void **state)
{
	static uint8_t page[4096] __attribute__((aligned(4096)));
	static const uint8_t before[16] = "a guest's value";
	uint8_t after[16];
	void *at = page;
	size_t size = sizeof(page);

	(void)state;
	__asm__ volatile("movups %3, %%xmm0\n\t"
			 "call clear_pages\n\t"
			 "movups %%xmm0, %2"
			 : "+D"(at), "+S"(size), "=m"(after)
			 : "m"(before)
			 : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc", "xmm0");
	assert_memory_equal(after, before, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_and_nothing_else),
		cmocka_unit_test(test_the_vector_register_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
