/*
 * Faults on purpose; see provoke.h. Each has a function of its own, whose name the report must
 * show. Privileged.
 */
#include "arch/x86/provoke.h"

#include "arch/x86/asm.h"
#include "arch/x86/oops.h"
#include "arch/x86/percpu.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/hostmap.h"

static volatile uint64_t sink;
static volatile uint8_t data_with_code[16] = {0xc3}; /* RET, where nothing may be executed */

/* Addresses go through here, so that the compiler does not see what they are. */
static uint64_t hide(uint64_t v)
{
	__asm__("" : "+r"(v));
	return v;
}

static __noinline void provoke_null(void)
{
	sink = *(volatile uint64_t *)hide(8);
}

static __noinline void provoke_null_write(void)
{
	*(volatile uint32_t *)hide(0x10) = 1;
}

static __noinline void provoke_null_call(void)
{
	((void (*)(void))hide(0))();
	sink = 1; /* no tail call: the return address is what is looked for */
}

static __noinline void provoke_unmapped(void)
{
	sink = *(volatile uint64_t *)hide(VMAP_BASE + VMAP_SIZE);
}

static __noinline void provoke_noncanonical(void)
{
	sink = ((volatile uint64_t *)hide(0x1234567800000000ull))[3];
}

static __noinline void provoke_noncanonical_jump(void)
{
	((void (*)(void))hide(0x8000deadbeef0000ull))();
	sink = 1;
}

static __noinline void provoke_read_only(void)
{
	*(volatile uint64_t *)hide((uint64_t)provoke_read_only) = 2;
}

static __noinline void provoke_execute(void)
{
	((void (*)(void))hide((uint64_t)data_with_code))();
	sink = 1;
}

static __noinline void provoke_stack(void)
{
	volatile uint8_t big[512];

	big[0] = (uint8_t)sink;
	if (hide(1))
		provoke_stack();
	sink = big[0]; /* no tail call */
}

static __noinline void provoke_divide(void)
{
	__asm__ volatile("xor %%edx, %%edx; div %0" ::"r"(hide(0)), "a"(1) : "rdx", "cc");
}

static __noinline void provoke_invalid(void)
{
	__asm__ volatile("ud2");
}

static __noinline void provoke_breakpoint(void)
{
	__asm__ volatile("int3");
}

static __noinline void provoke_selector(void)
{
	__asm__ volatile("mov %w0, %%fs" ::"r"(hide(0x50)));
}

static __noinline void provoke_machine_check(void)
{
	raise_machine_check();
}

static __noinline void provoke_double_fault(void)
{
	/* no exception can be delivered on this stack */
	__asm__ volatile("mov %0, %%rsp; push %%rax" ::"r"(hide(0x5555000000000000ull)) : "memory");
}

static __noinline void provoke_canary(void)
{
	volatile uint8_t array[32];

	memset((void *)hide((uint64_t)array), 0x5a, 64);
	sink = array[0];
}

static __noinline void provoke_gs(void)
{
	wrmsr(0xc0000101u, 0);
	sink = *(volatile uint64_t *)hide(0x20);
}

static __noinline void provoke_invariant(void)
{
	invariant(hide(0));
}

static void fault_in_the_report(const struct vcpu *v, char *buf, size_t size)
{
	(void)v;
	(void)buf;
	(void)size;
	provoke_invalid();
	sink = 1; /* no tail call */
}

static __noinline void provoke_report(void)
{
	oops_set_surroundings(&(struct oops_surroundings){.guest = fault_in_the_report});
	this_cpu()->vcpu = (struct vcpu *)hide(1);
	provoke_null();
	sink = 1;
}

static const struct {
	const char *name;
	void (*fn)(void);
} kinds[] = {
	{"null", provoke_null},
	{"null-write", provoke_null_write},
	{"null-call", provoke_null_call},
	{"unmapped", provoke_unmapped},
	{"noncanonical", provoke_noncanonical},
	{"noncanonical-jump", provoke_noncanonical_jump},
	{"read-only", provoke_read_only},
	{"execute", provoke_execute},
	{"stack", provoke_stack},
	{"divide", provoke_divide},
	{"invalid", provoke_invalid},
	{"breakpoint", provoke_breakpoint},
	{"selector", provoke_selector},
	{"machine-check", provoke_machine_check},
	{"double-fault", provoke_double_fault},
	{"canary", provoke_canary},
	{"gs", provoke_gs},
	{"invariant", provoke_invariant},
	{"report", provoke_report},
};

const char *provoke_kind(unsigned i)
{
	return i < ARRAY_SIZE(kinds) ? kinds[i].name : NULL;
}

void provoke(const char *kind)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].name, kind))
			kinds[i].fn();
}
