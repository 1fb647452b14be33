/*
 * The emulator's arithmetic against the processor that runs this test: each operation at each width
 * is also done by the instruction itself between POPF and PUSHF, so that the whole of RFLAGS goes
 * in and comes out. Which flags an instruction defines: Intel SDM volume 2, "Flags Affected" of
 * each.
 */
#include "arch/x86/state.h"
#include "guests/emul_op.h"
#include "tests/unit/broken.h"

#define ARITHMETIC (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* What an instruction, as the emulator is asked for it, leaves of `dst` and `flags`. */
struct outcome {
	uint64_t dst, flags;
};

typedef void native_fn(struct outcome *o, uint64_t src);

/* The red zone holds locals of the compiler, so the stack moves past it first. LEA keeps flags. */
#define NATIVE(name, type, text)                                                   \
	static void name(struct outcome *o, uint64_t s)                            \
	{                                                                          \
		type dst = (type)o->dst, src = (type)s;                            \
		uint64_t flags = o->flags;                                         \
                                                                                   \
		__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpush %[flags]\n\t"     \
				 "popfq\n\t" text "\n\tpushfq\n\tpop %[flags]\n\t" \
				 "lea 128(%%rsp), %%rsp"                           \
				 : [dst] "+r"(dst), [flags] "+r"(flags)            \
				 : [src] "r"(src)                                  \
				 : "cc", "memory");                                \
		o->dst = dst;                                                      \
		o->flags = flags;                                                  \
	}

#define BINARY(insn)                                           \
	NATIVE(insn##_1, uint8_t, #insn "b %b[src], %b[dst]")  \
	NATIVE(insn##_2, uint16_t, #insn "w %w[src], %w[dst]") \
	NATIVE(insn##_4, uint32_t, #insn "l %k[src], %k[dst]") \
	NATIVE(insn##_8, uint64_t, #insn "q %q[src], %q[dst]")

#define UNARY(insn)                                   \
	NATIVE(insn##_1, uint8_t, #insn "b %b[dst]")  \
	NATIVE(insn##_2, uint16_t, #insn "w %w[dst]") \
	NATIVE(insn##_4, uint32_t, #insn "l %k[dst]") \
	NATIVE(insn##_8, uint64_t, #insn "q %q[dst]")

#define BIT_TEST(insn)                                         \
	NATIVE(insn##_2, uint16_t, #insn "w %w[src], %w[dst]") \
	NATIVE(insn##_4, uint32_t, #insn "l %k[src], %k[dst]") \
	NATIVE(insn##_8, uint64_t, #insn "q %q[src], %q[dst]")

BINARY(add)
BINARY(or)
BINARY(adc)
BINARY(sbb)
BINARY(and)
BINARY(sub)
BINARY(xor)
BINARY(test)
UNARY(not )
UNARY(neg)
UNARY(inc)
UNARY(dec)
BIT_TEST(bt)
BIT_TEST(bts)
BIT_TEST(btr)
BIT_TEST(btc)

#define SIZES(insn)                                    \
	{                                              \
		insn##_1, insn##_2, insn##_4, insn##_8 \
	}
#define BIT_SIZES(insn)                            \
	{                                          \
		NULL, insn##_2, insn##_4, insn##_8 \
	}

/* Flags that the instruction does not define may be anything. */
static const struct operation {
	const char *name;
	uint64_t undefined;
	native_fn *native[4]; /* of 1, 2, 4 and 8 bytes */
} operations[] = {
	[ALU_ADD] = {"add", 0, SIZES(add)},
	[ALU_OR] = {"or", RFLAGS_AF, SIZES(or)},
	[ALU_ADC] = {"adc", 0, SIZES(adc)},
	[ALU_SBB] = {"sbb", 0, SIZES(sbb)},
	[ALU_AND] = {"and", RFLAGS_AF, SIZES(and)},
	[ALU_SUB] = {"sub", 0, SIZES(sub)},
	[ALU_XOR] = {"xor", RFLAGS_AF, SIZES(xor)},
	[ALU_TEST] = {"test", RFLAGS_AF, SIZES(test)},
	[ALU_NOT] = {"not", 0, SIZES(not )},
	[ALU_NEG] = {"neg", 0, SIZES(neg)},
	[ALU_INC] = {"inc", 0, SIZES(inc)},
	[ALU_DEC] = {"dec", 0, SIZES(dec)},
	[ALU_BT] = {"bt", RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF, BIT_SIZES(bt)},
	[ALU_BTS] = {"bts", RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF, BIT_SIZES(bts)},
	[ALU_BTR] = {"btr", RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF, BIT_SIZES(btr)},
	[ALU_BTC] = {"btc", RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF, BIT_SIZES(btc)},
};

/* Flags of a guest that no arithmetic may touch; none of them reaches this machine's RFLAGS. */
#define GUEST_FLAGS                                                                           \
	(RFLAGS_ONE | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | \
	 RFLAGS_AC)

static unsigned compared;

static void compare(enum emul_alu op, unsigned shift, uint64_t dst, uint64_t src, uint64_t flags)
{
	const struct operation *o = &operations[op];
	unsigned size = 1u << shift;
	uint64_t defined = ARITHMETIC & ~o->undefined;
	struct outcome native = {dst & size_mask(size), flags | RFLAGS_ONE | RFLAGS_IF};
	uint64_t guest_flags = flags | (broken_random() & GUEST_FLAGS), got_flags = guest_flags;
	uint64_t got;

	if (!o->native[shift])
		return;
	o->native[shift](&native, src);
	got = emul_alu(op, size, dst & size_mask(size), src & size_mask(size), &got_flags);
	compared++;
	if (got == native.dst && (got_flags & defined) == (native.flags & defined) &&
	    (got_flags & ~ARITHMETIC) == (guest_flags & ~ARITHMETIC))
		return;
	fail_msg("%s, %u bytes, of 0x%llx and 0x%llx with flags 0x%llx: 0x%llx and flags 0x%llx, "
		 "should be 0x%llx and 0x%llx",
		 o->name, size, (unsigned long long)dst, (unsigned long long)src,
		 (unsigned long long)guest_flags, (unsigned long long)got,
		 (unsigned long long)got_flags, (unsigned long long)native.dst,
		 (unsigned long long)(native.flags & defined));
}

/* The arithmetic flags: bits 0, 2, 4, 6, 7 and 11. */
static uint64_t flags_of(unsigned combination)
{
	static const uint64_t bits[] = {RFLAGS_CF, RFLAGS_PF, RFLAGS_AF,
					RFLAGS_ZF, RFLAGS_SF, RFLAGS_OF};
	uint64_t flags = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(bits); i++)
		flags |= combination >> i & 1 ? bits[i] : 0;
	return flags;
}

/* Every pair of bytes, with and without carry and with the other flags all set and all clear. */
static void test_bytes(void **state)
{
	(void)state;
	for (unsigned op = 0; op < ARRAY_SIZE(operations); op++) {
		for (unsigned dst = 0; dst < 256; dst++) {
			for (unsigned src = 0; src < 256; src++) {
				compare(op, 0, dst, src, 0);
				compare(op, 0, dst, src, RFLAGS_CF);
				compare(op, 0, dst, src, ARITHMETIC);
				compare(op, 0, dst, src, ARITHMETIC & ~RFLAGS_CF);
			}
		}
	}
}

/* Values around the ends of the signed and unsigned ranges of `bits` bits and of a nibble, at each
 * combination of flags. */
static void test_boundaries(void **state)
{
	(void)state;
	for (unsigned shift = 0; shift < 4; shift++) {
		uint64_t top = BIT((8u << shift) - 1);
		const uint64_t values[] = {
			0,       1,       2,           7,           8,       0xe,        0xf,
			0x10,    0x7f,    0x80,        0xff,        top - 1, top,        top + 1,
			top - 8, top / 2, 2 * top - 2, 2 * top - 1, -16ull,  ~0ull >> 1, ~0ull,
		};

		for (unsigned op = 0; op < ARRAY_SIZE(operations); op++) {
			for (unsigned d = 0; d < ARRAY_SIZE(values); d++) {
				for (unsigned s = 0; s < ARRAY_SIZE(values); s++) {
					for (unsigned f = 0; f < 64; f++)
						compare(op, shift, values[d], values[s],
							flags_of(f));
				}
			}
		}
	}
}

/* A number with a random count of significant bits, so that small ones are no rarer than big. */
static uint64_t any_value(void)
{
	uint64_t v = broken_random() >> (broken_random() % 64);

	return broken_random() % 4 ? v : ~v;
}

static void test_random(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t dst = any_value(), src = broken_random() % 8 ? any_value() : dst;
		uint64_t flags = flags_of(broken_random() % 64);

		for (unsigned op = 0; op < ARRAY_SIZE(operations); op++) {
			for (unsigned shift = 0; shift < 4; shift++)
				compare(op, shift, dst, src, flags);
		}
	}
}

/* Each bit of each width, and numbers beyond the width, which the processor cuts in a register. */
static void test_bits(void **state)
{
	(void)state;
	for (unsigned op = ALU_BT; op <= ALU_BTC; op++) {
		for (unsigned shift = 1; shift < 4; shift++) {
			for (unsigned bit = 0; bit < 256; bit++) {
				uint64_t v = broken_random();

				compare(op, shift, v, bit, flags_of(bit % 64));
				compare(op, shift, ~v, bit, flags_of(~bit % 64));
				compare(op, shift, v, -(uint64_t)bit, 0);
			}
		}
	}
}

/* A bit test changes CF alone, so that ZF, which is defined to stay, is not the only one that does.
 */
static void test_bit_tests_keep_flags(void **state)
{
	(void)state;
	for (unsigned op = ALU_BT; op <= ALU_BTC; op++) {
		for (unsigned f = 0; f < 64; f++) {
			uint64_t before = flags_of(f), flags = before;

			emul_alu(op, 4, BIT(5), 5, &flags);
			assert_int_equal(flags, before | RFLAGS_CF);
			emul_alu(op, 4, BIT(5), 6, &flags);
			assert_int_equal(flags, before & ~RFLAGS_CF);
		}
	}
}

/* Facts that hold on any processor, in case the two sides above were wrong in the same way. */
static void test_known(void **state)
{
	uint64_t flags = RFLAGS_ONE | RFLAGS_IF;

	(void)state;
	assert_int_equal(emul_alu(ALU_ADD, 1, 0x7f, 1, &flags), 0x80);
	assert_int_equal(flags, RFLAGS_ONE | RFLAGS_IF | RFLAGS_OF | RFLAGS_SF | RFLAGS_AF);
	assert_int_equal(emul_alu(ALU_SUB, 2, 0, 1, &flags), 0xffff);
	assert_int_equal(flags,
			 RFLAGS_ONE | RFLAGS_IF | RFLAGS_CF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF);
	assert_int_equal(emul_alu(ALU_INC, 4, UINT32_MAX, 0, &flags), 0);
	assert_int_equal(flags,
			 RFLAGS_ONE | RFLAGS_IF | RFLAGS_CF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF);
	assert_int_equal(emul_alu(ALU_ADC, 8, UINT64_MAX, 0, &flags), 0);
	assert_true(flags & RFLAGS_CF);
	assert_int_equal(emul_alu(ALU_SBB, 8, 0, 0, &flags), UINT64_MAX);
	assert_true(flags & RFLAGS_CF);
	assert_int_equal(emul_alu(ALU_NEG, 1, 0x80, 0, &flags), 0x80);
	assert_true(flags & RFLAGS_OF);
	flags = RFLAGS_ONE | ARITHMETIC;
	assert_int_equal(emul_alu(ALU_NOT, 2, 0x00ff, 0, &flags), 0xff00);
	assert_int_equal(flags, RFLAGS_ONE | ARITHMETIC);
	assert_int_equal(emul_alu(ALU_TEST, 4, 0xf0, 0x0f, &flags), 0xf0);
	assert_int_equal(flags & ~RFLAGS_AF, RFLAGS_ONE | RFLAGS_ZF | RFLAGS_PF);
}

/* Nothing above passed because it compared nothing. */
static void test_compared(void **state)
{
	(void)state;
	assert_int_equal(ARRAY_SIZE(operations), ALU_BTC + 1);
	assert_in_range(compared, 5000000, UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_boundaries),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_bit_tests_keep_flags),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
