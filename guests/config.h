/*
 * The configuration: one JSON file that says what guests there are. Pure: parsing works on a buffer
 * and on the list of module names, touches nothing else, and refuses with a sentence.
 *
 * The schema, its defaults, units and character sets are documented in docs/guide.md.
 */
#ifndef GUESTS_CONFIG_H
#define GUESTS_CONFIG_H

#include "guests/load.h"
#include "guests/vdev/vfwcfg.h"
#include "lib/reason.h"
#include "lib/types.h"
#include "sched/cpu_set.h"

#define CONFIG_MAX_GUESTS   64
#define CONFIG_MAX_MODULES  8   /* boot modules of one multiboot or PVH guest */
#define CONFIG_MAX_FW_FILES 8   /* files that the administrator adds to fw_cfg */
#define CONFIG_NAME_MAX     32  /* with the ending zero */
#define CONFIG_STRING_MAX   128 /* module strings, with the ending zero */
#define CONFIG_CMDLINE_MAX  2048
#define CONFIG_NO_LIMIT     UINT64_MAX

enum config_when_idle {
	WHEN_IDLE_SHELL,
	WHEN_IDLE_POWEROFF,
};

enum config_serial {
	SERIAL_RING,    /* kept in memory only */
	SERIAL_CONSOLE, /* also shown on the host's port while unattached, with the guest's name */
};

/* When the guest crashed, or reset itself. */
enum config_then {
	THEN_STOP,
	THEN_RESTART,
};

enum config_boot {
	BOOT_LINUX,
	BOOT_MULTIBOOT,
	BOOT_PVH,
	BOOT_FIRMWARE,
};

/* A boot module that a guest is given. */
struct config_module {
	char file[CONFIG_STRING_MAX];   /* module string of the boot loader */
	char string[CONFIG_STRING_MAX]; /* what the guest is told with it */
};

struct guest_config {
	char name[CONFIG_NAME_MAX];
	uint64_t memory;         /* bytes, a multiple of 2 MiB */
	uint64_t limit;          /* bytes of the machine's memory that it may cost at most */
	uint64_t reserve;        /* bytes that are kept for it at all times; at most `limit` */
	struct cpu_set affinity; /* CPUs that may run it */
	uint32_t vcpus;
	bool autostart;
	enum config_then on_crash, on_reset;
	enum config_serial serial;
	enum config_boot boot;
	char firmware[CONFIG_STRING_MAX]; /* module string of the ROM's image */
	char kernel[CONFIG_STRING_MAX];   /* of any kernel; empty: none, with firmware */
	char initrd[CONFIG_STRING_MAX];   /* of a bzImage; empty: none */
	enum linux_entry entry;           /* of a bzImage */
	struct config_module modules[CONFIG_MAX_MODULES];
	uint32_t n_modules;
	char cmdline[CONFIG_CMDLINE_MAX];
	char fw_name[CONFIG_MAX_FW_FILES][VFWCFG_NAME_MAX];   /* files of fw_cfg, ... */
	char fw_file[CONFIG_MAX_FW_FILES][CONFIG_STRING_MAX]; /* and the modules that they are */
	uint32_t n_fw_files;
	bool debug_exit;                 /* port 0xf4 is there */
	char symbols[CONFIG_STRING_MAX]; /* names of its functions; empty: none */
	bool test_device;                /* the PCI test device is there */
};

struct config {
	char console_port[8]; /* "com1" to "com4", "none" */
	uint32_t console_baud;
	char attach[CONFIG_NAME_MAX]; /* guest attached at boot; empty: the shell */
	enum config_when_idle when_idle;
	uint32_t n_guests; /* good ones, in the file's order */
	uint32_t n_refused;
	struct guest_config guests[CONFIG_MAX_GUESTS];
};

/* Answers whether a module with this string was loaded. */
struct config_modules {
	void *ctx;
	bool (*exists)(void *ctx, const char *string);
};

/* Called once for each thing that is wrong, with one whole sentence (naming the guest, if any). */
typedef void config_complain(void *ctx, const char *sentence);

/*
 * Parses `len` bytes of JSON into `out` (large: not on a stack). A fault outside any guest (not
 * JSON, unknown key, wrong type) is ERR_INVALID, and `out` holds the defaults and no guest; a fault
 * in a guest drops that guest only (n_refused) and the others are kept. A console.attach that names
 * a dropped guest becomes empty. Every fault is told to `complain`. Returns 0 or ERR_INVALID.
 */
int config_parse(const char *json, size_t len, const struct config_modules *modules,
		 struct config *out, config_complain *complain, void *ctx);

#endif
