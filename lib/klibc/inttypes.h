/*
 * Stands in for the C library's header when klibc's vsnprintf.c is compiled for the hypervisor.
 */
#ifndef LIB_KLIBC_INTTYPES_H
#define LIB_KLIBC_INTTYPES_H

#include <stdint.h>

#endif
