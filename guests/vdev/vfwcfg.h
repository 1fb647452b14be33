/*
 * The firmware configuration device (ports 0x510 to 0x51b): numbered items of bytes that a guest
 * reads, and a directory of those that have names. Pure.
 *
 * The items are made elsewhere (guests/guest_fwcfg.c) and are the same for the guest's whole life.
 */
#ifndef GUESTS_VDEV_VFWCFG_H
#define GUESTS_VDEV_VFWCFG_H

#include "guests/vdev/vdev.h"
#include "lib/reason.h"

#define VFWCFG_MAX_KEYS  24
#define VFWCFG_MAX_FILES 20
#define VFWCFG_NAME_MAX  56 /* with the ending zero */
#define VFWCFG_DIR_SIZE  (4 + 64 * VFWCFG_MAX_FILES)

/* Keys of items. */
enum vfwcfg_key {
	VFWCFG_SIGNATURE = 0x00,
	VFWCFG_ID = 0x01,
	VFWCFG_UUID = 0x02,
	VFWCFG_RAM_SIZE = 0x03,
	VFWCFG_NO_GRAPHIC = 0x04,
	VFWCFG_CPUS = 0x05,
	VFWCFG_KERNEL_ADDR = 0x07,
	VFWCFG_KERNEL_SIZE = 0x08,
	VFWCFG_INITRD_ADDR = 0x0a,
	VFWCFG_INITRD_SIZE = 0x0b,
	VFWCFG_BOOT_MENU = 0x0e,
	VFWCFG_MAX_CPUS = 0x0f,
	VFWCFG_KERNEL_DATA = 0x11,
	VFWCFG_INITRD_DATA = 0x12,
	VFWCFG_CMDLINE_ADDR = 0x13,
	VFWCFG_CMDLINE_SIZE = 0x14,
	VFWCFG_CMDLINE_DATA = 0x15,
	VFWCFG_SETUP_ADDR = 0x16,
	VFWCFG_SETUP_SIZE = 0x17,
	VFWCFG_SETUP_DATA = 0x18,
	VFWCFG_DIRECTORY = 0x19,
	VFWCFG_FIRST_FILE = 0x20, /* files have the keys from here on, in the order of names */
	VFWCFG_IRQ0_OVERRIDE = 0x8002,
	VFWCFG_NOTHING = 0xffff,
};

struct vfwcfg_item {
	const void *data;
	uint32_t size;
};

struct vfwcfg_items {
	uint16_t key[VFWCFG_MAX_KEYS];
	struct vfwcfg_item keyed[VFWCFG_MAX_KEYS];
	unsigned n_keys;
	char name[VFWCFG_MAX_FILES][VFWCFG_NAME_MAX]; /* in ascending order */
	struct vfwcfg_item file[VFWCFG_MAX_FILES];
	unsigned n_files;
	uint8_t directory[VFWCFG_DIR_SIZE];
};

/* Adds an item; its bytes must stay. ERR_NO_MEMORY: the table is full; ERR_EXISTS: there already;
 * ERR_RANGE: the name is empty or too long. */
int vfwcfg_add(struct vfwcfg_items *items, uint16_t key, const void *data,
	       uint32_t size) __must_check;
int vfwcfg_add_file(struct vfwcfg_items *items, const char *name, const void *data,
		    uint32_t size) __must_check;

/* Makes the directory, after the last file. */
void vfwcfg_finish(struct vfwcfg_items *items);

struct vfwcfg {
	const struct vdev_host *host;
	const struct vfwcfg_items *items; /* NULL: no such device */

	uint16_t selector;
	uint32_t offset;   /* of the next byte in the item */
	uint32_t dma_high; /* upper half of the descriptor's address */

	/* the transfer by DMA that is under way, if `dma_left` is not 0 */
	uint32_t dma_left;       /* bytes that are still to be moved */
	uint64_t dma_to;         /* where the next one goes */
	uint64_t dma_descriptor; /* where the answer goes */
	uint64_t deadline;       /* guest ns at which it goes on */
};

extern const struct vdev_type vfwcfg_type;

void vfwcfg_init(struct vfwcfg *v, const struct vdev_host *host, const struct vfwcfg_items *items);
void vfwcfg_reset(struct vfwcfg *v);

/* `port`: 0x510 to 0x51b; `size`: 1, 2 or 4. */
uint32_t vfwcfg_read(struct vfwcfg *v, uint16_t port, unsigned size);
void vfwcfg_write(struct vfwcfg *v, uint16_t port, unsigned size, uint32_t value);

/* Goes on with the transfer that is under way, if any. */
void vfwcfg_expire(struct vfwcfg *v, uint64_t now);

#endif
