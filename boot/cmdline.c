/*
 * The hypervisor's own command line: words separated by blanks, each KEY=VALUE. Pure.
 */
#include "boot/info.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/string.h"

#define WORD_MAX 64 /* with the ending zero; no good word is longer */

struct parse {
	struct boot_options *out;
	void (*complain)(void *ctx, const char *sentence);
	void *ctx;
	int complaints;
};

struct option {
	const char *key;
	bool (*take)(struct boot_options *out, const char *value);
	const char *right; /* what its value may be */
};

/* A whole number, decimal or with 0x, from `min` to `max`. */
static bool number(const char *s, uint32_t min, uint32_t max, uint32_t *out)
{
	unsigned base = 10;
	uint64_t v = 0;

	if (s[0] == '0' && s[1] == 'x') {
		base = 16;
		s += 2;
	}
	if (!*s)
		return false;
	for (; *s; s++) {
		unsigned digit;

		if (*s >= '0' && *s <= '9')
			digit = (unsigned)(*s - '0');
		else if (*s >= 'a' && *s <= 'f')
			digit = (unsigned)(*s - 'a') + 10;
		else if (*s >= 'A' && *s <= 'F')
			digit = (unsigned)(*s - 'A') + 10;
		else
			return false;
		if (digit >= base)
			return false;
		v = v * base + digit;
		if (v > max)
			return false;
	}
	if (v < min)
		return false;
	*out = (uint32_t)v;
	return true;
}

static bool take_console(struct boot_options *out, const char *value)
{
	const char *comma = strchr(value, ',');
	size_t len = comma ? (size_t)(comma - value) : strlen(value);
	uint32_t baud = 0;

	if (!(len == 4 && !strncmp(value, "none", 4)) &&
	    !(len == 4 && !strncmp(value, "com", 3) && value[3] >= '1' && value[3] <= '4'))
		return false;
	/* 16550 Universal Asynchronous Receiver/Transmitter datasheet, "Programmable Baud
	 * Generator": on a PC the rate is 115200 divided by a whole number. */
	if (comma && (!number(comma + 1, 50, 115200, &baud) || 115200 % baud))
		return false;
	memcpy(out->console, value, len);
	out->console[len] = 0;
	out->baud = baud;
	return true;
}

static bool take_loglevel(struct boot_options *out, const char *value)
{
	static const char *const name[] = {
		[LOG_ERROR] = "error",
		[LOG_WARN] = "warn",
		[LOG_INFO] = "info",
		[LOG_DEBUG] = "debug",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(name); i++) {
		if (!strcmp(value, name[i])) {
			out->loglevel = (uint8_t)i;
			return true;
		}
	}
	return false;
}

static bool take_maxcpus(struct boot_options *out, const char *value)
{
	return number(value, 1, UINT32_MAX, &out->maxcpus);
}

static bool take_exit(struct boot_options *out, const char *value)
{
	uint32_t port;

	if (!strcmp(value, "acpi")) {
		out->exit = MACHINE_EXIT_ACPI;
	} else if (!strcmp(value, "bochs")) {
		out->exit = MACHINE_EXIT_BOCHS;
	} else if (!strncmp(value, "isa-debug:", 10) && number(value + 10, 1, 0xffff, &port)) {
		out->exit = MACHINE_EXIT_ISA_DEBUG;
		out->exit_port = (uint16_t)port;
	} else {
		return false;
	}
	return true;
}

static bool take_mitigations(struct boot_options *out, const char *value)
{
	if (strcmp(value, "auto") && strcmp(value, "off"))
		return false;
	out->mitigations = !strcmp(value, "auto");
	return true;
}

/* Words between commas, each at most once; it cannot stay and reboot. */
static bool take_panic(struct boot_options *out, const char *value)
{
	struct panic_policy p = {0};
	bool stay = false;
	char word[WORD_MAX];

	for (;;) {
		const char *comma = strchr(value, ',');
		size_t len = comma ? (size_t)(comma - value) : strlen(value);

		if (len >= sizeof(word))
			return false;
		memcpy(word, value, len);
		word[len] = 0;
		if (!strcmp(word, "stay") && !stay && !p.reboot)
			stay = true;
		else if (!strcmp(word, "dump") && !p.dump)
			p.dump = true;
		else if (!strncmp(word, "reboot=", 7) && !stay && !p.reboot &&
			 number(word + 7, 0, 86400, &p.reboot_s))
			p.reboot = true;
		else
			return false;
		if (!comma)
			break;
		value = comma + 1;
	}
	out->panic = p;
	return true;
}

#ifdef SKERRY_DEBUG
static bool take_provoke(struct boot_options *out, const char *value)
{
	out->provoke_early = !strcmp(value, "early");
	return out->provoke_early;
}
#endif

static const struct option options[] = {
#ifdef SKERRY_DEBUG
	{"provoke", take_provoke, "early"},
#endif
	{"console", take_console,
	 "com1 to com4 or none, with a rate if wanted, such as com1,115200"},
	{"loglevel", take_loglevel, "error, warn, info or debug"},
	{"maxcpus", take_maxcpus, "a whole number from 1"},
	{"exit", take_exit, "acpi, bochs or isa-debug:PORT, such as isa-debug:0xf4"},
	{"mitigations", take_mitigations, "auto or off"},
	{"panic", take_panic,
	 "stay, reboot=SECONDS (0 to 86400) or dump, or dump with one of them, such as "
	 "dump,reboot=10"},
};

static void take_word(struct parse *p, const char *word, size_t len)
{
	char text[WORD_MAX];
	size_t kept = MIN(len, sizeof(text) - 1);
	struct reason why;

	/* The word may be shown on a terminal, so nothing in it may steer one. */
	for (size_t i = 0; i < kept; i++)
		text[i] = word[i] >= ' ' && word[i] <= '~' ? word[i] : '?';
	text[kept] = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *o = &options[i];
		size_t key = strlen(o->key);

		if (strncmp(text, o->key, key) || (text[key] && text[key] != '='))
			continue;
		if (text[key] && len == kept && o->take(p->out, text + key + 1))
			return;
		refuse(&why, 0, "command line: \"%s\" is not understood: %s= takes %s", text,
		       o->key, o->right);
		goto complain;
	}
	refuse(&why, 0,
	       "command line: \"%s\" is unknown: console=, loglevel=, maxcpus=, exit=, "
	       "mitigations= and panic= are there",
	       text);
complain:
	p->complaints++;
	p->complain(p->ctx, why.text);
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

int cmdline_parse(const char *line, struct boot_options *out,
		  void (*complain)(void *ctx, const char *sentence), void *ctx)
{
	struct parse p = {.out = out, .complain = complain, .ctx = ctx};

	*out = (struct boot_options){
		.loglevel = LOG_INFO,
		.maxcpus = UINT32_MAX,
		.exit = MACHINE_EXIT_ACPI,
		.mitigations = true,
	};
	while (*line) {
		size_t len = 0;

		while (line[len] && !blank(line[len]))
			len++;
		if (len)
			take_word(&p, line, len);
		line += len;
		while (blank(*line))
			line++;
	}
	return p.complaints;
}
