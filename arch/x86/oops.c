/*
 * The report of a fault of the hypervisor itself, and panic: the order of things. It goes to the
 * console without any lock and by polling, because anything may be broken, and to the log.
 *
 * Owns `reported`: written by the core that reports, after it has stopped the others. Privileged.
 */
#include "arch/x86/oops.h"

#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/state.h"
#include "lib/format.h"
#include "lib/log.h"

#define MSR_GS_BASE 0xc0000101u
#define NAME_MAX    96u
#define INSN_MAX    15u

typedef unsigned long long ull;

static const struct trap_frame *reported; /* what the report is about; NULL: panic() */
static uint32_t oopses;                   /* so far; atomic */
static struct oops_surroundings around;

void oops_set_surroundings(const struct oops_surroundings *s)
{
	around = *s;
}

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

/* For a report that the hypervisor survives: the console prints it from the log. */
static void log_line(const char *fmt, ...) __printf(1, 2);

static void log_line(const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_error("%s", text);
}

/* ---- the marks around a report ---- */

struct oops_id {
	uint32_t number;
	uint64_t id; /* so that a report is found and cut out among others */
};

static struct oops_id begin_mark(oops_line *out)
{
	struct oops_id o = {.number = __atomic_add_fetch(&oopses, 1, __ATOMIC_RELAXED)};

	o.id = (rdtsc() + o.number) * 0x9e3779b97f4a7c15ull;
	out("--- oops %u, report %016llx begins ---", o.number, (ull)o.id);
	return o;
}

static void end_mark(oops_line *out, struct oops_id o)
{
	out("--- oops %u, end of report %016llx ---", o.number, (ull)o.id);
}

/* ---- the first line ---- */

static void headline(const struct trap_frame *f, uint64_t cr2)
{
	struct fault fault = {.vector = f->vector, .error = f->error, .rip = f->rip, .cr2 = cr2};
	const struct cpu_stack *stack = NULL;
	uint8_t code[INSN_MAX];
	char text[160];
	size_t n = 0;

	if (f->vector == VEC_PF || f->vector == VEC_DF)
		stack = stack_overrun(cr2, f->rsp);
	if (stack)
		fault.stack = stack->name;
	if (f->vector == VEC_GP || f->vector == VEC_SS) {
		while (n < sizeof(code) && read_safe((const void *)(f->rip + n), &code[n]))
			n++;
		fault.has_address = fault_address(code, n, f, &fault.address);
	}
	line("BUG: %s", fault_headline(&fault, text, sizeof(text)));
}

static void what_access(const struct trap_frame *f)
{
	char words[96];

	error_words(f->vector, f->error, words, sizeof(words));
	line("%s%svector %llu (%s), error code 0x%04llx", words, *words ? "; " : "", (ull)f->vector,
	     trap_name(f->vector), (ull)f->error);
}

static void bare_facts(const struct trap_frame *f)
{
	char name[NAME_MAX];

	line("%s, error code 0x%llx, at %016llx %s", trap_name(f->vector), (ull)f->error,
	     (ull)f->rip, symbol_name(skerry_symbols_start, f->rip, name, sizeof(name)));
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
		reported = f;
		cpus_stop();
		return;
	}
	line("--- the report itself failed ---");
	if (f)
		bare_facts(f);
	else
		line("PANIC: %s", text);
	if (reported)
		bare_facts(reported);
	machine_panic();
}

static void end_report(const struct trap_frame *f, struct oops_id o) __noreturn;

static void end_report(const struct trap_frame *f, struct oops_id o)
{
	report_other_cpus(line, &around);
	end_mark(line, o);
	if (panic_policy()->dump && around.dump)
		around.dump(f);
	/* whoever presses the reset button now shall find the log in memory */
	__asm__ volatile("wbinvd" ::: "memory");
	machine_panic();
}

static void report_exception(const struct trap_frame *f, uint64_t cr2,
			     const uint64_t *lost_gs) __noreturn;

static void report_exception(const struct trap_frame *f, uint64_t cr2, const uint64_t *lost_gs)
{
	char name[NAME_MAX];
	struct oops_id o;

	begin_report(f, NULL);
	o = begin_mark(line);
	headline(f, cr2);
	what_access(f);
	report_where(line, &around, this_cpu()->vcpu);
	if (lost_gs)
		line("GS did not point at this CPU's area but to %016llx", (ull)*lost_gs);
	line("rip: %016llx %s", (ull)f->rip,
	     symbol_name(skerry_symbols_start, f->rip, name, sizeof(name)));
	report_registers(line, f);
	report_system_registers(line, cr2);
	report_code(line, f->rip);
	if (f->vector == VEC_PF || (f->vector == VEC_DF && stack_overrun(cr2, f->rsp)))
		report_page_walk(line, cr2);
	if (f->vector == VEC_MC)
		report_machine_check(line);
	report_trace(line, f);
	end_report(f, o);
}

__attribute__((no_stack_protector)) void oops_exception(const struct trap_frame *f)
{
	uint64_t cr2 = read_cr2(), gs;

	irq_disable();
	report_exception(f, cr2, mend_gs(&gs) ? NULL : &gs);
}

void panic(const char *fmt, ...)
{
	struct trap_frame f;
	struct oops_id o;
	char text[224];
	va_list ap;

	irq_disable();
	capture_frame(&f);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	begin_report(NULL, text);
	o = begin_mark(line);
	line("PANIC: %s", text);
	report_where(line, &around, this_cpu()->vcpu);
	report_system_registers(line, read_cr2());
	report_trace(line, &f);
	end_report(&f, o);
}

void oops_survived(const struct vcpu *v, const char *fmt, ...)
{
	struct trap_frame f;
	struct oops_id o;
	char text[224];
	va_list ap;

	capture_frame(&f);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	o = begin_mark(log_line);
	log_line("BUG: %s", text);
	report_where(log_line, &around, v);
	report_trace(log_line, &f);
	end_mark(log_line, o);
}

/* The compilers call this when a function finds its stack canary changed. */
void __stack_chk_fail(void) __noreturn;

void __stack_chk_fail(void)
{
	panic("the stack canary of the calling function was overwritten");
}
