/*
 * How soon a guest that restarts by itself may do so: at once as long as that is rare; one that
 * hardly runs before it restarts again has to wait, longer each time. Pure.
 */
#ifndef GUESTS_RESTART_H
#define GUESTS_RESTART_H

#include "lib/types.h"

#define RESTART_SETTLED (180 * NS_PER_S) /* a run that long ends a row of quick restarts */
#define RESTART_FREE    3u               /* quick restarts in a row without a delay */
#define RESTART_MAX     (60 * NS_PER_S)  /* the longest delay; the first is 1 s, and it doubles */

struct restart_policy {
	uint64_t started; /* when it began to run, in ns */
	uint32_t quick;   /* quick restarts in a row */
};

/* The administrator started it: a new row begins. */
void restart_fresh(struct restart_policy *p, uint64_t now);

/* It wants to restart. Returns how long it has to wait, in ns. */
uint64_t restart_delay(struct restart_policy *p, uint64_t now);

/* It begins to run again. */
void restart_begins(struct restart_policy *p, uint64_t now);

#endif
