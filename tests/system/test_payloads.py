"""Programs that people bring, from start to a place where a person would take over: minutes each, so only
with --long (make test-long)."""

import pytest

import skerry

pytestmark = pytest.mark.long


def test_memtest_completes_a_pass(boot):
    """All of memtest86+'s tests over a guest of 64 MiB; the last ones wait ten minutes of guest time."""
    machine = boot(skerry.config({"name": "mem", "memory": "64M", "boot": {
        "linux": "memtest", "cmdline": "console=ttyS0,115200"}}, attach="mem", when_idle="shell"),
        timeout=3600)
    machine.expect_text("Memtest86+")
    # the line of progress: "Pass:  1        Errors: 0"
    machine.expect(r"Pass: +1 +Errors: +\d")
    assert machine.line.match.group().endswith(" 0"), "memtest86+ found errors"
    machine.detach()
    assert "running" in machine.command("list")
    machine.command("stop mem")
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


def test_debian_installer_asks_for_the_language(boot):
    machine = boot(skerry.config({"name": "installer", "memory": "1G", "boot": {
        "linux": "installer-linux", "initrd": "installer-initrd.gz",
        "cmdline": "console=ttyS0 --- quiet"}}, attach="installer", when_idle="shell"),
        memory=2048, timeout=1200)
    machine.expect_text("Select a language")
    machine.expect_text("English")
    machine.detach()
    machine.command("stop installer")
    machine.sendline("poweroff")
    assert machine.wait() == "ok"
