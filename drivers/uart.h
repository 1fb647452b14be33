/*
 * The host's serial port for the console: one 16550A (or 16450) at COM1 to COM4. Privileged.
 *
 * Used by the boot CPU only, apart from uart_emergency_*. Nothing here waits for the hardware
 * longer than a bounded number of looks at its status.
 */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include "lib/reason.h"
#include "lib/types.h"

/* Finds a UART at COM`number` (1 to 4) by its loopback mode and sets it to `baud`, 8N1.
 * ERR_NOT_FOUND or ERR_INVALID with a sentence; then everything below does nothing. */
int uart_open(unsigned number, uint32_t baud, struct reason *why);

/* What the command line says, before uart_open(): where a report goes if the hypervisor dies until
 * then. 0: no port is touched. */
void uart_early(unsigned number, uint32_t baud);

/* The console is switched off: the emergency path must not touch a port either. */
void uart_disable(void);

/* Lets the UART interrupt; `notify` is called, with interrupts off, after each one. ERR_NOT_FOUND
 * when the line cannot be routed: then uart_poll() does all the work. */
int uart_enable_irq(void (*notify)(void));

/* Moves bytes between the rings and the hardware, as far as it takes and has any. */
void uart_poll(void);

/* Output: bytes that wait in the ring. Writes what fits and returns how much that was. Without a
 * UART all output is taken and dropped. */
size_t uart_tx_pending(void);
size_t uart_write(const void *buf, size_t n);

/* Input: takes up to n bytes. */
size_t uart_read(void *buf, size_t n);

/*
 * From any core and context. begin: stops all other output for good and sends what waits in the
 * ring (a bounded part). write: sends n bytes, each with a time-out; after one time-out all is
 * dropped. end: waits until the last bit has left, so that the machine may be switched off.
 */
void uart_emergency_begin(void);
void uart_emergency_write(const char *text, size_t n);
void uart_emergency_end(void);

#endif
