/*
 * The 8254 interval timer and system control port B, from Intel's 8254 data sheet ("Programming the
 * 8254", "Mode Definitions") and the ICH data sheets' "NMI_SC - NMI Status and Control Register".
 *
 * Nothing here counts: a channel remembers the tick at which its count was loaded, and count and
 * output are computed from guest time when somebody looks. Only channel 0 has a deadline.
 *
 * A new count in modes 2 and 3 takes effect at the end of the present period. (The chip switches
 * mode 3 at the end of a half period already; nobody can rely on it.)
 *
 * Pure.
 */
#include "guests/vdev/vpit.h"

#include "guests/board.h"
#include "guests/vdev/ticks.h"

/* Ticks of channel 0 closer together than this are merged, so that no count makes the host's timer
 * fire without a pause. */
#define MIN_TICK_NS (100 * NS_PER_US)

/* Memory refresh once in 15.085 us: port 0x61 bit 4 changes each time. */
#define REFRESH_NS 15085u

#define PORT61_GATE2   0x01
#define PORT61_WRITE   0x0F /* gate, speaker, parity and channel check enables */
#define PORT61_REFRESH 0x10
#define PORT61_OUT2    0x20

#define ACCESS_LSB  1
#define ACCESS_MSB  2
#define ACCESS_BOTH 3

#define NO_RELOAD UINT64_MAX
#define TICK_MAX  BIT(53) /* 239 years: larger loaded values are refused */

static const struct vdev_field fields[] = {
	VDEV_ARRAY(struct vpit, mode, 0, "counting mode, 0 to 5"),
	VDEV_ARRAY(struct vpit, bcd, 0, "1: counts in decimal"),
	VDEV_ARRAY(struct vpit, access, ACCESS_BOTH, "bytes of an access: 1 low, 2 high, 3 both"),
	VDEV_ARRAY(struct vpit, state, VPIT_NO_COUNT, "what the counting element does"),
	VDEV_ARRAY(struct vpit, count, 0, "count register, as written"),
	VDEV_ARRAY(struct vpit, loaded, 0, "count that the counting element started from"),
	VDEV_ARRAY(struct vpit, null_count, 1, "1: count register not yet loaded"),
	VDEV_ARRAY(struct vpit, start, 0, "tick at which `loaded` was loaded"),
	VDEV_ARRAY(struct vpit, held, 0, "ticks since the load when the gate fell"),
	VDEV_ARRAY(struct vpit, reload_at, NO_RELOAD,
		   "tick at which a new period's count is loaded"),
	VDEV_ARRAY(struct vpit, write_msb, 0, "1: the next byte written is the high one"),
	VDEV_ARRAY(struct vpit, write_lsb, 0, "low byte that waits for its high byte"),
	VDEV_ARRAY(struct vpit, read_msb, 0, "1: the next byte read is the high one"),
	VDEV_ARRAY(struct vpit, latched, 0, "1: reads answer from `latch`"),
	VDEV_ARRAY(struct vpit, latch, 0, "latched count"),
	VDEV_ARRAY(struct vpit, status_latched, 0, "1: the next read answers `status`"),
	VDEV_ARRAY(struct vpit, status, 0, "latched status byte"),
	VDEV_FIELD(struct vpit, port61, 0, "port 0x61, bits 0 to 3"),
	VDEV_FIELD(struct vpit, out0, 0, "level that channel 0 drives"),
	VDEV_FIELD(struct vpit, deadline, TIME_NEVER, "next tick of channel 0, guest ns"),
};

const struct vdev_type vpit_type = {
	.name = "pit",
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.version = 1,
};

static uint64_t tick_now(const struct vpit *v)
{
	return ticks_at(v->host->now(v->host->ctx), VPIT_HZ);
}

static bool periodic(const struct vpit *v, unsigned c)
{
	return v->mode[c] == 2 || v->mode[c] == 3;
}

/* The gates of channels 0 and 1 are tied high. */
static bool gate(const struct vpit *v, unsigned c)
{
	return c != 2 || (v->port61 & PORT61_GATE2);
}

static uint32_t modulus(const struct vpit *v, unsigned c)
{
	return v->bcd[c] ? 10000 : 65536;
}

/* The number that a count register stands for: 0 is the largest. */
static uint32_t initial(const struct vpit *v, unsigned c)
{
	uint32_t n = v->loaded[c];

	if (n && v->bcd[c])
		n = (n & 15) + (n >> 4 & 15) * 10 + (n >> 8 & 15) * 100 + (n >> 12) * 1000;
	return n ? n : modulus(v, c);
}

static uint64_t elapsed(const struct vpit *v, unsigned c, uint64_t tick)
{
	if (v->state[c] == VPIT_HELD)
		return v->held[c];
	return tick > v->start[c] ? tick - v->start[c] : 0;
}

/* OUT of channel `c` at `tick`. */
static bool output(const struct vpit *v, unsigned c, uint64_t tick)
{
	uint32_t n = initial(v, c);
	uint64_t e = elapsed(v, c, tick);
	bool counting = v->state[c] == VPIT_COUNTING && tick >= v->start[c];

	switch (v->mode[c]) {
	case 0:
		return v->state[c] != VPIT_NO_COUNT && e >= n;
	case 1:
		return !counting || e >= n;
	case 2: /* one clock low at the end of each period; a count of 1 is not allowed */
		return !counting || n == 1 || e % n != n - 1;
	case 3:
		return !counting || e % n < (n + 1) / 2;
	default: /* 4 and 5: one clock low at the end */
		return !counting || e != n;
	}
}

/* What reading the counting element gives. */
static uint16_t counter(const struct vpit *v, unsigned c, uint64_t tick)
{
	uint32_t n = initial(v, c);
	uint64_t e = elapsed(v, c, tick);
	uint32_t m = modulus(v, c);
	uint32_t value, half;

	if (v->state[c] == VPIT_NO_COUNT || v->state[c] == VPIT_ARMED)
		e = 0;
	switch (v->mode[c]) {
	case 2:
		value = n - (uint32_t)(e % n);
		break;
	case 3: /* counts by two, twice in a period; an odd count starts from the even one below */
		value = (uint32_t)(e % n);
		half = (n + 1) / 2;
		if (value >= half)
			value -= half;
		value = (n & ~1u) - 2 * value;
		break;
	default:
		value = n % m + m - (uint32_t)(e % m);
		break;
	}
	value %= m;
	if (v->bcd[c])
		value = value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 |
			value / 1000 << 12;
	return (uint16_t)value;
}

/* Takes a new period's count over if its time has come. */
static void sync(struct vpit *v, unsigned c, uint64_t tick)
{
	if (tick < v->reload_at[c])
		return;
	v->start[c] = v->reload_at[c];
	v->loaded[c] = v->count[c];
	v->null_count[c] = 0;
	v->reload_at[c] = NO_RELOAD;
}

/* The tick of the first rising edge of channel 0's output after `tick`, or UINT64_MAX. */
static uint64_t next_edge(const struct vpit *v, uint64_t tick)
{
	uint32_t n = initial(v, 0);
	uint64_t edge;

	if (v->state[0] != VPIT_COUNTING)
		return UINT64_MAX;
	switch (v->mode[0]) {
	case 0:
		edge = v->start[0] + n;
		break;
	case 2:
	case 3:
		return v->start[0] + (elapsed(v, 0, tick) / n + 1) * n;
	case 4:
		edge = v->start[0] + n + 1;
		break;
	default: /* needs an edge of a gate that never moves */
		return UINT64_MAX;
	}
	return edge > tick ? edge : UINT64_MAX;
}

static void set_deadline(struct vpit *v, uint64_t tick)
{
	uint64_t edge = next_edge(v, tick);

	v->deadline = edge == UINT64_MAX ? TIME_NEVER : ticks_to_ns(edge, VPIT_HZ);
}

static void drive(struct vpit *v, bool level)
{
	if (v->out0 == level)
		return;
	v->out0 = level;
	v->host->line(v->host->ctx, LINE_PIT, level);
}

/* Loads the counting element at the next clock pulse. */
static void load(struct vpit *v, unsigned c, uint64_t tick)
{
	v->loaded[c] = v->count[c];
	v->start[c] = tick + 1;
	v->held[c] = 0;
	v->reload_at[c] = NO_RELOAD;
	v->null_count[c] = 0;
	v->state[c] = gate(v, c) || v->mode[c] == 1 || v->mode[c] == 5 ? VPIT_COUNTING : VPIT_HELD;
}

static void write_control(struct vpit *v, unsigned c, uint8_t value, uint64_t tick)
{
	uint8_t mode = value >> 1 & 7;

	v->access[c] = value >> 4 & 3;
	v->mode[c] = mode > 5 ? mode & 3 : mode;
	v->bcd[c] = value & 1;
	v->state[c] = VPIT_NO_COUNT;
	v->reload_at[c] = NO_RELOAD;
	v->null_count[c] = 1;
	v->write_msb[c] = 0;
	v->read_msb[c] = 0;
	v->latched[c] = 0;
	v->status_latched[c] = 0;
	if (c == 0) {
		drive(v, v->mode[0] != 0);
		set_deadline(v, tick);
	}
}

/* The count register is complete. */
static void write_count(struct vpit *v, unsigned c, uint16_t count, uint64_t tick)
{
	v->count[c] = count;
	v->null_count[c] = 1;
	switch (v->mode[c]) {
	case 1:
	case 5:
		if (v->state[c] == VPIT_NO_COUNT)
			v->state[c] = VPIT_ARMED;
		return;
	case 2:
	case 3:
		if (v->state[c] == VPIT_HELD)
			return; /* the rising gate loads it */
		if (v->state[c] == VPIT_COUNTING) {
			uint32_t n = initial(v, c);

			v->reload_at[c] = v->start[c] + (elapsed(v, c, tick) / n + 1) * n;
			return;
		}
		break;
	default:
		break;
	}
	load(v, c, tick);
	if (c == 0) {
		if (v->mode[0] == 0)
			drive(v, false);
		set_deadline(v, tick);
	}
}

static void write_data(struct vpit *v, unsigned c, uint8_t value, uint64_t tick)
{
	switch (v->access[c]) {
	case ACCESS_LSB:
		write_count(v, c, value, tick);
		return;
	case ACCESS_MSB:
		write_count(v, c, (uint16_t)(value << 8), tick);
		return;
	default:
		break;
	}
	if (v->write_msb[c]) {
		v->write_msb[c] = 0;
		write_count(v, c, (uint16_t)(value << 8 | v->write_lsb[c]), tick);
		return;
	}
	v->write_lsb[c] = value;
	v->write_msb[c] = 1;
	if (v->mode[c] == 0) { /* the first byte stops the count and lowers the output */
		v->state[c] = VPIT_NO_COUNT;
		if (c == 0) {
			drive(v, false);
			v->deadline = TIME_NEVER;
		}
	}
}

static void latch_count(struct vpit *v, unsigned c, uint64_t tick)
{
	if (v->latched[c])
		return; /* the first latch holds until it is read */
	v->latch[c] = counter(v, c, tick);
	v->latched[c] = 1;
}

static void latch_status(struct vpit *v, unsigned c, uint64_t tick)
{
	bool null_count = v->null_count[c] || (v->state[c] == VPIT_COUNTING && tick < v->start[c]);

	if (v->status_latched[c])
		return;
	v->status[c] = (uint8_t)(output(v, c, tick) << 7 | null_count << 6 | v->access[c] << 4 |
				 v->mode[c] << 1 | v->bcd[c]);
	v->status_latched[c] = 1;
}

static uint8_t read_data(struct vpit *v, unsigned c, uint64_t tick)
{
	uint16_t value = v->latched[c] ? v->latch[c] : counter(v, c, tick);

	if (v->status_latched[c]) {
		v->status_latched[c] = 0;
		return v->status[c];
	}
	switch (v->access[c]) {
	case ACCESS_LSB:
		v->latched[c] = 0;
		return (uint8_t)value;
	case ACCESS_MSB:
		v->latched[c] = 0;
		return (uint8_t)(value >> 8);
	default:
		break;
	}
	v->read_msb[c] ^= 1;
	if (v->read_msb[c])
		return (uint8_t)value;
	v->latched[c] = 0;
	return (uint8_t)(value >> 8);
}

/* The control word register: a control word, a counter latch or a read-back command. */
static void write_command(struct vpit *v, uint8_t value, uint64_t tick)
{
	unsigned c = value >> 6;

	if (c < VPIT_CHANNELS) {
		if (value & 0x30)
			write_control(v, c, value, tick);
		else
			latch_count(v, c, tick);
		return;
	}
	for (c = 0; c < VPIT_CHANNELS; c++) {
		if (!(value & 2 << c))
			continue;
		if (!(value & 0x20))
			latch_count(v, c, tick);
		if (!(value & 0x10))
			latch_status(v, c, tick);
	}
}

static void write_port61(struct vpit *v, uint8_t value, uint64_t tick)
{
	bool was = gate(v, 2);
	bool is = value & PORT61_GATE2;
	bool triggered = v->mode[2] == 1 || v->mode[2] == 5;

	v->port61 = value & PORT61_WRITE;
	if (was == is || v->state[2] == VPIT_NO_COUNT)
		return;
	if (!is) {
		if (triggered || v->state[2] != VPIT_COUNTING)
			return;
		v->held[2] = elapsed(v, 2, tick);
		v->state[2] = VPIT_HELD;
		v->reload_at[2] = NO_RELOAD;
	} else if (triggered || periodic(v, 2)) {
		load(v, 2, tick);
	} else if (v->state[2] == VPIT_HELD) {
		v->start[2] = tick > v->held[2] ? tick - v->held[2] : 0;
		v->state[2] = VPIT_COUNTING;
	}
}

static uint8_t read_port61(const struct vpit *v, uint64_t tick)
{
	uint64_t now = v->host->now(v->host->ctx);
	uint8_t value = v->port61;

	if (now / REFRESH_NS & 1)
		value |= PORT61_REFRESH;
	if (output(v, 2, tick))
		value |= PORT61_OUT2;
	return value;
}

uint8_t vpit_read(struct vpit *v, uint16_t port)
{
	uint64_t now = v->host->now(v->host->ctx);
	uint64_t tick = ticks_at(now, VPIT_HZ);
	unsigned c = port & 3;

	vpit_expire(v, now); /* who sees the output high finds the interrupt requested */
	if (port == BOARD_SPEAKER_PORT) {
		sync(v, 2, tick);
		return read_port61(v, tick);
	}
	if (c >= VPIT_CHANNELS)
		return 0xFF; /* the control word register is write-only */
	sync(v, c, tick);
	return read_data(v, c, tick);
}

void vpit_write(struct vpit *v, uint16_t port, uint8_t value)
{
	uint64_t now = v->host->now(v->host->ctx);
	uint64_t tick = ticks_at(now, VPIT_HZ);

	vpit_expire(v, now); /* a tick that is due comes before what the write changes */
	for (unsigned c = 0; c < VPIT_CHANNELS; c++)
		sync(v, c, tick);
	if (port == BOARD_SPEAKER_PORT)
		write_port61(v, value, tick);
	else if ((port & 3) < VPIT_CHANNELS)
		write_data(v, port & 3, value, tick);
	else
		write_command(v, value, tick);
}

/*
 * However many periods have passed, one edge is delivered: the 8259 and the I/O APIC remember one
 * edge, so a guest that did not take its interrupts in time sees the same on hardware, and a guest
 * that was not running for a while is not flooded. The next tick falls on the period's own grid.
 */
void vpit_expire(struct vpit *v, uint64_t now)
{
	uint64_t tick = ticks_at(now, VPIT_HZ);
	uint64_t edge;

	if (now < v->deadline)
		return;
	sync(v, 0, tick);
	drive(v, false);
	drive(v, true);
	edge = next_edge(v, tick);
	if (periodic(v, 0) && edge < ticks_at(now + MIN_TICK_NS, VPIT_HZ))
		tick = ticks_at(now + MIN_TICK_NS, VPIT_HZ);
	set_deadline(v, tick);
}

void vpit_init(struct vpit *v, const struct vdev_host *host)
{
	uint64_t tick;

	*v = (struct vpit){.host = host};
	tick = tick_now(v);
	vdev_reset(&vpit_type, v);
	v->mode[0] = 3;
	v->out0 = 1;
	load(v, 0, tick);
	set_deadline(v, tick);
}

void vpit_reset(struct vpit *v)
{
	const struct vdev_host *host = v->host;

	vpit_init(v, host);
	host->line(host->ctx, LINE_PIT, v->out0);
}

int vpit_check(const struct vpit *v, struct reason *why)
{
	for (unsigned c = 0; c < VPIT_CHANNELS; c++) {
		bool triggered = v->mode[c] == 1 || v->mode[c] == 5;

		if (v->mode[c] > 5 || v->bcd[c] > 1 || v->access[c] < 1 || v->access[c] > 3)
			return refuse(why, ERR_INVALID,
				      "The 8254's channel %u has no valid counting mode.", c);
		if (v->state[c] > VPIT_HELD || (v->state[c] == VPIT_ARMED && !triggered) ||
		    (v->state[c] == VPIT_HELD && (triggered || c != 2)))
			return refuse(why, ERR_INVALID,
				      "The 8254's channel %u is in no possible state.", c);
		if (v->null_count[c] > 1 || v->write_msb[c] > 1 || v->read_msb[c] > 1 ||
		    v->latched[c] > 1 || v->status_latched[c] > 1)
			return refuse(why, ERR_INVALID,
				      "A flag of the 8254's channel %u is neither 0 nor 1.", c);
		if (v->start[c] > TICK_MAX || v->held[c] > TICK_MAX ||
		    (v->reload_at[c] != NO_RELOAD &&
		     (v->reload_at[c] > TICK_MAX || v->state[c] != VPIT_COUNTING)))
			return refuse(why, ERR_INVALID,
				      "The 8254's channel %u has a start out of range.", c);
	}
	if (v->port61 & ~PORT61_WRITE || v->out0 > 1)
		return refuse(why, ERR_INVALID, "Port 0x61 or the 8254's output is out of range.");
	return 0;
}
