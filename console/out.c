/*
 * Formatted output of the console. Pure.
 */
#include "console/out.h"

#include "lib/format.h"
#include "lib/string.h"

void out_bytes(const struct out *o, const char *text, size_t len)
{
	if (len)
		o->put(o->ctx, text, len);
}

void out_text(const struct out *o, const char *text)
{
	out_bytes(o, text, strlen(text));
}

void out_printf(const struct out *o, const char *fmt, ...)
{
	char buf[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	out_text(o, buf);
}

const char *format_size(uint64_t bytes, char buf[24])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	unsigned u = 0;

	while (bytes && bytes % 1024 == 0 && u < ARRAY_SIZE(units) - 1) {
		bytes /= 1024;
		u++;
	}
	snprintf(buf, 24, "%llu %s", (unsigned long long)bytes, units[u]);
	return buf;
}

const char *format_duration(uint64_t ns, char buf[32])
{
	uint64_t s = ns / NS_PER_S, days = s / 86400;
	char front[16] = "";

	if (days)
		snprintf(front, sizeof(front), "%llu d ", (unsigned long long)days);
	snprintf(buf, 32, "%s%02u:%02u:%02u.%03u", front, (unsigned)(s / 3600 % 24),
		 (unsigned)(s / 60 % 60), (unsigned)(s % 60),
		 (unsigned)(ns % NS_PER_S / NS_PER_MS));
	return buf;
}
