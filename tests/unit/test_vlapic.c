/*
 * The local APIC: priorities, acceptance, EOI, modes, register access in both modes, IPIs, routing,
 * local sources and errors. The timer has test_vlapic_timer.c.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "guests/vdev/vlapic.h"

static struct {
	unsigned n_ipi, n_eoi;
	uint32_t icr, dest;
	uint8_t eoi;
} seen;

static struct vlapic apic;

static uint64_t now(void *ctx)
{
	(void)ctx;
	return 0;
}

static uint64_t tsc(void *ctx)
{
	(void)ctx;
	return 0;
}

static uint64_t tsc_to_ns(void *ctx, uint64_t guest_tsc)
{
	(void)ctx;
	return guest_tsc;
}

static void ipi(void *ctx, uint32_t icr_low, uint32_t dest)
{
	assert_ptr_equal(ctx, &seen);
	seen.n_ipi++;
	seen.icr = icr_low;
	seen.dest = dest;
}

static void eoi(void *ctx, uint8_t vector)
{
	assert_ptr_equal(ctx, &seen);
	seen.n_eoi++;
	seen.eoi = vector;
}

static const struct vlapic_host host = {
	.ctx = &seen,
	.now = now,
	.tsc = tsc,
	.tsc_to_ns = tsc_to_ns,
	.ipi = ipi,
	.eoi = eoi,
};

static uint32_t get(unsigned reg)
{
	return vlapic_mmio_read(&apic, reg, 4);
}

static void set(unsigned reg, uint32_t val)
{
	vlapic_mmio_write(&apic, reg, 4, val);
	assert_int_equal(vlapic_check(&apic, NULL), 0);
}

static uint64_t rdmsr(uint32_t msr)
{
	uint64_t val = 0x5a5a5a5a5a5a5a5a;

	assert_true(vlapic_msr_read(&apic, msr, &val));
	return val;
}

static void wrmsr(uint32_t msr, uint64_t val)
{
	assert_true(vlapic_msr_write(&apic, msr, val));
	assert_int_equal(vlapic_check(&apic, NULL), 0);
}

static void start(uint32_t id)
{
	memset(&seen, 0, sizeof(seen));
	memset(&apic, 0xa5, sizeof(apic));
	vlapic_init(&apic, &host, id, true);
	assert_int_equal(vlapic_check(&apic, NULL), 0);
	set(LAPIC_SVR, 0x1ff);
}

static int setup(void **state)
{
	(void)state;
	start(3);
	return 0;
}

static int setup_x2apic(void **state)
{
	(void)state;
	start(0x25);
	assert_true(vlapic_base_write(&apic, vlapic_base_read(&apic) | APIC_BASE_EXTD));
	return 0;
}

static bool in(unsigned base, uint8_t vector)
{
	return apic.regs[(base + 16u * (vector / 32u)) / 4] >> (vector & 31) & 1;
}

static void take(uint8_t vector)
{
	assert_int_equal(vlapic_pending(&apic), vector);
	assert_int_equal(vlapic_accept(&apic, vector), vector);
	assert_true(in(LAPIC_ISR, vector));
	assert_false(in(LAPIC_IRR, vector));
	assert_int_equal(vlapic_check(&apic, NULL), 0);
}

static uint32_t errors(void)
{
	set(LAPIC_ESR, 0);
	return get(LAPIC_ESR);
}

static void test_power_on(void **state)
{
	(void)state;
	vlapic_init(&apic, &host, 7, true);
	assert_int_equal(vlapic_base_read(&apic), 0xfee00900);
	assert_int_equal(vlapic_base_gpa(&apic), 0xfee00000);
	assert_int_equal(get(LAPIC_ID), 0x07000000);
	assert_int_equal(get(LAPIC_VERSION), 0x00050014);
	assert_int_equal(get(LAPIC_SVR), 0xff);
	assert_int_equal(get(LAPIC_DFR), 0xffffffff);
	assert_int_equal(get(LAPIC_LDR), 0);
	for (unsigned lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt += 16)
		assert_int_equal(get(lvt), 0x10000);
	assert_int_equal(get(LAPIC_TPR), 0);
	assert_int_equal(get(LAPIC_PPR), 0);
	assert_int_equal(get(LAPIC_TIMER_INIT), 0);
	assert_int_equal(get(LAPIC_TIMER_COUNT), 0);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_int_equal((uintptr_t)apic.regs & 4095, 0);
	vlapic_init(&apic, &host, 0, false);
	assert_int_equal(vlapic_base_read(&apic), 0xfee00800);
}

static void test_post_and_accept(void **state)
{
	(void)state;
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_true(vlapic_post(&apic, 0x41, false));
	assert_false(vlapic_post(&apic, 0x41, false)); /* there already */
	assert_false(vlapic_post(&apic, 0x52, false)); /* kicked already */
	assert_int_equal(get(LAPIC_IRR + 0x20), (1u << 1) | (1u << 0x12));
	take(0x52);
	assert_int_equal(get(LAPIC_PPR), 0x50);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_true(vlapic_post(&apic, 0x5f, false)); /* same class: waits */
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_true(vlapic_post(&apic, 0x60, false));
	take(0x60); /* nests */
	assert_int_equal(get(LAPIC_PPR), 0x60);
	set(LAPIC_EOI, 0);
	assert_false(in(LAPIC_ISR, 0x60));
	assert_true(in(LAPIC_ISR, 0x52));
	assert_int_equal(get(LAPIC_PPR), 0x50);
	assert_int_equal(vlapic_pending(&apic), -1);
	set(LAPIC_EOI, 0x12345678); /* the value does not count */
	take(0x5f);
	set(LAPIC_EOI, 0);
	take(0x41);
	set(LAPIC_EOI, 0);
	assert_int_equal(get(LAPIC_PPR), 0);
	set(LAPIC_EOI, 0); /* nothing in service */
	assert_int_equal(seen.n_eoi, 0);
	/* While in service, the same vector can wait once more. */
	vlapic_post(&apic, 0x30, false);
	take(0x30);
	vlapic_post(&apic, 0x30, false);
	assert_int_equal(vlapic_pending(&apic), -1);
	set(LAPIC_EOI, 0);
	take(0x30);
}

static void test_every_vector(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 256; v++) {
		bool kick = vlapic_post(&apic, (uint8_t)v, v & 1);

		assert_int_equal(kick, v >= 16);
		if (v < 16) {
			assert_int_equal(errors(), ESR_RECV_VECTOR);
			assert_int_equal(vlapic_pending(&apic), -1);
			continue;
		}
		take((uint8_t)v);
		assert_int_equal(get(LAPIC_PPR), v & 0xf0);
		set(LAPIC_EOI, 0);
		assert_int_equal(seen.n_eoi, (v - 15) / 2);
	}
	assert_int_equal(errors(), 0);
	/* All at once, in order of priority. */
	for (unsigned v = 16; v < 256; v++)
		vlapic_post(&apic, (uint8_t)v, false);
	for (unsigned v = 256; v-- > 16;) {
		take((uint8_t)v);
		set(LAPIC_EOI, 0);
	}
	assert_int_equal(vlapic_pending(&apic), -1);
}

static void test_tpr(void **state)
{
	(void)state;
	vlapic_post(&apic, 0x45, false);
	set(LAPIC_TPR, 0x40);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_int_equal(get(LAPIC_PPR), 0x40);
	set(LAPIC_TPR, 0x3f);
	assert_int_equal(vlapic_pending(&apic), 0x45);
	assert_int_equal(get(LAPIC_PPR), 0x3f);
	set(LAPIC_TPR, 0xffffff4f);
	assert_int_equal(get(LAPIC_TPR), 0x4f);
	assert_int_equal(vlapic_pending(&apic), -1);
	set(LAPIC_TPR, 0);
	take(0x45);
	/* PPR: the whole TPR where its class is not below what is in service. */
	set(LAPIC_TPR, 0x38);
	assert_int_equal(get(LAPIC_PPR), 0x40);
	set(LAPIC_TPR, 0x48);
	assert_int_equal(get(LAPIC_PPR), 0x48);
	set(LAPIC_TPR, 0x53);
	assert_int_equal(get(LAPIC_PPR), 0x53);
	set(LAPIC_EOI, 0);
	assert_int_equal(get(LAPIC_PPR), 0x53);
	/* CR8. */
	assert_int_equal(vlapic_cr8(&apic), 5);
	vlapic_set_cr8(&apic, 0xf);
	assert_int_equal(get(LAPIC_TPR), 0xf0);
	assert_int_equal(get(LAPIC_PPR), 0xf0);
	vlapic_post(&apic, 0xff, false);
	assert_int_equal(vlapic_pending(&apic), -1);
	vlapic_set_cr8(&apic, 0xe);
	assert_int_equal(vlapic_pending(&apic), 0xff);
	vlapic_set_cr8(&apic, 0xff); /* only four bits */
	assert_int_equal(vlapic_cr8(&apic), 15);
	assert_int_equal(vlapic_check(&apic, NULL), 0);
}

static void test_spurious(void **state)
{
	(void)state;
	set(LAPIC_SVR, 0x1cf);
	assert_int_equal(vlapic_accept(&apic, 0x40), 0xcf); /* never posted */
	assert_false(in(LAPIC_ISR, 0xcf));
	vlapic_post(&apic, 0x40, true);
	assert_int_equal(vlapic_pending(&apic), 0x40);
	set(LAPIC_TPR, 0x40); /* raised before the acknowledge */
	assert_int_equal(vlapic_accept(&apic, 0x40), 0xcf);
	assert_true(in(LAPIC_IRR, 0x40));
	assert_int_equal(get(LAPIC_PPR), 0x40);
	set(LAPIC_EOI, 0); /* a wrong EOI ends nothing */
	assert_int_equal(seen.n_eoi, 0);
	set(LAPIC_TPR, 0);
	take(0x40);
	/* One of the same class as what is in service. */
	vlapic_post(&apic, 0x4f, false);
	assert_int_equal(vlapic_accept(&apic, 0x4f), 0xcf);
	/* The spurious vector as a real one has an ISR bit. */
	vlapic_post(&apic, 0xcf, false);
	take(0xcf);
}

static void test_level_and_tmr(void **state)
{
	(void)state;
	vlapic_post(&apic, 0x61, true);
	vlapic_post(&apic, 0x62, false);
	assert_true(in(LAPIC_TMR, 0x61));
	assert_false(in(LAPIC_TMR, 0x62));
	take(0x62);
	set(LAPIC_EOI, 0);
	assert_int_equal(seen.n_eoi, 0);
	take(0x61);
	set(LAPIC_EOI, 0);
	assert_int_equal(seen.n_eoi, 1);
	assert_int_equal(seen.eoi, 0x61);
	assert_true(in(LAPIC_TMR, 0x61)); /* until the vector comes as an edge */
	vlapic_post(&apic, 0x61, false);
	assert_false(in(LAPIC_TMR, 0x61));
	take(0x61);
	set(LAPIC_EOI, 0);
	assert_int_equal(seen.n_eoi, 1);
	/* The EOI goes by what is highest in service, not by what came last. */
	vlapic_post(&apic, 0x41, true);
	take(0x41);
	vlapic_post(&apic, 0x71, false);
	take(0x71);
	set(LAPIC_EOI, 0);
	assert_int_equal(seen.n_eoi, 1);
	set(LAPIC_EOI, 0);
	assert_int_equal(seen.n_eoi, 2);
	assert_int_equal(seen.eoi, 0x41);
}

/* The state that the host sees inside its EOI call: the I/O APIC may post again at once. */
static void eoi_posts_again(void *ctx, uint8_t vector)
{
	eoi(ctx, vector);
	assert_false(in(LAPIC_ISR, vector));
	assert_true(vlapic_post(&apic, vector, true));
}

static void test_level_again_from_eoi(void **state)
{
	(void)state;
	struct vlapic_host again = host;

	again.eoi = eoi_posts_again;
	apic.host = &again;
	vlapic_post(&apic, 0x61, true);
	for (unsigned i = 0; i < 3; i++) {
		take(0x61);
		set(LAPIC_EOI, 0);
	}
	assert_int_equal(seen.n_eoi, 3);
	assert_int_equal(vlapic_pending(&apic), 0x61);
}

static void test_software_disable(void **state)
{
	(void)state;
	set(LAPIC_LVT_LINT0, 0x700);
	set(LAPIC_LVT_ERROR, 0xfe);
	vlapic_post(&apic, 0x50, false);
	vlapic_post(&apic, 0x90, false);
	take(0x90);
	set(LAPIC_SVR, 0x0ff);
	assert_int_equal(get(LAPIC_LVT_LINT0), 0x10700);
	assert_int_equal(get(LAPIC_LVT_ERROR), 0x100fe);
	set(LAPIC_LVT_LINT0, 0x700); /* cannot be unmasked now */
	set(LAPIC_LVT_TIMER, 0x20040);
	assert_int_equal(get(LAPIC_LVT_LINT0), 0x10700);
	assert_int_equal(get(LAPIC_LVT_TIMER), 0x30040);
	/* New interrupts are dropped, old ones stay. */
	assert_false(vlapic_post(&apic, 0x80, false));
	assert_false(vlapic_post(&apic, 0x05, false));
	assert_int_equal(errors(), 0);
	assert_true(in(LAPIC_ISR, 0x90));
	set(LAPIC_EOI, 0);
	assert_int_equal(vlapic_pending(&apic), 0x50);
	take(0x50);
	set(LAPIC_SVR, 0x1ff);
	assert_int_equal(get(LAPIC_LVT_LINT0), 0x10700); /* stays masked */
	set(LAPIC_SVR, 0xffffffff);
	assert_int_equal(get(LAPIC_SVR), 0x3ff); /* no EOI-broadcast suppression */
}

static void test_mmio_sizes(void **state)
{
	(void)state;
	set(LAPIC_LVT_LINT0, 0x1a7f3);
	assert_int_equal(vlapic_mmio_read(&apic, 0x350, 1), 0xf3);
	assert_int_equal(vlapic_mmio_read(&apic, 0x351, 1), 0xa7);
	assert_int_equal(vlapic_mmio_read(&apic, 0x352, 1), 0x01);
	assert_int_equal(vlapic_mmio_read(&apic, 0x353, 1), 0);
	assert_int_equal(vlapic_mmio_read(&apic, 0x350, 2), 0xa7f3);
	assert_int_equal(vlapic_mmio_read(&apic, 0x351, 2), 0x01a7);
	assert_int_equal(vlapic_mmio_read(&apic, 0x352, 4), 0x0001);
	assert_int_equal(vlapic_mmio_read(&apic, 0x353, 4), 0);
	assert_int_equal(vlapic_mmio_read(&apic, 0x350, 8), 0x1a7f3);
	for (unsigned off = 0x354; off < 0x360; off++)
		assert_int_equal(vlapic_mmio_read(&apic, off, 4), 0);
	vlapic_mmio_write(&apic, 0x350, 1, 0);
	vlapic_mmio_write(&apic, 0x350, 2, 0);
	vlapic_mmio_write(&apic, 0x350, 8, 0);
	vlapic_mmio_write(&apic, 0x352, 4, 0);
	vlapic_mmio_write(&apic, 0x354, 4, 0);
	assert_int_equal(get(LAPIC_LVT_LINT0), 0x1a7f3);
	assert_int_equal(errors(), 0);
}

static void test_registers(void **state)
{
	(void)state;
	static const struct {
		uint16_t reg;
		uint32_t bits, ones;
	} rw[] = {
		{LAPIC_TPR, 0xff, 0},
		{LAPIC_LDR, 0xff000000, 0},
		{LAPIC_DFR, 0xf0000000, 0x0fffffff},
		{LAPIC_ICR2, 0xff000000, 0},
		{LAPIC_LVT_TIMER, 0x700ff, 0},
		{LAPIC_LVT_THERMAL, 0x107ff, 0},
		{LAPIC_LVT_PERF, 0x107ff, 0},
		{LAPIC_LVT_LINT0, 0x1a7ff, 0},
		{LAPIC_LVT_LINT1, 0x1a7ff, 0},
		{LAPIC_LVT_ERROR, 0x100ff, 0},
		{LAPIC_TIMER_DIVIDE, 0xb, 0},
	};
	static const uint16_t ro[] = {LAPIC_ID,  LAPIC_VERSION,    LAPIC_APR,
				      LAPIC_PPR, LAPIC_RRD,        LAPIC_ISR,
				      LAPIC_TMR, LAPIC_IRR + 0x70, LAPIC_TIMER_COUNT};

	for (unsigned i = 0; i < ARRAY_SIZE(rw); i++) {
		set(rw[i].reg, 0xffffffff);
		assert_int_equal(get(rw[i].reg), rw[i].bits | rw[i].ones);
		set(rw[i].reg, 0x55555555);
		assert_int_equal(get(rw[i].reg), (0x55555555 & rw[i].bits) | rw[i].ones);
		set(rw[i].reg, 0);
		assert_int_equal(get(rw[i].reg), rw[i].ones);
	}
	set(LAPIC_LVT_ERROR, 0x10000);
	for (unsigned i = 0; i < ARRAY_SIZE(ro); i++) {
		uint32_t old = get(ro[i]);

		set(ro[i], ~old);
		assert_int_equal(get(ro[i]), old);
	}
	assert_int_equal(get(LAPIC_EOI), 0);
	assert_int_equal(errors(), 0);
}

static void test_illegal_registers(void **state)
{
	(void)state;
	unsigned illegal = 0;

	for (unsigned off = 0; off < 0x1000; off += 16) {
		vlapic_mmio_read(&apic, off, 4);
		if (errors() == 0)
			continue;
		illegal++;
		assert_int_equal(get(off), 0);
		assert_int_equal(errors(), ESR_REGISTER);
		vlapic_mmio_write(&apic, off, 4, 0xffffffff);
		assert_int_equal(errors(), ESR_REGISTER);
		assert_int_equal(apic.regs[off / 4], 0);
	}
	/* 64 in the first KiB, less ID, version, TPR to SVR (8), ISR/TMR/IRR (24), ESR, ICR (2),
	 * LVT (6), counts (2), divide. */
	assert_int_equal(illegal, 256 - 46);
	get(0x3f0); /* the self IPI register is x2APIC's */
	assert_int_equal(errors(), ESR_REGISTER);
	get(0x2f0);
	assert_int_equal(errors(), ESR_REGISTER);
}

static void test_esr(void **state)
{
	(void)state;
	get(0);
	vlapic_post(&apic, 3, false);
	assert_int_equal(get(LAPIC_ESR), 0); /* a write latches it */
	set(LAPIC_ESR, 0);
	assert_int_equal(get(LAPIC_ESR), ESR_REGISTER | ESR_RECV_VECTOR);
	get(0);
	assert_int_equal(get(LAPIC_ESR), ESR_REGISTER | ESR_RECV_VECTOR);
	set(LAPIC_ESR, 0xff);
	assert_int_equal(get(LAPIC_ESR), ESR_REGISTER);
	set(LAPIC_ESR, 0);
	assert_int_equal(get(LAPIC_ESR), 0);
	/* The error interrupt. */
	set(LAPIC_LVT_ERROR, 0xfe);
	assert_true(vlapic_post(&apic, 3, false));
	take(0xfe);
	set(LAPIC_EOI, 0);
	get(0);
	take(0xfe);
	set(LAPIC_EOI, 0);
	assert_int_equal(errors(), ESR_REGISTER | ESR_RECV_VECTOR);
	/* With an illegal vector of its own: no interrupt, no recursion. */
	set(LAPIC_LVT_ERROR, 0x0f);
	get(0);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_int_equal(errors(), ESR_REGISTER | ESR_RECV_VECTOR);
}

static void test_icr_xapic(void **state)
{
	(void)state;
	set(LAPIC_ICR2, 0x05abcdef);
	assert_int_equal(get(LAPIC_ICR2), 0x05000000);
	set(LAPIC_ICR, 0); /* fixed, vector 0 */
	assert_int_equal(seen.n_ipi, 0);
	assert_int_equal(errors(), ESR_SEND_VECTOR);
	set(LAPIC_ICR, 0x00004041);
	assert_int_equal(seen.n_ipi, 1);
	assert_int_equal(seen.icr, 0x4041);
	assert_int_equal(seen.dest, 5);
	assert_int_equal(get(LAPIC_ICR), 0x4041);
	set(LAPIC_ICR, 0xffffffff & ~0x700u & ~0xc0000u); /* reserved and busy are dropped */
	assert_int_equal(get(LAPIC_ICR), 0xc8ff);
	assert_int_equal(seen.n_ipi, 2);
	set(LAPIC_ICR, 0x000c0041); /* all but self */
	assert_int_equal(seen.icr, 0xc0041);
	set(LAPIC_ICR, 0x00080041); /* all: the machine includes self */
	assert_int_equal(seen.n_ipi, 4);
	assert_int_equal(vlapic_pending(&apic), -1);
	set(LAPIC_ICR, 0x00040041); /* self */
	assert_int_equal(seen.n_ipi, 4);
	take(0x41);
	set(LAPIC_EOI, 0);
	set(LAPIC_ICR, 0x00048042); /* self, "level": IPIs are edges */
	take(0x42);
	assert_false(in(LAPIC_TMR, 0x42));
	set(LAPIC_ICR, 0x0004000f);
	assert_int_equal(errors(), ESR_SEND_VECTOR);
	/* NMI, INIT, start-up, SMI and lowest priority leave; vectors below 16 are fine for the
	 * first. */
	static const uint32_t leave[] = {0x400, 0x4500, 0x608,   0x600,
					 0x200, 0x141,  0xc0400, 0x4c500};

	for (unsigned i = 0; i < ARRAY_SIZE(leave); i++) {
		set(LAPIC_ICR, leave[i]);
		assert_int_equal(seen.n_ipi, 5 + i);
		assert_int_equal(seen.icr, leave[i]);
	}
	assert_int_equal(errors(), 0);
	set(LAPIC_ICR, 0x10f);
	assert_int_equal(errors(), ESR_SEND_VECTOR);
	set(LAPIC_ICR, 0x8500); /* INIT level de-assert */
	set(LAPIC_ICR, 0x741);  /* reserved modes */
	set(LAPIC_ICR, 0x341);
	assert_int_equal(seen.n_ipi, 4 + ARRAY_SIZE(leave));
	/* Writing the high half alone sends nothing. */
	set(LAPIC_ICR2, 0);
	assert_int_equal(seen.n_ipi, 4 + ARRAY_SIZE(leave));
	/* A software-disabled APIC still sends. */
	set(LAPIC_SVR, 0xff);
	set(LAPIC_ICR, 0x41);
	assert_int_equal(seen.n_ipi, 5 + ARRAY_SIZE(leave));
}

static void test_base(void **state)
{
	(void)state;
	uint64_t base = 0xfee00900;

	/* Reserved bits. */
	for (unsigned bit = 0; bit < 64; bit++) {
		bool ok = bit >= 12 && bit < 52;

		if (bit == 8 || bit == 10 || bit == 11)
			continue;
		assert_int_equal(vlapic_base_write(&apic, base ^ BIT(bit)), ok);
		assert_true(vlapic_base_write(&apic, base));
	}
	/* Moving it. */
	assert_true(vlapic_base_write(&apic, 0xffffffffff900));
	assert_int_equal(vlapic_base_gpa(&apic), 0xffffffffff000);
	assert_true(vlapic_base_write(&apic, base));
	assert_int_equal(get(LAPIC_SVR), 0x1ff); /* nothing lost */
	/* The flag of the boot processor stays. */
	assert_true(vlapic_base_write(&apic, 0xfee00800));
	assert_int_equal(vlapic_base_read(&apic), base);
}

static void test_transitions(void **state)
{
	(void)state;
	static const uint64_t off = 0xfee00100, xapic = 0xfee00900, bad = 0xfee00500,
			      x2apic = 0xfee00d00;
	static const struct {
		uint64_t from, to;
		bool ok;
	} moves[] = {
		{off, off, true},       {off, xapic, true},     {off, x2apic, false},
		{off, bad, false},      {xapic, off, true},     {xapic, xapic, true},
		{xapic, x2apic, true},  {xapic, bad, false},    {x2apic, off, true},
		{x2apic, xapic, false}, {x2apic, x2apic, true}, {x2apic, bad, false},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(moves); i++) {
		start(3);
		if (moves[i].from != xapic)
			assert_true(vlapic_base_write(&apic, moves[i].from));
		assert_int_equal(vlapic_base_read(&apic), moves[i].from);
		assert_int_equal(vlapic_base_write(&apic, moves[i].to), moves[i].ok);
		assert_int_equal(vlapic_base_read(&apic),
				 moves[i].ok ? moves[i].to : moves[i].from);
		assert_int_equal(vlapic_check(&apic, NULL), 0);
		assert_int_equal(vlapic_is_xapic(&apic), vlapic_base_read(&apic) == xapic);
		assert_int_equal(vlapic_is_x2apic(&apic), vlapic_base_read(&apic) == x2apic);
	}
}

static void test_globally_disabled(void **state)
{
	(void)state;
	set(LAPIC_LVT_LINT0, 0x10700);
	set(LAPIC_TPR, 0x20);
	vlapic_post(&apic, 0x80, false);
	assert_int_equal(vlapic_pending(&apic), 0x80);
	assert_true(vlapic_base_write(&apic, 0xfee00100));
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_false(vlapic_post(&apic, 0x80, false));
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_int_equal(get(LAPIC_SVR), 0xffffffff); /* no page there */
	assert_int_equal(vlapic_mmio_read(&apic, LAPIC_SVR, 1), 0xff);
	assert_int_equal(vlapic_mmio_read(&apic, LAPIC_SVR, 2), 0xffff);
	set(LAPIC_SVR, 0x1ff);
	assert_false(vlapic_matches(&apic, 3, false, false));
	assert_false(vlapic_matches(&apic, 0xff, false, false));
	assert_false(vlapic_matches(&apic, 0xffffffff, false, true));
	assert_true(vlapic_accepts_pic(&apic));
	assert_int_equal(vlapic_signal(&apic, LAPIC_LVT_LINT0), VLAPIC_EXTINT);
	assert_int_equal(vlapic_signal(&apic, LAPIC_LVT_LINT1), VLAPIC_NMI);
	assert_int_equal(vlapic_signal(&apic, LAPIC_LVT_PERF), VLAPIC_NOTHING);
	/* On again: as after power-on. */
	assert_true(vlapic_base_write(&apic, 0xfee00900));
	assert_int_equal(get(LAPIC_SVR), 0xff);
	assert_int_equal(get(LAPIC_TPR), 0);
	assert_int_equal(get(LAPIC_LVT_LINT0), 0x10000);
	assert_int_equal(get(LAPIC_ID), 0x03000000);
}

static void test_reset_and_init(void **state)
{
	(void)state;
	uint64_t val;

	set(LAPIC_TPR, 0x50);
	vlapic_post(&apic, 0x80, true);
	get(0);
	assert_true(vlapic_base_write(&apic, 0xfed00900));
	vlapic_init_signal(&apic);
	assert_int_equal(vlapic_base_read(&apic), 0xfed00900); /* stays */
	assert_int_equal(get(LAPIC_TPR), 0);
	assert_int_equal(get(LAPIC_TMR + 0x40), 0);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_int_equal(errors(), 0);
	vlapic_reset(&apic);
	assert_int_equal(vlapic_base_read(&apic), 0xfee00900);
	/* In x2APIC mode the mode and its IDs stay over an INIT. */
	assert_true(vlapic_base_write(&apic, 0xfee00d00));
	vlapic_init_signal(&apic);
	assert_true(vlapic_is_x2apic(&apic));
	assert_true(vlapic_msr_read(&apic, 0x80d, &val));
	assert_int_equal(val, 8);
	assert_int_equal(rdmsr(0x802), 3);
	assert_int_equal(vlapic_check(&apic, NULL), 0);
	vlapic_reset(&apic);
	assert_true(vlapic_is_xapic(&apic));
	assert_int_equal(get(LAPIC_ID), 0x03000000);
}

static void test_x2apic_ids(void **state)
{
	(void)state;
	assert_int_equal(rdmsr(0x802), 0x25);
	assert_int_equal(rdmsr(0x80d), 0x00020020); /* cluster 2, bit 5 */
	assert_int_equal(rdmsr(0x803), 0x00050014);
	start(0xabcde);
	assert_int_equal(get(LAPIC_ID), 0xde000000);
	set(LAPIC_LDR, 0x01000000);
	set(LAPIC_ICR2, 0x77000000);
	assert_true(vlapic_base_write(&apic, 0xfee00d00));
	assert_int_equal(rdmsr(0x802), 0xabcde);
	assert_int_equal(rdmsr(0x80d), 0xabcd4000);
	assert_int_equal(rdmsr(0x830), 0);     /* xAPIC's destination is not kept */
	assert_int_equal(rdmsr(0x80f), 0x1ff); /* the rest is */
	/* No page in this mode. */
	assert_int_equal(get(LAPIC_ID), 0xffffffff);
	vlapic_mmio_write(&apic, LAPIC_TPR, 4, 0x10);
	assert_int_equal(rdmsr(0x808), 0);
}

static void test_msr_outside_x2apic(void **state)
{
	(void)state;
	uint64_t val;

	for (uint32_t msr = 0x800; msr < 0x900; msr++) {
		assert_false(vlapic_msr_read(&apic, msr, &val));
		assert_false(vlapic_msr_write(&apic, msr, 0));
	}
	assert_true(vlapic_base_write(&apic, 0xfee00100));
	assert_false(vlapic_msr_read(&apic, 0x802, &val));
	assert_false(vlapic_msr_write(&apic, 0x808, 0));
}

/* Each MSR: can it be read, can it be written with 0, and which bits may be set. */
static void test_msr_access(void **state)
{
	(void)state;
	uint64_t val;

	for (uint32_t msr = 0x800; msr < 0x900; msr++) {
		bool rd = msr == 0x802 || msr == 0x803 || msr == 0x808 || msr == 0x80a ||
			  msr == 0x80d || msr == 0x80f || (msr >= 0x810 && msr <= 0x828) ||
			  msr == 0x830 || (msr >= 0x832 && msr <= 0x839) || msr == 0x83e;
		bool wr = true;
		uint64_t bits = 0;

		switch (msr) {
		case 0x808:
		case 0x83f:
			bits = 0xff;
			break;
		case 0x80b:
		case 0x828:
			break;
		case 0x80f:
			bits = 0x3ff;
			break;
		case 0x830:
			bits = 0xffffffff000cdfff;
			break;
		case 0x832:
			bits = 0x710ff;
			break;
		case 0x833:
		case 0x834:
			bits = 0x117ff;
			break;
		case 0x835:
		case 0x836:
			bits = 0x1f7ff;
			break;
		case 0x837:
			bits = 0x110ff;
			break;
		case 0x838:
			bits = 0xffffffff;
			break;
		case 0x83e:
			bits = 0xb;
			break;
		default:
			wr = false;
			break;
		}
		setup_x2apic(NULL);
		assert_int_equal(vlapic_msr_read(&apic, msr, &val), rd);
		assert_int_equal(vlapic_msr_write(&apic, msr, 0), wr);
		for (unsigned bit = 0; bit < 64; bit++) {
			bool ok = wr && (bits >> bit & 1);

			setup_x2apic(NULL);
			assert_int_equal(vlapic_msr_write(&apic, msr, BIT(bit)), ok);
			assert_int_equal(vlapic_check(&apic, NULL), 0);
			if (ok && rd && bit != 12 && !(bit == 14 && msr != 0x830 && msr != 0x838)) {
				assert_true(vlapic_msr_read(&apic, msr, &val));
				if (msr != 0x80f || bit == 8) /* the others disable, see SVR */
					assert_true(val & BIT(bit));
			}
		}
	}
	/* Read-only bits are not kept. */
	setup_x2apic(NULL);
	wrmsr(0x835, 0x1f7ff);
	assert_int_equal(rdmsr(0x835), 0x1a7ff);
	wrmsr(0x830, 0x0000000500001041);
	assert_int_equal(rdmsr(0x830), 0x0000000500000041);
	/* And far outside. */
	assert_false(vlapic_msr_read(&apic, 0x7ff, &val));
	assert_false(vlapic_msr_read(&apic, 0x10000802, &val));
	assert_false(vlapic_msr_write(&apic, 0x10000808, 0));
}

static void test_x2apic_use(void **state)
{
	(void)state;
	wrmsr(0x83f, 0x41); /* self IPI */
	take(0x41);
	wrmsr(0x808, 0x50);
	assert_int_equal(rdmsr(0x80a), 0x50);
	wrmsr(0x80b, 0);
	assert_false(in(LAPIC_ISR, 0x41));
	wrmsr(0x83f, 0x0f);
	wrmsr(0x828, 0);
	assert_int_equal(rdmsr(0x828), ESR_SEND_VECTOR);
	/* The ICR is one register of 64 bits. */
	wrmsr(0x830, 0x0001000300000841);
	assert_int_equal(seen.n_ipi, 1);
	assert_int_equal(seen.icr, 0x841);
	assert_int_equal(seen.dest, 0x00010003);
	assert_int_equal(rdmsr(0x830), 0x0001000300000841);
	wrmsr(0x830, 0x44060);
	take(0x60);
	assert_int_equal(seen.n_ipi, 1);
	assert_int_equal(rdmsr(0x813), 1); /* ISR 0x60 to 0x7f */
	wrmsr(0x80b, 0);
	/* A refused write changes nothing. */
	assert_false(vlapic_msr_write(&apic, 0x808, 0x100));
	assert_int_equal(rdmsr(0x808), 0x50);
	assert_false(vlapic_msr_write(&apic, 0x830, 0x0000000000100041));
	assert_int_equal(seen.n_ipi, 1);
}

/* Several that the guest sends itself wait together, and posts of others among them. */
static void test_self_ipis_wait(void **state)
{
	static const uint8_t order[] = {0xff, 0xe1, 0xa0, 0x9f, 0x77, 0x41, 0x10};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
		wrmsr(0x83f, order[(i * 3 + 1) % ARRAY_SIZE(order)]);
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		take(order[i]);
		wrmsr(0x80b, 0);
	}
	assert_int_equal(vlapic_pending(&apic), -1);
	/* While others are in service. */
	wrmsr(0x83f, 0x41);
	take(0x41);
	wrmsr(0x83f, 0x31);
	wrmsr(0x83f, 0x42);
	assert_int_equal(vlapic_pending(&apic), -1);
	wrmsr(0x83f, 0xe1);
	vlapic_post(&apic, 0xa0, false);
	take(0xe1);
	wrmsr(0x80b, 0);
	take(0xa0);
	wrmsr(0x80b, 0);
	assert_int_equal(vlapic_pending(&apic), -1);
	wrmsr(0x80b, 0);
	take(0x42);
	wrmsr(0x80b, 0);
	take(0x31);
	wrmsr(0x80b, 0);
	assert_false(vlapic_has_waiting(&apic));
}

static void test_matches_xapic(void **state)
{
	(void)state;
	assert_true(vlapic_matches(&apic, 3, false, false));
	assert_false(vlapic_matches(&apic, 2, false, false));
	assert_true(vlapic_matches(&apic, 0xff, false, false));
	assert_true(vlapic_matches(&apic, 0xff, true, false));
	assert_true(vlapic_matches(&apic, 0xffffff03, false, false)); /* 8 bits count */
	/* Flat: one bit each. */
	assert_false(vlapic_matches(&apic, 0x04, true, false)); /* LDR is 0 */
	set(LAPIC_LDR, 0x04000000);
	assert_true(vlapic_matches(&apic, 0x04, true, false));
	assert_true(vlapic_matches(&apic, 0x0c, true, false));
	assert_false(vlapic_matches(&apic, 0xfb, true, false));
	assert_false(vlapic_matches(&apic, 0, true, false));
	/* Cluster: 4 bits of cluster, 4 of member. */
	set(LAPIC_DFR, 0x00000000);
	set(LAPIC_LDR, 0x22000000);
	assert_true(vlapic_matches(&apic, 0x22, true, false));
	assert_true(vlapic_matches(&apic, 0x2f, true, false));
	assert_false(vlapic_matches(&apic, 0x2d, true, false));
	assert_false(vlapic_matches(&apic, 0x12, true, false));
	assert_false(vlapic_matches(&apic, 0x20, true, false));
	assert_true(vlapic_matches(&apic, 0xff, true, false));
	set(LAPIC_DFR, 0x50000000); /* no such model */
	assert_false(vlapic_matches(&apic, 0x22, true, false));
	/* A sender in x2APIC mode. */
	set(LAPIC_DFR, 0xffffffff);
	assert_true(vlapic_matches(&apic, 0x22, true, true));
	assert_false(vlapic_matches(&apic, 0x122, true, true));
	assert_true(vlapic_matches(&apic, 3, false, true));
	assert_false(vlapic_matches(&apic, 0x103, false, true));
	assert_false(vlapic_matches(&apic, 0xff, false, true));
	assert_true(vlapic_matches(&apic, 0xffffffff, false, true));
	assert_true(vlapic_matches(&apic, 0xffffffff, true, true));
	/* A software-disabled APIC is still there for NMI and INIT. */
	set(LAPIC_SVR, 0xff);
	assert_true(vlapic_matches(&apic, 3, false, false));
}

static void test_matches_x2apic(void **state)
{
	(void)state;
	assert_true(vlapic_matches(&apic, 0x25, false, true));
	assert_false(vlapic_matches(&apic, 0x125, false, true));
	assert_false(vlapic_matches(&apic, 0xff, false, true));
	assert_true(vlapic_matches(&apic, 0xffffffff, false, true));
	assert_true(vlapic_matches(&apic, 0xffffffff, true, true));
	assert_true(vlapic_matches(&apic, 0x00020020, true, true));
	assert_true(vlapic_matches(&apic, 0x0002ffff, true, true));
	assert_false(vlapic_matches(&apic, 0x0002ffdf, true, true));
	assert_false(vlapic_matches(&apic, 0x00030020, true, true));
	assert_false(vlapic_matches(&apic, 0x00020000, true, true));
	/* Messages and xAPIC senders have 8 bits. */
	assert_true(vlapic_matches(&apic, 0x25, false, false));
	assert_true(vlapic_matches(&apic, 0xff, false, false));
	assert_false(vlapic_matches(&apic, 0x20, true, false)); /* cluster 0 */
	start(5);
	assert_true(vlapic_base_write(&apic, 0xfee00d00));
	assert_true(vlapic_matches(&apic, 0x20, true, false));
	assert_false(vlapic_matches(&apic, 0x40, true, false));
	/* An ID above 8 bits. */
	start(0x1ff);
	assert_true(vlapic_base_write(&apic, 0xfee00d00));
	assert_true(vlapic_matches(&apic, 0x1ff, false, true));
	assert_false(vlapic_matches(&apic, 0xfe, false, false));
}

static void test_accepts_pic(void **state)
{
	(void)state;
	assert_false(vlapic_accepts_pic(&apic));
	set(LAPIC_LVT_LINT0, 0x700);
	assert_true(vlapic_accepts_pic(&apic));
	set(LAPIC_LVT_LINT0, 0x8700);
	assert_true(vlapic_accepts_pic(&apic));
	set(LAPIC_LVT_LINT0, 0x10700);
	assert_false(vlapic_accepts_pic(&apic));
	set(LAPIC_LVT_LINT0, 0x400);
	assert_false(vlapic_accepts_pic(&apic));
	set(LAPIC_LVT_LINT0, 0x041);
	assert_false(vlapic_accepts_pic(&apic));
	set(LAPIC_SVR, 0xff);
	assert_true(vlapic_accepts_pic(&apic)); /* no firmware was there */
}

static void test_signal(void **state)
{
	(void)state;
	static const struct {
		uint32_t lvt;
		enum vlapic_delivery delivery;
	} cases[] = {
		{0x10400, VLAPIC_NOTHING}, {0x200, VLAPIC_SMI},     {0x400, VLAPIC_NMI},
		{0x4ff, VLAPIC_NMI},       {0x500, VLAPIC_INIT},    {0x700, VLAPIC_EXTINT},
		{0x100, VLAPIC_NOTHING},   {0x300, VLAPIC_NOTHING}, {0x600, VLAPIC_NOTHING},
	};
	static const uint16_t lvts[] = {LAPIC_LVT_LINT0, LAPIC_LVT_LINT1, LAPIC_LVT_PERF,
					LAPIC_LVT_THERMAL};

	for (unsigned n = 0; n < ARRAY_SIZE(lvts); n++) {
		for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
			set(lvts[n], cases[i].lvt);
			assert_int_equal(vlapic_signal(&apic, lvts[n]), cases[i].delivery);
			assert_int_equal(vlapic_pending(&apic), -1);
		}
		set(lvts[n], 0x51);
		assert_int_equal(vlapic_signal(&apic, lvts[n]), VLAPIC_POSTED);
		take(0x51);
		set(LAPIC_EOI, 0);
		set(lvts[n], 0x07);
		vlapic_signal(&apic, lvts[n]);
		assert_int_equal(errors(), ESR_RECV_VECTOR);
		set(lvts[n], 0x10000);
	}
}

/* The cached answer is rebuilt from the page alone. */
static void test_sync(void **state)
{
	(void)state;
	set(LAPIC_TPR, 0x30);
	vlapic_post(&apic, 0x91, false);
	take(0x91);
	apic.regs[(LAPIC_IRR + 0x70) / 4] |= 1; /* 0xe0, as hardware would */
	apic.regs[(LAPIC_ISR + 0x40) / 4] = 0;
	apic.regs[LAPIC_PPR / 4] = 0;
	assert_int_equal(vlapic_pending(&apic), -1);
	vlapic_sync(&apic);
	assert_int_equal(vlapic_pending(&apic), 0xe0);
	assert_int_equal(get(LAPIC_PPR), 0x30);
	apic.regs[(LAPIC_ISR + 0x70) / 4] = 2;
	vlapic_sync(&apic);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_int_equal(get(LAPIC_PPR), 0xe0);
}

static void bad(void)
{
	struct reason why = {""};

	assert_int_equal(vlapic_check(&apic, &why), ERR_INVALID);
	assert_int_not_equal(why.text[0], 0);
	start(3);
}

static void test_check(void **state)
{
	(void)state;
	static const struct {
		uint16_t reg;
		uint32_t val;
	} bits[] = {
		{LAPIC_TPR, 0x100},         {LAPIC_SVR, 0x11ff},
		{LAPIC_DFR, 0xf0000000},    {LAPIC_LDR, 0x00010000},
		{LAPIC_ICR2, 0x1},          {LAPIC_ISR, 0x8000},
		{LAPIC_TMR, 0x1},           {LAPIC_IRR, 0x100},
		{LAPIC_ESR, 0x1},           {LAPIC_ICR, 0x1000},
		{LAPIC_LVT_TIMER, 0x10100}, {LAPIC_LVT_THERMAL, 0x12000},
		{LAPIC_LVT_PERF, 0x30000},  {LAPIC_LVT_LINT0, 0x14000},
		{LAPIC_LVT_LINT1, 0x11000}, {LAPIC_LVT_ERROR, 0x10400},
		{LAPIC_TIMER_DIVIDE, 0x4},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
		apic.regs[bits[i].reg / 4] = bits[i].val;
		bad();
	}
	apic.errors = 1;
	bad();
	apic.base = 0xfee00500;
	bad();
	apic.base = 0xfee00900 | BIT(60);
	bad();
	apic.base = 0xfee00d00; /* x2APIC, but the LDR is not derived */
	bad();
	apic.regs[LAPIC_SVR / 4] = 0xff; /* off with an unmasked source */
	assert_int_equal(vlapic_check(&apic, NULL), 0);
	apic.regs[LAPIC_LVT_LINT0 / 4] = 0x700;
	bad();
	/* Off, with something left. */
	apic.base = 0xfee00100;
	bad();
	vlapic_reset(&apic);
	apic.base = 0xfee00100;
	assert_int_equal(vlapic_check(&apic, NULL), 0);
	apic.regs[(LAPIC_IRR + 0x30) / 4] = 1;
	bad();
	vlapic_reset(&apic);
	apic.base = 0xfee00100;
	apic.regs[(LAPIC_ISR + 0x70) / 4] = 1;
	bad();
	vlapic_reset(&apic);
	apic.base = 0xfee00100;
	apic.regs[LAPIC_TIMER_INIT / 4] = 5;
	apic.timer_end = 7;
	bad();
	/* Timers that run on nothing. */
	apic.timer_end = 5;
	bad();
	apic.tsc_deadline = 5;
	bad();
	apic.regs[LAPIC_LVT_TIMER / 4] = 0x50000;
	apic.timer_end = 5;
	bad();
	apic.regs[LAPIC_LVT_TIMER / 4] = 0x50000;
	apic.regs[LAPIC_TIMER_INIT / 4] = 5;
	bad();
	apic.regs[LAPIC_LVT_TIMER / 4] = 0x70000;
	apic.tsc_deadline = 5;
	bad();
	assert_int_equal(vlapic_check(&apic, NULL), 0);
}

/* Whatever a guest does, the state stays one that vlapic_check() accepts, and the cached answer is
 * what a fresh look finds. */
static void test_random(void **state)
{
	(void)state;
	uint64_t seed = 987654321, val;

	for (unsigned i = 0; i < 300000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		uint32_t r = (uint32_t)(seed >> 32), v = (uint32_t)(seed >> 13);
		int best;

		switch (r >> 28) {
		case 0:
		case 1:
		case 2:
			vlapic_post(&apic, (uint8_t)v, v & 0x100);
			break;
		case 3:
		case 4:
			vlapic_mmio_write(&apic, LAPIC_EOI, 4, 0);
			(void)!vlapic_msr_write(&apic, 0x80b, 0);
			break;
		case 5:
		case 6:
		case 7:
			vlapic_accept(&apic, (uint8_t)vlapic_pending(&apic));
			break;
		case 8:
			vlapic_mmio_write(&apic, r & 0x3f0, 4, v);
			break;
		case 9:
			(void)!vlapic_msr_write(&apic, 0x800 + (r & 0x3f), v & r);
			break;
		case 10:
			vlapic_mmio_read(&apic, r & 0xfff, 1u << (v & 3));
			(void)!vlapic_msr_read(&apic, 0x800 + (r & 0xff), &val);
			break;
		case 11:
			if (!(v & 0xf0))
				(void)!vlapic_base_write(&apic, 0xfee00000 | (v & 0xd00));
			break;
		case 12:
			vlapic_set_cr8(&apic, v & 3);
			break;
		case 13:
			vlapic_signal(&apic, LAPIC_LVT_TIMER + 16 * (r % 6));
			break;
		default:
			vlapic_mmio_write(&apic, LAPIC_SVR, 4, 0x1ff);
			(void)!vlapic_msr_write(&apic, 0x80f, 0x1ff);
			break;
		}
		assert_int_equal(vlapic_check(&apic, NULL), 0);
		best = vlapic_pending(&apic);
		vlapic_sync(&apic);
		assert_int_equal(vlapic_pending(&apic), best);
	}
}

/* Posters on other cores, and an owner that sleeps when nothing is pending and no kick came: each
 * post must arrive. A lost kick ends in the time-out. */
#define POSTERS 3
#define POSTS   4000

static sem_t kicks;
static uint32_t served[POSTERS];

static void *poster(void *arg)
{
	unsigned n = (unsigned)(uintptr_t)arg;

	for (uint32_t i = 0; i < POSTS; i++) {
		/* All vectors in one word of IRR. */
		if (vlapic_post(&apic, (uint8_t)(0x60 + 8 * n), n & 1))
			sem_post(&kicks);
		while (__atomic_load_n(&served[n], __ATOMIC_ACQUIRE) == i)
			sched_yield();
	}
	return NULL;
}

static void test_posts_from_other_cores(void **state)
{
	(void)state;
	pthread_t threads[POSTERS];
	unsigned total = 0, level = 0;

	sem_init(&kicks, 0, 0);
	memset(served, 0, sizeof(served));
	for (uintptr_t n = 0; n < POSTERS; n++)
		assert_int_equal(pthread_create(&threads[n], NULL, poster, (void *)n), 0);
	while (total < POSTERS * POSTS) {
		int vector = vlapic_pending(&apic);
		struct timespec limit;

		if (vector >= 0) {
			assert_int_equal(vlapic_accept(&apic, (uint8_t)vector), vector);
			vlapic_mmio_write(&apic, LAPIC_EOI, 4, 0);
			total++;
			level += vector == 0x68;
			__atomic_fetch_add(&served[(vector - 0x60) / 8], 1, __ATOMIC_RELEASE);
			continue;
		}
		clock_gettime(CLOCK_REALTIME, &limit);
		limit.tv_sec += 20;
		assert_int_equal(sem_timedwait(&kicks, &limit), 0);
	}
	for (unsigned n = 0; n < POSTERS; n++)
		pthread_join(threads[n], NULL);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_int_equal(seen.n_eoi, level);
	sem_destroy(&kicks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_power_on, setup),
		cmocka_unit_test_setup(test_post_and_accept, setup),
		cmocka_unit_test_setup(test_every_vector, setup),
		cmocka_unit_test_setup(test_tpr, setup),
		cmocka_unit_test_setup(test_spurious, setup),
		cmocka_unit_test_setup(test_level_and_tmr, setup),
		cmocka_unit_test_setup(test_level_again_from_eoi, setup),
		cmocka_unit_test_setup(test_software_disable, setup),
		cmocka_unit_test_setup(test_mmio_sizes, setup),
		cmocka_unit_test_setup(test_registers, setup),
		cmocka_unit_test_setup(test_illegal_registers, setup),
		cmocka_unit_test_setup(test_esr, setup),
		cmocka_unit_test_setup(test_icr_xapic, setup),
		cmocka_unit_test_setup(test_base, setup),
		cmocka_unit_test_setup(test_transitions, setup),
		cmocka_unit_test_setup(test_globally_disabled, setup),
		cmocka_unit_test_setup(test_reset_and_init, setup),
		cmocka_unit_test_setup(test_x2apic_ids, setup_x2apic),
		cmocka_unit_test_setup(test_msr_outside_x2apic, setup),
		cmocka_unit_test_setup(test_msr_access, setup_x2apic),
		cmocka_unit_test_setup(test_x2apic_use, setup_x2apic),
		cmocka_unit_test_setup(test_self_ipis_wait, setup_x2apic),
		cmocka_unit_test_setup(test_matches_xapic, setup),
		cmocka_unit_test_setup(test_matches_x2apic, setup_x2apic),
		cmocka_unit_test_setup(test_accepts_pic, setup),
		cmocka_unit_test_setup(test_signal, setup),
		cmocka_unit_test_setup(test_sync, setup),
		cmocka_unit_test_setup(test_check, setup),
		cmocka_unit_test_setup(test_random, setup),
		cmocka_unit_test_setup(test_posts_from_other_cores, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
