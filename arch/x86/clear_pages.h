/* Zeroing of large blocks. Pure: no privileged instruction. */
#ifndef ARCH_X86_CLEAR_PAGES_H
#define ARCH_X86_CLEAR_PAGES_H

#include "lib/types.h"

/* Fills `size` bytes, a multiple of 256 and not 0, from a page's start on. They are not in the
 * caches afterwards. Only on a core after fpu_init_host_this_cpu(). */
void clear_pages(void *pages, size_t size);

#endif
