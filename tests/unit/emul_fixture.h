/*
 * A vCPU for the tests of emulation: registers and segments to set, a decode cache, and a device
 * at guest-physical DEVICE, as memory and as ports, that records each access.
 */
#ifndef TESTS_UNIT_EMUL_FIXTURE_H
#define TESTS_UNIT_EMUL_FIXTURE_H

#include "guests/emul_op.h"
#include "tests/unit/guest_code.h"

#define DEVICE      CODE_NO_RAM
#define DEVICE_SIZE 0x4000u

static uint8_t device[DEVICE_SIZE];

/* An access, as the device saw it: 'r' and 'w' of memory, 'i' and 'o' of ports. */
struct touch {
	char kind;
	unsigned size;
	uint64_t at, value;
};
static struct touch touch[8192];
static unsigned n_touch;

static struct code_context ctx;
static struct segment_state seg[SEG_COUNT];
static uint64_t gpr[GPR_COUNT], rip, rflags;
static struct emul_port port;
static bool port_reported;
static struct emul em;
static struct emul_cache *cache;
static uint64_t code_at, code_gpa; /* where instructions are put: RIP, and in memory */

static void record(char kind, uint64_t at, unsigned size, uint64_t value)
{
	assert_true(n_touch < ARRAY_SIZE(touch));
	touch[n_touch++] = (struct touch){kind, size, at, value};
}

static void fake_segment(void *c, enum segment_index s, struct segment_state *o)
{
	(void)c;
	assert_true(s < SEG_LDTR);
	*o = seg[s];
}

/* Elsewhere nothing answers. */
static bool is_device(struct gpa gpa)
{
	return gpa.v >= DEVICE && gpa.v < DEVICE + DEVICE_SIZE;
}

/* What lies above the size is not the access's: it is set, and must not be seen. */
static uint64_t fake_mmio_read(void *c, struct gpa gpa, unsigned size)
{
	uint64_t v = 0x5a5a5a5a5a5a5a5a;

	(void)c;
	assert_true(size == 1 || size == 2 || size == 4 || size == 8);
	assert_true(IS_ALIGNED(gpa.v, size));
	assert_null(gmem_ptr(&code_mem, gpa.v, 1));
	if (is_device(gpa))
		memcpy(&v, device + (gpa.v - DEVICE), size);
	else
		v = UINT64_MAX;
	record('r', gpa.v, size, v & size_mask(size));
	return v;
}

static void fake_mmio_write(void *c, struct gpa gpa, unsigned size, uint64_t value)
{
	(void)c;
	assert_true(size == 1 || size == 2 || size == 4 || size == 8);
	assert_true(IS_ALIGNED(gpa.v, size));
	assert_null(gmem_ptr(&code_mem, gpa.v, 1));
	assert_int_equal(value & ~size_mask(size), 0);
	if (is_device(gpa))
		memcpy(device + (gpa.v - DEVICE), &value, size);
	record('w', gpa.v, size, value);
}

/* Each read of a port gives another value. */
static uint32_t fake_io_read(void *c, uint16_t at, unsigned size)
{
	uint32_t v = 0x11223344u + n_touch * 0x01010101u;

	(void)c;
	record('i', at, size, v & size_mask(size));
	return v;
}

static void fake_io_write(void *c, uint16_t at, unsigned size, uint32_t value)
{
	(void)c;
	record('o', at, size, value);
}

static const struct emul_host fake_host = {
	.segment = fake_segment,
	.mmio_read = fake_mmio_read,
	.mmio_write = fake_mmio_write,
	.io_read = fake_io_read,
	.io_write = fake_io_write,
};

/* Empty RAM, an empty cache, flat segments, and registers that differ from one another. */
static inline void emul_begin(const struct code_context *from, uint64_t at, uint64_t gpa)
{
	code_begin();
	free(cache);
	cache = calloc(1, emul_cache_size());
	assert_non_null(cache);
	ctx = *from;
	rip = code_at = at;
	rflags = RFLAGS_ONE;
	code_gpa = gpa;
	port_reported = false;
	n_touch = 0;
	for (unsigned i = 0; i < DEVICE_SIZE; i++)
		device[i] = (uint8_t)(i * 7 + (i >> 8) + 1);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		gpr[i] = 0x1111111111111111ull * i + 0x8070605040302010;
	for (unsigned i = 0; i < SEG_COUNT; i++)
		seg[i] = (struct segment_state){.limit = UINT32_MAX, .attr = 0xc93};
}

/* Emulates what lies at RIP. But for EMUL_DONE, RIP stays. */
static inline enum emul_result emul_go(void)
{
	uint64_t old = rip;
	enum emul_result r;

	ctx.rip = rip;
	ctx.rflags = rflags;
	em.mem = &code_mem;
	em.ctx = &ctx;
	em.host = &fake_host;
	em.cache = cache;
	em.gpr = gpr;
	em.rip = &rip;
	em.rflags = &rflags;
	em.port = port_reported ? &port : NULL;
	memset(&em.fault, 0x5a, sizeof(em.fault)); /* but `bytes` stay, as in a vCPU */
	r = emulate(&em);
	if (r != EMUL_DONE)
		assert_int_equal(rip, old);
	return r;
}

/* Puts the instruction in place, with other code after it. */
static inline void emul_put(const uint8_t *bytes, unsigned n)
{
	assert_int_equal(gmem_write(&code_mem, code_gpa, bytes, n), 0);
	assert_int_equal(gmem_fill(&code_mem, code_gpa + n, 0x90, INSN_BUFFER), 0);
}

static inline enum emul_result emul_run(const uint8_t *bytes, unsigned n)
{
	emul_put(bytes, n);
	rip = code_at;
	return emul_go();
}

#define RUN(...) emul_run((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* What lies where in the tests with paging. All may be used by user code but what is said to be the
 * supervisor's. */
#define CODE_V   0x7f0000000000ull /* two pages of code */
#define RAM_V    0x7f0000010000ull
#define DEV_V    0x7f0000011000ull /* DEVICE */
#define RO_V     0x7f0000012000ull /* RAM, read-only */
#define NONE_V   0x7f0000013000ull
#define SUP_V    0x7f0000014000ull /* the supervisor's, DEVICE + 0x1000 */
#define RO_DEV_V 0x7f0000015000ull /* DEVICE + 0x2000, read-only */
#define CODE_P   0x300000ull
#define RAM_P    0x200000ull
#define RO_P     0x202000ull

static inline void emul_begin_64(void)
{
	emul_begin(&code_64, CODE_V, CODE_P);
	code_map(CODE_V, CODE_P, 2, CODE_FLAGS);
	code_map(RAM_V, RAM_P, 1, CODE_FLAGS);
	code_map(DEV_V, DEVICE, 1, CODE_FLAGS);
	code_map(RO_V, RO_P, 1, CODE_FLAGS & ~PTE_W);
	code_map(SUP_V, DEVICE + 0x1000, 1, CODE_FLAGS & ~PTE_U);
	code_map(RO_DEV_V, DEVICE + 0x2000, 1, CODE_FLAGS & ~PTE_W);
	for (uint64_t i = 0; i < 4 * PAGE_SIZE; i += 8)
		put64(RAM_P + i, broken_random());
}

/* 32-bit or real mode without paging; RAM from RAM_P, the device at DEVICE. */
static inline void emul_begin_flat(const struct code_context *from)
{
	emul_begin(from, 0x5000, 0x5000);
	for (uint64_t i = 0; i < 4 * PAGE_SIZE; i += 8)
		put64(RAM_P + i, broken_random());
	if (from == &code_16)
		for (unsigned i = 0; i < SEG_COUNT; i++)
			seg[i] = (struct segment_state){.limit = 0xffff, .attr = 0x93};
}

/* The state before an instruction that is to change nothing, with RIP at its place. */
static struct {
	uint64_t gpr[GPR_COUNT], rip, rflags;
	uint8_t device[DEVICE_SIZE], ram[4 * PAGE_SIZE];
	unsigned n_touch;
} before;

static inline void emul_remember(void)
{
	memcpy(before.gpr, gpr, sizeof(gpr));
	memcpy(before.device, device, sizeof(device));
	assert_int_equal(gmem_read(&code_mem, RAM_P, before.ram, sizeof(before.ram)), 0);
	before.rip = rip = code_at;
	before.rflags = rflags;
	before.n_touch = n_touch;
}

static inline void assert_nothing_done(void)
{
	assert_memory_equal(gpr, before.gpr, sizeof(gpr));
	assert_memory_equal(device, before.device, sizeof(device));
	assert_memory_equal(gmem_ptr(&code_mem, RAM_P, sizeof(before.ram)), before.ram,
			    sizeof(before.ram));
	assert_int_equal(rip, before.rip);
	assert_int_equal(rflags, before.rflags);
	assert_int_equal(n_touch, before.n_touch);
}

static inline void assert_exception(uint8_t vector, uint32_t error)
{
	assert_int_equal(em.fault.kind, EVENT_EXCEPTION);
	assert_int_equal(em.fault.vector, vector);
	assert_true(em.fault.has_error);
	assert_int_equal(em.fault.error, error);
}

static inline void assert_page_fault(uint64_t at, uint32_t error)
{
	assert_exception(VEC_PF, error);
	assert_int_equal(em.fault.payload, at);
}

static inline void assert_touch(unsigned i, char kind, uint64_t at, unsigned size, uint64_t value)
{
	assert_true(i < n_touch);
	assert_int_equal(touch[i].kind, kind);
	assert_int_equal(touch[i].at, at);
	assert_int_equal(touch[i].size, size);
	assert_int_equal(touch[i].value, value);
}

static inline uint32_t dev32(unsigned at)
{
	uint32_t v;

	memcpy(&v, device + at, sizeof(v));
	return v;
}

/* MOV EAX, [...] has read these four bytes of the device. */
static inline void assert_loaded(enum emul_result r, unsigned at)
{
	assert_int_equal(r, EMUL_DONE);
	assert_int_equal(n_touch, 1);
	assert_touch(0, 'r', DEVICE + at, 4, dev32(at));
	assert_int_equal((uint32_t)gpr[GPR_RAX], dev32(at));
	n_touch = 0;
}

#endif
