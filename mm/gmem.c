/*
 * Guest memory, the parts that cross chunks: copies in and out, and where RAM lies. Pure: the
 * caller says whose memory it is; it owns the table of chunks and its locking.
 */
#include "mm/gmem.h"

#include "lib/string.h"

/* Bytes of [gpa, gpa + len) that lie in the first chunk it touches. */
static uint64_t first_part(uint64_t gpa, uint64_t len)
{
	uint64_t room = GMEM_CHUNK_SIZE - (gpa & (GMEM_CHUNK_SIZE - 1));

	return MIN(len, room);
}

/* Whether every byte is RAM, or for reading ROM. Stops at the first chunk that is not, so an absurd
 * length costs no more than the guest has chunks. */
static bool is_there(const struct gmem *m, uint64_t gpa, uint64_t len, bool write)
{
	while (len) {
		uint64_t part = first_part(gpa, len);

		if (!gmem_ptr(m, gpa, part) || (write && gmem_is_rom(m, gpa)))
			return false;
		gpa += part;
		len -= part;
	}
	return true;
}

int gmem_read(const struct gmem *m, uint64_t gpa, void *buf, uint64_t len)
{
	uint8_t *to = buf;

	if (!is_there(m, gpa, len, false))
		return ERR_RANGE;
	while (len) {
		uint64_t part = first_part(gpa, len);

		memcpy(to, gmem_ptr(m, gpa, part), part);
		to += part;
		gpa += part;
		len -= part;
	}
	return 0;
}

int gmem_write(struct gmem *m, uint64_t gpa, const void *buf, uint64_t len)
{
	const uint8_t *from = buf;

	if (!is_there(m, gpa, len, true))
		return ERR_RANGE;
	while (len) {
		uint64_t part = first_part(gpa, len);

		memcpy(gmem_ptr_write(m, gpa, part), from, part);
		from += part;
		gpa += part;
		len -= part;
	}
	return 0;
}

int gmem_fill(struct gmem *m, uint64_t gpa, uint8_t byte, uint64_t len)
{
	if (!is_there(m, gpa, len, true))
		return ERR_RANGE;
	while (len) {
		uint64_t part = first_part(gpa, len);

		memset(gmem_ptr_write(m, gpa, part), byte, part);
		gpa += part;
		len -= part;
	}
	return 0;
}

uint64_t gmem_low_end(uint64_t size)
{
	return MIN(size, GMEM_HOLE_START);
}

uint64_t gmem_high_end(uint64_t size)
{
	return size > GMEM_HOLE_START ? GMEM_HOLE_END + (size - GMEM_HOLE_START) : GMEM_HOLE_END;
}
