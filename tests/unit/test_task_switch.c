/* Hardware task switches: what is saved and loaded, and the exceptions before and after the commit
 * point. Source: Intel SDM volume 3, "Task Management". */
#include "guests/task_switch.h"

#include "tests/unit/guest_code.h"

#define GDT     0x10000u
#define LDT     0x11000u
#define OLD     0x12000u
#define NEW     0x13000u
#define TABLES  0x20000u
#define STACK   0x30000u
#define SEL_CS  0x08u
#define SEL_DS  0x10u
#define SEL_OLD 0x18u
#define SEL_NEW 0x20u
#define SEL_LDT 0x28u
#define SEL_X   0x30u /* for a descriptor of the test's own */

#define TYPE_AT(sel) (GDT + (sel) + 5)

static struct vcpu_state s;
static struct task_switch t;
static struct vcpu_event fault;

static uint64_t descriptor(uint32_t base, uint32_t limit, unsigned attr)
{
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
	       (uint64_t)(attr & 0xff) << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
	       (uint64_t)(attr >> 8 & 15) << 52 | (uint64_t)(base >> 24) << 56;
}

static void put_descriptor(unsigned sel, uint32_t base, uint32_t limit, unsigned attr)
{
	put64(GDT + sel, descriptor(base, limit, attr));
}

static uint8_t type_of(unsigned sel)
{
	return (uint8_t)(get64(GDT + sel) >> 40);
}

/* Selector i of the new TSS: ES, CS, SS, DS, FS, GS. */
static void new_seg(unsigned i, uint32_t sel)
{
	put32(NEW + 72 + 4 * i, sel);
}

/* Two 32-bit tasks of ring 0 without paging; the old one jumps. */
static int begin(void **state)
{
	(void)state;
	code_begin();
	vcpu_state_at_reset(&s);
	put_descriptor(SEL_CS, 0, 0xfffff, 0xc9b);
	put_descriptor(SEL_DS, 0, 0xfffff, 0xc93);
	put_descriptor(SEL_OLD, OLD, 0x67, 0x8b);
	put_descriptor(SEL_NEW, NEW, 0x67, 0x89);
	put_descriptor(SEL_LDT, LDT, 0x0f, 0x82);
	s.cr0 = CR0_PE | CR0_ET;
	s.gdtr = (struct table_state){.base = GDT, .limit = SEL_X + 7};
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		s.seg[i] = (struct segment_state){
			.limit = UINT32_MAX, .selector = SEL_DS, .attr = 0xc93};
	s.seg[SEG_CS].selector = SEL_CS;
	s.seg[SEG_CS].attr = 0xc9b;
	s.seg[SEG_LDTR] = (struct segment_state){0};
	s.seg[SEG_TR] = (struct segment_state){
		.base = OLD, .limit = 0x67, .selector = SEL_OLD, .attr = 0x8b};
	s.rip = 0x1000;
	s.rflags = RFLAGS_ONE | RFLAGS_IF | RFLAGS_CF;
	s.dr7 = 0x4ff;
	for (unsigned i = 0; i < 8; i++) {
		s.gpr[i] = 0xa0000000 + i;
		put32(NEW + 40 + 4 * i, 0xb0000000 + i);
	}
	put32(NEW + 40 + 4 * GPR_RSP, STACK);
	put32(NEW + 32, 0x2000);
	put32(NEW + 36, RFLAGS_ONE | RFLAGS_ZF);
	for (unsigned i = 0; i < 6; i++)
		new_seg(i, i == 1 ? SEL_CS : SEL_DS);
	t = (struct task_switch){.selector = SEL_NEW, .source = TASK_SWITCH_JMP, .insn_len = 7};
	return 0;
}

static void go(void)
{
	fault = task_switch(&code_mem, 40, &t, &s);
}

static void check_fault(uint8_t vector, uint32_t error)
{
	assert_int_equal(fault.kind, EVENT_EXCEPTION);
	assert_int_equal(fault.vector, vector);
	assert_true(fault.has_error);
	assert_int_equal(fault.error, error);
}

/* The exception is the old task's, of which nothing is changed. */
static void fails_before(uint8_t vector, uint32_t error)
{
	static uint8_t ram[sizeof(code_low)];
	struct vcpu_state was = s;

	memcpy(ram, code_low, sizeof(ram));
	go();
	check_fault(vector, error);
	assert_memory_equal(&s, &was, sizeof(s));
	assert_memory_equal(ram, code_low, sizeof(ram));
}

/* It is the new task's, which is in place. */
static void fails_after(uint8_t vector, uint32_t error)
{
	go();
	check_fault(vector, error);
	assert_int_equal(s.seg[SEG_TR].selector, SEL_NEW);
	assert_int_equal(s.rip, 0x2000);
	assert_int_equal(get32(OLD + 32), 0x1007);
}

static void works(void)
{
	go();
	assert_int_equal(fault.kind, EVENT_NONE);
}

static void test_jmp(void **state)
{
	(void)state;
	works();
	assert_int_equal(get32(OLD + 32), 0x1007);
	assert_int_equal(get32(OLD + 36), RFLAGS_ONE | RFLAGS_IF | RFLAGS_CF);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(get32(OLD + 40 + 4 * i), 0xa0000000 + i);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(get32(OLD + 72 + 4 * i), i == 1 ? SEL_CS : SEL_DS);
	assert_int_equal(get32(OLD + 28), 0); /* CR3 and the LDT are not saved */
	assert_int_equal(get32(OLD + 96), 0);
	assert_int_equal(get32(NEW), 0);
	assert_int_equal(type_of(SEL_OLD), 0x89);
	assert_int_equal(type_of(SEL_NEW), 0x8b);
	assert_int_equal(s.rip, 0x2000);
	assert_int_equal(s.rflags, RFLAGS_ONE | RFLAGS_ZF);
	assert_int_equal(s.gpr[GPR_RSP], STACK);
	assert_int_equal(s.gpr[GPR_RDI], 0xb0000007);
	assert_int_equal(s.seg[SEG_TR].selector, SEL_NEW);
	assert_int_equal(s.seg[SEG_TR].base, NEW);
	assert_int_equal(s.seg[SEG_TR].attr, 0x8b);
	assert_int_equal(s.seg[SEG_CS].limit, UINT32_MAX);
	assert_true(s.cr0 & CR0_TS);
	assert_int_equal(s.dr7, 0x4aa);
}

static void test_call_and_iret(void **state)
{
	(void)state;
	t.source = TASK_SWITCH_CALL;
	works();
	assert_int_equal(get32(NEW), SEL_OLD);
	assert_int_equal(type_of(SEL_OLD), 0x8b);
	assert_int_equal(type_of(SEL_NEW), 0x8b);
	assert_int_equal(s.rflags, RFLAGS_ONE | RFLAGS_ZF | RFLAGS_NT);
	t = (struct task_switch){.selector = SEL_OLD, .source = TASK_SWITCH_IRET, .insn_len = 1};
	works();
	assert_int_equal(get32(NEW + 32), 0x2001);
	assert_int_equal(get32(NEW + 36), RFLAGS_ONE | RFLAGS_ZF);
	assert_int_equal(type_of(SEL_OLD), 0x8b);
	assert_int_equal(type_of(SEL_NEW), 0x89);
	assert_int_equal(s.rip, 0x1007);
	assert_int_equal(s.gpr[GPR_RBX], 0xa0000003);
}

static void test_before_commit(void **state)
{
	(void)state;
	t.selector = SEL_OLD; /* busy */
	fails_before(VEC_GP, SEL_OLD);
	t.selector = SEL_DS;
	fails_before(VEC_GP, SEL_DS);
	t.selector = 0;
	fails_before(VEC_GP, 0);
	t.selector = SEL_NEW | 4; /* of the LDT */
	fails_before(VEC_GP, SEL_NEW | 4);
	t.selector = SEL_X + 8;
	fails_before(VEC_GP, SEL_X + 8);
	t.source = TASK_SWITCH_IRET;
	fails_before(VEC_TS, SEL_X + 8);
	t.selector = SEL_NEW; /* not busy */
	fails_before(VEC_TS, SEL_NEW);
	t.source = TASK_SWITCH_CALL;
	put_descriptor(SEL_NEW, NEW, 0x67, 0x09);
	fails_before(VEC_NP, SEL_NEW);
	put_descriptor(SEL_NEW, NEW, 0x66, 0x89);
	fails_before(VEC_TS, SEL_NEW);
	put_descriptor(SEL_NEW, NEW, 0x2a, 0x81);
	fails_before(VEC_TS, SEL_NEW);
	put_descriptor(SEL_NEW, NEW, 0x67, 0x89);
	s.seg[SEG_TR].limit = 0x5e;
	fails_before(VEC_TS, SEL_OLD);
	s.seg[SEG_TR].limit = 0x5f;
	/* an event from outside says so in the error code; the program's own does not */
	t.source = TASK_SWITCH_GATE;
	put_descriptor(SEL_NEW, NEW, 0x67, 0x09);
	fails_before(VEC_NP, SEL_NEW);
	t.event = (struct vcpu_event){.kind = EVENT_INTERRUPT, .vector = 0x40};
	fails_before(VEC_NP, SEL_NEW | 1);
}

static void test_code(void **state)
{
	(void)state;
	new_seg(1, 0);
	fails_after(VEC_TS, 0);
	begin(NULL);
	new_seg(1, SEL_DS);
	fails_after(VEC_TS, SEL_DS);
	begin(NULL);
	new_seg(1, SEL_CS | 3); /* DPL is not RPL */
	fails_after(VEC_TS, SEL_CS);
	assert_int_equal(s.cpl, 3);
	begin(NULL);
	put_descriptor(SEL_X, 0, 0xfffff, 0xc1b);
	new_seg(1, SEL_X);
	fails_after(VEC_NP, SEL_X);
	begin(NULL);
	put_descriptor(SEL_X, 0, 0xfffff, 0xcfe); /* conforming, and its DPL above the RPL */
	new_seg(1, SEL_X);
	fails_after(VEC_TS, SEL_X);
	begin(NULL);
	put_descriptor(SEL_X, 0, 0x1fff, 0x49a); /* EIP is beyond */
	new_seg(1, SEL_X);
	fails_after(VEC_GP, 0);
	assert_int_equal(type_of(SEL_X), 0x9b); /* it was accessed */
}

static void test_stack_and_data(void **state)
{
	(void)state;
	new_seg(2, 0);
	fails_after(VEC_TS, 0);
	begin(NULL);
	new_seg(2, SEL_CS);
	fails_after(VEC_TS, SEL_CS);
	begin(NULL);
	new_seg(2, SEL_DS | 1);
	fails_after(VEC_TS, SEL_DS);
	begin(NULL);
	put_descriptor(SEL_X, 0, 0xfffff, 0xc13);
	new_seg(2, SEL_X);
	fails_after(VEC_SS, SEL_X);
	begin(NULL);
	put_descriptor(SEL_X, 0, 0xfffff, 0xc91); /* read-only */
	new_seg(2, SEL_X);
	fails_after(VEC_TS, SEL_X);
	for (unsigned i = 0; i < 6; i++) {
		if (i == 1 || i == 2)
			continue;
		begin(NULL);
		put_descriptor(SEL_X, 0, 0xfffff, 0xc13);
		new_seg(i, SEL_X);
		fails_after(VEC_NP, SEL_X);
		begin(NULL);
		put_descriptor(SEL_X, 0, 0xfffff, 0xc98); /* not readable */
		new_seg(i, SEL_X);
		fails_after(VEC_TS, SEL_X);
		begin(NULL);
		new_seg(i, SEL_DS | 3);
		fails_after(VEC_TS, SEL_DS);
		begin(NULL);
		new_seg(i, 3); /* none */
		works();
		assert_false(s.seg[i].attr & SEG_ATTR_P);
		assert_int_equal(s.seg[i].selector, 3);
	}
}

static void test_ldt(void **state)
{
	(void)state;
	put32(NEW + 96, SEL_LDT);
	put64(LDT + 8, descriptor(0x5000, 0xfff, 0x492));
	new_seg(3, 8 | 4);
	works();
	assert_int_equal(s.seg[SEG_LDTR].base, LDT);
	assert_int_equal(s.seg[SEG_DS].base, 0x5000);
	begin(NULL);
	put32(NEW + 96, SEL_DS);
	fails_after(VEC_TS, SEL_DS);
	begin(NULL);
	put32(NEW + 96, SEL_LDT | 4);
	fails_after(VEC_TS, SEL_LDT | 4);
	begin(NULL);
	put_descriptor(SEL_LDT, LDT, 0x0f, 0x02); /* not present: #TS, too */
	put32(NEW + 96, SEL_LDT);
	fails_after(VEC_TS, SEL_LDT);
	begin(NULL);
	put32(NEW + 96, SEL_LDT);
	new_seg(3, 0x10 | 4);
	fails_after(VEC_TS, 0x10 | 4);
}

static void test_error_code(void **state)
{
	(void)state;
	t.source = TASK_SWITCH_GATE;
	t.insn_len = 0;
	t.event = (struct vcpu_event){
		.kind = EVENT_EXCEPTION, .vector = VEC_NP, .has_error = true, .error = 0x1238};
	s.rflags |= RFLAGS_RF;
	works();
	assert_int_equal(get32(OLD + 32), 0x1000);
	assert_true(get32(OLD + 36) & RFLAGS_RF);
	assert_int_equal(s.gpr[GPR_RSP], STACK - 4);
	assert_int_equal(get32(STACK - 4), 0x1238);
	assert_int_equal(get32(NEW), SEL_OLD);
	/* the stack has no room */
	begin(NULL);
	t.source = TASK_SWITCH_GATE;
	t.event = (struct vcpu_event){.kind = EVENT_EXCEPTION, .vector = VEC_NP, .has_error = true};
	put_descriptor(SEL_X, 0, STACK - 2, 0x493);
	new_seg(2, SEL_X);
	fails_after(VEC_SS, 1);
	/* expanding down, to its limit and not further */
	begin(NULL);
	t.source = TASK_SWITCH_GATE;
	t.event.kind = EVENT_EXCEPTION;
	t.event.has_error = true;
	put_descriptor(SEL_X, 0, STACK - 5, 0x497);
	new_seg(2, SEL_X);
	works();
	begin(NULL);
	t.source = TASK_SWITCH_GATE;
	t.event.kind = EVENT_EXCEPTION;
	t.event.has_error = true;
	put_descriptor(SEL_X, 0, STACK - 4, 0x497);
	new_seg(2, SEL_X);
	fails_after(VEC_SS, 1);
}

static void test_16_bit(void **state)
{
	static const uint16_t tss[] = {0, 0, 0,      0, 0, 0, 0,      0x4000, 2,      1,      2,
				       3, 4, 0x7000, 6, 7, 8, SEL_DS, SEL_CS, SEL_DS, SEL_DS, 0};

	(void)state;
	put_descriptor(SEL_NEW, NEW, 0x2b, 0x81);
	assert_int_equal(gmem_write(&code_mem, NEW, tss, sizeof(tss)), 0);
	works();
	assert_int_equal(s.rip, 0x4000);
	assert_int_equal(s.gpr[GPR_RAX], 1);
	assert_int_equal(s.gpr[GPR_RSP], 0x7000);
	assert_int_equal(s.seg[SEG_FS].selector, 0);
	assert_int_equal(s.seg[SEG_TR].attr, 0x83);
	/* and back: 16 bits are saved, up to DS */
	t = (struct task_switch){.selector = SEL_OLD, .source = TASK_SWITCH_JMP, .insn_len = 5};
	works();
	assert_int_equal(get32(NEW + 14), 0x4005 | 2 << 16);
	assert_int_equal(get32(NEW + 40), SEL_DS);
	assert_int_equal(s.rip, 0x1007);
}

static void test_vm86(void **state)
{
	(void)state;
	put32(NEW + 36, RFLAGS_ONE | RFLAGS_VM);
	new_seg(1, 0x1234);
	new_seg(5, 0xffff);
	works();
	assert_int_equal(s.cpl, 3);
	assert_int_equal(s.seg[SEG_CS].base, 0x12340);
	assert_int_equal(s.seg[SEG_GS].base, 0xffff0);
	assert_int_equal(s.seg[SEG_GS].limit, 0xffff);
	assert_int_equal(s.seg[SEG_CS].attr, 0xf3);
}

static void test_trap(void **state)
{
	(void)state;
	put32(NEW + 100, 1);
	go();
	assert_int_equal(fault.vector, VEC_DB);
	assert_false(fault.has_error);
	assert_int_equal(fault.payload, BIT(15));
	assert_int_equal(s.rip, 0x2000);
}

/* Identity mapping of the first 4 MiB in 4 KiB pages, at TABLES and once more, two pages on. */
static void begin_paging(void)
{
	begin(NULL);
	for (unsigned n = 0; n < 2; n++) {
		put32(TABLES + n * 0x2000, (TABLES + n * 0x2000 + 0x1000) | 7);
		for (uint32_t i = 0; i < 1024; i++)
			put32(TABLES + n * 0x2000 + 0x1000 + 4 * i, i << 12 | 3);
	}
	s.cr0 |= CR0_PG | CR0_WP;
	s.cr3 = TABLES;
	put32(NEW + 28, TABLES + 0x2000);
}

static void set_page(unsigned tables, uint32_t gva, uint32_t flags)
{
	put32(TABLES + tables * 0x2000 + 0x1000 + 4 * (gva >> 12), gva | flags);
}

static void check_pf(uint32_t error, uint64_t address)
{
	check_fault(VEC_PF, error);
	assert_int_equal(fault.payload, address);
}

static void test_paging(void **state)
{
	(void)state;
	begin_paging();
	works();
	assert_int_equal(s.cr3, TABLES + 0x2000);
	/* before: the GDT's page, the old TSS, which is written, and the new one, which is read */
	begin_paging();
	set_page(0, GDT, 0);
	go();
	check_pf(0, GDT + SEL_NEW);
	begin_paging();
	set_page(0, OLD, 1);
	go();
	check_pf(3, OLD + 32);
	assert_int_equal(s.cr3, TABLES);
	assert_int_equal(type_of(SEL_NEW), 0x89);
	begin_paging();
	set_page(0, NEW, 0);
	go();
	check_pf(0, NEW);
	assert_int_equal(s.seg[SEG_TR].selector, SEL_OLD);
	assert_int_equal(get32(OLD + 32), 0);
	/* CALL also writes the new one's link */
	begin_paging();
	set_page(0, NEW, 1);
	t.source = TASK_SWITCH_CALL;
	go();
	check_pf(3, NEW);
	/* after: the GDT by the new tables */
	begin_paging();
	set_page(1, GDT, 0);
	go();
	check_pf(0, GDT + SEL_CS);
	assert_int_equal(s.seg[SEG_TR].selector, SEL_NEW);
	assert_int_equal(s.cr3, TABLES + 0x2000);
	/* without paging CR3 stays */
	begin(NULL);
	put32(NEW + 28, TABLES);
	works();
	assert_int_equal(s.cr3, 0);
}

/* A TSS that lies in two pages, at different places in memory. */
static void test_across_pages(void **state)
{
	uint8_t whole[104];

	(void)state;
	begin_paging();
	assert_int_equal(gmem_read(&code_mem, NEW, whole, sizeof(whole)), 0);
	assert_int_equal(gmem_write(&code_mem, 0x40fd0, whole, 0x30), 0);
	assert_int_equal(gmem_write(&code_mem, 0x50000, whole + 0x30, sizeof(whole) - 0x30), 0);
	set_page(0, 0x40000, 3);
	put32(TABLES + 0x1000 + 4 * 0x41, 0x50000 | 3);
	put_descriptor(SEL_NEW, 0x40fd0, 0x67, 0x89);
	works();
	assert_int_equal(s.rip, 0x2000);
	assert_int_equal(s.gpr[GPR_RSP], STACK);
	assert_int_equal(s.seg[SEG_GS].selector, SEL_DS);
}

/* Memory where nothing answers reads as all ones. */
static void test_no_ram(void **state)
{
	(void)state;
	put_descriptor(SEL_NEW, CODE_NO_RAM, 0x67, 0x89);
	go();
	assert_int_equal(s.rip, UINT32_MAX);
	assert_int_equal(s.cpl, 3);
	s.gdtr.base = CODE_NO_RAM;
	t.selector = SEL_OLD;
	go();
	check_fault(VEC_GP, SEL_OLD);
}

static void combines(uint8_t kind, uint8_t first, uint8_t second, int result)
{
	struct vcpu_event a = {.kind = kind, .vector = first};
	struct vcpu_event b = {.kind = EVENT_EXCEPTION, .vector = second, .error = 8};
	bool lives = task_switch_combine(&a, &b);

	assert_int_equal(lives ? b.vector : -1, result);
	if (lives && b.vector == VEC_DF)
		assert_int_equal(b.error, 0);
}

static void test_combine(void **state)
{
	(void)state;
	combines(EVENT_NONE, 0, VEC_GP, VEC_GP);
	combines(EVENT_INTERRUPT, VEC_GP, VEC_GP, VEC_GP);
	combines(EVENT_EXCEPTION, VEC_UD, VEC_TS, VEC_TS);
	combines(EVENT_EXCEPTION, VEC_GP, VEC_TS, VEC_DF);
	combines(EVENT_EXCEPTION, VEC_DE, VEC_NP, VEC_DF);
	combines(EVENT_EXCEPTION, VEC_GP, VEC_PF, VEC_PF);
	combines(EVENT_EXCEPTION, VEC_PF, VEC_PF, VEC_DF);
	combines(EVENT_EXCEPTION, VEC_PF, VEC_SS, VEC_DF);
	combines(EVENT_EXCEPTION, VEC_DF, VEC_PF, -1);
	combines(EVENT_EXCEPTION, VEC_DF, VEC_TS, -1);
	combines(EVENT_EXCEPTION, VEC_DF, VEC_DB, VEC_DB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_jmp, begin),
		cmocka_unit_test_setup(test_call_and_iret, begin),
		cmocka_unit_test_setup(test_before_commit, begin),
		cmocka_unit_test_setup(test_code, begin),
		cmocka_unit_test_setup(test_stack_and_data, begin),
		cmocka_unit_test_setup(test_ldt, begin),
		cmocka_unit_test_setup(test_error_code, begin),
		cmocka_unit_test_setup(test_16_bit, begin),
		cmocka_unit_test_setup(test_vm86, begin),
		cmocka_unit_test_setup(test_trap, begin),
		cmocka_unit_test_setup(test_paging, begin),
		cmocka_unit_test_setup(test_across_pages, begin),
		cmocka_unit_test_setup(test_no_ram, begin),
		cmocka_unit_test(test_combine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
