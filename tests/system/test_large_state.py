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


LINUX = {  # what /proc/cpuinfo must show, what it must not, and how Linux keeps its own state
    "qemu-svm": ("xsave xsaveopt avx avx2 pku ospke", "xsavec xsaves avx512f", "0x207", "standard"),
    "bochs-svm": ("xsave xsaveopt xsavec xsaves avx avx2", "avx512f pku", "0x7", "compacted"),
    "bochs-vmx": ("xsave xsaveopt xsavec xsaves avx avx2 avx512f avx512bw pku ospke", "amx_tile",
                  "0x2e7", "compacted"),
}


@pytest.mark.platforms("qemu-*", "bochs-*", reason="a real processor's components are not known")
@pytest.mark.output_varies(reason="it names what the processor has")
def test_linux_beside_a_guest_with_large_state(boot, platform):
    there, hidden, components, form = LINUX[platform.name]
    machine = boot(skerry.config(skerry.linux("web"), large_state("a", "a"), attach="web"), GUEST,
                   cpus=1)
    machine.expect_text("guest# ")
    # what comes out is not what was typed
    machine.sendline("grep -m1 ^flags /proc/cpuinfo; dmesg | grep 'x86/fpu: Enabled'; echo en''ded")
    machine.expect_text("ended")
    text = machine.before
    flags = set(text.split())
    assert set(there.split()) <= flags
    assert not set(hidden.split()) & flags
    assert f"xstate features {components}," in text
    assert f"using '{form}' format" in text
    assert machine.guest_lines("a") == ["state: " + EXPECTED[platform.name]]
