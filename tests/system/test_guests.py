"""Tiny guests, one behaviour each, and how the machine ends."""

import os

import pytest

import skerry


def tiny(name, **more):
    more.setdefault("debug_exit", True)
    return skerry.multiboot(name.replace("_", "-"), name + ".elf", **more)


def files(*names):
    return {n + ".elf": os.path.join(skerry.BUILD, "guests", n + ".elf") for n in names}


@pytest.mark.parametrize("name, ending, status", [
    ("hello", "it ended with status 0", "ok"),
    ("status", "it ended with status 42", "guest failed"),
    ("halt", "it halted with interrupts off", "ok"),
    ("power_off", "it powered itself off", "ok"),
], ids=["hello", "status", "halt", "power_off"])
def test_tiny_guest(boot, name, ending, status):
    machine = boot(skerry.config(tiny(name, serial="console")), files(name))
    machine.expect_text(ending)
    assert machine.wait() == status


# Guests that check things themselves: the status is the number of the first check that failed.
@pytest.mark.parametrize("name", [
    "privileged", "lapic_timer", "debug_traps", "xstate", "pic_pit", "msrs", "nmi", "memory",
])
def test_checks(boot, name):
    # The second core runs the guest: there the console's own work ends none of its turns.
    machine = boot(skerry.config(tiny(name, serial="console")), files(name), cpus=2)
    machine.expect(f"guest {name.replace('_', '-')} (stopped|crashed): ")
    machine.expect_text("it ended with status 0\r")
    assert machine.wait() == "ok"


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
