/*
 * What the tests of the VMX back end share: the played processor with VMX switched on, a guest and
 * its vCPUs, and random numbers that are the same in every run.
 */
#ifndef TESTS_UNIT_VMX_FIXTURE_H
#define TESTS_UNIT_VMX_FIXTURE_H

#include "tests/unit/vmx_processor.h"

#define VCPUS 4

extern const struct hv_ops vmx_ops; /* as arch/x86/hv.c knows it */

static struct hv_vm vm;
static struct hv_vcpu vcpus[VCPUS];
static struct hv_pages cpu_pages[CPU_CORES];
static struct hv_vcpu *const v = &vcpus[0];

static const struct cpu_features fixture_features = {
	.virt_intel = true, .rdtscp = true, .phys_bits = 39, .max_basic = 13};

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

static inline struct hv_pages fixture_pages(uint64_t pa, unsigned n)
{
	struct hv_pages p = {aligned_alloc(PAGE_SIZE, n * PAGE_SIZE), HPA(pa)};

	assert_non_null(p.va);
	memset(p.va, 0, n * PAGE_SIZE);
	processor_memory(pa, p.va, n);
	return p;
}

/* Up to vCPUs that have their power-on state, with what `prepare` makes of the processor. */
static inline void fixture_start(void (*prepare)(void))
{
	struct hv_caps caps;
	struct reason why = {""};

	processor_reset();
	if (prepare)
		prepare();
	for (unsigned i = 0; i < CPU_CORES; i++) {
		current_core = i;
		cpu_pages[i] = fixture_pages(0x400000 + i * 0x10000, vmx_ops.cpu_pages);
		if (vmx_ops.probe(&fixture_features, i, &caps, &why) ||
		    vmx_ops.cpu_on(cpu_pages[i], i, &why))
			fail_msg("%s", why.text);
		cores[i].irqs = true;
	}
	current_core = 0;
	vm = (struct hv_vm){.pages = fixture_pages(0x200000, vmx_ops.vm_pages),
			    .slpt_root = HPA(0x300000)};
	vmx_ops.vm_init(&vm);
	epochs.first = vcpus;
	for (unsigned i = 0; i < VCPUS; i++) {
		vcpus[i] = (struct hv_vcpu){
			.vm = &vm,
			.pages = fixture_pages(0x500000 + i * 0x10000, vmx_ops.vcpu_pages),
			.phys_bits = 39,
			.cr4_allowed = 0x7707ff,
		};
		vmx_ops.vcpu_init(&vcpus[i]);
	}
}

static inline int fixture_teardown(void **state)
{
	(void)state;
	free(vm.pages.va);
	for (unsigned i = 0; i < VCPUS; i++)
		free(vcpus[i].pages.va);
	for (unsigned i = 0; i < CPU_CORES; i++)
		free(cpu_pages[i].va);
	return 0;
}

static inline void load(struct hv_vcpu *who, unsigned core)
{
	current_core = core;
	vmx_ops.vcpu_load(who, cpu_pages[core], core);
}

/* The field, wherever the vCPU is. */
static inline uint64_t field_of(const struct hv_vcpu *who, uint32_t field)
{
	struct vmcs *s = processor_vmcs(who->pages.pa.v);

	assert_true(s->known[field]);
	return s->field[field];
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
