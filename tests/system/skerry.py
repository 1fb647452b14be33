"""Skerry in an emulated machine, with its serial line in our hands.

    machine = Skerry(iso, "build/system/x.log", cpus=2)
    machine.expect("skerry> ")
    print(machine.command("list"))
    assert machine.wait() == "ok"
"""

import hashlib
import json
import os
import shutil
import subprocess

import pexpect

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, "build")
HYPERVISOR = os.path.join(BUILD, "skerry.elf")
PAYLOAD = os.path.join(BUILD, "payload")
SYSTEM = os.path.join(BUILD, "system")
ISO_TOOL = os.path.join(TOP, "tools", "skerry-iso")

OVMF = "/usr/share/OVMF"
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
ACCEL = os.environ.get("SKERRY_QEMU_ACCEL", "tcg,thread=multi")
CPU = os.environ.get("SKERRY_QEMU_CPU", "max")

PROMPT = "skerry> "
DETACH = "\x1d"  # Ctrl-]

# Not 0xf4: a guest may have that one.
EXIT_PORT = 0x501
EXIT_OPTION = f"exit=isa-debug:{EXIT_PORT:#x}"

# How the machine ended, by the value written to EXIT_PORT (enum machine_status, arch/x86/cpu.h).
STATUS = {0: "ok", 1: "guest failed", 2: "configuration refused", 3: "panic"}

# Seconds. Tests share two cores with whatever else the machine does.
TIMEOUT = 120 * float(os.environ.get("SKERRY_TIMEOUT_SCALE", "1"))


def payload(name):
    """A file that `make payloads` made."""
    path = os.path.join(PAYLOAD, name)
    assert os.path.exists(path), f"{path} is not there: run make payloads"
    return path


def make_iso(config, files=None, append=EXIT_OPTION, hypervisor=HYPERVISOR):
    """An image for a configuration (a dict) and {name in the configuration: path of a file}. Names
    that `files` leaves out are payloads. The same image is made once."""
    files = dict(files or {})
    for guest in config.get("guests", []):
        boot = guest.get("boot", {})
        for name in [boot.get("linux"), boot.get("multiboot"), boot.get("initrd"),
                     *boot.get("modules", [])]:
            if name and name not in files:
                files[name] = payload(name)
    text = json.dumps(config, indent=4)
    key = _key(text, files, append, hypervisor, "packed")
    out = os.path.join(SYSTEM, "iso", key + ".iso")
    if os.path.exists(out):
        return out
    folder = os.path.join(SYSTEM, "iso", key)
    for name, path in files.items():
        link = os.path.join(folder, name)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(os.path.abspath(path), link)
    os.makedirs(folder, exist_ok=True)
    config_path = os.path.join(folder, "guests.json")
    with open(config_path, "w", encoding="utf-8") as f:
        f.write(text)
    subprocess.run([ISO_TOOL, "-o", out, "--append", append, "--hypervisor", hypervisor,
                    config_path], check=True)
    shutil.rmtree(folder)
    return out


def make_raw_iso(config_text, modules=(), append=EXIT_OPTION, hypervisor=HYPERVISOR):
    """An image whose configuration is any bytes and whose module lines are any [(string, path)]:
    what tools/skerry-iso would refuse, to see what Skerry says. config_text None: no such module."""
    key = _key(repr(config_text), {s: p for s, p in modules}, append, hypervisor, "raw")
    out = os.path.join(SYSTEM, "iso", key + ".iso")
    if os.path.exists(out):
        return out
    root = os.path.join(SYSTEM, "iso", key)
    os.makedirs(os.path.join(root, "boot", "grub"))
    shutil.copyfile(hypervisor, os.path.join(root, "boot", "skerry.elf"))
    lines = ["set timeout=0", "menuentry Skerry {", f"\tmultiboot2 /boot/skerry.elf {append}"]
    if config_text is not None:
        data = config_text if isinstance(config_text, bytes) else config_text.encode()
        with open(os.path.join(root, "boot", "guests.json"), "wb") as f:
            f.write(data)
        lines.append("\tmodule2 /boot/guests.json config")
    for number, (string, path) in enumerate(modules):
        shutil.copyfile(path, os.path.join(root, "boot", str(number)))
        lines.append(f"\tmodule2 /boot/{number} {string}")
    with open(os.path.join(root, "boot", "grub", "grub.cfg"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines + ["}", ""]))
    subprocess.run(["grub-mkrescue", "-o", out, "--locales=", "--fonts=", "--themes=",
                    "--install-modules=normal multiboot2 iso9660 part_msdos", root], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(root)
    return out


def _key(text, files, append, hypervisor, kind):
    h = hashlib.sha256(repr((kind, text, append)).encode())
    for name, path in sorted(list(files.items()) + [("", hypervisor)]):
        stat = os.stat(path)
        h.update(repr((name, os.path.realpath(path), stat.st_size, stat.st_mtime_ns)).encode())
    return h.hexdigest()[:16]


class Skerry:
    """One emulated machine that boots an image. Times out by itself; close() ends it."""

    def __init__(self, iso, log, cpus=1, memory="1G", firmware="bios", cpu=CPU, accel=ACCEL,
                 machine="q35", stay=False, extra=(), timeout=TIMEOUT):
        """`stay`: a reset starts the machine again instead of ending the emulator. `extra`: more of
        the emulator's arguments, such as ["-icount", "shift=0,sleep=off"] with accel="tcg"."""
        self.timeout = timeout
        self.status = None
        self.firmware_copy = None
        command = ["-machine", machine, "-accel", accel, "-cpu", cpu, "-smp", str(cpus), "-m",
                   memory, "-display", "none", "-net", "none", "-monitor", "none",
                   "-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=1",
                   "-chardev", "stdio,id=line,signal=off", "-serial", "chardev:line",
                   "-cdrom", iso, *([] if stay else ["-no-reboot"]), *extra]
        if firmware == "uefi":
            self.firmware_copy = log + ".vars"
            shutil.copyfile(os.path.join(OVMF, "OVMF_VARS_4M.fd"), self.firmware_copy)
            drive = "if=pflash,format=raw,unit={},file={}"
            command += ["-drive", drive.format(0, os.path.join(OVMF, "OVMF_CODE_4M.fd")) +
                        ",readonly=on",
                        "-drive", drive.format(1, self.firmware_copy)]
        else:
            assert firmware == "bios"
        self.log = open(log, "w", encoding="utf-8")
        self.log.write(" ".join([QEMU, *command]) + "\n")
        self.qemu = pexpect.spawn(QEMU, command, timeout=timeout, encoding="utf-8",
                                  codec_errors="replace", echo=False)
        self.qemu.logfile_read = self.log
        self.qemu.delaybeforesend = None

    # ---- the serial line ----

    def expect(self, pattern, timeout=None):
        """Waits for a regular expression (or the first of a list) and returns the match."""
        return self._expect(self.qemu.expect, pattern, timeout)

    def expect_text(self, text, timeout=None):
        self._expect(self.qemu.expect_exact, text, timeout)

    def _expect(self, how, what, timeout):
        timeout = timeout or self.timeout
        try:
            how(what, timeout=timeout)
        except pexpect.TIMEOUT:
            raise AssertionError(f"no {what!r} in {timeout:.0f} s; the last that came was "
                                 f"{self.qemu.before[-500:]!r}") from None
        except pexpect.EOF:
            raise AssertionError(f"the machine ended before {what!r}; the last that came was "
                                 f"{self.qemu.before[-500:]!r}") from None
        return self.qemu.match

    @property
    def before(self):
        """What came before the last match."""
        return self.qemu.before

    def send(self, text):
        self.qemu.send(text)

    def sendline(self, text=""):
        self.qemu.send(text + "\r")

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

    # ---- the end ----

    def wait(self, timeout=None):
        """Waits until the machine ends; returns how: a word of STATUS, or "power off" if it did not
        use the exit port (an ACPI power-off or, without `stay`, a reset)."""
        self._expect(self.qemu.expect, pexpect.EOF, timeout)
        self.qemu.close()
        code = self.qemu.exitstatus
        assert code is not None, f"the emulator died of signal {self.qemu.signalstatus}"
        # The device makes the exit status 2 * value + 1.
        self.status = STATUS.get(code >> 1, f"value {code >> 1}") if code & 1 else "power off"
        if code & 1 == 0:
            assert code == 0, f"the emulator ended with status {code}"
        return self.status

    def close(self):
        if self.qemu.isalive():
            try:
                self.qemu.read_nonblocking(65536, 0)  # into the log
            except (pexpect.EOF, pexpect.TIMEOUT):
                pass
        self.qemu.close(force=True)
        self.log.close()
        if self.firmware_copy:
            os.unlink(self.firmware_copy)
            self.firmware_copy = None


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
