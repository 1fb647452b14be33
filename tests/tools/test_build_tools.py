"""The build's own tools: tools/fetch, tools/mksyms, tools/check-image, tools/make-initrd, tests/run."""

import gzip
import hashlib
import http.server
import importlib.machinery
import importlib.util
import json
import os
import shutil
import struct
import subprocess
import sys
import threading
import urllib.parse

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def load(path):
    """A program without .py as a module."""
    name = "program_" + os.path.basename(path).replace("-", "_")
    loader = importlib.machinery.SourceFileLoader(name, os.path.join(TOP, path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def run(*command, **more):
    return subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False, **more)


# ---- tools/fetch, without a network: everything is in the cache ----

class Fetch:
    def __init__(self, folder):
        self.folder = folder
        self.cache = folder / "cache"
        self.out = folder / "out"
        self.lock = folder / "lock"
        self.cache.mkdir()
        package = folder / "package"
        (package / "DEBIAN").mkdir(parents=True)
        (package / "DEBIAN" / "control").write_text(
            "Package: thing\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n")
        (package / "file").write_text("contents")
        self.deb = self.cache / "thing_1_all.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(package), str(self.deb)],
                       check=True, stdout=subprocess.DEVNULL)
        self.digest = hashlib.sha256(self.deb.read_bytes()).hexdigest()
        self.write_lock(self.digest)

    def write_lock(self, digest):
        self.lock.write_text(f"# comment\n\ndeb thing 1 thing_1_all.deb {digest}\n")

    def run(self, *names):
        # A PATH without apt: whatever is not in the cache cannot be had.
        bin_folder = self.folder / "bin"
        bin_folder.mkdir(exist_ok=True)
        for program in ("dpkg-deb", "tar", "sh"):
            link = bin_folder / program
            if not link.exists():
                link.symlink_to(f"/usr/bin/{program}")
        return run("/usr/bin/python3", os.path.join(TOP, "tools/fetch"), "--out", self.out, "--lock",
                   self.lock, *names, env={"SKERRY_CACHE": str(self.cache), "PATH": str(bin_folder)})


@pytest.fixture
def fetch(tmp_path):
    return Fetch(tmp_path)


def test_fetch_unpacks_from_the_cache(fetch):
    assert fetch.run("thing").stderr == ""
    assert (fetch.out / "thing" / "file").read_text() == "contents"
    assert fetch.digest in (fetch.out / "thing.stamp").read_text()


def test_fetch_unpacks_once(fetch):
    fetch.run("thing")
    (fetch.out / "thing" / "file").write_text("touched")
    os.utime(fetch.out / "thing.stamp", (0, 0))
    fetch.run("thing")
    assert (fetch.out / "thing" / "file").read_text() == "touched"
    assert (fetch.out / "thing.stamp").stat().st_mtime > 0  # so that make is content


def test_fetch_does_not_use_a_changed_file(fetch):
    with open(fetch.deb, "ab") as f:
        f.write(b"x")
    done = fetch.run("thing")
    assert done.returncode == 1
    assert "apt-get is not there" in done.stderr  # it went to fetch it again
    assert not (fetch.out / "thing").exists()


def test_fetch_checks_a_used_file_again(fetch):
    assert fetch.run("thing").returncode == 0
    fetch.write_lock("0" * 64)
    assert fetch.run("thing").returncode == 1


def test_fetch_refuses_an_unknown_name(fetch):
    assert "does not name nothing" in fetch.run("nothing").stderr


@pytest.mark.parametrize("line", ["deb a 1 f", "zip a 1 f " + "0" * 64, "deb a 1 f 123"])
def test_fetch_refuses_a_bad_lock(fetch, line):
    fetch.lock.write_text(line + "\n")
    done = fetch.run("thing")
    assert done.returncode == 1
    assert "lock:1:" in done.stderr


def test_fetch_refuses_what_the_lock_does_not_say(tmp_path):
    """A file from the mirror with another digest is not used."""
    fetch = load("tools/fetch")

    def download(_name, _files, where):
        with open(os.path.join(where, "f"), "w", encoding="utf-8") as f:
            f.write("other")

    fetch.download_pinned = download
    with pytest.raises(fetch.Failure, match="not what was reviewed"):
        fetch.into_cache("a", [("deb", "1", "f", "0" * 64)], str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_pin_keeps_the_epoch_of_a_source_package(monkeypatch, capsys):
    """The .dsc's name leaves it out, but apt knows no version without it."""
    fetch = load("tools/fetch")

    def download(kind, _name, _version, where):
        if kind == "deb":
            raise fetch.Failure("no such package")
        for name, text in (("thing_1.2-3.dsc", "Format: 3.0\nVersion: 1:1.2-3\n"),
                           ("thing_1.2.orig.tar.gz", "x")):
            with open(os.path.join(where, name), "w", encoding="utf-8") as f:
                f.write(text)

    monkeypatch.setattr(fetch, "download", download)
    fetch.pin("thing")
    assert [line.split()[:4] for line in capsys.readouterr().out.splitlines()] == [
        ["src", "thing", "1:1.2-3", "thing_1.2-3.dsc"],
        ["src", "thing", "1:1.2-3", "thing_1.2.orig.tar.gz"]]


# ---- tools/fetch, when the mirror has dropped a version: a stand-in for snapshot.debian.org ----

class Snapshot(http.server.BaseHTTPRequestHandler):
    files = {}  # path: contents

    def do_GET(self):
        data = self.files.get(urllib.parse.unquote(self.path))
        self.send_response(404 if data is None else 200)
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def old(monkeypatch):
    """tools/fetch, with a mirror that has nothing and a snapshot server whose files the test sets."""
    fetch = load("tools/fetch")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Snapshot)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(Snapshot, "files", {})
    monkeypatch.setattr(fetch, "SNAPSHOT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(fetch, "PAUSE", 0)
    monkeypatch.setattr(fetch, "update_index", lambda: None)
    monkeypatch.setattr(fetch, "apt", lambda *_args, cwd=None: subprocess.CompletedProcess(
        [], 100, "E: Version '1' for 'thing' was not found\n"))
    yield fetch
    server.shutdown()
    server.server_close()


def snapshot_list(**files):
    """An answer with the files under their keys."""
    return json.dumps({"fileinfo": {key: [{"name": name, "archive_name": "debian", "size": 1}]
                                    for key, name in files.items()}}).encode()


def sha(data):
    return hashlib.sha256(data).hexdigest()


def test_fetch_falls_back_for_a_binary(old, tmp_path):
    Snapshot.files = {
        "/mr/binary/thing/1:1.0-2+b1/binfiles?fileinfo=1":
            snapshot_list(aa="thing_1.0-2+b1_arm64.deb", bb="thing_1.0-2+b1_amd64.deb"),
        "/file/aa": b"for arm", "/file/bb": b"for us"}
    name = "thing_1%3a1.0-2+b1_amd64.deb"
    old.into_cache("thing", [("deb", "1:1.0-2+b1", name, sha(b"for us"))], str(tmp_path))
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"for us"


def test_fetch_falls_back_for_a_source(old, tmp_path):
    Snapshot.files = {
        "/mr/package/thing/1-1/srcfiles?fileinfo=1":
            snapshot_list(aa="thing_1-1.dsc", bb="thing_1.orig.tar.gz"),
        "/file/aa": b"dsc", "/file/bb": b"tar"}
    old.into_cache("thing", [("src", "1-1", "thing_1-1.dsc", sha(b"dsc")),
                             ("src", "1-1", "thing_1.orig.tar.gz", sha(b"tar"))], str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["thing_1-1.dsc", "thing_1.orig.tar.gz"]


@pytest.mark.parametrize("files, said", [
    ({}, "could not be fetched"),
    ({"/mr/binary/thing/1/binfiles?fileinfo=1": b"<html>"}, "something else than a list"),
    ({"/mr/binary/thing/1/binfiles?fileinfo=1": b"[1]"}, "something else than a list"),
    ({"/mr/binary/thing/1/binfiles?fileinfo=1": snapshot_list(aa="other_1_all.deb")},
     "has no thing_1_all.deb"),
    ({"/mr/binary/thing/1/binfiles?fileinfo=1": snapshot_list(aa="thing_1_all.deb"),
      "/file/aa": b"changed"}, "could not be fetched"),
], ids=["not there", "no JSON", "other JSON", "no such file", "another digest"])
def test_fetch_says_what_the_fallback_lacks(old, tmp_path, files, said):
    Snapshot.files = files
    with pytest.raises(old.Failure, match=said) as failure:
        old.into_cache("thing", [("deb", "1", "thing_1_all.deb", sha(b"right"))], str(tmp_path))
    assert "Version '1' for 'thing' was not found" in str(failure.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("text, wanted", [
    ("Types: deb\nURIs: http://m/debian\nSuites: bookworm bookworm-updates bookworm-backports\n"
     "Components: main contrib\nSigned-By: /k.gpg\n",
     ["Suites: bookworm bookworm-updates", "URIs: http://m/debian", "Types: deb deb-src",
      "Signed-by: /k.gpg", "Components: main", "Architectures: amd64 i386"]),
    ("# a comment\nTypes: deb\nURIs: http://m\nSuites: bookworm-security\nComponents: main\n",
     ["Suites: bookworm-security", "Architectures: amd64"]),
])
def test_fetch_reads_deb822_sources(tmp_path, monkeypatch, text, wanted):
    fetch = load("tools/fetch")
    path = tmp_path / "x.sources"
    path.write_text(text + "\nTypes: deb\nURIs: http://other\nSuites: nodistro\nComponents: main\n")
    monkeypatch.setattr(fetch.glob, "glob", lambda p: [str(path)] if p.endswith(".sources") else [])
    monkeypatch.setattr(fetch, "SYSTEM_LIST", str(tmp_path / "none"))
    found = fetch.sources()
    for line in wanted:
        assert line in found.splitlines()
    assert "other" not in found


def test_fetch_knows_32_bit_packages():
    fetch = load("tools/fetch")
    assert fetch.apt_name("busybox-static.i386") == "busybox-static:i386"
    assert fetch.apt_name("busybox-static") == "busybox-static"


def test_fetch_reads_one_line_sources(tmp_path, monkeypatch):
    fetch = load("tools/fetch")
    path = tmp_path / "sources.list"
    path.write_text("# deb http://off bookworm main\n"
                    "deb [arch=amd64 signed-by=/k.gpg] http://m/debian bookworm main # c\n"
                    "deb http://other stable main\n")
    monkeypatch.setattr(fetch.glob, "glob", lambda p: [])
    monkeypatch.setattr(fetch, "SYSTEM_LIST", str(path))
    found = fetch.sources()
    assert "URIs: http://m/debian\nSuites: bookworm\n" in found
    assert "Signed-by: /k.gpg" in found
    assert "off" not in found and "other" not in found


DVD = "cdrom:[Debian GNU/Linux 12.5.0 _Bookworm_ - Official amd64 DVD Binary-1 20240210-11:28]/"


def test_fetch_leaves_out_what_is_no_mirror(tmp_path, monkeypatch):
    """An installation from DVD leaves the DVD in the list, with a name that is full of blanks."""
    fetch = load("tools/fetch")
    path = tmp_path / "sources.list"
    path.write_text(f"deb {DVD} bookworm main contrib\n"
                    f"deb [trusted=yes] {DVD} bookworm main\n"
                    "deb file:///srv/mirror bookworm main\n"
                    "deb http://m/debian bookworm main\n")
    modern = tmp_path / "x.sources"
    modern.write_text(f"Types: deb\nURIs: {DVD}\nSuites: bookworm\nComponents: main\n\n"
                      "Types: deb\nURIs: file:/srv http://n/debian\nSuites: bookworm\n"
                      "Components: main\n")
    monkeypatch.setattr(fetch.glob, "glob",
                        lambda p: [str(modern)] if p.endswith(".sources") else [])
    monkeypatch.setattr(fetch, "SYSTEM_LIST", str(path))
    found = [line for line in fetch.sources().splitlines() if line.startswith("URIs")]
    assert found == ["URIs: http://m/debian", "URIs: http://n/debian"]


def test_fetch_says_that_there_is_no_source(tmp_path, monkeypatch):
    fetch = load("tools/fetch")
    monkeypatch.setattr(fetch.glob, "glob", lambda p: [])
    monkeypatch.setattr(fetch, "SYSTEM_LIST", str(tmp_path / "none"))
    with pytest.raises(fetch.Failure, match="apt knows no source"):
        fetch.sources()


# ---- tools/mksyms and tools/check-image, on small images ----

LINKER = """
PHDRS { text PT_LOAD FLAGS(5); data PT_LOAD FLAGS(%(data)s); }
SECTIONS {
    . = 0xffffffff80000000;
    .text : { *(.text) } :text
    %(table)s
    . = ALIGN(4096);
    .data : { *(.data) } :data
}
"""


def image(folder, code, table=True, data_flags="6", last=True):
    """Assembles and links twice, as the Makefile does."""
    symbols = ".rodata : { *(.symtab_skerry) } :text"
    script = folder / "script.ld"
    layout = LINKER % {"data": data_flags, "table": symbols if table else "/DISCARD/ : "
                       "{ *(.symtab_skerry) }"}
    if not last:  # the table before the text, which moves it
        layout = layout.replace(symbols, "").replace(".text :", symbols + "\n.text :")
    script.write_text(layout)
    (folder / "code.S").write_text(code)
    run("gcc", "-c", folder / "code.S", "-o", folder / "code.o")
    out = None
    for _ in range(2):
        made = run(os.path.join(TOP, "tools/mksyms"), *([out] if out else []))
        (folder / "symbols.S").write_text(made.stdout)
        run("gcc", "-c", folder / "symbols.S", "-o", folder / "symbols.o")
        out = folder / "image"
        run("ld", "-nostdlib", "-T", script, "-o", out, folder / "code.o", folder / "symbols.o")
    return out


CODE = """
.text
.globl first
.type first, @function
first:
    nop
    ret
.size first, . - first
label_in_first = first
.type second, @function
second:
    %s
    ret
.size second, . - second
.data
.long 1
.section .note.GNU-stack, "", @progbits
"""


def test_mksyms_table(tmp_path):
    out = image(tmp_path, CODE % "nop; nop")
    assert run(os.path.join(TOP, "tools/mksyms"), "--check", out).stderr == ""
    data = load("tools/mksyms").inside_table(str(out))
    count, = struct.unpack_from("<I", data)
    entries = [struct.unpack_from("<II", data, 4 + 8 * i) for i in range(count)]
    names = [data[name:data.index(b"\0", name)].decode() for _, name in entries]
    assert list(zip([a for a, _ in entries], names)) == [(0, "first"), (2, "second"), (5, "")]


def test_mksyms_empty_table():
    made = run(os.path.join(TOP, "tools/mksyms"))
    assert ".byte 0,0,0,0" in made.stdout


def test_mksyms_sees_moved_text(tmp_path):
    out = image(tmp_path, CODE % "nop", last=False)
    done = run(os.path.join(TOP, "tools/mksyms"), "--check", out)
    assert done.returncode == 1
    assert "after the text" in done.stderr


def test_mksyms_sees_a_dropped_table(tmp_path):
    out = image(tmp_path, CODE % "nop", table=False)
    assert run(os.path.join(TOP, "tools/mksyms"), "--check", out).returncode == 1


def check_image(out):
    return run(os.path.join(TOP, "tools/check-image"), out)


def test_check_image_passes_a_good_one(tmp_path):
    done = check_image(image(tmp_path, CODE % "fxsave (%rdi)"))
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("code", ["movaps %xmm0, %xmm1", "vaddps %ymm0, %ymm1, %ymm2", "fldz",
                                  "movd %eax, %mm0", "cvtsi2sd %eax, %xmm3"])
def test_check_image_finds_vector_instructions(tmp_path, code):
    done = check_image(image(tmp_path, CODE % code))
    assert done.returncode == 1
    assert "instruction in second" in done.stderr


def test_check_image_finds_writable_code(tmp_path):
    done = check_image(image(tmp_path, CODE % "nop", data_flags="7"))
    assert done.returncode == 1
    assert "writable and executable" in done.stderr


def test_check_image_finds_a_big_one(tmp_path):
    done = check_image(image(tmp_path, CODE % "nop" + "\n.data\n.space 1 << 20\n"))
    assert done.returncode == 1
    assert "more than 1048576" in done.stderr


# ---- tools/make-initrd ----

def members(data):
    """The files of a cpio archive of the "new ASCII" format: {name: (mode, time, contents)}."""
    found, at = {}, 0
    while True:
        assert data[at:at + 6] == b"070701"
        field = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        mode, time, size, name_size = field[1], field[5], field[6], field[11]
        name = data[at + 110:at + 110 + name_size - 1].decode()
        start = (at + 110 + name_size + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, time, data[start:start + size])
        at = (start + size + 3) & ~3


def test_make_initrd(tmp_path):
    (tmp_path / "busybox").write_bytes(b"program")
    tool = os.path.join(TOP, "tools/make-initrd")
    for name in ("a", "b"):
        assert run(tool, "-o", tmp_path / name, "--busybox", tmp_path / "busybox").returncode == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    found = members(gzip.decompress((tmp_path / "a").read_bytes()))
    assert found["bin/busybox"] == (0o100755, 0, b"program")
    assert found["bin/sh"] == (0o120777, 0, b"busybox")
    assert found["init"][0] == 0o100755
    assert found["init"][2].startswith(b"#!/bin/sh\n")
    assert {time for _, time, _ in found.values()} == {0}


def test_make_initrd_without_busybox(tmp_path):
    done = run(os.path.join(TOP, "tools/make-initrd"), "-o", tmp_path / "a", "--busybox",
               tmp_path / "none")
    assert done.returncode == 1
    assert "none" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "a").exists()


# ---- tests/run ----

@pytest.mark.parametrize("script, passed, failed", [
    ("echo '[  PASSED  ] 3 test(s).'", 3, 0),
    ("echo '[  PASSED  ] 3 test(s).'; echo '[  FAILED  ] 2 test(s), listed below:'; exit 2", 3, 2),
    ("echo '[  PASSED  ] 3 test(s).'; exit 1", 3, 1),
    ("kill -SEGV $$", 0, 1),
    ("true", 0, 1),
])
def test_run_counts_unit_tests(tmp_path, script, passed, failed):
    program = tmp_path / "test_x"
    program.write_text("#!/bin/sh\n" + script + "\n")
    program.chmod(0o755)
    done = run(os.path.join(TOP, "tests/run"), "unit", program)
    assert done.stdout.splitlines()[-1] == f"{passed} passed, {failed} failed"
    assert done.returncode == (1 if failed else 0)


def test_run_counts_a_missing_program(tmp_path):
    done = run(os.path.join(TOP, "tests/run"), "unit", tmp_path / "none")
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed"


@pytest.mark.parametrize("text, passed, failed", [
    ("def test_a(): pass", 1, 0),
    ("def test_a(): pass\ndef test_b(): assert False", 1, 1),
    ("import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('not today')", 1, 1),
    ("import pytest\ndef test_a(): pytest.skip('not today')", 0, 1),
    ("import pytest\ndef test_a(): pass\ndef test_b(): pytest.exit('enough', 3)\n"
     "def test_c(): pass", 1, 1),
    ("def test_a(): pass\ndef test_b(): raise KeyboardInterrupt", 1, 1),
    ("def helper(): pass", 0, 1),
    ("this is no python", 0, 2),
], ids=["good", "one bad", "one skipped", "all skipped", "ended", "interrupted", "none", "broken"])
def test_run_counts_pytest(tmp_path, text, passed, failed):
    (tmp_path / "test_x.py").write_text(text + "\n")
    count = load("tests/run").folder(str(tmp_path), [])
    assert (count.passed, count.failed) == (passed, failed)


# ---- the Makefile ----

@pytest.mark.parametrize("variables", [{}, {"CC": "clang"}, {"DEBUG": "1"},
                                       {"CC": "clang", "DEBUG": "1"}], ids=str)
@pytest.mark.parametrize("target", ["demo", "run", "system", "bench"])
def test_make_knows_how(tmp_path, target, variables):
    """Whatever compiler the environment names, each target's parts have rules."""
    clean = {k: v for k, v in os.environ.items() if k not in ("CC", "DEBUG", "MAKEFLAGS", "MFLAGS")}
    done = run("make", "-n", "SETUP=no", f"BUILD={tmp_path}", target, cwd=TOP,
               env={**clean, **variables})
    assert done.returncode == 0, done.stderr
    assert "No rule" not in done.stderr


# ---- tools/setup ----

def test_setup_lists_packages_with_reasons():
    lines = run(os.path.join(TOP, "tools/setup"), "--list").stdout.splitlines()
    assert len(lines) > 10
    assert all(len(line.split(None, 1)) == 2 for line in lines)


def test_run_shows_tests_against_platforms():
    lines = list(load("tests/run").table(["a-svm", "b-svm"], [
        ["test_x.py", "test_one", "a-svm", "passed"], ["test_x.py", "test_one", "b-svm", "failed"],
        ["test_x.py", "test_two[4]", "b-svm", "not run"]]))
    assert [line.split() for line in lines[1:]] == [
        ["test_x.py"], ["test_one", "passed", "failed"], ["test_two[4]", "-", "not", "run"]]
    assert lines[0].split()[-2:] == ["a-svm", "b-svm"]


# ---- tests/emulators/build-bochs ----

BUILD_BOCHS = os.path.join(TOP, "tests/emulators/build-bochs")


def test_bochs_is_not_built_twice(tmp_path):
    env = dict(os.environ, SKERRY_CACHE=str(tmp_path))
    path = run(BUILD_BOCHS, "--path", env=env).stdout.strip()
    os.makedirs(os.path.dirname(path))
    with open(path, "w", encoding="utf-8") as f:
        f.write("")
    os.chmod(path, 0o755)
    done = run(BUILD_BOCHS, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_bochs_says_what_it_lacks(tmp_path):
    """A PATH without a compiler: it fails before it fetches anything."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for program in ("bash", "cat", "cut", "dirname", "flock", "mkdir", "sha256sum"):
        (bin_folder / program).symlink_to(shutil.which(program))
    done = run(BUILD_BOCHS, env={"PATH": str(bin_folder), "SKERRY_CACHE": str(tmp_path / "cache")})
    assert done.returncode == 1
    assert "g++ is not there: run tools/setup" in done.stderr
