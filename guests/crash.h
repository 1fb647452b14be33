/*
 * What is kept of a guest that crashed, until it crashes again or is destroyed.
 */
#ifndef GUESTS_CRASH_H
#define GUESTS_CRASH_H

#include "arch/x86/state.h"
#include "guests/exit_ring.h"
#include "lib/reason.h"
#include "lib/types.h"

#define CRASH_EXITS 32u

struct vm;

struct crash_record { /* of one vCPU */
	bool there;
	uint64_t time_ns; /* since the machine was started */
	struct reason reason;
	struct vcpu_state state;
	uint32_t n_exits;
	struct exit_record exits[CRASH_EXITS]; /* the oldest first */
};

typedef void crash_line(void *ctx, const char *text);

/* In words and numbers, line by line; with the guest's symbols, if there are any. */
void crash_print(struct vm *vm, const struct crash_record *r, crash_line *line, void *ctx);

#endif
