/*
 * The local APIC's timer: one-shot, periodic and TSC-deadline, divisors, counts at their edges,
 * masking, mode changes, late expiry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guests/vdev/vlapic.h"

#define TICK 0xecu

static struct vlapic apic;
static uint64_t time_ns;    /* guest time */
static uint64_t tsc_offset; /* guest TSC is 2 * time + this */

static uint64_t now(void *ctx)
{
	(void)ctx;
	return time_ns;
}

static uint64_t tsc(void *ctx)
{
	(void)ctx;
	return 2 * time_ns + tsc_offset;
}

static uint64_t tsc_to_ns(void *ctx, uint64_t guest_tsc)
{
	assert_true(guest_tsc > tsc(ctx)); /* never asked for the past */
	return (guest_tsc - tsc_offset) / 2;
}

static void no_ipi(void *ctx, uint32_t icr_low, uint32_t dest)
{
	(void)ctx;
	(void)icr_low;
	(void)dest;
	fail();
}

static void no_eoi(void *ctx, uint8_t vector)
{
	(void)ctx;
	(void)vector;
	fail(); /* the timer is an edge */
}

static const struct vlapic_host host = {
	.now = now,
	.tsc = tsc,
	.tsc_to_ns = tsc_to_ns,
	.ipi = no_ipi,
	.eoi = no_eoi,
};

static uint32_t get(unsigned reg)
{
	return vlapic_mmio_read(&apic, reg, 4);
}

/* The machine compares it before each entry: it has to be right after every call. */
static void check_deadline(void)
{
	bool masked = get(LAPIC_LVT_TIMER) & 0x10000;

	assert_int_equal(apic.deadline, masked ? TIME_NEVER : apic.timer_end);
}

static void set(unsigned reg, uint32_t val)
{
	vlapic_mmio_write(&apic, reg, 4, val);
	assert_int_equal(vlapic_check(&apic, NULL), 0);
	check_deadline();
}

static uint32_t count(void)
{
	return get(LAPIC_TIMER_COUNT);
}

/* Moves time and calls the timer as the machine would: only when its deadline has passed. */
static void run_to(uint64_t t)
{
	assert_true(t >= time_ns);
	time_ns = t;
	if (apic.deadline <= t)
		vlapic_expire(&apic, t);
	assert_true(apic.deadline > t);
	check_deadline();
}

/* Takes the tick if one is there. */
static bool ticked(void)
{
	int vector = vlapic_pending(&apic);

	if (vector < 0)
		return false;
	assert_int_equal(vector, TICK);
	vlapic_accept(&apic, (uint8_t)vector);
	set(LAPIC_EOI, 0);
	return true;
}

static int setup(void **state)
{
	(void)state;
	time_ns = 1000000;
	tsc_offset = 77;
	vlapic_init(&apic, &host, 0, true);
	assert_int_equal(apic.deadline, TIME_NEVER);
	set(LAPIC_SVR, 0x1ff);
	set(LAPIC_TIMER_DIVIDE, 0xb); /* by 1 */
	set(LAPIC_LVT_TIMER, TICK);
	return 0;
}

static void test_one_shot(void **state)
{
	(void)state;
	set(LAPIC_TIMER_INIT, 5000);
	assert_int_equal(apic.deadline, 1005000);
	assert_int_equal(count(), 5000);
	run_to(1000001);
	assert_int_equal(count(), 4999);
	run_to(1004999);
	assert_int_equal(count(), 1);
	vlapic_expire(&apic, 1004999); /* early */
	assert_false(ticked());
	assert_int_equal(apic.deadline, 1005000);
	run_to(1005000);
	assert_int_equal(count(), 0);
	assert_int_equal(get(LAPIC_TIMER_INIT), 5000);
	assert_true(ticked());
	assert_int_equal(apic.deadline, TIME_NEVER);
	run_to(2000000);
	vlapic_expire(&apic, time_ns);
	assert_false(ticked()); /* once */
	assert_int_equal(count(), 0);
	/* Stopped by 0; started again over a running count. */
	set(LAPIC_TIMER_INIT, 100);
	set(LAPIC_TIMER_INIT, 0);
	assert_int_equal(apic.deadline, TIME_NEVER);
	assert_int_equal(count(), 0);
	set(LAPIC_TIMER_INIT, 100);
	run_to(time_ns + 50);
	set(LAPIC_TIMER_INIT, 100);
	assert_int_equal(apic.deadline, time_ns + 100);
	/* The longest. */
	set(LAPIC_TIMER_DIVIDE, 0xa);
	set(LAPIC_TIMER_INIT, 0xffffffff);
	assert_int_equal(apic.deadline, time_ns + 128 * 0xffffffffull);
	assert_int_equal(count(), 0xffffffff);
	/* One nanosecond. */
	set(LAPIC_TIMER_DIVIDE, 0xb);
	set(LAPIC_TIMER_INIT, 1);
	assert_int_equal(apic.deadline, time_ns + 1);
}

static void test_divisors(void **state)
{
	(void)state;
	static const struct {
		uint32_t reg, by;
	} divisors[] = {
		{0x0, 2},  {0x1, 4},   {0x2, 8}, {0x3, 16},       {0x8, 32},
		{0x9, 64}, {0xa, 128}, {0xb, 1}, {0xfffffff4, 2}, /* reserved bits do not count */
	};

	for (unsigned i = 0; i < ARRAY_SIZE(divisors); i++) {
		uint64_t by = divisors[i].by, start;

		setup(NULL);
		start = time_ns;
		set(LAPIC_TIMER_DIVIDE, divisors[i].reg);
		set(LAPIC_TIMER_INIT, 1000);
		assert_int_equal(apic.deadline, start + 1000 * by);
		/* A count lasts for a whole divisor. */
		run_to(start + by - 1);
		assert_int_equal(count(), 1000);
		run_to(start + by);
		assert_int_equal(count(), 999);
		run_to(start + 999 * by);
		assert_int_equal(count(), 1);
		run_to(start + 1000 * by - 1);
		assert_int_equal(count(), 1);
		run_to(start + 1000 * by);
		assert_int_equal(count(), 0);
		assert_true(ticked());
	}
}

static void test_divide_change(void **state)
{
	(void)state;
	set(LAPIC_TIMER_INIT, 1000);
	run_to(time_ns + 400);
	assert_int_equal(count(), 600);
	set(LAPIC_TIMER_DIVIDE, 0x3); /* by 16: the count stays, the speed changes */
	assert_int_equal(count(), 600);
	assert_int_equal(apic.deadline, time_ns + 600 * 16);
	run_to(time_ns + 160);
	assert_int_equal(count(), 590);
	set(LAPIC_TIMER_DIVIDE, 0xb);
	assert_int_equal(apic.deadline, time_ns + 590);
	run_to(time_ns + 590);
	assert_true(ticked());
	set(LAPIC_TIMER_DIVIDE, 0x0); /* stands still: stays so */
	assert_int_equal(apic.deadline, TIME_NEVER);
	assert_int_equal(count(), 0);
	/* Periodic: this period ends at the new speed, the next ones have the new length. */
	set(LAPIC_TIMER_DIVIDE, 0xb);
	set(LAPIC_LVT_TIMER, 0x20000 | TICK);
	set(LAPIC_TIMER_INIT, 10000);
	run_to(time_ns + 4000);
	set(LAPIC_TIMER_DIVIDE, 0x0);
	assert_int_equal(apic.deadline, time_ns + 12000);
	run_to(time_ns + 12000);
	assert_true(ticked());
	assert_int_equal(apic.deadline, time_ns + 20000);
}

static void test_periodic(void **state)
{
	(void)state;
	uint64_t start = time_ns;

	set(LAPIC_LVT_TIMER, 0x20000 | TICK);
	assert_int_equal(apic.deadline, TIME_NEVER);
	set(LAPIC_TIMER_INIT, 10000);
	for (unsigned i = 1; i < 5; i++) {
		run_to(start + i * 10000 - 1);
		assert_false(ticked());
		assert_int_equal(count(), 1);
		run_to(start + i * 10000);
		assert_true(ticked());
		assert_int_equal(count(), 10000);
		assert_int_equal(apic.deadline, start + (i + 1) * 10000);
	}
	/* A late call does not shift the beat. */
	run_to(start + 50003);
	assert_true(ticked());
	assert_int_equal(count(), 9997);
	assert_int_equal(apic.deadline, start + 60000);
	/* A very late one gives one interrupt, not a storm. */
	run_to(start + 1000000000000 + 1);
	assert_true(ticked());
	assert_false(ticked());
	assert_int_equal(apic.deadline, start + 1000000000000 + 10000);
	/* An interrupt that was not taken yet stays one. */
	run_to(apic.deadline);
	run_to(apic.deadline);
	assert_true(ticked());
	assert_false(ticked());
	set(LAPIC_TIMER_INIT, 0);
	assert_int_equal(apic.deadline, TIME_NEVER);
}

/* A period of a few nanoseconds is stretched to a microsecond. */
static void test_short_period(void **state)
{
	(void)state;
	uint64_t start = time_ns;

	set(LAPIC_LVT_TIMER, 0x20000 | TICK);
	set(LAPIC_TIMER_INIT, 1);
	assert_int_equal(apic.deadline, start + 1000);
	assert_int_equal(count(), 1); /* never above the initial count */
	run_to(start + 1500);
	assert_true(ticked());
	assert_int_equal(apic.deadline, start + 2000);
	set(LAPIC_TIMER_DIVIDE, 0); /* 2 ns */
	run_to(apic.deadline);
	assert_int_equal(apic.deadline, time_ns + 1000);
	set(LAPIC_TIMER_INIT, 500); /* just long enough */
	assert_int_equal(apic.deadline, time_ns + 1000);
	set(LAPIC_TIMER_INIT, 501);
	assert_int_equal(apic.deadline, time_ns + 1002);
}

static void test_masked(void **state)
{
	(void)state;
	uint64_t start = time_ns;

	/* One-shot: ends unheard, and unmasking afterwards gives nothing. */
	set(LAPIC_LVT_TIMER, 0x10000 | TICK);
	set(LAPIC_TIMER_INIT, 1000);
	assert_int_equal(apic.deadline, TIME_NEVER);
	run_to(start + 400);
	assert_int_equal(count(), 600);
	run_to(start + 1000);
	assert_int_equal(count(), 0);
	set(LAPIC_LVT_TIMER, TICK);
	assert_false(ticked());
	assert_int_equal(apic.deadline, TIME_NEVER);
	/* Unmasked in time: heard. */
	set(LAPIC_LVT_TIMER, 0x10000 | TICK);
	set(LAPIC_TIMER_INIT, 1000);
	run_to(time_ns + 999);
	set(LAPIC_LVT_TIMER, TICK);
	assert_int_equal(apic.deadline, time_ns + 1);
	run_to(time_ns + 1);
	assert_true(ticked());
	/* Periodic: the beat goes on under the mask. */
	start = time_ns;
	set(LAPIC_LVT_TIMER, 0x30000 | TICK);
	set(LAPIC_TIMER_INIT, 10000);
	run_to(start + 47000);
	assert_int_equal(count(), 3000);
	set(LAPIC_LVT_TIMER, 0x20000 | TICK);
	assert_false(ticked());
	assert_int_equal(apic.deadline, start + 50000);
	/* Masked after it was due but before the machine called: that interrupt came first. */
	time_ns = start + 50001;
	set(LAPIC_LVT_TIMER, 0x30000 | TICK);
	assert_true(ticked());
	assert_int_equal(apic.deadline, TIME_NEVER);
	vlapic_expire(&apic, start + 100000);
	assert_false(ticked());
}

static void test_due_before_write(void **state)
{
	(void)state;
	set(LAPIC_TIMER_INIT, 1000);
	time_ns += 1001;
	set(LAPIC_TIMER_INIT, 5000); /* the machine was late: the first one still counts */
	assert_true(ticked());
	assert_int_equal(apic.deadline, time_ns + 5000);
	time_ns += 5000;
	assert_int_equal(count(), 0); /* and reading sees it as well */
	assert_true(ticked());
	assert_int_equal(apic.deadline, TIME_NEVER);
}

static void test_software_disable(void **state)
{
	(void)state;
	set(LAPIC_LVT_TIMER, 0x20000 | TICK);
	set(LAPIC_TIMER_INIT, 10000);
	set(LAPIC_SVR, 0xff);
	assert_int_equal(apic.deadline, TIME_NEVER);
	assert_int_equal(get(LAPIC_LVT_TIMER), 0x30000 | TICK);
	run_to(time_ns + 12000);
	assert_int_equal(count(), 8000);
	set(LAPIC_LVT_TIMER, 0x20000 | TICK);
	assert_int_equal(apic.deadline, TIME_NEVER);
	set(LAPIC_SVR, 0x1ff);
	set(LAPIC_LVT_TIMER, 0x20000 | TICK);
	assert_int_equal(apic.deadline, time_ns + 8000);
	vlapic_init_signal(&apic);
	assert_int_equal(apic.deadline, TIME_NEVER);
	assert_int_equal(get(LAPIC_TIMER_DIVIDE), 0);
}

static void test_global_disable(void **state)
{
	(void)state;
	set(LAPIC_TIMER_INIT, 10000);
	assert_true(vlapic_base_write(&apic, 0xfee00100));
	assert_int_equal(apic.deadline, TIME_NEVER);
	vlapic_expire(&apic, time_ns + 20000);
	assert_false(vlapic_pending(&apic) >= 0);
}

static void test_illegal_vector(void **state)
{
	(void)state;
	set(LAPIC_LVT_TIMER, 0x0f);
	set(LAPIC_TIMER_INIT, 1000);
	run_to(time_ns + 1000);
	assert_int_equal(vlapic_pending(&apic), -1);
	set(LAPIC_ESR, 0);
	assert_int_equal(get(LAPIC_ESR), ESR_RECV_VECTOR);
}

static void test_tsc_deadline(void **state)
{
	(void)state;
	uint64_t t;

	/* Not in this mode: reads 0, ignores writes. */
	vlapic_tsc_deadline_write(&apic, tsc(NULL) + 1000);
	assert_int_equal(vlapic_tsc_deadline_read(&apic), 0);
	assert_int_equal(apic.deadline, TIME_NEVER);

	set(LAPIC_LVT_TIMER, 0x40000 | TICK);
	t = tsc(NULL) + 1000;
	vlapic_tsc_deadline_write(&apic, t);
	assert_int_equal(apic.deadline, time_ns + 500);
	assert_int_equal(vlapic_tsc_deadline_read(&apic), t);
	assert_int_equal(vlapic_check(&apic, NULL), 0);
	set(LAPIC_TIMER_INIT, 5); /* no meaning in this mode */
	assert_int_equal(get(LAPIC_TIMER_INIT), 0);
	assert_int_equal(count(), 0);
	set(LAPIC_TIMER_DIVIDE, 0);
	assert_int_equal(apic.deadline, time_ns + 500);
	run_to(time_ns + 499);
	assert_false(ticked());
	run_to(time_ns + 1);
	assert_true(ticked());
	assert_int_equal(vlapic_tsc_deadline_read(&apic), 0); /* disarmed by itself */
	assert_int_equal(apic.deadline, TIME_NEVER);

	/* The past, and now: at once. */
	vlapic_tsc_deadline_write(&apic, 1);
	assert_true(ticked());
	assert_int_equal(vlapic_tsc_deadline_read(&apic), 0);
	vlapic_tsc_deadline_write(&apic, tsc(NULL));
	assert_true(ticked());
	assert_int_equal(apic.deadline, TIME_NEVER);
	/* Half a nanosecond ahead is now, too. */
	vlapic_tsc_deadline_write(&apic, tsc(NULL) + 1);
	assert_true(ticked());

	/* 0 disarms; a new value replaces. */
	vlapic_tsc_deadline_write(&apic, tsc(NULL) + 1000);
	vlapic_tsc_deadline_write(&apic, 0);
	assert_int_equal(apic.deadline, TIME_NEVER);
	vlapic_tsc_deadline_write(&apic, tsc(NULL) + 1000);
	vlapic_tsc_deadline_write(&apic, tsc(NULL) + 4000);
	assert_int_equal(apic.deadline, time_ns + 2000);
	run_to(time_ns + 1999);
	assert_false(ticked());

	/* Read when due but not yet called: has fired. */
	time_ns += 1;
	assert_int_equal(vlapic_tsc_deadline_read(&apic), 0);
	assert_true(ticked());

	/* The largest. */
	vlapic_tsc_deadline_write(&apic, UINT64_MAX);
	assert_int_equal(vlapic_tsc_deadline_read(&apic), UINT64_MAX);
	assert_int_equal(vlapic_check(&apic, NULL), 0);
}

static void test_tsc_deadline_masked(void **state)
{
	(void)state;
	set(LAPIC_LVT_TIMER, 0x50000 | TICK);
	vlapic_tsc_deadline_write(&apic, tsc(NULL) + 1000);
	assert_int_equal(apic.deadline, TIME_NEVER);
	run_to(time_ns + 500);
	assert_int_equal(vlapic_tsc_deadline_read(&apic), 0);
	set(LAPIC_LVT_TIMER, 0x40000 | TICK);
	assert_false(ticked());
	/* Unmasked in time. */
	set(LAPIC_LVT_TIMER, 0x50000 | TICK);
	vlapic_tsc_deadline_write(&apic, tsc(NULL) + 1000);
	set(LAPIC_LVT_TIMER, 0x40000 | TICK);
	assert_int_equal(apic.deadline, time_ns + 500);
}

static void test_tsc_moved(void **state)
{
	(void)state;
	set(LAPIC_LVT_TIMER, 0x40000 | TICK);
	vlapic_tsc_deadline_write(&apic, tsc(NULL) + 1000);
	tsc_offset -= 50; /* the guest set its TSC back */
	vlapic_tsc_changed(&apic);
	assert_int_equal(apic.deadline, time_ns + 525);
	tsc_offset += 2000; /* and far ahead: due */
	vlapic_tsc_changed(&apic);
	assert_true(ticked());
	assert_int_equal(apic.deadline, TIME_NEVER);
	vlapic_tsc_changed(&apic);
	assert_false(ticked());
	/* Other modes do not look at the TSC. */
	set(LAPIC_LVT_TIMER, TICK);
	set(LAPIC_TIMER_INIT, 1000);
	tsc_offset += 100000;
	vlapic_tsc_changed(&apic);
	assert_int_equal(apic.deadline, time_ns + 1000);
}

static void test_mode_changes(void **state)
{
	(void)state;
	uint64_t start = time_ns;

	/* One-shot to periodic and back: the count runs on. */
	set(LAPIC_TIMER_INIT, 10000);
	run_to(start + 4000);
	set(LAPIC_LVT_TIMER, 0x20000 | TICK);
	assert_int_equal(count(), 6000);
	run_to(start + 10000);
	assert_true(ticked());
	assert_int_equal(apic.deadline, start + 20000);
	set(LAPIC_LVT_TIMER, TICK);
	run_to(start + 20000);
	assert_true(ticked());
	assert_int_equal(apic.deadline, TIME_NEVER);
	/* Periodic does not revive a one-shot that has ended. */
	set(LAPIC_LVT_TIMER, 0x20000 | TICK);
	assert_int_equal(apic.deadline, TIME_NEVER);
	assert_int_equal(count(), 0);
	/* To and from TSC-deadline: disarmed. */
	set(LAPIC_TIMER_INIT, 10000);
	set(LAPIC_LVT_TIMER, 0x40000 | TICK);
	assert_int_equal(apic.deadline, TIME_NEVER);
	assert_int_equal(get(LAPIC_TIMER_INIT), 0);
	vlapic_tsc_deadline_write(&apic, tsc(NULL) + 1000);
	set(LAPIC_LVT_TIMER, 0x40000 | 0x55); /* same mode, other vector: stays armed */
	assert_int_equal(apic.deadline, time_ns + 500);
	set(LAPIC_LVT_TIMER, TICK);
	assert_int_equal(apic.deadline, TIME_NEVER);
	assert_int_equal(vlapic_tsc_deadline_read(&apic), 0);
	set(LAPIC_LVT_TIMER, 0x40000 | TICK);
	assert_int_equal(vlapic_tsc_deadline_read(&apic), 0);
	/* The reserved mode stands still. */
	set(LAPIC_LVT_TIMER, 0x60000 | TICK);
	set(LAPIC_TIMER_INIT, 1000);
	vlapic_tsc_deadline_write(&apic, tsc(NULL) + 1000);
	assert_int_equal(apic.deadline, TIME_NEVER);
	assert_int_equal(count(), 0);
	set(LAPIC_LVT_TIMER, TICK);
	assert_int_equal(apic.deadline, TIME_NEVER);
	set(LAPIC_TIMER_INIT, 1000);
	assert_int_equal(apic.deadline, time_ns + 1000);
}

/* Loaded state whose end lies anywhere: counts stay within the initial count, nothing overflows. */
static void test_wild_end(void **state)
{
	(void)state;
	static const uint64_t ends[] = {
		0, 1, 999999, 1000000, 1000001, 0x7fffffffffffffff, TIME_NEVER - 1};

	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++) {
		for (unsigned periodic = 0; periodic < 2; periodic++) {
			setup(NULL);
			set(LAPIC_LVT_TIMER, periodic << 17 | TICK);
			set(LAPIC_TIMER_DIVIDE, 0xa);
			set(LAPIC_TIMER_INIT, 0xffffffff);
			apic.timer_end = ends[i];
			assert_int_equal(vlapic_check(&apic, NULL), 0);
			vlapic_sync(&apic);
			vlapic_expire(&apic, time_ns);
			assert_true(apic.deadline > time_ns);
			count();
			set(LAPIC_TIMER_DIVIDE, 0);
			assert_true(apic.deadline == TIME_NEVER ||
				    apic.deadline - time_ns <= 2 * 0xffffffffull);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_one_shot, setup),
		cmocka_unit_test_setup(test_divisors, setup),
		cmocka_unit_test_setup(test_divide_change, setup),
		cmocka_unit_test_setup(test_periodic, setup),
		cmocka_unit_test_setup(test_short_period, setup),
		cmocka_unit_test_setup(test_masked, setup),
		cmocka_unit_test_setup(test_due_before_write, setup),
		cmocka_unit_test_setup(test_software_disable, setup),
		cmocka_unit_test_setup(test_global_disable, setup),
		cmocka_unit_test_setup(test_illegal_vector, setup),
		cmocka_unit_test_setup(test_tsc_deadline, setup),
		cmocka_unit_test_setup(test_tsc_deadline_masked, setup),
		cmocka_unit_test_setup(test_tsc_moved, setup),
		cmocka_unit_test_setup(test_mode_changes, setup),
		cmocka_unit_test_setup(test_wild_end, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
