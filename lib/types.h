/*
 * Basic types and the few macros that everything uses. Pure: compiled into the hypervisor and
 * into the unit tests.
 */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Addresses of different spaces are different types, so that the compiler keeps them apart. */
struct hpa { /* host-physical */
	uint64_t v;
};
struct gpa { /* guest-physical */
	uint64_t v;
};

#define HPA(x) ((struct hpa){(uint64_t)(x)})
#define GPA(x) ((struct gpa){(uint64_t)(x)})

/* No address: what an allocator or a look-up answers when there is nothing. */
#define HPA_NONE       HPA(UINT64_MAX)
#define hpa_is_none(a) ((a).v == UINT64_MAX)

#define PAGE_SHIFT       12
#define PAGE_SIZE        4096ull
#define LARGE_PAGE_SHIFT 21
#define LARGE_PAGE_SIZE  (1ull << LARGE_PAGE_SHIFT)
#define HUGE_PAGE_SHIFT  30
#define HUGE_PAGE_SIZE   (1ull << HUGE_PAGE_SHIFT)

#define KIB 1024ull
#define MIB (1024ull * KIB)
#define GIB (1024ull * MIB)

#define NS_PER_S   1000000000ull
#define NS_PER_MS  1000000ull
#define NS_PER_US  1000ull
#define TIME_NEVER UINT64_MAX

#define BIT(n)           (1ull << (n))
#define BIT32(n)         (1u << (n))
#define ARRAY_SIZE(a)    (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)        ((a) < (b) ? (a) : (b))
#define MAX(a, b)        ((a) > (b) ? (a) : (b))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define ALIGN_UP(x, a)   ALIGN_DOWN((x) + (__typeof__(x))(a)-1, a)
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a)-1)) == 0)

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define likely(x)      __builtin_expect(!!(x), 1)
#define unlikely(x)    __builtin_expect(!!(x), 0)
#define __packed       __attribute__((packed))
#define __printf(f, a) __attribute__((format(printf, f, a)))
#define __noreturn     __attribute__((noreturn))
#define __must_check   __attribute__((warn_unused_result))
#define __cold         __attribute__((cold))
#define __no_dump      __attribute__((section(".bss.no_dump"))) /* says nothing in a dump */
#define __noinline     __attribute__((noinline))
#define __force_inline inline __attribute__((always_inline))

/*
 * Errors of the third kind (what an administrator, a file or the machine said): functions return 0
 * or one of these, negative, and explain in a `struct reason`.
 */
enum {
	ERR_INVALID = -1,     /* malformed or out of range */
	ERR_NO_MEMORY = -2,   /* no frame or heap left */
	ERR_NOT_FOUND = -3,   /* no such thing */
	ERR_EXISTS = -4,      /* there already */
	ERR_STATE = -5,       /* not in this state */
	ERR_UNSUPPORTED = -6, /* the hardware or this version cannot */
	ERR_TIMEOUT = -7,     /* no answer in time */
	ERR_RANGE = -8,       /* address or size outside what is there */
};

#endif
