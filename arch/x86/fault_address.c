/*
 * Which address an instruction wanted, when the exception does not say: a general protection fault
 * is an address that is not canonical more often than anything else. Understands what compilers
 * make of loads, stores, calls, pushes and string moves. Pure.
 *
 * Source: Intel SDM volume 2, "Instruction Format", "Addressing-Mode Encoding of ModR/M and SIB
 * Bytes".
 */
#include "arch/x86/oops.h"
#include "lib/le.h"

#define REX_B 1u
#define REX_X 2u

struct insn {
	const uint8_t *p, *end;
	const struct trap_frame *f;
	uint8_t rex;
	const uint8_t *start;
};

/* By the number that the encoding has for a register. */
static uint64_t reg(const struct trap_frame *f, unsigned n)
{
	const uint64_t by_number[16] = {f->rax, f->rcx, f->rdx, f->rbx, f->rsp, f->rbp,
					f->rsi, f->rdi, f->r8,  f->r9,  f->r10, f->r11,
					f->r12, f->r13, f->r14, f->r15};

	return by_number[n & 15];
}

static bool is_prefix(uint8_t c)
{
	return c == 0x66 || c == 0xf0 || c == 0xf2 || c == 0xf3 || c == 0x2e || c == 0x36 ||
	       c == 0x3e || c == 0x26 || c == 0x64 || c == 0x65;
}

/* Has this one-byte opcode a ModR/M byte? */
static bool has_modrm(uint8_t op)
{
	if (op < 0x40)
		return (op & 7) < 4;
	return op == 0x63 || op == 0x69 || op == 0x6b || (op >= 0x80 && op <= 0x8f) || op == 0xc0 ||
	       op == 0xc1 || op == 0xc6 || op == 0xc7 || (op >= 0xd0 && op <= 0xd3) || op == 0xf6 ||
	       op == 0xf7 || op == 0xfe || op == 0xff;
}

/* Bytes of an immediate operand behind ModR/M: RIP-relative addresses count from behind it. */
static unsigned immediate(uint8_t op, uint8_t modrm, bool word)
{
	unsigned full = word ? 2 : 4;

	if (op == 0x80 || op == 0x83 || op == 0xc0 || op == 0xc1 || op == 0xc6 || op == 0x6b)
		return 1;
	if (op == 0x81 || op == 0xc7 || op == 0x69)
		return full;
	if ((op == 0xf6 || op == 0xf7) && !(modrm & 0x30))
		return op == 0xf6 ? 1 : full;
	return 0;
}

static bool take_modrm(struct insn *i, unsigned behind, uint64_t *address)
{
	uint8_t modrm = *i->p++;
	unsigned mod = modrm >> 6, rm = modrm & 7, displacement = mod == 1 ? 1 : mod == 2 ? 4 : 0;
	uint64_t sum = 0;
	bool rip = false;

	if (mod == 3)
		return false;
	if (rm == 4) {
		uint8_t sib;
		unsigned index;

		if (i->p == i->end)
			return false;
		sib = *i->p++;
		index = (sib >> 3 & 7) | (i->rex & REX_X ? 8 : 0);
		if (index != 4)
			sum += reg(i->f, index) << (sib >> 6);
		if ((sib & 7) == 5 && mod == 0)
			displacement = 4;
		else
			sum += reg(i->f, (sib & 7) | (i->rex & REX_B ? 8 : 0));
	} else if (rm == 5 && mod == 0) {
		rip = true;
		displacement = 4;
	} else {
		sum += reg(i->f, rm | (i->rex & REX_B ? 8 : 0));
	}
	if ((size_t)(i->end - i->p) < displacement)
		return false;
	if (displacement == 1)
		sum += (uint64_t)(int64_t)(int8_t)*i->p;
	else if (displacement == 4)
		sum += (uint64_t)(int64_t)(int32_t)le32(i->p);
	i->p += displacement;
	if (rip)
		sum += i->f->rip + (uint64_t)(i->p - i->start) + behind;
	*address = sum;
	return true;
}

/* Of two places the one that is not canonical: that one failed. */
static bool either(uint64_t a, uint64_t b, uint64_t *address)
{
	*address = canonical(a) ? b : a;
	return true;
}

bool fault_address(const uint8_t *code, size_t n, const struct trap_frame *f, uint64_t *address)
{
	struct insn i = {.p = code, .end = code + n, .f = f, .start = code};
	bool word = false;
	uint8_t op;

	while (i.p < i.end && is_prefix(*i.p))
		word |= *i.p++ == 0x66;
	if (i.p < i.end && (*i.p & 0xf0) == 0x40)
		i.rex = *i.p++;
	if (i.p == i.end)
		return false;
	op = *i.p++;
	if (op == 0x0f) { /* MOVZX, MOVSX, CMPXCHG, SETcc, bit tests … */
		if (i.end - i.p < 2)
			return false;
		op = *i.p++;
		if (op < 0x10 || (op >= 0x30 && op < 0x40) || (op & 0xf0) == 0x80 || op >= 0xc8)
			return false;
		return take_modrm(&i, op == 0xba || op == 0xa4 || op == 0xac, address);
	}
	if ((op & 0xf0) == 0x50 || op == 0xe8 || op == 0xc3 || op == 0xc9) {
		/* PUSH and CALL write below the stack pointer, POP, RET and LEAVE read above */
		*address = (op & 0xf8) == 0x50 || op == 0xe8 ? f->rsp - 8
			   : op == 0xc9                      ? f->rbp
							     : f->rsp;
		return true;
	}
	if (op >= 0xa4 && op <= 0xa7) /* MOVS, CMPS */
		return either(f->rsi, f->rdi, address);
	if (op == 0xaa || op == 0xab || op == 0xae || op == 0xaf) /* STOS, SCAS */
		return either(f->rdi, f->rdi, address);
	if (op == 0xac || op == 0xad) /* LODS */
		return either(f->rsi, f->rsi, address);
	if (!has_modrm(op) || op == 0x8d || i.p == i.end) /* LEA reads nothing */
		return false;
	return take_modrm(&i, immediate(op, *i.p, word), address);
}
