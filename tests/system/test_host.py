"""The machine and its administrator: JSON answers, the log on the console, memory, foreign kernels."""

import json
import os
import re
import subprocess
import textwrap

import pytest

import images
import skerry

HELLO = {"hello.elf": os.path.join(skerry.BUILD, "guests", "hello.elf")}
SHELL = "guest# "
MIB = 1 << 20
GIB = 1 << 30


def test_json_of_every_command_that_shows_state(boot):
    """One line each, whatever the guest's state."""
    machine = boot(skerry.config(
        skerry.multiboot("one", "hello.elf", debug_exit=True, autostart=False),
        skerry.multiboot("two", "invaders.exec"), when_idle="shell"), HELLO, cpus=2,
        append="loglevel=error")  # no line of the log comes between
    machine.prompt()
    for before in (None, "start one", "pause two", "stop two", "destroy two"):
        if before:
            machine.command(before)
        for command in ("list", "cpus", "memory", "version", "log", "log --level warn -n 3",
                        *(f"{word} {guest}" for word in ("info", "stats", "serial", "screen")
                          for guest in ("one", "two"))):
            lines = machine.command(command + " --json").split("\n")
            values = [line.strip("\r") for line in lines if line.strip("\r")]
            assert len(values) == 1, (command, lines)
            if not command.startswith("screen") or not values[0].startswith("error: "):
                json.loads(values[0])
            else:  # a guest without memory has no screen: said in a sentence
                assert before == "destroy two" or command == "screen one", values


def test_loglevel(boot):
    """What is not printed is kept."""
    machine = boot(skerry.config(skerry.multiboot("one", "hello.elf", debug_exit=True),
                                 when_idle="shell"), HELLO, append="loglevel=warn nonsense=1")
    machine.expect_text('"nonsense=1" is unknown')
    assert not re.search(r"\[ +\d+\.\d+\] (Skerry|console|loaded by)", machine.before)
    machine.prompt()
    for _ in range(20):
        if machine.json("list")[0]["state"] == "stopped":
            break
    text = machine.before
    assert "guest one stopped" not in text
    log = machine.command("log")
    assert "guest one stopped" in log and "loaded by" in log
    levels = {line["level"] for line in machine.json("log")}
    assert {"info", "warning"} <= levels
    assert {line["level"] for line in machine.json("log --level warn")} <= {"warning", "error"}


def test_memory_beyond_a_guests_own(boot):
    """Starting a guest of 512 MiB takes at most 1 MiB beyond them, and ending it gives all back."""
    machine = boot(skerry.config(skerry.linux("web", memory="512M", autostart=False),
                                 when_idle="shell"), memory=1536)
    machine.prompt()
    before = machine.json("memory")
    machine.command("start web")
    after = machine.json("memory")
    taken = before["free"] - after["free"]
    assert 512 * MIB <= taken <= 513 * MIB
    assert after["guests"][0]["overhead"] >= taken - 512 * MIB
    machine.command("destroy web")
    assert machine.json("memory")["free"] == before["free"]


@pytest.mark.platforms("qemu-*", "kvm-*", reason="Bochs has at most 2 GiB of memory")
def test_guest_with_memory_above_4_gib(boot):
    machine = boot(skerry.config(skerry.linux("big", memory="4G"), attach="big",
                                 when_idle="poweroff"), memory=6144, cpus=2)
    machine.expect_text(SHELL)
    machine.sendline("cat /proc/meminfo; echo end-of-$((40+2))")
    machine.expect_text("end-of-42")
    total = int(re.search(r"MemTotal: +(\d+) kB", machine.before)[1]) * 1024
    assert 3.8 * GIB < total <= 4 * GIB
    # the memory above the device hole is there, and is the guest's own
    machine.sendline("dmesg | grep 'mem 0x0000000100000000'; echo end-of-$((40+3))")
    machine.expect_text("end-of-43")
    assert re.search(r"0x0000000100000000-0x000000013fffffff\] usable", machine.before)
    machine.sendline("mkdir -p /tmp/m; mount -t tmpfs -o size=3700m tmpfs /tmp/m && "
                     "dd if=/dev/zero of=/tmp/m/f bs=1M count=3600 2>&1; echo end-of-$((40+4))")
    machine.expect_text("end-of-44")
    assert "3600+0 records out" in machine.before
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


def test_image_with_a_foreign_kernel(boot, tmp_path):
    """A multiboot kernel that knows nothing of this project, packed by the tool that users have."""
    (tmp_path / "kernel.c").write_text(textwrap.dedent("""\
        __attribute__((section(".header"), used)) static const unsigned header[] = {
            0x1badb002, 3, -(0x1badb002 + 3)};
        static unsigned char stack[4096] __attribute__((used));

        static void out(unsigned short port, unsigned char value)
        {
            __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
        }

        __attribute__((used)) static void run(unsigned magic, const unsigned *info)
        {
            const char *s = (const char *)info[4];

            for (const char *t = "foreign kernel, told: "; *t; t++)
                out(0x3f8, *t);
            while (*s)
                out(0x3f8, *s++);
            out(0x3f8, '\\n');
            out(0xf4, magic == 0x2badb002 ? 0 : 1);
        }

        __asm__(".globl _start\\n_start: mov $stack + 4096, %esp\\n"
                "push %ebx\\npush %eax\\ncall run\\n1: hlt\\njmp 1b\\n");
        """), encoding="utf-8")
    subprocess.run(["gcc", "-m32", "-O1", "-ffreestanding", "-fno-pic", "-no-pie", "-nostdlib",
                    "-fno-stack-protector", "-fcf-protection=none", "-static",
                    "-Wl,-Ttext=0x400000,--build-id=none,-z,noseparate-code",
                    "-o", tmp_path / "kernel.elf", tmp_path / "kernel.c"], check=True)
    (tmp_path / "my.json").write_text(json.dumps(skerry.config(
        skerry.multiboot("foreign", "kernel.elf", cmdline="a word or two", serial="console",
                         debug_exit=True))), encoding="utf-8")

    def make(append):
        iso = tmp_path / "my.iso"
        subprocess.run([images.ISO_TOOL, "-o", iso, "--hypervisor", images.HYPERVISOR,
                        "--append", append, tmp_path / "my.json"], check=True)
        return str(iso)

    machine = boot(make)
    machine.expect_text("foreign: foreign kernel, told: a word or two")
    machine.expect_text("guest foreign stopped: it ended with status 0")
    assert machine.wait() == "ok"
