/*
 * A guest's memory: RAM in chunks of 2 MiB, zeroed, all of it there before the guest starts, and
 * the second-level page table that shows it to the guest. Boot CPU's main loop only. Privileged.
 */
#include "guests/modules.h"
#include "guests/vm.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "mm/heap.h"
#include "mm/hostmap.h"

#define CHUNK_ORDER (GMEM_CHUNK_SHIFT - PAGE_SHIFT)
#define KEPT_BYTES  (8 * MIB) /* for what the hypervisor itself may need later */

static struct quota_pool pool = {.kept = KEPT_BYTES / PAGE_SIZE};

static uint64_t free_frames(void)
{
	struct frame_stats stats;

	frames_stats(&stats);
	return stats.free;
}

static unsigned long long in_mib(uint64_t frames)
{
	return frames * PAGE_SIZE / MIB;
}

/* Why a guest cannot get `frames` now. */
static int refuse_memory(const struct vm *vm, uint64_t frames, uint64_t free, struct reason *why)
{
	uint64_t available = quota_available(&pool, &vm->quota, free);

	return refuse(why, ERR_NO_MEMORY,
		      "guest %s: memory: %llu MiB are asked for and %llu MiB are free%s",
		      vm->config->name, in_mib(frames), in_mib(available),
		      pool.owed ? ", besides what is reserved for other guests" : "");
}

int vm_memory_reserve(struct vm *vm, struct reason *why)
{
	uint64_t limit = vm->config->limit, free = free_frames();

	vm->quota = (struct quota){
		.limit = limit == CONFIG_NO_LIMIT ? UINT64_MAX : limit / PAGE_SIZE,
		.reserve = vm->config->reserve / PAGE_SIZE,
	};
	if (!quota_reserve(&pool, &vm->quota, free))
		return 0;
	refuse(why, ERR_NO_MEMORY,
	       "guest %s: reserve: %llu MiB cannot be kept: %llu MiB are free%s", vm->config->name,
	       in_mib(vm->quota.reserve), in_mib(free - MIN(free, pool.owed + pool.kept)),
	       pool.owed ? ", besides what is reserved for other guests" : "");
	vm->quota.reserve = 0;
	return ERR_NO_MEMORY;
}

int vm_memory_charge(struct vm *vm, uint64_t bytes, struct reason *why)
{
	uint64_t frames = bytes / PAGE_SIZE, free = free_frames() + frames;
	int err = quota_take(&pool, &vm->quota, frames, free);

	if (err == ERR_RANGE)
		return refuse(
			why, err,
			"guest %s: limit: with all that it costs the guest takes %llu KiB, and "
			"%llu KiB are its limit",
			vm->config->name,
			(unsigned long long)((vm->quota.held + frames) * PAGE_SIZE / KIB),
			(unsigned long long)(vm->config->limit / KIB));
	return err ? refuse_memory(vm, vm->quota.held + frames, free, why) : 0;
}

static struct hpa table_alloc(void)
{
	return frame_alloc(FRAME_GUEST_TABLE);
}

static void table_free(struct hpa pa)
{
	frames_free(pa, 0);
}

static const struct slpt_memory slpt_frames = {
	.alloc = table_alloc,
	.free = table_free,
	.map = phys_to_virt,
};

/* Index of the chunk at guest-physical `i` chunks from the start of RAM, over the device hole. */
static uint64_t chunk_index(const struct gmem *m, uint64_t i)
{
	uint64_t low = gmem_low_end(m->size) >> GMEM_CHUNK_SHIFT;

	return i < low ? i : i - low + (GMEM_HOLE_END >> GMEM_CHUNK_SHIFT);
}

static int add_chunk(struct vm *vm, uint64_t index, unsigned perm)
{
	struct hpa pa = frames_alloc(CHUNK_ORDER, FRAME_GUEST_RAM, true);

	if (hpa_is_none(pa))
		return ERR_NO_MEMORY;
	vm->mem.chunk[index] = phys_to_virt(pa);
	return slpt_map(&vm->slpt, index << GMEM_CHUNK_SHIFT, pa.v, GMEM_CHUNK_SIZE, perm);
}

/* The ROM below 4 GiB, by whole chunks: below the image it reads as all ones, like flash memory
 * that was never written. */
static int add_rom(struct vm *vm, uint64_t count)
{
	struct gmem *m = &vm->mem;
	int err = 0;

	m->rom_first = (GMEM_HOLE_END >> GMEM_CHUNK_SHIFT) - count;
	m->rom_count = count;
	for (uint64_t i = m->rom_first; !err && i < m->rom_first + count; i++) {
		err = add_chunk(vm, i, SLPT_READ | SLPT_EXEC);
		if (!err)
			memset(m->chunk[i], 0xFF, GMEM_CHUNK_SIZE);
	}
	return err;
}

/* Chunks that the firmware of the guest takes. */
static int rom_chunks(const struct vm *vm, uint64_t *count, struct reason *why)
{
	struct load_blob image;
	struct reason detail;
	int err;

	*count = 0;
	if (vm->config->boot != BOOT_FIRMWARE)
		return 0;
	err = module_blob(vm->config->firmware, &image, &detail);
	if (!err)
		err = firmware_check(&image, &detail);
	if (err)
		return refuse(why, err, "guest %s: %s", vm->config->name, detail.text);
	*count = ALIGN_UP(image.size, GMEM_CHUNK_SIZE) >> GMEM_CHUNK_SHIFT;
	return 0;
}

int vm_memory_create(struct vm *vm, struct reason *why)
{
	uint64_t size = vm->config->memory;
	struct gmem *m = &vm->mem;
	uint64_t rom, free = free_frames();
	int err = rom_chunks(vm, &rom, why);

	if (err)
		return err;
	/* the configuration's limit is no less than this */
	if (quota_take(&pool, &vm->quota, size / PAGE_SIZE, free))
		return refuse_memory(vm, size / PAGE_SIZE, free, why);
	m->size = size;
	m->n_chunks = MAX(gmem_low_end(size), size > GMEM_HOLE_START ? gmem_high_end(size) : 0) >>
		      GMEM_CHUNK_SHIFT;
	if (rom)
		m->n_chunks = MAX(m->n_chunks, GMEM_HOLE_END >> GMEM_CHUNK_SHIFT);
	m->chunk = heap_alloc(m->n_chunks * sizeof(*m->chunk));
	err = m->chunk ? slpt_init(&vm->slpt, hv->slpt, &slpt_frames, hv_caps.huge_pages)
		       : ERR_NO_MEMORY;
	for (uint64_t i = 0; !err && i < size >> GMEM_CHUNK_SHIFT; i++)
		err = add_chunk(vm, chunk_index(m, i), SLPT_RWX);
	if (!err && rom)
		err = add_rom(vm, rom);
	if (err) {
		vm_memory_destroy(vm);
		return refuse(why, err,
			      "guest %s: memory: not enough blocks of 2 MiB are free for %llu MiB",
			      vm->config->name, (unsigned long long)(size / MIB));
	}
	vm->hv.slpt_root = vm->slpt.root;
	return 0;
}

void vm_memory_destroy(struct vm *vm)
{
	struct gmem *m = &vm->mem;

	for (uint64_t i = 0; m->chunk && i < m->n_chunks; i++) {
		if (m->chunk[i])
			frames_free(virt_to_phys(m->chunk[i]), CHUNK_ORDER);
	}
	slpt_destroy(&vm->slpt);
	heap_free(m->chunk);
	*m = (struct gmem){0};
	quota_give(&pool, &vm->quota, vm->quota.held);
}
