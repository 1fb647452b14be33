/* A guest's serial streams; see serial.h. Pure. */
#include "guests/serial.h"

#define OUT_MASK (SERIAL_OUT_SIZE - 1)
#define IN_MASK  (SERIAL_IN_SIZE - 1)

static bool full(const struct serial_port *p)
{
	return __atomic_load_n(&p->reader, __ATOMIC_ACQUIRE) &&
	       p->out_head - __atomic_load_n(&p->out_tail, __ATOMIC_ACQUIRE) >= SERIAL_OUT_SIZE;
}

bool serial_send(struct serial_port *p, uint8_t byte)
{
	if (full(p)) {
		__atomic_store_n(&p->stalled, true, __ATOMIC_SEQ_CST);
		/* the reader may have made room before it could see that flag */
		if (full(p))
			return false;
		__atomic_store_n(&p->stalled, false, __ATOMIC_RELAXED);
	}
	p->out[p->out_head & OUT_MASK] = byte;
	__atomic_store_n(&p->out_head, p->out_head + 1, __ATOMIC_RELEASE);
	return true;
}

bool serial_peek(const struct serial_port *p, uint8_t *byte)
{
	if (__atomic_load_n(&p->in_head, __ATOMIC_ACQUIRE) == p->in_tail)
		return false;
	*byte = p->in[p->in_tail & IN_MASK];
	return true;
}

void serial_take(struct serial_port *p)
{
	__atomic_store_n(&p->in_tail, p->in_tail + 1, __ATOMIC_RELEASE);
}

void serial_drop_input(struct serial_port *p)
{
	p->in_tail = p->in_head;
}

void serial_set_reader(struct serial_port *p, bool on)
{
	if (on && !p->reader)
		__atomic_store_n(&p->out_tail, __atomic_load_n(&p->out_head, __ATOMIC_ACQUIRE),
				 __ATOMIC_RELEASE);
	__atomic_store_n(&p->reader, on, __ATOMIC_RELEASE);
}

size_t serial_read(struct serial_port *p, uint8_t *buf, size_t n, bool *stalled)
{
	uint64_t head = __atomic_load_n(&p->out_head, __ATOMIC_ACQUIRE);
	uint64_t tail = p->out_tail;
	size_t got = 0;

	/* the guest's side may have run ahead before the reader was set */
	if (head - tail > SERIAL_OUT_SIZE)
		tail = head - SERIAL_OUT_SIZE;
	while (got < n && tail != head)
		buf[got++] = p->out[tail++ & OUT_MASK];
	__atomic_store_n(&p->out_tail, tail, __ATOMIC_SEQ_CST);
	*stalled = got && __atomic_exchange_n(&p->stalled, false, __ATOMIC_SEQ_CST);
	return got;
}

size_t serial_write(struct serial_port *p, const uint8_t *buf, size_t n)
{
	uint32_t tail = __atomic_load_n(&p->in_tail, __ATOMIC_ACQUIRE);
	size_t put = 0;

	while (put < n && p->in_head - tail < SERIAL_IN_SIZE) {
		p->in[p->in_head & IN_MASK] = buf[put++];
		__atomic_store_n(&p->in_head, p->in_head + 1, __ATOMIC_RELEASE);
	}
	return put;
}

size_t serial_history(const struct serial_port *p, uint8_t *buf, size_t n)
{
	uint64_t head = __atomic_load_n(&p->out_head, __ATOMIC_ACQUIRE);
	uint64_t kept = MIN(head, (uint64_t)SERIAL_OUT_SIZE);
	uint64_t from = head - MIN(kept, (uint64_t)n);

	for (uint64_t i = from; i != head; i++)
		buf[i - from] = p->out[i & OUT_MASK];
	return (size_t)(head - from);
}
