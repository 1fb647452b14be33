/* The debug-exit port: see vdebugexit.h. Pure. */
#include "guests/vdev/vdebugexit.h"

static uint32_t width_mask(unsigned size)
{
	return size >= 4 ? UINT32_MAX : BIT32(size * 8) - 1;
}

void vdebugexit_init(struct vdebugexit *v, const struct vdev_host *host)
{
	v->host = host;
}

uint32_t vdebugexit_read(const struct vdebugexit *v, unsigned size)
{
	(void)v;
	return width_mask(size);
}

void vdebugexit_write(struct vdebugexit *v, unsigned size, uint32_t value)
{
	v->host->power(v->host->ctx, VDEV_POWER_EXIT, value & width_mask(size));
}
