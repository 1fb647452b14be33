/*
 * Running one instruction on the processor that runs the test, with all general registers but RSP
 * and with the flags given. Code and data lie at fixed addresses below 2 GiB, so that a guest's
 * page tables can show the same addresses, and 32-bit addresses reach them.
 */
#ifndef TESTS_UNIT_NATIVE_H
#define TESTS_UNIT_NATIVE_H

#include <sys/mman.h>

#define NATIVE_DATA  0x20000000ull
#define NATIVE_PAGES 4u /* of data */
#define NATIVE_CODE  0x20100000ull

/* Named by the assembly below: gpr[16] in the hardware's order, RFLAGS, where to begin. */
extern uint64_t native_regs[18];
extern void native_run(void);
extern const char native_back[];

uint64_t native_regs[18];

__asm__(".text\n"
	"native_run:\n\t"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n\t"
	"pushq native_regs+128(%rip); popfq\n\t"
	"mov native_regs+0(%rip), %rax\n\t"
	"mov native_regs+8(%rip), %rcx\n\t"
	"mov native_regs+16(%rip), %rdx\n\t"
	"mov native_regs+24(%rip), %rbx\n\t"
	"mov native_regs+40(%rip), %rbp\n\t"
	"mov native_regs+48(%rip), %rsi\n\t"
	"mov native_regs+56(%rip), %rdi\n\t"
	"mov native_regs+64(%rip), %r8\n\t"
	"mov native_regs+72(%rip), %r9\n\t"
	"mov native_regs+80(%rip), %r10\n\t"
	"mov native_regs+88(%rip), %r11\n\t"
	"mov native_regs+96(%rip), %r12\n\t"
	"mov native_regs+104(%rip), %r13\n\t"
	"mov native_regs+112(%rip), %r14\n\t"
	"mov native_regs+120(%rip), %r15\n\t"
	"jmp *native_regs+136(%rip)\n"
	"native_back:\n\t"
	"mov %rax, native_regs+0(%rip)\n\t"
	"mov %rcx, native_regs+8(%rip)\n\t"
	"mov %rdx, native_regs+16(%rip)\n\t"
	"mov %rbx, native_regs+24(%rip)\n\t"
	"mov %rbp, native_regs+40(%rip)\n\t"
	"mov %rsi, native_regs+48(%rip)\n\t"
	"mov %rdi, native_regs+56(%rip)\n\t"
	"mov %r8, native_regs+64(%rip)\n\t"
	"mov %r9, native_regs+72(%rip)\n\t"
	"mov %r10, native_regs+80(%rip)\n\t"
	"mov %r11, native_regs+88(%rip)\n\t"
	"mov %r12, native_regs+96(%rip)\n\t"
	"mov %r13, native_regs+104(%rip)\n\t"
	"mov %r14, native_regs+112(%rip)\n\t"
	"mov %r15, native_regs+120(%rip)\n\t"
	"pushfq; popq native_regs+128(%rip)\n\t"
	"cld\n\t"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n\t"
	"ret\n");

static inline void *native_map(uint64_t at, size_t size, int prot)
{
	void *p = mmap((void *)(uintptr_t)at, size, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	assert_ptr_equal(p, (void *)(uintptr_t)at);
	return p;
}

static inline int native_begin(void **state)
{
	(void)state;
	native_map(NATIVE_DATA, NATIVE_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE);
	native_map(NATIVE_CODE, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
	return 0;
}

/* Runs the instruction at `at` in the code page with these registers, and gives them back. */
static inline void native(uint64_t at, const uint8_t *bytes, unsigned n, uint64_t *regs,
			  uint64_t *flags)
{
	static const uint8_t jump[] = {0xff, 0x25, 0, 0, 0, 0}; /* to the address that follows */
	uint8_t *p = (uint8_t *)(uintptr_t)at;
	uint64_t back = (uint64_t)(uintptr_t)native_back;

	memcpy(p, bytes, n);
	memcpy(p + n, jump, sizeof(jump));
	memcpy(p + n + sizeof(jump), &back, sizeof(back));
	memcpy(native_regs, regs, 16 * sizeof(*regs));
	native_regs[16] = *flags;
	native_regs[17] = at;
	native_run();
	memcpy(regs, native_regs, 16 * sizeof(*regs));
	*flags = native_regs[16];
}

#endif
