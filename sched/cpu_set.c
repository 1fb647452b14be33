/* Sets of CPUs as text; see cpu_set.h. Pure. */
#include "sched/cpu_set.h"

#include "lib/format.h"

/* A number at *p, which is moved behind it. False: there is none, or it is no CPU's. */
static bool number(const char **p, uint32_t *out)
{
	const char *from = *p;

	for (*out = 0; **p >= '0' && **p <= '9' && *out < MAX_CPUS; (*p)++)
		*out = *out * 10 + (uint32_t)(**p - '0');
	return *p != from && *out < MAX_CPUS;
}

bool cpu_set_parse(const char *text, struct cpu_set *out)
{
	uint32_t next = 0; /* the lowest number that may follow */

	*out = (struct cpu_set){0};
	for (;; text++) {
		uint32_t first, last;

		if (!number(&text, &first))
			return false;
		last = first;
		if (*text == '-') {
			text++;
			if (!number(&text, &last))
				return false;
		}
		if (first < next || last < first)
			return false;
		for (uint32_t i = first; i <= last; i++)
			out->bits[i / 64] |= BIT(i % 64);
		next = last + 1;
		if (!*text)
			return true;
		if (*text != ',')
			return false;
	}
}

void cpu_set_format(const struct cpu_set *set, char *out, size_t size)
{
	size_t used = 0;

	*out = 0;
	for (uint32_t first = 0; first < MAX_CPUS && used < size; first++) {
		uint32_t last = first;
		const char *comma = used ? "," : "";

		if (!cpu_set_has(set, first))
			continue;
		while (cpu_set_has(set, last + 1))
			last++;
		if (last == first)
			used += (size_t)snprintf(out + used, size - used, "%s%u", comma, first);
		else
			used += (size_t)snprintf(out + used, size - used, "%s%u-%u", comma, first,
						 last);
		first = last;
	}
}
