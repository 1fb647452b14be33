/*
 * The configuration file: the schema and its checks. One table of keys for each kind of object; a
 * key's function takes its value or says what is wrong with it. Pure (see guests/json.h about the
 * pool of tokens: one parse at a time).
 */
#include "guests/config.h"
#include "guests/json.h"
#include "lib/format.h"
#include "lib/string.h"

#define MEMORY_MIN  (2 * MIB)
#define MEMORY_MAX  (1024 * GIB)
#define MEMORY_STEP (2 * MIB)

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
static bool __printf(3, 4) bad(struct parse *p, const char *key, const char *fmt, ...)
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

static const char *kind_name(enum json_kind kind)
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

static bool need(struct parse *p, const char *key, unsigned t, enum json_kind kind)
{
	if (json_kind(t) == kind)
		return true;
	return bad(p, key, "%s stands where %s is right", kind_name(json_kind(t)), kind_name(kind));
}

/* A string of printable ASCII that fits into `size` bytes. */
static bool take_string(struct parse *p, const char *key, unsigned t, char *buf, size_t size)
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

static bool take_bool(struct parse *p, const char *key, unsigned t, bool *v)
{
	if (!need(p, key, t, JSON_BOOL))
		return false;
	*v = json_get_bool(t);
	return true;
}

/* One of `n` words, at least two; its index goes to `v`. */
static bool take_word(struct parse *p, const char *key, unsigned t, const char *const *words,
		      unsigned n, unsigned *v)
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

static bool is_name(const char *s)
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
static bool name_at(unsigned t, char name[CONFIG_NAME_MAX])
{
	return t && json_kind(t) == JSON_STRING && !json_get_string(t, name, CONFIG_NAME_MAX) &&
	       is_name(name);
}

/* Takes the values of all keys of an object, and says every unknown, double and missing key. `path`
 * stands before a key in sentences, such as "boot.". */
static bool take_object(struct parse *p, const char *path, unsigned t, const struct key *keys,
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

/* ---- a guest ---- */

static bool take_name(struct parse *p, const struct key *key, unsigned t)
{
	unsigned g = json_first(p->list);
	char other[CONFIG_NAME_MAX];

	if (!need(p, key->name, t, JSON_STRING))
		return false;
	if (!name_at(t, p->guest->name))
		return bad(p, key->name,
			   "1 to %d characters of a-z, 0-9, _ and -, beginning with a letter, are "
			   "right",
			   CONFIG_NAME_MAX - 1);
	for (; g < t && json_next(g) <= t; g = json_next(g)) {
		if (json_kind(g) == JSON_OBJECT && name_at(json_find(g, "name"), other) &&
		    !strcmp(other, p->guest->name))
			return bad(p, key->name, "another guest has this name already");
	}
	return true;
}

/* A size in bytes, from MEMORY_MIN to MEMORY_MAX. */
static bool take_size(struct parse *p, const struct key *key, unsigned t, uint64_t *size)
{
	char text[16];
	uint64_t v = 0, unit = 0;
	unsigned i = 0;

	if (!need(p, key->name, t, JSON_STRING))
		return false;
	if (!json_get_string(t, text, sizeof(text))) {
		/* 15 digits cannot overflow, and neither can the product below. */
		for (; text[i] >= '0' && text[i] <= '9'; i++)
			v = v * 10 + (unsigned)(text[i] - '0');
		switch (text[i]) {
		case 'K':
			unit = KIB;
			break;
		case 'M':
			unit = MIB;
			break;
		case 'G':
			unit = GIB;
			break;
		}
	}
	if (!i || !unit || text[i + 1])
		return bad(p, key->name,
			   "a whole number with K, M or G behind it, such as \"512M\", is right");
	if (v > MEMORY_MAX / unit || v * unit < MEMORY_MIN)
		return bad(p, key->name, "%s is impossible: 2M to 1024G are right", text);
	if (v * unit % MEMORY_STEP)
		return bad(p, key->name, "%s is not a multiple of 2M", text);
	*size = v * unit;
	return true;
}

static bool take_memory(struct parse *p, const struct key *key, unsigned t)
{
	return take_size(p, key, t, &p->guest->memory);
}

static bool take_limit(struct parse *p, const struct key *key, unsigned t)
{
	return take_size(p, key, t, &p->guest->limit);
}

static bool take_reserve(struct parse *p, const struct key *key, unsigned t)
{
	return take_size(p, key, t, &p->guest->reserve);
}

static bool take_affinity(struct parse *p, const struct key *key, unsigned t)
{
	char text[CONFIG_STRING_MAX];

	if (!take_string(p, key->name, t, text, sizeof(text)))
		return false;
	if (!cpu_set_parse(text, &p->guest->affinity))
		return bad(
			p, key->name,
			"\"%s\" is no list of CPUs: ascending numbers below %d and ranges, such as "
			"\"0,2-3\", are right",
			text, MAX_CPUS);
	return true;
}

static bool take_then(struct parse *p, const struct key *key, unsigned t, enum config_then *then)
{
	static const char *const words[] = {
		[THEN_STOP] = "stop",
		[THEN_RESTART] = "restart",
	};
	unsigned v;

	if (!take_word(p, key->name, t, words, ARRAY_SIZE(words), &v))
		return false;
	*then = (enum config_then)v;
	return true;
}

static bool take_on_crash(struct parse *p, const struct key *key, unsigned t)
{
	return take_then(p, key, t, &p->guest->on_crash);
}

static bool take_on_reset(struct parse *p, const struct key *key, unsigned t)
{
	return take_then(p, key, t, &p->guest->on_reset);
}

/* What no key can judge alone. */
static bool check_sizes(struct parse *p)
{
	const struct guest_config *g = p->guest;

	if (g->limit < g->memory)
		return bad(p, "limit", "it is less than the guest's memory");
	if (g->reserve > g->limit)
		return bad(p, "reserve", "it is more than the limit");
	return true;
}

static bool take_vcpus(struct parse *p, const struct key *key, unsigned t)
{
	if (!need(p, key->name, t, JSON_NUMBER))
		return false;
	if (json_get_uint(t, &p->guest->vcpus) || !p->guest->vcpus)
		return bad(p, key->name, "a whole number from 1 is right");
	if (p->guest->vcpus > 1)
		return bad(p, key->name,
			   "%u are asked for, but more than one vCPU is not supported yet",
			   p->guest->vcpus);
	return true;
}

static bool take_autostart(struct parse *p, const struct key *key, unsigned t)
{
	return take_bool(p, key->name, t, &p->guest->autostart);
}

static bool take_serial(struct parse *p, const struct key *key, unsigned t)
{
	static const char *const words[] = {
		[SERIAL_RING] = "ring",
		[SERIAL_CONSOLE] = "console",
	};
	unsigned v;

	if (!take_word(p, key->name, t, words, ARRAY_SIZE(words), &v))
		return false;
	p->guest->serial = (enum config_serial)v;
	return true;
}

/* The string of a module that was loaded. */
static bool take_module(struct parse *p, const char *key, unsigned t, char *buf)
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

static bool take_kernel(struct parse *p, const struct key *key, unsigned t)
{
	return take_module(p, key->name, t, p->guest->kernel);
}

static bool take_initrd(struct parse *p, const struct key *key, unsigned t)
{
	return take_module(p, key->name, t, p->guest->initrd);
}

static bool take_module_file(struct parse *p, const struct key *key, unsigned t)
{
	return take_module(p, key->name, t, p->guest->modules[p->guest->n_modules].file);
}

static bool take_module_string(struct parse *p, const struct key *key, unsigned t)
{
	struct config_module *m = &p->guest->modules[p->guest->n_modules];

	return take_string(p, key->name, t, m->string, sizeof(m->string));
}

/* One of a list: the file's string, which the guest is told too, or an object that says both. */
static bool take_listed_module(struct parse *p, const char *key, unsigned t)
{
	static const struct key keys[] = {
		{"boot.modules.file", true, take_module_file},
		{"boot.modules.string", true, take_module_string},
	};
	struct config_module *m = &p->guest->modules[p->guest->n_modules];

	if (json_kind(t) == JSON_OBJECT) {
		if (!take_object(p, "boot.modules.", t, keys, ARRAY_SIZE(keys)))
			return false;
	} else {
		if (!take_module(p, key, t, m->file))
			return false;
		memcpy(m->string, m->file, sizeof(m->string));
	}
	p->guest->n_modules++;
	return true;
}

static bool take_modules(struct parse *p, const struct key *key, unsigned t)
{
	unsigned e = json_first(t);

	if (!need(p, key->name, t, JSON_ARRAY))
		return false;
	if (json_count(t) > CONFIG_MAX_MODULES)
		return bad(p, key->name, "there are %u: at most %d are possible", json_count(t),
			   CONFIG_MAX_MODULES);
	for (unsigned i = 0; i < json_count(t); i++, e = json_next(e)) {
		if (!take_listed_module(p, key->name, e))
			return false;
	}
	return true;
}

static bool take_entry(struct parse *p, const struct key *key, unsigned t)
{
	static const char *const words[] = {
		[LINUX_ENTRY_AUTO] = "auto",
		[LINUX_ENTRY_32] = "32",
		[LINUX_ENTRY_64] = "64",
	};
	unsigned v;

	if (!take_word(p, key->name, t, words, ARRAY_SIZE(words), &v))
		return false;
	p->guest->entry = (enum linux_entry)v;
	return true;
}

static bool take_cmdline(struct parse *p, const struct key *key, unsigned t)
{
	return take_string(p, key->name, t, p->guest->cmdline, sizeof(p->guest->cmdline));
}

static bool take_firmware(struct parse *p, const struct key *key, unsigned t)
{
	return take_module(p, key->name, t, p->guest->firmware);
}

static bool take_boot(struct parse *p, const struct key *key, unsigned t)
{
	static const struct key linux_keys[] = {
		{"boot.linux", true, take_kernel},
		{"boot.initrd", false, take_initrd},
		{"boot.entry", false, take_entry},
		{"boot.cmdline", false, take_cmdline},
	};
	static const struct key multiboot_keys[] = {
		{"boot.multiboot", true, take_kernel},
		{"boot.modules", false, take_modules},
		{"boot.cmdline", false, take_cmdline},
	};
	static const struct key pvh_keys[] = {
		{"boot.pvh", true, take_kernel},
		{"boot.modules", false, take_modules},
		{"boot.cmdline", false, take_cmdline},
	};
	static const struct key firmware_keys[] = {
		{"boot.firmware", true, take_firmware},
		{"boot.kernel", false, take_kernel},
		{"boot.initrd", false, take_initrd},
		{"boot.cmdline", false, take_cmdline},
	};
	static const struct {
		const char *name;
		const struct key *keys;
		unsigned n;
	} kinds[] = {
		[BOOT_LINUX] = {"linux", linux_keys, ARRAY_SIZE(linux_keys)},
		[BOOT_MULTIBOOT] = {"multiboot", multiboot_keys, ARRAY_SIZE(multiboot_keys)},
		[BOOT_PVH] = {"pvh", pvh_keys, ARRAY_SIZE(pvh_keys)},
		[BOOT_FIRMWARE] = {"firmware", firmware_keys, ARRAY_SIZE(firmware_keys)},
	};
	unsigned found = 0, kind = 0;

	if (!need(p, key->name, t, JSON_OBJECT))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (json_find(t, kinds[i].name)) {
			kind = i;
			found++;
		}
	}
	if (found != 1)
		return bad(p, key->name,
			   "exactly one of \"linux\", \"multiboot\", \"pvh\" and \"firmware\" is "
			   "right");
	p->guest->boot = (enum config_boot)kind;
	if (!take_object(p, "boot.", t, kinds[kind].keys, kinds[kind].n))
		return false;
	if (kind == BOOT_FIRMWARE && !p->guest->kernel[0] &&
	    (p->guest->initrd[0] || p->guest->cmdline[0]))
		return bad(p, key->name, "an initrd and a command line need a \"kernel\"");
	return true;
}

/* Names of files and the modules that they are. */
static bool take_fw_cfg(struct parse *p, const struct key *key, unsigned t)
{
	struct guest_config *g = p->guest;
	unsigned k = json_first(t);

	if (!need(p, key->name, t, JSON_OBJECT))
		return false;
	if (json_count(t) > CONFIG_MAX_FW_FILES)
		return bad(p, key->name, "there are %u: at most %d are possible", json_count(t),
			   CONFIG_MAX_FW_FILES);
	for (unsigned i = 0; i < json_count(t); i++, k = json_next(k + 1)) {
		if (!take_string(p, key->name, k, g->fw_name[i], VFWCFG_NAME_MAX))
			return false;
		if (!g->fw_name[i][0])
			return bad(p, key->name, "a file needs a name");
		for (unsigned j = 0; j < i; j++) {
			if (!strcmp(g->fw_name[i], g->fw_name[j]))
				return bad(p, key->name, "%s is there twice", g->fw_name[i]);
		}
		if (!take_module(p, key->name, k + 1, g->fw_file[i]))
			return false;
		g->n_fw_files++;
	}
	return true;
}

static bool take_debug_exit(struct parse *p, const struct key *key, unsigned t)
{
	return take_bool(p, key->name, t, &p->guest->debug_exit);
}

static bool take_symbols(struct parse *p, const struct key *key, unsigned t)
{
	return take_module(p, key->name, t, p->guest->symbols);
}

static bool take_test_device(struct parse *p, const struct key *key, unsigned t)
{
	return take_bool(p, key->name, t, &p->guest->test_device);
}

static bool take_devices(struct parse *p, const struct key *key, unsigned t)
{
	static const struct key keys[] = {
		{"devices.debug_exit", false, take_debug_exit},
		{"devices.test_device", false, take_test_device},
	};

	return need(p, key->name, t, JSON_OBJECT) &&
	       take_object(p, "devices.", t, keys, ARRAY_SIZE(keys));
}

static bool take_guest(struct parse *p, unsigned t)
{
	static const struct key keys[] = {
		{"name", true, take_name},          {"memory", true, take_memory},
		{"vcpus", false, take_vcpus},       {"autostart", false, take_autostart},
		{"serial", false, take_serial},     {"boot", true, take_boot},
		{"devices", false, take_devices},   {"limit", false, take_limit},
		{"reserve", false, take_reserve},   {"affinity", false, take_affinity},
		{"on_crash", false, take_on_crash}, {"on_reset", false, take_on_reset},
		{"symbols", false, take_symbols},   {"fw_cfg", false, take_fw_cfg},
	};

	memset(p->guest, 0, sizeof(*p->guest));
	p->guest->vcpus = 1;
	p->guest->limit = CONFIG_NO_LIMIT;
	p->guest->affinity = cpu_set_all();
	p->guest->on_crash = THEN_STOP;
	p->guest->on_reset = THEN_RESTART;
	p->guest->autostart = true;
	p->guest->serial = SERIAL_RING;
	if (json_kind(t) != JSON_OBJECT)
		return bad(p, NULL, "%s stands where %s is right", kind_name(json_kind(t)),
			   kind_name(JSON_OBJECT));
	return take_object(p, "", t, keys, ARRAY_SIZE(keys)) && check_sizes(p);
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
