/* The boot loader's modules; see modules.h. */
#include "guests/modules.h"

#include "guests/gunzip.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "mm/heap.h"
#include "mm/hostmap.h"

static const struct boot_info *boot;

void modules_init(const struct boot_info *info)
{
	boot = info;
}

int module_blob(const char *string, struct load_blob *out, struct reason *why)
{
	for (uint32_t i = 0; i < boot->n_modules; i++) {
		const struct boot_module *m = &boot->modules[i];

		if (strcmp(m->string, string))
			continue;
		*out = (struct load_blob){
			.data = phys_to_virt(HPA(m->start)),
			.size = m->end - m->start,
			.string = m->string,
		};
		return 0;
	}
	return refuse(why, ERR_NOT_FOUND,
		      "no module '%s' was loaded: add a module2 line with that string to the boot "
		      "loader's entry",
		      string);
}

static int unpack(struct load_blob *blob, void *work, uint64_t limit,
		  struct module_unpacked *memory, struct reason *why)
{
	struct module_unpacked got = {.order = 0};
	uint64_t size;
	int err = gunzip_size(blob, work, limit, &size, why);

	if (err)
		return err;
	while (PAGE_SIZE << got.order < size)
		got.order++;
	got.pa = frames_alloc(got.order, FRAME_HYPERVISOR, false);
	if (hpa_is_none(got.pa))
		return refuse(why, ERR_NO_MEMORY,
			      "%s is packed by gzip, and no block of %llu MiB is free to unpack it",
			      blob->string,
			      (unsigned long long)(ALIGN_UP(PAGE_SIZE << got.order, MIB) / MIB));
	err = gunzip(blob, work, phys_to_virt(got.pa), size, why);
	if (err) {
		module_drop(&got);
		return err;
	}
	blob->data = phys_to_virt(got.pa);
	blob->size = size;
	*memory = got;
	return 0;
}

int module_kernel(const char *string, uint64_t limit, struct load_blob *out,
		  struct module_unpacked *memory, struct reason *why)
{
	int err = module_blob(string, out, why);
	void *work;

	*memory = (struct module_unpacked){.pa = HPA_NONE};
	if (err || !gunzip_is(out))
		return err;
	work = heap_alloc(GUNZIP_WORK);
	if (!work)
		return refuse(why, ERR_NO_MEMORY, "no memory is left to unpack %s", string);
	/* No larger block can be had: so what is packed is not even counted beyond it, which for a
	 * guest with much memory would take minutes. */
	err = unpack(out, work, MIN(limit, PAGE_SIZE << FRAME_MAX_ORDER), memory, why);
	heap_free(work);
	return err;
}

void module_drop(struct module_unpacked *memory)
{
	if (!hpa_is_none(memory->pa))
		frames_free(memory->pa, memory->order);
}

static bool exists(void *ctx, const char *string)
{
	struct load_blob blob;

	(void)ctx;
	return module_blob(string, &blob, NULL) == 0;
}

const struct config_modules boot_modules = {.exists = exists};
