/*
 * Stands in for arch/x86/vmx/insn.h in the tests of the VMX back end: the instructions are those of
 * the processor that tests/unit/vmx_processor.c plays.
 */
#ifndef ARCH_X86_VMX_INSN_H
#define ARCH_X86_VMX_INSN_H

#include "arch/x86/asm.h"
#include "arch/x86/state.h"
#include "lib/types.h"

uint64_t vmread(uint32_t field);
void vmwrite(uint32_t field, uint64_t v);
bool vmxon(uint64_t pa);
void vmxoff(void);
void vmclear(uint64_t pa);
void vmptrld(uint64_t pa);
uint64_t vmptrst(void);

enum {
	INVEPT_SINGLE = 1,
	INVEPT_ALL = 2,
	INVVPID_ALL = 2,
};

void invept(uint64_t type, uint64_t eptp);
void invvpid(uint64_t type);

struct table_state read_gdtr(void);
struct table_state read_idtr(void);
void load_tables(struct table_state gdtr, struct table_state idtr);
uint16_t read_cs(void);
uint16_t read_ss(void);
uint16_t read_tr(void);
void raise_nmi(void);

#endif
