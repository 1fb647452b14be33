/* Where the log is kept: in RAM, clear of image and modules, and at the same place the next time.
 */
#include "tests/unit/broken.h"

#include "boot/info.h"
#include "lib/log.h"

static struct boot_info info;
static const struct mem_range image = {0x200000, 0x400000, MEM_RAM};

static uint64_t with_ram(uint64_t start, uint64_t end)
{
	memset(&info, 0, sizeof(info));
	info.n_ranges = 1;
	info.ranges[0] = (struct mem_range){start, end, MEM_RAM};
	return log_place(&info, image, LOG_BYTES);
}

static void usual_sizes(void **state)
{
	(void)state;
	assert_int_equal(with_ram(MIB, 2 * GIB - 64 * KIB), 0x60000000);
	assert_int_equal(with_ram(MIB, 3 * GIB), 0xa0000000);
	assert_int_equal(with_ram(MIB, GIB - 128 * KIB), 0x30000000);
	assert_int_equal(with_ram(MIB, 512 * MIB), 0x18000000);
	assert_int_equal(with_ram(MIB, 128 * MIB), 0x06000000);
	assert_int_equal(with_ram(MIB, 24 * MIB), 0);
}

static void stays_when_the_map_changes_a_little(void **state)
{
	(void)state;
	assert_int_equal(with_ram(MIB, 2 * GIB - 100 * MIB), with_ram(MIB, 2 * GIB));
}

static void nowhere_rather_than_over_something(void **state)
{
	const struct mem_range there = {0x5ff00000, 0x60000001, MEM_RAM};

	(void)state;
	assert_int_equal(with_ram(MIB, 2 * GIB), 0x60000000);
	info.n_modules = 1;
	info.modules[0].start = 0x60000000 + LOG_BYTES - 1;
	info.modules[0].end = 0x70000000;
	assert_int_equal(log_place(&info, image, LOG_BYTES), 0);
	info.modules[0].start++;
	assert_int_equal(log_place(&info, image, LOG_BYTES), 0x60000000);
	assert_int_equal(log_place(&info, there, LOG_BYTES), 0);
	info.ranges[0].kind = MEM_RESERVED;
	assert_int_equal(log_place(&info, image, LOG_BYTES), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual_sizes),
		cmocka_unit_test(stays_when_the_map_changes_a_little),
		cmocka_unit_test(nowhere_rather_than_over_something),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
