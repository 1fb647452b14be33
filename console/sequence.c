/*
 * Control sequences. Pure. ECMA-48, "Control Functions for Coded Character Sets", sections "Control
 * sequences", "Escape sequences" and "Control strings".
 */
#include "console/sequence.h"

enum sequence sequence_next(enum sequence s, uint8_t c)
{
	if (c == 0x1b)
		return SEQUENCE_ESC;
	switch (s) {
	case SEQUENCE_ESC:
		if (c == '[')
			return SEQUENCE_CSI;
		if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')
			return SEQUENCE_STRING;
		return c >= 0x20 && c <= 0x2f ? SEQUENCE_ESC : SEQUENCE_NONE;
	case SEQUENCE_CSI:
		return c >= 0x40 ? SEQUENCE_NONE : SEQUENCE_CSI;
	case SEQUENCE_STRING:
		return c == 0x07 ? SEQUENCE_NONE : SEQUENCE_STRING;
	case SEQUENCE_NONE:
		break;
	}
	return SEQUENCE_NONE;
}
