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
