"""A machine emulated by QEMU: its serial line is the emulator's standard input and output."""

import os
import shutil

import pexpect

PROGRAM = os.environ.get("QEMU", "qemu-system-x86_64")
OVMF = "/usr/share/OVMF"

# Not 0xf4: a guest may have that one.
EXIT_PORT = 0x501
EXIT_OPTION = f"exit=isa-debug:{EXIT_PORT:#x}"


class Qemu:
    """One running emulator. `line` is its serial port, for pexpect."""

    @staticmethod
    def prepare():
        """Nothing to be done: it is a package."""

    def __init__(self, iso, log, cpus, memory, firmware, stay, accel, cpu, machine="q35",
                 real_time=True, extra=()):
        """`stay`: a reset starts the machine again instead of ending the emulator. `extra`: more of
        the emulator's arguments, such as ["-icount", "shift=0,sleep=off"] with accel="tcg".
        `real_time` is what it always does."""
        self.firmware_copy = None
        command = ["-machine", machine, "-accel", accel, "-cpu", cpu, "-smp", str(cpus), "-m",
                   f"{memory}M", "-display", "none", "-net", "none", "-monitor", "none",
                   "-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=1",
                   "-chardev", "stdio,id=line,signal=off", "-serial", "chardev:line",
                   "-cdrom", iso, *([] if stay else ["-no-reboot"]), *extra]
        if firmware == "uefi":
            self.firmware_copy = log.name + ".vars"
            shutil.copyfile(os.path.join(OVMF, "OVMF_VARS_4M.fd"), self.firmware_copy)
            drive = "if=pflash,format=raw,unit={},file={}"
            command += ["-drive", drive.format(0, os.path.join(OVMF, "OVMF_CODE_4M.fd")) +
                        ",readonly=on",
                        "-drive", drive.format(1, self.firmware_copy)]
        log.write(" ".join([PROGRAM, *command]) + "\n")
        self.line = pexpect.spawn(PROGRAM, command, encoding="utf-8", codec_errors="replace",
                                  echo=False)
        self.line.delaybeforesend = None

    def end(self):
        """After the end of the line: the value that came to the exit port, or None if the machine
        did not use it (an ACPI power-off or, without `stay`, a reset)."""
        self.line.close()
        code = self.line.exitstatus
        assert code is not None, f"the emulator died of signal {self.line.signalstatus}"
        # The device makes the exit status 2 * value + 1.
        assert code & 1 or code == 0, f"the emulator ended with status {code}"
        return code >> 1 if code & 1 else None

    def close(self):
        self.line.close(force=True)
        if self.firmware_copy:
            os.unlink(self.firmware_copy)
            self.firmware_copy = None
