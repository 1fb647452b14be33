/*
 * The two byte streams of a guest's serial port: what the guest sends (kept as history, and read by
 * the console), and what the administrator types. Each has one writer and one reader, on different
 * cores; no locks. Pure.
 */
#ifndef GUESTS_SERIAL_H
#define GUESTS_SERIAL_H

#include "lib/types.h"

#define SERIAL_OUT_SIZE 16384u /* powers of two */
#define SERIAL_IN_SIZE  1024u

struct serial_port {
	uint8_t out[SERIAL_OUT_SIZE];
	uint8_t in[SERIAL_IN_SIZE];
	uint64_t out_head; /* bytes ever sent: the guest's side writes it */
	uint64_t out_tail; /* bytes ever read: the console's */
	uint32_t in_head, in_tail;
	bool reader;  /* the console reads along, so nothing may be lost */
	bool stalled; /* the guest's side was refused a byte and wants to be told of room */
};

/* Guest's side: takes a byte. False: the reader has not kept up; offer it again when told. */
bool serial_send(struct serial_port *p, uint8_t byte);

/* Bytes that the reader has not taken yet. */
static inline uint64_t serial_unread(const struct serial_port *p)
{
	return __atomic_load_n(&p->out_head, __ATOMIC_ACQUIRE) -
	       __atomic_load_n(&p->out_tail, __ATOMIC_RELAXED);
}

/* Guest's side: the next typed byte without taking it, and taking it. */
bool serial_peek(const struct serial_port *p, uint8_t *byte);
void serial_take(struct serial_port *p);

/* Forgets what was typed and not taken: it was meant for what ran before. No side is in a call. */
void serial_drop_input(struct serial_port *p);

/* Console's side: begins or ends reading along. Reading begins with what is sent from now on. */
void serial_set_reader(struct serial_port *p, bool on);

/* Console's side: takes up to n bytes of output. `*stalled` tells whether the guest must be told
 * that there is room. */
size_t serial_read(struct serial_port *p, uint8_t *buf, size_t n, bool *stalled);

/* Console's side: offers input; returns how much was accepted. */
size_t serial_write(struct serial_port *p, const uint8_t *buf, size_t n);

/* Console's side: the last up to n bytes of output, oldest first. Bytes that are sent meanwhile may
 * be missing. */
size_t serial_history(const struct serial_port *p, uint8_t *buf, size_t n);

#endif
