/* Records as lines of text; see dump_armour.h. Pure. */
#include "console/dump_armour.h"

#include "lib/crc32.h"
#include "lib/format.h"
#include "lib/le.h"

#define LINE_MAX (8 + ARMOUR_LINE_BYTES / 3 * 4 + 1 + 8 + 1 + 1)

static char digit(uint32_t v)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	return digits[v & 63];
}

/* RFC 4648, "Base 64 Encoding". Returns the length. */
static size_t base64(const uint8_t *p, size_t n, char *out)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)p[i + 1] << 8;
		if (i + 2 < n)
			v |= p[i + 2];
		out[at++] = digit(v >> 18);
		out[at++] = digit(v >> 12);
		out[at++] = i + 1 < n ? digit(v >> 6) : '=';
		out[at++] = i + 2 < n ? digit(v) : '=';
	}
	return at;
}

static void line(struct armour *a, char mark, const uint8_t *bytes, size_t n)
{
	char text[LINE_MAX + 8];
	size_t len = (size_t)snprintf(text, sizeof(text), "%c%06x ", mark, a->lines++ & 0xffffff);

	len += base64(bytes, n, text + len);
	snprintf(text + len, sizeof(text) - len, " %08x\n", crc32_of(0, text, len));
	out_text(a->out, text);
}

void armour_record(struct armour *a, uint64_t offset, const uint8_t *content, uint32_t len,
		   const uint8_t *packed, uint32_t packed_len)
{
	uint8_t first[ARMOUR_LINE_BYTES];
	uint32_t taken = MIN(packed_len, ARMOUR_LINE_BYTES - ARMOUR_HEADER);

	put_le64(first, offset);
	put_le32(first + 8, len);
	put_le32(first + 12, packed_len);
	put_le32(first + 16, crc32_of(0, content, len));
	memcpy(first + ARMOUR_HEADER, packed, taken);
	line(a, '@', first, ARMOUR_HEADER + taken);
	while (taken < packed_len) {
		uint32_t n = MIN(packed_len - taken, ARMOUR_LINE_BYTES);

		line(a, '+', packed + taken, n);
		taken += n;
	}
}
