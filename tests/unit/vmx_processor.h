/*
 * A processor with VMX, played for the tests of the back end: cores that have a current VMCS, or
 * none; VMCSs with their fields, on which core they are active, and whether they are launched. What
 * the manual forbids or leaves undefined fails the test. (Intel SDM volume 3, "Software Use of the
 * VMCS and Related Structures", and the descriptions of the VMX instructions.)
 */
#ifndef TESTS_UNIT_VMX_PROCESSOR_H
#define TESTS_UNIT_VMX_PROCESSOR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86/vmx/insn.h"
#include "arch/x86/vmx/vmx.h"

enum {
	CPU_CORES = 2,
	CPU_STRUCTURES = 6,
	CPU_VPIDS = 65536,
	CPU_FIELDS = 0x7000,
	CPU_MSRS = 32,
	NOWHERE = -1,
};

/* Whose translations may be cached under a tag, and from when. */
struct cached {
	const struct hv_vcpu *owner; /* NULL: none */
	unsigned linear, second;     /* epochs; second may be NONE_CACHED */
};

#define NONE_CACHED UINT32_MAX

struct vmcs {
	uint64_t pa; /* 0: this place is free */
	int active_on;
	bool launched;
	uint64_t field[CPU_FIELDS];
	bool known[CPU_FIELDS]; /* written in this life of the structure; else it is noise */
};

struct core {
	bool on;
	uint64_t vmxon_pa, vmcs; /* vmcs: NO_CURRENT or the current one */
	uint64_t cr0, cr2, cr3, cr4, dr6;
	bool irqs;
	struct {
		uint32_t index;
		uint64_t value;
	} msr[CPU_MSRS];
	struct table_state gdtr, idtr;
	struct cached tagged[CPU_VPIDS]; /* linear and combined mappings */
	struct cached guest_physical;    /* one EPTP is enough for the tests */
	unsigned invepts, invvpids, nmis;
};

#define NO_CURRENT UINT64_MAX

extern struct core cores[CPU_CORES];
extern unsigned current_core;
extern struct cpuid_regs cpu_leaves[2]; /* 7 and 80000008h */

/* What happened since it was cleared. */
extern struct writes {
	unsigned n;
	uint32_t field[64]; /* the first ones */
} writes;

/* When translations became stale last: a test raises these with each request to drop them. */
extern struct epochs {
	const struct hv_vcpu *first; /* the vCPU with index 0 */
	unsigned linear[8];          /* of each vCPU's own translations */
	unsigned second;             /* of the second level, which all share */
} epochs;

/* The next entries: how they end, and who plays the guest until the exit; NULL: the host's
 * interrupt comes at once. */
enum fate {
	ENTRY_WORKS,
	ENTRY_NOT_TAKEN, /* VMfail: instruction error 7 */
	ENTRY_REFUSED,   /* an exit with reason 33 */
};
extern enum fate fate;
extern void (*guest)(struct hv_vcpu *who, struct vmcs *s);

/* As the last entry that worked found it. */
extern struct vmcs entered;
extern unsigned entries;

/* Cores with VMX on their own, not switched on; nothing in memory. */
void processor_reset(void);

/* Physical memory at `pa` is at `va`, for as long as the test lasts. */
void processor_memory(uint64_t pa, void *va, unsigned pages);

/* Of the core that is executing. */
struct core *processor_core(void);

/* The structure at `pa`, which must have been used. */
struct vmcs *processor_vmcs(uint64_t pa);

/* The current one, which there must be. */
struct vmcs *processor_current(void);

uint64_t *processor_msr(struct core *c, uint32_t index);

/* Was the field written since `writes` was cleared? */
bool was_written(uint32_t field);

/* The capabilities of an actual processor, as its MSRs have them, on all cores. */
void processor_capabilities(void);

#endif
