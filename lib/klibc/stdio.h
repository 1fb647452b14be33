/*
 * Stands in for the C library's header when klibc's vsnprintf.c is compiled for the hypervisor.
 */
#ifndef LIB_KLIBC_STDIO_H
#define LIB_KLIBC_STDIO_H

#include "lib/format.h"

#endif
