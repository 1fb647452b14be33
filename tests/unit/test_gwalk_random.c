/* Page-table walks over random tables, against a second, plainer reading of the manuals. */
#include "tests/unit/gwalk_tables.h"

struct answer {
	bool ok;
	uint64_t gpa;
	uint8_t vector;
	uint32_t error;
	unsigned n; /* entries used */
	uint64_t at[5];
};

static uint64_t read_or_ones(uint64_t gpa, unsigned size)
{
	uint64_t v = 0;

	if (gmem_read(&code_mem, gpa, &v, size))
		return size == 8 ? UINT64_MAX : UINT32_MAX;
	return v;
}

static bool has_reserved(uint64_t e, unsigned level, bool leaf)
{
	bool lma = c.efer & EFER_LMA;

	for (unsigned bit = c.phys_bits; bit < 52; bit++) {
		if (e >> bit & 1)
			return true;
	}
	if (!lma && (e >> 52 & 0x7ff))
		return true;
	if ((e >> 63) && (!(c.efer & EFER_NXE) || (!lma && level == 3)))
		return true;
	if (level >= 4)
		return e & PTE_PS;
	for (unsigned bit = 13; leaf && bit < 12 + 9 * (level - 1); bit++) {
		if (e >> bit & 1)
			return true;
	}
	return false;
}

static struct answer model(uint64_t gva, unsigned access)
{
	struct answer a = {.vector = VEC_PF};
	unsigned level = levels[mode], size = wide() ? 8 : 4;
	bool u = true, w = true, x = true, user = access & WALK_USER;
	bool wp = user || (c.cr0 & CR0_WP), leaf;
	uint64_t table, e;

	if (level >= 4) {
		uint64_t top = gva >> (level == 4 ? 47 : 56);

		if (top && top != UINT64_MAX >> (level == 4 ? 47 : 56)) {
			a.vector = VEC_GP;
			return a;
		}
	}
	a.error = access & (WALK_WRITE | WALK_USER);
	if ((access & WALK_FETCH) &&
	    ((c.cr4 & CR4_SMEP) || ((c.cr4 & CR4_PAE) && (c.efer & EFER_NXE))))
		a.error |= PF_I;
	table = c.cr3 & (mode == M_32 ? 0xfffff000 : mode == M_PAE ? 0xffffffe0 : ADDRESS_MASK);
	for (;; level--) {
		uint64_t i = gva >> shift_of(level) & (wide() ? 511 : 1023);

		if (mode == M_PAE && level == 3)
			i &= 3;
		e = read_or_ones(table + i * size, size);
		if (!(e & PTE_P))
			return a;
		leaf = level == 1 || (level <= 3 && (e & PTE_PS) && !(mode == M_PAE && level == 3));
		if (mode == M_32 && level == 2 && !(c.cr4 & CR4_PSE))
			leaf = false;
		if (mode == M_32 ? leaf && level == 2 &&
					   ((e >> 21 & 1) ||
					    (e >> 13 & 0xff) >> (MIN(c.phys_bits, 40) - 32u))
				 : has_reserved(e, level, leaf && level > 1)) {
			a.error |= PF_P | PF_R;
			return a;
		}
		if (has_rights(level)) {
			u = u && (e & PTE_U);
			w = w && (e & PTE_W);
			x = x && (mode == M_32 || !(e >> 63));
			a.at[a.n++] = table + i * size;
		}
		if (leaf)
			break;
		table = e & (wide() ? ADDRESS_MASK : 0xfffff000);
	}
	if (mode == M_32 && level == 2)
		a.gpa = (e & 0xffc00000) | (e >> 13 & 0xff) << 32 | (gva & 0x3fffff);
	else
		a.gpa = (e & ADDRESS_MASK & ~(BIT(shift_of(level)) - 1)) |
			(gva & (BIT(shift_of(level)) - 1));
	a.ok = true;
	if (user && !u)
		a.ok = false;
	if (access & WALK_FETCH) {
		if (!x || (!user && u && (c.cr4 & CR4_SMEP)))
			a.ok = false;
	} else {
		if ((access & WALK_WRITE) && !w && wp)
			a.ok = false;
		if (!user && u && (c.cr4 & CR4_SMAP) &&
		    !((c.rflags & RFLAGS_AC) && !(access & WALK_IMPLICIT)))
			a.ok = false;
		if (u && mode >= M_4 && (c.cr4 & CR4_PKE)) {
			bool ad = c.pkru >> (2 * (e >> 59 & 15)) & 1;
			bool wd = c.pkru >> (2 * (e >> 59 & 15) + 1) & 1;

			if (ad || (wd && wp && (access & WALK_WRITE))) {
				a.ok = false;
				a.error |= PF_K;
			}
		}
	}
	if (!a.ok)
		a.error |= PF_P;
	return a;
}

static bool chance(unsigned one_in)
{
	return broken_random() % one_in == 0;
}

static uint64_t random_entry(void)
{
	static const uint64_t rare[] = {PTE_P, PTE_W, PTE_U, PTE_A, PTE_D};
	uint64_t e = TABLES + broken_random() % 6 * PAGE_SIZE;

	if (chance(20))
		e = CODE_NO_RAM + broken_random() % 4 * PAGE_SIZE;
	if (chance(3)) /* fit for a large page */
		e = (broken_random() % 8) << 21 | PTE_PS;
	if (chance(20))
		e = (broken_random() % 8) << 30 | PTE_PS;
	for (unsigned i = 0; i < ARRAY_SIZE(rare); i++)
		e |= chance(i == 2 ? 3 : 16) ? 0 : rare[i];
	if (chance(12))
		e |= PTE_NX;
	if (chance(40))
		e |= BIT(broken_random() % 64);
	if (wide() && (c.cr4 & CR4_PKE))
		e |= (broken_random() & 15) << 59;
	return e;
}

static void random_context(void)
{
	begin((enum mode)(broken_random() % M_COUNT), GVA);
	c.phys_bits = (uint8_t)(36 + broken_random() % 17);
	c.cr0 ^= chance(3) ? CR0_WP : 0;
	c.cr4 |= chance(4) ? CR4_SMEP : 0;
	c.cr4 |= chance(4) ? CR4_SMAP : 0;
	c.cr4 |= chance(6) ? CR4_PKE : 0;
	c.cr4 |= chance(2) ? CR4_PSE : 0;
	c.rflags |= chance(2) ? RFLAGS_AC : 0;
	c.efer ^= chance(6) ? EFER_NXE : 0;
	c.pkru = (uint32_t)(broken_random() & broken_random());
	if (mode == M_PAE && chance(2))
		c.cr3 = TABLES + broken_random() % 128 * 32;
}

/* An address with few different indexes, so that tables are met again and again. */
static uint64_t random_gva(void)
{
	uint64_t gva = broken_random() & 0xfff;

	for (unsigned level = 1; level <= levels[mode]; level++)
		gva |= (broken_random() & 3) << shift_of(level);
	if (mode < M_4)
		return (uint32_t)gva;
	if (chance(50))
		gva |= BIT(broken_random() % 64);
	return gva;
}

static uint64_t sum_of_tables(void)
{
	uint64_t sum = 0;

	for (uint64_t at = TABLES; at < TABLES + 6 * PAGE_SIZE; at += 8)
		sum = sum * 31 + get64(at);
	return sum;
}

static void test_random(void **state)
{
	unsigned n_ok = 0, n_fast = 0, n_pf = 0;

	(void)state;
	for (unsigned round = 0; round < 4000; round++) {
		random_context();
		for (uint64_t page = TABLES; page < TABLES + 6 * PAGE_SIZE; page += PAGE_SIZE) {
			for (unsigned i = 0; i < 4; i++) {
				if (wide())
					put64(page + i * 8, random_entry());
				else
					put32(page + i * 4, (uint32_t)random_entry());
			}
		}
		for (unsigned i = 0; i < 12; i++) {
			static const unsigned accesses[] = {
				0,
				WALK_WRITE,
				WALK_USER,
				WALK_USER | WALK_WRITE,
				WALK_FETCH,
				WALK_FETCH | WALK_USER,
				WALK_IMPLICIT,
				WALK_IMPLICIT | WALK_WRITE,
			};
			unsigned access = accesses[broken_random() % ARRAY_SIZE(accesses)];
			uint64_t gva = random_gva(), before = sum_of_tables(), fast = GWALK_SLOW;
			struct answer a = model(gva, access);
			bool ok;

			if (mode >= M_4)
				fast = gwalk_fast(&code_mem, &c, gva, access);
			assert_int_equal(sum_of_tables(), before);
			ok = gwalk(&code_mem, &c, gva, access, &out, &fault);
			assert_int_equal(ok, a.ok);
			if (!ok) {
				assert_int_equal(fast, GWALK_SLOW);
				assert_int_equal(fault.vector, a.vector);
				assert_int_equal(fault.error, a.error);
				n_pf += fault.vector == VEC_PF;
				continue;
			}
			n_ok++;
			assert_int_equal(out.v, a.gpa);
			if (fast != GWALK_SLOW) {
				assert_int_equal(fast, a.gpa);
				/* all the bits are set already */
				assert_int_equal(sum_of_tables(), before);
				n_fast++;
			}
			for (unsigned k = 0; k < a.n; k++) {
				uint64_t e = read_or_ones(a.at[k], wide() ? 8 : 4);

				assert_true(e & PTE_A);
				if (k == a.n - 1 && (access & WALK_WRITE))
					assert_true(e & PTE_D);
			}
			/* the second time nothing is left to do */
			before = sum_of_tables();
			walk_ok(gva, access, a.gpa);
			assert_int_equal(sum_of_tables(), before);
		}
	}
	/* all three happen often, else this tests little */
	assert_true(n_ok > 5000);
	assert_true(n_pf > 5000);
	assert_true(n_fast > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
