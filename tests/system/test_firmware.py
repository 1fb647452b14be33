"""Guests that start with a firmware of their own."""

import os
import re

import pytest

import skerry

ESC = "\x1b"
CTRL_B = "\x02"
SHELL = "guest# "


def bios(kernel="ipxe.lkrn", memory="64M", files=None, **boot):
    """A guest in which SeaBIOS starts a kernel by way of an option ROM."""
    return {"name": "pc", "memory": memory,
            "boot": {"firmware": "bios.bin", "kernel": kernel, **boot},
            "fw_cfg": {"genroms/linuxboot_dma.bin": "linuxboot.bin", **(files or {})}}


def ended(machine):
    """Takes the guest down, and with it the machine."""
    machine.detach()
    assert "running" in machine.command("list")
    machine.command("stop pc")
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


def test_seabios_shows_its_boot_menu(boot):
    machine = boot(skerry.config(bios(), attach="pc", when_idle="shell"))
    machine.expect_text("SeaBIOS (version")
    machine.expect_text("Press ESC for boot menu")
    machine.send(ESC)
    machine.expect_text("Select boot device:")
    machine.expect_text("1. Linux loader DMA")
    machine.send("1")
    machine.expect_text("iPXE initialising")
    ended(machine)


def test_ipxe_reaches_its_prompt(boot):
    """A kernel that starts in real mode and calls the BIOS."""
    machine = boot(skerry.config(bios(), attach="pc", when_idle="shell"))
    machine.expect_text("Ctrl-B")
    machine.send(CTRL_B)
    machine.expect_text("iPXE>")
    machine.send("show product\r")  # the BIOS keeps 15 keys
    machine.expect(r"product:?\S* = Skerry")
    machine.expect_text("iPXE>")
    machine.send("reboot\r")
    machine.expect_text("SeaBIOS (version")
    machine.expect_text("Ctrl-B")
    ended(machine)


def lines_of(machine, command):
    machine.sendline(command + "; echo end-of-$((40+2))")
    machine.expect_text("end-of-42")
    return machine.before


def check_names(machine):
    """What Linux knows about the machine by its SMBIOS tables."""
    assert re.search(r"DMI: Skerry Skerry/Skerry, BIOS \S+ \(\S+\) ",
                     lines_of(machine, "dmesg | grep DMI:"))
    assert "QEMU0002:00" in lines_of(machine, "ls /sys/bus/acpi/devices")
    names = lines_of(machine, "cd /sys/class/dmi/id; cat sys_vendor product_name product_serial")
    assert names.split()[-3:] == ["Skerry", "Skerry", "pc"]


def test_linux_finds_the_names_of_the_machine(boot):
    machine = boot(skerry.config(skerry.linux("pc"), attach="pc", when_idle="shell"))
    machine.expect_text(SHELL)
    check_names(machine)
    ended(machine)


def test_linux_started_by_seabios(boot):
    """Its tables come through firmware: the ACPI ones by the loader's script."""
    machine = boot(skerry.config(bios("vmlinuz", "512M", initrd="initrd.gz",
                                      cmdline="console=ttyS0"), attach="pc", when_idle="poweroff"))
    machine.expect_text(SHELL)
    check_names(machine)
    tables = lines_of(machine, "dmesg | grep -E 'ACPI: (RSDP|XSDT|FACP|APIC|DSDT) 0x'")
    assert len(re.findall(r"SKERRY", tables)) >= 5
    # the RSDP is where the script asks for it, the tables are not where other guests have them
    assert re.search(r"RSDP 0x00000000000F", tables)
    assert not re.search(r"FACP 0x00000000000E", tables)
    assert "bad-0\r" in lines_of(machine, "echo bad-$(dmesg | grep -cE "
                                          "'ACPI.*(rror|BIOS bug)|ncorrect checksum|not reserved')")
    machine.sendline("reboot")
    machine.expect_text("SeaBIOS (version")
    machine.expect_text(SHELL)
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


def test_reset_state_and_rom(boot):
    guest = {"name": "rom", "memory": "2M", "serial": "console", "boot": {"firmware": "rom.bin"},
             "devices": {"debug_exit": True}}
    machine = boot(skerry.config(guest), files={
        "rom.bin": os.path.join(skerry.BUILD, "guests", "rom.bin")})
    machine.expect("guest rom (stopped|crashed): ")
    machine.expect_text("it ended with status 0\r")
    assert machine.wait() == "ok"


def test_ovmf_reaches_the_uefi_shell(boot, platform):
    # With CET, which guests do not have, Bochs gives up when a guest whose CR0.WP is clear writes to
    # a read-only page, as OVMF does with its page tables.
    options = ({"model": "tigerlake, exclude_features=cet"} if platform.name == "bochs-vmx" else {})
    guest = {"name": "pc", "memory": "128M", "boot": {"firmware": "ovmf.fd"}}
    machine = boot(skerry.config(guest, attach="pc", when_idle="shell"), timeout=300,
                   **options)
    machine.expect_text("UEFI Interactive Shell")
    machine.send(ESC)
    machine.expect_text("Shell>")
    machine.send("ver\r")
    machine.expect_text("UEFI v2")
    ended(machine)


@pytest.mark.long
@pytest.mark.platforms("qemu-*", "kvm-*", reason="minutes in Bochs, and the way is the same")
def test_ovmf_starts_a_kernel(boot):
    """By fw_cfg alone, without an option ROM."""
    guest = {"name": "pc", "memory": "512M", "boot": {
        "firmware": "ovmf.fd", "kernel": "vmlinuz", "initrd": "initrd.gz", "cmdline": "console=ttyS0"}}
    machine = boot(skerry.config(guest, attach="pc"), timeout=300)
    machine.expect_text(SHELL)
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


@pytest.mark.parametrize("key, what, sentence", [
    ("firmware", {"boot": {"firmware": "initrd.gz"}},
     "firmware is the raw image of a ROM, a multiple of 64 KiB"),
    ("kernel", {"boot": {"firmware": "bios.bin", "kernel": "initrd.gz"}},
     "initrd.gz is not a Linux kernel image"),
    ("file", {"boot": {"firmware": "bios.bin"}, "fw_cfg": {"etc/e820": "initrd.gz"}},
     "fw_cfg: etc/e820: the hypervisor makes a file of that name itself"),
], ids=["firmware", "kernel", "file"])
def test_refusals(boot, key, what, sentence):
    machine = boot(skerry.config({"name": "pc", "memory": "64M", **what}))
    machine.expect_text("guest pc: ")
    machine.expect_text(sentence)
    assert machine.wait() == "configuration refused"
