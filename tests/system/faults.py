"""Faults of the hardware that QEMU can put into its machine: over its monitor, and over its debugger's
port, by which single cores can be kept from running. Each is a socket in a folder of its own."""

import os
import shutil
import socket
import tempfile
import time

CONNECT_SECONDS = 30


class Line:
    """A socket of the emulator's. `arguments` have to be among those that it is started with."""

    def __init__(self, option):
        self.folder = tempfile.mkdtemp(prefix="skerry-")  # a socket's path may have only 107 bytes
        self.path = os.path.join(self.folder, "socket")
        self.arguments = [option, f"unix:{self.path},server=on,wait=off"]
        self.socket = None

    def connect(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(CONNECT_SECONDS)
        for _ in range(CONNECT_SECONDS * 10):
            try:
                self.socket.connect(self.path)
                return
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.1)
        raise AssertionError(f"the emulator did not open {self.path}")

    def read_until(self, end):
        text = b""
        while not text.endswith(end):
            more = self.socket.recv(1)
            assert more, f"the emulator closed its side after {text!r}"
            text += more
        return text

    def close(self):
        if self.socket:
            self.socket.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Monitor(Line):
    def __init__(self):
        super().__init__("-monitor")

    def command(self, line):
        if not self.socket:
            self.connect()
            self.read_until(b"(qemu) ")
        self.socket.sendall(line.encode() + b"\n")
        return self.read_until(b"(qemu) ").decode(errors="replace")


class Debugger(Line):
    """The remote protocol of GDB, as far as it is needed here."""

    def __init__(self):
        super().__init__("-gdb")

    def send(self, packet):
        if not self.socket:
            self.connect()
        total = sum(packet.encode()) & 0xff
        self.socket.sendall(f"${packet}#{total:02x}".encode())
        assert self.socket.recv(1) == b"+"

    def answer(self):
        text = self.read_until(b"#")[:-1].lstrip(b"+$").decode()
        self.socket.recv(2)
        self.socket.sendall(b"+")
        return text

    def ask(self, packet):
        self.send(packet)
        return self.answer()
