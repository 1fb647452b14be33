/*
 * A machine for unit tests of devices: a clock that the test sets, and a record of what the device
 * did to its lines, its serial output and its power.
 */
#ifndef TESTS_UNIT_VDEV_FAKE_H
#define TESTS_UNIT_VDEV_FAKE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "guests/vdev/vdev.h"
#include "lib/reason.h"

static struct fake {
	uint64_t now;
	bool level[LINE_COUNT];
	unsigned rises[LINE_COUNT]; /* low-to-high edges */
	char out[256];
	unsigned n_out;
	unsigned room; /* bytes that serial_out still takes */
	unsigned n_power;
	enum vdev_power power;
	uint32_t power_value;
	unsigned n_msi, msi_allowed; /* messages sent, and how many may be */
	uint64_t msi_addr;           /* the last one */
	uint32_t msi_data;
} fake;

static uint64_t fake_now(void *ctx)
{
	return ((struct fake *)ctx)->now;
}

static void fake_line(void *ctx, unsigned line, bool level)
{
	struct fake *f = ctx;

	assert_true(line < LINE_COUNT);
	f->rises[line] += level && !f->level[line];
	f->level[line] = level;
}

static void fake_msi(void *ctx, uint64_t addr, uint32_t data)
{
	struct fake *f = ctx;

	assert_true(f->n_msi < f->msi_allowed);
	f->n_msi++;
	f->msi_addr = addr;
	f->msi_data = data;
}

static void fake_pic_int(void *ctx, bool level)
{
	(void)ctx;
	(void)level;
	fail();
}

static bool fake_serial_out(void *ctx, uint8_t byte)
{
	struct fake *f = ctx;

	if (f->room == 0)
		return false;
	f->room--;
	assert_true(f->n_out < sizeof(f->out));
	f->out[f->n_out++] = (char)byte;
	return true;
}

static void fake_power(void *ctx, enum vdev_power what, uint32_t value)
{
	struct fake *f = ctx;

	f->n_power++;
	f->power = what;
	f->power_value = value;
}

static const struct vdev_host fake_host = {
	.ctx = &fake,
	.now = fake_now,
	.line = fake_line,
	.msi = fake_msi,
	.pic_int = fake_pic_int,
	.serial_out = fake_serial_out,
	.power = fake_power,
};

static inline void fake_reset(void)
{
	fake = (struct fake){.room = sizeof(fake.out)};
}

/*
 * Saves `from`, loads it into `to`, and checks that both now save the same bytes; a buffer cut at
 * any byte must be refused. `to` has to be initialised.
 */
static inline void fake_round_trip(const struct vdev_type *type, const void *from, void *to)
{
	size_t size = vdev_saved_size(type);
	uint8_t *a = malloc(size + 1);
	uint8_t *b = malloc(size + 1);

	assert_non_null(a);
	assert_non_null(b);
	vdev_save(type, from, a);
	for (size_t cut = 0; cut < size; cut++)
		assert_int_equal(vdev_load(type, to, a, cut), ERR_INVALID);
	assert_int_equal(vdev_load(type, to, a, size + 1), ERR_INVALID);
	assert_int_equal(vdev_load(type, to, a, size), 0);
	vdev_save(type, to, b);
	assert_memory_equal(a, b, size);
	free(a);
	free(b);
}

#endif
