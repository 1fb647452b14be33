/* Fetching instruction bytes: limits, page and segment ends, and never a byte beyond the buffer. */
#include "tests/unit/guest_code.h"

#define GVA 0x7f0000401000ull

static struct code_context c;
static struct vcpu_event fault;
static struct {
	uint8_t before[32];
	uint8_t bytes[INSN_BUFFER];
	uint8_t after[32];
} buf;

/* Bytes 1, 2, 3 ... at guest-physical `gpa`. */
static void count_up(uint64_t gpa, unsigned n)
{
	while (n--) {
		uint8_t b = (uint8_t)(n + 1);

		assert_int_equal(gmem_write(&code_mem, gpa + n, &b, 1), 0);
	}
}

static unsigned fetch(unsigned want)
{
	unsigned n;

	memset(&buf, 0xa5, sizeof(buf));
	memset(&fault, 0x5a, sizeof(fault));
	n = insn_fetch(&code_mem, &c, buf.bytes, want, &fault);
	for (unsigned i = 0; i < sizeof(buf.before); i++) {
		assert_int_equal(buf.before[i], 0xa5);
		assert_int_equal(buf.after[i], 0xa5);
	}
	assert_true(n <= want);
	return n;
}

/* `n` bytes were got: `first`, and on. */
static void assert_bytes(unsigned n, uint8_t first)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(buf.bytes[i], first + i);
}

static void assert_gp(unsigned want)
{
	assert_int_equal(fetch(want), 0);
	assert_int_equal(fault.kind, EVENT_EXCEPTION);
	assert_int_equal(fault.vector, VEC_GP);
	assert_true(fault.has_error);
	assert_int_equal(fault.error, 0);
}

static void assert_pf(unsigned want, uint64_t gva, uint32_t error)
{
	assert_int_equal(fetch(want), 0);
	assert_int_equal(fault.kind, EVENT_EXCEPTION);
	assert_int_equal(fault.vector, VEC_PF);
	assert_int_equal(fault.error, error);
	assert_int_equal(fault.payload, gva);
}

static void begin(const struct code_context *from, uint64_t rip)
{
	code_begin();
	c = *from;
	c.rip = rip;
}

static void test_simple(void **state)
{
	(void)state;
	for (unsigned want = 1; want <= INSN_MAX_BYTES; want++) {
		begin(&code_32, 0x5000);
		count_up(0x5000, 20);
		assert_int_equal(fetch(want), want);
		assert_bytes(want, 1);

		begin(&code_32, 0x4000);
		c.cs_base = 0x1003;
		count_up(0x5003, 20);
		assert_int_equal(fetch(want), want);
		assert_bytes(want, 1);

		begin(&code_16, 0x10);
		c.cs_base = 0x7c00;
		count_up(0x7c10, 20);
		assert_int_equal(fetch(want), want);
		assert_bytes(want, 1);

		begin(&code_64, GVA + 0x123);
		code_map(GVA, 0x300000, 1, CODE_FLAGS);
		count_up(0x300123, 20);
		assert_int_equal(fetch(want), want);
		assert_bytes(want, 1);
	}
}

/* At each distance from the segment's end. */
static void test_limit(void **state)
{
	(void)state;
	for (unsigned want = 1; want <= INSN_MAX_BYTES; want++) {
		for (unsigned room = 0; room < 20; room++) {
			begin(&code_32, 0x5000);
			count_up(0x5000, 32);
			c.cs_limit = 0x4fff + room;
			if (!room) {
				assert_gp(want);
				continue;
			}
			assert_int_equal(fetch(want), MIN(want, room));
			assert_bytes(MIN(want, room), 1);
		}
		begin(&code_16, 0x10000);
		assert_gp(want);
		begin(&code_16, 0xfffffffff);
		assert_gp(want);
	}
	/* 64-bit mode has no limit; a compatibility segment has */
	begin(&code_64, GVA + 0x123);
	code_map(GVA, 0x300000, 1, CODE_FLAGS);
	c.cs_limit = 0;
	assert_int_equal(fetch(15), 15);
	c.cs_attr = code_32.cs_attr;
	assert_gp(15);
}

/* The two pages lie apart: each byte comes from its own. Once the second part was put behind the
 * buffer's middle with a whole buffer's length. */
static void test_page_crossing(void **state)
{
	(void)state;
	for (unsigned want = 1; want <= INSN_MAX_BYTES; want++) {
		for (unsigned room = 1; room <= 20; room++) {
			begin(&code_64, GVA + PAGE_SIZE - room);
			code_map(GVA, 0x300000, 1, CODE_FLAGS);
			code_map(GVA + PAGE_SIZE, 0x250000, 1, CODE_FLAGS);
			count_up(0x301000 - room, room);
			for (unsigned i = 0; i < 16; i++) {
				uint8_t b = (uint8_t)(room + i + 1);

				assert_int_equal(gmem_write(&code_mem, 0x250000 + i, &b, 1), 0);
			}
			assert_int_equal(fetch(want), want);
			assert_bytes(want, 1);

			/* unpaged, the next page follows */
			begin(&code_32, 0x6000 - room);
			count_up(0x6000 - room, 40);
			assert_int_equal(fetch(want), want);
			assert_bytes(want, 1);

			/* and the next chunk */
			begin(&code_32, GMEM_CHUNK_SIZE - room);
			count_up(GMEM_CHUNK_SIZE - room, 40);
			assert_int_equal(fetch(want), want);
			assert_bytes(want, 1);
		}
	}
}

static void test_second_page_absent(void **state)
{
	(void)state;
	for (unsigned want = 1; want <= INSN_MAX_BYTES; want++) {
		for (unsigned room = 1; room <= 20; room++) {
			begin(&code_64, GVA + PAGE_SIZE - room);
			code_map(GVA, 0x300000, 1, CODE_FLAGS);
			count_up(0x301000 - room, room);
			assert_int_equal(fetch(want), MIN(want, room));
			assert_bytes(MIN(want, room), 1);
			/* there, but not to be executed */
			code_map(GVA + PAGE_SIZE, 0x250000, 1, CODE_FLAGS | PTE_NX);
			assert_int_equal(fetch(want), MIN(want, room));
		}
	}
}

static void test_first_page_faults(void **state)
{
	(void)state;
	begin(&code_64, GVA + 0xffe);
	code_map(GVA + PAGE_SIZE, 0x250000, 1, CODE_FLAGS);
	assert_pf(15, GVA + 0xffe, WALK_FETCH);
	code_map(GVA, 0x300000, 1, CODE_FLAGS | PTE_NX);
	assert_pf(1, GVA + 0xffe, WALK_FETCH | 1);
	code_map(GVA, 0x300000, 1, CODE_FLAGS & ~PTE_U);
	assert_int_equal(fetch(15), 15);
	c.cpl = 3;
	assert_pf(15, GVA + 0xffe, WALK_FETCH | WALK_USER | 1);
	c.rip = 0x0000800000000000;
	assert_gp(15);
}

/* The walk sets the accessed bits, by the slow way and once. */
static void test_accessed(void **state)
{
	(void)state;
	begin(&code_64, GVA);
	code_map(GVA, 0x300000, 1, PTE_P | PTE_U);
	c.cpl = 3;
	count_up(0x300000, 16);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(fetch(15), 15);
		assert_bytes(15, 1);
	}
}

/* Linear addresses wrap at 4 GiB outside 64-bit mode: the top of memory is followed by its bottom,
 * not by what lies above. */
static void test_wrap(void **state)
{
	(void)state;
	for (unsigned room = 1; room <= 20; room++) {
		begin(&code_32, 0x100000000 - room);
		count_up(0x100000000 - room, room);
		for (unsigned i = 0; i < 16; i++) {
			uint8_t b = (uint8_t)(room + i + 1);

			assert_int_equal(gmem_write(&code_mem, i, &b, 1), 0);
		}
		/* the limit is the last byte */
		assert_int_equal(fetch(15), MIN(15u, room));
		assert_bytes(MIN(15u, room), 1);
		/* with another base the limit lies elsewhere */
		c.cs_base = 0xfffff000;
		c.rip = 0x1000 - room;
		assert_int_equal(fetch(15), 15);
		assert_bytes(15, 1);
		c.cs_base = 0x1000;
		c.rip = 0xfffff000 - room;
		assert_int_equal(fetch(15), 15);
		assert_bytes(15, 1);
	}
	begin(&code_32, 0xfffff000);
	c.cs_base = 0x2000;
	count_up(0x1000, 16);
	assert_int_equal(fetch(15), 15);
	assert_bytes(15, 1);
}

/* A compatibility segment wraps as well, though the tables could reach further. */
static void test_wrap_compatibility(void **state)
{
	(void)state;
	for (unsigned room = 1; room <= 16; room++) {
		begin(&code_64, 0x1000 - room);
		c.cs_attr = code_32.cs_attr;
		c.cs_base = 0xfffff000;
		code_map(0xfffff000, 0x300000, 1, CODE_FLAGS);
		code_map(0, 0x250000, 1, CODE_FLAGS);
		code_map(0x100000000, 0x280000, 1, CODE_FLAGS);
		count_up(0x301000 - room, room);
		for (unsigned i = 0; i < 16; i++) {
			uint8_t b = (uint8_t)(room + i + 1);

			assert_int_equal(gmem_write(&code_mem, 0x250000 + i, &b, 1), 0);
		}
		assert_int_equal(fetch(15), 15);
		assert_bytes(15, 1);
		c.rip = 0x1000;
		assert_int_equal(fetch(15), 15);
		assert_bytes(15, (uint8_t)(room + 1));
	}
}

static void test_no_ram(void **state)
{
	(void)state;
	begin(&code_32, CODE_NO_RAM);
	assert_int_equal(fetch(15), 15);
	for (unsigned i = 0; i < 15; i++)
		assert_int_equal(buf.bytes[i], 0xff);
	/* from RAM into nothing */
	c.rip = CODE_RAM - 4;
	count_up(CODE_RAM - 4, 4);
	assert_int_equal(fetch(15), 15);
	assert_bytes(4, 1);
	for (unsigned i = 4; i < 15; i++)
		assert_int_equal(buf.bytes[i], 0xff);
	assert_int_equal(insn_fetch_word(&code_mem, &c), 0x04030201);
	c.rip++;
	assert_int_equal(insn_fetch_word(&code_mem, &c), 0);
}

/* The quick ways either say nothing or what insn_fetch() says. */
static void test_quick_ways(void **state)
{
	static const struct code_context *const contexts[] = {&code_64, &code_32, &code_16};
	unsigned n_word = 0;

	(void)state;
	code_begin();
	code_map(GVA, 0x300000, 2, CODE_FLAGS);
	code_map(GVA + 3 * PAGE_SIZE, 0x380000, 1, CODE_FLAGS & ~PTE_U);
	code_map(GVA + 4 * PAGE_SIZE, 0x390000, 1, CODE_FLAGS | PTE_NX);
	code_map(GVA + 5 * PAGE_SIZE, CODE_NO_RAM, 1, CODE_FLAGS);
	for (uint64_t at = 0; at < 0x8000; at += 8)
		put64(at, broken_random());
	for (uint64_t at = 0x100000; at < CODE_RAM; at += 8)
		put64(at, broken_random());
	for (unsigned i = 0; i < 20000; i++) {
		const void *simple;
		uint32_t word, got = 0;
		uint64_t rip;

		c = *contexts[broken_random() % ARRAY_SIZE(contexts)];
		rip = (broken_random() % 7) * PAGE_SIZE;
		rip += broken_random() % 2 ? PAGE_SIZE - broken_random() % 20 : 0x123;
		if (c.cr0 & CR0_PG)
			rip += GVA;
		else
			rip += broken_random() % 2 ? CODE_RAM - 4 * PAGE_SIZE : 0;
		c.rip = rip;
		c.cpl = broken_random() % 2 ? 3 : 0;
		if (broken_random() % 4 == 0 && !(c.cr0 & CR0_PG))
			c.cs_limit = (uint32_t)(rip + broken_random() % 20);
		if (broken_random() % 8 == 0)
			c.cs_attr = code_32.cs_attr;
		word = insn_fetch_word(&code_mem, &c);
		simple = insn_fetch_simple(&code_mem, &c, INSN_BUFFER);
		if (word) {
			assert_int_equal(fetch(4), 4);
			memcpy(&got, buf.bytes, 4);
			assert_int_equal(word, got);
			n_word++;
		}
		if (simple) {
			assert_int_equal(fetch(INSN_MAX_BYTES), INSN_MAX_BYTES);
			assert_memory_equal(simple, buf.bytes, INSN_MAX_BYTES);
		}
	}
	assert_true(n_word > 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simple),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_page_crossing),
		cmocka_unit_test(test_second_page_absent),
		cmocka_unit_test(test_first_page_faults),
		cmocka_unit_test(test_accessed),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_wrap_compatibility),
		cmocka_unit_test(test_no_ram),
		cmocka_unit_test(test_quick_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
