/*
 * The functions of a guest by name, if its configuration names a list of them: read when the first
 * one is asked for, by which time it has its resources. Boot CPU's main loop only.
 */
#include "guests/modules.h"
#include "guests/vm.h"
#include "lib/log.h"
#include "mm/heap.h"

#define FUNCTIONS_MAX 1000000u /* some ten times those of Linux; 16 MB */

/* The index is the guest's own cost, which ends with all others (vm_memory_destroy()). */
static bool make_index(struct vm *vm, uint32_t functions, struct reason *why)
{
	struct guest_symbols *s = &vm->symbols;
	uint64_t size = ALIGN_UP((uint64_t)functions * sizeof(*s->index), PAGE_SIZE);

	s->index = heap_alloc(size);
	if (!s->index) {
		refuse(why, ERR_NO_MEMORY, "guest %s: symbols: %llu KiB are asked for",
		       vm->config->name, (unsigned long long)(size / KIB));
		return false;
	}
	if (vm_memory_charge(vm, size, why)) {
		heap_free(s->index);
		s->index = NULL;
		return false;
	}
	guest_symbols_index(s, functions);
	return true;
}

/* Whatever is wrong is said once; what can be used is. */
static void load(struct vm *vm)
{
	const struct guest_config *c = vm->config;
	struct guest_symbols *s = &vm->symbols;
	struct guest_symbols_count count;
	struct load_blob blob;
	struct reason why;

	vm->symbols_read = true;
	if (module_blob(c->symbols, &blob, &why)) {
		log_warn("guest %s: symbols: %s", c->name, why.text);
		return;
	}
	s->text = blob.data;
	s->size = (uint32_t)MIN(blob.size, UINT32_MAX);
	guest_symbols_count(s->text, s->size, &count);
	if (count.bad)
		log_warn(
			"guest %s: symbols: '%s' has lines that are not as nm prints them: %u, the "
			"first is line %u",
			c->name, c->symbols, count.bad, count.first_bad);
	if (!count.functions) {
		log_warn("guest %s: symbols: '%s' names no function", c->name, c->symbols);
		return;
	}
	if (count.functions > FUNCTIONS_MAX) {
		log_warn("guest %s: symbols: of the %u functions of '%s' only the first %u are "
			 "used",
			 c->name, count.functions, c->symbols, FUNCTIONS_MAX);
		count.functions = FUNCTIONS_MAX;
	}
	if (!make_index(vm, count.functions, &why)) {
		log_warn("%s; no memory is left for the %u functions of '%s'", why.text,
			 count.functions, c->symbols);
		return;
	}
	log_debug("guest %s: %u functions are known by '%s'", c->name, s->n, c->symbols);
}

const char *vm_symbol(struct vm *vm, uint64_t rip, char *buf, size_t size)
{
	if (!vm->config->symbols[0])
		return NULL;
	if (!vm->symbols_read)
		load(vm);
	return guest_symbols_name(&vm->symbols, rip, buf, size);
}

void vm_symbols_forget(struct vm *vm)
{
	heap_free(vm->symbols.index);
	vm->symbols = (struct guest_symbols){0};
	vm->symbols_read = false;
}
