/*
 * The boot loader's modules, by the strings of their module lines. They stay in memory for good, so
 * that a guest can be booted again.
 */
#ifndef GUESTS_MODULES_H
#define GUESTS_MODULES_H

#include "boot/info.h"
#include "guests/config.h"
#include "guests/load.h"

void modules_init(const struct boot_info *info);

/* ERR_NOT_FOUND with a sentence. */
int module_blob(const char *string, struct load_blob *out, struct reason *why);

/* Memory of an unpacked module. */
struct module_unpacked {
	struct hpa pa;
	unsigned order;
};

/* The same for a kernel: what was packed by gzip comes unpacked, at most `limit` bytes. The memory
 * for that goes to `memory`, and back by module_drop(), which is to be called after a success in
 * any case. Errors of gunzip_size, and ERR_NO_MEMORY. */
int module_kernel(const char *string, uint64_t limit, struct load_blob *out,
		  struct module_unpacked *memory, struct reason *why);
void module_drop(struct module_unpacked *memory);

/* For config_parse. */
extern const struct config_modules boot_modules;

#endif
