/*
 * The wires between a guest's devices, its local APICs, its clock and its console: the callbacks of
 * struct vdev_host and struct vlapic_host. They run on a core that serves one of the guest's vCPUs;
 * those of devices hold machine.lock.
 */
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "guests/vm.h"

static uint64_t wire_now(void *ctx)
{
	return vm_clock_ns(ctx);
}

static void wire_line(void *ctx, unsigned line, bool level)
{
	struct vm *vm = ctx;

	machine_line(&vm->machine, line, level);
}

/* Puts an interrupt of a delivery mode to one vCPU. */
static void deliver(struct vcpu *v, unsigned mode, uint8_t vector, bool level)
{
	switch (mode) {
	case APIC_FIXED:
	case APIC_LOWEST:
		if (vlapic_post(v->lapic, vector, level))
			vcpu_request(v, REQ_INTERRUPT);
		return;
	case APIC_NMI:
		vcpu_request(v, REQ_NMI);
		return;
	case APIC_EXTINT: /* the 8259s' output is looked at before each entry */
		vcpu_request(v, REQ_INTERRUPT);
		return;
	default:
		/* INIT and start-up concern the other processors of an SMP guest; SMI has no
		 * handler */
		return;
	}
}

static void deliver_matching(struct vm *vm, uint32_t dest, bool logical, bool x2apic, unsigned mode,
			     uint8_t vector, bool level)
{
	for (uint32_t i = 0; i < vm->n_vcpus; i++) {
		struct vcpu *v = vm->vcpus[i];

		if (!vlapic_matches(v->lapic, dest, logical, x2apic))
			continue;
		deliver(v, mode, vector, level);
		if (mode == APIC_LOWEST)
			return;
	}
}

static void wire_msi(void *ctx, uint64_t addr, uint32_t data)
{
	deliver_matching(ctx, (uint32_t)(addr >> MSI_ADDR_DEST_SHIFT & MSI_ADDR_DEST),
			 addr & MSI_ADDR_LOGICAL, false, data >> MSI_DATA_MODE_SHIFT & 7,
			 (uint8_t)data, data & MSI_DATA_LEVEL);
}

static void wire_pic_int(void *ctx, bool level)
{
	struct vm *vm = ctx;

	__atomic_store_n(&vm->vcpus[0]->pic_int, level, __ATOMIC_RELEASE);
	if (level)
		vcpu_request(vm->vcpus[0], REQ_INTERRUPT);
}

/* The console looks at the end of a line, and when much waits; otherwise its own tick is enough. */
static bool wire_serial_out(void *ctx, uint8_t byte)
{
	struct vm *vm = ctx;
	bool taken = serial_send(&vm->serial, byte);

	if (vm->serial.reader &&
	    (!taken || byte == '\n' || serial_unread(&vm->serial) >= SERIAL_OUT_SIZE / 2))
		cpu_request(percpus[0], CORE_CONSOLE);
	return taken;
}

static void wire_power(void *ctx, enum vdev_power what, uint32_t value)
{
	struct vm *vm = ctx;

	switch (what) {
	case VDEV_POWER_OFF:
		vm_end(vm, VM_END_OFF, 0, "it powered itself off");
		return;
	case VDEV_POWER_RESET:
		vm_end(vm, VM_END_RESET, 0, "it reset itself");
		return;
	case VDEV_POWER_EXIT:
		vm_end(vm, VM_END_EXIT, value, "it ended with status %u", value);
		return;
	}
}

static int wire_read_memory(void *ctx, uint64_t gpa, void *buf, uint64_t len)
{
	struct vm *vm = ctx;

	return gmem_read(&vm->mem, gpa, buf, len);
}

static int wire_write_memory(void *ctx, uint64_t gpa, const void *buf, uint64_t len)
{
	struct vm *vm = ctx;

	return gmem_write(&vm->mem, gpa, buf, len);
}

static uint64_t wire_tsc(void *ctx)
{
	struct vcpu *v = ctx;

	return rdtsc() + v->hv.tsc_offset;
}

static uint64_t wire_vcpu_now(void *ctx)
{
	struct vcpu *v = ctx;

	return vm_clock_ns(v->vm);
}

static uint64_t wire_tsc_to_ns(void *ctx, uint64_t guest_tsc)
{
	struct vcpu *v = ctx;

	return tsc_to_ns(guest_tsc - v->tsc_adjust);
}

static void wire_ipi(void *ctx, uint32_t icr, uint32_t dest)
{
	struct vcpu *self = ctx;
	struct vm *vm = self->vm;
	unsigned mode = (icr & ICR_MODE) >> ICR_MODE_SHIFT;
	unsigned shorthand = icr >> ICR_SHORT_SHIFT & 3;
	uint8_t vector = icr & ICR_VECTOR;

	if (shorthand == APIC_SHORT_NONE) {
		deliver_matching(vm, dest, icr & ICR_LOGICAL, vlapic_is_x2apic(self->lapic), mode,
				 vector, false);
		return;
	}
	for (uint32_t i = 0; i < vm->n_vcpus; i++) {
		bool is_self = vm->vcpus[i] == self;

		if (shorthand == APIC_SHORT_ALL || is_self == (shorthand == APIC_SHORT_SELF))
			deliver(vm->vcpus[i], mode, vector, false);
	}
}

static void wire_eoi(void *ctx, uint8_t vector)
{
	struct vcpu *v = ctx;
	struct machine *m = &v->vm->machine;

	spin_lock(&m->lock, LOCK_MACHINE);
	vioapic_eoi(&m->ioapic, vector);
	spin_unlock(&m->lock, LOCK_MACHINE);
}

void vm_wire(struct vm *vm)
{
	vm->vdev_host = (struct vdev_host){
		.ctx = vm,
		.now = wire_now,
		.line = wire_line,
		.msi = wire_msi,
		.pic_int = wire_pic_int,
		.serial_out = wire_serial_out,
		.read_memory = wire_read_memory,
		.write_memory = wire_write_memory,
		.power = wire_power,
	};
}

void vcpu_wire(struct vcpu *v)
{
	v->lapic_host = (struct vlapic_host){
		.ctx = v,
		.now = wire_vcpu_now,
		.tsc = wire_tsc,
		.tsc_to_ns = wire_tsc_to_ns,
		.ipi = wire_ipi,
		.eoi = wire_eoi,
	};
}
