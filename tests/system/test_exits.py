"""How the machine ends, and consoles that are not there."""

import os
import time

import pytest

import skerry

HELLO = {"hello.elf": os.path.join(skerry.BUILD, "guests", "hello.elf")}
STATUS = {"status.elf": os.path.join(skerry.BUILD, "guests", "status.elf")}


def hello(**more):
    return skerry.multiboot("hello", "hello.elf", debug_exit=True, **more)


def test_acpi_power_off(boot):
    """The default: no exit port is touched untold."""
    machine = boot(skerry.config(hello()), HELLO, ends_by_acpi=True)
    machine.expect_text("skerry: machine exit, status 0 (all guests ended well)")
    assert machine.wait() == "power off"


def test_the_last_line_tells_a_failed_guest(boot):
    machine = boot(skerry.config(skerry.multiboot("status", "status.elf", debug_exit=True)), STATUS,
                   ends_by_acpi=True)
    machine.expect_text("skerry: machine exit, status 1 (")
    assert machine.wait() == "power off"


def test_reboot_command(boot):
    machine = boot(skerry.config(when_idle="shell"), stay=True)
    machine.prompt()
    machine.sendline("reboot")
    machine.expect_text("skerry: machine reset")
    machine.expect_text("loaded by GRUB")
    machine.prompt()
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


@pytest.mark.platforms("qemu-*", "kvm-*", reason="Bochs tells the status over the console only")
def test_no_console(boot):
    machine = boot(skerry.config(hello()), HELLO, append="console=none")
    assert machine.wait() == "ok"


@pytest.mark.platforms("qemu-*", "kvm-*", reason="Bochs tells the status over the console only")
def test_missing_uart(boot):
    """COM2 does not exist in this machine: nothing is printed, and nothing hangs."""
    machine = boot(skerry.config(hello()), HELLO, append="console=com2")
    assert machine.wait() == "ok"


def test_shell(boot):
    machine = boot(skerry.config(hello(autostart=False), when_idle="shell"), HELLO)
    machine.prompt()
    text = machine.command("help")
    for command in ("list", "info", "start", "pause", "resume", "stop", "reset", "destroy", "attach",
                    "screen", "log", "stats", "cpus", "memory", "version", "reboot", "poweroff"):
        assert command in text
    assert "error: " in machine.command("frobnicate")
    assert "hello" in machine.command("info helo")  # says which guests there are
    for command in ("list", "info hello", "cpus", "memory", "version"):
        machine.json(command)
    machine.send("ver\t\r")  # completed
    machine.expect_text("Skerry ")
    machine.prompt()
    machine.send("\x1b[A\r")  # the same again, from the history
    machine.expect_text("Skerry ")
    machine.prompt()
    machine.command("start hello")
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


def test_memtest_runs(boot):
    machine = boot(skerry.config({"name": "mem", "memory": "64M", "boot": {
        "linux": "memtest", "cmdline": ""}}, when_idle="shell"))
    machine.prompt()
    for _ in range(60):
        if "Memtest86+" in machine.command("screen mem"):
            return
        time.sleep(1)
    raise AssertionError("memtest86+ shows nothing")
