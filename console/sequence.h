/*
 * Following a terminal's control sequences in a stream of bytes, so that nothing is inserted into
 * one and that they can be taken out of text. Pure.
 */
#ifndef CONSOLE_SEQUENCE_H
#define CONSOLE_SEQUENCE_H

#include "lib/types.h"

enum sequence {
	SEQUENCE_NONE,
	SEQUENCE_ESC,    /* after ESC, and its intermediate bytes */
	SEQUENCE_CSI,    /* inside a control sequence */
	SEQUENCE_STRING, /* inside OSC, DCS and the like, up to BEL or ESC \ */
};

/* Where the stream stands after byte `c`. */
enum sequence sequence_next(enum sequence s, uint8_t c);

#endif
