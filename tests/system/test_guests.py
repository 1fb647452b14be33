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
    ("privileged", "it ended with status 0", "ok"),
    ("status", "it ended with status 42", "guest failed"),
    ("halt", "it halted with interrupts off", "ok"),
    ("power_off", "it powered itself off", "ok"),
], ids=["hello", "privileged", "status", "halt", "power_off"])
def test_tiny_guest(boot, name, ending, status):
    machine = boot(skerry.config(tiny(name, serial="console")), files(name))
    machine.expect_text(ending)
    assert machine.wait() == status


def test_triple_fault_leaves_a_record(boot):
    machine = boot(skerry.config(tiny("triple_fault"), tiny("hello", serial="console")),
                   files("triple_fault", "hello"))
    machine.expect("guest triple-fault crashed: it ran into a triple fault at RIP 0x[0-9a-f]+")
    machine.expect("rip [0-9a-f]{16}")
    machine.expect("exit -0: shutdown")
    assert machine.wait() == "guest failed"


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
    assert machine.json("stats spin") != before
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
