/*
 * GDT and TSS of each core. The GDT is only what 64-bit mode still asks for; the TSS says on which
 * stacks NMI, double fault and machine check run, so that they work whatever the main stack is
 * like.
 *
 * Owns the tables that percpu.gdt and percpu.tss point at; each is written by its own core, once.
 * Privileged.
 */
#include "arch/x86/traps.h"

#include "arch/x86/percpu.h"
#include "lib/log.h"
#include "mm/heap.h"

#define SELECTOR_DATA 0x10
#define SELECTOR_TSS  0x18

/* "Segment Descriptors" and "TSS Descriptor": present, accessed already (the processor never has to
 * write here), and for the TSS: available. */
#define DESCRIPTOR_CODE64 0x00af9b000000ffffull
#define DESCRIPTOR_DATA   0x00cf93000000ffffull
#define DESCRIPTOR_TSS    (0x89ull << 40)

/* "64-Bit Task State Segment" */
struct __packed tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7]; /* the table's first entry is number 1 */
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t iopb;
};

_Static_assert(sizeof(struct tss) == 104, "64-bit TSS");

struct cpu_tables {
	uint64_t gdt[5]; /* null, code, data, TSS (two entries) */
	struct tss tss;
};

struct __packed table_pointer {
	uint16_t limit;
	uint64_t base;
};

static void load(const struct cpu_tables *t)
{
	struct table_pointer gdtr = {sizeof(t->gdt) - 1, (uint64_t)t->gdt};

	/* FS and GS are null already, and loading them would change the base of GS. */
	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\n\t"
			 "mov %w2, %%ss\n\t"
			 "mov %w2, %%ds\n\t"
			 "mov %w2, %%es\n\t"
			 "ltr %w3"
			 :
			 : "m"(gdtr), "i"(SELECTOR_CODE), "r"(SELECTOR_DATA), "r"(SELECTOR_TSS)
			 : "rax", "memory");
}

void gdt_init_this_cpu(void)
{
	struct percpu *cpu = this_cpu();
	struct cpu_tables *t = heap_alloc(sizeof(*t));
	uint64_t base;

	if (!t)
		panic("no memory for the descriptor tables of CPU %u", cpu->index);
	base = (uint64_t)&t->tss;
	t->gdt[1] = DESCRIPTOR_CODE64;
	t->gdt[SELECTOR_DATA / 8] = DESCRIPTOR_DATA;
	t->gdt[SELECTOR_TSS / 8] = DESCRIPTOR_TSS | (sizeof(t->tss) - 1) | (base & 0xffffff) << 16 |
				   (base >> 24 & 0xff) << 56;
	t->gdt[SELECTOR_TSS / 8 + 1] = base >> 32;
	t->tss.iopb = sizeof(t->tss); /* no map: nothing runs in user mode */
	for (unsigned i = IST_NMI; i <= IST_MC; i++)
		t->tss.ist[i - 1] = cpu->stacks[i].top;
	cpu->gdt = t->gdt;
	cpu->tss = &t->tss;
	load(t);
}
