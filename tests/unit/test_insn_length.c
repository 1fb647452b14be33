/* Lengths of the instructions that exit, with prefixes and cut off at each byte; MOV to and from
 * CR. */
#include "tests/unit/guest_code.h"

static const struct {
	enum insn_kind kind;
	uint8_t n;
	uint8_t bytes[3];
} usual[] = {
	{INSN_CPUID, 2, {0x0f, 0xa2}},        {INSN_RDMSR, 2, {0x0f, 0x32}},
	{INSN_WRMSR, 2, {0x0f, 0x30}},        {INSN_HLT, 1, {0xf4}},
	{INSN_VMCALL, 3, {0x0f, 0x01, 0xc1}}, {INSN_VMMCALL, 3, {0x0f, 0x01, 0xd9}},
	{INSN_XSETBV, 3, {0x0f, 0x01, 0xd1}}, {INSN_INVD, 2, {0x0f, 0x08}},
	{INSN_WBINVD, 2, {0x0f, 0x09}},
};

static const struct code_context *const modes[] = {&code_16, &code_32, &code_64};

static unsigned length(enum insn_kind kind, const struct code_context *c, const uint8_t *bytes,
		       unsigned n)
{
	uint8_t buf[INSN_BUFFER];

	memset(buf, 0xcc, sizeof(buf)); /* what lies behind must not count */
	memcpy(buf, bytes, n);
	return insn_length(kind, c, buf, n);
}

static void usual_forms(void **state)
{
	(void)state;
	for (unsigned m = 0; m < 3; m++)
		for (unsigned i = 0; i < ARRAY_SIZE(usual); i++)
			for (unsigned k = 0; k < ARRAY_SIZE(usual); k++)
				for (unsigned n = 0; n <= usual[i].n; n++) {
					bool right = i == k && n == usual[i].n;

					assert_int_equal(
						length(usual[k].kind, modes[m], usual[i].bytes, n),
						right ? n : 0);
				}
}

static void with_prefixes(void **state)
{
	static const uint8_t prefix[] = {0x26, 0x2e, 0x36, 0x3e, 0x64,
					 0x65, 0x66, 0x67, 0xf2, 0xf3};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(usual); i++)
		for (unsigned p = 0; p < ARRAY_SIZE(prefix); p++)
			for (unsigned count = 1; count + usual[i].n <= INSN_MAX_BYTES; count++) {
				uint8_t bytes[INSN_BUFFER];
				unsigned all = count + usual[i].n;

				memset(bytes, prefix[p], count);
				memcpy(bytes + count, usual[i].bytes, usual[i].n);
				for (unsigned m = 0; m < 3; m++) {
					assert_int_equal(
						length(usual[i].kind, modes[m], bytes, all), all);
					assert_int_equal(
						length(usual[i].kind, modes[m], bytes, all - 1), 0);
				}
			}
	/* REX is a prefix in 64-bit mode only */
	assert_int_equal(length(INSN_CPUID, &code_64, (const uint8_t[]){0x48, 0x0f, 0xa2}, 3), 3);
	assert_int_equal(length(INSN_CPUID, &code_32, (const uint8_t[]){0x48, 0x0f, 0xa2}, 3), 0);
}

static void ports(void **state)
{
	(void)state;
	for (unsigned op = 0; op < 256; op++) {
		uint8_t bytes[] = {(uint8_t)op, 0x80};
		bool immediate = op >= 0xe4 && op <= 0xe7;
		bool dx = (op >= 0xec && op <= 0xef) || (op >= 0x6c && op <= 0x6f);

		if (op == 0x66 || op == 0x67)
			continue; /* prefixes */
		assert_int_equal(length(INSN_IO, &code_32, bytes, 2), immediate ? 2 : dx ? 1 : 0);
		assert_int_equal(length(INSN_IO, &code_32, bytes, 1), dx ? 1 : 0);
	}
	assert_int_equal(length(INSN_IO, &code_64, (const uint8_t[]){0xf3, 0x66, 0x6d}, 3), 3);
	assert_int_equal(length(INSN_IO, &code_64, (const uint8_t[]){0x66, 0xe5, 0x80}, 3), 3);
}

static void pause(void **state)
{
	(void)state;
	assert_int_equal(length(INSN_PAUSE, &code_64, (const uint8_t[]){0xf3, 0x90}, 2), 2);
	assert_int_equal(length(INSN_PAUSE, &code_64, (const uint8_t[]){0x66, 0xf3, 0x90}, 3), 3);
	assert_int_equal(length(INSN_PAUSE, &code_64, (const uint8_t[]){0x90}, 1), 0); /* NOP */
	assert_int_equal(length(INSN_PAUSE, &code_64, (const uint8_t[]){0xf3, 0xf2, 0x90}, 3), 0);
}

static void mov_cr(void **state)
{
	struct insn_mov_cr m;

	(void)state;
	for (unsigned rex = 0x40; rex < 0x50; rex++)
		for (unsigned modrm = 0; modrm < 256; modrm++)
			for (unsigned write = 0; write < 2; write++) {
				uint8_t code[] = {(uint8_t)rex, 0x0f, (uint8_t)(0x20 | write << 1),
						  (uint8_t)modrm};

				assert_true(insn_decode_mov_cr(&code_64, code, 4, &m));
				assert_int_equal(m.length, 4);
				assert_int_equal(m.write, write);
				assert_int_equal(m.cr, (modrm >> 3 & 7) | (rex & 4 ? 8 : 0));
				assert_int_equal(m.gpr, (modrm & 7) | (rex & 1 ? 8 : 0));
				assert_false(m.clts || m.lmsw || m.smsw || m.memory);
				for (unsigned n = 0; n < 4; n++)
					assert_false(insn_decode_mov_cr(&code_64, code, n, &m));
			}
	/* LOCK MOV CR0 is CR8 */
	assert_true(insn_decode_mov_cr(&code_32, (const uint8_t[]){0xf0, 0x0f, 0x22, 0xc3}, 4, &m));
	assert_int_equal(m.cr, 8);
	assert_int_equal(m.gpr, GPR_RBX);
	assert_true(insn_decode_mov_cr(&code_16, (const uint8_t[]){0x0f, 0x06}, 2, &m));
	assert_true(m.clts && m.write);
	assert_int_equal(m.length, 2);
}

static void machine_status(void **state)
{
	struct insn_mov_cr m;

	(void)state;
	assert_true(insn_decode_mov_cr(&code_32, (const uint8_t[]){0x0f, 0x01, 0xf1}, 3, &m));
	assert_true(m.lmsw && m.write && !m.memory);
	assert_int_equal(m.gpr, GPR_RCX);
	assert_int_equal(m.length, 3);
	/* memory operands of each address size: SIB and displacements count */
	assert_true(insn_decode_mov_cr(
		&code_32, (const uint8_t[]){0x0f, 0x01, 0xb4, 0x8b, 1, 2, 3, 4}, 8, &m));
	assert_true(m.lmsw && m.memory);
	assert_int_equal(m.length, 8);
	assert_false(insn_decode_mov_cr(
		&code_32, (const uint8_t[]){0x0f, 0x01, 0xb4, 0x8b, 1, 2, 3, 4}, 7, &m));
	assert_true(insn_decode_mov_cr(&code_16, (const uint8_t[]){0x0f, 0x01, 0x26, 1, 2}, 5, &m));
	assert_true(m.smsw && !m.write);
	assert_int_equal(m.length, 5);
	assert_true(insn_decode_mov_cr(&code_64, (const uint8_t[]){0x0f, 0x01, 0x25, 1, 2, 3, 4}, 7,
				       &m));
	assert_int_equal(m.length, 7);
	/* SGDT and its like are none */
	assert_false(insn_decode_mov_cr(&code_32, (const uint8_t[]){0x0f, 0x01, 0x00}, 3, &m));
	assert_false(insn_decode_mov_cr(&code_32, (const uint8_t[]){0x0f, 0xa2, 0x00}, 3, &m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual_forms), cmocka_unit_test(with_prefixes),
		cmocka_unit_test(ports),       cmocka_unit_test(pause),
		cmocka_unit_test(mov_cr),      cmocka_unit_test(machine_status),
	};

	return cmocka_run_group_tests_name("instruction lengths", tests, NULL, NULL);
}
