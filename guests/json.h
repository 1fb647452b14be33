/*
 * JSON for the configuration: jsmn splits the text into tokens, and a strict check of the grammar
 * comes before, because jsmn takes separators lightly. Pure, but there is one pool of tokens: one
 * parse at a time, on one CPU, and token numbers are good until the next parse.
 */
#ifndef GUESTS_JSON_H
#define GUESTS_JSON_H

#include "lib/reason.h"
#include "lib/types.h"

#define JSON_MAX_TOKENS 4096 /* keys and values */
#define JSON_MAX_DEPTH  16

enum json_kind {
	JSON_OBJECT,
	JSON_ARRAY,
	JSON_STRING,
	JSON_NUMBER,
	JSON_BOOL,
	JSON_NULL,
};

/*
 * Parses `len` bytes, which must be one JSON value (RFC 8259) and nothing more. Token 0 is the
 * value; the text must stay while tokens are looked at. Returns 0, ERR_INVALID (not JSON: the
 * sentence names line and column) or ERR_RANGE (too many tokens, too deep, more than 2^31 bytes).
 */
int json_parse(const char *text, size_t len, struct reason *why) __must_check;

enum json_kind json_kind(unsigned t);

/* Elements of an array, or keys of an object. */
unsigned json_count(unsigned t);

/* The first element of an array, or the first key of an object, if json_count() is not 0; a key's
 * value is the token after it. */
unsigned json_first(unsigned t);

/* The token after the value `t` and all that is in it: the next element or key, if there is one. */
unsigned json_next(unsigned t);

/* The value of the key `key` in the object `t` (the first one of that name), or 0 if it has none.
 */
unsigned json_find(unsigned t, const char *key);

/*
 * Decodes a string (escapes, \uXXXX) into `buf` of `size` bytes and ends it with a zero. Returns 0,
 * ERR_INVALID if a character is not printable ASCII, ERR_RANGE if it is longer than size - 1; then
 * `buf` holds the good part before it.
 */
int json_get_string(unsigned t, char *buf, size_t size) __must_check;

/* The value of a number: a whole one without sign, fraction and exponent, up to 2^32 - 1. Returns 0
 * or ERR_INVALID. */
int json_get_uint(unsigned t, uint32_t *v) __must_check;

/* The value of a JSON_BOOL. */
bool json_get_bool(unsigned t);

#endif
