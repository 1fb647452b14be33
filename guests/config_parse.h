/*
 * What the parts of the configuration's parser share: its state, the table of an object's keys, and
 * the values of the common kinds. Private to guests/config*.c. Pure.
 */
#ifndef GUESTS_CONFIG_PARSE_H
#define GUESTS_CONFIG_PARSE_H

#include "guests/config.h"
#include "guests/json.h"

struct parse {
	struct config *out;
	struct guest_config *guest; /* the one that is being read */
	unsigned list;              /* token of the list of guests, 0: none */
	const struct config_modules *modules;
	config_complain *complain;
	void *ctx;
	char where[64]; /* "guest web: ", or nothing */
};

struct key {
	const char *name;
	bool required;
	/* Takes the value at token `t`. False: it was wrong, and that was said. */
	bool (*take)(struct parse *p, const struct key *key, unsigned t);
};

/* Says one sentence that begins with the place and the key (NULL: none), and answers false. */
bool __printf(3, 4) bad(struct parse *p, const char *key, const char *fmt, ...);

/* How a sentence calls that kind of value. */
const char *kind_name(enum json_kind kind);

/* Whether the value at `t` is of that kind; if not, that is said. */
bool need(struct parse *p, const char *key, unsigned t, enum json_kind kind);

/* A string of printable ASCII that fits into `size` bytes. */
bool take_string(struct parse *p, const char *key, unsigned t, char *buf, size_t size);
bool take_bool(struct parse *p, const char *key, unsigned t, bool *v);

/* One of `n` words, at least two; its index goes to `v`. */
bool take_word(struct parse *p, const char *key, unsigned t, const char *const *words, unsigned n,
	       unsigned *v);

/* The string of a module that was loaded, into CONFIG_STRING_MAX bytes. */
bool take_module(struct parse *p, const char *key, unsigned t, char *buf);

/* Whether that may be a guest's name. */
bool is_name(const char *s);

/* A guest's name from a string: false if it is none. */
bool name_at(unsigned t, char name[CONFIG_NAME_MAX]);

/* Takes the values of all keys of an object, and says every unknown, double and missing key. `path`
 * stands before a key in sentences, such as "boot.". */
bool take_object(struct parse *p, const char *path, unsigned t, const struct key *keys,
		 unsigned n_keys);

/* A guest's whole object, into p->guest (guests/config_guest.c). */
bool take_guest(struct parse *p, unsigned t);

/* Its key "boot" (guests/config_boot.c). */
bool take_boot(struct parse *p, const struct key *key, unsigned t);

#endif
