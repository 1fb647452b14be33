/* Raises an exception with no descriptor table to answer it. */
#include "guest.h"

main:
	lidt nothing
	ud2
	.section .data
nothing: .short 0
	.long 0
