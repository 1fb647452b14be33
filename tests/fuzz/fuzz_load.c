/*
 * Gives any bytes to every loader of guests, as the kernel of a guest with 4 MiB: for libFuzzer
 * (make fuzz). They may refuse it, with a sentence, or load it; AddressSanitizer and
 * UndefinedBehaviorSanitizer watch.
 */
#include <stdlib.h>
#include <string.h>

#include "guests/gunzip.h"
#include "guests/load.h"

#define RAM_SIZE (4 * MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static alignas(16) uint8_t work[GUNZIP_WORK];

static void check(int err, const struct reason *why)
{
	if (err && (!why->text[0] || !memchr(why->text, 0, sizeof(why->text))))
		abort();
}

static void load_by_all(struct gmem *m, const struct load_blob *kernel)
{
	const struct load_blob modules[] = {{"one", 3, "first"}, {"", 0, "second"}};
	struct guest_entry entry;
	struct reason why = {0};

	for (unsigned want = LINUX_ENTRY_AUTO; want <= LINUX_ENTRY_64; want++)
		check(load_linux(m, kernel, &modules[want == LINUX_ENTRY_32], "console=ttyS0",
				 (enum linux_entry)want, 0xe0000, &entry, &why),
		      &why);
	check(load_multiboot(m, kernel, modules, 2, "a b", &entry, &why), &why);
	check(load_pvh(m, kernel, modules, 2, "a b", 0xe0000, &entry, &why), &why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t ram[RAM_SIZE];
	static uint8_t *chunks[] = {ram, ram + GMEM_CHUNK_SIZE};
	struct gmem m = {.chunk = chunks, .n_chunks = 2, .size = RAM_SIZE};
	struct load_blob kernel = {data, size, "kernel"};
	struct reason why = {0};
	uint64_t unpacked;
	int err;

	if (!gunzip_is(&kernel)) {
		load_by_all(&m, &kernel);
		return 0;
	}
	err = gunzip_size(&kernel, work, RAM_SIZE, &unpacked, &why);
	check(err, &why);
	if (!err) {
		uint8_t *out = malloc(unpacked ? unpacked : 1);

		if (!out || gunzip(&kernel, work, out, unpacked, &why))
			abort();
		kernel = (struct load_blob){out, unpacked, "kernel"};
		load_by_all(&m, &kernel);
		free(out);
	}
	return 0;
}
