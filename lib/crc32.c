/* CRC-32, four bits at a time: the table is short and it is fast enough for a serial line. Pure. */
#include "lib/crc32.h"

#define POLYNOMIAL 0xedb88320u /* 0x04c11db7, lowest bit first */

#define STEP(v)  ((v)&1 ? (v) >> 1 ^ POLYNOMIAL : (v) >> 1)
#define ENTRY(n) STEP(STEP(STEP(STEP(n##u))))

static const uint32_t table[16] = {
	ENTRY(0), ENTRY(1), ENTRY(2),  ENTRY(3),  ENTRY(4),  ENTRY(5),  ENTRY(6),  ENTRY(7),
	ENTRY(8), ENTRY(9), ENTRY(10), ENTRY(11), ENTRY(12), ENTRY(13), ENTRY(14), ENTRY(15),
};

uint32_t crc32_of(uint32_t crc, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	crc = ~crc;
	while (n--) {
		crc ^= *p++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}
