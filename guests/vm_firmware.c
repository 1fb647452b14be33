/*
 * A guest's firmware and its firmware configuration device: gathers the files that they are made of
 * and holds their memory. Boot CPU's main loop only. Privileged.
 */
#include "guests/board.h"
#include "guests/guest_fwcfg.h"
#include "guests/modules.h"
#include "guests/vm.h"
#include "mm/heap.h"

#include "version.h"

void vm_smbios_info(const struct vm *vm, struct smbios_info *out)
{
	*out = (struct smbios_info){
		.guest = vm->config->name,
		.version = SKERRY_VERSION " (" SKERRY_BUILD ")",
		.n_vcpus = vm->n_vcpus,
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

/* Makes the items anew, as at each start. */
int vm_firmware_build(struct vm *vm, struct reason *why)
{
	const struct guest_config *c = vm->config;
	struct load_blob kernel, initrd, files[CONFIG_MAX_FW_FILES];
	struct fwcfg_input in = {
		.firmware = c->boot == BOOT_FIRMWARE,
		.cmdline = c->cmdline,
		.file_name = c->fw_name,
		.file = files,
		.n_files = c->n_fw_files,
	};
	int err = gather_files(c, files, why);

	if (!err && in.firmware && c->kernel[0]) {
		in.kernel = &kernel;
		err = module_blob(c->kernel, &kernel, why);
	}
	if (!err && in.firmware && c->initrd[0]) {
		in.initrd = &initrd;
		err = module_blob(c->initrd, &initrd, why);
	}
	if (err)
		return err;
	vm_smbios_info(vm, &in.info);
	in.acpi = gmem_ptr(&vm->mem, BOARD_TABLES_START, BOARD_TABLES_SIZE);
	vm_firmware_free(vm);
	vm->fwcfg = heap_alloc(guest_fwcfg_size(&in));
	if (!vm->fwcfg || !in.acpi)
		return refuse(why, ERR_NO_MEMORY, "no memory is left for its fw_cfg items");
	return guest_fwcfg_build(vm->fwcfg, &in, why);
}

void vm_firmware_free(struct vm *vm)
{
	heap_free(vm->fwcfg);
	vm->fwcfg = NULL;
}
