"""tools/skerry-iso: what it packs, and what it refuses before it writes."""

import json
import os
import re
import stat
import subprocess

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(TOP, "tools", "skerry-iso")


def guest(name="web", **boot):
    return {"name": name, "memory": "64M", "boot": boot}


class Work:
    """A folder with a stand-in for the hypervisor."""

    def __init__(self, folder):
        self.folder = folder
        self.hypervisor = folder / "skerry.elf"
        self.hypervisor.write_bytes(b"hypervisor")
        self.config = folder / "in" / "guests.json"
        self.config.parent.mkdir()
        self.out = folder / "out.iso"

    def file(self, name, data=b"data"):
        path = self.config.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def run(self, config, *args):
        if config is not None:
            text = config if isinstance(config, bytes) else json.dumps(config).encode()
            self.config.write_bytes(text)
        return subprocess.run(
            [TOOL, "-o", str(self.out), "--hypervisor", str(self.hypervisor), *args,
             str(self.config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=self.folder, check=False)

    def refused(self, config, *args):
        """Runs the tool, which must refuse with one sentence and leave nothing behind."""
        before = sorted(os.listdir(self.folder))
        done = self.run(config, *args)
        assert done.returncode == 1
        assert done.stderr.startswith("skerry-iso: ")
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr
        assert [f for f in sorted(os.listdir(self.folder)) if f not in before] == []
        return done.stderr

    def unpack(self):
        """Returns {path in the image: bytes} of what is below /boot."""
        target = self.folder / "unpacked"
        subprocess.run(["xorriso", "-osirrox", "on", "-indev", str(self.out), "-extract", "/boot",
                        str(target)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       check=True)
        subprocess.run(["chmod", "-R", "u+w", str(target)], check=True)
        return {str(p.relative_to(target)): p.read_bytes() for p in target.rglob("*")
                if p.is_file()}


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path)


def modules(cfg):
    """The module2 lines of a grub.cfg: [(path, the string that Skerry finds the module by)]."""
    out = []
    for line in cfg.decode().splitlines():
        if line.strip().startswith("module2 "):
            _, path, rest = line.strip().split(" ", 2)
            out.append((path, as_skerry_reads(as_grub_passes(grub_words(rest)))))
    return out


def as_grub_passes(words):
    """What GRUB makes of a command's words for the system that it loads: a backslash before marks
    and before a backslash that begins no \\xNN, marks around words with blanks."""
    quoted = [re.sub(r"""(\\(?!x[0-9a-fA-F]{2})|['"])""", r"\\\1", word) for word in words]
    return " ".join(f'"{word}"' if " " in word else word for word in quoted)


def as_skerry_reads(text):
    """boot/multiboot2.c, unquote()."""
    return re.sub(r"""\\([\\'"])|(")""", lambda m: m[1] or "", text)


def grub_words(text):
    """GRUB's reading of single quotes and of a backslash outside them."""
    words, word, quoted, i = [], "", False, 0
    while i < len(text):
        c = text[i]
        if c == "'":
            quoted = not quoted
        elif c == "\\" and not quoted:
            i += 1
            word += text[i]
        elif c == " " and not quoted:
            words.append(word)
            word = ""
        else:
            word += c
        i += 1
    assert not quoted
    return words + [word]


def test_packs_configuration_and_files(work):
    config = {"guests": [guest(linux="vmlinuz", initrd="sub/initrd.gz", cmdline="x"),
                         guest("db", multiboot="k.elf", modules=["one", {"file": "two", "string": "x"}]),
                         {**guest("cd", pvh="vmlinux"), "symbols": "k.map"}]}
    names = ("vmlinuz", "sub/initrd.gz", "k.elf", "one", "two", "vmlinux", "k.map")
    for name in names:
        work.file(name, b"this is " + name.encode())
    done = work.run(config)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    files = work.unpack()
    assert files["skerry.elf"] == b"hypervisor"
    assert files["guests.json"] == work.config.read_bytes()
    lines = modules(files["grub/grub.cfg"])
    assert lines[0] == ("/boot/guests.json", "config")
    assert {s: files[path[len("/boot/"):]] for path, s in lines[1:]} == {
        name: b"this is " + name.encode() for name in names}


def test_boots_on_bios_and_uefi(work):
    assert work.run({"guests": []}).returncode == 0
    report = subprocess.run(["xorriso", "-indev", str(work.out), "-report_el_torito", "plain"],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                            check=True).stdout
    assert " BIOS " in report
    assert " UEFI " in report


def test_same_file_is_packed_once(work):
    work.file("vmlinuz", b"kernel")
    os.symlink("vmlinuz", work.config.parent / "other-name")
    assert work.run({"guests": [guest("a", linux="vmlinuz"), guest("b", linux="vmlinuz"),
                                guest("c", linux="other-name")]}).returncode == 0
    files = work.unpack()
    lines = modules(files["grub/grub.cfg"])
    assert [s for _, s in lines] == ["config", "vmlinuz", "other-name"]
    assert lines[1][0] == lines[2][0]
    assert [name for name in files if name.startswith("m/")] == ["m/0"]


@pytest.mark.parametrize("name", [
    "with space", " two  spaces ", "it's", '"quoted"', "back\\slash", "\\x41", "\\\\'\"'",
    "$x ${y} `z`", "a;b&c|d", "{curly}", "#hash", "-dash", "*?[x]", "x" * 127,
])
def test_any_name(work, name):
    work.file(name, b"found")
    done = work.run({"guests": [guest(linux=name)]})
    assert done.stderr == ""
    files = work.unpack()
    (_, (path, string)) = modules(files["grub/grub.cfg"])
    assert string == name
    assert files[path[len("/boot/"):]] == b"found"


def test_append(work):
    assert work.run({"guests": []}, "--append", "loglevel=debug exit=isa-debug:0x501").returncode == 0
    cfg = work.unpack()["grub/grub.cfg"].decode()
    line = next(l for l in cfg.splitlines() if "multiboot2" in l)
    assert " ".join(grub_words(line.split(" ", 2)[2])) == "loglevel=debug exit=isa-debug:0x501"


def test_configuration_may_make_no_sense(work):
    """It is Skerry that judges it, with the same words however it was packed."""
    for config in ({}, {"guests": 5}, {"guests": [1, {}, {"boot": []}, {"boot": {"linux": 3}}]}):
        assert work.run(config).returncode == 0


@pytest.mark.parametrize("key", ["linux", "initrd", "multiboot", "pvh", "modules"])
def test_missing_file(work, key):
    value = ["nowhere"] if key == "modules" else "nowhere"
    said = work.refused({"guests": [guest(**{key: value})]})
    assert "web" in said and "'nowhere'" in said


def test_folder_for_a_file(work):
    (work.config.parent / "folder").mkdir()
    assert "not a file" in work.refused({"guests": [guest(linux="folder")]})


@pytest.mark.parametrize("name, word", [
    ("", "empty"), ("config", "taken"), ("x" * 128, "127"), ("caf\u00e9", "ASCII"),
    ("line\nbreak", "ASCII"), ("zero\0", "ASCII"),
])
def test_name_that_cannot_be(work, name, word):
    if name and "\0" not in name:
        work.file(name)
    assert word in work.refused({"guests": [guest(linux=name)]})


@pytest.mark.parametrize("text", [
    b"", b"{", b"{} x", b"{'a': 1}", b'{"a": 1,}', b"[" * 100000, b"\xff\xfe", b'{"a": "\n"}',
])
def test_not_json(work, text):
    assert str(work.config) in work.refused(text)


@pytest.mark.parametrize("text", [b"[]", b"3", b'"x"', b"null"])
def test_not_an_object(work, text):
    assert "object" in work.refused(text)


def test_no_configuration(work):
    assert "guests.json" in work.refused(None)


def test_no_hypervisor(work):
    work.hypervisor.unlink()
    assert "run make first" in work.refused({"guests": []})


def test_no_folder_for_the_image(work):
    work.out = work.folder / "no" / "out.iso"
    assert "does not exist" in work.refused({"guests": []})


@pytest.mark.parametrize("append", ["a\nb", "\u00e9", "x" * 1001])
def test_bad_append(work, append):
    assert "--append" in work.refused({"guests": []}, "--append", append)


def test_old_image_stays_on_refusal(work):
    work.out.write_bytes(b"old")
    work.refused({"guests": [guest(linux="nowhere")]})
    assert work.out.read_bytes() == b"old"


def test_image_is_replaced(work):
    work.out.write_bytes(b"old")
    assert work.run({"guests": []}).returncode == 0
    assert work.out.stat().st_size > 1 << 20
    assert stat.S_ISREG(work.out.stat().st_mode)
    assert sorted(os.listdir(work.folder)) == ["in", "out.iso", "skerry.elf"]
