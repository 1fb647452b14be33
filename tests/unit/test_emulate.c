/*
 * What surrounds the emulation of an instruction: bounds, pages, faults, ports, the cache, modes.
 * What the instructions do is compared with a processor in test_emulate_native.c.
 */
#include "tests/unit/guest_code.h"

#include <stdlib.h>

#define CODE_GVA 0x7f0000401000ull
#define CODE_GPA 0x200000ull
#define DEV_GVA  0x7f0000600000ull
#define DEV_SIZE 0x2000u
#define RAM_GVA  0x7f0000800000ull
#define RAM_GPA  0x300000ull

static uint8_t device[DEV_SIZE];
static unsigned device_writes, device_reads;
static uint64_t gpr[GPR_COUNT], rip, rflags;
static struct code_context c;
static struct emul e;

/* ---- the guest ---- */

static void segment(void *ctx, enum segment_index s, struct segment_state *out)
{
	(void)ctx;
	*out = (struct segment_state){.limit = UINT32_MAX, .attr = 0xc93};
	if (s == SEG_FS)
		out->base = DEV_GVA;
}

static uint64_t mmio_read(void *ctx, struct gpa gpa, unsigned size)
{
	uint64_t v = 0;

	(void)ctx;
	assert_in_range(gpa.v, CODE_NO_RAM, CODE_NO_RAM + DEV_SIZE - size);
	memcpy(&v, device + (gpa.v - CODE_NO_RAM), size);
	device_reads++;
	return v;
}

static void mmio_write(void *ctx, struct gpa gpa, unsigned size, uint64_t value)
{
	(void)ctx;
	assert_in_range(gpa.v, CODE_NO_RAM, CODE_NO_RAM + DEV_SIZE - size);
	memcpy(device + (gpa.v - CODE_NO_RAM), &value, size);
	device_writes++;
}

static uint32_t port_value;
static unsigned port_accesses;

static uint32_t io_read(void *ctx, uint16_t port, unsigned size)
{
	(void)ctx;
	assert_int_equal(port, 0x3f8);
	port_accesses++;
	return port_value++ & (uint32_t)(BIT(8 * size) - 1);
}

static void io_write(void *ctx, uint16_t port, unsigned size, uint32_t value)
{
	(void)ctx;
	(void)size;
	assert_int_equal(port, 0x3f8);
	port_value = value;
	port_accesses++;
}

static const struct emul_host host = {
	.segment = segment,
	.mmio_read = mmio_read,
	.mmio_write = mmio_write,
	.io_read = io_read,
	.io_write = io_write,
};

static int setup(void **state)
{
	(void)state;
	code_begin();
	code_map(CODE_GVA, CODE_GPA, 2, CODE_FLAGS);
	code_map(DEV_GVA, CODE_NO_RAM, DEV_SIZE / PAGE_SIZE, CODE_FLAGS);
	code_map(RAM_GVA, RAM_GPA, 2, CODE_FLAGS);
	memset(device, 0, sizeof(device));
	memset(gpr, 0, sizeof(gpr));
	rip = CODE_GVA;
	rflags = RFLAGS_ONE;
	device_reads = device_writes = port_accesses = 0;
	free(e.cache);
	e = (struct emul){
		.mem = &code_mem,
		.ctx = &c,
		.host = &host,
		.cache = calloc(1, emul_cache_size()),
		.gpr = gpr,
		.rip = &rip,
		.rflags = &rflags,
	};
	assert_non_null(e.cache);
	return 0;
}

static void put_code(const uint8_t *bytes, unsigned n)
{
	assert_int_equal(gmem_write(&code_mem, CODE_GPA, bytes, n), 0);
}

static enum emul_result step(void)
{
	c = code_64;
	c.rip = rip;
	c.rflags = rflags;
	return emulate(&e);
}

static uint64_t random64(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* ---- bounds ---- */

static void work_is_bounded(void **state)
{
	static const uint8_t code[] = {0xf3, 0xaa};

	(void)state;
	put_code(code, sizeof(code));
	gpr[GPR_RDI] = DEV_GVA;
	gpr[GPR_RCX] = 2 * EMUL_MAX_REP + 1;
	gpr[GPR_RAX] = 0x77;
	for (unsigned i = 1; i <= 2; i++) {
		assert_int_equal(step(), EMUL_AGAIN);
		assert_int_equal(device_writes, i * EMUL_MAX_REP);
		assert_int_equal(gpr[GPR_RDI], DEV_GVA + i * EMUL_MAX_REP);
		assert_int_equal(rip, CODE_GVA);
	}
	assert_int_equal(step(), EMUL_DONE);
	assert_int_equal(gpr[GPR_RCX], 0);
	assert_int_equal(rip, CODE_GVA + 2);
	/* a single step is one iteration */
	rip = CODE_GVA;
	rflags |= RFLAGS_TF;
	gpr[GPR_RCX] = 3;
	assert_int_equal(step(), EMUL_AGAIN);
	assert_int_equal(gpr[GPR_RCX], 2);
	/* none at all */
	rip = CODE_GVA;
	gpr[GPR_RCX] = 0;
	assert_int_equal(step(), EMUL_DONE);
}

static void across_a_page(void **state)
{
	static const uint8_t load[] = {0x48, 0x8b, 0x03}, store[] = {0x48, 0x89, 0x03};

	(void)state;
	/* the last 3 bytes of RAM pages, then the device */
	code_map(RAM_GVA + PAGE_SIZE, CODE_NO_RAM, 1, CODE_FLAGS);
	gpr[GPR_RBX] = RAM_GVA + PAGE_SIZE - 3;
	gpr[GPR_RAX] = 0x8877665544332211;
	put_code(store, sizeof(store));
	assert_int_equal(step(), EMUL_DONE);
	assert_int_equal(get32(RAM_GPA + PAGE_SIZE - 4), 0x33221100);
	assert_memory_equal(device, "\x44\x55\x66\x77\x88\0", 6);
	gpr[GPR_RAX] = 0;
	rip = CODE_GVA;
	put_code(load, sizeof(load));
	assert_int_equal(step(), EMUL_DONE);
	assert_int_equal(gpr[GPR_RAX], 0x8877665544332211);
}

/* ---- faults ---- */

static void assert_fault(uint8_t vector, uint32_t error, uint64_t payload)
{
	assert_int_equal(e.fault.kind, EVENT_EXCEPTION);
	assert_int_equal(e.fault.vector, vector);
	assert_int_equal(e.fault.error, error);
	if (vector == VEC_PF)
		assert_int_equal(e.fault.payload, payload);
	assert_int_equal(rip, CODE_GVA);
}

static void faults_change_nothing(void **state)
{
	static const uint8_t movs[] = {0xa4}, add[] = {0x01, 0x03};

	(void)state;
	/* the destination is not there: the device is not read */
	put_code(movs, sizeof(movs));
	gpr[GPR_RSI] = DEV_GVA;
	gpr[GPR_RDI] = 0x1000;
	assert_int_equal(step(), EMUL_FAULT);
	assert_fault(VEC_PF, 2, 0x1000);
	assert_int_equal(device_reads, 0);
	assert_int_equal(gpr[GPR_RSI], DEV_GVA);
	/* not to be written, from ring 0 with CR0.WP */
	code_map(DEV_GVA, CODE_NO_RAM, 1, CODE_FLAGS & ~(uint64_t)PTE_W);
	put_code(add, sizeof(add));
	gpr[GPR_RBX] = DEV_GVA + 8;
	assert_int_equal(step(), EMUL_FAULT);
	assert_fault(VEC_PF, 3, DEV_GVA + 8);
	assert_int_equal(device_writes, 0);
	/* no canonical address */
	gpr[GPR_RBX] = 0x800000000000;
	assert_int_equal(step(), EMUL_FAULT);
	assert_fault(VEC_GP, 0, 0);
}

static void a_fault_in_the_middle_of_rep(void **state)
{
	static const uint8_t code[] = {0xf3, 0xa4};

	(void)state;
	put_code(code, sizeof(code));
	gpr[GPR_RSI] = DEV_GVA;
	gpr[GPR_RDI] = RAM_GVA + 2 * PAGE_SIZE - 5; /* and then nothing */
	gpr[GPR_RCX] = 20;
	memset(device, 0x99, 20);
	assert_int_equal(step(), EMUL_FAULT);
	assert_fault(VEC_PF, 2, RAM_GVA + 2 * PAGE_SIZE);
	assert_int_equal(gpr[GPR_RCX], 15);
	assert_int_equal(gpr[GPR_RSI], DEV_GVA + 5);
	assert_int_equal(gpr[GPR_RDI], RAM_GVA + 2 * PAGE_SIZE);
}

static void what_is_not_known(void **state)
{
	static const uint8_t codes[][4] = {
		{0xd9, 0x03}, {0x0f, 0x6f, 0x03}, {0x0f, 0x28, 0x03}, {0x0f, 0x0b},
		{0xf4},       {0x0f, 0xa2}};

	(void)state;
	gpr[GPR_RBX] = DEV_GVA;
	for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
		put_code(codes[i], 4);
		assert_int_equal(step(), EMUL_UNSUPPORTED);
		assert_int_equal(rip, CODE_GVA);
		assert_memory_equal(e.bytes, codes[i], 2);
	}
	assert_int_equal(device_reads + device_writes, 0);
}

/* ---- ports ---- */

static void ports_as_reported(void **state)
{
	static const uint8_t outsb[] = {0x6e}, insw[] = {0x66, 0x6d}, out[] = {0xee};
	struct emul_port port = {.port = 0x3f8, .size = 1, .in = false};

	(void)state;
	gpr[GPR_RDX] = 0x3f8;
	gpr[GPR_RSI] = RAM_GVA;
	gpr[GPR_RDI] = RAM_GVA + 100;
	put32(RAM_GPA, 0x41);
	put_code(outsb, sizeof(outsb));
	assert_int_equal(step(), EMUL_RETRY); /* it was a memory access that exited */
	e.port = &port;
	assert_int_equal(step(), EMUL_DONE);
	assert_int_equal(port_value, 0x41);
	assert_int_equal(gpr[GPR_RSI], RAM_GVA + 1);
	/* another direction, size, port; another instruction altogether */
	rip = CODE_GVA;
	port.in = true;
	assert_int_equal(step(), EMUL_RETRY);
	port.in = false;
	port.size = 2;
	assert_int_equal(step(), EMUL_RETRY);
	port.size = 1;
	gpr[GPR_RDX] = 0xcf9;
	assert_int_equal(step(), EMUL_RETRY);
	gpr[GPR_RDX] = 0x3f8;
	put_code(out, sizeof(out));
	assert_int_not_equal(step(), EMUL_DONE);
	put_code((const uint8_t[]){0xaa}, 1);
	assert_int_equal(step(), EMUL_RETRY);
	assert_int_equal(port_accesses, 1);
	port = (struct emul_port){.port = 0x3f8, .size = 2, .in = true};
	port_value = 0xbeef;
	put_code(insw, sizeof(insw));
	assert_int_equal(step(), EMUL_DONE);
	assert_int_equal(get32(RAM_GPA + 100), 0xbeef);
}

/* ---- the cache ---- */

static void the_cache_goes_by_the_bytes(void **state)
{
	(void)state;
	gpr[GPR_RBX] = DEV_GVA;
	device[0] = 0x10;
	/* the same place, other bytes: each is done as it stands there now */
	for (unsigned i = 0; i < 3000; i++) {
		uint8_t imm = (uint8_t)random64();
		uint8_t code[] = {0x83, (uint8_t)(i & 1 ? 0x03 : 0x2b), imm}; /* ADD, SUB */
		uint32_t before, after, addend = (uint32_t)(int32_t)(int8_t)imm;

		memcpy(&before, device, 4);
		rip = CODE_GVA;
		put_code(code, sizeof(code));
		assert_int_equal(step(), EMUL_DONE);
		memcpy(&after, device, 4);
		before = i & 1 ? before + addend : before - addend;
		assert_int_equal(after, before);
	}
	/* the same bytes in another mode: 40 is REX here, INC EAX there */
	rip = CODE_GVA;
	put_code((const uint8_t[]){0x40, 0x8a, 0x03}, 3);
	assert_int_equal(step(), EMUL_DONE);
	c = code_32;
	c.rip = rip = CODE_GPA;
	assert_int_equal(emulate(&e), EMUL_UNSUPPORTED);
}

static void other_modes(void **state)
{
	(void)state;
	/* 32-bit: addresses end at 4 GiB, results too */
	c = code_32;
	put_code((const uint8_t[]){0x8b, 0x03}, 2);
	gpr[GPR_RBX] = 0xffffffff00000000 | CODE_NO_RAM;
	gpr[GPR_RAX] = UINT64_MAX;
	memcpy(device, "\x78\x56\x34\x12", 4);
	c.rip = rip = CODE_GPA;
	assert_int_equal(emulate(&e), EMUL_DONE);
	assert_int_equal(gpr[GPR_RAX], 0x12345678);
	assert_int_equal(rip, CODE_GPA + 2);
	/* FS has a base in 64-bit mode too */
	rip = CODE_GVA;
	put_code((const uint8_t[]){0x64, 0x8b, 0x04, 0x25, 4, 0, 0, 0}, 8);
	device[4] = 0x5a;
	assert_int_equal(step(), EMUL_DONE);
	assert_int_equal(gpr[GPR_RAX], 0x5a);
	/* relative to RIP, which is that of the next instruction */
	rip = CODE_GVA;
	put_code((const uint8_t[]){0xc7, 0x05, 0xf6, 0xef, 0x1f, 0x00, 9, 0, 0, 0}, 10);
	assert_int_equal(step(), EMUL_DONE);
	assert_int_equal(device[0], 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(work_is_bounded, setup),
		cmocka_unit_test_setup(across_a_page, setup),
		cmocka_unit_test_setup(faults_change_nothing, setup),
		cmocka_unit_test_setup(a_fault_in_the_middle_of_rep, setup),
		cmocka_unit_test_setup(what_is_not_known, setup),
		cmocka_unit_test_setup(ports_as_reported, setup),
		cmocka_unit_test_setup(the_cache_goes_by_the_bytes, setup),
		cmocka_unit_test_setup(other_modes, setup),
	};

	return cmocka_run_group_tests_name("emulation", tests, NULL, NULL);
}
