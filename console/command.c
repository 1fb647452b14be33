/*
 * The command framework. Pure.
 */
#include "console/command.h"

#include "lib/log.h"
#include "lib/string.h"

#define MAX_LINE_WORDS 16

int command_split(char *line, const char *word[], unsigned max, struct reason *why)
{
	char *in = line, *put = line;
	unsigned n = 0;

	for (;;) {
		char quote = '\0';

		while (*in == ' ' || *in == '\t')
			in++;
		if (!*in)
			return (int)n;
		if (n == max)
			return refuse(why, ERR_INVALID, "a line has at most %u words", max);
		word[n++] = put;
		while (*in && (quote || (*in != ' ' && *in != '\t'))) {
			if (*in == quote) {
				quote = '\0';
				in++;
			} else if (!quote && (*in == '\'' || *in == '"')) {
				quote = *in++;
			} else {
				if (*in == '\\' && quote != '\'' && in[1])
					in++;
				*put++ = *in++;
			}
		}
		if (quote)
			return refuse(why, ERR_INVALID, "a %c is missing at the end", quote);
		if (*in)
			in++; /* before the zero below overwrites it */
		*put++ = '\0';
	}
}

const struct command *command_find(const struct command_set *set, const char *name)
{
	for (unsigned i = 0; i < set->n; i++)
		if (!strcmp(set->commands[i].name, name))
			return &set->commands[i];
	return NULL;
}

static const struct {
	const char *name;
	enum command_option option;
	bool value;
} options[] = {
	{"--json", OPTION_JSON, false},     {"--gentle", OPTION_GENTLE, false},
	{"--level", OPTION_LEVEL, true},    {"-n", OPTION_LINES, true},
	{"--live", OPTION_LIVE, false},     {"--kind", OPTION_KIND, true},
	{"--vcpu", OPTION_VCPU, true},      {"--previous", OPTION_PREVIOUS, false},
	{"--guests", OPTION_GUESTS, false},
};

static bool parse_number(const char *s, uint32_t *out)
{
	uint32_t v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > 100000000)
			return false;
		v = v * 10 + (uint32_t)(*s - '0');
	}
	*out = v;
	return true;
}

static int set_option(struct args *a, enum command_option option, const char *value,
		      struct reason *why)
{
	switch (option) {
	case OPTION_JSON:
		a->json = true;
		break;
	case OPTION_GENTLE:
		a->gentle = true;
		break;
	case OPTION_PREVIOUS:
		a->previous = true;
		break;
	case OPTION_GUESTS:
		a->guests = true;
		break;
	case OPTION_LEVEL:
		a->level = log_level_parse(value);
		if (a->level < 0)
			return refuse(why, ERR_INVALID,
				      "no level '%.32s': say error, warn, info or debug", value);
		break;
	case OPTION_LINES:
		if (!parse_number(value, &a->lines) || !a->lines)
			return refuse(why, ERR_INVALID, "-n wants a number of lines, not '%.32s'",
				      value);
		break;
	case OPTION_LIVE:
		a->live = true;
		break;
	case OPTION_KIND:
		a->kinds = value;
		break;
	case OPTION_VCPU:
		if (!parse_number(value, &a->vcpu))
			return refuse(why, ERR_INVALID, "--vcpu wants a vCPU's number, not '%.32s'",
				      value);
		break;
	}
	return 0;
}

static int take_option(const struct command *c, const char *const word[], unsigned n, unsigned *i,
		       struct args *a, struct reason *why)
{
	const char *w = word[*i];

	for (unsigned k = 0; k < ARRAY_SIZE(options); k++) {
		size_t len = strlen(options[k].name);
		const char *value = NULL;

		if (!(c->options & options[k].option) || strncmp(w, options[k].name, len))
			continue;
		if (options[k].value && w[len] == '=')
			value = w + len + 1;
		else if (w[len])
			continue;
		else if (options[k].value && *i + 1 < n)
			value = word[++*i];
		if (options[k].value && !value)
			return refuse(why, ERR_INVALID, "%s wants a value: usage: %s %s", w,
				      c->name, c->usage);
		return set_option(a, options[k].option, value, why);
	}
	return refuse(why, ERR_INVALID, "%s has no option '%.32s': usage: %s%s%s", c->name, w,
		      c->name, *c->usage ? " " : "", c->usage);
}

static int parse_args(const struct command *c, const char *const word[], unsigned n, struct args *a,
		      struct reason *why)
{
	*a = (struct args){.level = -1};
	for (unsigned i = 0; i < n; i++) {
		int err = 0;

		if (word[i][0] == '-' && word[i][1])
			err = take_option(c, word, n, &i, a, why);
		else if (a->n == c->max_words)
			err = refuse(why, ERR_INVALID, "%s does not take '%.32s': usage: %s%s%s",
				     c->name, word[i], c->name, *c->usage ? " " : "", c->usage);
		else
			a->word[a->n++] = word[i];
		if (err)
			return err;
	}
	if (a->n < c->min_words)
		return refuse(why, ERR_INVALID, "%s wants a %s: usage: %s %s", c->name,
			      c->argument == ARGUMENT_GUEST ? "guest" : "word", c->name, c->usage);
	return 0;
}

static void say_commands(const struct command_set *set, const char *name, const struct out *o)
{
	out_printf(o, "error: no command '%.32s': commands are ", name);
	for (unsigned i = 0; i < set->n; i++)
		out_printf(o, "%s%s", i ? ", " : "", set->commands[i].name);
	out_text(o, "\n");
}

void command_run(const struct command_set *set, char *line, const struct out *o)
{
	const char *word[MAX_LINE_WORDS];
	const struct command *c;
	struct reason why;
	struct args a;
	int n = command_split(line, word, MAX_LINE_WORDS, &why);

	if (n < 0)
		goto refused;
	if (n == 0)
		return;
	c = command_find(set, word[0]);
	if (!c) {
		say_commands(set, word[0], o);
		return;
	}
	if (parse_args(c, word + 1, (unsigned)n - 1, &a, &why))
		goto refused;
	c->run(o, &a);
	return;
refused:
	out_printf(o, "error: %s\n", why.text);
}

/* ---- completion ---- */

static void offer(const char *word, const char *typed, lineedit_candidate *take, void *take_ctx)
{
	if (!strncmp(word, typed, strlen(typed)))
		take(take_ctx, word);
}

static void offer_commands(const struct command_set *set, const char *typed,
			   lineedit_candidate *take, void *take_ctx)
{
	for (unsigned i = 0; i < set->n; i++)
		offer(set->commands[i].name, typed, take, take_ctx);
}

/* Where the list of kinds begins whose end is being typed, at `word`; or NULL. */
static const char *list_of_kinds(const struct command *c, const char *line, const char *word)
{
	static const char option[] = " --kind";
	size_t len = sizeof(option) - 1;
	const char *end = word; /* of the word before */

	if (!(c->options & OPTION_KIND))
		return NULL;
	if (!strncmp(word, option + 1, len - 1) && word[len - 1] == '=')
		return word + len;
	while (end > line && end[-1] == ' ')
		end--;
	return (size_t)(end - line) > len && !strncmp(end - len, option, len) ? word : NULL;
}

/* Only the last one of the list. Returns where it begins. */
static size_t offer_kinds(const struct command_set *set, const char *line, const char *list,
			  lineedit_candidate *take, void *take_ctx)
{
	const char *comma = strrchr(list, ','), *last = comma ? comma + 1 : list, *name;

	for (unsigned i = 0; (name = set->kind_name(i)); i++)
		offer(name, last, take, take_ctx);
	return (size_t)(last - line);
}

size_t command_complete(void *ctx, const char *line, lineedit_candidate *take, void *take_ctx)
{
	const struct command_set *set = ctx;
	size_t start = strlen(line), begin = 0, end;
	const struct command *c;
	const char *kinds;
	char first[32];

	while (start && line[start - 1] != ' ')
		start--;
	while (line[begin] == ' ')
		begin++;
	if (start <= begin) {
		offer_commands(set, line + start, take, take_ctx);
		return start;
	}
	end = begin + (size_t)(strchr(line + begin, ' ') - (line + begin));
	if (end - begin >= sizeof(first))
		return start;
	memcpy(first, line + begin, end - begin);
	first[end - begin] = '\0';
	c = command_find(set, first);
	if (!c)
		return start;
	kinds = list_of_kinds(c, line, line + start);
	if (kinds)
		return offer_kinds(set, line, kinds, take, take_ctx);
	if (line[start] == '-') {
		for (unsigned i = 0; i < ARRAY_SIZE(options); i++)
			if (c->options & options[i].option)
				offer(options[i].name, line + start, take, take_ctx);
	} else if (c->argument == ARGUMENT_COMMAND) {
		offer_commands(set, line + start, take, take_ctx);
	} else if (c->argument == ARGUMENT_GUEST) {
		const char *name;

		for (unsigned i = 0; (name = set->guest_name(i)); i++)
			offer(name, line + start, take, take_ctx);
	}
	return start;
}
