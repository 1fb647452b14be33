/*
 * A plug-in for QEMU's TCG that says how many instructions had been executed when the machine came
 * to certain places: the bench's stopwatch. The machine under test notices nothing: there is no
 * device to talk to, and no exit.
 *
 * Places are of two kinds:
 *
 *   - marker instructions: `nopl 0x5ee7NNNN(%rax)`, which does nothing at any privilege (16-bit
 * modes have no such one). Each time one is executed counts. Its name is "mark-" and NNNN in
 * decimal.
 *   - code that is recognised by its first bytes and its place in a page (code=NAME:OFFSET:HEX): an
 * image's entry point, without a change to the image. The first time counts.
 *
 * Each makes a line of the output file: its name and three numbers of instructions:
 *
 *   - executed since the machine was switched on,
 *   - the same and the time that the processor was halted, which is the machine's clock (with
 *     -icount shift=0 an instruction takes a nanosecond, and while the processor is halted the
 * clock jumps to the next event),
 *   - executed at addresses of a range (range=FIRST-END): the hypervisor's own.
 *
 * An instruction that faults or is intercepted is counted each time it is tried.
 *
 * With profile=FILE each instruction of the range has a count of its own, which are written at each
 * place: lines "NAME", then "ADDRESS COUNT" of all that are not 0.
 *
 * Arguments: out=FILE [code=NAME:OFFSET:HEX]... [range=FIRST-END] [profile=FILE]. For one virtual
 * CPU. Debian packs no qemu-plugin.h, so what is used of it stands below. Source: QEMU, "QEMU TCG
 * Plugins" (API version 1).
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- QEMU's interface ---- */

#define API_VERSION    1
#define CB_NO_REGS     0
#define INLINE_ADD_U64 0

typedef uint64_t plugin_id;
struct tb;
struct insn;

size_t qemu_plugin_tb_n_insns(const struct tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct tb *tb);
struct insn *qemu_plugin_tb_get_insn(const struct tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct insn *insn);
size_t qemu_plugin_insn_size(const struct insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct insn *insn);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*cb)(plugin_id, struct tb *));
void qemu_plugin_register_vcpu_insn_exec_cb(struct insn *insn, void (*cb)(unsigned, void *),
					    int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct insn *insn, int op, void *ptr, uint64_t imm);

__attribute__((visibility("default"))) int qemu_plugin_version = API_VERSION;

/* ---- what is counted ---- */

#define CODE_MAX   8
#define CODE_BYTES 64
#define CODE_MIN   6 /* bytes that must agree: as many as the first translation block has */
#define PAGE_MASK  0xfffu

struct place {
	char name[32];
	unsigned offset; /* in the page */
	uint8_t bytes[CODE_BYTES];
	size_t size;
	bool seen;
};

static struct place codes[CODE_MAX];
static unsigned code_count;
static uint64_t executed, own;
static uint64_t range_first, range_end;
static uint64_t *profile; /* for each byte of the range */
static FILE *out, *profile_out;

/* ---- the machine's clock ---- */

static int64_t (*icount_get)(void), (*icount_get_raw)(void);

/* QEMU knows the number of instructions of a running virtual CPU at certain points only, and ends
 * itself when it is asked at another; but what the clock is ahead of that number may be read by any
 * other thread, and does not change while the virtual CPU waits in a callback. */
static void *read_halted(void *result)
{
	*(int64_t *)result = icount_get() - icount_get_raw();
	return NULL;
}

static uint64_t halted(void)
{
	int64_t ns = 0;
	pthread_t thread;

	if (pthread_create(&thread, NULL, read_halted, &ns) || pthread_join(thread, NULL))
		abort();
	return (uint64_t)ns;
}

/* ---- places ---- */

static void write_profile(const char *name)
{
	fprintf(profile_out, "%s\n", name);
	for (uint64_t i = 0; i < range_end - range_first; i++)
		if (profile[i])
			fprintf(profile_out, "%llx %llu\n", (unsigned long long)(range_first + i),
				(unsigned long long)profile[i]);
	fflush(profile_out);
}

static void came_to(const char *name)
{
	uint64_t now = executed;

	fprintf(out, "%s %llu %llu %llu\n", name, (unsigned long long)now,
		(unsigned long long)(now + halted()), (unsigned long long)own);
	fflush(out);
	if (profile)
		write_profile(name);
}

static void at_code(unsigned cpu, void *data)
{
	struct place *place = data;

	(void)cpu;
	if (place->seen)
		return;
	place->seen = true;
	came_to(place->name);
}

static void at_marker(unsigned cpu, void *data)
{
	char name[32];

	(void)cpu;
	snprintf(name, sizeof(name), "mark-%u", (unsigned)(uintptr_t)data);
	came_to(name);
}

/* The bytes of a translation block, as many as there are and fit. */
static size_t block_bytes(const struct tb *tb, uint8_t *bytes)
{
	size_t size = 0;

	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		const struct insn *insn = qemu_plugin_tb_get_insn(tb, i);
		size_t n = qemu_plugin_insn_size(insn);

		if (size + n > CODE_BYTES)
			break;
		memcpy(bytes + size, qemu_plugin_insn_data(insn), n);
		size += n;
	}
	return size;
}

static void look_for_code(const struct tb *tb)
{
	uint8_t bytes[CODE_BYTES];
	size_t size = block_bytes(tb, bytes);

	for (unsigned i = 0; i < code_count; i++) {
		struct place *place = &codes[i];
		size_t n = size < place->size ? size : place->size;

		if (!place->seen && (qemu_plugin_tb_vaddr(tb) & PAGE_MASK) == place->offset &&
		    n >= CODE_MIN && !memcmp(bytes, place->bytes, n))
			qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(tb, 0),
							       at_code, CB_NO_REGS, place);
	}
}

static void look_for_marker(struct insn *insn)
{
	const uint8_t *b = qemu_plugin_insn_data(insn);

	if (qemu_plugin_insn_size(insn) == 7 && b[0] == 0x0f && b[1] == 0x1f && b[2] == 0x80 &&
	    b[5] == 0xe7 && b[6] == 0x5e)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, at_marker, CB_NO_REGS,
						       (void *)(uintptr_t)(b[3] | b[4] << 8));
}

static void translated(plugin_id id, struct tb *tb)
{
	(void)id;
	look_for_code(tb);
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t at = qemu_plugin_insn_vaddr(insn);

		qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, &executed, 1);
		if (at >= range_first && at < range_end) {
			qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, &own, 1);
			if (profile)
				qemu_plugin_register_vcpu_insn_exec_inline(
					insn, INLINE_ADD_U64, &profile[at - range_first], 1);
		}
		look_for_marker(insn);
	}
}

/* ---- arguments ---- */

static int bad(const char *what, const char *argument)
{
	fprintf(stderr, "marks: %s: %s\n", argument, what);
	return -1;
}

static int add_code(const char *value)
{
	struct place *place = &codes[code_count];
	int hex = 0;
	unsigned byte;

	if (code_count == CODE_MAX ||
	    sscanf(value, "%31[^:]:%x:%n", place->name, &place->offset, &hex) != 2 || !hex)
		return bad("not NAME:OFFSET:HEX, or one too many", value);
	for (value += hex; place->size < CODE_BYTES && isxdigit((unsigned char)value[0]) &&
			   isxdigit((unsigned char)value[1]) && sscanf(value, "%2x", &byte) == 1;
	     value += 2)
		place->bytes[place->size++] = (uint8_t)byte;
	if (*value || place->size < CODE_MIN)
		return bad("not 6 to 64 bytes in hexadecimal", value);
	code_count++;
	return 0;
}

static int add_range(const char *value)
{
	unsigned long long first, end;

	if (sscanf(value, "%llx-%llx", &first, &end) != 2 || first >= end)
		return bad("not FIRST-END", value);
	range_first = first;
	range_end = end;
	return 0;
}

static int add_file(FILE **file, const char *path)
{
	*file = fopen(path, "w");
	return *file ? 0 : bad("cannot be written", path);
}

static int add_argument(const char *argument)
{
	if (!strncmp(argument, "out=", 4))
		return add_file(&out, argument + 4);
	if (!strncmp(argument, "code=", 5))
		return add_code(argument + 5);
	if (!strncmp(argument, "range=", 6))
		return add_range(argument + 6);
	if (!strncmp(argument, "profile=", 8))
		return add_file(&profile_out, argument + 8);
	return bad("unknown argument", argument);
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info,
							       int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++)
		if (add_argument(argv[i]))
			return -1;
	if (!out)
		return bad("missing", "out=FILE");
	if (profile_out) {
		profile = calloc(range_end - range_first + 1, sizeof(*profile));
		if (!profile)
			return bad("no memory", "profile");
	}
	icount_get = (int64_t(*)(void))dlsym(RTLD_DEFAULT, "icount_get");
	icount_get_raw = (int64_t(*)(void))dlsym(RTLD_DEFAULT, "icount_get_raw");
	if (!icount_get || !icount_get_raw)
		return bad("not in this QEMU", "icount_get");
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
