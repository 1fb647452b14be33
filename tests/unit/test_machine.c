/*
 * The board of a guest with its real devices: which port and which address leads where, what is
 * counted as unknown, the earliest deadline, and the interrupt wires.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "guests/machine.h"
#include "guests/vdev/ticks.h"

static uint64_t random64(void)
{
	static uint64_t x = 0xda942042e4dd58b5;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static uint64_t below(uint64_t n)
{
	return random64() % n;
}

static uint64_t time_ns;

/* What a machine did to the world, in order: each event as one word, folded together. */
struct side {
	struct machine m;
	bool direct; /* its devices are called without the board, its wires are those of this file
		      */
	uint64_t log, events;
	uint64_t last_addr;
	uint32_t last_data;
	unsigned n_msi, n_power;
	enum vdev_power power;
	uint32_t power_value;
	bool pic_int;
};

static struct side board, reference;

static void note(struct side *s, uint64_t kind, uint64_t a, uint64_t b)
{
	s->log = (s->log ^ kind ^ a << 8 ^ b << 40) * 0x100000001b3;
	s->events++;
}

static uint64_t host_now(void *ctx)
{
	(void)ctx;
	return time_ns;
}

static void host_line(void *ctx, unsigned line, bool level)
{
	struct side *s = ctx;

	note(s, 1, line, level);
	if (!s->direct) {
		machine_line(&s->m, line, level);
		return;
	}
	if (line < 16)
		vpic_line(&s->m.pic, line, level);
	vioapic_line(&s->m.ioapic, line == 0 ? 2 : line, level);
}

static void host_msi(void *ctx, uint64_t addr, uint32_t data)
{
	struct side *s = ctx;

	note(s, 2, addr, data);
	s->n_msi++;
	s->last_addr = addr;
	s->last_data = data;
}

static void host_pic_int(void *ctx, bool level)
{
	struct side *s = ctx;

	note(s, 3, level, 0);
	s->pic_int = level;
}

static bool host_serial_out(void *ctx, uint8_t byte)
{
	struct side *s = ctx;

	note(s, 4, byte, 0);
	return s->events % 3;
}

static void host_power(void *ctx, enum vdev_power what, uint32_t value)
{
	struct side *s = ctx;

	note(s, 5, what, value);
	s->n_power++;
	s->power = what;
	s->power_value = value;
}

#define HOST(side)                                                                           \
	{                                                                                    \
		.ctx = &(side), .now = host_now, .line = host_line, .msi = host_msi,         \
		.pic_int = host_pic_int, .serial_out = host_serial_out, .power = host_power, \
	}

static const struct vdev_host board_host = HOST(board), reference_host = HOST(reference);

#define WALL 1767225600ull /* 2026-01-01 00:00:00 */

static void start(bool debug_exit)
{
	time_ns = 0;
	memset(&board, 0, sizeof(board));
	memset(&reference, 0, sizeof(reference));
	reference.direct = true;
	machine_init(&board.m, &board_host, debug_exit, WALL, 512 * MIB, 0);
	machine_init(&reference.m, &reference_host, debug_exit, WALL, 512 * MIB, 0);
}

static int setup(void **state)
{
	(void)state;
	start(true);
	return 0;
}

static uint32_t in(uint16_t port, unsigned size)
{
	return machine_io_read(&board.m, port, size);
}

static void out(uint16_t port, unsigned size, uint32_t value)
{
	machine_io_write(&board.m, port, size, value);
}

static uint32_t ones(unsigned size)
{
	return size == 4 ? UINT32_MAX : BIT32(8 * size) - 1;
}

/* ---- ports, against each device on its own ---- */

enum device {
	NONE,
	PIC,
	UART,
	PIT,
	RTC,
	KBC,
	RESET,
	PM,
	PCI,
	EXIT
};

/* The map of ports, once more and in another form. */
static const struct {
	uint16_t first, last;
	enum device device;
	bool wide; /* the device sees an access as it is; the others get it byte by byte */
} map[] = {
	{0x20, 0x21, PIC, false},    {0x40, 0x43, PIT, false},   {0x60, 0x60, KBC, false},
	{0x61, 0x61, PIT, false},    {0x64, 0x64, KBC, false},   {0x70, 0x71, RTC, false},
	{0x92, 0x92, RESET, false},  {0xa0, 0xa1, PIC, false},   {0xf4, 0xf4, EXIT, true},
	{0x3f8, 0x3ff, UART, false}, {0x4d0, 0x4d1, PIC, false}, {0x600, 0x60b, PM, true},
	{0xcf8, 0xcff, PCI, true},
};

static enum device device_at(uint16_t port, unsigned size, bool *wide)
{
	*wide = false;
	if (port == 0xcf9 && size == 1)
		return RESET;
	for (unsigned i = 0; i < ARRAY_SIZE(map); i++) {
		if (port < map[i].first || port > map[i].last)
			continue;
		*wide = map[i].wide;
		return map[i].device;
	}
	return NONE;
}

static uint32_t direct_read(struct machine *m, enum device d, uint16_t port, unsigned size)
{
	switch (d) {
	case PIC:
		return vpic_read(&m->pic, port);
	case UART:
		return vuart_read(&m->uart, port);
	case PIT:
		return vpit_read(&m->pit, port);
	case RTC:
		return vrtc_read(&m->rtc, port);
	case KBC:
		return vkbc_read(&m->kbc, port);
	case RESET:
		return vreset_read(&m->reset, port);
	case PM:
		return vpm_read(&m->pm, port, size);
	case PCI:
		return vpci_read(&m->pci, port, size);
	default:
		return ones(size);
	}
}

static void direct_write(struct machine *m, enum device d, uint16_t port, unsigned size,
			 uint32_t value)
{
	switch (d) {
	case PIC:
		vpic_write(&m->pic, port, (uint8_t)value);
		break;
	case UART:
		vuart_write(&m->uart, port, (uint8_t)value);
		break;
	case PIT:
		vpit_write(&m->pit, port, (uint8_t)value);
		break;
	case RTC:
		vrtc_write(&m->rtc, port, (uint8_t)value);
		break;
	case KBC:
		vkbc_write(&m->kbc, port, (uint8_t)value);
		break;
	case RESET:
		vreset_write(&m->reset, port, (uint8_t)value);
		break;
	case PM:
		vpm_write(&m->pm, port, size, value);
		break;
	case PCI:
		vpci_write(&m->pci, port, size, value);
		break;
	case EXIT:
		vdebugexit_write(&m->debug_exit, size, value);
		break;
	case NONE:
		break;
	}
}

/* Does to the reference's devices what the access should do. */
static uint32_t reference_access(uint16_t port, unsigned size, bool write, uint32_t value)
{
	struct machine *m = &reference.m;
	bool wide, unknown = false;
	enum device d = device_at(port, size, &wide);
	uint32_t result = 0;

	if (d == EXIT && !m->has_debug_exit)
		wide = false;
	if (wide) {
		if (write)
			direct_write(m, d, port, size, value);
		else
			result = direct_read(m, d, port, size);
		return result;
	}
	for (unsigned i = 0; i < size; i++) {
		uint16_t at = (uint16_t)(port + i);
		bool part_is_wide;

		d = device_at(at, 1, &part_is_wide);
		if (part_is_wide)
			d = NONE; /* the odd end of an access that does not begin there */
		unknown |= d == NONE;
		if (write)
			direct_write(m, d, at, 1, value >> (8 * i) & 0xff);
		else
			result |= direct_read(m, d, at, 1) << (8 * i);
	}
	m->unknown_ports += unknown;
	return result;
}

static void same_state(const struct vdev_type *type, const void *a, const void *b)
{
	uint8_t x[512], y[512];
	size_t size = vdev_saved_size(type);

	assert_true(size <= sizeof(x));
	vdev_save(type, a, x);
	vdev_save(type, b, y);
	assert_memory_equal(x, y, size);
}

static void check_same(void)
{
	const struct machine *a = &board.m, *b = &reference.m;

	same_state(&vpic_type, &a->pic, &b->pic);
	same_state(&vioapic_type, &a->ioapic, &b->ioapic);
	same_state(&vpit_type, &a->pit, &b->pit);
	same_state(&vrtc_type, &a->rtc, &b->rtc);
	same_state(&vpm_type, &a->pm, &b->pm);
	same_state(&vuart_type, &a->uart, &b->uart);
	same_state(&vkbc_type, &a->kbc, &b->kbc);
	same_state(&vreset_type, &a->reset, &b->reset);
	same_state(&vpci_type, &a->pci, &b->pci);
	assert_int_equal(board.log, reference.log);
	assert_int_equal(board.events, reference.events);
	assert_int_equal(a->unknown_ports, b->unknown_ports);
	assert_int_equal(a->deadline, MIN(a->pit.deadline, MIN(a->rtc.deadline, a->pm.deadline)));
}

static void pass_time(uint64_t ns)
{
	time_ns += ns;
	if (board.m.deadline > time_ns)
		return;
	machine_expire(&board.m, time_ns);
	vpit_expire(&reference.m.pit, time_ns);
	vrtc_expire(&reference.m.rtc, time_ns);
	vpm_expire(&reference.m.pm, time_ns);
	assert_true(board.m.deadline > time_ns);
	check_same();
}

static void access(uint16_t port, unsigned size, bool write, uint32_t value)
{
	uint32_t want = reference_access(port, size, write, value);

	if (write)
		out(port, size, value);
	else
		assert_int_equal(in(port, size), want);
	check_same();
}

/* Every port there is, in every width, read. */
static void test_every_port(void **state)
{
	uint64_t unknown = 0;

	(void)state;
	for (unsigned debug_exit = 0; debug_exit < 2; debug_exit++) {
		start(debug_exit);
		for (unsigned port = 0; port < 0x10000; port++) {
			for (unsigned size = 1; size <= 4; size *= 2) {
				uint64_t before = board.m.unknown_ports;
				uint32_t want = reference_access((uint16_t)port, size, false, 0);

				assert_int_equal(in((uint16_t)port, size), want);
				unknown = board.m.unknown_ports;
				assert_int_equal(unknown, reference.m.unknown_ports);
				/* one access counts once; where nothing is, all bits are set */
				assert_true(unknown - before <= 1);
				if (port > 0x1000 && port < 0xfff0) {
					assert_int_equal(unknown - before, 1);
					assert_int_equal(want, ones(size));
				}
			}
		}
		check_same();
	}
}

static void test_random_accesses(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 60000; i++) {
		unsigned k = (unsigned)below(ARRAY_SIZE(map));
		uint16_t port = (uint16_t)(map[k].first + below(map[k].last - map[k].first + 1u));
		bool write = below(2);
		uint32_t value = (uint32_t)random64();

		if (i % 20000 == 0)
			start(i % 40000 == 0);
		if (below(10) == 0)
			port = (uint16_t)(port + below(9) - 4);
		if (below(50) == 0)
			port = (uint16_t)random64();
		access(port, 1u << below(3), write, below(3) ? value : value & 0xff);
		pass_time(below(8) ? below(2000) : below(40000000));
	}
	assert_true(board.m.unknown_ports > 100);
	assert_true(board.events > 1000);
}

/* ---- the devices by what a program sees of them ---- */

static void test_landmarks(void **state)
{
	(void)state;
	assert_int_equal(in(0x3fd, 1), 0x60); /* transmitter empty */
	assert_int_equal(in(0x21, 1), 0xff);  /* all masked */
	assert_int_equal(in(0x92, 1), 0x02);  /* A20 open */
	out(0x64, 1, 0xaa);
	assert_int_equal(in(0x60, 1), 0x55); /* the controller's self-test */
	out(0x70, 1, 0x09);
	assert_int_equal(in(0x71, 1), 0x26); /* the year, in BCD */
	out(0x70, 1, 0x32);
	assert_int_equal(in(0x71, 1), 0x20);
	out(0x70, 1, 0x35); /* memory above 16 MiB in 64 KiB, high byte */
	assert_int_equal(in(0x71, 1), (496 * MIB / (64 * KIB)) >> 8);
	out(0xcf8, 4, 0x80000000);
	assert_int_equal(in(0xcf8, 4), 0x80000000);
	assert_int_equal(in(0xcfc, 4), 0x12378086);
	assert_int_equal(in(0xcfe, 2), 0x1237);
	time_ns = 1000000000;
	assert_int_equal(in(0x608, 4), 3579545);
	assert_int_equal(board.m.unknown_ports, 0);
	assert_int_equal(board.n_power, 0);
}

static void test_power(void **state)
{
	(void)state;
	out(0xf4, 1, 0x12345678);
	assert_int_equal(board.power, VDEV_POWER_EXIT);
	assert_int_equal(board.power_value, 0x78);
	out(0xf4, 2, 0x12345678);
	assert_int_equal(board.power_value, 0x5678);
	out(0xf4, 4, 0x12345678);
	assert_int_equal(board.power_value, 0x12345678);
	assert_int_equal(in(0xf4, 2), 0xffff);
	assert_int_equal(board.n_power, 3);
	out(0xcf9, 1, 0x06);
	assert_int_equal(board.power, VDEV_POWER_RESET);
	assert_int_equal(board.n_power, 4);
	out(0x64, 1, 0xfe);
	assert_int_equal(board.n_power, 5);
	out(0x92, 1, 0x03);
	assert_int_equal(board.n_power, 6);
	assert_int_equal(board.power, VDEV_POWER_RESET);
	out(0x604, 2, 1u << 13 | 5u << 10);
	assert_int_equal(board.n_power, 7);
	assert_int_equal(board.power, VDEV_POWER_OFF);
	assert_int_equal(board.m.unknown_ports, 0);
}

/* The port is not there unless the configuration asks for it. */
static void test_no_debug_exit(void **state)
{
	(void)state;
	start(false);
	for (unsigned size = 1; size <= 4; size *= 2) {
		out(0xf4, size, 0);
		assert_int_equal(in(0xf4, size), ones(size));
	}
	assert_int_equal(board.n_power, 0);
	assert_int_equal(board.m.unknown_ports, 6);
}

/* ---- memory ---- */

static void test_memory(void **state)
{
	uint64_t unknown = 0;

	(void)state;
	machine_mmio_write(&board.m, 0xfec00000, 4, 0x01);
	assert_int_equal(machine_mmio_read(&board.m, 0xfec00000, 4), 0x01);
	assert_int_equal(machine_mmio_read(&board.m, 0xfec00010, 4) & 0xff, 0x20); /* version */
	machine_mmio_write(&board.m, 0xfec00000, 4, 0x14);                         /* pin 2 */
	machine_mmio_write(&board.m, 0xfec00010, 8, 0xdeadbeef00010042);
	assert_int_equal(board.m.ioapic.redir[2], 0x10042); /* a register has 32 bits */
	assert_int_equal(machine_mmio_read(&board.m, 0xfec00010, 8), 0x10042);
	assert_int_equal(machine_mmio_read(&board.m, 0xfec00ffc, 4), 0);
	assert_int_equal(board.m.unknown_memory, 0);
	for (unsigned size = 1; size <= 8; size *= 2) {
		static const uint64_t nowhere[] = {0,          0xc0000000, 0xfebffffc,
						   0xfec01000, 0xfed00400, 0x1fec00000};

		for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
			uint64_t all = size == 8 ? UINT64_MAX : BIT(8 * size) - 1;

			assert_int_equal(machine_mmio_read(&board.m, nowhere[i], size), all);
			machine_mmio_write(&board.m, nowhere[i], size, random64());
			unknown += 2;
			assert_int_equal(board.m.unknown_memory, unknown);
		}
	}
}

/* ---- PCI ---- */

#define ECAM_BRIDGE 0xe0000000
#define ECAM_DEVICE 0xe0028000

static uint64_t load(uint64_t gpa, unsigned size)
{
	return machine_mmio_read(&board.m, gpa, size);
}

static void store(uint64_t gpa, unsigned size, uint64_t value)
{
	machine_mmio_write(&board.m, gpa, size, value);
}

static void add_pci_device(uint32_t memory, uint32_t io)
{
	machine_add_test_device(&board.m);
	store(ECAM_DEVICE + 0x10, 4, memory);
	store(ECAM_DEVICE + 0x14, 4, io);
	store(ECAM_DEVICE + 0x04, 2, 7);
}

static void test_pci_device(void **state)
{
	(void)state;
	/* Not there unless it is asked for, which is no access to nothing. */
	assert_int_equal(load(ECAM_BRIDGE, 4), 0x12378086);
	assert_int_equal(load(ECAM_DEVICE, 4), 0xffffffff);
	store(ECAM_DEVICE + 4, 4, 7);
	assert_int_equal(load(0xefffffff, 1), 0xff);
	assert_int_equal(board.m.unknown_memory, 0);
	add_pci_device(0xc0000000, 0x1000);
	assert_int_equal(load(ECAM_DEVICE, 4), 0x10f01af4);
	out(0xcf8, 4, 0x80002800);
	assert_int_equal(in(0xcfc, 4), 0x10f01af4);
	/* Its regions, at the first address and port that there can be. */
	assert_int_equal(load(0xc0000000, 4), 0x59524b53);
	assert_int_equal(in(0x1000, 4), 0x59524b53);
	out(0x1041, 2, 0x12345678);
	assert_int_equal(in(0x1050, 1), 0x78);
	assert_int_equal(in(0x1050, 4), 0x5678);
	store(0xc0000fff, 1, 0x1ff);
	assert_int_equal(load(0xc0000040, 8), 0xff);
	assert_int_equal(board.m.unknown_memory, 0);
	assert_int_equal(board.m.unknown_ports, 0);
	/* Over its ends. */
	assert_int_equal(in(0xfff, 4), 0xffffffff);
	assert_int_equal(in(0x107e, 4), 0xffffffff);
	out(0xffd, 4, 0);
	out(0x107f, 2, 0);
	assert_int_equal(board.m.unknown_ports, 4);
	assert_int_equal(in(0x1018, 4), 2);
	assert_int_equal(in(0x101c, 4), 1);
	/* The whole board is set up anew without it. */
	machine_init(&board.m, &board_host, true, WALL, 512 * MIB, 0);
	assert_int_equal(load(ECAM_DEVICE, 4), 0xffffffff);
}

/* What is the board's goes before regions of PCI functions. */
static void test_pci_overlaps(void **state)
{
	static const uint32_t boards[] = {0xfec00000, 0xfec01000, 0xfed00000,
					  0xfee00000, 0xfffff000, ECAM_BRIDGE};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(boards); i++) {
		add_pci_device(boards[i], 0x1000);
		assert_int_not_equal(load(boards[i], 4), 0x59524b53);
		store(boards[i] + 0x28, 4, 1); /* would assert its wire */
		assert_int_equal(in(0x1028, 4), 0);
		start(true);
	}
	add_pci_device(0x80000000, 0x380); /* with the UART */
	assert_int_equal(load(0x80000000, 4), 0x59524b53);
	assert_int_equal(in(0x3fd, 1), 0x60);
	assert_int_equal(in(0x380, 4), 0xffffffff);
	for (unsigned port = 0; port < 0x1000; port += 0x80) {
		store(ECAM_DEVICE + 0x14, 4, port);
		assert_int_not_equal(in((uint16_t)port, 4), 0x59524b53);
		out(0xcf8, 4, 0x80000000);
		assert_int_equal(in(0xcfc, 4), 0x12378086);
	}
	assert_int_equal(load(0x80000018, 4), 0); /* no port access came to it */
	/* Above 4 GiB there is nothing else. */
	store(ECAM_DEVICE + 0x18, 8, 0x7fc0000000);
	assert_int_equal(load(0x7fc000000c, 4), 1);
	assert_int_equal(load(0xc000000c, 4), 0xffffffff);
}

static void test_pci_interrupt(void **state)
{
	(void)state;
	add_pci_device(0xc0000000, 0x1000);
	store(0xfec00000, 4, 0x10 + 2 * 16);
	store(0xfec00010, 4, 0xa061); /* a level, active low */
	store(0xc0000028, 4, 1);
	assert_int_equal(board.n_msi, 1);
	assert_int_equal(board.last_data & 0xff, 0x61);
	assert_int_equal(board.m.ioapic.lines, BIT32(16) | BIT32(10));
	assert_int_equal(board.m.pic.chip[1].irr & 4, 4);
	vioapic_eoi(&board.m.ioapic, 0x61);
	assert_int_equal(board.n_msi, 2); /* still there */
	store(0xc0000028, 4, 0);
	vioapic_eoi(&board.m.ioapic, 0x61);
	assert_int_equal(board.n_msi, 2);
	assert_int_equal(board.m.ioapic.lines, 0);
	/* A message goes the way that the I/O APIC's do. */
	store(ECAM_DEVICE + 0x44, 4, 0xfee01000);
	store(ECAM_DEVICE + 0x4c, 2, 0x71);
	store(ECAM_DEVICE + 0x42, 2, 1);
	store(0xc000002c, 4, 0);
	assert_int_equal(board.n_msi, 3);
	assert_int_equal(board.last_addr, 0xfee01000);
	assert_int_equal(board.last_data, 0x71);
}

/* ---- wires ---- */

static void unmask_pin(unsigned pin, uint8_t vector)
{
	machine_mmio_write(&board.m, 0xfec00000, 4, 0x10 + 2 * pin);
	machine_mmio_write(&board.m, 0xfec00010, 4, vector);
}

static void test_lines(void **state)
{
	(void)state;
	for (unsigned pin = 0; pin < VIOAPIC_PINS; pin++)
		unmask_pin(pin, (uint8_t)(0x40 + pin));
	for (unsigned line = 0; line < LINE_COUNT; line++) {
		unsigned pin = line == LINE_PIT ? 2 : line;
		unsigned sent = board.n_msi;
		uint8_t *irr[] = {&board.m.pic.chip[0].irr, &board.m.pic.chip[1].irr};
		unsigned slave_was = *irr[1];

		if (line == 2)
			continue; /* the cascade: no device has it */
		*irr[0] = 0;
		machine_line(&board.m, line, true);
		assert_int_equal(board.n_msi, sent + 1);
		assert_int_equal(board.last_data & 0xff, 0x40 + pin);
		assert_int_equal(board.m.ioapic.lines, BIT32(pin));
		if (line < 8)
			assert_int_equal(*irr[0], BIT32(line));
		else if (line < 16)
			assert_int_equal(*irr[1] & ~slave_was, BIT32(line - 8));
		else
			assert_int_equal(*irr[0] | (*irr[1] & ~slave_was), 0);
		machine_line(&board.m, line, false);
		assert_int_equal(board.m.ioapic.lines, 0);
	}
	machine_line(&board.m, LINE_HPET_RTC + 1, true); /* no such line */
	assert_int_equal(board.m.ioapic.lines, 0);
}

/* The 8254's tick arrives by both controllers. */
static void test_timer_interrupt(void **state)
{
	uint64_t due;

	(void)state;
	unmask_pin(2, 0x55);
	out(0x21, 1, 0xfe);
	out(0x43, 1, 0x34); /* channel 0, mode 2 */
	out(0x40, 1, 1193 & 0xff);
	out(0x40, 1, 1193 >> 8);
	due = board.m.deadline;
	assert_in_range(due, 990000, 1010000); /* 1 ms */
	board.n_msi = 0;
	time_ns = due - 1;
	machine_expire(&board.m, time_ns);
	assert_int_equal(board.n_msi, 0);
	assert_false(board.pic_int);
	time_ns = due;
	machine_expire(&board.m, time_ns);
	assert_int_equal(board.n_msi, 1);
	assert_int_equal(board.last_data & 0xff, 0x55);
	assert_true(board.pic_int);
	assert_int_equal(vpic_ack(&board.m.pic), 0x08);
	assert_true(board.m.deadline > due);
}

/* ---- the HPET in the place of the 8254 and the real-time clock ---- */

#define HPET 0xfed00000

static void hpet(unsigned reg, uint64_t value)
{
	machine_mmio_write(&board.m, HPET + reg, 8, value);
}

static void test_legacy_replacement(void **state)
{
	(void)state;
	unmask_pin(2, 0x50);
	unmask_pin(8, 0x58);
	out(0x43, 1, 0x30); /* channel 0 in mode 0: its output is low until it ends */
	out(0x40, 1, 100);
	out(0x40, 1, 0);
	out(0x70, 1, 0x0b);
	out(0x71, 1, 0x42); /* the clock's periodic interrupt */
	hpet(0x100, 0x4);
	hpet(0x108, 200000);
	hpet(0x120, 0x6); /* a level */
	hpet(0x128, 300000);
	hpet(0x10, 3);
	board.n_msi = 0;
	assert_int_equal(board.m.ioapic.lines, 0);
	time_ns = NS_PER_MS;
	machine_expire(&board.m, time_ns);
	assert_true(board.m.pit.out0); /* they go on, and are not heard */
	assert_int_equal(board.n_msi, 0);
	assert_int_equal(board.m.ioapic.lines, 0);
	assert_int_equal(board.m.deadline, 2 * NS_PER_MS);
	time_ns = board.m.deadline;
	machine_expire(&board.m, time_ns);
	assert_int_equal(board.n_msi, 1);
	assert_int_equal(board.last_data & 0xff, 0x50);
	assert_true(board.m.pic.chip[0].irr & 1);
	time_ns = 3 * NS_PER_MS;
	machine_expire(&board.m, time_ns);
	assert_int_equal(board.n_msi, 2);
	assert_int_equal(board.last_data & 0xff, 0x58);
	assert_int_equal(board.m.ioapic.lines, BIT32(2) | BIT32(8));
	hpet(0x20, 2);
	assert_int_equal(board.m.ioapic.lines, BIT32(2)); /* an edge leaves its line high */
	hpet(0x100, 0);
	assert_int_equal(board.m.ioapic.lines, 0);
	/* back: the lines are as the old owners hold them */
	hpet(0x10, 1);
	assert_int_equal(board.m.ioapic.lines, BIT32(2) | BIT32(8));
	assert_int_equal(board.n_msi, 4);
	hpet(0x10, 3);
	assert_int_equal(board.m.ioapic.lines, 0);
	assert_int_equal(machine_mmio_read(&board.m, HPET + 0xf0, 4), 300000);
	assert_int_equal(board.m.unknown_memory, 0);
}

/* ---- deadlines ---- */

static void test_deadlines(void **state)
{
	const uint64_t carry = ticks_to_ns(BIT(31), 3579545);
	uint64_t pit;

	(void)state;
	/* nothing but the 8254 runs at first */
	assert_int_equal(board.m.deadline, board.m.pit.deadline);
	assert_int_not_equal(board.m.deadline, TIME_NEVER);
	out(0x43, 1, 0x30); /* mode 0, no count: it stands */
	assert_int_equal(board.m.deadline, TIME_NEVER);
	out(0x602, 2, 0x0001); /* the ACPI timer's carry */
	assert_int_equal(board.m.deadline, carry);
	out(0x70, 1, 0x0b);
	out(0x71, 1, 0x42); /* periodic, 1024 Hz by the register A of power-on */
	assert_int_equal(board.m.deadline, board.m.rtc.deadline);
	assert_true(board.m.deadline < carry);
	out(0x40, 1, 10);
	out(0x40, 1, 0);
	pit = board.m.pit.deadline;
	assert_int_equal(board.m.deadline, MIN(pit, board.m.rtc.deadline));
	assert_true(pit < 20000);
	out(0x43, 1, 0x30);
	out(0x71, 1, 0x02);
	assert_int_equal(board.m.deadline, carry);
	/* a read that meets the carry takes the deadline away */
	time_ns = carry;
	assert_int_equal(in(0x600, 2) & 1, 1);
	assert_int_equal(board.m.deadline, TIME_NEVER);
	assert_true(board.m.pm.sci);
}

/* What guests with firmware have, and fw_cfg. */
static void test_firmware(void **state)
{
	static struct vfwcfg_items items;

	(void)state;
	/* Nothing is there before, at any width. */
	assert_int_equal(in(0x511, 1), 0xff);
	out(0x510, 2, 0);
	assert_int_equal(board.m.unknown_ports, 2);
	memset(&items, 0, sizeof(items));
	assert_int_equal(vfwcfg_add(&items, VFWCFG_SIGNATURE, "QEMU", 4), 0);
	vfwcfg_finish(&items);
	machine_set_firmware(&board.m, &items, false);
	out(0x510, 2, 0);
	assert_int_equal(in(0x511, 1), 'Q');
	assert_int_equal(in(0x511, 1), 'E');
	assert_int_equal(in(0x514, 4), 0x554d4551);
	assert_int_equal(in(0x50f, 1), 0xff); /* its neighbours */
	assert_int_equal(in(0x51c, 1), 0xff);
	assert_int_equal(board.m.unknown_ports, 4);
	out(0xcf8, 4, 0x80000800);
	assert_int_equal(in(0xcfc, 4), 0xffffffff);

	machine_init(&board.m, &board_host, true, WALL, 512 * MIB, 0);
	machine_set_firmware(&board.m, &items, true);
	out(0xcf8, 4, 0x80000800);
	assert_int_equal(in(0xcfc, 4), 0x70008086);
	out(0xcf8, 4, 0x80000b00);
	assert_int_equal(in(0xcfc, 4), 0x71138086);
	/* The base of the ports is where they are, and stays; they are enabled; no SMI is wanted.
	 */
	out(0xcf8, 4, 0x80000b40);
	out(0xcfc, 4, 0xb001);
	assert_int_equal(in(0xcfc, 4), 0x601);
	out(0xcf8, 4, 0x80000b80);
	assert_int_equal(in(0xcfc, 1) & 1, 1);
	out(0xcf8, 4, 0x80000b58);
	assert_int_equal(in(0xcfc, 4) >> 25 & 1, 1);
	/* PIRQ routing is kept. */
	out(0xcf8, 4, 0x80000860);
	out(0xcfc, 4, 0x7b7a0b0a);
	assert_int_equal(in(0xcfc, 4), 0x0b0a0b0a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_every_port, setup),
		cmocka_unit_test_setup(test_random_accesses, setup),
		cmocka_unit_test_setup(test_landmarks, setup),
		cmocka_unit_test_setup(test_power, setup),
		cmocka_unit_test_setup(test_no_debug_exit, setup),
		cmocka_unit_test_setup(test_memory, setup),
		cmocka_unit_test_setup(test_pci_device, setup),
		cmocka_unit_test_setup(test_pci_overlaps, setup),
		cmocka_unit_test_setup(test_pci_interrupt, setup),
		cmocka_unit_test_setup(test_lines, setup),
		cmocka_unit_test_setup(test_timer_interrupt, setup),
		cmocka_unit_test_setup(test_legacy_replacement, setup),
		cmocka_unit_test_setup(test_deadlines, setup),
		cmocka_unit_test_setup(test_firmware, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
