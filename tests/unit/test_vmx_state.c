/*
 * Whole-state get and set of the VMX back end, each refusal of it, the partial views, and which
 * VMCS is current meanwhile; on a processor that is played (vmx_processor.h).
 */
#include "tests/unit/vmx_fixture.h"

static int setup(void **state)
{
	(void)state;
	fixture_start(NULL);
	return 0;
}

/* A 64-bit guest's, which every check passes. */
static struct vcpu_state good(void)
{
	struct vcpu_state s;

	vcpu_state_at_reset(&s);
	s.rip = 0xffffffff81000000;
	s.rflags = RFLAGS_ONE | RFLAGS_IF;
	s.cr0 = CR0_PE | CR0_PG | CR0_NE | CR0_ET | CR0_WP;
	s.cr3 = 0x1000;
	s.cr4 = CR4_PAE;
	s.efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
	s.seg[SEG_CS] = (struct segment_state){0, 0xffffffff, 0x10, 0xa9b};
	s.seg[SEG_SS] = (struct segment_state){0, 0xffffffff, 0x18, 0xc93};
	return s;
}

static bool random_bool(void)
{
	return below(2);
}

static uint64_t canonical(void)
{
	return (uint64_t)((int64_t)random64() >> 17);
}

/* A limit, and the granularity that it needs. */
static struct segment_state random_segment(uint16_t type, unsigned dpl)
{
	bool pages = random_bool();
	uint32_t limit = (uint32_t)random64();

	return (struct segment_state){
		.base = (uint32_t)random64(),
		.limit = pages ? limit | 0xfff : limit & 0xfffff,
		.selector = (uint16_t)(random64() & ~4u),
		.attr = (uint16_t)(type | dpl << 5 | SEG_ATTR_P | (random64() & 0x500) |
				   (pages ? SEG_ATTR_G : 0)),
	};
}

static struct segment_state unusable(unsigned dpl)
{
	return (struct segment_state){
		.base = (uint32_t)random64(),
		.limit = (uint32_t)random64(),
		.selector = (uint16_t)(random64() & ~4u),
		.attr = (uint16_t)(dpl << 5 | (random64() & 0xf1f)),
	};
}

/* Real, protected, or long mode, with privilege levels 0 and 3. */
static void random_segments(struct vcpu_state *s, bool protected_mode, bool long_mode)
{
	unsigned cpl = protected_mode ? (unsigned)below(4) : 0;

	for (unsigned i = 0; i < SEG_COUNT; i++)
		s->seg[i] = random_bool() ? random_segment(0x13, (unsigned)below(4)) : unusable(0);
	s->seg[SEG_CS] = random_segment(0x1b, cpl);
	if (long_mode && random_bool())
		s->seg[SEG_CS].attr = (uint16_t)((s->seg[SEG_CS].attr & ~SEG_ATTR_DB) | SEG_ATTR_L);
	s->seg[SEG_SS] = random_bool() ? random_segment(0x13, cpl) : unusable(cpl);
	s->seg[SEG_FS].base = canonical();
	s->seg[SEG_GS].base = canonical();
	s->seg[SEG_LDTR] = random_bool() ? random_segment(2, 0) : unusable(0);
	s->seg[SEG_TR] = random_segment(0xb, 0);
	s->seg[SEG_TR].base = canonical();
	s->cpl = (uint8_t)cpl;
}

static struct vcpu_state random_state(void)
{
	struct vcpu_state s;
	bool protected_mode = random_bool(), long_mode = protected_mode && random_bool();

	memset(&s, 0, sizeof(s));
	for (unsigned i = 0; i < GPR_COUNT; i++)
		s.gpr[i] = random64();
	s.rflags = (random64() & 0x1d7fd5) | RFLAGS_ONE; /* without virtual-8086 mode */
	s.cr0 = (uint32_t)random64() & ~(CR0_PG | CR0_PE);
	s.cr2 = random64();
	s.cr3 = random64() >> 25 & ~0xfffull;
	s.cr4 = random64() & 0x7507ff & ~CR4_PAE;
	s.cr8 = below(16);
	s.efer = random64() & (EFER_SCE | EFER_NXE);
	if (protected_mode)
		s.cr0 |= CR0_PE;
	if (long_mode) {
		s.cr0 |= CR0_PG;
		s.cr4 |= CR4_PAE | (random64() & CR4_PCIDE);
		s.efer |= EFER_LME | EFER_LMA;
	}
	s.dr6 = (uint32_t)random64();
	s.dr7 = (uint32_t)random64();
	random_segments(&s, protected_mode, long_mode);
	s.rip = s.seg[SEG_CS].attr & SEG_ATTR_L ? canonical() : (uint32_t)random64();
	s.gdtr = (struct table_state){canonical(), (uint16_t)random64()};
	s.idtr = (struct table_state){canonical(), (uint16_t)random64()};
	s.star = random64();
	s.lstar = canonical();
	s.cstar = canonical();
	s.sfmask = (uint32_t)random64();
	s.kernel_gs_base = canonical();
	s.sysenter_cs = (uint32_t)random64();
	s.sysenter_esp = canonical();
	s.sysenter_eip = canonical();
	for (unsigned i = 0; i < 8; i++)
		s.pat |= (uint64_t) "\0\1\4\5\6\7"[below(6)] << (8 * i);
	s.irq_blocked = random_bool();
	s.nmi_blocked = random_bool();
	return s;
}

/* ---- whole states ---- */

static void set(const struct vcpu_state *s)
{
	struct reason why = {""};

	if (vmx_ops.set_state(v, s, &why))
		fail_msg("refused: %s", why.text);
}

static void assert_has(const struct vcpu_state *expected)
{
	struct vcpu_state s;

	memset(&s, 0x5a, sizeof(s));
	vmx_ops.get_state(v, &s);
	assert_state_equal(&s, expected);
}

/* On no core, on one, on both in turn: it is the same state. */
static void test_round_trip(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		struct vcpu_state in = random_state();
		struct vm_exit exit;

		v->flush_wanted = false;
		if (i & 1)
			load(v, 0);
		set(&in);
		assert_has(&in);
		assert_true(v->flush_wanted);
		if (!(i & 1))
			load(v, 0);
		assert_has(&in);
		if (!(in.cr0 & CR0_PG) || (in.efer & EFER_LMA)) {
			/* the entry passes the processor's checks */
			bool irqs = irq_save();

			vmx_ops.run(v, &exit);
			irq_restore(irqs);
			in.irq_blocked = false; /* for one instruction */
			assert_has(&in);
		}
		vmx_ops.vcpu_put(v);
		assert_has(&in);
		load(v, 1);
		assert_has(&in);
		vmx_ops.vcpu_put(v);
		current_core = 0;
	}
	assert_true(entries > 2500);
}

static void test_power_on(void **state)
{
	struct vcpu_state expected;

	(void)state;
	vcpu_state_at_reset(&expected);
	assert_has(&expected);
	load(v, 0);
	assert_has(&expected);
	for (unsigned i = 0; i < 3; i++) {
		/* whatever it did before */
		struct vcpu_state in = random_state();

		set(&in);
		v->window_wanted = true;
		v->inject.kind = EVENT_NMI;
		vmx_ops.vcpu_put(v);
		vmx_ops.vcpu_init(v);
		assert_int_equal(v->inject.kind, EVENT_NONE);
		assert_false(v->window_wanted);
		assert_has(&expected);
		load(v, 0);
	}
}

/* Bit 1 of RFLAGS is always set, whatever a file says. */
static void test_rflags(void **state)
{
	struct vcpu_state s = good();

	(void)state;
	s.rflags = 0;
	set(&s);
	s.rflags = RFLAGS_ONE;
	assert_has(&s);
}

/* ---- refusals ---- */

static struct vmcs before;

static void refused_here(const struct vcpu_state *s, const char *change)
{
	static uint8_t pages[VMX_VCPU_PAGES * PAGE_SIZE];
	struct hv_vcpu v_before = v[0];
	struct core *c = processor_core();
	struct vmcs *m = processor_vmcs(v->pages.pa.v);
	struct reason why = {""};
	struct vcpu_state was;

	vmx_ops.get_state(v, &was);
	memcpy(&before, m, sizeof(before));
	memcpy(pages, v->pages.va, sizeof(pages));
	if (vmx_ops.set_state(v, s, &why) != ERR_INVALID)
		fail_msg("not refused: %s", change);
	assert_true(strlen(why.text) > 10);
	/* all or nothing */
	assert_memory_equal(v, &v_before, sizeof(*v));
	assert_memory_equal(m, &before, sizeof(before));
	assert_memory_equal(v->pages.va, pages, sizeof(pages));
	assert_true(c->irqs);
	assert_has(&was);
	assert_int_equal(vmx_ops.set_state(v, s, NULL), ERR_INVALID);
}

static void refused(const struct vcpu_state *s, const char *change)
{
	refused_here(s, change);
	load(v, 0);
	refused_here(s, change);
	vmx_ops.vcpu_put(v);
}

#define REFUSED(change)                       \
	do {                                  \
		struct vcpu_state s = good(); \
                                              \
		change;                       \
		refused(&s, #change);         \
	} while (0)

#define ACCEPTED(change)                      \
	do {                                  \
		struct vcpu_state s = good(); \
                                              \
		change;                       \
		set(&s);                      \
	} while (0)

static void test_refused_registers(void **state)
{
	(void)state;
	ACCEPTED();
	REFUSED(s.cr0 &= ~CR0_PE);
	REFUSED(s.cr4 &= ~CR4_PAE);
	REFUSED(s.cr3 = BIT(39));
	ACCEPTED(s.cr3 = BIT(39) - PAGE_SIZE);
	REFUSED(s.efer |= EFER_SVME);
	REFUSED(s.efer |= EFER_FFXSR);
	REFUSED(s.efer &= ~EFER_LMA);
	REFUSED(s.efer &= ~EFER_LME);
	REFUSED(s.rflags |= RFLAGS_VM);
	REFUSED(s.rflags |= BIT(3));
	REFUSED(s.rip = BIT(48));
	REFUSED(s.cr8 = 16);
	REFUSED(s.cpl = 4);
	for (unsigned bit = 32; bit < 64; bit++) {
		REFUSED(s.cr0 |= BIT(bit));
		REFUSED(s.cr4 |= BIT(bit));
		REFUSED(s.dr7 |= BIT(bit));
	}
	for (unsigned i = 0; i < 8; i++)
		REFUSED(s.pat ^= (uint64_t)((s.pat >> (8 * i) & 0xff) ^ 2) << (8 * i));
	ACCEPTED(s.cr0 |= CR0_NW | CR0_CD); /* which an entry does not load */
}

/* What no field holds is loaded by instructions, and each of them faults in the host for a value
 * that it does not take. */
static void test_refused_msrs(void **state)
{
	(void)state;
	REFUSED(s.lstar = BIT(47));
	REFUSED(s.cstar = BIT(63));
	REFUSED(s.kernel_gs_base = 0xffff7fffffffffff);
	REFUSED(s.sfmask = BIT(32));
	REFUSED(s.dr6 |= BIT(32));
	REFUSED(s.dr6 |= BIT(63));
	REFUSED(s.sysenter_esp = BIT(50));
	REFUSED(s.sysenter_eip = BIT(50));
	ACCEPTED(s.lstar = s.cstar = s.kernel_gs_base = BIT(47) - 1);
	ACCEPTED(s.star = UINT64_MAX; s.sfmask = UINT32_MAX; s.dr6 = UINT32_MAX);
}

static void test_refused_segments(void **state)
{
	(void)state;
	REFUSED(s.seg[SEG_CS].attr &= (uint16_t)~SEG_ATTR_P);
	REFUSED(s.seg[SEG_CS].attr |= SEG_ATTR_DB);
	REFUSED(s.seg[SEG_CS].base = BIT(32));
	REFUSED(s.seg[SEG_TR].attr &= (uint16_t)~SEG_ATTR_P);
	REFUSED(s.seg[SEG_TR].attr = SEG_ATTR_P | 9); /* not busy */
	REFUSED(s.seg[SEG_TR].selector = 4);
	REFUSED(s.seg[SEG_DS].attr &= (uint16_t)~1u); /* not accessed */
	ACCEPTED(s.seg[SEG_DS].attr = 0);
	REFUSED(s.seg[SEG_FS].base = BIT(47));
	REFUSED(s.gdtr.base = BIT(47));
	REFUSED(s.idtr.base = BIT(47));
	/* the privilege level is that of SS */
	REFUSED(s.cpl = 3);
	REFUSED(s.seg[SEG_SS].attr |= SEG_ATTR_DPL; s.seg[SEG_CS].attr |= SEG_ATTR_DPL);
	ACCEPTED(s.seg[SEG_SS].attr |= SEG_ATTR_DPL; s.seg[SEG_CS].attr |= SEG_ATTR_DPL; s.cpl = 3);
}

/* ---- how segments stand in the structure ---- */

static void test_access_rights(void **state)
{
	(void)state;
	load(v, 0);
	for (uint32_t attr = 0; attr < 0x1000; attr++) {
		struct vmcs *m = processor_vmcs(v->pages.pa.v);
		struct segment_state s;

		m->field[VMCS_GUEST_ES_ACCESS + 2 * SEG_DS] =
			(attr & 0xff) | (attr & 0xf00) << 4 | (attr & SEG_ATTR_P ? 0 : BIT(16));
		vmx_ops.get_segment(v, SEG_DS, &s);
		assert_int_equal(s.attr, attr);
		/* unusable is unusable, whatever else is there */
		m->field[VMCS_GUEST_ES_ACCESS + 2 * SEG_DS] |= BIT(16);
		vmx_ops.get_segment(v, SEG_DS, &s);
		assert_int_equal(s.attr, attr & ~(uint32_t)SEG_ATTR_P);
	}
}

static void test_segment_fields(void **state)
{
	struct vcpu_state in = good();

	(void)state;
	in.seg[SEG_DS] = (struct segment_state){0x1234, 0xfffff, 0x20, 0x4f3};
	in.seg[SEG_ES].attr = 0;
	set(&in);
	assert_int_equal(field_of(v, 0x080e), in.seg[SEG_TR].selector);
	assert_int_equal(field_of(v, 0x0806), 0x20);
	assert_int_equal(field_of(v, 0x4806), 0xfffff);
	assert_int_equal(field_of(v, 0x481a), 0x40f3);
	assert_int_equal(field_of(v, 0x680c), 0x1234);
	assert_int_equal(field_of(v, 0x4814), BIT(16));
	assert_int_equal(field_of(v, 0x4816), 0xa09b);
	assert_int_equal(field_of(v, 0x4822), 0x8b);
}

/* ---- control registers ---- */

static void test_cr0(void **state)
{
	struct vcpu_state s = good();
	struct vmcs *m = processor_vmcs(v->pages.pa.v);

	(void)state;
	s.cr0 = (s.cr0 | CR0_CD) & ~CR0_NE;
	set(&s);
	load(v, 0);
	/* NE is the processor's, the cache bits the host's; all others the guest's alone */
	assert_int_equal(field_of(v, VMCS_CR0_MASK), CR0_NE | CR0_NW | CR0_CD);
	assert_int_equal(field_of(v, VMCS_GUEST_CR0), (s.cr0 & ~CR0_CD) | CR0_NE);
	assert_int_equal(vmx_ops.get_cr(v, 0), s.cr0);
	m->field[VMCS_GUEST_CR0] |= CR0_TS | CR0_AM; /* no exit */
	assert_int_equal(vmx_ops.get_cr(v, 0), s.cr0 | CR0_TS | CR0_AM);
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t value = (uint32_t)random64();

		vmx_ops.set_cr(v, 0, value);
		assert_int_equal(vmx_ops.get_cr(v, 0), value);
		assert_int_equal(field_of(v, VMCS_GUEST_CR0),
				 (value & ~(CR0_NW | CR0_CD)) | CR0_NE);
	}
}

static void test_cr4(void **state)
{
	struct vcpu_state s = good();
	struct vmcs *m = processor_vmcs(v->pages.pa.v);

	(void)state;
	v->cr4_allowed = CR4_PAE | CR4_PGE | CR4_OSFXSR;
	set(&s);
	load(v, 0);
	assert_int_equal(field_of(v, VMCS_CR4_MASK), ~(CR4_PAE | CR4_PGE | CR4_OSFXSR));
	/* MCE is set whatever the guest says: without it a machine check is no exit */
	assert_int_equal(field_of(v, VMCS_GUEST_CR4), CR4_PAE | CR4_VMXE | CR4_MCE);
	assert_int_equal(vmx_ops.get_cr(v, 4), CR4_PAE); /* which the guest does not see */
	m->field[VMCS_GUEST_CR4] |= CR4_PGE;
	assert_int_equal(vmx_ops.get_cr(v, 4), CR4_PAE | CR4_PGE);
	vmx_ops.set_cr(v, 4, CR4_PAE | CR4_OSFXSR);
	assert_int_equal(vmx_ops.get_cr(v, 4), CR4_PAE | CR4_OSFXSR);
	assert_int_equal(field_of(v, VMCS_GUEST_CR4), CR4_PAE | CR4_OSFXSR | CR4_VMXE | CR4_MCE);
}

static void test_cr2_and_cr3(void **state)
{
	struct vcpu_state s;

	(void)state;
	load(v, 0);
	vmx_ops.set_cr(v, 2, 0x123456789abcdef0);
	vmx_ops.set_cr(v, 3, 0x7000);
	assert_int_equal(vmx_ops.get_cr(v, 2), 0x123456789abcdef0);
	assert_int_equal(vmx_ops.get_cr(v, 3), 0x7000);
	vmx_ops.vcpu_put(v);
	processor_core()->cr2 = 0; /* somebody else's */
	vmx_ops.get_state(v, &s);
	assert_int_equal(s.cr2, 0x123456789abcdef0);
	assert_int_equal(s.cr3, 0x7000);
}

static void test_efer(void **state)
{
	struct vcpu_state s = good();

	(void)state;
	set(&s);
	load(v, 0);
	assert_true(field_of(v, VMCS_ENTRY_CONTROLS) & ENTRY_CTL_LONG_MODE);
	assert_int_equal(vmx_ops.get_efer(v), s.efer);
	vmx_ops.set_efer(v, EFER_NXE | EFER_LME);
	assert_int_equal(vmx_ops.get_efer(v), EFER_NXE | EFER_LME);
	assert_int_equal(field_of(v, VMCS_ENTRY_CONTROLS), vmx_controls.entry);
	vmx_ops.set_efer(v, EFER_LMA | EFER_LME);
	assert_int_equal(field_of(v, VMCS_ENTRY_CONTROLS),
			 vmx_controls.entry | ENTRY_CTL_LONG_MODE);
}

static void test_pdptes(void **state)
{
	const uint64_t pdptes[4] = {0x1001, 0x2001, 0, 0x4001};

	(void)state;
	vmx_ops.set_pdptes(v, pdptes);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(field_of(v, 0x280a + 2 * i), pdptes[i]);
}

static void test_code_context(void **state)
{
	struct vcpu_state s = good();
	struct code_context c;

	(void)state;
	s.seg[SEG_CS].base = 0x5000;
	s.cr0 |= CR0_CD;
	set(&s);
	load(v, 0);
	memset(&c, 0x5a, sizeof(c));
	vmx_ops.get_code(v, &c);
	assert_int_equal(c.rip, s.rip);
	assert_int_equal(c.rflags, s.rflags);
	assert_int_equal(c.cr0, s.cr0);
	assert_int_equal(c.cr3, s.cr3);
	assert_int_equal(c.cr4, s.cr4);
	assert_int_equal(c.efer, s.efer);
	assert_int_equal(c.cs_base, 0); /* in 64-bit code */
	assert_int_equal(c.cs_limit, 0xffffffff);
	assert_int_equal(c.cs_attr, 0xa9b);
	assert_int_equal(c.cpl, 0);
	assert_int_equal(c.phys_bits, 39);
	s.seg[SEG_CS].attr = 0xcfb;
	s.seg[SEG_SS].attr |= SEG_ATTR_DPL;
	s.rip = 0x8048000;
	s.cpl = 3;
	set(&s);
	vmx_ops.get_code(v, &c);
	assert_int_equal(c.cs_base, 0x5000);
	assert_int_equal(c.cpl, 3);
}

/* ---- which structure is current ---- */

static void test_borrowed(void **state)
{
	struct vcpu_state s = good(), got;
	struct vm_exit exit;
	struct core *c = processor_core();

	(void)state;
	/* nothing is current before, so nothing is after, and it is active nowhere */
	vmx_ops.get_state(&vcpus[1], &got);
	assert_int_equal(c->vmcs, NO_CURRENT);
	assert_int_equal(processor_vmcs(vcpus[1].pages.pa.v)->active_on, NOWHERE);
	/* another vCPU's stays current, and launched */
	load(v, 0);
	c->irqs = false;
	vmx_ops.run(v, &exit);
	c->irqs = true;
	assert_int_equal(vmx_ops.set_state(&vcpus[1], &s, NULL), 0);
	assert_int_equal(c->vmcs, v->pages.pa.v);
	s.cr0 &= ~CR0_PE;
	assert_int_equal(vmx_ops.set_state(&vcpus[1], &s, NULL), ERR_INVALID);
	vmx_ops.vcpu_init(&vcpus[2]);
	assert_int_equal(c->vmcs, v->pages.pa.v);
	assert_true(c->irqs);
	c->irqs = false;
	vmx_ops.run(v, &exit); /* which would fail if it were not launched */
	/* interrupts that were off stay off */
	vmx_ops.get_state(&vcpus[1], &got);
	vmx_ops.get_state(v, &got);
	assert_false(c->irqs);
	assert_int_equal(got.seg[SEG_CS].selector, 0xf000);
	/* another core can look at what no core has */
	vmx_ops.vcpu_put(v);
	assert_int_equal(c->vmcs, NO_CURRENT);
	current_core = 1;
	vmx_ops.get_state(v, &got);
	vmx_ops.get_state(&vcpus[1], &got);
	assert_int_equal(got.seg[SEG_CS].selector, 0x10);
}

/* The host's own MSRs and table limits come back, and the guest's are kept. */
static void test_load_and_put(void **state)
{
	struct vcpu_state in = good();

	(void)state;
	in.lstar = 0xffffffff81800000;
	in.kernel_gs_base = 0x7f0000000000;
	in.dr6 = 0xffff0ff1;
	set(&in);
	for (unsigned core = 0; core < CPU_CORES; core++) {
		const struct core was = cores[core];
		struct vm_exit exit;

		load(v, core);
		assert_int_equal(rdmsr(0xc0000082), in.lstar);
		assert_int_equal(rdmsr(0xc0000102), in.kernel_gs_base);
		assert_int_equal(read_dr6(), in.dr6);
		cores[core].irqs = false;
		vmx_ops.run(v, &exit);
		cores[core].irqs = true;
		in.lstar += 0x1000; /* the guest's own doing */
		*processor_msr(&cores[core], 0xc0000082) = in.lstar;
		cores[core].dr6 = in.dr6 ^= 2;
		vmx_ops.vcpu_put(v);
		assert_null(v->cpu_pages);
		assert_has(&in);
		assert_memory_equal(cores[core].msr, was.msr, sizeof(was.msr));
		assert_int_equal(cores[core].gdtr.limit, was.gdtr.limit);
		assert_int_equal(cores[core].idtr.limit, was.idtr.limit);
		assert_int_equal(cores[core].gdtr.base, was.gdtr.base);
		assert_int_equal(cores[core].idtr.base, was.idtr.base);
	}
}

/* ---- words ---- */

static char lines[8][200];
static unsigned n_lines;

static void take_line(void *ctx, const char *text)
{
	assert_ptr_equal(ctx, lines);
	assert_true(n_lines < ARRAY_SIZE(lines));
	assert_true(strlen(text) < sizeof(lines[0]));
	strcpy(lines[n_lines++], text);
}

static void test_dump(void **state)
{
	struct vmcs *m = processor_vmcs(v->pages.pa.v);

	(void)state;
	memset(m->field, 0xff, sizeof(m->field)); /* the longest lines are whole */
	n_lines = 0;
	vmx_ops.dump(v, take_line, lines);
	assert_int_equal(n_lines, 3);
	assert_non_null(strstr(lines[0], "exit reason 0xffffffff qual"));
	assert_non_null(strstr(lines[0], "interrupted 0xffffffff"));
	assert_non_null(strstr(lines[1], "VPID 1"));
	assert_non_null(strstr(lines[2], "EPTP 0xffffffffffffffff"));
	assert_int_equal(processor_core()->vmcs, NO_CURRENT);
}

/* The auditor's own test has all the rules; here it is that each field comes to it. */
static void test_explain(void **state)
{
	static const struct {
		uint32_t field;
		uint64_t value;
		const char *words;
	} rows[] = {
		{VMCS_GUEST_CR0, BIT(31) | CR0_NE, "guest CR0 0x80000020"},
		{VMCS_GUEST_CR4, 0, "guest CR4 0x0"},
		{VMCS_GUEST_CR3, BIT(50), "guest CR3"},
		{VMCS_GUEST_DR7, BIT(40), "guest DR7 0x10000000000"},
		{VMCS_GUEST_EFER, BIT(1), "guest EFER 0x2"},
		{VMCS_GUEST_PAT, 2, "guest PAT 0x2"},
		{VMCS_GUEST_DEBUGCTL, BIT(3), "guest DEBUGCTL 0x8"},
		{VMCS_GUEST_SYSENTER_ESP, BIT(50), "guest SYSENTER_ESP"},
		{VMCS_GUEST_SYSENTER_EIP, BIT(50), "guest SYSENTER_EIP"},
		{VMCS_GUEST_GDTR_BASE, BIT(50), "guest GDTR base"},
		{VMCS_GUEST_IDTR_BASE, BIT(50), "guest IDTR base"},
		{VMCS_GUEST_GDTR_LIMIT, 0x10000, "guest GDTR limit 0x10000"},
		{VMCS_GUEST_IDTR_LIMIT, 0x20000, "guest IDTR limit 0x20000"},
		{VMCS_GUEST_RIP, BIT(40), "guest RIP"},
		{VMCS_GUEST_RFLAGS, 0, "guest RFLAGS 0x0"},
		{VMCS_INTERRUPTIBILITY, BIT(5), "guest interruptibility 0x20"},
		{VMCS_ACTIVITY, 4, "guest activity 0x4"},
		{VMCS_PENDING_DEBUG, BIT(5), "guest pending debug exceptions 0x20"},
		{VMCS_LINK_POINTER, 1, "VMCS link pointer 0x1"},
		{VMCS_GUEST_ES_BASE + 2 * SEG_FS, BIT(50), "guest FS base"},
		{VMCS_GUEST_ES_ACCESS + 2 * SEG_TR, 0x80, "guest TR access rights 0x80"},
		{VMCS_GUEST_ES_SEL + 2 * SEG_TR, 4, "guest TR selector 0x4"},
		{VMCS_GUEST_ES_LIMIT + 2 * SEG_SS, BIT(20), "guest SS access rights"},
		{VMCS_HOST_CR0, 0, "host CR0 0x0"},
		{VMCS_HOST_CR3, BIT(50), "host CR3"},
		{VMCS_HOST_CR4, 0, "host CR4 0x0"},
		{VMCS_HOST_EFER, 0, "host EFER 0x0"},
		{VMCS_HOST_PAT, 2, "host PAT 0x2"},
		{VMCS_HOST_RIP, BIT(50), "host RIP"},
		{VMCS_HOST_CS_SEL, 0, "host CS selector"},
		{VMCS_HOST_SS_SEL, 3, "host SS selector 0x3"},
		{VMCS_HOST_DS_SEL, 3, "host DS selector 0x3"},
		{VMCS_HOST_ES_SEL, 3, "host ES selector 0x3"},
		{VMCS_HOST_FS_SEL, 3, "host FS selector 0x3"},
		{VMCS_HOST_GS_SEL, 3, "host GS selector 0x3"},
		{VMCS_HOST_TR_SEL, 0, "host TR selector"},
		{VMCS_HOST_FS_BASE, BIT(50), "host FS base"},
		{VMCS_HOST_GS_BASE, BIT(50), "host GS base"},
		{VMCS_HOST_TR_BASE, BIT(50), "host TR base"},
		{VMCS_HOST_GDTR_BASE, BIT(50), "host GDTR base"},
		{VMCS_HOST_IDTR_BASE, BIT(50), "host IDTR base"},
		{VMCS_HOST_SYSENTER_ESP, BIT(50), "host SYSENTER_ESP"},
		{VMCS_HOST_SYSENTER_EIP, BIT(50), "host SYSENTER_EIP"},
		{VMCS_PIN_CONTROLS, 0, "pin"},
		{VMCS_PRIMARY_CONTROLS, 0, "primary"},
		{VMCS_SECONDARY_CONTROLS, BIT32(31), "secondary"},
		{VMCS_EXIT_CONTROLS, 0, "exit controls"},
		{VMCS_ENTRY_CONTROLS, 0, "entry controls"},
		{VMCS_CR3_TARGETS, 5, "CR3"},
		{VMCS_IO_BITMAP_A, 1, "I/O bitmap A"},
		{VMCS_IO_BITMAP_B, 1, "I/O bitmap B"},
		{VMCS_MSR_BITMAP, 1, "MSR bitmap"},
		{VMCS_VIRTUAL_APIC, 1, "virtual-APIC"},
		{VMCS_EPTP, 1, "EPT"},
		{VMCS_VPID, 0, "VPID"},
		{VMCS_TPR_THRESHOLD, 3, "TPR threshold 0x3"},
		{VMCS_ENTRY_EVENT, 0x80000120, "entry event 0x80000120"},
	};
	struct reason why = {""};
	struct vm_exit exit;

	(void)state;
	load(v, 0);
	processor_core()->irqs = false;
	vmx_ops.run(v, &exit); /* so that all fields are there */
	vmx_ops.explain(v, &why);
	assert_non_null(strstr(why.text, "no rule that is known is broken"));
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t *field = &processor_current()->field[rows[i].field];
		uint64_t was = *field;

		*field = rows[i].value;
		vmx_ops.explain(v, &why);
		if (strncmp(why.text, rows[i].words, strlen(rows[i].words)) != 0)
			fail_msg("no \"%s\": %s", rows[i].words, why.text);
		*field = was;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_power_on, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_rflags, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_refused_registers, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_refused_msrs, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_refused_segments, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_access_rights, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_segment_fields, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_cr0, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_cr4, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_cr2_and_cr3, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_efer, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_pdptes, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_code_context, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_borrowed, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_load_and_put, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_dump, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_explain, setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
