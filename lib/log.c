/*
 * The log ring. Owns its 64 KiB, which lie in a section of their own (.log) that the boot code does
 * not clear: where a loader leaves that memory alone too (GRUB does not), the lines of the run
 * before are taken over.
 *
 * Locking: none. A writer formats its line on its own stack, reserves one to three consecutive
 * slots by an atomic addition, fills them, and marks each as complete. A mark is 2 * (n + 1) for
 * slot number n when complete and one less while it is being written, so it only ever grows; a
 * reader takes a slot when its mark is the expected one before and after the copy. A writer that is
 * stopped in the middle (by an NMI that never returns) leaves a busy slot, which readers skip; if
 * it is stopped for a whole lap, its last bytes may garble one newer line, and that is all.
 */
#include "lib/log.h"

#include "lib/format.h"
#include "lib/string.h"

#define LOG_MAGIC    0x31474f4c59524b53ull /* "SKRYLOG1" */
#define LOG_BYTES    (64 * KIB)
#define SLOT_BYTES   128
#define SLOT_TEXT    (SLOT_BYTES - 24)
#define LOG_SLOTS    (LOG_BYTES / SLOT_BYTES - 1)
#define SLOTS_A_LINE ((LOG_LINE_MAX + SLOT_TEXT - 1) / SLOT_TEXT)

struct log_slot {
	uint64_t mark; /* atomic */
	uint64_t time_ns;
	uint16_t cpu;
	uint8_t level;
	uint8_t part;  /* 0: a line begins here */
	uint8_t parts; /* slots of the line */
	uint8_t len;   /* bytes of text in this slot */
	uint16_t spare;
	char text[SLOT_TEXT];
};

struct log_ring {
	uint64_t magic;
	uint64_t head; /* atomic: number of the next slot to reserve; never wraps */
	uint8_t pad[SLOT_BYTES - 16];
	struct log_slot slots[LOG_SLOTS];
};

_Static_assert(sizeof(struct log_slot) == SLOT_BYTES, "a slot has no padding");
_Static_assert(sizeof(struct log_ring) == LOG_BYTES, "the ring fills its section");
_Static_assert(SLOT_TEXT <= UINT8_MAX, "len is 8 bits");

__attribute__((section(".log"))) struct log_ring log_ring;

static bool begun;     /* the ring was looked at in this run */
static uint64_t start; /* number of this run's first slot */
static void (*stamp_fn)(struct log_stamp *out);

/* Takes over what a previous run left, or clears the memory when it holds anything else. Happens in
 * the first log_write(), when one core runs. */
static void begin(void)
{
	struct log_ring *r = &log_ring;

	if (r->magic != LOG_MAGIC || r->head > (1ull << 48)) {
		memset(r, 0, sizeof(*r));
		r->magic = LOG_MAGIC;
	}
	for (unsigned i = 0; i < LOG_SLOTS;
	     i++) /* bits that decayed must not look like the future */
		if (r->slots[i].mark > 2 * r->head)
			r->slots[i].mark = 0;
	start = r->head;
	begun = true;
}

void log_set_stamp(void (*stamp)(struct log_stamp *out))
{
	__atomic_store_n(&stamp_fn, stamp, __ATOMIC_RELEASE);
}

static void fill_slot(uint64_t n, const struct log_slot *content)
{
	struct log_slot *s = &log_ring.slots[n % LOG_SLOTS];
	uint64_t writing = 2 * (n + 1) - 1;
	uint64_t old = __atomic_load_n(&s->mark, __ATOMIC_RELAXED);

	do {
		if (old >= writing)
			return; /* we slept for a whole lap: the slot is somebody else's */
	} while (!__atomic_compare_exchange_n(&s->mark, &old, writing, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy((char *)s + sizeof(s->mark), (const char *)content + sizeof(s->mark),
	       sizeof(*s) - sizeof(s->mark));
	__atomic_compare_exchange_n(&s->mark, &writing, writing + 1, false, __ATOMIC_RELEASE,
				    __ATOMIC_RELAXED);
}

static void write_line(enum log_level level, const char *text, size_t len)
{
	uint8_t parts = (uint8_t)(len ? (len + SLOT_TEXT - 1) / SLOT_TEXT : 1);
	uint64_t n = __atomic_fetch_add(&log_ring.head, parts, __ATOMIC_RELAXED);
	void (*stamp)(struct log_stamp *) = __atomic_load_n(&stamp_fn, __ATOMIC_ACQUIRE);
	struct log_stamp when = {0};

	if (stamp)
		stamp(&when);
	for (uint8_t p = 0; p < parts; p++) {
		struct log_slot s = {
			.time_ns = when.time_ns,
			.cpu = (uint16_t)when.cpu,
			.level = (uint8_t)level,
			.part = p,
			.parts = parts,
			.len = (uint8_t)MIN(len, (size_t)SLOT_TEXT),
		};

		memcpy(s.text, text, s.len);
		fill_slot(n + p, &s);
		text += s.len;
		len -= s.len;
	}
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;
	size_t len;

	if (!begun)
		begin();
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	len = strlen(text);
	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)text[i], before = i ? (uint8_t)text[i - 1] : 0;
		/* U+0080 to U+009F are controls too, in UTF-8 and as bare bytes */
		bool c1 = c >= 0x80 && c <= 0x9f && (before < 0x80 || before == 0xc2);

		if (c < 0x20 || c == 0x7f || c1)
			text[i] = '?';
	}
	write_line(level, text, len);
}

static const char *const level_names[] = {"error", "warning", "info", "debug"};

const char *log_level_name(enum log_level level)
{
	return (unsigned)level < ARRAY_SIZE(level_names) ? level_names[level] : "?";
}

int log_level_parse(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(level_names); i++)
		if (!strcmp(name, level_names[i]))
			return (int)i;
	return strcmp(name, "warn") ? -1 : LOG_WARN;
}

uint64_t log_oldest(void)
{
	uint64_t head = __atomic_load_n(&log_ring.head, __ATOMIC_ACQUIRE);

	if (!begun)
		return head;
	return head - start > LOG_SLOTS ? head - LOG_SLOTS : start;
}

/* Copies slot number n. */
static enum log_read_result read_slot(uint64_t n, struct log_slot *out)
{
	const struct log_slot *s = &log_ring.slots[n % LOG_SLOTS];
	uint64_t want = 2 * (n + 1);
	uint64_t mark;

	if (n >= __atomic_load_n(&log_ring.head, __ATOMIC_ACQUIRE))
		return LOG_READ_END;
	mark = __atomic_load_n(&s->mark, __ATOMIC_ACQUIRE);
	if (mark == want) {
		memcpy(out, s, sizeof(*out));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		mark = __atomic_load_n(&s->mark, __ATOMIC_RELAXED);
	}
	if (mark == want)
		return LOG_READ_LINE;
	return mark < want ? LOG_READ_BUSY : LOG_READ_LOST;
}

enum log_read_result log_read(uint64_t *cursor, struct log_line *out)
{
	enum log_read_result got;
	struct log_slot s;
	size_t len = 0;
	uint8_t p = 0;

	if (*cursor < log_oldest()) {
		*cursor = log_oldest();
		return LOG_READ_LOST;
	}
	/* The oldest kept slot may be the middle of a line that began before it: those are passed.
	 */
	while ((got = read_slot(*cursor, &s)) == LOG_READ_LINE && s.part != 0)
		++*cursor;
	while (got == LOG_READ_LINE) {
		if (s.part != p || s.len > SLOT_TEXT || len + s.len >= sizeof(out->text)) {
			got = LOG_READ_LOST; /* garbled by a writer that slept for a lap */
			break;
		}
		memcpy(out->text + len, s.text, s.len);
		len += s.len;
		if (++p >= s.parts)
			break;
		got = read_slot(*cursor + p, &s);
	}
	if (got == LOG_READ_LOST)
		++*cursor;
	if (got != LOG_READ_LINE)
		return got;
	out->text[len] = '\0';
	out->time_ns = s.time_ns;
	out->cpu = s.cpu;
	out->level = s.level;
	*cursor += p;
	return LOG_READ_LINE;
}

void log_skip(uint64_t *cursor)
{
	if (*cursor < __atomic_load_n(&log_ring.head, __ATOMIC_ACQUIRE))
		++*cursor;
}

size_t log_format(const struct log_line *line, char *buf, size_t size)
{
	const char *mark = line->level == LOG_ERROR  ? "error: "
			   : line->level == LOG_WARN ? "warning: "
						     : "";
	int n = snprintf(
		buf, size, "[%5llu.%06llu] %s%s", (unsigned long long)(line->time_ns / NS_PER_S),
		(unsigned long long)(line->time_ns % NS_PER_S / NS_PER_US), mark, line->text);

	return n < 0 ? 0 : MIN((size_t)n, size - 1);
}
