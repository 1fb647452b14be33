/* The machine's ACPI tables: a made-up machine in an array, and every way to be broken. */
#include "tests/unit/broken.h"

#include "boot/info.h"
#include "lib/le.h"

/* Physical memory: table n lies at BASE + n * ROOM, each in a block of just its own size. */
#define BASE     0x7fe0000ull
#define ROOM     0x10000ull
#define N_TABLES 12

static uint8_t table[N_TABLES][4096];
static uint32_t table_len[N_TABLES];
static struct boot_info boot;
static struct acpi_info info;
static struct reason why;
static char said[8][240];
static unsigned n_said;

enum {
	XSDT,
	MADT,
	FADT,
	DSDT,
	SSDT,
	HPET,
	RSDT,
	SPARE
};

static uint8_t *blocks[N_TABLES];

static const void *map(void *ctx, uint64_t pa, uint64_t len)
{
	uint64_t n = (pa - BASE) / ROOM, off = (pa - BASE) % ROOM;

	(void)ctx;
	if (pa < BASE || n >= N_TABLES || !blocks[n] || off + len > table_len[n])
		return NULL;
	return blocks[n] + off;
}

static uint64_t address(unsigned n)
{
	return BASE + n * ROOM;
}

static void complain(void *ctx, const char *sentence)
{
	(void)ctx;
	assert_sentence(sentence);
	strncpy(said[MIN(n_said, 7u)], sentence, 239);
	n_said++;
}

static void seal(unsigned n)
{
	uint8_t sum = 0;

	table[n][9] = 0;
	for (uint32_t i = 0; i < table_len[n]; i++)
		sum = (uint8_t)(sum + table[n][i]);
	table[n][9] = (uint8_t)-sum;
}

static void finish(unsigned n, const char *name, uint32_t len)
{
	memcpy(table[n], name, 4);
	put_le32(table[n] + 4, len);
	table_len[n] = len;
	seal(n);
}

static void gas(uint8_t *p, uint8_t space, uint8_t bits, uint64_t addr)
{
	p[0] = space;
	p[1] = bits;
	put_le64(p + 4, addr);
}

static void seal_rsdp(void)
{
	uint8_t sum = 0;

	boot.rsdp[8] = 0;
	for (unsigned i = 0; i < 20; i++)
		sum = (uint8_t)(sum + boot.rsdp[i]);
	boot.rsdp[8] = (uint8_t)-sum;
	boot.rsdp[32] = 0;
	sum = 0;
	for (unsigned i = 0; i < 36; i++)
		sum = (uint8_t)(sum + boot.rsdp[i]);
	boot.rsdp[32] = (uint8_t)-sum;
}

/* Appends an entry to the MADT. */
static uint32_t madt_len;

static uint8_t *madt(uint8_t type, uint8_t len)
{
	uint8_t *e = table[MADT] + madt_len;

	memset(e, 0, len);
	e[0] = type;
	e[1] = len;
	madt_len += len;
	return e;
}

static void madt_cpu(uint8_t uid, uint8_t apic_id, uint32_t flags)
{
	uint8_t *e = madt(0, 8);

	e[2] = uid;
	e[3] = apic_id;
	put_le32(e + 4, flags);
}

static void madt_x2cpu(uint32_t uid, uint32_t apic_id, uint32_t flags)
{
	uint8_t *e = madt(9, 16);

	put_le32(e + 4, apic_id);
	put_le32(e + 8, flags);
	put_le32(e + 12, uid);
}

static void madt_override(uint8_t bus, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	uint8_t *e = madt(2, 10);

	e[2] = bus;
	e[3] = irq;
	put_le32(e + 4, gsi);
	put_le16(e + 8, flags);
}

static void make_madt(void)
{
	uint8_t *e;

	madt_len = 44;
	put_le32(table[MADT] + 36, 0xfee00000);
	put_le32(table[MADT] + 40, 1);
	madt_cpu(0, 0, 1);
	madt_cpu(1, 2, 1);
	madt_cpu(2, 4, 0);    /* never there */
	madt_cpu(3, 6, 2);    /* may be switched on */
	madt_cpu(4, 0xff, 1); /* no APIC id */
	madt_x2cpu(5, 2, 1);  /* named already */
	madt_x2cpu(6, 0x1234, 1);
	madt_x2cpu(7, UINT32_MAX, 1);
	e = madt(1, 12);
	e[2] = 9;
	put_le32(e + 4, 0xfec00000);
	put_le32(e + 8, 24);
	madt_override(0, 0, 2, 0);
	madt_override(0, 9, 9, 0xd);  /* active high, level */
	madt_override(0, 5, 20, 0xf); /* active low, level */
	madt(4, 6);                   /* not of interest */
	madt(0x7f, 2);
	finish(MADT, "APIC", madt_len);
}

static void make_fadt(uint32_t len)
{
	uint8_t *p = table[FADT];

	memset(p, 0, sizeof(table[FADT]));
	put_le32(p + 40, (uint32_t)address(DSDT));
	put_le16(p + 46, 9);
	put_le32(p + 48, 0xb2);
	p[52] = 0xf1;
	put_le32(p + 56, 0x600);
	put_le32(p + 64, 0x604);
	put_le32(p + 76, 0x608);
	p[88] = 4;
	p[89] = 2;
	p[91] = 4;
	put_le32(p + 112, (1u << 8) | (1u << 10));
	gas(p + 116, 1, 8, 0xcf9);
	p[128] = 6;
	if (len > 208) {
		put_le64(p + 140, address(DSDT));
		gas(p + 172, 0, 16, 0xfed80804);
		gas(p + 208, 1, 32, 0x808);
	}
	finish(FADT, "FACP", len);
}

static void make_aml(unsigned n, const char *name, const void *aml, uint32_t len)
{
	memset(table[n], 0, sizeof(table[n]));
	memcpy(table[n] + 36, aml, len);
	finish(n, name, 36 + len);
}

#define FORM(bytes) bytes, sizeof(bytes) - 1
#define S5(bytes)   make_aml(DSDT, "DSDT", bytes, sizeof(bytes) - 1)

static void make_machine(void)
{
	static const unsigned list[] = {FADT, MADT, SSDT, HPET};

	memset(table, 0, sizeof(table));
	memset(table_len, 0, sizeof(table_len));
	memset(&boot, 0, sizeof(boot));
	memcpy(boot.rsdp, "RSD PTR ", 8);
	boot.rsdp[15] = 2;
	put_le32(boot.rsdp + 16, (uint32_t)address(RSDT));
	put_le32(boot.rsdp + 20, 36);
	put_le64(boot.rsdp + 24, address(XSDT));
	boot.rsdp_len = 36;
	boot.has_rsdp = true;
	seal_rsdp();

	make_madt();
	make_fadt(244);
	S5("\x10\x05_SB_\x08_S5_\x12\x07\x04\x0a\x05\x0a\x06\x00\x00");
	make_aml(SSDT, "SSDT", "\x00", 1);

	gas(table[HPET] + 40, 0, 64, 0xfed00000);
	finish(HPET, "HPET", 56);

	for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
		put_le64(table[XSDT] + 36 + 8 * i, address(list[i]));
	put_le64(table[XSDT] + 36 + 8 * 4, 0); /* a hole */
	finish(XSDT, "XSDT", 36 + 8 * 5);
	put_le32(table[RSDT] + 36, (uint32_t)address(MADT));
	finish(RSDT, "RSDT", 40);
}

static int parse(void)
{
	static const struct acpi_memory mem = {.map = map};
	int err;

	for (unsigned n = 0; n < N_TABLES; n++)
		blocks[n] = table_len[n] ? broken_copy(table[n], table_len[n]) : NULL;
	n_said = 0;
	memset(said, 0, sizeof(said));
	memset(&why, 0, sizeof(why));
	memset(&info, 0xa5, sizeof(info));
	err = acpi_parse(&boot, &mem, &info, complain, NULL, &why);
	for (unsigned n = 0; n < N_TABLES; n++)
		free(blocks[n]);
	if (err)
		assert_sentence(why.text);
	return err;
}

static void test_machine(void **state)
{
	(void)state;
	make_machine();
	assert_int_equal(parse(), 0);
	assert_int_equal(n_said, 0);
	assert_int_equal(info.n_cpus, 3);
	assert_int_equal(info.cpus[0].apic_id, 0);
	assert_int_equal(info.cpus[1].apic_id, 2);
	assert_int_equal(info.cpus[2].apic_id, 0x1234);
	assert_int_equal(info.n_ioapics, 1);
	assert_int_equal(info.ioapics[0].id, 9);
	assert_int_equal(info.ioapics[0].address, 0xfec00000);
	assert_int_equal(info.ioapics[0].gsi_base, 24);
	assert_int_equal(info.n_overrides, 3);
	assert_int_equal(info.overrides[0].gsi, 2);
	assert_false(info.overrides[0].active_low);
	assert_false(info.overrides[0].level);
	assert_false(info.overrides[1].active_low);
	assert_true(info.overrides[1].level);
	assert_true(info.overrides[2].active_low);
	assert_true(info.overrides[2].level);
	assert_int_equal(info.overrides[2].irq, 5);
	assert_int_equal(info.hpet, 0xfed00000);
	assert_true(info.has_s5);
	assert_int_equal(info.s5_typ_a, 5);
	assert_int_equal(info.s5_typ_b, 6);
}

static void test_fadt(void **state)
{
	(void)state;
	make_machine();
	assert_int_equal(parse(), 0);
	assert_true(info.has_fadt);
	assert_int_equal(info.smi_cmd, 0xb2);
	assert_int_equal(info.acpi_enable, 0xf1);
	assert_int_equal(info.pm1a_cnt.address, 0xfed80804); /* the extended one wins */
	assert_int_equal(info.pm1a_cnt.space, 0);
	assert_int_equal(info.pm1b_cnt.address, 0);
	assert_int_equal(info.pm_timer.address, 0x808);
	assert_true(info.pm_timer_32bit);
	assert_true(info.reset_supported);
	assert_int_equal(info.reset_reg.address, 0xcf9);
	assert_int_equal(info.reset_value, 6);

	/* Hardware-reduced: whatever the table has there is nothing. */
	put_le32(table[FADT] + 112, (1u << 8) | (1u << 10) | (1u << 20));
	seal(FADT);
	assert_int_equal(parse(), 0);
	assert_int_equal(info.pm1a_cnt.address, 0);
	assert_int_equal(info.pm_timer.address, 0);
	assert_true(info.reset_supported);

	/* ACPI 1.0 has none of the extended fields and no reset register. */
	make_fadt(116);
	assert_int_equal(parse(), 0);
	assert_int_equal(info.dsdt, address(DSDT));
	assert_int_equal(info.pm1a_cnt.address, 0x604);
	assert_int_equal(info.pm1a_cnt.space, 1);
	assert_int_equal(info.pm_timer.address, 0x608);
	assert_false(info.reset_supported);
	assert_true(info.has_s5);

	/* Up to the reset value, and one byte less. */
	make_fadt(129);
	assert_int_equal(parse(), 0);
	assert_true(info.reset_supported);
	make_fadt(128);
	assert_int_equal(parse(), 0);
	assert_false(info.reset_supported);

	make_fadt(115);
	assert_int_equal(parse(), 0);
	assert_int_equal(n_said, 1);
	assert_non_null(strstr(said[0], "FACP"));
	assert_false(info.has_fadt);
	assert_int_equal(info.n_cpus, 3);
}

static void test_s5_forms(void **state)
{
	static const struct {
		const char *aml;
		uint32_t len;
		bool good;
		uint8_t a, b;
	} forms[] = {
		{FORM("\x08_S5_\x12\x06\x04\x00\x00\x00\x00"), true, 0, 0},
		{FORM("\x08_S5_\x12\x06\x04\x01\x01\x00\x00"), true, 1, 1},
		{FORM("\x08\\_S5_\x12\x06\x04\x01\x00\x00\x00"), true, 1, 0},
		{FORM("\x08_S5_\x12\x08\x02\x0b\x05\x00\x0b\x07\x00"), true, 5, 7},
		{FORM("\x08_S5_\x12\x0c\x02\x0c\x05\x00\x00\x00\x0c\x01\x00\x00\x00"), true, 5, 1},
		{FORM("\x08_S5_\x12\x05\x01\x0b\x05\x03"), true, 5, 3}, /* both in one word */
		{FORM("\x08_S5_\x12\x47\x00\x02\x0a\x05\x0a\x05"), true, 5,
		 5}, /* longer PkgLength */
		{FORM("\x08_S5_\x12\x86\x00\x00\x02\x05\x05"), false, 0, 0},
		{FORM("\x08_S5_\x12\x06\x04\x0a\x08\x0a\x05"), false, 0, 0}, /* 8 does not fit */
		{FORM("\x08_S5_\x12\x06\x04\x0a\x05\x0a\x08"), false, 0, 0},
		{FORM("\x08_S5_\x12\x07\x04\x0a\x05\x0a\x05"), false, 0, 0}, /* behind the end */
		{FORM("\x08_S5_\x12\x04\x04\x0a\x05\x0a\x05"), false, 0, 0}, /* cut by its length */
		{FORM("\x08_S5_\x12\x02\x00\x01\x01"), false, 0, 0},         /* no element */
		{FORM("\x08_S5_\x12\x01\x02\x01\x01"), false, 0, 0},
		{FORM("\x08_S5_\x12\x04\x02\xff\xff"), false, 0, 0}, /* not constants */
		{FORM("\x08_S5_\x0a\x05"), false, 0, 0},             /* not a package */
		{FORM("\x10_S5_\x12\x04\x02\x01\x01"), false, 0, 0}, /* not a name */
		{FORM("\x08_S5_\x12\xc4"), false, 0, 0},
		{FORM("\x08_S5_\x12\x05\x02\x0c\x05\x00"), false, 0, 0}, /* cut constants */
		{FORM("\x08_S5_\x12\x04\x02\x0b\x05"), false, 0, 0},
		{FORM("\x08_S5_\x12\x03\x02\x0a"), false, 0, 0},
		{FORM("\x08_S5_\x12"), false, 0, 0},
		{FORM("\x08_S5_"), false, 0, 0},
		{FORM("\x08\\_S5"), false, 0, 0},
	};

	(void)state;
	make_machine();
	for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
		make_aml(DSDT, "DSDT", forms[i].aml, forms[i].len);
		assert_int_equal(parse(), 0);
		assert_int_equal(n_said, 0);
		assert_int_equal(info.has_s5, forms[i].good);
		if (forms[i].good) {
			assert_int_equal(info.s5_typ_a, forms[i].a);
			assert_int_equal(info.s5_typ_b, forms[i].b);
		}
	}
	/* A look-alike before the right one. */
	S5("_S5_\x08_S5_\x0d\x08_S5_\x12\x04\x02\x01\x01");
	assert_int_equal(parse(), 0);
	assert_true(info.has_s5);
	/* In an SSDT. */
	S5("\x00");
	make_aml(SSDT, "SSDT", FORM("\x08_S5_\x12\x04\x02\x01\x01"));
	assert_int_equal(parse(), 0);
	assert_true(info.has_s5);
	/* The DSDT is the first to be asked. */
	S5("\x08_S5_\x12\x06\x02\x0a\x07\x0a\x07");
	assert_int_equal(parse(), 0);
	assert_int_equal(info.s5_typ_a, 7);
}

static void test_rsdp(void **state)
{
	(void)state;
	make_machine();
	boot.has_rsdp = false;
	assert_int_equal(parse(), ERR_NOT_FOUND);

	make_machine();
	boot.rsdp[0] = 'X';
	seal_rsdp();
	assert_int_equal(parse(), ERR_INVALID);

	make_machine();
	boot.rsdp[9]++;
	assert_int_equal(parse(), ERR_INVALID);
	assert_string_equal(why.text, "the checksum of the ACPI RSDP is wrong");

	make_machine();
	boot.rsdp[33]++;
	assert_int_equal(parse(), ERR_INVALID);
	assert_string_equal(why.text, "the extended checksum of the ACPI RSDP is wrong");

	/* Version 1, and version 2 without an XSDT: the RSDT, which names the MADT only. */
	make_machine();
	boot.rsdp[15] = 0;
	seal_rsdp();
	assert_int_equal(parse(), 0);
	assert_false(info.has_fadt);
	assert_int_equal(info.n_cpus, 3);
	make_machine();
	put_le64(boot.rsdp + 24, 0);
	seal_rsdp();
	assert_int_equal(parse(), 0);
	assert_false(info.has_fadt);
	make_machine();
	boot.rsdp_len = 20;
	assert_int_equal(parse(), 0);
	assert_false(info.has_fadt);

	make_machine();
	put_le64(boot.rsdp + 24, address(MADT));
	seal_rsdp();
	assert_int_equal(parse(), ERR_INVALID);
	assert_non_null(strstr(why.text, "is APIC where XSDT is expected"));
	put_le64(boot.rsdp + 24, 0x1000);
	seal_rsdp();
	assert_int_equal(parse(), ERR_RANGE);
}

static void test_broken_root(void **state)
{
	(void)state;
	make_machine();
	table[XSDT][40]++;
	assert_int_equal(parse(), ERR_INVALID);
	assert_non_null(strstr(why.text, "the checksum of the ACPI table XSDT"));

	make_machine();
	put_le32(table[XSDT] + 4, 35);
	assert_int_equal(parse(), ERR_INVALID);
	put_le32(table[XSDT] + 4, UINT32_MAX);
	assert_int_equal(parse(), ERR_INVALID);
	put_le32(table[XSDT] + 4, 85);
	assert_int_equal(parse(), ERR_RANGE);

	/* An entry that cannot be read is said, and the others are taken. */
	make_machine();
	put_le64(table[XSDT] + 36, 0x123456789000);
	seal(XSDT);
	assert_int_equal(parse(), 0);
	assert_int_equal(n_said, 1);
	assert_int_equal(info.hpet, 0xfed00000);

	make_machine();
	memcpy(table[MADT], "CIPA", 4);
	assert_int_equal(parse(), ERR_NOT_FOUND);
}

static void test_broken_madt(void **state)
{
	(void)state;
	make_machine();
	table[MADT][50]++;
	assert_int_equal(parse(), ERR_INVALID);

	make_machine();
	madt_len = 44;
	finish(MADT, "APIC", madt_len);
	assert_int_equal(parse(), ERR_INVALID);
	assert_non_null(strstr(why.text, "names no processor that is enabled"));
	madt_cpu(0, 0, 2);
	finish(MADT, "APIC", madt_len);
	assert_int_equal(parse(), ERR_INVALID);

	make_machine();
	madt(0, 7);
	finish(MADT, "APIC", madt_len);
	assert_int_equal(parse(), ERR_INVALID);
	assert_non_null(strstr(why.text, "an entry of type 0 with 7 bytes: 8 are right"));

	make_machine();
	madt(3, 1);
	finish(MADT, "APIC", madt_len);
	assert_int_equal(parse(), ERR_INVALID);
	make_machine();
	madt(3, 0);
	madt_len += 2;
	finish(MADT, "APIC", madt_len);
	assert_int_equal(parse(), ERR_INVALID);
	make_machine();
	madt(3, 8);
	finish(MADT, "APIC", madt_len - 1);
	assert_int_equal(parse(), ERR_INVALID);

	/* Overrides that make no sense are said and left out. */
	make_machine();
	madt_override(1, 3, 3, 0);
	madt_override(0, 16, 3, 0);
	finish(MADT, "APIC", madt_len);
	assert_int_equal(parse(), 0);
	assert_int_equal(n_said, 2);
	assert_int_equal(info.n_overrides, 3);
}

static void test_limits(void **state)
{
	(void)state;
	make_machine();
	madt_len = 44;
	for (unsigned i = 0; i < 254; i++)
		madt_cpu((uint8_t)i, (uint8_t)i, 1);
	madt_x2cpu(300, 300, 1);
	madt_x2cpu(301, 301, 1);
	finish(MADT, "APIC", madt_len);
	assert_int_equal(parse(), 0);
	assert_int_equal(info.n_cpus, BOOT_MAX_CPUS);
	assert_int_equal(n_said, 0);
	madt_x2cpu(302, 302, 1);
	madt_x2cpu(303, 303, 0); /* is not there */
	madt_x2cpu(304, 304, 1);
	finish(MADT, "APIC", madt_len);
	assert_int_equal(parse(), 0);
	assert_int_equal(info.n_cpus, BOOT_MAX_CPUS);
	assert_int_equal(n_said, 1);
	assert_non_null(strstr(said[0], "2 processors more than the 256"));

	make_machine();
	for (unsigned i = 1; i <= BOOT_MAX_IOAPICS; i++)
		madt(1, 12);
	for (unsigned i = 3; i <= BOOT_MAX_OVERRIDES; i++)
		madt_override(0, 1, 1, 0);
	finish(MADT, "APIC", madt_len);
	assert_int_equal(parse(), 0);
	assert_int_equal(info.n_ioapics, BOOT_MAX_IOAPICS);
	assert_int_equal(info.n_overrides, BOOT_MAX_OVERRIDES);
	assert_int_equal(n_said, 2);
}

static void test_broken_optional(void **state)
{
	(void)state;
	make_machine();
	table[DSDT][36]++;
	table[HPET][41]++;
	assert_int_equal(parse(), 0);
	assert_int_equal(n_said, 2);
	assert_false(info.has_s5);
	assert_int_equal(info.hpet, 0);
	assert_true(info.has_fadt);

	make_machine();
	memcpy(table[DSDT], "DSTD", 4);
	table[HPET][40] = 1; /* an I/O port */
	seal(HPET);
	assert_int_equal(parse(), 0);
	assert_int_equal(n_said, 2);
	assert_string_equal(said[0], "the ACPI table at 0x8010000 is DSTD where DSDT is expected");

	/* A DSDT that is not there. */
	make_machine();
	put_le64(table[FADT] + 140, 0x1000);
	seal(FADT);
	assert_int_equal(parse(), 0);
	assert_int_equal(n_said, 1);
	make_machine();
	put_le64(table[FADT] + 140, 0);
	put_le32(table[FADT] + 40, 0);
	seal(FADT);
	assert_int_equal(parse(), 0);
	assert_int_equal(n_said, 0);
	assert_false(info.has_s5);
}

/* Every table at every shorter length, with a right checksum and length field, and with the old
 * length field over less memory. */
static void test_cut(void **state)
{
	(void)state;
	make_machine();
	for (unsigned n = 0; n < SPARE; n++) {
		for (uint32_t len = 0;; len++) {
			make_machine();
			if (len >= table_len[n])
				break;
			table_len[n] = len;
			parse();
			put_le32(table[n] + 4, len);
			seal(n);
			parse();
		}
	}
}

static void test_random(void **state)
{
	unsigned good = 0;

	(void)state;
	for (unsigned i = 0; i < 12000; i++) {
		unsigned n = (unsigned)(broken_random() % SPARE);

		make_machine();
		broken_flip(table[n], n == XSDT ? 36 : 4, table_len[n]);
		seal(n);
		if (!parse()) {
			good++;
			assert_in_range(info.n_cpus, 1, BOOT_MAX_CPUS);
			assert_in_range(info.n_overrides, 0, BOOT_MAX_OVERRIDES);
			if (info.has_s5)
				assert_true(info.s5_typ_a <= 7 && info.s5_typ_b <= 7);
		}
	}
	assert_in_range(good, 1000, 11999);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_machine),     cmocka_unit_test(test_fadt),
		cmocka_unit_test(test_s5_forms),    cmocka_unit_test(test_rsdp),
		cmocka_unit_test(test_broken_root), cmocka_unit_test(test_broken_madt),
		cmocka_unit_test(test_limits),      cmocka_unit_test(test_broken_optional),
		cmocka_unit_test(test_cut),         cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
