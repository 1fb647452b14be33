/*
 * Reports of the hypervisor's own faults. oops.c: the order of things and the panic policy;
 * report.c: the parts that look at the machine; oops_words.c, fault_address.c, backtrace.c: what
 * can be said without it, pure.
 */
#ifndef ARCH_X86_OOPS_H
#define ARCH_X86_OOPS_H

#include "arch/x86/traps.h"
#include "lib/types.h"

struct vcpu;

/* What a report says of things that are not this folder's. All of it may be left out. */
struct oops_surroundings {
	const char *version, *build, *compiler;
	const char *machine; /* its name by the firmware */
	/* "guest web, vCPU 0": of what may be broken itself, so nothing in it is trusted */
	void (*guest)(const struct vcpu *v, char *buf, size_t size);
	/* panic=dump: sends the dump to the console; f: where this core was */
	void (*dump)(const struct trap_frame *f);
};
void oops_set_surroundings(const struct oops_surroundings *s);

/* A broken invariant that is one guest's alone: a report with a number of its own goes to the log,
 * and the caller ends the guest. */
void oops_survived(const struct vcpu *v, const char *fmt, ...) __printf(2, 3) __cold;

/* ---- report.c ---- */

typedef void oops_line(const char *fmt, ...) __printf(1, 2);

void report_page_walk(oops_line *line, uint64_t va);
void report_where(oops_line *line, const struct oops_surroundings *s, const struct vcpu *v);
void report_registers(oops_line *line, const struct trap_frame *f);
void report_system_registers(oops_line *line, uint64_t cr2);
void report_machine_check(oops_line *line);
void report_code(oops_line *line, uint64_t rip);
void report_trace(oops_line *line, const struct trap_frame *f);
void report_other_cpus(oops_line *line, const struct oops_surroundings *s);

/* The stack of this core that code with the stack pointer `sp` ran over when it touched `va`, or
 * NULL. */
const struct cpu_stack *stack_overrun(uint64_t va, uint64_t sp);

/* The frame of the function that calls this, as if an exception had come there. */
#define capture_frame(f)                                                                 \
	do {                                                                             \
		uint64_t *frame_ = __builtin_frame_address(0);                           \
		*(f) = (struct trap_frame){.rip = (uint64_t)__builtin_return_address(0), \
					   .rbp = frame_[0],                             \
					   .rsp = (uint64_t)(frame_ + 2),                \
					   .cs = SELECTOR_CODE,                          \
					   .rflags = read_rflags()};                     \
	} while (0)

/* ---- pure ---- */

/* What is known of a fault when its first line is written. */
struct fault {
	uint64_t vector, error, rip, cr2;
	const char *stack; /* the stack that was overrun, or NULL */
	bool has_address;  /* of the instruction's memory operand, for what names none itself */
	uint64_t address;
};

/* One line that says what: "NULL pointer dereference, address: 0000000000000008". Returns buf. */
const char *fault_headline(const struct fault *f, char *buf, size_t size);

/* One level of a page walk in words: "PT[510] 0000000000000000: not present". Level 3 is the top.
 * Returns buf. */
const char *walk_words(unsigned level, uint64_t va, uint64_t entry, char *buf, size_t size);

static inline bool canonical(uint64_t va)
{
	return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

/* The linear address of the instruction's memory operand, by its code bytes; false if it has none
 * or is not understood. 64-bit code; FS and GS with base 0. */
bool fault_address(const uint8_t *code, size_t n, const struct trap_frame *f, uint64_t *address);

/* How a call trace reaches memory and code, and what it finds. */
struct trace_view {
	void *ctx;
	/* the 8 bytes of a stack at `va`; false: there is no stack */
	bool (*read)(void *ctx, uint64_t va, uint64_t *value);
	/* is `addr` what a call instruction of the image would push? */
	bool (*returns)(void *ctx, uint64_t addr);
	/* a frame: `addr` is a return address, of which it is certain or not that it is on the way
	 */
	void (*frame)(void *ctx, uint64_t addr, bool guessed);
};

#define TRACE_DEPTH 32u

/*
 * Follows the frame pointers from `rbp`. What lies between the stack pointer and the first frame
 * may hold the return address of a function without a frame of its own: such words are guesses. So
 * are those further out, when the chain ends in nonsense.
 */
void trace_walk(const struct trace_view *view, uint64_t rsp, uint64_t rbp);

#endif
