/*
 * The administrator's terminal, shared by the shell, the attached guest and the hypervisor's own
 * lines: knows what stands in the cursor's line, so that each of them begins where it should. Pure.
 */
#ifndef CONSOLE_TERMINAL_H
#define CONSOLE_TERMINAL_H

#include "console/lineedit.h"
#include "console/out.h"
#include "console/sequence.h"
#include "lib/types.h"

struct terminal {
	const struct out *out; /* raw bytes */
	struct lineedit *edit;
	bool mid_line; /* something other than prompt and edited line stands left of the cursor */
	enum sequence sequence; /* where the attached guest's output stands */
	uint8_t continuation;   /* bytes of a UTF-8 character that are still to come */
};

void terminal_init(struct terminal *t, const struct out *out, struct lineedit *edit);

/* Bytes of the attached guest, unchanged. */
void terminal_guest_bytes(struct terminal *t, const uint8_t *bytes, size_t n);

/* A line inserted now would not cut one of the guest's characters or control sequences in two. */
bool terminal_may_interrupt(const struct terminal *t);

/* One whole line of the hypervisor: takes the prompt off the screen, or ends the guest's line
 * first. The caller shows the prompt again (lineedit_show) when no more lines come. */
void terminal_line(struct terminal *t, const char *text);

/* Output of a command: text with '\n' as line end. */
void terminal_text(struct terminal *t, const char *text, size_t len);

/* Ends the line that the cursor is in, if something stands there, and forgets half a sequence. */
void terminal_fresh_line(struct terminal *t);

#endif
