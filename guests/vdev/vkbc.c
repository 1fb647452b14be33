/*
 * The 8042 keyboard controller, from the IBM PS/2 hardware interface technical reference ("Keyboard
 * and Auxiliary Device Controller").
 *
 * It is complete as a controller, so that a driver's probing ends without time-outs, but no
 * keyboard and no auxiliary port are attached: a byte sent to the keyboard is answered as the
 * controller does then, by FEh with the time-out bit. The guest's ACPI tables do not declare it;
 * Linux then does not look for it at all.
 *
 * The input buffer is never full, so a guest that waits for it goes on at once.
 *
 * Pure.
 */
#include "guests/vdev/vkbc.h"

#include "guests/board.h"

#define STATUS_FULL     0x01 /* `data` holds an answer */
#define STATUS_SYSTEM   0x04
#define STATUS_COMMAND  0x08 /* the last byte written was a command */
#define STATUS_UNLOCKED 0x10
#define STATUS_TIMEOUT  0x40
#define STATUS_ALL      0x5D

#define CONFIG_IRQ      0x01
#define CONFIG_SYSTEM   0x04
#define CONFIG_KBD_OFF  0x10
#define CONFIG_AUX_OFF  0x20 /* always set: there is no auxiliary port */
#define CONFIG_WRITE    0x57
#define CONFIG_FIRMWARE 0x65 /* translation, no auxiliary port, system flag, interrupt */

#define CMD_READ_CONFIG  0x20
#define CMD_WRITE_CONFIG 0x60
#define CMD_TEST_AUX     0xA9
#define CMD_SELF_TEST    0xAA
#define CMD_TEST_KBD     0xAB
#define CMD_DISABLE_KBD  0xAD
#define CMD_ENABLE_KBD   0xAE
#define CMD_READ_INPUT   0xC0
#define CMD_READ_OUTPUT  0xD0
#define CMD_WRITE_OUTPUT 0xD1
#define CMD_ECHO_KBD     0xD2
#define CMD_ECHO_AUX     0xD3
#define CMD_TO_AUX       0xD4
#define CMD_PULSE        0xF0 /* to 0xFF: a 0 in bits 0 to 3 pulses that output */

#define OUTPUT_RUN     0x01 /* 0 resets the processor */
#define OUTPUT_A20     0x02
#define INPUT_UNLOCKED 0x80

#define SELF_TEST_PASSED 0x55
#define TEST_PASSED      0x00
#define TEST_CLOCK_HIGH  0x02 /* nothing attached */
#define NO_ANSWER        0xFE

static const struct vdev_field fields[] = {
	VDEV_FIELD(struct vkbc, config, CONFIG_FIRMWARE, "configuration byte"),
	VDEV_FIELD(struct vkbc, status, STATUS_SYSTEM | STATUS_UNLOCKED, "status register"),
	VDEV_FIELD(struct vkbc, data, 0, "output buffer"),
	VDEV_FIELD(struct vkbc, command, 0, "command that waits for its data byte; 0: none"),
};

const struct vdev_type vkbc_type = {
	.name = "kbc",
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.version = 1,
};

/* The line follows the output buffer, if the interrupt is enabled. */
static void update(struct vkbc *v)
{
	v->host->line(v->host->ctx, LINE_KBD,
		      (v->status & STATUS_FULL) && (v->config & CONFIG_IRQ));
}

static void answer(struct vkbc *v, uint8_t data)
{
	v->data = data;
	v->status |= STATUS_FULL;
	update(v);
}

static void reset_machine(struct vkbc *v)
{
	v->host->power(v->host->ctx, VDEV_POWER_RESET, 0);
}

static void write_command(struct vkbc *v, uint8_t command)
{
	v->status |= STATUS_COMMAND;
	v->command = 0;
	if (command >= CMD_PULSE) {
		if (!(command & OUTPUT_RUN))
			reset_machine(v);
		return;
	}
	switch (command) {
	case CMD_READ_CONFIG:
		answer(v, v->config);
		break;
	case CMD_TEST_AUX:
		answer(v, TEST_CLOCK_HIGH);
		break;
	case CMD_SELF_TEST:
		v->status |= STATUS_SYSTEM;
		v->config |= CONFIG_SYSTEM;
		answer(v, SELF_TEST_PASSED);
		break;
	case CMD_TEST_KBD:
		answer(v, TEST_PASSED);
		break;
	case CMD_DISABLE_KBD:
		v->config |= CONFIG_KBD_OFF;
		break;
	case CMD_ENABLE_KBD:
		v->config &= (uint8_t)~CONFIG_KBD_OFF;
		break;
	case CMD_READ_INPUT:
		answer(v, INPUT_UNLOCKED);
		break;
	case CMD_READ_OUTPUT:
		answer(v, OUTPUT_RUN | OUTPUT_A20);
		break;
	case CMD_WRITE_CONFIG:
	case CMD_WRITE_OUTPUT:
	case CMD_ECHO_KBD:
	case CMD_ECHO_AUX:
	case CMD_TO_AUX:
		v->command = command;
		break;
	default: /* A20 and auxiliary port on and off among them: no effect */
		break;
	}
}

static void write_data(struct vkbc *v, uint8_t value)
{
	uint8_t command = v->command;

	v->status &= (uint8_t)~STATUS_COMMAND;
	v->command = 0;
	switch (command) {
	case CMD_WRITE_CONFIG:
		v->config = (value & CONFIG_WRITE) | CONFIG_AUX_OFF;
		v->status &= (uint8_t)~STATUS_SYSTEM;
		if (value & CONFIG_SYSTEM)
			v->status |= STATUS_SYSTEM;
		update(v);
		break;
	case CMD_WRITE_OUTPUT:
		if (!(value & OUTPUT_RUN))
			reset_machine(v);
		break;
	case CMD_ECHO_KBD:
	case CMD_ECHO_AUX: /* never marked as auxiliary: a driver sees that there is no such port */
		answer(v, value);
		break;
	default: /* for a device that is not there */
		v->status |= STATUS_TIMEOUT;
		answer(v, NO_ANSWER);
		break;
	}
}

uint8_t vkbc_read(struct vkbc *v, uint16_t port)
{
	if (port == BOARD_KBD_CMD_PORT)
		return v->status;
	if (v->status & STATUS_FULL) {
		v->status &= (uint8_t) ~(STATUS_FULL | STATUS_TIMEOUT);
		update(v);
	}
	return v->data;
}

void vkbc_write(struct vkbc *v, uint16_t port, uint8_t value)
{
	if (port == BOARD_KBD_CMD_PORT)
		write_command(v, value);
	else
		write_data(v, value);
}

void vkbc_init(struct vkbc *v, const struct vdev_host *host)
{
	*v = (struct vkbc){.host = host};
	vdev_reset(&vkbc_type, v);
}

void vkbc_reset(struct vkbc *v)
{
	vdev_reset(&vkbc_type, v);
	update(v);
}

int vkbc_check(const struct vkbc *v, struct reason *why)
{
	if (v->status & ~STATUS_ALL || !(v->status & STATUS_UNLOCKED) ||
	    v->config & ~(CONFIG_WRITE | CONFIG_AUX_OFF) || !(v->config & CONFIG_AUX_OFF) ||
	    !!(v->config & CONFIG_SYSTEM) != !!(v->status & STATUS_SYSTEM))
		return refuse(why, ERR_INVALID,
			      "The keyboard controller's registers contradict each other.");
	return 0;
}
