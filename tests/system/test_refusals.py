"""What is refused is said in a sentence, and the other guests still start."""

import os

import pytest

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


def test_maxcpus_and_unknown_words(boot):
    machine = boot(skerry.config(when_idle="shell"), append="maxcpus=2 nonsense=1", cpus=4)
    machine.expect_text("nonsense")
    machine.prompt()
    shown = machine.json("cpus")
    assert len(shown["cpus"] if isinstance(shown, dict) else shown) == 2
