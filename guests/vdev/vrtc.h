/*
 * The MC146818 real-time clock with 128 bytes of CMOS memory (ports 0x70 and 0x71). Drives
 * LINE_RTC. Pure.
 */
#ifndef GUESTS_VDEV_VRTC_H
#define GUESTS_VDEV_VRTC_H

#include "guests/vdev/vdev.h"
#include "lib/reason.h"

struct vrtc {
	const struct vdev_host *host;

	uint8_t index;     /* port 0x70 as written, with the NMI mask in bit 7 */
	uint8_t cmos[128]; /* the time's registers hold only while the clock stands */
	int64_t base_s;
	uint64_t phase_ns;
	uint64_t seen;
	uint64_t deadline; /* guest ns */
};

extern const struct vdev_type vrtc_type;

/* A new board: empty CMOS, the clock at 1970-01-01. */
void vrtc_init(struct vrtc *v, const struct vdev_host *host);

/* The reset pin: interrupts off. Time and CMOS are kept by the battery. */
void vrtc_reset(struct vrtc *v);

/* Sets the clock, in seconds since 1970-01-01 00:00:00; later than the year 9999 is cut to it. */
void vrtc_set_time(struct vrtc *v, uint64_t epoch_seconds);

/* Tells the guest's memory size in CMOS, as PC firmware does: bytes of RAM below and above 4 GiB.
 */
void vrtc_set_memory(struct vrtc *v, uint64_t low_bytes, uint64_t high_bytes);

/* `port`: 0x70 or 0x71. */
uint8_t vrtc_read(struct vrtc *v, uint16_t port);
void vrtc_write(struct vrtc *v, uint16_t port, uint8_t value);

/* The level of its interrupt line. */
bool vrtc_line(const struct vrtc *v);

void vrtc_expire(struct vrtc *v, uint64_t now);

/* Judges loaded fields; ERR_INVALID with a sentence. */
int vrtc_check(const struct vrtc *v, struct reason *why);

#endif
