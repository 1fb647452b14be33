/*
 * The fixed ACPI hardware, from the ACPI specification's "PM1 Event Grouping", "PM1 Control
 * Grouping" and "Power Management Timer".
 *
 * The machine is in ACPI mode always (SCI_EN reads 1 and cannot be cleared), as the specification
 * asks of hardware whose FADT has no SMI command port; so there is no port 0xb2.
 *
 * Pure.
 */
#include "guests/vdev/vpm.h"

#include "guests/board.h"
#include "guests/vdev/ticks.h"

/* Offsets from BOARD_PM1_EVT_PORT. */
#define OFF_STATUS  0
#define OFF_ENABLE  2
#define OFF_CONTROL (BOARD_PM1_CNT_PORT - BOARD_PM1_EVT_PORT)
#define OFF_TIMER   (BOARD_PM_TMR_PORT - BOARD_PM1_EVT_PORT)

/* Status bits, with enables at the same positions. */
#define PM1_TMR    BIT32(0)
#define PM1_GBL    BIT32(5)
#define PM1_PWRBTN BIT32(8)
#define PM1_RTC    BIT32(10)
#define PM1_STATUS (PM1_TMR | PM1_PWRBTN) /* what this hardware can set */
/* The clock chip's event can be enabled, as its driver wants, and never happens: it is for waking a
 * sleeping machine. */
#define PM1_ENABLE (PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_RTC)

#define CNT_SCI_EN     BIT32(0)
#define CNT_BM_RLD     BIT32(1)
#define CNT_SLP_TYP(c) ((c) >> 10 & 7)
#define CNT_SLP_EN     BIT32(13) /* reads 0 */
#define CNT_WRITE      (CNT_BM_RLD | 7u << 10)

/* The timer's carry: a change of its top bit. */
#define CARRY_SHIFT 31
#define CARRIES_MAX BIT(24) /* 319 years: larger loaded values are refused */

static const struct vdev_field fields[] = {
	VDEV_FIELD(struct vpm, pm1_status, 0, "PM1 status register"),
	VDEV_FIELD(struct vpm, pm1_enable, 0, "PM1 enable register"),
	VDEV_FIELD(struct vpm, pm1_control, CNT_SCI_EN, "PM1 control register"),
	VDEV_FIELD(struct vpm, sci, 0, "level of the interrupt line"),
	VDEV_FIELD(struct vpm, carries, 0, "timer carries that reached the status register"),
	VDEV_FIELD(struct vpm, deadline, TIME_NEVER, "next carry that interrupts, guest ns"),
};

const struct vdev_type vpm_type = {
	.name = "pm",
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.version = 1,
};

static uint64_t time_now(const struct vpm *v)
{
	return v->host->now(v->host->ctx);
}

/* Recomputes the interrupt line and the next carry that would raise it. */
static void update(struct vpm *v)
{
	bool sci = v->pm1_status & v->pm1_enable;

	if (sci != v->sci) {
		v->sci = sci;
		v->host->line(v->host->ctx, LINE_SCI, sci);
	}
	v->deadline = TIME_NEVER;
	if ((v->pm1_enable & PM1_TMR) && !(v->pm1_status & PM1_TMR))
		v->deadline = ticks_to_ns((v->carries + 1) << CARRY_SHIFT, VPM_TIMER_HZ);
}

static void sync(struct vpm *v, uint64_t now)
{
	uint64_t carries = ticks_at(now, VPM_TIMER_HZ) >> CARRY_SHIFT;

	if (carries <= v->carries)
		return;
	v->carries = carries;
	v->pm1_status |= PM1_TMR;
}

uint32_t vpm_read(struct vpm *v, uint16_t port, unsigned size)
{
	uint64_t now = time_now(v);
	uint32_t timer = (uint32_t)ticks_at(now, VPM_TIMER_HZ);
	unsigned offset = port - BOARD_PM1_EVT_PORT;
	uint32_t value = 0;

	/* What nearly all accesses are. */
	if (offset == OFF_TIMER && size == 4)
		return timer;

	sync(v, now);
	update(v);
	const uint32_t block[BOARD_PM_PORTS / 4] = {
		(uint32_t)v->pm1_enable << 16 | v->pm1_status,
		0xFFFF0000 | v->pm1_control,
		timer,
	};

	for (unsigned i = 0; i < size; i++, offset++) {
		uint32_t byte = 0xFF;

		if (offset < BOARD_PM_PORTS)
			byte = block[offset / 4] >> offset % 4 * 8 & 0xFF;
		value |= byte << i * 8;
	}
	return value;
}

/* Replaces those bits of *reg that both `mask` (of the register) and the byte at `shift` cover. */
static void write_byte(uint16_t *reg, uint8_t byte, unsigned shift, uint32_t mask)
{
	mask &= 0xFFu << shift;
	*reg = (uint16_t)((*reg & ~mask) | ((uint32_t)byte << shift & mask));
}

static void write_control(struct vpm *v, uint8_t byte, unsigned shift)
{
	write_byte(&v->pm1_control, byte, shift, CNT_WRITE);
	if (!((uint32_t)byte << shift & CNT_SLP_EN))
		return;
	/* The DSDT offers working and soft-off only; other sleeping states do nothing. */
	if (CNT_SLP_TYP(v->pm1_control) == BOARD_SLP_TYP_S5)
		v->host->power(v->host->ctx, VDEV_POWER_OFF, 0);
}

void vpm_write(struct vpm *v, uint16_t port, unsigned size, uint32_t value)
{
	unsigned offset = port - BOARD_PM1_EVT_PORT;

	sync(v, time_now(v));
	for (unsigned i = 0; i < size; i++, offset++) {
		uint8_t byte = (uint8_t)(value >> i * 8);

		if (offset < OFF_ENABLE) /* ones clear */
			v->pm1_status &= (uint16_t) ~(byte << (offset - OFF_STATUS) * 8);
		else if (offset < OFF_CONTROL)
			write_byte(&v->pm1_enable, byte, (offset - OFF_ENABLE) * 8, PM1_ENABLE);
		else if (offset < OFF_CONTROL + 2)
			write_control(v, byte, (offset - OFF_CONTROL) * 8);
	}
	update(v);
}

void vpm_expire(struct vpm *v, uint64_t now)
{
	sync(v, now);
	update(v);
}

void vpm_power_button(struct vpm *v)
{
	v->pm1_status |= PM1_PWRBTN;
	vpm_expire(v, time_now(v));
}

void vpm_init(struct vpm *v, const struct vdev_host *host)
{
	*v = (struct vpm){.host = host};
	vdev_reset(&vpm_type, v);
	v->carries = ticks_at(time_now(v), VPM_TIMER_HZ) >> CARRY_SHIFT;
}

void vpm_reset(struct vpm *v)
{
	vpm_init(v, v->host);
	v->host->line(v->host->ctx, LINE_SCI, false);
}

int vpm_check(const struct vpm *v, struct reason *why)
{
	if (v->pm1_status & ~PM1_STATUS || v->pm1_enable & ~PM1_ENABLE ||
	    v->pm1_control & ~(CNT_WRITE | CNT_SCI_EN) || !(v->pm1_control & CNT_SCI_EN))
		return refuse(why, ERR_INVALID, "An ACPI PM1 register has bits that do not exist.");
	if (v->sci != !!(v->pm1_status & v->pm1_enable))
		return refuse(why, ERR_INVALID,
			      "The ACPI interrupt line does not follow from the PM1 registers.");
	if (v->carries > CARRIES_MAX)
		return refuse(why, ERR_INVALID, "The ACPI timer is out of range.");
	return 0;
}
