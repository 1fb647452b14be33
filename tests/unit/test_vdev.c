/*
 * Field lists: reset, save and load on a structure made for the test, and then the rules that hold
 * for the list of every device.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guests/vdev/vhpet.h"
#include "guests/vdev/vioapic.h"
#include "guests/vdev/vkbc.h"
#include "guests/vdev/vlapic.h"
#include "guests/vdev/vpci.h"
#include "guests/vdev/vpcitest.h"
#include "guests/vdev/vpic.h"
#include "guests/vdev/vpit.h"
#include "guests/vdev/vpm.h"
#include "guests/vdev/vreset.h"
#include "guests/vdev/vrtc.h"
#include "guests/vdev/vuart.h"

struct sample {
	uint8_t a;
	uint64_t hidden;
	uint32_t b;
	uint16_t c[3];
	uint64_t d;
};

static const struct vdev_field sample_fields[] = {
	VDEV_FIELD(struct sample, d, 0x1122334455667788, "last member, first field"),
	VDEV_FIELD(struct sample, a, 0x5a, "a byte"),
	VDEV_ARRAY(struct sample, c, 0xbeef, "an array"),
	VDEV_FIELD(struct sample, b, 0xffffffff, "a word"),
};

static const struct vdev_type sample_type = {
	.name = "sample",
	.fields = sample_fields,
	.n_fields = ARRAY_SIZE(sample_fields),
	.version = 1,
};

static void test_reset(void **state)
{
	(void)state;
	struct sample s;

	memset(&s, 0x33, sizeof(s));
	vdev_reset(&sample_type, &s);
	assert_int_equal(s.a, 0x5a);
	assert_int_equal(s.b, 0xffffffff);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(s.c[i], 0xbeef);
	assert_int_equal(s.d, 0x1122334455667788);
	assert_int_equal(s.hidden, 0x3333333333333333); /* not listed, not touched */
}

static void test_save_and_load(void **state)
{
	(void)state;
	static const uint8_t image[19] = {8,    7,    6,    5,    4,    3,    2,
					  1,    0x10, 0x12, 0x11, 0x14, 0x13, 0x16,
					  0x15, 0x24, 0x23, 0x22, 0x21};
	struct sample s, back;
	uint8_t buf[20];

	memset(&s, 0, sizeof(s));
	s.a = 0x10;
	s.b = 0x21222324;
	s.c[0] = 0x1112;
	s.c[1] = 0x1314;
	s.c[2] = 0x1516;
	s.d = 0x0102030405060708;
	s.hidden = 42;
	assert_int_equal(vdev_saved_size(&sample_type), 19);
	buf[19] = 0xcc;
	vdev_save(&sample_type, &s, buf);
	assert_memory_equal(buf, image, 19); /* list order, little-endian, no padding */
	assert_int_equal(buf[19], 0xcc);
	memset(&back, 0x77, sizeof(back));
	assert_int_equal(vdev_load(&sample_type, &back, buf, 19), 0);
	assert_int_equal(back.a, s.a);
	assert_int_equal(back.b, s.b);
	assert_memory_equal(back.c, s.c, sizeof(s.c));
	assert_int_equal(back.d, s.d);
	assert_int_equal(back.hidden, 0x7777777777777777);
}

static void test_wrong_size(void **state)
{
	(void)state;
	struct sample s, before;
	uint8_t buf[40] = {0};

	memset(&s, 0x77, sizeof(s));
	before = s;
	for (size_t size = 0; size < sizeof(buf); size++) {
		if (size == 19)
			continue;
		assert_int_equal(vdev_load(&sample_type, &s, buf, size), ERR_INVALID);
		assert_memory_equal(&s, &before, sizeof(s)); /* nothing was loaded */
	}
}

static uint64_t no_time(void *ctx)
{
	(void)ctx;
	return 0;
}

static void no_line(void *ctx, unsigned line, bool level)
{
	(void)ctx;
	(void)line;
	(void)level;
}

static const struct vdev_host host = {.now = no_time, .line = no_line};
static const struct vlapic_host lapic_host = {.now = no_time};

/* Every device: its list, the size of its structure, and init and check by one signature. */
#define DEVICE(dev)                                                   \
	static int check_##dev(const void *state, struct reason *why) \
	{                                                             \
		return dev##_check(state, why);                       \
	}                                                             \
	static void init_##dev(void *state)
#define BOARD_DEVICE(dev)                 \
	DEVICE(dev)                       \
	{                                 \
		dev##_init(state, &host); \
	}
BOARD_DEVICE(vioapic)
BOARD_DEVICE(vpic)
BOARD_DEVICE(vpit)
BOARD_DEVICE(vrtc)
BOARD_DEVICE(vpm)
BOARD_DEVICE(vhpet)
BOARD_DEVICE(vuart)
BOARD_DEVICE(vkbc)
BOARD_DEVICE(vreset)
BOARD_DEVICE(vpci)
DEVICE(vpcitest)
{
	static struct vpci bus;

	vpci_init(&bus, &host);
	vpcitest_init(state, &bus);
}
DEVICE(vlapic)
{
	vlapic_init(state, &lapic_host, 0, true);
}
#undef DEVICE

#define DEVICE(dev)                                                      \
	{                                                                \
		&dev##_type, sizeof(struct dev), init_##dev, check_##dev \
	}
static const struct {
	const struct vdev_type *type;
	size_t size;
	void (*init)(void *state);
	int (*check)(const void *state, struct reason *why);
} devices[] = {
	DEVICE(vlapic), DEVICE(vioapic), DEVICE(vpic),     DEVICE(vpit),
	DEVICE(vrtc),   DEVICE(vpm),     DEVICE(vuart),    DEVICE(vkbc),
	DEVICE(vreset), DEVICE(vpci),    DEVICE(vpcitest), DEVICE(vhpet),
};
#undef DEVICE

static alignas(4096) uint8_t state_buf[2 * 4096];
static uint8_t covered[sizeof(state_buf)];
static uint8_t image[sizeof(state_buf)], image2[sizeof(state_buf)];

static void test_lists(void **state)
{
	(void)state;
	for (unsigned n = 0; n < ARRAY_SIZE(devices); n++) {
		const struct vdev_type *type = devices[n].type;

		assert_true(type->name[0]);
		assert_true(type->version >= 1);
		assert_true(type->n_fields > 0);
		assert_true(devices[n].size <= sizeof(covered));
		for (unsigned m = 0; m < n; m++)
			assert_string_not_equal(type->name, devices[m].type->name);
		memset(covered, 0, sizeof(covered));
		for (unsigned i = 0; i < type->n_fields; i++) {
			const struct vdev_field *f = &type->fields[i];
			size_t end = f->offset + (size_t)f->size * f->count;

			assert_true(f->name[0] && f->doc[0]);
			assert_true(f->size == 1 || f->size == 2 || f->size == 4 || f->size == 8);
			assert_true(f->count >= 1);
			assert_int_equal(f->offset % f->size, 0);
			assert_true(end <= devices[n].size);
			if (f->size < 8) /* the reset value fits */
				assert_int_equal(f->reset >> (8 * f->size), 0);
			for (size_t at = f->offset; at < end; at++)
				assert_int_equal(covered[at]++, 0); /* no overlap */
			for (unsigned j = 0; j < i; j++)
				assert_string_not_equal(f->name, type->fields[j].name);
		}
	}
}

static void test_round_trip(void **state)
{
	(void)state;
	uint32_t seed = 1;

	for (unsigned n = 0; n < ARRAY_SIZE(devices); n++) {
		const struct vdev_type *type = devices[n].type;
		size_t size = vdev_saved_size(type);

		for (size_t i = 0; i < size; i++) {
			seed = seed * 1664525 + 1013904223;
			image[i] = (uint8_t)(seed >> 24);
		}
		memset(state_buf, 0xa5, sizeof(state_buf)); /* scrambled */
		assert_int_equal(vdev_load(type, state_buf, image, size), 0);
		vdev_save(type, state_buf, image2);
		assert_memory_equal(image, image2, size);
		/* What is not listed is untouched: as many bytes differ from 0xa5 at most as were
		 * saved. */
		size_t changed = 0;

		for (size_t i = 0; i < sizeof(state_buf); i++)
			changed += state_buf[i] != 0xa5;
		assert_true(changed <= size);
		for (size_t i = devices[n].size; i < sizeof(state_buf); i++)
			assert_int_equal(state_buf[i], 0xa5);
	}
}

/* A new device is in a state that its check accepts; broken images are refused or
 * accepted, but never do harm (the sanitizers watch). */
static void test_checks(void **state)
{
	(void)state;
	for (unsigned n = 0; n < ARRAY_SIZE(devices); n++) {
		const struct vdev_type *type = devices[n].type;
		size_t size = vdev_saved_size(type);
		unsigned refused = 0;

		memset(state_buf, 0, sizeof(state_buf));
		devices[n].init(state_buf);
		assert_int_equal(devices[n].check(state_buf, NULL), 0);
		vdev_save(type, state_buf, image);
		for (size_t i = 0; i < size; i++) {
			for (unsigned bit = 0; bit < 8; bit++) {
				struct reason why = {""};

				image[i] ^= (uint8_t)(1u << bit);
				assert_int_equal(vdev_load(type, state_buf, image, size), 0);
				if (devices[n].check(state_buf, &why)) {
					refused++;
					assert_true(why.text[0]);
				}
				image[i] ^= (uint8_t)(1u << bit);
			}
		}
		assert_true(refused > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset),      cmocka_unit_test(test_save_and_load),
		cmocka_unit_test(test_wrong_size), cmocka_unit_test(test_lists),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
