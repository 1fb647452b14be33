/*
 * Stands in for the C library's header when klibc's vsnprintf.c is compiled for the hypervisor. The
 * compiler's own limits.h would ask for the C library's.
 */
#ifndef LIB_KLIBC_LIMITS_H
#define LIB_KLIBC_LIMITS_H

#define CHAR_BIT __CHAR_BIT__

#endif
