/*
 * The commands of the administrator's shell. The table is in commands.c; what they do is in
 * cmd_guest.c (guests) and cmd_host.c (the machine).
 */
#ifndef CONSOLE_COMMANDS_H
#define CONSOLE_COMMANDS_H

#include "console/command.h"

struct vm;

extern const struct command_set commands;

struct guest_view;
struct json_out;

/* Keys of an object: what a guest holds of the machine's memory, and may hold. */
void guest_shares_json(struct json_out *j, const struct guest_view *v);

/* cmd_guest.c */
void cmd_list(const struct out *o, const struct args *a);
void cmd_info(const struct out *o, const struct args *a);
void cmd_start(const struct out *o, const struct args *a);
void cmd_pause(const struct out *o, const struct args *a);
void cmd_resume(const struct out *o, const struct args *a);
void cmd_stop(const struct out *o, const struct args *a);
void cmd_reset(const struct out *o, const struct args *a);
void cmd_destroy(const struct out *o, const struct args *a);
void cmd_attach(const struct out *o, const struct args *a);
void cmd_screen(const struct out *o, const struct args *a);
void cmd_serial(const struct out *o, const struct args *a);
void cmd_crash(const struct out *o, const struct args *a);
void cmd_stats(const struct out *o, const struct args *a);
/* The guest that the first word names; or says which there are and answers NULL. */
struct vm *named(const struct out *o, const struct args *a);

/* cmd_trace.c */
void cmd_trace(const struct out *o, const struct args *a);

/* cmd_host.c */
void cmd_cpus(const struct out *o, const struct args *a);
void cmd_memory(const struct out *o, const struct args *a);
void cmd_log(const struct out *o, const struct args *a);
void cmd_dump(const struct out *o, const struct args *a);
void cmd_version(const struct out *o, const struct args *a);
void cmd_reboot(const struct out *o, const struct args *a);
void cmd_poweroff(const struct out *o, const struct args *a);

/* cmd_provoke.c, in test builds */
void cmd_provoke(const struct out *o, const struct args *a);

#endif
