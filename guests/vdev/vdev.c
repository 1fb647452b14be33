/*
 * What all device models share: reset, save and load of a device's state by its field list. A
 * machine of little-endian order is taken for granted, as everywhere in Skerry, so an element's
 * bytes in memory are its bytes in an image. Pure.
 */
#include "guests/vdev/vdev.h"
#include "lib/string.h"

void vdev_reset(const struct vdev_type *type, void *state)
{
	for (unsigned i = 0; i < type->n_fields; i++) {
		const struct vdev_field *f = &type->fields[i];
		uint8_t *at = (uint8_t *)state + f->offset;

		for (unsigned n = 0; n < f->count; n++, at += f->size)
			memcpy(at, &f->reset, f->size);
	}
}

size_t vdev_saved_size(const struct vdev_type *type)
{
	size_t size = 0;

	for (unsigned i = 0; i < type->n_fields; i++)
		size += (size_t)type->fields[i].size * type->fields[i].count;
	return size;
}

void vdev_save(const struct vdev_type *type, const void *state, uint8_t *buf)
{
	for (unsigned i = 0; i < type->n_fields; i++) {
		const struct vdev_field *f = &type->fields[i];
		size_t n = (size_t)f->size * f->count;

		memcpy(buf, (const uint8_t *)state + f->offset, n);
		buf += n;
	}
}

int vdev_load(const struct vdev_type *type, void *state, const uint8_t *buf, size_t size)
{
	if (size != vdev_saved_size(type))
		return ERR_INVALID;
	for (unsigned i = 0; i < type->n_fields; i++) {
		const struct vdev_field *f = &type->fields[i];
		size_t n = (size_t)f->size * f->count;

		memcpy((uint8_t *)state + f->offset, buf, n);
		buf += n;
	}
	return 0;
}
