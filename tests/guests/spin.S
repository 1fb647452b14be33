/* Never leaves by itself: a loop with interrupts off. Only the host's own interrupts get it off a core. */
#include "guest.h"

main:
	cli
1:	jmp 1b
