"""Boots Linux bare and as a guest of Skerry on the same emulated CPU, with the same kernel, command
line and initrd, and counts the instructions of each piece of its work (marks.c says how)."""

import importlib.machinery
import importlib.util
import json
import os
import shutil
import struct
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "system"))

import images  # noqa: E402
import qemu  # noqa: E402
import skerry  # noqa: E402

FOLDER = os.path.join(images.BUILD, "bench")
TIMEOUT = 900 * float(os.environ.get("SKERRY_TIMEOUT_SCALE", "1"))

CPU = "EPYC,+svm,+npt"
MEMORY = 512       # MiB that Linux has, bare and as a guest
HOST_MEMORY = 1024  # MiB of the machine below Skerry
CMDLINE = "console=ttyS0 quiet nokaslr"

# Two runs with these are the same.
EXACT = ["-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2026-01-01T00:00:00,clock=vm"]

EPOCH = 1767225600  # all dates in the images: 2026-01-01

# The pieces of work: the place where each begins, and where it ends (init.c has the marks).
PIECES = {
    "entry": ("hypervisor", "kernel"),
    "kernel": ("kernel", "mark-1"),
    "fork": ("mark-2", "mark-3"),
    "dd": ("mark-4", "mark-5"),
    "md5sum": ("mark-6", "mark-7"),
}


class Failure(Exception):
    """One sentence."""


def program(path):
    """A program without .py as a module."""
    loader = importlib.machinery.SourceFileLoader("program", os.path.join(TOP, path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("program", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def make_initrd(out):
    """Uncompressed: what unpacks it is no part of what is compared. All times are 0."""
    member = program("tools/make-initrd").member
    entries = [(folder, 0o40755, b"", (0, 0)) for folder in ("bin", "dev", "ram")]
    entries += [("dev/console", 0o20600, b"", (5, 1)), ("dev/zero", 0o20666, b"", (1, 5))]
    for name, path in (("bin/busybox", os.path.join(images.BUILD, "third-party", "busybox-static",
                                                    "bin", "busybox")),
                       ("bin/tiny", os.path.join(FOLDER, "tiny")),
                       ("init", os.path.join(FOLDER, "init"))):
        with open(path, "rb") as f:
            entries.append((name, 0o100755, f.read(), (0, 0)))
    with open(out, "wb") as f:
        for number, (name, mode, data, device) in enumerate(entries, 1):
            f.write(member(number, name, mode, data=data, device=device))
        f.write(member(0, "TRAILER!!!", 0))


def card(name, files, entry):
    """A memory card with GRUB and `files` ({path in /boot: path here}), which does the lines
    `entry`. QEMU reads a card at once, where disks answer when the host's own do: only so is
    everything from the switch-on the same in every run. The same input gives the same bytes."""
    root = os.path.join(FOLDER, name)
    out = root + ".img"
    shutil.rmtree(root, ignore_errors=True)
    boot = os.path.join(root, "boot")
    os.makedirs(boot)
    for file, path in files.items():
        shutil.copyfile(path, os.path.join(boot, file))
    with open(os.path.join(boot, "grub.cfg"), "w", encoding="ascii") as f:
        f.write("\n".join(["set timeout=0", "set gfxpayload=text", "menuentry bench {", *entry,
                           "}", ""]))
    early = os.path.join(FOLDER, name + ".cfg")
    with open(early, "w", encoding="ascii") as f:
        f.write("set root=(hd0)\nset prefix=(hd0)/boot\n")
    subprocess.run(["grub-mkimage", "-O", "i386-pc-eltorito", "-p", "/boot", "-c", early, "-o",
                    os.path.join(boot, "grub.img"), "biosdisk", "iso9660", "normal", "linux",
                    "multiboot2"], check=True)
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-r",
                    "--set_all_file_dates", f"={EPOCH}", "-b", "boot/grub.img", "-no-emul-boot",
                    "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info",
                    "--grub2-mbr", "/usr/lib/grub/i386-pc/boot_hybrid.img", "-o", out, root],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env=dict(os.environ, SOURCE_DATE_EPOCH=str(EPOCH)))
    os.truncate(out, 1 << (os.path.getsize(out) - 1).bit_length())  # cards have such sizes only
    shutil.rmtree(root)
    os.unlink(early)
    return out


def bare_card(kernel, initrd):
    return card("bare", {"vmlinuz": kernel, "initrd": initrd},
                [f"linux /boot/vmlinuz {CMDLINE}", "initrd /boot/initrd"])


def guest_card(kernel, initrd):
    config = skerry.config({"name": "linux", "memory": f"{MEMORY}M",
                            "boot": {"linux": "vmlinuz", "initrd": "initrd", "cmdline": CMDLINE}},
                           attach="linux")
    path = os.path.join(FOLDER, "guests.json")
    with open(path, "w", encoding="ascii") as f:
        json.dump(config, f)
    return card("guest", {"skerry": images.HYPERVISOR, "guests.json": path, "vmlinuz": kernel,
                          "initrd": initrd},
                ["multiboot2 /boot/skerry exit=acpi", "module2 /boot/guests.json config",
                 "module2 /boot/vmlinuz vmlinuz", "module2 /boot/initrd initrd"])


def entries_of_kernel(path):
    """Its first bytes where it is entered: in 32-bit mode, and in 64-bit mode 512 bytes on. Source:
    the Linux kernel's documentation, "The Linux/x86 Boot Protocol"."""
    with open(path, "rb") as f:
        data = f.read()
    start = ((data[0x1f1] or 4) + 1) * 512
    return data[start:start + 64], data[start + 512:start + 576]


def entry_of_elf(path):
    """Where in its page the entry point of a 64-bit ELF image is, and the first bytes there."""
    with open(path, "rb") as f:
        data = f.read()
    entry, phoff = struct.unpack_from("<QQ", data, 24)
    size, count = struct.unpack_from("<HH", data, 54)
    for i in range(count):
        _, _, offset, vaddr, paddr, filesz = struct.unpack_from("<IIQQQQ", data, phoff + i * size)
        for base in (vaddr, paddr):
            if base <= entry < base + filesz:
                return entry % 4096, data[offset + entry - base:][:64]
    raise Failure(f"{path}: its entry point is in no segment")


def image_range(path):
    """Addresses of the hypervisor's code."""
    with open(path, "rb") as f:
        data = f.read()
    phoff, = struct.unpack_from("<Q", data, 32)
    _, flags, _, vaddr, _, _, memsz = struct.unpack_from("<IIQQQQQ", data, phoff)
    assert flags & 1
    return vaddr, vaddr + memsz


def command(name, image, memory, kernel, profile):
    base = os.path.join(FOLDER, name)
    code32, code64 = entries_of_kernel(kernel)
    offset, entry = entry_of_elf(images.HYPERVISOR)
    first, end = image_range(images.HYPERVISOR)
    plugin = [os.path.join(FOLDER, "marks.so"), f"out={base}.marks",
              f"code=kernel32:0:{code32.hex()}", f"code=kernel64:200:{code64.hex()}",
              f"code=hypervisor:{offset:x}:{entry.hex()}", f"range={first:x}-{end:x}"]
    if profile:
        plugin.append(f"profile={profile}")
    return [qemu.PROGRAM, "-machine", "q35", "-accel", "tcg", "-cpu", CPU, "-smp", "1", "-m",
            f"{memory}M", "-display", "none", "-no-reboot", *EXACT, "-nodefaults",
            "-serial", f"file:{base}.serial",
            "-drive", f"if=none,id=card,format=raw,snapshot=on,file={image}",
            "-device", "sdhci-pci", "-device", "sd-card,drive=card", "-plugin", ",".join(plugin)]


def boot(name, image, memory, kernel, profile=None):
    """Boots an image; returns {place: (executed, total, executed by the hypervisor)}. `name` is
    that of the files in build/bench that tell about it."""
    base = os.path.join(FOLDER, name)
    words = command(name, image, memory, kernel, profile)
    with open(base + ".log", "w", encoding="utf-8") as log:
        log.write(" ".join(words) + "\n")
        log.flush()
        try:
            subprocess.run(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                           timeout=TIMEOUT, check=True)
        except subprocess.TimeoutExpired:
            raise Failure(f"{name} did not end in {TIMEOUT:.0f} s: see {base}.serial") from None
        except subprocess.CalledProcessError:
            raise Failure(f"{name}: QEMU failed: {last_line(base + '.log')}") from None
    with open(base + ".serial", encoding="utf-8", errors="replace") as f:
        if "bench: done" not in f.read():
            raise Failure(f"{name} did not do its work: see {base}.serial")
    with open(base + ".marks", encoding="ascii") as f:
        return read_marks(f)


def last_line(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read().strip().split("\n")[-1]


def read_marks(lines):
    """{place: (executed, total, executed by the hypervisor)}: a kernel's two entries are one place,
    and the first time counts."""
    places = {}
    for line in lines:
        place, *numbers = line.split()
        places.setdefault("kernel" if place in ("kernel32", "kernel64") else place,
                          tuple(map(int, numbers)))
    return places


def pieces(places):
    """{piece: (executed, total, executed by the hypervisor)} of what the places tell of."""
    return {piece: tuple(b - a for a, b in zip(places[first], places[last]))
            for piece, (first, last) in PIECES.items() if first in places and last in places}


def prepare():
    """What is booted: (bare, guest) for boot()."""
    kernel = images.payload("vmlinuz-generic")
    initrd = os.path.join(FOLDER, "initrd")
    make_initrd(initrd)
    return ((bare_card(kernel, initrd), MEMORY, kernel),
            (guest_card(kernel, initrd), HOST_MEMORY, kernel))
