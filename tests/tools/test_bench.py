"""The bench's arithmetic, without a measurement: tests/bench."""

import json
import os
import struct
import subprocess
import sys
import xml.etree.ElementTree

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tests", folder) for folder in ("bench", "system")]

import figures  # noqa: E402
import hot  # noqa: E402
import linux  # noqa: E402
import operations  # noqa: E402
import plots  # noqa: E402


def document():
    with open(os.path.join(TOP, "docs", "performance.md"), encoding="utf-8") as f:
        return f.read()


def all_figures():
    """One of each, all different and below their limits."""
    number = 100
    out = {}
    for name, table in figures.TABLES.items():
        for row in table.rows:
            for column in table.measured:
                if (name, row, column) in figures.NEVER:
                    continue
                number += 1
                out.setdefault(name, {}).setdefault(row, {})[column] = number
        if name == "linux":
            for row in out[name].values():
                row["bare"] = row["guest"] = 100000
    return out


TEXT = "# A title\n\n" + "".join(f"<!-- figures: {name} -->\n\n| x |\n|---|\n\nWords.\n"
                                for name in figures.TABLES) + "The end.\n"


# ---- the document ----

def test_written_figures_are_read_back():
    text = figures.write(TEXT, all_figures())
    assert figures.read(text) == all_figures()
    assert text.startswith("# A title\n") and text.endswith("The end.\n")
    assert text.count("Words.") == len(figures.TABLES)
    assert figures.write(text, all_figures()) == text


def test_tables_that_were_not_measured_stay():
    text = figures.write(TEXT, all_figures())
    new = {"vendors": {"cpuid": {"svm32": 7}}}
    found = figures.read(figures.write(text, new))
    assert found["vendors"]["cpuid"] == {"svm32": 7}
    assert found["linux"] == all_figures()["linux"]
    assert found["operations"] == all_figures()["operations"]


def test_large_numbers_and_ratios():
    rows = {"dd": {"bare": 1234567, "guest": 1234568, "own": 0}}
    line = next(line for line in figures.markdown("linux", rows).splitlines() if "`dd`" in line)
    assert line == "| `dd`, 64 MiB into ramfs | 1,234,567 | | 1,234,568 | | 0 | 1.0000 | 1.01 " \
                   "| 1.469 | 1.007 |"


def test_the_document_has_every_figure():
    found = figures.read(document())
    assert set(found) == set(figures.TABLES)
    assert not list(figures.missing(found))


def test_the_documents_tables_say_what_the_bench_knows():
    assert figures.write(document(), figures.read(document())) == document()


def test_the_plots_are_of_the_document():
    for name, text in plots.all_of(figures.complete(figures.read(document()))).items():
        with open(os.path.join(TOP, "docs", "plots", name), encoding="utf-8") as f:
            assert f.read() == text, f"{name} is old: make bench-update"
        assert f"plots/{name}" in document()


# ---- limits ----

def test_all_below_their_limits():
    assert not list(figures.over_limits(all_figures()))


@pytest.mark.parametrize("name, row, column, number, over", [
    ("operations", "cpuid", "32", 300, 0),
    ("operations", "cpuid", "32", 301, 1),
    ("operations", "x2apic-self-ipi", "64", 1200, 0),
    ("operations", "x2apic-self-ipi", "64", 1201, 1),
    ("vendors", "cpuid", "svm32", 251, 1),
    ("vendors", "hypercall", "svm32", 251, 0),
    ("vendors", "hypercall", "vmx64", 999, 1),  # its ratio
    ("linux", "md5sum", "guest", 100200, 0),
    ("linux", "md5sum", "guest", 100201, 1),
    ("linux", "entry", "guest", 60000000, 0),
    ("linux", "entry", "guest", 60000001, 1),
])
def test_over_a_limit(name, row, column, number, over):
    found = all_figures()
    found[name][row][column] = number
    sentences = list(figures.over_limits(found))
    assert len(sentences) == over
    if over:
        assert figures.TABLES[name].rows[row] in sentences[0] and "over the limit" in sentences[0]


def test_what_is_missing_is_said():
    found = all_figures()
    assert not list(figures.missing(found))
    del found["linux"]["fork"]["guest"]
    del found["operations"]["cpuid"]
    assert len(list(figures.missing(found))) == 3


# ---- changes ----

def test_changes():
    old, new = all_figures(), all_figures()
    assert not list(figures.changes(old, new))
    new["operations"]["cpuid"]["64"] += 5
    del old["vendors"]["cpuid"]["vmx32"]
    found = list(figures.changes(old, new))
    assert [(before, after) for _, before, after in found] == [
        (old["operations"]["cpuid"]["64"], old["operations"]["cpuid"]["64"] + 5),
        (None, new["vendors"]["cpuid"]["vmx32"])]
    lines = list(figures.change_lines(found))
    assert "+5 (" in lines[0] and "not there" in lines[1]


# ---- plots ----

def test_plots_are_svg_with_every_number():
    found = figures.complete(all_figures())
    for text in plots.all_of(found).values():
        root = xml.etree.ElementTree.fromstring(text)
        words = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
        assert "Xen 4.17" in words and "KVM 6.1" in words
        width = float(root.get("width"))
        for bar in root.iter("{http://www.w3.org/2000/svg}rect"):
            assert 0 <= float(bar.get("x")) and float(bar.get("width")) >= 1
            assert float(bar.get("x")) + float(bar.get("width")) <= width
    text = plots.linux(figures.LINUX, found["linux"])
    assert ">1.469<" in text and ">limit 1.002<" in text and "not measured" in text


def test_a_guest_that_does_less_than_bare_goes_to_the_left():
    found = figures.complete(all_figures())
    found["linux"]["kernel"]["ratio"] = 0.9
    text = plots.linux(figures.LINUX, {"kernel": found["linux"]["kernel"]})
    bars = list(xml.etree.ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}rect"))
    skerry, kvm = (float(bar.get("x")) + float(bar.get("width")) for bar in bars)
    assert skerry == pytest.approx(float(bars[1].get("x")), abs=0.2) and kvm > skerry


# ---- what the emulators say ----

def test_marks():
    places = linux.read_marks(["kernel32 10 12 0", "kernel64 15 17 0", "mark-1 30 40 5",
                               "mark-2 31 41 5", "mark-3 61 99 7", "mark-1 1000 1000 9"])
    assert linux.pieces(places) == {"kernel": (20, 28, 5), "fork": (30, 58, 2)}


def test_lines_of_the_tiny_guest():
    text = "x\r\nbench: cpuid 288\r\nbench: in-0x21 291\r\nbench: cut"
    assert operations.parse(text) == {"cpuid": 288, "in-0x21": 291}


def test_entry_of_a_kernel(tmp_path):
    image = bytearray(os.urandom(8192))
    image[0x1f1] = 3
    (tmp_path / "k").write_bytes(image)
    assert linux.entries_of_kernel(tmp_path / "k") == (bytes(image[2048:2112]),
                                                       bytes(image[2560:2624]))


@pytest.mark.parametrize("entry", [0xffffffff80200068, 0x200068])
def test_entry_of_the_hypervisor(tmp_path, entry):
    head = struct.pack("<4s12xHHIQQQIHHHHHH", b"\x7fELF", 2, 62, 1, entry, 64, 0, 0, 64, 56, 1, 0,
                       0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 4096, 0xffffffff80200000, 0x200000, 4096, 5000, 4096)
    code = os.urandom(4096)
    (tmp_path / "h").write_bytes((head + segment).ljust(4096, b"\0") + code)
    assert linux.entry_of_elf(tmp_path / "h") == (0x68, code[0x68:0x68 + 64])
    assert linux.image_range(tmp_path / "h") == (0xffffffff80200000, 0xffffffff80200000 + 5000)


def test_profile_by_function(tmp_path):
    (tmp_path / "profile").write_text("kernel64\n1000 1\n1004 1\nmark-1\n1000 3\n1004 3\n2000 7\n")
    places = hot.read(tmp_path / "profile")
    rows = hot.by_function(places["kernel"], places["mark-1"], [(0x1000, "one"), (0x2000, "two")])
    assert rows == [(7, 7, "two"), (4, 2, "one")]


# ---- the program: two runs, the document ----

class Bench:
    """tests/bench/run without emulators: `found` gives what each measurement gives in its turn."""

    def __init__(self, folder, monkeypatch, capsys):
        self.run = linux.program("tests/bench/run")
        self.document = folder / "performance.md"
        self.document.write_text(figures.write(TEXT, all_figures()))
        self.plots = folder / "plots"
        self.found = {(width, number): {row: all_figures()["operations"][row][width]
                                        for row in figures.OPERATIONS.rows}
                      for width in operations.GUESTS for number in self.run.RUNS}
        self.capsys = capsys
        self.patch = monkeypatch
        monkeypatch.setattr(self.run, "prepare", lambda tables: None)
        monkeypatch.setattr(self.run, "DOCUMENT", str(self.document))
        monkeypatch.setattr(self.run, "PLOTS", str(self.plots))
        monkeypatch.setattr(operations, "measure",
                            lambda platform, width, number, **_: self.found[width, number])

    def __call__(self, *arguments):
        """(exit status, standard output)"""
        self.patch.setattr(sys, "argv", ["run", "--only", "operations", *arguments])
        with pytest.raises(SystemExit) as end:
            self.run.main()
        return end.value.code, self.capsys.readouterr().out


@pytest.fixture(name="bench")
def bench_fixture(tmp_path, monkeypatch, capsys):
    return Bench(tmp_path, monkeypatch, capsys)


def test_nothing_changed(bench):
    status, text = bench()
    assert status == 0 and "nothing changed" in text


def test_a_change_is_shown_and_written_if_wanted(bench):
    for number in bench.run.RUNS:
        bench.found["64", number]["cpuid"] = 99
    status, text = bench()
    assert status == 0 and "cpuid" in text and "99" in text and not bench.plots.exists()
    assert figures.read(bench.document.read_text()) == all_figures()
    assert bench("--update")[0] == 0
    assert figures.read(bench.document.read_text())["operations"]["cpuid"]["64"] == 99
    assert {file.name for file in bench.plots.iterdir()} == {"linux.svg", "operations.svg"}
    assert "nothing changed" in bench()[1]


def test_runs_that_differ_fail_and_are_not_written(bench):
    bench.found["64", 2]["cpuid"] += 1
    before = bench.document.read_text()
    status, text = bench("--update")
    assert status == 1 and "two runs differ" in text
    assert bench.document.read_text() == before


def test_a_limit_fails(bench):
    for number in bench.run.RUNS:
        bench.found["32", number]["cpuid"] = 301
    status, text = bench("--json")
    assert status == 1
    told = json.loads(text)
    assert "301 is over the limit of 300" in told["over"][0]
    assert told["figures"]["operations"]["cpuid"]["32"] == 301
    assert told["changed"][0]["new"] == 301 and told["wrong"] == []


def test_a_measurement_that_fails(bench):
    def fail(platform, width, number, **_):
        raise linux.Failure("the emulator has gone")
    bench.patch.setattr(operations, "measure", fail)
    status, text = bench("--update")
    assert status == 1 and "the emulator has gone" in text and "no figure" in text


# ---- the plug-in ----

@pytest.mark.parametrize("arguments, said", [
    ("code=x:0:000000000000", "out=FILE"),
    ("out=/dev/null,code=x:0:0000", "6 to 64 bytes"),
    ("out=/dev/null,code=x:0:00000000000g", "6 to 64 bytes"),
    ("out=/dev/null,code=x", "not NAME:OFFSET:HEX"),
    ("out=/dev/null,range=5-5", "not FIRST-END"),
    ("out=/dev/null,colour=red", "unknown argument"),
    ("out=/no/such/folder/x", "cannot be written"),
])
def test_plugin_refuses(plugin, arguments, said):
    done = subprocess.run(["qemu-system-x86_64", "-display", "none", "-plugin",
                           f"{plugin},{arguments}"], stderr=subprocess.PIPE, text=True, check=False,
                          timeout=60)
    assert done.returncode != 0 and said in done.stderr


@pytest.fixture(scope="module", name="plugin")
def plugin_fixture(tmp_path_factory):
    out = tmp_path_factory.mktemp("plugin") / "marks.so"
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", str(out),
                    os.path.join(TOP, "tests", "bench", "marks.c")], check=True)
    return out


# Loops 1000 times, and halts until the next tick of the timer that the PC's firmware left running.
PROGRAM = """
	.code32
	.text
	.long 0x1BADB002, 0, -0x1BADB002
	.globl _start
_start:
	cli
	cld
	nop
	mov $stack, %esp
	nopl 0x5ee70001(%eax)
	mov $1000, %ecx
1:	dec %ecx
	jnz 1b
	nopl 0x5ee70002(%eax)
	mov $tick, %eax
	mov %ax, gate
	mov %cs, gate + 2
	movw $0x8e00, gate + 4
	shr $16, %eax
	mov %ax, gate + 6
	lidt pointer
	sti
	hlt
	nopl 0x5ee70003(%eax)
	mov $0x501, %edx
	out %al, %dx
tick:	mov $0x20, %al
	out %al, $0x20
	iret
	.data
pointer:
	.short 0x47
	.long gate - 0x40
	.bss
	.balign 8
	.skip 0x40
gate:	.skip 8
	.skip 4096
stack:
	.section .note.GNU-stack, "", @progbits
"""


def counted(plugin, folder, number):
    out = folder / f"marks-{number}"
    elf = folder / "program"
    (folder / "program.S").write_text(PROGRAM)
    subprocess.run(["gcc", "-m32", "-c", "-o", f"{elf}.o", str(folder / "program.S")], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-Ttext=0x100000", "-o", str(elf), f"{elf}.o"],
                   check=True)
    entry = subprocess.run(["objcopy", "-O", "binary", "-j", ".text", str(elf), "/dev/stdout"],
                           check=True, stdout=subprocess.PIPE).stdout[12:28]
    first = 0x10000c
    subprocess.run(["qemu-system-x86_64", "-display", "none", *linux.EXACT, "-nodefaults",
                    "-device", "isa-debug-exit,iobase=0x501", "-kernel", str(elf), "-plugin",
                    f"{plugin},out={out},code=start:c:{entry.hex()},range={first:x}-{first + 3:x},"
                    f"profile={folder}/profile"],
                   check=False, timeout=100)
    return out.read_text()


def test_plugin_counts_to_the_digit(plugin, tmp_path):
    text = counted(plugin, tmp_path, 1)
    assert text == counted(plugin, tmp_path, 2)
    places = linux.read_marks(text.splitlines())
    assert list(places) == ["start", "mark-1", "mark-2", "mark-3"]
    start, first, second, third = places.values()
    assert first[0] - start[0] == 4
    assert second[0] - first[0] == 2 + 2 * 1000
    assert second[1] - first[1] == second[0] - first[0]  # it was not halted
    assert (start[2], first[2]) == (0, 3)  # the range has the first three
    assert third[0] - second[0] < 30
    assert 10000 < third[1] - second[1] < 60000000  # a tick comes every 55 ms
    profile = hot.read(tmp_path / "profile")
    assert profile["mark-3"] == {0x10000c: 1, 0x10000d: 1, 0x10000e: 1}
