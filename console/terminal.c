/*
 * Who may write where on the administrator's terminal. Pure.
 */
#include "console/terminal.h"

#include "lib/string.h"

void terminal_init(struct terminal *t, const struct out *out, struct lineedit *edit)
{
	*t = (struct terminal){.out = out, .edit = edit};
}

void terminal_guest_bytes(struct terminal *t, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t c = bytes[i];

		if ((c & 0xc0) != 0x80)
			t->continuation = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
		else if (t->continuation)
			t->continuation--;
		t->sequence = sequence_next(t->sequence, c);
		if (c == '\n')
			t->mid_line = false;
		else if (c != '\r') /* what a carriage return leaves behind still stands there */
			t->mid_line = true;
	}
	out_bytes(t->out, (const char *)bytes, n);
}

bool terminal_may_interrupt(const struct terminal *t)
{
	return t->sequence == SEQUENCE_NONE && !t->continuation;
}

void terminal_fresh_line(struct terminal *t)
{
	lineedit_hide(t->edit);
	if (t->sequence == SEQUENCE_STRING)
		out_text(t->out, "\x1b\\");
	if (t->mid_line)
		out_text(t->out, "\r\n");
	t->mid_line = false;
	t->sequence = SEQUENCE_NONE;
	t->continuation = 0;
}

void terminal_line(struct terminal *t, const char *text)
{
	terminal_fresh_line(t);
	out_text(t->out, text);
	out_text(t->out, "\r\n");
}

void terminal_text(struct terminal *t, const char *text, size_t len)
{
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;

		out_bytes(t->out, text, n);
		if (n)
			t->mid_line = true;
		if (end) {
			out_text(t->out, "\r\n");
			t->mid_line = false;
			n++;
		}
		text += n;
		len -= n;
	}
}
