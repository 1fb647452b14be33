/*
 * Recognising the few instructions that exit and whose length the hardware may not report. The
 * opcode alone, the usual case, is a comparison; prefixes take the longer way. Pure.
 */
#include "guests/insn.h"

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

struct prefixes {
	unsigned length; /* bytes before the opcode */
	bool rep;        /* F3 is the last of the repeat prefixes */
	bool lock, address;
	uint8_t rex; /* the REX prefix that counts, or 0 */
};

static struct prefixes prefixes(const struct code_context *c, const uint8_t *buf, unsigned n)
{
	struct prefixes p = {0};
	unsigned i = 0;

	while (i < n) {
		if (is_legacy_prefix(buf[i])) {
			p.rex = 0; /* a REX that is not right before the opcode is ignored */
			if (buf[i] == 0xf3 || buf[i] == 0xf2)
				p.rep = buf[i] == 0xf3;
			p.lock |= buf[i] == 0xf0;
			p.address |= buf[i] == 0x67;
		} else if (code_is_64bit(c) && (buf[i] & 0xf0) == 0x40) {
			p.rex = buf[i];
		} else {
			break;
		}
		i++;
	}
	p.length = i;
	return p;
}

/* Up to four bytes as a word; those that are not there are zero. */
static uint32_t word_of(const uint8_t *buf, unsigned n)
{
	uint32_t word = 0;

	for (unsigned i = 0; i < n && i < 4; i++)
		word |= (uint32_t)buf[i] << (8 * i);
	return word;
}

/* The length if the usual form stands at `buf`, else 0. */
static unsigned usual_length(enum insn_kind kind, const uint8_t *buf, unsigned n)
{
	const struct insn_usual *u = &insn_usual[kind];

	return u->length && n >= u->length && (word_of(buf, n) & u->mask) == u->bytes ? u->length
										      : 0;
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

unsigned insn_length(enum insn_kind kind, const struct code_context *ctx, const uint8_t *buf,
		     unsigned n)
{
	unsigned skip, length = usual_length(kind, buf, n);
	struct prefixes p;

	if (length)
		return length;
	n = MIN(n, (unsigned)INSN_MAX_BYTES);
	p = prefixes(ctx, buf, n);
	skip = p.length;
	if (p.lock) /* #UD, with all of these */
		return 0;
	if (kind == INSN_PAUSE) /* the opcode is NOP's without its prefix, XCHG R8's with REX.B */
		return p.rep && !(p.rex & 1) && skip < n && buf[skip] == 0x90 ? skip + 1 : 0;
	length = kind == INSN_IO ? io_length(buf + skip, n - skip)
				 : usual_length(kind, buf + skip, n - skip);
	return length ? skip + length : 0;
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

/* CR0, CR2, CR3, CR4 and CR8 exist. */
static bool cr_exists(uint8_t cr)
{
	return cr < 16 && (BIT32(0) | BIT32(2) | BIT32(3) | BIT32(4) | BIT32(8)) >> cr & 1;
}

bool insn_decode_mov_cr(const struct code_context *ctx, const uint8_t *buf, unsigned n,
			struct insn_mov_cr *out)
{
	unsigned skip, length;
	bool code32, address16;
	struct prefixes p;
	uint8_t op, modrm;

	n = MIN(n, (unsigned)INSN_MAX_BYTES);
	p = prefixes(ctx, buf, n);
	skip = p.length;
	*out = (struct insn_mov_cr){0};
	if (n - skip < 2 || buf[skip] != 0x0f)
		return false;
	op = buf[skip + 1];
	/* LOCK is legal with MOV alone */
	if (p.lock && op != 0x20 && op != 0x22)
		return false;
	if (op == 0x06) { /* CLTS */
		out->clts = true;
		out->write = true;
		out->length = (uint8_t)(skip + 2);
		return true;
	}
	if (n - skip < 3)
		return false;
	modrm = buf[skip + 2];
	out->gpr = (uint8_t)((modrm & 7) | (p.rex & 1 ? 8 : 0));
	if (op == 0x20 || op == 0x22) { /* ModRM.mod is ignored: always registers */
		out->cr = (uint8_t)((modrm >> 3 & 7) | (p.rex & 4 ? 8 : 0));
		/* AMD APM volume 3, "MOV CRn": LOCK is the fourth bit of the number where there is
		 * no REX, so that CR8 is reached in all modes */
		if (p.lock)
			out->cr |= 8;
		if (!cr_exists(out->cr))
			return false;
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
	address16 = !code_is_64bit(ctx) && code32 == p.address;
	length = modrm_length(buf + skip + 2, n - skip - 2, address16);
	out->length = (uint8_t)(skip + 2 + length);
	return length;
}
