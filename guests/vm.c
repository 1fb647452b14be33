/*
 * The life cycle of guests. Everything here runs in the boot CPU's main loop (see vm.h), but
 * vm_end(), which any vCPU may call.
 *
 *              start        pause     resume    stop      reset     destroy
 *   created    -> running   -         -         -         -         -
 *   running    -            -> paused -         -> stopped -> running -> created
 *   paused     -            -         -> running -> stopped -> running -> created
 *   stopped    -> running   -         -         -         -> running -> created
 *   crashed    -> running   -         -         -         -> running -> created
 *   waiting    -> running   -         -         -> stopped -> running -> created
 *
 * A running guest that resets itself or crashes boots again, if its configuration says so: at once,
 * or by way of `waiting` when it does so again and again.
 */
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "guests/guest_acpi.h"
#include "guests/modules.h"
#include "guests/vm.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "mm/heap.h"
#include "mm/hostmap.h"

struct vms_verdict vms_verdict;

static struct vm *first_vm;

struct vm *vm_next(struct vm *prev)
{
	return prev ? prev->next : first_vm;
}

struct vm *vm_find(const char *name)
{
	for (struct vm *vm = first_vm; vm; vm = vm->next) {
		if (!strcmp(vm->config->name, name))
			return vm;
	}
	return NULL;
}

const char *vm_state_name(enum vm_state state)
{
	static const char *const names[] = {
		[VM_CREATED] = "created", [VM_RUNNING] = "running", [VM_PAUSED] = "paused",
		[VM_STOPPED] = "stopped", [VM_CRASHED] = "crashed", [VM_WAITING] = "waiting",
	};

	return names[state];
}

/* The delay of a restart is over. */
static void restart_timer_fired(struct timer *t)
{
	(void)t;
	cpu_request(percpus[0], CORE_CONSOLE);
}

/* Guests whose reservation cannot be kept are not made known: like those that the configuration's
 * parser refused. */
static bool reserve(struct vm *vm)
{
	struct reason why;

	if (!vm_memory_reserve(vm, &why))
		return true;
	log_error("%s", why.text);
	vms_verdict.refused++;
	return false;
}

int vms_init(const struct config *config, struct reason *why)
{
	struct vm **link = &first_vm;

	vms_verdict.refused += config->n_refused;
	for (uint32_t i = 0; i < config->n_guests; i++) {
		struct vm *vm = heap_alloc(sizeof(*vm));

		if (!vm) {
			vms_verdict.refused += config->n_guests - i;
			return refuse(why, ERR_NO_MEMORY, "guest %s: no memory is left for it",
				      config->guests[i].name);
		}
		vm->config = &config->guests[i];
		if (!reserve(vm)) {
			heap_free(vm);
			continue;
		}
		vm->state = VM_CREATED;
		timer_init(&vm->restart_timer, restart_timer_fired);
		vm->clock_frozen = 0;
		cpu_model_init(&vm->model, cpuid, this_cpu()->features.xcr0_supported,
			       hv_caps.xsaves, tsc_hz);
		vm_wire(vm);
		*link = vm;
		link = &vm->next;
	}
	return 0;
}

/* ---- resources ---- */

static void free_resources(struct vm *vm)
{
	for (uint32_t i = 0; i < VM_MAX_VCPUS; i++) {
		vcpu_destroy(vm->vcpus[i]);
		vm->vcpus[i] = NULL;
	}
	vm->n_vcpus = 0;
	if (vm->hv.pages.va)
		frames_free_n(vm->hv.pages.pa);
	vm->hv = (struct hv_vm){0};
	vm_firmware_free(vm);
	vm_symbols_forget(vm);
	vm_memory_destroy(vm);
	vm->has_resources = false;
}

static int make_hv_pages(struct vm *vm, struct reason *why)
{
	struct hpa pa = frames_alloc_n(hv->vm_pages, FRAME_GUEST_TABLE, true);

	if (hpa_is_none(pa))
		return refuse(why, ERR_NO_MEMORY, "guest %s: no memory is left for it",
			      vm->config->name);
	vm->hv.pages = (struct hv_pages){phys_to_virt(pa), pa};
	hv->vm_init(&vm->hv);
	vm_allow_msrs(vm);
	return 0;
}

static int make_vcpu(struct vm *vm, uint32_t id, struct reason *why)
{
	struct percpu *cpu = sched_least_loaded(&vm->config->affinity);
	char list[CONFIG_STRING_MAX];

	if (!cpu) {
		cpu_set_format(&vm->config->affinity, list, sizeof(list));
		return refuse(why, ERR_NOT_FOUND,
			      "guest %s: affinity: of the CPUs %s none can run guests",
			      vm->config->name, list);
	}
	vm->vcpus[id] = vcpu_create(vm, id, cpu, why);
	if (!vm->vcpus[id])
		return ERR_NO_MEMORY;
	vm->n_vcpus++;
	return 0;
}

static int make_resources(struct vm *vm, struct reason *why)
{
	struct frame_stats before, after;
	uint64_t frames;
	int err;

	if (vm->has_resources)
		return 0;
	frames_stats(&before);
	vm->has_resources = true;
	err = vm_memory_create(vm, why);
	if (!err)
		err = make_hv_pages(vm, why);
	for (uint32_t i = 0; !err && i < vm->config->vcpus; i++)
		err = make_vcpu(vm, i, why);
	if (!err)
		err = vm_firmware_create(vm, why);
	if (!err) {
		frames_stats(&after);
		frames = before.free - after.free;
		vm->overhead = frames * PAGE_SIZE - vm->mem.size + sizeof(*vm);
		err = vm_memory_charge(vm, frames * PAGE_SIZE - vm->mem.size, why);
	}
	if (err)
		free_resources(vm);
	return err;
}

/* ---- booting ---- */

/* Loads a kernel that is given modules. */
static int load_with_modules(struct vm *vm, const struct load_blob *kernel, uint64_t rsdp,
			     struct guest_entry *entry, struct reason *why)
{
	const struct guest_config *c = vm->config;
	struct load_blob modules[CONFIG_MAX_MODULES];

	for (uint32_t i = 0; i < c->n_modules; i++) {
		int err = module_blob(c->modules[i].file, &modules[i], why);

		if (err)
			return err;
		modules[i].string = c->modules[i].string;
	}
	if (c->boot == BOOT_PVH)
		return load_pvh(&vm->mem, kernel, modules, c->n_modules, c->cmdline, rsdp, entry,
				why);
	return load_multiboot(&vm->mem, kernel, modules, c->n_modules, c->cmdline, entry, why);
}

/* A kernel that the guest starts in without firmware, and the tables that firmware would make. */
static int load_kernel(struct vm *vm, uint64_t rsdp, struct guest_entry *entry, struct reason *why)
{
	const struct guest_config *c = vm->config;
	struct module_unpacked unpacked;
	struct load_blob kernel, initrd;
	struct smbios_info info;
	int err;

	vm_smbios_info(vm, &info);
	err = guest_smbios_build(&vm->mem, &info, why);
	if (!err && c->initrd[0])
		err = module_blob(c->initrd, &initrd, why);
	if (!err)
		err = module_kernel(c->kernel, vm->mem.size, &kernel, &unpacked, why);
	if (err)
		return err;
	if (c->boot == BOOT_LINUX)
		err = load_linux(&vm->mem, &kernel, c->initrd[0] ? &initrd : NULL, c->cmdline,
				 c->entry, rsdp, entry, why);
	else
		err = load_with_modules(vm, &kernel, rsdp, entry, why);
	module_drop(&unpacked);
	return err;
}

static int load_image(struct vm *vm, struct guest_entry *entry, struct reason *why)
{
	struct load_blob firmware;
	uint64_t rsdp;
	int err = guest_acpi_build(&vm->mem, vm->n_vcpus, &rsdp, why);

	if (!err)
		err = vm_firmware_build(vm, why);
	if (err)
		return err;
	if (vm->config->boot != BOOT_FIRMWARE)
		return load_kernel(vm, rsdp, entry, why);
	err = module_blob(vm->config->firmware, &firmware, why);
	return err ? err : load_firmware(&vm->mem, &firmware, entry, why);
}

static void forget_crash(struct vm *vm)
{
	for (uint32_t i = 0; i < VM_MAX_VCPUS; i++)
		vm->crash[i].there = false;
}

/* Sets the guest up as after power-on and lets it run. All vCPUs are parked. */
static int boot(struct vm *vm, struct reason *why)
{
	struct guest_entry entry;
	struct reason detail;
	uint64_t low, high;
	int err = load_image(vm, &entry, &detail);

	if (err)
		return refuse(why, err, "guest %s: %s", vm->config->name, detail.text);
	vm->ending = (struct vm_ending){0};
	vm->clock_frozen = 0;
	vm->wall_at_zero = wall_clock_seconds();
	low = gmem_low_end(vm->mem.size);
	high = vm->mem.size - low;
	serial_drop_input(&vm->serial);
	machine_init(&vm->machine, &vm->vdev_host, vm->config->debug_exit, vm->wall_at_zero, low,
		     high);
	machine_set_firmware(&vm->machine, &vm->fwcfg->items, vm->config->boot == BOOT_FIRMWARE);
	if (vm->config->test_device)
		machine_add_test_device(&vm->machine);
	for (uint32_t i = 0; i < vm->n_vcpus && !err; i++)
		err = vcpu_reset(vm->vcpus[i], &entry, &detail);
	if (err)
		return refuse(why, err, "guest %s: %s", vm->config->name, detail.text);
	vm->has_status = false;
	vm->reason.text[0] = 0;
	vm->state = VM_RUNNING;
	vm_clock_start(vm, 0);
	for (uint32_t i = 0; i < vm->n_vcpus; i++)
		vcpu_release(vm->vcpus[i]);
	return 0;
}

static void park_all(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->n_vcpus; i++)
		vcpu_park(vm->vcpus[i]);
	vm_clock_stop(vm);
}

/* ---- commands ---- */

static int wrong_state(const struct vm *vm, const char *what, struct reason *why)
{
	return refuse(why, ERR_STATE, "guest %s is %s and cannot be %s", vm->config->name,
		      vm_state_name(vm->state), what);
}

static bool is_alive(const struct vm *vm)
{
	return vm->state == VM_RUNNING || vm->state == VM_PAUSED;
}

/* The administrator has it boot: earlier restarts do not count any more. One that waits goes on
 * waiting if it cannot boot now. */
static void boots_anew(struct vm *vm)
{
	restart_fresh(&vm->restart, uptime_ns());
}

int vm_start(struct vm *vm, struct reason *why)
{
	bool fresh = !vm->has_resources;
	int err;

	if (is_alive(vm))
		return wrong_state(vm, "started", why);
	err = make_resources(vm, why);
	if (err)
		return err;
	boots_anew(vm);
	err = boot(vm, why);
	if (err && fresh)
		free_resources(vm);
	return err;
}

int vm_pause(struct vm *vm, struct reason *why)
{
	if (vm->state != VM_RUNNING)
		return wrong_state(vm, "paused", why);
	park_all(vm);
	vm->state = VM_PAUSED;
	return 0;
}

int vm_resume(struct vm *vm, struct reason *why)
{
	if (vm->state != VM_PAUSED)
		return wrong_state(vm, "resumed", why);
	vm->state = VM_RUNNING;
	vm_clock_start(vm, vm->clock_frozen);
	for (uint32_t i = 0; i < vm->n_vcpus; i++)
		vcpu_release(vm->vcpus[i]);
	return 0;
}

int vm_stop(struct vm *vm, struct reason *why)
{
	if (!is_alive(vm) && vm->state != VM_WAITING)
		return wrong_state(vm, "stopped", why);
	park_all(vm);
	timer_cancel(&vm->restart_timer);
	vm->state = VM_STOPPED;
	snprintf(vm->reason.text, sizeof(vm->reason.text), "it was stopped by the administrator");
	return 0;
}

/* It ran before, and its image loaded: now it does not run any more. */
static void cannot_boot(struct vm *vm, const struct reason *why)
{
	vm->state = VM_CRASHED;
	vm->has_status = false;
	vm->reason = *why;
	vms_verdict.failed++;
}

int vm_reset(struct vm *vm, struct reason *why)
{
	int err;

	if (vm->state == VM_CREATED)
		return wrong_state(vm, "reset", why);
	park_all(vm);
	boots_anew(vm);
	vm->resets++;
	err = boot(vm, why);
	if (err)
		cannot_boot(vm, why);
	return err;
}

int vm_destroy(struct vm *vm, struct reason *why)
{
	if (vm->state == VM_CREATED)
		return wrong_state(vm, "destroyed", why);
	park_all(vm);
	timer_cancel(&vm->restart_timer);
	free_resources(vm);
	vm->state = VM_CREATED;
	forget_crash(vm);
	vm->has_status = false;
	vm->reason.text[0] = 0;
	return 0;
}

int vm_power_button(struct vm *vm, struct reason *why)
{
	if (vm->state != VM_RUNNING)
		return wrong_state(vm, "asked to shut down", why);
	spin_lock(&vm->machine.lock, LOCK_MACHINE);
	vpm_power_button(&vm->machine.pm);
	spin_unlock(&vm->machine.lock, LOCK_MACHINE);
	return 0;
}

void vms_autostart(void)
{
	for (struct vm *vm = first_vm; vm; vm = vm->next) {
		struct reason why;

		if (!vm->config->autostart)
			continue;
		if (vm_start(vm, &why)) {
			vms_verdict.refused++;
			log_error("%s", why.text);
			vm->reason = why;
		}
	}
}

bool vms_idle(void)
{
	for (struct vm *vm = first_vm; vm; vm = vm->next) {
		if (is_alive(vm) || vm->state == VM_WAITING)
			return false;
	}
	return true;
}

/* ---- what guests do themselves ---- */

void vm_end(struct vm *vm, enum vm_end_kind kind, uint32_t status, const char *fmt, ...)
{
	uint32_t unclaimed = 0;
	va_list ap;

	if (!__atomic_compare_exchange_n(&vm->ending.claimed, &unclaimed, 1, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return;
	va_start(ap, fmt);
	vsnprintf(vm->ending.reason.text, sizeof(vm->ending.reason.text), fmt, ap);
	va_end(ap);
	vm->ending.status = status;
	__atomic_store_n(&vm->ending.kind, kind, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < vm->n_vcpus; i++)
		vcpu_request(vm->vcpus[i], REQ_PARK);
	cpu_request(percpus[0], CORE_CONSOLE);
}

static void boot_again(struct vm *vm)
{
	struct reason why;

	vm->resets++;
	restart_begins(&vm->restart, uptime_ns());
	if (!boot(vm, &why))
		return;
	log_error("%s", why.text);
	cannot_boot(vm, &why);
}

/* It boots again: now, or after a while if it does so again and again. */
static void restart(struct vm *vm)
{
	uint64_t now = uptime_ns(), delay = restart_delay(&vm->restart, now);

	if (!delay) {
		boot_again(vm);
		return;
	}
	vm->state = VM_WAITING;
	vm->restart_at = now + delay;
	timer_arm(&vm->restart_timer, percpus[0], rdtsc() + ns_to_tsc(delay));
	log_warn("guest %s waits for %llu s: this is restart number %u of a row of quick ones",
		 vm->config->name, (unsigned long long)(delay / NS_PER_S), vm->restart.quick);
}

static void end_now(struct vm *vm, enum vm_end_kind kind)
{
	park_all(vm);
	vm->reason = vm->ending.reason;
	switch (kind) {
	case VM_END_RESET:
		if (vm->config->on_reset == THEN_STOP)
			break;
		log_info("guest %s: %s", vm->config->name, vm->reason.text);
		restart(vm);
		return;
	case VM_END_CRASH:
		vm->state = VM_CRASHED;
		vms_verdict.failed++;
		log_error("guest %s crashed: %s", vm->config->name, vm->reason.text);
		vcpu_crash_record(vm->vcpus[0]);
		if (vm->config->on_crash == THEN_RESTART)
			restart(vm);
		return;
	case VM_END_EXIT:
		vm->has_status = true;
		vm->status = vm->ending.status;
		vms_verdict.failed += vm->status != 0;
		break;
	default:
		break;
	}
	vm->state = VM_STOPPED;
	log_info("guest %s stopped: %s", vm->config->name, vm->reason.text);
}

void vms_poll(void)
{
	for (struct vm *vm = first_vm; vm; vm = vm->next) {
		enum vm_end_kind kind = __atomic_load_n(&vm->ending.kind, __ATOMIC_ACQUIRE);

		if (kind != VM_END_NONE && is_alive(vm))
			end_now(vm, kind);
		else if (vm->state == VM_WAITING && uptime_ns() >= vm->restart_at)
			boot_again(vm);
	}
}
