/*
 * A decoded instruction in the emulator's own compact form, and the cache of them. Pure.
 */
#ifndef GUESTS_EMUL_OP_H
#define GUESTS_EMUL_OP_H

#include "guests/insn.h"

enum emul_kind {
	OP_NONE,
	OP_LOAD,    /* register = memory, zero- or sign-extended */
	OP_STORE,   /* memory = register or immediate */
	OP_MODIFY,  /* memory = memory OP source; flags */
	OP_COMPUTE, /* register = register OP memory; flags */
	OP_COMPARE, /* flags of memory OP source, or of source OP memory (`to_register`) */
	OP_XCHG,
	OP_XADD,
	OP_CMPXCHG,
	OP_BIT, /* BT, BTS, BTR, BTC */
	OP_MOVS,
	OP_STOS,
	OP_LODS,
	OP_CMPS,
	OP_SCAS,
	OP_INS,
	OP_OUTS,
};

enum emul_alu {
	ALU_ADD,
	ALU_OR,
	ALU_ADC,
	ALU_SBB,
	ALU_AND,
	ALU_SUB,
	ALU_XOR,
	ALU_TEST,
	ALU_NOT,
	ALU_NEG,
	ALU_INC,
	ALU_DEC,
	ALU_BT,
	ALU_BTS,
	ALU_BTR,
	ALU_BTC,
};

enum emul_rep {
	REP_NONE,
	REP_PLAIN, /* until RCX is 0 */
	REP_WHILE_EQUAL,
	REP_WHILE_NOT_EQUAL,
};

#define EMUL_NO_REG    0xff
#define EMUL_REG_RIP   0xfe
#define EMUL_HIGH_BYTE 0x80 /* in `reg`: AH, CH, DH, BH */

struct emul_op {
	uint64_t mask[2]; /* of the bytes that belong to the instruction */
	uint64_t key[2];  /* the bytes, those beyond the length zero; with `mode` the cache's key */
	uint8_t length;   /* 0: empty */
	uint8_t mode;     /* enum code_mode */
	uint8_t kind;     /* enum emul_kind */
	uint8_t alu;      /* enum emul_alu */
	uint8_t size;     /* of the memory operand (or the port access), bytes */
	uint8_t reg_size; /* of the register operand, bytes */
	uint8_t reg;      /* GPR index, EMUL_HIGH_BYTE; EMUL_NO_REG: the immediate counts */
	uint8_t rep;      /* enum emul_rep */
	bool sign_extend;
	bool to_register; /* COMPARE: the register is the first operand */
	uint8_t address_size;
	uint8_t segment; /* enum segment_index */
	uint8_t base, index, scale;
	uint64_t imm;
	int64_t disp;
};

enum code_mode {
	MODE_16,
	MODE_32,
	MODE_64,
};

/* Decodes up to n bytes. False: not an instruction that the emulator knows, or cut off. */
bool emul_decode(const uint8_t *bytes, unsigned n, enum code_mode mode, struct emul_op *out);

/* dst OP src for operands of `size` bytes; *rflags gets the arithmetic flags. */
uint64_t emul_alu(enum emul_alu op, unsigned size, uint64_t dst, uint64_t src, uint64_t *rflags);

static inline uint64_t size_mask(unsigned size)
{
	return size == 8 ? UINT64_MAX : BIT(8 * size) - 1;
}

#endif
