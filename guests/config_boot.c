/* What a guest boots, from its part of the configuration file. Pure. */
#include "guests/config_parse.h"
#include "lib/string.h"

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

bool take_boot(struct parse *p, const struct key *key, unsigned t)
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
