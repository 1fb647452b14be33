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
	uint64_t scaled = NS_PER_S;

	/* mul = 10^9 * 2^32 / hz must have its highest bit set, for precision, and fit 32 bits */
	while (hz > scaled) {
		hz >>= 1;
		s.shift--;
	}
	while (hz <= scaled / 2) {
		hz <<= 1;
		s.shift++;
	}
	/* now scaled / 2 < hz <= scaled, so the quotient is in [2^32, 2^33): halve it */
	if (hz == scaled || (scaled << 32) / hz > UINT32_MAX) {
		s.mul = (uint32_t)((scaled << 31) / hz);
		s.shift++;
	} else {
		s.mul = (uint32_t)((scaled << 32) / hz);
	}
	return s;
}

/* The version of what the guest finds there now, made odd and larger. */
static int begin(struct gmem *mem, uint64_t gpa, uint32_t *version)
{
	int err = gmem_read(mem, gpa, version, sizeof(*version));

	if (err)
		return err;
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
	int err;

	if (!gmem_ptr(mem, gpa, sizeof(t)))
		return ERR_RANGE;
	err = begin(mem, gpa, &t.version);
	if (!err)
		err = gmem_write(mem, gpa + 4, (const uint8_t *)&t + 4, sizeof(t) - 4);
	return err ? err : publish(mem, gpa, t.version);
}

int pvclock_write_wall(struct gmem *mem, uint64_t gpa, uint32_t sec, uint32_t ns)
{
	struct wall_clock w = {.sec = sec, .ns = ns};
	int err;

	if (!gmem_ptr(mem, gpa, sizeof(w)))
		return ERR_RANGE;
	err = begin(mem, gpa, &w.version);
	if (!err)
		err = gmem_write(mem, gpa + 4, &w.sec, sizeof(w) - 4);
	return err ? err : publish(mem, gpa, w.version);
}
