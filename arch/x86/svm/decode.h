/*
 * The pure parts of the SVM back end: decoding an exit, coding an event, handing out ASIDs.
 */
#ifndef ARCH_X86_SVM_DECODE_H
#define ARCH_X86_SVM_DECODE_H

#include "arch/x86/hv.h"
#include "arch/x86/svm/vmcb.h"

/* Turns the VMCB's exit fields into the neutral record. `nrips`: the CPU reports next RIPs. */
void svm_decode(const struct vmcb *b, bool nrips, struct vm_exit *exit);

/* The EVENTINJ value that delivers `e`. */
uint64_t svm_event_encode(const struct vcpu_event *e);
struct vcpu_event svm_event_decode(uint64_t info);

/*
 * Address-space identifiers of one core. Handing out a new one is how a vCPU's translations are
 * dropped; when all are used, everything is flushed once and a new generation begins.
 */
struct asid_pool {
	uint64_t generation;  /* starts at 1: a vCPU with generation 0 has no ASID */
	uint32_t next, count; /* usable: 1 to count - 1 */
};

void asid_pool_init(struct asid_pool *p, uint32_t count);
/* Gives a fresh ASID; returns true if the whole TLB must be flushed at the next entry. */
bool asid_take(struct asid_pool *p, uint32_t *asid, uint64_t *generation);

#endif
