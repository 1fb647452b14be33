/* The machine's name: whole tables, and every way to be broken. */
#include "tests/unit/broken.h"

#include "boot/info.h"
#include "lib/le.h"

static uint8_t table[512];
static size_t len;
static char name[128];

static void structure(uint8_t type, const uint8_t *body, uint8_t body_len, const char *strings,
		      size_t strings_len)
{
	table[len] = type;
	table[len + 1] = (uint8_t)(4 + body_len);
	table[len + 2] = table[len + 3] = 0;
	memcpy(table + len + 4, body, body_len);
	len += 4u + body_len;
	memcpy(table + len, strings, strings_len);
	len += strings_len;
	table[len++] = 0;
	if (!strings_len)
		table[len++] = 0;
}

#define STRUCTURE(type, body, strings) \
	structure(type, body, sizeof(body), strings, sizeof(strings) - 1 + !!(sizeof(strings) - 1))

static void begin(void)
{
	static const uint8_t bios[] = {1, 2, 0, 0, 3, 0}, system[] = {1, 2, 3, 0};

	memset(table, 0xee, sizeof(table));
	len = 0;
	STRUCTURE(0, bios,
		  "SeaBIOS\0"
		  "1.16.2");
	STRUCTURE(1, system,
		  "QEMU\0 Standard PC \0"
		  "pc-q35\033");
}

static void end(void)
{
	static const uint8_t none[] = {0};

	STRUCTURE(127, none, "");
}

static void names_the_machine(void **state)
{
	(void)state;
	begin();
	end();
	assert_string_equal(smbios_name(table, len, name, sizeof(name)),
			    "QEMU Standard PC, pc-q35?, firmware SeaBIOS 1.16.2");
}

static void does_without_strings(void **state)
{
	static const uint8_t system[] = {0, 7, 1, 0};

	(void)state;
	len = 0;
	STRUCTURE(1, system, "only");
	end();
	assert_string_equal(smbios_name(table, len, name, sizeof(name)), "only");
	len = 0;
	end();
	assert_string_equal(smbios_name(table, len, name, sizeof(name)), "");
	assert_string_equal(smbios_name(table, 0, name, sizeof(name)), "");
}

static void survives_any_cut_and_flip(void **state)
{
	(void)state;
	begin();
	end();
	for (size_t cut = 0; cut <= len; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1); /* its end is guarded */

		memcpy(copy, table, cut);
		smbios_name(copy, cut, name, sizeof(name));
		free(copy);
	}
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t *copy = malloc(len);

		memcpy(copy, table, len);
		broken_flip(copy, 0, len);
		smbios_name(copy, len, name, 1 + i % sizeof(name));
		for (const char *c = name; *c; c++)
			assert_in_range(*c, ' ', '~');
		free(copy);
	}
}

static void checksum(uint8_t *p, size_t at, size_t n)
{
	uint8_t sum = 0;

	p[at] = 0;
	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + p[i]);
	p[at] = (uint8_t)-sum;
}

static void finds_the_entry_point(void **state)
{
	static uint8_t area[256];
	uint64_t at;
	uint32_t n;

	(void)state;
	assert_false(smbios_find(area, sizeof(area), &at, &n));
	memcpy(area + 32, "_SM_", 4);
	area[32 + 5] = 31;
	put_le16(area + 32 + 22, 300);
	put_le32(area + 32 + 24, 0xf1234);
	checksum(area + 32, 4, 31);
	assert_true(smbios_find(area, sizeof(area), &at, &n));
	assert_int_equal(at, 0xf1234);
	assert_int_equal(n, 300);
	area[32 + 8]++; /* its checksum is wrong now */
	assert_false(smbios_find(area, sizeof(area), &at, &n));
	area[32 + 8]--;
	memcpy(area + 96, "_SM3_", 5);
	area[96 + 6] = 24;
	put_le32(area + 96 + 12, 500);
	put_le64(area + 96 + 16, 0x7f001000);
	checksum(area + 96, 5, 24);
	assert_true(smbios_find(area, sizeof(area), &at, &n));
	assert_int_equal(at, 0x7f001000);
	assert_int_equal(n, 500);
	for (size_t cut = 0; cut < sizeof(area); cut++)
		smbios_find(area, cut, &at, &n);
	put_le32(area + 96 + 12, 1u << 30); /* too long to be true */
	checksum(area + 96, 5, 24);
	assert_false(smbios_find(area, sizeof(area), &at, &n));
}

static uint8_t efi[256];

static const void *map(void *ctx, uint64_t pa, uint64_t n)
{
	(void)ctx;
	return pa <= sizeof(efi) && n <= sizeof(efi) - pa ? efi + pa : NULL;
}

static void asks_uefi(void **state)
{
	static const uint8_t guid3[16] = {0x44, 0x15, 0xfd, 0xf2, 0x94, 0x97, 0x2c, 0x4a,
					  0x99, 0x2e, 0xe5, 0xbb, 0xcf, 0x20, 0xe3, 0x94};
	const struct acpi_memory mem = {.map = map};

	(void)state;
	assert_int_equal(smbios_by_efi(0, &mem), 0);
	assert_int_equal(smbios_by_efi(8, &mem), 0);
	memcpy(efi + 8, "IBI SYST", 8);
	put_le64(efi + 8 + 104, 2);
	put_le64(efi + 8 + 112, 136);
	memcpy(efi + 136 + 24, guid3, 16);
	put_le64(efi + 136 + 40, 0xabcd0);
	assert_int_equal(smbios_by_efi(8, &mem), 0xabcd0);
	put_le64(efi + 8 + 104, 1);
	assert_int_equal(smbios_by_efi(8, &mem), 0);
	put_le64(efi + 8 + 104, 100); /* beyond what can be reached */
	assert_int_equal(smbios_by_efi(8, &mem), 0);
	assert_int_equal(smbios_by_efi(4096, &mem), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_the_machine),
		cmocka_unit_test(does_without_strings),
		cmocka_unit_test(survives_any_cut_and_flip),
		cmocka_unit_test(finds_the_entry_point),
		cmocka_unit_test(asks_uefi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
