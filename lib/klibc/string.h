/*
 * Stands in for the C library's header when klibc's vsnprintf.c is compiled for the hypervisor.
 */
#ifndef LIB_KLIBC_STRING_H
#define LIB_KLIBC_STRING_H

#include "lib/string.h"

#endif
