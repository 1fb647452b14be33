/*
 * Names of a guest's functions; see guest_symbols.h. Pure. Format: GNU Binary Utilities, "nm", the
 * format "bsd", which Linux's System.map is in as well.
 */
#include "guests/guest_symbols.h"

#include "lib/format.h"
#include "lib/string.h"

#define ADDRESS_DIGITS 16u

enum line_kind {
	LINE_FUNCTION,
	LINE_OTHER, /* data, something undefined, or nothing */
	LINE_BAD,
};

struct line {
	uint64_t address;
	uint32_t name; /* where it begins in the line */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Sections with code; weak symbols may be either, and most are functions. */
static bool is_function(char type)
{
	return type == 't' || type == 'T' || type == 'w' || type == 'W' || type == 'i';
}

static bool is_type(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '?' || c == '-';
}

static bool is_printable(const char *s, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if ((s[i] < 0x20 || s[i] > 0x7e) && s[i] != '\t')
			return false;
	return true;
}

static enum line_kind parse_line(const char *s, uint32_t len, struct line *out)
{
	uint32_t at = 0, digits;
	char type;

	while (len && (is_blank(s[len - 1]) || s[len - 1] == '\r'))
		len--;
	if (!len)
		return LINE_OTHER;
	if (len > GUEST_SYMBOL_LINE_MAX || !is_printable(s, len))
		return LINE_BAD;
	out->address = 0;
	for (; at < len && digit(s[at]) >= 0; at++)
		out->address = out->address << 4 | (unsigned)digit(s[at]);
	digits = at;
	if (digits > ADDRESS_DIGITS || at == len || !is_blank(s[at]))
		return LINE_BAD;
	while (is_blank(s[at])) /* ends, for the last one of the line is none */
		at++;
	type = s[at++];
	if (!is_type(type) || at == len || !is_blank(s[at]))
		return LINE_BAD;
	while (is_blank(s[at]))
		at++;
	out->name = at;
	return digits && is_function(type) ? LINE_FUNCTION : LINE_OTHER;
}

/* The line at `at`; *next is where the one behind it begins. */
static enum line_kind line_at(const char *text, uint32_t size, uint32_t at, struct line *out,
			      uint32_t *next)
{
	const char *end = memchr(text + at, '\n', size - at);
	uint32_t len = end ? (uint32_t)(end - (text + at)) : size - at;

	*next = at + len + (end ? 1 : 0);
	return parse_line(text + at, len, out);
}

void guest_symbols_count(const char *text, uint32_t size, struct guest_symbols_count *out)
{
	uint32_t number = 0, next;
	struct line line;

	*out = (struct guest_symbols_count){0};
	for (uint32_t at = 0; at < size; at = next) {
		enum line_kind kind = line_at(text, size, at, &line, &next);

		number++;
		out->functions += kind == LINE_FUNCTION;
		if (kind == LINE_BAD && !out->bad++)
			out->first_bad = number;
	}
}

/* ---- sorting: in place, and as quick for any order of the lines ---- */

static bool before(const struct guest_symbol *a, const struct guest_symbol *b)
{
	return a->address != b->address ? a->address < b->address : a->name < b->name;
}

static void sift(struct guest_symbol *s, uint32_t i, uint32_t n)
{
	struct guest_symbol moved = s[i];
	uint32_t child;

	for (; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && before(&s[child], &s[child + 1]))
			child++;
		if (!before(&moved, &s[child]))
			break;
		s[i] = s[child];
	}
	s[i] = moved;
}

static void sort(struct guest_symbol *s, uint32_t n)
{
	for (uint32_t i = n / 2; i-- > 0;)
		sift(s, i, n);
	while (n > 1) {
		struct guest_symbol last = s[--n];

		s[n] = s[0];
		s[0] = last;
		sift(s, 0, n);
	}
}

void guest_symbols_index(struct guest_symbols *s, uint32_t room)
{
	bool sorted = true;
	struct line line;
	uint32_t next;

	s->n = 0;
	for (uint32_t at = 0; at < s->size && s->n < room; at = next) {
		struct guest_symbol *e = &s->index[s->n];

		if (line_at(s->text, s->size, at, &line, &next) != LINE_FUNCTION)
			continue;
		*e = (struct guest_symbol){.address = line.address, .name = at + line.name};
		sorted &= !s->n || before(e - 1, e);
		s->n++;
	}
	if (!sorted)
		sort(s->index, s->n);
}

/* How many entries have an address below `address`. */
static uint32_t below(const struct guest_symbols *s, uint64_t address)
{
	uint32_t low = 0, high = s->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (s->index[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The first of those with the highest address that is not above; or NULL. */
static const struct guest_symbol *find(const struct guest_symbols *s, uint64_t address)
{
	uint32_t i = below(s, address);

	if (i < s->n && s->index[i].address == address)
		return &s->index[i];
	return i ? &s->index[below(s, s->index[i - 1].address)] : NULL;
}

const char *guest_symbols_name(const struct guest_symbols *s, uint64_t address, char *buf,
			       size_t size)
{
	const struct guest_symbol *e = find(s, address);
	uint32_t len = 0;

	if (!e || address - e->address >= GUEST_SYMBOL_REACH)
		return NULL;
	while (e->name + len < s->size && s->text[e->name + len] > ' ')
		len++;
	snprintf(buf, size, "%.*s+0x%llx", (int)len, s->text + e->name,
		 (unsigned long long)(address - e->address));
	return buf;
}
