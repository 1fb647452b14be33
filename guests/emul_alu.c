/*
 * Arithmetic with exact flags: the processor's own instructions do it. Unprivileged instructions
 * only, so this file is pure like the others.
 */
#include "guests/emul_op.h"

#define ARITHMETIC_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* LAHF gives SF, ZF, AF, PF and CF in their RFLAGS places; SETO the one it lacks. */
#define TAKE_FLAGS "lahf\n\tseto %%al"

#define BINARY(insn, type)                                                        \
	do {                                                                      \
		type d = (type)dst;                                               \
                                                                                  \
		__asm__("btq $0, %[in]\n\t" insn " %[src], %[dst]\n\t" TAKE_FLAGS \
			: [dst] "+r"(d), "=&a"(ax)                                \
			: [src] "r"((type)src), [in] "r"(*rflags)                 \
			: "cc");                                                  \
		result = d;                                                       \
	} while (0)

#define UNARY(insn, type)                                                 \
	do {                                                              \
		type d = (type)dst;                                       \
                                                                          \
		__asm__("btq $0, %[in]\n\t" insn " %[dst]\n\t" TAKE_FLAGS \
			: [dst] "+r"(d), "=&a"(ax)                        \
			: [in] "r"(*rflags)                               \
			: "cc");                                          \
		result = d;                                               \
	} while (0)

#define BY_SIZE(form, insn)                       \
	do {                                      \
		if (size == 1)                    \
			form(insn "b", uint8_t);  \
		else if (size == 2)               \
			form(insn "w", uint16_t); \
		else if (size == 4)               \
			form(insn "l", uint32_t); \
		else                              \
			form(insn "q", uint64_t); \
	} while (0)

/* Bit tests have no byte form, and change CF alone. */
static uint64_t bit_test(enum emul_alu op, unsigned size, uint64_t dst, uint64_t src,
			 uint64_t *rflags)
{
	uint64_t bit = BIT(src & (8 * size - 1));

	*rflags = (*rflags & ~RFLAGS_CF) | (dst & bit ? RFLAGS_CF : 0);
	switch (op) {
	case ALU_BTS:
		return dst | bit;
	case ALU_BTR:
		return dst & ~bit;
	case ALU_BTC:
		return dst ^ bit;
	default:
		return dst;
	}
}

uint64_t emul_alu(enum emul_alu op, unsigned size, uint64_t dst, uint64_t src, uint64_t *rflags)
{
	uint64_t result = dst;
	uint16_t ax = 0;

	switch (op) {
	case ALU_ADD:
		BY_SIZE(BINARY, "add");
		break;
	case ALU_OR:
		BY_SIZE(BINARY, "or");
		break;
	case ALU_ADC:
		BY_SIZE(BINARY, "adc");
		break;
	case ALU_SBB:
		BY_SIZE(BINARY, "sbb");
		break;
	case ALU_AND:
		BY_SIZE(BINARY, "and");
		break;
	case ALU_SUB:
		BY_SIZE(BINARY, "sub");
		break;
	case ALU_XOR:
		BY_SIZE(BINARY, "xor");
		break;
	case ALU_TEST:
		BY_SIZE(BINARY, "test");
		break;
	case ALU_NEG:
		BY_SIZE(UNARY, "neg");
		break;
	case ALU_INC:
		BY_SIZE(UNARY, "inc");
		break;
	case ALU_DEC:
		BY_SIZE(UNARY, "dec");
		break;
	case ALU_NOT:
		return ~dst & size_mask(size); /* no flags */
	case ALU_BT:
	case ALU_BTS:
	case ALU_BTR:
	case ALU_BTC:
		return bit_test(op, size, dst, src, rflags);
	}
	*rflags = (*rflags & ~ARITHMETIC_FLAGS) | (ax >> 8 & (ARITHMETIC_FLAGS & 0xff)) |
		  (ax & 1 ? RFLAGS_OF : 0);
	return result;
}
