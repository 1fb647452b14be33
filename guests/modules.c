/* The boot loader's modules; see modules.h. */
#include "guests/modules.h"

#include "lib/string.h"
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

static bool exists(void *ctx, const char *string)
{
	struct load_blob blob;

	(void)ctx;
	return module_blob(string, &blob, NULL) == 0;
}

const struct config_modules boot_modules = {.exists = exists};
