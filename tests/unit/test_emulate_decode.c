/*
 * From bytes to an instruction: what is unsupported, instructions that are cut off, and a decode
 * cache that nobody can tell from decoding anew.
 */
#include "tests/unit/emul_fixture.h"

static void test_unsupported(void **state)
{
	static const uint8_t insns[][8] = {
		{0x90},                         /* NOP */
		{0x0f, 0x0b},                   /* UD2 */
		{0x89, 0xc3},                   /* MOV EBX, EAX: no memory */
		{0x0f, 0x28, 0x03},             /* MOVAPS XMM0, [RBX] */
		{0xf2, 0x0f, 0x10, 0x03},       /* MOVSD XMM0, [RBX], of MOVSD's name */
		{0xf2, 0x0f, 0x11, 0x03},       /* and back */
		{0xf2, 0x0f, 0xc2, 0x03, 0},    /* CMPSD XMM0, [RBX], 0 */
		{0xc1, 0x23, 0x01},             /* SHL [RBX], 1 */
		{0xff, 0x33},                   /* PUSH [RBX] */
		{0x8f, 0x03},                   /* POP [RBX] */
		{0xff, 0x23},                   /* JMP [RBX] */
		{0x8c, 0x1b},                   /* MOV [RBX], DS */
		{0x8e, 0x1b},                   /* MOV DS, [RBX] */
		{0x8d, 0x03},                   /* LEA EAX, [RBX] */
		{0xf7, 0x23},                   /* MUL [RBX] */
		{0x0f, 0xaf, 0x03},             /* IMUL EAX, [RBX] */
		{0xf0, 0x0f, 0xc7, 0x0b},       /* LOCK CMPXCHG8B [RBX] */
		{0xf0, 0x48, 0x0f, 0xc7, 0x0b}, /* LOCK CMPXCHG16B [RBX] */
		{0xc5, 0xfc, 0x28, 0x03},       /* VMOVAPS YMM0, [RBX] */
		{0xf0, 0x89, 0x03},             /* LOCK MOV: #UD */
		{0x06},                         /* no instruction of 64-bit mode */
		{0xf3, 0xf3, 0xf3, 0xf3, 0xf3, 0xf3, 0xf3, 0xf3},
	};

	(void)state;
	emul_begin_64();
	gpr[GPR_RBX] = DEV_V;
	emul_remember();
	for (unsigned i = 0; i < ARRAY_SIZE(insns); i++) {
		assert_int_equal(emul_run(insns[i], sizeof(insns[i])), EMUL_UNSUPPORTED);
		assert_nothing_done();
		assert_memory_equal(em.bytes, insns[i], sizeof(insns[i])); /* for the record */
	}
}

/* The end of an instruction lies in a page that is not there, or beyond the segment. */
static void test_cut_off(void **state)
{
	static const uint8_t mov[] = {0xc7, 0x03, 0x78, 0x56, 0x34, 0x12};

	(void)state;
	for (unsigned room = 1; room <= sizeof(mov); room++) {
		for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
			emul_begin(&code_64, CODE_V + PAGE_SIZE - room, CODE_P + PAGE_SIZE - room);
			code_map(CODE_V, CODE_P, 1, CODE_FLAGS);
			code_map(DEV_V, DEVICE, 1, CODE_FLAGS);
			gpr[GPR_RBX] = DEV_V;
			ctx.cpl = (uint8_t)cpl;
			emul_remember();
			/* also with the whole instruction in the cache */
			for (unsigned cached = 0; cached < 2; cached++) {
				if (cached) {
					code_map(CODE_V + PAGE_SIZE, CODE_P + PAGE_SIZE, 1,
						 CODE_FLAGS);
					assert_int_equal(emul_run(mov, sizeof(mov)), EMUL_DONE);
					assert_touch(0, 'w', DEVICE, 4, 0x12345678);
					code_map(CODE_V + PAGE_SIZE, 0, 1, 0);
					emul_remember();
				}
				if (room == sizeof(mov)) {
					assert_int_equal(emul_run(mov, sizeof(mov)), EMUL_DONE);
					n_touch = 0;
					continue;
				}
				assert_int_equal(emul_run(mov, sizeof(mov)), EMUL_FAULT);
				assert_page_fault(CODE_V + PAGE_SIZE,
						  WALK_FETCH | (cpl ? WALK_USER : 0));
				assert_nothing_done();
			}
		}
		emul_begin_flat(&code_32);
		gpr[GPR_RBX] = DEVICE;
		assert_int_equal(emul_run(mov, sizeof(mov)), EMUL_DONE);
		ctx.cs_limit = (uint32_t)code_at + room - 1;
		emul_remember();
		if (room == sizeof(mov)) {
			assert_int_equal(emul_run(mov, sizeof(mov)), EMUL_DONE);
			continue;
		}
		assert_int_equal(emul_run(mov, sizeof(mov)), EMUL_FAULT);
		assert_exception(VEC_GP, 0);
		assert_nothing_done();
	}
	/* the very first byte */
	emul_begin_64();
	code_map(CODE_V, CODE_P, 1, CODE_FLAGS | PTE_NX);
	emul_remember();
	assert_int_equal(RUN(0x8b, 0x03), EMUL_FAULT);
	assert_page_fault(CODE_V, WALK_FETCH | 1);
	assert_nothing_done();
}

/* Bytes that mean different things by what follows them, or by the mode. */
static const uint8_t alike[][9] = {
	{0x8b, 0x03},
	{0x8b, 0x43, 0x10},
	{0x8b, 0x43, 0x14},
	{0x8b, 0x83, 0x10, 0, 0, 0},
	{0x8b, 0x83, 0x10, 0, 0x10, 0},
	{0xc7, 0x03, 0x11, 0x22, 0x33, 0x44},
	{0xc7, 0x03, 0x11, 0x22, 0x55, 0x66},
	{0x67, 0xc7, 0x07, 0x11, 0x22, 0x33, 0x44},
	{0x66, 0xc7, 0x07, 0x11, 0x22, 0x33, 0x55},
	{0x48, 0x89, 0x03},
	{0x48, 0x8b, 0x03, 0x8b},
	{0xf3, 0xa4},
	{0xf3, 0xa5},
	{0xf2, 0xa6},
	{0xa1, 0x10, 0, 0, 0, 0, 0, 0, 0},
	{0xa1, 0x10, 0, 0, 0, 0, 0, 1, 0},
	{0x64, 0x8b, 0x03},
	{0x65, 0x8b, 0x03},
	{0x81, 0x43, 0x10, 1, 2, 3, 4},
	{0x81, 0x43, 0x10, 1, 2, 3, 5},
	{0x0f, 0xb6, 0x03},
	{0x0f, 0x28, 0x03},
	{0x0f, 0xb7, 0x03},
	{0xc7, 0x84, 0x33, 0x10, 0, 0, 0, 1, 2},
	{0xc7, 0x84, 0x33, 0x10, 0, 0, 0, 1, 3},
};

/* Everything that emulation may change, folded up. */
static uint64_t outcome(enum emul_result r)
{
	uint64_t h = (uint64_t)r + 1;
	const uint64_t *ram = gmem_ptr(&code_mem, RAM_P, PAGE_SIZE);

	for (unsigned i = 0; i < GPR_COUNT; i++)
		h = (h ^ gpr[i]) * 0x9e3779b97f4a7c15;
	h = ((h ^ rip) * 31 ^ rflags) * 0x9e3779b97f4a7c15;
	for (unsigned i = 0; i < 512; i++)
		h = (h ^ ram[i] ^ (uint64_t)device[i] << 3) * 0x9e3779b97f4a7c15;
	for (unsigned i = 0; i < n_touch; i++)
		h = (h ^ touch[i].at ^ touch[i].value ^ touch[i].size) * 0x9e3779b97f4a7c15;
	return h;
}

/* The same random instruction with a cache that has seen all before, and with an empty one. */
static void test_cache(void **state)
{
	unsigned n_done = 0;
	uint64_t rams[512];
	struct emul_cache *kept, *empty;

	(void)state;
	emul_begin_64();
	code_map(0, DEVICE, 2, CODE_FLAGS); /* where [disp] and 32-bit registers lead */
	kept = cache;
	empty = malloc(emul_cache_size());
	assert_non_null(empty);
	for (unsigned i = 0; i < 20000; i++) {
		const uint8_t *bytes = alike[broken_random() % ARRAY_SIZE(alike)];
		unsigned mode = (unsigned)(broken_random() % 3);
		uint64_t h = 0;

		assert_int_equal(gmem_read(&code_mem, RAM_P, rams, sizeof(rams)), 0);
		memcpy(before.device, device, sizeof(device));
		ctx = mode == MODE_64 ? code_64 : mode == MODE_32 ? code_32 : code_16;
		for (unsigned s = 0; s < SEG_COUNT; s++)
			seg[s].base = mode == MODE_64 ? 0 : DEVICE;
		seg[SEG_FS].base = mode == MODE_64 ? RAM_V : RAM_P;
		code_at = mode == MODE_64 ? CODE_V : CODE_P;
		ctx.cs_limit = UINT32_MAX;
		if (mode != MODE_64 && broken_random() % 4 == 0)
			ctx.cs_limit = (uint32_t)(code_at + broken_random() % 9);
		for (unsigned k = 0; k < 2; k++) {
			for (unsigned r = 0; r < GPR_COUNT; r++)
				gpr[r] = 0x10 * r + 0x100;
			gpr[GPR_RCX] = 3;
			rflags = RFLAGS_ONE;
			n_touch = 0;
			memcpy(device, before.device, sizeof(device));
			assert_int_equal(gmem_write(&code_mem, RAM_P, rams, sizeof(rams)), 0);
			memset(empty, 0, emul_cache_size());
			cache = k ? empty : kept;
			if (k) {
				assert_int_equal(outcome(emul_run(bytes, 9)), h);
				continue;
			}
			h = outcome(emul_run(bytes, 9));
			n_done += n_touch > 0;
		}
	}
	assert_true(n_done > 5000);
	cache = kept;
	free(empty);
}

static void test_cache_size(void **state)
{
	(void)state;
	assert_in_range(emul_cache_size(), 1, 32 * 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unsupported),
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_cache_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
