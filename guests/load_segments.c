/* The parts of a kernel's file that go to fixed places of guest RAM; see load_segments.h. Pure. */
#include "guests/load_segments.h"

#define GAP_LOW 0x1000ull /* page 0 is left to real-mode tables */

int segments_add(const struct gmem *m, struct load_segments *s, uint64_t start, uint64_t mem_len,
		 uint64_t offset, uint64_t file_len, struct reason *why)
{
	const char *name = s->file->string;
	uint64_t end = start + mem_len;

	if (!mem_len)
		return 0;
	/* A segment of zeros alone may name any offset. */
	if (!file_len)
		offset = 0;
	if (file_len > mem_len || offset > s->file->size || file_len > s->file->size - offset)
		return refuse(why, ERR_INVALID,
			      "%s is broken or cut: its segment at 0x%llx wants %llu bytes from "
			      "offset 0x%llx of a file of %llu bytes",
			      name, (unsigned long long)start, (unsigned long long)file_len,
			      (unsigned long long)offset, (unsigned long long)s->file->size);
	if (start > UINT32_MAX || mem_len > UINT32_MAX)
		return refuse(why, ERR_RANGE, "%s has a segment at 0x%llx, not below 4 GiB", name,
			      (unsigned long long)start);
	if (end > LOAD_LOW_RAM_END && start < LOAD_ROM_START)
		return refuse(why, ERR_RANGE,
			      "%s has a segment at 0x%llx to 0x%llx, where a PC has no RAM (0x%llx "
			      "to 0x%llx)",
			      name, (unsigned long long)start, (unsigned long long)end,
			      (unsigned long long)LOAD_LOW_RAM_END,
			      (unsigned long long)LOAD_ROM_START);
	if (end > gmem_low_end(m->size))
		return refuse(
			why, ERR_RANGE,
			"guest memory of %llu MiB is too small for %s, which has a segment at "
			"0x%llx to 0x%llx",
			(unsigned long long)(m->size / MIB), name, (unsigned long long)start,
			(unsigned long long)end);
	for (unsigned i = 0; i < s->n; i++) {
		if (start < s->at[i].end && s->at[i].start < end)
			return refuse(why, ERR_INVALID,
				      "%s has segments that overlap, at 0x%llx and at 0x%llx", name,
				      (unsigned long long)s->at[i].start,
				      (unsigned long long)start);
	}
	if (s->n == SEGMENTS_MAX)
		return refuse(why, ERR_UNSUPPORTED, "%s has more than %u segments to load", name,
			      SEGMENTS_MAX);
	s->at[s->n++] = (struct load_segment){
		.start = start, .end = end, .offset = offset, .file_len = file_len};
	return 0;
}

int segments_check_entry(const struct load_segments *s, uint64_t entry, struct reason *why)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (entry >= s->at[i].start && entry < s->at[i].end)
			return 0;
	}
	return refuse(why, ERR_INVALID, "%s has its entry at 0x%llx, where it loads nothing",
		      s->file->string, (unsigned long long)entry);
}

int segments_gap(const struct load_segments *s, uint64_t size, uint64_t *at, struct reason *why)
{
	*at = GAP_LOW;
	for (unsigned i = 0; i < s->n; i++) {
		if (*at < s->at[i].end && s->at[i].start < *at + size) {
			*at = ALIGN_UP(s->at[i].end, PAGE_SIZE);
			/* The segments are in no order: begin anew with the higher address. */
			i = UINT32_MAX;
		}
	}
	if (*at + size > LOAD_LOW_RAM_END)
		return refuse(why, ERR_RANGE,
			      "%s leaves no %llu bytes below 640 KiB for the boot information",
			      s->file->string, (unsigned long long)size);
	return 0;
}

int segments_put(struct gmem *m, const struct load_segments *s, struct reason *why)
{
	const uint8_t *f = s->file->data;

	for (unsigned i = 0; i < s->n; i++) {
		const struct load_segment *seg = &s->at[i];
		uint64_t data_end = seg->start + seg->file_len;

		if (gmem_write(m, seg->start, f + seg->offset, seg->file_len) ||
		    gmem_fill(m, data_end, 0, seg->end - data_end))
			return refuse(why, ERR_RANGE, "%s does not fit into the guest's memory",
				      s->file->string);
	}
	return 0;
}

uint64_t segments_end(const struct load_segments *s)
{
	uint64_t at = LOAD_HIGH_START;

	for (unsigned i = 0; i < s->n; i++)
		at = MAX(at, ALIGN_UP(s->at[i].end, PAGE_SIZE));
	return at;
}

int segments_put_module(struct gmem *m, const struct load_segments *s,
			const struct load_blob *module, uint64_t *at, struct reason *why)
{
	uint64_t limit = gmem_low_end(m->size);

	if (*at > limit || module->size > limit - *at ||
	    gmem_write(m, *at, module->data, module->size))
		return refuse(why, ERR_RANGE,
			      "guest memory of %llu MiB is too small for module %s of %llu KiB "
			      "behind %s",
			      (unsigned long long)(m->size / MIB), module->string,
			      (unsigned long long)(module->size / KIB + !!(module->size % KIB)),
			      s->file->string);
	*at = ALIGN_UP(*at + module->size, PAGE_SIZE);
	return 0;
}
