/*
 * Ports 0x92 and 0xcf9, from the ICH data sheets ("PORT92 - Fast A20 and Init Register" and
 * "RST_CNT - Reset Control Register"). Every kind of reset is a reset of the whole guest. Pure.
 */
#include "guests/vdev/vreset.h"

#include "guests/board.h"

#define PORT92_RESET 0x01
#define PORT92_A20   0x02 /* always on */

#define CONTROL_RESET 0x04 /* its rise resets */
#define CONTROL_KEPT  0x0E /* full reset, reset, system reset */

static const struct vdev_field fields[] = {
	VDEV_FIELD(struct vreset, control, 0, "reset control register"),
};

const struct vdev_type vreset_type = {
	.name = "reset",
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.version = 1,
};

uint8_t vreset_read(const struct vreset *v, uint16_t port)
{
	return port == BOARD_RESET_PORT ? v->control : PORT92_A20;
}

void vreset_write(struct vreset *v, uint16_t port, uint8_t value)
{
	bool reset;

	if (port == BOARD_RESET_PORT) {
		reset = (value & CONTROL_RESET) && !(v->control & CONTROL_RESET);
		v->control = value & CONTROL_KEPT;
	} else {
		reset = value & PORT92_RESET;
	}
	if (reset)
		v->host->power(v->host->ctx, VDEV_POWER_RESET, 0);
}

void vreset_init(struct vreset *v, const struct vdev_host *host)
{
	v->host = host;
	vdev_reset(&vreset_type, v);
}

void vreset_reset(struct vreset *v)
{
	vdev_reset(&vreset_type, v);
}

int vreset_check(const struct vreset *v, struct reason *why)
{
	if (v->control & ~CONTROL_KEPT)
		return refuse(why, ERR_INVALID,
			      "The reset control register has bits that do not exist.");
	return 0;
}
