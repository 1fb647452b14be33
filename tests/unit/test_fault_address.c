/*
 * The address that an instruction wanted. The code is the assembler's: each example is written down
 * with what GNU as makes of it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86/oops.h"

static const struct trap_frame f = {
	.rax = 0xa0000,
	.rcx = 0xc0,
	.rdx = 0xd0000,
	.rbx = 0xb0000,
	.rsp = 0x50000,
	.rbp = 0x51000,
	.rsi = 0x1234567800000000,
	.rdi = 0x71000,
	.r8 = 0x80000,
	.r9 = 0x90000,
	.r10 = 0x100000,
	.r11 = 0x110000,
	.r12 = 0x120000,
	.r13 = 0x130000,
	.r14 = 0x140000,
	.r15 = 0x150000,
	.rip = 0x200000,
};

static const struct {
	uint8_t code[12];
	uint8_t n;
	uint64_t address;
} examples[] = {
	{{0x48, 0x8b, 0x00}, 3, 0xa0000},                  /* mov (%rax), %rax */
	{{0x48, 0x8b, 0x46, 0x18}, 4, 0x1234567800000018}, /* mov 0x18(%rsi), %rax */
	{{0x8b, 0x47, 0xfc}, 3, 0x70ffc},                  /* mov -4(%rdi), %eax */
	{{0x49, 0x89, 0x04, 0x24}, 4, 0x120000},           /* mov %rax, (%r12) */
	{{0x4b, 0x8b, 0x44, 0xcd, 0x10},
	 5,
	 0x130010 + 0x90000 * 8},                                /* mov 0x10(%r13,%r9,8), %rax */
	{{0x48, 0x8b, 0x04, 0x25, 0x08, 0, 0, 0}, 8, 8},         /* mov 8, %rax */
	{{0x48, 0x8b, 0x05, 0x00, 0x01, 0, 0}, 7, 0x200107},     /* mov 0x100(%rip), %rax */
	{{0xc7, 0x05, 0x10, 0, 0, 0, 1, 0, 0, 0}, 10, 0x20001a}, /* movl $1, 0x10(%rip) */
	{{0x66, 0xc7, 0x05, 0x10, 0, 0, 0, 1, 0}, 9, 0x200019},  /* movw $1, 0x10(%rip) */
	{{0x0f, 0xb6, 0x08}, 3, 0xa0000},                        /* movzbl (%rax), %ecx */
	{{0xf0, 0x48, 0x0f, 0xb1, 0x0b}, 5, 0xb0000},            /* lock cmpxchg %rcx, (%rbx) */
	{{0xff, 0x50, 0x08}, 3, 0xa0008},                        /* call *8(%rax) */
	{{0x50}, 1, 0x4fff8},                                    /* push %rax */
	{{0x58}, 1, 0x50000},                                    /* pop %rax */
	{{0xc3}, 1, 0x50000},                                    /* ret */
	{{0xf3, 0x48, 0xa5}, 3, 0x1234567800000000}, /* rep movsq: the source is at fault */
	{{0xf3, 0xaa}, 2, 0x71000},                  /* rep stosb */
};

static void understands_usual_instructions(void **state)
{
	uint64_t address;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(examples); i++) {
		assert_true(fault_address(examples[i].code, examples[i].n, &f, &address));
		assert_int_equal(address, examples[i].address);
	}
}

static void knows_what_has_no_operand(void **state)
{
	static const uint8_t none[][3] = {
		{0x48, 0x89, 0xc8}, /* mov %rcx, %rax */
		{0x0f, 0x0b, 0x90}, /* ud2 */
		{0x0f, 0x30, 0x90}, /* wrmsr */
		{0x48, 0x8d, 0x00}, /* lea (%rax), %rax */
		{0xf4, 0x90, 0x90}, /* hlt */
		{0xcd, 0x12, 0x90}, /* int */
	};
	uint64_t address;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(none); i++)
		assert_false(fault_address(none[i], 3, &f, &address));
}

static void reads_no_byte_too_many(void **state)
{
	uint64_t address;

	(void)state;
	srand(1);
	for (unsigned i = 0; i < 100000; i++) {
		size_t n = (size_t)rand() % 16;
		uint8_t *code = malloc(n ? n : 1);

		for (size_t b = 0; b < n; b++)
			code[b] = (uint8_t)rand();
		fault_address(code, n, &f, &address);
		free(code);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(examples); i++)
		for (size_t n = 0; n < examples[i].n; n++) {
			uint8_t *code = malloc(n ? n : 1);

			memcpy(code, examples[i].code, n);
			fault_address(code, n, &f, &address);
			free(code);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(understands_usual_instructions),
		cmocka_unit_test(knows_what_has_no_operand),
		cmocka_unit_test(reads_no_byte_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
