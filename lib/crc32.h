/* CRC-32 as in IEEE 802.3 (and zlib, Python's binascii.crc32): for records that may come back
 * damaged. (zlib has one as well, for guests/: the log may not depend on it.) Pure. */
#ifndef LIB_CRC32_H
#define LIB_CRC32_H

#include "lib/types.h"

/* Of the n bytes, going on from `crc` of what came before; 0 to begin. */
uint32_t crc32_of(uint32_t crc, const void *bytes, size_t n);

#endif
