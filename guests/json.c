/*
 * JSON: the strict check of the grammar, the tokens that jsmn finds, and their values. Pure. Owns
 * the pool of tokens and the text's address between two parses; no lock, so one parse at a time.
 */
#include "guests/json.h"

#include "lib/string.h"

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <jsmn.h>
#pragma GCC diagnostic pop

static jsmntok_t tokens[JSON_MAX_TOKENS];
static unsigned n_tokens;
static const char *source;

/* ---- the grammar (RFC 8259, "JSON Grammar") ---- */

struct check {
	const char *s;
	size_t len, pos;
	const char *fault; /* what is wrong at `pos` */
};

static bool fault(struct check *c, const char *what)
{
	c->fault = what;
	return false;
}

/* The character at the position; -1 at the end. */
static int peek(const struct check *c)
{
	return c->pos < c->len ? (unsigned char)c->s[c->pos] : -1;
}

static bool digit(int c)
{
	return c >= '0' && c <= '9';
}

static int hex_digit(int c)
{
	if (digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static void skip_blanks(struct check *c)
{
	while (peek(c) == ' ' || peek(c) == '\t' || peek(c) == '\n' || peek(c) == '\r')
		c->pos++;
}

static bool check_escape(struct check *c)
{
	switch (peek(c)) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		c->pos++;
		return true;
	case 'u':
		c->pos++;
		for (int i = 0; i < 4; i++) {
			if (hex_digit(peek(c)) < 0)
				return fault(c, "four hexadecimal digits must follow \\u");
			c->pos++;
		}
		return true;
	default:
		return fault(c, "this is not an escape");
	}
}

static bool check_string(struct check *c)
{
	if (peek(c) != '"')
		return fault(c, "a string in double quotes is expected");
	c->pos++;
	for (;;) {
		int ch = peek(c);

		if (ch < 0)
			return fault(c, "the text ends within a string");
		if (ch < ' ')
			return fault(c,
				     "a control character is in a string: write it as an escape");
		c->pos++;
		if (ch == '"')
			return true;
		if (ch == '\\' && !check_escape(c))
			return false;
	}
}

static bool check_digits(struct check *c)
{
	if (!digit(peek(c)))
		return fault(c, "a digit is expected");
	while (digit(peek(c)))
		c->pos++;
	return true;
}

static bool check_number(struct check *c)
{
	if (peek(c) == '-')
		c->pos++;
	if (peek(c) == '0') {
		c->pos++;
		if (digit(peek(c)))
			return fault(c, "a number must not begin with 0");
	} else if (!check_digits(c)) {
		return false;
	}
	if (peek(c) == '.') {
		c->pos++;
		if (!check_digits(c))
			return false;
	}
	if (peek(c) == 'e' || peek(c) == 'E') {
		c->pos++;
		if (peek(c) == '+' || peek(c) == '-')
			c->pos++;
		if (!check_digits(c))
			return false;
	}
	return true;
}

/* A value that holds no others. */
static bool check_scalar(struct check *c)
{
	static const char *const words[] = {"true", "false", "null"};

	if (peek(c) == '"')
		return check_string(c);
	if (peek(c) == '-' || digit(peek(c)))
		return check_number(c);
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		size_t n = strlen(words[i]);

		if (c->len - c->pos >= n && !memcmp(c->s + c->pos, words[i], n)) {
			c->pos += n;
			return true;
		}
	}
	return fault(c, peek(c) < 0 ? "the text ends where a value is expected"
				    : "a value is expected");
}

/* A key and its colon. */
static bool check_key(struct check *c)
{
	skip_blanks(c);
	if (!check_string(c))
		return false;
	skip_blanks(c);
	if (peek(c) != ':')
		return fault(c, "a colon is expected after the key");
	c->pos++;
	return true;
}

/* One value with all that is in it, without recursion: `object` says of each open bracket what it
 * is. */
static bool check_value(struct check *c)
{
	bool object[JSON_MAX_DEPTH];
	unsigned depth = 0;

	for (;;) {
		skip_blanks(c);
		if (peek(c) == '{' || peek(c) == '[') {
			char close = peek(c) == '{' ? '}' : ']';

			if (depth == JSON_MAX_DEPTH)
				return fault(c, "the brackets are nested too deeply");
			object[depth++] = close == '}';
			c->pos++;
			skip_blanks(c);
			if (peek(c) != close) {
				if (close == '}' && !check_key(c))
					return false;
				continue;
			}
		} else if (!check_scalar(c)) {
			return false;
		}

		/* A value or an opening bracket is complete: close brackets, or go on. */
		for (;;) {
			if (!depth)
				return true;
			skip_blanks(c);
			if (peek(c) == ',') {
				c->pos++;
				if (object[depth - 1] && !check_key(c))
					return false;
				break;
			}
			if (peek(c) != (object[depth - 1] ? '}' : ']'))
				return fault(c, object[depth - 1] ? "a comma or } is expected"
								  : "a comma or ] is expected");
			c->pos++;
			depth--;
		}
	}
}

static int check_text(const char *text, size_t len, struct reason *why)
{
	struct check c = {.s = text, .len = len};
	unsigned line = 1, column = 1;
	bool good = check_value(&c);

	if (good) {
		skip_blanks(&c);
		if (peek(&c) < 0)
			return 0;
		fault(&c, "something follows after the end of the value");
	}
	for (size_t i = 0; i < c.pos; i++) {
		column++;
		if (text[i] == '\n') {
			line++;
			column = 1;
		}
	}
	return refuse(why, ERR_INVALID, "this is not JSON: line %u, column %u: %s", line, column,
		      c.fault);
}

/* ---- tokens ---- */

int json_parse(const char *text, size_t len, struct reason *why)
{
	jsmn_parser parser;
	int n, err;

	n_tokens = 0;
	source = text;
	if (len > INT32_MAX)
		return refuse(why, ERR_RANGE, "the text is longer than 2 GiB");
	err = check_text(text, len, why);
	if (err)
		return err;
	jsmn_init(&parser);
	n = jsmn_parse(&parser, text, len, tokens, JSON_MAX_TOKENS);
	if (n == JSMN_ERROR_NOMEM)
		return refuse(why, ERR_RANGE, "there are more than %d keys and values",
			      JSON_MAX_TOKENS);
	if (n <= 0)
		return refuse(why, ERR_INVALID,
			      "this is not JSON that can be used: an object {...} is expected");
	n_tokens = (unsigned)n;
	return 0;
}

enum json_kind json_kind(unsigned t)
{
	switch (tokens[t].type) {
	case JSMN_OBJECT:
		return JSON_OBJECT;
	case JSMN_ARRAY:
		return JSON_ARRAY;
	case JSMN_STRING:
		return JSON_STRING;
	default:
		break;
	}
	switch (source[tokens[t].start]) {
	case 't':
	case 'f':
		return JSON_BOOL;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

unsigned json_count(unsigned t)
{
	return (unsigned)tokens[t].size;
}

unsigned json_first(unsigned t)
{
	return t + 1;
}

unsigned json_next(unsigned t)
{
	int end = tokens[t].end;

	do {
		t++;
	} while (t < n_tokens && tokens[t].start < end);
	return t;
}

static bool is_key(unsigned t, const char *key)
{
	char name[64];

	return !json_get_string(t, name, sizeof(name)) && !strcmp(name, key);
}

unsigned json_find(unsigned t, const char *key)
{
	unsigned k = json_first(t);

	for (unsigned i = 0; i < json_count(t); i++) {
		if (is_key(k, key))
			return k + 1;
		k = json_next(k + 1);
	}
	return 0;
}

/* The character that an escape stands for, at `s` behind its backslash; steps over it. The grammar
 * was checked. */
static unsigned unescape(const char **s)
{
	unsigned code = 0;
	char c = *(*s)++;

	switch (c) {
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'u':
		for (int i = 0; i < 4; i++)
			code = code * 16 + (unsigned)hex_digit(*(*s)++);
		return code;
	default:
		return (unsigned char)c;
	}
}

int json_get_string(unsigned t, char *buf, size_t size)
{
	const char *s = source + tokens[t].start;
	const char *end = source + tokens[t].end;
	size_t n = 0;

	while (s < end) {
		unsigned c = (unsigned char)*s++;
		int err = 0;

		if (c == '\\')
			c = unescape(&s);
		if (c < ' ' || c > '~')
			err = ERR_INVALID;
		else if (n + 1 >= size)
			err = ERR_RANGE;
		if (err) {
			buf[n] = 0;
			return err;
		}
		buf[n++] = (char)c;
	}
	buf[n] = 0;
	return 0;
}

int json_get_uint(unsigned t, uint32_t *v)
{
	uint64_t n = 0;

	for (int i = tokens[t].start; i < tokens[t].end; i++) {
		if (!digit(source[i]))
			return ERR_INVALID;
		n = n * 10 + (unsigned)(source[i] - '0');
		if (n > UINT32_MAX)
			return ERR_INVALID;
	}
	*v = (uint32_t)n;
	return 0;
}

bool json_get_bool(unsigned t)
{
	return source[tokens[t].start] == 't';
}
