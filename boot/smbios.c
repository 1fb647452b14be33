/*
 * The machine's name from the firmware's SMBIOS table, for reports. Pure: works on buffers,
 * believes no length in them, and gives printable text only.
 *
 * Source: DMTF DSP0134, "System Management BIOS (SMBIOS) Reference Specification", "SMBIOS 2.1
 * (32-bit) Entry Point", "SMBIOS 3.0 (64-bit) Entry Point", "SMBIOS structures", "BIOS Information
 * (Type 0)", "System Information (Type 1)"; UEFI Specification, "EFI System Table", "EFI
 * Configuration Table & Properties Table".
 */
#include "boot/info.h"
#include "lib/format.h"
#include "lib/le.h"

#define TYPE_BIOS   0
#define TYPE_SYSTEM 1
#define TYPE_END    127
#define HEADER      4u
#define STRING_MAX  40
#define TABLE_MAX   (1u << 20)

#define EFI_SIGNATURE   0x5453595320494249ull /* "IBI SYST" */
#define EFI_TABLE_SIZE  120u
#define EFI_MAX_ENTRIES 256u

static bool sum_is_zero(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return !sum;
}

/* An entry point stands at a multiple of 16 bytes; the 64-bit one is preferred. */
bool smbios_find(const uint8_t *area, size_t len, uint64_t *table, uint32_t *table_len)
{
	bool found = false;

	for (size_t at = 0; at + 24 <= len; at += 16) {
		const uint8_t *p = area + at;

		if (!memcmp(p, "_SM3_", 5) && p[6] >= 24 && p[6] <= len - at &&
		    sum_is_zero(p, p[6])) {
			*table_len = le32(p + 12);
			*table = le64(p + 16);
			return *table && *table_len >= HEADER && *table_len <= TABLE_MAX;
		}
		if (!found && !memcmp(p, "_SM_", 4) && p[5] >= 30 && p[5] <= len - at &&
		    sum_is_zero(p, p[5])) {
			*table_len = le16(p + 22);
			*table = le32(p + 24);
			found = *table && *table_len >= HEADER;
		}
	}
	return found;
}

/* String number `n` of a structure, whose strings lie in [s, s + len): printable, without blanks at
 * its ends. */
static void string(const char *s, size_t len, uint8_t n, char out[STRING_MAX])
{
	size_t kept = 0;

	out[0] = 0;
	if (!n)
		return;
	while (--n) {
		size_t skip = strnlen(s, len);

		if (skip >= len || !skip)
			return;
		s += skip + 1;
		len -= skip + 1;
	}
	for (size_t i = 0; i < len && s[i] && kept < STRING_MAX - 1; i++)
		if (kept || s[i] != ' ')
			out[kept++] = s[i] >= ' ' && s[i] <= '~' ? s[i] : '?';
	while (kept && out[kept - 1] == ' ')
		kept--;
	out[kept] = 0;
}

struct names {
	char maker[STRING_MAX], product[STRING_MAX], version[STRING_MAX];
	char firmware_maker[STRING_MAX], firmware[STRING_MAX];
};

static void take(const uint8_t *p, uint8_t formatted, const char *s, size_t len, struct names *n)
{
	if (p[0] == TYPE_BIOS && formatted >= 6) {
		string(s, len, p[4], n->firmware_maker);
		string(s, len, p[5], n->firmware);
	} else if (p[0] == TYPE_SYSTEM && formatted >= 7) {
		string(s, len, p[4], n->maker);
		string(s, len, p[5], n->product);
		string(s, len, p[6], n->version);
	}
}

static void append(char *out, size_t size, const char *before, const char *text)
{
	size_t at = strlen(out);

	if (*text)
		snprintf(out + at, size - at, "%s%s", at ? before : "", text);
}

const char *smbios_name(const uint8_t *table, size_t len, char *out, size_t size)
{
	struct names n = {0};
	size_t at = 0;

	while (len - at >= HEADER) {
		const uint8_t *p = table + at;
		uint8_t formatted = p[1];
		size_t end;

		if (p[0] == TYPE_END || formatted < HEADER || formatted > len - at)
			break;
		/* the strings end with two zero bytes */
		end = at + formatted;
		while (end + 1 < len && (table[end] || table[end + 1]))
			end++;
		if (end + 1 >= len)
			break;
		take(p, formatted, (const char *)p + formatted, end - at - formatted + 1, &n);
		at = end + 2;
	}
	out[0] = 0;
	append(out, size, "", n.maker);
	append(out, size, " ", n.product);
	append(out, size, ", ", n.version);
	if (n.firmware_maker[0] || n.firmware[0]) {
		append(out, size, ", firmware ", n.firmware_maker);
		append(out, size, " ", n.firmware);
	}
	return out;
}

uint64_t smbios_by_efi(uint64_t system_table, const struct acpi_memory *mem)
{
	static const uint8_t guid3[16] = {0x44, 0x15, 0xfd, 0xf2, 0x94, 0x97, 0x2c, 0x4a,
					  0x99, 0x2e, 0xe5, 0xbb, 0xcf, 0x20, 0xe3, 0x94};
	static const uint8_t guid2[16] = {0x31, 0x2d, 0x9d, 0xeb, 0x88, 0x2d, 0xd3, 0x11,
					  0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d};
	const uint8_t *t = system_table ? mem->map(mem->ctx, system_table, EFI_TABLE_SIZE) : NULL;
	uint64_t entries, found = 0;

	if (!t || le64(t) != EFI_SIGNATURE)
		return 0;
	entries = MIN(le64(t + 104), (uint64_t)EFI_MAX_ENTRIES);
	t = entries ? mem->map(mem->ctx, le64(t + 112), entries * 24) : NULL;
	for (uint64_t i = 0; t && i < entries; i++, t += 24) {
		if (!memcmp(t, guid3, sizeof(guid3)))
			return le64(t + 16);
		if (!memcmp(t, guid2, sizeof(guid2)))
			found = le64(t + 16);
	}
	return found;
}
