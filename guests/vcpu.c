/*
 * Virtual CPUs: creating them, the loop that runs them, and how others reach them.
 *
 * The protocol between a vCPU and everybody else stands in docs/architecture.md ("Requests and
 * kicks"): another core sets a bit in v->requests, fences, and kicks; the vCPU takes all bits with
 * interrupts off, right before it enters the guest. Privileged.
 */
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/mitigations.h"
#include "arch/x86/provoke.h"
#include "guests/vm.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "mm/heap.h"
#include "mm/hostmap.h"

#define MSR_TSC_AUX  0xc0000103u
#define NMI_RETRY_NS (50 * NS_PER_US)

static void vcpu_put(struct vcpu *v);

/* ---- reaching a vCPU ---- */

void vcpu_request(struct vcpu *v, uint32_t bits)
{
	__atomic_fetch_or(&v->requests, bits, __ATOMIC_SEQ_CST);
	/* A running vCPU must leave the guest to see the bits. On its own core it is not in the
	 * guest now, and looks before it enters again. */
	if (sched_wake(&v->sched) && v->sched.cpu != this_cpu())
		lapic_send(v->sched.cpu->apic_id, VECTOR_KICK);
}

void vcpu_park(struct vcpu *v)
{
	vcpu_request(v, REQ_PARK);
	if (v->sched.cpu == this_cpu()) {
		/* This is its core's main loop, so it is not running; it may still be loaded. */
		sched_park(&v->sched);
		if (this_cpu()->vcpu == v)
			vcpu_put(v);
		__atomic_store_n(&v->parked, true, __ATOMIC_RELEASE);
	}
	while (!__atomic_load_n(&v->parked, __ATOMIC_ACQUIRE))
		cpu_pause();
}

void vcpu_release(struct vcpu *v)
{
	__atomic_store_n(&v->parked, false, __ATOMIC_RELEASE);
	__atomic_fetch_and(&v->requests, ~(uint32_t)REQ_PARK, __ATOMIC_SEQ_CST);
	sched_release(&v->sched);
}

/* ---- timers ---- */

static void vcpu_timer_fired(struct timer *t)
{
	vcpu_request(container_of(t, struct vcpu, timer), REQ_TIMER);
}

/* The machine's devices are served by vCPU 0. */
static uint64_t vcpu_deadline(const struct vcpu *v)
{
	uint64_t deadline = v->lapic->deadline;

	return v->id == 0 ? MIN(deadline, v->vm->machine.deadline) : deadline;
}

void vcpu_rearm(struct vcpu *v)
{
	v->armed_deadline = vcpu_deadline(v);
	timer_arm(&v->timer, v->sched.cpu,
		  vm_clock_host_tsc(v->vm, v->sched.cpu, v->armed_deadline));
}

static void vcpu_expire_timers(struct vcpu *v)
{
	uint64_t now = vm_clock_ns(v->vm);

	vlapic_expire(v->lapic, now);
	if (v->id == 0) {
		spin_lock(&v->vm->machine.lock, LOCK_MACHINE);
		machine_expire(&v->vm->machine, now);
		spin_unlock(&v->vm->machine.lock, LOCK_MACHINE);
	}
	/* the timer has fired: what is left must be armed again, even at the same point */
	v->armed_deadline = TIME_NEVER;
}

/* ---- the serial port: typed bytes go in as far as the device has room ---- */

static void vcpu_serve_serial(struct vcpu *v)
{
	struct machine *m = &v->vm->machine;
	uint8_t byte;

	spin_lock(&m->lock, LOCK_MACHINE);
	if (vuart_tx_waiting(&m->uart))
		vuart_tx_ready(&m->uart);
	while (vuart_can_receive(&m->uart) && serial_peek(&v->vm->serial, &byte) &&
	       vuart_receive(&m->uart, byte))
		serial_take(&v->vm->serial);
	spin_unlock(&m->lock, LOCK_MACHINE);
}

/* ---- loading and putting ---- */

static void vcpu_load(struct vcpu *v)
{
	struct percpu *cpu = this_cpu();

	if (mitigations.ibpb_on_switch)
		ibpb();
	hv->vcpu_load(&v->hv, (struct hv_pages){cpu->hv_pages, cpu->hv_pages_pa}, cpu->index);
	fpu_load(v->fpu, v->xcr0);
	write_dr0(v->dr[0]);
	write_dr1(v->dr[1]);
	write_dr2(v->dr[2]);
	write_dr3(v->dr[3]);
	if (v->vm->model.has_rdtscp)
		wrmsr(MSR_TSC_AUX, v->tsc_aux);
	cpu->vcpu = v;
}

static void vcpu_put(struct vcpu *v)
{
	fpu_save(v->fpu, &v->xcr0);
	v->dr[0] = read_dr0();
	v->dr[1] = read_dr1();
	v->dr[2] = read_dr2();
	v->dr[3] = read_dr3();
	hv->vcpu_put(&v->hv);
	this_cpu()->vcpu = NULL;
}

static void turn_begins(struct vcpu *v)
{
	__atomic_store_n(&v->running_since, rdtsc(), __ATOMIC_RELAXED);
}

static void turn_ends(struct vcpu *v)
{
	uint64_t ticks = v->run_ticks + rdtsc() - v->running_since;

	__atomic_store_n(&v->run_ticks, ticks, __ATOMIC_RELAXED);
	__atomic_store_n(&v->running_since, 0, __ATOMIC_RELAXED);
}

uint64_t vcpu_run_ticks(const struct vcpu *v)
{
	uint64_t since = __atomic_load_n(&v->running_since, __ATOMIC_RELAXED);
	uint64_t ticks = __atomic_load_n(&v->run_ticks, __ATOMIC_RELAXED);

	return since ? ticks + (rdtsc() - since) : ticks;
}

/* ---- events ---- */

static bool pic_waits(struct vcpu *v)
{
	return __atomic_load_n(&v->pic_int, __ATOMIC_ACQUIRE) && vlapic_accepts_pic(v->lapic);
}

bool vcpu_has_event(struct vcpu *v)
{
	if (v->hv.inject.kind != EVENT_NONE || (v->nmi_pending && !v->hv.nmi_blocked))
		return true;
	return (v->hv.rflags & RFLAGS_IF) && (vlapic_pending(v->lapic) >= 0 || pic_waits(v));
}

void vcpu_inject_exception(struct vcpu *v, uint8_t vector, bool has_error, uint32_t error)
{
	v->hv.inject = (struct vcpu_event){
		.kind = EVENT_EXCEPTION,
		.vector = vector,
		.has_error = has_error,
		.error = error,
	};
}

static void inject_interrupt(struct vcpu *v, int vector)
{
	struct machine *m = &v->vm->machine;

	if (vector >= 0) {
		vector = vlapic_accept(v->lapic, (uint8_t)vector);
	} else {
		spin_lock(&m->lock, LOCK_MACHINE);
		vector = vpic_ack(&m->pic);
		spin_unlock(&m->lock, LOCK_MACHINE);
	}
	v->hv.inject = (struct vcpu_event){.kind = EVENT_INTERRUPT, .vector = (uint8_t)vector};
	v->injected++;
}

/* An interrupt that cannot be taken yet waits for the guest to allow interrupts; one that the task
 * priority alone holds back, for that to fall. An NMI waits for the last one's handler to end. */
static void wait_for_window(struct vcpu *v, bool interrupt)
{
	struct hv_vcpu *h = &v->hv;
	uint8_t masked = interrupt ? 0 : vlapic_masked_class(v->lapic);

	h->window_wanted = interrupt || masked;
	h->window_class = masked;
	if (pic_waits(v))
		h->window_class = 16;
	else if (interrupt)
		h->window_class = (uint8_t)(vlapic_pending(v->lapic) >> 4);
	h->nmi_window_wanted = v->nmi_pending;
}

/* Where the hardware has no exact window for an NMI, one that waits is looked for at each exit; and
 * this makes an exit come, however long the guest would run without. */
static __cold __noinline void look_again_soon(struct vcpu *v)
{
	uint64_t soon = vm_clock_ns(v->vm) + NMI_RETRY_NS;

	v->look = true;
	if (v->armed_deadline <= soon)
		return;
	v->armed_deadline = soon;
	timer_arm(&v->timer, v->sched.cpu, vm_clock_host_tsc(v->vm, v->sched.cpu, soon));
}

/*
 * Chooses what the next entry delivers, by the architecture's priorities: an event that is under
 * way, then NMI, then an interrupt. What cannot be taken yet asks for a window. Called when v->look
 * says that something may have changed.
 */
static __noinline void choose_event(struct vcpu *v)
{
	int vector = vlapic_pending(v->lapic);
	bool interrupt = vector >= 0 || pic_waits(v);
	struct hv_vcpu *h = &v->hv;

	h->cr8 = vlapic_cr8(v->lapic);
	if (h->inject.kind == EVENT_NONE && v->nmi_pending && !h->nmi_blocked && !h->irq_blocked) {
		v->nmi_pending = false;
		h->inject = (struct vcpu_event){.kind = EVENT_NMI, .vector = VEC_NMI};
	}
	if (interrupt && h->inject.kind == EVENT_NONE && (h->rflags & RFLAGS_IF) &&
	    (likely(!h->irq_blocked) || vcpu_pass_halt(v))) {
		inject_interrupt(v, vector);
		interrupt = vlapic_pending(v->lapic) >= 0 || pic_waits(v);
	}
	wait_for_window(v, interrupt);
	v->look = false;
	if (unlikely(v->nmi_pending && !hv_caps.nmi_window))
		look_again_soon(v);
}

/* The guest wrote CR8. */
static __cold __noinline void take_cr8(struct vcpu *v)
{
	vlapic_set_cr8(v->lapic, v->hv.cr8);
	v->look = true;
}

/* ---- the loop ---- */

#ifdef SKERRY_DEBUG
static __noinline void vcpu_provoke(struct vcpu *v)
{
	if (!strcmp(v->provoke, "guest"))
		(void)vm_invariant(v->vm, !v->provoke);
	else
		provoke(v->provoke);
}
#endif

/* Takes what others asked for. Returns RUN_CONTINUE, or why it stays out of the guest. */
static enum run_outcome vcpu_take_requests(struct vcpu *v)
{
	uint32_t bits = __atomic_load_n(&v->requests, __ATOMIC_SEQ_CST);

	if (bits & REQ_PARK)
		return RUN_PARKED; /* the bit stays until release */
	bits = __atomic_fetch_and(&v->requests, REQ_PARK, __ATOMIC_SEQ_CST);
	if (bits & REQ_TIMER)
		vcpu_expire_timers(v);
	if (bits & REQ_SERIAL)
		vcpu_serve_serial(v);
	if (bits & REQ_NMI)
		v->nmi_pending = true;
#ifdef SKERRY_DEBUG
	if (bits & REQ_PROVOKE)
		vcpu_provoke(v);
#endif
	/* REQ_INTERRUPT needs no more than the look that follows */
	vcpu_update_timer(v);
	v->look = true;
	if (v->halted) {
		if (!vcpu_has_event(v)) {
			__atomic_fetch_or(&v->requests, REQ_HALTED, __ATOMIC_RELAXED);
			return RUN_HALTED;
		}
		v->halted = false;
	}
	return RUN_CONTINUE;
}

/* Runs the loaded vCPU until it halts, parks, or its core is wanted for something else. */
static __force_inline enum run_outcome vcpu_run(struct vcpu *v)
{
	struct percpu *cpu = this_cpu();
	struct vlapic *lapic = v->lapic;
	enum run_outcome outcome;
	struct vm_exit exit;

	vcpu_update_timer(v);
	v->look = true;
	for (;;) {
		irq_disable();
		/* the last look: from here to the entry no interrupt is taken, so no kick is lost
		 */
		if (unlikely(__atomic_load_n(&v->requests, __ATOMIC_ACQUIRE) |
			     __atomic_load_n(&cpu->requests, __ATOMIC_ACQUIRE))) {
			irq_enable();
			if (__atomic_load_n(&cpu->requests, __ATOMIC_ACQUIRE))
				return RUN_PREEMPTED;
			outcome = vcpu_take_requests(v);
			if (outcome != RUN_CONTINUE)
				return outcome;
			continue;
		}
		if (unlikely(v->look))
			choose_event(v);
		hv->run(&v->hv, &exit);
		irq_enable();

		if (unlikely(v->hv.cr8 != vlapic_cr8(lapic)))
			take_cr8(v);
		outcome = vcpu_handle_exit(v, &exit);
		if (unlikely(outcome != RUN_CONTINUE))
			return outcome;
	}
}

/* ---- a core's main loop ---- */

static void core_take_requests(struct percpu *cpu, void (*work)(void))
{
	uint32_t bits = __atomic_exchange_n(&cpu->requests, 0, __ATOMIC_SEQ_CST);

	if ((bits & CORE_CONSOLE) && work)
		work();
}

/* One turn of a vCPU. It stays loaded until another one's turn comes or it is parked, since it is
 * likely to be the next that runs here, above all if it only waits for an interrupt. */
static void core_run(struct vcpu *v)
{
	enum run_outcome outcome;

	if (!this_cpu()->vcpu)
		vcpu_load(v);
	/* of what the core did since a guest ran on it */
	if (mitigations.l1d_flush)
		l1d_flush();
	turn_begins(v);
	outcome = vcpu_run(v);
	turn_ends(v);
	/* from here on returns are executed whose calls were made before guests ran */
	if (mitigations.rsb_fill)
		rsb_fill();
	switch (outcome) {
	case RUN_PARKED:
		vcpu_put(v);
		sched_put_back(&v->sched, SCHED_PARKED);
		__atomic_store_n(&v->parked, true, __ATOMIC_RELEASE);
		return;
	case RUN_HALTED:
		sched_put_back(&v->sched, SCHED_BLOCKED);
		return;
	default:
		sched_put_back(&v->sched, SCHED_QUEUED);
		return;
	}
}

void core_main(void (*work)(void))
{
	struct percpu *cpu = this_cpu();

	for (;;) {
		struct sched_entity *e;
		struct vcpu *v;

		core_take_requests(cpu, work);
		e = sched_next();
		v = e ? container_of(e, struct vcpu, sched) : NULL;
		if (v && cpu->vcpu && cpu->vcpu != v)
			vcpu_put(cpu->vcpu);
		if (v)
			core_run(v);
		else
			sched_idle();
	}
}

/* ---- life ---- */

struct vcpu *vcpu_create(struct vm *vm, uint32_t id, struct percpu *cpu, struct reason *why)
{
	struct vcpu *v = heap_alloc(sizeof(*v));
	struct hpa pages;

	if (!v)
		goto no_memory;
	v->vm = vm;
	v->id = id;
	v->parked = true;
	v->requests = REQ_PARK;
	v->armed_deadline = TIME_NEVER;
	timer_init(&v->timer, vcpu_timer_fired);
	sched_add(&v->sched, cpu);
	v->lapic = heap_alloc(sizeof(*v->lapic));
	v->fpu = fpu_area_alloc();
	v->emul_cache = heap_alloc(emul_cache_size());
	pages = frames_alloc(hv_pages_order(hv->vcpu_pages), FRAME_GUEST_TABLE, true);
	if (!hpa_is_none(pages))
		v->hv.pages = (struct hv_pages){phys_to_virt(pages), pages};
	if (!v->lapic || !v->fpu || !v->emul_cache || hpa_is_none(pages)) {
		vcpu_destroy(v);
		goto no_memory;
	}
	vcpu_wire(v);
	vcpu_init_emulation(v);
	v->hv.vm = &vm->hv;
	v->hv.phys_bits = vm->model.phys_bits;
	v->hv.cr4_allowed = vm->model.cr4;
	return v;

no_memory:
	refuse(why, ERR_NO_MEMORY, "guest %s: no memory is left for its vCPU %u", vm->config->name,
	       id);
	return NULL;
}

void vcpu_destroy(struct vcpu *v)
{
	if (!v)
		return;
	timer_cancel(&v->timer);
	sched_remove(&v->sched);
	if (v->hv.pages.va)
		frames_free(v->hv.pages.pa, hv_pages_order(hv->vcpu_pages));
	heap_free(v->emul_cache);
	heap_free(v->fpu);
	heap_free(v->lapic);
	heap_free(v);
}

static void entry_state(const struct guest_entry *entry, struct vcpu_state *s)
{
	uint16_t code = SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_G | 0xb;
	uint16_t data = SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_G | SEG_ATTR_DB | 3;

	memcpy(s->gpr, entry->gpr, sizeof(s->gpr));
	s->rip = entry->rip;
	s->rflags = RFLAGS_ONE;
	s->cr0 = CR0_PE | CR0_ET | (entry->long_mode ? CR0_PG | CR0_NE : 0);
	s->cr3 = entry->cr3;
	s->cr4 = entry->long_mode ? CR4_PAE : 0;
	s->efer = entry->long_mode ? EFER_LME | EFER_LMA : 0;
	code |= entry->long_mode ? SEG_ATTR_L : SEG_ATTR_DB;
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		s->seg[i] = (struct segment_state){
			.limit = UINT32_MAX, .selector = LOAD_DATA_SELECTOR, .attr = data};
	/* "x86/HVM direct boot ABI" asks for this limit; the other protocols say nothing about TR
	 */
	s->seg[SEG_TR].limit = 0x67;
	s->seg[SEG_CS].selector = LOAD_CODE_SELECTOR;
	s->seg[SEG_CS].attr = code;
	s->gdtr = (struct table_state){.base = entry->gdt_base, .limit = entry->gdt_limit};
	s->idtr = (struct table_state){.base = 0, .limit = 0};
}

/* What EDX holds after reset. Intel SDM, volume 3, "Processor State After Reset". */
static uint32_t processor_signature(const struct vcpu *v)
{
	struct cpuid_dynamic d = {.apic_id = v->id, .n_vcpus = v->vm->n_vcpus};

	return cpu_model_cpuid(&v->vm->model, 1, 0, &d).eax;
}

int vcpu_reset(struct vcpu *v, const struct guest_entry *entry, struct reason *why)
{
	struct vcpu_state s;

	v->halted = false;
	v->nmi_pending = false;
	v->pic_int = false;
	v->fault_repeats = 0;
	v->machine_deadline = TIME_NEVER;
	v->lapic_deadline = TIME_NEVER;
	v->xcr0 = 1;
	fpu_area_init(v->fpu);
	memset(v->dr, 0, sizeof(v->dr));
	v->tsc_adjust = 0;
	v->tsc_aux = 0;
	vcpu_reset_mtrrs(v);
	v->pv_time_msr = 0;
	v->pv_wall_msr = 0;
	v->armed_deadline = TIME_NEVER;
	timer_cancel(&v->timer);
	/* what was asked of the guest that ran before does not concern the next one */
	__atomic_fetch_and(&v->requests, REQ_PARK, __ATOMIC_SEQ_CST);
	vlapic_init(v->lapic, &v->lapic_host, v->id, v->id == 0);
	hv->vcpu_init(&v->hv);
	vcpu_tsc_changed(v);
	if (entry->reset) {
		v->hv.gpr[GPR_RDX] = processor_signature(v);
		return 0;
	}
	hv->get_state(&v->hv, &s);
	entry_state(entry, &s);
	return hv->set_state(&v->hv, &s, why);
}

void vcpu_tsc_changed(struct vcpu *v)
{
	v->hv.tsc_offset = v->tsc_adjust + vm_clock_tsc_offset(v->vm, v->sched.cpu);
	v->hv.tsc_changed = true;
	vlapic_tsc_changed(v->lapic);
	v->armed_deadline = TIME_NEVER;
}
