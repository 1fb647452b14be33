/*
 * The ordered initialisation: the only file that knows everything. What stops the machine from
 * being used is said in one sentence; nothing here depends on guests being right.
 */
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/fpu.h"
#include "arch/x86/hv.h"
#include "arch/x86/mitigations.h"
#include "arch/x86/oops.h"
#include "arch/x86/traps.h"
#include "boot/info.h"
#include "console/build_id.h"
#include "console/console.h"
#include "console/dump.h"
#include "console/guests_view.h"
#include "drivers/cmos.h"
#include "guests/config.h"
#include "guests/modules.h"
#include "guests/vm.h"
#include "lib/log.h"
#include "mm/frame.h"
#include "mm/heap.h"
#include "mm/hostmap.h"
#include "mm/usable.h"
#include "sched/sched.h"
#include "sched/timer.h"
#include "version.h"

#define MBI_MAX (1 * MIB)

/* DMTF DSP0134, "SMBIOS 2.1 (32-bit) Entry Point": where a BIOS puts it; and its longest form. */
#define SMBIOS_AREA      0xf0000ull
#define SMBIOS_AREA_SIZE 0x10000ull
#define SMBIOS_ENTRY_MAX 32ull

#define CONFIG_MODULE "config"
#define SETTLE_NS     NS_PER_S

static struct boot_info boot;
static struct acpi_info acpi;
static struct boot_options options;
static struct usable usable;
static struct config config;
static bool virtualization; /* a back end is there */
static uint32_t settled;    /* other cores that can run guests or have said why not; atomic */

void boot_main(uint64_t mbi, uint64_t load_address) __noreturn;
void boot_on_main_stack(void) __noreturn;

static void complain(void *ctx, const char *sentence)
{
	(void)ctx;
	log_warn("%s", sentence);
}

static void complain_config(void *ctx, const char *sentence)
{
	(void)ctx;
	log_error("configuration: %s", sentence);
}

/* ---- memory ---- */

static void reserve_modules(void)
{
	for (uint32_t i = 0; i < boot.n_modules; i++)
		usable_reserve(&usable, boot.modules[i].start, boot.modules[i].end);
}

static void keep_log(struct mem_range image)
{
	uint64_t place = log_place(&boot, image, LOG_BYTES);
	const struct log_previous *before;

	if (!place) {
		log_warn("no memory is fit to keep the log through a reset");
		return;
	}
	usable_reserve(&usable, place, place + LOG_BYTES);
	before = log_keep(phys_to_virt(HPA(place)));
	if (before->there)
		log_info("the log of the run before is still in memory (log --previous): %u "
			 "lines%s",
			 before->lines, before->damaged ? ", and some are damaged" : "");
}

static void init_memory(void)
{
	struct mem_range image = hostmap_image();
	unsigned bits = this_cpu()->features.phys_bits;
	uint64_t wx, lost = ranges_clip(&boot, BIT(bits));

	if (lost)
		log_warn("%lu MiB of RAM are not used: they lie beyond the CPU's physical "
			 "addresses, which have %u bits",
			 lost >> 20, bits);
	usable_init(&usable, &boot);
	usable_reserve(&usable, 0, MIB); /* firmware's, and the other cores start there */
	usable_reserve(&usable, image.start, image.end);
	reserve_modules();
	keep_log(image);
	hostmap_init(&boot, &usable, BIT(bits), this_cpu()->features.page_1g);
	frames_init(&usable);
	if (hostmap_find_wx(&wx))
		panic("the page at 0x%llx is both writable and executable", (unsigned long long)wx);
}

/* ---- ACPI tables, which may lie anywhere ---- */

/* Tables in ranges that the memory map calls reserved are reached by a window of their own. */
static const void *map_table(void *ctx, uint64_t pa, uint64_t len)
{
	uint64_t entries[4], last = DIRECT_MAP_BASE + pa + (len ? len - 1 : 0);
	uint64_t page;

	(void)ctx;
	if (pa + len < pa || pa + len > DIRECT_MAP_SIZE || len > 16 * MIB)
		return NULL;
	for (page = ALIGN_DOWN(DIRECT_MAP_BASE + pa, PAGE_SIZE); page <= last; page += PAGE_SIZE) {
		unsigned n = hostmap_walk(page, entries);

		if (!(entries[n - 1] & 1))
			return hostmap_device(HPA(pa), len);
	}
	return phys_to_virt(HPA(pa));
}

static const struct acpi_memory memory = {.map = map_table};

/* The machine's name, for reports: from the loader's tag, by UEFI, or by the BIOS's place. */
static void init_smbios(void)
{
	uint64_t entry = boot.machine[0] ? 0 : smbios_by_efi(boot.efi64, &memory), table;
	uint64_t area_len = entry ? SMBIOS_ENTRY_MAX : SMBIOS_AREA_SIZE;
	const void *area = map_table(NULL, entry ? entry : SMBIOS_AREA, area_len);
	uint32_t len;

	if (!boot.machine[0] && area && smbios_find(area, area_len, &table, &len) &&
	    (area = map_table(NULL, table, len)))
		smbios_name(area, len, boot.machine, sizeof(boot.machine));
	if (boot.machine[0])
		log_info("machine: %s", boot.machine);
}

static void init_acpi(void)
{
	struct reason why;

	if (acpi_parse(&boot, &memory, &acpi, complain, NULL, &why)) {
		log_error("ACPI: %s; only the boot CPU is used", why.text);
		acpi = (struct acpi_info){0};
	}
	machine_exit_configure(&options, &acpi);
}

/* ---- cores ---- */

static int virtualization_on(struct percpu *cpu, struct reason *why)
{
	struct hv_caps caps;
	struct hpa pa;
	int err = hv->probe(&cpu->features, cpu->index, &caps, why);

	if (err)
		return err;
	if (caps.bits != hv_caps.bits)
		return refuse(
			why, ERR_UNSUPPORTED,
			"CPU %u has other virtualization features than the boot CPU and runs no "
			"guests: use processors of one kind, or set the firmware up alike",
			cpu->index);
	pa = frames_alloc(hv_pages_order(hv->cpu_pages), FRAME_HYPERVISOR, true);
	if (hpa_is_none(pa))
		return refuse(why, ERR_NO_MEMORY, "no memory for virtualization on CPU %u",
			      cpu->index);
	cpu->hv_pages = phys_to_virt(pa);
	cpu->hv_pages_pa = pa;
	err = hv->cpu_on((struct hv_pages){cpu->hv_pages, pa}, cpu->index, why);
	cpu->hv_on = !err;
	return err;
}

static void core_start(void)
{
	struct reason why;

	if (virtualization && virtualization_on(this_cpu(), &why))
		log_error("%s", why.text);
}

static void other_core(void)
{
	core_start();
	__atomic_fetch_add(&settled, 1, __ATOMIC_RELEASE);
	core_main(NULL);
}

/* A guest is given to a core for good: so all of them must be known before the first one starts. */
static void wait_for_other_cores(void)
{
	uint64_t give_up = rdtsc() + ns_to_tsc(SETTLE_NS);

	while (__atomic_load_n(&settled, __ATOMIC_ACQUIRE) < n_cpus - 1) {
		if (rdtsc() > give_up) {
			log_error("a CPU does not answer while virtualization is switched on: it "
				  "may run no guests");
			return;
		}
		cpu_pause();
	}
}

static void init_virtualization(void)
{
	struct reason why;

	if (hv_choose(&this_cpu()->features, &why)) {
		log_error("%s", why.text);
		return;
	}
	virtualization = true;
	log_info("%s: %u address-space identifiers%s%s%s", hv_caps.name, hv_caps.asids,
		 hv_caps.insn_len ? ", instruction lengths" : "",
		 hv_caps.decode_assist ? ", decode assists" : "",
		 hv_caps.flush_by_asid ? ", flush by identifier" : "");
	core_start();
}

/* ---- guests ---- */

static void init_config(void)
{
	struct load_blob json;
	struct reason why;

	modules_init(&boot);
	config = (struct config){.console_port = "com1", .console_baud = 115200};
	if (module_blob(CONFIG_MODULE, &json, &why)) {
		log_warn("no configuration: %s", why.text);
		return;
	}
	if (config_parse(json.data, json.size, &boot_modules, &config, complain_config, NULL))
		config.n_refused++;
}

static void init_guests(void)
{
	struct cpu_set all = cpu_set_all();
	struct reason why;

	if (!virtualization || !sched_least_loaded(&all)) {
		if (config.n_guests)
			log_error("no guest is started, because no CPU can run one");
		vms_verdict.refused += config.n_guests + config.n_refused;
		config.n_guests = 0;
		console_start(&config);
		return;
	}
	if (vms_init(&config, &why))
		log_error("%s", why.text);
	console_start(&config);
	vms_autostart();
}

/* The boot CPU's work between vCPUs. */
static void boot_cpu_work(void)
{
	vms_poll();
	console_poll();
	if (config.when_idle == WHEN_IDLE_POWEROFF && vms_idle()) {
		log_info("no guest is left to run: the machine ends");
		console_flush();
		machine_exit(guests_machine_status());
	}
}

static void no_complaint(void *ctx, const char *sentence)
{
	(void)ctx;
	(void)sentence;
}

/* Where a report goes, and whether any port may be touched for it, is looked for before anything
 * can go wrong. What is wrong with the line is said later. */
static void early_console(uint64_t mbi)
{
	static char line[sizeof(boot.cmdline)];

	multiboot2_cmdline(phys_to_virt(HPA(mbi)), MBI_MAX, line, sizeof(line));
	cmdline_parse(line, &options, no_complaint, NULL);
	console_early(&options);
}

__attribute__((no_stack_protector)) void boot_main(uint64_t mbi, uint64_t load_address)
{
	struct mem_range trampoline;
	struct reason why;
	int err;

	percpu_init_boot();
	traps_init_early();
	early_console(mbi);
	oops_set_surroundings(&(struct oops_surroundings){
		.version = skerry_version,
		.build = skerry_build,
		.compiler = skerry_compiler,
		.machine = boot.machine,
		.guest = vcpu_describe,
		.dump = dump_emergency,
	});
	log_info("Skerry %s (%s)", SKERRY_VERSION, SKERRY_BUILD);
	hostmap_set_image(load_address);
	err = multiboot2_parse(phys_to_virt(HPA(mbi)), MBI_MAX, &boot, complain, NULL, &why);
	if (err)
		panic("the boot loader's information cannot be used: %s", why.text);
	cmdline_parse(boot.cmdline, &options, complain, NULL);
	machine_exit_configure(&options, &acpi); /* what works without ACPI; the rest later */
#ifdef SKERRY_DEBUG
	if (options.provoke_early)
		panic("provoked before the console is configured");
#endif
	trampoline = smp_reserve_trampoline(&boot);
	(void)trampoline; /* below 1 MiB, of which nothing is given out */
	init_memory();
	if (!percpu_make_stacks(this_cpu()))
		panic("no memory for the boot CPU's stacks");
	traps_init_this_cpu();
	/* the boot stack has no guard page */
	__asm__ volatile("mov %0, %%rsp\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "call boot_on_main_stack"
			 :
			 : "r"(this_cpu()->stack_top)
			 : "memory");
	__builtin_unreachable();
}

void boot_on_main_stack(void)
{
	init_config();
	console_init(&config, &options);
	log_info("loaded by %s on %s at 0x%llx, %u modules", boot.loader,
		 boot.uefi ? "UEFI" : "BIOS", (unsigned long long)hostmap_image().start,
		 boot.n_modules);
	init_smbios();
	init_acpi();
	tsc_calibrate(&acpi);
	console_stamp_log();
	ioapic_init(&acpi);
	lapic_init_this_cpu();
	timers_init();
	sched_init();
	fpu_init_host_this_cpu();
	mitigations_init(options.mitigations);
	cmos_init();
	irq_enable();
	init_virtualization();
	smp_start(&acpi, options.maxcpus, other_core);
	wait_for_other_cores();
	console_flush();
	init_guests();
	core_main(boot_cpu_work);
}
