/*
 * The contract between the neutral code and a virtualization back end: one `struct hv_ops`, chosen
 * once at boot, and the vendor-neutral record of an exit.
 *
 * A back end is a leaf: it fills `struct vm_exit` and returns, and calls nothing above it. All
 * memory that it needs (control structures, bitmaps) is given to it by declared size.
 *
 * Who may call what: vm_* operations are called before the guest's first vCPU runs, or while all
 * its vCPUs are put. vcpu_* operations are called by the core that owns the vCPU: any core while it
 * is not loaded, and only the core it is loaded on from load() to put(). The parts of the state
 * that emulation needs, and set_cr() and the like, are for a loaded vCPU only.
 */
#ifndef ARCH_X86_HV_H
#define ARCH_X86_HV_H

#include "arch/x86/features.h"
#include "arch/x86/state.h"
#include "lib/reason.h"
#include "lib/types.h"
#include "mm/slpt_format.h"

enum exit_kind {
	EXIT_HOST_EVENT,    /* the host's interrupt or NMI: pending, or handled already */
	EXIT_MACHINE_CHECK, /* the host's: not handled yet */
	EXIT_CPUID,
	EXIT_MSR,
	EXIT_IO,
	EXIT_MEMORY, /* second-level fault */
	EXIT_CONTROL_REG,
	EXIT_XSETBV,
	EXIT_HALT,
	EXIT_PAUSE,
	EXIT_HYPERCALL,
	EXIT_EXCEPTION,
	EXIT_WINDOW, /* the guest can take an interrupt (or NMI) now */
	EXIT_NOTIFY,
	EXIT_APIC_ACCESS,
	EXIT_APIC_IPI,
	EXIT_EOI,
	EXIT_CACHE,        /* INVD, WBINVD */
	EXIT_TASK_SWITCH,  /* a hardware task switch, which the processor left undone */
	EXIT_REFUSED,      /* an instruction that the guest does not have: #UD or #GP */
	EXIT_SHUTDOWN,     /* triple fault */
	EXIT_INIT,         /* an INIT signal of the host: ignored */
	EXIT_ENTRY_FAILED, /* the processor refused the guest's state */
	EXIT_UNKNOWN,
	EXIT_KIND_COUNT,
};

/* In words, for `stats` and the exit ring ("cpuid", "memory"). */
const char *exit_kind_name(enum exit_kind kind);

enum memory_access {
	ACCESS_READ = BIT32(0),
	ACCESS_WRITE = BIT32(1),
	ACCESS_EXEC = BIT32(2),
	ACCESS_PRESENT = BIT32(3), /* a mapping was there and forbade it */
	ACCESS_WALK = BIT32(4),    /* the guest's own page walk did it */
};

enum io_flags {
	IO_IN = BIT32(0),
	IO_STRING = BIT32(2),
	IO_REP = BIT32(3),
};

struct io_access {
	uint16_t port;
	uint8_t size;  /* 1, 2, 4 */
	uint8_t flags; /* enum io_flags */
};

/* What led to a task switch. */
enum task_switch_source {
	TASK_SWITCH_CALL,
	TASK_SWITCH_IRET,
	TASK_SWITCH_JMP,
	TASK_SWITCH_GATE, /* a task gate of the IDT */
};

struct vm_exit {
	uint8_t kind;     /* enum exit_kind */
	uint8_t insn_len; /* of the instruction that exited, in bytes; 0: the hardware does not say
			   */
	struct vcpu_event interrupted; /* while decoding: an event whose delivery was cut off */
	struct code_context code; /* filled where insn_len is 0: for fetching the instruction */
	union {
		struct {
			bool write; /* the index is in RCX */
		} msr;
		struct io_access io;
		struct {
			struct gpa gpa;
			uint8_t access; /* enum memory_access */
			bool delivery;  /* in the delivery of an event, not by the instruction */
		} memory;
		struct {
			uint8_t cr;
			bool write;
			bool decode; /* the hardware does not say which register: decode the bytes
				      */
			uint8_t gpr;
		} control;
		struct {
			uint8_t vector;
			bool has_error;
			uint32_t error;
			uint64_t payload; /* CR2 of #PF, DR6 bits of #DB */
		} exception;
		struct {
			bool vmmcall; /* which of the two instructions */
		} hypercall;
		struct {
			bool protection; /* #GP, else #UD */
		} refused;
		/* `insn_len` is 0 if it is for an event from outside the program, which then is
		 * `interrupted`; else that is EVENT_NONE */
		struct {
			uint16_t selector;
			uint8_t source; /* enum task_switch_source */
		} task_switch;
	};
	/* as the hardware put it, for messages; not filled for the frequent kinds, which say the
	 * same */
	uint64_t raw_info1, raw_code;
};

/* Back-end memory: declared in hv_ops, allocated and zeroed by the neutral code. */
struct hv_pages {
	uint8_t *va;
	struct hpa pa;
};

/* Order of a block of at least `pages` frames, for frames_alloc. */
static inline unsigned hv_pages_order(unsigned pages)
{
	unsigned order = 0;

	while (1u << order < pages)
		order++;
	return order;
}

struct hv_vm {
	struct hv_pages pages; /* vm_pages contiguous frames */
	struct hpa slpt_root;  /* second-level page table */
};

/*
 * A vCPU as the back end sees it. Registers are valid outside run(); changes are taken over by the
 * next run().
 */
struct hv_vcpu {
	uint64_t gpr[GPR_COUNT];
	uint64_t rip, rflags;
	uint8_t cr8;       /* task priority, 0 to 15 */
	uint8_t phys_bits; /* of the guest's physical addresses */
	union {
		struct {
			/* exit as soon as an interrupt of priority class window_class (at most 16,
			 * which CR8 never holds back) could be taken, or an NMI */
			bool window_wanted;
			bool nmi_window_wanted;
			bool window_armed; /* the back end's: the hardware is set up for that */
			bool flush_wanted; /* drop this vCPU's cached translations at the next entry
					    */
			bool tsc_changed;  /* tsc_offset was */
			bool spare;
			union {
				struct {
					bool irq_blocked; /* for one instruction: after STI or MOV
							     SS */
					bool nmi_blocked; /* an NMI handler is running */
				};
				uint16_t blocked; /* either */
			};
		};
		uint64_t attention; /* any of these; almost always 0 */
	};
	uint8_t window_class;
	bool launched;            /* the back end's: how it is entered */
	uint64_t host_stack;      /* the back end's: where an exit finds the host's stack */
	uint64_t cr4_allowed;     /* bits that the guest may set in CR4; fixed when it is created */
	struct vcpu_event inject; /* delivered by the next run(), which clears it */
	struct hv_vm *vm;
	struct hv_pages pages; /* vcpu_pages contiguous frames */
	void *cpu_pages;       /* of the core it is loaded on */
	uint64_t tsc_offset;   /* guest TSC = host TSC + this; who changes it sets tsc_changed */
	/* whose translations are whose; the back end's */
	uint64_t tag_generation;
	uint32_t tag;
	uint32_t last_cpu; /* index of the core that it ran on last; UINT32_MAX: none */
};

/* What the back end found on this CPU. */
struct hv_caps {
	const char *name; /* "AMD SVM" */
	bool insn_len;    /* the hardware reports instruction lengths */
	bool decode_assist;
	bool flush_by_asid;
	bool tsc_scale;
	bool huge_pages;   /* 1 GiB second-level pages */
	bool keeps_pdptes; /* the processor keeps PAE's upper entries: set_pdptes has an effect */
	bool nmi_window;   /* nmi_window_wanted is exact: no need to look for other exits */
	bool xsaves;       /* guests may be offered XSAVES and XRSTORS */
	uint32_t asids;
	uint64_t bits; /* every optional feature as one word, to compare cores */
};

struct hv_ops {
	const char *name;
	unsigned cpu_pages, vm_pages, vcpu_pages; /* contiguous frames for each; at least 1 */
	const struct slpt_format *slpt;

	/* Can this core do it? ERR_UNSUPPORTED with a sentence that says what to change. */
	int (*probe)(const struct cpu_features *f, uint32_t cpu, struct hv_caps *caps,
		     struct reason *why);
	/* Switches virtualization on, or off, on this core. */
	int (*cpu_on)(struct hv_pages pages, uint32_t cpu, struct reason *why);
	void (*cpu_off)(struct hv_pages pages);

	/* All MSRs and ports exit until allowed. */
	void (*vm_init)(struct hv_vm *vm);
	void (*vm_allow_msr)(struct hv_vm *vm, uint32_t msr, bool read, bool write);
	void (*vm_allow_port)(struct hv_vm *vm, uint16_t port, bool allow);

	/* Makes a vCPU in the architecture's power-on state. */
	void (*vcpu_init)(struct hv_vcpu *v);
	void (*vcpu_load)(struct hv_vcpu *v, struct hv_pages cpu_pages, uint32_t cpu);
	void (*vcpu_put)(struct hv_vcpu *v);

	/*
	 * Enters the guest and returns after the next exit, decoded. Called with interrupts off,
	 * and returns with them off; a host interrupt that caused the exit is pending, not taken.
	 * Delivers v->inject first, clears it.
	 */
	void (*run)(struct hv_vcpu *v, struct vm_exit *exit);

	/* Whole state. set() checks all of it before it changes anything: ERR_INVALID and a
	 * sentence. */
	void (*get_state)(const struct hv_vcpu *v, struct vcpu_state *out);
	int (*set_state)(struct hv_vcpu *v, const struct vcpu_state *in, struct reason *why);
	/* The parts that emulation needs, cheap. */
	void (*get_code)(const struct hv_vcpu *v, struct code_context *out);
	void (*get_segment)(const struct hv_vcpu *v, enum segment_index s,
			    struct segment_state *out);
	uint64_t (*get_cr)(const struct hv_vcpu *v, unsigned cr); /* 0, 2, 3, 4 */
	void (*set_cr)(struct hv_vcpu *v, unsigned cr, uint64_t value);
	/* The four entries that PAE paging keeps in the processor: to be called after CR0, CR3, CR4
	 * or the whole state was set so that the guest uses it, with what memory holds at CR3. */
	void (*set_pdptes)(struct hv_vcpu *v, const uint64_t pdptes[4]);
	uint64_t (*get_efer)(const struct hv_vcpu *v);
	void (*set_efer)(struct hv_vcpu *v, uint64_t value);

	/* After EXIT_ENTRY_FAILED: the field and rule because of which the processor refuses the
	 * vCPU's state, in words. */
	void (*explain)(const struct hv_vcpu *v, struct reason *why);

	/* One line after the other about the back end's own structure, for crash records. */
	void (*dump)(const struct hv_vcpu *v, void (*line)(void *ctx, const char *text), void *ctx);
};

extern const struct hv_ops *hv; /* the chosen back end */
extern struct hv_caps hv_caps;  /* of the boot CPU; the other cores agree, or are not used */

/* Chooses the back end by the boot CPU's features. ERR_UNSUPPORTED with a sentence. */
int hv_choose(const struct cpu_features *f, struct reason *why);

#endif
