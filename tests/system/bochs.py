"""A machine emulated by Bochs (tests/emulators/README.md), which is built before the first test.

Its serial port is a TCP connection to us: of what Bochs 3.0 offers (iodev/serial.cc), a file has no
input and a terminal loses output when we do not read for a while, but a socket waits.
"""

import os
import socket
import subprocess

import pexpect
from pexpect import fdpexpect

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD_SCRIPT = os.path.join(TOP, "tests", "emulators", "build-bochs")
BUILD_SECONDS = 1800
CONNECT_SECONDS = 60

EXIT_OPTION = "exit=bochs"

# The machine's clock counts instructions, IPS to the second, and is not held back to real time: a
# machine that waits for a timer gets there at once, and two runs with the same input are identical.
# Linux comes to its shell in about the same time with 50 and with 200 million; with less, its own
# timer takes more of the machine, with more, delays take longer.
IPS = 50000000

# Where a test compares the machine's time with ours, it is held back, and needs more instructions to
# the second than the emulator can do: else it would wait for the clock when it has work to do.
REAL_TIME_IPS = 250000000

# Errors are what Bochs calls each exit of an SVM guest: too many to be written down.
CONFIG = """\
display_library: nogui
config_interface: textconfig
megs: {memory}
cpu: count={cpus}, model={model}, ips={ips}, reset_on_triple_fault=0
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
ata0: enabled=1
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
com1: enabled=1, mode=socket-client, dev=127.0.0.1:{port}
clock: sync={sync}, time0=946684800
log: {log}
panic: action=fatal
error: action=ignore
mouse: enabled=0
plugin_ctrl: unmapped=1, biosdev=1
"""

# What Bochs writes into its log when the guest ends it (iodev/unmapped.cc, iodev/acpi.cc).
BY_EXIT_PORT = "Shutdown port: shutdown requested"
BY_ACPI = "ACPI control: soft power off"

_program = None  # then its path, or the Failure of the build: it is tried once in a session


class Failure(Exception):
    """One sentence."""


def program():
    """The emulator's path, after it was built if need be."""
    global _program
    if _program is None:
        try:
            _program = _build()
        except Failure as failure:
            _program = failure
    if isinstance(_program, Failure):
        raise Failure(str(_program).split("\n", maxsplit=1)[0])
    return _program


def _build():
    try:
        # That it builds is said on standard output, errors on the other.
        done = subprocess.run([BUILD_SCRIPT], stderr=subprocess.PIPE, text=True, errors="replace",
                              timeout=BUILD_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise Failure(f"Bochs was not built in {BUILD_SECONDS} s") from None
    if done.returncode != 0:
        raise Failure(f"Bochs cannot be built\n{done.stderr}")
    path = subprocess.run([BUILD_SCRIPT, "--path"], stdout=subprocess.PIPE, text=True, check=True)
    return path.stdout.strip()


class _Line(fdpexpect.fdspawn):
    """The connection. That the emulator ends with our last letters unread is an end like another."""

    def read_nonblocking(self, size=1, timeout=-1):
        try:
            return super().read_nonblocking(size, timeout)
        except ConnectionResetError:
            self.flag_eof = True
            raise pexpect.EOF("the emulator ended") from None


class Bochs:
    """One running emulator. `line` is its serial port, for pexpect. A reset starts the machine
    again, whatever `stay` says."""

    @staticmethod
    def prepare():
        """Before the first test: returns why there can be none, or None."""
        try:
            program()
        except Failure:
            return str(_program)
        return None

    def __init__(self, iso, log, cpus, memory, firmware, stay, model, real_time=False,
                 environment=()):
        """`real_time`: the machine's clock never runs ahead of ours. `environment`: more of the
        emulator's environment, as pairs: switches of the patch."""
        emulator = program()
        self.own_log = log.name + ".bochs"
        rc = log.name + ".bochsrc"
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            with open(rc, "w", encoding="utf-8") as f:
                f.write(CONFIG.format(memory=memory, cpus=cpus, model=model, iso=iso, port=port,
                                      log=self.own_log,
                                      ips=REAL_TIME_IPS if real_time else IPS,
                                      sync="slowdown" if real_time else "none"))
            # The emulator must not outlive us: a machine that waits for input takes a whole core.
            command = ["setpriv", "--pdeathsig", "KILL", emulator, "-q", "-f", rc]
            log.write(" ".join(command) + "\n")
            log.flush()
            # Its own words go elsewhere: they would stand in the middle of the machine's last line.
            with open(log.name + ".said", "w", encoding="utf-8") as said:
                self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said,
                                                stderr=said,
                                                env={**os.environ, **dict(environment)})
            try:
                self.socket = self._accept(server)
            except BaseException:
                self._kill()
                raise
        self.line = _Line(self.socket.fileno(), encoding="utf-8", codec_errors="replace")
        self.line.delaybeforesend = None

    def _accept(self, server):
        server.settimeout(1)
        for _ in range(CONNECT_SECONDS):
            try:
                connection, _ = server.accept()
                connection.setblocking(True)
                return connection
            except TimeoutError:
                assert self.process.poll() is None, f"Bochs did not start: {self._why()}"
        raise AssertionError(f"Bochs did not open its serial port in {CONNECT_SECONDS} s")

    def _own_text(self):
        try:
            with open(self.own_log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def _why(self):
        """What Bochs gave as the reason of its end: its panics are marked with a p."""
        return "; ".join(line for line in self._own_text().splitlines()
                         if line[11:13] == "p[") or f"see {self.own_log}"

    def end(self):
        """After the end of the line: True if the machine was ended by the exit port, None if by
        ACPI. The emulator's own exit status is always 1."""
        self.process.wait(CONNECT_SECONDS)
        text = self._own_text()
        if BY_EXIT_PORT in text:
            return True
        if BY_ACPI in text:
            return None
        raise AssertionError(f"the emulator ended by itself: {self._why()}")

    def _kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def close(self):
        self._kill()
        self.socket.close()
