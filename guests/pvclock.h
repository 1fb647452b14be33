/*
 * The paravirtual clock that Linux knows from KVM: two structures in guest memory by which the
 * guest turns its TSC into time without an exit. Source: Linux, Documentation/virt/kvm/x86/msr.rst.
 * Pure.
 */
#ifndef GUESTS_PVCLOCK_H
#define GUESTS_PVCLOCK_H

#include "lib/types.h"
#include "mm/gmem.h"

#define MSR_KVM_WALL_CLOCK     0x4b564d00u
#define MSR_KVM_SYSTEM_TIME    0x4b564d01u
#define MSR_KVM_SYSTEM_TIME_ON BIT(0)

#define PVCLOCK_TIME_SIZE 32u
#define PVCLOCK_WALL_SIZE 12u

/* The factors of ns = ((ticks << shift, or >> -shift) * mul) >> 32 for a TSC of `hz` (1 to 2^62).
 * `mul` is rounded down: the time runs slow by less than one part in 2^31. */
struct pvclock_scale {
	uint32_t mul;
	int8_t shift;
};
struct pvclock_scale pvclock_scale(uint64_t hz);

/* Fills the time structure at `gpa`: at guest TSC `tsc` the system time was `ns`. ERR_RANGE if it
 * is not RAM. */
int pvclock_write_time(struct gmem *mem, uint64_t gpa, uint64_t tsc, uint64_t ns,
		       struct pvclock_scale scale);

/* Fills the wall-clock structure at `gpa`: the time, in seconds and ns since 1970, at system time
 * 0. */
int pvclock_write_wall(struct gmem *mem, uint64_t gpa, uint32_t sec, uint32_t ns);

#endif
