/*
 * Reads the machine's static ACPI tables: which processors and interrupt controllers there are, and
 * how the machine is switched off. No AML is run; \_S5 is found by its bytes. Pure: memory is
 * reached through the caller's map function only, and nothing is read that a checked length does
 * not cover.
 *
 * Source of the layouts: ACPI Specification, "ACPI Software Programming Model" (RSDP, RSDT, XSDT,
 * FADT, MADT) and "ACPI Machine Language (AML) Specification"; IA-PC HPET Specification, "The
 * ACPI 2.0 HPET Description Table".
 */
#include "boot/info.h"
#include "lib/le.h"

#define HEADER_SIZE    36u
#define TABLE_MAX_SIZE (16u * 1024 * 1024) /* a DSDT of a large server has some hundred KiB */
#define ROOT_MAX       512u                /* tables that the root table may name */

struct table {
	const uint8_t *p;
	uint32_t len;
	uint64_t address;
	char name[5];
};

struct parse {
	const struct acpi_memory *mem;
	struct acpi_info *out;
	void (*complain)(void *ctx, const char *sentence);
	void *ctx;
	uint32_t cpus_too_many;
};

static bool checksum_ok(const uint8_t *p, uint32_t len)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return !sum;
}

/* Maps a table's header and tells its name and claimed length. */
static int map_header(struct parse *ps, uint64_t address, struct table *t, struct reason *why)
{
	t->address = address;
	t->p = ps->mem->map(ps->mem->ctx, address, HEADER_SIZE);
	if (!t->p)
		return refuse(why, ERR_RANGE, "the ACPI table at 0x%llx cannot be read",
			      (unsigned long long)address);
	for (unsigned i = 0; i < 4; i++)
		t->name[i] = t->p[i] >= ' ' && t->p[i] <= '~' ? (char)t->p[i] : '?';
	t->name[4] = 0;
	t->len = le32(t->p + 4);
	return 0;
}

/* Maps the whole table, checks length and checksum. */
static int map_body(struct parse *ps, struct table *t, uint32_t min_len, struct reason *why)
{
	if (t->len < min_len || t->len > TABLE_MAX_SIZE)
		return refuse(why, ERR_INVALID,
			      "the ACPI table %s at 0x%llx is %u bytes long: %u to %u are possible",
			      t->name, (unsigned long long)t->address, t->len, min_len,
			      TABLE_MAX_SIZE);
	t->p = ps->mem->map(ps->mem->ctx, t->address, t->len);
	if (!t->p)
		return refuse(why, ERR_RANGE,
			      "the %u bytes of the ACPI table %s at 0x%llx cannot be read", t->len,
			      t->name, (unsigned long long)t->address);
	if (!checksum_ok(t->p, t->len))
		return refuse(why, ERR_INVALID,
			      "the checksum of the ACPI table %s at 0x%llx is wrong", t->name,
			      (unsigned long long)t->address);
	return 0;
}

/* ---- MADT ---- */

enum madt_type {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_X2APIC = 9,
};

#define MADT_HEADER        44u
#define MADT_CPU_ENABLED   BIT32(0)
#define MADT_APIC_ID_NONE8 0xffu /* the xAPIC broadcast address: no processor */
#define MADT_APIC_ID_NONE  UINT32_MAX

static const uint8_t madt_min_len[] = {
	[MADT_LAPIC] = 8,
	[MADT_IOAPIC] = 12,
	[MADT_OVERRIDE] = 10,
	[MADT_X2APIC] = 16,
};

/* Processors that are not there yet are left out; one that is named in both forms is taken once. */
static void add_cpu(struct parse *ps, uint32_t apic_id, uint32_t flags)
{
	struct acpi_info *out = ps->out;

	if (!(flags & MADT_CPU_ENABLED))
		return;
	for (uint32_t i = 0; i < out->n_cpus; i++)
		if (out->cpus[i].apic_id == apic_id)
			return;
	if (out->n_cpus == BOOT_MAX_CPUS) {
		ps->cpus_too_many++;
		return;
	}
	out->cpus[out->n_cpus++] = (struct acpi_cpu){.apic_id = apic_id};
}

static void add_ioapic(struct parse *ps, const uint8_t *e)
{
	struct acpi_info *out = ps->out;
	struct reason why;

	if (out->n_ioapics == BOOT_MAX_IOAPICS) {
		refuse(&why, 0,
		       "the ACPI table APIC names more than %d I/O APICs: the rest is left out",
		       BOOT_MAX_IOAPICS);
		ps->complain(ps->ctx, why.text);
		return;
	}
	out->ioapics[out->n_ioapics++] =
		(struct acpi_ioapic){.id = e[2], .address = le32(e + 4), .gsi_base = le32(e + 8)};
}

/* MPS INTI flags: polarity in bits 1:0 (3 is active low), trigger in bits 3:2 (3 is level); 0 is
 * the ISA bus's own way, active high and edge. */
static void add_override(struct parse *ps, const uint8_t *e)
{
	struct acpi_info *out = ps->out;
	uint16_t flags = le16(e + 8);
	struct reason why;

	if (e[2] != 0 || e[3] > 15 || out->n_overrides == BOOT_MAX_OVERRIDES) {
		refuse(&why, 0,
		       "the ACPI table APIC has an override for bus %u, interrupt %u, which is "
		       "left "
		       "out: at most %d for bus 0, interrupts 0 to 15, are right",
		       e[2], e[3], BOOT_MAX_OVERRIDES);
		ps->complain(ps->ctx, why.text);
		return;
	}
	out->overrides[out->n_overrides++] = (struct acpi_override){
		.irq = e[3],
		.gsi = le32(e + 4),
		.active_low = (flags & 3) == 3,
		.level = ((flags >> 2) & 3) == 3,
	};
}

static void madt_entry(struct parse *ps, const uint8_t *e)
{
	switch (e[0]) {
	case MADT_LAPIC:
		if (e[3] != MADT_APIC_ID_NONE8)
			add_cpu(ps, e[3], le32(e + 4));
		break;
	case MADT_X2APIC:
		if (le32(e + 4) != MADT_APIC_ID_NONE)
			add_cpu(ps, le32(e + 4), le32(e + 8));
		break;
	case MADT_IOAPIC:
		add_ioapic(ps, e);
		break;
	case MADT_OVERRIDE:
		add_override(ps, e);
		break;
	}
}

static int parse_madt(struct parse *ps, struct table *t, struct reason *why)
{
	struct acpi_info *out = ps->out;
	uint32_t off = MADT_HEADER;
	int err = map_body(ps, t, MADT_HEADER, why);

	if (err)
		return err;
	while (off < t->len) {
		const uint8_t *e = t->p + off;
		uint32_t room = t->len - off;

		if (room < 2 || e[1] < 2 || e[1] > room)
			return refuse(why, ERR_INVALID,
				      "the ACPI table APIC has an entry at offset %u that does not "
				      "fit into its %u bytes",
				      off, t->len);
		if (e[0] < ARRAY_SIZE(madt_min_len) && e[1] < madt_min_len[e[0]])
			return refuse(
				why, ERR_INVALID,
				"the ACPI table APIC has an entry of type %u with %u bytes: %u "
				"are right",
				e[0], e[1], madt_min_len[e[0]]);
		madt_entry(ps, e);
		off += e[1];
	}
	if (!out->n_cpus)
		return refuse(why, ERR_INVALID,
			      "the ACPI table APIC names no processor that is enabled");
	if (ps->cpus_too_many) {
		struct reason cut;

		refuse(&cut, 0,
		       "the machine has %u processors more than the %d that are possible: those "
		       "are left out",
		       ps->cpus_too_many, BOOT_MAX_CPUS);
		ps->complain(ps->ctx, cut.text);
	}
	return 0;
}

/* ---- FADT ---- */

#define FADT_V1_SIZE     116u
#define FADT_RESET_REG   BIT32(10) /* RESET_REG_SUP */
#define FADT_TMR_VAL_EXT BIT32(8)
#define FADT_HW_REDUCED  BIT32(20)
#define GAS_SIZE         12u
#define GAS_SPACE_IO     1u
#define GAS_SPACE_MEMORY 0u

static struct acpi_gas read_gas(const uint8_t *p)
{
	return (struct acpi_gas){.space = p[0], .address = le64(p + 4)};
}

/* A register block: the extended address if the table is long enough to have it and it is not zero,
 * else the old 32-bit port. */
static struct acpi_gas fadt_block(const struct table *t, uint32_t x_offset, uint32_t offset)
{
	struct acpi_gas g = {0};

	if (t->len >= x_offset + GAS_SIZE)
		g = read_gas(t->p + x_offset);
	if (!g.address) {
		g.space = GAS_SPACE_IO;
		g.address = le32(t->p + offset);
	}
	return g;
}

static int parse_fadt(struct parse *ps, struct table *t, struct reason *why)
{
	struct acpi_info *out = ps->out;
	uint32_t flags;
	int err = map_body(ps, t, FADT_V1_SIZE, why);

	if (err)
		return err;
	flags = le32(t->p + 112);
	out->has_fadt = true;
	out->dsdt = t->len >= 148 ? le64(t->p + 140) : 0;
	if (!out->dsdt)
		out->dsdt = le32(t->p + 40);
	out->smi_cmd = le32(t->p + 48);
	out->acpi_enable = t->p[52];
	if (!(flags & FADT_HW_REDUCED)) { /* else they have no meaning */
		out->pm1a_cnt = fadt_block(t, 172, 64);
		out->pm1b_cnt = fadt_block(t, 184, 68);
		out->pm_timer = fadt_block(t, 208, 76);
	}
	out->pm_timer_32bit = flags & FADT_TMR_VAL_EXT;
	if (t->len >= 129 && (flags & FADT_RESET_REG)) {
		out->reset_reg = read_gas(t->p + 116);
		out->reset_value = t->p[128];
		out->reset_supported = out->reset_reg.address != 0;
	}
	return 0;
}

/* ---- \_S5 ---- */

enum aml_op {
	AML_ZERO = 0x00,
	AML_ONE = 0x01,
	AML_NAME = 0x08,
	AML_BYTE = 0x0a,
	AML_WORD = 0x0b,
	AML_DWORD = 0x0c,
	AML_PACKAGE = 0x12,
	AML_ROOT_CHAR = 0x5c,
};

/* A constant in [*p, end); steps over it. False: not a constant, or cut. */
static bool aml_constant(const uint8_t **p, const uint8_t *end, uint32_t *v)
{
	size_t room = (size_t)(end - *p);
	const uint8_t *s = *p;

	if (!room)
		return false;
	switch (s[0]) {
	case AML_ZERO:
	case AML_ONE:
		*v = s[0];
		*p += 1;
		return true;
	case AML_BYTE:
		if (room < 2)
			return false;
		*v = s[1];
		*p += 2;
		return true;
	case AML_WORD:
		if (room < 3)
			return false;
		*v = le16(s + 1);
		*p += 3;
		return true;
	case AML_DWORD:
		if (room < 5)
			return false;
		*v = le32(s + 1);
		*p += 5;
		return true;
	default:
		return false;
	}
}

/*
 * A package of one or more constants at `p`, which are the sleep types for PM1a and PM1b; a package
 * of a single one has both in its lowest bytes. SLP_TYP is a field of 3 bits.
 */
static bool aml_sleep_package(const uint8_t *p, const uint8_t *end, uint8_t *a, uint8_t *b)
{
	const uint8_t *start;
	uint32_t length, va, vb;
	unsigned extra, count;

	if (end - p < 2 || p[0] != AML_PACKAGE)
		return false;
	/* PkgLength: bits 7:6 of its first byte say how many bytes follow; with none, bits 5:0 are
	 * the length, else bits 3:0 are its lowest bits. The length counts itself. */
	start = p + 1;
	extra = start[0] >> 6;
	if ((size_t)(end - start) < 1u + extra)
		return false;
	length = extra ? start[0] & 0xfu : start[0] & 0x3fu;
	for (unsigned i = 0; i < extra; i++)
		length |= (uint32_t)start[1 + i] << (4 + 8 * i);
	if (length < 2 + extra || length > (size_t)(end - start))
		return false;
	end = start + length;
	p = start + 1 + extra;
	count = *p++;
	if (!count || !aml_constant(&p, end, &va))
		return false;
	if (count == 1) {
		vb = (va >> 8) & 0xff;
		va &= 0xff;
	} else if (!aml_constant(&p, end, &vb)) {
		return false;
	}
	if (va > 7 || vb > 7)
		return false;
	*a = (uint8_t)va;
	*b = (uint8_t)vb;
	return true;
}

static void find_s5(struct acpi_info *out, const struct table *t)
{
	const uint8_t *end = t->p + t->len;

	for (const uint8_t *p = t->p + HEADER_SIZE; end - p >= 6; p++) {
		const uint8_t *name = p + 1;

		if (p[0] != AML_NAME)
			continue;
		if (name[0] == AML_ROOT_CHAR)
			name++;
		if (end - name < 4 || memcmp(name, "_S5_", 4))
			continue;
		if (aml_sleep_package(name + 4, end, &out->s5_typ_a, &out->s5_typ_b)) {
			out->has_s5 = true;
			return;
		}
	}
}

static int parse_aml(struct parse *ps, struct table *t, struct reason *why)
{
	int err = map_body(ps, t, HEADER_SIZE, why);

	if (!err && !ps->out->has_s5)
		find_s5(ps->out, t);
	return err;
}

static int parse_dsdt(struct parse *ps, struct reason *why)
{
	struct table t;
	int err = map_header(ps, ps->out->dsdt, &t, why);

	if (err)
		return err;
	if (memcmp(t.p, "DSDT", 4))
		return refuse(why, ERR_INVALID,
			      "the ACPI table at 0x%llx is %s where DSDT is expected",
			      (unsigned long long)t.address, t.name);
	return parse_aml(ps, &t, why);
}

/* ---- HPET ---- */

static int parse_hpet(struct parse *ps, struct table *t, struct reason *why)
{
	struct acpi_gas g;
	int err = map_body(ps, t, 56, why);

	if (err)
		return err;
	g = read_gas(t->p + 40);
	if (g.space != GAS_SPACE_MEMORY || !g.address)
		return refuse(
			why, ERR_INVALID,
			"the ACPI table HPET names address space %u, address 0x%llx: memory is "
			"right",
			g.space, (unsigned long long)g.address);
	ps->out->hpet = g.address;
	return 0;
}

/* ---- the root ---- */

/* Finds the root table from the RSDP's copy. `width`: bytes of one of its entries. */
static int map_root(struct parse *ps, const struct boot_info *boot, struct table *t,
		    uint32_t *width, struct reason *why)
{
	const uint8_t *rsdp = boot->rsdp;
	uint64_t address;
	int err;

	if (!boot->has_rsdp)
		return refuse(
			why, ERR_NOT_FOUND,
			"the boot loader gave no ACPI RSDP: switch ACPI on in the firmware, or "
			"use GRUB 2.02 or newer");
	if (memcmp(rsdp, "RSD PTR ", 8))
		return refuse(why, ERR_INVALID, "the ACPI RSDP has a wrong signature");
	if (!checksum_ok(rsdp, 20))
		return refuse(why, ERR_INVALID, "the checksum of the ACPI RSDP is wrong");
	address = le32(rsdp + 16);
	*width = 4;
	if (rsdp[15] >= 2 && boot->rsdp_len >= 36 && le64(rsdp + 24)) {
		if (le32(rsdp + 20) == 36 && !checksum_ok(rsdp, 36))
			return refuse(why, ERR_INVALID,
				      "the extended checksum of the ACPI RSDP is wrong");
		address = le64(rsdp + 24);
		*width = 8;
	}
	err = map_header(ps, address, t, why);
	if (err)
		return err;
	if (memcmp(t->p, *width == 8 ? "XSDT" : "RSDT", 4))
		return refuse(why, ERR_INVALID,
			      "the ACPI table at 0x%llx is %s where %s is expected",
			      (unsigned long long)address, t->name, *width == 8 ? "XSDT" : "RSDT");
	err = map_body(ps, t, HEADER_SIZE, why);
	if (err)
		return err;
	if ((t->len - HEADER_SIZE) / *width > ROOT_MAX)
		return refuse(why, ERR_RANGE, "the ACPI table %s names more than %u tables",
			      t->name, ROOT_MAX);
	return 0;
}

struct reader {
	char name[5];
	int (*parse)(struct parse *ps, struct table *t, struct reason *why);
	bool many; /* each one of that name is read, not only the first */
};

/* The FADT stands first: \_S5 is looked for in the DSDT before the SSDTs. */
static const struct reader readers[] = {
	{"FACP", parse_fadt, false},
	{"SSDT", parse_aml, true},
	{"HPET", parse_hpet, false},
};

/* Address of the root table's entry i. */
static uint64_t root_entry(const struct table *root, uint32_t width, uint32_t i)
{
	const uint8_t *p = root->p + HEADER_SIZE + (size_t)i * width;

	return width == 8 ? le64(p) : le32(p);
}

static void read_optional(struct parse *ps, const struct table *root, uint32_t width, uint32_t n,
			  const struct reader *r)
{
	struct reason why;
	struct table t;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t address = root_entry(root, width, i);

		if (!address || map_header(ps, address, &t, NULL) || memcmp(t.p, r->name, 4))
			continue;
		if (r->parse(ps, &t, &why))
			ps->complain(ps->ctx, why.text);
		if (!r->many)
			return;
	}
}

int acpi_parse(const struct boot_info *boot, const struct acpi_memory *mem, struct acpi_info *out,
	       void (*complain)(void *ctx, const char *sentence), void *ctx, struct reason *why)
{
	struct parse ps = {.mem = mem, .out = out, .complain = complain, .ctx = ctx};
	struct table root, t;
	uint32_t width = 0, n;
	bool has_madt = false;
	int err;

	memset(out, 0, sizeof(*out));
	err = map_root(&ps, boot, &root, &width, why);
	if (err)
		return err;
	n = (root.len - HEADER_SIZE) / width;
	for (uint32_t i = 0; i < n && !has_madt; i++) {
		uint64_t address = root_entry(&root, width, i);
		struct reason bad;

		/* Some firmware leaves holes in its list. */
		if (!address)
			continue;
		if (map_header(&ps, address, &t, &bad)) {
			complain(ctx, bad.text);
			continue;
		}
		has_madt = !memcmp(t.p, "APIC", 4);
	}
	if (!has_madt)
		return refuse(why, ERR_NOT_FOUND,
			      "the machine has no ACPI table APIC (MADT), which names its "
			      "processors: switch ACPI on in the firmware");
	err = parse_madt(&ps, &t, why);
	if (err)
		return err;
	for (unsigned i = 0; i < ARRAY_SIZE(readers); i++) {
		read_optional(&ps, &root, width, n, &readers[i]);
		if (readers[i].parse == parse_fadt && out->dsdt) {
			struct reason bad;

			if (parse_dsdt(&ps, &bad))
				complain(ctx, bad.text);
		}
	}
	return 0;
}
