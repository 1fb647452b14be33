/*
 * The MSI-X capability: see vmsix.h. Pure.
 */
#include "guests/vdev/vmsix.h"

#include "lib/string.h"

#define CAP_ID   0x11
#define CAP_SIZE 12

/* Offsets in the capability. */
#define REG_CONTROL 2
#define REG_TABLE   4
#define REG_PENDING 8

#define CONTROL_MASK   0x4000u /* of the whole function */
#define CONTROL_ENABLE 0x8000u

#define ENTRY_MASKED 0x1u

/* What can be written in the words of an entry. */
static const uint32_t writable[VMSIX_WORDS] = {
	[VMSIX_ADDRESS] = 0xFFFFFFFC,
	[VMSIX_ADDRESS_HIGH] = 0xFFFFFFFF,
	[VMSIX_DATA] = 0xFFFFFFFF,
	[VMSIX_CONTROL] = ENTRY_MASKED,
};

void vmsix_init(struct vmsix *m, struct vpci_function *f, unsigned bar, unsigned n_vectors)
{
	uint8_t cap = vpci_function_capability(f, CAP_ID, CAP_SIZE);

	m->f = f;
	m->cap = cap;
	m->n_vectors = (uint8_t)n_vectors;
	pci_put(f->fresh, cap + REG_CONTROL, 2, n_vectors - 1);
	pci_put(f->write_mask, cap + REG_CONTROL, 2, CONTROL_MASK | CONTROL_ENABLE);
	pci_put(f->fresh, cap + REG_TABLE, 4, bar);
	pci_put(f->fresh, cap + REG_PENDING, 4, VMSIX_PENDING | bar);
	f->write_mask[PCI_COMMAND] |= PCI_COMMAND_MASTER;
	f->msix = m;
}

void vmsix_reset(struct vmsix *m)
{
	memset(m->table, 0, sizeof(m->table));
	for (unsigned i = 0; i < VMSIX_MAX_VECTORS; i++)
		m->table[i * VMSIX_WORDS + VMSIX_CONTROL] = ENTRY_MASKED;
	m->pending = 0;
}

static uint32_t control(const struct vmsix *m)
{
	return pci_get(m->f->config, m->cap + REG_CONTROL, 2);
}

bool vmsix_enabled(const struct vmsix *m)
{
	return control(m) & CONTROL_ENABLE;
}

bool vmsix_raise(struct vmsix *m, unsigned vector)
{
	if (vector >= m->n_vectors)
		return false;
	m->pending |= BIT(vector);
	vmsix_deliver(m);
	return true;
}

void vmsix_deliver(struct vmsix *m)
{
	if (!m->pending || (control(m) & (CONTROL_ENABLE | CONTROL_MASK)) != CONTROL_ENABLE ||
	    !vpci_function_is_master(m->f))
		return;
	for (unsigned i = 0; i < m->n_vectors; i++) {
		const uint32_t *entry = &m->table[i * VMSIX_WORDS];

		if (!(m->pending & BIT(i)) || (entry[VMSIX_CONTROL] & ENTRY_MASKED))
			continue;
		m->pending &= ~BIT(i);
		vpci_function_message(
			m->f, entry[VMSIX_ADDRESS] | (uint64_t)entry[VMSIX_ADDRESS_HIGH] << 32,
			entry[VMSIX_DATA]);
	}
}

static bool is_legal(unsigned offset, unsigned size)
{
	return (size == 4 || size == 8) && offset % size == 0;
}

static uint32_t read_word(const struct vmsix *m, unsigned offset)
{
	if (offset < m->n_vectors * VMSIX_WORDS * 4u)
		return m->table[offset / 4];
	if (offset == VMSIX_PENDING)
		return (uint32_t)m->pending;
	return offset == VMSIX_PENDING + 4 ? (uint32_t)(m->pending >> 32) : 0;
}

uint64_t vmsix_read(const struct vmsix *m, unsigned offset, unsigned size)
{
	if (!is_legal(offset, size))
		return UINT64_MAX;
	if (size == 4)
		return read_word(m, offset);
	return read_word(m, offset) | (uint64_t)read_word(m, offset + 4) << 32;
}

static void write_word(struct vmsix *m, unsigned offset, uint32_t value)
{
	if (offset < m->n_vectors * VMSIX_WORDS * 4u)
		m->table[offset / 4] = value & writable[offset / 4 % VMSIX_WORDS];
}

void vmsix_write(struct vmsix *m, unsigned offset, unsigned size, uint64_t value)
{
	if (!is_legal(offset, size))
		return;
	write_word(m, offset, (uint32_t)value);
	if (size == 8)
		write_word(m, offset + 4, (uint32_t)(value >> 32));
	vmsix_deliver(m);
}

int vmsix_check(const struct vmsix *m, struct reason *why)
{
	if (m->pending >> m->n_vectors)
		return refuse(why, ERR_INVALID, "MSI-X has a pending bit of a vector too many.");
	for (unsigned i = 0; i < ARRAY_SIZE(m->table); i++) {
		unsigned word = i % VMSIX_WORDS;
		uint32_t reset = word == VMSIX_CONTROL ? ENTRY_MASKED : 0;

		if (i / VMSIX_WORDS < m->n_vectors ? m->table[i] & ~writable[word]
						   : m->table[i] != reset)
			return refuse(why, ERR_INVALID,
				      "Word %u of MSI-X vector %u has a reserved bit set.", word,
				      i / VMSIX_WORDS);
	}
	return 0;
}
