"""An unmodified Debian kernel in a guest, and what the administrator does with it."""

import os
import re
import time

import pytest

import images
import skerry

SHELL = "guest# "


def guest_command(machine, line):
    """Types a command into the attached guest; returns what it printed."""
    machine.sendline(line + "; echo end-of-$((40+2))")
    machine.expect_text("end-of-42")
    text = machine.before
    machine.expect_text(SHELL)
    return text


def uptime(machine):
    return float(re.search(r"(\d+\.\d+) \d+\.\d+", guest_command(machine, "cat /proc/uptime"))[1])


def test_life_of_a_guest(boot):
    machine = boot(skerry.config(skerry.linux("web", memory="512M", autostart=False),
                                 when_idle="shell"), cpus=2, real_time=True)
    machine.prompt()
    unused = machine.json("memory")
    machine.command("start web")
    machine.sendline("attach web")
    machine.expect_text(SHELL)
    assert "6.1.0" in guest_command(machine, "uname -r")
    assert "svm" not in guest_command(machine, "grep -m1 flags /proc/cpuinfo").split()
    # kvm-clock is there; Linux prefers the TSC where that is invariant, which QEMU's is not
    source = "/sys/devices/system/clocksource/clocksource0/"
    assert "kvm-clock" in guest_command(machine, f"cat {source}available_clocksource")
    invariant = "nonstop_tsc" in guest_command(machine, "grep -m1 flags /proc/cpuinfo").split()
    assert ("tsc\r" if invariant else "kvm-clock\r") in guest_command(
        machine, f"cat {source}current_clocksource")
    log = guest_command(machine, "dmesg | grep -E 'unchecked MSR|lockup|Call Trace|BUG:'")
    assert "] " not in log

    # out, pause, and back: the pause is no time for the guest
    before = uptime(machine)
    machine.detach()
    used = machine.json("memory")
    assert unused["free"] - used["free"] >= 512 << 20
    assert used["guests"][0]["memory"] == 512 << 20
    machine.command("pause web")
    assert machine.json("list")[0]["state"] == "paused"
    time.sleep(5)
    machine.command("resume web")
    stats = machine.command("stats web")
    assert re.search(r"cpuid +[1-9]", stats) and re.search(r"io +[1-9]", stats)
    assert "512 MiB" in machine.command("info web")
    machine.sendline("attach web")
    machine.expect_text("attached to web")
    assert before <= uptime(machine) < before + 4

    machine.sendline("reboot")
    machine.expect_text("Linux version")
    machine.expect_text(SHELL)
    machine.sendline("poweroff")
    machine.prompt()
    assert machine.json("list")[0]["state"] == "stopped"

    machine.command("start web")
    machine.command("reset web")
    machine.command("stop web")
    machine.command("destroy web")
    assert machine.json("list")[0]["state"] == "created"
    assert machine.json("memory") == unused  # all of it was given back
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


@pytest.mark.parametrize("option, irq", [
    ("", "16"),  # wire A at the I/O APIC
    pytest.param("noapic", "10", marks=pytest.mark.platforms(
        "qemu-*", "kvm-*", reason="nothing of it depends on the processor")),
], ids=["apic", "noapic"])
def test_pci_devices(boot, option, irq):
    """Linux finds the test device, gives it places, and uses the memory-mapped configuration."""
    machine = boot(skerry.config(skerry.linux("web", cmdline="console=ttyS0 " + option,
                                              devices={"test_device": True}),
                                 attach="web", when_idle="poweroff"))
    machine.expect_text(SHELL)
    log = guest_command(machine, "dmesg | grep -E 'PCI|pci'")
    assert re.search(r"(MMCONFIG|ECAM).* \[bus 00-ff\].*0xe0000000-0xefffffff", log)
    assert re.search(r"(MMCONFIG|ECAM) .*reserved", log)
    assert not re.search(r"can't (claim|assign)|failed to assign|no IRQ|no GSI", log)
    device = "/sys/bus/pci/devices/0000:00:05.0/"
    assert re.search(r"0x1af4\s+0x10f0\s+0xff0000", guest_command(
        machine, f"cd {device}; cat vendor device class"))
    found = guest_command(machine, "ls /sys/bus/pci/devices")
    assert re.findall(r"0000:[\w:.]+", found) == ["0000:00:00.0", "0000:00:05.0"]
    # 4 KiB of configuration space, which Linux reaches by memory only
    assert re.search(r"\b4096 ", guest_command(machine, "wc -c config"))
    assert "SKRY" in guest_command(machine, "tail -c +257 config | tr -cd A-Z")

    places = re.findall(r"0x0*([0-9a-f]+) 0x0*([0-9a-f]+) 0x[0-9a-f]{16}",
                        guest_command(machine, "head -n 3 resource"))
    sizes = [int(last, 16) - int(first, 16) + 1 for first, last in places]
    assert sizes == [4096, 128, 4096]
    assert "10\r" in guest_command(machine, "cat irq")  # what was preset
    guest_command(machine, "echo 1 >enable")
    assert irq + "\r" in guest_command(machine, "cat irq")  # what _PRT says
    assert "0x59524B53" in guest_command(machine, f"devmem 0x{places[0][0]}")
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


@pytest.mark.parametrize("cpus", [1, 2])
def test_two_guests_at_once(boot, cpus):
    machine = boot(skerry.config(skerry.linux("one"), skerry.linux("two"), attach="one",
                                 when_idle="poweroff"), cpus=cpus)
    for name in ("one", "two"):
        if name == "two":
            machine.sendline("attach two")
        machine.sendline("")
        machine.expect_text(SHELL)
        assert "Linux" in guest_command(machine, "uname")
        machine.detach()
    for name in ("one", "two"):
        machine.sendline("attach " + name)
        machine.expect_text("attached to " + name)
        machine.sendline("poweroff")
        if name == "one":
            machine.prompt()
    assert machine.wait() == "ok"


def test_debug_build(boot):
    """The lock order holds, and whatever else a debug build checks."""
    debug = os.path.join(skerry.BUILD, "debug", "skerry.elf")
    make = images.packed(skerry.config(skerry.linux("one", autostart=False),
                                       skerry.linux("two", autostart=False), when_idle="shell"),
                         hypervisor=debug)
    machine = boot(make, cpus=2)
    machine.prompt()
    machine.command("start one")
    machine.command("start two")
    for name in ("one", "two"):
        machine.sendline("attach " + name)
        machine.expect_text(SHELL)
        guest_command(machine, "cat /proc/interrupts")
        machine.detach()
    machine.command("pause two")
    machine.command("resume two")
    machine.command("stop one")
    machine.sendline("attach two")
    machine.expect_text("attached to two")
    guest_command(machine, "uptime")
    machine.sendline("poweroff")
    machine.prompt()
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


UEFI = pytest.mark.platforms("qemu-*", "kvm-*", reason="Bochs has no UEFI")


@pytest.mark.parametrize("firmware, cpus", [("bios", 1), ("bios", 4), ("bios", 8),
                                            pytest.param("uefi", 1, marks=UEFI),
                                            pytest.param("uefi", 4, marks=UEFI)])
def test_boots_on(boot, firmware, cpus):
    machine = boot(skerry.config(skerry.linux("web"), attach="web", when_idle="poweroff"),
                   firmware=firmware, cpus=cpus)
    machine.expect_text(SHELL)
    machine.detach()
    shown = machine.json("cpus")
    assert len(shown["cpus"] if isinstance(shown, dict) else shown) == cpus
    machine.sendline("attach web")
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


def test_memory_of_the_hypervisor_itself(boot):
    machine = boot(skerry.config(when_idle="shell"), cpus=4)
    machine.prompt()
    text = machine.command("memory")
    kib = int(re.search(r"hypervisor in all, without records +(\d+) KiB", text)[1])
    assert kib <= 6 * 1024
