/* The paravirtual clock; see pvclock.h. Pure. */
#include "guests/pvclock.h"

#include "lib/string.h"

#define PVCLOCK_TSC_STABLE 1u /* flags: readings of different vCPUs agree */

struct time_info {
	uint32_t version; /* odd while it is being written */
	uint32_t pad;
	uint64_t tsc;
	uint64_t system_ns;
	uint32_t mul;
	int8_t shift;
	uint8_t flags;
	uint8_t pad2[2];
};
_Static_assert(sizeof(struct time_info) == PVCLOCK_TIME_SIZE, "the guest's layout");

struct wall_clock {
	uint32_t version;
	uint32_t sec;
	uint32_t ns;
};
_Static_assert(sizeof(struct wall_clock) == PVCLOCK_WALL_SIZE, "the guest's layout");

struct pvclock_scale pvclock_scale(uint64_t hz)
{
	struct pvclock_scale s = {.shift = 0};
	uint64_t num = NS_PER_S;

	/* num / hz becomes a fraction of at least 1/2 and less than 1: all 32 bits of `mul` count
	 */
	while (num >= hz) {
		hz <<= 1;
		s.shift++;
	}
	while (num < hz - num) {
		num <<= 1;
		s.shift--;
	}
	for (unsigned i = 0; i < 32; i++) { /* long division, one bit of the quotient a time */
		num <<= 1;
		s.mul <<= 1;
		if (num >= hz) {
			num -= hz;
			s.mul |= 1;
		}
	}
	return s;
}

/* Checks that all of a structure is RAM, and makes its version, of what the guest finds there now,
 * odd and larger. */
static int begin(struct gmem *mem, uint64_t gpa, uint64_t size, uint32_t *version)
{
	uint8_t old[PVCLOCK_TIME_SIZE];
	int err = gmem_read(mem, gpa, old, size);

	if (err)
		return err;
	memcpy(version, old, sizeof(*version));
	*version = (*version | 1) + (*version & 1 ? 2 : 0);
	return gmem_write(mem, gpa, version, sizeof(*version));
}

static int publish(struct gmem *mem, uint64_t gpa, uint32_t version)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
	version++;
	return gmem_write(mem, gpa, &version, sizeof(version));
}

int pvclock_write_time(struct gmem *mem, uint64_t gpa, uint64_t tsc, uint64_t ns,
		       struct pvclock_scale scale)
{
	struct time_info t = {
		.tsc = tsc,
		.system_ns = ns,
		.mul = scale.mul,
		.shift = scale.shift,
		.flags = PVCLOCK_TSC_STABLE,
	};
	int err = begin(mem, gpa, sizeof(t), &t.version);

	if (!err)
		err = gmem_write(mem, gpa + 4, (const uint8_t *)&t + 4, sizeof(t) - 4);
	return err ? err : publish(mem, gpa, t.version);
}

int pvclock_write_wall(struct gmem *mem, uint64_t gpa, uint32_t sec, uint32_t ns)
{
	struct wall_clock w = {.sec = sec, .ns = ns};
	int err = begin(mem, gpa, sizeof(w), &w.version);

	if (!err)
		err = gmem_write(mem, gpa + 4, &w.sec, sizeof(w) - 4);
	return err ? err : publish(mem, gpa, w.version);
}
