/*
 * The local APIC of each core: x2APIC where there is one, xAPIC otherwise; sending interrupts, and
 * the timer. Privileged.
 *
 * Owns the mode (one for all cores) and the timer's calibration, both written by the boot CPU
 * before the others start; everything else touches this core's APIC only. Registers: Intel SDM
 * Volume 3, "Advanced Programmable Interrupt Controller (APIC)"; AMD64 APM Volume 2, "Advanced
 * Programmable Interrupt Controller (APIC)".
 */
#include "arch/x86/lapic.h"

#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/traps.h"
#include "lib/log.h"
#include "mm/hostmap.h"

#define MSR_APIC_BASE    0x1b
#define APIC_BASE_BSP    BIT(8)
#define APIC_BASE_EXTD   BIT(10)
#define APIC_BASE_ENABLE BIT(11)
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC       0x800
#define MSR_CMP_HALT     0xc0010055

enum lapic_register {
	LAPIC_ID = 0x020,
	LAPIC_VERSION = 0x030,
	LAPIC_TPR = 0x080,
	LAPIC_EOI = 0x0b0,
	LAPIC_LDR = 0x0d0,
	LAPIC_SVR = 0x0f0,
	LAPIC_ISR = 0x100,
	LAPIC_ESR = 0x280,
	LAPIC_LVT_CMCI = 0x2f0,
	LAPIC_ICR = 0x300,
	LAPIC_ICR_HIGH = 0x310,
	LAPIC_LVT_TIMER = 0x320,
	LAPIC_LVT_THERMAL = 0x330,
	LAPIC_LVT_PERF = 0x340,
	LAPIC_LVT_LINT0 = 0x350,
	LAPIC_LVT_LINT1 = 0x360,
	LAPIC_LVT_ERROR = 0x370,
	LAPIC_TIMER_INITIAL = 0x380,
	LAPIC_TIMER_CURRENT = 0x390,
	LAPIC_TIMER_DIVIDE = 0x3e0,
};

#define SVR_ENABLE        BIT32(8)
#define LVT_MASKED        BIT32(16)
#define LVT_NMI           (4u << 8)
#define LVT_TSC_DEADLINE  (2u << 17)
#define ICR_PENDING       BIT32(12)
#define DIVIDE_BY_1       0xbu
#define DELIVERY_TRIES    100000
#define CALIBRATION_PER_S 500 /* 2 ms */

static volatile uint8_t *mmio; /* NULL in x2APIC mode */
static bool x2apic, deadline_mode, chosen;
static uint64_t count_per_tsc; /* timer counts per TSC tick, with 32 bits of fraction */
static uint32_t errors_told;   /* atomic */

static uint32_t lapic_read(enum lapic_register reg)
{
	if (x2apic)
		return (uint32_t)rdmsr(MSR_X2APIC + reg / 16);
	return *(volatile uint32_t *)(mmio + reg);
}

static void lapic_write(enum lapic_register reg, uint32_t v)
{
	if (x2apic)
		wrmsr(MSR_X2APIC + reg / 16, v);
	else
		*(volatile uint32_t *)(mmio + reg) = v;
}

/* ---- sending ---- */

void lapic_icr(uint32_t apic_id, uint32_t low)
{
	bool on = irq_save(); /* a handler that sends between the two halves would redirect this one
			       */

	if (x2apic) {
		/* Unlike a store to the MMIO window, this WRMSR does not wait for earlier stores:
		 * make what the other core is meant to look at visible first. */
		__asm__ volatile("mfence; lfence" ::: "memory");
		wrmsr(MSR_X2APIC + LAPIC_ICR / 16, (uint64_t)apic_id << 32 | low);
	} else {
		for (int i = 0; i < DELIVERY_TRIES && lapic_read(LAPIC_ICR) & ICR_PENDING; i++)
			cpu_pause();
		lapic_write(LAPIC_ICR_HIGH, apic_id << 24);
		lapic_write(LAPIC_ICR, low);
	}
	irq_restore(on);
}

void lapic_send(uint32_t apic_id, uint8_t vector)
{
	lapic_icr(apic_id, ICR_ASSERT | vector);
}

void lapic_send_nmi(uint32_t apic_id)
{
	lapic_icr(apic_id, ICR_ASSERT | ICR_NMI);
}

void lapic_eoi(void)
{
	lapic_write(LAPIC_EOI, 0);
}

/* ---- the timer ---- */

void lapic_timer_set(uint64_t deadline)
{
	uint64_t now;
	unsigned __int128 count;

	if (deadline_mode) {
		/* 0 disarms. A deadline that was passed fires at once. */
		wrmsr(MSR_TSC_DEADLINE, deadline == TIME_NEVER ? 0 : MAX(deadline, 1));
		return;
	}
	if (deadline == TIME_NEVER) {
		lapic_write(LAPIC_TIMER_INITIAL, 0);
		return;
	}
	now = rdtsc();
	/* rounded up: an interrupt just before the deadline would only come to arm the timer again
	 */
	count = deadline > now ? ((unsigned __int128)(deadline - now) * count_per_tsc >> 32) + 1
			       : 1;
	lapic_write(LAPIC_TIMER_INITIAL, count > UINT32_MAX ? UINT32_MAX : (uint32_t)count);
}

struct timer_point {
	uint64_t tsc;
	uint32_t count;
};

/* Of several readings the one with the least time around it. */
static struct timer_point read_point(void)
{
	struct timer_point best = {0};
	uint64_t width = UINT64_MAX;

	for (int i = 0; i < 16; i++) {
		uint64_t before = rdtsc();
		uint32_t count = lapic_read(LAPIC_TIMER_CURRENT);
		uint64_t after = rdtsc();

		if (after - before < width) {
			width = after - before;
			best.tsc = before + width / 2;
			best.count = count;
		}
	}
	return best;
}

static void calibrate_timer(void)
{
	struct timer_point from, to;

	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_1);
	lapic_write(LAPIC_TIMER_INITIAL, UINT32_MAX);
	from = read_point();
	while (rdtsc() - from.tsc < tsc_hz / CALIBRATION_PER_S)
		cpu_pause();
	to = read_point();
	lapic_write(LAPIC_TIMER_INITIAL, 0);
	/* 2 ms of counts are fewer than 2^32 / 500 of any clock, so the shift fits */
	count_per_tsc = ((uint64_t)(from.count - to.count) << 32) / (to.tsc - from.tsc);
	if (!count_per_tsc) {
		log_error("the local APIC's timer does not count: time slices and timers will be "
			  "wrong");
		count_per_tsc = BIT(32);
	}
}

static void start_timer(void)
{
	if (deadline_mode) {
		lapic_write(LAPIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR_TIMER);
		/* "TSC-Deadline Mode": in xAPIC mode the write to the LVT is only ordered by a
		 * fence. */
		__asm__ volatile("mfence" ::: "memory");
	} else {
		lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_1);
		lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER);
	}
	lapic_timer_set(TIME_NEVER);
}

/* ---- handlers ---- */

static void on_error(void *ctx)
{
	static const char *const words[8] = {
		"send checksum",           "receive checksum", "send accept",
		"receive accept",          "redirectible IPI", "illegal vector sent",
		"illegal vector received", "illegal register",
	};
	uint32_t esr;

	(void)ctx;
	lapic_write(LAPIC_ESR, 0); /* a write moves the gathered errors into the register */
	esr = lapic_read(LAPIC_ESR);
	if (__atomic_fetch_add(&errors_told, 1, __ATOMIC_RELAXED) >= 16)
		return;
	for (unsigned i = 0; i < 8; i++)
		if (esr >> i & 1)
			log_warn("CPU %u: local APIC error: %s", this_cpu()->index, words[i]);
}

/* A kick only has to arrive: what is asked for stands in the core's requests. A spurious interrupt
 * means nothing at all. */
static void on_nothing(void *ctx)
{
	(void)ctx;
}

/* ---- bringing it up ---- */

/* The mode of all cores, by the boot CPU's abilities. */
static void choose_mode(const struct cpu_features *f)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	chosen = true;
	x2apic = f->x2apic;
	deadline_mode = f->tsc_deadline;
	if (!x2apic) {
		mmio = hostmap_device(HPA(base & (BIT(f->phys_bits) - PAGE_SIZE)), PAGE_SIZE);
		if (!mmio)
			panic("no memory to map the local APIC");
	}
	irq_register(VECTOR_ERROR, on_error, NULL);
	irq_register(VECTOR_KICK, on_nothing, NULL);
	irq_register(VECTOR_SPURIOUS, on_nothing, NULL);
}

static void enable(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	/* "x2APIC State Transitions": from disabled by way of xAPIC mode only; x2APIC mode that the
	 * firmware switched on stays. */
	if (!(base & APIC_BASE_ENABLE)) {
		base |= APIC_BASE_ENABLE;
		wrmsr(MSR_APIC_BASE, base);
	}
	if (x2apic && !(base & APIC_BASE_EXTD))
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_EXTD);
}

/* The timer has to count while the core is halted; an emulator may lack the register. */
static void keep_timer_running(const struct cpu_features *f)
{
	uint64_t v;

	if (!features_c1e(f) || !rdmsr_safe(MSR_CMP_HALT, &v) || features_c1e_off(v) == v)
		return;
	if (!wrmsr_safe(MSR_CMP_HALT, features_c1e_off(v)))
		log_warn("C1E cannot be switched off: the local APIC's timer may stop while a core "
			 "is idle; switch C1E off in the firmware set-up");
}

/* Interrupts that the firmware left in service would hold back ours of lower priority. */
static void drop_in_service(void)
{
	for (unsigned n = 0; n < 256; n++) {
		uint32_t any = 0;

		for (unsigned i = 0; i < 8; i++)
			any |= lapic_read((enum lapic_register)(LAPIC_ISR + 16 * i));
		if (!any)
			return;
		lapic_eoi();
	}
}

void lapic_init_this_cpu(void)
{
	struct percpu *cpu = this_cpu();
	uint32_t last_lvt;
	bool first = !chosen;

	if (first)
		choose_mode(&cpu->features);
	enable();
	cpu->apic_id = lapic_read(LAPIC_ID);
	if (!x2apic)
		cpu->apic_id >>= 24;

	lapic_write(LAPIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
	lapic_write(LAPIC_TPR, 0);
	last_lvt = lapic_read(LAPIC_VERSION) >> 16 & 0xff;
	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
	/* The machine's NMI line (errors of memory and buses, a button) is the boot CPU's. */
	lapic_write(LAPIC_LVT_LINT1, first ? LVT_NMI : LVT_NMI | LVT_MASKED);
	lapic_write(LAPIC_LVT_ERROR, VECTOR_ERROR);
	if (last_lvt >= 4)
		lapic_write(LAPIC_LVT_PERF, LVT_MASKED);
	if (last_lvt >= 5)
		lapic_write(LAPIC_LVT_THERMAL, LVT_MASKED);
	if (last_lvt >= 6 && cpu->features.vendor == CPU_VENDOR_INTEL)
		lapic_write(LAPIC_LVT_CMCI, LVT_MASKED);
	lapic_write(LAPIC_ESR, 0); /* twice: gather, then drop */
	lapic_write(LAPIC_ESR, 0);
	drop_in_service();
	keep_timer_running(&cpu->features);

	if (first && !deadline_mode)
		calibrate_timer();
	if (first)
		log_info("local APIC: %s, %s timer", x2apic ? "x2APIC" : "xAPIC",
			 deadline_mode ? "TSC-deadline" : "one-shot");
	start_timer();
}

bool lapic_is_x2apic(void)
{
	return x2apic;
}
