"""Floating point and other large state of guests that share a core, each with values of its own in every
register that there is (tests/guests/large_state.S)."""

import os

import pytest

import images
import skerry

GUEST = {"large_state.elf": os.path.join(skerry.BUILD, "guests", "large_state.elf")}

# What the guests must have had in use: a test that fills fewer registers than the processor has is
# none. Emulated processors are known.
EXPECTED = {
    "qemu-svm": "x87 sse dr avx pkru xgetbv1",
    "bochs-svm": "x87 sse dr avx xsavec xgetbv1 xsaves",
    "bochs-vmx": "x87 sse dr avx opmask zmm-hi256 hi16-zmm pkru xsavec xgetbv1 xsaves",
}


def large_state(name, words):
    return skerry.multiboot(name, "large_state.elf", cmdline=words, debug_exit=True,
                            serial="console")


@pytest.mark.platforms("qemu-*", "bochs-*", reason="a real processor's components are not known")
@pytest.mark.output_varies(reason="it names what the processor has")
@pytest.mark.parametrize("hypervisor", ["skerry.elf", "debug/skerry.elf"], ids=["usual", "debug-build"])
def test_large_state_of_guests_on_one_core(boot, platform, hypervisor):
    """Three with all that there is, and one that knows nothing of XSAVE."""
    names = ["a", "b", "c", "none"]
    config = skerry.config(*(large_state(name, name) for name in names))
    machine = boot(images.packed(config, GUEST, os.path.join(skerry.BUILD, hypervisor)), cpus=1)
    for _ in names:
        ended = machine.expect("guest ([a-z]+) (?:stopped|crashed): ([^\r\n]*)\r")
        assert ended[2] == "it ended with status 0", ended[0]
    assert machine.wait() == "ok"
    for name in names:
        said = EXPECTED[platform.name] if name != "none" else "x87 sse dr"
        assert machine.guest_lines(name) == ["state: " + said]
