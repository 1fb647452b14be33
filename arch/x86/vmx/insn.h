/*
 * The VMX instructions as C functions. Privileged; the unit tests have a file of the same name in
 * tests/unit/fake/ that stands in for the processor.
 */
#ifndef ARCH_X86_VMX_INSN_H
#define ARCH_X86_VMX_INSN_H

#include "arch/x86/asm.h"
#include "arch/x86/state.h"
#include "lib/types.h"

/* Fields of the current structure. Those that are named here exist on every CPU that is accepted,
 * so neither can fail. */
static inline uint64_t vmread(uint32_t field)
{
	uint64_t v;

	__asm__ volatile("vmread %1, %0" : "=r"(v) : "r"((uint64_t)field) : "cc");
	return v;
}

static inline void vmwrite(uint32_t field, uint64_t v)
{
	__asm__ volatile("vmwrite %0, %1" ::"r"(v), "r"((uint64_t)field) : "cc", "memory");
}

/* False: the processor refused (VMfail). */
static inline bool vmxon(uint64_t pa)
{
	bool ok;

	__asm__ volatile("vmxon %1" : "=@cca"(ok) : "m"(pa) : "memory");
	return ok;
}

static inline void vmxoff(void)
{
	__asm__ volatile("vmxoff" ::: "cc", "memory");
}

static inline void vmclear(uint64_t pa)
{
	__asm__ volatile("vmclear %0" ::"m"(pa) : "cc", "memory");
}

static inline void vmptrld(uint64_t pa)
{
	__asm__ volatile("vmptrld %0" ::"m"(pa) : "cc", "memory");
}

/* The current structure's address; all ones: none. */
static inline uint64_t vmptrst(void)
{
	uint64_t pa;

	__asm__ volatile("vmptrst %0" : "=m"(pa)::"cc", "memory");
	return pa;
}

enum {
	INVEPT_SINGLE = 1,
	INVEPT_ALL = 2,
	INVVPID_ALL = 2,
};

static inline void invept(uint64_t type, uint64_t eptp)
{
	const uint64_t descriptor[2] = {eptp, 0};

	__asm__ volatile("invept %0, %1" ::"m"(descriptor), "r"(type) : "cc", "memory");
}

static inline void invvpid(uint64_t type)
{
	const uint64_t descriptor[2] = {0, 0};

	__asm__ volatile("invvpid %0, %1" ::"m"(descriptor), "r"(type) : "cc", "memory");
}

/* The descriptor tables and the task register, as they are for the host. */
static inline struct table_state read_gdtr(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) t;

	__asm__ volatile("sgdt %0" : "=m"(t));
	return (struct table_state){.base = t.base, .limit = t.limit};
}

static inline struct table_state read_idtr(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) t;

	__asm__ volatile("sidt %0" : "=m"(t));
	return (struct table_state){.base = t.base, .limit = t.limit};
}

static inline void load_tables(struct table_state gdtr, struct table_state idtr)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) g = {gdtr.limit, gdtr.base}, i = {idtr.limit, idtr.base};

	__asm__ volatile("lgdt %0; lidt %1" ::"m"(g), "m"(i) : "memory");
}

static inline uint16_t read_cs(void)
{
	uint16_t v;

	__asm__ volatile("mov %%cs, %0" : "=r"(v));
	return v;
}

static inline uint16_t read_ss(void)
{
	uint16_t v;

	__asm__ volatile("mov %%ss, %0" : "=r"(v));
	return v;
}

static inline uint16_t read_tr(void)
{
	uint16_t v;

	__asm__ volatile("str %0" : "=r"(v));
	return v;
}

/* An NMI that ended a guest, given to the host's own handler as it would have
 * come. */
static inline void raise_nmi(void)
{
	__asm__ volatile("int $2" ::: "memory");
}

#endif
