/*
 * Which memory a dump has, and its way to the console, piece by piece. Memory that changes while
 * the dump is sent is as it was when its page's turn came; a living core's registers and stack are
 * of one moment, the dump's begin.
 *
 * Owns the one dump that there can be at a time. Locking: none, see dump.h. Privileged.
 */
#include "console/dump.h"

#include "arch/x86/cpu.h"
#include "arch/x86/sample.h"
#include "console/build_id.h"
#include "console/dump_armour.h"
#include "console/dump_core.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "mm/heap.h"
#include "mm/hostmap.h"

#include <lz4.h>

#define BLOCK_PAGES 8u /* of a record, at most */
#define BLOCK_BYTES (BLOCK_PAGES * PAGE_SIZE)
#define STEP_PAGES  512u /* looked at in one step: pages of zeros are not sent */
#define LINE_BYTES  128u

typedef unsigned long long ull;

extern const uint8_t image_rodata_end[], image_end[], no_dump_start[], no_dump_end[];

static struct dump_segment segments[DUMP_MAX_SEGMENTS] __no_dump;
static uint8_t block[BLOCK_BYTES] __no_dump;
static uint8_t packed[LZ4_COMPRESSBOUND(BLOCK_BYTES)] __no_dump;
static LZ4_stream_t lz4_state __no_dump;
static struct cpu_sample *samples[DUMP_MAX_CPUS] __no_dump;

static struct {
	bool active, emergency;
	uint64_t id;
	const struct trap_frame *here; /* emergency: where this core was */
	struct dump_core core;
	struct armour armour;
	uint64_t at, size;   /* of the file */
	uint64_t pages_lost; /* there was no room for more segments */
	uint64_t sent;       /* pages */
	unsigned progress;   /* tenths that were said */
	char text[256];
} d;

/* ---- what it consists of ---- */

static void add(uint64_t va, uint64_t end)
{
	struct dump_segment *last = &segments[d.core.n_segments - (d.core.n_segments > 0)];

	va = ALIGN_DOWN(va, PAGE_SIZE);
	end = ALIGN_UP(end, PAGE_SIZE);
	if (va >= end)
		return;
	if (d.core.n_segments && last->va + last->size == va)
		last->size += end - va;
	else if (d.core.n_segments < DUMP_MAX_SEGMENTS)
		segments[d.core.n_segments++] = (struct dump_segment){va, end - va};
	else
		d.pages_lost += (end - va) >> PAGE_SHIFT;
}

static void add_frames(uint32_t owners)
{
	uint64_t start = 0, end;

	for (; frames_next_run(owners, &start, &end); start = end)
		add((uint64_t)phys_to_virt(HPA(start)), (uint64_t)phys_to_virt(HPA(end)));
}

/* The most telling first, in case the line ends early. */
static void choose_segments(bool guests)
{
	uint32_t owners = BIT32(FRAME_HEAP) | BIT32(FRAME_HYPERVISOR);

	d.core.n_segments = 0;
	for (uint32_t i = 0; i < n_cpus; i++)
		for (unsigned s = 0; s < ARRAY_SIZE(percpus[i]->stacks); s++)
			add(percpus[i]->stacks[s].bottom, percpus[i]->stacks[s].top);
	add((uint64_t)image_rodata_end, (uint64_t)no_dump_start);
	add((uint64_t)no_dump_end, (uint64_t)image_end);
	if ((uint64_t)log_memory() < (uint64_t)image_rodata_end)
		add((uint64_t)log_memory(), (uint64_t)log_memory() + LOG_BYTES);
	if (guests)
		owners |= BIT32(FRAME_GUEST_RAM) | BIT32(FRAME_GUEST_TABLE);
	add_frames(owners);
}

static const struct trap_frame *registers_of(void *ctx, uint32_t i)
{
	(void)ctx;
	if (!d.emergency)
		return samples[i] && samples[i]->taken ? &samples[i]->regs : NULL;
	if (i == this_cpu()->index)
		return d.here;
	return __atomic_load_n(&percpus[i]->stopped_at, __ATOMIC_ACQUIRE);
}

/* Puts a sampled stack's bytes over those that the page has now. */
static void overlay(uint64_t va, uint8_t *page)
{
	for (uint32_t i = 0; i < d.core.n_cpus; i++) {
		const struct cpu_sample *s = d.emergency ? NULL : samples[i];
		uint64_t from, to;

		if (!s || !s->taken)
			continue;
		from = MAX(va, s->stack_at);
		to = MIN(va + PAGE_SIZE, s->stack_at + s->stack_len);
		if (from < to)
			memcpy(page + (from - va), s->stack + (from - s->stack_at), to - from);
	}
}

static bool mapped(uint64_t va)
{
	uint64_t entries[4];

	return hostmap_walk(va, entries) && entries[hostmap_walk(va, entries) - 1] & 1;
}

static bool is_zero(const uint8_t *page)
{
	const uint64_t *w = (const uint64_t *)(const void *)page;

	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		if (w[i])
			return false;
	return true;
}

/* The file's page at `offset`; false: nothing but zeros. */
static bool file_page(uint64_t offset, uint8_t *page)
{
	uint64_t va;

	if (offset < dump_core_header_size(&d.core)) {
		dump_core_header_page(&d.core, offset, page);
		return true;
	}
	va = dump_core_address(&d.core, offset);
	if (!mapped(va))
		return false;
	memcpy(page, (const void *)va, PAGE_SIZE);
	overlay(va, page);
	return !is_zero(page);
}

/* ---- its way ---- */

static void start(const struct out *o, bool guests, bool emergency)
{
	uint64_t us = uptime_ns() / NS_PER_US;

	d.emergency = emergency;
	d.core = (struct dump_core){
		.segments = segments,
		.n_cpus = MIN(n_cpus, DUMP_MAX_CPUS),
		.registers = registers_of,
		.text = d.text,
	};
	snprintf(d.text, sizeof(d.text), "Skerry %s, build %s, %s, uptime %llu.%06llu s, %s",
		 skerry_version, skerry_build, skerry_compiler, (ull)(us / 1000000),
		 (ull)(us % 1000000), emergency ? "after a panic" : "by command");
	d.pages_lost = 0;
	choose_segments(guests);
	d.id = (us + 1) * 0x9e3779b97f4a7c15ull;
	d.armour = (struct armour){.out = o};
	d.at = 0;
	d.size = dump_core_size(&d.core);
	d.sent = 0;
	d.progress = 0;
	d.active = true;
	out_printf(o, "-----BEGIN SKERRY DUMP %016llx-----\n", (ull)d.id);
	out_printf(o, ": %s\n", d.text);
	if (d.pages_lost)
		out_printf(o, ": %llu pages are left out: they are too scattered\n",
			   (ull)d.pages_lost);
}

static void release(void)
{
	for (uint32_t i = 0; i < DUMP_MAX_CPUS && !d.emergency; i++) {
		heap_free(samples[i]);
		samples[i] = NULL;
	}
	d.active = false;
}

static void send_block(const struct out *o, uint64_t offset, unsigned pages)
{
	int len = (int)(pages * PAGE_SIZE);
	int got = LZ4_compress_fast_extState(&lz4_state, (const char *)block, (char *)packed, len,
					     sizeof(packed), 1);

	d.armour.out = o;
	if (got > 0 && got < len)
		armour_record(&d.armour, offset, block, (uint32_t)len, packed, (uint32_t)got);
	else
		armour_record(&d.armour, offset, block, (uint32_t)len, block, (uint32_t)len);
	d.sent += pages;
}

static void say_progress(const struct out *o)
{
	unsigned tenths = (unsigned)(d.at * 10 / d.size);

	if (tenths > d.progress && tenths < 10)
		out_printf(o, "skerry: dump: %u %%%s\n", tenths * 10,
			   d.emergency ? "" : " (Ctrl-C stops it)");
	d.progress = tenths;
}

bool dump_step(const struct out *o)
{
	uint64_t first = 0;
	unsigned n = 0;

	for (unsigned looked = 0; d.at < d.size && n < BLOCK_PAGES && looked < STEP_PAGES;
	     looked++, d.at += PAGE_SIZE) {
		if (file_page(d.at, block + n * PAGE_SIZE)) {
			if (!n)
				first = d.at;
			n++;
		} else if (n) {
			break;
		}
	}
	if (n)
		send_block(o, first, n);
	if (d.at < d.size) {
		say_progress(o);
		return true;
	}
	out_printf(o, "-----END SKERRY DUMP %016llx: %u lines, %llu bytes-----\n", (ull)d.id,
		   d.armour.lines, (ull)d.size);
	release();
	return false;
}

void dump_end(const struct out *o)
{
	if (!d.active)
		return;
	out_text(o, "skerry: the dump was stopped; what came so far can be read\n");
	release();
}

int dump_begin(const struct out *o, bool guests, struct reason *why)
{
	uint32_t n = MIN(n_cpus, DUMP_MAX_CPUS);

	if (d.active)
		return refuse(why, ERR_STATE, "a dump is under way");
	d.emergency = false;
	for (uint32_t i = 0; i < n; i++) {
		samples[i] = heap_alloc(sizeof(*samples[i]));
		if (!samples[i]) {
			release();
			return refuse(why, ERR_NO_MEMORY,
				      "no memory for a sample of each core: destroy a guest first");
		}
	}
	cpus_sample(samples, n);
	start(o, guests, false);
	return 0;
}

/* ---- after a panic ---- */

static void emergency_put(void *ctx, const char *text, size_t len)
{
	char part[LINE_BYTES];

	(void)ctx;
	while (len) {
		size_t n = MIN(len, sizeof(part) - 1);

		memcpy(part, text, n);
		part[n] = '\0';
		console_emergency(part);
		text += n;
		len -= n;
	}
}

void dump_emergency(const struct trap_frame *f)
{
	const struct out o = {.put = emergency_put};

	d.here = f;
	start(&o, false, true);
	while (dump_step(&o))
		;
}
