/*
 * The table of commands, and `help`, which reads it.
 */
#include "console/commands.h"

#include "console/guests_view.h"

static void cmd_help(const struct out *o, const struct args *a);

/* clang-format off */
static const struct command table[] = {
	{"attach", "GUEST", "connect the terminal to a guest's serial port (Ctrl-] leaves, twice sends it)",
	 "attach web", cmd_attach, ARGUMENT_GUEST, 1, 1, 0},
	{"cpus", "[--json]", "show each core: what it runs, its clock, its features",
	 "cpus", cmd_cpus, ARGUMENT_NONE, 0, 0, OPTION_JSON},
	{"crash", "GUEST [--json]", "show what is kept of a guest's crash: reason, registers, last exits",
	 "crash web", cmd_crash, ARGUMENT_GUEST, 1, 1, OPTION_JSON},
	{"destroy", "GUEST", "stop a guest and free its memory; start begins it anew",
	 "destroy web", cmd_destroy, ARGUMENT_GUEST, 1, 1, 0},
	{"dump", "[--guests]", "send the hypervisor's memory as a dump for a debugger (Ctrl-C stops it)",
	 "dump", cmd_dump, ARGUMENT_NONE, 0, 0, OPTION_GUESTS},
	{"help", "[COMMAND]", "list the commands, or explain one",
	 "help stop", cmd_help, ARGUMENT_COMMAND, 0, 1, 0},
	{"info", "GUEST [--json]", "show all that is known of a guest",
	 "info web", cmd_info, ARGUMENT_GUEST, 1, 1, OPTION_JSON},
	{"list", "[--json]", "list the guests and their states",
	 "list", cmd_list, ARGUMENT_NONE, 0, 0, OPTION_JSON},
	{"log", "[--previous] [--level error|warn|info|debug] [-n LINES] [--json]",
	 "show the hypervisor's log, or that of the run before a reset (--previous)",
	 "log --level warn -n 20", cmd_log, ARGUMENT_NONE, 0, 0,
	 OPTION_JSON | OPTION_LEVEL | OPTION_LINES | OPTION_PREVIOUS},
	{"memory", "[--json]", "show who uses the machine's memory",
	 "memory", cmd_memory, ARGUMENT_NONE, 0, 0, OPTION_JSON},
	{"pause", "GUEST", "hold a running guest; its clock stands still",
	 "pause web", cmd_pause, ARGUMENT_GUEST, 1, 1, 0},
	{"poweroff", "", "end the machine now, with all guests",
	 "poweroff", cmd_poweroff, ARGUMENT_NONE, 0, 0, 0},
#ifdef SKERRY_DEBUG
	{"provoke", "KIND [GUEST]", "break the hypervisor on purpose, in the guest's context if one is named",
	 "provoke null web", cmd_provoke, ARGUMENT_NONE, 1, 2, 0},
#endif
	{"reboot", "", "reset the machine now, with all guests",
	 "reboot", cmd_reboot, ARGUMENT_NONE, 0, 0, 0},
	{"reset", "GUEST", "begin a guest anew, as its reset button would",
	 "reset web", cmd_reset, ARGUMENT_GUEST, 1, 1, 0},
	{"resume", "GUEST", "let a paused guest go on",
	 "resume web", cmd_resume, ARGUMENT_GUEST, 1, 1, 0},
	{"screen", "GUEST [--json]", "show a guest's VGA text screen",
	 "screen web", cmd_screen, ARGUMENT_GUEST, 1, 1, OPTION_JSON},
	{"serial", "GUEST [-n LINES] [--json]", "show the last output of a guest's serial port",
	 "serial web -n 20", cmd_serial, ARGUMENT_GUEST, 1, 1, OPTION_JSON | OPTION_LINES},
	{"start", "GUEST", "start a guest that was created, has stopped or has crashed",
	 "start web", cmd_start, ARGUMENT_GUEST, 1, 1, 0},
	{"stats", "GUEST [--json]", "count a guest's exits by kind, for each vCPU",
	 "stats web", cmd_stats, ARGUMENT_GUEST, 1, 1, OPTION_JSON},
	{"stop", "GUEST [--gentle]", "switch a guest off at once, or press its power button (--gentle)",
	 "stop web --gentle", cmd_stop, ARGUMENT_GUEST, 1, 1, OPTION_GENTLE},
	{"trace", "GUEST [-n EXITS] [--live] [--kind KIND,...] [--vcpu NUMBER] [--json]",
	 "show a guest's last exits, or those that come (--live), decoded",
	 "trace web --live --kind io,msr", cmd_trace, ARGUMENT_GUEST, 1, 1,
	 OPTION_JSON | OPTION_LINES | OPTION_LIVE | OPTION_KIND | OPTION_VCPU},
	{"version", "[--json]", "show what is running",
	 "version", cmd_version, ARGUMENT_NONE, 0, 0, OPTION_JSON},
};
/* clang-format on */

static const char *nth_guest(unsigned i)
{
	struct vm *vm = guest_next(NULL);

	while (vm && i--)
		vm = guest_next(vm);
	return vm ? guest_name(vm) : NULL;
}

static const char *nth_kind(unsigned i)
{
	return i < EXIT_KIND_COUNT ? exit_kind_name((enum exit_kind)i) : NULL;
}

const struct command_set commands = {
	.commands = table,
	.n = ARRAY_SIZE(table),
	.guest_name = nth_guest,
	.kind_name = nth_kind,
};

static void cmd_help(const struct out *o, const struct args *a)
{
	const struct command *c;

	if (!a->n) {
		for (unsigned i = 0; i < commands.n; i++)
			out_printf(o, "%-9s %s\n", table[i].name, table[i].summary);
		return;
	}
	c = command_find(&commands, a->word[0]);
	if (c)
		out_printf(o, "%s: %s\nusage:   %s%s%s\nexample: %s\n", c->name, c->summary,
			   c->name, *c->usage ? " " : "", c->usage, c->example);
	else
		out_printf(o, "error: no command '%.32s': type help for the list\n", a->word[0]);
}
