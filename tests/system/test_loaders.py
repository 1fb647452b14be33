"""Kernels of every boot protocol, packed or not, and images that are broken."""

import gzip
import json
import os
import re
import struct
import subprocess

import pytest

import images
import skerry
from test_linux import SHELL, guest_command

GUESTS = os.path.join(skerry.BUILD, "guests")
RANGES = ["range 0000000000000000 000000000009fc00 1", "range 000000000009fc00 0000000000060400 2"]


def read(path):
    with open(path, "rb") as f:
        return f.read()


def tiny(name):
    return os.path.join(GUESTS, name + ".elf")


def made(tmp_path, **contents):
    """{name: path} of files with such contents; a name's last _ is a dot."""
    out = {}
    for name, data in contents.items():
        name = ".".join(name.rsplit("_", 1))
        (tmp_path / name).write_bytes(data)
        out[name] = str(tmp_path / name)
    return out


def pvh(name, image, modules=None, cmdline=None, memory="16M", **more):
    boot = {"pvh": image}
    if cmdline is not None:
        boot["cmdline"] = cmdline
    if modules is not None:
        boot["modules"] = modules
    return {"name": name, "memory": memory, "boot": boot, "devices": {"debug_exit": True}, **more}


# ---- modules ----

FIRST = bytes(i * 7 & 255 for i in range(5000))
SECOND = gzip.compress(b"a module stays as it is\n" * 100, mtime=0)


@pytest.mark.parametrize("image", ["pvh", "pvh64", "modules"])
def test_modules(boot, tmp_path, image):
    """In their order, with the string of each, and packed ones as they are."""
    files = made(tmp_path, first_bin=FIRST, second_gz=SECOND, empty=b"")
    modules = ["first.bin", {"file": "second.gz", "string": "second verbose=1"},
               {"file": "first.bin", "string": ""}, "empty"]
    if image == "modules":
        guest = skerry.multiboot(image, "kernel", modules=modules, cmdline="one  two=2",
                                 debug_exit=True, serial="console")
    else:
        guest = pvh(image, "kernel", modules, cmdline="one  two=2", serial="console")
    machine = boot(skerry.config(guest), {"kernel": tiny(image), **files})
    machine.expect("guest [a-z0-9]+ (stopped|crashed): ")
    machine.expect_text("it ended with status 0\r")
    assert machine.wait() == "ok"
    assert machine.guest_lines(image) == [
        "command line [one  two=2]",
        f"module [first.bin], bytes 5000, their sum {sum(FIRST)}",
        f"module [second verbose=1], bytes {len(SECOND)}, their sum {sum(SECOND)}",
        f"module [], bytes 5000, their sum {sum(FIRST)}",
        "module [empty], bytes 0, their sum 0",
        *RANGES, "range 0000000000100000 0000000000f00000 1",
        "range 00000000e0000000 0000000010000000 2"]


def test_pvh_without_modules(boot):
    machine = boot(skerry.config(pvh("pvh", "pvh.elf", memory="18M", serial="console")),
                   {"pvh.elf": tiny("pvh")})
    machine.expect_text("it ended with status 0\r")
    assert machine.wait() == "ok"
    assert machine.guest_lines("pvh") == ["command line []", *RANGES,
                                          "range 0000000000100000 0000000001100000 1",
                                          "range 00000000e0000000 0000000010000000 2"]


# ---- packed kernels ----

def test_packed_kernels(boot, tmp_path):
    """What the boot loader left packed: each protocol, again after a reset, and two members."""
    hello, other = read(tiny("hello")), read(tiny("pvh64"))
    files = made(tmp_path, hello_gz=gzip.compress(hello),
                 two_gz=gzip.compress(other[:5000]) + gzip.compress(other[5000:], 1) + bytes(512),
                 resets_gz=gzip.compress(read(tiny("resets"))))
    machine = boot(skerry.config(
        skerry.multiboot("hello", "hello.gz", debug_exit=True, autostart=False),
        pvh("two", "two.gz", autostart=False),
        skerry.multiboot("resets", "resets.gz", cmdline="cf9", debug_exit=True, autostart=False),
        when_idle="shell"), files)
    machine.prompt()
    before = machine.json("memory")
    for name in ("hello", "two", "resets"):
        machine.command("start " + name)
        machine.expect_text(f"guest {name} stopped: it ended with status 0\r")
        machine.prompt()
    assert "guest resets: it reset itself" in machine.command("log")
    for name in ("hello", "two", "resets"):
        machine.command("destroy " + name)
    # what was needed to unpack them was given back
    assert machine.json("memory")["free"] == before["free"]


@pytest.mark.parametrize("grub_unpacks", [False, True], ids=["left", "unpacked"])
def test_grub_may_have_unpacked_it(boot, tmp_path, grub_unpacks):
    """Only then a module, too: a kernel is unpacked by one or the other."""
    files = made(tmp_path, k_gz=gzip.compress(read(tiny("modules"))), m_gz=SECOND)
    guest = skerry.multiboot("modules", "k.gz", modules=["m.gz"], debug_exit=True, serial="console")
    text = json.dumps({"when_idle": "poweroff", "guests": [guest]})
    machine = boot(images.raw(text, list(files.items()), grub_unpacks=grub_unpacks))
    machine.expect_text("it ended with status 0\r")
    assert machine.wait() == "ok"
    size = len(gzip.decompress(SECOND) if grub_unpacks else SECOND)
    assert re.match(rf"module \[m\.gz\], bytes {size},", machine.guest_lines("modules")[1])


def test_no_room_to_unpack(boot, tmp_path):
    """In the hypervisor's memory, though the guest's would do."""
    files = made(tmp_path, k_gz=gzip.compress(bytes(70 << 20)))
    machine = boot(skerry.config(
        skerry.multiboot("bad", "k.gz", memory="150M"),
        skerry.multiboot("good", "hello.elf", debug_exit=True, serial="console")),
        {"hello.elf": tiny("hello"), **files}, memory=256)
    machine.expect_text("error: guest bad: k.gz is packed by gzip, and no block of 128 MiB is free "
                        "to unpack it")
    machine.expect_text("hello from a tiny guest")
    assert machine.wait() == "configuration refused"


@pytest.mark.parametrize("contents, sentence", [
    (lambda: gzip.compress(bytes(64 << 20)), "k is packed by gzip and becomes larger than "
                                             "16 MiB, the most that is unpacked"),
    (lambda: gzip.compress(read(tiny("hello")))[:-100], "k is packed by gzip, and cut"),
    (lambda: gzip.compress(b"hello")[:-8] + bytes(8),
     "k is packed by gzip, and broken: incorrect data check"),
    (lambda: gzip.compress(b"hello") + b"tail",
     "k is packed by gzip, and 4 bytes behind its end are something else"),
    (lambda: gzip.compress(b""), "k is not a multiboot 1 kernel"),
], ids=["bomb", "cut", "checksum", "tail", "empty"])
def test_broken_packed_kernel(boot, tmp_path, contents, sentence):
    files = made(tmp_path, k=contents())
    machine = boot(skerry.config(
        skerry.multiboot("bad", "k", debug_exit=True),
        skerry.multiboot("good", "hello.elf", debug_exit=True, serial="console")),
        {"hello.elf": tiny("hello"), **files})
    machine.expect_text("error: guest bad: " + sentence)
    machine.expect_text("hello from a tiny guest")
    assert machine.wait() == "configuration refused"


# ---- broken images ----

def patched(data, *changes):
    """(offset, format, value)"""
    data = bytearray(data)
    for offset, form, value in changes:
        struct.pack_into("<" + form, data, offset, value)
    return bytes(data)


def segment(data, index=0):
    """Where a program header lies in an ELF32 file."""
    return struct.unpack_from("<I", data, 28)[0] + 32 * index


@pytest.mark.parametrize("way, change, sentence", [
    ("pvh", lambda elf: b"hello" * 20, "k is not a PVH kernel: it is no ELF file"),
    ("pvh", lambda elf: patched(elf, (segment(elf, 2), "I", 6)),
     "k is not a PVH kernel: it has no note"),
    ("pvh", lambda elf: patched(elf, (18, "H", 183)), "k is an ELF file for another processor"),
    ("pvh", lambda elf: patched(elf, (44, "H", 0xffff)), "k is broken or cut: its program headers"),
    ("pvh", lambda elf: patched(elf, (segment(elf) + 12, "I", 0xfffff000)),
     "guest memory of 16 MiB is too small"),
    ("pvh", lambda elf: patched(elf, (segment(elf) + 16, "I", 0xffffffff)),
     "k is broken or cut: its segment"),
    ("pvh", lambda elf: patched(elf, (segment(elf, 2) + 16, "I", 40)),
     "k is broken or cut: a note is longer"),
    ("multiboot", lambda elf: patched(elf, (segment(elf, 1) + 12, "I", 0x100000)),
     "k has segments that overlap"),
    ("multiboot", lambda elf: b"", "k is not a multiboot 1 kernel"),
    ("linux", lambda elf: elf, "k is not a Linux kernel image"),
], ids=["pvh-no-elf", "pvh-no-note", "pvh-machine", "pvh-headers", "pvh-address", "pvh-size",
        "pvh-note", "multiboot-overlap", "multiboot-empty", "linux-elf"])
def test_broken_image(boot, tmp_path, way, change, sentence):
    bad = {"name": "bad", "memory": "16M", "boot": {way: "k"}}
    machine = boot(skerry.config(
        bad, skerry.multiboot("good", "hello.elf", debug_exit=True, serial="console")),
        {"hello.elf": tiny("hello"), **made(tmp_path, k=change(read(tiny("pvh"))))})
    machine.expect_text("error: guest bad: " + sentence)
    machine.expect_text("hello from a tiny guest")
    assert machine.wait() == "configuration refused"


# ---- Linux ----

def in_a_shell(machine, status="ok"):
    """Looks around, and switches the guest off."""
    machine.expect_text(SHELL)
    machine_name = guest_command(machine, "uname -rm")
    count = "dmesg | grep -cE 'unchecked MSR|lockup|Call Trace|BUG:'"
    assert "trouble-0" in guest_command(machine, f"echo trouble-$({count})")
    machine.sendline("poweroff")
    machine.expect_text("guest web stopped: it powered itself off")
    assert machine.wait() == status
    return machine_name


QEMU = pytest.mark.platforms("qemu-*", "kvm-*", reason="elsewhere the other tests of Linux take it")


@pytest.mark.parametrize("entry", ["32", pytest.param("64", marks=QEMU)])
def test_linux_by_each_entry(boot, entry):
    guest = skerry.linux("web")
    guest["boot"]["entry"] = entry
    machine = boot(skerry.config(guest, attach="web"), cpus=2)
    assert "x86_64" in in_a_shell(machine)


@pytest.mark.parametrize("kernel", ["686", "686-pae"])
def test_linux_of_32_bits(boot, kernel):
    """It has no other entry. One pages by tables of two levels, the other by PAE."""
    files = {"linux": "vmlinuz-" + kernel, "initrd": "initrd-686.gz"}
    guest, other = skerry.linux("web"), skerry.linux("no")
    guest["boot"].update(files)
    other["boot"].update(files, entry="64")
    machine = boot(skerry.config(other, guest, attach="web"), cpus=2)
    machine.expect_text(f"guest no: vmlinuz-{kernel} has no 64-bit entry")
    assert re.search(rf"6\.1\.0-\d+-{kernel} i686", in_a_shell(machine, "configuration refused"))


def vmlinux():
    """The ELF file in Debian's kernel: "The Linux/x86 Boot Protocol", payload_offset and
    payload_length. It is packed by lz4, and its size stands behind that."""
    data = read(images.payload("vmlinuz"))
    setup = (data[0x1f1] + 1) * 512
    offset, length = struct.unpack_from("<II", data, 0x248)
    packed = data[setup + offset:setup + offset + length - 4]
    return subprocess.run(["lz4", "-dc"], input=packed, stdout=subprocess.PIPE, check=True).stdout


@pytest.fixture(scope="module")
def vmlinux_files(tmp_path_factory):
    elf = vmlinux()
    return made(tmp_path_factory.mktemp("vmlinux"), vmlinux=elf, vmlinux_gz=gzip.compress(elf, 1))


def test_linux_by_pvh(boot, vmlinux_files):
    guest = pvh("web", "vmlinux", ["initrd.gz"], "console=ttyS0", memory="256M")
    machine = boot(skerry.config(guest, attach="web"),
                   {"initrd.gz": images.payload("initrd.gz"), **vmlinux_files}, cpus=2)
    assert "x86_64" in in_a_shell(machine)


@pytest.mark.platforms("qemu-*", "kvm-*", reason="unpacking 60 MiB twice takes Bochs too long")
def test_packed_linux_by_pvh(boot, vmlinux_files):
    guest = pvh("web", "vmlinux.gz", ["initrd.gz"], "console=ttyS0", memory="256M")
    machine = boot(skerry.config(guest, attach="web"),
                   {"initrd.gz": images.payload("initrd.gz"), **vmlinux_files}, cpus=2)
    assert "x86_64" in in_a_shell(machine)


def linux_file(tmp_path, *changes):
    return made(tmp_path, vmlinuz_high=patched(read(images.payload("vmlinuz")), *changes))


@pytest.mark.parametrize("changes, sentence", [
    ([(0x206, "H", 0x204)], "has boot protocol 2.04: 2.10 (Linux 2.6.31) or newer is needed"),
    ([(0x211, "B", 0)], "is a zImage"),
    ([(0x1f4, "I", 0xffffffff)], "is cut: its header speaks of"),
    ([(0x230, "I", 3)], "kernel alignment of 0x3, which is no power of two"),
    ([(0x258, "Q", 1 << 63)], "wants to be loaded at 0x8000000000000000"),
    ([(0x260, "I", 0xffffffff)], "guest memory of 256 MiB is too small for"),
    ([(0x22c, "I", 0)], "initrd.gz does not fit between the kernel"),
    ([(0x238, "I", 3)], "the command line has 13 characters, but vmlinuz.high takes at most 3"),
], ids=["version", "zimage", "syssize", "alignment", "address", "init_size", "initrd", "cmdline"])
def test_broken_linux(boot, tmp_path, changes, sentence):
    guest = skerry.linux("bad")
    guest["boot"]["linux"] = "vmlinuz.high"
    machine = boot(skerry.config(
        guest, skerry.multiboot("good", "hello.elf", debug_exit=True, serial="console")),
        {"hello.elf": tiny("hello"), **linux_file(tmp_path, *changes)})
    machine.expect("error: guest bad: [^\\r\\n]*" + re.escape(sentence))
    machine.expect_text("hello from a tiny guest")
    assert machine.wait() == "configuration refused"


@pytest.mark.long
@pytest.mark.platforms("qemu-*", "kvm-*", reason="Bochs has no machine with so much memory")
def test_initrd_above_4_gib(boot, tmp_path):
    """The header says that an initrd has no place below."""
    guest = skerry.linux("web", memory="3200M")
    guest["boot"]["linux"] = "vmlinuz.high"
    machine = boot(skerry.config(guest, attach="web"), linux_file(tmp_path, (0x22c, "I", 0)),
                   cpus=2, memory=4608)
    machine.expect(r"RAMDISK: \[mem 0x1[0-9a-f]{8}-0x1[0-9a-f]{8}\]")
    assert "x86_64" in in_a_shell(machine)
