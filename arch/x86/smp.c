/*
 * Bringing the other cores up. Privileged.
 *
 * Owns the per-CPU areas, the table of cores and `ap_start`, by which the boot CPU and one starting
 * core agree on who is where. One core is started at a time; the boot CPU does it all.
 */
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/fpu.h"
#include "arch/x86/lapic.h"
#include "arch/x86/mitigations.h"
#include "arch/x86/trampoline.h"
#include "arch/x86/traps.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/hostmap.h"

#define MSR_PAT     0x277
#define MSR_EFER    0xc0000080
#define MSR_GS_BASE 0xc0000101
#define EFER_NXE    BIT32(11)

#define MAIN_STACK_PAGES 4
#define IST_STACK_PAGES  2 /* enough for a report: frames are below 1 KiB */

#define START_TIMEOUT_US 1000000
#define SKEW_ROUNDS      32
#define SKEW_TIMEOUT_US  20000

struct percpu *percpus[MAX_CPUS];
uint32_t n_cpus;

static struct percpu boot_cpu;
static struct mem_range trampoline;

/*
 * How far a starting core is: in the upper half of the ticket, with its APIC id in the lower. It
 * changes only from OFFERED to CLAIMED and from there to ONLINE or REFUSED by the starting core,
 * and from OFFERED or CLAIMED to ABANDONED by the boot CPU when it has waited enough. All are
 * compare-and-exchange, so one of the two wins, and a core that lost parks.
 */
enum ap_phase {
	AP_IDLE,
	AP_OFFERED,
	AP_CLAIMED,
	AP_ONLINE,
	AP_REFUSED, /* it cannot work beside the boot CPU; `missing` says why */
	AP_ABANDONED,
};

#define TICKET(phase, id) ((uint64_t)(phase) << 32 | (id))

/* ap.S knows the first three fields. */
struct ap_start {
	uint64_t ticket;
	struct percpu *cpu;
	uint64_t stack_top;
	const char *missing;
	uint64_t cr4, pat; /* of the boot CPU */
	bool go;           /* atomic: the boot CPU has entered the core in its table */
	void (*entry)(void);
};

_Static_assert(offsetof(struct ap_start, cpu) == 8, "ap.S");
_Static_assert(offsetof(struct ap_start, stack_top) == 16, "ap.S");
_Static_assert(AP_OFFERED == 1 && AP_CLAIMED == 2, "ap.S");

struct ap_start ap_start;

/* Of the TSC comparison: odd turns are the starting core's, even ones the boot CPU's. */
#define SKEW_DONE UINT32_MAX
static struct {
	uint32_t turn; /* atomic */
	uint64_t ap_tsc;
} skew;

extern uint8_t ap_trampoline[], ap_trampoline_end[];
extern uint8_t ap_trampoline_gdt_base[], ap_trampoline_jump32[], ap_trampoline_jump64[];
extern uint8_t ap_trampoline_cr3[], ap_trampoline_efer[];
void ap_park(void) __noreturn;
void ap_main(void) __noreturn;

/* ---- per-CPU areas ---- */

/* Unknown to an attacker before boot, and different on every core; no zero byte is needed, for
 * nothing here copies strings by their end. */
static uint64_t make_canary(const struct cpu_features *f)
{
	uint64_t v = 0;
	unsigned char ok = 0;

	for (int i = 0; f->rdrand && !ok && i < 10; i++)
		__asm__ volatile("rdrand %0; setc %1" : "=r"(v), "=q"(ok)::"cc");
	return v ^ rdtsc() * 0x9e3779b97f4a7c15ull;
}

/* The canary changes in here, so this function must not check its own. */
__attribute__((no_stack_protector)) void percpu_init_boot(void)
{
	boot_cpu.self = &boot_cpu;
	wrmsr(MSR_GS_BASE, (uint64_t)&boot_cpu);
	features_read(&boot_cpu.features, cpuid);
	boot_cpu.apic_id = boot_cpu.features.apic_id;
	boot_cpu.canary = make_canary(&boot_cpu.features);
	percpus[0] = &boot_cpu;
	n_cpus = 1;
}

bool percpu_make_stacks(struct percpu *cpu)
{
	static const struct {
		const char *name;
		unsigned pages;
	} kinds[ARRAY_SIZE(cpu->stacks)] = {
		{"main", MAIN_STACK_PAGES},
		{"NMI", IST_STACK_PAGES},
		{"double fault", IST_STACK_PAGES},
		{"machine check", IST_STACK_PAGES},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		uint64_t top = hostmap_stack(kinds[i].pages);

		if (!top)
			return false;
		cpu->stacks[i].top = top;
		cpu->stacks[i].bottom = top - kinds[i].pages * PAGE_SIZE;
		cpu->stacks[i].name = kinds[i].name;
	}
	cpu->stack_top = cpu->stacks[0].top;
	return true;
}

static struct percpu *percpu_make(void)
{
	struct percpu *cpu = heap_alloc(sizeof(*cpu));

	if (!cpu)
		return NULL;
	cpu->self = cpu;
	cpu->canary = make_canary(&boot_cpu.features);
	if (!percpu_make_stacks(cpu)) {
		heap_free(
			cpu); /* stacks that were mapped stay: nothing else can use so few pages */
		return NULL;
	}
	return cpu;
}

/* ---- the starting core's side ---- */

static bool ticket_pass(uint32_t id, enum ap_phase from, enum ap_phase to)
{
	uint64_t expected = TICKET(from, id);

	return __atomic_compare_exchange_n(&ap_start.ticket, &expected, TICKET(to, id), false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static uint64_t rdtsc_ordered(void)
{
	__asm__ volatile("lfence" ::: "memory");
	return rdtsc();
}

static void skew_answer(void)
{
	uint32_t turn;

	while ((turn = __atomic_load_n(&skew.turn, __ATOMIC_ACQUIRE)) != SKEW_DONE) {
		if (turn & 1) {
			skew.ap_tsc = rdtsc_ordered();
			/* the boot CPU may have given up meanwhile: that must not be lost */
			__atomic_compare_exchange_n(&skew.turn, &turn, turn + 1, false,
						    __ATOMIC_RELEASE, __ATOMIC_RELAXED);
		}
		cpu_pause();
	}
}

/* First C of a starting core, on its own stack, with GS set and CR0 as it will be. */
void ap_main(void)
{
	struct percpu *cpu = this_cpu();
	uint32_t id;

	traps_init_this_cpu();
	features_read(&cpu->features, cpuid);
	id = cpu->features.apic_id;
	ap_start.missing = features_missing(&boot_cpu.features, &cpu->features);
	if (ap_start.missing) {
		ticket_pass(id, AP_CLAIMED, AP_REFUSED);
		ap_park();
	}
	write_cr4(ap_start.cr4);
	wrmsr(MSR_PAT, ap_start.pat);
	lapic_init_this_cpu();
	fpu_init_host_this_cpu();
	mitigations_init_this_cpu();
	if (!ticket_pass(id, AP_CLAIMED, AP_ONLINE))
		ap_park();

	skew_answer();
	while (!__atomic_load_n(&ap_start.go, __ATOMIC_ACQUIRE))
		cpu_pause();
	ap_start.entry();
	panic("the main loop of CPU %u returned", cpu->index);
}

/* ---- the boot CPU's side ---- */

struct mem_range smp_reserve_trampoline(const struct boot_info *info)
{
	trampoline = trampoline_place(info);
	return trampoline;
}

static void add_base(uint8_t *page, const uint8_t *field)
{
	uint32_t v;

	page += field - ap_trampoline;
	memcpy(&v, page, 4);
	v += (uint32_t)trampoline.start;
	memcpy(page, &v, 4);
}

static void set_field(uint8_t *page, const uint8_t *field, uint32_t v)
{
	memcpy(page + (field - ap_trampoline), &v, 4);
}

/* The pages stay as they are for good: a core may wake up and run through them at any later time.
 */
static void prepare_trampoline(void)
{
	uint8_t *page = phys_to_virt(HPA(trampoline.start));

	memset(page, 0, PAGE_SIZE);
	memcpy(page, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
	add_base(page, ap_trampoline_gdt_base);
	add_base(page, ap_trampoline_jump32);
	add_base(page, ap_trampoline_jump64);
	set_field(page, ap_trampoline_cr3, (uint32_t)(trampoline.start + PAGE_SIZE));
	/* NXE before the tables are used: their NX bits are reserved bits otherwise */
	set_field(page, ap_trampoline_efer,
		  (uint32_t)rdmsr(MSR_EFER) & EFER_NXE ? EFER_NXE | BIT32(8) : BIT32(8));
	trampoline_tables((uint64_t *)(page + PAGE_SIZE), trampoline.start,
			  phys_to_virt(hostmap_root));
	/* the first page is executed; the tables behind it are not */
	invariant(hostmap_read_only(HPA(trampoline.start)));
}

static uint64_t ticket(void)
{
	return __atomic_load_n(&ap_start.ticket, __ATOMIC_ACQUIRE);
}

/* Waits until the ticket is no longer `old`; returns what it is then. */
static uint64_t wait_ticket(uint64_t old, uint64_t us)
{
	uint64_t start = rdtsc(), limit = ns_to_tsc(us * NS_PER_US), t;

	while ((t = ticket()) == old && rdtsc() - start < limit)
		cpu_pause();
	return t;
}

/* Compares the core's TSC with this one's by asking it for its value many times; the quickest
 * answer is the most exact: the other's value lies in the middle of ours, give or take half the
 * time it took. */
static void measure_skew(struct percpu *cpu)
{
	uint64_t best = UINT64_MAX, limit = ns_to_tsc(SKEW_TIMEOUT_US * NS_PER_US);
	uint64_t begin = rdtsc(), off, error;

	for (uint32_t i = 0; i < SKEW_ROUNDS; i++) {
		uint64_t sent = rdtsc_ordered(), back;

		__atomic_store_n(&skew.turn, 2 * i + 1, __ATOMIC_RELEASE);
		while (__atomic_load_n(&skew.turn, __ATOMIC_ACQUIRE) != 2 * i + 2)
			if (rdtsc() - begin > limit)
				goto done;
		back = rdtsc_ordered();
		if (back - sent < best) {
			best = back - sent;
			cpu->tsc_skew = (int64_t)(skew.ap_tsc - (sent + best / 2));
		}
	}
done:
	__atomic_store_n(&skew.turn, SKEW_DONE, __ATOMIC_RELEASE);
	if (best == UINT64_MAX) {
		log_warn("CPU %u: its TSC could not be compared with the boot CPU's", cpu->index);
		return;
	}
	error = best / 2 + 1;
	off = (uint64_t)(cpu->tsc_skew < 0 ? -cpu->tsc_skew : cpu->tsc_skew);
	if (off <= error) {
		cpu->tsc_skew = 0; /* no difference that can be told from the measuring itself */
		return;
	}
	log_warn("CPU %u: its TSC is %lu ns %s the boot CPU's (measured to %lu ns): clocks of "
		 "guests that run on both may jump",
		 cpu->index, tsc_to_ns(off), cpu->tsc_skew < 0 ? "behind" : "ahead of",
		 tsc_to_ns(error));
}

enum start_result {
	STARTED,
	NO_ANSWER, /* the core never took its area */
	LOST,      /* it took it and may still stand on its stack */
};

/* Gives the core up, unless it gets online at this very moment. */
static enum start_result abandon(uint32_t id)
{
	if (ticket_pass(id, AP_OFFERED, AP_ABANDONED))
		return NO_ANSWER;
	if (ticket_pass(id, AP_CLAIMED, AP_ABANDONED))
		return LOST;
	return ticket() == TICKET(AP_ONLINE, id) ? STARTED : LOST;
}

/* Sends the start-up interrupt and waits for the core. */
static enum start_result start_core(struct percpu *cpu, uint32_t id)
{
	const uint32_t startup =
		ICR_ASSERT | ICR_STARTUP | (uint32_t)(trampoline.start >> PAGE_SHIFT);
	enum start_result result;

	skew.turn = 0;
	ap_start.cpu = cpu;
	ap_start.stack_top = cpu->stack_top;
	ap_start.missing = NULL;
	ap_start.go = false;
	__atomic_store_n(&ap_start.ticket, TICKET(AP_OFFERED, id), __ATOMIC_RELEASE);

	lapic_icr(id, startup);
	if (wait_ticket(TICKET(AP_OFFERED, id), 200) == TICKET(AP_OFFERED, id)) {
		lapic_icr(id,
			  startup); /* the first may be lost; a core that runs ignores the second */
		wait_ticket(TICKET(AP_OFFERED, id), START_TIMEOUT_US);
	}
	if (wait_ticket(TICKET(AP_CLAIMED, id), START_TIMEOUT_US) == TICKET(AP_ONLINE, id))
		return STARTED;

	result = abandon(id);
	if (ticket() == TICKET(AP_REFUSED, id))
		log_warn("the core with APIC id %u is left out: unlike the boot CPU it lacks %s",
			 id, ap_start.missing);
	else if (result != STARTED)
		log_warn("the core with APIC id %u did not answer within 1 s and is left out; "
			 "switch it off "
			 "in the firmware set-up, or limit the cores with maxcpus=",
			 id);
	return result;
}

/* Can this entry of the MADT be used at all? */
static bool usable(const struct acpi_info *acpi, uint32_t i)
{
	uint32_t id = acpi->cpus[i].apic_id;

	if (id == boot_cpu.apic_id)
		return false;
	if (id > 0xfe && !lapic_is_x2apic()) {
		log_warn("the core with APIC id %u is left out: ids above 254 need x2APIC, which "
			 "the CPU does "
			 "not have",
			 id);
		return false;
	}
	return true;
}

void smp_start(const struct acpi_info *acpi, uint32_t max, void (*entry)(void))
{
	static uint32_t ids[BOOT_MAX_CPUS];
	uint32_t n = 0;
	struct percpu *cpu = NULL;

	for (uint32_t i = 0; i < acpi->n_cpus && i < BOOT_MAX_CPUS; i++)
		if (usable(acpi, i))
			ids[n++] = acpi->cpus[i].apic_id;
	if (n && !trampoline.end) {
		log_warn("no free memory below 640 KiB to start other cores in: only the boot CPU "
			 "is used");
		return;
	}
	if (!n)
		return;

	max = MIN(MAX(max, 1), MAX_CPUS);
	prepare_trampoline();
	ap_start.cr4 = read_cr4();
	ap_start.pat = rdmsr(MSR_PAT);
	ap_start.entry = entry;
	/* All of them, also those beyond maxcpus=: whatever the firmware has them do, it ends here.
	 */
	for (uint32_t i = 0; i < n; i++)
		lapic_icr(ids[i], ICR_ASSERT | ICR_INIT);
	delay_us(10000);

	for (uint32_t i = 0; i < n && n_cpus < max; i++) {
		enum start_result result;

		if (!cpu)
			cpu = percpu_make();
		if (!cpu) {
			log_warn("no memory for another core: only %u of %u are used", n_cpus,
				 n + 1);
			break;
		}
		cpu->index = n_cpus;
		result = start_core(cpu, ids[i]);
		if (result == STARTED) {
			measure_skew(cpu);
			percpus[cpu->index] = cpu;
			__atomic_store_n(&n_cpus, n_cpus + 1, __ATOMIC_RELEASE);
			__atomic_store_n(&ap_start.go, true, __ATOMIC_RELEASE);
		}
		if (result != NO_ANSWER)
			cpu = NULL;
	}
	heap_free(cpu);
	log_info("%u of %u cores are used", n_cpus, n + 1);
}

void cpu_request(struct percpu *cpu, uint32_t bits)
{
	uint32_t old = __atomic_fetch_or(&cpu->requests, bits, __ATOMIC_SEQ_CST);

	/* Bits that stand there already were kicked for and not taken yet. */
	if ((old & bits) != bits && cpu != this_cpu())
		lapic_send(cpu->apic_id, VECTOR_KICK);
}
