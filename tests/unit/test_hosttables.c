/*
 * The hypervisor's own page tables: what the processor would see in them, for made-up and random
 * memory maps, against the rules; memory running out at every step; and pages that are both
 * writable and executable, planted where the search has to find them.
 */
#include "tests/unit/broken.h"

#include "mm/hostmap.h"
#include "mm/hosttables.h"

#define IMAGE_AT   0x4600000ull
#define TEXT_END   0x33000ull
#define RODATA_END 0x58000ull
#define IMAGE_SIZE 0x123000ull

/* ---- tables ---- */

static void *given[1 << 16];
static unsigned n_given, left;

static uint64_t table_alloc(void)
{
	void *p;

	if (!left)
		return UINT64_MAX;
	left--;
	p = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	assert_non_null(p);
	memset(p, 0, PAGE_SIZE);
	assert_true(n_given < ARRAY_SIZE(given));
	given[n_given++] = p;
	return (uintptr_t)p;
}

static void *table_map(uint64_t pa)
{
	assert_true(IS_ALIGNED(pa, PAGE_SIZE));
	return (void *)(uintptr_t)pa;
}

static struct hosttables t;

static void begin(bool huge, unsigned tables)
{
	t = (struct hosttables){
		.huge = huge,
		.image = IMAGE_AT,
		.text_end = TEXT_END,
		.rodata_end = RODATA_END,
		.image_end = IMAGE_SIZE,
		.alloc = table_alloc,
		.map = table_map,
	};
	left = tables;
}

static int end(void **state)
{
	(void)state;
	while (n_given)
		free(given[--n_given]);
	return 0;
}

/* ---- the processor's view ---- */

struct view {
	bool present, write, execute, uncached;
	uint64_t pa, size;
};

/* Rights are what all levels allow together. */
static struct view look(uint64_t va)
{
	struct view v = {.write = true, .execute = true};
	const uint64_t *table = table_map(t.root);

	for (unsigned shift = 39;; shift -= 9) {
		uint64_t e = table[va >> shift & 511], size = 1ull << shift;

		if (!(e & 1))
			return (struct view){0};
		v.write = v.write && (e & 2);
		v.execute = v.execute && !(e >> 63);
		if (shift > 12 && !(e & 0x80)) {
			table = table_map(e & 0x000ffffffffff000ull);
			continue;
		}
		assert_true(shift <= 30);
		assert_true(IS_ALIGNED(e & 0x000fffffffffe000ull, shift > 12 ? size : 1));
		v.present = true;
		v.uncached = (e & 0x18) == 0x18;
		v.size = size;
		v.pa = (e & 0x000ffffffffff000ull) + (va & (size - 1) & ~(PAGE_SIZE - 1));
		return v;
	}
}

static void expect(uint64_t va, uint64_t pa, bool write, bool execute)
{
	struct view v = look(va);

	assert_true(v.present);
	assert_int_equal(v.pa, ALIGN_DOWN(pa, PAGE_SIZE));
	assert_int_equal(v.write, write);
	assert_int_equal(v.execute, execute);
	assert_false(v.uncached);
}

static void expect_none(uint64_t va)
{
	assert_false(look(va).present);
}

static void expect_no_wx(void)
{
	uint64_t va;

	assert_false(hosttables_find_wx(&t, &va));
}

static struct boot_info info;

static void range(uint64_t from, uint64_t to, enum mem_kind kind)
{
	info.ranges[info.n_ranges++] = (struct mem_range){from, to, kind};
}

/* By the rules of hosttables.h. */
static bool is_mapped(uint64_t page)
{
	if (page < MIB)
		return true;
	for (uint32_t i = 0; i < info.n_ranges; i++) {
		const struct mem_range *r = &info.ranges[i];

		if (r->kind != MEM_RESERVED && r->kind != MEM_BAD && r->start < r->end &&
		    r->start < page + PAGE_SIZE && r->end > page)
			return page < DIRECT_MAP_SIZE;
	}
	return false;
}

static void check_direct(uint64_t pa)
{
	uint64_t page = ALIGN_DOWN(pa, PAGE_SIZE);

	if (page >= DIRECT_MAP_SIZE)
		return;
	if (!is_mapped(page))
		expect_none(DIRECT_MAP_BASE + page);
	else
		expect(DIRECT_MAP_BASE + page, page,
		       page < IMAGE_AT || page >= IMAGE_AT + RODATA_END, false);
}

static void check_around(uint64_t pa)
{
	for (uint64_t d = 0; d <= 2; d++) {
		check_direct(pa + d * PAGE_SIZE);
		check_direct(pa - MIN(pa, d * PAGE_SIZE));
	}
	check_direct(ALIGN_DOWN(pa, LARGE_PAGE_SIZE));
	check_direct(ALIGN_UP(pa, LARGE_PAGE_SIZE));
	check_direct(ALIGN_DOWN(pa, HUGE_PAGE_SIZE));
	check_direct(ALIGN_UP(pa, HUGE_PAGE_SIZE));
}

static void check_all(void)
{
	check_around(0);
	check_around(MIB);
	check_around(IMAGE_AT);
	check_around(IMAGE_AT + TEXT_END);
	check_around(IMAGE_AT + RODATA_END);
	check_around(IMAGE_AT + IMAGE_SIZE);
	for (uint32_t i = 0; i < info.n_ranges; i++) {
		check_around(info.ranges[i].start);
		check_around(info.ranges[i].end);
	}
	expect_no_wx();
}

/* ---- tests ---- */

static void a_pc(bool huge)
{
	info.n_ranges = 0;
	range(0, 0x9fc00, MEM_RAM);
	range(0x9fc00, 0xa0000, MEM_RESERVED);
	range(0xf0000, 0x100000, MEM_RESERVED);
	range(0x100000, 0x7ffdc000, MEM_RAM);
	range(0x7ffdc123, 0x7ffde456, MEM_ACPI);
	range(0x7ffe0000, 0x7fff0000, MEM_NVS);
	range(0xb0000000, 0xc0000000, MEM_RESERVED);
	range(0x100000000, 0x240000000, MEM_RAM);
	begin(huge, 1000);
	assert_true(hosttables_init(&t));
	assert_true(hosttables_map_direct(&t, &info));
	assert_true(hosttables_map_image(&t));
}

static void test_a_pc(void **state)
{
	(void)state;
	for (int huge = 0; huge < 2; huge++) {
		a_pc(huge);
		check_all();
		expect(DIRECT_MAP_BASE + 0xb8000, 0xb8000, true, false); /* not in the map at all */
		expect_none(DIRECT_MAP_BASE + 0xfee00000);
		expect_none(0);
		expect_none(IMAGE_AT);
		assert_int_equal(look(DIRECT_MAP_BASE + 0x180000000).size,
				 huge ? HUGE_PAGE_SIZE : LARGE_PAGE_SIZE);
		assert_int_equal(look(DIRECT_MAP_BASE + 0x8000000).size, LARGE_PAGE_SIZE);
		assert_int_equal(look(DIRECT_MAP_BASE + IMAGE_AT).size, PAGE_SIZE);
	}
}

static void test_image(void **state)
{
	(void)state;
	a_pc(false);
	for (uint64_t at = 0; at < IMAGE_SIZE; at += PAGE_SIZE) {
		expect(IMAGE_BASE + at, IMAGE_AT + at, at >= RODATA_END, at < TEXT_END);
		expect(DIRECT_MAP_BASE + IMAGE_AT + at, IMAGE_AT + at, at >= RODATA_END, false);
	}
	expect_none(IMAGE_BASE - PAGE_SIZE);
	expect_none(IMAGE_BASE + IMAGE_SIZE);
}

/* The image need not begin at a multiple of 2 MiB for its pages to be right. */
static void test_image_anywhere(void **state)
{
	(void)state;
	a_pc(true);
	begin(true, 1000);
	t.image = 0x7ff00000 - 5 * PAGE_SIZE;
	assert_true(hosttables_init(&t));
	assert_true(hosttables_map_direct(&t, &info));
	assert_true(hosttables_map_image(&t));
	for (uint64_t at = 0; at < IMAGE_SIZE && t.image + at < 0x7ffdc000; at += PAGE_SIZE)
		expect(DIRECT_MAP_BASE + t.image + at, t.image + at, at >= RODATA_END, false);
	expect_no_wx();
}

static void test_random_maps(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		uint64_t at = broken_random() % (2 * MIB);

		info.n_ranges = 0;
		while (info.n_ranges < 12) {
			uint64_t size = broken_random() % (1ull << (12 + broken_random() % 21));
			enum mem_kind kind = (enum mem_kind)(1 + broken_random() % 5);

			/* RAM comes in whole pages from the parser */
			if (kind == MEM_RAM) {
				at = ALIGN_UP(at, PAGE_SIZE);
				size = ALIGN_UP(size, PAGE_SIZE);
			}
			range(at, at + size, kind);
			at += size;
			if (broken_random() % 2)
				at += broken_random() % (1ull << (10 + broken_random() % 22));
		}
		begin(round % 2, 60000);
		assert_true(hosttables_init(&t));
		assert_true(hosttables_map_direct(&t, &info));
		assert_true(hosttables_map_image(&t));
		check_all();
		for (unsigned i = 0; i < 200; i++)
			check_direct(broken_random() % (at + GIB));
		end(NULL);
	}
}

/* Whatever the firmware claims, the direct map ends where the windows begin. */
static void test_too_far(void **state)
{
	(void)state;
	info.n_ranges = 0;
	range(MIB, 2 * GIB, MEM_RAM);
	range(DIRECT_MAP_SIZE - GIB, DIRECT_MAP_SIZE + GIB, MEM_RAM);
	range(DIRECT_MAP_SIZE + 2 * GIB, DIRECT_MAP_SIZE + 3 * GIB, MEM_RAM);
	range(DIRECT_MAP_SIZE * 2 - GIB, DIRECT_MAP_SIZE * 2 + GIB, MEM_ACPI);
	range(UINT64_MAX - 10, UINT64_MAX, MEM_NVS);
	begin(true, 1000);
	assert_true(hosttables_init(&t));
	assert_true(hosttables_map_direct(&t, &info));
	assert_true(hosttables_map_image(&t));
	expect(DIRECT_MAP_BASE + DIRECT_MAP_SIZE - PAGE_SIZE, DIRECT_MAP_SIZE - PAGE_SIZE, true,
	       false);
	for (uint64_t at = 0; at < VMAP_SIZE; at += 64 * MIB)
		expect_none(VMAP_BASE + at);
	expect_none(DIRECT_MAP_BASE + DIRECT_MAP_SIZE + 2 * GIB);
	expect(IMAGE_BASE, IMAGE_AT, false, true);
	expect_no_wx();
}

static void test_windows(void **state)
{
	(void)state;
	a_pc(true);
	assert_true(hosttables_map(&t, VMAP_BASE + PAGE_SIZE, 0xfee00000, HOST_DEVICE));
	assert_true(hosttables_map(&t, VMAP_BASE + 3 * PAGE_SIZE, 0x5000000, HOST_RW));
	assert_true(look(VMAP_BASE + PAGE_SIZE).uncached);
	assert_true(look(VMAP_BASE + PAGE_SIZE).write);
	assert_false(look(VMAP_BASE + PAGE_SIZE).execute);
	assert_int_equal(look(VMAP_BASE + PAGE_SIZE).pa, 0xfee00000);
	expect(VMAP_BASE + 3 * PAGE_SIZE, 0x5000000, true, false);
	expect_none(VMAP_BASE);
	expect_none(VMAP_BASE + 2 * PAGE_SIZE);
	expect_none(VMAP_BASE + 4 * PAGE_SIZE);
	/* a small page inside a large one is refused and changes nothing */
	assert_false(hosttables_map(&t, DIRECT_MAP_BASE + 0x8000000, 0x1000, HOST_RW));
	expect(DIRECT_MAP_BASE + 0x8000000, 0x8000000, true, false);
	expect_no_wx();
}

/* The other cores share the top-level table: what is mapped later must not need a new entry there.
 */
static void test_windows_shared(void **state)
{
	uint64_t before[512];

	(void)state;
	a_pc(true);
	memcpy(before, table_map(t.root), sizeof(before));
	for (uint64_t at = 0; at < VMAP_SIZE; at += 32 * MIB)
		assert_true(hosttables_map(&t, VMAP_BASE + at, 0x5000000, HOST_RW));
	assert_memory_equal(before, table_map(t.root), sizeof(before));
}

static void test_no_memory(void **state)
{
	unsigned n = 0;
	bool good = false;

	(void)state;
	a_pc(false);
	while (!good) {
		begin(false, n++);
		good = hosttables_init(&t) && hosttables_map_direct(&t, &info) &&
		       hosttables_map_image(&t);
		assert_true(good || left == 0);
		assert_true(n < 1000);
	}
	assert_true(n > 8);
	check_all();
}

static void test_walk(void **state)
{
	uint64_t e[4];

	(void)state;
	a_pc(true);
	assert_int_equal(hosttables_walk(&t, IMAGE_BASE, e), 4);
	assert_int_equal(e[3] & 0x000ffffffffff000ull, IMAGE_AT);
	assert_int_equal(hosttables_walk(&t, DIRECT_MAP_BASE + 0x8000000, e), 3);
	assert_int_equal(hosttables_walk(&t, DIRECT_MAP_BASE + 0x180000000, e), 2);
	assert_int_equal(hosttables_walk(&t, 0, e), 1);
	assert_int_equal(e[0], 0);
	assert_int_equal(hosttables_walk(&t, UINT64_MAX, e), 2);
	assert_int_equal(e[1], 0);
}

/* Makes the entry that ends the walk of `va` writable and executable. */
static void plant(uint64_t va)
{
	uint64_t *table = table_map(t.root);

	for (unsigned shift = 39;; shift -= 9) {
		uint64_t *e = &table[va >> shift & 511];

		if (shift == 12 || (*e & 0x80)) {
			*e = (*e | 3) & ~BIT(63);
			return;
		}
		assert_true(*e & 1);
		table = table_map(*e & 0x000ffffffffff000ull);
	}
}

static void test_find_wx(void **state)
{
	const uint64_t where[] = {
		DIRECT_MAP_BASE,
		DIRECT_MAP_BASE + 0x8000000,
		DIRECT_MAP_BASE + 0x180000000,
		DIRECT_MAP_BASE + 0x7ffdb000,
		DIRECT_MAP_BASE + IMAGE_AT + 0x3000,
		VMAP_BASE + 511 * PAGE_SIZE,
		IMAGE_BASE,
		IMAGE_BASE + IMAGE_SIZE - PAGE_SIZE,
	};
	uint64_t va;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(where); i++) {
		a_pc(true);
		expect_no_wx();
		plant(where[i]);
		assert_true(hosttables_find_wx(&t, &va));
		assert_int_equal(va, where[i]);
	}
	/* address 0 is an address like others */
	a_pc(true);
	assert_true(hosttables_map(&t, 0, 0, HOST_RX));
	expect_no_wx();
	plant(0);
	assert_true(hosttables_find_wx(&t, &va));
	assert_int_equal(va, 0);
}

/* A page of the first MiB has an entry of its own, whatever page sizes there are. */
static void test_low_page_read_only(void **state)
{
	(void)state;
	for (int huge = 0; huge < 2; huge++) {
		a_pc(huge);
		left = 0; /* without a new table */
		assert_true(hosttables_map(&t, DIRECT_MAP_BASE + 0x9a000, 0x9a000, HOST_R));
		expect(DIRECT_MAP_BASE + 0x9a000, 0x9a000, false, false);
		expect(DIRECT_MAP_BASE + 0x99000, 0x99000, true, false);
		expect(DIRECT_MAP_BASE + 0x9b000, 0x9b000, true, false);
		expect_no_wx();
	}
}

/* Neither RAM nor what the CPU cannot address, whatever a firmware table says. */
static void test_no_device(void **state)
{
	const uint64_t limit = BIT(40);
	static const struct {
		uint64_t pa, size;
		const char *words; /* NULL: it may be one */
	} cases[] = {
		{0xfed00000, 0x400, NULL},
		{0xb8000, 0x1000, NULL},
		{0xb0000000, 0x1000, NULL},
		{0x7ffdd000, 0x2000, NULL}, /* ACPI tables are reached this way too */
		{BIT(40) - 4, 4, NULL},
		{BIT(40) - 4, 5, "beyond"},
		{BIT(40), 1, "beyond"},
		{BIT(45) | 0xfed00000, 0x400, "beyond"},
		{UINT64_MAX, 4, "beyond"},
		{0xfed00000, 0, "beyond"},
		{0, UINT64_MAX, "beyond"},
		{0x100000, 4, "RAM"},
		{0x7ffdbff0, 0x20, "RAM"},
		{0xffffff00, 0x101, "RAM"},
		{0x240000000 - 1, 1, "RAM"},
		{0x240000000, 0x1000, NULL},
		{0x9f000 - 1, 1, "RAM"},
	};

	(void)state;
	a_pc(false);
	info.ranges[0].end = 0x9f000; /* whole pages, as the boot map has them */
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *words = hosttables_no_device(&info, limit, cases[i].pa, cases[i].size);

		if (!cases[i].words) {
			assert_null(words);
			continue;
		}
		assert_non_null(words);
		assert_non_null(strstr(words, cases[i].words));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_a_pc, end),
		cmocka_unit_test_teardown(test_image, end),
		cmocka_unit_test_teardown(test_image_anywhere, end),
		cmocka_unit_test_teardown(test_random_maps, end),
		cmocka_unit_test_teardown(test_too_far, end),
		cmocka_unit_test_teardown(test_windows, end),
		cmocka_unit_test_teardown(test_windows_shared, end),
		cmocka_unit_test_teardown(test_no_memory, end),
		cmocka_unit_test_teardown(test_walk, end),
		cmocka_unit_test_teardown(test_find_wx, end),
		cmocka_unit_test_teardown(test_low_page_read_only, end),
		cmocka_unit_test_teardown(test_no_device, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
