"""The hypervisor's dump, from the serial line to gdb."""

import os
import re
import subprocess

import pytest

import images
import skerry
from test_oops import DEBUG, SPIN

TOOL = os.path.join(images.TOP, "tools", "skerry-dump")
END = r"-----END SKERRY DUMP ([0-9a-f]{16}): \d+ lines, \d+ bytes-----"


def core_of(machine, tmp_path, status=0):
    """The core file of the last dump that came."""
    machine.log.flush()
    core = tmp_path / "core"
    done = subprocess.run([TOOL, machine.log.name, "-o", core], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == status, done.stdout
    return core, done.stdout


def gdb(elf, core, *commands):
    arguments = [word for command in commands for word in ("-ex", command)]
    done = subprocess.run(["gdb", "-nx", "-batch", *arguments, elf, core], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=True, timeout=60)
    return done.stdout


def traces(elf, core):
    """{CPU: the functions of its back trace, innermost first}."""
    text = gdb(elf, core, "thread apply all bt")
    found = {}
    for part in re.split(r"^Thread ", text, flags=re.MULTILINE)[1:]:
        number = int(part.split()[0])
        found[number - 1] = re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?(\w+) \(", part, re.MULTILINE)
    return found


def elf_of(hypervisor):
    return os.path.join(os.path.dirname(hypervisor), "skerry.debug.elf")


@pytest.mark.parametrize("hypervisor", [skerry.HYPERVISOR, DEBUG], ids=["usual", "debug"])
def test_dump_command(boot, tmp_path, hypervisor):
    """Every core's back trace is right, the guest goes on, and another dump can be taken."""
    machine = boot(images.packed(skerry.config(skerry.multiboot("one", "spin.elf"),
                                               when_idle="shell"), SPIN, hypervisor=hypervisor),
                   cpus=3)
    machine.prompt()
    before = machine.json("memory")
    for _ in range(2):
        machine.sendline("dump")
        machine.expect(END)
        machine.prompt()
        core, said = core_of(machine, tmp_path)
        assert re.search(r"Skerry \d.*, build .*, by command", said)
        found = traces(elf_of(hypervisor), core)
        assert sorted(found) == [0, 1, 2]
        assert "dump_begin" in found[0] and "cmd_dump" in found[0] and "core_main" in found[0]
        assert found[1][-1] == found[2][-1] == "ap_entry64", found
        assert all("core_main" in found[cpu] for cpu in (1, 2))
        run = "svm_run" if machine.platform.vendor == "svm" else "vmx_"
        running = [cpu for cpu in (1, 2) if any(f.startswith(run) for f in found[cpu])]
        idle = [cpu for cpu in (1, 2) if "sched_idle" in found[cpu]]
        assert len(running) == 1 and len(idle) == 1, found
    assert machine.json("list")[0]["state"] == "running"
    assert machine.json("memory")["heap_objects"] == before["heap_objects"]
    # objects: data, heap and the log are there
    text = gdb(elf_of(hypervisor), core, "print n_cpus", "print percpus[1]->index",
               "print first_vm->config->name", "print first_vm->state",
               "print/d ring->magic")
    assert "$1 = 3" in text and "$2 = 1" in text and '"one"' in text and "VM_RUNNING" in text
    assert f"$5 = {0x32474f4c59524b53}" in text
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


def test_dump_is_stopped_by_ctrl_c(boot, tmp_path):
    machine = boot(skerry.config(skerry.multiboot("one", "spin.elf"), when_idle="shell"), SPIN,
                   cpus=2)
    machine.prompt()
    machine.send("dump --guests\r\x03")  # it stands in the line's buffer when the dump begins
    machine.expect_text("-----BEGIN SKERRY DUMP ")
    machine.expect_text("skerry: the dump was stopped; what came so far can be read")
    machine.prompt()
    _, said = core_of(machine, tmp_path, status=1)
    assert "the dump has no end" in said
    assert machine.json("list")[0]["state"] == "running"
    machine.sendline("dump")  # and the next one is whole
    machine.expect_text("% (Ctrl-C stops it)")
    machine.expect(END)
    machine.prompt()
    core, _ = core_of(machine, tmp_path)
    assert "core_main" in traces(elf_of(skerry.HYPERVISOR), core)[1]
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


def test_panic_policy_dump(boot, tmp_path):
    """In a guest's context, on another core than the console's."""
    machine = boot(images.packed(skerry.config(skerry.multiboot("one", "spin.elf"),
                                               when_idle="shell"), SPIN, hypervisor=DEBUG),
                   cpus=2, append="panic=dump,reboot=0", stay=True)
    machine.prompt()
    machine.sendline("provoke null one")
    machine.expect(r"--- oops 1, end of report [0-9a-f]{16} ---")
    machine.expect(END)
    machine.expect_text("panic=reboot: the machine is reset in 0 s")
    core, said = core_of(machine, tmp_path)
    assert "after a panic" in said
    found = traces(elf_of(DEBUG), core)
    assert found[1][0] == "provoke_null" and "vcpu_run" in found[1] and "core_main" in found[1]
    assert "core_main" in found[0] and "sched_idle" in found[0]
    machine.prompt()  # of the next run
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


def test_dump_of_a_panic_on_another_stack(boot, tmp_path):
    """The main stack is full: the report and the dump run on the double fault's."""
    machine = boot(images.packed(skerry.config(when_idle="shell"), hypervisor=DEBUG), cpus=2,
                   append="panic=dump")
    machine.prompt()
    machine.sendline("provoke stack")
    machine.expect(END)
    core, _ = core_of(machine, tmp_path)
    assert traces(elf_of(DEBUG), core)[0][:3] == ["provoke_stack"] * 3
    assert machine.wait() == "panic"
