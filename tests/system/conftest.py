"""Fixtures of the system tests. Logs of every boot are kept in build/system/<test>.log.

Each test that uses `boot` runs on every platform (platforms.py), except where its marker says that it
cannot; --platform chooses one of them. What came of it is left in build/system/results-PLATFORM.json,
from which tests/run makes a table.

What a multiboot guest prints to the console is kept in build/system/output/PLATFORM: tests/run compares it
between the platforms, where it must be the same to the byte. A test whose guest prints what may vary says
so:

    @pytest.mark.output_varies(reason="it prints for as long as it is let")
"""

import fnmatch
import json
import os
import re
import shutil

import pytest

import images
import platforms
import skerry


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also run the tests marked long")
    parser.addoption("--platform", help="run the tests of this platform, and no others",
                     choices=sorted(platforms.TABLE))


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes minutes; only with --long (make test-long)")
    config.addinivalue_line("markers", "platforms(pattern, ..., reason): the test can run only on "
                                       "the platforms with such names")
    config.addinivalue_line("markers", "output_varies(reason): its guests' output is not compared "
                                       "between platforms")
    config.skerry_results = {}
    if config.getoption("--platform"):  # others may run beside this one
        images.FOLDER = os.path.join(images.FOLDER, config.getoption("--platform"))


def chosen(config):
    only = config.getoption("--platform")
    return [p for p in platforms.platforms() if only in (None, p.name)]


def pytest_generate_tests(metafunc):
    if "platform" in metafunc.fixturenames:
        metafunc.parametrize("platform", chosen(metafunc.config), ids=lambda p: p.name)


def on_platform(item):
    return hasattr(item, "callspec") and "platform" in item.callspec.params


def applies(item):
    """Can the test run on its platform?"""
    if not on_platform(item):
        return True
    name = item.callspec.params["platform"].name
    for marker in item.iter_markers("platforms"):
        if not marker.args or not marker.kwargs.get("reason"):
            raise pytest.UsageError(f"{item.nodeid}: the marker platforms needs names and a reason")
        if not any(fnmatch.fnmatch(name, pattern) for pattern in marker.args):
            return False
    return True


def pytest_collection_modifyitems(config, items):
    """Tests that do not apply to a platform, and the long ones, are left out, not counted as
    skipped: nothing is missing for them."""
    keep, out = [], []
    for item in items:
        long = item.get_closest_marker("long") and not config.getoption("--long")
        (out if long or not applies(item) else keep).append(item)
    config.hook.pytest_deselected(items=out)
    items[:] = keep


def pytest_collection_finish(session):
    """Emulators that have to be built are built now, and said so. What cannot be built is said once
    in full; each test that needs it fails."""
    emulators = {item.callspec.params["platform"].emulator
                 for item in session.items if on_platform(item)}
    if session.config.option.collectonly:
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        for emulator in emulators:
            trouble = emulator.prepare()
            if trouble:
                print(trouble, flush=True)


@pytest.fixture(scope="session", autouse=True)
def fresh_images():
    """Images are made once in a session, not kept from one to the next."""
    shutil.rmtree(images.FOLDER, ignore_errors=True)
    os.makedirs(images.FOLDER)
    yield
    shutil.rmtree(images.FOLDER, ignore_errors=True)


# ---- what came of each test ----

def row_of(item):
    """(The test's file, its name without its platform, the platform's name)."""
    platform = item.callspec.params["platform"].name
    rest = re.sub(rf"(^|-){re.escape(platform)}($|-)", lambda m: "-" if m[1] and m[2] else "",
                  item.callspec.id, count=1)
    return item.path.name, item.originalname + (f"[{rest}]" if rest else ""), platform


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if call.when == "call":
        item.failed = report.failed
    if not on_platform(item):
        return
    if report.failed:
        item.config.skerry_results[row_of(item)] = "failed"
    elif call.when == "call":
        item.config.skerry_results.setdefault(row_of(item), "passed")


def pytest_sessionfinish(session):
    """[file, test, platform, what came of it] of each test that was to run."""
    results = session.config.skerry_results
    rows = [[*row_of(item), results.get(row_of(item), "not run")]
            for item in session.items if on_platform(item)]
    name = session.config.getoption("--platform")
    if name:
        os.makedirs(skerry.SYSTEM, exist_ok=True)
        with open(os.path.join(skerry.SYSTEM, f"results-{name}.json"), "w", encoding="utf-8") as f:
            json.dump(rows, f)


# ---- a running machine ----

def printing_guests(config):
    """Names of the tiny guests whose output goes to the console."""
    if not isinstance(config, dict):
        return []
    return [g["name"] for g in config["guests"]
            if ("multiboot" in g["boot"] or "pvh" in g["boot"]) and g.get("serial") == "console"]


def keep_output(item, platform, machines):
    marker = item.get_closest_marker("output_varies")
    assert not marker or marker.kwargs.get("reason"), "the marker output_varies needs a reason"
    lines = [f"{name}: {line}" for machine, _, names in machines for name in names
             for line in machine.guest_lines(name)]
    if marker or not lines:
        return
    folder = os.path.join(skerry.SYSTEM, "output", platform.name)
    os.makedirs(folder, exist_ok=True)
    file = re.sub(r"[^\w.-]+", "_", row_of(item)[1])
    with open(os.path.join(folder, file), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


@pytest.fixture
def boot(request, platform):
    """boot(config, files=…, append=…, cpus=…, memory=…, firmware=…, …): a running Skerry. `config`
    is a dict for images.packed, or an image as images.py describes them. `ends_by_acpi`: Skerry is
    not told how to end the machine. Closed when the test ends; on a failure the end of its log is
    shown."""
    machines = []
    name = re.sub(r"[^\w.-]+", "_", request.node.name)

    def start(config, files=None, append="", ends_by_acpi=False, **options):
        make = images.packed(config, files) if isinstance(config, dict) else config
        words = [] if ends_by_acpi else [platform.exit_option]
        iso = make(" ".join(words + ([append] if append else [])))
        log = os.path.join(skerry.SYSTEM, name + (f".{len(machines)}" if machines else "") + ".log")
        machine = skerry.Skerry(platform, iso, log, **options)
        machines.append((machine, log, printing_guests(config)))
        return machine

    yield start
    if not getattr(request.node, "failed", False):
        keep_output(request.node, platform, machines)
    for machine, log, _ in machines:
        machine.close()
        if getattr(request.node, "failed", False):
            with open(log, encoding="utf-8", errors="replace") as f:
                tail = f.read()[-4000:]
            print(f"---- end of {log} ----\n{tail}")
