"""Soaks and the whole matrix: minutes each, so only with --long (make test-long)."""

import pytest

import skerry
from test_linux import SHELL, guest_command

pytestmark = pytest.mark.long

UEFI = pytest.mark.platforms("qemu-*", "kvm-*", reason="Bochs has no UEFI")
WORK = ("i=0; while [ $i -lt {rounds} ]; do dd if=/dev/urandom of=/tmp/f bs=64k count=4 2>/dev/null; "
        "a=$(md5sum /tmp/f); b=$(cat /tmp/f | md5sum); [ \"${{a%% *}}\" = \"${{b%% *}}\" ] || echo differs; "
        "i=$((i+1)); done; echo rounds-$i")
TROUBLE = "dmesg | grep -cE 'lockup|Call Trace|BUG:|unchecked MSR|clocksource.*unstable'"


@pytest.mark.parametrize("firmware, cpus", [
    *[("bios", n) for n in (1, 2, 3, 4, 8, 12)],
    *[pytest.param("uefi", n, marks=UEFI) for n in (1, 2, 4, 8)],
])
def test_matrix_of_machines(boot, firmware, cpus):
    """A guest on each core, up to four at once, on every size of machine."""
    names = ["a", "b", "c", "d"][:max(2, min(cpus, 4))]
    machine = boot(skerry.config(*(skerry.linux(name, memory="192M") for name in names),
                                 when_idle="shell"),
                   firmware=firmware, cpus=cpus, memory=2048)
    machine.prompt()
    for name in names:
        machine.sendline("attach " + name)
        machine.expect_text("attached to " + name)
        machine.sendline()
        machine.expect_text(SHELL)
        assert guest_command(machine, TROUBLE).split()[-1] == "0"
        machine.sendline("poweroff")
        machine.prompt()
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


def test_soak(boot):
    """Three busy guests on two cores, paused, resumed and reset again and again by the administrator."""
    names = ["a", "b", "c"]
    machine = boot(skerry.config(*(skerry.linux(name, memory="256M") for name in names),
                                 when_idle="shell"), cpus=2, memory=2048, timeout=1200)
    machine.prompt()
    for name in names:
        machine.sendline("attach " + name)
        machine.expect_text("attached to " + name)
        machine.sendline()
        machine.expect_text(SHELL)
        machine.sendline(WORK.format(rounds=100))
        machine.detach()
    for _ in range(50):
        for name in names:
            machine.command("pause " + name)
            machine.command("stats " + name)
            machine.command("resume " + name)
    for name in names:
        machine.sendline("attach " + name)
        machine.expect_text("attached to " + name)
        machine.sendline()
        machine.expect("rounds-100|" + SHELL)
        text = guest_command(machine, TROUBLE)
        assert text.split()[-1] == "0", text
        machine.detach()
    for _ in range(5):
        machine.command("reset b")
        machine.command("list")
    for name in names:
        machine.command("stop " + name)
    machine.sendline("poweroff")
    assert machine.wait() == "ok"
