/*
 * The items of the firmware configuration device: what SeaBIOS, OVMF, Linux' qemu_fw_cfg and the
 * option ROMs that load kernels look for. Keys and formats: QEMU's documentation, "QEMU Firmware
 * Configuration (fw_cfg) Device", and SeaBIOS's, "Runtime config files".
 *
 * A kernel is offered in the parts that its boot protocol names (Linux kernel's documentation, "The
 * Linux/x86 Boot Protocol", "Loading The Rest of The Kernel"): the setup part with its header
 * filled in, and the rest, to be put to the addresses given with them.
 *
 * Pure.
 */
#include "guests/guest_fwcfg.h"

#include "guests/board.h"
#include "lib/format.h"
#include "lib/le.h"

#define ID_PORTS 0x1
#define ID_DMA   0x2

#define E820_ENTRY 20u

/* The setup header; see guests/load_linux.c. */
#define OFF_SETUP_SECTS 0x1f1u
#define OFF_BOOT_FLAG   0x1feu
#define OFF_MAGIC       0x202u
#define OFF_VERSION     0x206u
#define OFF_LOADER      0x210u
#define OFF_LOADFLAGS   0x211u
#define OFF_RAMDISK     0x218u
#define OFF_RAMDISK_LEN 0x21cu
#define OFF_HEAP_END    0x224u
#define OFF_CMDLINE     0x228u
#define OFF_INITRD_MAX  0x22cu
#define HEADER_MIN_END  0x230u
#define BOOT_FLAG       0xaa55u
#define VERSION_MIN     0x203u /* initrd_addr_max */
#define LOADED_HIGH     0x01u
#define CAN_USE_HEAP    0x80u
#define LOADER_OTHER    0xffu
#define SECTOR          512u
#define DEFAULT_SECTS   4u

#define SETUP_ADDR   0x10000u
#define CMDLINE_ADDR 0x20000u
#define KERNEL_ADDR  0x100000u
#define SETUP_MAX                                                                      \
	0x8000u /* of the setup part; its heap and stack follow up to the command line \
		 */
#define HEAP_END     (CMDLINE_ADDR - SETUP_ADDR - 0x200)
#define FIRMWARE_TOP (MIB) /* what firmware keeps for itself at the end of RAM */

#define ROM_FOLDER "genroms/"
#define ROM_DEVICE "/rom@" /* how firmware calls what an option ROM of that folder boots */

#define SMALL_BYTES 512u /* the small items of every guest */

static uint32_t smbios_room(const struct fwcfg_input *in)
{
	return 1024u + 64u * in->info.n_vcpus + 64u * (uint32_t)(in->info.memory / (16 * GIB));
}

/* Lines of the boot order that follows from the option ROMs. */
static uint32_t order_room(const struct fwcfg_input *in)
{
	return in->n_files * (uint32_t)(sizeof(ROM_DEVICE) + VFWCFG_NAME_MAX);
}

size_t guest_fwcfg_size(const struct fwcfg_input *in)
{
	size_t size = sizeof(struct guest_fwcfg) + SMALL_BYTES + smbios_room(in);

	if (in->firmware)
		size += SMALL_BYTES + sizeof(struct acpi_loader) + BOARD_TABLES_SIZE +
			order_room(in);
	if (in->with_kernel)
		size += SETUP_MAX;
	return size;
}

/* Room for bytes that are made here, or NULL. */
static void *take(struct guest_fwcfg *f, uint32_t size)
{
	uint32_t at = ALIGN_UP(f->used, 16u);

	if (at > f->room || size > f->room - at)
		return NULL;
	f->used = at + size;
	return f->bytes + at;
}

static int add_bytes(struct guest_fwcfg *f, uint16_t key, const void *bytes, uint32_t size)
{
	void *p = take(f, size);

	if (!p)
		return ERR_NO_MEMORY;
	memcpy(p, bytes, size);
	return vfwcfg_add(&f->items, key, p, size);
}

static int add_number(struct guest_fwcfg *f, uint16_t key, uint32_t size, uint64_t value)
{
	return add_bytes(f, key, &value, size);
}

static int add_small_file(struct guest_fwcfg *f, const char *name, const void *bytes, uint32_t size)
{
	void *p = take(f, size);

	if (!p)
		return ERR_NO_MEMORY;
	memcpy(p, bytes, size);
	return vfwcfg_add_file(&f->items, name, p, size);
}

static int add_basics(struct guest_fwcfg *f, const struct fwcfg_input *in)
{
	uint8_t uuid[16];
	int err;

	smbios_uuid(in->info.guest, uuid);
	err = vfwcfg_add(&f->items, VFWCFG_SIGNATURE, "QEMU", 4);
	if (!err)
		err = add_number(f, VFWCFG_ID, 4, ID_PORTS | ID_DMA);
	if (!err)
		err = add_bytes(f, VFWCFG_UUID, uuid, sizeof(uuid));
	if (!err)
		err = add_number(f, VFWCFG_RAM_SIZE, 8, in->info.memory);
	if (!err)
		err = add_number(f, VFWCFG_NO_GRAPHIC, 2, 1);
	if (!err)
		err = add_number(f, VFWCFG_CPUS, 2, in->info.n_vcpus);
	if (!err)
		err = add_number(f, VFWCFG_MAX_CPUS, 2, in->info.n_vcpus);
	if (!err)
		err = add_number(f, VFWCFG_BOOT_MENU, 2, 1);
	/* the 8254 is at the I/O APIC's pin 2 */
	return err ? err : add_number(f, VFWCFG_IRQ0_OVERRIDE, 4, 1);
}

static void put_range(uint8_t *p, uint64_t start, uint64_t size, uint32_t type)
{
	put_le64(p, start);
	put_le64(p + 8, size);
	put_le32(p + 16, type);
}

/* All RAM, out of which firmware takes its own areas, and PCI's configuration window. */
static int add_e820(struct guest_fwcfg *f, uint64_t memory)
{
	uint8_t map[3 * E820_ENTRY];
	uint64_t high = gmem_high_end(memory) - GMEM_HOLE_END;

	put_range(map, 0, gmem_low_end(memory), LOAD_RANGE_RAM);
	put_range(map + E820_ENTRY, BOARD_PCI_ECAM_ADDR, BOARD_PCI_ECAM_SIZE, LOAD_RANGE_RESERVED);
	put_range(map + 2 * E820_ENTRY, GMEM_HOLE_END, high, LOAD_RANGE_RAM);
	return add_small_file(f, "etc/e820", map, (high ? 3 : 2) * E820_ENTRY);
}

static int add_smbios(struct guest_fwcfg *f, const struct fwcfg_input *in)
{
	uint8_t anchor[SMBIOS_ANCHOR_SIZE];
	struct smbios_tables t = {.room = smbios_room(in)};
	int err;

	t.data = take(f, t.room);
	err = t.data ? smbios_build(&t, &in->info) : ERR_NO_MEMORY;
	if (err)
		return err;
	smbios_anchor(anchor, &t, 0); /* firmware puts the address in */
	err = add_small_file(f, "etc/smbios/smbios-anchor", anchor, sizeof(anchor));
	return err ? err : vfwcfg_add_file(&f->items, "etc/smbios/smbios-tables", t.data, t.size);
}

static int add_acpi(struct guest_fwcfg *f, const uint8_t *tables, struct reason *why)
{
	struct acpi_loader *l = take(f, sizeof(*l));
	uint8_t *room = take(f, BOARD_TABLES_SIZE);
	int err;

	if (!l || !room)
		return ERR_NO_MEMORY;
	l->tables = room;
	memcpy(l->tables, tables, BOARD_TABLES_SIZE);
	l->base = BOARD_TABLES_START;
	l->room = BOARD_TABLES_SIZE;
	err = acpi_loader_build(l, why);
	if (!err)
		err = vfwcfg_add_file(&f->items, ACPI_TABLES_FILE, l->tables, l->size);
	if (!err)
		err = vfwcfg_add_file(&f->items, ACPI_RSDP_FILE, l->rsdp, sizeof(l->rsdp));
	return err ? err : vfwcfg_add_file(&f->items, ACPI_SCRIPT_FILE, l->script, l->script_size);
}

/* Firmware talks on the serial port, and may sleep in no state but soft-off. */
static int add_settings(struct guest_fwcfg *f)
{
	static const uint8_t states[6] = {0x80, 0, 0, 0, 0, 0x80 | BOARD_SLP_TYP_S5};
	uint8_t port[2];
	int err;

	put_le16(port, BOARD_COM1_PORT);
	err = add_small_file(f, "etc/sercon-port", port, sizeof(port));
	return err ? err : add_small_file(f, "etc/system-states", states, sizeof(states));
}

static int add_files(struct guest_fwcfg *f, const struct fwcfg_input *in, struct reason *why)
{
	int err = 0;

	for (unsigned i = 0; i < in->n_files && !err; i++) {
		const char *name = in->file_name[i];

		if (in->file[i].size > UINT32_MAX)
			return refuse(why, ERR_RANGE, "fw_cfg: %s: it is larger than 4 GiB", name);
		err = vfwcfg_add_file(&f->items, name, in->file[i].data,
				      (uint32_t)in->file[i].size);
		if (err == ERR_EXISTS)
			return refuse(why, ERR_INVALID,
				      "fw_cfg: %s: the hypervisor makes a file of that name itself",
				      name);
	}
	return err;
}

/* The administrator's option ROMs come first in the order of booting: a list of lines that ends
 * with a zero, unless he gives a list himself. */
static int add_boot_order(struct guest_fwcfg *f, const struct fwcfg_input *in)
{
	uint32_t room = order_room(in);
	char *order = take(f, room);
	size_t n = 0;

	if (!order)
		return ERR_NO_MEMORY;
	for (unsigned i = 0; i < in->n_files; i++) {
		if (!strcmp(in->file_name[i], "bootorder"))
			return 0;
		if (!strncmp(in->file_name[i], ROM_FOLDER, sizeof(ROM_FOLDER) - 1))
			n += (size_t)snprintf(order + n, room - n, "%s" ROM_DEVICE "%s",
					      n ? "\n" : "", in->file_name[i]);
	}
	return n ? vfwcfg_add_file(&f->items, "bootorder", order, (uint32_t)n + 1) : 0;
}

/* ---- the kernel ---- */

struct setup {
	uint32_t size; /* of the setup part */
	uint32_t initrd_max;
};

static int read_setup(const struct load_blob *k, struct setup *s, struct reason *why)
{
	const uint8_t *p = k->data;
	uint32_t sects;

	if (k->size < HEADER_MIN_END || k->size > UINT32_MAX ||
	    le16(p + OFF_BOOT_FLAG) != BOOT_FLAG || memcmp(p + OFF_MAGIC, "HdrS", 4) ||
	    le16(p + OFF_VERSION) < VERSION_MIN || !(p[OFF_LOADFLAGS] & LOADED_HIGH))
		return refuse(why, ERR_INVALID,
			      "%s is not a Linux kernel image (bzImage) with boot protocol 2.03 or "
			      "newer",
			      k->string);
	sects = p[OFF_SETUP_SECTS] ? p[OFF_SETUP_SECTS] : DEFAULT_SECTS;
	s->size = (sects + 1) * SECTOR;
	s->initrd_max = le32(p + OFF_INITRD_MAX);
	if (s->size > SETUP_MAX || s->size >= k->size)
		return refuse(
			why, ERR_INVALID,
			"%s has a setup part of %u bytes: less than the file, and at most %u, "
			"are right",
			k->string, s->size, SETUP_MAX);
	return 0;
}

/* As high as it may lie, below what firmware takes for itself. */
static int place_initrd(const struct fwcfg_input *in, const struct setup *s, uint32_t *address,
			struct reason *why)
{
	uint64_t top = gmem_low_end(in->info.memory);

	top = MIN(top > FIRMWARE_TOP ? top - FIRMWARE_TOP : 0, (uint64_t)s->initrd_max + 1);
	top = ALIGN_DOWN(top - MIN(in->initrd->size, top), PAGE_SIZE);
	if (top < KERNEL_ADDR + in->kernel->size)
		return refuse(why, ERR_RANGE,
			      "%s does not fit into the guest's memory behind the kernel",
			      in->initrd->string);
	*address = (uint32_t)top;
	return 0;
}

static int add_initrd(struct guest_fwcfg *f, const struct load_blob *initrd, uint32_t address)
{
	int err = add_number(f, VFWCFG_INITRD_ADDR, 4, address);

	if (!err)
		err = add_number(f, VFWCFG_INITRD_SIZE, 4, initrd->size);
	return err ? err
		   : vfwcfg_add(&f->items, VFWCFG_INITRD_DATA, initrd->data,
				(uint32_t)initrd->size);
}

static int add_cmdline(struct guest_fwcfg *f, const char *cmdline)
{
	uint32_t size = (uint32_t)strlen(cmdline) + 1;
	int err = add_number(f, VFWCFG_CMDLINE_ADDR, 4, CMDLINE_ADDR);

	if (!err)
		err = add_number(f, VFWCFG_CMDLINE_SIZE, 4, size);
	return err ? err : vfwcfg_add(&f->items, VFWCFG_CMDLINE_DATA, cmdline, size);
}

static int add_kernel(struct guest_fwcfg *f, const struct fwcfg_input *in, struct reason *why)
{
	const struct load_blob *k = in->kernel;
	uint32_t initrd = 0;
	struct setup s = {0};
	uint8_t *p;
	int err = read_setup(k, &s, why);

	if (!err && in->initrd)
		err = place_initrd(in, &s, &initrd, why);
	if (err)
		return err;
	p = take(f, s.size);
	if (!p)
		return ERR_NO_MEMORY;
	memcpy(p, k->data, s.size);
	p[OFF_LOADER] = LOADER_OTHER;
	p[OFF_LOADFLAGS] |= CAN_USE_HEAP;
	put_le16(p + OFF_HEAP_END, HEAP_END);
	put_le32(p + OFF_CMDLINE, CMDLINE_ADDR);
	put_le32(p + OFF_RAMDISK, initrd);
	put_le32(p + OFF_RAMDISK_LEN, in->initrd ? (uint32_t)in->initrd->size : 0);
	err = add_number(f, VFWCFG_SETUP_ADDR, 4, SETUP_ADDR);
	if (!err)
		err = add_number(f, VFWCFG_SETUP_SIZE, 4, s.size);
	if (!err)
		err = vfwcfg_add(&f->items, VFWCFG_SETUP_DATA, p, s.size);
	if (!err)
		err = add_number(f, VFWCFG_KERNEL_ADDR, 4, KERNEL_ADDR);
	if (!err)
		err = add_number(f, VFWCFG_KERNEL_SIZE, 4, k->size - s.size);
	if (!err)
		err = vfwcfg_add(&f->items, VFWCFG_KERNEL_DATA, (const uint8_t *)k->data + s.size,
				 (uint32_t)k->size - s.size);
	if (!err)
		err = add_cmdline(f, in->cmdline);
	return !err && in->initrd ? add_initrd(f, in->initrd, initrd) : err;
}

int guest_fwcfg_build(struct guest_fwcfg *f, const struct fwcfg_input *in, struct reason *why)
{
	struct reason none = {{0}};
	int err;

	*why = none;
	f->room = (uint32_t)(guest_fwcfg_size(in) - sizeof(*f));
	err = add_basics(f, in);
	if (!err)
		err = add_e820(f, in->info.memory);
	if (!err)
		err = add_smbios(f, in);
	if (!err && in->firmware)
		err = add_acpi(f, in->acpi, why);
	if (!err && in->firmware)
		err = add_settings(f);
	if (!err && in->with_kernel)
		err = add_kernel(f, in, why);
	if (!err)
		err = add_files(f, in, why);
	if (!err && in->firmware)
		err = add_boot_order(f, in);
	if (err && !why->text[0])
		return refuse(why, err, "fw_cfg: there is no room for all items");
	vfwcfg_finish(&f->items);
	return err;
}
