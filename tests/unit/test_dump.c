/*
 * A dump, written as the hypervisor writes it and read back by tools/skerry-dump: the core file's
 * layout, the lines' form, and LZ4.
 */
#include "tests/unit/broken.h"

#include <elf.h>
#include <stdio.h>
#include <unistd.h>

#include <lz4.h>

#include "console/dump_armour.h"
#include "console/dump_core.h"

static const struct dump_segment segments[] = {
	{0xffffc00000001000, 4 * PAGE_SIZE},
	{0xffffffff80300000, 3 * PAGE_SIZE},
};

static struct trap_frame regs[300];

static const struct trap_frame *registers(void *ctx, uint32_t i)
{
	(void)ctx;
	return i == 2 ? NULL : &regs[i];
}

static const struct dump_core core = {
	.segments = segments,
	.n_segments = 2,
	.n_cpus = 3,
	.registers = registers,
	.text = "Skerry 1, build x",
};

static uint8_t *header(const struct dump_core *c)
{
	uint64_t size = dump_core_header_size(c);
	uint8_t *p = malloc(size);

	for (uint64_t at = 0; at < size; at += PAGE_SIZE)
		dump_core_header_page(c, at, p + at);
	return p;
}

/* Offsets of PRSTATUS: struct elf_prstatus of <sys/procfs.h>. */
static uint64_t reg(const uint8_t *prstatus, unsigned n)
{
	uint64_t v;

	memcpy(&v, prstatus + 112 + 8 * n, 8);
	return v;
}

static void check_layout(const struct dump_core *c)
{
	uint8_t *p = header(c);
	const Elf64_Ehdr *e = (const void *)p;
	const Elf64_Phdr *ph = (const void *)(p + e->e_phoff);
	uint64_t at = dump_core_header_size(c), note;

	assert_memory_equal(e->e_ident, ELFMAG, 4);
	assert_int_equal(e->e_type, ET_CORE);
	assert_int_equal(e->e_machine, EM_X86_64);
	assert_int_equal(e->e_phnum, c->n_segments + 1);
	assert_int_equal(ph->p_type, PT_NOTE);
	for (uint32_t i = 0; i < c->n_segments; i++) {
		const Elf64_Phdr *s = ph + 1 + i;

		assert_int_equal(s->p_type, PT_LOAD);
		assert_int_equal(s->p_vaddr, c->segments[i].va);
		assert_int_equal(s->p_filesz, c->segments[i].size);
		assert_int_equal(s->p_memsz, c->segments[i].size);
		assert_int_equal(s->p_offset, at);
		assert_int_equal(dump_core_address(c, at), s->p_vaddr);
		assert_int_equal(dump_core_address(c, at + s->p_filesz - PAGE_SIZE),
				 s->p_vaddr + s->p_filesz - PAGE_SIZE);
		at += s->p_filesz;
	}
	assert_int_equal(dump_core_size(c), at);
	assert_int_equal(dump_core_address(c, at), 0);
	note = ph->p_offset;
	for (uint32_t i = 0; i < c->n_cpus; i++) {
		const Elf64_Nhdr *n = (const void *)(p + note);
		const uint8_t *s = p + note + sizeof(*n) + 8;

		assert_int_equal(n->n_type, NT_PRSTATUS);
		assert_int_equal(n->n_descsz, 336);
		assert_string_equal((const char *)(n + 1), "CORE");
		assert_int_equal(*(const uint32_t *)(const void *)(s + 32), i + 1);
		assert_int_equal(reg(s, 16), i == 2 ? 0 : regs[i].rip);
		assert_int_equal(reg(s, 19), i == 2 ? 0 : regs[i].rsp);
		assert_int_equal(reg(s, 4), i == 2 ? 0 : regs[i].rbp);
		assert_int_equal(reg(s, 0), i == 2 ? 0 : regs[i].r15);
		note += sizeof(*n) + 8 + 336;
	}
	assert_string_equal((const char *)p + note + 12, "SKERRY");
	assert_string_equal((const char *)p + note + 20, c->text);
	assert_true(note + 20 + strlen(c->text) < ph->p_offset + ph->p_filesz);
	assert_true(ph->p_offset + ph->p_filesz <= dump_core_header_size(c));
	free(p);
}

static void fill_registers(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
		for (unsigned b = 0; b < sizeof(regs[0]); b++)
			((uint8_t *)&regs[i])[b] = (uint8_t)broken_random();
}

static void the_core_is_laid_out_as_elf_says(void **state)
{
	static struct dump_segment many[1000];
	struct dump_core large = core;

	(void)state;
	fill_registers();
	check_layout(&core);
	for (unsigned i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct dump_segment){0xffff800000000000 + i * 0x10000, PAGE_SIZE};
	large.segments = many;
	large.n_segments = ARRAY_SIZE(many);
	large.n_cpus = 256; /* a header of many pages */
	check_layout(&large);
}

/* ---- through the tool ---- */

static char *text;
static size_t text_len;

static void put(void *ctx, const char *s, size_t n)
{
	(void)ctx;
	text = realloc(text, text_len + n + 1);
	memcpy(text + text_len, s, n);
	text_len += n;
	text[text_len] = '\0';
}

static const struct out to_text = {.put = put};
static uint8_t image[64 * PAGE_SIZE];

static void write_record(struct armour *a, uint64_t offset, uint32_t len)
{
	static LZ4_stream_t lz4;
	static char packed[LZ4_COMPRESSBOUND(8 * PAGE_SIZE)];
	const uint8_t *content = image + offset;
	int got = LZ4_compress_fast_extState(&lz4, (const char *)content, packed, (int)len,
					     sizeof(packed), 1);

	if (got > 0 && (uint32_t)got < len)
		armour_record(a, offset, content, len, (const uint8_t *)packed, (uint32_t)got);
	else
		armour_record(a, offset, content, len, content, len);
}

/* Zeros, repetition, and what cannot be compressed. */
static void fill_image(void)
{
	memset(image, 0, sizeof(image));
	for (size_t i = 8 * PAGE_SIZE; i < 24 * PAGE_SIZE; i++)
		image[i] = (uint8_t)(i / 7 % 50);
	for (size_t i = 32 * PAGE_SIZE; i < 48 * PAGE_SIZE; i++)
		image[i] = (uint8_t)broken_random();
	memset(image + 50 * PAGE_SIZE, 0xaa, PAGE_SIZE);
}

static void write_dump(void)
{
	struct armour a = {.out = &to_text};

	text_len = 0;
	out_text(&to_text, "boot\r\n-----BEGIN SKERRY DUMP 00000000000000ab-----\r\n: what\r\n");
	for (uint64_t at = 0; at < sizeof(image); at += 8 * PAGE_SIZE)
		if (at != 24 * PAGE_SIZE && at != 56 * PAGE_SIZE)
			write_record(&a, at, 8 * PAGE_SIZE);
	out_printf(&to_text, "-----END SKERRY DUMP 00000000000000ab: %u lines, %zu bytes-----\r\n",
		   a.lines, sizeof(image));
}

static int run_tool(uint8_t *back, char *said, size_t room)
{
	char log[] = "/tmp/skerry-dump-XXXXXX", command[256];
	int fd = mkstemp(log);
	size_t n;
	FILE *f;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, text_len), text_len);
	close(fd);
	snprintf(command, sizeof(command), "tools/skerry-dump %s -o %s.core 2>&1", log, log);
	f = popen(command, "r");
	assert_non_null(f);
	n = fread(said, 1, room - 1, f);
	said[n] = '\0';
	n = (size_t)pclose(f);
	snprintf(command, sizeof(command), "%s.core", log);
	f = fopen(command, "rb");
	memset(back, 0xee, sizeof(image));
	if (f) {
		assert_true(fread(back, 1, sizeof(image), f) > 0);
		assert_int_equal(fgetc(f), EOF);
		fclose(f);
	}
	unlink(command);
	unlink(log);
	return (int)n >> 8;
}

static uint8_t back[sizeof(image)];
static char said[4096];

static void comes_back_whole(void **state)
{
	(void)state;
	fill_image();
	write_dump();
	assert_int_equal(run_tool(back, said, sizeof(said)), 0);
	assert_memory_equal(back, image, sizeof(image));
	assert_true(text_len < sizeof(image)); /* zeros and repetition cost little */
}

/* The n-th line of the dump's own. */
static char *nth_line(unsigned n)
{
	char *p = strstr(text, ": what\r\n") + 8;

	while (n--)
		p = strchr(p, '\n') + 1;
	return p;
}

static void says_what_is_missing(void **state)
{
	char *line, *next;

	(void)state;
	fill_image();
	write_dump();
	line = nth_line(10);
	next = nth_line(13);
	memmove(line, next, strlen(next) + 1);
	text_len = strlen(text);
	assert_int_equal(run_tool(back, said, sizeof(said)), 1);
	assert_non_null(strstr(said, "3 lines are missing before line 13"));
	assert_non_null(strstr(said, "is left out: lines of it are missing"));
	/* the pieces that came whole are there */
	assert_memory_equal(back + 40 * PAGE_SIZE, image + 40 * PAGE_SIZE, 24 * PAGE_SIZE);

	write_dump();
	nth_line(20)[30] ^= 1; /* one bit of a line */
	assert_int_equal(run_tool(back, said, sizeof(said)), 1);
	assert_non_null(strstr(said, "1 lines are missing before line 21"));

	write_dump();
	*strstr(text, "-----END") = '\0';
	text_len = strlen(text);
	assert_int_equal(run_tool(back, said, sizeof(said)), 1);
	assert_non_null(strstr(said, "the dump has no end"));

	text_len = 4;
	assert_int_equal(run_tool(back, said, sizeof(said)), 2);
	assert_non_null(strstr(said, "there is no dump in the log"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_core_is_laid_out_as_elf_says),
		cmocka_unit_test(comes_back_whole),
		cmocka_unit_test(says_what_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
