/*
 * The JSON writer. Pure. Format: RFC 8259, "The JavaScript Object Notation (JSON) Data Interchange
 * Format", sections "Strings" and "Numbers".
 */
#include "lib/json_out.h"

#include "lib/format.h"
#include "lib/string.h"

static void put(struct json_out *j, const char *text)
{
	j->put(j->ctx, text, strlen(text));
}

void json_init(struct json_out *j, void (*put_fn)(void *ctx, const char *text, size_t len),
	       void *ctx)
{
	*j = (struct json_out){.put = put_fn, .ctx = ctx};
}

/* Length of the well-formed UTF-8 sequence at s (1 to 4), or 0. RFC 3629, "Syntax of UTF-8 Byte
 * Sequences". */
static size_t utf8_len(const uint8_t *s, size_t left)
{
	uint8_t c = s[0];
	size_t n = c < 0x80                ? 1
		   : c >= 0xc2 && c < 0xe0 ? 2
		   : c >= 0xe0 && c < 0xf0 ? 3
		   : c >= 0xf0 && c < 0xf5 ? 4
					   : 0;

	if (!n || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) ||
	    (c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f))
		return 0; /* overlong, a surrogate, or beyond U+10FFFF */
	return n;
}

static void put_escaped(struct json_out *j, const char *value, size_t len)
{
	const uint8_t *s = (const uint8_t *)value;
	char buf[8];

	put(j, "\"");
	for (size_t i = 0; i < len;) {
		size_t n = utf8_len(s + i, len - i);

		if (!n) {
			put(j, "\\ufffd");
			n = 1;
		} else if (s[i] == '"' || s[i] == '\\') {
			snprintf(buf, sizeof(buf), "\\%c", s[i]);
			put(j, buf);
		} else if (s[i] < 0x20 || s[i] == 0x7f) {
			snprintf(buf, sizeof(buf), "\\u%04x", s[i]);
			put(j, buf);
		} else if (s[i] == 0xc2 && s[i + 1] < 0xa0) { /* controls that terminals obey */
			snprintf(buf, sizeof(buf), "\\u%04x", s[i + 1]);
			put(j, buf);
		} else {
			j->put(j->ctx, value + i, n);
		}
		i += n;
	}
	put(j, "\"");
}

/* The comma and the key that come before a value. */
static void before_value(struct json_out *j, const char *key)
{
	if (j->nonempty & BIT32(j->depth))
		put(j, ",");
	if (j->depth)
		j->nonempty |= BIT32(j->depth);
	if (key) {
		put_escaped(j, key, strlen(key));
		put(j, ":");
	}
}

static void open(struct json_out *j, const char *key, bool array)
{
	before_value(j, key);
	put(j, array ? "[" : "{");
	if (j->depth < JSON_MAX_DEPTH - 1)
		j->depth++;
	j->nonempty &= ~BIT32(j->depth);
	if (array)
		j->arrays |= BIT32(j->depth);
	else
		j->arrays &= ~BIT32(j->depth);
}

void json_object(struct json_out *j, const char *key)
{
	open(j, key, false);
}

void json_array(struct json_out *j, const char *key)
{
	open(j, key, true);
}

void json_end(struct json_out *j)
{
	if (!j->depth)
		return;
	put(j, j->arrays & BIT32(j->depth) ? "]" : "}");
	j->depth--;
}

void json_bytes(struct json_out *j, const char *key, const char *value, size_t len)
{
	before_value(j, key);
	put_escaped(j, value, len);
}

void json_string(struct json_out *j, const char *key, const char *value)
{
	json_bytes(j, key, value, strlen(value));
}

void json_uint(struct json_out *j, const char *key, uint64_t value)
{
	char buf[24];

	before_value(j, key);
	snprintf(buf, sizeof(buf), "%llu", (unsigned long long)value);
	put(j, buf);
}

void json_int(struct json_out *j, const char *key, int64_t value)
{
	char buf[24];

	before_value(j, key);
	snprintf(buf, sizeof(buf), "%lld", (long long)value);
	put(j, buf);
}

void json_bool(struct json_out *j, const char *key, bool value)
{
	before_value(j, key);
	put(j, value ? "true" : "false");
}

void json_null(struct json_out *j, const char *key)
{
	before_value(j, key);
	put(j, "null");
}
