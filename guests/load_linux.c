/*
 * Loads a Linux bzImage. Pure: writes into guest RAM only.
 *
 * Source: the Linux kernel's documentation, "The Linux/x86 Boot Protocol" (setup header, 32-bit and
 * 64-bit boot protocol) and "Zero Page" (layout of boot_params).
 *
 * What lies where in guest RAM (the kernel's own memory starts above 1 MiB):
 *
 *   0x1000  GDT
 *   0x2000  page tables: PML4, PDPT, 4 page directories (64-bit entry only)
 *   0x8000  one page of stack
 *   0x9000  boot_params
 *   0xa000  command line, up to 64 KiB
 *   0x9fc00 up to 1 MiB: not RAM to the guest (video, ACPI tables)
 *   kernel  at its preferred address, with room to unpack itself
 *   initrd  at the top of the RAM below 4 GiB that the kernel can take one from, or, if it does not
 *           fit there and the kernel can take it, at the top of the RAM above 4 GiB
 */
#include "guests/load.h"
#include "lib/le.h"

#define GDT_ADDR     0x1000ull
#define TABLES_ADDR  0x2000ull
#define STACK_TOP    0x9000ull
#define PARAMS_ADDR  0x9000ull
#define CMDLINE_ADDR 0xa000ull
#define CMDLINE_ROOM 0x10000ull

/* Offsets in the image and, from the setup header on, equally in boot_params. */
#define OFF_ACPI_RSDP   0x070u
#define OFF_VIDEO_MODE  0x006u
#define OFF_VIDEO_COLS  0x007u
#define OFF_VIDEO_LINES 0x00eu
#define OFF_VIDEO_VGA   0x00fu
#define OFF_VIDEO_FONT  0x010u
#define OFF_EXT_RAMDISK 0x0c0u /* upper halves of the initrd's address and size */
#define OFF_EXT_SIZE    0x0c4u
#define OFF_E820_COUNT  0x1e8u
#define OFF_HEADER      0x1f1u
#define OFF_SETUP_SECTS 0x1f1u
#define OFF_SYSSIZE     0x1f4u
#define OFF_BOOT_FLAG   0x1feu
#define OFF_JUMP        0x201u
#define OFF_MAGIC       0x202u
#define OFF_VERSION     0x206u
#define OFF_LOADER      0x210u
#define OFF_LOADFLAGS   0x211u
#define OFF_CODE32      0x214u
#define OFF_RAMDISK     0x218u
#define OFF_RAMDISK_LEN 0x21cu
#define OFF_CMDLINE     0x228u
#define OFF_INITRD_MAX  0x22cu
#define OFF_ALIGNMENT   0x230u
#define OFF_RELOCATABLE 0x234u
#define OFF_XLOADFLAGS  0x236u
#define OFF_CMDLINE_MAX 0x238u
#define OFF_PREF_ADDR   0x258u
#define OFF_INIT_SIZE   0x260u
#define HEADER_MIN_END  0x264u /* behind init_size */
#define OFF_HEADER_END  0x290u /* the room that boot_params has for a setup header */
#define OFF_E820        0x2d0u
#define E820_ENTRY      20u

#define BOOT_FLAG     0xaa55u
#define VERSION_MIN   0x20au /* 2.10: pref_address and init_size */
#define VERSION_64    0x20cu /* 2.12: xloadflags */
#define LOADED_HIGH   0x01u
#define XLF_KERNEL_64 0x01u
#define XLF_ABOVE_4G  0x02u /* XLF_CAN_BE_LOADED_ABOVE_4G */
#define LOADER_OTHER  0xffu
#define ENTRY_64      0x200u
#define SECTOR        512u
#define DEFAULT_SECTS 4u

/* What the setup header says. */
struct image {
	const uint8_t *file;
	uint64_t code_offset, code_size; /* the protected-mode part of the file */
	uint64_t load;                   /* where it goes */
	uint64_t init_size;              /* bytes from `load` that it needs at first */
	uint64_t initrd_max;             /* highest address of an initrd's byte */
	uint64_t cmdline_max;            /* characters without the ending zero */
	bool long_mode;
	bool initrd_high; /* an initrd may lie above 4 GiB, too */
};

/* Which entry is taken. The fields that it depends on came with protocol 2.12. */
static int choose_entry(const struct load_blob *kernel, uint16_t version, enum linux_entry want,
			struct image *img, struct reason *why)
{
	uint16_t flags =
		version >= VERSION_64 ? le16((const uint8_t *)kernel->data + OFF_XLOADFLAGS) : 0;

	img->long_mode = (flags & XLF_KERNEL_64) && want != LINUX_ENTRY_32;
	/* The 32-bit protocol knows no upper half of its address. */
	img->initrd_high = (flags & XLF_ABOVE_4G) && img->long_mode;
	if (want == LINUX_ENTRY_64 && !img->long_mode)
		return refuse(why, ERR_UNSUPPORTED, "%s has no 64-bit entry", kernel->string);
	if (img->long_mode && img->code_size <= ENTRY_64)
		return refuse(why, ERR_INVALID,
			      "%s has only %llu bytes of code, too few for its 64-bit entry",
			      kernel->string, (unsigned long long)img->code_size);
	return 0;
}

static int read_header(const struct load_blob *kernel, enum linux_entry want, struct image *img,
		       struct reason *why)
{
	const uint8_t *f = kernel->data;
	uint64_t sects, syssize, align;
	uint16_t version;

	if (kernel->size < HEADER_MIN_END || le16(f + OFF_BOOT_FLAG) != BOOT_FLAG ||
	    memcmp(f + OFF_MAGIC, "HdrS", 4))
		return refuse(why, ERR_INVALID, "%s is not a Linux kernel image (bzImage)",
			      kernel->string);
	version = le16(f + OFF_VERSION);
	if (version < VERSION_MIN)
		return refuse(
			why, ERR_UNSUPPORTED,
			"%s has boot protocol %u.%02u: 2.10 (Linux 2.6.31) or newer is needed",
			kernel->string, version >> 8, version & 0xffu);
	if (!(f[OFF_LOADFLAGS] & LOADED_HIGH))
		return refuse(why, ERR_UNSUPPORTED,
			      "%s is a zImage, which loads below 1 MiB: a bzImage is needed",
			      kernel->string);

	sects = f[OFF_SETUP_SECTS] ? f[OFF_SETUP_SECTS] : DEFAULT_SECTS;
	syssize = (uint64_t)le32(f + OFF_SYSSIZE) * 16;
	img->file = f;
	img->code_offset = (sects + 1) * SECTOR;
	/* The size is counted in paragraphs of 16 bytes, of which the file may lack the end. */
	if (!syssize || kernel->size < img->code_offset ||
	    kernel->size - img->code_offset + 15 < syssize)
		return refuse(why, ERR_INVALID,
			      "%s is cut: its header speaks of %llu bytes, the file has %llu",
			      kernel->string, (unsigned long long)(img->code_offset + syssize),
			      (unsigned long long)kernel->size);
	img->code_size = MIN(syssize, kernel->size - img->code_offset);

	/* A relocatable kernel moves itself up to its preferred address if it is loaded below, so
	 * nothing is won by loading it anywhere else. */
	img->load = le64(f + OFF_PREF_ADDR);
	align = le32(f + OFF_ALIGNMENT);
	if (f[OFF_RELOCATABLE]) {
		if (!align || (align & (align - 1)))
			return refuse(
				why, ERR_INVALID,
				"%s has a kernel alignment of 0x%llx, which is no power of two",
				kernel->string, (unsigned long long)align);
		if (img->load <= UINT32_MAX)
			img->load = ALIGN_UP(img->load, align);
	}
	if (img->load < LOAD_HIGH_START || img->load > UINT32_MAX)
		return refuse(why, ERR_INVALID,
			      "%s wants to be loaded at 0x%llx: an address from 1 MiB to 4 GiB is "
			      "right",
			      kernel->string, (unsigned long long)img->load);
	img->init_size = MAX((uint64_t)le32(f + OFF_INIT_SIZE), img->code_size);
	img->initrd_max = le32(f + OFF_INITRD_MAX);
	img->cmdline_max = le32(f + OFF_CMDLINE_MAX);
	return choose_entry(kernel, version, want, img, why);
}

static int too_small(const struct gmem *m, const char *what, uint64_t need, struct reason *why)
{
	return refuse(
		why, ERR_RANGE,
		"guest memory of %llu MiB is too small for %s, which needs RAM up to %llu MiB",
		(unsigned long long)(m->size / MIB), what,
		(unsigned long long)(ALIGN_UP(need, MIB) / MIB));
}

static int put_kernel(struct gmem *m, const struct load_blob *kernel, const struct image *img,
		      struct reason *why)
{
	uint64_t end = img->load + img->init_size;

	if (end > gmem_low_end(m->size))
		return too_small(m, kernel->string, end, why);
	if (gmem_write(m, img->load, img->file + img->code_offset, img->code_size))
		return too_small(m, kernel->string, end, why);
	return 0;
}

/* The highest page from which the initrd ends at or below `top` without beginning below `bottom`; 0
 * if there is none. */
static uint64_t initrd_place(const struct load_blob *initrd, uint64_t bottom, uint64_t top)
{
	top = ALIGN_DOWN(top, PAGE_SIZE);
	if (top < bottom || top - bottom < initrd->size)
		return 0;
	/* `bottom` is a page's begin, so this is not below it. */
	return ALIGN_DOWN(top - initrd->size, PAGE_SIZE);
}

/* Puts the initrd as high as it may lie, so that the kernel below it can grow: below 4 GiB if it
 * fits there, since every kernel takes it from there. */
static int put_initrd(struct gmem *m, const struct load_blob *initrd, const struct image *img,
		      uint64_t *address, struct reason *why)
{
	uint64_t bottom = ALIGN_UP(img->load + img->init_size, PAGE_SIZE);
	uint64_t low_end = gmem_low_end(m->size), top = MIN(low_end, img->initrd_max + 1);

	*address = initrd_place(initrd, bottom, top);
	if (!*address && img->initrd_high)
		*address = initrd_place(initrd, GMEM_HOLE_END, gmem_high_end(m->size));
	if (*address && !gmem_write(m, *address, initrd->data, initrd->size))
		return 0;
	if (ALIGN_DOWN(top, PAGE_SIZE) < low_end || m->size > low_end)
		return refuse(why, ERR_RANGE,
			      "%s does not fit between the kernel, which ends at %llu MiB, and the "
			      "highest address that the kernel takes an initrd at, %llu MiB%s",
			      initrd->string, (unsigned long long)(bottom / MIB),
			      (unsigned long long)(top / MIB),
			      img->initrd_high ? ", nor above 4 GiB" : "");
	return too_small(m, initrd->string, bottom + initrd->size, why);
}

static int put_cmdline(struct gmem *m, const struct load_blob *kernel, const struct image *img,
		       const char *cmdline, struct reason *why)
{
	uint64_t len = strlen(cmdline);
	uint64_t max = MIN(img->cmdline_max, CMDLINE_ROOM - 1);

	if (len > max)
		return refuse(why, ERR_RANGE,
			      "the command line has %llu characters, but %s takes at most %llu",
			      (unsigned long long)len, kernel->string, (unsigned long long)max);
	if (gmem_write(m, CMDLINE_ADDR, cmdline, len + 1))
		return too_small(m, "the command line", MIB, why);
	return 0;
}

static void put_e820(const struct gmem *m, uint8_t *params)
{
	struct load_range ranges[LOAD_RANGES];
	unsigned n = load_memory_map(m, ranges);

	for (unsigned i = 0; i < n; i++) {
		uint8_t *e = params + OFF_E820 + (size_t)i * E820_ENTRY;

		put_le64(e, ranges[i].start);
		put_le64(e + 8, ranges[i].end - ranges[i].start);
		put_le32(e + 16, ranges[i].type);
	}
	params[OFF_E820_COUNT] = (uint8_t)n;
}

static int put_params(struct gmem *m, const struct image *img, uint64_t initrd,
		      uint64_t initrd_size, uint64_t rsdp)
{
	uint8_t *p = gmem_ptr_write(m, PARAMS_ADDR, PAGE_SIZE);
	uint64_t end = MIN(OFF_MAGIC + (uint64_t)img->file[OFF_JUMP], OFF_HEADER_END);

	if (!p)
		return ERR_RANGE;
	memset(p, 0, PAGE_SIZE);
	/* The byte at OFF_JUMP is the distance to the header's end, but the fields up to init_size
	 * are there in any case. The setup part is at least 1 KiB long, so all this is in the file.
	 */
	end = MAX(end, (uint64_t)HEADER_MIN_END);
	memcpy(p + OFF_HEADER, img->file + OFF_HEADER, end - OFF_HEADER);

	/* The text screen as a PC's firmware leaves it: VGA mode 3. */
	p[OFF_VIDEO_MODE] = 3;
	p[OFF_VIDEO_COLS] = 80;
	p[OFF_VIDEO_LINES] = 25;
	p[OFF_VIDEO_VGA] = 1;
	put_le16(p + OFF_VIDEO_FONT, 16);

	put_le64(p + OFF_ACPI_RSDP, rsdp);
	p[OFF_LOADER] = LOADER_OTHER;
	put_le32(p + OFF_CODE32, (uint32_t)img->load);
	put_le32(p + OFF_RAMDISK, (uint32_t)initrd);
	put_le32(p + OFF_RAMDISK_LEN, (uint32_t)initrd_size);
	put_le32(p + OFF_EXT_RAMDISK, (uint32_t)(initrd >> 32));
	put_le32(p + OFF_EXT_SIZE, (uint32_t)(initrd_size >> 32));
	put_le32(p + OFF_CMDLINE, (uint32_t)CMDLINE_ADDR);

	put_e820(m, p);
	return 0;
}

/* Identity map of the first 4 GiB by pages of 2 MiB. AMD64 Architecture Programmer's Manual, volume
 * 2, "2-Mbyte Page Translation": P, R/W, and PS in the page-directory entry. */
static int put_tables(struct gmem *m)
{
	const uint64_t table = 0x3, large = 0x83;
	uint8_t *p = gmem_ptr_write(m, TABLES_ADDR, 6 * PAGE_SIZE);

	if (!p)
		return ERR_RANGE;
	memset(p, 0, 2 * PAGE_SIZE);
	put_le64(p, (TABLES_ADDR + PAGE_SIZE) | table);
	for (uint64_t i = 0; i < 4; i++)
		put_le64(p + PAGE_SIZE + 8 * i, (TABLES_ADDR + (2 + i) * PAGE_SIZE) | table);
	for (uint64_t i = 0; i < 4 * 512; i++)
		put_le64(p + 2 * PAGE_SIZE + 8 * i, (i << LARGE_PAGE_SHIFT) | large);
	return 0;
}

int load_linux(struct gmem *m, const struct load_blob *kernel, const struct load_blob *initrd,
	       const char *cmdline, enum linux_entry want, uint64_t rsdp, struct guest_entry *out,
	       struct reason *why)
{
	struct image img = {0};
	uint64_t initrd_addr = 0;
	int err;

	err = read_header(kernel, want, &img, why);
	if (err)
		return err;
	err = put_kernel(m, kernel, &img, why);
	if (err)
		return err;
	if (initrd && initrd->size) {
		err = put_initrd(m, initrd, &img, &initrd_addr, why);
		if (err)
			return err;
	}
	err = put_cmdline(m, kernel, &img, cmdline, why);
	if (err)
		return err;
	if (put_params(m, &img, initrd_addr, initrd_addr ? initrd->size : 0, rsdp) ||
	    load_gdt(m, GDT_ADDR, img.long_mode) || (img.long_mode && put_tables(m)))
		return too_small(m, kernel->string, MIB, why);

	memset(out, 0, sizeof(*out));
	out->long_mode = img.long_mode;
	out->rip = img.load + (img.long_mode ? ENTRY_64 : 0);
	out->rsp = STACK_TOP;
	out->cr3 = img.long_mode ? TABLES_ADDR : 0;
	out->gdt_base = GDT_ADDR;
	out->gdt_limit = LOAD_GDT_SIZE - 1;
	out->gpr[GPR_RSP] = STACK_TOP;
	out->gpr[GPR_RSI] = PARAMS_ADDR;
	return 0;
}
