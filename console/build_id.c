/*
 * What this build is: the one file that is compiled anew when nothing but the build's name changed.
 */
#include "console/build_id.h"

#include "version.h"

#ifdef __clang__
#define COMPILER __VERSION__ /* begins with its name */
#else
#define COMPILER "gcc " __VERSION__
#endif

const char skerry_version[] = SKERRY_VERSION;
const char skerry_build[] = SKERRY_BUILD;
const char skerry_compiler[] = COMPILER;
