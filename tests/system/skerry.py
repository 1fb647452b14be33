"""Skerry in an emulated machine, with its serial line in our hands.

    machine = Skerry(platforms.TABLE["qemu-svm"], iso, "build/system/x.log", cpus=2)
    machine.expect("skerry> ")
    print(machine.command("list"))
    assert machine.wait() == "ok"
"""

import json
import os
import re

import pexpect

from images import BUILD, HYPERVISOR, SYSTEM  # noqa: F401 (for the tests)

PROMPT = "skerry> "
DETACH = "\x1d"  # Ctrl-]

# How the machine ended (enum machine_status, arch/x86/cpu.h).
STATUS = {0: "ok", 1: "guest failed", 2: "configuration refused", 3: "panic"}
LAST_LINE = re.compile(r"skerry: machine exit, status (\d+) \(")

# Seconds. Tests share two cores with whatever else the machine does.
TIMEOUT = 120 * float(os.environ.get("SKERRY_TIMEOUT_SCALE", "1"))


class Skerry:
    """One emulated machine that boots an image. Times out by itself; close() ends it."""

    def __init__(self, platform, iso, log, cpus=1, memory=1024, firmware="bios", stay=False,
                 timeout=None, **options):
        """`memory` in MiB. `stay`: a reset starts the machine again, where the emulator would end
        otherwise. `options`: the emulator's own (qemu.Qemu, bochs.Bochs)."""
        self.timeout = timeout or TIMEOUT * platform.slow
        self.platform = platform
        self.status = None
        self.log = open(log, "w", encoding="utf-8")
        try:
            self.machine = platform.start(iso, self.log, cpus, memory, firmware, stay, **options)
        except BaseException:
            self.log.close()
            raise
        self.line = self.machine.line
        self.line.logfile_read = self.log

    # ---- the serial line ----

    def expect(self, pattern, timeout=None):
        """Waits for a regular expression (or the first of a list) and returns the match."""
        return self._expect(self.line.expect, pattern, timeout)

    def expect_text(self, text, timeout=None):
        self._expect(self.line.expect_exact, text, timeout)

    def _expect(self, how, what, timeout):
        timeout = timeout or self.timeout
        try:
            how(what, timeout=timeout)
        except pexpect.TIMEOUT:
            raise AssertionError(f"no {what!r} in {timeout:.0f} s; the last that came was "
                                 f"{self.line.before[-500:]!r}") from None
        except pexpect.EOF:
            raise AssertionError(f"the machine ended before {what!r}; the last that came was "
                                 f"{self.line.before[-500:]!r}") from None
        return self.line.match

    @property
    def before(self):
        """What came before the last match."""
        return self.line.before

    def send(self, text):
        self.line.send(text)

    def sendline(self, text=""):
        self.line.send(text + "\r")

    # ---- the administrator's shell ----

    def prompt(self, timeout=None):
        """Waits for the shell."""
        self.expect_text(PROMPT, timeout)

    def command(self, line, timeout=None):
        """Types a command at the shell; returns its output, without the echo."""
        self.sendline(line)
        self.prompt(timeout)
        text = self.before.replace("\r\n", "\n")
        return text.split("\n", 1)[1] if "\n" in text else ""

    def json(self, line, timeout=None):
        """The same for a command that answers with one line of JSON."""
        text = self.command(line + " --json", timeout)
        lines = [one for one in text.splitlines() if one[:1] in ("{", "[") and _is_json(one)]
        assert lines, f"no JSON in {text!r}"
        return json.loads(lines[-1])

    def detach(self):
        """Leaves the attached guest for the shell."""
        self.send(DETACH)
        self.prompt()

    def guest_lines(self, name):
        """The lines that an unattached guest has printed to the console so far."""
        self.log.flush()
        with open(self.log.name, encoding="utf-8", errors="replace", newline="") as f:
            text = re.sub(r"\x1b\[K", "\n", f.read())
        return re.findall(rf"(?m)^{re.escape(name)}: ([^\r\n]*)", text)

    # ---- the end ----

    def wait(self, timeout=None):
        """Waits until the machine ends; returns how: a word of STATUS, or "power off" if it did not
        use the exit port (an ACPI power-off or, on QEMU without `stay`, a reset)."""
        self._expect(self.line.expect, pexpect.EOF, timeout)
        by_port = self.machine.end()
        said = self._said()
        if by_port is None:
            self.status = "power off"
        elif by_port is True:
            # This emulator passes no status on: the last line has it.
            assert said is not None, "the machine ended without a word about how"
            self.status = STATUS.get(said, f"value {said}")
        else:
            assert said in (None, by_port), f"status {said} on the console, {by_port} at the port"
            self.status = STATUS.get(by_port, f"value {by_port}")
        return self.status

    def _said(self):
        """The status of the last line on the console."""
        self.log.flush()
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            found = LAST_LINE.findall(f.read())
        return int(found[-1]) if found else None

    def close(self):
        try:
            while True:  # into the log
                self.line.read_nonblocking(65536, 0)
        except (pexpect.EOF, pexpect.TIMEOUT, OSError, ValueError):
            pass
        self.machine.close()
        self.log.close()


def _is_json(text):
    try:
        json.loads(text)
        return True
    except ValueError:
        return False


# ---- configurations ----

def linux(name, memory="256M", cmdline="console=ttyS0", **more):
    """A guest of a configuration: Debian's cloud kernel with the busybox RAM disk."""
    return {"name": name, "memory": memory,
            "boot": {"linux": "vmlinuz", "initrd": "initrd.gz", "cmdline": cmdline}, **more}


def multiboot(name, image, memory="16M", cmdline=None, modules=None, debug_exit=False, **more):
    """A guest of a configuration: a multiboot 1 program."""
    boot = {"multiboot": image}
    if cmdline is not None:
        boot["cmdline"] = cmdline
    if modules is not None:
        boot["modules"] = modules
    return {"name": name, "memory": memory, "boot": boot,
            "devices": {"debug_exit": debug_exit}, **more}


def config(*guests, attach=None, when_idle="poweroff", **more):
    """A configuration on COM1 that ends the machine when no guest is left to run."""
    out = {"console": {"port": "com1"}, "when_idle": when_idle, "guests": list(guests), **more}
    if attach is not None:
        out["console"]["attach"] = attach
    return out
