/*
 * Emulating the instructions that reach device memory, and string and port I/O; see insn.h. Decoded
 * instructions are kept in a small cache, so the usual exit does not decode. Pure.
 *
 * Nothing of the guest's state changes before all that can fault has been checked, but that a REP
 * form keeps the iterations that it has completed.
 */
#include "guests/emul_op.h"
#include "guests/gwalk.h"
#include "guests/insn.h"
#include "lib/string.h"

#define CACHE_ENTRIES 128u

struct emul_cache {
	struct emul_op op[CACHE_ENTRIES];
};

size_t emul_cache_size(void)
{
	return sizeof(struct emul_cache);
}

/* ---- registers ---- */

static uint64_t reg_read(const struct emul *e, uint8_t reg, unsigned size)
{
	if (reg & EMUL_HIGH_BYTE)
		return e->gpr[reg & 15] >> 8 & 0xff;
	return e->gpr[reg] & size_mask(size);
}

static void reg_write(struct emul *e, uint8_t reg, unsigned size, uint64_t value)
{
	uint64_t *r = &e->gpr[reg & 15];

	if (reg & EMUL_HIGH_BYTE)
		*r = (*r & ~0xff00ull) | (value & 0xff) << 8;
	else if (size == 4)
		*r = (uint32_t)value; /* the upper half is cleared */
	else
		*r = (*r & ~size_mask(size)) | (value & size_mask(size));
}

static uint64_t source(const struct emul *e, const struct emul_op *op)
{
	if (op->reg == EMUL_NO_REG)
		return op->imm & size_mask(op->size);
	return reg_read(e, op->reg, op->reg_size);
}

/* ---- memory ---- */

/* Where the bytes of an operand are: one stretch, or two when it crosses a page. */
struct place {
	struct gpa gpa[2];
	unsigned len[2];
};

static bool segment_fault(struct emul *e, unsigned seg)
{
	e->fault = (struct vcpu_event){
		.kind = EVENT_EXCEPTION,
		.vector = seg == SEG_SS ? VEC_SS : VEC_GP,
		.has_error = true,
	};
	return false;
}

/* An address that is not canonical gives #SS instead of #GP where the stack's segment is used. */
static __cold bool walk_fault(struct emul *e, unsigned seg)
{
	return e->fault.vector == VEC_GP ? segment_fault(e, seg) : false;
}

static bool in_limit(const struct segment_state *s, uint64_t offset, unsigned size)
{
	uint64_t last = offset + size - 1;
	bool expand_down = (s->attr & SEG_ATTR_S) && (s->attr & 0xc) == 0x4;

	if (expand_down)
		return offset > s->limit && last <= (s->attr & SEG_ATTR_DB ? UINT32_MAX : 0xffffu);
	return last <= s->limit;
}

static bool rights_ok(const struct segment_state *s, bool write)
{
	bool code = s->attr & 8;

	if (!(s->attr & SEG_ATTR_P))
		return false;
	/* bit 1 of the type: writable data, readable code */
	return write ? !code && (s->attr & 2) : !code || (s->attr & 2);
}

/* The linear address of seg:offset for an access of `size` bytes, after the segment's checks. */
static bool linearize(struct emul *e, unsigned seg, uint64_t offset, unsigned size, bool write,
		      uint64_t *linear)
{
	struct segment_state s;

	if (code_is_64bit(e->ctx)) {
		*linear = offset;
		if (seg == SEG_FS || seg == SEG_GS) {
			e->host->segment(e->host->ctx, seg, &s);
			*linear += s.base;
		}
		return true; /* the walk finds what is not canonical */
	}
	e->host->segment(e->host->ctx, seg, &s);
	if (!in_limit(&s, offset, size))
		return segment_fault(e, seg);
	/* real mode has no rights to check */
	if ((e->ctx->cr0 & CR0_PE) && !(e->ctx->rflags & RFLAGS_VM) && !rights_ok(&s, write))
		return segment_fault(e, seg);
	*linear = (uint32_t)(s.base + offset);
	return true;
}

static bool locate(struct emul *e, unsigned seg, uint64_t offset, unsigned size, bool write,
		   struct place *out)
{
	unsigned access = (write ? WALK_WRITE : 0u) | (e->ctx->cpl == 3 ? WALK_USER : 0u);
	uint64_t linear, room;

	if (!linearize(e, seg, offset, size, write, &linear))
		return false;
	if (!gwalk_any(e->mem, e->ctx, linear, access, &out->gpa[0], &e->fault))
		return walk_fault(e, seg);
	room = PAGE_SIZE - (linear & (PAGE_SIZE - 1));
	out->len[0] = size;
	out->len[1] = 0;
	if (likely(size <= room))
		return true;
	out->len[0] = (unsigned)room;
	out->len[1] = size - (unsigned)room;
	linear += room;
	if (!code_is_64bit(e->ctx))
		linear = (uint32_t)linear;
	return gwalk_any(e->mem, e->ctx, linear, access, &out->gpa[1], &e->fault) ||
	       walk_fault(e, seg);
}

/* The largest naturally aligned access at `gpa` of at most `len` bytes. */
static unsigned natural(uint64_t gpa, unsigned len)
{
	unsigned size = 8;

	while (size > len || !IS_ALIGNED(gpa, size))
		size /= 2;
	return size;
}

static void read_part(struct emul *e, uint64_t gpa, uint8_t *buf, unsigned len)
{
	const void *ram = gmem_ptr(e->mem, gpa, len);

	if (ram) {
		memcpy(buf, ram, len);
		return;
	}
	while (len) {
		unsigned n = natural(gpa, len);
		uint64_t v = e->host->mmio_read(e->host->ctx, GPA(gpa), n);

		memcpy(buf, &v, n);
		gpa += n;
		buf += n;
		len -= n;
	}
}

static void write_part(struct emul *e, uint64_t gpa, const uint8_t *buf, unsigned len)
{
	void *ram = gmem_ptr_write(e->mem, gpa, len);

	if (ram) {
		memcpy(ram, buf, len);
		return;
	}
	while (len) {
		unsigned n = natural(gpa, len);
		uint64_t v = 0;

		memcpy(&v, buf, n);
		e->host->mmio_write(e->host->ctx, GPA(gpa), n, v);
		gpa += n;
		buf += n;
		len -= n;
	}
}

static bool is_device(const struct emul *e, const struct place *p)
{
	return !p->len[1] && IS_ALIGNED(p->gpa[0].v, p->len[0]) &&
	       !gmem_ptr(e->mem, p->gpa[0].v, p->len[0]);
}

static uint64_t place_read(struct emul *e, const struct place *p)
{
	uint64_t v = 0;

	if (likely(is_device(e, p)))
		return e->host->mmio_read(e->host->ctx, p->gpa[0], p->len[0]) &
		       size_mask(p->len[0]);
	read_part(e, p->gpa[0].v, (uint8_t *)&v, p->len[0]);
	if (p->len[1])
		read_part(e, p->gpa[1].v, (uint8_t *)&v + p->len[0], p->len[1]);
	return v;
}

static void place_write(struct emul *e, const struct place *p, uint64_t v)
{
	if (likely(is_device(e, p))) {
		e->host->mmio_write(e->host->ctx, p->gpa[0], p->len[0], v & size_mask(p->len[0]));
		return;
	}
	write_part(e, p->gpa[0].v, (const uint8_t *)&v, p->len[0]);
	if (p->len[1])
		write_part(e, p->gpa[1].v, (const uint8_t *)&v + p->len[0], p->len[1]);
}

static uint64_t effective_address(const struct emul *e, const struct emul_op *op)
{
	uint64_t a = (uint64_t)op->disp;

	if (op->base == EMUL_REG_RIP)
		a += *e->rip + op->length;
	else if (op->base != EMUL_NO_REG)
		a += e->gpr[op->base];
	if (op->index != EMUL_NO_REG)
		a += e->gpr[op->index] * op->scale;
	return a & size_mask(op->address_size);
}

static bool locate_operand(struct emul *e, const struct emul_op *op, bool write, struct place *out)
{
	return locate(e, op->segment, effective_address(e, op), op->size, write, out);
}

/* ---- instructions with one memory operand ---- */

static enum emul_result do_load(struct emul *e, const struct emul_op *op)
{
	struct place p;
	uint64_t v;

	if (!locate_operand(e, op, false, &p))
		return EMUL_FAULT;
	v = place_read(e, &p);
	if (op->sign_extend) {
		unsigned shift = 64 - 8u * op->size;

		v = (uint64_t)((int64_t)(v << shift) >> shift);
	}
	reg_write(e, op->reg, op->reg_size, v);
	return EMUL_DONE;
}

static enum emul_result do_store(struct emul *e, const struct emul_op *op)
{
	struct place p;

	if (!locate_operand(e, op, true, &p))
		return EMUL_FAULT;
	place_write(e, &p, source(e, op));
	return EMUL_DONE;
}

static enum emul_result do_modify(struct emul *e, const struct emul_op *op)
{
	uint64_t v;
	struct place p;

	if (!locate_operand(e, op, true, &p))
		return EMUL_FAULT;
	v = place_read(e, &p);
	place_write(e, &p, emul_alu(op->alu, op->size, v, source(e, op), e->rflags));
	return EMUL_DONE;
}

static enum emul_result do_compute(struct emul *e, const struct emul_op *op)
{
	struct place p;
	uint64_t v;

	if (!locate_operand(e, op, false, &p))
		return EMUL_FAULT;
	v = place_read(e, &p);
	v = emul_alu(op->alu, op->size, reg_read(e, op->reg, op->size), v, e->rflags);
	reg_write(e, op->reg, op->size, v);
	return EMUL_DONE;
}

static enum emul_result do_compare(struct emul *e, const struct emul_op *op)
{
	struct place p;
	uint64_t v;

	if (!locate_operand(e, op, false, &p))
		return EMUL_FAULT;
	v = place_read(e, &p);
	if (op->to_register)
		emul_alu(op->alu, op->size, source(e, op), v, e->rflags);
	else
		emul_alu(op->alu, op->size, v, source(e, op), e->rflags);
	return EMUL_DONE;
}

static enum emul_result do_exchange(struct emul *e, const struct emul_op *op)
{
	uint64_t old, reg;
	struct place p;

	if (!locate_operand(e, op, true, &p))
		return EMUL_FAULT;
	old = place_read(e, &p);
	reg = reg_read(e, op->reg, op->size);
	if (op->kind == OP_XADD)
		place_write(e, &p, emul_alu(ALU_ADD, op->size, old, reg, e->rflags));
	else
		place_write(e, &p, reg);
	reg_write(e, op->reg, op->size, old);
	return EMUL_DONE;
}

static enum emul_result do_cmpxchg(struct emul *e, const struct emul_op *op)
{
	uint64_t old;
	struct place p;

	if (!locate_operand(e, op, true, &p))
		return EMUL_FAULT;
	old = place_read(e, &p);
	emul_alu(ALU_SUB, op->size, reg_read(e, GPR_RAX, op->size), old, e->rflags);
	if (*e->rflags & RFLAGS_ZF) {
		place_write(e, &p, reg_read(e, op->reg, op->size));
	} else {
		place_write(e, &p, old); /* the processor writes in either case */
		reg_write(e, GPR_RAX, op->size, old);
	}
	return EMUL_DONE;
}

/* With a register as bit offset, the bit may lie far from the operand's address. */
static enum emul_result do_bit(struct emul *e, const struct emul_op *op)
{
	uint64_t address = effective_address(e, op), bit = source(e, op), v;
	bool write = op->alu != ALU_BT;
	struct place p;

	if (op->reg != EMUL_NO_REG) {
		unsigned shift = 64 - 8u * op->size;
		int64_t offset = (int64_t)(bit << shift) >> shift;

		address += (uint64_t)((offset >> (op->size == 8   ? 6
						  : op->size == 4 ? 5
								  : 4)) *
				      op->size);
		address &= size_mask(op->address_size);
	}
	if (!locate(e, op->segment, address, op->size, write, &p))
		return EMUL_FAULT;
	v = emul_alu(op->alu, op->size, place_read(e, &p), bit, e->rflags);
	if (write)
		place_write(e, &p, v);
	return EMUL_DONE;
}

/* ---- string instructions ---- */

static void advance(struct emul *e, const struct emul_op *op, unsigned reg)
{
	uint64_t step = *e->rflags & RFLAGS_DF ? 0 - (uint64_t)op->size : op->size;

	reg_write(e, (uint8_t)reg, op->address_size,
		  reg_read(e, (uint8_t)reg, op->address_size) + step);
}

static bool locate_si(struct emul *e, const struct emul_op *op, struct place *p)
{
	return locate(e, op->segment, reg_read(e, GPR_RSI, op->address_size), op->size, false, p);
}

static bool locate_di(struct emul *e, const struct emul_op *op, bool write, struct place *p)
{
	return locate(e, SEG_ES, reg_read(e, GPR_RDI, op->address_size), op->size, write, p);
}

/* One iteration. Memory is located before a port or a device is touched. */
static bool string_once(struct emul *e, const struct emul_op *op)
{
	uint16_t port = (uint16_t)e->gpr[GPR_RDX];
	struct place from, to;
	uint64_t v;

	switch (op->kind) {
	case OP_MOVS:
		if (!locate_si(e, op, &from) || !locate_di(e, op, true, &to))
			return false;
		place_write(e, &to, place_read(e, &from));
		break;
	case OP_STOS:
		if (!locate_di(e, op, true, &to))
			return false;
		place_write(e, &to, reg_read(e, GPR_RAX, op->size));
		break;
	case OP_LODS:
		if (!locate_si(e, op, &from))
			return false;
		reg_write(e, GPR_RAX, op->size, place_read(e, &from));
		break;
	case OP_CMPS:
		if (!locate_si(e, op, &from) || !locate_di(e, op, false, &to))
			return false;
		v = place_read(e, &from);
		emul_alu(ALU_SUB, op->size, v, place_read(e, &to), e->rflags);
		break;
	case OP_SCAS:
		if (!locate_di(e, op, false, &to))
			return false;
		emul_alu(ALU_SUB, op->size, reg_read(e, GPR_RAX, op->size), place_read(e, &to),
			 e->rflags);
		break;
	case OP_INS:
		if (!locate_di(e, op, true, &to))
			return false;
		place_write(e, &to, e->host->io_read(e->host->ctx, port, op->size));
		break;
	default: /* OP_OUTS */
		if (!locate_si(e, op, &from))
			return false;
		e->host->io_write(e->host->ctx, port, op->size, (uint32_t)place_read(e, &from));
		break;
	}
	if (op->kind == OP_MOVS || op->kind == OP_LODS || op->kind == OP_CMPS ||
	    op->kind == OP_OUTS)
		advance(e, op, GPR_RSI);
	if (op->kind != OP_LODS && op->kind != OP_OUTS)
		advance(e, op, GPR_RDI);
	return true;
}

static enum emul_result do_string(struct emul *e, const struct emul_op *op)
{
	/* a single step is one iteration */
	unsigned most = *e->rflags & RFLAGS_TF ? 1 : EMUL_MAX_REP;

	if (op->rep == REP_NONE)
		return string_once(e, op) ? EMUL_DONE : EMUL_FAULT;
	for (unsigned i = 0; i < most; i++) {
		uint64_t count = reg_read(e, GPR_RCX, op->address_size);

		if (!count)
			return EMUL_DONE;
		if (!string_once(e, op))
			return EMUL_FAULT;
		reg_write(e, GPR_RCX, op->address_size, count - 1);
		if (op->rep == REP_WHILE_EQUAL && !(*e->rflags & RFLAGS_ZF))
			return EMUL_DONE;
		if (op->rep == REP_WHILE_NOT_EQUAL && (*e->rflags & RFLAGS_ZF))
			return EMUL_DONE;
	}
	return reg_read(e, GPR_RCX, op->address_size) ? EMUL_AGAIN : EMUL_DONE;
}

/* ---- the way in ---- */

/* Is the instruction the port access that the hardware found the guest entitled to? Another vCPU
 * may have put another one in its place meanwhile. */
static bool is_reported(const struct emul *e, const struct emul_op *op)
{
	const struct emul_port *p = e->port;

	return p && p->in == (op->kind == OP_INS) && p->size == op->size &&
	       p->port == (uint16_t)e->gpr[GPR_RDX];
}

static enum emul_result execute(struct emul *e, const struct emul_op *op)
{
	/* what drivers do all day */
	if (likely(op->kind == OP_LOAD))
		return do_load(e, op);
	if (likely(op->kind == OP_STORE))
		return do_store(e, op);
	switch ((enum emul_kind)op->kind) {
	case OP_MODIFY:
		return do_modify(e, op);
	case OP_COMPUTE:
		return do_compute(e, op);
	case OP_COMPARE:
		return do_compare(e, op);
	case OP_XCHG:
	case OP_XADD:
		return do_exchange(e, op);
	case OP_CMPXCHG:
		return do_cmpxchg(e, op);
	case OP_BIT:
		return do_bit(e, op);
	case OP_INS:
	case OP_OUTS:
		return is_reported(e, op) ? do_string(e, op) : EMUL_RETRY;
	case OP_NONE:
		return EMUL_UNSUPPORTED;
	default:
		return e->port ? EMUL_RETRY : do_string(e, op);
	}
}

static enum code_mode mode_of(const struct code_context *c)
{
	if (code_is_64bit(c))
		return MODE_64;
	return c->cs_attr & SEG_ATTR_DB ? MODE_32 : MODE_16;
}

/* The decoded instruction for the fetched bytes: from the cache, where any other bytes or another
 * mode miss, or decoded into it. NULL: the emulator does not know it. */
static const struct emul_op *find(struct emul *e, enum code_mode mode)
{
	uint32_t first;
	struct emul_op *op;
	uint64_t bytes[2];

	__builtin_memcpy(&first, e->bytes, sizeof(first));
	op = &e->cache->op[(first * 0x9e3779b1u >> 16) % CACHE_ENTRIES];
	__builtin_memcpy(bytes, e->bytes, sizeof(bytes));
	if (likely(op->mode == mode && op->length <= e->n_bytes &&
		   (bytes[0] & op->mask[0]) == op->key[0] &&
		   (bytes[1] & op->mask[1]) == op->key[1] && op->length))
		return op;
	if (emul_decode(e->bytes, e->n_bytes, mode, op))
		return op;
	op->length = 0;
	return NULL;
}

/* The page with the end of an instruction may have gone since the processor fetched it: the fetch
 * faults, as it would if the processor began anew. */
static __cold __noinline enum emul_result not_decoded(struct emul *e)
{
	struct code_context rest = *e->ctx;
	uint8_t bytes[INSN_BUFFER];

	rest.rip += e->n_bytes;
	if (e->n_bytes < INSN_MAX_BYTES && !insn_fetch(e->mem, &rest, bytes, 1, &e->fault))
		return EMUL_FAULT;
	return EMUL_UNSUPPORTED;
}

enum emul_result emulate(struct emul *e)
{
	const struct emul_op *op;
	enum emul_result result;

	e->n_bytes = (uint8_t)insn_fetch(e->mem, e->ctx, e->bytes, INSN_MAX_BYTES, &e->fault);
	if (!e->n_bytes)
		return EMUL_FAULT;
	op = find(e, mode_of(e->ctx));
	if (unlikely(!op)) /* with a port reported, it is no longer the instruction that exited */
		return e->port ? EMUL_RETRY : not_decoded(e);
	result = execute(e, op);
	if (result != EMUL_DONE)
		return result;
	*e->rip += op->length;
	if (!code_is_64bit(e->ctx))
		*e->rip = (uint32_t)*e->rip;
	return EMUL_DONE;
}
