/* Page-table walks: each paging mode, each fault with its error code, accessed and dirty bits. */
#include "tests/unit/gwalk_tables.h"

static void walk_pf(uint64_t gva, unsigned access, uint32_t error)
{
	struct gpa fast;

	memset(&fault, 0x5a, sizeof(fault));
	assert_false(gwalk(&code_mem, &c, gva, access, &out, &fault));
	assert_int_equal(fault.kind, EVENT_EXCEPTION);
	assert_int_equal(fault.vector, VEC_PF);
	assert_true(fault.has_error);
	assert_int_equal(fault.error, error);
	assert_int_equal(fault.payload, gva);
	assert_false(gwalk_any(&code_mem, &c, gva, access, &fast, &fault));
	assert_int_equal(fault.error, error);
}

static void walk_gp(uint64_t gva)
{
	memset(&fault, 0x5a, sizeof(fault));
	assert_false(gwalk(&code_mem, &c, gva, 0, &out, &fault));
	assert_int_equal(fault.kind, EVENT_EXCEPTION);
	assert_int_equal(fault.vector, VEC_GP);
	assert_true(fault.has_error);
	assert_int_equal(fault.error, 0);
}

static void test_no_paging(void **state)
{
	(void)state;
	begin(M_4, GVA);
	c.cr0 &= ~CR0_PG;
	c.efer = 0;
	walk_ok(0, 0, 0);
	walk_ok(0xfedcba98, WALK_WRITE | WALK_USER | WALK_FETCH, 0xfedcba98);
}

static void test_small_page(void **state)
{
	(void)state;
	for (enum mode m = M_32; m < M_COUNT; m++) {
		begin(m, GVA);
		walk_ok(GVA, 0, PAGE + 0x678);
		walk_ok(GVA | 0xfff, WALK_USER, PAGE + 0xfff);
		walk_ok(GVA & ~0xfffull, WALK_WRITE, PAGE);
		walk_ok(GVA, WALK_FETCH, PAGE + 0x678);
		walk_pf(GVA + 0x1000, 0, 0);
		walk_pf(GVA - 0x1000, WALK_WRITE, PF_W);
	}
}

/* Each bit of the address that selects an entry. */
static void test_indexes(void **state)
{
	static const unsigned bits[M_COUNT] = {32, 32, 47, 56};

	(void)state;
	for (enum mode m = M_32; m < M_COUNT; m++) {
		for (unsigned bit = 12; bit < bits[m]; bit++) {
			begin(m, BIT(bit));
			walk_ok(BIT(bit) + 5, 0, PAGE + 5);
			walk_pf(0, 0, 0);
			walk_pf(BIT(bit == bits[m] - 1 ? 12 : bit + 1), 0, 0);
		}
	}
	/* the upper half */
	begin(M_4, 0xffff800000000000);
	walk_ok(0xffff800000000123, 0, PAGE + 0x123);
	walk_pf(0x00007ffffffff123, 0, 0);
	begin(M_5, 0xff00000000000000);
	walk_ok(0xff00000000000123, 0, PAGE + 0x123);
}

static void test_large_pages(void **state)
{
	(void)state;
	for (enum mode m = M_32; m < M_COUNT; m++) {
		uint64_t size = m == M_32 ? 4 * MIB : 2 * MIB;

		begin(m, GVA);
		c.cr4 |= CR4_PSE;
		set(2, GVA, 5 * size | PTE_P | PTE_W | PTE_PS);
		walk_ok(GVA, WALK_WRITE, 5 * size + (GVA & (size - 1)));
		assert_int_equal(get(2, GVA), 5 * size | PTE_P | PTE_W | PTE_PS | PTE_A | PTE_D);
		/* bit 12 is the PAT's, bits 8 to 11 are free */
		set(2, GVA, 5 * size | 0x1f00 | PTE_P | PTE_W | PTE_PS);
		walk_ok(GVA, 0, 5 * size + (GVA & (size - 1)));
		for (unsigned bit = 13; bit < 21; bit++) {
			set(2, GVA, 5 * size | BIT(bit) | PTE_P | PTE_PS);
			if (m != M_32)
				walk_pf(GVA, 0, PF_P | PF_R);
		}
	}
	for (enum mode m = M_4; m <= M_5; m++) {
		begin(m, GVA);
		set(3, GVA, 7 * GIB | PTE_P | PTE_PS | PTE_NX | BIT(12));
		walk_ok(GVA, WALK_IMPLICIT, 7 * GIB + GVA);
		walk_pf(GVA, WALK_FETCH, PF_P | PF_I);
		for (unsigned bit = 13; bit < 30; bit++) {
			set(3, GVA, 7 * GIB | BIT(bit) | PTE_P | PTE_PS);
			walk_pf(GVA, 0, PF_P | PF_R);
		}
	}
}

/* 4 MiB pages only with PSE; bits 20:13 are address bits 39:32, as far as there are so many. */
static void test_pse36(void **state)
{
	(void)state;
	begin(M_32, GVA);
	set(2, GVA, TABLES | PTE_P | PTE_PS);
	walk_ok(GVA, 0, PAGE + 0x678);
	c.cr4 |= CR4_PSE;
	for (unsigned phys = 32; phys <= 52; phys++) {
		unsigned high = MIN(phys, 40u) - 32;

		c.phys_bits = (uint8_t)phys;
		for (unsigned bit = 0; bit < 8; bit++) {
			set(2, GVA, BIT(13 + bit) | 0x400000 | PTE_P | PTE_PS);
			if (bit < high)
				walk_ok(GVA, 0, BIT(32 + bit) + 0x400000 + (GVA & 0x3fffff));
			else
				walk_pf(GVA, 0, PF_P | PF_R);
		}
		set(2, GVA, BIT(21) | PTE_P | PTE_PS);
		walk_pf(GVA, 0, PF_P | PF_R);
	}
}

static void test_not_present(void **state)
{
	(void)state;
	for (enum mode m = M_32; m < M_COUNT; m++) {
		for (unsigned level = 1; level <= levels[m]; level++) {
			begin(m, GVA);
			/* all else in an entry that is not present is the guest's own */
			set(level, GVA, UINT64_MAX & ~PTE_P);
			walk_pf(GVA, 0, 0);
			walk_pf(GVA, WALK_WRITE, PF_W);
			walk_pf(GVA, WALK_USER | WALK_WRITE, PF_U | PF_W);
			walk_pf(GVA, WALK_IMPLICIT, 0);
			walk_pf(GVA, WALK_FETCH, wide() ? PF_I : 0);
			walk_pf(GVA, WALK_FETCH | WALK_USER, PF_U | (wide() ? PF_I : 0));
			c.efer &= ~EFER_NXE;
			walk_pf(GVA, WALK_FETCH, 0);
			c.cr4 |= CR4_SMEP;
			walk_pf(GVA, WALK_FETCH, PF_I);
		}
	}
}

static void test_user(void **state)
{
	(void)state;
	for (enum mode m = M_32; m < M_COUNT; m++) {
		for (unsigned level = 1; level <= levels[m]; level++) {
			begin(m, GVA);
			if (!has_rights(level))
				continue;
			set(level, GVA, get(level, GVA) & ~PTE_U);
			walk_pf(GVA, WALK_USER, PF_P | PF_U);
			walk_pf(GVA, WALK_USER | WALK_WRITE, PF_P | PF_U | PF_W);
			walk_pf(GVA, WALK_USER | WALK_FETCH, PF_P | PF_U | (wide() ? PF_I : 0));
			walk_ok(GVA, WALK_WRITE, PAGE + 0x678);
		}
	}
}

static void test_write(void **state)
{
	(void)state;
	for (enum mode m = M_32; m < M_COUNT; m++) {
		for (unsigned level = 1; level <= levels[m]; level++) {
			begin(m, GVA);
			if (!has_rights(level))
				continue;
			set(level, GVA, get(level, GVA) & ~PTE_W);
			walk_ok(GVA, WALK_USER, PAGE + 0x678);
			walk_pf(GVA, WALK_USER | WALK_WRITE, PF_P | PF_U | PF_W);
			walk_pf(GVA, WALK_WRITE, PF_P | PF_W);
			c.cr0 &= ~CR0_WP;
			walk_ok(GVA, WALK_WRITE, PAGE + 0x678);
			walk_pf(GVA, WALK_USER | WALK_WRITE, PF_P | PF_U | PF_W);
		}
	}
}

static void test_no_execute(void **state)
{
	(void)state;
	for (enum mode m = M_PAE; m < M_COUNT; m++) {
		for (unsigned level = 1; level <= levels[m]; level++) {
			begin(m, GVA);
			set(level, GVA, get(level, GVA) | PTE_NX);
			if (!has_rights(level)) {
				walk_pf(GVA, 0, PF_P | PF_R);
				continue;
			}
			walk_ok(GVA, 0, PAGE + 0x678);
			walk_ok(GVA, WALK_USER | WALK_WRITE, PAGE + 0x678);
			walk_pf(GVA, WALK_FETCH, PF_P | PF_I);
			walk_pf(GVA, WALK_FETCH | WALK_USER, PF_P | PF_I | PF_U);
			/* without NXE it is a reserved bit, for every access */
			c.efer &= ~EFER_NXE;
			walk_pf(GVA, 0, PF_P | PF_R);
			walk_pf(GVA, WALK_FETCH, PF_P | PF_R);
			walk_pf(GVA, WALK_USER | WALK_WRITE, PF_P | PF_R | PF_U | PF_W);
		}
	}
}

static void test_smep(void **state)
{
	(void)state;
	for (enum mode m = M_32; m < M_COUNT; m++) {
		begin(m, GVA);
		c.cr4 |= CR4_SMEP;
		walk_pf(GVA, WALK_FETCH, PF_P | PF_I);
		walk_ok(GVA, WALK_FETCH | WALK_USER, PAGE + 0x678);
		walk_ok(GVA, WALK_WRITE, PAGE + 0x678);
		set(1, GVA, get(1, GVA) & ~PTE_U);
		walk_ok(GVA, WALK_FETCH, PAGE + 0x678);
	}
}

static void test_smap(void **state)
{
	(void)state;
	for (enum mode m = M_32; m < M_COUNT; m++) {
		begin(m, GVA);
		c.cr4 |= CR4_SMAP;
		walk_pf(GVA, 0, PF_P);
		walk_pf(GVA, WALK_WRITE, PF_P | PF_W);
		walk_pf(GVA, WALK_IMPLICIT, PF_P);
		walk_ok(GVA, WALK_USER | WALK_WRITE, PAGE + 0x678);
		walk_ok(GVA, WALK_FETCH, PAGE + 0x678); /* that is SMEP's matter */
		c.rflags |= RFLAGS_AC;
		walk_ok(GVA, WALK_WRITE, PAGE + 0x678);
		walk_pf(GVA, WALK_IMPLICIT | WALK_WRITE, PF_P | PF_W);
		set(2, GVA, get(2, GVA) & ~PTE_U);
		c.rflags &= ~RFLAGS_AC;
		walk_ok(GVA, WALK_WRITE | WALK_IMPLICIT, PAGE + 0x678);
	}
}

static void test_protection_keys(void **state)
{
	(void)state;
	for (enum mode m = M_4; m <= M_5; m++) {
		for (unsigned key = 0; key < 16; key++) {
			begin(m, GVA);
			c.cr4 |= CR4_PKE;
			set(1, GVA, get(1, GVA) | (uint64_t)key << 59);
			c.pkru = ~(3u << (2 * key));
			walk_ok(GVA, WALK_WRITE | WALK_USER, PAGE + 0x678);

			c.pkru = 1u << (2 * key); /* no access */
			walk_pf(GVA, WALK_USER, PF_P | PF_U | PF_K);
			walk_pf(GVA, 0, PF_P | PF_K);
			walk_pf(GVA, WALK_WRITE, PF_P | PF_W | PF_K);
			walk_ok(GVA, WALK_FETCH | WALK_USER, PAGE + 0x678);

			c.pkru = 2u << (2 * key); /* no write */
			walk_ok(GVA, WALK_USER, PAGE + 0x678);
			walk_pf(GVA, WALK_WRITE | WALK_USER, PF_P | PF_U | PF_W | PF_K);
			walk_pf(GVA, WALK_WRITE, PF_P | PF_W | PF_K);
			c.cr0 &= ~CR0_WP;
			walk_ok(GVA, WALK_WRITE, PAGE + 0x678);
			walk_pf(GVA, WALK_WRITE | WALK_USER, PF_P | PF_U | PF_W | PF_K);

			/* the key is told also when the page's rights forbid the access too */
			c.pkru = UINT32_MAX;
			set(1, GVA, get(1, GVA) & ~PTE_W);
			walk_pf(GVA, WALK_WRITE | WALK_USER, PF_P | PF_U | PF_W | PF_K);

			/* keys are for user pages, and for nothing else */
			set(1, GVA, get(1, GVA) & ~PTE_U);
			walk_ok(GVA, 0, PAGE + 0x678);
			walk_pf(GVA, WALK_USER, PF_P | PF_U);
			begin(m, GVA);
			c.pkru = UINT32_MAX;
			set(1, GVA, get(1, GVA) | (uint64_t)key << 59);
			walk_ok(GVA, WALK_WRITE | WALK_USER, PAGE + 0x678);
		}
	}
	begin(M_PAE, GVA);
	c.cr4 |= CR4_PKE;
	c.pkru = UINT32_MAX;
	walk_ok(GVA, WALK_WRITE | WALK_USER, PAGE + 0x678);
}

static void test_reserved(void **state)
{
	(void)state;
	for (enum mode m = M_PAE; m < M_COUNT; m++) {
		for (unsigned level = 1; level <= levels[m]; level++) {
			for (unsigned bit = 52; bit < 63; bit++) {
				begin(m, GVA);
				set(level, GVA, get(level, GVA) | BIT(bit));
				if (m == M_PAE)
					walk_pf(GVA, 0, PF_P | PF_R);
				else
					walk_ok(GVA, 0, PAGE + 0x678);
			}
			for (unsigned bit = 36; bit < 52; bit++) {
				begin(m, GVA);
				c.phys_bits = 36;
				set(level, GVA, get(level, GVA) | BIT(bit));
				walk_pf(GVA, 0, PF_P | PF_R);
				walk_pf(GVA, WALK_USER | WALK_WRITE, PF_P | PF_R | PF_U | PF_W);
				walk_pf(GVA, WALK_FETCH, PF_P | PF_R | PF_I);
			}
			begin(m, GVA);
			set(level, GVA, get(level, GVA) | PTE_PS);
			if (level >= 4)
				walk_pf(GVA, 0, PF_P | PF_R);
			/* reserved bits win over missing rights further down */
			begin(m, GVA);
			set(level, GVA, get(level, GVA) | BIT(PHYS));
			set(1, GVA, get(1, GVA) & ~PTE_W & ~PTE_U);
			walk_pf(GVA, WALK_WRITE | WALK_USER, PF_P | PF_R | PF_W | PF_U);
		}
	}
	/* a 4 KiB page's bit 7 is the PAT's */
	for (enum mode m = M_32; m < M_COUNT; m++) {
		begin(m, GVA);
		set(1, GVA, get(1, GVA) | PTE_PS);
		walk_ok(GVA, 0, PAGE + 0x678);
	}
}

static void test_not_canonical(void **state)
{
	(void)state;
	begin(M_4, GVA);
	walk_gp(0x0000800000000000);
	walk_gp(0xffff7fffffffffff);
	walk_gp(BIT(63) | GVA);
	walk_gp(BIT(48) | GVA);
	assert_true(gva_is_canonical(&c, 0x00007fffffffffff));
	assert_true(gva_is_canonical(&c, 0xffff800000000000));
	assert_false(gva_is_canonical(&c, 0x0000800000000000));
	begin(M_5, GVA);
	walk_pf(0x0000800000000000, 0, 0);
	walk_gp(0x0100000000000000);
	walk_gp(0xfeffffffffffffff);
	assert_true(gva_is_canonical(&c, 0x00ffffffffffffff));
	assert_true(gva_is_canonical(&c, 0xff00000000000000));
	assert_false(gva_is_canonical(&c, 0x0100000000000000));
}

/* A table where nothing answers reads as all ones. */
static void test_table_outside_ram(void **state)
{
	static const uint64_t nowhere[] = {CODE_NO_RAM, 0xc0000000, BIT(39), 0xfffffff000};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
		for (enum mode m = M_PAE; m < M_COUNT; m++) {
			for (unsigned level = 2; level <= levels[m]; level++) {
				begin(m, GVA);
				set(level, GVA, nowhere[i] | PTE_P | PTE_W | PTE_U);
				if (m == M_PAE && level == 3)
					set(level, GVA, nowhere[i] | PTE_P);
				walk_pf(GVA, 0, PF_P | PF_R);
			}
			begin(m, GVA);
			c.cr3 = nowhere[i];
			if (m != M_PAE) /* whose CR3 has 32 bits */
				walk_pf(GVA, WALK_WRITE, PF_P | PF_R | PF_W);
		}
	}
	begin(M_32, GVA);
	c.cr4 |= CR4_PSE;
	c.cr3 = CODE_NO_RAM;
	walk_pf(GVA, 0, PF_P | PF_R);
	/* without large pages all ones lead to a page like any other */
	c.cr4 = 0;
	code_chunk[2047] = NULL;
	walk_ok(GVA, 0, 0xfffff678);
}

/* The bits of CR3 that are no address, PCID among them. */
static void test_cr3_flags(void **state)
{
	(void)state;
	for (enum mode m = M_32; m < M_COUNT; m++) {
		begin(m, GVA);
		c.cr3 |= m == M_PAE ? 0x1f : 0xfff;
		if (m >= M_4)
			c.cr3 |= BIT(63);
		walk_ok(GVA, 0, PAGE + 0x678);
	}
	/* PAE's four pointers stand at any multiple of 32 */
	begin(M_PAE, GVA);
	put64(TABLES + 0x5060, (TABLES + PAGE_SIZE) | PTE_P);
	c.cr3 = TABLES + 0x5060;
	walk_ok(GVA, 0, PAGE + 0x678);
}

static void test_accessed_and_dirty(void **state)
{
	(void)state;
	for (enum mode m = M_32; m < M_COUNT; m++) {
		for (unsigned write = 0; write < 2; write++) {
			begin(m, GVA);
			walk_ok(GVA, write ? WALK_WRITE : 0, PAGE + 0x678);
			for (unsigned level = 1; level <= levels[m]; level++) {
				uint64_t e = get(level, GVA), flags = PTE_A;

				if (level == 1 && write)
					flags |= PTE_D;
				if (!has_rights(level))
					flags = 0;
				assert_int_equal(e & (PTE_A | PTE_D), flags);
				/* nothing else has changed, nor did a neighbour */
				set(level, GVA, 0);
			}
			for (uint64_t at = TABLES; at < TABLES + 5 * PAGE_SIZE; at += 8)
				assert_int_equal(get64(at), 0);
		}
		/* no access, no bits */
		begin(m, GVA);
		set(1, GVA, get(1, GVA) & ~PTE_W);
		walk_pf(GVA, WALK_WRITE, PF_P | PF_W);
		for (unsigned level = 1; level <= levels[m]; level++)
			assert_int_equal(get(level, GVA) & PTE_D, 0);
	}
}

/* Tables in ROM lead to their pages all the same, and stay as they are. */
static void test_tables_in_rom(void **state)
{
	(void)state;
	for (enum mode m = M_32; m < M_COUNT; m++) {
		begin(m, GVA);
		code_mem.rom_first = TABLES >> GMEM_CHUNK_SHIFT;
		code_mem.rom_count = 1;
		walk_ok(GVA, WALK_WRITE, PAGE + 0x678);
		for (unsigned level = 1; level <= levels[m]; level++)
			assert_int_equal(get(level, GVA) & (PTE_A | PTE_D), 0);
		code_mem.rom_count = 0;
	}
}

/* An entry that is of every level at once, as kernels use it to see their own tables. */
static void test_self_map(void **state)
{
	const uint64_t gva = 0xfffffffffffff000; /* the last entry, four times */

	(void)state;
	begin(M_4, gva);
	put64(c.cr3 + 511 * 8, c.cr3 | PTE_P | PTE_W);
	walk_ok(gva, WALK_WRITE, c.cr3);
	assert_int_equal(get64(c.cr3 + 511 * 8), c.cr3 | PTE_P | PTE_W | PTE_A | PTE_D);
	begin(M_32, 0xfffff000);
	put32(c.cr3 + 1023 * 4, (uint32_t)c.cr3 | PTE_P | PTE_W);
	walk_ok(0xfffffabc, WALK_WRITE, c.cr3 + 0xabc);
	assert_int_equal(get32(c.cr3 + 1023 * 4), c.cr3 | PTE_P | PTE_W | PTE_A | PTE_D);
}

/* gwalk_any() chooses, and gives what gwalk() gives. */
static void test_any(void **state)
{
	(void)state;
	begin(M_4, GVA);
	assert_int_equal(gwalk_fast(&code_mem, &c, GVA, 0), GWALK_SLOW); /* not yet accessed */
	assert_true(gwalk_any(&code_mem, &c, GVA, WALK_USER, &out, &fault));
	assert_int_equal(out.v, PAGE + 0x678);
	assert_int_equal(gwalk_fast(&code_mem, &c, GVA, WALK_USER), PAGE + 0x678);
	assert_int_equal(gwalk_fast(&code_mem, &c, GVA, WALK_USER | WALK_WRITE), GWALK_SLOW);
	assert_true(gwalk_any(&code_mem, &c, GVA, WALK_USER | WALK_WRITE, &out, &fault));
	assert_int_equal(gwalk_fast(&code_mem, &c, GVA, WALK_USER | WALK_WRITE), PAGE + 0x678);
	c.cr0 &= ~CR0_PG;
	c.efer = 0;
	assert_true(gwalk_any(&code_mem, &c, 0xfffffffc, 0, &out, &fault));
	assert_int_equal(out.v, 0xfffffffc);
	begin(M_32, GVA);
	assert_true(gwalk_any(&code_mem, &c, GVA, 0, &out, &fault));
	assert_int_equal(out.v, PAGE + 0x678);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_paging),
		cmocka_unit_test(test_small_page),
		cmocka_unit_test(test_indexes),
		cmocka_unit_test(test_large_pages),
		cmocka_unit_test(test_pse36),
		cmocka_unit_test(test_not_present),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_no_execute),
		cmocka_unit_test(test_smep),
		cmocka_unit_test(test_smap),
		cmocka_unit_test(test_protection_keys),
		cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_not_canonical),
		cmocka_unit_test(test_table_outside_ram),
		cmocka_unit_test(test_cr3_flags),
		cmocka_unit_test(test_accessed_and_dirty),
		cmocka_unit_test(test_tables_in_rom),
		cmocka_unit_test(test_self_map),
		cmocka_unit_test(test_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
