/*
 * The PCI bus of a guest: configuration mechanism 1 (ports 0xcf8 and 0xcfc), the memory-mapped
 * configuration window (ECAM), the regions that functions show on the buses, their interrupt lines,
 * and a host bridge at 00:00.0. Pure.
 *
 * A device that is a PCI function embeds a struct vpci_function, describes it once (vpci_function_*
 * and, for messages, vmsi.h and vmsix.h), registers it with vpci_add(), and resets it by
 * vpci_function_reset(). Where nothing is registered, configuration reads give all ones.
 */
#ifndef GUESTS_VDEV_VPCI_H
#define GUESTS_VDEV_VPCI_H

#include "guests/vdev/vdev.h"
#include "lib/reason.h"

#define VPCI_CONFIG_SIZE                256
#define VPCI_EXPRESS_SIZE               4096 /* of a PCI Express function */
#define VPCI_MAX_FUNCTIONS              32
#define VPCI_BARS                       6
#define VPCI_BDF(bus, device, function) ((uint16_t)((bus) << 8 | (device) << 3 | (function)))

/* Registers of every function, from the PCI Local Bus Specification 3.0, "Configuration Space
 * Organization". */
enum {
	PCI_VENDOR = 0x00,
	PCI_DEVICE = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08,
	PCI_CLASS = 0x09, /* 3 bytes: interface, subclass, class */
	PCI_CACHE_LINE = 0x0C,
	PCI_LATENCY = 0x0D,
	PCI_BAR0 = 0x10,
	PCI_SUBSYSTEM_VENDOR = 0x2C,
	PCI_SUBSYSTEM = 0x2E,
	PCI_CAPABILITIES = 0x34,
	PCI_INTERRUPT_LINE = 0x3C,
	PCI_INTERRUPT_PIN = 0x3D,
	PCI_FIRST_CAPABILITY = 0x40, /* where ours begin */
};

#define PCI_COMMAND_IO          0x0001u
#define PCI_COMMAND_MEMORY      0x0002u
#define PCI_COMMAND_MASTER      0x0004u
#define PCI_COMMAND_PARITY      0x0040u
#define PCI_COMMAND_SERR        0x0100u
#define PCI_COMMAND_INTX_OFF    0x0400u
#define PCI_STATUS_INTERRUPT    0x0008u
#define PCI_STATUS_CAPABILITIES 0x0010u

enum vpci_bar_kind {
	VPCI_BAR_NONE,
	VPCI_BAR_MEMORY,   /* 32 bits */
	VPCI_BAR_MEMORY64, /* this register and the next */
	VPCI_BAR_IO,
};

struct vpci_bar {
	uint8_t kind;  /* enum vpci_bar_kind */
	uint32_t size; /* a power of two; memory: at least 16, I/O: 4 to 256 */
};

struct vpci;
struct vpci_function;
struct vmsi;
struct vmsix;

/* A device's answers: accesses that lie wholly in the region of its BAR `bar`, of 1, 2, 4 or (in
 * memory) 8 bytes, of any alignment. Bits above the access' width are ignored. */
struct vpci_ops {
	uint64_t (*read)(struct vpci_function *f, unsigned bar, unsigned offset, unsigned size);
	void (*write)(struct vpci_function *f, unsigned bar, unsigned offset, unsigned size,
		      uint64_t value);
};

/*
 * One function. Its state is `config`, `extended` and `dropped`, which belong into its device's
 * field list; the rest is what it is made like. A bit of configuration space is one that the guest
 * may write (`write_mask`), one that the device changes itself (`own_mask`), or as in `fresh`.
 */
struct vpci_function {
	uint16_t bdf; /* VPCI_BDF() */
	uint8_t config[VPCI_CONFIG_SIZE];
	uint8_t fresh[VPCI_CONFIG_SIZE]; /* after reset */
	uint8_t write_mask[VPCI_CONFIG_SIZE];
	uint8_t own_mask[VPCI_CONFIG_SIZE];
	uint8_t last_capability; /* its offset, 0: none yet */
	uint8_t next_capability; /* where the next would go */

	/* What of 0x100 to 0xfff is not zero in a PCI Express function, or NULL. */
	bool express;
	uint8_t *extended;
	const uint8_t *extended_fresh;
	const uint8_t *extended_mask;
	uint16_t extended_size;

	struct vpci_bar bar[VPCI_BARS];
	const struct vpci_ops *ops; /* needed if there is a BAR */
	struct vmsi *msi;           /* NULL: none */
	struct vmsix *msix;
	uint32_t dropped; /* messages whose address is not one of interrupts */
	struct vpci *bus; /* NULL: not registered */
};

struct vpci {
	const struct vdev_host *host;
	struct vpci_function *functions[VPCI_MAX_FUNCTIONS];
	unsigned n_functions;

	uint32_t address;
	struct vpci_function bridge;
};

extern const struct vdev_type vpci_type;

/* ---- the bus ---- */

/* `v` holds pointers to itself: it must not be moved afterwards. */
void vpci_init(struct vpci *v, const struct vdev_host *host);

/* Clears the address and the bridge; other functions are reset by their devices. */
void vpci_reset(struct vpci *v);

/* Registers a function, which must outlive `v`. ERR_EXISTS: its place is taken; ERR_NO_MEMORY: the
 * table is full. */
int vpci_add(struct vpci *v, struct vpci_function *f);

/*
 * `port`: 0xcf8-0xcff; `size`: 1, 2 or 4. The address register takes 32-bit accesses at 0xcf8 only
 * (8-bit accesses at 0xcf9 are the reset control register, vreset.h); others read all ones and are
 * not taken. So is an access that reaches over the end of the data register.
 */
uint32_t vpci_read(struct vpci *v, uint16_t port, unsigned size);
void vpci_write(struct vpci *v, uint16_t port, unsigned size, uint32_t value);

/*
 * An access at byte `offset` of the ECAM window (BOARD_PCI_ECAM_ADDR), of 1, 2, 4 or 8 bytes. One
 * of 8 bytes is two of 4. What reaches over the end of aligned 4 bytes otherwise reads all ones and
 * is not taken, as through the data register (but guests/emulate.c does what is not aligned in
 * aligned parts).
 */
uint64_t vpci_ecam_read(struct vpci *v, uint32_t offset, unsigned size);
void vpci_ecam_write(struct vpci *v, uint32_t offset, unsigned size, uint64_t value);

/*
 * Accesses to the regions of functions. The caller asks only where nothing else of the board is. Of
 * regions that overlap, that of the function registered first, and of its lowest BAR, answers.
 * False: the access does not lie wholly in a region that is switched on.
 */
bool vpci_io_read(struct vpci *v, uint16_t port, unsigned size, uint32_t *value);
bool vpci_io_write(struct vpci *v, uint16_t port, unsigned size, uint32_t value);
bool vpci_memory_read(struct vpci *v, uint64_t gpa, unsigned size, uint64_t *value);
bool vpci_memory_write(struct vpci *v, uint64_t gpa, unsigned size, uint64_t value);

/* The board's interrupt wire of a device's INTA#: 0 to 3 for LINE_PIRQ_A to D. The next device's is
 * the next, as on boards with the 440FX and its PIIX3. The DSDT's _PRT says the same. */
static inline unsigned vpci_wire(uint16_t bdf)
{
	return ((bdf >> 3 & 31u) + 3) & 3;
}

/* Drives the interrupt wire of the function, which it shares with others. */
void vpci_update_line(struct vpci_function *f);

/* Judges loaded fields; ERR_INVALID with a sentence. */
int vpci_check(const struct vpci *v, struct reason *why);

/* ---- a function (vpci_function.c) ---- */

/* Describes a function of which there is nothing yet but its identity. `class_code`: class,
 * subclass and interface, 24 bits. */
void vpci_function_init(struct vpci_function *f, uint16_t bdf, uint16_t vendor, uint16_t device,
			uint32_t class_code, uint8_t revision);

/* Gives it a region. MEMORY64 takes the next BAR too. */
void vpci_function_bar(struct vpci_function *f, unsigned bar, enum vpci_bar_kind kind,
		       uint32_t size);

/* Gives it the interrupt pin INTA#; the interrupt line register is preset with the 8259s' IRQ. */
void vpci_function_pin(struct vpci_function *f);

/* Appends a capability of `size` bytes, filled with zeroes behind its ID; answers its offset. */
uint8_t vpci_function_capability(struct vpci_function *f, uint8_t id, unsigned size);

/* Power-on: `fresh`, and no message dropped. */
void vpci_function_reset(struct vpci_function *f);

/* Configuration accesses within an aligned 4 bytes; `reg`: 0 to 4095. */
uint32_t vpci_function_read(const struct vpci_function *f, unsigned reg, unsigned size);
void vpci_function_write(struct vpci_function *f, unsigned reg, unsigned size, uint32_t value);

/* The BAR whose region takes the whole access, and the offset in it; -1: none. */
int vpci_function_find(const struct vpci_function *f, bool io, uint64_t address, unsigned size,
		       unsigned *offset);

/* The level of its interrupt pin as the device has it; shown in the status register. */
void vpci_function_intx(struct vpci_function *f, bool level);

/* Whether its interrupt line is asserted: not with INTx disabled or with messages instead. */
bool vpci_function_asserts(const struct vpci_function *f);

/* Raises interrupt message `vector` by MSI-X if that is on, else by MSI. False: both are off, or
 * there is no such vector. */
bool vpci_function_raise(struct vpci_function *f, unsigned vector);

/* Whether it may write to memory, which messages are. */
bool vpci_function_is_master(const struct vpci_function *f);

/* Sends a message: for vmsi.c and vmsix.c. An address that is not one of interrupts is counted in
 * `dropped` and goes nowhere. */
void vpci_function_message(struct vpci_function *f, uint64_t addr, uint32_t data);

/* Judges `config` and `extended` of loaded state. `name` says whose. */
int vpci_function_check(const struct vpci_function *f, const char *name, struct reason *why);

/* Little-endian registers of a function's configuration space. */
static inline uint32_t pci_get(const uint8_t *config, unsigned reg, unsigned size)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint32_t)config[reg + i] << i * 8;
	return value;
}

static inline void pci_put(uint8_t *config, unsigned reg, unsigned size, uint32_t value)
{
	for (unsigned i = 0; i < size; i++)
		config[reg + i] = (uint8_t)(value >> i * 8);
}

#endif
