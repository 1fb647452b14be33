/*
 * The ELF core file. Source: System V ABI, "Object Files" and "Program Loading"; its AMD64
 * supplement; the layout of NT_PRSTATUS is Linux's `struct elf_prstatus` for x86-64, which
 * debuggers know. Pure.
 */
#include "console/dump_core.h"

#include "lib/le.h"
#include "lib/string.h"

#define EHDR_SIZE     64u
#define PHDR_SIZE     56u
#define NHDR_SIZE     12u
#define NAME_SIZE     8u /* "CORE" and "SKERRY", with zeros */
#define PRSTATUS_SIZE 336u
#define PRSTATUS_PID  32u
#define PRSTATUS_REGS 112u

#define ET_CORE     4
#define EM_X86_64   62
#define PT_LOAD     1
#define PT_NOTE     4
#define PF_RW       6u
#define NT_PRSTATUS 1
#define NT_TEXT     1 /* of our own name */

static uint64_t text_size(const struct dump_core *c)
{
	return ALIGN_UP(strlen(c->text) + 1, 4ull);
}

static uint64_t notes_size(const struct dump_core *c)
{
	return (uint64_t)c->n_cpus * (NHDR_SIZE + NAME_SIZE + PRSTATUS_SIZE) + NHDR_SIZE +
	       NAME_SIZE + text_size(c);
}

uint64_t dump_core_header_size(const struct dump_core *c)
{
	return ALIGN_UP(EHDR_SIZE + PHDR_SIZE * (c->n_segments + 1ull) + notes_size(c), PAGE_SIZE);
}

uint64_t dump_core_size(const struct dump_core *c)
{
	uint64_t size = dump_core_header_size(c);

	for (uint32_t i = 0; i < c->n_segments; i++)
		size += c->segments[i].size;
	return size;
}

uint64_t dump_core_address(const struct dump_core *c, uint64_t offset)
{
	uint64_t at = dump_core_header_size(c);

	for (uint32_t i = 0; i < c->n_segments; i++) {
		if (offset - at < c->segments[i].size)
			return c->segments[i].va + (offset - at);
		at += c->segments[i].size;
	}
	return 0;
}

/* One page of what is written from begin to end. */
struct window {
	uint64_t at, from;
	uint8_t *page;
};

static void put(struct window *w, const void *bytes, uint64_t n)
{
	const uint8_t *p = bytes;
	uint64_t begin = MAX(w->at, w->from), end = MIN(w->at + n, w->from + PAGE_SIZE);

	if (begin < end)
		memcpy(w->page + (begin - w->from), p + (begin - w->at), end - begin);
	w->at += n;
}

static void put_program_header(struct window *w, uint32_t type, uint64_t offset, uint64_t va,
			       uint64_t size, uint64_t align)
{
	uint8_t p[PHDR_SIZE] = {0};

	put_le32(p, type);
	put_le32(p + 4, type == PT_LOAD ? PF_RW : 0);
	put_le64(p + 8, offset);
	put_le64(p + 16, va);
	put_le64(p + 32, size);
	put_le64(p + 40, type == PT_LOAD ? size : 0);
	put_le64(p + 48, align);
	put(w, p, sizeof(p));
}

static void put_file_header(struct window *w, const struct dump_core *c)
{
	static const uint8_t ident[16] = {0x7f, 'E', 'L', 'F',
					  2,    1,   1}; /* 64-bit, low byte first */
	uint8_t h[EHDR_SIZE] = {0};
	uint64_t notes = EHDR_SIZE + PHDR_SIZE * (c->n_segments + 1ull), at;

	memcpy(h, ident, sizeof(ident));
	put_le16(h + 16, ET_CORE);
	put_le16(h + 18, EM_X86_64);
	put_le32(h + 20, 1);
	put_le64(h + 32, EHDR_SIZE);
	put_le16(h + 52, EHDR_SIZE);
	put_le16(h + 54, PHDR_SIZE);
	put_le16(h + 56, (uint16_t)(c->n_segments + 1));
	put(w, h, sizeof(h));
	put_program_header(w, PT_NOTE, notes, 0, notes_size(c), 4);
	at = dump_core_header_size(c);
	for (uint32_t i = 0; i < c->n_segments; i++) {
		put_program_header(w, PT_LOAD, at, c->segments[i].va, c->segments[i].size,
				   PAGE_SIZE);
		at += c->segments[i].size;
	}
}

static void put_note(struct window *w, const char name[NAME_SIZE], uint32_t name_size,
		     uint32_t size, uint32_t type)
{
	uint8_t h[NHDR_SIZE];

	put_le32(h, name_size);
	put_le32(h + 4, size);
	put_le32(h + 8, type);
	put(w, h, sizeof(h));
	put(w, name, NAME_SIZE);
}

static void put_registers(struct window *w, const struct trap_frame *f, uint32_t cpu)
{
	static const struct trap_frame none;
	uint8_t s[PRSTATUS_SIZE] = {0};

	if (!f)
		f = &none;
	/* as user_regs_struct has them; the four at the end are segments' */
	const uint64_t regs[27] = {f->r15, f->r14, f->r13, f->r12, f->rbp,    f->rbx, f->r11,
				   f->r10, f->r9,  f->r8,  f->rax, f->rcx,    f->rdx, f->rsi,
				   f->rdi, f->rax, f->rip, f->cs,  f->rflags, f->rsp, f->ss};

	put_le32(s + PRSTATUS_PID, cpu + 1); /* no thread has number 0 */
	memcpy(s + PRSTATUS_REGS, regs, sizeof(regs));
	put_note(w, "CORE\0\0\0", 5, PRSTATUS_SIZE, NT_PRSTATUS);
	put(w, s, sizeof(s));
}

void dump_core_header_page(const struct dump_core *c, uint64_t offset, uint8_t page[PAGE_SIZE])
{
	struct window w = {.from = offset, .page = page};
	static const uint8_t zeros[4];

	memset(page, 0, PAGE_SIZE);
	put_file_header(&w, c);
	for (uint32_t i = 0; i < c->n_cpus; i++)
		put_registers(&w, c->registers(c->ctx, i), i);
	put_note(&w, "SKERRY\0", 7, (uint32_t)strlen(c->text) + 1, NT_TEXT);
	put(&w, c->text, strlen(c->text) + 1);
	put(&w, zeros, text_size(c) - strlen(c->text) - 1);
}
