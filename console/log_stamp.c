/*
 * When and where a log line was written. Privileged: asks the clock and the per-CPU area, in any
 * context.
 */
#include "arch/x86/cpu.h"
#include "console/console.h"
#include "lib/log.h"

static void stamp(struct log_stamp *out)
{
	out->time_ns = uptime_ns();
	out->cpu = this_cpu()->index;
}

void console_stamp_log(void)
{
	log_set_stamp(stamp);
}
