/*
 * The way of a panic report to the administrator: from any core and any context, without locks,
 * allocation or trust in the console's state.
 */
#include "console/console.h"
#include "drivers/uart.h"
#include "lib/log.h"
#include "lib/string.h"

#define LINES_BEFORE 100 /* log lines that were not printed yet and still are */

static void write_line_ends(const char *text)
{
	const char *end;

	while ((end = strchr(text, '\n'))) {
		uart_emergency_write(text, (size_t)(end - text));
		uart_emergency_write("\r\n", 2);
		text = end + 1;
	}
	uart_emergency_write(text, strlen(text));
}

/* The log says what led here. */
static void write_log(void)
{
	char text[LOG_LINE_MAX + 32];
	enum log_read_result got;
	struct log_line line;

	for (unsigned i = 0; i < LINES_BEFORE; i++) {
		got = log_read(&console_log.cursor, &line);
		if (got == LOG_READ_END)
			break;
		if (got == LOG_READ_BUSY)
			log_skip(&console_log.cursor);
		if (got != LOG_READ_LINE || line.level > console_log.level)
			continue;
		log_format(&line, text, sizeof(text));
		write_line_ends(text);
		write_line_ends("\n");
	}
}

void console_emergency(const char *text)
{
	static bool begun; /* atomic */

	if (!__atomic_exchange_n(&begun, true, __ATOMIC_ACQ_REL)) {
		uart_emergency_begin();
		write_line_ends("\n");
		write_log();
	}
	write_line_ends(text);
	uart_emergency_end();
}
