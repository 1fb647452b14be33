/*
 * The command that breaks the hypervisor, or one guest's own invariant, on purpose. Test builds
 * only.
 */
#include "arch/x86/provoke.h"
#include "console/commands.h"
#include "console/guests_view.h"
#include "lib/string.h"

static bool known(const char *kind)
{
	const char *name;

	for (unsigned i = 0; (name = provoke_kind(i)); i++)
		if (!strcmp(name, kind))
			return true;
	return !strcmp(kind, "guest");
}

static void say_kinds(const struct out *o)
{
	const char *name;

	out_text(o, "error: provoke what: guest");
	for (unsigned i = 0; (name = provoke_kind(i)); i++)
		out_printf(o, ", %s", name);
	out_text(o, "\n");
}

void cmd_provoke(const struct out *o, const struct args *a)
{
	struct vm *vm = a->n > 1 ? guest_find(a->word[1]) : NULL;

	if (!known(a->word[0])) {
		say_kinds(o);
	} else if (a->n > 1 && !vm) {
		out_printf(o, "error: no guest '%.32s'\n", a->word[1]);
	} else if (vm) {
		guest_provoke(vm, a->word[0]);
	} else if (!strcmp(a->word[0], "guest")) {
		out_text(o, "error: provoke guest wants a guest's name\n");
	} else {
		provoke(a->word[0]);
		out_text(o, "error: that did no harm\n"); /* nor is it a tail call */
	}
}
