"""What guests may take of the machine, what becomes of those that crash or reset themselves, and many at
a time."""

import os
import re
import time

import pytest

import skerry

KIB = 1 << 10
MIB = 1 << 20
OVERHEAD = 128 * KIB  # that a small guest costs at most; what was promised is 1 MiB for any


def answer(name, **more):
    """A tiny guest that does what it is told by one letter (tests/guests/answer.S)."""
    more.setdefault("debug_exit", True)
    return skerry.multiboot(name, "answer.elf", cmdline=name, **more)


def files(*names):
    return {n + ".elf": os.path.join(skerry.BUILD, "guests", n + ".elf")
            for n in ("answer", *names)}


def tell(machine, name, letter):
    """Attached guests end, or wait, by themselves; else the shell is asked for."""
    machine.sendline("attach " + name)
    machine.expect_text(f"attached to {name}")
    machine.expect_text("leaves")
    machine.send(letter)


def states(machine):
    return {guest["name"]: guest["state"] for guest in machine.json("list")}


def until(machine, name, state):
    give_up = time.monotonic() + machine.timeout
    while states(machine)[name] != state:
        assert time.monotonic() < give_up, f"{name} does not come to be {state}"
        time.sleep(0.1)


# ---- many guests ----

def test_64_guests_answer(boot):
    """As many as there may be, on two cores: each answers with its own number, and none of them costs
    more than was promised."""
    names = [f"g{number}" for number in range(64)]
    machine = boot(skerry.config(*(answer(name, memory="2M") for name in names),
                                 when_idle="shell"), files(), cpus=2, append="loglevel=warn")
    machine.prompt()
    assert set(states(machine).values()) == {"running"}
    for name in names:
        tell(machine, name, "?")
        machine.expect_text(f"{name} answers")
        machine.detach()
    memory = machine.json("memory")
    assert [guest["name"] for guest in memory["guests"]] == names
    for guest in memory["guests"]:
        assert guest["memory"] == 2 * MIB
        assert guest["overhead"] <= OVERHEAD
    assert all(machine.json(f"stats {name}")["vcpus"][0]["run_ns"] for name in names)
    for name in names:
        machine.command("destroy " + name)
    after = machine.json("memory")
    assert after["guest_ram"] == after["guest_tables"] == 0
    assert {guest["held"] for guest in after["guests"]} == {0}
    # what the guests were said to hold is what the machine has back
    assert after["free"] - memory["free"] == sum(guest["held"] for guest in memory["guests"])
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


# ---- limit and reserve ----

def test_a_limit_counts_all_that_a_guest_costs(boot):
    """RAM alone fits, RAM with its tables does not; and with 2 MiB more it does."""
    machine = boot(skerry.config(answer("tight", memory="16M", limit="16M"),
                                 answer("wide", memory="16M", limit="18M"),
                                 when_idle="shell"), files())
    found = machine.expect(r"error: guest tight: limit: with all that it costs the guest takes "
                           r"(\d+) KiB, and 16384 KiB are its limit")
    assert 16384 < int(found[1]) <= 16384 + OVERHEAD // KIB
    machine.prompt()
    guests = {guest["name"]: guest for guest in machine.json("list")}
    assert guests["tight"]["state"] == "created" and guests["tight"]["held"] == 0
    assert "limit" in guests["tight"]["reason"]
    assert guests["wide"]["state"] == "running"
    assert guests["wide"]["limit"] == 18 * MIB
    assert 16 * MIB < guests["wide"]["held"] <= 16 * MIB + OVERHEAD
    assert "limit:    18 MiB" in machine.command("info wide")
    # refused again by hand, and nothing is left over of the attempt
    before = machine.json("memory")["free"]
    assert "error: guest tight: limit:" in machine.command("start tight")
    assert machine.json("memory")["free"] == before
    machine.sendline("poweroff")
    assert machine.wait() == "configuration refused"


def test_a_limit_counts_the_index_of_symbols(boot, tmp_path):
    """It is made later than all else, and is given back with the guest."""
    symbols = tmp_path / "many.map"
    symbols.write_text("".join(f"{0x100000 + n:08x} T f{n}\n" for n in range(140000)))
    machine = boot(skerry.config(
        *(skerry.multiboot(name, "exits.elf", memory="2M", limit=limit, symbols="many.map",
                           autostart=False) for name, limit in (("tight", "4M"), ("wide", "6M"))),
        when_idle="shell"), {**files("exits"), "many.map": str(symbols)})
    machine.prompt()
    free = machine.json("memory")["free"]
    machine.sendline("start tight")
    machine.expect_text("guest tight stopped")
    machine.prompt()
    assert re.search(r"guest tight: limit: with all that it costs the guest takes \d+ KiB, and "
                     r"4096 KiB are its limit", machine.command("trace tight -n 1") +
                     machine.command("log -n 5"))
    held = {guest["name"]: guest["held"] for guest in machine.json("list")}
    assert 2 * MIB < held["tight"] <= 2 * MIB + OVERHEAD
    machine.sendline("start wide")
    machine.expect_text("guest wide stopped")
    machine.prompt()
    assert re.search(r"halt +f\d+\+", machine.command("trace wide -n 1"))
    held = {guest["name"]: guest["held"] for guest in machine.json("list")}
    assert held["wide"] >= 2 * MIB + 140000 * 16
    assert machine.json("memory")["free"] == free - sum(held.values())
    machine.command("destroy tight")
    machine.command("destroy wide")
    assert machine.json("memory")["free"] == free
    machine.sendline("poweroff")
    assert machine.wait() == "ok"


def test_a_reserve_is_kept(boot):
    """For a guest that does not run yet, against another one that wants all; also after it ran."""
    machine = boot(skerry.config(answer("kept", memory="16M", reserve="200M", autostart=False),
                                 answer("greedy", memory="16M", autostart=False),
                                 answer("big", memory="350M", autostart=False),
                                 answer("never", memory="16M", reserve="4G"),
                                 when_idle="shell"), files(), memory=512)
    machine.expect(r"error: guest never: reserve: 4096 MiB cannot be kept: \d+ MiB are free, "
                   r"besides what is reserved for other guests")
    machine.prompt()
    assert set(states(machine)) == {"kept", "greedy", "big"}
    memory = machine.json("memory")
    assert memory["set_aside"] == 200 * MIB
    assert 350 * MIB < memory["free"] < 512 * MIB
    refusal = (r"error: guest big: memory: 350 MiB are asked for and \d+ MiB are free, "
               r"besides what is reserved for other guests")
    assert re.search(refusal, machine.command("start big"))
    assert "greedy is running" in machine.command("start greedy")
    assert "kept is running" in machine.command("start kept")
    held = next(g for g in machine.json("memory")["guests"] if g["name"] == "kept")["held"]
    assert machine.json("memory")["set_aside"] == 200 * MIB - held
    machine.command("destroy kept")
    assert machine.json("memory")["set_aside"] == 200 * MIB
    assert re.search(refusal, machine.command("start big"))
    assert "reserve:  200 MiB" in machine.command("info kept")
    assert "of what is free, kept for guests" in machine.command("memory")
    machine.sendline("poweroff")
    assert machine.wait() == "configuration refused"


# ---- affinity ----

def test_affinity(boot):
    machine = boot(skerry.config(*(answer(f"a{n}", memory="2M", affinity="0") for n in range(3)),
                                 *(skerry.multiboot(f"b{n}", "spin.elf", memory="2M", affinity="1-9")
                                   for n in range(3)),
                                 answer("none", memory="2M", affinity="2,4-7"), when_idle="shell"),
                   files("spin"), cpus=2)
    machine.expect_text("error: guest none: affinity: of the CPUs 2,4-7 none can run guests")
    machine.prompt()
    for name in ("a0", "a1", "a2"):
        tell(machine, name, "?")
        machine.expect_text(f"{name} answers")
        machine.detach()
    # those that never leave take turns on the one core, and are on no other
    seen = set()
    for _ in range(40):
        for n in range(3):
            seen.add(machine.json(f"info b{n}")["vcpus"][0]["cpu"])
    assert 1 in seen and seen <= {1, None}
    for n in range(3):
        assert machine.json(f"stats b{n}")["vcpus"][0]["run_ns"]
    assert machine.json("info b0")["affinity"] == "1-9"
    assert "affinity: CPU 1-9" in machine.command("info b0")
    assert machine.json("info none")["state"] == "created"
    machine.sendline("poweroff")
    assert machine.wait() == "configuration refused"


# ---- crashes and resets ----

def test_on_reset_stop(boot):
    machine = boot(skerry.config(answer("once", on_reset="stop"), attach="once"), files())
    machine.expect_text("once is ready")
    machine.send("r")
    machine.expect_text("guest once stopped: it reset itself")
    assert machine.wait() == "ok"


def test_on_crash_restart(boot):
    """It is started again, the terminal stays attached, and a crash stays one."""
    machine = boot(skerry.config(answer("again", on_crash="restart"), attach="again"), files())
    machine.expect_text("again is ready")
    machine.send("c")
    machine.expect_text("guest again crashed: it ran into a triple fault")
    machine.expect_text("again is ready")
    machine.send("?")
    machine.expect_text("again answers")
    machine.send("q")
    machine.expect_text("guest again stopped: it ended with status 0")
    assert machine.wait() == "guest failed"


@pytest.mark.parametrize("letter", ["r", "c"], ids=["resets", "crashes"])
def test_restart_loop(boot, letter):
    """The first ones are at once, then it waits; commands work meanwhile."""
    machine = boot(skerry.config(answer("loop", on_crash="restart", autostart=False),
                                 when_idle="shell"), files(), real_time=True)
    machine.prompt()

    def again(waits, stays=False):
        tell(machine, "loop", letter)
        if waits:
            machine.expect(rf"warning: guest loop waits for {waits} s: this is restart number "
                           rf"\d+ of a row of quick ones")
            if stays:  # the terminal waits with it
                machine.expect_text("loop is ready")
        else:
            machine.expect_text("loop is ready")
        machine.detach()

    machine.command("start loop")
    for waits in (0, 0, 0):
        again(waits)
    again(1, stays=True)
    again(2)
    info = machine.json("info loop")
    if info["state"] == "waiting":
        assert 0 < info["restart_in_ns"] <= 2 * 10**9
    until(machine, "loop", "running")
    again(4)
    assert states(machine)["loop"] == "waiting"
    machine.sendline("attach loop")
    machine.expect_text("attached to loop, which waits to restart")
    machine.detach()
    assert "until it boots again" in machine.command("info loop")
    assert "error: guest loop is waiting and cannot be paused" in machine.command("pause loop")
    assert "error: guest loop is waiting and cannot be resumed" in machine.command("resume loop")
    machine.command("start loop")  # at once, and the row is over
    assert states(machine)["loop"] == "running"
    for waits in (0, 0, 0, 1):
        again(waits)
    assert "loop is stopped" in machine.command("stop loop")
    machine.command("start loop")
    for waits in (0, 0, 0, 1):
        again(waits)
    machine.command("destroy loop")
    assert states(machine)["loop"] == "created"
    assert machine.json("memory")["guest_ram"] == 0
    machine.sendline("poweroff")
    assert machine.wait() == ("ok" if letter == "r" else "guest failed")


def test_a_guest_that_waits_is_not_idle(boot):
    """The machine does not end while a guest is going to boot again."""
    machine = boot(skerry.config(skerry.multiboot("fault", "triple_fault.elf",
                                                  on_crash="restart")), files("triple_fault"))
    machine.expect_text("guest fault waits for 1 s: this is restart number 4")
    machine.expect_text("guest fault waits for 2 s: this is restart number 5")
    machine.sendline()
    machine.prompt()
    machine.command("log -n 1")
    machine.sendline("stop fault")
    assert machine.wait() == "guest failed"


# ---- how the machine ends, for several guests ----

@pytest.mark.parametrize("guests, status", [
    ([("hello", {}), ("halt", {}), ("power_off", {})], "ok"),
    ([("hello", {}), ("status", {})], "guest failed"),
    ([("hello", {}), ("triple_fault", {})], "guest failed"),
    ([("hello", {}), ("hello", {"memory": "3M"})], "configuration refused"),
    ([("hello", {}), ("hello", {"memory": "64G"})], "configuration refused"),
    ([("triple_fault", {}), ("hello", {"memory": "64G"})], "guest failed"),
    ([("hello", {}), ("hello", {"memory": "64G", "autostart": False})], "ok"),
], ids=["all-well", "a-status", "a-crash", "one-refused", "one-not-started", "crash-and-refused",
        "not-to-be-started"])
def test_exit_status_of_several_guests(boot, guests, status):
    machine = boot(skerry.config(*({**skerry.multiboot(f"g{n}", image + ".elf", debug_exit=True),
                                    **more} for n, (image, more) in enumerate(guests))),
                   files(*(image for image, _ in guests)))
    assert machine.wait() == status


def test_a_status_ends_with_the_run(boot):
    """A guest that was destroyed has no status any more, as it has no reason."""
    machine = boot(skerry.config(answer("fails"), when_idle="shell"), files())
    machine.prompt()
    tell(machine, "fails", "f")
    machine.expect_text("guest fails stopped: it ended with status 7")
    machine.prompt()
    assert machine.json("info fails")["status"] == 7
    machine.command("destroy fails")
    info = machine.json("info fails")
    assert (info["state"], info["status"], info["reason"]) == ("created", None, "")
    machine.sendline("poweroff")
    assert machine.wait() == "guest failed"
