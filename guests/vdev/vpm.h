/*
 * The fixed ACPI hardware: PM1a event and control blocks and the power-management timer (ports
 * 0x600-0x60b). Drives LINE_SCI as a level. Pure.
 */
#ifndef GUESTS_VDEV_VPM_H
#define GUESTS_VDEV_VPM_H

#include "guests/vdev/vdev.h"
#include "lib/reason.h"

#define VPM_TIMER_HZ 3579545u

struct vpm {
	const struct vdev_host *host;

	uint16_t pm1_status;
	uint16_t pm1_enable;
	uint16_t pm1_control;
	uint8_t sci;
	uint64_t carries;
	uint64_t deadline; /* guest ns */
};

extern const struct vdev_type vpm_type;

void vpm_init(struct vpm *v, const struct vdev_host *host);
void vpm_reset(struct vpm *v);

/* `port`: 0x600-0x60b; `size`: 1, 2 or 4 bytes, any alignment. The timer is read in one piece. */
uint32_t vpm_read(struct vpm *v, uint16_t port, unsigned size);
void vpm_write(struct vpm *v, uint16_t port, unsigned size, uint32_t value);

void vpm_expire(struct vpm *v, uint64_t now);

/* The power button was pressed: asks the guest's system to shut down. */
void vpm_power_button(struct vpm *v);

/* Judges loaded fields; ERR_INVALID with a sentence. */
int vpm_check(const struct vpm *v, struct reason *why);

#endif
