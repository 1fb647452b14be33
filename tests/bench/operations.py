"""Counts instructions per exit, where an emulator's TSC counts them: in QEMU with -icount (SVM),
and in Bochs (SVM and VMX), which is another count: of a guest and a hypervisor for which the CPU
reports instruction lengths. The guest is tests/guests/bench.S."""

import os
import re

import images
import linux
import platforms
import skerry

QEMU_OPTIONS = {"cpu": linux.CPU, "accel": "tcg", "extra": linux.EXACT}

GUESTS = {"32": "bench", "64": "bench64"}  # by the width of their mode
VENDORS = ("svm", "vmx")


def image(platform, width):
    elf = os.path.join(images.BUILD, "guests", GUESTS[width] + ".elf")
    config = skerry.config(skerry.multiboot("bench", "bench.elf", debug_exit=True,
                                            serial="console"))
    return images.packed(config, {"bench.elf": elf})(platforms.TABLE[platform].exit_option)


def measure(platform, width, number, **options):
    """{operation: instructions}"""
    guest = GUESTS[width]
    log = os.path.join(images.SYSTEM, f"bench-{platform}-{guest}-{number}.log")
    machine = skerry.Skerry(platforms.TABLE[platform], image(platform, width), log, memory=512,
                            **options)
    try:
        machine.expect_text("machine exit")
        return parse(machine.before)
    except AssertionError as error:
        raise linux.Failure(f"{guest} on {platform}: {error}") from None
    finally:
        machine.close()


def parse(text):
    return {name: int(value) for name, value in re.findall(r"bench: ([a-z0-9-]+) (\d+)\s", text)}
