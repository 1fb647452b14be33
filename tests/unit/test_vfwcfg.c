/* The firmware configuration device: items by ports and by DMA, its directory, and bad descriptors.
 */
#include "tests/unit/vdev_fake.h"

#include <stdio.h>

#include "guests/vdev/vfwcfg.h"
#include "lib/le.h"

#define RAM_SIZE (4 * MIB)
#define DESC     0x100
#define BUFFER   0x1000

#define ERROR  0x01
#define READ   0x02
#define SKIP   0x04
#define SELECT 0x08
#define WRITE  0x10

static uint8_t memory[RAM_SIZE];
static struct vfwcfg v;
static struct vfwcfg_items items;
static uint64_t moved; /* bytes that the device has copied */

static int read_memory(void *ctx, uint64_t gpa, void *buf, uint64_t len)
{
	(void)ctx;
	if (gpa > RAM_SIZE || len > RAM_SIZE - gpa)
		return ERR_RANGE;
	memcpy(buf, memory + gpa, len);
	return 0;
}

static int write_memory(void *ctx, uint64_t gpa, const void *buf, uint64_t len)
{
	(void)ctx;
	if (gpa > RAM_SIZE || len > RAM_SIZE - gpa)
		return ERR_RANGE;
	memcpy(memory + gpa, buf, len);
	moved += len;
	return 0;
}

static uint64_t time_now;

static uint64_t now(void *ctx)
{
	(void)ctx;
	return time_now;
}

static const struct vdev_host host = {
	.now = now, .read_memory = read_memory, .write_memory = write_memory};

static int setup(void **state)
{
	(void)state;
	memset(memory, 0xA5, sizeof(memory));
	memset(&items, 0, sizeof(items));
	assert_int_equal(vfwcfg_add(&items, VFWCFG_SIGNATURE, "QEMU", 4), 0);
	assert_int_equal(vfwcfg_add(&items, VFWCFG_IRQ0_OVERRIDE, "\1\0\0\0", 4), 0);
	assert_int_equal(vfwcfg_add_file(&items, "opt/b", "bbbb", 4), 0);
	assert_int_equal(vfwcfg_add_file(&items, "opt/c", "cc", 2), 0);
	assert_int_equal(vfwcfg_add_file(&items, "etc/a", "aaaaaa", 6), 0);
	vfwcfg_finish(&items);
	vfwcfg_init(&v, &host, &items);
	return 0;
}

static void select_key(unsigned key)
{
	vfwcfg_write(&v, 0x510, 2, key);
}

static uint8_t next(void)
{
	return (uint8_t)vfwcfg_read(&v, 0x511, 1);
}

static void test_ports(void **state)
{
	(void)state;
	assert_int_equal(next(), 0); /* nothing is selected after reset */
	select_key(VFWCFG_SIGNATURE);
	assert_int_equal(next(), 'Q');
	assert_int_equal(next(), 'E');
	assert_int_equal(next(), 'M');
	assert_int_equal(next(), 'U');
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(next(), 0);
	select_key(VFWCFG_SIGNATURE); /* from the start again */
	assert_int_equal(next(), 'Q');
	select_key(VFWCFG_IRQ0_OVERRIDE);
	assert_int_equal(next(), 1);
	select_key(0x0b);
	assert_int_equal(next(), 0);
	select_key(0xfffe);
	assert_int_equal(next(), 0);
}

static void test_other_widths(void **state)
{
	(void)state;
	select_key(VFWCFG_SIGNATURE);
	vfwcfg_write(&v, 0x510, 1, 5); /* no selection */
	vfwcfg_write(&v, 0x510, 4, 5);
	vfwcfg_write(&v, 0x511, 1, 5); /* nor data */
	assert_int_equal(vfwcfg_read(&v, 0x510, 2), 0xffff);
	assert_int_equal(vfwcfg_read(&v, 0x511, 2), 0xffff);
	assert_int_equal(vfwcfg_read(&v, 0x512, 4), 0xffffffff);
	assert_int_equal(next(), 'Q');
	/* "QEMU CFG" */
	assert_int_equal(vfwcfg_read(&v, 0x514, 4), 0x554d4551);
	assert_int_equal(vfwcfg_read(&v, 0x518, 4), 0x47464320);
	assert_int_equal(vfwcfg_read(&v, 0x51b, 1), 'G');
	assert_int_equal(vfwcfg_read(&v, 0x51a, 4), 0xffffffff); /* beyond the end */
}

static void test_directory(void **state)
{
	static const struct {
		const char *name;
		uint8_t size;
	} want[] = {{"etc/a", 6}, {"opt/b", 4}, {"opt/c", 2}};

	(void)state;
	select_key(VFWCFG_DIRECTORY);
	assert_int_equal(next(), 0);
	assert_int_equal(next(), 0);
	assert_int_equal(next(), 0);
	assert_int_equal(next(), 3);
	for (unsigned f = 0; f < 3; f++) {
		uint8_t entry[64];

		for (unsigned i = 0; i < 64; i++)
			entry[i] = next();
		assert_memory_equal(entry, "\0\0\0", 3);
		assert_int_equal(entry[3], want[f].size);
		assert_int_equal(entry[4], 0);
		assert_int_equal(entry[5], 0x20 + f);
		assert_string_equal((char *)entry + 8, want[f].name);
	}
	assert_int_equal(next(), 0);
	select_key(0x20);
	assert_int_equal(next(), 'a');
	select_key(0x21);
	assert_int_equal(next(), 'b');
	select_key(0x23);
	assert_int_equal(next(), 0);
}

static void test_adding(void **state)
{
	char name[80];

	(void)state;
	assert_int_equal(vfwcfg_add(&items, VFWCFG_SIGNATURE, "x", 1), ERR_EXISTS);
	assert_int_equal(vfwcfg_add_file(&items, "opt/b", "x", 1), ERR_EXISTS);
	assert_int_equal(vfwcfg_add_file(&items, "", "x", 1), ERR_RANGE);
	memset(name, 'n', sizeof(name));
	name[56] = 0;
	assert_int_equal(vfwcfg_add_file(&items, name, "x", 1), ERR_RANGE);
	name[55] = 0;
	assert_int_equal(vfwcfg_add_file(&items, name, "x", 1), 0);
	for (unsigned i = items.n_files; i < VFWCFG_MAX_FILES; i++) {
		sprintf(name, "f%u", i);
		assert_int_equal(vfwcfg_add_file(&items, name, "x", 1), 0);
	}
	assert_int_equal(vfwcfg_add_file(&items, "g", "x", 1), ERR_NO_MEMORY);
	for (unsigned i = items.n_keys; i < VFWCFG_MAX_KEYS; i++)
		assert_int_equal(vfwcfg_add(&items, (uint16_t)(0x8100 + i), "x", 1), 0);
	assert_int_equal(vfwcfg_add(&items, 0x8200, "x", 1), ERR_NO_MEMORY);
	vfwcfg_finish(&items);
	for (unsigned i = 1; i < items.n_files; i++)
		assert_true(strcmp(items.name[i - 1], items.name[i]) < 0);
}

/* A transfer; returns the answer in the control word. */
static uint32_t dma(uint32_t control, uint32_t length, uint64_t address)
{
	put_le32(memory + DESC, __builtin_bswap32(control));
	put_le32(memory + DESC + 4, __builtin_bswap32(length));
	put_le64(memory + DESC + 8, __builtin_bswap64(address));
	moved = 0;
	vfwcfg_write(&v, 0x514, 4, 0);
	vfwcfg_write(&v, 0x518, 4, __builtin_bswap32(DESC));
	return __builtin_bswap32(le32(memory + DESC));
}

static void test_dma(void **state)
{
	(void)state;
	assert_int_equal(dma(SELECT | READ, 4, BUFFER), 0);
	assert_memory_equal(memory + BUFFER, "QEMU\xA5", 5);
	/* a file, by parts; what is behind its end is zero */
	assert_int_equal(dma(0x20 << 16 | SELECT, 0, 0), 0);
	assert_int_equal(dma(READ, 2, BUFFER), 0);
	assert_int_equal(dma(SKIP, 1, 0), 0);
	assert_int_equal(next(), 'a');
	assert_int_equal(dma(READ, 1000, BUFFER), 0);
	assert_memory_equal(memory + BUFFER, "aa\0\0\0", 5);
	assert_int_equal(memory[BUFFER + 999], 0);
	assert_int_equal(memory[BUFFER + 1000], 0xA5);
	/* skipping goes to the end and stays there */
	assert_int_equal(dma(0x20 << 16 | SELECT | SKIP, UINT32_MAX, 0), 0);
	assert_int_equal(dma(SKIP, UINT32_MAX, 0), 0);
	assert_int_equal(next(), 0);
	/* nothing at all */
	assert_int_equal(dma(0, 5, BUFFER), 0);
	assert_int_equal(dma(READ, 0, BUFFER), 0);
}

static void test_bad_dma(void **state)
{
	(void)state;
	assert_int_equal(dma(SELECT | WRITE, 4, BUFFER), ERROR);
	assert_int_equal(memory[BUFFER], 0xA5);
	assert_int_equal(dma(SELECT | READ, 4, RAM_SIZE - 3), ERROR);
	assert_int_equal(dma(SELECT | READ, 4, UINT64_MAX - 1), ERROR);
	assert_int_equal(dma(SELECT | READ, 4, BIT(63)), ERROR);
	/* no more zeros than that: a guest cannot keep us copying */
	assert_int_equal(dma(SELECT | READ, UINT32_MAX, 0), ERROR);
	assert_int_equal(moved, 4); /* the answer */
	assert_int_equal(dma(SELECT | READ, 4 + 64 * KIB, BUFFER), 0);
	assert_int_equal(dma(SELECT | READ, 5 + 64 * KIB, BUFFER), ERROR);
	/* a descriptor that is not in RAM, or half of it: nothing happens */
	vfwcfg_write(&v, 0x514, 4, __builtin_bswap32(1));
	vfwcfg_write(&v, 0x518, 4, __builtin_bswap32(DESC));
	moved = 0;
	vfwcfg_write(&v, 0x518, 4, __builtin_bswap32(RAM_SIZE - 15));
	assert_int_equal(moved, 0);
	/* the upper half is used once */
	memset(memory + DESC, 0, 16);
	put_le32(memory + DESC, __builtin_bswap32(WRITE));
	put_le32(memory + DESC + 4, 1);
	vfwcfg_write(&v, 0x518, 4, __builtin_bswap32(DESC));
	assert_int_equal(le32(memory + DESC), __builtin_bswap32(ERROR));
	/* a transfer over its own descriptor */
	assert_int_equal(dma(SELECT | READ, 4, DESC), 0);
}

static uint32_t control_word(void)
{
	return __builtin_bswap32(le32(memory + DESC));
}

#define LARGE (2 * MIB + 5)

static uint8_t large[LARGE];

static void add_large(void)
{
	memset(large, 'L', sizeof(large));
	assert_int_equal(vfwcfg_add(&items, 0x8100, large, LARGE), 0);
	time_now = 1000;
}

/* No more than 1 MiB in one go; the guest sees the end of it in the control word. */
static void test_large_dma(void **state)
{
	const uint32_t control = 0x81000000u | SELECT | READ;

	(void)state;
	add_large();
	assert_int_equal(dma(control, LARGE + 1000, BUFFER), control);
	assert_int_equal(moved, 1 * MIB);
	assert_int_equal(v.deadline, 1000);
	vfwcfg_expire(&v, 999);
	assert_int_equal(moved, 1 * MIB);
	vfwcfg_expire(&v, 1001);
	assert_int_equal(moved, 2 * MIB);
	assert_int_equal(control_word(), control);
	vfwcfg_expire(&v, 1002);
	assert_int_equal(moved, LARGE + 1000 + 4);
	assert_int_equal(control_word(), 0);
	assert_true(v.deadline == TIME_NEVER);
	assert_memory_equal(memory + BUFFER, large, LARGE);
	assert_int_equal(memory[BUFFER + LARGE], 0);
	assert_int_equal(memory[BUFFER + LARGE + 999], 0);
	assert_int_equal(memory[BUFFER + LARGE + 1000], 0xA5);
	vfwcfg_expire(&v, 5000);
	assert_int_equal(moved, LARGE + 1000 + 4);
	/* one that leaves the RAM on its way */
	assert_int_equal(dma(control, LARGE, RAM_SIZE - MIB), control);
	vfwcfg_expire(&v, 5000);
	assert_int_equal(control_word(), ERROR);
	assert_true(v.deadline == TIME_NEVER);
}

/* Another selection, another transfer or a reset ends it, and nothing moves any more. */
static void test_large_dma_ends_early(void **state)
{
	const uint32_t control = 0x81000000u | SELECT | READ;

	(void)state;
	add_large();
	for (unsigned how = 0; how < 3; how++) {
		assert_int_equal(dma(control, LARGE, BUFFER), control);
		if (how == 0)
			select_key(VFWCFG_SIGNATURE);
		else if (how == 1)
			assert_int_equal(dma(SKIP, 0, 0), 0);
		else
			vfwcfg_reset(&v);
		moved = 0;
		vfwcfg_expire(&v, UINT64_MAX - 1);
		assert_int_equal(moved, 0);
		assert_true(v.deadline == TIME_NEVER);
	}
}

static void test_state(void **state)
{
	struct vfwcfg other;

	(void)state;
	select_key(0x20);
	next();
	vfwcfg_init(&other, &host, &items);
	fake_round_trip(&vfwcfg_type, &v, &other);
	assert_int_equal(vfwcfg_read(&other, 0x511, 1), 'a');
	other.offset = UINT32_MAX; /* whatever is loaded */
	assert_int_equal(vfwcfg_read(&other, 0x511, 1), 0);
	vfwcfg_reset(&v);
	assert_int_equal(next(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_ports, setup),
		cmocka_unit_test_setup(test_other_widths, setup),
		cmocka_unit_test_setup(test_directory, setup),
		cmocka_unit_test_setup(test_adding, setup),
		cmocka_unit_test_setup(test_dma, setup),
		cmocka_unit_test_setup(test_bad_dma, setup),
		cmocka_unit_test_setup(test_large_dma, setup),
		cmocka_unit_test_setup(test_large_dma_ends_early, setup),
		cmocka_unit_test_setup(test_state, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
