/*
 * Writing JSON: compact, on one line, members in the order of the calls. Pure.
 *
 * The writer keeps the commas and the nesting right; the caller closes what it opened.
 */
#ifndef LIB_JSON_OUT_H
#define LIB_JSON_OUT_H

#include "lib/types.h"

#define JSON_MAX_DEPTH 16

struct json_out {
	void (*put)(void *ctx, const char *text, size_t len);
	void *ctx;
	uint32_t arrays;   /* bit d: what is open at depth d is an array */
	uint32_t nonempty; /* bit d: it has a member already */
	unsigned depth;
};

void json_init(struct json_out *j, void (*put)(void *ctx, const char *text, size_t len), void *ctx);

/* `key` names the member inside an object, and is NULL inside an array and at the top. */
void json_object(struct json_out *j, const char *key);
void json_array(struct json_out *j, const char *key);
void json_end(struct json_out *j); /* closes the innermost object or array */

/* Any bytes: what must be escaped is, and bytes that are not UTF-8 become U+FFFD. */
void json_string(struct json_out *j, const char *key, const char *value);
void json_bytes(struct json_out *j, const char *key, const char *value, size_t len);
void json_uint(struct json_out *j, const char *key, uint64_t value);
void json_int(struct json_out *j, const char *key, int64_t value);
void json_bool(struct json_out *j, const char *key, bool value);
void json_null(struct json_out *j, const char *key);

#endif
