/*
 * The parts of a fault report that look at the machine. Nothing here trusts what it reads: memory
 * is read by read_safe, MSRs by rdmsr_safe. Privileged.
 */
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/oops.h"
#include "arch/x86/state.h"
#include "lib/format.h"
#include "mm/hostmap.h"

#define MSR_EFER           0xc0000080u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u

#define CODE_BEFORE 16u
#define CODE_BYTES  32u
#define NAME_MAX    96u

#define PTE_PRESENT BIT(0)
#define PTE_LARGE   BIT(7)
#define PTE_ADDRESS 0x000ffffffffff000ull
#define TOP_LEVEL   3u

typedef unsigned long long ull;

struct __packed table_pointer {
	uint16_t limit;
	uint64_t base;
};

static const char *name_of(uint64_t addr, char *name)
{
	return symbol_name(skerry_symbols_start, addr, name, NAME_MAX);
}

/* ---- stacks ---- */

/* The stack of this core that holds `sp`, or NULL. */
static const struct cpu_stack *stack_of(uint64_t sp)
{
	const struct percpu *cpu = this_cpu();

	for (unsigned i = 0; i < ARRAY_SIZE(cpu->stacks); i++) {
		if (sp >= cpu->stacks[i].bottom && sp < cpu->stacks[i].top)
			return &cpu->stacks[i];
	}
	return NULL;
}

/* A stray pointer may hit another stack's guard page, too: that is no overflow. */
const struct cpu_stack *stack_overrun(uint64_t va, uint64_t sp)
{
	const struct cpu_stack *s = stack_of(ALIGN_DOWN(va, PAGE_SIZE) + PAGE_SIZE);

	return s && va < s->bottom && sp >= s->bottom - PAGE_SIZE && sp < s->top ? s : NULL;
}

static bool on_stack(uint64_t sp)
{
	extern uint8_t boot_stack[], boot_stack_top[];

	return stack_of(sp) || (sp >= (uint64_t)boot_stack && sp < (uint64_t)boot_stack_top);
}

/* ---- where and when ---- */

void report_where(oops_line *line, const struct oops_surroundings *s, const struct vcpu *v)
{
	uint64_t us = uptime_ns() / NS_PER_US;
	char guest[160] = "";

	line("CPU %u of %u (APIC ID %u), uptime %llu.%06llu s", this_cpu()->index, n_cpus,
	     this_cpu()->apic_id, (ull)(us / 1000000), (ull)(us % 1000000));
	if (s->version)
		line("Skerry %s, build %s, %s", s->version, s->build, s->compiler);
	line("machine: %s; %s", s->machine && *s->machine ? s->machine : "no name in SMBIOS",
	     this_cpu()->features.brand);
	if (v && s->guest)
		s->guest(v, guest, sizeof(guest));
	line("running: %s", *guest ? guest : "no guest");
}

/* ---- page walk ---- */

void report_page_walk(oops_line *line, uint64_t va)
{
	uint64_t table = read_cr3() & PTE_ADDRESS;
	char text[128];

	line("page walk of %016llx, from cr3 %016llx:", (ull)va, (ull)read_cr3());
	for (unsigned level = TOP_LEVEL;; level--) {
		unsigned index = (unsigned)(va >> (PAGE_SHIFT + 9 * level)) & 511;
		const uint64_t *at = phys_to_virt(HPA(table + index * 8));
		uint64_t entry;

		if (!copy_safe(&entry, at, sizeof(entry))) {
			line("  the table at %016llx cannot be read", (ull)table);
			return;
		}
		line("  %s", walk_words(level, va, entry, text, sizeof(text)));
		if (!(entry & PTE_PRESENT) || level == 0 ||
		    (level < TOP_LEVEL && (entry & PTE_LARGE)))
			return;
		table = entry & PTE_ADDRESS;
	}
}

/* ---- registers ---- */

void report_registers(oops_line *line, const struct trap_frame *f)
{
	line("rax %016llx  rcx %016llx  rdx %016llx  rbx %016llx", (ull)f->rax, (ull)f->rcx,
	     (ull)f->rdx, (ull)f->rbx);
	line("rsp %016llx  rbp %016llx  rsi %016llx  rdi %016llx", (ull)f->rsp, (ull)f->rbp,
	     (ull)f->rsi, (ull)f->rdi);
	line("r8  %016llx  r9  %016llx  r10 %016llx  r11 %016llx", (ull)f->r8, (ull)f->r9,
	     (ull)f->r10, (ull)f->r11);
	line("r12 %016llx  r13 %016llx  r14 %016llx  r15 %016llx", (ull)f->r12, (ull)f->r13,
	     (ull)f->r14, (ull)f->r15);
	line("rip %016llx  rflags %08llx  cs %04llx  ss %04llx", (ull)f->rip, (ull)f->rflags,
	     (ull)f->cs & 0xffff, (ull)f->ss & 0xffff);
}

#define SELECTOR_OF(name)                                         \
	({                                                        \
		uint16_t selector_;                               \
		__asm__("mov %%" #name ", %0" : "=r"(selector_)); \
		selector_;                                        \
	})

static uint64_t msr(uint32_t number)
{
	uint64_t v = 0;

	return rdmsr_safe(number, &v) ? v : 0;
}

void report_system_registers(oops_line *line, uint64_t cr2)
{
	struct table_pointer gdtr, idtr;
	uint16_t tr, ldtr;

	__asm__ volatile("sgdt %0; sidt %1" : "=m"(gdtr), "=m"(idtr));
	__asm__ volatile("str %0; sldt %1" : "=r"(tr), "=r"(ldtr));
	line("cr0 %08llx  cr2 %016llx  cr3 %016llx  cr4 %08llx  efer %04llx", (ull)read_cr0(),
	     (ull)cr2, (ull)read_cr3(), (ull)read_cr4(), (ull)msr(MSR_EFER));
	line("dr0 %016llx  dr1 %016llx  dr2 %016llx  dr3 %016llx", (ull)read_dr0(), (ull)read_dr1(),
	     (ull)read_dr2(), (ull)read_dr3());
	line("dr6 %08llx  dr7 %08llx  ds %04x  es %04x  fs %04x  gs %04x  tr %04x  ldtr %04x",
	     (ull)read_dr6(), (ull)read_dr7(), SELECTOR_OF(ds), SELECTOR_OF(es), SELECTOR_OF(fs),
	     SELECTOR_OF(gs), tr, ldtr);
	line("fs base %016llx  gs base %016llx  kernel gs base %016llx", (ull)msr(MSR_FS_BASE),
	     (ull)msr(MSR_GS_BASE), (ull)msr(MSR_KERNEL_GS_BASE));
	line("gdtr %016llx limit %04x  idtr %016llx limit %04x", (ull)gdtr.base, gdtr.limit,
	     (ull)idtr.base, idtr.limit);
}

/* "Machine-Check Architecture": what the banks say. */
#define MSR_MCG_CAP    0x179u
#define MSR_MCG_STATUS 0x17au
#define MSR_MC0_CTL    0x400u
#define MC_VALID       BIT(63)
#define MC_HAS_MISC    BIT(59)
#define MC_HAS_ADDRESS BIT(58)

void report_machine_check(oops_line *line)
{
	uint64_t cap, status, banks, bank;
	bool any = false;

	if (!rdmsr_safe(MSR_MCG_CAP, &cap) || !rdmsr_safe(MSR_MCG_STATUS, &status))
		return;
	banks = MIN(cap & 0xff, 32ull);
	line("machine check: global status %016llx, %llu banks", (ull)status, (ull)banks);
	for (uint64_t i = 0; i < banks; i++) {
		uint32_t base = (uint32_t)(MSR_MC0_CTL + 4 * i);

		if (!rdmsr_safe(base + 1, &bank) || !(bank & MC_VALID))
			continue;
		line("  bank %llu: status %016llx, address %016llx, misc %016llx", (ull)i,
		     (ull)bank, (ull)(bank & MC_HAS_ADDRESS ? msr(base + 2) : 0),
		     (ull)(bank & MC_HAS_MISC ? msr(base + 3) : 0));
		any = true;
	}
	if (!any)
		line("  no bank has an error");
}

/* ---- code ---- */

void report_code(oops_line *line, uint64_t rip)
{
	char text[CODE_BYTES * 3 + 3];
	int16_t bytes[CODE_BYTES];

	for (unsigned i = 0; i < CODE_BYTES; i++) {
		uint8_t byte;
		bool there = read_safe((const void *)(rip - CODE_BEFORE + i), &byte);

		bytes[i] = there ? byte : -1;
	}
	line("code: %s", code_words(bytes, CODE_BYTES, CODE_BEFORE, text, sizeof(text)));
}

/* ---- call trace ---- */

static bool read_word(void *ctx, uint64_t va, uint64_t *value)
{
	(void)ctx;
	return on_stack(va) && on_stack(va + 7) && copy_safe(value, (const void *)va, 8);
}

#define CALL_REL32 0xe8u

/* Calls through a register go by a thunk, so all of them are CALL with a distance. */
static bool follows_call(void *ctx, uint64_t addr)
{
	extern const uint8_t image_start[], image_text_end[];
	uint8_t byte;

	(void)ctx;
	return addr >= (uint64_t)image_start + 5 && addr < (uint64_t)image_text_end &&
	       read_safe((const void *)(addr - 5), &byte) && byte == CALL_REL32;
}

static void frame_line(void *ctx, uint64_t addr, bool guessed)
{
	oops_line *line = *(oops_line **)ctx;
	char name[NAME_MAX];

	line("  %s%s", guessed ? "? " : "",
	     symbol_name_of_return(skerry_symbols_start, addr, name, sizeof(name)));
}

void report_trace(oops_line *line, const struct trap_frame *f)
{
	struct trace_view view = {
		.ctx = &line, .read = read_word, .returns = follows_call, .frame = frame_line};
	char name[NAME_MAX];

	line("call trace (? is a guess):");
	line("  %s", name_of(f->rip, name));
	trace_walk(&view, f->rsp, f->rbp);
}

/* ---- the other cores ---- */

void report_other_cpus(oops_line *line, const struct oops_surroundings *s)
{
	for (uint32_t i = 0; i < n_cpus; i++) {
		const struct percpu *cpu = percpus[i];
		const struct trap_frame *f;
		char name[NAME_MAX], guest[160] = "no guest";

		if (!cpu || cpu == this_cpu())
			continue;
		f = __atomic_load_n(&cpu->stopped_at, __ATOMIC_ACQUIRE);
		if (!f) {
			line("CPU %u: did not stop", i);
			continue;
		}
		if (cpu->vcpu && s->guest)
			s->guest(cpu->vcpu, guest, sizeof(guest));
		line("CPU %u: stopped at %s, %s", i, name_of(f->rip, name), guest);
	}
}
