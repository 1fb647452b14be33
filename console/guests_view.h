/*
 * What the console knows of guests: all that its commands show and do goes through here, so that
 * the console is built and tested without virtual machines. Boot CPU only.
 */
#ifndef CONSOLE_GUESTS_VIEW_H
#define CONSOLE_GUESTS_VIEW_H

#include "arch/x86/cpu.h"
#include "arch/x86/hv.h"
#include "guests/config.h"
#include "guests/exit_ring.h"
#include "lib/reason.h"
#include "lib/types.h"

struct vm;

enum guest_state {
	GUEST_CREATED,
	GUEST_RUNNING,
	GUEST_PAUSED,
	GUEST_STOPPED,
	GUEST_CRASHED,
	GUEST_WAITING, /* boots again by itself soon */
};

#define GUEST_VIEW_VCPUS 16 /* vCPUs whose core is shown */
#define GUEST_NO_CPU     UINT32_MAX

struct guest_view {
	char name[CONFIG_NAME_MAX];
	enum guest_state state;
	uint64_t memory, overhead; /* bytes: RAM, and what the guest costs beyond it */
	uint64_t limit, reserve;   /* bytes; limit CONFIG_NO_LIMIT: none */
	struct cpu_set affinity;
	enum config_then on_crash, on_reset;
	uint64_t held;          /* bytes of the machine's memory that it has now */
	uint64_t restarts;      /* since it was made known */
	uint64_t restart_in_ns; /* GUEST_WAITING: until it boots again */
	uint32_t vcpus;
	bool has_status; /* it ended itself by the debug-exit port */
	uint32_t status;
	char reason[240]; /* why it stands still; empty: there is nothing to say */
	enum config_serial serial;
	enum config_boot boot;
	bool has_crash;                 /* guest_crash() has something to show */
	uint64_t uptime_ns;             /* guest time since it was started */
	uint32_t cpu[GUEST_VIEW_VCPUS]; /* index of the core that a vCPU runs on, or GUEST_NO_CPU */
};

struct guest_stats { /* of one vCPU */
	uint64_t exits[EXIT_KIND_COUNT];
	uint64_t run_ns;   /* time inside the guest */
	uint64_t injected; /* interrupts and exceptions delivered */
};

enum guest_action {
	ACTION_START,
	ACTION_PAUSE,
	ACTION_RESUME,
	ACTION_STOP,
	ACTION_POWER_BUTTON,
	ACTION_RESET,
	ACTION_DESTROY,
};

#define SCREEN_ROWS    25
#define SCREEN_COLUMNS 80

/* Guests stay known until the machine ends. */
struct vm *guest_next(struct vm *prev); /* NULL: the first; NULL again after the last */
struct vm *guest_find(const char *name);
const char *guest_name(const struct vm *vm);
void guest_look(struct vm *vm, struct guest_view *out);
const char *guest_state_name(enum guest_state state);

/* Returns 0, or a negative error with a sentence. A destroyed guest is known still, as
 * GUEST_CREATED. */
int guest_act(struct vm *vm, enum guest_action action, struct reason *why);

/* ERR_NOT_FOUND beyond the last vCPU. */
int guest_stats(struct vm *vm, unsigned vcpu, struct guest_stats *out);

/* One exit of a vCPU. */
struct guest_exit {
	uint64_t number;  /* counted from the vCPU's first */
	uint64_t time_ns; /* since the machine was started, as in the log */
	struct exit_record record;
};

/* The exits from number *from on that are kept, at most `n`, oldest first: how many, or
 * ERR_NOT_FOUND where there is no such vCPU. *lost is how many from there on were overwritten;
 * *from becomes the number behind the last one. The guest goes on meanwhile. */
int guest_exits(struct vm *vm, unsigned vcpu, uint64_t *from, struct guest_exit *out, unsigned n,
		uint64_t *lost);
/* The number of the next exit, or ERR_NOT_FOUND. */
int guest_exits_end(struct vm *vm, unsigned vcpu, uint64_t *next);

/* The guest's function at `rip`, such as "main+0x12", or NULL. Returns buf. */
const char *guest_symbol(struct vm *vm, uint64_t rip, char *buf, size_t size);

/* The characters of the VGA text screen, row after row. ERR_NOT_FOUND while there is no RAM. */
int guest_screen(struct vm *vm, char out[SCREEN_ROWS * SCREEN_COLUMNS]);

/* Serial port. While the console listens, no output is lost: the guest waits when it is not read.
 * Else only the last output is kept. Listening begins with what is sent from now on. */
void guest_listen(struct vm *vm, bool on);
size_t guest_read(struct vm *vm, uint8_t *buf, size_t n); /* output, while listening */
size_t guest_unread(struct vm *vm); /* bytes that guest_read() would still give */
size_t guest_write(struct vm *vm, const uint8_t *buf,
		   size_t n);                                /* input; returns what was accepted */
size_t guest_history(struct vm *vm, uint8_t *buf, size_t n); /* last output, oldest byte first */

#ifdef SKERRY_DEBUG
/* The guest's vCPU has the fault of that kind (a string that stays) in its core's loop; "guest": an
 * invariant of its own breaks. */
void guest_provoke(struct vm *vm, const char *kind);
#endif

/* The crash record of a guest, line by line. ERR_NOT_FOUND: it has none. */
int guest_crash(struct vm *vm, void (*line)(void *ctx, const char *text), void *ctx);

/* What the machine's exit status would be now. */
enum machine_status guests_machine_status(void);

#endif
