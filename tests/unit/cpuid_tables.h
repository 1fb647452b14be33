/*
 * What CPUID answers on some machines, as tables: use() chooses one, row() changes it,
 * table_cpuid() answers by it.
 */
#ifndef TESTS_UNIT_CPUID_TABLES_H
#define TESTS_UNIT_CPUID_TABLES_H

#include <string.h>

#include "arch/x86/features.h"

struct row {
	uint32_t leaf, subleaf;
	struct cpuid_regs r;
};

/* qemu-system-x86_64 7.2 -cpu EPYC,+svm,+npt */
static const struct row qemu_epyc[] = {
	{0x0, 0, {0xd, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x1, 0, {0x00800f12, 0x05000800, 0xf6d8320b, 0x078bfbfd}},
	{0x6, 0, {0x4, 0, 0, 0}},
	{0x7, 0, {0, 0x009801a9, 0, 0}},
	{0xb, 0, {0, 1, 0x100, 5}},
	{0xd, 0, {0x7, 0x240, 0x340, 0}},
	{0xd, 1, {0x5, 0x340, 0, 0}},
	{0xd, 2, {0x100, 0x240, 0, 0}},
	{0x80000000, 0, {0x8000001e, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x80000001, 0, {0x00800f12, 0, 0x00000075, 0x2dd3fbfd}},
	{0x80000002, 0, {0x20444d41, 0x43595045, 0x6f725020, 0x73736563}},
	{0x80000003, 0, {0x0000726f, 0, 0, 0}},
	{0x80000008, 0, {0x00003028, 0, 0, 0}},
	{0x8000000a, 0, {0x1, 0x10, 0, 0x1}},
};

/* qemu-system-x86_64 7.2 -cpu max: MPX state, which the hypervisor does not switch, lies in between
 */
static const struct row qemu_max[] = {
	{0x0, 0, {0xd, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x1, 0, {0x00060fb1, 0x00000800, 0xf6d8320b, 0x0fcbfbfd}},
	{0x6, 0, {0x4, 0, 0, 0}},
	{0x7, 0, {0, 0x01d843a9, 0x8001020c, 0}},
	{0xb, 0, {0, 1, 0x100, 0}},
	{0xd, 0, {0x21f, 0x240, 0xa88, 0}},
	{0xd, 1, {0x5, 0x3c8, 0, 0}},
	{0xd, 2, {0x100, 0x240, 0, 0}},
	{0xd, 3, {0x40, 0x3c0, 0, 0}},
	{0xd, 4, {0x40, 0x400, 0, 0}},
	{0xd, 9, {0x8, 0xa80, 0, 0}},
	{0x80000000, 0, {0x8000000a, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x80000001, 0, {0x00060fb1, 0, 0x00000075, 0xedd3fbfd}},
	{0x80000002, 0, {0x554d4551, 0x47435420, 0x55504320, 0x72657620}},
	{0x80000003, 0, {0x6e6f6973, 0x352e3220, 0x0000002b, 0}},
	{0x80000008, 0, {0x00003928, 0, 0, 0}},
	{0x8000000a, 0, {0x1, 0x10, 0, 0x10010001}},
};

/* An Intel server: x2APIC id above 255, TSC-deadline, AVX-512, PKRU, AMX (not switched), leaf 15h,
 * a brand padded on the left. */
static const struct row intel_server[] = {
	{0x0, 0, {0x20, 0x756e6547, 0x6c65746e, 0x49656e69}},
	{0x1, 0, {0x000806f8, 0x2a400800, 0x77fefbff, 0xbfebfbff}},
	{0x6, 0, {0x000077f7, 0x2, 0x9, 0}},
	{0x7, 0, {0x2, 0xf3bfbfff, 0xfb415ffe, 0xffdd4432}},
	{0xb, 0, {0x1, 0x2, 0x100, 0x12a}},
	{0xd, 0, {0x602e7, 0x2b00, 0x2b00, 0}},
	{0xd, 1, {0x1f, 0x2a30, 0x1900, 0}},
	{0xd, 2, {0x100, 0x240, 0, 0}},
	{0xd, 5, {0x40, 0x440, 0, 0}},
	{0xd, 6, {0x200, 0x480, 0, 0}},
	{0xd, 7, {0x400, 0x680, 0, 0}},
	{0xd, 9, {0x8, 0xa80, 0, 0}},
	{0xd, 17, {0x40, 0xac0, 2, 0}},
	{0xd, 18, {0x2000, 0xb00, 6, 0}},
	{0x15, 0, {0x2, 0xa8, 0x17d7840, 0}},
	{0x16, 0, {0x834, 0xed8, 0x64, 0}},
	{0x80000000, 0, {0x80000008, 0, 0, 0}},
	{0x80000001, 0, {0, 0, 0x121, 0x2c100800}},
	{0x80000002, 0, {0x20202020, 0x65746e49, 0x2952286c, 0x6f655820}},
	{0x80000003, 0, {0x2952286e, 0x616c5020, 0x756e6974, 0x2020206d}},
	{0x80000007, 0, {0, 0, 0, 0x100}},
	{0x80000008, 0, {0x3934, 0x200, 0, 0}},
};

static struct row table[64];
static size_t rows;

static struct cpuid_regs table_cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs none = {0};

	for (size_t i = 0; i < rows; i++)
		if (table[i].leaf == leaf && table[i].subleaf == subleaf)
			return table[i].r;
	return none;
}

static struct cpuid_regs *row(uint32_t leaf, uint32_t subleaf)
{
	for (size_t i = 0; i < rows; i++)
		if (table[i].leaf == leaf && table[i].subleaf == subleaf)
			return &table[i].r;
	table[rows].leaf = leaf;
	table[rows].subleaf = subleaf;
	return &table[rows++].r;
}

#define use(t)                                   \
	do {                                     \
		memset(table, 0, sizeof(table)); \
		memcpy(table, t, sizeof(t));     \
		rows = ARRAY_SIZE(t);            \
	} while (0)

#endif
