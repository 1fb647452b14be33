/*
 * What the tests of the SVM back end share: a vCPU with its control block in ordinary memory, and
 * random numbers that are the same in every run.
 */
#ifndef TESTS_UNIT_SVM_FIXTURE_H
#define TESTS_UNIT_SVM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86/svm/svm.h"

static inline uint64_t random64(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static inline uint64_t below(uint64_t n)
{
	return random64() % n;
}

static inline void *pages_alloc(unsigned n)
{
	uint8_t *p = aligned_alloc(PAGE_SIZE, n * PAGE_SIZE);

	assert_non_null(p);
	memset(p, 0, n * PAGE_SIZE);
	return p;
}

/* Physical addresses are arbitrary here: nobody follows them. */
static inline void fixture_vm(struct hv_vm *vm, uint64_t pa)
{
	*vm = (struct hv_vm){
		.pages = {pages_alloc(SVM_VM_PAGES), HPA(pa)},
		.slpt_root = HPA(pa + 0x100000),
	};
}

static inline void fixture_vcpu(struct hv_vcpu *v, struct hv_vm *vm, uint64_t pa)
{
	*v = (struct hv_vcpu){
		.vm = vm,
		.pages = {pages_alloc(1), HPA(pa)},
		.phys_bits = 40,
	};
}

static inline bool segment_equal(const struct segment_state *a, const struct segment_state *b)
{
	return a->base == b->base && a->limit == b->limit && a->selector == b->selector &&
	       a->attr == b->attr;
}

#define same(member) assert_int_equal(a->member, b->member)

/* Member by member: between them there is padding. */
static inline void assert_state_equal(const struct vcpu_state *a, const struct vcpu_state *b)
{
	for (unsigned i = 0; i < GPR_COUNT; i++)
		same(gpr[i]);
	same(rip);
	same(rflags);
	same(cr0);
	same(cr2);
	same(cr3);
	same(cr4);
	same(cr8);
	same(efer);
	same(dr6);
	same(dr7);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		assert_true(segment_equal(&a->seg[i], &b->seg[i]));
	same(gdtr.base);
	same(gdtr.limit);
	same(idtr.base);
	same(idtr.limit);
	same(star);
	same(lstar);
	same(cstar);
	same(sfmask);
	same(kernel_gs_base);
	same(sysenter_cs);
	same(sysenter_esp);
	same(sysenter_eip);
	same(pat);
	same(cpl);
	same(irq_blocked);
	same(nmi_blocked);
}

#undef same

#endif
