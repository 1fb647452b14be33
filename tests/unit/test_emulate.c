/*
 * Instructions on device memory, against what this machine's processor does with the same bytes on
 * ordinary memory: registers, flags and memory must come out alike. Then faults, limits and the
 * cache.
 */
#include "tests/unit/guest_code.h"

#include <stdlib.h>
#include <sys/mman.h>

#define CODE_GVA 0x7f0000401000ull
#define CODE_GPA 0x200000ull
#define DEV_GVA  0x7f0000600000ull
#define DEV_SIZE 0x2000u
#define RAM_GVA  0x7f0000800000ull
#define RAM_GPA  0x300000ull
#define MIDDLE   0x800u /* where the operand lies in the device */

#define FLAGS_ALL (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static uint8_t device[DEV_SIZE], twin[DEV_SIZE];
static unsigned device_writes, device_reads;
static uint64_t gpr[GPR_COUNT], rip, rflags;
static struct code_context c;
static struct emul e;
static uint8_t *runner; /* executable memory */

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
	if (!runner)
		runner = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(runner, MAP_FAILED);
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

/* ---- this machine ---- */

struct registers {
	uint64_t rax, rcx, rdx, rbx, rsi, rdi, flags;
};

static void run_here(const uint8_t *bytes, unsigned n, struct registers *r)
{
	memcpy(runner, bytes, n);
	runner[n] = 0xc3;
	__asm__ volatile("push %%rbp\n\t"
			 "push %%rbx\n\t"
			 "mov %0, %%rbp\n\t"
			 "mov %1, %%r8\n\t"
			 "mov 0(%%rbp), %%rax\n\t"
			 "mov 8(%%rbp), %%rcx\n\t"
			 "mov 16(%%rbp), %%rdx\n\t"
			 "mov 24(%%rbp), %%rbx\n\t"
			 "mov 32(%%rbp), %%rsi\n\t"
			 "mov 40(%%rbp), %%rdi\n\t"
			 "pushq 48(%%rbp)\n\t"
			 "popfq\n\t"
			 "call *%%r8\n\t"
			 "pushfq\n\t"
			 "popq 48(%%rbp)\n\t"
			 "cld\n\t"
			 "mov %%rax, 0(%%rbp)\n\t"
			 "mov %%rcx, 8(%%rbp)\n\t"
			 "mov %%rdx, 16(%%rbp)\n\t"
			 "mov %%rbx, 24(%%rbp)\n\t"
			 "mov %%rsi, 32(%%rbp)\n\t"
			 "mov %%rdi, 40(%%rbp)\n\t"
			 "pop %%rbx\n\t"
			 "pop %%rbp" ::"r"(r),
			 "r"(runner)
			 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "memory", "cc");
}

static uint64_t random64(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* Often at the edges. */
static uint64_t operand(void)
{
	static const uint64_t edges[] = {0,          1,          0x7f,      0x80,
					 0xff,       0x7fff,     0x8000,    0x7fffffff,
					 0x80000000, UINT32_MAX, INT64_MAX, UINT64_MAX};
	uint64_t r = random64();

	return r & 1 ? random64() : edges[r / 2 % ARRAY_SIZE(edges)];
}

/* One instruction on the operand at [RBX], RSI and RDI; RCX bounded to `rcx_bits`. */
static void compare(const uint8_t *bytes, unsigned n, uint64_t flags_mask, unsigned rcx_bits)
{
	struct registers r = {
		.rax = operand(),
		.rcx = operand() & (BIT(rcx_bits) - 1),
		.rdx = operand(),
		.flags = RFLAGS_ONE | (random64() & FLAGS_ALL) | (random64() & RFLAGS_DF),
	};
	enum emul_result result;
	struct registers got;

	for (unsigned i = 0; i < sizeof(device); i++)
		device[i] = (uint8_t)(i % 16 < 8 ? operand() : random64());
	memcpy(twin, device, sizeof(twin));
	gpr[GPR_RAX] = r.rax;
	gpr[GPR_RCX] = r.rcx;
	gpr[GPR_RDX] = r.rdx;
	gpr[GPR_RBX] = gpr[GPR_RSI] = DEV_GVA + MIDDLE;
	gpr[GPR_RDI] = DEV_GVA + MIDDLE + 64;
	rflags = r.flags;
	rip = CODE_GVA;
	put_code(bytes, n);
	do {
		result = step();
	} while (result == EMUL_AGAIN);
	assert_int_equal(result, EMUL_DONE);
	assert_int_equal(rip, CODE_GVA + n);

	r.rbx = r.rsi = (uint64_t)twin + MIDDLE;
	r.rdi = (uint64_t)twin + MIDDLE + 64;
	run_here(bytes, n, &r);
	got = (struct registers){
		.rax = gpr[GPR_RAX],
		.rcx = gpr[GPR_RCX],
		.rdx = gpr[GPR_RDX],
		.rbx = gpr[GPR_RBX] - DEV_GVA + (uint64_t)twin,
		.rsi = gpr[GPR_RSI] - DEV_GVA + (uint64_t)twin,
		.rdi = gpr[GPR_RDI] - DEV_GVA + (uint64_t)twin,
	};
	assert_int_equal(got.rax, r.rax);
	assert_int_equal(got.rcx, r.rcx);
	assert_int_equal(got.rdx, r.rdx);
	assert_int_equal(got.rbx, r.rbx);
	assert_int_equal(got.rsi, r.rsi);
	assert_int_equal(got.rdi, r.rdi);
	assert_int_equal(rflags & flags_mask, r.flags & flags_mask);
	assert_memory_equal(device, twin, sizeof(device));
}

/* With each operand size: as it is, with 66 and with REX.W. Those of bytes have one. */
static void sizes(const uint8_t *bytes, unsigned n, bool byte, unsigned immediate, uint64_t mask,
		  unsigned rcx_bits)
{
	uint8_t code[16];

	for (unsigned size = 0; size < (byte ? 1u : 3u); size++) {
		unsigned at = 0, imm = immediate == 4 && size == 1 ? 2 : immediate;

		if (size == 1)
			code[at++] = 0x66;
		if (bytes[0] == 0xf2 || bytes[0] == 0xf3) /* REX goes last */
			code[at++] = bytes[0];
		if (size == 2)
			code[at++] = 0x48;
		for (unsigned i = bytes[0] == 0xf2 || bytes[0] == 0xf3; i < n; i++)
			code[at++] = bytes[i];
		for (unsigned k = 0; k < 100; k++) {
			uint64_t value = operand();

			memcpy(code + at, &value, imm);
			compare(code, at + imm, mask, rcx_bits);
		}
	}
}

#define SIZES(byte, immediate, mask, rcx_bits, ...)                                         \
	sizes((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), byte, \
	      immediate, mask, rcx_bits)

static void moves(void **state)
{
	(void)state;
	SIZES(true, 0, FLAGS_ALL, 63, 0x8a, 0x03);
	SIZES(true, 0, FLAGS_ALL, 63, 0x8a, 0x23); /* AH */
	SIZES(true, 0, FLAGS_ALL, 63, 0x88, 0x0b);
	SIZES(true, 0, FLAGS_ALL, 63, 0x88, 0x33); /* DH */
	SIZES(false, 0, FLAGS_ALL, 63, 0x8b, 0x03);
	SIZES(false, 0, FLAGS_ALL, 63, 0x89, 0x13);
	SIZES(true, 1, FLAGS_ALL, 63, 0xc6, 0x03);
	SIZES(false, 4, FLAGS_ALL, 63, 0xc7, 0x03);
	SIZES(false, 0, FLAGS_ALL, 63, 0x0f, 0xb6, 0x03);
	SIZES(false, 0, FLAGS_ALL, 63, 0x0f, 0xb7, 0x03);
	SIZES(false, 0, FLAGS_ALL, 63, 0x0f, 0xbe, 0x03);
	SIZES(false, 0, FLAGS_ALL, 63, 0x0f, 0xbf, 0x03);
	for (unsigned i = 0; i < 100; i++)
		compare((const uint8_t[]){0x48, 0x63, 0x03}, 3, FLAGS_ALL, 63);
	SIZES(false, 0, FLAGS_ALL, 3, 0x8b, 0x44, 0xcb, 0x08); /* [RBX+RCX*8+8], RCX of 3 bits */
}

static void arithmetic(void **state)
{
	(void)state;
	for (unsigned op = 0; op < 8; op++) {
		/* AF is undefined after OR, AND, XOR */
		bool logic = op == 1 || op == 4 || op == 6;
		uint64_t mask = logic ? FLAGS_ALL & ~RFLAGS_AF : FLAGS_ALL;
		uint8_t base = (uint8_t)(op << 3);

		SIZES(true, 0, mask, 63, base, 0x0b);
		SIZES(false, 0, mask, 63, (uint8_t)(base + 1), 0x0b);
		SIZES(true, 0, mask, 63, (uint8_t)(base + 2), 0x0b);
		SIZES(false, 0, mask, 63, (uint8_t)(base + 3), 0x0b);
		SIZES(true, 1, mask, 63, 0x80, (uint8_t)(base | 3));
		SIZES(false, 4, mask, 63, 0x81, (uint8_t)(base | 3));
		SIZES(false, 1, mask, 63, 0x83, (uint8_t)(base | 3));
	}
	SIZES(true, 0, FLAGS_ALL & ~RFLAGS_AF, 63, 0x84, 0x03);
	SIZES(false, 0, FLAGS_ALL & ~RFLAGS_AF, 63, 0x85, 0x03);
	SIZES(true, 1, FLAGS_ALL & ~RFLAGS_AF, 63, 0xf6, 0x03);
	SIZES(false, 4, FLAGS_ALL & ~RFLAGS_AF, 63, 0xf7, 0x03);
	SIZES(true, 0, FLAGS_ALL, 63, 0xfe, 0x03);
	SIZES(true, 0, FLAGS_ALL, 63, 0xfe, 0x0b);
	SIZES(false, 0, FLAGS_ALL, 63, 0xff, 0x03);
	SIZES(false, 0, FLAGS_ALL, 63, 0xff, 0x0b);
	SIZES(true, 0, FLAGS_ALL, 63, 0xf6, 0x13);
	SIZES(false, 0, FLAGS_ALL, 63, 0xf7, 0x13);
	SIZES(true, 0, FLAGS_ALL, 63, 0xf6, 0x1b);
	SIZES(false, 0, FLAGS_ALL, 63, 0xf7, 0x1b);
}

static void exchanges(void **state)
{
	(void)state;
	SIZES(true, 0, FLAGS_ALL, 63, 0x86, 0x0b);
	SIZES(false, 0, FLAGS_ALL, 63, 0x87, 0x0b);
	SIZES(true, 0, FLAGS_ALL, 63, 0x0f, 0xc0, 0x0b);
	SIZES(false, 0, FLAGS_ALL, 63, 0x0f, 0xc1, 0x0b);
	SIZES(true, 0, FLAGS_ALL, 63, 0x0f, 0xb0, 0x0b);
	SIZES(false, 0, FLAGS_ALL, 63, 0x0f, 0xb1, 0x0b);
}

/* Bit offsets in a register reach beyond the operand; all flags but CF are undefined. */
static void bits(void **state)
{
	static const uint8_t by_register[] = {0xa3, 0xab, 0xb3, 0xbb};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		SIZES(false, 0, RFLAGS_CF, 10, 0x0f, by_register[i], 0x0b);
		SIZES(false, 1, RFLAGS_CF, 63, 0x0f, 0xba, (uint8_t)((i + 4) << 3 | 3));
	}
}

static void strings(void **state)
{
	static const uint8_t ops[] = {0xa4, 0xa6, 0xaa, 0xac, 0xae};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		SIZES(true, 0, FLAGS_ALL, 5, ops[i]);
		SIZES(false, 0, FLAGS_ALL, 5, (uint8_t)(ops[i] + 1));
		SIZES(true, 0, FLAGS_ALL, 5, 0xf3, ops[i]);
		SIZES(false, 0, FLAGS_ALL, 5, 0xf3, (uint8_t)(ops[i] + 1));
		SIZES(true, 0, FLAGS_ALL, 5, 0xf2, ops[i]);
		SIZES(false, 0, FLAGS_ALL, 5, 0xf2, (uint8_t)(ops[i] + 1));
	}
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
		cmocka_unit_test_setup(moves, setup),
		cmocka_unit_test_setup(arithmetic, setup),
		cmocka_unit_test_setup(exchanges, setup),
		cmocka_unit_test_setup(bits, setup),
		cmocka_unit_test_setup(strings, setup),
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
