/* Second-level page tables; see mm/slpt.h. Pure; the owner of the table serialises changes. */
#include "mm/slpt.h"

#define ENTRIES 512u

static unsigned level_shift(unsigned level)
{
	return PAGE_SHIFT + 9 * (level - 1);
}

static uint64_t level_size(unsigned level)
{
	return 1ull << level_shift(level);
}

static unsigned level_index(uint64_t gpa, unsigned level)
{
	return (unsigned)(gpa >> level_shift(level)) & (ENTRIES - 1);
}

static uint64_t entry_address(const struct slpt *t, uint64_t entry)
{
	return entry & t->format->address_mask;
}

/* The walker of the processor reads entries at any time: each is written by one store. */
static void entry_set(uint64_t *entry, uint64_t value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

static struct hpa table_alloc(struct slpt *t)
{
	struct hpa pa = t->memory->alloc();

	if (!hpa_is_none(pa))
		t->tables++;
	return pa;
}

/* Frees a table and the tables below it. */
static void table_free(struct slpt *t, struct hpa pa, unsigned level)
{
	const uint64_t *table = t->memory->map(pa);

	for (unsigned i = 0; level > 1 && i < ENTRIES; i++) {
		if (t->format->present(table[i]) && !t->format->is_leaf(table[i], level))
			table_free(t, HPA(entry_address(t, table[i])), level - 1);
	}
	t->memory->free(pa);
	t->tables--;
}

int slpt_init(struct slpt *t, const struct slpt_format *format, const struct slpt_memory *memory,
	      bool huge_pages)
{
	*t = (struct slpt){.format = format, .memory = memory, .huge_pages = huge_pages};
	t->root = table_alloc(t);
	return hpa_is_none(t->root) ? ERR_NO_MEMORY : 0;
}

void slpt_destroy(struct slpt *t)
{
	if (t->format && !hpa_is_none(t->root))
		table_free(t, t->root, t->format->levels);
	*t = (struct slpt){.root = HPA_NONE};
}

/* Replaces a large leaf by a table of smaller ones that map the same. */
static int split(struct slpt *t, uint64_t *entry, unsigned level)
{
	uint64_t base = entry_address(t, *entry);
	unsigned perm = t->format->perm(*entry);
	struct hpa pa = table_alloc(t);
	uint64_t *table;

	if (hpa_is_none(pa))
		return ERR_NO_MEMORY;
	table = t->memory->map(pa);
	for (unsigned i = 0; i < ENTRIES; i++)
		table[i] = t->format->leaf(base + i * level_size(level - 1), level - 1, perm);
	entry_set(entry, t->format->table(pa.v));
	return 0;
}

/* The table below `entry` (which stands at `level`), made if there is none. */
static int descend(struct slpt *t, uint64_t *entry, unsigned level, uint64_t **out)
{
	if (!t->format->present(*entry)) {
		struct hpa pa = table_alloc(t);

		if (hpa_is_none(pa))
			return ERR_NO_MEMORY;
		entry_set(entry, t->format->table(pa.v));
	} else if (t->format->is_leaf(*entry, level)) {
		int err = split(t, entry, level);

		if (err)
			return err;
	}
	*out = t->memory->map(HPA(entry_address(t, *entry)));
	return 0;
}

static unsigned largest_level(const struct slpt *t, uint64_t gpa, uint64_t hpa, uint64_t size)
{
	for (unsigned level = t->huge_pages ? 3 : 2; level > 1; level--) {
		if (IS_ALIGNED(gpa | hpa, level_size(level)) && size >= level_size(level))
			return level;
	}
	return 1;
}

static int check_range(const struct slpt *t, uint64_t gpa, uint64_t size)
{
	uint64_t reach = level_size(t->format->levels + 1u);

	if (!IS_ALIGNED(gpa | size, PAGE_SIZE) || gpa >= reach || size > reach - gpa)
		return ERR_INVALID;
	return 0;
}

/* Writes the leaf for `gpa` at `level`, dropping whatever stood there. */
static int set_leaf(struct slpt *t, uint64_t gpa, unsigned level, uint64_t leaf)
{
	uint64_t *table = t->memory->map(t->root);
	uint64_t *entry;
	uint64_t old;

	for (unsigned l = t->format->levels; l > level; l--) {
		int err = descend(t, &table[level_index(gpa, l)], l, &table);

		if (err)
			return err;
	}
	entry = &table[level_index(gpa, level)];
	old = *entry;
	entry_set(entry, leaf);
	if (level > 1 && t->format->present(old) && !t->format->is_leaf(old, level))
		table_free(t, HPA(entry_address(t, old)), level - 1);
	return 0;
}

int slpt_map(struct slpt *t, uint64_t gpa, uint64_t hpa, uint64_t size, unsigned perm)
{
	int err = check_range(t, gpa, size);

	if (!err && !IS_ALIGNED(hpa, PAGE_SIZE))
		err = ERR_INVALID;
	while (!err && size) {
		unsigned level = largest_level(t, gpa, hpa, size);

		err = set_leaf(t, gpa, level, t->format->leaf(hpa, level, perm));
		gpa += level_size(level);
		hpa += level_size(level);
		size -= level_size(level);
	}
	return err;
}

/* The entry that translates `gpa`, and its level; an absent one at the level where the walk ends.
 */
static uint64_t walk(const struct slpt *t, uint64_t gpa, unsigned *level)
{
	struct hpa pa = t->root;

	for (*level = t->format->levels;; (*level)--) {
		const uint64_t *table = t->memory->map(pa);
		uint64_t entry = table[level_index(gpa, *level)];

		if (!t->format->present(entry) || t->format->is_leaf(entry, *level) || *level == 1)
			return entry;
		pa = HPA(entry_address(t, entry));
	}
}

int slpt_unmap(struct slpt *t, uint64_t gpa, uint64_t size)
{
	int err = check_range(t, gpa, size);

	while (!err && size) {
		unsigned level;
		uint64_t entry = walk(t, gpa, &level);
		/* an absent or whole entry at this level is passed over in one step */
		uint64_t step = level_size(level) - (gpa & (level_size(level) - 1));
		bool whole = IS_ALIGNED(gpa, level_size(level)) && size >= level_size(level);

		if (t->format->present(entry)) {
			err = set_leaf(t, gpa, whole ? level : 1, 0);
			step = whole ? level_size(level) : PAGE_SIZE;
		}
		step = MIN(step, size);
		gpa += step;
		size -= step;
	}
	return err;
}

bool slpt_lookup(const struct slpt *t, uint64_t gpa, struct slpt_entry *out)
{
	unsigned level;
	uint64_t entry;

	if (gpa >= level_size(t->format->levels + 1u))
		return false;
	entry = walk(t, gpa, &level);
	if (!t->format->present(entry))
		return false;
	out->level = level;
	out->perm = t->format->perm(entry);
	out->hpa = entry_address(t, entry) + (gpa & (level_size(level) - 1));
	return true;
}
