/*
 * snprintf over klibc's vsnprintf (compiled from its own source with the headers in lib/klibc/).
 * Only in the hypervisor: unit tests have the C library's. Pure.
 */
#include "lib/format.h"

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
