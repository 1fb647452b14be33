/*
 * What a guest finds in its firmware configuration device. Pure.
 */
#ifndef GUESTS_GUEST_FWCFG_H
#define GUESTS_GUEST_FWCFG_H

#include "guests/config.h"
#include "guests/guest_acpi_loader.h"
#include "guests/guest_smbios.h"
#include "guests/load.h"
#include "guests/vdev/vfwcfg.h"

/* What it is made of. What is pointed to has to stay as long as the guest runs, but for `acpi`. */
struct fwcfg_input {
	struct smbios_info info;
	bool firmware;       /* the rest of this is for guests that start with one */
	const uint8_t *acpi; /* BOARD_TABLES_SIZE bytes of guest_acpi_build() */
	bool with_kernel;
	const struct load_blob *kernel; /* with_kernel */
	const struct load_blob *initrd; /* NULL: none */
	const char *cmdline;
	const char (*file_name)[VFWCFG_NAME_MAX]; /* of the administrator's files */
	const struct load_blob *file;
	unsigned n_files;
};

/* The items, and the bytes of those that are made here. */
struct guest_fwcfg {
	struct vfwcfg_items items;
	uint32_t used, room; /* of `bytes` */
	uint8_t bytes[];
};

/* Bytes that struct guest_fwcfg needs at most for `in`. */
size_t guest_fwcfg_size(const struct fwcfg_input *in);

/* Fills `f`, of that size and zeroed. ERR_INVALID (a file has a name that is taken, or the kernel
 * is no bzImage), ERR_RANGE or ERR_NO_MEMORY (too much of something). */
int guest_fwcfg_build(struct guest_fwcfg *f, const struct fwcfg_input *in,
		      struct reason *why) __must_check;

#endif
