/*
 * The time stamp counter: its frequency, and time by it. Privileged.
 *
 * Owns tsc_hz and the scales, which are written once by the boot CPU before the other cores start.
 */
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/tsc_math.h"
#include "lib/log.h"
#include "mm/hostmap.h"

#define PM_TIMER_HZ 3579545ull /* ACPI specification, "Power Management Timer" */
#define PIT_HZ      1193182ull /* 14.31818 MHz / 12 */
#define FS_PER_S    1000000000000000ull

/* Three samples of 3 ms, one after the other, so that one which firmware spoiled stands out. */
#define SAMPLES         3
#define SAMPLES_PER_S   333
#define READS_PER_POINT 16
/* Reading a reference takes up to 1 us of the 9 ms; rates are taken for whole MHz within this. */
#define ERROR_PPM 20

/* What a calibrated TSC may run at. */
#define MIN_HZ 1000000ull
#define MAX_HZ BIT(34)

#define HPET_CAPABILITIES 0x000
#define HPET_CONFIG       0x010
#define HPET_COUNTER      0x0f0

uint64_t tsc_hz;
const char *tsc_source = "none";

static struct tick_scale to_ns, to_tsc;
static uint64_t boot_tsc;

/* A clock of known rate to measure the TSC against. */
struct reference {
	const char *name;
	uint64_t hz;
	uint64_t mask; /* of its counter */
	uint64_t (*read)(const struct reference *r);
	uint16_t port;
	volatile uint8_t *mmio;
};

static uint64_t read_port(const struct reference *r)
{
	return in32(r->port);
}

static uint64_t read_mmio(const struct reference *r)
{
	return *(volatile uint32_t *)r->mmio;
}

/* Channel 2 of the 8254 counts down; its count is latched, then read low byte first. */
static uint64_t read_pit(const struct reference *r)
{
	uint32_t count;

	(void)r;
	out8(0x43, 0x80);
	count = in8(0x42);
	count |= (uint32_t)in8(0x42) << 8;
	return 0xffff - count;
}

/*
 * The two counters at the same moment: just when the reference ticks, between two readings of it.
 * Of several tries that with the least time in between counts, so neither a slow bus nor an
 * interruption by firmware or a hypervisor below spoils it.
 */
static struct clock_point read_point(const struct reference *r)
{
	struct clock_point best = {0};
	uint64_t best_width = UINT64_MAX;

	for (int i = 0; i < READS_PER_POINT; i++) {
		uint64_t before, after, ref, last = r->read(r);

		before = rdtsc();
		for (int spins = 0; spins < 100; spins++) {
			ref = r->read(r);
			after = rdtsc();
			if (ref != last)
				break;
			before = after;
		}
		if (after - before < best_width) {
			best_width = after - before;
			best.tsc = before + best_width / 2;
			best.ref = ref;
		}
	}
	return best;
}

/* Goes on from points[0] to points[1], a sample's length later. False: the reference stands still.
 */
static bool next_point(const struct reference *r, struct clock_point *points)
{
	uint64_t length = r->hz / SAMPLES_PER_S, start = rdtsc();

	/* a TSC runs at less than 2^34 Hz: a reference that takes that long for 3 ms has stopped */
	while (((r->read(r) - points[0].ref) & r->mask) < length)
		if (rdtsc() - start > BIT(34) / SAMPLES_PER_S)
			return false;
	points[1] = read_point(r);
	return true;
}

static uint64_t rate(const struct reference *r, const struct clock_point *points, unsigned samples)
{
	return frequency_of_points(points, samples + 1, r->mask, r->hz);
}

/* ---- the references; each function fills *r, or says that there is none ---- */

static bool pm_timer(const struct acpi_info *acpi, struct reference *r)
{
	*r = (struct reference){
		.name = "ACPI PM timer",
		.hz = PM_TIMER_HZ,
		.mask = acpi->pm_timer_32bit ? 0xffffffff : 0xffffff,
	};
	if (!acpi->has_fadt || !acpi->pm_timer.address)
		return false;
	if (acpi->pm_timer.space == 1 && acpi->pm_timer.address <= 0xfffc) {
		r->port = (uint16_t)acpi->pm_timer.address;
		r->read = read_port;
		return true;
	}
	if (acpi->pm_timer.space != 0)
		return false;
	r->mmio = hostmap_device(HPA(acpi->pm_timer.address), 4);
	r->read = read_mmio;
	return r->mmio;
}

static bool hpet(const struct acpi_info *acpi, struct reference *r)
{
	volatile uint8_t *regs;
	uint32_t period;

	*r = (struct reference){.name = "HPET", .mask = 0xffffffff, .read = read_mmio};
	if (!acpi->hpet)
		return false;
	regs = hostmap_device(HPA(acpi->hpet), 0x400);
	if (!regs)
		return false;
	/* IA-PC HPET specification, "General Capabilities and ID Register": at most 100 ns a tick
	 */
	period = *(volatile uint32_t *)(regs + HPET_CAPABILITIES + 4);
	if (!period || period > 100000000)
		return false;
	r->hz = FS_PER_S / period;
	r->mmio = regs + HPET_COUNTER;
	*(volatile uint32_t *)(regs + HPET_CONFIG) |= 1; /* run; it may go on running */
	return true;
}

static bool pit(const struct acpi_info *acpi, struct reference *r)
{
	(void)acpi;
	*r = (struct reference){.name = "8254", .hz = PIT_HZ, .mask = 0xffff, .read = read_pit};
	out8(0x61, (uint8_t)((in8(0x61) & ~2) | 1)); /* gate of channel 2 on, speaker off */
	out8(0x43, 0xb4); /* channel 2, both bytes, rate generator: wraps */
	out8(0x42, 0);
	out8(0x42, 0);
	return true;
}

/* The first reference that runs, with one sample; 0 if none does. */
static uint64_t find_reference(const struct acpi_info *acpi, struct reference *r,
			       struct clock_point *points)
{
	static bool (*const kinds[])(const struct acpi_info *, struct reference *) = {pm_timer,
										      hpet, pit};

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!kinds[i](acpi, r))
			continue;
		points[0] = read_point(r);
		if (next_point(r, points) && rate(r, points, 1) >= MIN_HZ)
			return rate(r, points, 1);
	}
	return 0;
}

/*
 * What CPUID says is exact, but may not be meant: emulators pass on the leaf of the CPU that they
 * model. So it must agree with one sample to a hundredth. Otherwise all samples count.
 */
static uint64_t calibrate(const struct acpi_info *acpi, const struct cpu_features *f)
{
	struct clock_point points[SAMPLES + 1];
	uint64_t first, by_cpuid;
	struct reference r;

	by_cpuid = frequency_from(f->tsc_ratio_num, f->tsc_ratio_den, f->crystal_hz);
	first = find_reference(acpi, &r, points);
	tsc_source = "CPUID";
	if (by_cpuid >= MIN_HZ && by_cpuid <= MAX_HZ &&
	    (!first || (first >= by_cpuid - by_cpuid / 100 && first <= by_cpuid + by_cpuid / 100)))
		return by_cpuid;
	if (!first)
		return 0;
	tsc_source = r.name;
	for (unsigned i = 1; i < SAMPLES; i++)
		if (!next_point(&r, points + i))
			return 0;
	return snap_frequency(rate(&r, points, SAMPLES), ERROR_PPM);
}

void tsc_calibrate(const struct acpi_info *acpi)
{
	const struct cpu_features *f = &this_cpu()->features;
	uint64_t hz;

	boot_tsc = rdtsc();
	hz = calibrate(acpi, f);
	if (hz < MIN_HZ || hz > MAX_HZ) {
		hz = NS_PER_S;
		tsc_source = "a guess";
		log_error("no clock of this machine runs (ACPI PM timer, HPET, 8254): time is a "
			  "guess; "
			  "switch one of them on in the firmware set-up");
	}
	to_ns = tick_scale_make(hz, NS_PER_S);
	to_tsc = tick_scale_make(NS_PER_S, hz);
	tsc_hz = hz; /* from here on uptime_ns() counts */
	log_info("TSC: %lu.%06lu MHz by %s", hz / 1000000, hz % 1000000, tsc_source);
	/* under an emulator nothing follows from it, and it is so in all of them */
	if (!f->invariant_tsc)
		log_write(
			f->hypervisor ? LOG_DEBUG : LOG_WARN,
			"the CPU does not promise a TSC of constant rate: clocks may drift when it "
			"saves power");
}

uint64_t tsc_to_ns(uint64_t ticks)
{
	return tick_scale_apply(&to_ns, ticks);
}

uint64_t ns_to_tsc(uint64_t ns)
{
	return tick_scale_apply(&to_tsc, ns);
}

uint64_t tsc_uptime_ns(uint64_t tsc)
{
	return tsc_hz ? tsc_to_ns(tsc - boot_tsc) : 0;
}

uint64_t uptime_ns(void)
{
	return tsc_uptime_ns(rdtsc());
}

void delay_us(uint64_t us)
{
	uint64_t start = rdtsc(), ticks = ns_to_tsc(us * NS_PER_US);

	while (rdtsc() - start < ticks)
		cpu_pause();
}
