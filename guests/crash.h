/*
 * What is kept of a guest that crashed, until it is started anew or destroyed.
 */
#ifndef GUESTS_CRASH_H
#define GUESTS_CRASH_H

#include "arch/x86/hv.h"
#include "arch/x86/state.h"
#include "lib/reason.h"
#include "lib/types.h"

/* The last exits, always recorded: crash records and debugging read them. */
#define EXIT_RING_SIZE 128u
struct exit_ring_entry {
	uint64_t rip;
	uint64_t info; /* the first information word of the hardware */
	uint32_t tsc;  /* low half */
	uint32_t kind; /* enum exit_kind */
};

#define CRASH_EXITS 32u

struct crash_record { /* of one vCPU */
	bool there;
	uint64_t time_ns; /* since the machine was started */
	struct reason reason;
	struct vcpu_state state;
	uint32_t n_exits;
	struct exit_ring_entry exits[CRASH_EXITS]; /* the oldest first */
};

typedef void crash_line(void *ctx, const char *text);

/* In words and numbers, line by line. */
void crash_print(const struct crash_record *r, crash_line *line, void *ctx);

#endif
