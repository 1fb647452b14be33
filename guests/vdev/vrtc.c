/*
 * The MC146818 real-time clock, from Motorola's MC146818 data sheet ("Register A" to "Register D",
 * "Update Cycle") and the register layout of the PC/AT. Each second that passes and each tick of
 * the periodic interrupt follow from guest time when somebody looks; only interrupts that are
 * enabled have a deadline.
 *
 * The clock runs as base_s + (guest time + phase_ns) / 1 s. It stands while register B's SET bit is
 * on or register A holds the divider in reset; then the registers in CMOS are the time.
 *
 * The day of the week follows from the date; what a guest writes there is ignored once the clock
 * runs.
 *
 * Pure.
 */
#include "guests/vdev/vrtc.h"

#include "guests/board.h"
#include "guests/vdev/ticks.h"
#include "guests/vdev/vrtc_calendar.h"

enum {
	REG_SECOND = 0,
	REG_SECOND_ALARM,
	REG_MINUTE,
	REG_MINUTE_ALARM,
	REG_HOUR,
	REG_HOUR_ALARM,
	REG_WEEK_DAY,
	REG_DAY,
	REG_MONTH,
	REG_YEAR,
	REG_A,
	REG_B,
	REG_C,
	REG_D,
};

#define A_UIP           0x80
#define A_DIVIDER       0x70
#define A_DIVIDER_RUN   0x20
#define A_DIVIDER_RESET 0x60 /* both bits */
#define A_RATE          0x0F
#define B_SET           0x80
#define B_PIE           0x40
#define B_AIE           0x20
#define B_UIE           0x10
#define B_SQWE          0x08
#define B_BINARY        0x04
#define B_24H           0x02
#define C_IRQF          0x80
#define C_PF            0x40 /* the flags have the positions of their enables in B */
#define C_AF            0x20
#define C_UF            0x10
#define C_FLAGS         (C_PF | C_AF | C_UF)
#define D_VALID         0x80 /* the battery is good */

#define HOUR_PM   0x80
#define ALARM_ANY 0xC0 /* both bits: matches always */

#define CRYSTAL_HZ 32768u

/* Update in progress shows from 244 us before an update of 1984 us; the registers change at its
 * end. */
#define UIP_NS (2228 * NS_PER_US)

#define CMOS_BASE_KIB  0x15 /* KiB below 1 MiB */
#define CMOS_EXT_KIB   0x17 /* KiB from 1 MiB, at most 65535; again at 0x30 */
#define CMOS_EXT2_KIB  0x30
#define CMOS_EXT_64K   0x34 /* 64 KiB units from 16 MiB to 4 GiB */
#define CMOS_HIGH_64K  0x5B /* 64 KiB units from 4 GiB, three bytes */
#define CMOS_EQUIPMENT 0x14
#define EQUIPMENT_FPU  0x02

#define TIME_MAX_NS BIT(62)
#define SECONDS_MAX (1ll << 40)

static const struct vdev_field fields[] = {
	VDEV_FIELD(struct vrtc, index, 0, "port 0x70: register number, NMI mask in bit 7"),
	VDEV_ARRAY(struct vrtc, cmos, 0, "registers and memory; the time only while it stands"),
	VDEV_FIELD(struct vrtc, base_s, 0, "seconds since 1970 at guest time -phase_ns"),
	VDEV_FIELD(struct vrtc, phase_ns, 0, "where seconds begin: added to guest time, ns"),
	VDEV_FIELD(struct vrtc, seen, 0, "register C is true up to this time, guest ns"),
	VDEV_FIELD(struct vrtc, deadline, TIME_NEVER, "next interrupt, guest ns"),
};

const struct vdev_type vrtc_type = {
	.name = "rtc",
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.version = 1,
};

static uint64_t time_now(const struct vrtc *v)
{
	return v->host->now(v->host->ctx);
}

static bool divider_stopped(const struct vrtc *v)
{
	return (v->cmos[REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
}

static bool standing(const struct vrtc *v)
{
	return (v->cmos[REG_B] & B_SET) || divider_stopped(v);
}

/* Whole seconds since guest time -phase_ns. */
static uint64_t seconds(const struct vrtc *v, uint64_t now)
{
	return (now + v->phase_ns) / NS_PER_S;
}

static int64_t clock_at(const struct vrtc *v, uint64_t now)
{
	return v->base_s + (int64_t)seconds(v, now);
}

/* Numbers 0 to 99 in the format that register B asks for. */
static uint8_t encode(const struct vrtc *v, uint32_t n)
{
	return (uint8_t)((v->cmos[REG_B] & B_BINARY) ? n : n / 10 << 4 | n % 10);
}

static uint32_t decode(const struct vrtc *v, uint8_t byte)
{
	return (v->cmos[REG_B] & B_BINARY) ? byte : (byte >> 4) * 10u + (byte & 15u);
}

static uint8_t encode_hour(const struct vrtc *v, uint32_t hour)
{
	if (v->cmos[REG_B] & B_24H)
		return encode(v, hour);
	return (uint8_t)(encode(v, (hour + 11) % 12 + 1) | (hour >= 12 ? HOUR_PM : 0));
}

/* 24 or more if the byte is no hour. */
static uint32_t decode_hour(const struct vrtc *v, uint8_t byte)
{
	uint32_t hour;

	if (v->cmos[REG_B] & B_24H)
		return decode(v, byte);
	hour = decode(v, (uint8_t)(byte & ~HOUR_PM));
	if (hour < 1 || hour > 12)
		return 24;
	return hour % 12 + (byte & HOUR_PM ? 12 : 0);
}

static void clock_to_registers(struct vrtc *v, uint64_t now)
{
	struct calendar c = calendar_from_seconds(clock_at(v, now));

	v->cmos[REG_SECOND] = encode(v, c.second);
	v->cmos[REG_MINUTE] = encode(v, c.minute);
	v->cmos[REG_HOUR] = encode_hour(v, c.hour);
	v->cmos[REG_WEEK_DAY] = c.week_day;
	v->cmos[REG_DAY] = encode(v, c.day);
	v->cmos[REG_MONTH] = encode(v, c.month);
	v->cmos[REG_YEAR] = encode(v, c.year % 100);
	v->cmos[BOARD_CMOS_CENTURY] = encode(v, c.year / 100);
}

/* What is no date or time is brought to the nearest that is one. */
static void registers_to_clock(struct vrtc *v, uint64_t now)
{
	uint32_t hour = decode_hour(v, v->cmos[REG_HOUR]);
	uint32_t minute = decode(v, v->cmos[REG_MINUTE]);
	uint32_t second = decode(v, v->cmos[REG_SECOND]);
	uint32_t day = decode(v, v->cmos[REG_DAY]);
	uint32_t month = decode(v, v->cmos[REG_MONTH]);
	uint32_t year = decode(v, v->cmos[REG_YEAR]);
	uint32_t century = decode(v, v->cmos[BOARD_CMOS_CENTURY]);
	struct calendar c = {
		.year = MIN(century, 99u) * 100 + MIN(year, 99u),
		.month = (uint8_t)MIN(MAX(month, 1u), 12u),
		.day = (uint8_t)MIN(MAX(day, 1u), 31u),
		.hour = (uint8_t)MIN(hour, 23u),
		.minute = (uint8_t)MIN(minute, 59u),
		.second = (uint8_t)MIN(second, 59u),
	};

	v->base_s = calendar_to_seconds(&c) - (int64_t)seconds(v, now);
}

/* Whether one alarm register can match any value below `limit` (its decoded value in *want). */
static bool alarm_valid(uint8_t byte, uint32_t value, uint32_t limit, uint32_t *want)
{
	*want = (byte & ALARM_ANY) == ALARM_ANY ? UINT32_MAX : value;
	return *want == UINT32_MAX || *want < limit;
}

/* Seconds from `from` (seconds since 1970) to the next match of the alarm: 1 to 86400; 0: never. */
static uint32_t alarm_distance(const struct vrtc *v, int64_t from)
{
	const uint8_t *r = v->cmos;
	uint32_t day = (uint32_t)((from % SECONDS_PER_DAY + SECONDS_PER_DAY) % SECONDS_PER_DAY);
	uint32_t hour, minute, second;
	uint32_t i = 1;

	if (!alarm_valid(r[REG_HOUR_ALARM], decode_hour(v, r[REG_HOUR_ALARM]), 24, &hour) ||
	    !alarm_valid(r[REG_MINUTE_ALARM], decode(v, r[REG_MINUTE_ALARM]), 60, &minute) ||
	    !alarm_valid(r[REG_SECOND_ALARM], decode(v, r[REG_SECOND_ALARM]), 60, &second))
		return 0;
	/* Steps over hours, then minutes, then seconds: at most some 270 turns. */
	while (i <= SECONDS_PER_DAY) {
		uint32_t t = (day + i) % SECONDS_PER_DAY;

		if (hour != UINT32_MAX && t / 3600 != hour)
			i += 3600 - t % 3600;
		else if (minute != UINT32_MAX && t / 60 % 60 != minute)
			i += 60 - t % 60;
		else if (second != UINT32_MAX && t % 60 != second)
			i++;
		else
			return i;
	}
	return 0;
}

/* log2 of the periodic interrupt's period in crystal ticks; 0: none. */
static unsigned period_shift(const struct vrtc *v)
{
	unsigned rate = v->cmos[REG_A] & A_RATE;

	if (rate == 0 || divider_stopped(v))
		return 0;
	return rate < 3 ? rate + 6 : rate - 1; /* 1 and 2 give 256 and 128 Hz */
}

static uint64_t periods(const struct vrtc *v, uint64_t now)
{
	return ticks_at(now + v->phase_ns, CRYSTAL_HZ) >> period_shift(v);
}

/* Recomputes the interrupt line and when it may rise next. */
static void update(struct vrtc *v, uint64_t now)
{
	uint8_t enabled = v->cmos[REG_B] & C_FLAGS;
	bool irq = v->cmos[REG_C] & enabled;
	uint64_t next = TIME_NEVER;

	if (irq != !!(v->cmos[REG_C] & C_IRQF)) {
		v->cmos[REG_C] ^= C_IRQF;
		v->host->line(v->host->ctx, LINE_RTC, irq);
	}
	v->deadline = TIME_NEVER;
	if (irq) /* no further edge before register C is read */
		return;
	if ((enabled & B_UIE) && !standing(v))
		next = (seconds(v, now) + 1) * NS_PER_S;
	if ((enabled & B_AIE) && !standing(v)) {
		uint32_t distance = alarm_distance(v, clock_at(v, now));

		if (distance)
			next = MIN(next, (seconds(v, now) + distance) * NS_PER_S);
	}
	if ((enabled & B_PIE) && period_shift(v))
		next = MIN(next, ticks_to_ns((periods(v, now) + 1) << period_shift(v), CRYSTAL_HZ));
	if (next != TIME_NEVER)
		v->deadline = next - v->phase_ns;
}

/* Brings register C up to `now`. Passed periods are one flag, as on the chip. */
static void sync(struct vrtc *v, uint64_t now)
{
	if (now <= v->seen)
		return;
	if (!standing(v) && seconds(v, now) != seconds(v, v->seen)) {
		uint32_t distance = alarm_distance(v, clock_at(v, v->seen));

		v->cmos[REG_C] |= C_UF;
		if (distance && distance <= seconds(v, now) - seconds(v, v->seen))
			v->cmos[REG_C] |= C_AF;
	}
	if (period_shift(v) && periods(v, now) != periods(v, v->seen))
		v->cmos[REG_C] |= C_PF;
	v->seen = now;
}

static bool time_register(unsigned reg)
{
	switch (reg) {
	case REG_SECOND:
	case REG_MINUTE:
	case REG_HOUR:
	case REG_WEEK_DAY:
	case REG_DAY:
	case REG_MONTH:
	case REG_YEAR:
	case BOARD_CMOS_CENTURY:
		return true;
	default:
		return false;
	}
}

/* Registers A and B: what they change is when the clock runs and in which format it is shown. */
static void write_control(struct vrtc *v, unsigned reg, uint8_t value, uint64_t now)
{
	bool stood = standing(v);
	bool divider_stood = divider_stopped(v);

	if (!stood)
		clock_to_registers(v, now);
	if (reg == REG_A)
		v->cmos[REG_A] = value & (uint8_t)~A_UIP;
	else /* SET switches the update interrupt off */
		v->cmos[REG_B] = value & B_SET ? value & (uint8_t)~B_UIE : value;

	if (divider_stood && !divider_stopped(v)) /* the first update comes after half a second */
		v->phase_ns = (NS_PER_S * 3 / 2 - now % NS_PER_S) % NS_PER_S;
	if (stood && !standing(v))
		registers_to_clock(v, now);
}

static void write_register(struct vrtc *v, unsigned reg, uint8_t value, uint64_t now)
{
	switch (reg) {
	case REG_A:
	case REG_B:
		write_control(v, reg, value, now);
		return;
	case REG_C:
	case REG_D:
		return; /* read-only */
	default:
		break;
	}
	if (!time_register(reg) || standing(v)) {
		v->cmos[reg] = value;
		return;
	}
	clock_to_registers(v, now);
	v->cmos[reg] = value;
	registers_to_clock(v, now);
}

static uint8_t read_register(struct vrtc *v, unsigned reg, uint64_t now)
{
	uint8_t value;

	if (time_register(reg) && !standing(v))
		clock_to_registers(v, now);
	value = v->cmos[reg];
	if (reg == REG_A && !standing(v) && (now + v->phase_ns) % NS_PER_S >= NS_PER_S - UIP_NS)
		value |= A_UIP;
	if (reg == REG_C) {
		v->cmos[REG_C] &= C_IRQF; /* update() lowers the line */
		update(v, now);
	}
	return value;
}

uint8_t vrtc_read(struct vrtc *v, uint16_t port)
{
	uint64_t now = time_now(v);

	if (port == BOARD_RTC_PORT)
		return 0xFF; /* write-only */
	vrtc_expire(v, now);
	return read_register(v, v->index & 0x7F, now);
}

void vrtc_write(struct vrtc *v, uint16_t port, uint8_t value)
{
	uint64_t now = time_now(v);

	if (port == BOARD_RTC_PORT) {
		v->index = value;
		return;
	}
	sync(v, now);
	write_register(v, v->index & 0x7F, value, now);
	update(v, now);
}

bool vrtc_line(const struct vrtc *v)
{
	return v->cmos[REG_C] & C_IRQF;
}

void vrtc_expire(struct vrtc *v, uint64_t now)
{
	sync(v, now);
	update(v, now);
}

void vrtc_set_time(struct vrtc *v, uint64_t epoch_seconds)
{
	uint64_t now = time_now(v);
	uint64_t last = CALENDAR_LAST;

	sync(v, now);
	v->base_s = (int64_t)MIN(epoch_seconds, last) - (int64_t)seconds(v, now);
	clock_to_registers(v, now); /* for a clock that stands */
	update(v, now);
}

static void put16(struct vrtc *v, unsigned reg, uint64_t value)
{
	value = MIN(value, 0xFFFFull);
	v->cmos[reg] = (uint8_t)value;
	v->cmos[reg + 1] = (uint8_t)(value >> 8);
}

void vrtc_set_memory(struct vrtc *v, uint64_t low_bytes, uint64_t high_bytes)
{
	uint64_t ext = low_bytes > MIB ? (low_bytes - MIB) / KIB : 0;
	uint64_t ext_64k = low_bytes > 16 * MIB ? (low_bytes - 16 * MIB) / (64 * KIB) : 0;
	uint64_t high_64k = MIN(high_bytes / (64 * KIB), 0xFFFFFFull);

	put16(v, CMOS_BASE_KIB, MIN(low_bytes / KIB, 640ull));
	put16(v, CMOS_EXT_KIB, ext);
	put16(v, CMOS_EXT2_KIB, ext);
	put16(v, CMOS_EXT_64K, ext_64k);
	put16(v, CMOS_HIGH_64K, high_64k & 0xFFFF);
	v->cmos[CMOS_HIGH_64K + 2] = (uint8_t)(high_64k >> 16);
}

void vrtc_init(struct vrtc *v, const struct vdev_host *host)
{
	*v = (struct vrtc){.host = host};
	vdev_reset(&vrtc_type, v);
	v->cmos[REG_A] = A_DIVIDER_RUN | 6; /* 1024 Hz */
	v->cmos[REG_B] = B_24H;
	v->cmos[REG_D] = D_VALID;
	v->cmos[CMOS_EQUIPMENT] = EQUIPMENT_FPU;
	v->seen = time_now(v);
}

void vrtc_reset(struct vrtc *v)
{
	uint64_t now = time_now(v);

	sync(v, now);
	v->index = 0;
	v->cmos[REG_B] &= (uint8_t) ~(B_PIE | B_AIE | B_UIE | B_SQWE);
	v->cmos[REG_C] = 0;
	v->host->line(v->host->ctx, LINE_RTC, false);
	update(v, now);
}

int vrtc_check(const struct vrtc *v, struct reason *why)
{
	uint8_t c = v->cmos[REG_C];

	if (c & ~(C_IRQF | C_FLAGS) || !!(c & C_IRQF) != !!(c & v->cmos[REG_B] & C_FLAGS) ||
	    v->cmos[REG_D] != D_VALID || (v->cmos[REG_A] & A_UIP))
		return refuse(why, ERR_INVALID,
			      "The real-time clock's registers A to D contradict each other.");
	if (v->phase_ns >= NS_PER_S || v->seen > TIME_MAX_NS || v->base_s > SECONDS_MAX ||
	    v->base_s < -SECONDS_MAX)
		return refuse(why, ERR_INVALID, "The real-time clock's time is out of range.");
	return 0;
}
