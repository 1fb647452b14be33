"""Boots Linux bare and as a guest of Skerry on the same emulated CPU, with the same kernel, command line
and initrd, and counts the instructions of each piece of its work (marks.c says how)."""

import importlib.machinery
import importlib.util
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
EXACT = ["-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2026-01-01T00:00:00,clock=vm",
         "-nodefaults"]

# The pieces: name, the place where each begins, and where it ends.
PIECES = (
    ("entry to guest", "hypervisor", "kernel"),
    ("kernel to userspace", "kernel", "mark-1"),
    ("200 fork+exec", "mark-2", "mark-3"),
    ("dd 64 MiB into ramfs", "mark-4", "mark-5"),
    ("md5sum of it", "mark-6", "mark-7"),
)


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


def bare_iso(kernel, initrd):
    out = os.path.join(FOLDER, "bare.iso")
    root = os.path.join(FOLDER, "bare")
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(os.path.join(root, "boot", "grub"))
    shutil.copyfile(kernel, os.path.join(root, "boot", "vmlinuz"))
    shutil.copyfile(initrd, os.path.join(root, "boot", "initrd"))
    with open(os.path.join(root, "boot", "grub", "grub.cfg"), "w", encoding="ascii") as f:
        f.write("set timeout=0\nset gfxpayload=text\nmenuentry Linux {\n"
                f"\tlinux /boot/vmlinuz {CMDLINE}\n\tinitrd /boot/initrd\n}}\n")
    subprocess.run(["grub-mkrescue", "-o", out, "--locales=", "--fonts=", "--themes=",
                    "--install-modules=normal linux iso9660 part_msdos", root], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(root)
    return out


def guest_iso(kernel, initrd):
    config = skerry.config({"name": "linux", "memory": f"{MEMORY}M",
                            "boot": {"linux": "vmlinuz", "initrd": "initrd", "cmdline": CMDLINE}},
                           attach="linux")
    return images.packed(config, {"vmlinuz": kernel, "initrd": initrd})("exit=acpi")


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


def run(name, iso, memory, kernel, profile=None):
    """Boots an image; returns {place: (executed, total, executed by the hypervisor)}."""
    base = os.path.join(FOLDER, name)
    code32, code64 = entries_of_kernel(kernel)
    first, end = image_range(images.HYPERVISOR)
    offset, entry = entry_of_elf(images.HYPERVISOR)
    plugin = [os.path.join(FOLDER, "marks.so"), f"out={base}.marks", f"code=kernel32:0:{code32.hex()}",
              f"code=kernel64:200:{code64.hex()}",
              f"code=hypervisor:{offset:x}:{entry.hex()}",
              f"range={first:x}-{end:x}"]
    if profile:
        plugin.append(f"profile={profile}")
    command = [qemu.PROGRAM, "-machine", "q35", "-accel", "tcg", "-cpu", CPU, "-smp", "1", "-m",
               f"{memory}M", "-display", "none", "-no-reboot", *EXACT,
               "-serial", f"file:{base}.serial", "-drive", f"if=none,id=cd,media=cdrom,file={iso}",
               "-device", "ide-cd,drive=cd", "-plugin", ",".join(plugin)]
    with open(base + ".log", "w", encoding="utf-8") as log:
        log.write(" ".join(command) + "\n")
        log.flush()
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                           timeout=TIMEOUT, check=True)
        except subprocess.TimeoutExpired:
            raise Failure(f"{name} did not end in {TIMEOUT:.0f} s: see {base}.serial") from None
        except subprocess.CalledProcessError:
            raise Failure(f"{name}: QEMU failed: see {base}.log") from None
    with open(base + ".serial", encoding="utf-8", errors="replace") as f:
        if "bench: done" not in f.read():
            raise Failure(f"{name} did not do its work: see {base}.serial")
    places = {}
    with open(base + ".marks", encoding="ascii") as f:
        for line in f:
            place, *numbers = line.split()
            place = "kernel" if place in ("kernel32", "kernel64") else place
            places.setdefault(place, tuple(map(int, numbers)))
    return places
