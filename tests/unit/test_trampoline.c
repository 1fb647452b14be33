/* Where the other cores start: the choice of pages, and the tables as a processor would walk them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "arch/x86/trampoline.h"

#define SIZE (TRAMPOLINE_PAGES * PAGE_SIZE)

static struct boot_info info;

static void ram(uint64_t start, uint64_t end, enum mem_kind kind)
{
	info.ranges[info.n_ranges++] = (struct mem_range){start, end, kind};
}

static void expect(uint64_t start)
{
	struct mem_range r = trampoline_place(&info);

	assert_int_equal(r.start, start);
	assert_int_equal(r.end, start ? start + SIZE : 0);
}

static void the_highest_free_place(void **state)
{
	(void)state;
	memset(&info, 0, sizeof(info));
	expect(0);
	ram(0, 0x9f000, MEM_RAM);
	ram(0x9f000, 0xa0000, MEM_RESERVED);
	ram(0x100000, 0x8000000, MEM_RAM);
	expect(0x9f000 - SIZE);
	info.ranges[0].end = 0xa0000; /* nothing reserved */
	expect(0xa0000 - SIZE);
	info.ranges[0].end = 0x1000000; /* a map that knows no hole */
	expect(0xa0000 - SIZE);
}

static void no_room(void **state)
{
	(void)state;
	memset(&info, 0, sizeof(info));
	ram(0, 0x5000, MEM_RAM);
	expect(0); /* page 0 is never used */
	info.ranges[0].end = 0x6000;
	expect(0x1000);
	ram(0x80000, 0x84000, MEM_RAM);
	expect(0x1000);
	info.ranges[0].kind = MEM_NVS;
	expect(0);
	memset(&info, 0, sizeof(info));
	ram(0xa0000, 0x8000000, MEM_RAM);
	expect(0);
}

static void not_over_modules(void **state)
{
	(void)state;
	memset(&info, 0, sizeof(info));
	ram(0, 0xa0000, MEM_RAM);
	info.n_modules = 2;
	info.modules[0].start = 0x9b800;
	info.modules[0].end = 0x9b801;
	info.modules[1].start = 0x2000000;
	info.modules[1].end = 0x3000000;
	expect(0x9b000 - SIZE);
	info.modules[0].start = 0x9c000 - 4 * PAGE_SIZE;
	expect(0x98000 - SIZE);
	info.modules[0].start = 0x1000;
	info.modules[0].end = 0xa0000;
	expect(0);
}

static uint64_t root[512] __attribute__((aligned(4096)));
static uint64_t tables[4 * 512] __attribute__((aligned(4096)));

/* Follows va from the PML4 at pa + 4096; returns the last entry, or 0, and the AND of the W bits.
 */
static uint64_t walk(uint64_t pa, uint64_t va, bool *writable)
{
	uint64_t *table = tables, entry = 0;

	*writable = true;
	for (int shift = 39; shift >= 12; shift -= 9) {
		entry = table[va >> shift & 511];
		if (!(entry & 1))
			return 0;
		if (!(entry & 2))
			*writable = false;
		if (shift > 12) {
			uint64_t next = (entry & ~0xfffull) - (pa + PAGE_SIZE);

			assert_true(next < sizeof(tables));
			table = tables + next / 8;
		}
	}
	return entry;
}

static void maps_one_page_and_the_upper_half(void **state)
{
	const uint64_t places[] = {0x1000, 0x8000, 0x9b000};
	bool writable;

	(void)state;
	for (unsigned i = 0; i < 512; i++)
		root[i] = 0x1000000ull * (i + 1) + 3;
	for (unsigned p = 0; p < ARRAY_SIZE(places); p++) {
		uint64_t pa = places[p];

		memset(tables, 0xff, sizeof(tables));
		trampoline_tables(tables, pa, root);
		for (unsigned i = 256; i < 512; i++)
			assert_true(tables[i] == root[i]);
		for (unsigned i = 1; i < 256; i++)
			assert_int_equal(tables[i], 0);
		for (uint64_t va = 0; va < 2 * MIB; va += PAGE_SIZE) {
			uint64_t entry = walk(pa, va, &writable);

			if (va != pa) {
				assert_int_equal(entry, 0);
				continue;
			}
			assert_true(entry == (pa | 1)); /* no NX, no W */
			assert_false(writable);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_highest_free_place),
		cmocka_unit_test(no_room),
		cmocka_unit_test(not_over_modules),
		cmocka_unit_test(maps_one_page_and_the_upper_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
