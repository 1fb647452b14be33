/* What may be given out, against a map of single pages. */
#include "tests/unit/broken.h"

#include "mm/hostmap.h"
#include "mm/usable.h"

#define PAGES 512u

static struct boot_info info;
static struct usable u;
static bool model[PAGES];

static void range(uint64_t from, uint64_t to, enum mem_kind kind)
{
	info.ranges[info.n_ranges++] = (struct mem_range){from, to, kind};
}

static bool has(uint64_t page)
{
	for (uint32_t i = 0; i < u.n; i++) {
		if (u.ranges[i].start <= page && page < u.ranges[i].end)
			return true;
	}
	return false;
}

static void check_order(void)
{
	assert_true(u.n <= USABLE_MAX);
	for (uint32_t i = 0; i < u.n; i++) {
		assert_true(IS_ALIGNED(u.ranges[i].start | u.ranges[i].end, PAGE_SIZE));
		assert_true(u.ranges[i].start <= u.ranges[i].end);
		assert_true(i == 0 || u.ranges[i - 1].end <= u.ranges[i].start);
	}
}

static void check_model(void)
{
	check_order();
	for (uint64_t i = 0; i < PAGES; i++)
		assert_int_equal(has(i * PAGE_SIZE), model[i]);
}

static uint64_t total(void)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < u.n; i++)
		sum += u.ranges[i].end - u.ranges[i].start;
	return sum;
}

static void test_init(void **state)
{
	(void)state;
	info.n_ranges = 0;
	range(0, 0x9f000, MEM_RAM);
	range(0xf0000, 0x100000, MEM_RESERVED);
	range(0x100800, 0x200800, MEM_RAM); /* whole pages only */
	range(0x200800, 0x300000, MEM_ACPI);
	range(0x300000, 0x301000, MEM_NVS);
	range(0x400000, 0x500000, MEM_BAD);
	range(0x500800, 0x500900, MEM_RAM); /* no whole page */
	range(DIRECT_MAP_SIZE - GIB, DIRECT_MAP_SIZE + GIB, MEM_RAM);
	range(DIRECT_MAP_SIZE + GIB, UINT64_MAX, MEM_RAM);
	usable_init(&u, &info);
	assert_int_equal(u.n, 3);
	assert_int_equal(u.ranges[0].end, 0x9f000);
	assert_int_equal(u.ranges[1].start, 0x101000);
	assert_int_equal(u.ranges[1].end, 0x200000);
	assert_int_equal(u.ranges[2].start, DIRECT_MAP_SIZE - GIB);
	assert_int_equal(u.ranges[2].end, DIRECT_MAP_SIZE);
}

/* A map that is full fits in. */
static void test_most_ranges(void **state)
{
	(void)state;
	info.n_ranges = 0;
	for (uint64_t i = 0; i < BOOT_MAX_RANGES; i++)
		range(i * 2 * PAGE_SIZE, (i * 2 + 1) * PAGE_SIZE, MEM_RAM);
	usable_init(&u, &info);
	assert_int_equal(u.n, BOOT_MAX_RANGES);
	check_order();
}

static void test_clip(void **state)
{
	(void)state;
	info.n_ranges = 0;
	range(0, 8 * PAGE_SIZE, MEM_RAM);
	range(8 * PAGE_SIZE, 12 * PAGE_SIZE, MEM_RAM);
	range(BIT(45), BIT(45) + 3 * PAGE_SIZE, MEM_RAM);
	range(BIT(45) + 3 * PAGE_SIZE, BIT(45) + 5 * PAGE_SIZE, MEM_ACPI);
	range(UINT64_MAX - 7, UINT64_MAX, MEM_RESERVED);
	assert_int_equal(ranges_clip(&info, BIT(46)), 0);
	assert_int_equal(info.n_ranges, 4);
	assert_int_equal(ranges_clip(&info, BIT(45) + PAGE_SIZE), 2 * PAGE_SIZE);
	assert_int_equal(info.n_ranges, 3);
	assert_int_equal(info.ranges[2].end, BIT(45) + PAGE_SIZE);
	assert_int_equal(ranges_clip(&info, BIT(40)), PAGE_SIZE);
	assert_int_equal(info.n_ranges, 2);
	assert_int_equal(ranges_clip(&info, 12 * PAGE_SIZE), 0);
	assert_int_equal(ranges_clip(&info, 8 * PAGE_SIZE), 4 * PAGE_SIZE);
	assert_int_equal(info.n_ranges, 1);
	assert_int_equal(info.ranges[0].end, 8 * PAGE_SIZE);
}

static void begin(void)
{
	memset(model, 0, sizeof(model));
	info.n_ranges = 0;
	for (uint64_t at = broken_random() % 8; at < PAGES;) {
		uint64_t n = 1 + broken_random() % 60;

		n = MIN(n, PAGES - at);
		range(at * PAGE_SIZE, (at + n) * PAGE_SIZE, MEM_RAM);
		memset(model + at, 1, n);
		at += n + 1 + broken_random() % 20;
	}
	usable_init(&u, &info);
	check_model();
}

static void test_reserve(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		begin();
		for (unsigned i = 0; i < 30; i++) {
			uint64_t start = broken_random() % ((PAGES + 4) * PAGE_SIZE);
			uint64_t end = start + broken_random() % (20 * PAGE_SIZE);

			usable_reserve(&u, start, end);
			for (uint64_t p = start / PAGE_SIZE;
			     start < end && p < PAGES && p * PAGE_SIZE < end; p++)
				model[p] = false;
			check_model();
		}
		usable_reserve(&u, 0, PAGES * PAGE_SIZE);
		assert_int_equal(u.n, 0);
	}
}

static void test_reserve_nothing(void **state)
{
	uint64_t before;

	(void)state;
	begin();
	before = total();
	usable_reserve(&u, 5 * PAGE_SIZE, 5 * PAGE_SIZE);
	usable_reserve(&u, 9 * PAGE_SIZE, 3 * PAGE_SIZE);
	usable_reserve(&u, PAGES * PAGE_SIZE, 2 * PAGES * PAGE_SIZE);
	assert_int_equal(total(), before);
	check_model();
}

/* With a full table a cut in the middle loses a piece, and never gives out what is reserved. */
static void test_reserve_in_a_full_table(void **state)
{
	(void)state;
	for (uint64_t cut = 0; cut < USABLE_MAX; cut++) {
		for (u.n = 0; u.n < USABLE_MAX; u.n++)
			u.ranges[u.n] = (struct mem_range){u.n * 16 * PAGE_SIZE,
							   (u.n * 16 + 8) * PAGE_SIZE, MEM_RAM};
		usable_reserve(&u, (cut * 16 + 3) * PAGE_SIZE, (cut * 16 + 5) * PAGE_SIZE);
		check_order();
		assert_int_equal(u.n, USABLE_MAX);
		assert_true(has((cut * 16 + 2) * PAGE_SIZE));
		assert_false(has((cut * 16 + 3) * PAGE_SIZE));
		assert_false(has((cut * 16 + 4) * PAGE_SIZE));
		assert_int_equal(has((cut * 16 + 5) * PAGE_SIZE), cut + 1 < USABLE_MAX);
		assert_true(has(0));
	}
}

static void test_take(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		uint64_t sum;

		begin();
		for (;;) {
			uint64_t pages = 1 + broken_random() % 30;
			uint64_t limit = (broken_random() % (PAGES + 10)) * PAGE_SIZE, at, best;

			sum = total();
			best = UINT64_MAX; /* by the model of ranges: the highest that fits */
			for (uint32_t i = 0; i < u.n; i++) {
				if (u.ranges[i].end <= limit &&
				    u.ranges[i].end - u.ranges[i].start >= pages * PAGE_SIZE)
					best = u.ranges[i].end - pages * PAGE_SIZE;
			}
			at = usable_take(&u, pages * PAGE_SIZE, limit);
			assert_int_equal(at, best);
			if (at == UINT64_MAX) {
				assert_int_equal(total(), sum);
				if (broken_random() % 20 == 0)
					break;
				continue;
			}
			assert_true(at + pages * PAGE_SIZE <= limit);
			for (uint64_t i = 0; i < pages; i++) {
				assert_true(model[at / PAGE_SIZE + i]);
				model[at / PAGE_SIZE + i] = false;
			}
			check_model();
		}
	}
}

/* A range that was taken as a whole stays in the table, empty, and disturbs nobody. */
static void test_take_all(void **state)
{
	(void)state;
	info.n_ranges = 0;
	range(MIB, 2 * MIB, MEM_RAM);
	range(4 * MIB, 5 * MIB, MEM_RAM);
	usable_init(&u, &info);
	assert_int_equal(usable_take(&u, MIB, UINT64_MAX), 4 * MIB);
	assert_int_equal(usable_take(&u, PAGE_SIZE, UINT64_MAX), 2 * MIB - PAGE_SIZE);
	usable_reserve(&u, 3 * MIB, 6 * MIB);
	assert_int_equal(usable_take(&u, MIB, UINT64_MAX), UINT64_MAX);
	assert_int_equal(usable_take(&u, MIB - PAGE_SIZE, UINT64_MAX), MIB);
	assert_int_equal(usable_take(&u, PAGE_SIZE, UINT64_MAX), UINT64_MAX);
	assert_int_equal(total(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_most_ranges),
		cmocka_unit_test(test_clip),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_reserve_nothing),
		cmocka_unit_test(test_reserve_in_a_full_table),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_take_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
