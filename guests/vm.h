/*
 * Virtual machines and their virtual CPUs.
 *
 * Life cycle. All commands and all changes of a guest's state are made on the boot CPU, by its main
 * loop (console commands, and vms_poll() for what guests did themselves): so no lock is needed for
 * them. A guest never changes its own state: its vCPU notes what it wants (struct vm_ending),
 * stops, and asks the boot CPU to look.
 *
 * Locking of fields, in short tags:
 *   [c]  constant after creation
 *   [b]  boot CPU's main loop only
 *   [v]  the core that runs the vCPU; anybody while it is parked
 *   [m]  machine.lock
 *   [a]  atomic
 */
#ifndef GUESTS_VM_H
#define GUESTS_VM_H

#include "arch/x86/fpu.h"
#include "arch/x86/hv.h"
#include "guests/config.h"
#include "guests/cpu_model.h"
#include "guests/exit_ring.h"
#include "guests/guest_symbols.h"
#include "guests/insn.h"
#include "guests/guest_fwcfg.h"
#include "guests/load.h"
#include "guests/machine.h"
#include "guests/pvclock.h"
#include "guests/restart.h"
#include "guests/serial.h"
#include "guests/vdev/vlapic.h"
#include "mm/quota.h"
#include "mm/slpt.h"
#include "sched/sched.h"
#include "sched/timer.h"

#define VM_MAX_VCPUS 1

#define MSR_TSC_ADJUST 0x03bu

enum vm_state {
	VM_CREATED, /* known, holds no memory */
	VM_RUNNING,
	VM_PAUSED,
	VM_STOPPED, /* ended; its memory is kept for inspection */
	VM_CRASHED, /* likewise, and something went wrong */
	VM_WAITING, /* will boot again by itself, after a delay */
};

/* What other cores and interrupt handlers ask of a vCPU; taken before each entry. */
enum vcpu_request {
	REQ_TIMER = BIT32(0),     /* a timer of its APIC or of the machine may be due */
	REQ_INTERRUPT = BIT32(1), /* its APIC was posted to, or the 8259's output changed */
	REQ_SERIAL = BIT32(2),    /* input was typed, or there is room for output */
	REQ_PARK = BIT32(3),      /* leave the guest and stay out until released */
	REQ_NMI = BIT32(4),
	REQ_HALTED = BIT32(5), /* its own: it waits for an event */
};

struct vcpu {
	struct hv_vcpu hv; /* [v] */
	struct vm *vm;     /* [c] */
	uint32_t id;       /* [c] also the APIC ID */
	uint32_t requests; /* [a] enum vcpu_request */
	struct vlapic *lapic;
	struct vlapic_host lapic_host; /* [c] */
	struct sched_entity sched;
	struct timer timer; /* armed for the earliest deadline, on the core that it belongs to */
	uint64_t armed_deadline;   /* [v] guest ns that `timer` is armed for */
	uint64_t machine_deadline; /* [v] of the machine, when it was last looked at */
	uint64_t lapic_deadline;   /* [v] of the APIC, likewise */

	bool halted;            /* [v] in HLT, waiting for an interrupt; REQ_HALTED is set then */
	bool nmi_pending;       /* [v] */
	bool pic_int;           /* [a] the 8259s' output; of vCPU 0 */
	bool look;              /* [v] choose anew what the next entry delivers */
	bool parked;            /* [a] stays out of the guest */
	uint32_t fault_repeats; /* [v] second-level faults at fault_gpa that should not be */
	uint64_t fault_gpa;     /* [v] */

	uint64_t xcr0; /* [v] guest's, while not loaded */
	struct fpu_area *fpu;
	uint64_t dr[4];      /* [v] DR0 to DR3, while not loaded */
	uint64_t tsc_adjust; /* [v] IA32_TSC_ADJUST */
	uint64_t tsc_aux;    /* [v] */
	uint64_t mtrr_def; /* [v] MTRRs are stored and read back; memory types are the hypervisor's
			    */
	uint64_t mtrr_fixed[11], mtrr_var[16];
	uint64_t pv_time_msr, pv_wall_msr; /* [v] */
	struct emul_cache *emul_cache;
	struct emul_host emul_host; /* [c] */
	struct emul emul;           /* [v] */

	uint64_t exits[EXIT_KIND_COUNT]; /* [v] read by anybody */
	uint64_t injected;               /* [v] */
	uint64_t run_ticks;     /* [v] TSC ticks on cores, without the present turn; atomic */
	uint64_t running_since; /* [v] that turn's begin; 0: it has none; atomic */
	struct exit_ring ring;  /* [v] read by anybody */
};

/* How a guest ended, noted by a vCPU for the boot CPU. */
enum vm_end_kind {
	VM_END_NONE,
	VM_END_OFF,  /* power off, or halted for good */
	VM_END_EXIT, /* debug-exit port: `status` */
	VM_END_RESET,
	VM_END_CRASH, /* triple fault, failed entry, an instruction that cannot be emulated, … */
};

struct vm_ending {
	uint32_t claimed; /* [a] 1: somebody writes it; the first one counts */
	uint32_t kind;    /* [a] enum vm_end_kind, set when the rest is written */
	uint32_t status;  /* of VM_END_EXIT */
	struct reason reason;
};

struct vm {
	const struct guest_config *config; /* [c] */
	enum vm_state state;               /* [b] */
	struct vm *next;                   /* [c] list of all guests */
	struct hv_vm hv;
	struct slpt slpt;
	struct gmem mem;
	struct guest_fwcfg *fwcfg; /* [b] items that machine.fwcfg shows */
	struct cpu_model model;    /* [c] */
	struct machine machine;    /* [m] */
	struct vdev_host vdev_host;
	struct serial_port serial;
	struct vcpu *vcpus[VM_MAX_VCPUS];
	uint32_t n_vcpus;
	bool has_resources; /* [b] memory and vCPUs exist */

	/* the guest's clock: guest time 0 is at `clock_base` of the boot CPU's TSC; stands at
	 * `clock_frozen` ticks while the guest is not running */
	uint64_t clock_base; /* [v] changed only while all vCPUs are parked */
	uint64_t clock_frozen;
	uint64_t wall_at_zero; /* seconds since 1970 at guest time 0 */

	struct vm_ending ending;
	bool has_status;               /* [b] it ended by the debug-exit port */
	uint32_t status;               /* [b] */
	struct reason reason;          /* [b] why it stands still */
	uint64_t resets;               /* [b] */
	struct quota quota;            /* [b] */
	struct restart_policy restart; /* [b] */
	uint64_t restart_at;           /* [b] uptime in ns at which VM_WAITING ends */
	struct timer restart_timer;    /* wakes the boot CPU then */
	uint64_t overhead;             /* bytes beyond its RAM */

	struct guest_symbols symbols; /* [b] of vm_symbols.c */
	bool symbols_read;            /* [b] */
};

/* ---- vm.c: life cycle; boot CPU's main loop only ---- */

/* Makes the guests of the configuration known. Returns 0 or ERR_NO_MEMORY. */
int vms_init(const struct config *config, struct reason *why);

/* Starts those with autostart; each refusal is logged as one sentence, and counted. */
void vms_autostart(void);

/* Carries out what guests noted: power off, reset, crash. Called by the boot CPU's main loop. */
void vms_poll(void);

/* True once no guest is running, paused or waiting. */
bool vms_idle(void);

struct vm *vm_next(struct vm *prev); /* NULL: the first; NULL again after the last */
struct vm *vm_find(const char *name);
const char *vm_state_name(enum vm_state state);

/* Each returns 0, or ERR_STATE and others with one sentence. */
int vm_start(struct vm *vm, struct reason *why);
int vm_pause(struct vm *vm, struct reason *why);
int vm_resume(struct vm *vm, struct reason *why);
int vm_stop(struct vm *vm, struct reason *why);         /* at once: pulls the plug */
int vm_reset(struct vm *vm, struct reason *why);        /* boots it again */
int vm_destroy(struct vm *vm, struct reason *why);      /* stops it and frees all that it holds */
int vm_power_button(struct vm *vm, struct reason *why); /* asks its system to shut down */

/* Guests refused or failed so far: what the machine's exit status is made of. */
struct vms_verdict {
	uint32_t refused; /* could not be started */
	uint32_t failed;  /* crashed, or ended with a status other than 0 */
};
extern struct vms_verdict vms_verdict;

/* ---- vm_memory.c ---- */

/* Keeps aside what the guest's configuration reserves; once, before any guest is created. */
int vm_memory_reserve(struct vm *vm, struct reason *why);
int vm_memory_create(struct vm *vm, struct reason *why);
/* Books `bytes` that the guest costs beyond its RAM. */
int vm_memory_charge(struct vm *vm, uint64_t bytes, struct reason *why);
void vm_memory_destroy(struct vm *vm); /* twice is fine; ends all bookings, too */

/* ---- vm_symbols.c ---- */

/* The function at `rip`, such as "main+0x12", or NULL where none is known. Returns buf. */
const char *vm_symbol(struct vm *vm, uint64_t rip, char *buf, size_t size);
void vm_symbols_forget(struct vm *vm); /* gives the memory back; the next look reads them anew */

/* ---- clock: guest time ---- */

uint64_t vm_clock_ns(const struct vm *vm); /* now */
/* What the TSC of `cpu` shows at guest time `ns`; TIME_NEVER for what is centuries away. */
uint64_t vm_clock_host_tsc(const struct vm *vm, const struct percpu *cpu, uint64_t ns);
/* What a guest's TSC without its own adjustment has more than that of `cpu`. */
uint64_t vm_clock_tsc_offset(const struct vm *vm, const struct percpu *cpu);
void vm_clock_start(struct vm *vm, uint64_t ticks); /* goes on from guest time `ticks` */
void vm_clock_stop(struct vm *vm);

/* ---- vcpu.c: any core ---- */

struct vcpu *vcpu_create(struct vm *vm, uint32_t id, struct percpu *cpu, struct reason *why);
void vcpu_destroy(struct vcpu *v); /* parked; NULL is fine */
int vcpu_reset(struct vcpu *v, const struct guest_entry *entry, struct reason *why);
void vcpu_tsc_changed(struct vcpu *v); /* clock base or TSC_ADJUST have new values */

/* Sets request bits and makes the vCPU look. Any core, any context but NMI. */
void vcpu_request(struct vcpu *v, uint32_t bits);

/* Makes the vCPU leave the guest, and waits until it has. */
void vcpu_park(struct vcpu *v);
void vcpu_release(struct vcpu *v);

/* Runs vCPUs on this core for ever. `work` is called between them, with interrupts on, when
 * CORE_CONSOLE was asked of this core; NULL on all but the boot CPU. */
void core_main(void (*work)(void)) __noreturn;

/* ---- vm_firmware.c ---- */

/* Memory for the items of the firmware configuration device. */
int vm_firmware_create(struct vm *vm, struct reason *why);

/* Makes the items of the firmware configuration device; the ACPI tables are in the guest's RAM
 * already. */
int vm_firmware_build(struct vm *vm, struct reason *why);
void vm_firmware_free(struct vm *vm);
void vm_smbios_info(const struct vm *vm, struct smbios_info *out);

/* ---- wiring (vm_wiring.c): what devices and APICs ask of the machine's surroundings ---- */

void vm_wire(struct vm *vm);
void vcpu_wire(struct vcpu *v);

/* Notes how the guest ends; its vCPU stops at the next opportunity. The first one counts. */
void vm_end(struct vm *vm, enum vm_end_kind kind, uint32_t status, const char *fmt, ...)
	__printf(4, 5);

/* ---- exits.c, msr.c ---- */

enum run_outcome {
	RUN_CONTINUE,  /* enter the guest again */
	RUN_PREEMPTED, /* runnable, but the core is wanted */
	RUN_HALTED,    /* waits for an interrupt */
	RUN_PARKED,
};

/* Binds the emulator to the vCPU, once. */
void vcpu_init_emulation(struct vcpu *v);

/* Arms the host timer when the earliest deadline has changed; after all that may move one. */
void vcpu_rearm(struct vcpu *v);

static inline void vcpu_update_timer(struct vcpu *v)
{
	uint64_t deadline = v->lapic->deadline;

	/* the machine's devices are served by vCPU 0 */
	if (v->id == 0)
		deadline = MIN(deadline, v->vm->machine.deadline);
	if (unlikely(deadline != v->armed_deadline))
		vcpu_rearm(v);
}

enum run_outcome vcpu_handle_exit(struct vcpu *v, const struct vm_exit *exit);

/*
 * An interrupt waits for the shadow of an STI to end, and the instruction in that shadow is nearly
 * always HLT. If it is, it does nothing but end the shadow: this moves over it and answers true.
 * That saves an entry and an exit. And QEMU's TCG, which forgets the shadow at VMRUN, would deliver
 * the interrupt before the HLT, which would then sleep for good.
 */
bool vcpu_pass_halt(struct vcpu *v);

/* A write to CR0, CR4 or CR8 (control_regs.c). True: it is done, and the instruction of that length
 * is to be moved over. */
bool vcpu_write_control_reg(struct vcpu *v, const struct vm_exit *exit, unsigned *length);

/* Gives the processor the four upper entries of PAE paging from memory. False: #GP, because one is
 * malformed. */
bool vcpu_load_pdptes(struct vcpu *v);

/* A hardware task switch (task_switch_exit.c). */
void vcpu_task_switch(struct vcpu *v, const struct vm_exit *exit);

/* How long the vCPU was on a core so far, in TSC ticks. Any core may ask. */
uint64_t vcpu_run_ticks(const struct vcpu *v);

/* RDMSR and WRMSR of the guest. False: #GP. */
void vcpu_reset_mtrrs(struct vcpu *v); /* as firmware would leave them */
bool vcpu_rdmsr(struct vcpu *v, uint32_t msr, uint64_t *value);
bool vcpu_wrmsr(struct vcpu *v, uint32_t msr, uint64_t value);

/* Lets the MSRs through that the hardware switches with the guest. */
void vm_allow_msrs(struct vm *vm);

/* Has something to do besides HLT. */
bool vcpu_has_event(struct vcpu *v);
void vcpu_inject_exception(struct vcpu *v, uint8_t vector, bool has_error, uint32_t error);

/* crash.c: registers, the last exits and the reason, to the log. */
void vcpu_crash_record(struct vcpu *v);

#endif
