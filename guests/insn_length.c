/*
 * Recognising the few instructions that exit and whose length the hardware may not report. The
 * opcode alone, the usual case, is a comparison; prefixes take the longer way. Pure.
 */
#include "guests/insn.h"

/* Opcode bytes: the first `n`, of which the last is compared under `mask`. */
static const struct pattern {
	uint8_t n;
	uint8_t byte[3];
	uint8_t mask;
	uint8_t immediate; /* bytes that follow */
} patterns[INSN_KIND_COUNT] = {
	[INSN_CPUID] = {2, {0x0f, 0xa2}, 0xff, 0},
	[INSN_RDMSR] = {2, {0x0f, 0x32}, 0xff, 0},
	[INSN_WRMSR] = {2, {0x0f, 0x30}, 0xff, 0},
	[INSN_HLT] = {1, {0xf4}, 0xff, 0},
	[INSN_VMCALL] = {3, {0x0f, 0x01, 0xc1}, 0xff, 0},
	[INSN_VMMCALL] = {3, {0x0f, 0x01, 0xd9}, 0xff, 0},
	[INSN_XSETBV] = {3, {0x0f, 0x01, 0xd1}, 0xff, 0},
	[INSN_RDPMC] = {2, {0x0f, 0x33}, 0xff, 0},
	[INSN_RDTSC] = {2, {0x0f, 0x31}, 0xff, 0},
	[INSN_RDTSCP] = {3, {0x0f, 0x01, 0xf9}, 0xff, 0},
	[INSN_INVD] = {2, {0x0f, 0x08}, 0xff, 0},
	[INSN_WBINVD] = {2, {0x0f, 0x09}, 0xff, 0},
	[INSN_PAUSE] = {1, {0x90}, 0xff, 0}, /* behind F3 */
	[INSN_INVLPGA] = {3, {0x0f, 0x01, 0xdf}, 0xff, 0},
	[INSN_MONITOR] = {3, {0x0f, 0x01, 0xc8}, 0xff, 0},
	[INSN_MWAIT] = {3, {0x0f, 0x01, 0xc9}, 0xff, 0},
	[INSN_INT3] = {1, {0xcc}, 0xff, 0},
	[INSN_INTO] = {1, {0xce}, 0xff, 0},
	[INSN_INT_N] = {1, {0xcd}, 0xff, 1},
	[INSN_INT1] = {1, {0xf1}, 0xff, 0},
};

static bool is_legacy_prefix(uint8_t b)
{
	switch (b) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64 ... 0x67:
	case 0xf0:
	case 0xf2:
	case 0xf3:
		return true;
	default:
		return false;
	}
}

/* Bytes of prefixes before the opcode. `rep`: F3 is the last of the repeat prefixes. `*rex` is the
 * REX prefix that counts, or 0. */
static unsigned prefixes(const struct code_context *c, const uint8_t *buf, unsigned n, bool *rep,
			 uint8_t *rex)
{
	unsigned i = 0;

	*rep = false;
	*rex = 0;
	while (i < n) {
		if (is_legacy_prefix(buf[i])) {
			*rex = 0; /* a REX that is not right before the opcode is ignored */
			if (buf[i] == 0xf3 || buf[i] == 0xf2)
				*rep = buf[i] == 0xf3;
		} else if (code_is_64bit(c) && (buf[i] & 0xf0) == 0x40) {
			*rex = buf[i];
		} else {
			break;
		}
		i++;
	}
	return i;
}

static bool matches(const struct pattern *p, const uint8_t *buf)
{
	for (unsigned i = 0; i + 1 < p->n; i++) {
		if (buf[i] != p->byte[i])
			return false;
	}
	return (buf[p->n - 1] & p->mask) == p->byte[p->n - 1];
}

/* IN and OUT by immediate or DX, INS and OUTS. */
static unsigned io_length(const uint8_t *buf, unsigned n)
{
	if (!n)
		return 0;
	switch (buf[0]) {
	case 0xe4 ... 0xe7:
		return n >= 2 ? 2 : 0;
	case 0xec ... 0xef:
	case 0x6c ... 0x6f:
		return 1;
	default:
		return 0;
	}
}

static unsigned with_prefixes(enum insn_kind kind, const struct code_context *c, const uint8_t *buf,
			      unsigned n)
{
	const struct pattern *p = &patterns[kind];
	struct insn_mov_cr mov;
	unsigned skip, length;
	uint8_t rex;
	bool rep;

	if (kind == INSN_MOV_CR)
		return insn_decode_mov_cr(c, buf, n, &mov) ? mov.length : 0;
	skip = prefixes(c, buf, n, &rep, &rex);
	if (kind == INSN_PAUSE && !rep)
		return 0;
	if (kind == INSN_IO) {
		length = io_length(buf + skip, n - skip);
		return length ? skip + length : 0;
	}
	length = p->n + p->immediate;
	if (n - skip < length || !matches(p, buf + skip))
		return 0;
	return skip + length;
}

unsigned insn_length(enum insn_kind kind, const struct code_context *ctx, const uint8_t *buf,
		     unsigned n)
{
	const struct pattern *p = &patterns[kind];

	/* PAUSE is all prefix, and needs it; the others with a pattern of their own mostly have
	 * none */
	if (likely(p->n && n >= p->n && kind != INSN_PAUSE && matches(p, buf)))
		return n >= (unsigned)p->n + p->immediate ? p->n + p->immediate : 0;
	return with_prefixes(kind, ctx, buf, n);
}

/* Bytes of ModRM, SIB and displacement of a memory operand; 0 if they are cut off. */
static unsigned modrm_length(const uint8_t *buf, unsigned n, bool address16)
{
	uint8_t modrm, mod, rm;
	unsigned length = 1;

	if (!n)
		return 0;
	modrm = buf[0];
	mod = modrm >> 6;
	rm = modrm & 7;
	if (mod == 3)
		return 1;
	if (address16) {
		if (mod == 2 || (mod == 0 && rm == 6))
			length += 2;
		else if (mod == 1)
			length += 1;
		return length <= n ? length : 0;
	}
	if (rm == 4) {
		if (n < 2)
			return 0;
		length++;
		if (mod == 0 && (buf[1] & 7) == 5)
			length += 4;
	}
	if (mod == 2 || (mod == 0 && rm == 5))
		length += 4;
	else if (mod == 1)
		length += 1;
	return length <= n ? length : 0;
}

static bool has_prefix(const uint8_t *buf, unsigned n, uint8_t prefix)
{
	for (unsigned i = 0; i < n; i++) {
		if (buf[i] == prefix)
			return true;
	}
	return false;
}

bool insn_decode_mov_cr(const struct code_context *ctx, const uint8_t *buf, unsigned n,
			struct insn_mov_cr *out)
{
	unsigned skip, length;
	bool rep, code32, address16;
	uint8_t rex, op, modrm;

	skip = prefixes(ctx, buf, n, &rep, &rex);
	*out = (struct insn_mov_cr){0};
	if (n - skip < 2 || buf[skip] != 0x0f)
		return false;
	op = buf[skip + 1];
	if (op == 0x06) { /* CLTS */
		out->clts = true;
		out->write = true;
		out->length = (uint8_t)(skip + 2);
		return true;
	}
	if (n - skip < 3)
		return false;
	modrm = buf[skip + 2];
	out->gpr = (uint8_t)((modrm & 7) | (rex & 1 ? 8 : 0));
	if (op == 0x20 || op == 0x22) { /* ModRM.mod is ignored: always registers */
		out->cr = (uint8_t)((modrm >> 3 & 7) | (rex & 4 ? 8 : 0));
		/* AMD's way to CR8 outside 64-bit mode */
		if (has_prefix(buf, skip, 0xf0) && out->cr == 0)
			out->cr = 8;
		out->write = op == 0x22;
		out->length = (uint8_t)(skip + 3);
		return true;
	}
	if (op != 0x01 || ((modrm >> 3 & 7) != 4 && (modrm >> 3 & 7) != 6))
		return false;
	out->smsw = (modrm >> 3 & 7) == 4;
	out->lmsw = !out->smsw;
	out->write = out->lmsw;
	out->memory = modrm >> 6 != 3;
	code32 = ctx->cs_attr & SEG_ATTR_DB;
	address16 = !code_is_64bit(ctx) && code32 == has_prefix(buf, skip, 0x67);
	length = modrm_length(buf + skip + 2, n - skip - 2, address16);
	out->length = (uint8_t)(skip + 2 + length);
	return length;
}
