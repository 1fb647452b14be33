/*
 * Entering a guest by SVM, with a processor that is played here: svm_enter() checks what VMRUN
 * would check, keeps a TLB by address-space identifier and the parts of control blocks that clean
 * bits let a processor keep, and fails when it is left to use what is not true any more.
 */
#include "tests/unit/svm_fixture.h"

extern const struct hv_ops svm_ops; /* as arch/x86/hv.c knows it */

#define CORES 2
#define VCPUS 5
#define ASIDS 4 /* 1 to 3 can be used */

/* ---- the machine ---- */

static struct core {
	struct hv_pages pages;
	struct tlb_tag {
		const struct hv_vcpu *owner; /* whose translations are cached; NULL: none */
		unsigned epoch;
	} tlb[ASIDS];
	struct vmcb *kept[VCPUS]; /* control blocks as this core left them last; NULL: never here */
	unsigned flushes;
} cores[CORES];

static struct hv_vm vm;
static struct hv_vcpu vcpus[VCPUS];
static unsigned epoch[VCPUS]; /* raised when the vCPU's translations become stale */
static unsigned current;      /* core */

static struct hv_vcpu *const v = &vcpus[0];
static struct vmcb *b; /* of v */

static struct vmcb entered; /* as VMRUN found it */
static unsigned entries;
static void (*guest)(struct hv_vcpu *, struct vmcb *); /* plays the guest until the exit */

int svm_probe(const struct cpu_features *f, uint32_t cpu, struct hv_caps *caps, struct reason *why)
{
	(void)f;
	(void)cpu;
	(void)caps;
	return refuse(why, ERR_UNSUPPORTED, "not here");
}

int svm_cpu_on(struct hv_pages pages, uint32_t cpu, struct reason *why)
{
	(void)pages;
	(void)cpu;
	return refuse(why, ERR_UNSUPPORTED, "not here");
}

void svm_cpu_off(struct hv_pages pages)
{
	(void)pages;
}

#define SAME(field) (memcmp(&x->field, &y->field, sizeof(x->field)) == 0)

/* The clean bits whose fields are the same in both blocks ("VMCB Clean Field"). */
static uint32_t unchanged(const struct vmcb *x, const struct vmcb *y)
{
	uint32_t bits = 0;

	if (SAME(intercept_cr_read) && SAME(intercept_cr_write) && SAME(intercept_dr_read) &&
	    SAME(intercept_dr_write) && SAME(intercept_exceptions) && SAME(intercept1) &&
	    SAME(intercept2) && SAME(intercept3) && SAME(pause_filter_threshold) &&
	    SAME(pause_filter_count) && SAME(tsc_offset))
		bits |= 1 << 0;
	if (SAME(iopm_base) && SAME(msrpm_base))
		bits |= 1 << 1;
	if (SAME(asid))
		bits |= 1 << 2;
	if (SAME(int_ctl))
		bits |= 1 << 3;
	if (SAME(np_enable) && SAME(n_cr3) && SAME(g_pat))
		bits |= 1 << 4;
	if (SAME(cr0) && SAME(cr3) && SAME(cr4) && SAME(efer))
		bits |= 1 << 5;
	if (SAME(dr6) && SAME(dr7))
		bits |= 1 << 6;
	if (SAME(gdtr) && SAME(idtr))
		bits |= 1 << 7;
	if (SAME(seg) && SAME(cpl))
		bits |= 1 << 8;
	if (SAME(cr2))
		bits |= 1 << 9;
	return bits;
}

static void check_legal(const struct vmcb *m)
{
	assert_true(m->efer & EFER_SVME);
	assert_true((m->cr0 & CR0_CD) || !(m->cr0 & CR0_NW));
	assert_true(m->intercept2 & BIT32(0)); /* VMRUN */
	assert_true(m->asid >= 1 && m->asid < ASIDS);
	assert_int_equal(m->np_enable, 1);
	assert_int_equal(m->n_cr3, vm.slpt_root.v);
	assert_int_equal(m->iopm_base, vm.pages.pa.v);
	assert_int_equal(m->msrpm_base, vm.pages.pa.v + 3 * PAGE_SIZE);
	assert_true(m->int_ctl & BIT(24)); /* the host's IF is not the guest's */
	assert_int_equal(m->int_ctl & ~(0xfull | BIT(8) | 0xfull << 16 | BIT(20) | BIT(24)), 0);
	assert_int_equal(m->intercept1 & 0xf, 0xf); /* INTR, NMI, SMI, INIT */
	assert_true(m->tlb_control == 0 || m->tlb_control == 1);
	assert_int_equal(m->event_inj & ~0xffffffff80000fffull, 0);
	assert_int_equal(m->clean & ~0x3ffu, 0);
}

/* What the vCPU wants is what the processor is told, whatever was kept from before. */
static void check_wanted(const struct hv_vcpu *who, const struct vmcb *m)
{
	assert_int_equal(m->rax, who->gpr[GPR_RAX]);
	assert_int_equal(m->rsp, who->gpr[GPR_RSP]);
	assert_int_equal(m->rip, who->rip);
	assert_int_equal(m->rflags, who->rflags);
	assert_int_equal(m->int_state, who->irq_blocked);
	assert_int_equal(m->tsc_offset, who->tsc_offset);
	assert_int_equal(m->int_ctl & 0xff, who->cr8);
	assert_int_equal(!!(m->int_ctl & BIT(8)),
			 who->window_wanted && who->cr8 < who->window_class);
	assert_int_equal(!!(m->intercept1 & BIT32(4)),
			 who->window_wanted && who->cr8 < who->window_class);
	assert_int_equal(!!(m->intercept_cr_write & BIT32(8)), who->window_wanted);
	assert_int_equal(!!(m->intercept1 & BIT32(20)), who->nmi_blocked);
	assert_false(who->flush_wanted);
	assert_int_equal(who->inject.kind, EVENT_NONE);
}

static void use_tlb(struct core *c, const struct hv_vcpu *who, const struct vmcb *m)
{
	struct tlb_tag *tag = &c->tlb[m->asid];

	if (m->tlb_control == 1) {
		memset(c->tlb, 0, sizeof(c->tlb));
		c->flushes++;
	}
	/* nobody else's translations, and none from before they became stale */
	if (tag->owner) {
		assert_ptr_equal(tag->owner, who);
		assert_int_equal(tag->epoch, epoch[who - vcpus]);
	}
	*tag = (struct tlb_tag){who, epoch[who - vcpus]};
}

static void svm_enter(struct hv_vcpu *who, uint64_t vmcb_pa, uint64_t host_vmcb_pa)
{
	struct core *c = &cores[current];
	struct vmcb *m = svm_vmcb(who);
	struct vmcb **kept = &c->kept[who - vcpus];

	assert_int_equal(vmcb_pa, who->pages.pa.v);
	assert_int_equal(host_vmcb_pa, c->pages.pa.v + PAGE_SIZE);
	check_legal(m);
	check_wanted(who, m);
	use_tlb(c, who, m);
	if (*kept)
		assert_int_equal(m->clean & ~unchanged(m, *kept), 0);
	else
		assert_int_equal(m->clean, 0);
	entered = *m;
	entries++;

	m->exit_code = VMEXIT_INTR;
	m->exit_info1 = 0;
	m->exit_info2 = 0;
	m->exit_int_info = 0;
	m->next_rip = 0;
	if (guest)
		guest(who, m);
	if (!*kept)
		*kept = pages_alloc(1);
	**kept = *m;
}

/* What switch.S does around the world switch. */
void svm_run(struct hv_vcpu *who, struct vm_exit *exit)
{
	uint64_t host_vmcb_pa = svm_before_entry(who);

	svm_enter(who, who->pages.pa.v, host_vmcb_pa);
	svm_after_exit(who, exit);
}

static void load(struct hv_vcpu *who, unsigned core)
{
	current = core;
	svm_ops.vcpu_load(who, cores[core].pages, core);
}

static struct vm_exit run(void)
{
	struct vm_exit exit;

	memset(&exit, 0x5a, sizeof(exit));
	svm_ops.run(v, &exit);
	return exit;
}

static int setup(void **state)
{
	(void)state;
	fixture_vm(&vm, 0x200000);
	svm_ops.vm_init(&vm);
	for (unsigned i = 0; i < VCPUS; i++) {
		fixture_vcpu(&vcpus[i], &vm, 0x300000 + i * PAGE_SIZE);
		svm_ops.vcpu_init(&vcpus[i]);
		epoch[i] = 0;
	}
	b = svm_vmcb(v);
	b->cr0 |= CR0_PE; /* with error codes */
	for (unsigned i = 0; i < CORES; i++) {
		struct svm_cpu *c;

		cores[i] = (struct core){
			.pages = {pages_alloc(SVM_CPU_PAGES), HPA(0x400000 + i * 0x10000)}};
		c = svm_cpu_of(cores[i].pages.va);
		c->host_vmcb_pa = cores[i].pages.pa.v + SVM_CPU_HOST_VMCB_PAGE * PAGE_SIZE;
		c->flush_all = true;
		tag_pool_init(&c->asids, ASIDS);
	}
	guest = NULL;
	entries = 0;
	load(v, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(vm.pages.va);
	for (unsigned i = 0; i < VCPUS; i++)
		free(vcpus[i].pages.va);
	for (unsigned i = 0; i < CORES; i++) {
		free(cores[i].pages.va);
		for (unsigned k = 0; k < VCPUS; k++)
			free(cores[i].kept[k]);
	}
	return 0;
}

/* ---- power-on ---- */

static void test_reset_values(void **state)
{
	struct vcpu_state s;

	(void)state;
	/* whatever it did before */
	memset(b, 0xff, sizeof(*b));
	memset(v->gpr, 0xff, sizeof(v->gpr));
	v->window_wanted = true;
	v->inject.kind = EVENT_NMI;
	v->nmi_blocked = true;
	v->irq_blocked = true;
	v->cr8 = 9;
	svm_ops.vcpu_init(v);
	assert_int_equal(v->inject.kind, EVENT_NONE);
	assert_false(v->window_wanted);
	svm_ops.get_state(v, &s);
	assert_int_equal(svm_ops.set_state(v, &s, NULL), 0);
	/* AMD64 Architecture Programmer's Manual, volume 2, "Processor Initialization State" */
	assert_int_equal(s.cr0, 0x60000010);
	assert_int_equal(s.cr2 | s.cr3 | s.cr4 | s.cr8 | s.efer, 0);
	assert_int_equal(s.rflags, 2);
	assert_int_equal(s.rip, 0xfff0);
	assert_int_equal(s.dr6, 0xffff0ff0);
	assert_int_equal(s.dr7, 0x400);
	assert_int_equal(s.pat, 0x0007040600070406);
	for (unsigned i = 0; i < SEG_COUNT; i++) {
		assert_int_equal(s.seg[i].selector, i == SEG_CS ? 0xf000 : 0);
		assert_int_equal(s.seg[i].base, i == SEG_CS ? 0xffff0000 : 0);
		assert_int_equal(s.seg[i].limit, 0xffff);
	}
	assert_int_equal(s.seg[SEG_CS].attr, 0x9b);
	assert_int_equal(s.seg[SEG_SS].attr, 0x93);
	assert_int_equal(s.seg[SEG_LDTR].attr, 0x82);
	assert_int_equal(s.seg[SEG_TR].attr, 0x8b);
	assert_int_equal(s.gdtr.base | s.idtr.base, 0);
	assert_int_equal(s.gdtr.limit, 0xffff);
	assert_int_equal(s.idtr.limit, 0xffff);
	assert_int_equal(s.star | s.lstar | s.cstar | s.sfmask | s.kernel_gs_base, 0);
	assert_int_equal(s.sysenter_cs | s.sysenter_esp | s.sysenter_eip, 0);
	assert_int_equal(s.cpl, 0);
	assert_false(s.irq_blocked || s.nmi_blocked);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		assert_int_equal(s.gpr[i], 0);
	load(v, 0);
	run();
	assert_int_equal(entered.event_inj, 0);
	assert_int_equal(entered.int_state, 0);
}

/* ---- registers ---- */

static void change_registers(struct hv_vcpu *who, struct vmcb *m)
{
	m->rax = 0xa1;
	m->rsp = 0xa2;
	m->rip = 0xa3;
	m->rflags = 0xa6;
	m->int_state = 1;
	m->int_ctl = (m->int_ctl & ~0xffull) | 7;
	who->gpr[GPR_RCX] = 0xc0000080;
	m->exit_code = VMEXIT_MSR;
	m->exit_info1 = 1;
	m->next_rip = 0xa5;
}

static void test_registers(void **state)
{
	struct vm_exit exit;

	(void)state;
	v->gpr[GPR_RAX] = 1;
	v->gpr[GPR_RSP] = 2;
	v->rip = 3;
	v->rflags = RFLAGS_ONE | RFLAGS_IF;
	v->irq_blocked = true;
	v->cr8 = 5;
	v->tsc_offset = 0x123456789;
	v->tsc_changed = true;
	guest = change_registers;
	exit = run();
	assert_int_equal(entered.rax, 1);
	assert_int_equal(entered.rsp, 2);
	assert_int_equal(entered.rip, 3);
	assert_int_equal(entered.rflags, RFLAGS_ONE | RFLAGS_IF);
	assert_int_equal(entered.int_state, 1);
	assert_int_equal(entered.int_ctl & 0xff, 5);
	assert_int_equal(entered.tsc_offset, 0x123456789);
	assert_int_equal(v->gpr[GPR_RAX], 0xa1);
	assert_int_equal(v->gpr[GPR_RSP], 0xa2);
	assert_int_equal(v->rip, 0xa3);
	assert_int_equal(v->rflags, 0xa6);
	assert_true(v->irq_blocked);
	assert_int_equal(v->cr8, 7);
	assert_int_equal(exit.kind, EXIT_MSR);
	assert_true(exit.msr.write);
	assert_int_equal(exit.insn_len, 2);
}

/* ---- intercepts ---- */

/* Whatever is intercepted has a kind of its own. Only a guest that stops in the old way of
 * reporting floating-point errors is left: no board of ours can wake it, so it ends. */
static void test_every_intercept_is_known(void **state)
{
	const struct {
		uint32_t mask;
		uint64_t first;
	} words[] = {
		{b->intercept_cr_read, 0x000},    {b->intercept_cr_write, 0x010},
		{b->intercept_dr_read, 0x020},    {b->intercept_dr_write, 0x030},
		{b->intercept_exceptions, 0x040}, {b->intercept1, 0x060},
		{b->intercept2, 0x080},           {b->intercept3, 0x0a0},
	};
	unsigned known = 0;

	(void)state;
	for (unsigned w = 0; w < ARRAY_SIZE(words); w++) {
		for (unsigned bit = 0; bit < 32; bit++) {
			struct vmcb *m = svm_vmcb(&vcpus[1]);
			struct vm_exit exit;

			if (!(words[w].mask >> bit & 1))
				continue;
			m->exit_code = words[w].first + bit;
			svm_decode(m, &exit);
			if (m->exit_code != VMEXIT_FERR_FREEZE)
				assert_int_not_equal(exit.kind, EXIT_UNKNOWN);
			known++;
		}
	}
	assert_true(known > 25);
}

/* What the host cannot do without: a guest never gets at SVM, never stops the core, never shuts the
 * machine down. */
static void test_intercepts(void **state)
{
	(void)state;
	run();
	for (unsigned i = 0; i <= 6; i++) /* VMRUN, VMMCALL, VMLOAD, VMSAVE, STGI, CLGI, SKINIT */
		assert_true(entered.intercept2 >> i & 1);
	assert_true(entered.intercept1 & BIT32(31)); /* shutdown */
	assert_true(entered.intercept1 & BIT32(24)); /* HLT */
	assert_true(entered.intercept1 & BIT32(27)); /* ports */
	assert_true(entered.intercept1 & BIT32(28)); /* MSRs */
	assert_true(entered.intercept1 & BIT32(18)); /* CPUID */
	assert_true(entered.intercept1 & BIT32(26)); /* INVLPGA */
	assert_true(entered.intercept2 & BIT32(10)); /* MONITOR */
	assert_true(entered.intercept2 & BIT32(11)); /* MWAIT */
	assert_true(entered.intercept2 & BIT32(13)); /* XSETBV */
	assert_true(entered.intercept_cr_write & BIT32(4));
	assert_false(entered.intercept1 & (BIT32(4) | BIT32(20))); /* VINTR, IRET: on demand */
}

/* ---- clean bits ---- */

/* The bits that the next entry drops, of all ten. */
static uint32_t dropped(void)
{
	run();
	return 0x3ff & ~entered.clean;
}

static void test_clean_bits(void **state)
{
	(void)state;
	assert_int_equal(dropped(), 0x3ff); /* the first time everything is read */
	assert_int_equal(dropped(), 0);
	v->tsc_offset++;
	v->tsc_changed = true;
	assert_int_equal(dropped(), CLEAN_INTERCEPTS);
	assert_int_equal(dropped(), 0);
	v->cr8 = 3;
	assert_int_equal(dropped(), CLEAN_TPR);
	assert_int_equal(dropped(), 0);
	v->window_wanted = true;
	v->window_class = 16;
	assert_int_equal(dropped(), CLEAN_TPR | CLEAN_INTERCEPTS);
	assert_int_equal(dropped(), 0);
	v->window_wanted = false;
	assert_int_equal(dropped(), CLEAN_TPR | CLEAN_INTERCEPTS);
	v->flush_wanted = true;
	epoch[0]++;
	assert_int_equal(dropped(), CLEAN_ASID);
	assert_int_equal(dropped(), 0);
	svm_ops.set_cr(v, 3, 0x5000);
	assert_int_equal(dropped(), CLEAN_CR);
	svm_ops.set_cr(v, 2, 0x5000);
	assert_int_equal(dropped(), CLEAN_CR2);
	svm_ops.set_efer(v, EFER_NXE);
	assert_int_equal(dropped(), CLEAN_CR);
	v->inject = (struct vcpu_event){.kind = EVENT_INTERRUPT, .vector = 0x20};
	assert_int_equal(dropped(), 0);
	v->inject = (struct vcpu_event){
		.kind = EVENT_EXCEPTION, .vector = VEC_PF, .has_error = true, .payload = 0x6000};
	assert_int_equal(dropped(), CLEAN_CR2);
	v->inject = (struct vcpu_event){.kind = EVENT_EXCEPTION, .vector = VEC_DB, .payload = 1};
	assert_int_equal(dropped(), CLEAN_DR);
	v->inject = (struct vcpu_event){.kind = EVENT_NMI, .vector = VEC_NMI};
	assert_int_equal(dropped(), CLEAN_INTERCEPTS);
	assert_int_equal(dropped(), 0);
}

/* ---- the interrupt window ---- */

static void open_window(struct hv_vcpu *who, struct vmcb *m)
{
	(void)who;
	m->exit_code = VMEXIT_VINTR;
}

static void test_window(void **state)
{
	(void)state;
	v->cr8 = 15;
	run();
	assert_int_equal(entered.int_ctl, BIT(24) | 15);
	/* CR8 holds it back: its next write is the window */
	v->window_wanted = true;
	v->window_class = 15;
	run();
	assert_int_equal(entered.int_ctl, BIT(24) | 15);
	assert_true(entered.intercept_cr_write & BIT32(8));
	/* but for what CR8 never holds back */
	v->window_class = 16;
	guest = open_window;
	assert_int_equal(run().kind, EXIT_WINDOW);
	assert_int_equal(entered.int_ctl, BIT(24) | BIT(8) | 0xf0000 | BIT(20) | 15);
	assert_true(entered.intercept1 & BIT32(4));
	assert_int_equal(v->cr8, 15);
	v->window_wanted = false;
	guest = NULL;
	run();
	assert_int_equal(entered.int_ctl, BIT(24) | 15);
	assert_false(entered.intercept1 & BIT32(4));
}

/* ---- events ---- */

static uint64_t injected(struct vcpu_event e)
{
	uint64_t code;

	v->inject = e;
	run();
	code = entered.event_inj;
	assert_int_equal(v->inject.kind, EVENT_NONE);
	run(); /* delivered once */
	assert_int_equal(entered.event_inj, 0);
	return code;
}

static void test_injection(void **state)
{
	(void)state;
	assert_int_equal(injected((struct vcpu_event){.kind = EVENT_INTERRUPT, .vector = 0x31}),
			 0x80000031);
	assert_int_equal(injected((struct vcpu_event){.kind = EVENT_EXCEPTION, .vector = VEC_UD}),
			 0x80000306);
	assert_int_equal(injected((struct vcpu_event){.kind = EVENT_EXCEPTION,
						      .vector = VEC_GP,
						      .has_error = true,
						      .error = 0x18}),
			 0x1880000b0d);
	svm_set_cr(v, 0, b->cr0 & ~CR0_PE); /* real mode has none */
	assert_int_equal(injected((struct vcpu_event){.kind = EVENT_EXCEPTION,
						      .vector = VEC_GP,
						      .has_error = true,
						      .error = 0x18}),
			 0x8000030d);
	svm_set_cr(v, 0, b->cr0 | CR0_PE);
	b->cr2 = 0x1111;
	assert_int_equal(injected((struct vcpu_event){.kind = EVENT_EXCEPTION,
						      .vector = VEC_PF,
						      .has_error = true,
						      .error = 2,
						      .payload = 0x7fff0000}),
			 0x280000b0e);
	assert_int_equal(b->cr2, 0x7fff0000);
	b->dr6 = 0xffff0ff0;
	assert_int_equal(injected((struct vcpu_event){
				 .kind = EVENT_EXCEPTION, .vector = VEC_DB, .payload = BIT(14)}),
			 0x80000301);
	assert_int_equal(b->dr6, 0xffff4ff0);
	assert_int_equal(b->cr2, 0x7fff0000); /* only a page fault has an address */
}

static void fault_in_delivery(struct hv_vcpu *who, struct vmcb *m)
{
	(void)who;
	m->cr2 = 0x123000; /* the guest's own page fault was about to be delivered */
	m->exit_int_info = 0x280000b0e;
	m->exit_code = VMEXIT_NPF;
}

/* What was cut off is delivered again as it was. */
static void test_injection_again(void **state)
{
	struct vm_exit exit;

	(void)state;
	guest = fault_in_delivery;
	exit = run();
	assert_int_equal(exit.kind, EXIT_MEMORY);
	guest = NULL;
	run();
	assert_int_equal(entered.event_inj, 0x280000b0e);
	assert_int_equal(entered.cr2, 0x123000);
}

static void iret(struct hv_vcpu *who, struct vmcb *m)
{
	(void)who;
	m->exit_code = VMEXIT_IRET;
}

static void test_nmi(void **state)
{
	const struct vcpu_event nmi = {.kind = EVENT_NMI, .vector = VEC_NMI};
	struct vm_exit exit;

	(void)state;
	run();
	for (unsigned i = 0; i < 2; i++) { /* and a second one after the first */
		assert_false(v->nmi_blocked);
		assert_int_equal(injected(nmi), 0x80000202);
		assert_true(v->nmi_blocked);
		assert_true(entered.intercept1 & BIT32(20));
		/* other exits change nothing */
		guest = open_window;
		run();
		assert_true(v->nmi_blocked);
		guest = iret;
		exit = run();
		assert_int_equal(exit.kind, EXIT_WINDOW);
		assert_false(v->nmi_blocked);
		/* the IRET is still to come: nothing may be nested into its frame */
		assert_true(v->irq_blocked);
		guest = NULL;
		run();
		assert_int_equal(entered.int_state, 1);
		assert_false(entered.intercept1 & BIT32(20));
		v->irq_blocked = false;
	}
}

/* A guest that is taken over in its NMI handler leaves it like any other. */
static void test_nmi_by_state(void **state)
{
	struct vcpu_state s;

	(void)state;
	svm_ops.get_state(v, &s);
	s.nmi_blocked = true;
	assert_int_equal(svm_ops.set_state(v, &s, NULL), 0);
	guest = iret;
	run();
	assert_true(entered.intercept1 & BIT32(20));
	assert_false(v->nmi_blocked);
}

/* ---- whose translations are whose ---- */

static void test_flush(void **state)
{
	uint32_t asid;

	(void)state;
	run();
	assert_int_equal(entered.tlb_control, 1); /* what was there before us */
	asid = entered.asid;
	run();
	assert_int_equal(entered.asid, asid); /* kept while nothing changes */
	assert_int_equal(entered.tlb_control, 0);
	/* each request takes another identifier; after the last all is flushed once */
	for (unsigned i = 0; i < 20; i++) {
		unsigned before = cores[0].flushes;

		v->flush_wanted = true;
		epoch[0]++;
		run();
		assert_false(v->flush_wanted);
		assert_int_equal(cores[0].flushes - before, i % 3 == 2);
		run();
		assert_int_equal(entered.tlb_control, 0);
	}
}

static void test_other_core(void **state)
{
	(void)state;
	run();
	run();
	svm_ops.vcpu_put(v);
	assert_null(v->cpu_pages);
	load(v, 0); /* the same again: all is kept */
	assert_int_equal(dropped(), 0);
	svm_ops.vcpu_put(v);
	load(v, 1);
	assert_int_equal(dropped(), 0x3ff);
	svm_ops.vcpu_put(v);
	load(v, 0); /* what this core kept is old by now */
	assert_int_equal(dropped(), 0x3ff);
	assert_int_equal(dropped(), 0);
}

static void live(struct hv_vcpu *who, struct vmcb *m)
{
	(void)who;
	m->cr3 = random64() >> 12;
	m->cr2 = random64();
	m->rip = random64();
	m->dr6 = 0xffff0ff0 | below(16);
	m->seg[SEG_SS].selector = (uint16_t)random64();
	m->cpl = (uint8_t)below(4);
	m->int_ctl = (m->int_ctl & ~0xffull) | below(16);
	m->g_pat = random64();
}

/* Many vCPUs on two cores with three identifiers each: svm_enter() finds what is stale. */
static void test_many(void **state)
{
	unsigned where[VCPUS] = {0};

	(void)state;
	svm_ops.vcpu_put(v);
	guest = live;
	for (unsigned i = 0; i < 50000; i++) {
		unsigned n = (unsigned)below(VCPUS);
		struct hv_vcpu *who = &vcpus[n];
		struct vm_exit exit;

		if (below(20) == 0)
			where[n] ^= 1;
		if (below(50) == 0) {
			svm_ops.vcpu_init(who); /* the guest is reset */
			epoch[n]++;
		}
		load(who, where[n]);
		for (unsigned k = (unsigned)below(4); k > 0; k--) {
			if (below(10) == 0) {
				who->flush_wanted = true;
				epoch[n]++;
			}
			who->window_wanted = below(2);
			who->window_class = (uint8_t)below(17);
			if (below(10) == 0) {
				who->tsc_offset++;
				who->tsc_changed = true;
			}
			if (below(4) == 0)
				who->inject = (struct vcpu_event){
					.kind = (uint8_t)(EVENT_INTERRUPT + below(3)),
					.vector = below(2) ? VEC_PF : VEC_DB,
					.payload = below(16),
				};
			svm_ops.run(who, &exit);
			assert_int_equal(exit.kind, EXIT_HOST_EVENT);
		}
		svm_ops.vcpu_put(who);
	}
	assert_true(entries > 50000);
	assert_true(cores[0].flushes > 100 && cores[1].flushes > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reset_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_intercept_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(test_intercepts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clean_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_window, setup, teardown),
		cmocka_unit_test_setup_teardown(test_injection, setup, teardown),
		cmocka_unit_test_setup_teardown(test_injection_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nmi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nmi_by_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flush, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_core, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
