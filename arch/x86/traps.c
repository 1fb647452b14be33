/*
 * The IDT, which all cores share, and the dispatcher that all vectors reach.
 *
 * Owns the table of interrupt handlers: written at boot, a handler's function last; read without a
 * lock. Privileged.
 */
#include "arch/x86/traps.h"

#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/sample.h"
#include "arch/x86/state.h"
#include "lib/log.h"

#define GATE_INTERRUPT 0x8e00u /* present, 64-bit interrupt gate: interrupts are off behind it */
#define N_VECTORS      256u
#define N_EXCEPTIONS   32u
#define STUB_SIZE      16u

struct idt_entry {
	uint16_t offset_0, selector, attributes, offset_16;
	uint32_t offset_32, reserved;
};

struct __packed table_pointer {
	uint16_t limit;
	uint64_t base;
};

extern uint8_t trap_stubs[];

static struct idt_entry idt[N_VECTORS];
static struct {
	irq_handler *fn;
	void *ctx;
} handlers[N_VECTORS];

static void set_gate(unsigned vector, unsigned ist)
{
	uint64_t at = (uint64_t)trap_stubs + vector * STUB_SIZE;

	idt[vector] = (struct idt_entry){
		.offset_0 = (uint16_t)at,
		.selector = SELECTOR_CODE,
		.attributes = (uint16_t)(GATE_INTERRUPT | ist),
		.offset_16 = (uint16_t)(at >> 16),
		.offset_32 = (uint32_t)(at >> 32),
	};
}

static void load_idt(void)
{
	struct table_pointer idtr = {sizeof(idt) - 1, (uint64_t)idt};

	__asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
}

void traps_init_early(void)
{
	for (unsigned i = 0; i < N_VECTORS; i++)
		set_gate(i, 0);
	load_idt();
}

/*
 * Machine checks become exceptions (without this one just resets the machine), and nothing that
 * user mode can reach is executed or read, for nothing here is meant to be its. The other cores get
 * CR4 from the boot CPU soon after this.
 */
static void protect(void)
{
	const struct cpu_features *f = &this_cpu()->features;
	uint64_t cr4 = read_cr4() | CR4_MCE;

	if (f->smep)
		cr4 |= CR4_SMEP;
	if (f->smap)
		cr4 |= CR4_SMAP;
	if (f->umip)
		cr4 |= CR4_UMIP;
	write_cr4(cr4);
}

void traps_init_this_cpu(void)
{
	gdt_init_this_cpu();
	if (this_cpu()->index == 0) {
		set_gate(VEC_NMI, IST_NMI);
		set_gate(VEC_DF, IST_DF);
		set_gate(VEC_MC, IST_MC);
	}
	load_idt();
	protect();
}

void irq_register(uint8_t vector, irq_handler *handler, void *ctx)
{
	handlers[vector].ctx = ctx;
	__atomic_store_n(&handlers[vector].fn, handler, __ATOMIC_RELEASE);
}

/* Goes on elsewhere if the instruction is one of which this was expected. */
static bool fix_up(struct trap_frame *f)
{
	extern const struct extable_entry ex_table_start[], ex_table_end[];
	uint64_t to = extable_find(ex_table_start, ex_table_end, f->vector, f->rip);

	if (to)
		f->rip = to;
	return to;
}

bool read_safe(const void *p, uint8_t *byte)
{
	uint64_t cr2 = read_cr2();
	bool ok = read_byte_or_fault(p, byte);

	if (!ok)
		write_cr2(cr2);
	return ok;
}

bool copy_safe(void *dst, const void *src, size_t n)
{
	uint8_t *to = dst;

	for (size_t i = 0; i < n; i++)
		if (!read_safe((const uint8_t *)src + i, &to[i]))
			return false;
	return true;
}

/* Another core wants this one to stop; else nobody sends NMIs, and one that the chip set raises for
 * a hardware error is said and survived. */
static void handle_nmi(const struct trap_frame *f)
{
	if (cpu_should_stop())
		cpu_stop_here(f);
	if (sample_by_nmi(f))
		return;
	log_error("CPU %u got an NMI that nobody sent: the hardware may report an error",
		  this_cpu()->index);
}

static void handle_interrupt(uint8_t vector)
{
	irq_handler *fn = __atomic_load_n(&handlers[vector].fn, __ATOMIC_ACQUIRE);
#ifdef SKERRY_DEBUG
	struct percpu *cpu = this_cpu();
	uint32_t held = cpu->locks_held;

	cpu->locks_held = 0; /* of what was interrupted */
	cpu->in_interrupt = true;
#endif

	if (fn)
		fn(handlers[vector].ctx);
	else if (vector != VECTOR_SPURIOUS)
		log_warn("CPU %u got interrupt 0x%x, which nobody handles", this_cpu()->index,
			 vector);
	if (vector != VECTOR_SPURIOUS)
		lapic_eoi();
#ifdef SKERRY_DEBUG
	cpu->in_interrupt = false;
	cpu->locks_held = held;
#endif
}

void trap_dispatch(struct trap_frame *f)
{
	if (f->vector >= N_EXCEPTIONS)
		handle_interrupt((uint8_t)f->vector);
	else if (f->vector == VEC_NMI)
		handle_nmi(f);
	else if (!fix_up(f))
		oops_exception(f);
}
