/*
 * The firmware configuration device, from QEMU's documentation, "QEMU Firmware Configuration
 * (fw_cfg) Device" (register locations, DMA interface, items), which firmware and kernels for
 * virtual machines know. Nothing can be written: a write by DMA is answered with the error bit.
 *
 * A transfer by DMA is done at once if it is small, else in parts of DMA_PART bytes, so that no
 * exit takes long; as the documentation has it, the guest looks at the control word until it is
 * done. The whole of it is bounded by the item's size and ZEROS_MAX, the zeros that are put behind
 * an item's end: a longer transfer is an error. A new one, or another selection, ends the one that
 * is under way without an answer.
 *
 * Pure.
 */
#include "guests/vdev/vfwcfg.h"

#include "guests/board.h"
#include "lib/le.h"

#define SELECTOR_PORT BOARD_FW_CFG_PORT
#define DATA_PORT     (BOARD_FW_CFG_PORT + 1)
#define DMA_PORT      (BOARD_FW_CFG_PORT + 4)

#define DMA_SIGNATURE "QEMU CFG"

/* The descriptor, all of it big-endian: control, length, address. */
#define DESC_CONTROL 0
#define DESC_LENGTH  4
#define DESC_ADDRESS 8
#define DESC_SIZE    16

#define CONTROL_ERROR     BIT32(0)
#define CONTROL_READ      BIT32(1)
#define CONTROL_SKIP      BIT32(2)
#define CONTROL_SELECT    BIT32(3)
#define CONTROL_WRITE     BIT32(4)
#define CONTROL_KEY_SHIFT 16

#define ZEROS_MAX (64 * KIB)
#define DMA_PART  (1 * MIB)

#define ENTRY_SIZE 64 /* of the directory: size, key, two bytes nothing, name */
#define ENTRY_NAME 8

static const struct vdev_field fields[] = {
	VDEV_FIELD(struct vfwcfg, selector, VFWCFG_NOTHING, "key of the item that is read"),
	VDEV_FIELD(struct vfwcfg, offset, 0, "its next byte"),
	VDEV_FIELD(struct vfwcfg, dma_high, 0, "upper half of the DMA descriptor's address"),
	VDEV_FIELD(struct vfwcfg, dma_left, 0, "bytes that DMA still moves; 0: none is under way"),
	VDEV_FIELD(struct vfwcfg, dma_to, 0, "where the next of them goes"),
	VDEV_FIELD(struct vfwcfg, dma_descriptor, 0, "descriptor of that transfer"),
	VDEV_FIELD(struct vfwcfg, deadline, TIME_NEVER, "when it goes on, guest ns"),
};

const struct vdev_type vfwcfg_type = {
	.name = "fw_cfg",
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.version = 1,
};

/* ---- the items ---- */

static void put_be32(uint8_t *p, uint32_t v)
{
	put_le32(p, __builtin_bswap32(v));
}

int vfwcfg_add(struct vfwcfg_items *items, uint16_t key, const void *data, uint32_t size)
{
	for (unsigned i = 0; i < items->n_keys; i++) {
		if (items->key[i] == key)
			return ERR_EXISTS;
	}
	if (items->n_keys == VFWCFG_MAX_KEYS)
		return ERR_NO_MEMORY;
	items->key[items->n_keys] = key;
	items->keyed[items->n_keys++] = (struct vfwcfg_item){data, size};
	return 0;
}

int vfwcfg_add_file(struct vfwcfg_items *items, const char *name, const void *data, uint32_t size)
{
	size_t length = strlen(name);
	unsigned at = 0;

	if (!length || length >= VFWCFG_NAME_MAX)
		return ERR_RANGE;
	while (at < items->n_files && strcmp(items->name[at], name) < 0)
		at++;
	if (at < items->n_files && !strcmp(items->name[at], name))
		return ERR_EXISTS;
	if (items->n_files == VFWCFG_MAX_FILES)
		return ERR_NO_MEMORY;
	for (unsigned i = items->n_files++; i > at; i--) {
		memcpy(items->name[i], items->name[i - 1], VFWCFG_NAME_MAX);
		items->file[i] = items->file[i - 1];
	}
	memset(items->name[at], 0, VFWCFG_NAME_MAX);
	memcpy(items->name[at], name, length);
	items->file[at] = (struct vfwcfg_item){data, size};
	return 0;
}

void vfwcfg_finish(struct vfwcfg_items *items)
{
	memset(items->directory, 0, sizeof(items->directory));
	put_be32(items->directory, items->n_files);
	for (unsigned i = 0; i < items->n_files; i++) {
		uint8_t *entry = items->directory + 4 + ENTRY_SIZE * i;

		put_be32(entry, items->file[i].size);
		put_be32(entry + 4, (VFWCFG_FIRST_FILE + i) << 16);
		memcpy(entry + ENTRY_NAME, items->name[i], VFWCFG_NAME_MAX);
	}
}

/* An item that is not there is empty. */
static struct vfwcfg_item find(const struct vfwcfg_items *items, uint16_t key)
{
	if (key == VFWCFG_DIRECTORY)
		return (struct vfwcfg_item){items->directory, 4 + ENTRY_SIZE * items->n_files};
	if (key >= VFWCFG_FIRST_FILE && key - VFWCFG_FIRST_FILE < (int)items->n_files)
		return items->file[key - VFWCFG_FIRST_FILE];
	for (unsigned i = 0; i < items->n_keys; i++) {
		if (items->key[i] == key)
			return items->keyed[i];
	}
	return (struct vfwcfg_item){NULL, 0};
}

/* ---- reading ---- */

static void end_transfer(struct vfwcfg *v)
{
	v->dma_left = 0;
	v->deadline = TIME_NEVER;
}

static void select_item(struct vfwcfg *v, uint16_t key)
{
	v->selector = key;
	v->offset = 0;
	end_transfer(v);
}

/* Bytes from the offset on that the item still has. */
static uint32_t left(const struct vfwcfg *v, const struct vfwcfg_item *item)
{
	return v->offset < item->size ? item->size - v->offset : 0;
}

static uint8_t next_byte(struct vfwcfg *v)
{
	struct vfwcfg_item item = find(v->items, v->selector);

	return left(v, &item) ? ((const uint8_t *)item.data)[v->offset++] : 0;
}

/* Puts the answer into the control word. Where no RAM is there is no place for an answer. */
static void answer(struct vfwcfg *v, uint64_t gpa, bool good)
{
	uint8_t control[4];

	put_be32(control, good ? 0 : CONTROL_ERROR);
	(void)v->host->write_memory(v->host->ctx, gpa + DESC_CONTROL, control, sizeof(control));
}

/* Moves at most `most` bytes of the transfer, of the item or of the zeros behind it. */
static int move(struct vfwcfg *v, uint32_t most)
{
	static const uint8_t zeros[512];
	struct vfwcfg_item item = find(v->items, v->selector);
	uint32_t n = left(v, &item);
	const void *from = n ? (const uint8_t *)item.data + v->offset : zeros;
	uint32_t part = MIN(MIN(most, v->dma_left), n ? n : (uint32_t)sizeof(zeros));
	int err = v->host->write_memory(v->host->ctx, v->dma_to, from, part);

	if (err)
		return err;
	if (n)
		v->offset += part;
	v->dma_to += part;
	v->dma_left -= part;
	return 0;
}

/* One part of the transfer; its last one is answered. */
static void move_part(struct vfwcfg *v, uint64_t now)
{
	uint32_t end = v->dma_left - MIN(v->dma_left, (uint32_t)DMA_PART);
	int err = 0;

	while (!err && v->dma_left > end)
		err = move(v, v->dma_left - end);
	if (!err && v->dma_left) {
		v->deadline = now;
		return;
	}
	end_transfer(v);
	answer(v, v->dma_descriptor, !err);
}

void vfwcfg_expire(struct vfwcfg *v, uint64_t now)
{
	if (v->dma_left && now >= v->deadline)
		move_part(v, now);
}

/* What the descriptor asks for but reading. */
static bool obey(struct vfwcfg *v, uint32_t control, uint32_t length)
{
	struct vfwcfg_item item = find(v->items, v->selector);

	if (control & CONTROL_WRITE)
		return !length;
	if (control & CONTROL_SKIP)
		v->offset += MIN(length, left(v, &item));
	return true;
}

static void run_dma(struct vfwcfg *v, uint64_t gpa)
{
	uint32_t control, length;
	struct vfwcfg_item item;
	uint8_t desc[DESC_SIZE];
	uint64_t to;

	if (v->host->read_memory(v->host->ctx, gpa, desc, sizeof(desc)))
		return;
	control = __builtin_bswap32(le32(desc + DESC_CONTROL));
	length = __builtin_bswap32(le32(desc + DESC_LENGTH));
	to = __builtin_bswap64(le64(desc + DESC_ADDRESS));
	end_transfer(v);
	if (control & CONTROL_SELECT)
		select_item(v, (uint16_t)(control >> CONTROL_KEY_SHIFT));
	if (!(control & CONTROL_READ)) {
		answer(v, gpa, obey(v, control, length));
		return;
	}
	item = find(v->items, v->selector);
	if (to + length < to || length - MIN(length, left(v, &item)) > ZEROS_MAX) {
		answer(v, gpa, false);
		return;
	}
	v->dma_left = length;
	v->dma_to = to;
	v->dma_descriptor = gpa;
	move_part(v, v->host->now(v->host->ctx));
}

/* ---- ports ---- */

uint32_t vfwcfg_read(struct vfwcfg *v, uint16_t port, unsigned size)
{
	uint32_t value = 0;

	if (port == DATA_PORT && size == 1)
		return next_byte(v);
	if (port < DMA_PORT || port + size > DMA_PORT + 8u)
		return size >= 4 ? UINT32_MAX : BIT32(size * 8) - 1;
	memcpy(&value, &DMA_SIGNATURE[port - DMA_PORT], size);
	return value;
}

void vfwcfg_write(struct vfwcfg *v, uint16_t port, unsigned size, uint32_t value)
{
	uint32_t high = v->dma_high;

	if (port == SELECTOR_PORT && size == 2) {
		select_item(v, (uint16_t)value);
	} else if (port == DMA_PORT && size == 4) {
		v->dma_high = __builtin_bswap32(value);
	} else if (port == DMA_PORT + 4 && size == 4) {
		v->dma_high = 0;
		run_dma(v, (uint64_t)high << 32 | __builtin_bswap32(value));
	}
}

void vfwcfg_init(struct vfwcfg *v, const struct vdev_host *host, const struct vfwcfg_items *items)
{
	v->host = host;
	v->items = items;
	vfwcfg_reset(v);
}

void vfwcfg_reset(struct vfwcfg *v)
{
	vdev_reset(&vfwcfg_type, v);
}
