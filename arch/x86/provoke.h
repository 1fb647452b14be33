/*
 * Faults on purpose, one of each kind that a report tells apart: test builds only.
 */
#ifndef ARCH_X86_PROVOKE_H
#define ARCH_X86_PROVOKE_H

#include "lib/types.h"

/* The i-th kind's name; NULL: there are no more. */
const char *provoke_kind(unsigned i);

/* Has the fault of that kind here and now. Comes back only if the kind is unknown. */
void provoke(const char *kind);

#endif
