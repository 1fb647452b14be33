/*
 * The kernel heap over frames of the C library's heap, so that AddressSanitizer sees what is
 * touched after its frame was given back; panic() jumps back into the test.
 */
#include "tests/unit/broken.h"

#include <stdio.h>

#include "lib/log.h"
#include "mm/frame.h"
#include "mm/heap.h"
#include "mm/hostmap.h"

/* ---- frames ---- */

#define BLOCKS 4096u

static struct block {
	uint8_t *start; /* NULL: none */
	struct frame record;
	uint64_t n;
} blocks[BLOCKS];
static unsigned n_blocks;
static unsigned frames_left;

/* Physical addresses are such that phys_to_virt finds the memory. */
static struct hpa to_phys(const void *p)
{
	return HPA((uintptr_t)p - DIRECT_MAP_BASE);
}

struct hpa virt_to_phys(const void *va)
{
	return to_phys(va);
}

static struct block *find(struct hpa pa)
{
	for (unsigned i = 0; i < BLOCKS; i++) {
		if (blocks[i].start && to_phys(blocks[i].start).v == pa.v)
			return &blocks[i];
	}
	return NULL;
}

struct hpa frames_alloc_n(uint64_t n, enum frame_owner owner, bool zero)
{
	size_t size = PAGE_SIZE * n, align = PAGE_SIZE;

	if (frames_left < n)
		return HPA_NONE;
	while (align < size)
		align *= 2;
	for (unsigned i = 0; i < BLOCKS; i++) {
		if (blocks[i].start)
			continue;
		/* with the sanitizer's guards right behind the n frames */
		assert_int_equal(posix_memalign((void **)&blocks[i].start, align, size), 0);
		memset(blocks[i].start, zero ? 0 : 0xa5, size);
		blocks[i].record = (struct frame){1, (uint8_t)owner, 0, 0, 0};
		blocks[i].n = n;
		n_blocks++;
		frames_left -= (unsigned)n;
		return to_phys(blocks[i].start);
	}
	fail();
	return HPA_NONE;
}

struct hpa frames_alloc(unsigned order, enum frame_owner owner, bool zero)
{
	return frames_alloc_n(1ull << order, owner, zero);
}

uint64_t frames_free_n(struct hpa start)
{
	struct block *block = find(start);
	uint64_t n;

	if (!block)
		panic("not given out");
	n = block->n;
	memset(block->start, 0xa5, PAGE_SIZE * n);
	free(block->start);
	block->start = NULL;
	n_blocks--;
	frames_left += (unsigned)n;
	return n;
}

void frames_free(struct hpa start, unsigned order)
{
	assert_int_equal(frames_free_n(start), 1u << order);
}

struct frame *frame_record(struct hpa pa)
{
	static struct frame other;
	struct block *block = find(pa);

	other = (struct frame){.owner = FRAME_GUEST_RAM};
	return block ? &block->record : &other;
}

/* ---- panic ---- */

static jmp_buf back;
static bool expected;
static char said[256];

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
	if (!expected) {
		fprintf(stderr, "panic: %s\n", said);
		abort();
	}
	longjmp(back, 1);
}

static bool free_panics(void *p)
{
	expected = true;
	if (setjmp(back)) {
		expected = false;
		return true;
	}
	heap_free(p);
	expected = false;
	return false;
}

/* ---- tests ---- */

static int begin(void **state)
{
	(void)state;
	frames_left = 1u << 20;
	return 0;
}

static struct heap_stats stats(void)
{
	struct heap_stats s;

	heap_stats(&s);
	return s;
}

static void expect_empty(void)
{
	struct heap_stats s = stats();

	assert_int_equal(s.objects, 0);
	assert_int_equal(s.used_bytes, 0);
	assert_int_equal(s.frames, 0);
	assert_int_equal(n_blocks, 0);
}

static void expect_bytes(const uint8_t *p, uint8_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(p[i], value);
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = {0,    1,    15,   16,   17,    31,    32,    33,
				       511,  512,  513,  1023, 1024,  1025,  2048,  4095,
				       4096, 4097, 8192, 8193, 65536, 65537, 100000};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t *p = heap_alloc(sizes[i]);

		assert_non_null(p);
		assert_true(IS_ALIGNED((uintptr_t)p, 16));
		assert_true(sizes[i] < PAGE_SIZE || IS_ALIGNED((uintptr_t)p, PAGE_SIZE));
		expect_bytes(p, 0, sizes[i]);
		memset(p, 0xff, sizes[i]);
		assert_int_equal(stats().objects, 1);
		assert_true(stats().used_bytes >= sizes[i]);
		assert_true(stats().frames * PAGE_SIZE >= stats().used_bytes);
		heap_free(p);
		expect_empty();
	}
	heap_free(NULL);
}

static void test_too_large(void **state)
{
	(void)state;
	assert_null(heap_alloc((PAGE_SIZE << FRAME_MAX_ORDER) + 1));
	assert_null(heap_alloc(SIZE_MAX));
	assert_null(heap_alloc(SIZE_MAX / 2 + 1));
	expect_empty();
}

static void test_no_frames(void **state)
{
	void *p, *q;

	(void)state;
	frames_left = 0;
	assert_null(heap_alloc(16));
	assert_null(heap_alloc(5000));
	expect_empty();
	frames_left = 1;
	p = heap_alloc(1000);
	assert_non_null(p);
	assert_null(heap_alloc(16)); /* another class */
	q = heap_alloc(1000);
	assert_non_null(q); /* the same */
	heap_free(p);
	heap_free(q);
	assert_int_equal(frames_left, 1);
	expect_empty();
}

/* Objects keep their bytes whatever happens around them, begin as zeros, and leave nothing behind.
 */
static void test_random(void **state)
{
	static struct {
		uint8_t *p;
		size_t size;
		uint8_t value;
	} objects[500];
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		if (broken_random() % 100 < (i / 2000 % 2 ? 40 : 60) && n < ARRAY_SIZE(objects)) {
			size_t size = broken_random() % (1ull << (1 + broken_random() % 14));

			objects[n].p = heap_alloc(size);
			assert_non_null(objects[n].p);
			expect_bytes(objects[n].p, 0, size);
			objects[n].size = size;
			objects[n].value = (uint8_t)broken_random();
			memset(objects[n].p, objects[n].value, size);
			n++;
		} else if (n) {
			unsigned k = (unsigned)(broken_random() % n);

			expect_bytes(objects[k].p, objects[k].value, objects[k].size);
			heap_free(objects[k].p);
			objects[k] = objects[--n];
		}
		assert_int_equal(stats().objects, n);
	}
	while (n--) {
		expect_bytes(objects[n].p, objects[n].value, objects[n].size);
		heap_free(objects[n].p);
	}
	expect_empty();
}

static void test_no_overlap(void **state)
{
	uint8_t *p[300];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = heap_alloc(64);
		assert_non_null(p[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
		for (unsigned j = 0; j < i; j++)
			assert_true(p[i] + 64 <= p[j] || p[j] + 64 <= p[i]);
	}
	assert_true(stats().frames <= 300 * 64 / 4000 + 1);
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++)
		heap_free(p[i]);
	expect_empty();
}

static void test_bad_free(void **state)
{
	uint8_t *p = heap_alloc(100), *q = heap_alloc(100), *large = heap_alloc(20000);
	uint8_t *tiny = heap_alloc(16);
	static uint8_t other[3 * PAGE_SIZE];

	(void)state;
	assert_true(p && q && large && tiny);
	heap_free(p);
	assert_true(free_panics(p));
	assert_non_null(strstr(said, "twice"));
	assert_true(free_panics(q + 16)); /* within an object */
	assert_true(free_panics(q + 8));  /* not even aligned */
	/* within the header of a page */
	for (unsigned at = 16; (ALIGN_DOWN((uintptr_t)tiny, PAGE_SIZE) + at) < (uintptr_t)tiny;
	     at += 16)
		assert_true(free_panics((uint8_t *)ALIGN_DOWN((uintptr_t)tiny, PAGE_SIZE) + at));
	assert_true(free_panics(large + PAGE_SIZE));
	assert_true(free_panics(large + 128));
	/* memory of others */
	assert_true(free_panics((uint8_t *)ALIGN_UP((uintptr_t)other, PAGE_SIZE)));
	assert_true(free_panics((uint8_t *)ALIGN_UP((uintptr_t)other, PAGE_SIZE) + 64));
	/* and nothing was done by all that */
	assert_int_equal(stats().objects, 3);
	heap_free(q);
	heap_free(tiny);
	heap_free(large);
	expect_empty();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sizes, begin),
		cmocka_unit_test_setup(test_too_large, begin),
		cmocka_unit_test_setup(test_no_frames, begin),
		cmocka_unit_test_setup(test_random, begin),
		cmocka_unit_test_setup(test_no_overlap, begin),
		cmocka_unit_test_setup(test_bad_free, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
