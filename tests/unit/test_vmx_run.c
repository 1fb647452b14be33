/*
 * Entering a guest by VMX, on a processor that is played (vmx_processor.h): it checks what VM entry
 * would check, and keeps translations by tag until they are dropped. What is written to the VMCS
 * and when, events, windows, blocking, tags, and what each exit leaves.
 */
#include "tests/unit/vmx_fixture.h"

static struct vm_exit e;

static void take_vpids_away(void)
{
	for (unsigned i = 0; i < CPU_CORES; i++)
		*processor_msr(&cores[i], MSR_VMX_SECONDARY) &= ~BIT(32 + 5);
}

/* A guest in 64-bit code, with its interrupts on. */
static void in_long_mode(struct hv_vcpu *who)
{
	struct vcpu_state s;

	vcpu_state_at_reset(&s);
	s.rip = 0xffffffff81000000;
	s.rflags = RFLAGS_ONE | RFLAGS_IF;
	s.cr0 = CR0_PE | CR0_PG | CR0_NE | CR0_ET | CR0_WP;
	s.cr4 = CR4_PAE;
	s.efer = EFER_LME | EFER_LMA;
	s.seg[SEG_CS] = (struct segment_state){0, 0xffffffff, 0x10, 0xa9b};
	assert_int_equal(vmx_ops.set_state(who, &s, NULL), 0);
}

static int start(void (*prepare)(void))
{
	fixture_start(prepare);
	for (unsigned i = 0; i < VCPUS; i++)
		in_long_mode(&vcpus[i]);
	for (unsigned i = 0; i < CPU_CORES; i++)
		cores[i].irqs = false; /* as for run() */
	load(v, 0);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return start(NULL);
}

static int setup_without_vpids(void **state)
{
	(void)state;
	return start(take_vpids_away);
}

/* What the vCPU wants is what the processor is told, whatever was there from before. */
static void check_wanted(const struct hv_vcpu *want)
{
	const uint64_t *f = entered.field;
	bool held = want->cr8 >= want->window_class;
	uint64_t blocking = f[VMCS_INTERRUPTIBILITY];

	assert_int_equal(f[VMCS_GUEST_RIP], want->rip);
	assert_int_equal(f[VMCS_GUEST_RSP], want->gpr[GPR_RSP]);
	assert_int_equal(f[VMCS_GUEST_RFLAGS], want->rflags);
	assert_int_equal(f[VMCS_TSC_OFFSET], want->tsc_offset);
	assert_int_equal(!!(blocking & 3), want->irq_blocked);
	if (want->inject.kind != EVENT_NMI) /* an entry with an NMI blocks the next ones */
		assert_int_equal(!!(blocking & 8), want->nmi_blocked);
	assert_int_equal(!!(f[VMCS_PRIMARY_CONTROLS] & BIT32(2)), want->window_wanted && !held);
	assert_int_equal(f[VMCS_TPR_THRESHOLD],
			 want->window_wanted && held ? want->window_class : 0);
	assert_int_equal(!!(f[VMCS_PRIMARY_CONTROLS] & BIT32(22)), want->nmi_window_wanted);
	assert_int_equal(!!(f[VMCS_ENTRY_EVENT] & BIT32(31)), want->inject.kind != EVENT_NONE);
}

/* Runs and leaves the exit in `e`, whatever it held before. */
static void run(void)
{
	struct hv_vcpu want = *v;

	memset(&e, 0x5a, sizeof(e));
	memset(&writes, 0, sizeof(writes));
	vmx_ops.run(v, &e);
	if (fate != ENTRY_WORKS)
		return;
	check_wanted(&want);
	assert_false(v->flush_wanted);
	if (!guest)
		assert_int_equal(v->inject.kind, EVENT_NONE);
}

static uint64_t at_entry(uint32_t field)
{
	return entered.field[field];
}

/* ---- how an exit is played ---- */

static struct vmcs *ends_with(struct vmcs *s, uint32_t reason, uint64_t qualification)
{
	s->field[VMCS_EXIT_REASON] = reason;
	s->field[VMCS_QUALIFICATION] = qualification;
	return s;
}

static uint32_t next_reason;
static uint64_t next_qualification;
static struct {
	uint32_t field;
	uint64_t value;
} next_fields[4];
static unsigned n_next;

static void play(struct hv_vcpu *who, struct vmcs *s)
{
	(void)who;
	ends_with(s, next_reason, next_qualification);
	for (unsigned i = 0; i < n_next; i++)
		s->field[next_fields[i].field] = next_fields[i].value;
}

/* One exit with that reason, and with those fields that with() named before. */
static void exit_with(uint32_t reason, uint64_t qualification)
{
	next_reason = reason;
	next_qualification = qualification;
	guest = play;
	run();
	guest = NULL;
	n_next = 0;
}

static void with(uint32_t field, uint64_t value)
{
	assert_true(n_next < ARRAY_SIZE(next_fields));
	next_fields[n_next].field = field;
	next_fields[n_next++].value = value;
}

/* ---- registers ---- */

static void test_registers(void **state)
{
	(void)state;
	v->gpr[GPR_RSP] = 2;
	v->rip = 0xffffffff81000003;
	v->rflags = RFLAGS_ONE | RFLAGS_CF;
	v->cr8 = 5;
	with(VMCS_GUEST_RIP, 0xa3);
	with(VMCS_GUEST_RSP, 0xa2);
	with(VMCS_GUEST_RFLAGS, 0x46);
	exit_with(REASON_INTERRUPT, 0);
	assert_int_equal(*vmx_tpr(v), 0x50);
	assert_int_equal(v->rip, 0xa3);
	assert_int_equal(v->gpr[GPR_RSP], 0xa2);
	assert_int_equal(v->rflags, 0x46);
	assert_int_equal(e.kind, EXIT_HOST_EVENT);
	assert_true(v->launched);
	/* the guest's own writes of CR8 */
	*vmx_tpr(v) = 0xe0;
	run();
	assert_int_equal(v->cr8, 5); /* what run() was given counted */
	*vmx_tpr(v) = 0x50;
	run();
}

static void lower_tpr(struct hv_vcpu *who, struct vmcs *s)
{
	*vmx_tpr(who) = 0x30;
	ends_with(s, REASON_TPR_THRESHOLD, 0);
}

/* What did not change is not written again: a quiet entry is one with RIP alone. */
static void test_writes(void **state)
{
	(void)state;
	run();
	run();
	assert_int_equal(writes.n, 1);
	assert_true(was_written(VMCS_GUEST_RIP));
	v->gpr[GPR_RSP]++;
	run();
	assert_int_equal(writes.n, 2);
	assert_true(was_written(VMCS_GUEST_RSP));
	v->rflags ^= RFLAGS_ZF;
	run();
	assert_int_equal(writes.n, 2);
	assert_true(was_written(VMCS_GUEST_RFLAGS));
	v->tsc_offset = 0x123456789;
	v->tsc_changed = true;
	run();
	assert_int_equal(writes.n, 2);
	assert_true(was_written(VMCS_TSC_OFFSET));
	assert_false(v->tsc_changed);
	run();
	assert_int_equal(writes.n, 1);
	v->cr8 = 9; /* in memory */
	run();
	assert_int_equal(writes.n, 1);
	v->irq_blocked = true;
	run();
	assert_int_equal(writes.n, 3);
	assert_true(was_written(VMCS_INTERRUPTIBILITY));
	assert_true(was_written(VMCS_PENDING_DEBUG));
	run();
	assert_int_equal(writes.n, 1);
	v->window_wanted = true;
	v->window_class = 16;
	run();
	assert_int_equal(writes.n, 2);
	assert_true(was_written(VMCS_PRIMARY_CONTROLS));
	run(); /* still wanted */
	assert_int_equal(writes.n, 1);
	v->window_class = 9;
	run();
	assert_int_equal(writes.n, 3);
	assert_true(was_written(VMCS_PRIMARY_CONTROLS));
	assert_true(was_written(VMCS_TPR_THRESHOLD));
	v->window_wanted = false;
	run();
	assert_int_equal(writes.n, 2);
	assert_true(was_written(VMCS_TPR_THRESHOLD));
	run();
	assert_int_equal(writes.n, 1);
	v->flush_wanted = true;
	epochs.linear[0]++;
	run();
	assert_int_equal(writes.n, 2);
	assert_true(was_written(VMCS_VPID));
	run();
	assert_int_equal(writes.n, 1);
}

/* The offset survives what makes the structure anew, and another core. */
static void test_tsc_offset(void **state)
{
	(void)state;
	v->tsc_offset = 0xfffffffffffffe00;
	v->tsc_changed = true;
	run();
	assert_int_equal(at_entry(VMCS_TSC_OFFSET), 0xfffffffffffffe00);
	vmx_ops.vcpu_put(v);
	load(v, 1);
	run();
	vmx_ops.vcpu_put(v);
	vmx_ops.vcpu_init(v); /* reset: time goes on */
	load(v, 1);
	run();
	assert_int_equal(at_entry(VMCS_TSC_OFFSET), 0xfffffffffffffe00);
}

/* ---- controls ---- */

static void test_controls(void **state)
{
	(void)state;
	run();
	assert_int_equal(at_entry(VMCS_PIN_CONTROLS), vmx_controls.pin);
	assert_int_equal(at_entry(VMCS_PRIMARY_CONTROLS), vmx_controls.primary);
	assert_int_equal(at_entry(VMCS_SECONDARY_CONTROLS), vmx_controls.secondary);
	assert_int_equal(at_entry(VMCS_EXIT_CONTROLS), vmx_controls.exit);
	assert_int_equal(at_entry(VMCS_ENTRY_CONTROLS), vmx_controls.entry | ENTRY_CTL_LONG_MODE);
	assert_int_equal(at_entry(VMCS_EXCEPTION_BITMAP), BIT32(1) | BIT32(17) | BIT32(18));
	assert_int_equal(at_entry(VMCS_IO_BITMAP_A), vm.pages.pa.v);
	assert_int_equal(at_entry(VMCS_IO_BITMAP_B), vm.pages.pa.v + PAGE_SIZE);
	assert_int_equal(at_entry(VMCS_MSR_BITMAP), vm.pages.pa.v + 2 * PAGE_SIZE);
	assert_int_equal(at_entry(VMCS_VIRTUAL_APIC), v->pages.pa.v + PAGE_SIZE);
	/* write-back, four levels, accessed and dirty bits */
	assert_int_equal(at_entry(VMCS_EPTP), vm.slpt_root.v | 6 | 3 << 3 | BIT(6));
	assert_int_equal(at_entry(VMCS_LINK_POINTER), UINT64_MAX);
	/* a second of a TSC of 3 GHz, counted in steps of 2^7 */
	assert_int_equal(at_entry(VMCS_PREEMPTION_TIMER), 3000000000 >> 7);
}

/* ---- events ---- */

static uint64_t injected(struct vcpu_event event)
{
	uint64_t code;

	v->inject = event;
	run();
	code = at_entry(VMCS_ENTRY_EVENT);
	if (event.has_error && (code & EVENT_ERROR_VALID))
		assert_int_equal(at_entry(VMCS_ENTRY_EVENT_ERROR), event.error);
	assert_int_equal(v->inject.kind, EVENT_NONE);
	run(); /* delivered once */
	assert_false(at_entry(VMCS_ENTRY_EVENT) & EVENT_VALID);
	return code;
}

static void test_injection(void **state)
{
	const struct vcpu_event gp = {
		.kind = EVENT_EXCEPTION, .vector = VEC_GP, .has_error = true, .error = 0x18};
	struct vcpu_state s;

	(void)state;
	assert_int_equal(injected((struct vcpu_event){.kind = EVENT_INTERRUPT, .vector = 0x31}),
			 0x80000031);
	assert_int_equal(injected((struct vcpu_event){.kind = EVENT_EXCEPTION, .vector = VEC_UD}),
			 0x80000306);
	assert_int_equal(injected(gp), 0x80000b0d);
	assert_int_equal(injected((struct vcpu_event){
				 .kind = EVENT_SOFT_INT, .vector = 0x80, .insn_len = 2}),
			 0x80000480);
	assert_int_equal(field_of(v, VMCS_ENTRY_INSN_LEN), 2);
	vcpu_state_at_reset(&s); /* real mode has no error codes */
	assert_int_equal(vmx_ops.set_state(v, &s, NULL), 0);
	assert_int_equal(injected(gp), 0x8000030d);
}

static void test_page_fault(void **state)
{
	(void)state;
	processor_core()->cr2 = 0x1111;
	assert_int_equal(injected((struct vcpu_event){.kind = EVENT_EXCEPTION,
						      .vector = VEC_PF,
						      .has_error = true,
						      .error = 2,
						      .payload = 0x7fff0000}),
			 0x80000b0e);
	assert_int_equal(processor_core()->cr2, 0x7fff0000);
	assert_int_equal(vmx_ops.get_cr(v, 2), 0x7fff0000);
	/* only a page fault has an address */
	injected((struct vcpu_event){.kind = EVENT_EXCEPTION, .vector = VEC_UD, .payload = 1});
	injected((struct vcpu_event){.kind = EVENT_INTERRUPT, .vector = VEC_PF, .payload = 1});
	assert_int_equal(vmx_ops.get_cr(v, 2), 0x7fff0000);
}

static void test_debug_exception(void **state)
{
	const struct vcpu_event db = {
		.kind = EVENT_EXCEPTION, .vector = VEC_DB, .payload = BIT(14)};

	(void)state;
	processor_core()->dr6 = 0xffff2ff3;
	processor_current()->field[VMCS_GUEST_DR7] = 0x2401;
	assert_int_equal(injected(db), 0x80000301);
	/* the breakpoints are those of this one; the other causes gather */
	assert_int_equal(processor_core()->dr6, 0xffff6ff0);
	/* delivery ends the detection of accesses to debug registers */
	assert_int_equal(at_entry(VMCS_GUEST_DR7), 0x401);
}

static void test_nmi(void **state)
{
	const struct vcpu_event nmi = {.kind = EVENT_NMI, .vector = VEC_NMI};

	(void)state;
	for (unsigned i = 0; i < 2; i++) { /* and a second one after the first */
		assert_false(v->nmi_blocked);
		assert_int_equal(injected(nmi), 0x80000202);
		assert_int_equal(at_entry(VMCS_INTERRUPTIBILITY), BLOCKED_BY_NMI);
		assert_true(v->nmi_blocked);
		exit_with(REASON_CPUID, 0); /* other exits change nothing */
		assert_true(v->nmi_blocked);
		with(VMCS_INTERRUPTIBILITY, 0); /* the guest's IRET */
		exit_with(REASON_NMI_WINDOW, 0);
		assert_int_equal(e.kind, EXIT_WINDOW);
		assert_false(v->nmi_blocked);
	}
}

/* An NMI whose delivery was cut off: the processor says that they are blocked, and yet this one is
 * to be delivered. */
static void test_nmi_again(void **state)
{
	(void)state;
	with(VMCS_VECTORING, 0x80000202);
	with(VMCS_INTERRUPTIBILITY, BLOCKED_BY_NMI);
	exit_with(REASON_EPT_VIOLATION, 2);
	assert_int_equal(v->inject.kind, EVENT_NMI);
	run();
	assert_int_equal(at_entry(VMCS_ENTRY_EVENT), 0x80000202);
	assert_int_equal(at_entry(VMCS_INTERRUPTIBILITY), 0);
	assert_true(v->nmi_blocked);
}

/* What was cut off is delivered again as it was. */
static void test_interrupted(void **state)
{
	(void)state;
	with(VMCS_VECTORING, 0x80000031);
	exit_with(REASON_EPT_VIOLATION, EPT_ACCESS_WRITE);
	assert_int_equal(e.kind, EXIT_MEMORY);
	assert_true(e.memory.delivery);
	run();
	assert_int_equal(at_entry(VMCS_ENTRY_EVENT), 0x80000031);

	processor_core()->cr2 = 0x123000; /* which the fault wrote */
	with(VMCS_VECTORING, 0x80000b0e);
	with(VMCS_VECTORING_ERROR, 6);
	exit_with(REASON_EPT_VIOLATION, EPT_ACCESS_WRITE);
	assert_int_equal(e.interrupted.payload, 0x123000);
	processor_core()->cr2 = 0;
	run();
	assert_int_equal(at_entry(VMCS_ENTRY_EVENT), 0x80000b0e);
	assert_int_equal(at_entry(VMCS_ENTRY_EVENT_ERROR), 6);
	assert_int_equal(processor_core()->cr2, 0x123000);

	processor_core()->dr6 = 0xffff4ff1; /* set already */
	with(VMCS_VECTORING, 0x80000301);
	exit_with(REASON_EPT_VIOLATION, EPT_ACCESS_WRITE);
	run();
	assert_int_equal(at_entry(VMCS_ENTRY_EVENT), 0x80000301);
	assert_int_equal(processor_core()->dr6, 0xffff4ff1);
	/* INT n simply executes again */
	with(VMCS_VECTORING, 0x80000480);
	exit_with(REASON_EPT_VIOLATION, EPT_ACCESS_WRITE);
	assert_true(e.memory.delivery);
	assert_int_equal(v->inject.kind, EVENT_NONE);
	/* without the valid bit it is nothing */
	with(VMCS_VECTORING, 0x31);
	exit_with(REASON_EPT_VIOLATION, EPT_ACCESS_WRITE);
	assert_false(e.memory.delivery);
	assert_int_equal(v->inject.kind, EVENT_NONE);
}

/* ---- windows ---- */

/* check_wanted() and the processor compare; here each pair of priorities is tried. */
static void test_windows(void **state)
{
	(void)state;
	for (unsigned cr8 = 0; cr8 < 16; cr8++) {
		for (unsigned class = 1; class <= 16; class ++) {
			v->cr8 = (uint8_t)cr8;
			v->window_wanted = true;
			v->window_class = (uint8_t) class;
			run();
			assert_int_equal(!!(at_entry(VMCS_PRIMARY_CONTROLS) & BIT32(2)),
					 cr8 < class);
			assert_true(at_entry(VMCS_TPR_THRESHOLD) <= cr8);
			v->cr8 = (uint8_t)below(16); /* while it is armed */
			run();
			v->window_wanted = below(2);
			v->nmi_window_wanted = below(2);
			run();
			v->nmi_window_wanted = false;
			if (below(2))
				v->cr8 = 0;
			run();
		}
	}
	v->window_wanted = false;
	v->cr8 = 0;
	run();
	assert_int_equal(at_entry(VMCS_PRIMARY_CONTROLS), vmx_controls.primary);
	assert_int_equal(at_entry(VMCS_TPR_THRESHOLD), 0);
}

static void test_tpr_exit(void **state)
{
	(void)state;
	v->cr8 = 7;
	v->window_wanted = true;
	v->window_class = 5;
	guest = lower_tpr;
	run();
	assert_int_equal(at_entry(VMCS_TPR_THRESHOLD), 5);
	assert_int_equal(e.kind, EXIT_WINDOW);
	assert_int_equal(v->cr8, 3);
	guest = NULL;
	run(); /* not taken yet: now IF alone holds it back */
	assert_int_equal(at_entry(VMCS_TPR_THRESHOLD), 0);
	assert_true(at_entry(VMCS_PRIMARY_CONTROLS) & BIT32(2));
}

/* ---- blocking by STI and MOV SS ---- */

static void keeps_blocking(struct hv_vcpu *who, struct vmcs *s)
{
	(void)who;
	s->field[VMCS_INTERRUPTIBILITY] = next_qualification;
	ends_with(s, REASON_EPT_VIOLATION, EPT_ACCESS_READ);
}

static uint64_t blocked_after(uint32_t blocking)
{
	next_qualification = blocking;
	guest = keeps_blocking;
	run();
	guest = NULL;
	assert_int_equal(v->irq_blocked, !!(blocking & 3));
	assert_int_equal(v->nmi_blocked, !!(blocking & 8));
	run();
	return at_entry(VMCS_INTERRUPTIBILITY);
}

static void test_blocking(void **state)
{
	(void)state;
	/* the processor knows which it was, and keeps it */
	assert_int_equal(blocked_after(BLOCKED_BY_STI), BLOCKED_BY_STI);
	assert_int_equal(blocked_after(BLOCKED_BY_MOV_SS), BLOCKED_BY_MOV_SS);
	assert_int_equal(blocked_after(BLOCKED_BY_MOV_SS | BLOCKED_BY_NMI),
			 BLOCKED_BY_MOV_SS | BLOCKED_BY_NMI);
	assert_int_equal(blocked_after(0), 0);
	/* else it is STI, and MOV SS where the interrupts are off */
	v->irq_blocked = true;
	run();
	assert_int_equal(at_entry(VMCS_INTERRUPTIBILITY), BLOCKED_BY_STI);
	v->irq_blocked = true;
	v->rflags &= ~RFLAGS_IF;
	run();
	assert_int_equal(at_entry(VMCS_INTERRUPTIBILITY), BLOCKED_BY_MOV_SS);
	/* the instruction was done by the host: nothing is blocked any more */
	next_qualification = BLOCKED_BY_STI;
	guest = keeps_blocking;
	run();
	guest = NULL;
	v->irq_blocked = false;
	run();
	assert_int_equal(at_entry(VMCS_INTERRUPTIBILITY), 0);
	/* a single step in the shadow is pending, as the processor demands */
	v->rflags |= RFLAGS_TF | RFLAGS_IF;
	v->irq_blocked = true;
	run();
	assert_int_equal(at_entry(VMCS_PENDING_DEBUG), BIT(14));
	run();
	assert_int_equal(at_entry(VMCS_PENDING_DEBUG), 0);
}

/* An IRET that faulted had unblocked NMIs, and is to be done again. */
static void test_nmi_unblocking(void **state)
{
	(void)state;
	exit_with(REASON_EPT_VIOLATION, EPT_ACCESS_READ | BIT(12));
	assert_true(v->nmi_blocked);
	run();
	assert_int_equal(at_entry(VMCS_INTERRUPTIBILITY), BLOCKED_BY_NMI);
	v->nmi_blocked = false;
	exit_with(REASON_EPT_VIOLATION, EPT_ACCESS_READ);
	assert_false(v->nmi_blocked);
	with(VMCS_EXIT_EVENT, 0x80001b11); /* #AC */
	exit_with(REASON_EXCEPTION, 0);
	assert_true(v->nmi_blocked);
	v->nmi_blocked = false;
	/* in the delivery of an event the bit means nothing */
	with(VMCS_VECTORING, 0x80000031);
	exit_with(REASON_EPT_VIOLATION, EPT_ACCESS_READ | BIT(12));
	assert_false(v->nmi_blocked);
	run();
	/* nor has another exit one */
	exit_with(REASON_IO, BIT(12));
	assert_false(v->nmi_blocked);
}

/* ---- exits ---- */

static void test_frequent_exits(void **state)
{
	(void)state;
	with(VMCS_EXIT_INSN_LEN, 3);
	exit_with(REASON_IO, 0x3f80008);
	assert_int_equal(e.kind, EXIT_IO);
	assert_int_equal(e.io.port, 0x3f8);
	assert_int_equal(e.io.flags, IO_IN);
	assert_int_equal(e.insn_len, 3);
	for (unsigned write = 0; write < 2; write++) {
		with(VMCS_EXIT_INSN_LEN, 2);
		exit_with(write ? REASON_WRMSR : REASON_RDMSR, 0);
		assert_int_equal(e.kind, EXIT_MSR);
		assert_int_equal(e.msr.write, write);
		assert_int_equal(e.insn_len, 2);
	}
	with(VMCS_EXIT_INSN_LEN, 4);
	exit_with(REASON_CPUID, 0);
	assert_int_equal(e.kind, EXIT_CPUID);
	assert_int_equal(e.insn_len, 4);
	with(VMCS_EXIT_INSN_LEN, 3);
	exit_with(REASON_VMCALL, 0);
	assert_int_equal(e.kind, EXIT_HYPERCALL);
	assert_false(e.hypercall.vmmcall);
	assert_int_equal(e.insn_len, 3);
}

static void test_other_exits(void **state)
{
	(void)state;
	with(VMCS_GUEST_PHYSICAL, 0xfee00020);
	exit_with(REASON_EPT_VIOLATION, EPT_ACCESS_WRITE | BIT(7) | BIT(8));
	assert_int_equal(e.kind, EXIT_MEMORY);
	assert_int_equal(e.memory.gpa.v, 0xfee00020);
	assert_int_equal(e.memory.access, ACCESS_WRITE);
	assert_int_equal(e.insn_len, 0); /* to be fetched */
	assert_int_equal(e.code.rip, v->rip);
	assert_int_equal(e.code.efer, EFER_LME | EFER_LMA);
	assert_int_equal(e.code.phys_bits, 39);
	assert_int_equal(e.raw_code, REASON_EPT_VIOLATION);
	with(VMCS_EXIT_INSN_LEN, 3);
	exit_with(REASON_CR, 4 | 3 << 8);
	assert_int_equal(e.kind, EXIT_CONTROL_REG);
	assert_int_equal(e.control.cr, 4);
	assert_int_equal(e.control.gpr, GPR_RBX);
	assert_int_equal(e.insn_len, 3);
	exit_with(REASON_RDPMC, 0);
	assert_int_equal(e.kind, EXIT_REFUSED);
	assert_true(e.refused.protection);
	exit_with(REASON_VMCLEAR, 0);
	assert_int_equal(e.kind, EXIT_REFUSED);
	assert_false(e.refused.protection);
	with(VMCS_EXIT_INSN_LEN, 1);
	exit_with(REASON_HLT, 0);
	assert_int_equal(e.kind, EXIT_HALT);
	assert_int_equal(e.insn_len, 1);
	exit_with(REASON_TRIPLE_FAULT, 0);
	assert_int_equal(e.kind, EXIT_SHUTDOWN);
	/* the processor says where to, by what, and of an event from outside no length */
	with(VMCS_EXIT_INSN_LEN, 7);
	memset(&e, 0x5a, sizeof(e));
	exit_with(REASON_TASK_SWITCH, 0x80000028);
	assert_int_equal(e.kind, EXIT_TASK_SWITCH);
	assert_int_equal(e.task_switch.selector, 0x28);
	assert_int_equal(e.task_switch.source, TASK_SWITCH_JMP);
	assert_int_equal(e.insn_len, 7);
	assert_int_equal(e.interrupted.kind, EVENT_NONE);
	assert_false(e.interrupted.has_error);
	with(VMCS_VECTORING, 0x80000490); /* INT n */
	with(VMCS_EXIT_INSN_LEN, 7);
	exit_with(REASON_TASK_SWITCH, 0xc0000028);
	assert_int_equal(e.task_switch.source, TASK_SWITCH_GATE);
	assert_int_equal(e.insn_len, 7);
	assert_int_equal(e.interrupted.kind, EVENT_NONE);
	with(VMCS_VECTORING, 0x80000b0d);
	with(VMCS_EXIT_INSN_LEN, 7);
	with(VMCS_VECTORING_ERROR, 0x18);
	exit_with(REASON_TASK_SWITCH, 0xc0000028);
	assert_int_equal(e.insn_len, 0);
	assert_int_equal(e.interrupted.kind, EVENT_EXCEPTION);
	assert_int_equal(e.interrupted.error, 0x18);
	v->inject.kind = EVENT_NONE;
	exit_with(46, 0); /* descriptor tables: not asked for */
	assert_int_equal(e.kind, EXIT_UNKNOWN);
	assert_int_equal(e.raw_code, 46);
}

static void test_exceptions(void **state)
{
	uint64_t rip;

	(void)state;
	with(VMCS_EXIT_EVENT, 0x80000301);
	rip = v->rip;
	exit_with(REASON_EXCEPTION, BIT(14) | 1);
	assert_int_equal(e.kind, EXIT_EXCEPTION);
	assert_int_equal(e.exception.vector, VEC_DB);
	assert_int_equal(e.exception.payload, BIT(14) | 1);
	assert_int_equal(v->rip, rip);
	/* INT1 is a trap: RIP goes behind it */
	with(VMCS_EXIT_EVENT, 0x80000501);
	with(VMCS_EXIT_INSN_LEN, 1);
	exit_with(REASON_EXCEPTION, 0);
	assert_int_equal(e.exception.vector, VEC_DB);
	assert_int_equal(v->rip, rip + 1);
	run();
	assert_int_equal(at_entry(VMCS_GUEST_RIP), rip + 1);
	with(VMCS_EXIT_EVENT, 0x80000b11);
	with(VMCS_EXIT_EVENT_ERROR, 0);
	exit_with(REASON_EXCEPTION, 0);
	assert_int_equal(e.exception.vector, VEC_AC);
	assert_true(e.exception.has_error);
	with(VMCS_EXIT_EVENT, 0x80000312);
	exit_with(REASON_EXCEPTION, 0);
	assert_int_equal(e.kind, EXIT_MACHINE_CHECK);
	/* the host's NMI is handled at once */
	assert_int_equal(processor_core()->nmis, 0);
	with(VMCS_EXIT_EVENT, 0x80000202);
	exit_with(REASON_EXCEPTION, 0);
	assert_int_equal(e.kind, EXIT_HOST_EVENT);
	assert_int_equal(processor_core()->nmis, 1);
}

/* The processor enters a guest that steps, in the shadow of STI or MOV SS, with a trap pending
 * only. */
static void test_debug_exception_in_a_shadow(void **state)
{
	(void)state;
	with(VMCS_EXIT_EVENT, 0x80000301);
	with(VMCS_GUEST_RFLAGS, RFLAGS_ONE | RFLAGS_TF);
	with(VMCS_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS);
	with(VMCS_PENDING_DEBUG, 0);
	exit_with(REASON_EXCEPTION, BIT(14));
	run();
	assert_int_equal(at_entry(VMCS_PENDING_DEBUG), PENDING_DEBUG_BS);
	/* INT1 is behind: so is the shadow */
	with(VMCS_EXIT_EVENT, 0x80000501);
	with(VMCS_GUEST_RFLAGS, RFLAGS_ONE | RFLAGS_TF);
	with(VMCS_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS);
	with(VMCS_EXIT_INSN_LEN, 1);
	exit_with(REASON_EXCEPTION, 0);
	assert_false(v->irq_blocked);
	run();
	assert_int_equal(at_entry(VMCS_INTERRUPTIBILITY), 0);
}

static void test_failed_entries(void **state)
{
	(void)state;
	fate = ENTRY_NOT_TAKEN;
	v->gpr[GPR_RSP] = 0x1234;
	v->rip = 0x5678;
	run();
	assert_int_equal(e.kind, EXIT_ENTRY_FAILED);
	assert_int_equal(e.raw_code, 0);
	assert_int_equal(e.raw_info1, 7); /* the instruction's error */
	assert_int_equal(v->gpr[GPR_RSP], 0x1234);
	assert_int_equal(v->rip, 0x5678);
	assert_false(v->launched);
	fate = ENTRY_REFUSED;
	run();
	assert_int_equal(e.kind, EXIT_ENTRY_FAILED);
	assert_int_equal(e.raw_code, 0x80000021);
	assert_int_equal(e.raw_info1, 3);
	assert_false(v->launched);
	assert_int_equal(v->rip, 0x5678);
	fate = ENTRY_WORKS;
	run(); /* it is launched then, not resumed */
	assert_true(v->launched);
}

/* What was written for an entry that failed is not taken for what the guest left. */
static void test_after_failure(void **state)
{
	const uint64_t rsp = v->gpr[GPR_RSP], rflags = v->rflags;

	(void)state;
	run();
	fate = ENTRY_REFUSED;
	v->gpr[GPR_RSP] = 0x1234;
	v->rflags |= RFLAGS_ZF;
	run();
	fate = ENTRY_WORKS;
	v->gpr[GPR_RSP] = rsp;
	v->rflags = rflags;
	run();
}

/* Nor does an event of it come to a guest that begins again with another state. */
static void test_event_after_failure(void **state)
{
	(void)state;
	run();
	fate = ENTRY_REFUSED;
	v->inject = (struct vcpu_event){.kind = EVENT_INTERRUPT, .vector = 0x31};
	run();
	fate = ENTRY_WORKS;
	in_long_mode(v);
	run();
	assert_false(at_entry(VMCS_ENTRY_EVENT) & EVENT_VALID);
}

/* ---- whose translations are whose ---- */

static void flush_linear(struct hv_vcpu *who)
{
	who->flush_wanted = true;
	epochs.linear[who - vcpus]++;
}

/* The second level changed: all vCPUs are asked. */
static void flush_second(void)
{
	epochs.second++;
	for (unsigned i = 0; i < VCPUS; i++)
		vcpus[i].flush_wanted = true;
}

static void test_flush(void **state)
{
	uint64_t tag;

	(void)state;
	run();
	tag = at_entry(VMCS_VPID);
	run();
	assert_int_equal(at_entry(VMCS_VPID), tag); /* kept while nothing changes */
	for (unsigned i = 0; i < 5; i++) {
		unsigned before = cores[0].invepts;

		flush_linear(v);
		if (i & 1)
			flush_second();
		run();
		assert_int_equal(cores[0].invepts, before + 1);
		assert_int_not_equal(at_entry(VMCS_VPID), tag);
		tag = at_entry(VMCS_VPID);
		run();
		assert_int_equal(at_entry(VMCS_VPID), tag);
		assert_int_equal(cores[0].invepts, before + 1);
	}
	assert_int_equal(cores[0].invvpids, 1); /* when VMX was switched on */
}

/* After the last tag all are dropped, once. */
static void test_wrap(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct vmx_cpu *c = vmx_cpu_of(cpu_pages[0].va);
		uint64_t generation = c->vpids.generation;

		c->vpids.next = CPU_VPIDS - 1;
		flush_linear(v);
		run();
		assert_int_equal(at_entry(VMCS_VPID), CPU_VPIDS - 1);
		assert_int_equal(cores[0].invvpids, 1 + i);
		flush_linear(v);
		run();
		assert_int_equal(at_entry(VMCS_VPID), 1);
		assert_int_equal(cores[0].invvpids, 2 + i);
		assert_int_equal(c->vpids.generation, generation + 1);
		run();
		assert_int_equal(cores[0].invvpids, 2 + i);
		vmx_ops.vcpu_put(v);
		/* one that had a tag of the generation before takes a new one */
		load(&vcpus[1], 0);
		vmx_ops.run(&vcpus[1], &e);
		assert_int_equal(at_entry(VMCS_VPID), 2);
		vmx_ops.vcpu_put(&vcpus[1]);
		load(v, 0);
	}
}

static void test_other_core(void **state)
{
	unsigned invepts;

	(void)state;
	run();
	run();
	invepts = cores[0].invepts;
	vmx_ops.vcpu_put(v);
	assert_null(v->cpu_pages);
	load(v, 0); /* the same again: all is kept */
	run();
	assert_false(was_written(VMCS_VPID));
	assert_int_equal(cores[0].invepts, invepts);
	vmx_ops.vcpu_put(v);
	load(v, 1);
	run(); /* the processor compares the host's fields */
	flush_linear(v);
	flush_second();
	run();
	vmx_ops.vcpu_put(v);
	load(v, 0); /* what this core kept is old by now */
	run();
	assert_int_equal(cores[0].invepts, invepts + 1);
}

/* Many vCPUs on two cores with few tags each: the processor finds what is stale. */
static void many(void)
{
	unsigned where[VCPUS] = {0};

	vmx_ops.vcpu_put(v);
	for (unsigned i = 0; i < CPU_CORES; i++) {
		struct vmx_cpu *c = vmx_cpu_of(cpu_pages[i].va);

		c->vpids.count = 4; /* tags 1 to 3 */
		c->vpids.next = 1;
	}
	for (unsigned i = 0; i < VCPUS; i++)
		vcpus[i].tag_generation = 0;
	for (unsigned i = 0; i < 3000; i++) {
		unsigned n = (unsigned)below(VCPUS);
		struct hv_vcpu *who = &vcpus[n];

		if (below(10) == 0)
			where[n] ^= 1;
		if (below(50) == 0) {
			vmx_ops.vcpu_init(who); /* the guest is reset */
			epochs.linear[n]++;
		}
		if (below(100) == 0)
			flush_second();
		load(who, where[n]);
		for (unsigned k = (unsigned)below(4); k > 0; k--) {
			struct hv_vcpu want;

			if (below(10) == 0)
				flush_linear(who);
			who->window_wanted = below(2);
			who->nmi_window_wanted = below(2);
			who->window_class = (uint8_t)(1 + below(16));
			who->cr8 = (uint8_t)below(16);
			if (below(10) == 0) {
				who->tsc_offset++;
				who->tsc_changed = true;
			}
			if (below(4) == 0)
				who->inject = (struct vcpu_event){
					.kind = EVENT_EXCEPTION,
					.vector = below(2) ? VEC_UD : VEC_DB,
					.payload = below(16),
				};
			want = *who;
			vmx_ops.run(who, &e);
			check_wanted(&want);
			assert_int_equal(e.kind, EXIT_HOST_EVENT);
		}
		vmx_ops.vcpu_put(who);
	}
	assert_true(entries > 3000);
}

static void test_many(void **state)
{
	(void)state;
	many();
	assert_true(cores[0].invvpids > 50 && cores[1].invvpids > 50);
}

/* Then each entry drops the linear translations itself. */
static void test_without_vpids(void **state)
{
	(void)state;
	assert_false(vmx_controls.vpid);
	many();
	assert_int_equal(cores[0].invvpids, 0);
}

/* ---- switching VMX on and off ---- */

static void leave_firmware_open(void)
{
	for (unsigned i = 0; i < CPU_CORES; i++)
		*processor_msr(&cores[i], MSR_FEATURE_CONTROL) = 0x10000;
}

static void test_on_and_off(void **state)
{
	struct reason why = {""};

	(void)state;
	fixture_start(leave_firmware_open); /* switched on, and locked so */
	assert_int_equal(rdmsr(MSR_FEATURE_CONTROL), 0x10005);
	assert_true(cores[0].on && cores[1].on);
	vmx_ops.cpu_off(cpu_pages[0]);
	assert_false(cores[0].on);
	assert_false(cores[0].cr4 & CR4_VMXE);
	/* another revision than the one asked for: as a processor that refuses */
	vmx_controls.revision++;
	assert_int_equal(vmx_ops.cpu_on(cpu_pages[0], 0, &why), ERR_UNSUPPORTED);
	assert_non_null(strstr(why.text, "VMXON"));
	assert_false(cores[0].cr4 & CR4_VMXE);
	vmx_controls.revision--;
	assert_int_equal(vmx_ops.cpu_on(cpu_pages[0], 0, &why), 0);
	vmx_ops.cpu_off(cpu_pages[0]);
	/* registers that VMX does not allow */
	cores[0].cr0 &= ~CR0_NE;
	assert_int_equal(vmx_ops.cpu_on(cpu_pages[0], 0, &why), ERR_UNSUPPORTED);
	assert_non_null(strstr(why.text, "CR0"));
	cores[0].cr0 |= CR0_NE;
	cores[0].cr4 |= BIT(30);
	assert_int_equal(vmx_ops.cpu_on(cpu_pages[0], 0, &why), ERR_UNSUPPORTED);
	assert_non_null(strstr(why.text, "CR4"));
	assert_false(cores[0].on);
}

static void test_probe(void **state)
{
	struct cpu_features f = fixture_features;
	struct hv_caps caps;
	struct reason why = {""};

	(void)state;
	processor_reset();
	assert_int_equal(vmx_ops.probe(&f, 0, &caps, &why), 0);
	assert_int_equal(caps.asids, 65536);
	assert_true(caps.huge_pages && caps.insn_len && caps.keeps_pdptes && caps.nmi_window);
	assert_int_equal(vmx_controls.linear_bits, 48);
	assert_int_equal(vmx_controls.phys_bits, 39);
	/* the old capabilities, where there are no others, demand exits that are not wanted */
	*processor_msr(&cores[0], MSR_VMX_BASIC) &= ~BIT(55);
	*processor_msr(&cores[0], MSR_VMX_PIN) = 0x7f00000016;
	*processor_msr(&cores[0], MSR_VMX_PRIMARY) = 0xfff9fffe0401e172;
	*processor_msr(&cores[0], MSR_VMX_EXIT) = 0x01ffffff00036dff;
	*processor_msr(&cores[0], MSR_VMX_ENTRY) = 0x0003ffff000011ff;
	assert_int_equal(vmx_ops.probe(&f, 0, &caps, &why), ERR_UNSUPPORTED);
	assert_non_null(strstr(why.text, "CR3-load exiting"));
	f.virt_intel = false;
	assert_int_equal(vmx_ops.probe(&f, 1, &caps, &why), ERR_UNSUPPORTED);
	assert_non_null(strstr(why.text, "CPU 1 has no Intel VMX"));
	/* what a later core has does not change what the boot CPU does */
	processor_reset();
	take_vpids_away();
	f.virt_intel = true;
	vmx_controls.vpid = true;
	assert_int_equal(vmx_ops.probe(&f, 1, &caps, &why), 0);
	assert_int_equal(caps.asids, 1);
	assert_true(vmx_controls.vpid);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_registers),
		TEST(test_writes),
		TEST(test_tsc_offset),
		TEST(test_controls),
		TEST(test_injection),
		TEST(test_page_fault),
		TEST(test_debug_exception),
		TEST(test_nmi),
		TEST(test_nmi_again),
		TEST(test_interrupted),
		TEST(test_windows),
		TEST(test_tpr_exit),
		TEST(test_blocking),
		TEST(test_nmi_unblocking),
		TEST(test_frequent_exits),
		TEST(test_other_exits),
		TEST(test_exceptions),
		TEST(test_debug_exception_in_a_shadow),
		TEST(test_failed_entries),
		TEST(test_after_failure),
		TEST(test_event_after_failure),
		TEST(test_flush),
		TEST(test_wrap),
		TEST(test_other_core),
		TEST(test_many),
		cmocka_unit_test_setup_teardown(test_without_vpids, setup_without_vpids,
						fixture_teardown),
		cmocka_unit_test_teardown(test_on_and_off, fixture_teardown),
		cmocka_unit_test(test_probe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
