/*
 * The arithmetic of the frame allocator: blocks of 2^order frames, split and joined with their
 * buddies. The records are one per frame; a free block's list links lie in the block itself. Pure;
 * the owner locks.
 */
#ifndef MM_BUDDY_H
#define MM_BUDDY_H

#include "mm/frame.h"

#define BUDDY_NONE UINT64_MAX

struct buddy {
	struct frame *frames; /* by frame number; FRAME_RESERVED where nothing is given out */
	uint64_t n_frames;
	uint64_t head[FRAME_MAX_ORDER + 1]; /* first free block of each order, or BUDDY_NONE */
	uint64_t n_free;                    /* frames */
	void *(*map)(uint64_t frame);       /* host address of a frame's memory */
};

void buddy_init(struct buddy *b, struct frame *frames, uint64_t n_frames,
		void *(*map)(uint64_t frame));

/* Gives the frames [start, end) to the allocator. */
void buddy_add(struct buddy *b, uint64_t start, uint64_t end);

/* First frame of a free block, or BUDDY_NONE. Its records get `owner` and one reference. */
uint64_t buddy_alloc(struct buddy *b, unsigned order, enum frame_owner owner);

/*
 * Keeps the first n frames (1 to all) of a block that was just given out, and takes the rest back.
 * What is kept lies in blocks of falling size, each to be freed by itself. Of those that another
 * one follows, buddy_continues() is true.
 */
void buddy_trim(struct buddy *b, uint64_t frame, unsigned order, uint64_t n);
bool buddy_continues(const struct buddy *b, uint64_t frame);

/* False: that is no block that was given out (the caller's bug); nothing was done. */
bool buddy_free(struct buddy *b, uint64_t frame, unsigned order) __must_check;

#endif
