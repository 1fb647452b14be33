/*
 * The hypervisor's dump on the console: an ELF core file in armour (dump_core.h, dump_armour.h),
 * which tools/skerry-dump turns back into a file. Boot CPU, or the core that reports a panic.
 */
#ifndef CONSOLE_DUMP_H
#define CONSOLE_DUMP_H

#include "arch/x86/traps.h"
#include "console/out.h"
#include "lib/reason.h"

/* Begins a dump of the hypervisor that lives: takes a sample of each core. `guests`: with their
 * memory. ERR_STATE or ERR_NO_MEMORY with a sentence. */
int dump_begin(const struct out *o, bool guests, struct reason *why);

/* Writes the next piece, at most 64 KiB of text; false: that was the last. */
bool dump_step(const struct out *o);

/* After the last piece, or before it: then it says so. */
void dump_end(const struct out *o);

/* After a panic: all of it, by console_emergency. The other cores have stopped. */
void dump_emergency(const struct trap_frame *f);

#endif
