"""What `trace` shows of a guest's exits: the same on every vendor's processors."""

import json
import os
import re

import pytest

import skerry
from test_guests import files, tiny
from test_linux import SHELL, guest_command

# What exits.elf does. The host's own interrupts may come in between anywhere.
KNOWN = [
    ("cpuid", "identify", "leaf 0x0, subleaf 0x0"),
    ("cpuid", "identify", "leaf 0x7, subleaf 0x1"),
    ("io", "ports", "out 0x80, 1 byte: 0x5a"),
    ("io", "ports", "in 0x21, 1 byte"),
    ("io", "ports", "out 0xcf8, 4 bytes: 0x80000000"),
    ("io", "ports", "outs 0x80, 1 byte"),
    ("msr", "msrs", "read 0x1b APIC_BASE"),
    ("msr", "msrs", "write 0x3b TSC_ADJUST: 0x12"),
    ("memory", "device_memory", "read 0xfee00030"),
    ("memory", "device_memory", "write 0xfee00080"),
    ("hypercall", "which", "number 0x1234"),
    ("halt", "main", ""),
]
KINDS = "cpuid,io,msr,memory,hypercall,halt"
LINE = re.compile(r"\[ *(\d+\.\d{6})\] ([a-z-]+) +([^ ]+)(?:  +(.*))?")


MAP = {name + ".map": os.path.join(skerry.BUILD, "guests", name + ".map")
       for name in ("exits", "triple_fault")}


def lines_of(text):
    return [LINE.fullmatch(line.rstrip()) for line in text.splitlines() if line.startswith("[")]


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def boot_exits(boot, **more):
    machine = boot(skerry.config(tiny("exits", symbols="exits.map"), when_idle="shell", **more),
                   {**files("exits"), **MAP})
    machine.expect_text("guest exits stopped: it halted with interrupts off")
    machine.prompt()
    return machine


def test_known_exits_are_decoded(boot):
    machine = boot_exits(boot)
    found = lines_of(machine.command(f"trace exits --kind {KINDS}"))
    assert [(m[2], m[3].split("+")[0], m[4] or "") for m in found] == KNOWN
    times = [float(m[1]) for m in found]
    assert times == sorted(times) and times[0] > 0

    whole = lines_of(machine.command("trace exits"))
    assert len(whole) >= len(KNOWN) and whole[-1][2] == "halt"
    assert [m[2] for m in lines_of(machine.command("trace exits -n 2 --kind msr,io"))] == \
        ["msr", "msr"]

    shown = json_lines(machine.command(f"trace exits --kind={KINDS} --json"))
    assert [one["kind"] for one in shown] == [kind for kind, _, _ in KNOWN]
    assert [one["symbol"].split("+")[0] for one in shown] == [name for _, name, _ in KNOWN]
    assert all(one["vcpu"] == 0 for one in shown)
    seqs = [one["seq"] for one in shown]
    assert seqs == sorted(set(seqs))
    with open(MAP["exits.map"], encoding="ascii") as f:
        which = int(re.search(r"([0-9a-f]+) t which", f.read())[1], 16)
    common = ("seq", "vcpu", "time_ns", "kind", "symbol", "rip")
    about = [{key: value for key, value in one.items() if key not in common} for one in shown]
    assert about[1] == {"leaf": "0x7", "subleaf": "0x1"}
    assert about[2] == {"port": "0x80", "size": 1, "write": True, "string": False, "rep": False,
                        "value": "0x5a"}
    assert about[3] == {"port": "0x21", "size": 1, "write": False, "string": False, "rep": False}
    assert about[6] == {"msr": "0x1b", "name": "APIC_BASE", "write": False}
    assert about[7] == {"msr": "0x3b", "name": "TSC_ADJUST", "write": True, "value": "0x12"}
    assert about[9] == {"gpa": "0xfee00080", "access": "write", "mapped": False,
                        "page_walk": False, "delivery": False}
    assert about[10] == {"number": "0x1234"} and shown[10]["rip"] == hex(which)
    assert about[11] == {}
    last = machine.json("info exits")["vcpus"][0]["last_exit"]
    assert last["kind"] == "halt" and last["symbol"].startswith("main+")

    machine.command("destroy exits")
    assert "start it first" in machine.command("trace exits")
    machine.command("start exits")
    machine.expect_text("guest exits stopped: it halted with interrupts off")
    machine.prompt()
    again = lines_of(machine.command(f"trace exits --kind {KINDS}"))
    assert [(m[2], m[3].split("+")[0], m[4] or "") for m in again] == KNOWN


def test_crash_record_has_names(boot):
    machine = boot(skerry.config(tiny("triple_fault", symbols="triple_fault.map")),
                   {**files("triple_fault"), **MAP})
    machine.expect(r"vcpu0: rip 0000000000[0-9a-f]{6} \(main\+0x[0-9a-f]+\)  rflags")
    machine.expect(r"exit -0: shutdown rip 0000000000[0-9a-f]{6} \(main\+0x[0-9a-f]+\)\r")
    assert machine.wait() == "guest failed"


def test_what_trace_refuses(boot):
    machine = boot(skerry.config(tiny("exits", autostart=False), tiny("halt"), when_idle="shell"),
                   files("exits", "halt"))
    machine.expect_text("guest halt stopped")
    machine.prompt()
    for line, sentence in [
            ("trace nobody", "error: no guest 'nobody': guests are exits, halt"),
            ("trace exits", "error: guest 'exits' has no exits: start it first"),
            ("trace halt --vcpu 7", "error: guest 'halt' has no vCPU 7"),
            ("trace halt --vcpu x", "error: --vcpu wants a vCPU's number, not 'x'"),
            ("trace halt --kind cpuid,iq", "error: no kind of exit 'iq': "),
            ("trace halt --kind", "error: --kind wants a value: usage: trace GUEST"),
            ("trace halt -n 0", "error: -n wants a number"),
            ("trace halt --live", "error: guest 'halt' does not run: "),
            ("trace halt --kind notify", "none of the exits that are kept of guest halt is of such"),
    ]:
        assert machine.command(line).startswith(sentence)


def test_live_trace(boot):
    """A guest that leaves much faster than the console can tell; the other one goes on beside it."""
    machine = boot(skerry.config(tiny("exits", cmdline="forever"),
                                 tiny("exits", name="other", cmdline="forever"),
                                 when_idle="shell"), files("exits"), cpus=2)
    machine.prompt()

    def io_exits(name):
        return machine.json("stats " + name)["vcpus"][0]["exits"].get("io", 0)

    before = io_exits("other")
    machine.sendline("trace exits --live --kind io")
    for _ in range(20):
        machine.expect(r"\[ *\d+\.\d{6}\] io +0x[0-9a-f]+ +in 0x21, 1 byte\r")
    machine.expect(r"\(\d+ exits (not shown|of any kind not seen)\)\r")
    machine.send("\x03")
    machine.prompt()
    assert io_exits("other") > before

    # so many, and then the shell comes back by itself
    found = lines_of(machine.command("trace exits --live -n 5 --kind io"))
    assert [m[4] for m in found] == ["in 0x21, 1 byte"] * 5
    found = json_lines(machine.command("trace exits --live -n 5 --json --kind io"))
    assert [one["port"] for one in found if "port" in one] == ["0x21"] * 5

    # what is kept is told while the guest goes on
    found = lines_of(machine.command("trace exits"))
    assert len(found) > 100
    times = [float(m[1]) for m in found]
    assert times == sorted(times)
    machine.command("pause exits")
    first = machine.command("trace exits")
    assert lines_of(first) and machine.command("trace exits") == first


def linux_symbols(boot, path):
    """What Linux knows itself of its functions, among lines that are none, as a list of usual size."""
    machine = boot(skerry.config(skerry.linux("web", cmdline="console=ttyS0 nokaslr"), attach="web"))
    machine.expect_text(SHELL)
    text = guest_command(machine, "grep -E ' [tT] (io_serial_|wait_for_xmitr|serial8250_)' "
                                  "/proc/kallsyms | sort -r")
    found = re.findall(r"(?m)^([0-9a-f]{16} [tT] [a-z0-9_]+)\r*$", text)
    assert any(line.endswith(" io_serial_out") for line in found)
    with open(path, "w", encoding="ascii") as f:
        f.write("".join(f"{i:016x} T other_{i}\n" for i in range(0x1000, 0x1000 + 130000)))
        f.write("\n".join(["no symbol at all", *found]))  # the last line has no end
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


@pytest.mark.platforms("qemu-*", "kvm-*", reason="two boots of Linux to look at a list of symbols, "
                                                 "with which the processor has nothing to do")
def test_functions_of_linux(boot, tmp_path):
    path = str(tmp_path / "System.map")
    linux_symbols(boot, path)
    machine = boot(skerry.config(skerry.linux("web", cmdline="console=ttyS0 nokaslr",
                                              symbols="System.map"), attach="web",
                                 when_idle="shell"), {"System.map": path})
    machine.expect_text(SHELL)
    machine.detach()
    machine.command("pause web")
    shown = json_lines(machine.command("trace web --kind io --json"))
    serial = {one["symbol"].split("+")[0] for one in shown
              if one.get("port", "").startswith("0x3f") and one["symbol"]}
    assert serial & {"io_serial_in", "io_serial_out"}, shown
    assert "'System.map' has lines that are not as nm prints them: 1, the first is line 130001" in \
        machine.command("log --level warn")
