/*
 * What the hypervisor does at each exit: one switch, and one short function per kind. A guest's
 * mistakes are answered as the architecture says, or end that guest with a recorded reason.
 */
#include "arch/x86/asm.h"
#include "guests/board.h"
#include "guests/gwalk.h"
#include "guests/vm.h"

#define MSR_X2APIC_EOI      0x80bu
#define MSR_X2APIC_SELF_IPI 0x83fu
#define OPCODE_HLT          0xf4

/* ---- the exit ring ---- */

/* To be filled with what the kind has, and committed before anything else is done for the exit. */
static __force_inline struct exit_record *record(struct vcpu *v, enum exit_kind kind)
{
	struct exit_record *e = exit_ring_begin(&v->ring, kind, v->hv.rip);

	rdtsc_halves(&e->tsc_low, &e->tsc_high);
	v->exits[kind]++;
	return e;
}

/* The kinds that are not frequent. */
static void record_other(struct vcpu *v, const struct vm_exit *exit)
{
	struct exit_record *e = record(v, exit->kind);
	const uint64_t *gpr = v->hv.gpr;

	switch ((enum exit_kind)exit->kind) {
	case EXIT_CONTROL_REG:
		e->number = exit->control.cr;
		e->flags = exit->control.write ? EXIT_CONTROL_WRITE : 0;
		break;
	case EXIT_XSETBV:
		e->number = (uint32_t)gpr[GPR_RCX];
		e->value = (uint32_t)gpr[GPR_RAX] | gpr[GPR_RDX] << 32;
		break;
	case EXIT_EXCEPTION:
		e->number = exit->exception.vector;
		e->flags = exit->exception.has_error ? EXIT_EXCEPTION_ERROR : 0;
		e->value = exit->exception.error;
		break;
	case EXIT_TASK_SWITCH:
		e->number = exit->task_switch.selector;
		e->flags = exit->task_switch.source;
		break;
	case EXIT_REFUSED:
		e->flags = exit->refused.protection ? EXIT_REFUSED_GP : 0;
		break;
	case EXIT_ENTRY_FAILED:
	case EXIT_UNKNOWN:
		e->value = exit->raw_code;
		break;
	default: /* the kind says all */
		break;
	}
	exit_ring_commit(&v->ring);
}

/* ---- the instruction that exited ---- */

/* The guest single-steps: the trap comes after the instruction that we did for it. */
static void single_step(struct vcpu *v)
{
	vcpu_inject_exception(v, VEC_DB, false, 0);
	v->hv.inject.payload = BIT(14); /* DR6.BS */
}

static __cold __noinline void finish_flags(struct vcpu *v)
{
	v->hv.rflags &= ~RFLAGS_RF;
	if (v->hv.rflags & RFLAGS_TF)
		single_step(v);
}

/* The instruction ended at a multiple of 4 GiB: outside 64-bit mode that is address 0. */
static __cold __noinline void finish_at_4g(struct vcpu *v)
{
	struct code_context code;

	hv->get_code(&v->hv, &code);
	if (!code_is_64bit(&code))
		v->hv.rip = (uint32_t)v->hv.rip;
}

static inline void finish(struct vcpu *v, unsigned length)
{
	v->hv.rip += length;
	v->hv.irq_blocked = false;
	if (unlikely(v->hv.rflags & (RFLAGS_RF | RFLAGS_TF)))
		finish_flags(v);
	if (unlikely((uint32_t)v->hv.rip < length))
		finish_at_4g(v);
}

/* The length of an instruction that is not in its usual form, or not simple to fetch; 0: nothing is
 * to be done for it, because its bytes cannot be read (the fault is injected) or are others by now
 * (the guest tries again). */
static __cold __noinline unsigned slow_length(struct vcpu *v, const struct code_context *code,
					      enum insn_kind kind)
{
	uint8_t bytes[INSN_BUFFER];
	unsigned n = insn_fetch(&v->vm->mem, code, bytes, INSN_MAX_BYTES, &v->hv.inject);

	return n ? insn_length(kind, code, bytes, n) : 0;
}

/* Moves over the instruction that exited, of the kind that is expected. The hardware may say how
 * long it is; else its bytes are fetched and checked. False: nothing is to be done for it. */
static __force_inline bool skip(struct vcpu *v, const struct vm_exit *exit, enum insn_kind kind)
{
	const struct insn_usual *u = &insn_usual[kind];
	unsigned length = exit->insn_len;

	if (!length) {
		length = u->length;
		if (!length || (insn_fetch_word(&v->vm->mem, &exit->code) & u->mask) != u->bytes)
			length = slow_length(v, &exit->code, kind);
		if (unlikely(!length))
			return false;
	}
	finish(v, length);
	return true;
}

static void inject_gp(struct vcpu *v)
{
	vcpu_inject_exception(v, VEC_GP, true, 0);
}

static void inject_ud(struct vcpu *v)
{
	vcpu_inject_exception(v, VEC_UD, false, 0);
}

/* ---- kinds of exits ---- */

static inline void cpuid_answer(struct vcpu *v, const struct cpuid_regs *r)
{
	v->hv.gpr[GPR_RAX] = r->eax;
	v->hv.gpr[GPR_RBX] = r->ebx;
	v->hv.gpr[GPR_RCX] = r->ecx;
	v->hv.gpr[GPR_RDX] = r->edx;
}

/* Leaves that show a vCPU's own state. */
static __cold __noinline void cpuid_dynamic(struct vcpu *v)
{
	struct cpuid_dynamic d = {
		.cr4 = hv->get_cr(&v->hv, 4),
		.xcr0 = v->vm->model.xcr0 ? xgetbv(0) : 0, /* the guest's is loaded */
		.apic_id = v->id,
		.n_vcpus = v->vm->n_vcpus,
		.apic_on = vlapic_base_read(v->lapic) & APIC_BASE_EN,
	};
	struct cpuid_regs r = cpu_model_cpuid(&v->vm->model, (uint32_t)v->hv.gpr[GPR_RAX],
					      (uint32_t)v->hv.gpr[GPR_RCX], &d);

	cpuid_answer(v, &r);
}

static __noinline enum run_outcome handle_cpuid(struct vcpu *v, const struct vm_exit *exit)
{
	struct exit_record *e = record(v, EXIT_CPUID);
	const struct cpuid_regs *fixed;

	e->number = (uint32_t)v->hv.gpr[GPR_RAX];
	e->value = v->hv.gpr[GPR_RCX];
	exit_ring_commit(&v->ring);
	if (!skip(v, exit, INSN_CPUID))
		return RUN_CONTINUE;
	fixed = cpu_model_fixed(&v->vm->model, (uint32_t)v->hv.gpr[GPR_RAX]);
	if (likely(fixed))
		cpuid_answer(v, fixed);
	else
		cpuid_dynamic(v);
	return RUN_CONTINUE;
}

/* A fault leaves RIP before the instruction, which was moved over already. */
static __cold __noinline void refuse_msr(struct vcpu *v)
{
	v->hv.rip = exit_ring_last(&v->ring)->rip;
	inject_gp(v);
}

/* A read may have found a timer's end, or an error: the APIC posts to itself. */
static inline void look_if_posted(struct vcpu *v)
{
	if (unlikely(v->lapic->posted))
		v->look = true;
}

static __noinline enum run_outcome handle_rdmsr(struct vcpu *v, const struct vm_exit *exit)
{
	struct exit_record *e = record(v, EXIT_MSR);
	uint32_t msr = (uint32_t)v->hv.gpr[GPR_RCX];
	uint64_t value;

	e->number = msr;
	e->flags = 0;
	exit_ring_commit(&v->ring);
	if (!skip(v, exit, INSN_RDMSR))
		return RUN_CONTINUE;
	if (likely(msr == MSR_TSC_ADJUST)) { /* which Linux reads time and again */
		value = v->tsc_adjust;
	} else {
		if (unlikely(!vcpu_rdmsr(v, msr, &value))) {
			refuse_msr(v);
			return RUN_CONTINUE;
		}
		look_if_posted(v);
	}
	v->hv.gpr[GPR_RAX] = (uint32_t)value;
	v->hv.gpr[GPR_RDX] = value >> 32;
	return RUN_CONTINUE;
}

/* The two writes of which an x2APIC guest's interrupts are full. False: it is another one. */
static inline bool write_x2apic(struct vcpu *v, uint32_t msr, uint64_t value)
{
	struct vlapic *l = v->lapic;

	if (msr == MSR_X2APIC_EOI && !value && vlapic_is_x2apic(l)) {
		vlapic_eoi(l);
		if (vlapic_has_waiting(l))
			v->look = true;
		return true;
	}
	if (msr == MSR_X2APIC_SELF_IPI && value <= UINT8_MAX && vlapic_is_x2apic(l)) {
		vlapic_self_ipi(l, (uint8_t)value);
		v->look = true;
		return true;
	}
	return false;
}

static __noinline enum run_outcome handle_wrmsr(struct vcpu *v, const struct vm_exit *exit)
{
	struct exit_record *e = record(v, EXIT_MSR);
	uint64_t *gpr = v->hv.gpr;
	uint64_t value = (uint32_t)gpr[GPR_RAX] | gpr[GPR_RDX] << 32;

	e->number = (uint32_t)gpr[GPR_RCX];
	e->flags = EXIT_MSR_WRITE;
	e->value = value;
	exit_ring_commit(&v->ring);
	if (!skip(v, exit, INSN_WRMSR))
		return RUN_CONTINUE;
	if (write_x2apic(v, (uint32_t)gpr[GPR_RCX], value))
		return RUN_CONTINUE;
	v->look = true; /* it may concern the APIC */
	if (likely(vcpu_wrmsr(v, (uint32_t)gpr[GPR_RCX], value)))
		vcpu_update_timer(v);
	else
		refuse_msr(v);
	return RUN_CONTINUE;
}

/* ---- ports and device memory ---- */

/* After an access: a device may want to be called at another time now. */
static inline void after_io(struct vcpu *v, const struct machine *m)
{
	if (unlikely(m->deadline != v->machine_deadline)) {
		v->machine_deadline = m->deadline;
		vcpu_update_timer(v);
	}
}

/* After an access to the serial port the guest may have made room for typed bytes that wait. */
static void after_uart(struct vcpu *v)
{
	uint8_t byte;

	if (serial_peek(&v->vm->serial, &byte))
		__atomic_fetch_or(&v->requests, REQ_SERIAL, __ATOMIC_RELAXED);
}

static inline bool is_uart(uint16_t port)
{
	return (port & ~7u) == BOARD_COM1_PORT;
}

static inline uint32_t bus_read(struct vcpu *v, uint16_t port, unsigned size)
{
	struct machine *m = &v->vm->machine;
	uint32_t value;

	spin_lock(&m->lock, LOCK_MACHINE);
	value = machine_io_read(m, port, size);
	spin_unlock(&m->lock, LOCK_MACHINE);
	after_io(v, m);
	return value;
}

static inline void bus_write(struct vcpu *v, uint16_t port, unsigned size, uint32_t value)
{
	struct machine *m = &v->vm->machine;

	spin_lock(&m->lock, LOCK_MACHINE);
	machine_io_write(m, port, size, value);
	spin_unlock(&m->lock, LOCK_MACHINE);
	after_io(v, m);
}

static uint32_t io_read(void *ctx, uint16_t port, unsigned size)
{
	uint32_t value = bus_read(ctx, port, size);

	if (is_uart(port))
		after_uart(ctx);
	return value;
}

static void io_write(void *ctx, uint16_t port, unsigned size, uint32_t value)
{
	bus_write(ctx, port, size, value);
	if (is_uart(port))
		after_uart(ctx);
}

static uint64_t mmio_read(void *ctx, struct gpa gpa, unsigned size)
{
	struct vcpu *v = ctx;
	struct machine *m = &v->vm->machine;
	uint64_t offset = gpa.v - vlapic_base_gpa(v->lapic);
	uint64_t value;

	if (offset < VLAPIC_SIZE && vlapic_is_xapic(v->lapic)) {
		value = vlapic_mmio_read(v->lapic, (unsigned)offset, size);
		look_if_posted(v);
		return value;
	}
	spin_lock(&m->lock, LOCK_MACHINE);
	value = machine_mmio_read(m, gpa.v, size);
	spin_unlock(&m->lock, LOCK_MACHINE);
	after_io(v, m);
	return value;
}

static void mmio_write(void *ctx, struct gpa gpa, unsigned size, uint64_t value)
{
	struct vcpu *v = ctx;
	struct machine *m = &v->vm->machine;
	uint64_t offset = gpa.v - vlapic_base_gpa(v->lapic);

	if (offset < VLAPIC_SIZE && vlapic_is_xapic(v->lapic)) {
		vlapic_mmio_write(v->lapic, (unsigned)offset, size, (uint32_t)value);
		v->hv.cr8 = vlapic_cr8(v->lapic);
		/* one that only the task priority holds back wants its window */
		if (unlikely(vlapic_has_waiting(v->lapic) || v->pic_int))
			v->look = true;
		if (unlikely(v->lapic->deadline != v->lapic_deadline)) {
			v->lapic_deadline = v->lapic->deadline;
			vcpu_update_timer(v);
		}
		return;
	}
	spin_lock(&m->lock, LOCK_MACHINE);
	machine_mmio_write(m, gpa.v, size, value);
	spin_unlock(&m->lock, LOCK_MACHINE);
	after_io(v, m);
}

static void segment(void *ctx, enum segment_index s, struct segment_state *out)
{
	struct vcpu *v = ctx;

	hv->get_segment(&v->hv, s, out);
}

void vcpu_init_emulation(struct vcpu *v)
{
	v->emul_host = (struct emul_host){
		.ctx = v,
		.segment = segment,
		.mmio_read = mmio_read,
		.mmio_write = mmio_write,
		.io_read = io_read,
		.io_write = io_write,
	};
	v->emul = (struct emul){
		.mem = &v->vm->mem,
		.host = &v->emul_host,
		.cache = v->emul_cache,
		.gpr = v->hv.gpr,
		.rip = &v->hv.rip,
		.rflags = &v->hv.rflags,
	};
}

static __noinline void not_emulated(struct vcpu *v)
{
	const uint8_t *b = v->emul.bytes;

	vm_end(v->vm, VM_END_CRASH, 0,
	       "it accessed device memory by an instruction that is not emulated: %02x %02x %02x "
	       "%02x "
	       "%02x %02x %02x %02x at RIP 0x%llx",
	       b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], (unsigned long long)v->hv.rip);
}

/* The keys of PKRU are looked at only where the guest has switched them on. */
static __cold __noinline enum emul_result emulate_with_keys(struct vcpu *v,
							    const struct code_context *code)
{
	struct code_context keyed = *code;

	keyed.pkru = fpu_guest_pkru();
	v->emul.ctx = &keyed;
	return emulate(&v->emul);
}

static void emulate_instruction(struct vcpu *v, const struct code_context *code,
				const struct emul_port *port)
{
	enum emul_result result;

	v->emul.ctx = code;
	v->emul.port = port;
	if (unlikely(code->cr4 & CR4_PKE))
		result = emulate_with_keys(v, code);
	else
		result = emulate(&v->emul);
	switch (result) {
	case EMUL_DONE:
		finish(v, 0);
		return;
	case EMUL_AGAIN: /* between two iterations of REP */
		v->hv.irq_blocked = false;
		if (unlikely(v->hv.rflags & RFLAGS_TF))
			single_step(v);
		return;
	case EMUL_RETRY:
		return;
	case EMUL_FAULT:
		v->hv.inject = v->emul.fault;
		return;
	case EMUL_UNSUPPORTED:
		not_emulated(v);
		return;
	}
}

static __noinline enum run_outcome handle_io(struct vcpu *v, const struct vm_exit *exit)
{
	struct exit_record *e = record(v, EXIT_IO);
	uint64_t *rax = &v->hv.gpr[GPR_RAX];

	e->io = exit->io;
	e->value = *rax;
	exit_ring_commit(&v->ring);
	if (unlikely(exit->io.flags & IO_STRING)) {
		struct emul_port port = {
			.port = exit->io.port, .size = exit->io.size, .in = exit->io.flags & IO_IN};
		struct code_context code;

		hv->get_code(&v->hv, &code);
		emulate_instruction(v, &code, &port);
		return RUN_CONTINUE;
	}
	if (!skip(v, exit, INSN_IO))
		return RUN_CONTINUE;
	if (exit->io.flags & IO_IN) {
		uint32_t value = unlikely(is_uart(exit->io.port))
					 ? io_read(v, exit->io.port, exit->io.size)
					 : bus_read(v, exit->io.port, exit->io.size);

		if (likely(exit->io.size == 1))
			*rax = (*rax & ~0xffull) | value;
		else if (exit->io.size == 2)
			*rax = (*rax & ~0xffffull) | value;
		else
			*rax = value; /* a 32-bit result clears the upper half */
	} else {
		/* the bus takes as many bytes as the access has */
		io_write(v, exit->io.port, exit->io.size,
			 (uint32_t)(*rax & (BIT(8 * exit->io.size) - 1)));
	}
	return RUN_CONTINUE;
}

static __noinline enum run_outcome handle_memory(struct vcpu *v, const struct vm_exit *exit)
{
	struct exit_record *e = record(v, EXIT_MEMORY);
	uint64_t gpa = exit->memory.gpa.v;

	e->flags = exit->memory.access | (exit->memory.delivery ? EXIT_MEMORY_DELIVERY : 0);
	e->value = gpa;
	exit_ring_commit(&v->ring);
	if (unlikely(gmem_ptr(&v->vm->mem, gpa, 1)) &&
	    !((exit->memory.access & ACCESS_WRITE) && gmem_is_rom(&v->vm->mem, gpa))) {
		/* All RAM is mapped with all rights, ROM for all but writing. One such fault may be
		 * a stale translation. */
		v->hv.flush_wanted = true;
		if (v->fault_gpa != gpa)
			v->fault_repeats = 0;
		v->fault_gpa = gpa;
		if (++v->fault_repeats > 2)
			vm_end(v->vm, VM_END_CRASH, 0,
			       "a second-level fault at 0x%llx, which is RAM or ROM, came again "
			       "and again",
			       (unsigned long long)gpa);
		return RUN_CONTINUE;
	}
	if (unlikely(exit->memory.access & ACCESS_EXEC)) {
		/* nothing there answers with all ones, and those bytes are no instruction */
		inject_ud(v);
		return RUN_CONTINUE;
	}
	if (unlikely(exit->memory.delivery)) {
		vm_end(v->vm, VM_END_CRASH, 0,
		       "it is to be interrupted by way of 0x%llx (stack, IDT, GDT or TSS), where "
		       "there "
		       "is no RAM",
		       (unsigned long long)gpa);
		return RUN_CONTINUE;
	}
	/* page tables where there is no RAM read as all ones, which a walk answers with a #PF */
	emulate_instruction(v, &exit->code, NULL);
	return RUN_CONTINUE;
}

static void handle_xsetbv(struct vcpu *v, const struct vm_exit *exit)
{
	uint64_t *gpr = v->hv.gpr;
	uint64_t value = (uint32_t)gpr[GPR_RAX] | gpr[GPR_RDX] << 32;
	struct code_context ctx;

	hv->get_code(&v->hv, &ctx);
	if (!(ctx.cr4 & CR4_OSXSAVE)) {
		inject_ud(v);
		return;
	}
	if (ctx.cpl || (uint32_t)gpr[GPR_RCX] != 0 || !fpu_xcr0_legal(value, v->vm->model.xcr0)) {
		inject_gp(v);
		return;
	}
	if (!skip(v, exit, INSN_XSETBV))
		return;
	xsetbv(0, value);
}

bool vcpu_pass_halt(struct vcpu *v)
{
	struct code_context code;
	uint8_t bytes[INSN_BUFFER];
	struct vcpu_event fault;

	hv->get_code(&v->hv, &code);
	if (code.cpl || (v->hv.rflags & (RFLAGS_TF | RFLAGS_RF)) ||
	    !insn_fetch(&v->vm->mem, &code, bytes, 1, &fault) || bytes[0] != OPCODE_HLT)
		return false;
	finish(v, 1);
	return true;
}

static enum run_outcome handle_halt(struct vcpu *v, const struct vm_exit *exit)
{
	if (!skip(v, exit, INSN_HLT))
		return RUN_CONTINUE;
	if (!(v->hv.rflags & RFLAGS_IF) && !v->nmi_pending && v->hv.inject.kind == EVENT_NONE) {
		/* no interrupt can wake it, and this one vCPU is the whole guest */
		vm_end(v->vm, VM_END_OFF, 0, "it halted with interrupts off");
		return RUN_CONTINUE;
	}
	v->halted = true;
	__atomic_fetch_or(&v->requests, REQ_HALTED, __ATOMIC_RELAXED);
	return RUN_CONTINUE; /* the loop looks for an event, and blocks when there is none */
}

/* No hypercall is offered: -KVM_ENOSYS, as Linux expects of an unknown number; #UD outside ring 0
 * is not called for, because the call reveals nothing. */
static __noinline enum run_outcome handle_hypercall(struct vcpu *v, const struct vm_exit *exit)
{
	record(v, EXIT_HYPERCALL)->value = v->hv.gpr[GPR_RAX];
	exit_ring_commit(&v->ring);
	if (exit->hypercall.vmmcall ? !skip(v, exit, INSN_VMMCALL) : !skip(v, exit, INSN_VMCALL))
		return RUN_CONTINUE;
	v->hv.gpr[GPR_RAX] = (uint64_t)-1000;
	return RUN_CONTINUE;
}

static void handle_cache(struct vcpu *v, const struct vm_exit *exit)
{
	/* The guest's memory is coherent whatever it does to its caches. */
	if (!skip(v, exit, INSN_WBINVD))
		(void)(v->hv.inject.kind == EVENT_NONE && skip(v, exit, INSN_INVD));
}

static void entry_failed(struct vcpu *v, const struct vm_exit *exit)
{
	struct reason why;

	hv->explain(&v->hv, &why);
	vm_end(v->vm, VM_END_CRASH, 0,
	       "the processor refused to enter it (code 0x%llx, 0x%llx, RIP 0x%llx): %s",
	       (unsigned long long)exit->raw_code, (unsigned long long)exit->raw_info1,
	       (unsigned long long)v->hv.rip, why.text);
}

static __noinline enum run_outcome handle_other(struct vcpu *v, const struct vm_exit *exit)
{
	unsigned length;

	record_other(v, exit);
	switch ((enum exit_kind)exit->kind) {
	case EXIT_WINDOW:
		v->look = true;
		return RUN_CONTINUE;
	case EXIT_HOST_EVENT:
	case EXIT_INIT:
		return RUN_CONTINUE;
	case EXIT_HALT:
		return handle_halt(v, exit);
	case EXIT_CONTROL_REG:
		if (vcpu_write_control_reg(v, exit, &length))
			finish(v, length);
		return RUN_CONTINUE;
	case EXIT_XSETBV:
		handle_xsetbv(v, exit);
		return RUN_CONTINUE;
	case EXIT_CACHE:
		handle_cache(v, exit);
		return RUN_CONTINUE;
	case EXIT_PAUSE:
		skip(v, exit, INSN_PAUSE);
		return RUN_PREEMPTED;
	case EXIT_MACHINE_CHECK:
		raise_machine_check();
		return RUN_CONTINUE;
	case EXIT_EXCEPTION: /* the guest's own: given back as it came */
		v->hv.inject = (struct vcpu_event){
			.kind = EVENT_EXCEPTION,
			.vector = exit->exception.vector,
			.has_error = exit->exception.has_error,
			.error = exit->exception.error,
			.payload = exit->exception.payload,
		};
		return RUN_CONTINUE;
	case EXIT_REFUSED:
		if (exit->refused.protection)
			inject_gp(v);
		else
			inject_ud(v);
		return RUN_CONTINUE;
	case EXIT_TASK_SWITCH:
		vcpu_task_switch(v, exit);
		return RUN_CONTINUE;
	case EXIT_SHUTDOWN:
		vm_end(v->vm, VM_END_CRASH, 0, "it ran into a triple fault at RIP 0x%llx",
		       (unsigned long long)v->hv.rip);
		return RUN_CONTINUE;
	case EXIT_ENTRY_FAILED:
		entry_failed(v, exit);
		return RUN_CONTINUE;
	case EXIT_NOTIFY:
	case EXIT_APIC_ACCESS:
	case EXIT_APIC_IPI:
	case EXIT_EOI:
	case EXIT_CPUID: /* these four and the hypercall are not sent here */
	case EXIT_MSR:
	case EXIT_IO:
	case EXIT_MEMORY:
	case EXIT_HYPERCALL:
	case EXIT_UNKNOWN:
	case EXIT_KIND_COUNT:
		break;
	}
	vm_end(v->vm, VM_END_CRASH, 0, "exit 0x%llx of the processor is not known (RIP 0x%llx)",
	       (unsigned long long)exit->raw_code, (unsigned long long)v->hv.rip);
	return RUN_CONTINUE;
}

/*
 * One exit. The frequent kinds first, by comparisons: no jump table and no search. Each handler is
 * a function of its own, so that none pays for the registers and canaries of another.
 */
enum run_outcome vcpu_handle_exit(struct vcpu *v, const struct vm_exit *exit)
{
	if (exit->kind == EXIT_IO)
		return handle_io(v, exit);
	if (exit->kind == EXIT_MSR)
		return exit->msr.write ? handle_wrmsr(v, exit) : handle_rdmsr(v, exit);
	if (exit->kind == EXIT_CPUID)
		return handle_cpuid(v, exit);
	if (exit->kind == EXIT_MEMORY)
		return handle_memory(v, exit);
	if (exit->kind == EXIT_HYPERCALL)
		return handle_hypercall(v, exit);
	return handle_other(v, exit);
}
