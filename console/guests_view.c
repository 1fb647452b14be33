/*
 * What the console knows of guests, taken from guests/. No state of its own; boot CPU only, where
 * all changes of a guest's state are made too.
 */
#include "console/guests_view.h"

#include "guests/vm.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/gmem.h"

#define VGA_TEXT 0xb8000ull /* two bytes for each cell: character, colours */

_Static_assert((int)GUEST_CREATED == (int)VM_CREATED && (int)GUEST_RUNNING == (int)VM_RUNNING &&
		       (int)GUEST_PAUSED == (int)VM_PAUSED &&
		       (int)GUEST_STOPPED == (int)VM_STOPPED &&
		       (int)GUEST_CRASHED == (int)VM_CRASHED &&
		       (int)GUEST_WAITING == (int)VM_WAITING,
	       "the same states in the same order");

struct vm *guest_next(struct vm *prev)
{
	return vm_next(prev);
}

struct vm *guest_find(const char *name)
{
	return vm_find(name);
}

const char *guest_name(const struct vm *vm)
{
	return vm->config->name;
}

const char *guest_state_name(enum guest_state state)
{
	return vm_state_name((enum vm_state)state);
}

static uint32_t cpu_of(const struct vcpu *v)
{
	for (uint32_t i = 0; i < n_cpus; i++)
		if (__atomic_load_n(&percpus[i]->vcpu, __ATOMIC_RELAXED) == v &&
		    __atomic_load_n(&v->running_since, __ATOMIC_RELAXED))
			return i;
	return GUEST_NO_CPU;
}

void guest_look(struct vm *vm, struct guest_view *out)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->name, sizeof(out->name), "%s", vm->config->name);
	out->state = (enum guest_state)vm->state;
	out->memory = vm->config->memory;
	out->overhead = vm->has_resources ? vm->overhead : 0;
	out->limit = vm->config->limit;
	out->reserve = vm->quota.reserve * PAGE_SIZE;
	out->affinity = vm->config->affinity;
	out->on_crash = vm->config->on_crash;
	out->on_reset = vm->config->on_reset;
	out->held = vm->quota.held * PAGE_SIZE;
	out->restarts = vm->resets;
	if (vm->state == VM_WAITING)
		out->restart_in_ns = vm->restart_at - MIN(vm->restart_at, uptime_ns());
	out->vcpus = vm->config->vcpus;
	out->has_status = vm->has_status;
	out->status = vm->status;
	snprintf(out->reason, sizeof(out->reason), "%s", vm->reason.text);
	out->serial = vm->config->serial;
	out->boot = vm->config->boot;
	for (unsigned i = 0; i < VM_MAX_VCPUS; i++)
		out->has_crash |= vm->crash[i].there;
	out->uptime_ns = vm->has_resources ? vm_clock_ns(vm) : 0;
	for (unsigned i = 0; i < GUEST_VIEW_VCPUS; i++)
		out->cpu[i] = i < vm->n_vcpus && vm->vcpus[i] ? cpu_of(vm->vcpus[i]) : GUEST_NO_CPU;
}

int guest_act(struct vm *vm, enum guest_action action, struct reason *why)
{
	/* What guests did themselves comes first: one that has ended must not be resumed. */
	vms_poll();
	switch (action) {
	case ACTION_START:
		return vm_start(vm, why);
	case ACTION_PAUSE:
		return vm_pause(vm, why);
	case ACTION_RESUME:
		return vm_resume(vm, why);
	case ACTION_STOP:
		return vm_stop(vm, why);
	case ACTION_POWER_BUTTON:
		return vm_power_button(vm, why);
	case ACTION_RESET:
		return vm_reset(vm, why);
	case ACTION_DESTROY:
		return vm_destroy(vm, why);
	}
	return refuse(why, ERR_INVALID, "no such action");
}

int guest_stats(struct vm *vm, unsigned vcpu, struct guest_stats *out)
{
	const struct vcpu *v = vcpu < vm->n_vcpus ? vm->vcpus[vcpu] : NULL;

	if (!v)
		return ERR_NOT_FOUND;
	memcpy(out->exits, v->exits, sizeof(out->exits));
	out->run_ns = tsc_to_ns(vcpu_run_ticks(v));
	out->injected = v->injected;
	return 0;
}

static struct vcpu *vcpu_of(struct vm *vm, unsigned vcpu)
{
	return vcpu < vm->n_vcpus ? vm->vcpus[vcpu] : NULL;
}

int guest_exits(struct vm *vm, unsigned vcpu, uint64_t *from, struct guest_exit *out, unsigned n,
		uint64_t *lost)
{
	static struct exit_record records[EXIT_RING_SIZE]; /* large for a stack */
	const struct vcpu *v = vcpu_of(vm, vcpu);
	unsigned got;

	if (!v)
		return ERR_NOT_FOUND;
	got = exit_ring_read(&v->ring, from, records, MIN(n, EXIT_RING_SIZE), lost);
	for (unsigned i = 0; i < got; i++) {
		uint64_t tsc = exit_record_tsc(&records[i]);

		out[i] = (struct guest_exit){
			.number = *from - got + i,
			.time_ns = tsc_uptime_ns(tsc - (uint64_t)v->sched.cpu->tsc_skew),
			.record = records[i],
		};
	}
	return (int)got;
}

int guest_exits_end(struct vm *vm, unsigned vcpu, uint64_t *next)
{
	const struct vcpu *v = vcpu_of(vm, vcpu);

	if (!v)
		return ERR_NOT_FOUND;
	*next = __atomic_load_n(&v->ring.next, __ATOMIC_RELAXED);
	return 0;
}

const char *guest_symbol(struct vm *vm, uint64_t rip, char *buf, size_t size)
{
	return vm_symbol(vm, rip, buf, size);
}

int guest_screen(struct vm *vm, char out[SCREEN_ROWS * SCREEN_COLUMNS])
{
	for (unsigned y = 0; y < SCREEN_ROWS; y++) {
		uint8_t row[2 * SCREEN_COLUMNS];

		if (!vm->has_resources ||
		    gmem_read(&vm->mem, VGA_TEXT + y * sizeof(row), row, sizeof(row)))
			return ERR_NOT_FOUND;
		for (unsigned x = 0; x < SCREEN_COLUMNS; x++)
			out[y * SCREEN_COLUMNS + x] = (char)row[2 * x];
	}
	return 0;
}

/* The guest's end of the serial port looks again. */
static void tell_guest(struct vm *vm)
{
	if (vm->n_vcpus && vm->vcpus[0])
		vcpu_request(vm->vcpus[0], REQ_SERIAL);
}

void guest_listen(struct vm *vm, bool on)
{
	serial_set_reader(&vm->serial, on);
	if (!on) /* what it waited with is lost for the terminal, and it may go on */
		tell_guest(vm);
}

size_t guest_read(struct vm *vm, uint8_t *buf, size_t n)
{
	bool stalled;
	size_t got = serial_read(&vm->serial, buf, n, &stalled);

	if (stalled)
		tell_guest(vm);
	return got;
}

size_t guest_unread(struct vm *vm)
{
	return (size_t)serial_unread(&vm->serial);
}

size_t guest_write(struct vm *vm, const uint8_t *buf, size_t n)
{
	size_t done = serial_write(&vm->serial, buf, n);

	if (done)
		tell_guest(vm);
	return done;
}

size_t guest_history(struct vm *vm, uint8_t *buf, size_t n)
{
	return serial_history(&vm->serial, buf, n);
}

#ifdef SKERRY_DEBUG
void guest_provoke(struct vm *vm, const char *kind)
{
	static char kept[32];

	snprintf(kept, sizeof(kept), "%s", kind);
	if (!vm->n_vcpus)
		return;
	vm->vcpus[0]->provoke = kept;
	vcpu_request(vm->vcpus[0], REQ_PROVOKE);
}
#endif

int guest_crash(struct vm *vm, void (*line)(void *ctx, const char *text), void *ctx)
{
	int err = ERR_NOT_FOUND;

	for (unsigned i = 0; i < VM_MAX_VCPUS; i++) {
		if (!vm->crash[i].there)
			continue;
		crash_print(vm, &vm->crash[i], line, ctx);
		err = 0;
	}
	return err;
}

enum machine_status guests_machine_status(void)
{
	return vms_verdict.failed    ? STATUS_GUEST_FAILED
	       : vms_verdict.refused ? STATUS_CONFIG_REFUSED
				     : STATUS_OK;
}
