/*
 * The log ring. Begins in the image; log_keep() moves it to memory that a warm reset leaves alone,
 * from where the next run takes it over. Each slot carries a checksum for that.
 *
 * Locking: none. A writer formats its line on its own stack, reserves one to three consecutive
 * slots by an atomic addition, fills them, and marks each as complete. A mark is 2 * (n + 1) for
 * slot number n when complete and one less while it is being written, so it only ever grows; a
 * reader takes a slot when its mark is the expected one before and after the copy. A writer that is
 * stopped in the middle (by an NMI that never returns) leaves a busy slot, which readers skip; if
 * it is stopped for a whole lap, its last bytes may garble one newer line, and that is all.
 */
#include "lib/log.h"

#include "lib/crc32.h"
#include "lib/format.h"
#include "lib/string.h"

#define LOG_MAGIC    0x32474f4c59524b53ull /* "SKRYLOG2": with the format's version */
#define SLOT_BYTES   128
#define SLOT_TEXT    (SLOT_BYTES - 28)
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
	uint32_t crc; /* of number and content, when complete */
	char text[SLOT_TEXT];
};

struct log_ring {
	uint64_t magic;
	uint64_t head; /* atomic: number of the next slot to reserve; from 0 in each run */
	uint8_t pad[SLOT_BYTES - 16];
	struct log_slot slots[LOG_SLOTS];
};

_Static_assert(sizeof(struct log_slot) == SLOT_BYTES, "a slot has no padding");
_Static_assert(sizeof(struct log_ring) == LOG_BYTES, "its size is told");
_Static_assert(SLOT_TEXT <= UINT8_MAX, "len is 8 bits");

struct log_ring log_ring;                 /* at first; then the previous run's */
static struct log_ring *ring = &log_ring; /* this run's */
static struct log_previous previous;
static uint64_t previous_head;
static void (*stamp_fn)(struct log_stamp *out);

void log_set_stamp(void (*stamp)(struct log_stamp *out))
{
	__atomic_store_n(&stamp_fn, stamp, __ATOMIC_RELEASE);
}

static uint32_t slot_crc(uint64_t n, const struct log_slot *s)
{
	struct log_slot copy = *s;

	copy.mark = n;
	copy.crc = 0;
	return crc32_of(0, &copy, sizeof(copy));
}

static void fill_slot(uint64_t n, const struct log_slot *content)
{
	struct log_slot *s = &ring->slots[n % LOG_SLOTS];
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
	uint64_t n = __atomic_fetch_add(&ring->head, parts, __ATOMIC_RELAXED);
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
		s.crc = slot_crc(n + p, &s);
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
	uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);

	return head > LOG_SLOTS ? head - LOG_SLOTS : 0;
}

/* Copies slot number n. */
static enum log_read_result read_slot(const struct log_ring *r, uint64_t n, struct log_slot *out)
{
	const struct log_slot *s = &r->slots[n % LOG_SLOTS];
	uint64_t want = 2 * (n + 1);
	uint64_t mark;

	if (n >= __atomic_load_n(&r->head, __ATOMIC_ACQUIRE))
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

static enum log_read_result read_line(const struct log_ring *r, uint64_t *cursor,
				      struct log_line *out)
{
	enum log_read_result got;
	struct log_slot s;
	size_t len = 0;
	uint8_t p = 0;

	/* The oldest kept slot may be the middle of a line that began before it: those are passed.
	 */
	while ((got = read_slot(r, *cursor, &s)) == LOG_READ_LINE && s.part != 0)
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
		got = read_slot(r, *cursor + p, &s);
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

enum log_read_result log_read(uint64_t *cursor, struct log_line *out)
{
	if (*cursor < log_oldest()) {
		*cursor = log_oldest();
		return LOG_READ_LOST;
	}
	return read_line(ring, cursor, out);
}

/* ---- from one run to the next ---- */

static bool slot_is_good(const struct log_ring *r, uint64_t index)
{
	const struct log_slot *s = &r->slots[index];
	uint64_t n = s->mark / 2 - 1;

	return s->mark && s->mark % 2 == 0 && n % LOG_SLOTS == index && n < 1ull << 48 &&
	       s->level <= LOG_DEBUG && s->crc == slot_crc(n, s);
}

/* Finds out what is good of a ring that another run left, and forgets the rest. Its slots alone
 * tell where it ended: the words before them may be damaged. */
static void judge_previous(struct log_ring *r)
{
	bool header = r->magic == LOG_MAGIC;
	uint64_t head = 0, first;

	for (uint64_t i = 0; i < LOG_SLOTS; i++) {
		if (slot_is_good(r, i))
			head = MAX(head, r->slots[i].mark / 2);
		else
			r->slots[i].mark = 0;
	}
	first = head > LOG_SLOTS ? head - LOG_SLOTS : 0;
	for (uint64_t n = first; n < head; n++)
		previous.damaged += r->slots[n % LOG_SLOTS].mark != 2 * (n + 1);
	previous.there = head;
	if (head && (!header || r->head < head))
		previous.damaged++;
	r->head = head;
	previous_head = first;
}

const struct log_previous *log_keep(void *memory)
{
	uint64_t *mine = (uint64_t *)&log_ring, *kept = memory;
	struct log_line line;
	uint64_t cursor;

	log_ring.magic = LOG_MAGIC;
	for (size_t i = 0; i < sizeof(log_ring) / sizeof(*mine); i++) {
		uint64_t old = kept[i];

		kept[i] = mine[i];
		mine[i] = old;
	}
	ring = memory;
	judge_previous(&log_ring);
	cursor = log_previous_oldest();
	while (log_previous_read(&cursor, &line))
		previous.lines++;
	return &previous;
}

const void *log_memory(void)
{
	return ring;
}

const struct log_previous *log_previous(void)
{
	return &previous;
}

uint64_t log_previous_oldest(void)
{
	return previous_head;
}

bool log_previous_read(uint64_t *cursor, struct log_line *out)
{
	while (previous.there) {
		switch (read_line(&log_ring, cursor, out)) {
		case LOG_READ_LINE:
			return true;
		case LOG_READ_END:
			return false;
		case LOG_READ_BUSY: /* what was not good */
			++*cursor;
			break;
		case LOG_READ_LOST:
			break;
		}
	}
	return false;
}

void log_skip(uint64_t *cursor)
{
	if (*cursor < __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE))
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
