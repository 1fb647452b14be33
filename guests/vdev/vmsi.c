/*
 * The MSI capability: see vmsi.h. Pure.
 *
 * A vector that is raised while masked, or while the function may not master the bus, leaves its
 * pending bit set, and the message goes when nothing holds it any more.
 */
#include "guests/vdev/vmsi.h"

#define CAP_ID   0x05
#define CAP_SIZE 24

/* Offsets in the capability: the form with 64-bit addresses and masks. */
#define REG_CONTROL 2
#define REG_ADDRESS 4
#define REG_DATA    12
#define REG_MASK    16
#define REG_PENDING 20

#define CONTROL_ENABLE          0x0001u
#define CONTROL_CAPABLE_SHIFT   1
#define CONTROL_ALLOCATED_SHIFT 4
#define CONTROL_ALLOCATED       0x0070u
#define CONTROL_64              0x0080u
#define CONTROL_MASKS           0x0100u

#define ADDRESS_LOW 0xFFFFFFFCu

static uint32_t get(const struct vmsi *m, unsigned reg, unsigned size)
{
	return pci_get(m->f->config, m->cap + reg, size);
}

static uint32_t all_vectors(const struct vmsi *m)
{
	return (uint32_t)(BIT(1u << m->log2_vectors) - 1);
}

void vmsi_init(struct vmsi *m, struct vpci_function *f, unsigned log2_vectors)
{
	uint8_t cap = vpci_function_capability(f, CAP_ID, CAP_SIZE);

	*m = (struct vmsi){.f = f, .cap = cap, .log2_vectors = (uint8_t)log2_vectors};
	pci_put(f->fresh, cap + REG_CONTROL, 2,
		log2_vectors << CONTROL_CAPABLE_SHIFT | CONTROL_64 | CONTROL_MASKS);
	pci_put(f->write_mask, cap + REG_CONTROL, 2, CONTROL_ENABLE | CONTROL_ALLOCATED);
	pci_put(f->write_mask, cap + REG_ADDRESS, 4, ADDRESS_LOW);
	pci_put(f->write_mask, cap + REG_ADDRESS + 4, 4, UINT32_MAX);
	pci_put(f->write_mask, cap + REG_DATA, 2, 0xFFFF);
	pci_put(f->write_mask, cap + REG_MASK, 4, all_vectors(m));
	pci_put(f->own_mask, cap + REG_PENDING, 4, all_vectors(m));
	f->write_mask[PCI_COMMAND] |= PCI_COMMAND_MASTER;
	f->msi = m;
}

bool vmsi_enabled(const struct vmsi *m)
{
	return get(m, REG_CONTROL, 2) & CONTROL_ENABLE;
}

/* How many vectors the guest allocated, less 1: the bits of a vector's number that the message
 * carries. More than there are, or a reserved number, counts as all. */
static uint32_t vector_bits(const struct vmsi *m)
{
	uint32_t log2 = (get(m, REG_CONTROL, 2) & CONTROL_ALLOCATED) >> CONTROL_ALLOCATED_SHIFT;

	return BIT32(MIN(log2, m->log2_vectors)) - 1;
}

bool vmsi_raise(struct vmsi *m, unsigned vector)
{
	uint32_t pending = get(m, REG_PENDING, 4);

	if (vector >> m->log2_vectors)
		return false;
	pci_put(m->f->config, m->cap + REG_PENDING, 4, pending | BIT32(vector & vector_bits(m)));
	vmsi_deliver(m);
	return true;
}

void vmsi_deliver(struct vmsi *m)
{
	uint32_t pending = get(m, REG_PENDING, 4);
	uint32_t ready = pending & ~get(m, REG_MASK, 4);
	uint32_t bits = vector_bits(m);
	uint64_t addr = get(m, REG_ADDRESS, 4) | (uint64_t)get(m, REG_ADDRESS + 4, 4) << 32;
	uint32_t data = get(m, REG_DATA, 2);

	if (!ready || !vmsi_enabled(m) || !vpci_function_is_master(m->f))
		return;
	pci_put(m->f->config, m->cap + REG_PENDING, 4, pending & ~ready);
	for (unsigned vector = 0; vector < 32; vector++) {
		if (ready & BIT32(vector))
			vpci_function_message(m->f, addr, (data & ~bits) | (vector & bits));
	}
}
