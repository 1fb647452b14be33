"""Tiny guests, one behaviour each, and how the machine ends."""

import os
import re

import pytest

import skerry


def tiny(image, name=None, **more):
    more.setdefault("debug_exit", True)
    return skerry.multiboot(name or image.replace("_", "-"), image + ".elf", **more)


def files(*names):
    return {n + ".elf": os.path.join(skerry.BUILD, "guests", n + ".elf") for n in names}


@pytest.mark.parametrize("name, ending, status", [
    ("hello", "it ended with status 0", "ok"),
    ("halt", "it halted with interrupts off", "ok"),
    ("power_off", "it powered itself off", "ok"),
], ids=["hello", "halt", "power_off"])
def test_tiny_guest(boot, name, ending, status):
    machine = boot(skerry.config(tiny(name, serial="console")), files(name))
    machine.expect_text(ending)
    assert machine.wait() == status


# Guests that check things themselves: the status is the number of the first check that failed.
@pytest.mark.parametrize("name", [
    "privileged", "lapic_timer", "sti_hlt", "debug_traps", "xstate", "pic_pit", "msrs", "nmi", "memory",
    "ioapic_rtc", "pci", "cr8", "fw_cfg", "hpet", "task_switch",
])
def test_checks(boot, platform, name):
    # What the hypervisor leaves to the processor, an emulator may not check.
    strict = name in ("msrs", "task_switch") and platform.name != "qemu-svm"
    # The second core runs the guest: there the console's own work ends none of its turns.
    machine = boot(skerry.config(tiny(name, serial="console",
                                      cmdline="strict" if strict else None)),
                   files(name), cpus=2)
    machine.expect(f"guest {name.replace('_', '-')} (stopped|crashed): ")
    machine.expect_text("it ended with status 0\r")
    assert machine.wait() == "ok"


def test_pci_device(boot):
    machine = boot(skerry.config(tiny("pci_device", serial="console",
                                      devices={"debug_exit": True, "test_device": True})),
                   files("pci_device"), cpus=2)
    machine.expect("guest pci-device (stopped|crashed): ")
    machine.expect_text("it ended with status 0\r")
    assert machine.wait() == "ok"


@pytest.mark.parametrize("width, status", [
    ("1", 0x2a), ("2", 0x562a), ("4", 0x1234562a)])
def test_width_of_the_debug_exit_port(boot, width, status):
    machine = boot(skerry.config(tiny("status", cmdline=width)), files("status"))
    machine.expect_text(f"it ended with status {status}\r")
    assert machine.wait() == "guest failed"


@pytest.mark.parametrize("way", ["cf9", "keyboard", "output-port", "port92"])
def test_a_guest_resets_itself(boot, way):
    """It does so once, knows by its RAM that it did, and looks at what is left."""
    machine = boot(skerry.config(tiny("resets", cmdline=way, serial="console"),
                                 when_idle="shell"), files("resets"))
    machine.expect_text("guest resets: it reset itself")
    machine.expect_text("guest resets stopped: it ended with status 0\r")
    machine.prompt()
    assert machine.command("log").count("guest resets: it reset itself") == 1


def test_no_guest_finds_what_another_left_in_ram(boot):
    machine = boot(skerry.config(
        *(skerry.multiboot(name, "memory.elf", cmdline=name, debug_exit=True, autostart=False)
          for name in ("dirty", "clean")), when_idle="shell"), files("memory"))
    machine.prompt()
    for name in ("dirty", "clean"):
        machine.command("start " + name)
        machine.expect_text(f"guest {name} stopped: it ended with status 0\r")
        machine.command("destroy " + name)
    machine.command("start clean")
    machine.expect_text("guest clean stopped: it ended with status 0\r")


def test_extended_state_of_guests_that_take_turns(boot):
    """Three on one core, each with a pattern of its own; the third has AVX off."""
    words = ("a", "b", "sse")
    machine = boot(skerry.config(*(skerry.multiboot(word, "xstate.elf", cmdline=word,
                                                    debug_exit=True) for word in words)),
                   files("xstate"))
    for _ in words:
        machine.expect("guest [a-z]+ (stopped|crashed): ")
        machine.expect_text("it ended with status 0\r")
    assert machine.wait() == "ok"


def test_triple_fault_leaves_a_record(boot):
    machine = boot(skerry.config(tiny("triple_fault"), tiny("hello", serial="console")),
                   files("triple_fault", "hello"))
    machine.expect("guest triple-fault crashed: it ran into a triple fault at RIP 0x[0-9a-f]+")
    machine.expect("rip [0-9a-f]{16}")
    machine.expect("exit -0: shutdown")
    assert machine.wait() == "guest failed"


@pytest.mark.parametrize("name", [
    "it's", '"quoted"', "back\\slash", "\\x41", " two  spaces ", "$x ${y};#&{z}",
], ids=["apostrophe", "quotation-marks", "backslash", "x41", "spaces", "shell"])
def test_file_names_that_grub_quotes(boot, name):
    """What the boot loader makes of a name is undone: the guest is found by it."""
    guest = skerry.multiboot("odd", name, debug_exit=True, serial="console")
    machine = boot(skerry.config(guest), {name: files("hello")["hello.elf"]})
    machine.expect_text("hello from a tiny guest")
    assert machine.wait() == "ok"


def test_string_output_and_prefixes(boot):
    machine = boot(skerry.config(tiny("privileged", serial="console"),
                                 tiny("hello", serial="console")), files("privileged", "hello"))
    machine.expect(["privileged: a line by rep outsb", "hello: hello from a tiny guest"])
    machine.expect(["privileged: a line by rep outsb", "hello: hello from a tiny guest"])
    assert machine.wait() == "ok"


def test_invaders_shows_its_screen(boot):
    machine = boot(skerry.config(skerry.multiboot("inv", "invaders.exec"), when_idle="shell"))
    machine.prompt()
    for _ in range(20):
        if "-*-" in machine.command("screen inv"):
            return
    raise AssertionError("no invaders on the screen")


def test_a_guest_that_never_leaves_shares_its_core(boot):
    """With its interrupts off it can be taken off the core by the host's interrupts alone."""
    machine = boot(skerry.config(tiny("spin"), tiny("hello", serial="console"), when_idle="shell"),
                   files("spin", "hello"))
    machine.expect_text("hello: hello from a tiny guest")
    machine.expect_text("it ended with status 0")
    machine.prompt()
    assert re.search(r"spin +running", machine.command("list"))
    before = machine.json("stats spin")
    machine.command("version")
    after = machine.json("stats spin")
    assert after["vcpus"][0]["run_ns"] > before["vcpus"][0]["run_ns"]  # also while it stays on its core
    machine.command("stop spin")
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


@pytest.mark.parametrize("cpus", [1, 2])
def test_exceptions_while_cores_are_shared(boot, cpus):
    """An exit that comes between an exception and its handler loses neither."""
    spinners = [tiny("spin", name=f"spin{number}") for number in range(cpus)]
    machine = boot(skerry.config(tiny("exceptions"), *spinners, when_idle="shell"),
                   files("exceptions", "spin"), cpus=cpus)
    ended = machine.expect("guest exceptions (stopped|crashed): ([^\\r\\n]*)\\r")
    assert ended[2] == "it ended with status 0"
