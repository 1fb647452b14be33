/*
 * The last exits of a vCPU, always recorded: `trace` and crash records read them. Pure.
 *
 * What an exit needs to be told in words is put down in neutral form, so that it reads the same
 * whichever back end made it. One writer, the core that runs the vCPU; any number of readers, on
 * any core, which neither stop nor slow it: a reader copies entries, looks again how far the writer
 * has come, and drops what may have been overwritten meanwhile.
 */
#ifndef GUESTS_EXIT_RING_H
#define GUESTS_EXIT_RING_H

#include "arch/x86/hv.h"
#include "lib/types.h"

#define EXIT_RING_SIZE 256u

/* Flags of struct exit_record, by kind. */
#define EXIT_MSR_WRITE       BIT32(0)
#define EXIT_MEMORY_DELIVERY BIT32(7) /* beside enum memory_access */
#define EXIT_CONTROL_WRITE   BIT32(0)
#define EXIT_EXCEPTION_ERROR BIT32(0)
#define EXIT_REFUSED_GP      BIT32(0) /* else #UD */

/*
 * One exit. By kind:
 *
 *   kind              number      flags                 value
 *   cpuid             leaf                              subleaf (low half)
 *   msr               index       EXIT_MSR_WRITE        what is written
 *   io                `io`                              RAX: what is written
 *   memory                        enum memory_access,   guest-physical address
 *                                 EXIT_MEMORY_DELIVERY
 *   control-register  register    EXIT_CONTROL_WRITE
 *   xsetbv            index                             what is written
 *   hypercall                                           RAX: its number
 *   exception         vector      EXIT_EXCEPTION_ERROR  error code
 *   task-switch       selector    enum task_switch_source
 *   refused                       EXIT_REFUSED_GP
 *   entry-failed, unknown                               the hardware's own code
 *
 * What a kind does not have is not set. 32 bytes, so that an index becomes an address by a shift.
 */
struct exit_record {
	uint64_t rip;
	uint32_t tsc_low, tsc_high; /* of the core that ran it */
	uint64_t value;
	union {
		uint32_t number;
		struct io_access io;
	};
	uint8_t kind; /* enum exit_kind */
	uint8_t flags;
	uint16_t spare;
};

struct exit_ring {
	uint64_t next; /* number of the exit that will be recorded next; the first is 0 */
	struct exit_record record[EXIT_RING_SIZE];
};

/* Begins a record. Who calls sets what its kind has, and then calls exit_ring_commit. */
static __force_inline struct exit_record *exit_ring_begin(struct exit_ring *r, enum exit_kind kind,
							  uint64_t rip)
{
	struct exit_record *e = &r->record[r->next % EXIT_RING_SIZE];

	e->rip = rip;
	e->kind = (uint8_t)kind;
	return e;
}

/* x86 keeps stores in order: who sees the new number sees the record. */
static __force_inline void exit_ring_commit(struct exit_ring *r)
{
	__atomic_signal_fence(__ATOMIC_RELEASE);
	r->next++;
}

/* The exit that is being handled: only for the core that runs the vCPU. */
static inline const struct exit_record *exit_ring_last(const struct exit_ring *r)
{
	return &r->record[(r->next - 1) % EXIT_RING_SIZE];
}

/*
 * Copies records that are kept, oldest first: those from number *from on, at most `n`. *lost is how
 * many from there on were overwritten already. *from becomes the number behind the last one that
 * was copied. Returns how many were; the number of the first is *from less that.
 */
unsigned exit_ring_read(const struct exit_ring *r, uint64_t *from, struct exit_record *out,
			unsigned n, uint64_t *lost);

static inline uint64_t exit_record_tsc(const struct exit_record *e)
{
	return (uint64_t)e->tsc_high << 32 | e->tsc_low;
}

#endif
