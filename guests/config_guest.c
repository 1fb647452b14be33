/*
 * One guest of the configuration file, but what it boots (guests/config_boot.c). Pure.
 */
#include "guests/config_parse.h"
#include "lib/string.h"

#define MEMORY_MIN  (2 * MIB)
#define MEMORY_MAX  (1024 * GIB)
#define MEMORY_STEP (2 * MIB)

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

bool take_guest(struct parse *p, unsigned t)
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
