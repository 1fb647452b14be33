/*
 * The report of a fault of the hypervisor itself, and panic. Written to the console without any lock
 * and by polling, because anything may be broken. Privileged.
 */
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/state.h"
#include "arch/x86/traps.h"
#include "lib/format.h"
#include "lib/log.h"
#include "mm/hostmap.h"

#define TRACE_DEPTH  24u
#define CODE_BEFORE  16u
#define CODE_AFTER   16u

typedef unsigned long long ull;

static void line(const char *fmt, ...) __printf(1, 2);

static void line(const char *fmt, ...)
{
	char text[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text) - 2, fmt, ap);
	va_end(ap);
	n = n < 0 ? 0 : MIN(n, (int)sizeof(text) - 3);
	text[n] = '\n';
	text[n + 1] = 0;
	console_emergency(text);
}

/* The stack of this core that holds `sp`, or NULL; the guard page below counts with `guard`. */
static const struct cpu_stack *stack_of(uint64_t sp, bool guard)
{
	const struct percpu *cpu = this_cpu();

	for (unsigned i = 0; i < ARRAY_SIZE(cpu->stacks); i++) {
		const struct cpu_stack *s = &cpu->stacks[i];

		if (s->top && sp < s->top && sp >= s->bottom - (guard ? PAGE_SIZE : 0))
			return s;
	}
	return NULL;
}

static bool on_stack(uint64_t sp)
{
	extern uint8_t boot_stack[], boot_stack_top[];

	return stack_of(sp, false) || (sp >= (uint64_t)boot_stack && sp < (uint64_t)boot_stack_top);
}

static void call_trace(uint64_t rip, uint64_t rbp)
{
	char name[96];

	line("call trace:");
	line("  %s", symbolize(rip, name, sizeof(name)));
	for (unsigned i = 0; i < TRACE_DEPTH && on_stack(rbp) && IS_ALIGNED(rbp, 8); i++) {
		const uint64_t *frame = (const uint64_t *)rbp;

		if (!on_stack(rbp + 8) || !frame[1])
			break;
		line("  %s", symbolize(frame[1], name, sizeof(name)));
		if (frame[0] <= rbp)
			break;
		rbp = frame[0];
	}
}

static void registers(const struct trap_frame *f)
{
	char name[96];

	line("rip %016llx %s", (ull)f->rip, symbolize(f->rip, name, sizeof(name)));
	line("rax %016llx  rcx %016llx  rdx %016llx  rbx %016llx", (ull)f->rax, (ull)f->rcx,
	     (ull)f->rdx, (ull)f->rbx);
	line("rsp %016llx  rbp %016llx  rsi %016llx  rdi %016llx", (ull)f->rsp, (ull)f->rbp,
	     (ull)f->rsi, (ull)f->rdi);
	line("r8  %016llx  r9  %016llx  r10 %016llx  r11 %016llx", (ull)f->r8, (ull)f->r9,
	     (ull)f->r10, (ull)f->r11);
	line("r12 %016llx  r13 %016llx  r14 %016llx  r15 %016llx", (ull)f->r12, (ull)f->r13,
	     (ull)f->r14, (ull)f->r15);
	line("rflags %08llx  cs %04llx  ss %04llx  cr0 %08llx  cr2 %016llx  cr3 %016llx  cr4 %08llx",
	     (ull)f->rflags, (ull)f->cs, (ull)f->ss, (ull)read_cr0(), (ull)read_cr2(),
	     (ull)read_cr3(), (ull)read_cr4());
}

/* The bytes around RIP, the one at it in angle brackets. */
static void code_bytes(uint64_t rip)
{
	char text[(CODE_BEFORE + CODE_AFTER) * 4 + 8];
	size_t at = 0;

	for (uint64_t p = rip - CODE_BEFORE; p != rip + CODE_AFTER; p++) {
		uint8_t byte;
		int n;

		if (!read_safe((const void *)p, &byte))
			n = snprintf(text + at, sizeof(text) - at, "?? ");
		else
			n = snprintf(text + at, sizeof(text) - at, p == rip ? "<%02x> " : "%02x ",
				     byte);
		at += (size_t)n;
	}
	line("code: %s", text);
}

static void page_walk(uint64_t va)
{
	uint64_t e[4];
	unsigned n = hostmap_walk(va, e);
	char text[120];
	size_t at = 0;

	for (unsigned i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, " %016llx", (ull)e[i]);
	line("page walk:%s", text);
}

static void end_of_report(void) __noreturn;

static void end_of_report(void)
{
	line("--- end of report ---");
	machine_exit(STATUS_PANIC);
}

/* A second fault while reporting, or on a core whose per-CPU area is broken: only the bare facts. */
static void begin_report(const struct trap_frame *f)
{
	if (this_cpu()->oops_depth++ == 0)
		return;
	if (f && this_cpu()->oops_depth == 2)
		line("another fault while reporting: vector %llu, error 0x%llx, rip 0x%llx",
		     (ull)f->vector, (ull)f->error, (ull)f->rip);
	machine_exit(STATUS_PANIC);
}

void oops_exception(const struct trap_frame *f)
{
	const struct cpu_stack *overflow = NULL;
	uint64_t cr2 = read_cr2();
	char words[96];

	irq_disable();
	begin_report(f);
	if (f->vector == VEC_PF || f->vector == VEC_DF)
		overflow = stack_of(cr2, true);
	if (overflow && cr2 < overflow->bottom)
		line("BUG: stack overflow in the %s stack of CPU %u, address: %016llx",
		     overflow->name, this_cpu()->index, (ull)cr2);
	else if (f->vector == VEC_PF)
		line("BUG: %s, address: %016llx",
		     cr2 < PAGE_SIZE ? "NULL pointer dereference" : "page fault", (ull)cr2);
	else
		line("BUG: %s", trap_name(f->vector));
	line("vector %llu (%s), error code 0x%llx%s%s, CPU %u, uptime %llu ms", (ull)f->vector,
	     trap_name(f->vector), (ull)f->error, f->vector == VEC_PF ? ": " : "",
	     f->vector == VEC_PF ? page_fault_words(f->error, words, sizeof(words)) : "",
	     this_cpu()->index, (ull)(uptime_ns() / NS_PER_MS));
	registers(f);
	code_bytes(f->rip);
	if (f->vector == VEC_PF)
		page_walk(cr2);
	call_trace(f->rip, f->rbp);
	end_of_report();
}

void panic(const char *fmt, ...)
{
	char text[224];
	va_list ap;

	irq_disable();
	begin_report(NULL);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	line("PANIC: %s", text);
	line("CPU %u, uptime %llu ms", this_cpu()->index, (ull)(uptime_ns() / NS_PER_MS));
	call_trace((uint64_t)__builtin_return_address(0), (uint64_t)__builtin_frame_address(0));
	end_of_report();
}

/* The compilers call this when a function finds its stack canary changed. */
void __stack_chk_fail(void) __noreturn;

void __stack_chk_fail(void)
{
	panic("a stack canary was overwritten");
}
