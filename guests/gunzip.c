/* Unpacks files that were packed by gzip; see gunzip.h. Pure. */
#include "guests/gunzip.h"

#include <zlib.h>

#include "lib/string.h"

#define GZIP_WINDOW (16 + 15) /* inflateInit2: a gzip header, and windows of any size */
#define COUNT_ROOM  (48 * KIB)
#define PIECE       GIB /* zlib counts in 32 bits */

/* What inflate allocates comes from here; nothing is given back before all is. */
struct pool {
	uint8_t *at;
	uint64_t left;
};

struct unpacking {
	const struct load_blob *file;
	z_stream z;
	struct pool pool;
	uint64_t taken; /* bytes of the file that zlib was given */
	uint8_t *out;   /* NULL: only count */
	uint8_t *count; /* buffer for that */
	uint64_t size;  /* bytes that came out */
	uint64_t limit; /* as many may */
};

static void *pool_alloc(void *opaque, unsigned n, unsigned size)
{
	struct pool *pool = opaque;
	uint64_t need = ALIGN_UP((uint64_t)n * size, 16);
	void *p = pool->at;

	if (need > pool->left)
		return NULL;
	pool->at += need;
	pool->left -= need;
	return p;
}

static void pool_free(void *opaque, void *p)
{
	(void)opaque;
	(void)p;
}

bool gunzip_is(const struct load_blob *file)
{
	return file->size >= 2 && !memcmp(file->data, "\x1f\x8b", 2);
}

static void give_input(struct unpacking *u)
{
	uint64_t piece = MIN(u->file->size - u->taken, PIECE);

	if (u->z.avail_in)
		return;
	u->z.next_in = (const uint8_t *)u->file->data + u->taken;
	u->z.avail_in = (unsigned)piece;
	u->taken += piece;
}

/* Bytes of the file behind what zlib has used. */
static uint64_t behind(const struct unpacking *u)
{
	return u->file->size - u->taken + u->z.avail_in;
}

static int broken(const struct unpacking *u, struct reason *why)
{
	return refuse(why, ERR_INVALID, "%s is packed by gzip, and broken: %s", u->file->string,
		      u->z.msg ? u->z.msg : "it cannot be unpacked");
}

/* Unpacks one member. */
static int member(struct unpacking *u, struct reason *why)
{
	for (;;) {
		uint64_t room = u->out ? MIN(u->limit - u->size, PIECE) : COUNT_ROOM;
		unsigned before;
		int err;

		give_input(u);
		before = u->z.avail_in;
		u->z.next_out = u->out ? u->out + u->size : u->count;
		u->z.avail_out = (unsigned)room;
		err = inflate(&u->z, Z_NO_FLUSH);
		u->size += room - u->z.avail_out;
		if (u->size > u->limit)
			return refuse(why, ERR_RANGE,
				      "%s is packed by gzip and becomes larger than %llu MiB, the "
				      "most that is unpacked for this guest",
				      u->file->string, (unsigned long long)(u->limit / MIB));
		if (err == Z_STREAM_END)
			return 0;
		if (err != Z_OK && err != Z_BUF_ERROR)
			return broken(u, why);
		/* Neither took nor gave anything: the input has ended, or with `out` the room. */
		if (u->z.avail_in == before && u->z.avail_out == room && !behind(u))
			return refuse(why, ERR_INVALID, "%s is packed by gzip, and cut",
				      u->file->string);
		if (err == Z_BUF_ERROR && behind(u))
			return broken(u, why);
	}
}

static bool is_padding(const uint8_t *p, uint64_t len)
{
	while (len && !*p) {
		p++;
		len--;
	}
	return !len;
}

static int unpack(struct unpacking *u, struct reason *why)
{
	const uint8_t *f = u->file->data;
	uint64_t at;
	int err;

	u->z.zalloc = pool_alloc;
	u->z.zfree = pool_free;
	u->z.opaque = &u->pool;
	if (inflateInit2(&u->z, GZIP_WINDOW) != Z_OK)
		return broken(u, why);
	for (;;) {
		err = member(u, why);
		if (err)
			return err;
		at = u->file->size - behind(u);
		if (is_padding(f + at, u->file->size - at))
			return 0;
		if (u->file->size - at < 2 || memcmp(f + at, "\x1f\x8b", 2))
			return refuse(why, ERR_INVALID,
				      "%s is packed by gzip, and %llu bytes behind its end are "
				      "something else",
				      u->file->string, (unsigned long long)(u->file->size - at));
		if (inflateReset(&u->z) != Z_OK)
			return broken(u, why);
	}
}

int gunzip_size(const struct load_blob *file, void *work, uint64_t limit, uint64_t *size,
		struct reason *why)
{
	struct unpacking u = {
		.file = file,
		.count = work,
		.pool = {(uint8_t *)work + COUNT_ROOM, GUNZIP_WORK - COUNT_ROOM},
		.limit = limit,
	};
	int err = unpack(&u, why);

	*size = u.size;
	return err;
}

int gunzip(const struct load_blob *file, void *work, void *out, uint64_t size, struct reason *why)
{
	struct unpacking u = {
		.file = file,
		.out = out,
		.pool = {work, GUNZIP_WORK},
		.limit = size,
	};
	int err = unpack(&u, why);

	if (!err && u.size != size)
		return broken(&u, why);
	return err;
}
