/* From Zydis' decoded instruction to the emulator's own compact form; see emul_op.h. Pure. */
#include <Zydis/Decoder.h>

#include "guests/emul_op.h"
#include "lib/string.h"

/* What an instruction is, by its mnemonic. Operands decide the rest. */
struct meaning {
	uint8_t kind; /* of the form with memory as the destination */
	uint8_t alu;
};

static struct meaning meaning_of(ZydisMnemonic m)
{
	switch (m) {
	case ZYDIS_MNEMONIC_MOV:
	case ZYDIS_MNEMONIC_MOVNTI:
	case ZYDIS_MNEMONIC_MOVZX:
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
		return (struct meaning){OP_STORE, 0};
	case ZYDIS_MNEMONIC_ADD:
		return (struct meaning){OP_MODIFY, ALU_ADD};
	case ZYDIS_MNEMONIC_OR:
		return (struct meaning){OP_MODIFY, ALU_OR};
	case ZYDIS_MNEMONIC_ADC:
		return (struct meaning){OP_MODIFY, ALU_ADC};
	case ZYDIS_MNEMONIC_SBB:
		return (struct meaning){OP_MODIFY, ALU_SBB};
	case ZYDIS_MNEMONIC_AND:
		return (struct meaning){OP_MODIFY, ALU_AND};
	case ZYDIS_MNEMONIC_SUB:
		return (struct meaning){OP_MODIFY, ALU_SUB};
	case ZYDIS_MNEMONIC_XOR:
		return (struct meaning){OP_MODIFY, ALU_XOR};
	case ZYDIS_MNEMONIC_NOT:
		return (struct meaning){OP_MODIFY, ALU_NOT};
	case ZYDIS_MNEMONIC_NEG:
		return (struct meaning){OP_MODIFY, ALU_NEG};
	case ZYDIS_MNEMONIC_INC:
		return (struct meaning){OP_MODIFY, ALU_INC};
	case ZYDIS_MNEMONIC_DEC:
		return (struct meaning){OP_MODIFY, ALU_DEC};
	case ZYDIS_MNEMONIC_CMP:
		return (struct meaning){OP_COMPARE, ALU_SUB};
	case ZYDIS_MNEMONIC_TEST:
		return (struct meaning){OP_COMPARE, ALU_TEST};
	case ZYDIS_MNEMONIC_XCHG:
		return (struct meaning){OP_XCHG, 0};
	case ZYDIS_MNEMONIC_XADD:
		return (struct meaning){OP_XADD, ALU_ADD};
	case ZYDIS_MNEMONIC_CMPXCHG:
		return (struct meaning){OP_CMPXCHG, ALU_SUB};
	case ZYDIS_MNEMONIC_BT:
		return (struct meaning){OP_BIT, ALU_BT};
	case ZYDIS_MNEMONIC_BTS:
		return (struct meaning){OP_BIT, ALU_BTS};
	case ZYDIS_MNEMONIC_BTR:
		return (struct meaning){OP_BIT, ALU_BTR};
	case ZYDIS_MNEMONIC_BTC:
		return (struct meaning){OP_BIT, ALU_BTC};
	case ZYDIS_MNEMONIC_MOVSB:
	case ZYDIS_MNEMONIC_MOVSW:
	case ZYDIS_MNEMONIC_MOVSD: /* SSE's has no such operands: told apart below */
	case ZYDIS_MNEMONIC_MOVSQ:
		return (struct meaning){OP_MOVS, 0};
	case ZYDIS_MNEMONIC_STOSB:
	case ZYDIS_MNEMONIC_STOSW:
	case ZYDIS_MNEMONIC_STOSD:
	case ZYDIS_MNEMONIC_STOSQ:
		return (struct meaning){OP_STOS, 0};
	case ZYDIS_MNEMONIC_LODSB:
	case ZYDIS_MNEMONIC_LODSW:
	case ZYDIS_MNEMONIC_LODSD:
	case ZYDIS_MNEMONIC_LODSQ:
		return (struct meaning){OP_LODS, 0};
	case ZYDIS_MNEMONIC_CMPSB:
	case ZYDIS_MNEMONIC_CMPSW:
	case ZYDIS_MNEMONIC_CMPSD:
	case ZYDIS_MNEMONIC_CMPSQ:
		return (struct meaning){OP_CMPS, ALU_SUB};
	case ZYDIS_MNEMONIC_SCASB:
	case ZYDIS_MNEMONIC_SCASW:
	case ZYDIS_MNEMONIC_SCASD:
	case ZYDIS_MNEMONIC_SCASQ:
		return (struct meaning){OP_SCAS, ALU_SUB};
	case ZYDIS_MNEMONIC_INSB:
	case ZYDIS_MNEMONIC_INSW:
	case ZYDIS_MNEMONIC_INSD:
		return (struct meaning){OP_INS, 0};
	case ZYDIS_MNEMONIC_OUTSB:
	case ZYDIS_MNEMONIC_OUTSW:
	case ZYDIS_MNEMONIC_OUTSD:
		return (struct meaning){OP_OUTS, 0};
	default:
		return (struct meaning){OP_NONE, 0};
	}
}

/* GPR index with EMUL_HIGH_BYTE, or EMUL_NO_REG for anything that is no general register. */
static uint8_t gpr_of(ZydisRegister r)
{
	if (r >= ZYDIS_REGISTER_AL && r <= ZYDIS_REGISTER_BL)
		return (uint8_t)(r - ZYDIS_REGISTER_AL);
	if (r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH)
		return (uint8_t)((r - ZYDIS_REGISTER_AH) | EMUL_HIGH_BYTE);
	if (r >= ZYDIS_REGISTER_SPL && r <= ZYDIS_REGISTER_R15B)
		return (uint8_t)(r - ZYDIS_REGISTER_SPL + 4);
	if (r >= ZYDIS_REGISTER_AX && r <= ZYDIS_REGISTER_R15W)
		return (uint8_t)(r - ZYDIS_REGISTER_AX);
	if (r >= ZYDIS_REGISTER_EAX && r <= ZYDIS_REGISTER_R15D)
		return (uint8_t)(r - ZYDIS_REGISTER_EAX);
	if (r >= ZYDIS_REGISTER_RAX && r <= ZYDIS_REGISTER_R15)
		return (uint8_t)(r - ZYDIS_REGISTER_RAX);
	if (r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP)
		return EMUL_REG_RIP;
	return EMUL_NO_REG;
}

static void take_memory(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *o,
			struct emul_op *out)
{
	out->size = (uint8_t)(o->size / 8);
	out->segment = (uint8_t)(o->mem.segment - ZYDIS_REGISTER_ES);
	out->base = gpr_of(o->mem.base);
	out->index = gpr_of(o->mem.index);
	out->scale = o->mem.scale;
	out->disp = o->mem.disp.has_displacement ? o->mem.disp.value : 0;
	/* A SIB byte that names no base but a displacement. With 32-bit addresses and REX.B Zydis
	 * takes that for R13D without one; REX does not count here. Source: AMD64 APM volume 3,
	 * "ModRM and SIB Bytes". */
	if ((in->attributes & ZYDIS_ATTRIB_HAS_SIB) && in->raw.modrm.mod == 0 &&
	    in->raw.sib.base == 5) {
		out->base = EMUL_NO_REG;
		out->disp = in->raw.disp.value;
	}
}

/* The operand beside the memory one (or of IN and OUT): a general register or an immediate. */
static bool take_source(const ZydisDecodedOperand *o, struct emul_op *out)
{
	if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		out->reg = EMUL_NO_REG;
		out->imm = o->imm.value.u;
		return true;
	}
	if (o->type != ZYDIS_OPERAND_TYPE_REGISTER)
		return false;
	out->reg = gpr_of(o->reg.value);
	out->reg_size = (uint8_t)(o->size / 8);
	return out->reg < EMUL_REG_RIP;
}

static enum emul_rep rep_of(const ZydisDecodedInstruction *in, enum emul_kind kind)
{
	bool compares = kind == OP_CMPS || kind == OP_SCAS;

	if (in->attributes & ZYDIS_ATTRIB_HAS_REPNE)
		return compares ? REP_WHILE_NOT_EQUAL : REP_PLAIN;
	if (in->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE))
		return compares ? REP_WHILE_EQUAL : REP_PLAIN;
	return REP_NONE;
}

/* MOVS and its like: the size, the source's segment and the repetition are all that varies. */
static bool take_string(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *operands,
			struct emul_op *out)
{
	out->segment = SEG_DS;
	for (unsigned i = 0; i < in->operand_count; i++) {
		const ZydisDecodedOperand *o = &operands[i];

		if (o->type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		out->size = (uint8_t)(o->size / 8);
		if (gpr_of(o->mem.base) == GPR_RSI)
			out->segment = (uint8_t)(o->mem.segment - ZYDIS_REGISTER_ES);
	}
	out->rep = (uint8_t)rep_of(in, out->kind);
	return out->size;
}

/* One memory operand and at most one other. */
static bool take_operands(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *operands,
			  struct emul_op *out)
{
	bool first = operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
	const ZydisDecodedOperand *memory = &operands[first ? 0 : 1];
	const ZydisDecodedOperand *other = &operands[first ? 1 : 0];

	if (!in->operand_count_visible || memory->type != ZYDIS_OPERAND_TYPE_MEMORY ||
	    memory->mem.type != ZYDIS_MEMOP_TYPE_MEM || (!first && in->operand_count_visible < 2))
		return false;
	take_memory(in, memory, out);
	out->reg = EMUL_NO_REG;
	if (in->operand_count_visible >= 2 && !take_source(other, out))
		return false;
	if (!first) {
		switch (out->kind) {
		case OP_STORE:
			out->kind = OP_LOAD;
			break;
		case OP_MODIFY:
			out->kind = OP_COMPUTE;
			break;
		case OP_COMPARE:
			out->to_register = true;
			break;
		case OP_XCHG:
			break;
		default:
			return false;
		}
	}
	return out->size == 1 || out->size == 2 || out->size == 4 || out->size == 8;
}

bool emul_decode(const uint8_t *bytes, unsigned n, enum code_mode mode, struct emul_op *out)
{
	static const struct {
		ZydisMachineMode machine;
		ZydisStackWidth stack;
	} modes[] = {
		[MODE_16] = {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16},
		[MODE_32] = {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
		[MODE_64] = {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64},
	};
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction in;
	ZydisDecoder decoder;
	struct meaning m;
	bool known;

	ZydisDecoderInit(&decoder, modes[mode].machine, modes[mode].stack);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, n, &in, operands)))
		return false;
	m = meaning_of(in.mnemonic);
	if (m.kind == OP_NONE)
		return false;
	*out = (struct emul_op){
		.length = in.length,
		.mode = (uint8_t)mode,
		.kind = m.kind,
		.alu = m.alu,
		.address_size = in.address_width / 8,
		.sign_extend =
			in.mnemonic == ZYDIS_MNEMONIC_MOVSX || in.mnemonic == ZYDIS_MNEMONIC_MOVSXD,
	};
	switch (m.kind) {
	case OP_MOVS ... OP_OUTS:
		/* SSE's MOVSD and CMPSD share the mnemonics' names but not the encoding */
		known = in.meta.isa_set != ZYDIS_ISA_SET_SSE2 && take_string(&in, operands, out);
		break;
	default:
		known = take_operands(&in, operands, out);
		break;
	}
	memcpy(out->key, bytes, in.length);
	memset(out->mask, 0xff, in.length);
	return known;
}
