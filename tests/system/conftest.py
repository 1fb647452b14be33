"""Fixtures of the system tests. Logs of every boot are kept in build/system/<test>.log."""

import os
import re
import shutil

import pytest

import skerry


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also run the tests marked long")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes minutes; only with --long (make test-long)")


def pytest_collection_modifyitems(config, items):
    """The long tests are left out, not counted as skipped: nothing is missing for them."""
    if config.getoption("--long"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session", autouse=True)
def fresh_images():
    """Images are made once in a session, not kept from one to the next."""
    images = os.path.join(skerry.SYSTEM, "iso")
    shutil.rmtree(images, ignore_errors=True)
    os.makedirs(images)
    yield
    shutil.rmtree(images, ignore_errors=True)


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed = outcome.get_result().failed


@pytest.fixture
def boot(request):
    """boot(config, files=…, append=…, cpus=…, memory=…, firmware=…, …): a running Skerry. `config`
    is a dict for skerry.make_iso, or the path of an image. Ended when the test ends; on a failure
    the end of its log is shown."""
    machines = []
    name = re.sub(r"[^\w.-]+", "_", request.node.name)

    def start(config, files=None, append="", **options):
        iso = config
        if isinstance(config, dict):
            words = [skerry.EXIT_OPTION, append] if append else [skerry.EXIT_OPTION]
            iso = skerry.make_iso(config, files, append=" ".join(words))
        log = os.path.join(skerry.SYSTEM, name + (f".{len(machines)}" if machines else "") + ".log")
        machine = skerry.Skerry(iso, log, **options)
        machines.append((machine, log))
        return machine

    yield start
    for machine, log in machines:
        machine.close()
        if getattr(request.node, "failed", False):
            with open(log, encoding="utf-8", errors="replace") as f:
                tail = f.read()[-4000:]
            print(f"---- end of {log} ----\n{tail}")
