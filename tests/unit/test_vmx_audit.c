/*
 * The auditor of VM entries: four good guests in which nothing is broken, then one broken field
 * after the other, which alone must be named, with its value and its rule; random structures.
 */
#include "tests/unit/broken.h"

#include <stdio.h>

#include "arch/x86/vmx/audit.h"
#include "arch/x86/vmx/vmcs.h"

#define SECONDARY_GOOD (SECONDARY_EPT | SECONDARY_VPID | SECONDARY_UNRESTRICTED)
#define PAT_GOOD       0x0007040600070406ull
#define CONTROL(on, must, may)                                \
	{                                                     \
		(on) | (must), (uint64_t)(may) << 32 | (must) \
	}

/* Capabilities as an actual processor reports them, and what does not depend on the guest's mode.
 */
static struct vmx_audit good_base(void)
{
	struct vmx_audit a = {
		.basic = VMX_BASIC_TRUE_CONTROLS,
		.misc = 0x7ull << VMX_MISC_ACTIVITY_SHIFT | 4ull << 16,
		.ept_vpid = EPT_CAP_WALK_4 | EPT_CAP_WRITE_BACK,
		.cr0_fixed0 = 0x80000021,
		.cr0_fixed1 = 0xffffffff,
		.cr4_fixed0 = 0x2000,
		.cr4_fixed1 = 0xf727ff,
		.phys_bits = 39,
		.linear_bits = 48,
		.pin = CONTROL(PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMI, 0x16, 0x7f),
		.primary = CONTROL(PRIMARY_IO_BITMAPS | PRIMARY_MSR_BITMAPS | PRIMARY_TPR_SHADOW |
					   PRIMARY_SECONDARY | PRIMARY_HLT,
				   0x04006172, 0xfff9fffe),
		.secondary = CONTROL(SECONDARY_GOOD, 0, 0x00ffffff),
		.exit = CONTROL(EXIT_CTL_HOST_64BIT | EXIT_CTL_LOAD_PAT | EXIT_CTL_LOAD_EFER,
				0x36dfb, 0x1ffffff),
		.entry = CONTROL(ENTRY_CTL_LOAD_DEBUG | ENTRY_CTL_LOAD_PAT | ENTRY_CTL_LOAD_EFER,
				 0x11fb, 0x3ffff),
		.io_bitmap_a = 0x100000,
		.io_bitmap_b = 0x101000,
		.msr_bitmap = 0x102000,
		.virtual_apic = 0x103000,
		.eptp = 0x104000 | EPTP_WALK_4 | EPTP_WRITE_BACK,
		.vpid = 1,
		.host = {.cr0 = 0x80050033,
			 .cr3 = 0x1000,
			 .cr4 = 0x20a0,
			 .rip = 0xffffffff80100000,
			 .efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE,
			 .pat = PAT_GOOD,
			 .cs_sel = 8,
			 .ss_sel = 0x10,
			 .tr_sel = 0x28,
			 .gs_base = 0xffffffff80200000},
		.guest = {.dr7 = 0x400,
			  .pat = PAT_GOOD,
			  .link_pointer = UINT64_MAX,
			  .gdtr = {0x7000, 0x7f},
			  .idtr = {0x8000, 0xffff}},
	};

	for (unsigned i = 0; i < SEG_COUNT; i++)
		a.guest.seg[i] = (struct vmx_audit_segment){.access = ACCESS_UNUSABLE};
	a.guest.seg[SEG_TR] = (struct vmx_audit_segment){
		.base = 0x9000, .limit = 0x67, .access = 0x8b, .selector = 0x40};
	return a;
}

static struct vmx_audit good_64bit(void)
{
	struct vmx_audit a = good_base();

	a.entry.value |= ENTRY_CTL_LONG_MODE;
	a.guest.cr0 = 0x80050033;
	a.guest.cr3 = 0x2000;
	a.guest.cr4 = 0x20a0;
	a.guest.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	a.guest.rip = 0xffffffff81000000;
	a.guest.rflags = 0x202;
	a.guest.sysenter_eip = 0xffffffff81800000;
	a.guest.seg[SEG_CS] = (struct vmx_audit_segment){0, 0xffffffff, 0xa09b, 0x10};
	a.guest.seg[SEG_SS] = (struct vmx_audit_segment){0, 0xffffffff, 0xc093, 0x18};
	a.guest.seg[SEG_GS].base = 0xffff888000000000;
	return a;
}

/* As after a processor's reset. */
static struct vmx_audit good_real(void)
{
	struct vmx_audit a = good_base();

	a.guest.cr0 = 0x60000030;
	a.guest.cr4 = 0x2000;
	a.guest.rip = 0xfff0;
	a.guest.rflags = 2;
	for (unsigned i = 0; i <= SEG_GS; i++)
		a.guest.seg[i] = (struct vmx_audit_segment){0, 0xffff, 0x93, 0};
	a.guest.seg[SEG_CS] = (struct vmx_audit_segment){0xffff0000, 0xffff, 0x9b, 0xf000};
	a.guest.seg[SEG_LDTR] = (struct vmx_audit_segment){0, 0xffff, 0x82, 0};
	a.guest.seg[SEG_TR] = (struct vmx_audit_segment){0, 0xffff, 0x8b, 0};
	return a;
}

/* User code, without "unrestricted guest", so that every rule about privilege levels counts. */
static struct vmx_audit good_pae(void)
{
	struct vmx_audit a = good_base();

	a.secondary.value &= ~SECONDARY_UNRESTRICTED;
	a.guest.cr0 = 0x80010033;
	a.guest.cr3 = 0x2020;
	a.guest.cr4 = 0x2020;
	a.guest.efer = EFER_NXE;
	a.guest.rip = 0x8048000;
	a.guest.rflags = 0x202;
	for (unsigned i = 0; i <= SEG_GS; i++)
		a.guest.seg[i] = (struct vmx_audit_segment){0, 0xffffffff, 0xc0f3, 0x7b};
	a.guest.seg[SEG_CS] = (struct vmx_audit_segment){0, 0xffffffff, 0xc0fb, 0x73};
	a.guest.pdpte[0] = 0x3001;
	a.guest.pdpte[3] = 0x4019;
	return a;
}

static struct vmx_audit good_v8086(void)
{
	struct vmx_audit a = good_base();

	a.guest.cr0 = 0x80000031;
	a.guest.cr4 = 0x2001;
	a.guest.rip = 0x100;
	a.guest.rflags = 0x20202;
	for (unsigned i = 0; i <= SEG_GS; i++) {
		uint16_t selector = (uint16_t)(0x1233 + 0x1111 * i);

		a.guest.seg[i] =
			(struct vmx_audit_segment){(uint64_t)selector << 4, 0xffff, 0xf3, selector};
	}
	return a;
}

/* Nothing is broken; `why` is not touched. */
static void accepted(const struct vmx_audit *a)
{
	struct reason why = {""};

	if (vmx_audit(a, &why))
		fail_msg("refused: %s", why.text);
	assert_string_equal(why.text, "");
}

static void refused(const struct vmx_audit *a, const char *says)
{
	struct reason why = {""};

	if (!vmx_audit(a, &why))
		fail_msg("accepted, instead of: %s", says);
	assert_int_equal(vmx_audit(a, NULL), ERR_INVALID);
	assert_sentence(why.text);
	if (strncmp(why.text, says, strlen(says)))
		fail_msg("said: %s\n  instead of: %s", why.text, says);
}

/* What is set in a good structure, and the start of the sentence; NULL: it stays good. */
struct change {
	size_t at, size;
	uint64_t value;
};

struct row {
	const char *says;
	struct change set[5];
};

#define SET(member, v)                                                                          \
	{                                                                                       \
		offsetof(struct vmx_audit, member), sizeof(((struct vmx_audit *)NULL)->member), \
			(v)                                                                     \
	}
#define EVENT(type, vector) (EVENT_VALID | (type) << EVENT_TYPE_SHIFT | (vector))

static void check_row(struct vmx_audit a, const struct row *r)
{
	for (unsigned i = 0; i < ARRAY_SIZE(r->set) && r->set[i].size; i++)
		memcpy((uint8_t *)&a + r->set[i].at, &r->set[i].value, r->set[i].size);
	if (r->says)
		refused(&a, r->says);
	else
		accepted(&a);
}

static void check_rows(struct vmx_audit a, const struct row *rows, unsigned n)
{
	accepted(&a);
	for (unsigned i = 0; i < n; i++)
		check_row(a, &rows[i]);
}

#define CHECK_ROWS(a, rows) check_rows(a, rows, ARRAY_SIZE(rows))

static void test_good(void **state)
{
	const struct vmx_audit all[] = {good_64bit(), good_real(), good_pae(), good_v8086()};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		accepted(&all[i]);
}

/* Without the TPR shadow. good_64bit() has pin 0x3f, secondary 0xa2, exit 0x2b6ffb, entry 0xd3ff.
 */
#define PRIMARY_GOOD (0x04006172 | PRIMARY_IO_BITMAPS | PRIMARY_MSR_BITMAPS | PRIMARY_SECONDARY)

static void test_execution_controls(void **state)
{
	static const struct row rows[] = {
		{"pin-based controls 0x2f: this processor needs bit 4 to be 1",
		 {SET(pin.value, 0x2f)}},
		{"pin-based controls 0xbf: this processor needs bit 7 to be 0",
		 {SET(pin.value, 0xbf)}},
		{"primary controls 0x96006170: this processor needs bit 1 to be 1",
		 {SET(primary.value, PRIMARY_GOOD & ~2u)}},
		{"primary controls 0x96026172: this processor needs bit 17 to be 0",
		 {SET(primary.value, PRIMARY_GOOD | PRIMARY_TERTIARY)}},
		{"secondary controls 0x10000a2: this processor needs bit 24 to be 0",
		 {SET(secondary.value, SECONDARY_GOOD | BIT32(24))}},
		/* without the bit that activates them, the secondary controls count for nothing */
		{NULL,
		 {SET(primary.value, PRIMARY_GOOD & ~PRIMARY_SECONDARY),
		  SET(secondary.value, UINT32_MAX)}},
		{"CR3-target count 0x5: this processor has no more than 4", {SET(cr3_targets, 5)}},
		{NULL, {SET(cr3_targets, 4)}},
		{"I/O bitmap A 0x100800: not a multiple of 4 KiB", {SET(io_bitmap_a, 0x100800)}},
		{"I/O bitmap B 0x8000000000: has bits beyond the 39 physical-address bits",
		 {SET(io_bitmap_b, BIT(39))}},
		{NULL,
		 {SET(io_bitmap_a, 1), SET(io_bitmap_b, 1),
		  SET(primary.value, PRIMARY_GOOD & ~PRIMARY_IO_BITMAPS)}},
		{"MSR bitmaps 0x102001: not a multiple of 4 KiB", {SET(msr_bitmap, 0x102001)}},
		{"MSR bitmaps 0x100000000: has bits beyond the 32 physical-address bits",
		 {SET(msr_bitmap, BIT(32)), SET(basic, VMX_BASIC_32BIT_ADDRESSES)}},
		{NULL, {SET(msr_bitmap, BIT(38))}},
		{NULL,
		 {SET(msr_bitmap, 1), SET(primary.value, PRIMARY_GOOD & ~PRIMARY_MSR_BITMAPS)}},
		{"pin-based controls 0x37: virtual NMIs (bit 5) need NMI exiting",
		 {SET(pin.value, 0x37)}},
		{"primary controls 0x96406172: the NMI window (bit 22) needs virtual NMIs",
		 {SET(primary.value, PRIMARY_GOOD | PRIMARY_NMI_WINDOW), SET(pin.value, 0x1f)}},
		{NULL, {SET(primary.value, PRIMARY_GOOD | PRIMARY_NMI_WINDOW)}},
		{"VPID 0x0: must not be 0", {SET(vpid, 0)}},
		{NULL, {SET(vpid, 0), SET(secondary.value, SECONDARY_GOOD & ~SECONDARY_VPID)}},
		{"secondary controls 0x80: unrestricted guest (bit 7) needs EPT",
		 {SET(secondary.value, SECONDARY_UNRESTRICTED)}},
	};

	(void)state;
	CHECK_ROWS(good_64bit(), rows);
}

static void test_apic_controls(void **state)
{
	static const struct row rows[] = {
		{"virtual-APIC address 0x103010: not a multiple of 4 KiB",
		 {SET(virtual_apic, 0x103010)}},
		{"virtual-APIC address 0x10000000000: has bits beyond",
		 {SET(virtual_apic, BIT(40))}},
		{NULL, {SET(virtual_apic, 1), SET(primary.value, PRIMARY_GOOD)}},
		{"TPR threshold 0x10: bits 31:4 must be 0", {SET(tpr_threshold, 0x10)}},
		{"TPR threshold 0x3: above the 2 in bits 7:4 of the virtual TPR",
		 {SET(tpr_threshold, 3), SET(vtpr, 0x2f)}},
		{NULL, {SET(tpr_threshold, 3), SET(vtpr, 0x30)}},
		{NULL, {SET(tpr_threshold, 15), SET(vtpr, 0xf0)}},
		{NULL, {SET(tpr_threshold, 3), SET(primary.value, PRIMARY_GOOD)}},
		{NULL,
		 {SET(tpr_threshold, 3),
		  SET(secondary.value, SECONDARY_GOOD | SECONDARY_APIC_ACCESS)}},
		{NULL,
		 {SET(tpr_threshold, 0x13),
		  SET(secondary.value, SECONDARY_GOOD | SECONDARY_INTERRUPT_DELIVERY)}},
		{"secondary controls 0xb2: bits 4, 8 and 9 need the TPR shadow",
		 {SET(primary.value, PRIMARY_GOOD),
		  SET(secondary.value, SECONDARY_GOOD | SECONDARY_X2APIC)}},
		{"secondary controls 0x1a2: bits 4, 8 and 9 need the TPR shadow",
		 {SET(primary.value, PRIMARY_GOOD),
		  SET(secondary.value, SECONDARY_GOOD | SECONDARY_APIC_REGISTERS)}},
		{"secondary controls 0x2a2: bits 4, 8 and 9 need the TPR shadow",
		 {SET(primary.value, PRIMARY_GOOD),
		  SET(secondary.value, SECONDARY_GOOD | SECONDARY_INTERRUPT_DELIVERY)}},
		{"APIC-access address 0x10: not a multiple of 4 KiB",
		 {SET(apic_access, 0x10),
		  SET(secondary.value, SECONDARY_GOOD | SECONDARY_APIC_ACCESS)}},
		{NULL, {SET(apic_access, 0x10)}},
		{"secondary controls 0xb3: x2APIC mode (bit 4) excludes APIC accesses",
		 {SET(secondary.value, SECONDARY_GOOD | SECONDARY_APIC_ACCESS | SECONDARY_X2APIC)}},
		{"secondary controls 0x2a2: interrupt delivery (bit 9) needs external-interrupt",
		 {SET(secondary.value, SECONDARY_GOOD | SECONDARY_INTERRUPT_DELIVERY),
		  SET(pin.value, 0x3e)}},
		{NULL, {SET(pin.value, 0x3e)}},
	};

	(void)state;
	CHECK_ROWS(good_64bit(), rows);
}

static void test_eptp(void **state)
{
	static const struct row rows[] = {
		{"EPTP 0x104018: this processor has no memory type 0 for it",
		 {SET(eptp, 0x104018)}},
		{NULL, {SET(eptp, 0x104018), SET(ept_vpid, EPT_CAP_WALK_4 | EPT_CAP_UNCACHED)}},
		{"EPTP 0x10401e: this processor has no memory type 6 for it",
		 {SET(ept_vpid, EPT_CAP_WALK_4 | EPT_CAP_UNCACHED)}},
		{"EPTP 0x10401c: this processor has no memory type 4 for it",
		 {SET(eptp, 0x10401c)}},
		{"EPTP 0x104016: bits 5:3 must say a page walk of 4 levels", {SET(eptp, 0x104016)}},
		{"EPTP 0x10401e: bits 5:3 must say", {SET(ept_vpid, EPT_CAP_WRITE_BACK)}},
		{"EPTP 0x10405e: this processor has no access and dirty bits",
		 {SET(eptp, 0x10405e)}},
		{NULL,
		 {SET(eptp, 0x10405e),
		  SET(ept_vpid, EPT_CAP_WALK_4 | EPT_CAP_WRITE_BACK | EPT_CAP_ACCESS_DIRTY)}},
		{"EPTP 0x10409e: bits 11:7 must be 0", {SET(eptp, 0x10409e)}},
		{"EPTP 0x10481e: bits 11:7 must be 0", {SET(eptp, 0x10481e)}},
		{"EPTP 0x800010401e: has bits beyond the 39 physical", {SET(eptp, 0x800010401e)}},
	};
	struct vmx_audit a = good_64bit();

	(void)state;
	CHECK_ROWS(a, rows);
	a.secondary.value = 0;
	a.eptp = UINT64_MAX;
	accepted(&a);
}

static void test_exit_and_entry_controls(void **state)
{
	static const struct row rows[] = {
		{"exit controls 0x2b6ffa: this processor needs bit 0 to be 1",
		 {SET(exit.value, 0x2b6ffa)}},
		{"exit controls 0x22b6ffb: this processor needs bit 25 to be 0",
		 {SET(exit.value, 0x22b6ffb)}},
		{"exit controls 0x6b6ffb: saving the preemption timer (bit 22) needs the timer",
		 {SET(exit.value, 0x6b6ffb)}},
		{NULL, {SET(exit.value, 0x6b6ffb), SET(pin.value, 0x7f)}},
		{"entry controls 0xd3fe: this processor needs bit 0 to be 1",
		 {SET(entry.value, 0xd3fe)}},
		{"entry controls 0x4d3ff: this processor needs bit 18 to be 0",
		 {SET(entry.value, 0x4d3ff)}},
		{"entry controls 0xd7ff: bits 10 and 11 must be 0", {SET(entry.value, 0xd7ff)}},
		{"entry controls 0xdbff: bits 10 and 11 must be 0", {SET(entry.value, 0xdbff)}},
	};

	(void)state;
	CHECK_ROWS(good_64bit(), rows);
}

static void test_event(void **state)
{
	static const struct row rows[] = {
		{NULL, {SET(entry_event, 0x7fffffff)}}, /* not valid */
		{NULL, {SET(entry_event, EVENT(EVENT_TYPE_INTR, 0xff))}},
		{NULL, {SET(entry_event, EVENT(EVENT_TYPE_NMI, 2))}},
		{NULL, {SET(entry_event, EVENT(EVENT_TYPE_EXCEPTION, 6))}},
		{NULL,
		 {SET(entry_event, EVENT(EVENT_TYPE_EXCEPTION, 14) | EVENT_ERROR_VALID),
		  SET(entry_event_error, 0xffff)}},
		{NULL, {SET(entry_event, EVENT(EVENT_TYPE_OTHER, 0))}},
		{"entry event 0x80000120: type 1 is reserved", {SET(entry_event, EVENT(1u, 32))}},
		{"entry event 0x80000700: type 7 is reserved",
		 {SET(entry_event, EVENT(EVENT_TYPE_OTHER, 0)),
		  SET(primary.allowed, 0xf7f9fffe04006172)}},
		{"entry event 0x80000203: an NMI must have vector 2, not 3",
		 {SET(entry_event, EVENT(EVENT_TYPE_NMI, 3))}},
		{"entry event 0x80000320: an exception's vector must not be above 31, but is 32",
		 {SET(entry_event, EVENT(EVENT_TYPE_EXCEPTION, 32))}},
		{NULL, {SET(entry_event, EVENT(EVENT_TYPE_EXCEPTION, 31))}},
		{"entry event 0x80000701: a pending monitor trap must have vector 0, not 1",
		 {SET(entry_event, EVENT(EVENT_TYPE_OTHER, 1))}},
		{"entry event 0x80000820: only an exception in protected mode pushes",
		 {SET(entry_event, EVENT(EVENT_TYPE_INTR, 32) | EVENT_ERROR_VALID)}},
		{"entry event 0x80000b06: exception 6 must not push an error code",
		 {SET(entry_event, EVENT(EVENT_TYPE_EXCEPTION, 6) | EVENT_ERROR_VALID)}},
		{NULL,
		 {SET(entry_event, EVENT(EVENT_TYPE_EXCEPTION, 6) | EVENT_ERROR_VALID),
		  SET(basic, VMX_BASIC_ANY_ERROR_CODE)}},
		{"entry event 0x80000315: exception 21 must push an error code",
		 {SET(entry_event, EVENT(EVENT_TYPE_EXCEPTION, 21))}},
		{NULL,
		 {SET(entry_event, EVENT(EVENT_TYPE_EXCEPTION, 21)), SET(cr4_fixed1, 0x3727ff)}},
		{"entry event 0xc0000020: bits 30:12 must be 0",
		 {SET(entry_event, EVENT(EVENT_TYPE_INTR, 32) | BIT32(30))}},
		{"entry event 0x80001020: bits 30:12 must be 0",
		 {SET(entry_event, EVENT(EVENT_TYPE_INTR, 32) | BIT32(12))}},
		{"entry event's error code 0x10000: bits 31:16 must be 0",
		 {SET(entry_event, EVENT(EVENT_TYPE_EXCEPTION, 13) | EVENT_ERROR_VALID),
		  SET(entry_event_error, 0x10000)}},
		{NULL,
		 {SET(entry_event, EVENT(EVENT_TYPE_EXCEPTION, 6)),
		  SET(entry_event_error, 0x10000)}},
		{NULL, {SET(entry_event, EVENT(EVENT_TYPE_INTR, 32)), SET(entry_insn_len, 16)}},
	};

	(void)state;
	CHECK_ROWS(good_64bit(), rows);
}

static void test_event_error_codes(void **state)
{
	struct vmx_audit a = good_64bit();

	(void)state;
	for (uint32_t vector = 0; vector < 32; vector++) {
		uint32_t pushing = BIT32(8) | BIT32(10) | BIT32(11) | BIT32(12) | BIT32(13) |
				   BIT32(14) | BIT32(17) | BIT32(21);

		a.entry_event = EVENT(EVENT_TYPE_EXCEPTION, vector) | EVENT_ERROR_VALID;
		if (!(pushing >> vector & 1))
			a.entry_event &= ~EVENT_ERROR_VALID;
		accepted(&a);
		a.entry_event ^= EVENT_ERROR_VALID;
		refused(&a, "entry event 0x80000");
	}
	/* none in real mode */
	a = good_real();
	a.entry_event = EVENT(EVENT_TYPE_EXCEPTION, VEC_GP);
	accepted(&a);
	a.entry_event |= EVENT_ERROR_VALID;
	refused(&a, "entry event 0x80000b0d: only an exception in protected mode");
}

static void test_event_lengths(void **state)
{
	static const uint32_t software[] = {EVENT_TYPE_SOFT_INT, EVENT_TYPE_ICEBP,
					    EVENT_TYPE_SOFT_EXC};
	struct vmx_audit a = good_64bit();

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(software); i++) {
		a.entry_event = EVENT(software[i], 3);
		a.entry_insn_len = 1;
		accepted(&a);
		a.entry_insn_len = 15;
		accepted(&a);
		a.entry_insn_len = 16;
		refused(&a, "entry instruction length 0x10: no instruction is longer than 15");
		a.entry_insn_len = 0;
		refused(&a, "entry instruction length 0x0: a software event needs");
		a.misc |= VMX_MISC_LENGTH_0;
		accepted(&a);
		a.misc &= ~VMX_MISC_LENGTH_0;
	}
}

static void test_host(void **state)
{
	static const struct row rows[] = {
		{"host CR0 0x50033: bit 31 must be 1", {SET(host.cr0, 0x50033)}},
		{"host CR0 0x180050033: bit 32 must be 0", {SET(host.cr0, 0x180050033)}},
		{NULL, {SET(host.cr0, 0x80050033), SET(cr0_fixed0, 0xe0000021)}},
		{NULL, {SET(host.cr0, 0xe0050033), SET(cr0_fixed1, 0x9fffffff)}},
		{"host CR4 0xa0: bit 13 must be 1", {SET(host.cr4, 0xa0)}},
		{"host CR4 0x10020a0: bit 24 must be 0", {SET(host.cr4, 0x10020a0)}},
		{"host CR4 0x8020a0: CET needs CR0.WP",
		 {SET(host.cr4, 0x8020a0), SET(host.cr0, 0x80040033)}},
		{NULL, {SET(host.cr4, 0x8020a0)}},
		{"host CR3 0x8000001000: has bits beyond the 39", {SET(host.cr3, 0x8000001000)}},
		{"host SYSENTER_ESP 0x800000000000: not a canonical address of 48",
		 {SET(host.sysenter_esp, BIT(47))}},
		{"host SYSENTER_EIP 0x800000000000: not a canonical",
		 {SET(host.sysenter_eip, BIT(47))}},
		{NULL, {SET(host.sysenter_eip, BIT(47)), SET(linear_bits, 57)}},
		{"host PAT 0x7040600070402: entry 0 is 2, which is no memory type",
		 {SET(host.pat, 0x0007040600070402)}},
		{"host PAT 0xff07040600070406: entry 7 is 255, which is no memory type",
		 {SET(host.pat, 0xff07040600070406)}},
		{NULL, {SET(host.pat, 2), SET(exit.value, 0x236ffb)}},
		{"host EFER 0xd03: bit 1 is reserved", {SET(host.efer, 0xd03)}},
		{"host EFER 0x901: LMA and LME must each be", {SET(host.efer, 0x901)}},
		{"host EFER 0xc01: LMA and LME must each be", {SET(host.efer, 0xc01)}},
		{NULL, {SET(host.efer, 3), SET(exit.value, 0xb6ffb)}},
		{"host CS selector 0x9: its RPL and table indicator", {SET(host.cs_sel, 9)}},
		{"host SS selector 0x12: its RPL and table indicator", {SET(host.ss_sel, 0x12)}},
		{"host DS selector 0x4: its RPL and table indicator", {SET(host.ds_sel, 4)}},
		{"host ES selector 0x3: its RPL and table indicator", {SET(host.es_sel, 3)}},
		{"host FS selector 0x1: its RPL and table indicator", {SET(host.fs_sel, 1)}},
		{"host GS selector 0xffff: its RPL and table indicator",
		 {SET(host.gs_sel, 0xffff)}},
		{"host TR selector 0x2c: its RPL and table indicator", {SET(host.tr_sel, 0x2c)}},
		{"host CS selector 0x0: must not be 0", {SET(host.cs_sel, 0)}},
		{NULL, {SET(host.ss_sel, 0)}},
		{"host TR selector 0x0: must not be 0", {SET(host.tr_sel, 0)}},
		{"host FS base 0x800000000000: not a canonical", {SET(host.fs_base, BIT(47))}},
		{"host GS base 0xffff000000000000: not a canonical",
		 {SET(host.gs_base, 0xffff000000000000)}},
		{"host GDTR base 0x1000000000000: not a canonical", {SET(host.gdtr_base, BIT(48))}},
		{"host IDTR base 0x8000000000000000: not a canonical",
		 {SET(host.idtr_base, BIT(63))}},
		{"host TR base 0x7fff800000000000: not a canonical",
		 {SET(host.tr_base, 0x7fff800000000000)}},
		{NULL, {SET(host.tr_base, 0xffff800000000000)}},
		{NULL, {SET(host.tr_base, 0x7fffffffffff)}},
		{"exit controls 0x2b6dfb: the host is in 64-bit mode, so bit 9 must be 1",
		 {SET(exit.value, 0x2b6dfb), SET(host.efer, 0x801)}},
		{"host CR4 0x2080: a 64-bit host needs PAE", {SET(host.cr4, 0x2080)}},
		{"host RIP 0x800000000000: not a canonical", {SET(host.rip, BIT(47))}},
	};

	(void)state;
	CHECK_ROWS(good_64bit(), rows);
}

static void test_pat(void **state)
{
	struct vmx_audit a = good_64bit();

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		for (uint64_t type = 0; type < 256; type++) {
			bool fine = type <= 7 && type != 2 && type != 3;

			a.guest.pat = (PAT_GOOD & ~(0xffull << 8 * i)) | type << 8 * i;
			if (fine)
				accepted(&a);
			else
				refused(&a, "guest PAT 0x");
		}
	}
	a.entry.value &= ~ENTRY_CTL_LOAD_PAT;
	accepted(&a);
}

static void test_guest_registers(void **state)
{
	static const struct row rows[] = {
		{"guest CR0 0x80050013: bit 5 must be 1", {SET(guest.cr0, 0x80050013)}},
		{"guest CR0 0x180050033: bit 32 must be 0", {SET(guest.cr0, 0x180050033)}},
		{NULL, {SET(guest.cr0, 0xe0050033), SET(cr0_fixed1, 0x9fffffff)}},
		{"guest CR0 0x80050032: PG needs PE", {SET(guest.cr0, 0x80050032)}},
		{"guest CR0 0x50033: bit 31 must be 1",
		 {SET(guest.cr0, 0x50033), SET(secondary.value, SECONDARY_EPT)}},
		{"guest CR4 0xa0: bit 13 must be 1", {SET(guest.cr4, 0xa0)}},
		{"guest CR4 0x820a0: bit 19 must be 0", {SET(guest.cr4, 0x820a0)}},
		{"guest CR4 0x8020a0: CET needs CR0.WP",
		 {SET(guest.cr4, 0x8020a0), SET(guest.cr0, 0x80040033)}},
		{NULL, {SET(guest.cr4, 0x8020a0)}},
		{"guest DEBUGCTL 0x8: bit 3 is reserved", {SET(guest.debugctl, 8)}},
		{"guest DEBUGCTL 0x10000: bit 16 is reserved", {SET(guest.debugctl, 0x10000)}},
		{NULL, {SET(guest.debugctl, 0xffc7)}},
		{NULL, {SET(guest.debugctl, 8), SET(entry.value, 0xd3fb)}},
		{"guest CR0 0x50033: long mode needs PG", {SET(guest.cr0, 0x50033)}},
		{"guest CR4 0x2080: long mode needs PAE", {SET(guest.cr4, 0x2080)}},
		{NULL, {SET(guest.cr4, 0x220a0)}}, /* PCIDE */
		{"guest CR3 0x8000002000: has bits beyond the 39", {SET(guest.cr3, 0x8000002000)}},
		{"guest CR3 0x8000000000000000: has bits", {SET(guest.cr3, BIT(63))}},
		{"guest CR3 0x10000000000000: has bits",
		 {SET(guest.cr3, BIT(52)), SET(phys_bits, 60)}},
		{NULL, {SET(guest.cr3, BIT(38))}},
		{"guest DR7 0x100000400: bits 63:32 must be 0", {SET(guest.dr7, 0x100000400)}},
		{NULL, {SET(guest.dr7, 0x100000400), SET(entry.value, 0xd3fb)}},
		{"guest SYSENTER_ESP 0x800000000000: not a canonical",
		 {SET(guest.sysenter_esp, BIT(47))}},
		{"guest SYSENTER_EIP 0x800000000000: not a canonical",
		 {SET(guest.sysenter_eip, BIT(47))}},
		{"guest EFER 0x1d01: bit 12 is reserved", {SET(guest.efer, 0x1d01)}},
		{"guest EFER 0x901: LMA differs from the long-mode bit", {SET(guest.efer, 0x901)}},
		{"guest EFER 0xc01: LMA differs from LME", {SET(guest.efer, 0xc01)}},
		{NULL, {SET(guest.efer, 0x1d01), SET(entry.value, 0x53ff)}},
	};
	static const struct row real[] = {
		{NULL, {SET(guest.efer, EFER_LME)}}, /* paging comes later */
		{"guest EFER 0x400: LMA differs from the long-mode bit", {SET(guest.efer, 0x400)}},
		{"guest CR0 0x60000030: bit 0 must be 1",
		 {SET(secondary.value, SECONDARY_EPT | SECONDARY_VPID)}},
		{"guest CR4 0x22000: PCIDE needs long mode", {SET(guest.cr4, 0x22000)}},
	};
	static const struct row pae[] = {
		{"guest EFER 0x900: LMA differs from LME", {SET(guest.efer, 0x900)}},
		{"guest EFER 0xd00: LMA differs from the long-mode bit", {SET(guest.efer, 0xd00)}},
	};

	(void)state;
	CHECK_ROWS(good_64bit(), rows);
	CHECK_ROWS(good_real(), real);
	CHECK_ROWS(good_pae(), pae);
}

#define SEG(i, part) guest.seg[SEG_##i].part

static void test_segments_64bit(void **state)
{
	static const struct row rows[] = {
		{"guest TR selector 0x44: its table indicator", {SET(SEG(TR, selector), 0x44)}},
		{"guest LDTR selector 0x4: its table indicator",
		 {SET(SEG(LDTR, selector), 4), SET(SEG(LDTR, access), 0x82)}},
		{NULL, {SET(SEG(LDTR, selector), 4)}},
		{"guest TR base 0x800000000000: not a canonical", {SET(SEG(TR, base), BIT(47))}},
		{"guest FS base 0x800000000000: not a canonical", {SET(SEG(FS, base), BIT(47))}},
		{"guest GS base 0x800000000000: not a canonical", {SET(SEG(GS, base), BIT(47))}},
		{"guest LDTR base 0x800000000000: not a canonical",
		 {SET(SEG(LDTR, base), BIT(47)), SET(SEG(LDTR, access), 0x82)}},
		{NULL, {SET(SEG(LDTR, base), BIT(47))}},
		{"guest CS base 0x100000000: bits 63:32 must be 0", {SET(SEG(CS, base), BIT(32))}},
		{"guest SS base 0xffffffff00000000: bits 63:32 must be 0",
		 {SET(SEG(SS, base), 0xffffffff00000000)}},
		{NULL, {SET(SEG(DS, base), BIT(32))}},
		{"guest DS base 0x100000000: bits 63:32 must be 0",
		 {SET(SEG(DS, base), BIT(32)), SET(SEG(DS, access), 0x93)}},
		{"guest ES base 0x100000000: bits 63:32 must be 0",
		 {SET(SEG(ES, base), BIT(32)), SET(SEG(ES, access), 0x93)}},
		{"guest CS access rights 0xe09b: L and D/B are both set",
		 {SET(SEG(CS, access), 0xe09b)}},
		{NULL, {SET(SEG(CS, access), 0xb09b)}}, /* available */
		{"guest TR access rights 0x83: type 3 is not that of a busy",
		 {SET(SEG(TR, access), 0x83)}},
		{"guest TR access rights 0x89: type 9 is not that of a busy",
		 {SET(SEG(TR, access), 0x89)}},
		{"guest TR access rights 0x9b: S must be 0", {SET(SEG(TR, access), 0x9b)}},
		{"guest TR access rights 0x1008b: must be usable", {SET(SEG(TR, access), 0x1008b)}},
		{"guest TR access rights 0xb: the segment is not present",
		 {SET(SEG(TR, access), 0xb)}},
		{"guest TR access rights 0x88b: bits 11:8 must be 0",
		 {SET(SEG(TR, access), 0x88b)}},
		{"guest TR access rights 0x808b: G must be 0 with limit 0x67",
		 {SET(SEG(TR, access), 0x808b)}},
		{"guest TR access rights 0x8b: G must be 1 with limit 0x100fff",
		 {SET(SEG(TR, limit), 0x100fff)}},
		{"guest TR access rights 0x8000008b: bits 31:17 must be 0",
		 {SET(SEG(TR, access), 0x8000008b)}},
		{NULL, {SET(SEG(LDTR, access), 0x82)}},
		{"guest LDTR access rights 0x83: type 3 is not that of a local",
		 {SET(SEG(LDTR, access), 0x83)}},
		{"guest LDTR access rights 0x92: S must be 0", {SET(SEG(LDTR, access), 0x92)}},
		{"guest LDTR access rights 0x2: the segment is not present",
		 {SET(SEG(LDTR, access), 2)}},
		{"guest LDTR access rights 0x182: bits 11:8 must be 0",
		 {SET(SEG(LDTR, access), 0x182)}},
		{"guest LDTR access rights 0x8082: G must be 0 with limit 0x0",
		 {SET(SEG(LDTR, access), 0x8082)}},
		{"guest LDTR access rights 0x20082: bits 31:17 must be 0",
		 {SET(SEG(LDTR, access), 0x20082)}},
		{NULL, {SET(SEG(LDTR, access), 0x30082)}},
	};

	(void)state;
	CHECK_ROWS(good_64bit(), rows);
}

/* Privilege level 3 without "unrestricted guest". */
static void test_segments_pae(void **state)
{
	static const struct row rows[] = {
		{"guest SS selector 0x78: RPL 0 differs from the RPL 3 of CS",
		 {SET(SEG(SS, selector), 0x78)}},
		{NULL, {SET(SEG(SS, selector), 0x78), SET(secondary.value, SECONDARY_GOOD)}},
		{"guest CS access rights 0xc0f3: type 3 is not that of an accessed code segment",
		 {SET(SEG(CS, access), 0xc0f3)}},
		{"guest CS access rights 0xc0fa: type 10 is not that of an accessed code segment",
		 {SET(SEG(CS, access), 0xc0fa)}},
		{"guest CS access rights 0xc0eb: S must be 1", {SET(SEG(CS, access), 0xc0eb)}},
		{"guest CS access rights 0xc09b: DPL 0 differs from the DPL 3 of SS",
		 {SET(SEG(CS, access), 0xc09b)}},
		{NULL, {SET(SEG(CS, access), 0xc09f)}}, /* conforming */
		{NULL, {SET(SEG(CS, access), 0xc0ff)}},
		{"guest CS access rights 0xc07b: the segment is not present",
		 {SET(SEG(CS, access), 0xc07b)}},
		{"guest CS access rights 0xc4fb: bits 11:8 must be 0",
		 {SET(SEG(CS, access), 0xc4fb)}},
		{NULL, {SET(SEG(CS, access), 0xe0fb)}}, /* L and D/B, but not in long mode */
		{"guest CS access rights 0xc0fb: G must be 0 with limit 0xfffffffe",
		 {SET(SEG(CS, limit), 0xfffffffe)}},
		{"guest CS access rights 0x40fb: G must be 1 with limit 0xffffffff",
		 {SET(SEG(CS, access), 0x40fb)}},
		{"guest CS access rights 0x2c0fb: bits 31:17 must be 0",
		 {SET(SEG(CS, access), 0x2c0fb)}},
		/* CS counts as usable whatever it says */
		{"guest CS access rights 0x10000: type 0 is not that of an accessed code segment",
		 {SET(SEG(CS, access), 0x10000)}},
		{"guest SS access rights 0xc0f1: type 1 is not that of writable, accessed data",
		 {SET(SEG(SS, access), 0xc0f1)}},
		{"guest SS access rights 0xc0fb: type 11 is not that of writable",
		 {SET(SEG(SS, access), 0xc0fb)}},
		{NULL, {SET(SEG(SS, access), 0xc0f7)}}, /* expand-down */
		{"guest SS access rights 0xc0e3: S must be 1", {SET(SEG(SS, access), 0xc0e3)}},
		{"guest SS access rights 0xc0d3: DPL 2 differs from the RPL 3 of its selector",
		 {SET(SEG(SS, access), 0xc0d3), SET(SEG(CS, access), 0xc0db)}},
		{NULL, {SET(SEG(SS, access), 0x10060)}}, /* unusable, but has a DPL */
		{"guest SS access rights 0x93: DPL 0 differs from the RPL 3 of its selector",
		 {SET(SEG(SS, access), 0x93), SET(SEG(SS, limit), 0xfffff),
		  SET(SEG(CS, access), 0xc09b)}},
		{"guest SS access rights 0xc073: the segment is not present",
		 {SET(SEG(SS, access), 0xc073)}},
		{"guest DS access rights 0xc0f2: type 2 is not accessed",
		 {SET(SEG(DS, access), 0xc0f2)}},
		{"guest ES access rights 0xc0f9: type 9 is code and not readable",
		 {SET(SEG(ES, access), 0xc0f9)}},
		{NULL, {SET(SEG(ES, access), 0xc0fb)}},
		{"guest FS access rights 0xc0e3: S must be 1", {SET(SEG(FS, access), 0xc0e3)}},
		{"guest GS access rights 0xc0d3: DPL 2 is below the RPL 3 of its selector",
		 {SET(SEG(GS, access), 0xc0d3)}},
		{"guest GS access rights 0xc0db: DPL 2 is below the RPL 3 of its selector",
		 {SET(SEG(GS, access), 0xc0db)}},
		{NULL, {SET(SEG(GS, access), 0xc0df)}}, /* conforming */
		{NULL, {SET(SEG(GS, access), 0xc0d3), SET(secondary.value, SECONDARY_GOOD)}},
		{NULL, {SET(SEG(GS, access), 0x10000)}},
		{"guest DS access rights 0xc073: the segment is not present",
		 {SET(SEG(DS, access), 0xc073)}},
		{"guest ES access rights 0xc1f3: bits 11:8 must be 0",
		 {SET(SEG(ES, access), 0xc1f3)}},
		{"guest FS access rights 0xc0f3: G must be 0 with limit 0x0",
		 {SET(SEG(FS, limit), 0)}},
		{"guest GS access rights 0x800c0f3: bits 31:17 must be 0",
		 {SET(SEG(GS, access), 0x800c0f3)}},
		{NULL, {SET(SEG(TR, access), 0x83)}}, /* 16-bit */
		{"guest TR access rights 0x87: type 7 is not that of a busy",
		 {SET(SEG(TR, access), 0x87)}},
	};

	(void)state;
	CHECK_ROWS(good_pae(), rows);
}

static void test_segments_real(void **state)
{
	static const struct row rows[] = {
		{NULL, {SET(SEG(CS, access), 0x93)}}, /* data: as it is after a jump in real mode */
		{"guest CS access rights 0xb3: DPL 1 must be 0 in a data segment",
		 {SET(SEG(CS, access), 0xb3)}},
		{"guest CS access rights 0xf3: DPL 3 must be 0 in a data segment",
		 {SET(SEG(CS, access), 0xf3), SET(SEG(SS, access), 0xf3)}},
		{"guest CS access rights 0xbf: DPL 1 of conforming code is above the DPL 0 of SS",
		 {SET(SEG(CS, access), 0xbf)}},
		{"guest SS access rights 0xf3: DPL 3 must be 0 while CS is a data segment",
		 {SET(SEG(SS, access), 0xf3), SET(SEG(CS, access), 0x93)}},
		{"guest SS access rights 0xf3: DPL 3 must be 0 in real mode",
		 {SET(SEG(SS, access), 0xf3), SET(SEG(CS, access), 0xfb)}},
		{NULL,
		 {SET(SEG(SS, access), 0xf3), SET(SEG(CS, access), 0xfb), SET(guest.cr0, 0x31)}},
		{NULL, {SET(SEG(SS, selector), 3)}},
		{NULL, {SET(SEG(DS, selector), 0xffff)}},
		{NULL, {SET(SEG(DS, limit), 0xffffffff), SET(SEG(DS, access), 0x8093)}},
		{"guest DS access rights 0x93: G must be 1 with limit 0xffffffff",
		 {SET(SEG(DS, limit), 0xffffffff)}},
	};

	(void)state;
	CHECK_ROWS(good_real(), rows);
}

static void test_segments_v8086(void **state)
{
	static const struct row rows[] = {
		{"guest CS base 0x100: not 16 times the selector 0x2344",
		 {SET(SEG(CS, base), 0x100)}},
		{"guest SS base 0x100: not 16 times the selector 0x3455",
		 {SET(SEG(SS, base), 0x100)}},
		{"guest DS base 0x45670: not 16 times the selector 0x0",
		 {SET(SEG(DS, selector), 0), SET(SEG(DS, base), 0x45670)}},
		{"guest ES base 0x0: not 16 times", {SET(SEG(ES, base), 0)}},
		{"guest FS base 0x1: not 16 times", {SET(SEG(FS, base), 1)}},
		{"guest GS base 0x800000000000: not 16 times", {SET(SEG(GS, base), BIT(47))}},
		{"guest CS limit 0xfffff: must be 0xffff in virtual-8086",
		 {SET(SEG(CS, limit), 0xfffff)}},
		{"guest GS limit 0x0: must be 0xffff in virtual-8086", {SET(SEG(GS, limit), 0)}},
		{"guest ES access rights 0x93: must be 0xf3 in virtual-8086",
		 {SET(SEG(ES, access), 0x93)}},
		{"guest DS access rights 0x100f3: must be 0xf3 in virtual-8086",
		 {SET(SEG(DS, access), 0x100f3)}},
		{"guest TR access rights 0x82: type 2 is not that of a busy",
		 {SET(SEG(TR, access), 0x82)}},
		/* RPLs mean nothing here, also without "unrestricted guest" */
		{NULL, {SET(secondary.value, SECONDARY_EPT | SECONDARY_VPID)}},
	};

	(void)state;
	CHECK_ROWS(good_v8086(), rows);
}

static void test_tables_and_rip(void **state)
{
	static const struct row rows[] = {
		{"guest GDTR base 0x800000000000: not a canonical",
		 {SET(guest.gdtr.base, BIT(47))}},
		{"guest IDTR base 0x800000000000: not a canonical",
		 {SET(guest.idtr.base, BIT(47))}},
		{NULL, {SET(guest.idtr.limit, 0xffff)}},
		{"guest GDTR limit 0x10000: bits 31:16 must be 0",
		 {SET(guest.gdtr.limit, 0x10000)}},
		{"guest IDTR limit 0x10000: bits 31:16 must be 0",
		 {SET(guest.idtr.limit, 0x10000)}},
		{"guest RIP 0x1000000000000: bits 63:48 must be all alike",
		 {SET(guest.rip, BIT(48))}},
		{NULL, {SET(guest.rip, BIT(47))}}, /* behind the last byte of the lower half */
		{"guest RIP 0xffffffff81000000: bits 63:32 must be 0 outside 64-bit code",
		 {SET(SEG(CS, access), 0xc09b)}},
		{NULL, {SET(SEG(CS, access), 0xc09b), SET(guest.rip, 0xffffffff)}},
		{"guest RFLAGS 0x200: bit 1 must be 1", {SET(guest.rflags, 0x200)}},
		{"guest RFLAGS 0x2: IF must be 1 when an external interrupt is injected",
		 {SET(guest.rflags, 2), SET(entry_event, EVENT(EVENT_TYPE_INTR, 32))}},
		{NULL, {SET(guest.rflags, 2), SET(entry_event, EVENT(EVENT_TYPE_NMI, 2))}},
	};
	static const struct row v8086[] = {
		{"guest RFLAGS 0x20202: there is no virtual-8086 mode in real mode",
		 {SET(guest.cr0, 0x30)}},
		{"guest RFLAGS 0x20202: there is no virtual-8086 mode in long mode",
		 {SET(entry.value, 0xd3ff), SET(guest.cr4, 0x2021), SET(guest.efer, 0x500)}},
		{"guest RIP 0x100000000: bits 63:32 must be 0 outside", {SET(guest.rip, BIT(32))}},
	};

	(void)state;
	CHECK_ROWS(good_64bit(), rows);
	CHECK_ROWS(good_v8086(), v8086);
}

static void test_reserved_bits(void **state)
{
	const uint64_t rflags = 0x3f7fd7; /* architectural, bit 1 among them */
	const uint64_t efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	const uint64_t debugctl = 0xffc7;
	const uint64_t pending = 0x1500f;
	char says[64];

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		struct vmx_audit a = good_64bit();

		if (!(rflags & BIT(bit))) {
			a.guest.rflags |= BIT(bit);
			snprintf(says, sizeof(says), "guest RFLAGS 0x%llx: bit %u must be 0",
				 (unsigned long long)a.guest.rflags, bit);
			refused(&a, says);
		} else if (bit != 17) {
			a.guest.rflags |= BIT(bit);
			accepted(&a);
		}
		a = good_64bit();
		a.guest.efer |= BIT(bit);
		if (efer & BIT(bit))
			accepted(&a);
		else
			refused(&a, "guest EFER 0x");
		a = good_64bit();
		a.guest.debugctl = BIT(bit);
		if (debugctl & BIT(bit))
			accepted(&a);
		else
			refused(&a, "guest DEBUGCTL 0x");
		a = good_64bit();
		a.guest.pending_debug = BIT(bit);
		if ((pending & BIT(bit)) && bit != 16)
			accepted(&a);
		else
			refused(&a, "guest pending debug exceptions 0x");
		a = good_64bit();
		a.guest.cr3 = BIT(bit);
		if (bit < 39)
			accepted(&a);
		else
			refused(&a, "guest CR3 0x");
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		struct vmx_audit a = good_64bit();

		a.guest.interruptibility = BIT32(bit);
		if (bit < 5 && bit != 2)
			accepted(&a);
		else
			refused(&a, "guest interruptibility 0x");
	}
}

static void test_activity(void **state)
{
	static const struct row rows[] = {
		{NULL, {SET(guest.activity, 1)}},
		{NULL, {SET(guest.activity, 2)}},
		{NULL, {SET(guest.activity, 3)}},
		{"guest activity 0x4: there is no state above 3", {SET(guest.activity, 4)}},
		{"guest activity 0x1: this processor does not support it",
		 {SET(guest.activity, 1), SET(misc, 0x6ull << 6)}},
		{"guest activity 0x3: this processor does not support it",
		 {SET(guest.activity, 3), SET(misc, 0x3ull << 6)}},
		{"guest activity 0x1: HLT needs privilege level 0",
		 {SET(guest.activity, 1), SET(SEG(SS, access), 0xc0f3),
		  SET(SEG(CS, access), 0xa0fb)}},
		{NULL,
		 {SET(guest.activity, 2), SET(SEG(SS, access), 0xc0f3),
		  SET(SEG(CS, access), 0xa0fb)}},
		{"guest activity 0x1: must be 0 (active) while STI or MOV SS",
		 {SET(guest.activity, 1), SET(guest.interruptibility, 1)}},
		{"guest activity 0x2: must be 0 (active) while STI or MOV SS",
		 {SET(guest.activity, 2), SET(guest.interruptibility, 2)}},
		{NULL, {SET(guest.activity, 1), SET(entry_event, EVENT(EVENT_TYPE_INTR, 0x20))}},
		{NULL, {SET(guest.activity, 1), SET(entry_event, EVENT(EVENT_TYPE_NMI, 2))}},
		{NULL, {SET(guest.activity, 1), SET(entry_event, EVENT(EVENT_TYPE_OTHER, 0))}},
		{NULL, {SET(guest.activity, 1), SET(entry_event, EVENT(EVENT_TYPE_EXCEPTION, 1))}},
		{NULL, {SET(guest.activity, 1), SET(entry_event, EVENT(EVENT_TYPE_EXCEPTION, 18))}},
		{"guest activity 0x1: the injected event 0x80000306 is blocked",
		 {SET(guest.activity, 1), SET(entry_event, EVENT(EVENT_TYPE_EXCEPTION, 6))}},
		{"guest activity 0x1: the injected event 0x80000401 is blocked",
		 {SET(guest.activity, 1), SET(entry_event, EVENT(EVENT_TYPE_SOFT_INT, 1)),
		  SET(entry_insn_len, 2)}},
		{NULL, {SET(guest.activity, 2), SET(entry_event, EVENT(EVENT_TYPE_NMI, 2))}},
		{NULL, {SET(guest.activity, 2), SET(entry_event, EVENT(EVENT_TYPE_EXCEPTION, 18))}},
		{"guest activity 0x2: the injected event 0x80000020 is blocked",
		 {SET(guest.activity, 2), SET(entry_event, EVENT(EVENT_TYPE_INTR, 0x20))}},
		{"guest activity 0x2: the injected event 0x80000301 is blocked",
		 {SET(guest.activity, 2), SET(entry_event, EVENT(EVENT_TYPE_EXCEPTION, 1))}},
		{"guest activity 0x3: the injected event 0x80000202 is blocked",
		 {SET(guest.activity, 3), SET(entry_event, EVENT(EVENT_TYPE_NMI, 2))}},
	};

	(void)state;
	CHECK_ROWS(good_64bit(), rows);
}

static void test_interruptibility(void **state)
{
	static const struct row rows[] = {
		{"guest interruptibility 0x20: bits 31:5 must be 0",
		 {SET(guest.interruptibility, 0x20)}},
		{"guest interruptibility 0x3: STI and MOV SS (bits 0 and 1) cannot both",
		 {SET(guest.interruptibility, 3)}},
		{"guest interruptibility 0x1: STI (bit 0) cannot block while RFLAGS.IF is 0",
		 {SET(guest.interruptibility, 1), SET(guest.rflags, 2)}},
		{NULL, {SET(guest.interruptibility, 2), SET(guest.rflags, 2)}},
		{"guest interruptibility 0x1: an external interrupt is injected while",
		 {SET(guest.interruptibility, 1), SET(entry_event, EVENT(EVENT_TYPE_INTR, 32))}},
		{"guest interruptibility 0x2: an external interrupt is injected while",
		 {SET(guest.interruptibility, 2), SET(entry_event, EVENT(EVENT_TYPE_INTR, 32))}},
		{NULL,
		 {SET(guest.interruptibility, 8), SET(entry_event, EVENT(EVENT_TYPE_INTR, 32))}},
		{"guest interruptibility 0x2: an NMI is injected while MOV SS blocks it",
		 {SET(guest.interruptibility, 2), SET(entry_event, EVENT(EVENT_TYPE_NMI, 2))}},
		{"guest interruptibility 0x4: blocking by SMI (bit 2)",
		 {SET(guest.interruptibility, 4)}},
		{"guest interruptibility 0x8: an NMI is injected while an NMI blocks it",
		 {SET(guest.interruptibility, 8), SET(entry_event, EVENT(EVENT_TYPE_NMI, 2))}},
		{NULL,
		 {SET(guest.interruptibility, 8), SET(entry_event, EVENT(EVENT_TYPE_NMI, 2)),
		  SET(pin.value, 0x1f)}},
		{"guest interruptibility 0x12: an enclave (bit 4) excludes blocking by MOV SS",
		 {SET(guest.interruptibility, 0x12)}},
		{"guest interruptibility 0x1: this processor may refuse an injected NMI while STI",
		 {SET(guest.interruptibility, 1), SET(entry_event, EVENT(EVENT_TYPE_NMI, 2))}},
		/* what is surely broken is blamed before that */
		{"VMCS link pointer 0x1: neither",
		 {SET(guest.interruptibility, 1), SET(entry_event, EVENT(EVENT_TYPE_NMI, 2)),
		  SET(guest.link_pointer, 1)}},
	};

	(void)state;
	CHECK_ROWS(good_64bit(), rows);
}

static void test_pending_debug(void **state)
{
	static const struct row rows[] = {
		{NULL, {SET(guest.pending_debug, 0x500f)}},
		{"guest pending debug exceptions 0x10: bit 4 must be 0",
		 {SET(guest.pending_debug, 0x10)}},
		{"guest pending debug exceptions 0x0: BS (bit 14) must be 1 after STI",
		 {SET(guest.rflags, 0x302), SET(guest.interruptibility, 1)}},
		{NULL,
		 {SET(guest.rflags, 0x302), SET(guest.interruptibility, 1),
		  SET(guest.pending_debug, 0x4000)}},
		{"guest pending debug exceptions 0x0: BS (bit 14) must be 1 after STI",
		 {SET(guest.rflags, 0x302), SET(guest.activity, 1)}},
		{"guest pending debug exceptions 0x4000: BS (bit 14) must be 0 after STI",
		 {SET(guest.pending_debug, 0x4000), SET(guest.interruptibility, 2)}},
		{"guest pending debug exceptions 0x4000: BS (bit 14) must be 0 after STI",
		 {SET(guest.pending_debug, 0x4000), SET(guest.interruptibility, 2),
		  SET(guest.rflags, 0x302), SET(guest.debugctl, 2)}},
		{NULL,
		 {SET(guest.interruptibility, 2), SET(guest.rflags, 0x302),
		  SET(guest.debugctl, 2)}},
		{NULL, {SET(guest.rflags, 0x302)}}, /* nothing stops: BS is free */
		{NULL, {SET(guest.pending_debug, 0x4000)}},
		{NULL, {SET(guest.pending_debug, 0x11000)}},
		{"guest pending debug exceptions 0x10000: with RTM (bit 16), bit 12",
		 {SET(guest.pending_debug, 0x10000)}},
		{"guest pending debug exceptions 0x11001: with RTM (bit 16), bit 12",
		 {SET(guest.pending_debug, 0x11001)}},
		{"guest pending debug exceptions 0x11000: RTM (bit 16) excludes blocking by MOV",
		 {SET(guest.pending_debug, 0x11000), SET(guest.interruptibility, 2)}},
	};

	(void)state;
	CHECK_ROWS(good_64bit(), rows);
}

static void test_link_pointer_and_pdptes(void **state)
{
	static const struct row rows[] = {
		{"VMCS link pointer 0xfffffffffffffffe: neither all ones nor",
		 {SET(guest.link_pointer, UINT64_MAX - 1)}},
		{"VMCS link pointer 0x8000000000: has bits beyond the 39 physical-address bits",
		 {SET(guest.link_pointer, BIT(39))}},
		{"VMCS link pointer 0x100000000: has bits beyond the 32 physical-address bits",
		 {SET(guest.link_pointer, BIT(32)), SET(basic, VMX_BASIC_32BIT_ADDRESSES)}},
		{NULL, {SET(guest.link_pointer, 0x5000)}},
		{NULL, {SET(guest.pdpte[0], UINT64_MAX)}}, /* 4-level paging has none */
	};
	static const struct row pae[] = {
		{"guest PDPTE0 0x3003: present, and has reserved bits",
		 {SET(guest.pdpte[0], 0x3003)}},
		{"guest PDPTE1 0x21: present, and has reserved bits", {SET(guest.pdpte[1], 0x21)}},
		{"guest PDPTE2 0x101: present, and has reserved bits",
		 {SET(guest.pdpte[2], 0x101)}},
		{"guest PDPTE3 0x8000000001: present, and has", {SET(guest.pdpte[3], BIT(39) | 1)}},
		{NULL, {SET(guest.pdpte[3], 0x7ffffffe19)}},
		{NULL, {SET(guest.pdpte[3], UINT64_MAX - 1)}}, /* not present */
		{NULL, {SET(guest.pdpte[3], UINT64_MAX), SET(guest.cr4, 0x2000)}},
		{NULL, {SET(guest.pdpte[3], UINT64_MAX), SET(secondary.value, 0)}},
	};

	(void)state;
	CHECK_ROWS(good_64bit(), rows);
	CHECK_ROWS(good_pae(), pae);
}

/* Whatever is in it, the answer is 0 or one sentence. */
static void audit_any(const struct vmx_audit *a)
{
	struct reason why = {""};
	int err = vmx_audit(a, &why);

	if (!err) {
		assert_string_equal(why.text, "");
		return;
	}
	assert_int_equal(err, ERR_INVALID);
	assert_sentence(why.text);
}

static void test_random(void **state)
{
	const struct vmx_audit good[] = {good_64bit(), good_real(), good_pae(), good_v8086()};

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		struct vmx_audit a = good[broken_random() % ARRAY_SIZE(good)];

		broken_flip((uint8_t *)&a, 0, sizeof(a));
		audit_any(&a);
	}
	for (unsigned i = 0; i < 20000; i++) {
		struct vmx_audit a;
		uint8_t *p = (uint8_t *)&a;

		for (size_t at = 0; at < sizeof(a); at++)
			p[at] = (uint8_t)broken_random();
		audit_any(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_execution_controls),
		cmocka_unit_test(test_apic_controls),
		cmocka_unit_test(test_eptp),
		cmocka_unit_test(test_exit_and_entry_controls),
		cmocka_unit_test(test_event),
		cmocka_unit_test(test_event_error_codes),
		cmocka_unit_test(test_event_lengths),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_pat),
		cmocka_unit_test(test_guest_registers),
		cmocka_unit_test(test_segments_64bit),
		cmocka_unit_test(test_segments_pae),
		cmocka_unit_test(test_segments_real),
		cmocka_unit_test(test_segments_v8086),
		cmocka_unit_test(test_tables_and_rip),
		cmocka_unit_test(test_reserved_bits),
		cmocka_unit_test(test_activity),
		cmocka_unit_test(test_interruptibility),
		cmocka_unit_test(test_pending_debug),
		cmocka_unit_test(test_link_pointer_and_pdptes),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
