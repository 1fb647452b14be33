"""The machines that the system tests run on.

Each test runs on every platform in platforms(), except where its marker says that it cannot:

    @pytest.mark.platforms("qemu-*", "kvm-*", reason="Bochs has no UEFI")

A platform that cannot be started although it is listed makes its tests fail: nothing is skipped.
"""

import dataclasses
import functools
import os

import bochs
import qemu

# The platforms that the tests run on.
PLATFORMS = ["qemu-svm", "bochs-svm", "bochs-vmx"]


@dataclasses.dataclass(frozen=True)
class Platform:
    """One kind of machine. `start` gives a running emulator (qemu.Qemu, bochs.Bochs)."""
    name: str
    emulator: type
    options: dict           # of the emulator, which a test may overrule
    exit_option: str        # on Skerry's command line: how it ends the machine
    firmwares: tuple = ("bios",)
    max_cpus: int = 15
    max_memory: int = 2048  # MiB
    slow: float = 1.0       # for time-outs

    @property
    def vendor(self):
        return self.name.split("-")[1]

    def start(self, iso, log, cpus, memory, firmware, stay, **options):
        can = (firmware in self.firmwares and cpus <= self.max_cpus
               and memory <= self.max_memory)
        assert can, (f"{self.name} has no machine with {cpus} CPUs, {memory} MiB and {firmware}: "
                     f"the test must say so with pytest.mark.platforms")
        return self.emulator(iso, log, cpus, memory, firmware, stay, **{**self.options, **options})


def _qemu(name, accel, cpu):
    return Platform(name, qemu.Qemu, {"accel": accel, "cpu": cpu}, qemu.EXIT_OPTION,
                    firmwares=("bios", "uefi"), max_cpus=255, max_memory=1 << 20)


def _bochs(name, model):
    return Platform(name, bochs.Bochs, {"model": model}, bochs.EXIT_OPTION, slow=2.0)


TABLE = {p.name: p for p in (
    _qemu("qemu-svm", "tcg,thread=multi", os.environ.get("SKERRY_QEMU_CPU", "max")),
    _qemu("kvm-svm", "kvm", "host"),
    _qemu("kvm-vmx", "kvm", "host"),
    _bochs("bochs-svm", "ryzen"),
    _bochs("bochs-vmx", "tigerlake"),
)}

# Vendor: the CPU's flag, and the module of the host's kernel that can pass it on.
NESTED = {"svm": "kvm_amd", "vmx": "kvm_intel"}


def cpu_flags():
    """Of the machine that the tests are run on."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            for line in f:
                if line.startswith("flags"):
                    return set(line.split(":", 1)[1].split())
    except OSError:
        pass
    return set()


def nested(vendor):
    """Has this machine nested virtualization? A /dev/kvm that opens is no proof of it."""
    if vendor not in cpu_flags():
        return False
    try:
        with open(f"/sys/module/{NESTED[vendor]}/parameters/nested", encoding="ascii") as f:
            return f.read().strip() in ("1", "Y")
    except OSError:
        return False


@functools.lru_cache(maxsize=None)
def platforms():
    """The platforms to run on: those of PLATFORMS, and KVM on a machine that can nest what one of
    them emulates."""
    vendors = {TABLE[name].vendor for name in PLATFORMS}
    return tuple(TABLE[name] for name in PLATFORMS +
                 [f"kvm-{vendor}" for vendor in sorted(vendors) if nested(vendor)])
