/*
 * Instructions of a guest, seen by the hypervisor: translating the guest's addresses by its own
 * page tables, fetching the bytes at its RIP, measuring the few instructions that exit, and
 * emulating those that reach device memory or move strings through ports. Pure.
 *
 * guests/gwalk.c   guest page-table walk (none, 32-bit, PAE, 4-level, 5-level), faults as the
 *                  architecture defines them
 * guests/fetch.c   fetch, and the fast matcher for short known instructions
 * guests/emulate.c the emulator on top of Zydis, with the decode cache
 */
#ifndef GUESTS_INSN_H
#define GUESTS_INSN_H

#include "arch/x86/state.h"
#include "lib/types.h"
#include "mm/gmem.h"

#define INSN_MAX_BYTES 15
#define INSN_BUFFER    16 /* size of a buffer for them: fetched as two words */

/* Kinds of access for a walk; also the bits of a page-fault error code where they coincide. */
enum {
	WALK_WRITE = BIT32(1),
	WALK_USER = BIT32(2),
	WALK_FETCH = BIT32(4),
	WALK_IMPLICIT = BIT32(8), /* supervisor access by the processor itself: SMAP ignores AC */
};

/*
 * Translates linear `gva` (already cut to 32 bits outside 64-bit mode) by the guest's page tables.
 * Sets accessed (and dirty, for a write) bits as the processor would. Returns true and the address,
 * or false and the exception (#PF with its error code and CR2 in `fault->payload`, or #GP/#SS for a
 * non-canonical address — the caller turns #GP into #SS for stack accesses).
 */
bool gwalk(struct gmem *mem, const struct code_context *ctx, uint64_t gva, unsigned access,
	   struct gpa *out, struct vcpu_event *fault);

/*
 * Fetches up to `want` (1 to 15) instruction bytes at CS:RIP into `buf` (INSN_BUFFER bytes).
 * Returns how many: all that can be had before a fault or the segment's limit. 0: the very first
 * byte faults; `fault` says how.
 */
unsigned insn_fetch(struct gmem *mem, const struct code_context *ctx, uint8_t *buf, unsigned want,
		    struct vcpu_event *fault);

/* The instructions that exit and whose length the hardware may not report. */
enum insn_kind {
	INSN_CPUID,
	INSN_RDMSR,
	INSN_WRMSR,
	INSN_HLT,
	INSN_VMCALL,  /* 0F 01 C1 */
	INSN_VMMCALL, /* 0F 01 D9 */
	INSN_XSETBV,
	INSN_INVD,
	INSN_WBINVD, /* and WBNOINVD */
	INSN_PAUSE,
	INSN_IO, /* IN, OUT, INS, OUTS in every form */
	INSN_KIND_COUNT,
};

/*
 * Length in bytes of the instruction at `buf` if it is of that kind, with any legal prefixes; 0 if
 * it is another one (somebody changed it meanwhile: the caller just enters the guest again), or
 * does not end within `n` bytes. Short and branch-poor: this is on the way of every exit.
 */
unsigned insn_length(enum insn_kind kind, const struct code_context *ctx, const uint8_t *buf,
		     unsigned n);

/* The usual form of each kind, without prefixes: its bytes are `bytes` under `mask`. `length` 0:
 * the kind has no single usual form. In the header, so that it folds into its users. */
struct insn_usual {
	uint32_t bytes, mask;
	uint8_t length;
};

#define INSN_ONE(a)          \
	{                    \
		(a), 0xff, 1 \
	}
#define INSN_TWO(a, b)                    \
	{                                 \
		(a) | (b) << 8, 0xffff, 2 \
	}
#define INSN_THREE(a, b, c)                             \
	{                                               \
		(a) | (b) << 8 | (c) << 16, 0xffffff, 3 \
	}

static const struct insn_usual insn_usual[INSN_KIND_COUNT] = {
	[INSN_CPUID] = INSN_TWO(0x0f, 0xa2),          [INSN_RDMSR] = INSN_TWO(0x0f, 0x32),
	[INSN_WRMSR] = INSN_TWO(0x0f, 0x30),          [INSN_HLT] = INSN_ONE(0xf4),
	[INSN_VMCALL] = INSN_THREE(0x0f, 0x01, 0xc1), [INSN_VMMCALL] = INSN_THREE(0x0f, 0x01, 0xd9),
	[INSN_XSETBV] = INSN_THREE(0x0f, 0x01, 0xd1), [INSN_INVD] = INSN_TWO(0x0f, 0x08),
	[INSN_WBINVD] = INSN_TWO(0x0f, 0x09),         [INSN_PAUSE] = INSN_TWO(0xf3, 0x90),
};

/* What a MOV to or from a control register (and CLTS, LMSW, SMSW) at `buf` does. */
struct insn_mov_cr {
	uint8_t length;
	uint8_t cr; /* 0, 2, 3, 4, 8 */
	bool write; /* to the control register */
	bool clts, lmsw, smsw;
	uint8_t gpr; /* register operand, hardware encoding (0 = RAX … 15) */
	bool memory; /* LMSW or SMSW with a memory operand: no register counts */
};
bool insn_decode_mov_cr(const struct code_context *ctx, const uint8_t *buf, unsigned n,
			struct insn_mov_cr *out);

/* ---- emulation ---- */

struct emul_cache; /* decoded instructions keyed by their bytes and mode; one per vCPU */

/* Bytes that a cache needs (the caller allocates; zeroed memory is an empty cache). At most 32 KiB.
 */
size_t emul_cache_size(void);

/* What the emulator may ask of the vCPU and its machine. Values are little-endian in a uint64_t. */
struct emul_host {
	void *ctx;
	/* Segment register state, for bases and limits. */
	void (*segment)(void *ctx, enum segment_index s, struct segment_state *out);
	/* Guest-physical access outside RAM, size 1, 2, 4 or 8. */
	uint64_t (*mmio_read)(void *ctx, struct gpa gpa, unsigned size);
	void (*mmio_write)(void *ctx, struct gpa gpa, unsigned size, uint64_t value);
	/* Port access, size 1, 2 or 4. */
	uint32_t (*io_read)(void *ctx, uint16_t port, unsigned size);
	void (*io_write)(void *ctx, uint16_t port, unsigned size, uint32_t value);
};

enum emul_result {
	EMUL_DONE,        /* registers and RIP updated */
	EMUL_AGAIN,       /* a REP form did its share of work; RIP unchanged, enter again */
	EMUL_FAULT,       /* inject `fault`; RIP unchanged */
	EMUL_RETRY,       /* the bytes are not (any more) such an instruction: enter again */
	EMUL_UNSUPPORTED, /* the emulator does not know it: the guest is stopped with a reason */
};

/* Iterations of a REP form done in one call at most, so that work per exit is bounded. */
#define EMUL_MAX_REP 256

/* The port access that the hardware reported, and checked against the guest's rights. */
struct emul_port {
	uint16_t port;
	uint8_t size; /* 1, 2, 4 */
	bool in;
};

struct emul {
	struct gmem *mem;
	const struct code_context *ctx;
	const struct emul_host *host;
	struct emul_cache *cache;
	uint64_t *gpr; /* 16, hardware encoding */
	uint64_t *rip, *rflags;
	const struct emul_port *port; /* NULL: it touched memory, and must be no port instruction */
	struct vcpu_event fault;      /* out */
	uint8_t bytes[INSN_BUFFER];   /* out: what was fetched, for crash records */
	uint8_t n_bytes;
};

/* Emulates the instruction at RIP, which touched device memory or is INS or OUTS. Every access goes
 * by the guest's page tables, to RAM or to the device callbacks. Nothing is changed on a fault. */
enum emul_result emulate(struct emul *e);

#endif
