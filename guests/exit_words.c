/* An exit in words and as JSON; see exit_words.h. Pure. */
#include "guests/exit_words.h"

#include "arch/x86/traps.h"
#include "lib/format.h"
#include "lib/string.h"

typedef unsigned long long ull;

/* Of an access to a port, what of RAX is written; a string's bytes come from memory. */
static bool io_has_value(const struct exit_record *e)
{
	return !(e->io.flags & (IO_IN | IO_STRING));
}

static ull io_value(const struct exit_record *e)
{
	return e->io.size < 8 ? e->value & (BIT(8 * e->io.size) - 1) : e->value;
}

static const char *io_words(const struct exit_record *e, char *buf, size_t size)
{
	bool in = e->io.flags & IO_IN;
	int n = snprintf(buf, size, "%s%s%s 0x%x, %u byte%s", e->io.flags & IO_REP ? "rep " : "",
			 in ? "in" : "out", e->io.flags & IO_STRING ? "s" : "", e->io.port,
			 e->io.size, e->io.size == 1 ? "" : "s");

	if (io_has_value(e) && n >= 0 && (size_t)n < size)
		snprintf(buf + n, size - (size_t)n, ": 0x%llx", io_value(e));
	return buf;
}

static const char *access_name(const struct exit_record *e)
{
	if (e->flags & ACCESS_EXEC)
		return "execute";
	return e->flags & ACCESS_WRITE ? "write" : "read";
}

static const char *task_switch_way(const struct exit_record *e)
{
	static const char *const ways[] = {
		[TASK_SWITCH_CALL] = "call",
		[TASK_SWITCH_IRET] = "iret",
		[TASK_SWITCH_JMP] = "jmp",
		[TASK_SWITCH_GATE] = "task gate",
	};

	return ways[e->flags & 3];
}

static const char *msr_words(const struct exit_record *e, char *buf, size_t size)
{
	const char *name = msr_name(e->number);
	char value[24] = "";

	if (e->flags & EXIT_MSR_WRITE)
		snprintf(value, sizeof(value), ": 0x%llx", (ull)e->value);
	snprintf(buf, size, "%s 0x%x%s%s%s", e->flags & EXIT_MSR_WRITE ? "write" : "read",
		 e->number, name ? " " : "", name ? name : "", value);
	return buf;
}

const char *exit_words(const struct exit_record *e, char *buf, size_t size)
{
	if (size)
		buf[0] = '\0';
	switch ((enum exit_kind)e->kind) {
	case EXIT_CPUID:
		snprintf(buf, size, "leaf 0x%x, subleaf 0x%x", e->number, (uint32_t)e->value);
		break;
	case EXIT_MSR:
		return msr_words(e, buf, size);
	case EXIT_IO:
		return io_words(e, buf, size);
	case EXIT_MEMORY:
		snprintf(buf, size, "%s 0x%llx%s%s%s", access_name(e), (ull)e->value,
			 e->flags & ACCESS_PRESENT ? ", which is mapped" : "",
			 e->flags & ACCESS_WALK ? ", by a page walk" : "",
			 e->flags & EXIT_MEMORY_DELIVERY ? ", to deliver an event" : "");
		break;
	case EXIT_CONTROL_REG:
		snprintf(buf, size, "%s CR%u", e->flags & EXIT_CONTROL_WRITE ? "write" : "read",
			 e->number);
		break;
	case EXIT_XSETBV:
		snprintf(buf, size, "XCR%u: 0x%llx", e->number, (ull)e->value);
		break;
	case EXIT_HYPERCALL:
		snprintf(buf, size, "number 0x%llx", (ull)e->value);
		break;
	case EXIT_EXCEPTION:
		if (e->flags & EXIT_EXCEPTION_ERROR)
			snprintf(buf, size, "%s, error code 0x%llx", trap_name(e->number),
				 (ull)e->value);
		else
			snprintf(buf, size, "%s", trap_name(e->number));
		break;
	case EXIT_TASK_SWITCH:
		snprintf(buf, size, "%s to TSS 0x%x", task_switch_way(e), e->number);
		break;
	case EXIT_REFUSED:
		snprintf(buf, size, "%s", e->flags & EXIT_REFUSED_GP ? "#GP" : "#UD");
		break;
	case EXIT_ENTRY_FAILED:
	case EXIT_UNKNOWN:
		snprintf(buf, size, "code 0x%llx", (ull)e->value);
		break;
	default:
		break;
	}
	return buf;
}

/* ---- JSON ---- */

/* As a string: not every reader of JSON keeps 64 bits of a number. */
static void json_hex(struct json_out *j, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%llx", (ull)value);
	json_string(j, key, text);
}

static void msr_json(const struct exit_record *e, struct json_out *j)
{
	const char *name = msr_name(e->number);

	json_hex(j, "msr", e->number);
	if (name)
		json_string(j, "name", name);
	else
		json_null(j, "name");
	json_bool(j, "write", e->flags & EXIT_MSR_WRITE);
	if (e->flags & EXIT_MSR_WRITE)
		json_hex(j, "value", e->value);
}

static void io_json(const struct exit_record *e, struct json_out *j)
{
	json_hex(j, "port", e->io.port);
	json_uint(j, "size", e->io.size);
	json_bool(j, "write", !(e->io.flags & IO_IN));
	json_bool(j, "string", e->io.flags & IO_STRING);
	json_bool(j, "rep", e->io.flags & IO_REP);
	if (io_has_value(e))
		json_hex(j, "value", io_value(e));
}

void exit_json(const struct exit_record *e, struct json_out *j)
{
	switch ((enum exit_kind)e->kind) {
	case EXIT_CPUID:
		json_hex(j, "leaf", e->number);
		json_hex(j, "subleaf", (uint32_t)e->value);
		break;
	case EXIT_MSR:
		msr_json(e, j);
		break;
	case EXIT_IO:
		io_json(e, j);
		break;
	case EXIT_MEMORY:
		json_hex(j, "gpa", e->value);
		json_string(j, "access", access_name(e));
		json_bool(j, "mapped", e->flags & ACCESS_PRESENT);
		json_bool(j, "page_walk", e->flags & ACCESS_WALK);
		json_bool(j, "delivery", e->flags & EXIT_MEMORY_DELIVERY);
		break;
	case EXIT_CONTROL_REG:
		json_uint(j, "register", e->number);
		json_bool(j, "write", e->flags & EXIT_CONTROL_WRITE);
		break;
	case EXIT_XSETBV:
		json_uint(j, "register", e->number);
		json_hex(j, "value", e->value);
		break;
	case EXIT_HYPERCALL:
		json_hex(j, "number", e->value);
		break;
	case EXIT_EXCEPTION:
		json_uint(j, "vector", e->number);
		json_string(j, "name", trap_name(e->number));
		if (e->flags & EXIT_EXCEPTION_ERROR)
			json_hex(j, "error", e->value);
		break;
	case EXIT_TASK_SWITCH:
		json_string(j, "by", task_switch_way(e));
		json_hex(j, "selector", e->number);
		break;
	case EXIT_REFUSED:
		json_string(j, "answer", e->flags & EXIT_REFUSED_GP ? "#GP" : "#UD");
		break;
	case EXIT_ENTRY_FAILED:
	case EXIT_UNKNOWN:
		json_hex(j, "code", e->value);
		break;
	default:
		break;
	}
}

/* ---- choosing kinds ---- */

int exit_kinds_parse(const char *list, uint32_t *kinds, struct reason *why)
{
	*kinds = 0;
	for (const char *word = list;;) {
		const char *comma = strchr(word, ',');
		size_t len = comma ? (size_t)(comma - word) : strlen(word);
		unsigned k = 0;

		while (k < EXIT_KIND_COUNT &&
		       (strncmp(exit_kind_name(k), word, len) || exit_kind_name(k)[len]))
			k++;
		if (k == EXIT_KIND_COUNT)
			return refuse(why, ERR_INVALID,
				      "no kind of exit '%.*s': say cpuid, io, memory or the like, "
				      "with commas between; Tab lists them",
				      (int)MIN(len, 32), word);
		*kinds |= BIT32(k);
		if (!comma)
			return 0;
		word = comma + 1;
	}
}
