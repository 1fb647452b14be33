/*
 * A guest's firmware and its firmware configuration device: gathers the files that they are made of
 * and holds their memory. Boot CPU's main loop only. Privileged.
 */
#include "guests/board.h"
#include "guests/guest_fwcfg.h"
#include "guests/modules.h"
#include "guests/vm.h"
#include "lib/string.h"
#include "mm/heap.h"

#include "version.h"

void vm_smbios_info(const struct vm *vm, struct smbios_info *out)
{
	*out = (struct smbios_info){
		.guest = vm->config->name,
		.version = SKERRY_VERSION " (" SKERRY_BUILD ")",
		.n_vcpus = vm->config->vcpus,
		.memory = vm->config->memory,
	};
}

static int gather_files(const struct guest_config *c, struct load_blob *blobs, struct reason *why)
{
	for (uint32_t i = 0; i < c->n_fw_files; i++) {
		int err = module_blob(c->fw_file[i], &blobs[i], why);

		if (err)
			return err;
	}
	return 0;
}

/* What does not depend on the files. */
static void start_input(const struct vm *vm, struct fwcfg_input *in)
{
	const struct guest_config *c = vm->config;

	*in = (struct fwcfg_input){
		.firmware = c->boot == BOOT_FIRMWARE,
		.with_kernel = c->boot == BOOT_FIRMWARE && c->kernel[0],
		.cmdline = c->cmdline,
		.file_name = c->fw_name,
		.n_files = c->n_fw_files,
	};
	vm_smbios_info(vm, &in->info);
}

int vm_firmware_create(struct vm *vm, struct reason *why)
{
	struct fwcfg_input in;

	start_input(vm, &in);
	vm->fwcfg = heap_alloc(guest_fwcfg_size(&in));
	return vm->fwcfg ? 0
			 : refuse(why, ERR_NO_MEMORY, "guest %s: no memory is left for it",
				  vm->config->name);
}

/* Makes the items anew, as at each start. */
int vm_firmware_build(struct vm *vm, struct reason *why)
{
	const struct guest_config *c = vm->config;
	struct load_blob files[CONFIG_MAX_FW_FILES];
	struct load_blob kernel, initrd;
	struct fwcfg_input in;
	int err;

	start_input(vm, &in);
	in.file = files;
	err = gather_files(c, files, why);
	if (!err && in.with_kernel) {
		in.kernel = &kernel;
		err = module_blob(c->kernel, &kernel, why);
	}
	if (!err && in.with_kernel && c->initrd[0]) {
		in.initrd = &initrd;
		err = module_blob(c->initrd, &initrd, why);
	}
	if (err)
		return err;
	in.acpi = gmem_ptr(&vm->mem, BOARD_TABLES_START, BOARD_TABLES_SIZE);
	memset(vm->fwcfg, 0, guest_fwcfg_size(&in));
	return guest_fwcfg_build(vm->fwcfg, &in, why);
}

void vm_firmware_free(struct vm *vm)
{
	heap_free(vm->fwcfg);
	vm->fwcfg = NULL;
}
