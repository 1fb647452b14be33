/* The board of a guest; see machine.h. Pure. */
#include "guests/machine.h"

#include "guests/board.h"

void machine_init(struct machine *m, const struct vdev_host *host, bool debug_exit,
		  uint64_t wall_clock, uint64_t low_memory, uint64_t high_memory)
{
	m->host = host;
	m->has_debug_exit = debug_exit;
	m->unknown_ports = 0;
	m->unknown_memory = 0;
	vhpet_init(&m->hpet, host); /* first: nothing is cut off by it */
	vpic_init(&m->pic, host);
	vioapic_init(&m->ioapic, host);
	vpit_init(&m->pit, host);
	vrtc_init(&m->rtc, host);
	vrtc_set_time(&m->rtc, wall_clock);
	vrtc_set_memory(&m->rtc, low_memory, high_memory);
	vpm_init(&m->pm, host);
	vuart_init(&m->uart, host);
	vkbc_init(&m->kbc, host);
	vreset_init(&m->reset, host);
	vpci_init(&m->pci, host);
	vdebugexit_init(&m->debug_exit, host);
	vfwcfg_init(&m->fwcfg, host, NULL);
	machine_expire(m, 0);
}

void machine_set_firmware(struct machine *m, const struct vfwcfg_items *items, bool has_firmware)
{
	vfwcfg_init(&m->fwcfg, m->host, items);
	if (has_firmware)
		(void)vpiix_init(&m->piix, &m->pci); /* a new bus has room for both */
}

void machine_add_test_device(struct machine *m)
{
	vpcitest_init(&m->pci_test, &m->pci);
}

static void update_deadline(struct machine *m)
{
	m->deadline =
		MIN(MIN(m->pit.deadline, m->rtc.deadline), MIN(m->pm.deadline, m->hpet.deadline));
	m->deadline = MIN(m->deadline, m->fwcfg.deadline);
}

void machine_expire(struct machine *m, uint64_t now)
{
	vpit_expire(&m->pit, now);
	vrtc_expire(&m->rtc, now);
	vpm_expire(&m->pm, now);
	vhpet_expire(&m->hpet, now);
	vfwcfg_expire(&m->fwcfg, now);
	update_deadline(m);
}

static void wire(struct machine *m, unsigned line, bool level)
{
	/* line 2 of the 8259s is their cascade, so the I/O APIC's pin 2 is free for the 8254 */
	unsigned pin = line == LINE_PIT ? BOARD_PIT_GSI : line;

	vpic_line(&m->pic, line, level);
	vioapic_line(&m->ioapic, pin, level);
}

void machine_line(struct machine *m, unsigned line, bool level)
{
	if (line == LINE_PIT || line == LINE_RTC) {
		if (vhpet_replaces_legacy(&m->hpet))
			return; /* cut off */
	} else if (line == LINE_HPET_PIT) {
		line = LINE_PIT;
	} else if (line == LINE_HPET_RTC) {
		line = LINE_RTC;
	}
	wire(m, line, level);
}

/* The 8254's and the real-time clock's lines have changed their owner. */
static __cold void rewire_legacy(struct machine *m)
{
	bool hpet = vhpet_replaces_legacy(&m->hpet);

	wire(m, LINE_PIT, hpet ? m->hpet.lines & BIT32(LINE_HPET_PIT) : m->pit.out0);
	wire(m, LINE_RTC, hpet ? m->hpet.lines & BIT32(LINE_HPET_RTC) : vrtc_line(&m->rtc));
}

static __noinline uint8_t read_byte(struct machine *m, uint16_t port)
{
	uint8_t value;

	switch (port) {
	case BOARD_PIC1_PORT ... BOARD_PIC1_PORT + 1:
	case BOARD_PIC2_PORT ... BOARD_PIC2_PORT + 1:
	case BOARD_ELCR_PORT ... BOARD_ELCR_PORT + 1:
		return vpic_read(&m->pic, port);
	case BOARD_COM1_PORT ... BOARD_COM1_PORT + 7:
		return vuart_read(&m->uart, port);
	case BOARD_PIT_PORT ... BOARD_PIT_PORT + 3:
	case BOARD_SPEAKER_PORT:
		value = vpit_read(&m->pit, port);
		update_deadline(m);
		return value;
	case BOARD_RTC_PORT ... BOARD_RTC_PORT + 1:
		value = vrtc_read(&m->rtc, port);
		update_deadline(m);
		return value;
	case BOARD_KBD_DATA_PORT:
	case BOARD_KBD_CMD_PORT:
		return vkbc_read(&m->kbc, port);
	case BOARD_SYSCTL_A_PORT:
	case BOARD_RESET_PORT:
		return vreset_read(&m->reset, port);
	default:
		m->unknown_ports++;
		return 0xff;
	}
}

static __noinline void write_byte(struct machine *m, uint16_t port, uint8_t value)
{
	switch (port) {
	case BOARD_PIC1_PORT ... BOARD_PIC1_PORT + 1:
	case BOARD_PIC2_PORT ... BOARD_PIC2_PORT + 1:
	case BOARD_ELCR_PORT ... BOARD_ELCR_PORT + 1:
		vpic_write(&m->pic, port, value);
		return;
	case BOARD_COM1_PORT ... BOARD_COM1_PORT + 7:
		vuart_write(&m->uart, port, value);
		return;
	case BOARD_PIT_PORT ... BOARD_PIT_PORT + 3:
	case BOARD_SPEAKER_PORT:
		vpit_write(&m->pit, port, value);
		update_deadline(m);
		return;
	case BOARD_RTC_PORT ... BOARD_RTC_PORT + 1:
		vrtc_write(&m->rtc, port, value);
		update_deadline(m);
		return;
	case BOARD_KBD_DATA_PORT:
	case BOARD_KBD_CMD_PORT:
		vkbc_write(&m->kbc, port, value);
		return;
	case BOARD_SYSCTL_A_PORT:
	case BOARD_RESET_PORT:
		vreset_write(&m->reset, port, value);
		return;
	default:
		m->unknown_ports++;
		return;
	}
}

/* The devices that tell accesses of different width apart. */
static bool is_wide(const struct machine *m, uint16_t port, unsigned size)
{
	switch (port) {
	case BOARD_PM1_EVT_PORT ... BOARD_PM1_EVT_PORT + BOARD_PM_PORTS - 1:
		return true;
	case BOARD_FW_CFG_PORT ... BOARD_FW_CFG_PORT + BOARD_FW_CFG_PORTS - 1:
		return m->fwcfg.items != NULL;
	case BOARD_PCI_ADDR_PORT ... BOARD_PCI_DATA_PORT + 3:
		return port != BOARD_RESET_PORT || size != 1;
	case BOARD_DEBUG_EXIT_PORT:
		return m->has_debug_exit;
	case BOARD_PCI_IO_START ... 0xFFFF: /* regions of PCI functions, if of anything */
		return true;
	default:
		return false;
	}
}

static uint32_t all_ones(unsigned size)
{
	return size == 4 ? UINT32_MAX : BIT32(8 * size) - 1;
}

static __noinline uint32_t read_wide(struct machine *m, uint16_t port, unsigned size)
{
	uint32_t value;

	if (port == BOARD_DEBUG_EXIT_PORT)
		return vdebugexit_read(&m->debug_exit, size);
	if (port >= BOARD_PCI_IO_START) {
		if (vpci_io_read(&m->pci, port, size, &value))
			return value;
		m->unknown_ports++;
		return all_ones(size);
	}
	if (port >= BOARD_PCI_ADDR_PORT)
		return vpci_read(&m->pci, port, size);
	if (port < BOARD_PM1_EVT_PORT)
		return vfwcfg_read(&m->fwcfg, port, size);
	value = vpm_read(&m->pm, port, size);
	update_deadline(m);
	return value;
}

static __noinline void write_wide(struct machine *m, uint16_t port, unsigned size, uint32_t value)
{
	if (port == BOARD_DEBUG_EXIT_PORT) {
		vdebugexit_write(&m->debug_exit, size, value);
	} else if (port >= BOARD_PCI_IO_START) {
		if (!vpci_io_write(&m->pci, port, size, value))
			m->unknown_ports++;
	} else if (port >= BOARD_PCI_ADDR_PORT) {
		vpci_write(&m->pci, port, size, value);
	} else if (port < BOARD_PM1_EVT_PORT) {
		vfwcfg_write(&m->fwcfg, port, size, value);
		update_deadline(m);
	} else {
		vpm_write(&m->pm, port, size, value);
		update_deadline(m);
	}
}

static inline bool is_pic(uint16_t port)
{
	return (port & ~1u) == BOARD_PIC1_PORT || (port & ~1u) == BOARD_PIC2_PORT;
}

/* Wide accesses, and any above the ISA bus' lower ports. */
static __noinline uint32_t read_any(struct machine *m, uint16_t port, unsigned size)
{
	uint64_t unknown = m->unknown_ports + 1;
	uint32_t value = 0;

	if (is_wide(m, port, size))
		return read_wide(m, port, size);
	for (unsigned i = 0; i < size; i++)
		value |= (uint32_t)read_byte(m, (uint16_t)(port + i)) << (8 * i);
	/* one access, however many bytes of it found nothing */
	m->unknown_ports = MIN(m->unknown_ports, unknown);
	return value;
}

static __noinline void write_any(struct machine *m, uint16_t port, unsigned size, uint32_t value)
{
	uint64_t unknown = m->unknown_ports + 1;

	if (is_wide(m, port, size)) {
		write_wide(m, port, size, value);
		return;
	}
	for (unsigned i = 0; i < size; i++)
		write_byte(m, (uint16_t)(port + i), (uint8_t)(value >> (8 * i)));
	m->unknown_ports = MIN(m->unknown_ports, unknown);
}

/* The interrupt controllers first, because interrupt handlers are full of them; then the ISA bus,
 * which has nothing wide below the debug-exit port. */
uint32_t machine_io_read(struct machine *m, uint16_t port, unsigned size)
{
	if (size == 1 && is_pic(port))
		return vpic_read(&m->pic, port);
	if (size == 1 && port < BOARD_DEBUG_EXIT_PORT)
		return read_byte(m, port);
	return read_any(m, port, size);
}

void machine_io_write(struct machine *m, uint16_t port, unsigned size, uint32_t value)
{
	if (size == 1 && is_pic(port))
		vpic_write(&m->pic, port, (uint8_t)value);
	else if (size == 1 && port < BOARD_DEBUG_EXIT_PORT)
		write_byte(m, port, (uint8_t)value);
	else
		write_any(m, port, size, value);
}

static bool is_ioapic(uint64_t gpa)
{
	return gpa - VIOAPIC_BASE < VIOAPIC_SIZE;
}

static bool is_ecam(uint64_t gpa)
{
	return gpa - BOARD_PCI_ECAM_ADDR < BOARD_PCI_ECAM_SIZE;
}

/*
 * Where regions of PCI functions can be: wherever nothing else is. RAM never comes here; from the
 * I/O APIC up to 4 GiB all belongs to the board.
 */
static bool is_pci_memory(uint64_t gpa)
{
	return gpa < BOARD_IOAPIC_ADDR || gpa > UINT32_MAX;
}

static bool is_hpet(uint64_t gpa)
{
	return gpa - BOARD_HPET_ADDR < BOARD_HPET_SIZE;
}

static __noinline uint64_t read_hpet(struct machine *m, unsigned offset, unsigned size)
{
	uint64_t value = vhpet_read(&m->hpet, offset, size);

	update_deadline(m);
	return value;
}

static __noinline void write_hpet(struct machine *m, unsigned offset, unsigned size, uint64_t value)
{
	bool legacy = vhpet_replaces_legacy(&m->hpet);

	vhpet_write(&m->hpet, offset, size, value);
	if (vhpet_replaces_legacy(&m->hpet) != legacy)
		rewire_legacy(m);
	update_deadline(m);
}

static __noinline uint64_t read_memory(struct machine *m, uint64_t gpa, unsigned size)
{
	uint64_t value;

	if (is_ecam(gpa))
		return vpci_ecam_read(&m->pci, (uint32_t)(gpa - BOARD_PCI_ECAM_ADDR), size);
	if (is_pci_memory(gpa) && vpci_memory_read(&m->pci, gpa, size, &value))
		return value;
	m->unknown_memory++;
	return size == 8 ? UINT64_MAX : all_ones(size);
}

static __noinline void write_memory(struct machine *m, uint64_t gpa, unsigned size, uint64_t value)
{
	if (is_ecam(gpa))
		vpci_ecam_write(&m->pci, (uint32_t)(gpa - BOARD_PCI_ECAM_ADDR), size, value);
	else if (!is_pci_memory(gpa) || !vpci_memory_write(&m->pci, gpa, size, value))
		m->unknown_memory++;
}

uint64_t machine_mmio_read(struct machine *m, uint64_t gpa, unsigned size)
{
	if (is_ioapic(gpa))
		return vioapic_read(&m->ioapic, (unsigned)(gpa - VIOAPIC_BASE));
	if (is_hpet(gpa))
		return read_hpet(m, (unsigned)(gpa - BOARD_HPET_ADDR), size);
	return read_memory(m, gpa, size);
}

void machine_mmio_write(struct machine *m, uint64_t gpa, unsigned size, uint64_t value)
{
	if (is_ioapic(gpa))
		vioapic_write(&m->ioapic, (unsigned)(gpa - VIOAPIC_BASE), (uint32_t)value);
	else if (is_hpet(gpa))
		write_hpet(m, (unsigned)(gpa - BOARD_HPET_ADDR), size, value);
	else
		write_memory(m, gpa, size, value);
}
