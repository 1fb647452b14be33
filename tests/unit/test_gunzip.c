/* Unpacking of gzip'd kernels: several members, padding, and every way in which a file can be
 * broken. */
#include <stdio.h>

#include "tests/unit/broken.h"

#include "guests/gunzip.h"
#include "lib/le.h"

/* A packer without compression: stored blocks (RFC 1951, "Non-compressed blocks"). */
static uint32_t crc_of(const uint8_t *p, size_t len)
{
	uint32_t crc = UINT32_MAX;

	while (len--) {
		crc ^= *p++;
		for (unsigned i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static uint8_t packed[1 << 20];
static size_t packed_len;
static alignas(16) uint8_t work[GUNZIP_WORK];
static uint8_t data[300000];
static struct reason why;

static void put(const void *p, size_t len)
{
	assert_true(packed_len + len <= sizeof(packed));
	memcpy(packed + packed_len, p, len);
	packed_len += len;
}

/* One member, with a name in its header. */
static void pack(const uint8_t *p, size_t len)
{
	uint8_t tail[8], head[5];
	size_t left = len;
	const uint8_t *q = p;

	put("\x1f\x8b\x08\x08\0\0\0\0\0\3name", 15);
	do {
		uint16_t part = (uint16_t)MIN(left, 65535u);

		head[0] = part == left;
		put_le16(head + 1, part);
		put_le16(head + 3, (uint16_t)~part);
		put(head, 5);
		put(q, part);
		q += part;
		left -= part;
	} while (left);
	put_le32(tail, crc_of(p, len));
	put_le32(tail + 4, (uint32_t)len);
	put(tail, 8);
}

static void fill(void)
{
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 + i / 251);
	packed_len = 0;
}

/* What both passes say, which is the same. What comes out goes to a block of just its size. */
static int unpack(uint64_t limit, uint8_t **out, uint64_t *size)
{
	uint8_t *copy = broken_copy(packed, packed_len);
	const struct load_blob file = {copy, packed_len, "vmlinux.gz"};
	int err, again;

	memset(&why, 0, sizeof(why));
	memset(work, 0xa5, sizeof(work));
	*out = NULL;
	assert_true(gunzip_is(&file));
	err = gunzip_size(&file, work, limit, size, &why);
	if (err) {
		assert_sentence(why.text);
	} else {
		*out = malloc(*size ? *size : 1);
		memset(work, 0x5a, sizeof(work));
		again = gunzip(&file, work, *out, *size, &why);
		assert_int_equal(again, 0);
	}
	free(copy);
	return err;
}

static void good(const uint8_t *want, size_t len)
{
	uint64_t size;
	uint8_t *out;

	assert_int_equal(unpack(16 * MIB, &out, &size), 0);
	assert_int_equal(size, len);
	assert_memory_equal(out, want, len);
	free(out);
}

static void refused(int err, uint64_t limit, const char *sentence)
{
	uint64_t size;
	uint8_t *out;

	assert_int_equal(unpack(limit, &out, &size), err);
	if (!strstr(why.text, sentence))
		fail_msg("%s\n  not in: %s", sentence, why.text);
	free(out);
}

static void test_is_gzip(void **state)
{
	const struct load_blob files[] = {{"\x1f\x8b", 2, "a"},
					  {"\x1f\x8b", 1, "b"},
					  {"\x7f"
					   "ELF",
					   4, "c"},
					  {NULL, 0, "d"}};

	(void)state;
	assert_true(gunzip_is(&files[0]));
	for (unsigned i = 1; i < 4; i++)
		assert_false(gunzip_is(&files[i]));
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 32768, 49151, 49152, 49153, 65535, 65536, 300000};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		fill();
		pack(data, sizes[i]);
		good(data, sizes[i]);
	}
}

/* One that gzip itself made: dynamic codes, and matches over all of the window. */
static void test_real(void **state)
{
	FILE *f;

	(void)state;
	f = popen("seq 1 40000 | gzip -9n", "r");
	assert_non_null(f);
	packed_len = fread(packed, 1, sizeof(packed), f);
	assert_int_equal(pclose(f), 0);
	char *text = malloc(300000), *p = text;

	for (unsigned i = 1; i <= 40000; i++)
		p += sprintf(p, "%u\n", i);
	good((const uint8_t *)text, (size_t)(p - text));
	free(text);
}

static void test_members(void **state)
{
	static const uint8_t zeros[1000];

	(void)state;
	fill();
	pack(data, 100000);
	pack(data + 100000, 0);
	pack(data + 100000, 200000);
	good(data, 300000);
	/* Padding. */
	put(zeros, 1000);
	good(data, 300000);
	put("x", 1);
	refused(ERR_INVALID, 16 * MIB,
		"vmlinux.gz is packed by gzip, and 1001 bytes behind its end are something else");
	fill();
	pack(data, 10);
	put("\x1f", 1);
	refused(ERR_INVALID, 16 * MIB, "1 bytes behind its end are something else");
	put("\x8b", 1); /* the begin of another member */
	refused(ERR_INVALID, 16 * MIB, "is packed by gzip, and cut");
}

static void test_limit(void **state)
{
	(void)state;
	fill();
	pack(data, 300000);
	refused(ERR_RANGE, 299999,
		"vmlinux.gz is packed by gzip and becomes larger than 0 MiB, the most that is "
		"unpacked for this guest");
	refused(ERR_RANGE, 0, "becomes larger");
	uint64_t size;
	uint8_t *out;

	assert_int_equal(unpack(300000, &out, &size), 0);
	free(out);
	/* Its own word does not count. */
	put_le32(packed + packed_len - 4, 1);
	refused(ERR_RANGE, 299999, "becomes larger");
	refused(ERR_INVALID, 300000, "incorrect length check");
}

/* 128 MiB of zeros in 128 KiB are not unpacked beyond the limit. */
static void test_bomb(void **state)
{
	uint64_t size;
	FILE *f;

	(void)state;
	f = popen("head -c 128M /dev/zero | gzip -n", "r");
	assert_non_null(f);
	packed_len = fread(packed, 1, sizeof(packed), f);
	assert_int_equal(pclose(f), 0);
	assert_in_range(packed_len, 100000, sizeof(packed) - 1);
	struct load_blob file = {packed, packed_len, "bomb.gz"};

	assert_int_equal(gunzip_size(&file, work, 16 * MIB, &size, &why), ERR_RANGE);
	assert_string_equal(why.text, "bomb.gz is packed by gzip and becomes larger than "
				      "16 MiB, the most that is unpacked for this guest");
	assert_in_range(size, 16 * MIB + 1, 16 * MIB + GUNZIP_WORK);
	assert_int_equal(gunzip_size(&file, work, 128 * MIB, &size, &why), 0);
	assert_int_equal(size, 128 * MIB);
}

static void test_broken(void **state)
{
	(void)state;
	fill();
	pack(data, 1000);
	packed[packed_len - 8] ^= 1;
	refused(ERR_INVALID, 16 * MIB,
		"vmlinux.gz is packed by gzip, and broken: incorrect data "
		"check");
	packed[packed_len - 8] ^= 1;
	packed[packed_len - 4] ^= 1;
	refused(ERR_INVALID, 16 * MIB, "incorrect length check");
	packed[packed_len - 4] ^= 1;
	packed[500] ^= 1; /* a byte of the contents */
	refused(ERR_INVALID, 16 * MIB, "incorrect data check");
	packed[500] ^= 1;
	packed[2] = 7;
	refused(ERR_INVALID, 16 * MIB, "unknown compression method");
	packed[2] = 8;
	packed[3] = 0xe0;
	refused(ERR_INVALID, 16 * MIB, "unknown header flags set");
	packed[3] = 8;
	packed[15] |= 6; /* a block of a type that is not there */
	refused(ERR_INVALID, 16 * MIB, "invalid block type");
}

static void test_cut(void **state)
{
	size_t len;

	(void)state;
	fill();
	pack(data, 3000);
	len = packed_len;
	for (packed_len = 2; packed_len < len; packed_len++)
		refused(ERR_INVALID, 16 * MIB, "is packed by gzip, and cut");
}

static void test_random(void **state)
{
	unsigned fine = 0;

	(void)state;
	for (unsigned i = 0; i < 6000; i++) {
		uint64_t size;
		uint8_t *out;

		fill();
		pack(data, 200);
		pack(data, 100);
		broken_flip(packed, 2, packed_len);
		if (!unpack(i % 2 ? 250 : MIB, &out, &size)) {
			/* in the time, the name and the like */
			fine++;
			assert_int_equal(size, 300);
		}
		free(out);
	}
	assert_in_range(fine, 50, 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_gzip), cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_real),    cmocka_unit_test(test_members),
		cmocka_unit_test(test_limit),   cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_broken),  cmocka_unit_test(test_cut),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
