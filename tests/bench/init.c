/*
 * Process 1 of the bench's Linux: the work that is measured, each piece between two marker
 * instructions (tests/bench/marks.c). Without a C library, so that nothing happens that is not
 * written here.
 *
 * What the programs print goes into files, and what they did is checked, so that a piece of work
 * that failed counts for nothing. The last line says "bench: done"; any other end names what
 * failed.
 */
#include <fcntl.h>
#include <linux/reboot.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MARK(n) __asm__ volatile("nopl 0x5ee70000 + %c0(%%rax)" ::"i"(n) : "memory")

#define FORKS 200

static char *no_environment[] = {NULL};

static long call(long number, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
}

static size_t length(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n;
}

static void say(const char *text)
{
	call(SYS_write, 1, (long)text, (long)length(text), 0, 0);
}

static void power_off(void)
{
	call(SYS_reboot, (long)LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_POWER_OFF,
	     0, 0);
	for (;;)
		call(SYS_pause, 0, 0, 0, 0, 0);
}

static void fail(const char *what)
{
	say("bench: failed: ");
	say(what);
	say("\n");
	power_off();
}

/* Runs a program to its end, with its output to a file if one is named. */
static void run(char *const argv[], const char *output)
{
	int status = -1;
	long child = call(SYS_fork, 0, 0, 0, 0, 0);

	if (child < 0)
		fail("fork");
	if (child == 0) {
		if (output) {
			long file = call(SYS_open, (long)output, O_CREAT | O_WRONLY | O_TRUNC, 0600,
					 0, 0);

			call(SYS_dup2, file, 1, 0, 0, 0);
			call(SYS_dup2, file, 2, 0, 0, 0);
		}
		call(SYS_execve, (long)argv[0], (long)argv, (long)no_environment, 0, 0);
		call(SYS_exit, 127, 0, 0, 0, 0);
	}
	if (call(SYS_wait4, child, (long)&status, 0, 0, 0) != child || status != 0)
		fail(argv[0]);
}

static void check_sum(void)
{
	/* of 64 MiB of zeros */
	static const char right[] = "7f614da9329cd3aebf59b91aadc30bf0";
	char sum[sizeof(right) - 1] = {0};
	long file = call(SYS_open, (long)"/ram/sum", O_RDONLY, 0, 0, 0);

	call(SYS_read, file, (long)sum, sizeof(sum), 0, 0);
	for (size_t i = 0; i < sizeof(sum); i++)
		if (sum[i] != right[i])
			fail("md5sum: another sum than that of 64 MiB of zeros");
}

static void work(void)
{
	static char *tiny[] = {"/bin/tiny", NULL};
	static char *dd[] = {"/bin/busybox", "dd", "if=/dev/zero", "of=/ram/zeros", "bs=64k",
			     "count=1024",   NULL};
	static char *md5sum[] = {"/bin/busybox", "md5sum", "/ram/zeros", NULL};

	if (call(SYS_mount, (long)"none", (long)"/ram", (long)"ramfs", 0, 0))
		fail("mount");
	MARK(2);
	for (int i = 0; i < FORKS; i++)
		run(tiny, NULL);
	MARK(3);
	MARK(4);
	run(dd, "/ram/dd");
	MARK(5);
	MARK(6);
	run(md5sum, "/ram/sum");
	MARK(7);
	check_sum();
	say("bench: done\n");
	power_off();
}

__attribute__((used)) static void start(void)
{
	MARK(1);
	work();
}

/* The stack is aligned as C expects it. */
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tcall start\n");
