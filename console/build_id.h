/*
 * What this build is, as text.
 */
#ifndef CONSOLE_BUILD_ID_H
#define CONSOLE_BUILD_ID_H

extern const char skerry_version[];  /* "0.1.0" */
extern const char skerry_build[];    /* git's name for the source */
extern const char skerry_compiler[]; /* "gcc 12.2.0" */

#endif
