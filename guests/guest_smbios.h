/*
 * The SMBIOS tables of a guest: what the machine is called, its processors and its memory. Pure.
 */
#ifndef GUESTS_GUEST_SMBIOS_H
#define GUESTS_GUEST_SMBIOS_H

#include "lib/reason.h"
#include "mm/gmem.h"

#define SMBIOS_ANCHOR_SIZE 31

struct smbios_info {
	const char *guest;   /* its name */
	const char *version; /* of the hypervisor */
	unsigned n_vcpus;
	uint64_t memory; /* bytes */
};

struct smbios_tables {
	uint8_t *data;
	uint32_t room;
	uint32_t size;    /* bytes used */
	uint32_t largest; /* structure, in bytes */
	uint32_t count;   /* structures */
};

/* A guest's UUID follows from its name: it is the same each time, and differs from other guests'.
 * In the order of bytes that SMBIOS and firmware use. */
void smbios_uuid(const char *guest, uint8_t uuid[16]);

/* Fills `t`, whose `data` and `room` are given; ERR_RANGE: not enough room. */
int smbios_build(struct smbios_tables *t, const struct smbios_info *info) __must_check;

/* The entry point for tables that lie at guest-physical `address`. */
void smbios_anchor(uint8_t anchor[SMBIOS_ANCHOR_SIZE], const struct smbios_tables *t,
		   uint32_t address);

/* Builds both in the guest's memory at 0xF0000, where systems look for them. For guests without
 * firmware, which would do it. */
int guest_smbios_build(struct gmem *mem, const struct smbios_info *info,
		       struct reason *why) __must_check;

#endif
