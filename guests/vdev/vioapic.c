/*
 * The I/O APIC. Owns nothing beyond its state structure; the machine's lock serialises all calls.
 * Pure.
 *
 * Facts are from Intel's "82093AA I/O Advanced Programmable Interrupt Controller" data sheet
 * ("IOREGSEL", "IOWIN", "IOREDTBL[23:0]") and, for version 0x20 with its EOI register, from the
 * "I/O Controller Hub 9" data sheet ("Advanced Programmable Interrupt Controller (APIC)").
 *
 * A line carries "asserted", not a voltage: which voltage means asserted is the board's matter, and
 * the virtual board's wires and the polarity bits of a guest's entries always agree. So polarity is
 * kept for the guest to read back and has no effect.
 *
 * An edge on a masked pin is lost, as the data sheet says. A level on a masked pin interrupts when
 * the mask is lifted, if it is still there.
 */
#include "guests/vdev/vioapic.h"

#define REG_SELECT 0x00
#define REG_WINDOW 0x10
#define REG_EOI    0x40

#define WIN_ID          0x00
#define WIN_VERSION     0x01
#define WIN_ARBITRATION 0x02
#define WIN_REDIR       0x10
#define WIN_REDIR_END   (WIN_REDIR + 2 * VIOAPIC_PINS)

#define VERSION  (0x20u | (VIOAPIC_PINS - 1) << 16)
#define ID_SHIFT 24

#define REDIR_WRITABLE                                                                        \
	(REDIR_VECTOR | REDIR_MODE | REDIR_LOGICAL | REDIR_LOW | REDIR_LEVEL | REDIR_MASKED | \
	 MSI_ADDR_DEST << REDIR_DEST_SHIFT)

static const struct vdev_field fields[] = {
	VDEV_ARRAY(struct vioapic, redir, REDIR_MASKED, "redirection entries"),
	VDEV_FIELD(struct vioapic, lines, 0, "asserted pins, one bit each"),
	VDEV_FIELD(struct vioapic, id, 0, "identification, 0 to 15"),
	VDEV_FIELD(struct vioapic, select, 0, "selected register"),
};

const struct vdev_type vioapic_type = {
	.name = "ioapic",
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.version = 1,
};

static unsigned mode_of(uint64_t redir)
{
	return (unsigned)((redir & REDIR_MODE) >> REDIR_MODE_SHIFT);
}

/* Only vectored interrupts can be levels: SMI, NMI, INIT and ExtINT are edges whatever the entry
 * says. */
static bool is_level(uint64_t redir)
{
	return (redir & REDIR_LEVEL) && mode_of(redir) <= APIC_LOWEST;
}

static void send(struct vioapic *io, uint64_t redir)
{
	uint64_t addr = MSI_ADDR_BASE | (redir >> REDIR_DEST_SHIFT) << MSI_ADDR_DEST_SHIFT;
	uint32_t data = (uint32_t)(redir & (REDIR_VECTOR | REDIR_MODE)) | MSI_DATA_ASSERT;

	if (redir & REDIR_LOGICAL)
		addr |= MSI_ADDR_LOGICAL;
	if (mode_of(redir) == APIC_LOWEST)
		addr |= MSI_ADDR_HINT;
	if (is_level(redir))
		data |= MSI_DATA_LEVEL;
	io->host->msi(io->host->ctx, addr, data);
}

/* Sends a level that is asserted, not masked, and not waiting for an EOI. Remote IRR is set first:
 * the EOI could come from within. */
static void send_level(struct vioapic *io, unsigned pin)
{
	uint64_t redir = io->redir[pin];

	if (!is_level(redir) || (redir & (REDIR_MASKED | REDIR_RIRR)) || !(io->lines & BIT32(pin)))
		return;
	io->redir[pin] |= REDIR_RIRR;
	send(io, redir);
}

void vioapic_line(struct vioapic *io, unsigned pin, bool level)
{
	uint32_t old = io->lines;
	uint64_t redir;

	if (pin >= VIOAPIC_PINS)
		return;
	io->lines = level ? old | BIT32(pin) : old & ~BIT32(pin);
	if (io->lines == old || !level)
		return;
	redir = io->redir[pin];
	if (is_level(redir))
		send_level(io, pin);
	else if (!(redir & REDIR_MASKED))
		send(io, redir);
}

void vioapic_eoi(struct vioapic *io, uint8_t vector)
{
	for (unsigned pin = 0; pin < VIOAPIC_PINS; pin++) {
		if (!(io->redir[pin] & REDIR_RIRR) || (io->redir[pin] & REDIR_VECTOR) != vector)
			continue;
		io->redir[pin] &= ~REDIR_RIRR;
		send_level(io, pin);
	}
}

static uint32_t read_window(const struct vioapic *io)
{
	unsigned reg = io->select;

	if (reg >= WIN_REDIR && reg < WIN_REDIR_END) {
		uint64_t redir = io->redir[(reg - WIN_REDIR) / 2];

		return (uint32_t)(reg & 1 ? redir >> 32 : redir);
	}
	if (reg == WIN_ID || reg == WIN_ARBITRATION)
		return (uint32_t)io->id << ID_SHIFT;
	return reg == WIN_VERSION ? VERSION : 0;
}

static void write_redir(struct vioapic *io, unsigned pin, bool high, uint32_t val)
{
	uint64_t old = io->redir[pin];
	uint64_t redir = high ? (old & UINT32_MAX) | (uint64_t)val << 32
			      : (old & ~(uint64_t)UINT32_MAX) | val;

	redir = (redir & REDIR_WRITABLE) | (old & REDIR_RIRR);
	/* Becoming an edge drops the wait for an EOI; software clears a stuck entry that way. */
	if (!is_level(redir))
		redir &= ~REDIR_RIRR;
	io->redir[pin] = redir;
	send_level(io, pin);
}

static void write_window(struct vioapic *io, uint32_t val)
{
	unsigned reg = io->select;

	if (reg >= WIN_REDIR && reg < WIN_REDIR_END)
		write_redir(io, (reg - WIN_REDIR) / 2, reg & 1, val);
	else if (reg == WIN_ID)
		io->id = val >> ID_SHIFT & 0xf;
}

uint32_t vioapic_read(const struct vioapic *io, unsigned offset)
{
	if (offset == REG_WINDOW)
		return read_window(io);
	return offset == REG_SELECT ? io->select : 0;
}

void vioapic_write(struct vioapic *io, unsigned offset, uint32_t val)
{
	if (offset == REG_SELECT)
		io->select = (uint8_t)val;
	else if (offset == REG_WINDOW)
		write_window(io, val);
	else if (offset == REG_EOI)
		vioapic_eoi(io, (uint8_t)val);
}

void vioapic_reset(struct vioapic *io)
{
	vdev_reset(&vioapic_type, io);
}

void vioapic_init(struct vioapic *io, const struct vdev_host *host)
{
	io->host = host;
	vioapic_reset(io);
}

int vioapic_check(const struct vioapic *io, struct reason *why)
{
	if (io->id > 0xf || io->lines >> VIOAPIC_PINS)
		return refuse(why, ERR_INVALID, "The I/O APIC has an ID or a pin out of range.");
	for (unsigned pin = 0; pin < VIOAPIC_PINS; pin++) {
		uint64_t redir = io->redir[pin];
		bool due = (io->lines & BIT32(pin)) && is_level(redir) && !(redir & REDIR_MASKED);

		if (redir & ~(REDIR_WRITABLE | REDIR_RIRR))
			return refuse(why, ERR_INVALID,
				      "The I/O APIC's entry %u has a reserved bit set.", pin);
		if ((redir & REDIR_RIRR) ? !is_level(redir) : due)
			return refuse(why, ERR_INVALID,
				      "The I/O APIC's entry %u does not fit its line.", pin);
	}
	return 0;
}
