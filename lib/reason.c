#include "lib/reason.h"

#include "lib/format.h"

int refuse(struct reason *why, int err, const char *fmt, ...)
{
	if (why) {
		va_list ap;

		va_start(ap, fmt);
		vsnprintf(why->text, sizeof(why->text), fmt, ap);
		va_end(ap);
	}
	return err;
}
