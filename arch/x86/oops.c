/*
 * The report of a fault of the hypervisor itself, and panic. It goes to the console without any
 * lock and by polling, because anything may be broken, and to the log.
 *
 * Owns `reported`: written by the core that reports, after it has stopped the others. Privileged.
 */
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/state.h"
#include "arch/x86/traps.h"
#include "lib/format.h"
#include "lib/log.h"
#include "mm/hostmap.h"

#define MSR_GS_BASE 0xc0000101u
#define TRACE_DEPTH 24u
#define CODE_BEFORE 16u
#define CODE_BYTES  32u
#define NAME_MAX    96u

typedef unsigned long long ull;

static const struct trap_frame *reported; /* what the report is about; NULL: panic() */

static void line(const char *fmt, ...) __printf(1, 2);

static void line(const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	console_emergency(text);
	console_emergency("\n");
	if (this_cpu()->oops_depth == 1) /* else the log may be what is broken */
		log_error("%s", text);
}

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

/* The stack whose end the code with the stack pointer `sp` ran over when it touched `va`, or NULL.
 * A stray pointer may hit another stack's guard page, too: that is no overflow. */
static const struct cpu_stack *overflown(uint64_t va, uint64_t sp)
{
	const struct cpu_stack *s = stack_of(ALIGN_DOWN(va, PAGE_SIZE) + PAGE_SIZE);

	return s && va < s->bottom && sp >= s->bottom - PAGE_SIZE && sp < s->top ? s : NULL;
}

/* Can the 8 bytes at `sp` be read as part of a stack? */
static bool on_stack(uint64_t sp)
{
	extern uint8_t boot_stack[], boot_stack_top[];

	return IS_ALIGNED(sp, 8) &&
	       (stack_of(sp) || (sp >= (uint64_t)boot_stack && sp < (uint64_t)boot_stack_top));
}

static void trace_line(uint64_t addr)
{
	char name[NAME_MAX];

	line("  %s", symbol_name_of_return(skerry_symbols_start, addr, name, sizeof(name)));
}

/* Follows the frame pointers, outwards on each stack; from an interrupt's stack to the one that it
 * interrupted. */
static void trace_frames(uint64_t rbp)
{
	for (unsigned i = 0; i < TRACE_DEPTH && on_stack(rbp) && on_stack(rbp + 8); i++) {
		const uint64_t *frame = (const uint64_t *)rbp;

		if (!frame[1])
			break;
		trace_line(frame[1]);
		if (frame[0] <= rbp && stack_of(frame[0]) == stack_of(rbp))
			break;
		rbp = frame[0];
	}
}

/* ---- parts of the report ---- */

static void where_and_when(void)
{
	line("CPU %u, uptime %llu ms", this_cpu()->index, (ull)(uptime_ns() / NS_PER_MS));
}

static void registers(const struct trap_frame *f)
{
	line("rax %016llx  rcx %016llx  rdx %016llx  rbx %016llx", (ull)f->rax, (ull)f->rcx,
	     (ull)f->rdx, (ull)f->rbx);
	line("rsp %016llx  rbp %016llx  rsi %016llx  rdi %016llx", (ull)f->rsp, (ull)f->rbp,
	     (ull)f->rsi, (ull)f->rdi);
	line("r8  %016llx  r9  %016llx  r10 %016llx  r11 %016llx", (ull)f->r8, (ull)f->r9,
	     (ull)f->r10, (ull)f->r11);
	line("r12 %016llx  r13 %016llx  r14 %016llx  r15 %016llx", (ull)f->r12, (ull)f->r13,
	     (ull)f->r14, (ull)f->r15);
	line("rflags %08llx  cs %04llx  ss %04llx", (ull)f->rflags, (ull)f->cs, (ull)f->ss);
}

static void control_registers(uint64_t cr2)
{
	line("cr0 %08llx  cr2 %016llx  cr3 %016llx  cr4 %08llx", (ull)read_cr0(), (ull)cr2,
	     (ull)read_cr3(), (ull)read_cr4());
}

static void code_around(uint64_t rip)
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

static void page_walk(uint64_t va)
{
	char text[4 * 17 + 1] = "";
	uint64_t e[4];
	unsigned n = hostmap_walk(va, e);

	for (unsigned i = 0; i < n; i++)
		snprintf(text + i * 17, sizeof(text) - i * 17, " %016llx", (ull)e[i]);
	line("page walk:%s", text);
}

static void call_trace(const struct trap_frame *f, uint64_t cr2)
{
	char name[NAME_MAX];

	line("call trace:");
	line("  %s", name_of(f->rip, name));
	/* A jump to nowhere was most likely a call: who made it stands on the stack alone. */
	if (f->vector == VEC_PF && f->rip == cr2 && on_stack(f->rsp))
		trace_line(*(const uint64_t *)f->rsp);
	trace_frames(f->rbp);
}

static void headline(const struct trap_frame *f, uint64_t cr2)
{
	const struct cpu_stack *stack = NULL;

	if (f->vector == VEC_PF || f->vector == VEC_DF)
		stack = overflown(cr2, f->rsp);
	if (stack)
		line("BUG: overflow of the %s stack, at %016llx", stack->name, (ull)cr2);
	else if (f->vector == VEC_PF && cr2 < PAGE_SIZE)
		line("BUG: null pointer dereference, address %016llx", (ull)cr2);
	else if (f->vector == VEC_PF)
		line("BUG: page fault, address %016llx", (ull)cr2);
	else
		line("BUG: %s", trap_name(f->vector));
}

static void bare_facts(const struct trap_frame *f)
{
	char name[NAME_MAX];

	line("%s, error code 0x%llx, at %016llx %s", trap_name(f->vector), (ull)f->error,
	     (ull)f->rip, name_of(f->rip, name));
}

/* ---- the order of things ---- */

/* This core's area by what the processor says of itself. A core that is not in the table yet gets
 * the boot CPU's: that has to do. */
__attribute__((no_stack_protector)) static struct percpu *area_by_apic_id(void)
{
	struct cpuid_regs r = cpuid(1, 0);
	uint32_t id = r.ebx >> 24;

	if (percpus[0]->features.max_basic >= 0xb) {
		r = cpuid(0xb, 0);
		if (r.ebx)
			id = r.edx;
	}
	for (uint32_t i = 1; i < n_cpus; i++) {
		if (percpus[i]->features.apic_id == id)
			return percpus[i];
	}
	return percpus[0];
}

/* GS may be what broke. Without it nothing here works, the stack protector neither. Answers whether
 * it was right; `was` is what it was. */
__attribute__((no_stack_protector)) static bool mend_gs(uint64_t *was)
{
	uint64_t base = rdmsr(MSR_GS_BASE), self = 0;

	for (unsigned i = 0; i < 8; i++) {
		uint8_t byte = 0;

		read_safe((const uint8_t *)base + i, &byte);
		self |= (uint64_t)byte << 8 * i;
	}
	*was = base;
	if (base && self == base)
		return true;
	wrmsr(MSR_GS_BASE, (uint64_t)area_by_apic_id());
	return false;
}

static void halt(void) __noreturn;

static void halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" ::: "memory");
}

/*
 * Stops the other cores, for two that talk at once are not understood. Comes back only for the
 * first report; a fault in it ends it with what can still be said, and a fault in that halts.
 */
static void begin_report(const struct trap_frame *f, const char *text)
{
	uint64_t depth = this_cpu()->oops_depth++;

	if (depth > 1)
		halt();
	if (depth == 0) {
		cpus_stop();
		reported = f;
		return;
	}
	line("--- the report itself failed ---");
	if (f)
		bare_facts(f);
	else
		line("PANIC: %s", text);
	if (reported)
		bare_facts(reported);
	machine_exit(STATUS_PANIC);
}

static void end_report(void) __noreturn;

static void end_report(void)
{
	line("--- end of report ---");
	machine_exit(STATUS_PANIC);
}

static void report_exception(const struct trap_frame *f, uint64_t cr2,
			     const uint64_t *lost_gs) __noreturn;

static void report_exception(const struct trap_frame *f, uint64_t cr2, const uint64_t *lost_gs)
{
	char name[NAME_MAX], words[96];

	begin_report(f, NULL);
	headline(f, cr2);
	where_and_when();
	if (lost_gs)
		line("GS did not point at this CPU's area but to %016llx", (ull)*lost_gs);
	error_words(f->vector, f->error, words, sizeof(words));
	line("vector %llu (%s), error code 0x%llx%s%s", (ull)f->vector, trap_name(f->vector),
	     (ull)f->error, *words ? ": " : "", words);
	line("rip %016llx %s", (ull)f->rip, name_of(f->rip, name));
	registers(f);
	control_registers(cr2);
	code_around(f->rip);
	if (f->vector == VEC_PF && hostmap_root.v)
		page_walk(cr2);
	call_trace(f, cr2);
	end_report();
}

__attribute__((no_stack_protector)) void oops_exception(const struct trap_frame *f)
{
	uint64_t cr2 = read_cr2(), gs;

	irq_disable();
	report_exception(f, cr2, mend_gs(&gs) ? NULL : &gs);
}

void panic(const char *fmt, ...)
{
	char text[224];
	va_list ap;

	irq_disable();
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	begin_report(NULL, text);
	line("PANIC: %s", text);
	where_and_when();
	control_registers(read_cr2());
	line("call trace:");
	trace_frames((uint64_t)__builtin_frame_address(0));
	end_report();
}

/* The compilers call this when a function finds its stack canary changed. */
void __stack_chk_fail(void) __noreturn;

void __stack_chk_fail(void)
{
	panic("the stack canary of the calling function was overwritten");
}
