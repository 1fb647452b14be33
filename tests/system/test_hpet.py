"""The high precision event timers, with Linux."""

import skerry
from test_linux import SHELL, guest_command

SOURCE = "/sys/devices/system/clocksource/clocksource0/"


def test_linux_keeps_time_by_the_hpet(boot):
    machine = boot(skerry.config(skerry.linux("web", cmdline="console=ttyS0 clocksource=hpet"), attach="web",
                                 when_idle="poweroff"))
    machine.expect_text(SHELL)
    assert "hpet" in guest_command(machine, f"cat {SOURCE}available_clocksource").split()
    assert "hpet\r" in guest_command(machine, f"cat {SOURCE}current_clocksource")
    # its first timer took the 8254's interrupt over
    assert "hpet" in guest_command(machine, "dmesg | grep -m1 'legacy.*comparators\\|hpet0: at'")
    log = guest_command(machine, "dmesg | grep -iE 'hpet.*(fail|bug|broken|error|not work)'")
    assert "] " not in log
    machine.sendline("poweroff")
    assert machine.wait() == "ok"
