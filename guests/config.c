/*
 * The configuration file as a whole, and what the schema's parts share (guests/config_parse.h). One
 * table of keys for each kind of object; a key's function takes its value or says what is wrong
 * with it. Pure (see guests/json.h about the pool of tokens: one parse at a time).
 */
#include "guests/config_parse.h"
#include "lib/format.h"
#include "lib/string.h"

/* Says one sentence that begins with the place and the key (NULL: none), and answers false. */
bool bad(struct parse *p, const char *key, const char *fmt, ...)
{
	struct reason what, sentence;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what.text, sizeof(what.text), fmt, ap);
	va_end(ap);
	refuse(&sentence, 0, "%s%s%s%s", p->where, key ? key : "", key ? ": " : "", what.text);
	p->complain(p->ctx, sentence.text);
	return false;
}

const char *kind_name(enum json_kind kind)
{
	switch (kind) {
	case JSON_OBJECT:
		return "an object {...}";
	case JSON_ARRAY:
		return "a list [...]";
	case JSON_STRING:
		return "a string in double quotes";
	case JSON_NUMBER:
		return "a number";
	case JSON_BOOL:
		return "true or false";
	case JSON_NULL:
		return "null";
	}
	return "";
}

bool need(struct parse *p, const char *key, unsigned t, enum json_kind kind)
{
	if (json_kind(t) == kind)
		return true;
	return bad(p, key, "%s stands where %s is right", kind_name(json_kind(t)), kind_name(kind));
}

/* A string of printable ASCII that fits into `size` bytes. */
bool take_string(struct parse *p, const char *key, unsigned t, char *buf, size_t size)
{
	int err;

	if (!need(p, key, t, JSON_STRING))
		return false;
	err = json_get_string(t, buf, size);
	if (err == ERR_RANGE)
		return bad(p, key, "it is longer than %zu characters", size - 1);
	if (err)
		return bad(p, key,
			   "it holds a character that is not printable ASCII, after \"%.60s\"",
			   buf);
	return true;
}

bool take_bool(struct parse *p, const char *key, unsigned t, bool *v)
{
	if (!need(p, key, t, JSON_BOOL))
		return false;
	*v = json_get_bool(t);
	return true;
}

/* One of `n` words, at least two; its index goes to `v`. */
bool take_word(struct parse *p, const char *key, unsigned t, const char *const *words, unsigned n,
	       unsigned *v)
{
	char text[32], list[128] = "";
	size_t len = 0;

	if (!need(p, key, t, JSON_STRING))
		return false;
	for (unsigned i = 0; i < n && !json_get_string(t, text, sizeof(text)); i++) {
		if (!strcmp(text, words[i])) {
			*v = i;
			return true;
		}
	}
	for (unsigned i = 0; i < n && len < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s\"%s\"",
					!i           ? ""
					: i == n - 1 ? " or "
						     : ", ",
					words[i]);
	return bad(p, key, "%s is right", list);
}

static bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

bool is_name(const char *s)
{
	if (!is_letter(*s))
		return false;
	for (; *s; s++) {
		if (!is_letter(*s) && !(*s >= '0' && *s <= '9') && *s != '_' && *s != '-')
			return false;
	}
	return true;
}

/* A guest's name from a string: false if it is none. */
bool name_at(unsigned t, char name[CONFIG_NAME_MAX])
{
	return t && json_kind(t) == JSON_STRING && !json_get_string(t, name, CONFIG_NAME_MAX) &&
	       is_name(name);
}

/* Takes the values of all keys of an object, and says every unknown, double and missing key. `path`
 * stands before a key in sentences, such as "boot.". */
bool take_object(struct parse *p, const char *path, unsigned t, const struct key *keys,
		 unsigned n_keys)
{
	unsigned seen = 0, k = json_first(t);
	bool good = true;

	for (unsigned i = 0; i < json_count(t); i++, k = json_next(k + 1)) {
		unsigned j = n_keys;
		char name[32];

		/* A name that is too long or not ASCII is cut and then unknown. */
		if (!json_get_string(k, name, sizeof(name))) {
			for (j = 0; j < n_keys; j++) {
				if (!strcmp(keys[j].name + strlen(path), name))
					break;
			}
		}
		if (j == n_keys)
			good = bad(p, NULL,
				   "there is no key \"%s%s\": docs/guide.md lists the keys", path,
				   name);
		else if (seen & BIT32(j))
			good = bad(p, keys[j].name, "the key is there twice");
		else if (!keys[j].take(p, &keys[j], k + 1))
			good = false;
		if (j < n_keys)
			seen |= BIT32(j);
	}
	for (unsigned j = 0; j < n_keys; j++) {
		if (keys[j].required && !(seen & BIT32(j)))
			good = bad(p, keys[j].name, "the key is missing");
	}
	return good;
}

/* The string of a module that was loaded. */
bool take_module(struct parse *p, const char *key, unsigned t, char *buf)
{
	if (!take_string(p, key, t, buf, CONFIG_STRING_MAX))
		return false;
	if (!*buf)
		return bad(p, key, "the string of a module is right, not an empty one");
	if (!p->modules->exists(p->modules->ctx, buf))
		return bad(p, key,
			   "no module with the string \"%s\" was loaded: add its line to the boot "
			   "loader's menu",
			   buf);
	return true;
}

/* ---- the whole ---- */

static bool take_port(struct parse *p, const struct key *key, unsigned t)
{
	char *port = p->out->console_port;

	if (!need(p, key->name, t, JSON_STRING))
		return false;
	if (json_get_string(t, port, sizeof(p->out->console_port)) ||
	    (strcmp(port, "none") &&
	     (strncmp(port, "com", 3) || port[3] < '1' || port[3] > '4' || port[4])))
		return bad(p, key->name, "\"com1\" to \"com4\" or \"none\" is right");
	return true;
}

static bool take_baud(struct parse *p, const struct key *key, unsigned t)
{
	uint32_t *baud = &p->out->console_baud;

	if (!need(p, key->name, t, JSON_NUMBER))
		return false;
	/* 16550 datasheet, "Programmable Baud Generator": on a PC, 115200 divided by a whole
	 * number. */
	if (json_get_uint(t, baud) || *baud < 50 || *baud > 115200 || 115200 % *baud)
		return bad(
			p, key->name,
			"115200 or 115200 divided by a whole number, such as 9600 (at least 50), "
			"is right");
	return true;
}

static bool take_attach(struct parse *p, const struct key *key, unsigned t)
{
	char *name = p->out->attach;

	if (!need(p, key->name, t, JSON_STRING))
		return false;
	if (json_get_string(t, name, CONFIG_NAME_MAX) || (*name && !is_name(name)))
		return bad(p, key->name, "the name of a guest, or \"\" for none, is right");
	return true;
}

static bool take_console(struct parse *p, const struct key *key, unsigned t)
{
	static const struct key keys[] = {
		{"console.port", false, take_port},
		{"console.baud", false, take_baud},
		{"console.attach", false, take_attach},
	};

	return need(p, key->name, t, JSON_OBJECT) &&
	       take_object(p, "console.", t, keys, ARRAY_SIZE(keys));
}

static bool take_when_idle(struct parse *p, const struct key *key, unsigned t)
{
	static const char *const words[] = {
		[WHEN_IDLE_SHELL] = "shell",
		[WHEN_IDLE_POWEROFF] = "poweroff",
	};
	unsigned v;

	if (!take_word(p, key->name, t, words, ARRAY_SIZE(words), &v))
		return false;
	p->out->when_idle = (enum config_when_idle)v;
	return true;
}

/* Remembers the list: its guests are read when all else was found good. */
static bool take_guests(struct parse *p, const struct key *key, unsigned t)
{
	if (!need(p, key->name, t, JSON_ARRAY))
		return false;
	if (json_count(t) > CONFIG_MAX_GUESTS)
		return bad(p, key->name, "there are %u: at most %d are possible", json_count(t),
			   CONFIG_MAX_GUESTS);
	p->list = t;
	return true;
}

/* Whether console.attach names a guest of the list, good or not. */
static bool check_attach(struct parse *p)
{
	unsigned g = json_first(p->list);
	char name[CONFIG_NAME_MAX];

	if (!*p->out->attach)
		return true;
	for (unsigned i = 0; i < json_count(p->list); i++, g = json_next(g)) {
		if (json_kind(g) == JSON_OBJECT && name_at(json_find(g, "name"), name) &&
		    !strcmp(name, p->out->attach))
			return true;
	}
	return bad(p, "console.attach", "there is no guest \"%s\"", p->out->attach);
}

/* The guest that was to be attached may have been refused: then the shell is. */
static void settle_attach(struct parse *p)
{
	if (!*p->out->attach)
		return;
	for (uint32_t i = 0; i < p->out->n_guests; i++) {
		if (!strcmp(p->out->guests[i].name, p->out->attach))
			return;
	}
	bad(p, "console.attach", "guest %s was refused, so the shell comes up", p->out->attach);
	p->out->attach[0] = 0;
}

static void take_list(struct parse *p)
{
	unsigned g = json_first(p->list);

	for (unsigned i = 0; i < json_count(p->list); i++, g = json_next(g)) {
		char name[CONFIG_NAME_MAX];

		if (json_kind(g) == JSON_OBJECT && name_at(json_find(g, "name"), name))
			snprintf(p->where, sizeof(p->where), "guest %s: ", name);
		else
			snprintf(p->where, sizeof(p->where), "guest number %u: ", i + 1);
		p->guest = &p->out->guests[p->out->n_guests];
		if (take_guest(p, g)) {
			p->out->n_guests++;
		} else {
			memset(p->guest, 0, sizeof(*p->guest));
			p->out->n_refused++;
		}
	}
	p->where[0] = 0;
}

static void set_defaults(struct config *out)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->console_port, sizeof(out->console_port), "com1");
	out->console_baud = 115200;
	out->when_idle = WHEN_IDLE_SHELL;
}

int config_parse(const char *json, size_t len, const struct config_modules *modules,
		 struct config *out, config_complain *complain, void *ctx)
{
	static const struct key keys[] = {
		{"console", false, take_console},
		{"when_idle", false, take_when_idle},
		{"guests", true, take_guests},
	};
	struct parse p = {.out = out, .modules = modules, .complain = complain, .ctx = ctx};
	struct reason why;

	set_defaults(out);
	if (json_parse(json, len, &why)) {
		bad(&p, "configuration", "%s", why.text);
		return ERR_INVALID;
	}
	if (!need(&p, "configuration", 0, JSON_OBJECT) ||
	    !take_object(&p, "", 0, keys, ARRAY_SIZE(keys)) || !check_attach(&p)) {
		set_defaults(out);
		return ERR_INVALID;
	}
	take_list(&p);
	settle_attach(&p);
	return 0;
}
