/* Guest memory: copies across chunks, holes, absurd ranges, and where RAM lies. */
#include "tests/unit/broken.h"

#include "mm/gmem.h"

/* Chunks 0, 1 and 3 are RAM; 2 is a hole. */
static uint8_t *chunk[4];
static struct gmem mem = {.chunk = chunk, .n_chunks = 4, .size = 3 * GMEM_CHUNK_SIZE};

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		chunk[i] = i == 2 ? NULL : calloc(1, GMEM_CHUNK_SIZE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		free(chunk[i]);
	return 0;
}

static void test_copy_across_chunks(void **state)
{
	uint8_t out[256], in[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i + 1);
	assert_int_equal(gmem_write(&mem, GMEM_CHUNK_SIZE - 100, out, sizeof(out)), 0);
	assert_memory_equal(chunk[0] + GMEM_CHUNK_SIZE - 100, out, 100);
	assert_memory_equal(chunk[1], out + 100, 156);
	assert_int_equal(chunk[1][156], 0);
	assert_int_equal(gmem_read(&mem, GMEM_CHUNK_SIZE - 100, in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(in));
}

static void test_all_or_nothing(void **state)
{
	static const uint8_t ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
	uint8_t in[8] = {7, 7, 7, 7, 7, 7, 7, 7};
	uint64_t edge = 2 * GMEM_CHUNK_SIZE - 4;

	(void)state;
	assert_int_equal(gmem_write(&mem, edge, ones, 8), ERR_RANGE);
	assert_int_equal(chunk[1][GMEM_CHUNK_SIZE - 1], 0);
	assert_int_equal(gmem_fill(&mem, edge, 9, 8), ERR_RANGE);
	assert_int_equal(chunk[1][GMEM_CHUNK_SIZE - 4], 0);
	assert_int_equal(gmem_read(&mem, edge, in, 8), ERR_RANGE);
	assert_int_equal(in[0], 7);
	/* Up to the last byte is fine. */
	assert_int_equal(gmem_write(&mem, edge, ones, 4), 0);
	assert_int_equal(gmem_write(&mem, 4 * GMEM_CHUNK_SIZE - 8, ones, 8), 0);
	assert_int_equal(gmem_write(&mem, 4 * GMEM_CHUNK_SIZE - 7, ones, 8), ERR_RANGE);
}

static void test_absurd_ranges(void **state)
{
	uint8_t b = 0;

	(void)state;
	assert_int_equal(gmem_read(&mem, UINT64_MAX, &b, 1), ERR_RANGE);
	assert_int_equal(gmem_read(&mem, UINT64_MAX, &b, 2), ERR_RANGE);
	assert_int_equal(gmem_read(&mem, 0, &b, UINT64_MAX), ERR_RANGE);
	assert_int_equal(gmem_read(&mem, 1, &b, UINT64_MAX), ERR_RANGE);
	assert_int_equal(gmem_fill(&mem, GMEM_CHUNK_SIZE, 0, UINT64_MAX - GMEM_CHUNK_SIZE),
			 ERR_RANGE);
	assert_int_equal(gmem_read(&mem, 1ull << 63, &b, 1), ERR_RANGE);
	assert_int_equal(gmem_write(&mem, UINT64_MAX, &b, 0), 0); /* nothing, to nowhere */
}

static void test_fill(void **state)
{
	(void)state;
	assert_int_equal(gmem_fill(&mem, GMEM_CHUNK_SIZE - 2, 0xa5, 4), 0);
	assert_int_equal(chunk[0][GMEM_CHUNK_SIZE - 3], 0);
	assert_int_equal(chunk[0][GMEM_CHUNK_SIZE - 2], 0xa5);
	assert_int_equal(chunk[1][1], 0xa5);
	assert_int_equal(chunk[1][2], 0);
}

static void test_pointer(void **state)
{
	(void)state;
	assert_ptr_equal(gmem_ptr(&mem, GMEM_CHUNK_SIZE + 5, 8), chunk[1] + 5);
	assert_null(gmem_ptr(&mem, GMEM_CHUNK_SIZE - 4, 8)); /* crosses */
	assert_non_null(gmem_ptr(&mem, GMEM_CHUNK_SIZE - 8, 8));
	assert_null(gmem_ptr(&mem, 2 * GMEM_CHUNK_SIZE, 1));
	assert_null(gmem_ptr(&mem, 4 * GMEM_CHUNK_SIZE, 1));
	assert_null(gmem_ptr(&mem, 0, UINT64_MAX));
}

static void test_layout(void **state)
{
	(void)state;
	assert_int_equal(gmem_low_end(512 * MIB), 512 * MIB);
	assert_int_equal(gmem_high_end(512 * MIB), 4 * GIB);
	assert_int_equal(gmem_low_end(3 * GIB), 3 * GIB);
	assert_int_equal(gmem_high_end(3 * GIB), 4 * GIB);
	assert_int_equal(gmem_low_end(3 * GIB + 2 * MIB), 3 * GIB);
	assert_int_equal(gmem_high_end(3 * GIB + 2 * MIB), 4 * GIB + 2 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_copy_across_chunks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_or_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absurd_ranges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pointer, setup, teardown),
		cmocka_unit_test(test_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
