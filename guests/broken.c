/*
 * When an invariant of one guest breaks: that guest ends with a report, and the machine goes on.
 * Also what a report says of the vCPU that was running, without trust in it.
 */
#include "arch/x86/oops.h"
#include "guests/vm.h"
#include "lib/format.h"
#include "lib/string.h"

void vcpu_describe(const struct vcpu *v, char *buf, size_t size)
{
	const struct guest_config *config;
	char name[CONFIG_NAME_MAX];
	const struct vm *vm;
	uint32_t id;

	if (copy_safe(&vm, &v->vm, sizeof(vm)) && copy_safe(&id, &v->id, sizeof(id)) &&
	    copy_safe(&config, &vm->config, sizeof(config)) &&
	    copy_safe(name, config->name, sizeof(name))) {
		name[sizeof(name) - 1] = '\0';
		snprintf(buf, size, "guest %s, vCPU %u", name, id);
	} else {
		snprintf(buf, size, "the vCPU at %p, which cannot be read", (const void *)v);
	}
}

bool vm_broken(struct vm *vm, const char *file, int line, const char *condition)
{
	const struct vcpu *v = vm->n_vcpus ? vm->vcpus[0] : NULL;

	oops_survived(v, "%s:%d: broken invariant of guest %s alone: %s", file, line,
		      vm->config->name, condition);
	vm_end(vm, VM_END_CRASH, 0, "a broken invariant of its own: %s (%s:%d)", condition, file,
	       line);
	return false;
}
