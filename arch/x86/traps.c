/*
 * GDT, TSS and IDT of each core, and the dispatcher that all vectors reach. Privileged.
 */
#include "arch/x86/traps.h"

#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/state.h"
#include "lib/log.h"
#include "mm/heap.h"

#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_TSS  0x18

#define GATE_INTERRUPT 0x8e00u
#define N_VECTORS      256u
#define STUB_SIZE      16u

/* Interrupt stack table entries */
enum {
	IST_NMI = 1,
	IST_DF = 2,
	IST_MC = 3,
};

struct __packed tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t iopb;
};

struct cpu_tables {
	uint64_t gdt[5]; /* null, code, data, TSS (two entries) */
	struct tss tss;
};

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

static void make_idt(void)
{
	for (unsigned i = 0; i < N_VECTORS; i++) {
		uint64_t at = (uint64_t)trap_stubs + i * STUB_SIZE;
		unsigned ist = i == VEC_NMI ? IST_NMI : i == VEC_DF ? IST_DF : i == VEC_MC ? IST_MC : 0;

		idt[i] = (struct idt_entry){
			.offset_0 = (uint16_t)at,
			.selector = SELECTOR_CODE,
			.attributes = (uint16_t)(GATE_INTERRUPT | ist),
			.offset_16 = (uint16_t)(at >> 16),
			.offset_32 = (uint32_t)(at >> 32),
		};
	}
}

static void load_tables(struct cpu_tables *t)
{
	struct table_pointer gdtr = {sizeof(t->gdt) - 1, (uint64_t)t->gdt};
	struct table_pointer idtr = {sizeof(idt) - 1, (uint64_t)idt};

	/* FS and GS keep their bases: their selectors are null already */
	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\n\t"
			 "mov %w2, %%ss\n\t"
			 "mov %w2, %%ds\n\t"
			 "mov %w2, %%es\n\t"
			 "ltr %w3\n\t"
			 "lidt %4"
			 :
			 : "m"(gdtr), "i"(SELECTOR_CODE), "r"(SELECTOR_DATA), "r"(SELECTOR_TSS),
			   "m"(idtr)
			 : "rax", "memory");
}

void traps_init_this_cpu(void)
{
	struct percpu *cpu = this_cpu();
	struct cpu_tables *t = heap_alloc(sizeof(*t));
	uint64_t base;

	if (!t)
		panic("no memory for the descriptor tables of CPU %u", cpu->index);
	if (cpu->index == 0)
		make_idt();
	base = (uint64_t)&t->tss;
	t->gdt[1] = 0x00af9b000000ffffull; /* 64-bit code */
	t->gdt[2] = 0x00cf93000000ffffull;
	t->gdt[3] = (sizeof(t->tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
		    (base >> 24 & 0xff) << 56;
	t->gdt[4] = base >> 32;
	t->tss.iopb = sizeof(t->tss);
	for (unsigned i = 1; i <= 3; i++)
		t->tss.ist[i - 1] = cpu->stacks[i].top;
	cpu->gdt = t->gdt;
	cpu->tss = &t->tss;
	load_tables(t);
}

void irq_register(uint8_t vector, irq_handler *handler, void *ctx)
{
	handlers[vector].ctx = ctx;
	__atomic_store_n(&handlers[vector].fn, handler, __ATOMIC_RELEASE);
}

/* Entries are pairs of offsets from their own places: of the instruction, and of where to go on. */
static bool fix_up(struct trap_frame *f)
{
	extern const int32_t ex_table_start[], ex_table_end[];

	for (const int32_t *e = ex_table_start; e < ex_table_end; e += 2) {
		if ((uint64_t)e + (uint64_t)(int64_t)e[0] == f->rip) {
			f->rip = (uint64_t)&e[1] + (uint64_t)(int64_t)e[1];
			return true;
		}
	}
	return false;
}

/* Another core wants this one to stop; else nobody sends NMIs, and one that the chipset raises for
 * a hardware error is said and survived. */
static void handle_nmi(void)
{
	if (cpu_should_stop())
		cpu_stop_here();
	log_error("CPU %u got an NMI that nobody sent: the hardware may report an error",
		  this_cpu()->index);
}

void trap_dispatch(struct trap_frame *f);

void trap_dispatch(struct trap_frame *f)
{
	irq_handler *fn;

	if (f->vector < 32) {
		if (f->vector == VEC_NMI)
			handle_nmi();
		else if (!fix_up(f))
			oops_exception(f);
		return;
	}
	fn = __atomic_load_n(&handlers[f->vector].fn, __ATOMIC_ACQUIRE);
	if (fn)
		fn(handlers[f->vector].ctx);
	else if (f->vector != VECTOR_SPURIOUS)
		log_warn("CPU %u got interrupt 0x%llx, which nobody handles", this_cpu()->index,
			 (unsigned long long)f->vector);
	if (f->vector != VECTOR_SPURIOUS)
		lapic_eoi();
}
