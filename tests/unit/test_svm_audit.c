/*
 * The auditor of VMRUN: good control blocks in which nothing is broken, then one broken field after
 * the other, which alone must be named, with its value and its rule; random blocks. It agrees with
 * what the back end lets a guest's state be.
 */
#include "tests/unit/broken.h"

#include "arch/x86/svm/svm.h"

#define PHYS_BITS 40
#define PAT_GOOD  0x0007040600070406ull

static struct vmcb b; /* the one that a test breaks */

static void good_controls(void)
{
	memset(&b, 0, sizeof(b));
	b.intercept1 = INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_CPUID;
	b.intercept2 = INTERCEPT_VMRUN | INTERCEPT_VMMCALL;
	b.iopm_base = 0x100000;
	b.msrpm_base = 0x103000;
	b.asid = 1;
	b.int_ctl = INT_CTL_MASKING;
	b.np_enable = NP_ENABLE;
	b.n_cr3 = 0x200000;
	b.g_pat = PAT_GOOD;
	b.dr6 = 0xffff0ff0;
	b.dr7 = 0x400;
	b.rflags = RFLAGS_ONE;
}

static void good_64bit(void)
{
	good_controls();
	b.cr0 = CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_PE;
	b.cr3 = 0x1000;
	b.cr4 = CR4_PAE | CR4_PGE;
	b.efer = EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
	b.seg[SEG_CS].attr = SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_L | 0xb;
}

static void good_real(void)
{
	good_controls();
	b.cr0 = CR0_CD | CR0_NW | CR0_ET;
	b.efer = EFER_SVME;
	b.seg[SEG_CS].attr = SEG_ATTR_P | SEG_ATTR_S | 0xb;
}

static void good_pae(void)
{
	good_controls();
	b.cr0 = CR0_PG | CR0_PE | CR0_ET;
	b.cr3 = 0x1020;
	b.cr4 = CR4_PAE;
	b.efer = EFER_SVME | EFER_NXE;
	b.seg[SEG_CS].attr = SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_DB | SEG_ATTR_G | 0xb;
}

static void good_v8086(void)
{
	good_pae();
	b.cr4 = CR4_VME;
	b.rflags = RFLAGS_ONE | RFLAGS_VM;
	b.cpl = 3;
	b.seg[SEG_CS].attr = SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_DPL | 3;
}

static void (*const good[])(void) = {good_64bit, good_real, good_pae, good_v8086};

static void accepted(void)
{
	struct reason why = {""};

	if (svm_audit(&b, PHYS_BITS, &why))
		fail_msg("refused: %s", why.text);
	assert_string_equal(why.text, "");
}

static void refused(const char *says)
{
	struct reason why = {""};

	if (!svm_audit(&b, PHYS_BITS, &why))
		fail_msg("accepted, instead of: %s", says);
	assert_int_equal(svm_audit(&b, PHYS_BITS, NULL), ERR_INVALID);
	assert_sentence(why.text);
	if (strncmp(why.text, says, strlen(says)))
		fail_msg("said: %s\n  instead of: %s", why.text, says);
}

/* What is set in a good block, and the start of the sentence; NULL: it stays good. */
struct change {
	size_t at, size;
	uint64_t value;
};

struct row {
	const char *says;
	struct change set[3];
};

#define SET(member, v)                                                                    \
	{                                                                                 \
		offsetof(struct vmcb, member), sizeof(((struct vmcb *)NULL)->member), (v) \
	}
#define EVENT(type, vector) (EVENT_VALID | (uint64_t)(type) << EVENT_TYPE_SHIFT | (vector))

static void check_rows(void (*base)(void), const struct row *rows, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct row *r = &rows[i];

		base();
		accepted();
		for (unsigned c = 0; c < ARRAY_SIZE(r->set) && r->set[c].size; c++)
			memcpy((uint8_t *)&b + r->set[c].at, &r->set[c].value, r->set[c].size);
		if (r->says)
			refused(r->says);
		else
			accepted();
	}
}

#define CHECK_ROWS(base, rows) check_rows(base, rows, ARRAY_SIZE(rows))

static void test_registers(void **state)
{
	static const struct row rows[] = {
		{"guest EFER 0xd01: SVME (bit 12) must be 1", {SET(efer, 0xd01)}},
		{"guest CR0 0xa0010031: NW needs CD", {SET(cr0, 0xa0010031)}},
		{NULL, {SET(cr0, 0xe0010031)}},
		{"guest CR0 0x180010031: bits 63:32 must be 0", {SET(cr0, 0x180010031)}},
		{"guest CR3 0x10000000000000: bits 63:52 must be 0", {SET(cr3, BIT(52))}},
		{"guest CR3 0x10000000000: extends beyond the physical-address bits, which are 40",
		 {SET(cr3, BIT(40))}},
		{NULL, {SET(cr3, 0xffffffffff)}},
		{"guest CR4 0x20a0: bit 13 must be 0", {SET(cr4, 0x20a0)}},
		{"guest DR6 0x100000000: bits 63:32 must be 0", {SET(dr6, BIT(32))}},
		{"guest DR7 0x100000000: bits 63:32 must be 0", {SET(dr7, BIT(32))}},
		{"guest EFER 0x21d01: bit 17 must be 0", {SET(efer, 0x21d01)}},
		{"guest CR4 0x80: long mode with paging needs PAE", {SET(cr4, 0x80)}},
		{"guest CR0 0x80010030: long mode with paging needs PE", {SET(cr0, 0x80010030)}},
		{"guest CS attributes 0x69b: L and D are both set", {SET(seg[SEG_CS].attr, 0x69b)}},
		{NULL, {SET(seg[SEG_CS].attr, 0x49b)}}, /* compatibility mode */
		{"guest CR4 0x8000a0: CET needs CR0.WP",
		 {SET(cr4, 0x8000a0), SET(cr0, 0x80000031)}},
		{NULL, {SET(cr4, 0x8000a0)}},
		/* before paging is on */
		{NULL, {SET(cr0, 0x31), SET(cr4, 0), SET(seg[SEG_CS].attr, 0x69b)}},
	};
	static const struct row pae[] = {
		{NULL, {SET(cr0, 0x80000010)}}, /* paged real mode */
		{NULL, {SET(cr3, BIT(51))}},
		{NULL, {SET(cr4, 0)}},
		{NULL, {SET(seg[SEG_CS].attr, 0x69b)}},
	};

	(void)state;
	CHECK_ROWS(good_64bit, rows);
	CHECK_ROWS(good_pae, pae);
}

static void test_reserved_bits(void **state)
{
	const uint64_t cr4 = 0xf71fff, efer = 0x5d01;

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		good_64bit();
		b.cr4 |= BIT(bit);
		if (cr4 & BIT(bit))
			accepted();
		else
			refused("guest CR4 0x");
		good_64bit();
		b.efer |= BIT(bit);
		if (efer & BIT(bit))
			accepted();
		else
			refused("guest EFER 0x");
		good_64bit();
		b.cr3 = BIT(bit);
		if (bit < PHYS_BITS)
			accepted();
		else
			refused("guest CR3 0x");
		good_64bit();
		b.cr0 |= BIT(bit);
		if (bit < 32 && bit != 29)
			accepted();
		else
			refused("guest CR0 0x");
	}
}

static void test_controls(void **state)
{
	static const struct row rows[] = {
		{"intercepts at 10h 0x2: VMRUN (bit 0) must be 1",
		 {SET(intercept2, INTERCEPT_VMMCALL)}},
		{"ASID 0x0: 0 is the host's", {SET(asid, 0)}},
		{NULL, {SET(asid, UINT32_MAX)}},
		/* 12 KiB and 8 KiB; the low 12 bits do not count */
		{NULL, {SET(iopm_base, 0xffffffdfff)}},
		{"I/O permissions map 0xffffffe000: extends beyond the physical-address bits",
		 {SET(iopm_base, 0xffffffe000)}},
		{"I/O permissions map 0xffffffffffffffff: extends", {SET(iopm_base, UINT64_MAX)}},
		{NULL, {SET(msrpm_base, 0xffffffefff)}},
		{"MSR permissions map 0xfffffff000: extends beyond the physical-address bits",
		 {SET(msrpm_base, 0xfffffff000)}},
		{"MSR permissions map 0xffffffffffffffff: extends", {SET(msrpm_base, UINT64_MAX)}},
		{"interrupt control 0x4000000: virtual NMIs (bit 26) need the NMI intercept",
		 {SET(int_ctl, INT_CTL_V_NMI_ENABLE), SET(intercept1, INTERCEPT_INTR)}},
		{NULL, {SET(int_ctl, INT_CTL_V_NMI_ENABLE)}},
		{NULL, {SET(intercept1, INTERCEPT_INTR)}},
		{NULL, {SET(n_cr3, 0xfffffff000)}},
		{"nested CR3 0x10000000000: extends beyond the physical-address bits, which are",
		 {SET(n_cr3, BIT(40))}},
		{"guest PAT 0x7040600070402: entry 0 is 2, which is no memory type",
		 {SET(g_pat, 0x0007040600070402)}},
		{"guest PAT 0xff07040600070406: entry 7 is 255, which is no memory type",
		 {SET(g_pat, 0xff07040600070406)}},
		{NULL, {SET(np_enable, 0), SET(n_cr3, UINT64_MAX), SET(g_pat, UINT64_MAX)}},
	};
	struct reason why;

	(void)state;
	CHECK_ROWS(good_64bit, rows);
	good_64bit();
	b.msrpm_base = UINT64_MAX;
	assert_int_equal(svm_audit(&b, 64, &why), 0); /* nothing is beyond 64 bits */
}

static void test_events(void **state)
{
	static const struct row rows[] = {
		{NULL, {SET(event_inj, 0x7fffffff)}}, /* not valid */
		{NULL, {SET(event_inj, EVENT(EVENT_TYPE_INTR, 0xff))}},
		{NULL, {SET(event_inj, EVENT(EVENT_TYPE_NMI, 0xff))}}, /* the vector is ignored */
		{NULL, {SET(event_inj, EVENT(EVENT_TYPE_SOFT, 2))}},
		{NULL, {SET(event_inj, EVENT(EVENT_TYPE_EXCEPTION, VEC_BP))}},
		{"injected event 0x80000120: type 1 is reserved", {SET(event_inj, EVENT(1, 32))}},
		{"injected event 0x80000503: type 5 is reserved", {SET(event_inj, EVENT(5, 3))}},
		{"injected event 0x80000603: type 6 is reserved", {SET(event_inj, EVENT(6, 3))}},
		{"injected event 0x80000700: type 7 is reserved", {SET(event_inj, EVENT(7, 0))}},
		{"injected event 0x80000302: vector 2 is not an exception",
		 {SET(event_inj, EVENT(EVENT_TYPE_EXCEPTION, VEC_NMI))}},
		{"injected event 0x80000320: vector 32 is not an exception",
		 {SET(event_inj, EVENT(EVENT_TYPE_EXCEPTION, 32))}},
		{"injected event 0x800003ff: vector 255 is not an exception",
		 {SET(event_inj, EVENT(EVENT_TYPE_EXCEPTION, 255))}},
		{"injected event 0x80000305: exception 5 does not exist in 64-bit mode",
		 {SET(event_inj, EVENT(EVENT_TYPE_EXCEPTION, VEC_BR))}},
		{"injected event 0x80000304: exception 4 does not exist in 64-bit mode",
		 {SET(event_inj, EVENT(EVENT_TYPE_EXCEPTION, VEC_OF))}},
		{NULL,
		 {SET(event_inj, EVENT(EVENT_TYPE_EXCEPTION, VEC_BR)),
		  SET(seg[SEG_CS].attr, 0x49b)}}, /* compatibility mode */
	};
	const uint32_t exceptions = 0x702f7dfb; /* what the manual names */

	(void)state;
	CHECK_ROWS(good_64bit, rows);
	for (unsigned vector = 0; vector < 32; vector++) {
		good_real();
		b.event_inj = EVENT(EVENT_TYPE_EXCEPTION, vector);
		if (exceptions >> vector & 1)
			accepted();
		else
			refused("injected event 0x80000");
	}
}

static void test_good(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
		good[i]();
		accepted();
	}
}

/* Whatever is in it, the answer is 0 or one sentence. */
static void audit_any(unsigned phys_bits)
{
	struct reason why = {""};
	int err = svm_audit(&b, phys_bits, &why);

	if (!err) {
		assert_string_equal(why.text, "");
		return;
	}
	assert_int_equal(err, ERR_INVALID);
	assert_sentence(why.text);
}

static void test_random(void **state)
{
	uint8_t *p = (uint8_t *)&b;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		bool controls = broken_random() % 2;

		good[broken_random() % ARRAY_SIZE(good)]();
		broken_flip(p, controls ? 0 : 0x400, controls ? 0xe0 : 0x670);
		audit_any(PHYS_BITS);
	}
	for (unsigned i = 0; i < 2000; i++) {
		for (size_t at = 0; at < 0x670; at++)
			p[at] = (uint8_t)broken_random();
		b.efer = EFER_SVME | (b.efer & EFER_LME);
		audit_any((unsigned)(broken_random() % 80));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),          cmocka_unit_test(test_registers),
		cmocka_unit_test(test_reserved_bits), cmocka_unit_test(test_controls),
		cmocka_unit_test(test_events),        cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
