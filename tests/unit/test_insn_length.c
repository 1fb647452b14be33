/*
 * The lengths of instructions that exit: each kind by a table of its forms and by every kind and
 * number of prefixes, against what Zydis makes of the same bytes, and cut off at every byte.
 */
#include <Zydis/Decoder.h>

#include "tests/unit/guest_code.h"

static const struct code_context *const modes[] = {&code_16, &code_32, &code_64};
#define MODE_64BIT 2

static ZydisDecoder decoders[3];

static int setup(void **state)
{
	(void)state;
	ZydisDecoderInit(&decoders[0], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
	ZydisDecoderInit(&decoders[1], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&decoders[2], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	return 0;
}

/* The bytes end where the block on the heap does, for AddressSanitizer. */
static unsigned length_of(enum insn_kind kind, unsigned mode, const uint8_t *bytes, unsigned n)
{
	uint8_t *copy = broken_copy(bytes, n);
	unsigned length = insn_length(kind, modes[mode], copy, n);

	free(copy);
	return length;
}

static bool decode(unsigned mode, const uint8_t *bytes, unsigned n, struct insn_mov_cr *out)
{
	uint8_t *copy = broken_copy(bytes, n);
	bool is = insn_decode_mov_cr(modes[mode], copy, n, out);

	free(copy);
	return is;
}

/* ---- instructions of a fixed form ---- */

static const struct form {
	enum insn_kind kind;
	uint8_t length;
	uint8_t bytes[3];
} forms[] = {
	{INSN_CPUID, 2, {0x0f, 0xa2}},
	{INSN_RDMSR, 2, {0x0f, 0x32}},
	{INSN_WRMSR, 2, {0x0f, 0x30}},
	{INSN_HLT, 1, {0xf4}},
	{INSN_VMCALL, 3, {0x0f, 0x01, 0xc1}},
	{INSN_VMMCALL, 3, {0x0f, 0x01, 0xd9}},
	{INSN_XSETBV, 3, {0x0f, 0x01, 0xd1}},
	{INSN_INVD, 2, {0x0f, 0x08}},
	{INSN_WBINVD, 2, {0x0f, 0x09}},
	{INSN_WBINVD, 3, {0xf3, 0x0f, 0x09}}, /* WBNOINVD */
	{INSN_PAUSE, 2, {0xf3, 0x90}},
	{INSN_IO, 2, {0xe4, 0x80}},
	{INSN_IO, 2, {0xe5, 0xff}},
	{INSN_IO, 2, {0xe6, 0x00}},
	{INSN_IO, 2, {0xe7, 0xf0}}, /* the port is no prefix */
	{INSN_IO, 1, {0xec}},
	{INSN_IO, 1, {0xed}},
	{INSN_IO, 1, {0xee}},
	{INSN_IO, 1, {0xef}},
	{INSN_IO, 1, {0x6c}},
	{INSN_IO, 1, {0x6d}},
	{INSN_IO, 1, {0x6e}},
	{INSN_IO, 1, {0x6f}},
};

/* It has this length for its kind, is no other kind, and is nothing when it is cut off. */
static void assert_form(const struct form *f, unsigned mode, const uint8_t *bytes, unsigned length)
{
	uint8_t longer[INSN_MAX_BYTES + 8];
	struct insn_mov_cr mov;

	assert_true(length <= INSN_MAX_BYTES);
	for (unsigned kind = 0; kind < INSN_KIND_COUNT; kind++) {
		unsigned want = kind == f->kind ? length : 0;

		assert_int_equal(length_of(kind, mode, bytes, length), want);
		for (unsigned cut = 0; cut < length; cut++)
			assert_int_equal(length_of(kind, mode, bytes, cut), 0);
	}
	assert_false(decode(mode, bytes, length, &mov));
	/* what follows does not count */
	memset(longer, 0xf3, sizeof(longer));
	memcpy(longer, bytes, length);
	assert_int_equal(length_of(f->kind, mode, longer, INSN_MAX_BYTES), length);
}

static void test_forms(void **state)
{
	(void)state;
	for (unsigned mode = 0; mode < 3; mode++) {
		for (unsigned i = 0; i < ARRAY_SIZE(forms); i++)
			assert_form(&forms[i], mode, forms[i].bytes, forms[i].length);
	}
}

static const uint8_t harmless[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67};

/* 0 to 20 prefixes before each form: up to 15 bytes are an instruction. */
static void test_prefixes(void **state)
{
	uint8_t bytes[32];

	(void)state;
	for (unsigned mode = 0; mode < 3; mode++) {
		for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
			for (unsigned n = 1; n <= 20; n++) {
				unsigned length = n + forms[i].length;

				for (unsigned k = 0; k < n; k++)
					bytes[k] = harmless[broken_random() % sizeof(harmless)];
				memcpy(bytes + n, forms[i].bytes, forms[i].length);
				if (length <= INSN_MAX_BYTES) {
					assert_form(&forms[i], mode, bytes, length);
					continue;
				}
				assert_int_equal(
					length_of(forms[i].kind, mode, bytes, INSN_MAX_BYTES), 0);
				assert_int_equal(length_of(forms[i].kind, mode, bytes, length), 0);
			}
		}
	}
}

/* LOCK makes each of them #UD, wherever it stands among the prefixes. */
static void test_lock(void **state)
{
	uint8_t bytes[8];

	(void)state;
	for (unsigned mode = 0; mode < 3; mode++) {
		for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
			for (unsigned at = 0; at < 3; at++) {
				memset(bytes, 0x66, 3);
				bytes[at] = 0xf0;
				memcpy(bytes + 3, forms[i].bytes, forms[i].length);
				assert_int_equal(length_of(forms[i].kind, mode, bytes, 6), 0);
			}
		}
	}
}

/* REX is a prefix in 64-bit mode, and INC or DEC elsewhere. */
static void test_rex(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
		for (unsigned rex = 0x40; rex < 0x50; rex++) {
			bool repeated = forms[i].bytes[0] == 0xf3;
			unsigned length = forms[i].length + 1u, skip = repeated ? 1 : 0;
			uint8_t bytes[4] = {0xf3};

			/* right before the opcode */
			bytes[skip] = (uint8_t)rex;
			memcpy(bytes + skip + 1, forms[i].bytes + skip, forms[i].length - skip);
			for (unsigned mode = 0; mode < MODE_64BIT; mode++)
				assert_int_equal(length_of(forms[i].kind, mode, bytes, length), 0);
			if (forms[i].kind == INSN_PAUSE && (rex & 1)) /* XCHG of R8 and RAX */
				assert_int_equal(length_of(INSN_PAUSE, MODE_64BIT, bytes, length),
						 0);
			else
				assert_form(&forms[i], MODE_64BIT, bytes, length);
			/* before another prefix it is ignored */
			if (repeated) {
				bytes[0] = (uint8_t)rex;
				bytes[1] = 0xf3;
				assert_form(&forms[i], MODE_64BIT, bytes, length);
			}
		}
	}
}

static void test_pause(void **state)
{
	register uint64_t r8 __asm__("r8") = 8;
	uint64_t rax = 1;

	(void)state;
	/* with REX.B it is no PAUSE: this machine's processor exchanges R8 and RAX */
	__asm__ volatile(".byte 0xf3, 0x49, 0x90" : "+a"(rax), "+r"(r8));
	assert_int_equal(rax, 8);
	for (unsigned mode = 0; mode < 3; mode++) {
		assert_int_equal(length_of(INSN_PAUSE, mode, (uint8_t[]){0x90}, 1), 0);
		assert_int_equal(length_of(INSN_PAUSE, mode, (uint8_t[]){0x66, 0x90}, 2), 0);
		assert_int_equal(length_of(INSN_PAUSE, mode, (uint8_t[]){0xf2, 0x90}, 2), 0);
		assert_int_equal(length_of(INSN_PAUSE, mode, (uint8_t[]){0xf3, 0xf2, 0x90}, 3), 0);
		assert_int_equal(length_of(INSN_PAUSE, mode, (uint8_t[]){0xf2, 0xf3, 0x90}, 3), 3);
	}
}

/* ---- against Zydis ---- */

static int kind_of(ZydisMnemonic m)
{
	switch (m) {
	case ZYDIS_MNEMONIC_CPUID:
		return INSN_CPUID;
	case ZYDIS_MNEMONIC_RDMSR:
		return INSN_RDMSR;
	case ZYDIS_MNEMONIC_WRMSR:
		return INSN_WRMSR;
	case ZYDIS_MNEMONIC_HLT:
		return INSN_HLT;
	case ZYDIS_MNEMONIC_VMCALL:
		return INSN_VMCALL;
	case ZYDIS_MNEMONIC_VMMCALL:
		return INSN_VMMCALL;
	case ZYDIS_MNEMONIC_XSETBV:
		return INSN_XSETBV;
	case ZYDIS_MNEMONIC_INVD:
		return INSN_INVD;
	case ZYDIS_MNEMONIC_WBINVD:
		return INSN_WBINVD;
	case ZYDIS_MNEMONIC_PAUSE:
		return INSN_PAUSE;
	case ZYDIS_MNEMONIC_IN:
	case ZYDIS_MNEMONIC_OUT:
	case ZYDIS_MNEMONIC_INSB:
	case ZYDIS_MNEMONIC_INSW:
	case ZYDIS_MNEMONIC_INSD:
	case ZYDIS_MNEMONIC_OUTSB:
	case ZYDIS_MNEMONIC_OUTSW:
	case ZYDIS_MNEMONIC_OUTSD:
		return INSN_IO;
	default:
		return -1;
	}
}

/* Random prefixes and an opcode of one, two or three bytes. Without 66, F2 and F3 before 0F 01:
 * there they select, and the processors disagree about what is left over. */
static unsigned random_insn(unsigned mode, uint8_t *bytes)
{
	static const uint8_t prefix[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
					 0x67, 0xf0, 0x66, 0xf2, 0xf3};
	unsigned n = (unsigned)(broken_random() % 4), i = 0;
	bool group = broken_random() % 2;

	for (; i < n; i++)
		bytes[i] = prefix[broken_random() % (group ? 8 : 11)];
	if (mode == MODE_64BIT && broken_random() % 2)
		bytes[i++] = (uint8_t)(0x40 | (broken_random() & 15));
	if (broken_random() % 3)
		bytes[i++] = 0x0f;
	if (group)
		bytes[i++] = 0x01;
	bytes[i] = (uint8_t)broken_random();
	if (!group && bytes[i] == 0x01)
		bytes[i] = 0x90;
	for (i++; i < INSN_MAX_BYTES; i++)
		bytes[i] = (uint8_t)broken_random();
	return i;
}

static void test_against_zydis(void **state)
{
	unsigned found[INSN_KIND_COUNT] = {0};
	uint8_t bytes[INSN_MAX_BYTES];

	(void)state;
	for (unsigned i = 0; i < 600000; i++) {
		unsigned mode = (unsigned)(broken_random() % 3), n = random_insn(mode, bytes);
		ZydisDecodedInstruction in;
		int kind = -1;

		if (ZYAN_SUCCESS(
			    ZydisDecoderDecodeInstruction(&decoders[mode], NULL, bytes, n, &in)))
			kind = kind_of(in.mnemonic);
		/* Zydis overlooks that REX.B makes it XCHG; see test_pause() */
		if (kind == INSN_PAUSE && (in.attributes & ZYDIS_ATTRIB_HAS_REX) && in.raw.rex.B)
			kind = -1;
		for (unsigned k = 0; k < INSN_KIND_COUNT; k++) {
			unsigned length = insn_length(k, modes[mode], bytes, n);
			unsigned want = (int)k == kind ? in.length : 0;

			if (length != want)
				fail_msg("kind %u, mode %u, %02x %02x %02x %02x %02x %02x: %u, "
					 "should be %u",
					 k, mode, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
					 bytes[5], length, want);
			found[k] += length > 0;
		}
	}
	for (unsigned k = 0; k < INSN_KIND_COUNT; k++)
		assert_in_range(found[k], 20, UINT32_MAX);
}

/* ---- control registers ---- */

static bool exists(unsigned cr)
{
	return cr == 0 || cr == 2 || cr == 3 || cr == 4 || cr == 8;
}

/* `bytes` are whole, and `want` is all that there is to say. */
static void assert_mov(unsigned mode, const uint8_t *bytes, struct insn_mov_cr want)
{
	struct insn_mov_cr got;

	assert_true(decode(mode, bytes, want.length, &got));
	assert_int_equal(got.length, want.length);
	assert_int_equal(got.cr, want.cr);
	assert_int_equal(got.write, want.write);
	assert_int_equal(got.clts, want.clts);
	assert_int_equal(got.lmsw, want.lmsw);
	assert_int_equal(got.smsw, want.smsw);
	assert_int_equal(got.memory, want.memory);
	if (!want.memory && !want.clts)
		assert_int_equal(got.gpr, want.gpr);
	for (unsigned cut = 0; cut < want.length; cut++)
		assert_false(decode(mode, bytes, cut, &got));
	for (unsigned kind = 0; kind < INSN_KIND_COUNT; kind++)
		assert_int_equal(length_of(kind, mode, bytes, want.length), 0);
}

/* Every ModRM with every REX, with and without LOCK, in both directions. */
static void test_mov_cr(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * 2 * 17 * 256; i++) {
		bool write = i & 1, lock = i & 2;
		unsigned modrm = i >> 2 & 255, rex = i >> 10; /* 16: none */
		unsigned cr = (modrm >> 3 & 7) | (rex < 16 && rex & 4 ? 8 : 0) | (lock ? 8 : 0);
		struct insn_mov_cr got,
			want = {
				.cr = (uint8_t)cr,
				.write = write,
				.gpr = (uint8_t)((modrm & 7) | (rex < 16 && rex & 1 ? 8 : 0)),
			};
		uint8_t bytes[8], n = 0;

		if (lock)
			bytes[n++] = 0xf0;
		if (rex < 16)
			bytes[n++] = (uint8_t)(0x40 | rex);
		bytes[n++] = 0x0f;
		bytes[n++] = write ? 0x22 : 0x20;
		bytes[n++] = (uint8_t)modrm;
		want.length = n;
		for (unsigned mode = 0; mode < 3; mode++) {
			if (exists(cr) && (mode == MODE_64BIT || rex == 16))
				assert_mov(mode, bytes, want);
			else
				assert_false(decode(mode, bytes, n, &got));
		}
	}
}

static void test_mov_cr_prefixes(void **state)
{
	uint8_t bytes[32];

	(void)state;
	for (unsigned mode = 0; mode < 3; mode++) {
		for (uint8_t n = 0; n < 20; n++) {
			struct insn_mov_cr got;

			for (unsigned k = 0; k < n; k++)
				bytes[k] = harmless[broken_random() % sizeof(harmless)];
			memcpy(bytes + n, (uint8_t[]){0x0f, 0x22, 0xe3}, 3);
			if (n <= 12)
				assert_mov(mode, bytes,
					   (struct insn_mov_cr){.length = (uint8_t)(n + 3),
								.cr = 4,
								.write = true,
								.gpr = 3});
			else
				assert_false(decode(mode, bytes, n + 3, &got));
			memcpy(bytes + n, (uint8_t[]){0x0f, 0x06}, 2);
			if (n <= 13)
				assert_mov(mode, bytes,
					   (struct insn_mov_cr){.length = (uint8_t)(n + 2),
								.write = true,
								.clts = true});
			else
				assert_false(decode(mode, bytes, n + 2, &got));
		}
	}
	/* only the REX right before the opcode counts */
	assert_mov(MODE_64BIT, (uint8_t[]){0x45, 0x66, 0x0f, 0x20, 0xd8},
		   (struct insn_mov_cr){.length = 5, .cr = 3});
	assert_mov(MODE_64BIT, (uint8_t[]){0x45, 0x41, 0x0f, 0x20, 0xd8},
		   (struct insn_mov_cr){.length = 5, .cr = 3, .gpr = 8});
}

/* The bytes of an LMSW or SMSW with ModRM `modrm`, by Zydis; it must call it so. */
static void assert_msw(unsigned mode, const uint8_t *bytes, unsigned n, unsigned modrm, bool rex_b)
{
	bool lmsw = (modrm >> 3 & 7) == 6;
	ZydisDecodedInstruction in;

	assert_true(
		ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoders[mode], NULL, bytes, n, &in)));
	assert_int_equal(in.mnemonic, lmsw ? ZYDIS_MNEMONIC_LMSW : ZYDIS_MNEMONIC_SMSW);
	assert_mov(mode, bytes,
		   (struct insn_mov_cr){.length = in.length,
					.write = lmsw,
					.lmsw = lmsw,
					.smsw = !lmsw,
					.memory = modrm < 0xc0,
					.gpr = (uint8_t)((modrm & 7) | (rex_b ? 8 : 0))});
}

/* 0F 01 with every ModRM and SIB, with both sizes of addresses: /4 and /6 alone are ours. */
static void test_msw(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3 * 2 * 256; i++) {
		unsigned mode = i % 3, modrm = i / 6, reg = modrm >> 3 & 7;
		bool address = i / 3 % 2;

		for (unsigned sib = 0; sib < 256; sib++) {
			struct insn_mov_cr got;
			uint8_t bytes[16] = {0x67}, n = address;

			bytes[n++] = 0x0f;
			bytes[n++] = 0x01;
			bytes[n++] = (uint8_t)modrm;
			bytes[n] = (uint8_t)sib;
			if (reg == 4 || reg == 6)
				assert_msw(mode, bytes, INSN_MAX_BYTES, modrm, false);
			else
				assert_false(decode(mode, bytes, INSN_MAX_BYTES, &got));
		}
	}
	for (unsigned rex = 0x40; rex < 0x50; rex++) {
		for (unsigned modrm = 0; modrm < 256; modrm++) {
			uint8_t bytes[16] = {(uint8_t)rex, 0x0f, 0x01, (uint8_t)modrm, 0x25};

			if ((modrm >> 3 & 7) == 4 || (modrm >> 3 & 7) == 6)
				assert_msw(MODE_64BIT, bytes, INSN_MAX_BYTES, modrm, rex & 1);
		}
	}
}

/* An operand in memory whose displacement ends beyond the 15th byte. */
static void test_msw_too_long(void **state)
{
	struct insn_mov_cr got;
	uint8_t bytes[20] = {0};

	(void)state;
	for (uint8_t n = 0; n < 12; n++) {
		memset(bytes, 0x3e, n);
		memcpy(bytes + n, (uint8_t[]){0x0f, 0x01, 0xb4, 0x24, 0, 0, 0, 0}, 8);
		if (n <= 7)
			assert_msw(MODE_64BIT, bytes, INSN_MAX_BYTES, 0xb4, false);
		else
			assert_false(decode(MODE_64BIT, bytes, n + 8, &got));
	}
}

static void test_msw_lock(void **state)
{
	struct insn_mov_cr got;

	(void)state;
	for (unsigned mode = 0; mode < 3; mode++) {
		assert_false(decode(mode, (uint8_t[]){0xf0, 0x0f, 0x06}, 3, &got));
		assert_false(decode(mode, (uint8_t[]){0xf0, 0x0f, 0x01, 0xe0}, 4, &got));
		assert_false(decode(mode, (uint8_t[]){0xf0, 0x0f, 0x01, 0xf0}, 4, &got));
		assert_false(decode(mode, (uint8_t[]){0xf0, 0x0f, 0x01, 0x33}, 4, &got));
	}
}

/* Every other opcode of two bytes. */
static void test_not_mov_cr(void **state)
{
	struct insn_mov_cr got;

	(void)state;
	for (unsigned mode = 0; mode < 3; mode++) {
		for (unsigned op = 0; op < 256; op++) {
			uint8_t bytes[8] = {0x0f, (uint8_t)op, 0xe0};

			assert_int_equal(decode(mode, bytes, 8, &got),
					 op == 0x01 || op == 0x06 || op == 0x20 || op == 0x22);
			bytes[0] = 0x90;
			assert_false(decode(mode, bytes, 8, &got));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),    cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_lock),     cmocka_unit_test(test_rex),
		cmocka_unit_test(test_pause),    cmocka_unit_test(test_against_zydis),
		cmocka_unit_test(test_mov_cr),   cmocka_unit_test(test_mov_cr_prefixes),
		cmocka_unit_test(test_msw),      cmocka_unit_test(test_msw_too_long),
		cmocka_unit_test(test_msw_lock), cmocka_unit_test(test_not_mov_cr),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
