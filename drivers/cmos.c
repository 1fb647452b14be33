/*
 * Reading the CMOS clock. Privileged; the boot CPU, once.
 */
#include "drivers/cmos.h"

#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "lib/log.h"
#include "lib/string.h"

#define STATUS_A 0x0a
#define STATUS_B 0x0b
#define UPDATING 0x80

static uint64_t at_boot; /* wall clock minus uptime */

static uint8_t cmos_read(uint8_t reg)
{
	out8(0x70, reg); /* bit 7 clear: NMIs stay enabled */
	return in8(0x71);
}

static struct cmos_time read_registers(void)
{
	return (struct cmos_time){
		.second = cmos_read(0),
		.minute = cmos_read(2),
		.hour = cmos_read(4),
		.day = cmos_read(7),
		.month = cmos_read(8),
		.year = cmos_read(9),
		.status_b = cmos_read(STATUS_B),
	};
}

void cmos_init(void)
{
	struct cmos_time t, again;
	uint64_t seconds = 0;

	/* An update takes 2 ms and none begins within 244 us of seeing the flag clear; two equal
	 * readings make sure that even a slow bus did not run into one. */
	for (int tries = 0; tries < 10; tries++) {
		for (int i = 0; i < 300 && cmos_read(STATUS_A) & UPDATING; i++)
			delay_us(10);
		t = read_registers();
		again = read_registers();
		if (!memcmp(&t, &again, sizeof(t))) {
			seconds = cmos_seconds(&t);
			break;
		}
	}
	if (!seconds)
		log_warn("the machine's clock (CMOS) holds no valid time: guests start in 1970; "
			 "set it in the "
			 "firmware set-up");
	at_boot = seconds - MIN(seconds, uptime_ns() / NS_PER_S);
}

uint64_t wall_clock_seconds(void)
{
	return at_boot + uptime_ns() / NS_PER_S;
}
