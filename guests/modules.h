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

/* For config_parse. */
extern const struct config_modules boot_modules;

#endif
