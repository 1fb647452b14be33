/*
 * The emulator against the processor: each form of each instruction with a memory operand, with
 * random operands, addressing and prefixes, is run natively on the test's own memory and emulated
 * in a guest whose tables show RAM and devices at the same addresses. Registers, flags and memory
 * must be the same afterwards, and the device must have seen just the accesses of the instruction.
 */
#include "tests/unit/emul_fixture.h"
#include "tests/unit/native.h"

#define ARITHMETIC (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)
#define BIT_FLAGS  (RFLAGS_PF | RFLAGS_AF | RFLAGS_SF | RFLAGS_OF) /* undefined after BT */
#define CODE_GPA   0x300000ull

/* An instruction with a ModRM byte: the opcode, and what follows. */
struct form {
	uint16_t opcode; /* 0x0f.. in two bytes */
	uint8_t digit;   /* in the reg field; REG: a register */
	char imm;        /* 'b' a byte, 'z' as the operand's size, at most four */
	uint8_t size;    /* 1: bytes, 0: 2, 4 or 8 by prefixes */
	uint8_t memory;  /* size of the memory operand, where it differs */
	char access;     /* 'r', 'w', 'm': both */
	uint64_t undefined;
};

#define REG 0xff

#define ALU(n, access, flags)                                                                 \
	{(n)*8 + 0, REG, 0, 1, 0, access, flags}, {(n)*8 + 1, REG, 0, 0, 0, access, flags},   \
		{(n)*8 + 2, REG, 0, 1, 0, 'r', flags}, {(n)*8 + 3, REG, 0, 0, 0, 'r', flags}, \
		{0x80, n, 'b', 1, 0, access, flags}, {0x81, n, 'z', 0, 0, access, flags},     \
	{                                                                                     \
		0x83, n, 'b', 0, 0, access, flags                                             \
	}

static const struct form forms[] = {
	ALU(0, 'm', 0),
	ALU(1, 'm', RFLAGS_AF),
	ALU(2, 'm', 0),
	ALU(3, 'm', 0),
	ALU(4, 'm', RFLAGS_AF),
	ALU(5, 'm', 0),
	ALU(6, 'm', RFLAGS_AF),
	ALU(7, 'r', 0),
	{0x63, REG, 0, 0, 4, 'r', 0}, /* MOVSXD */
	{0x84, REG, 0, 1, 0, 'r', RFLAGS_AF},
	{0x85, REG, 0, 0, 0, 'r', RFLAGS_AF},
	{0x86, REG, 0, 1, 0, 'm', 0},
	{0x87, REG, 0, 0, 0, 'm', 0},
	{0x88, REG, 0, 1, 0, 'w', 0},
	{0x89, REG, 0, 0, 0, 'w', 0},
	{0x8a, REG, 0, 1, 0, 'r', 0},
	{0x8b, REG, 0, 0, 0, 'r', 0},
	{0xc6, 0, 'b', 1, 0, 'w', 0},
	{0xc7, 0, 'z', 0, 0, 'w', 0},
	{0xf6, 0, 'b', 1, 0, 'r', RFLAGS_AF}, /* TEST, in both its encodings */
	{0xf6, 1, 'b', 1, 0, 'r', RFLAGS_AF},
	{0xf7, 0, 'z', 0, 0, 'r', RFLAGS_AF},
	{0xf7, 1, 'z', 0, 0, 'r', RFLAGS_AF},
	{0xf6, 2, 0, 1, 0, 'm', 0}, /* NOT, NEG, INC, DEC */
	{0xf7, 2, 0, 0, 0, 'm', 0},
	{0xf6, 3, 0, 1, 0, 'm', 0},
	{0xf7, 3, 0, 0, 0, 'm', 0},
	{0xfe, 0, 0, 1, 0, 'm', 0},
	{0xff, 0, 0, 0, 0, 'm', 0},
	{0xfe, 1, 0, 1, 0, 'm', 0},
	{0xff, 1, 0, 0, 0, 'm', 0},
	{0x0fa3, REG, 0, 0, 0, 'r', BIT_FLAGS}, /* BT, BTS, BTR, BTC */
	{0x0fab, REG, 0, 0, 0, 'm', BIT_FLAGS},
	{0x0fb3, REG, 0, 0, 0, 'm', BIT_FLAGS},
	{0x0fbb, REG, 0, 0, 0, 'm', BIT_FLAGS},
	{0x0fba, 4, 'b', 0, 0, 'r', BIT_FLAGS},
	{0x0fba, 5, 'b', 0, 0, 'm', BIT_FLAGS},
	{0x0fba, 6, 'b', 0, 0, 'm', BIT_FLAGS},
	{0x0fba, 7, 'b', 0, 0, 'm', BIT_FLAGS},
	{0x0fb0, REG, 0, 1, 0, 'm', 0}, /* CMPXCHG */
	{0x0fb1, REG, 0, 0, 0, 'm', 0},
	{0x0fb6, REG, 0, 0, 1, 'r', 0}, /* MOVZX, MOVSX */
	{0x0fb7, REG, 0, 0, 2, 'r', 0},
	{0x0fbe, REG, 0, 0, 1, 'r', 0},
	{0x0fbf, REG, 0, 0, 2, 'r', 0},
	{0x0fc0, REG, 0, 1, 0, 'm', 0}, /* XADD */
	{0x0fc1, REG, 0, 0, 0, 'm', 0},
	{0x0fc3, REG, 0, 0, 0, 'w', 0}, /* MOVNTI */
};

/* One instruction in the making. */
struct insn {
	const struct form *form;
	uint8_t bytes[INSN_MAX_BYTES];
	unsigned n;
	unsigned size, memory; /* of the operands */
	unsigned reg;
	uint64_t at, target;
};

static uint64_t below(uint64_t n)
{
	return broken_random() % n;
}

static bool maybe(void)
{
	return below(2);
}

static void put(struct insn *in, uint64_t v, unsigned n)
{
	assert_true(in->n + n <= sizeof(in->bytes));
	memcpy(in->bytes + in->n, &v, n);
	in->n += n;
}

static uint8_t *data(void)
{
	return (uint8_t *)(uintptr_t)NATIVE_DATA;
}

/* The guest's memory behind a page of the data: RAM and device by turns. */
static uint8_t *behind(unsigned page)
{
	if (page % 2)
		return device + page * PAGE_SIZE;
	return code_chunk[1] + page * PAGE_SIZE;
}

static void guest_begin(void)
{
	emul_begin(&code_64, NATIVE_CODE, CODE_GPA);
	code_map(NATIVE_CODE, CODE_GPA, 1, CODE_FLAGS);
	for (unsigned i = 0; i < NATIVE_PAGES; i++)
		code_map(NATIVE_DATA + i * PAGE_SIZE,
			 (i % 2 ? DEVICE : GMEM_CHUNK_SIZE) + i * PAGE_SIZE, 1, CODE_FLAGS);
	/* which do not count in 64-bit mode */
	for (unsigned i = SEG_ES; i <= SEG_DS; i++)
		seg[i] = (struct segment_state){.base = 0x12345678};
	for (unsigned i = 0; i < NATIVE_PAGES * PAGE_SIZE; i++)
		data()[i] = (uint8_t)broken_random();
	for (unsigned i = 0; i < NATIVE_PAGES; i++)
		memcpy(behind(i), data() + i * PAGE_SIZE, PAGE_SIZE);
}

static void random_registers(void)
{
	for (unsigned i = 0; i < GPR_COUNT; i++)
		gpr[i] = broken_random();
	rflags = RFLAGS_ONE | RFLAGS_IF | (broken_random() & ARITHMETIC);
}

static void assert_same(const struct insn *in, const uint64_t *regs, uint64_t flags,
			uint64_t undefined)
{
	bool same = !memcmp(regs, gpr, sizeof(gpr)) && !((flags ^ rflags) & ~undefined) &&
		    rip == in->at + in->n;

	for (unsigned i = 0; i < NATIVE_PAGES; i++)
		same &= !memcmp(behind(i), data() + i * PAGE_SIZE, PAGE_SIZE);
	if (same)
		return;
	for (unsigned i = 0; i < in->n; i++)
		print_error("%02x ", in->bytes[i]);
	print_error("at %llx: operand at %llx; flags %llx, not %llx; RIP %llx\n",
		    (unsigned long long)in->at, (unsigned long long)in->target,
		    (unsigned long long)rflags, (unsigned long long)flags, (unsigned long long)rip);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		print_error("%u: %016llx, not %016llx\n", i, (unsigned long long)gpr[i],
			    (unsigned long long)regs[i]);
	fail();
}

/* Emulates until it is done, and runs it natively. */
static void run_both(const struct insn *in, uint64_t undefined)
{
	uint64_t regs[GPR_COUNT], flags = rflags;
	enum emul_result r;

	memcpy(regs, gpr, sizeof(gpr));
	native(in->at, in->bytes, in->n, regs, &flags);
	regs[GPR_RSP] = gpr[GPR_RSP];
	rip = in->at;
	code_gpa = CODE_GPA + (in->at - NATIVE_CODE);
	emul_put(in->bytes, in->n);
	n_touch = 0;
	do
		r = emul_go();
	while (r == EMUL_AGAIN);
	if (r != EMUL_DONE) {
		for (unsigned i = 0; i < in->n; i++)
			print_error("%02x ", in->bytes[i]);
		print_error("gives %d, vector %u, error %x at %llx\n", r, em.fault.vector,
			    em.fault.error, (unsigned long long)em.fault.payload);
		fail();
	}
	assert_same(in, regs, flags, undefined);
}

static unsigned immediate_size(const struct insn *in)
{
	if (!in->form->imm)
		return 0;
	return in->form->imm == 'b' ? 1 : MIN(in->size, 4u);
}

/* ModRM, SIB and displacement for the target, and the registers that lead there. */
static void put_address(struct insn *in, unsigned base, unsigned index, unsigned kind)
{
	unsigned reg = (in->reg & 7) << 3, scale = (unsigned)below(4);
	int64_t disp = 0;
	uint64_t mod;

	if (kind == 0) { /* RIP-relative */
		put(in, reg | 5, 1);
		put(in, in->target - (in->at + in->n + 4 + immediate_size(in)), 4);
		return;
	}
	if (kind == 1) { /* no base, perhaps an index */
		uint64_t offset = 0;

		if (index != 4) {
			gpr[index] = below(0x1000);
			offset = gpr[index] << scale;
		}
		put(in, reg | 4, 1);
		put(in, scale << 6 | (index & 7) << 3 | 5, 1);
		put(in, in->target - offset, 4);
		return;
	}
	mod = below(3);
	if (!mod && (base & 7) == 5)
		mod = 1;
	if (mod == 1)
		disp = (int8_t)broken_random();
	else if (mod == 2)
		disp = (int32_t)broken_random();
	if (kind == 2 && (base & 7) != 4) {
		put(in, mod << 6 | reg | (base & 7), 1);
		gpr[base] = in->target - (uint64_t)disp;
	} else {
		put(in, mod << 6 | reg | 4, 1);
		put(in, scale << 6 | (index & 7) << 3 | (base & 7), 1);
		gpr[base] = in->target - (uint64_t)disp;
		if (index != 4)
			gpr[base] -= gpr[index] << scale;
	}
	if (mod)
		put(in, (uint64_t)disp, mod == 1 ? 1 : 4);
}

/* A general register but RSP, which the native run needs. */
static unsigned pick(unsigned n)
{
	unsigned r;

	do
		r = (unsigned)below(n);
	while (r == GPR_RSP);
	return r;
}

static void put_prefixes(struct insn *in)
{
	static const uint8_t ignored[] = {0x26, 0x2e, 0x36, 0x3e};

	if (below(4) == 0)
		put(in, ignored[below(4)], 1);
	if (in->size == 2)
		put(in, 0x66, 1);
}

static bool takes_lock(const struct form *f)
{
	return f->access == 'm';
}

/* The register operand of a bit instruction tells how far from the address the bit is. */
static void choose_bit(struct insn *in)
{
	int64_t bit = (int64_t)below(0x10000) - 0x8000;
	uint64_t mask = in->size == 8 ? UINT64_MAX : BIT(8 * in->size) - 1;

	gpr[in->reg] = (gpr[in->reg] & ~mask) | ((uint64_t)bit & mask);
}

static uint8_t rex_byte(bool wide, unsigned reg, unsigned index, unsigned base)
{
	unsigned rex = 0x40 | (reg & 8) >> 1 | (index & 8) >> 2 | (base & 8) >> 3;

	return (uint8_t)(wide ? rex | 8 : rex);
}

static bool is_cmpxchg(const struct form *f)
{
	return (f->opcode | 1) == 0x0fb1;
}

static void build(struct insn *in, const struct form *f)
{
	static const uint8_t sizes[] = {2, 4, 8, 4};
	bool bit = f->opcode >= 0x0fa3 && f->opcode <= 0x0fbb && f->digit == REG &&
		   (f->opcode & 7) == 3;
	bool rex, address32 = below(4) == 0, lock = takes_lock(f) && below(4) == 0;
	unsigned n, base, index, kind = (unsigned)below(5);
	uint64_t imm = broken_random();

	*in = (struct insn){.form = f, .at = NATIVE_CODE + below(0x800)};
	random_registers();
	in->size = f->size ? 1 : sizes[below(4)];
	if (f->opcode == 0x63 || f->opcode == 0x0fc3)
		in->size = maybe() ? 4 : 8;
	in->memory = f->memory ? f->memory : in->size;
	in->target = NATIVE_DATA + PAGE_SIZE + below(2 * PAGE_SIZE - 16);
	/* a locked access over the end of a cache line may cost milliseconds, or a signal */
	if (lock || f->opcode == 0x86 || f->opcode == 0x87 || maybe())
		in->target = ALIGN_DOWN(in->target, in->memory);
	else if (maybe()) /* over a page's end */
		in->target = NATIVE_DATA + PAGE_SIZE * (1 + below(2)) + PAGE_SIZE - below(9);
	rex = in->size == 8 || maybe();
	n = rex ? 16 : 8;
	do {
		base = pick(n);
		index = maybe() ? pick(n) : 4;
	} while (index == base || (is_cmpxchg(f) && !(base && index))); /* its RAX is no address */
	if (f->digit != REG)
		in->reg = f->digit;
	else if (in->size == 1 && !rex)
		in->reg = (unsigned)below(8); /* AH, CH, DH and BH too */
	else
		do
			in->reg = pick(n);
		while (bit && (in->reg == base || in->reg == index));
	if (lock)
		put(in, 0xf0, 1);
	if (address32)
		put(in, 0x67, 1);
	put_prefixes(in);
	if (rex)
		put(in, rex_byte(in->size == 8, in->reg, index, base), 1);
	if (f->opcode >> 8)
		put(in, f->opcode >> 8, 1);
	put(in, f->opcode & 0xff, 1);
	if (bit)
		choose_bit(in);
	put_address(in, base, index, kind);
	if (address32 && kind >= 2) /* the upper half does not count */
		gpr[base] ^= broken_random() << 32;
	put(in, imm, immediate_size(in));
}

/* CMPXCHG finds what it compares with in every second case. */
static void make_equal(const struct insn *in)
{
	uint64_t v = gpr[GPR_RAX];

	memcpy(&v, data() + (in->target - NATIVE_DATA), in->size);
	gpr[GPR_RAX] = v;
}

static void assert_touched(const struct insn *in, bool bit)
{
	uint64_t offset = in->target - NATIVE_DATA;
	unsigned want = in->form->access == 'm' ? 2 : 1;

	if (bit || !IS_ALIGNED(offset, in->memory))
		return;
	if (offset / PAGE_SIZE % 2 == 0) {
		assert_int_equal(n_touch, 0);
		return;
	}
	assert_int_equal(n_touch, want);
	for (unsigned i = 0; i < n_touch; i++) {
		assert_int_equal(touch[i].at, DEVICE + offset);
		assert_int_equal(touch[i].size, in->memory);
	}
	assert_int_equal(touch[0].kind, in->form->access == 'w' ? 'w' : 'r');
	if (want == 2)
		assert_int_equal(touch[1].kind, 'w');
}

static void test_forms(void **state)
{
	unsigned n_device = 0, n_ram = 0, n_split = 0;

	(void)state;
	guest_begin();
	for (unsigned i = 0; i < ARRAY_SIZE(forms) * 1500; i++) {
		const struct form *f = &forms[i % ARRAY_SIZE(forms)];
		bool bit = f->undefined == BIT_FLAGS && f->digit == REG;
		struct insn in;

		build(&in, f);
		if (is_cmpxchg(f) && maybe())
			make_equal(&in);
		run_both(&in, f->undefined);
		assert_touched(&in, bit);
		if (!n_touch)
			n_ram++;
		else if (n_touch <= 2)
			n_device++;
		else
			n_split++;
	}
	assert_true(n_device > 1000 && n_ram > 1000 && n_split > 1000);
}

/* MOV between AL, AX, EAX, RAX and an absolute address. */
static void test_absolute(void **state)
{
	static const uint8_t sizes[] = {2, 4, 8};

	(void)state;
	guest_begin();
	for (unsigned i = 0; i < 2000; i++) {
		struct insn in = {.at = NATIVE_CODE + below(0x800)};
		unsigned opcode = 0xa0 + i % 4;
		bool address32 = maybe();

		random_registers();
		in.size = opcode & 1 ? sizes[below(3)] : 1;
		in.target = NATIVE_DATA + below(NATIVE_PAGES * PAGE_SIZE - 8);
		if (address32)
			put(&in, 0x67, 1);
		put_prefixes(&in);
		if (in.size == 8)
			put(&in, 0x48, 1);
		put(&in, opcode, 1);
		put(&in, in.target, address32 ? 4 : 8);
		run_both(&in, 0);
	}
}

/* Somewhere in the data with room for `n` bytes behind, or before if it goes down. */
static uint64_t string_start(unsigned size, unsigned count, bool down)
{
	uint64_t n = (uint64_t)size * (count + 1);
	uint64_t at = NATIVE_DATA + below(NATIVE_PAGES * PAGE_SIZE - n);

	if (maybe())
		at = ALIGN_DOWN(at, size);
	return down ? at + n - size : at;
}

static void set_address(unsigned reg, uint64_t v, bool address32)
{
	gpr[reg] = address32 ? (gpr[reg] & ~(uint64_t)UINT32_MAX) | v : v;
}

/* A stretch of equal bytes, so that comparisons go on for a while. */
static void make_runs(void)
{
	uint64_t at = below(NATIVE_PAGES * PAGE_SIZE - 2048), n = below(2048);
	uint8_t byte = (uint8_t)broken_random();

	for (uint64_t i = at; i < at + n; i++) {
		data()[i] = byte;
		behind((unsigned)(i / PAGE_SIZE))[i % PAGE_SIZE] = byte;
	}
	if (maybe())
		gpr[GPR_RAX] = byte * 0x0101010101010101ull;
}

/* Every string instruction of memory with each prefix. REPNE counts like REP where nothing is
 * compared. */
static void test_strings(void **state)
{
	static const uint8_t opcodes[] = {0xa4, 0xa6, 0xaa, 0xac, 0xae};
	static const uint8_t sizes[] = {2, 4, 8}, reps[] = {0, 0xf2, 0xf3};

	(void)state;
	guest_begin();
	for (unsigned i = 0; i < 15000; i++) {
		struct insn in = {.at = NATIVE_CODE + below(0x800)};
		unsigned opcode = opcodes[i % 5], rep = reps[below(3)];
		bool word = maybe(), address32 = below(4) == 0, down = below(4) == 0;
		unsigned count = (unsigned)below(i % 16 ? 24 : 300);
		/* zero iterations with 32-bit addresses: whether the upper half of RCX is
		 * cleared differs between processors */
		bool none = address32 && rep && !count;

		if (none)
			continue;
		random_registers();
		make_runs();
		in.size = word ? sizes[below(3)] : 1;
		if (down)
			rflags |= RFLAGS_DF;
		if (address32)
			put(&in, 0x67, 1);
		if (rep)
			put(&in, rep, 1);
		put_prefixes(&in);
		if (in.size == 8)
			put(&in, 0x48, 1);
		put(&in, opcode | word, 1);
		set_address(GPR_RSI, string_start(in.size, count, down), address32);
		set_address(GPR_RDI, string_start(in.size, count, down), address32);
		set_address(GPR_RCX, count, address32);
		in.target = gpr[GPR_RDI];
		run_both(&in, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_absolute),
		cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(tests, native_begin, NULL);
}
