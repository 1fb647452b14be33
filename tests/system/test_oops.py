"""When the hypervisor itself breaks: each kind of fault, provoked by a command that only the debug build
has, and each part of its report."""

import os
import re
import time

import pexpect
import pytest

import images
import skerry

DEBUG = os.path.join(skerry.BUILD, "debug", "skerry.elf")
SPIN = {"spin.elf": os.path.join(skerry.BUILD, "guests", "spin.elf")}

NUMBER = r"[0-9a-f]{16}"

# What is provoked: the first line, the access, the level that ends the page walk (None: there is no
# walk), the function that is at fault, and whether the call trace has it as a guess.
KINDS = {
    "null": ("NULL pointer dereference, address: 0000000000000008",
             "supervisor read, page not present; vector 14 (page fault), error code 0x0000",
             r"PML4\[0\] 0{16}: not present", "provoke_null"),
    "null-write": ("NULL pointer dereference, address: 0000000000000010",
                   "supervisor write, page not present; vector 14 (page fault), error code 0x0002",
                   r"PML4\[0\] 0{16}: not present", "provoke_null_write"),
    "null-call": ("call of a NULL pointer, address: 0000000000000000",
                  "supervisor instruction fetch, page not present; vector 14 (page fault), "
                  "error code 0x0010", r"PML4\[0\] 0{16}: not present", None),
    "unmapped": ("access to what is not mapped, address: ffffc00040000000",
                 "supervisor read, page not present; vector 14 (page fault), error code 0x0000",
                 r"PDPT\[1\] 0{16}: not present", "provoke_unmapped"),
    "noncanonical": ("non-canonical address: 1234567800000018",
                     "vector 13 (general protection fault), error code 0x0000", None,
                     "provoke_noncanonical"),
    "read-only": ("write to read-only memory, address: ffffffff80",
                  "supervisor write, page not writable; vector 14 (page fault), "
                  "error code 0x0003", r"PT\[\d+\] " + NUMBER + ": 4 KiB page, read-only",
                  "provoke_read_only"),
    "execute": ("execute of data, address: ffffffff80",
                "supervisor instruction fetch, page not executable; vector 14 (page fault), "
                "error code 0x0011",
                r"PT\[\d+\] " + NUMBER + ": 4 KiB page, writable, no execute", None),
    "stack": ("stack overflow: the main stack, address: ffffc000",
              "vector 8 (double fault), error code 0x0000", r"PT\[\d+\] 0{16}: not present",
              "provoke_stack"),
    "divide": ("divide error", "vector 0 (divide error), error code 0x0000", None,
               "provoke_divide"),
    "invalid": ("invalid opcode", "vector 6 (invalid opcode), error code 0x0000", None,
                "provoke_invalid"),
    "breakpoint": ("breakpoint", "vector 3 (breakpoint), error code 0x0000", None,
                   "provoke_breakpoint"),
    "selector": ("general protection fault", "selector 0x50 of the GDT; vector 13 (general "
                 "protection fault), error code 0x0050", None, "provoke_selector"),
    "machine-check": ("machine check", "vector 18 (machine check), error code 0x0000", None,
                      "provoke_machine_check"),
    "double-fault": ("double fault", "vector 8 (double fault), error code 0x0000", None,
                     "provoke_double_fault"),
    "gs": ("NULL pointer dereference, address: 0000000000000020",
           "supervisor read, page not present; vector 14 (page fault), error code 0x0000",
           r"PML4\[0\] 0{16}: not present", "provoke_gs"),
}


def report_of(text):
    """The report, cut out of what came over the line by its marks."""
    text = re.sub(r"\r+\n", "\n", text)  # a terminal adds one
    begin = re.search(r"^--- oops (\d+), report (" + NUMBER + ") begins ---$", text, re.MULTILINE)
    assert begin, text
    end = text.index(f"--- oops {begin[1]}, end of report {begin[2]} ---", begin.end())
    return begin[1], text[begin.end():end].strip().split("\n")


def has(lines, pattern):
    found = [match for match in (re.fullmatch(pattern, line) for line in lines) if match]
    assert found, (pattern, lines)
    return found[0]


def settle(machine):
    """Lines of the log have come between prompts: goes on behind the last one."""
    machine.sendline("version")
    machine.expect(r"\(build [^)]*\)\r")
    machine.prompt()


def died(boot, command, guests=(), cpus=2, files=None, **options):
    machine = boot(images.packed(skerry.config(*guests, when_idle="shell"), files,
                                 hypervisor=DEBUG), cpus=cpus, **options)
    machine.prompt()
    machine.sendline(command)
    machine.expect(r"--- oops \d+, end of report [0-9a-f]{16} ---")
    return machine, machine.before + machine.line.after


def check_surroundings(lines, guest="no guest", cpu=r"\d"):
    has(lines, rf"CPU {cpu} of 2 \(APIC ID \d+\), uptime \d+\.\d{{6}} s")
    has(lines, r"Skerry \d+\.\d+\.\d+, build [\w.-]+, (gcc|Clang|clang).*")
    assert "no name in SMBIOS" not in has(lines, r"machine: (.+); .+")[0]
    has(lines, f"running: {guest}")
    has(lines, r"CPU \d: stopped at \w+\+0x[0-9a-f]+/0x[0-9a-f]+, .*")


def check_registers(lines):
    for names in ("rax rcx rdx rbx", "rsp rbp rsi rdi", "r8 r9 r10 r11", "r12 r13 r14 r15",
                  "dr0 dr1 dr2 dr3"):
        has(lines, "  ".join(f"{name:<3} {NUMBER}" for name in names.split()))
    has(lines, rf"rip {NUMBER}  rflags [0-9a-f]{{8}}  cs 0008  ss [0-9a-f]{{4}}")
    has(lines, rf"cr0 [0-9a-f]+  cr2 {NUMBER}  cr3 {NUMBER}  cr4 [0-9a-f]+  efer [0-9a-f]+")
    has(lines, r"dr6 [0-9a-f]+  dr7 [0-9a-f]+  ds 0010  es 0010  fs 0000  gs 0000  tr 0018  "
               r"ldtr 0000")
    has(lines, rf"fs base {NUMBER}  gs base {NUMBER}  kernel gs base {NUMBER}")
    has(lines, rf"gdtr {NUMBER} limit 0027  idtr {NUMBER} limit 0fff")


@pytest.mark.parametrize("kind", KINDS)
def test_provoked_fault(boot, kind):
    first, access, walk, function = KINDS[kind]
    machine, text = died(boot, "provoke " + kind)
    number, lines = report_of(text)
    assert number == "1"
    assert lines[0].startswith("BUG: " + first), lines[0]
    assert lines[1] == access
    check_surroundings(lines, cpu="0")
    check_registers(lines)
    code = has(lines, "code: (.*)")[1].split()
    assert len(code) == 32 and code[16][0] == "<" and code[16][-1] == ">"
    has(lines, rf"rip: {NUMBER} .+")
    if function:
        has(lines, rf"rip: {NUMBER} {function}\+0x[0-9a-f]+/0x[0-9a-f]+")
        assert "?" not in code[16]
    if walk is None:
        assert not [line for line in lines if line.startswith("page walk")]
    else:
        at = next(i for i, line in enumerate(lines) if line.startswith("page walk of "))
        levels = [line.strip() for line in lines[at + 1:] if re.match(r"  P\w+\[", line)]
        assert levels and levels[0].startswith("PML4[")
        assert re.match(walk, levels[-1]), levels
    trace = [line.strip() for line in lines[lines.index("call trace (? is a guess):") + 1:]]
    caller = next(i for i, line in enumerate(trace) if re.match(r"(\? )?cmd_provoke\+0x", line)) \
        if kind not in ("stack", "double-fault") else 0
    if function:
        assert trace[0].startswith(function + "+0x")
    elif kind == "null-call":
        assert trace[1].startswith("? provoke_null_call+0x"), trace
    assert all(re.fullmatch(r"(\? )?\w+\+0x[0-9a-f]+/0x[0-9a-f]+|0x[0-9a-f]+", line)
               for line in trace[:caller + 1])
    if kind not in ("stack", "double-fault"):  # out to where the stack began
        assert any(line.startswith("core_main+0x") for line in trace), trace
    if kind == "gs":
        has(lines, "GS did not point at this CPU's area but to 0{16}")
    if kind == "machine-check":
        has(lines, rf"machine check: global status {NUMBER}, \d+ banks")
    assert machine.wait() == "panic"


@pytest.mark.parametrize("kind, words", [
    ("invariant", r"PANIC: arch/x86/provoke\.c:\d+: broken invariant: .*"),
    ("canary", "PANIC: the stack canary of the calling function was overwritten"),
])
def test_panic_report(boot, kind, words):
    machine, text = died(boot, "provoke " + kind)
    _, lines = report_of(text)
    assert re.fullmatch(words, lines[0]), lines[0]
    check_surroundings(lines, cpu="0")
    trace = lines[lines.index("call trace (? is a guess):") + 1:]
    assert any(re.match(rf"  provoke_{kind}(\.cold)?\+0x", line) for line in trace), trace
    assert machine.wait() == "panic"


def test_fault_in_the_report(boot):
    """What can still be said of both is said, and the policy is followed."""
    machine = boot(images.packed(skerry.config(when_idle="shell"), hypervisor=DEBUG), cpus=2)
    machine.prompt()
    machine.sendline("provoke report")
    machine.expect_text("BUG: NULL pointer dereference, address: 0000000000000008")
    machine.expect_text("--- the report itself failed ---")
    machine.expect(rf"invalid opcode, error code 0x0, at {NUMBER} provoke_invalid\+0x")
    machine.expect(rf"page fault, error code 0x0, at {NUMBER} provoke_null\+0x")
    assert machine.wait() == "panic"


def test_fault_in_a_guests_context(boot):
    """The report names the guest and its vCPU, and where every core was."""
    machine, text = died(boot, "provoke null one", [skerry.multiboot("one", "spin.elf")], files=SPIN)
    _, lines = report_of(text)
    assert lines[0] == "BUG: NULL pointer dereference, address: 0000000000000008"
    check_surroundings(lines, guest="guest one, vCPU 0", cpu="1")
    has(lines, r"CPU 0: stopped at \w+\+0x[0-9a-f]+/0x[0-9a-f]+, no guest")
    assert machine.wait() == "panic"


def test_broken_invariant_of_one_guest(boot):
    """Only that guest ends: the other one and the hypervisor go on, and the report is in the log."""
    machine = boot(images.packed(skerry.config(
        skerry.multiboot("one", "spin.elf"), skerry.multiboot("two", "spin.elf"),
        when_idle="shell"), SPIN, hypervisor=DEBUG), cpus=2)
    machine.prompt()
    machine.sendline("provoke guest one")
    machine.expect_text("guest one crashed: ")
    machine.expect_text("exit -0: ")
    settle(machine)
    states = {guest["name"]: guest for guest in machine.json("list")}
    assert states["one"]["state"] == "crashed" and states["two"]["state"] == "running"
    assert "a broken invariant of its own" in states["one"]["reason"]
    log = [line["text"] for line in machine.json("log")]
    _, lines = report_of("\n".join(log))
    assert re.match(r"BUG: guests/vcpu\.c:\d+: broken invariant of guest one alone", lines[0])
    has(lines, "running: guest one, vCPU 0")
    assert any(line.strip().startswith("core_main+0x") for line in lines), lines
    machine.sendline("provoke guest two")  # the next one has the next number
    machine.expect_text("oops 2, report")
    machine.sendline("poweroff")
    assert machine.wait() == "guest failed"


# ---- what follows a report, and what outlives it ----

def previous(machine):
    return [line["text"] for line in machine.json("log --previous")]


@pytest.mark.parametrize("firmware", [
    "bios", pytest.param("uefi", marks=pytest.mark.platforms("qemu-*", "kvm-*",
                                                             reason="Bochs has no UEFI"))])
def test_log_outlives_a_reset(boot, firmware):
    machine = boot(skerry.config(when_idle="shell"), firmware=firmware, stay=True,
                   append="nonsense=7")
    machine.prompt()
    assert "no log of a run before is in memory" in machine.command("log --previous")
    assert machine.json("log --previous") == []
    machine.sendline("reboot")
    machine.expect_text("machine reset")
    machine.expect_text("the log of the run before is still in memory (log --previous): ")
    machine.prompt()
    assert any('"nonsense=7" is unknown' in line for line in previous(machine))
    text = machine.command("log --previous --level warn")
    assert "nonsense" in text and "loaded by" not in text and "damaged" not in text
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


def test_panic_policy_reboot(boot):
    """The report is in the next run's memory, whole."""
    machine, text = died(boot, "provoke divide", append="panic=reboot=1", stay=True)
    number, lines = report_of(text)
    machine.expect_text("panic=reboot: the machine is reset in 1 s")
    machine.expect_text("machine reset")
    machine.prompt()
    again, kept = report_of("\n".join(previous(machine)))
    assert (again, kept) == (number, lines)
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


def test_panic_policy_stay(boot):
    """Without panic=, and without an exit port of its own, the machine stays as it is."""
    machine, _ = died(boot, "provoke divide", ends_by_acpi=True)
    machine.expect_text("after a panic it stays on for the report to be read")
    machine.close()


def test_wrong_panic_policy(boot):
    machine = boot(skerry.config(when_idle="shell"), append="panic=explode")
    machine.expect_text('command line: "panic=explode" is not understood: panic= takes stay, ')
    machine.prompt()
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


@pytest.mark.parametrize("console, said", [("none", False), ("com1", True), ("com2", False)])
def test_early_panic_obeys_the_command_line(boot, console, said):
    """A report before the console is configured goes where the command line says, or nowhere."""
    machine = boot(images.packed(skerry.config(when_idle="shell"), hypervisor=DEBUG),
                   append=f"console={console} provoke=early")
    if said:
        assert machine.wait() == "panic"
    else:
        machine.line.expect(pexpect.EOF, timeout=machine.timeout)
        machine.machine.end()
    machine.log.flush()
    with open(machine.log.name, encoding="utf-8", errors="replace") as f:
        assert ("PANIC: provoked before the console is configured" in f.read()) == said


# ---- a guest's own end ----

def test_crash_record_of_a_guest(boot):
    """It is kept until the guest is destroyed, also when it runs again."""
    guests = os.path.join(skerry.BUILD, "guests")
    machine = boot(skerry.config(skerry.multiboot("one", "triple_fault.elf", autostart=False),
                                 when_idle="shell"),
                   {"triple_fault.elf": os.path.join(guests, "triple_fault.elf")})
    machine.prompt()
    assert "has not crashed" in machine.command("crash one")
    for end in ("destroy one", "start one"):
        machine.sendline("start one")
        machine.expect_text("exit -0: shutdown")
        settle(machine)
        lines = machine.json("crash one")["lines"]
        assert lines[0].startswith("it ran into a triple fault at RIP 0x")
        has(lines, r"at uptime \d+\.\d{6} s")
        rip = has(lines, rf"rip ({NUMBER})(?: \(\S+\))?  rflags [0-9a-f]{{8}}  cpl 0")[1]
        assert int(rip, 16) == int(lines[0].split("RIP ")[1], 16)
        for names in ("rax rcx rdx rbx", "rsp rbp rsi rdi"):
            has(lines, "  ".join(f"{name:<3} {NUMBER}" for name in names.split()))
        has(lines, r"cs   [0-9a-f]{4}  base .*")
        has(lines, rf"exit -0: shutdown rip {rip}(?: \(\S+\))?")
        text = [line for line in machine.command("crash one").split("\n") if line.strip()]
        assert [line.strip() for line in text] == [line.strip() for line in lines]
        assert "crash one shows it" in machine.command("info one")
        assert machine.json("info one")["crash"] is True
        if end == "destroy one":
            machine.command(end)
            assert machine.json("crash one")["lines"] == []
            assert machine.json("info one")["crash"] is False
    machine.sendline("poweroff")
    assert machine.wait() == "guest failed"


def test_crash_record_has_32_exits(boot):
    machine = boot(images.packed(skerry.config(skerry.multiboot("one", "spin.elf"),
                                               when_idle="shell"), SPIN, hypervisor=DEBUG), cpus=1)
    machine.prompt()
    while sum(machine.json("stats one")["vcpus"][0]["exits"].values()) < 40:
        time.sleep(0.05)  # the console's tick ends the guest's turn 100 times a second
    machine.sendline("provoke guest one")
    machine.expect_text("exit -0: ")
    settle(machine)
    lines = machine.json("crash one")["lines"]
    assert lines[0].startswith("a broken invariant of its own: ")
    assert [int(line.split()[1][:-1]) for line in lines if line.startswith("exit ")] == \
        [-i for i in range(31, -1, -1)]
