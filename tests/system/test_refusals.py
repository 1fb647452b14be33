"""What is refused is said in a sentence, and the other guests still start."""

import os
import re
import subprocess

import pytest

import faults
import images
import skerry

HELLO = os.path.join(skerry.BUILD, "guests", "hello.elf")
GOOD = ('{"name": "good", "memory": "16M", "serial": "console", "boot": {"multiboot": "hello"}, '
        '"devices": {"debug_exit": true}}')


def guest(**changes):
    fields = {"name": '"bad"', "memory": '"16M"', "boot": '{"multiboot": "hello"}'}
    fields.update(changes)
    return "{" + ", ".join(f'"{k}": {v}' for k, v in fields.items()) + "}"


@pytest.mark.parametrize("bad, sentence", [
    (guest(vcpus="2"), "more than one vCPU"),
    (guest(colour='"red"'), "colour"),
    (guest(memory="16"), "memory"),
    (guest(memory='"900G"'), "memory"),
    (guest(boot='{"multiboot": "nothing"}'), "nothing"),
], ids=["vcpus", "unknown-key", "memory-without-unit", "too-much-memory", "missing-module"])
def test_one_bad_guest_of_two(boot, bad, sentence):
    text = f'{{"when_idle": "poweroff", "guests": [{bad}, {GOOD}]}}'
    machine = boot(images.raw(text, [("hello", HELLO)]))
    machine.expect(f"error: [^\\r\\n]*bad[^\\r\\n]*{sentence}|error: [^\\r\\n]*{sentence}[^\\r\\n]*bad")
    machine.expect_text("hello from a tiny guest")
    assert machine.wait() == "configuration refused"


@pytest.mark.parametrize("text", ["{", '{"gests": []}', '{"guests": 7}', "\x00\x01"],
                         ids=["cut", "unknown-key", "wrong-type", "no-text"])
def test_no_configuration_that_can_be_used(boot, text):
    machine = boot(images.raw(text))
    machine.expect("error: configuration: [^\\r\\n]+")
    machine.prompt()


@pytest.mark.platforms("qemu-svm", reason="the others cannot leave out single features")
@pytest.mark.parametrize("cpu, sentence", [
    ("max,-svm", "boot Skerry on a processor"),
    ("max,-npt", "without nested paging"),
], ids=["no-svm", "no-nested-paging"])
def test_processors_that_cannot(boot, cpu, sentence):
    machine = boot(images.raw(f'{{"guests": [{GOOD}]}}', [("hello", HELLO)]), cpu=cpu)
    machine.expect_text(sentence)
    machine.prompt()


def test_what_is_too_long_for_the_loaders_entry(boot):
    """It costs the word or the module, not the boot."""
    text = f'{{"when_idle": "poweroff", "guests": [{GOOD}]}}'
    machine = boot(images.raw(text, [("x" * 200, HELLO), ("hello", HELLO)]), append="y" * 1100)
    machine.expect_text("the command line is 11")
    machine.expect_text("a module is left out, because its string is 200 characters long")
    machine.expect_text("hello from a tiny guest")
    assert machine.wait() == "ok"


def test_maxcpus_and_unknown_words(boot):
    machine = boot(skerry.config(when_idle="shell"), append="maxcpus=2 nonsense=1", cpus=4)
    machine.expect_text("nonsense")
    machine.prompt()
    shown = machine.json("cpus")
    assert len(shown["cpus"] if isinstance(shown, dict) else shown) == 2


QEMU = pytest.mark.platforms("qemu-*", reason="only QEMU's machine can be given such a fault")


@QEMU
def test_cores_that_differ(boot):
    """A core without what the boot CPU uses is left out, and the others work."""
    machine = boot(images.raw(f'{{"guests": [{GOOD}]}}', [("hello", HELLO)]), cpu="max", extra=[
        "-smp", "1,maxcpus=3,sockets=3,cores=1,threads=1",
        "-device", "max-x86_64-cpu,smep=off,socket-id=1,core-id=0,thread-id=0",
        "-device", "max-x86_64-cpu,socket-id=2,core-id=0,thread-id=0"])
    machine.expect_text("the core with APIC id 1 is left out: unlike the boot CPU it lacks SMEP")
    machine.expect_text("2 of 3 cores are used")
    machine.expect_text("hello from a tiny guest")


@QEMU
def test_a_core_that_does_not_answer(boot):
    """The debugger keeps the second core from running, from before it is started for good."""
    symbols = subprocess.run(["nm", os.path.join(skerry.BUILD, "skerry.debug.elf")],
                             stdout=subprocess.PIPE, text=True, check=True).stdout
    smp_start = re.search(r"^([0-9a-f]+) T smp_start$", symbols, re.MULTILINE)[1]
    debugger = faults.Debugger()
    try:
        machine = boot(images.raw(f'{{"guests": [{GOOD}]}}', [("hello", HELLO)]), cpus=3,
                       extra=["-S", *debugger.arguments])
        assert debugger.ask(f"Z1,{smp_start},1") == "OK"
        debugger.send("c")
        assert debugger.answer().startswith("T05")
        assert debugger.ask(f"z1,{smp_start},1") == "OK"
        debugger.send("vCont;c:1;c:3")
        machine.expect_text("the core with APIC id 1 did not answer within 1 s and is left out")
        machine.expect_text("2 of 3 cores are used")
        machine.expect_text("hello from a tiny guest")
    finally:
        debugger.close()


@QEMU
def test_panic(boot):
    """An error that the hardware reports is no longer survived: a report, and status 3."""
    monitor = faults.Monitor()
    try:
        machine = boot(skerry.config(when_idle="shell"), cpus=2, extra=monitor.arguments)
        machine.prompt()
        # bank 4 of CPU 1: valid, uncorrected, enabled, context corrupt; a check is in progress
        monitor.command("mce 1 4 0xb200000000070f0f 4 0 0")
        machine.expect_text("BUG: machine check")
        machine.expect_text("bank 4: status b200000000070f0f")
        machine.expect_text("call trace (? is a guess):")
        assert machine.wait() == "panic"
    finally:
        monitor.close()
