"""Guests that start with a firmware of their own."""

import pytest

import skerry

ESC = "\x1b"


def bios(name="pc", memory="64M", files=None, **boot):
    return {"name": name, "memory": memory, "boot": {"firmware": "bios.bin", **boot},
            "fw_cfg": files or {}}


def ipxe(**more):
    return bios(kernel="ipxe.lkrn", files={"genroms/linuxboot_dma.bin": "linuxboot.bin"}, **more)


def test_seabios_shows_its_boot_menu(boot):
    machine = boot(skerry.config(ipxe(), attach="pc", when_idle="shell"))
    machine.expect_text("SeaBIOS")
    machine.expect_text("Press ESC for boot menu")
    machine.send(ESC)
    machine.expect_text("Select boot device:")
    machine.expect(r"1\. ")


def test_ipxe_reaches_its_prompt(boot):
    machine = boot(skerry.config(ipxe(), attach="pc", when_idle="shell"))
    machine.expect_text("Ctrl-B")
    machine.send("\x02")
    machine.expect_text("iPXE>")


def test_linux_started_by_seabios(boot):
    """Its tables come through firmware: the ACPI ones by the loader's script."""
    guest = bios(memory="512M", kernel="vmlinuz", initrd="initrd.gz", cmdline="console=ttyS0",
                 files={"genroms/linuxboot_dma.bin": "linuxboot.bin",
                        "opt/org.example/greeting": "greeting"})
    machine = boot(skerry.config(guest, attach="pc", when_idle="shell"),
                   files={"greeting": __file__})
    machine.expect_text("guest# ")
    machine.sendline("dmesg | grep -E 'DMI: |ACPI: (RSDP|XSDT|FACP|APIC|DSDT|FACS)|Error|rror'; cat /sys/class/dmi/id/product_name /proc/interrupts; ls -l /sys/firmware/qemu_fw_cfg/by_name/*; echo end-of-$((40+2))")
    machine.expect_text("end-of-42")
    machine.sendline("reboot")
    machine.expect_text("Press ESC for boot menu")
    machine.expect_text("guest# ")
    machine.sendline("poweroff")
    machine.prompt()


def test_ovmf(boot):
    guest = {"name": "pc", "memory": "256M", "boot": {"firmware": "ovmf.fd"}}
    machine = boot(skerry.config(guest, attach="pc", when_idle="shell"))
    machine.expect_text("Shell>", timeout=200)
