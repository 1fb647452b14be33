/*
 * The SMBIOS tables of a guest, from the DMTF's System Management BIOS Reference Specification
 * (DSP0134) 2.8: "Structure Standards", "BIOS Information (Type 0)" and the following types, and
 * "SMBIOS 2.1 (32-bit) Entry Point". Pure.
 */
#include "guests/guest_smbios.h"

#include "guests/board.h"
#include "lib/format.h"
#include "lib/le.h"

#define VENDOR "Skerry"

#define HEADER_SIZE 4
#define NO_HANDLE   0xFFFE /* of error information: none is given */

/* Handles: the type and a number. */
#define HANDLE(type, n) ((uint16_t)((type) << 8 | (n)))

enum {
	TYPE_BIOS = 0,
	TYPE_SYSTEM = 1,
	TYPE_BOARD = 2,
	TYPE_CHASSIS = 3,
	TYPE_PROCESSOR = 4,
	TYPE_MEMORY_ARRAY = 16,
	TYPE_MEMORY_DEVICE = 17,
	TYPE_MEMORY_MAP = 19,
	TYPE_BOOT = 32,
	TYPE_END = 127,
};

#define DEVICE_MAX (16 * GIB) /* of one memory device */

/* A structure that is being made at the tables' end: formatted part, then strings. */
struct structure {
	struct smbios_tables *t;
	uint8_t *p;
	uint32_t start;
	uint8_t n_strings;
	bool full;
};

/* Begins a structure whose formatted part has `length` bytes, all zero. */
static void begin(struct structure *s, struct smbios_tables *t, uint8_t type, uint8_t length,
		  uint16_t handle)
{
	*s = (struct structure){.t = t, .p = t->data + t->size, .start = t->size};
	s->full = t->room - t->size < length;
	if (s->full)
		return;
	memset(s->p, 0, length);
	s->p[0] = type;
	s->p[1] = length;
	put_le16(s->p + 2, handle);
	t->size += length;
}

static void put_byte(struct structure *s, char c)
{
	if (s->t->size == s->t->room)
		s->full = true;
	else
		s->t->data[s->t->size++] = (uint8_t)c;
}

/* Appends a string and puts its number into the field at `offset`. */
static void string(struct structure *s, unsigned offset, const char *text)
{
	if (s->full)
		return;
	s->p[offset] = ++s->n_strings;
	for (; *text; text++)
		put_byte(s, *text);
	put_byte(s, 0);
}

static int end(struct structure *s)
{
	if (!s->full && !s->n_strings)
		put_byte(s, 0);
	if (!s->full)
		put_byte(s, 0);
	if (s->full)
		return ERR_RANGE;
	s->t->largest = MAX(s->t->largest, s->t->size - s->start);
	s->t->count++;
	return 0;
}

/* Two 64-bit FNV-1a hashes of the name, each begun in its own way. */
void smbios_uuid(const char *guest, uint8_t uuid[16])
{
	for (unsigned half = 0; half < 2; half++) {
		uint64_t hash = 0xcbf29ce484222325ull ^ half;

		for (const char *c = guest; *c; c++)
			hash = (hash ^ (uint8_t)*c) * 0x100000001b3ull;
		hash ^= hash >> 29;
		put_le64(uuid + 8 * half, hash);
	}
	/* RFC 9562, "UUID Version 8" and "Variant Field"; SMBIOS stores the first three fields in
	 * little-endian order, so the version is in byte 7. */
	uuid[7] = (uint8_t)((uuid[7] & 0x0F) | 0x80);
	uuid[8] = (uint8_t)((uuid[8] & 0x3F) | 0x80);
}

static int bios(struct smbios_tables *t, const struct smbios_info *info)
{
	struct structure s;

	begin(&s, t, TYPE_BIOS, 24, HANDLE(TYPE_BIOS, 0));
	if (!s.full) {
		put_le16(s.p + 6, BOARD_TABLES_START >> 4);
		put_le64(s.p + 10, BIT(3)); /* no characteristics are given */
		s.p[19] = 0x10;             /* a virtual machine */
		s.p[20] = 0xFF;             /* no release number, nor a controller's */
		s.p[21] = 0xFF;
		s.p[22] = 0xFF;
		s.p[23] = 0xFF;
	}
	string(&s, 4, VENDOR);
	string(&s, 5, info->version);
	string(&s, 8, "01/01/2026");
	return end(&s);
}

static int system(struct smbios_tables *t, const struct smbios_info *info)
{
	struct structure s;

	begin(&s, t, TYPE_SYSTEM, 27, HANDLE(TYPE_SYSTEM, 0));
	string(&s, 4, VENDOR);
	string(&s, 5, VENDOR);
	string(&s, 6, info->version);
	string(&s, 7, info->guest);
	if (!s.full) {
		smbios_uuid(info->guest, s.p + 8);
		s.p[24] = 6; /* woken by the power switch */
	}
	return end(&s);
}

static int board(struct smbios_tables *t)
{
	struct structure s;

	begin(&s, t, TYPE_BOARD, 15, HANDLE(TYPE_BOARD, 0));
	string(&s, 4, VENDOR);
	string(&s, 5, VENDOR);
	if (!s.full) {
		s.p[9] = 1; /* a hosting board */
		put_le16(s.p + 11, HANDLE(TYPE_CHASSIS, 0));
		s.p[13] = 10; /* a motherboard */
	}
	return end(&s);
}

static int chassis(struct smbios_tables *t)
{
	struct structure s;

	begin(&s, t, TYPE_CHASSIS, 21, HANDLE(TYPE_CHASSIS, 0));
	string(&s, 4, VENDOR);
	if (!s.full) {
		s.p[5] = 1; /* other */
		s.p[9] = 3; /* states of boot, power supply and heat: safe */
		s.p[10] = 3;
		s.p[11] = 3;
		s.p[12] = 2; /* security: unknown */
	}
	return end(&s);
}

static int processor(struct smbios_tables *t, unsigned n)
{
	struct structure s;
	char socket[16];

	snprintf(socket, sizeof(socket), "CPU %u", n);
	begin(&s, t, TYPE_PROCESSOR, 42, HANDLE(TYPE_PROCESSOR, n));
	string(&s, 4, socket);
	if (!s.full) {
		s.p[5] = 3;                 /* a central processor */
		s.p[6] = 1;                 /* of another family than those that have numbers */
		s.p[24] = 0x41;             /* there, enabled */
		s.p[25] = 1;                /* upgrade: other */
		put_le16(s.p + 26, 0xFFFF); /* caches are not described */
		put_le16(s.p + 28, 0xFFFF);
		put_le16(s.p + 30, 0xFFFF);
		s.p[35] = 1; /* cores, enabled ones, threads */
		s.p[36] = 1;
		s.p[37] = 1;
		put_le16(s.p + 38, BIT32(2)); /* 64 bits */
		put_le16(s.p + 40, 1);        /* the family again */
	}
	string(&s, 7, VENDOR);
	return end(&s);
}

static unsigned devices(uint64_t memory)
{
	return (unsigned)((memory + DEVICE_MAX - 1) / DEVICE_MAX);
}

static int memory_array(struct smbios_tables *t, uint64_t memory)
{
	uint64_t kib = memory / KIB;
	struct structure s;

	begin(&s, t, TYPE_MEMORY_ARRAY, 23, HANDLE(TYPE_MEMORY_ARRAY, 0));
	if (!s.full) {
		s.p[4] = 1; /* place: other */
		s.p[5] = 3; /* system memory */
		s.p[6] = 3; /* no error correction */
		put_le32(s.p + 7, kib < BIT(31) ? (uint32_t)kib : BIT32(31));
		put_le16(s.p + 11, NO_HANDLE);
		put_le16(s.p + 13, (uint16_t)devices(memory));
		if (kib >= BIT(31))
			put_le64(s.p + 15, memory);
	}
	return end(&s);
}

static int memory_device(struct smbios_tables *t, unsigned n, uint64_t size)
{
	struct structure s;
	char place[16];

	snprintf(place, sizeof(place), "DIMM %u", n);
	begin(&s, t, TYPE_MEMORY_DEVICE, 40, HANDLE(TYPE_MEMORY_DEVICE, n));
	if (!s.full) {
		put_le16(s.p + 4, HANDLE(TYPE_MEMORY_ARRAY, 0));
		put_le16(s.p + 6, NO_HANDLE);
		put_le16(s.p + 8, 0xFFFF); /* widths: unknown */
		put_le16(s.p + 10, 0xFFFF);
		put_le16(s.p + 12, (uint16_t)(size / MIB));
		s.p[14] = 9;                  /* a DIMM */
		s.p[18] = 7;                  /* RAM */
		put_le16(s.p + 19, BIT32(1)); /* detail: other */
	}
	string(&s, 16, place);
	string(&s, 23, VENDOR);
	return end(&s);
}

static int memory_map(struct smbios_tables *t, unsigned n, uint64_t start, uint64_t end_exclusive)
{
	struct structure s;

	begin(&s, t, TYPE_MEMORY_MAP, 31, HANDLE(TYPE_MEMORY_MAP, n));
	if (!s.full) {
		put_le32(s.p + 4, UINT32_MAX); /* the extended fields count */
		put_le32(s.p + 8, UINT32_MAX);
		put_le16(s.p + 12, HANDLE(TYPE_MEMORY_ARRAY, 0));
		s.p[14] = 1;
		put_le64(s.p + 15, start);
		put_le64(s.p + 23, end_exclusive - 1);
	}
	return end(&s);
}

static int memory(struct smbios_tables *t, uint64_t size)
{
	unsigned n = devices(size);
	int err = memory_array(t, size);

	for (unsigned i = 0; i < n && !err; i++)
		err = memory_device(t, i, i + 1 < n ? DEVICE_MAX : size - (uint64_t)i * DEVICE_MAX);
	if (!err)
		err = memory_map(t, 0, 0, gmem_low_end(size));
	if (!err && gmem_high_end(size) > GMEM_HOLE_END)
		err = memory_map(t, 1, GMEM_HOLE_END, gmem_high_end(size));
	return err;
}

/* The two last: how the machine was booted (no error), and the end. */
static int last(struct smbios_tables *t)
{
	struct structure s;
	int err;

	begin(&s, t, TYPE_BOOT, 11, HANDLE(TYPE_BOOT, 0));
	err = end(&s);
	if (err)
		return err;
	begin(&s, t, TYPE_END, HEADER_SIZE, HANDLE(TYPE_END, 0));
	return end(&s);
}

int smbios_build(struct smbios_tables *t, const struct smbios_info *info)
{
	int err;

	t->size = 0;
	t->largest = 0;
	t->count = 0;
	err = bios(t, info);
	if (!err)
		err = system(t, info);
	if (!err)
		err = board(t);
	if (!err)
		err = chassis(t);
	for (unsigned i = 0; i < info->n_vcpus && !err; i++)
		err = processor(t, i);
	if (!err)
		err = memory(t, info->memory);
	return err ? err : last(t);
}

static uint8_t checksum(const uint8_t *p, unsigned size)
{
	uint8_t sum = 0;

	while (size--)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

void smbios_anchor(uint8_t anchor[SMBIOS_ANCHOR_SIZE], const struct smbios_tables *t,
		   uint32_t address)
{
	memset(anchor, 0, SMBIOS_ANCHOR_SIZE);
	memcpy(anchor, "_SM_", 4);
	anchor[5] = SMBIOS_ANCHOR_SIZE;
	anchor[6] = 2; /* version 2.8, also as BCD below */
	anchor[7] = 8;
	put_le16(anchor + 8, (uint16_t)t->largest);
	memcpy(anchor + 16, "_DMI_", 5);
	put_le16(anchor + 22, (uint16_t)t->size);
	put_le32(anchor + 24, address);
	put_le16(anchor + 28, (uint16_t)t->count);
	anchor[30] = 0x28;
	anchor[21] = checksum(anchor + 16, SMBIOS_ANCHOR_SIZE - 16);
	anchor[4] = checksum(anchor, SMBIOS_ANCHOR_SIZE);
}

int guest_smbios_build(struct gmem *mem, const struct smbios_info *info, struct reason *why)
{
	uint8_t *at = gmem_ptr_write(mem, BOARD_SMBIOS_START, BOARD_SMBIOS_SIZE);
	struct smbios_tables t = {.room = BOARD_SMBIOS_SIZE - ALIGN_UP(SMBIOS_ANCHOR_SIZE, 16)};

	if (!at)
		return refuse(why, ERR_RANGE,
			      "The guest has no memory at 0x%x, where its SMBIOS tables belong.",
			      BOARD_SMBIOS_START);
	t.data = at + ALIGN_UP(SMBIOS_ANCHOR_SIZE, 16);
	if (smbios_build(&t, info))
		return refuse(why, ERR_RANGE, "The guest's SMBIOS tables are too large.");
	smbios_anchor(at, &t, BOARD_SMBIOS_START + ALIGN_UP(SMBIOS_ANCHOR_SIZE, 16));
	return 0;
}
