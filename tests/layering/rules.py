"""The rules about which folder may use which, as docs/architecture.md explains them.

check(top) returns one sentence for each line that breaks a rule.
"""

import os
import re

# What a file in a folder may include by rooted path: prefixes of folders and files. The longest
# matching folder in this table counts. Everybody may use lib/ and its own folder.
ALLOWED = {
    "boot": ["boot/", "console/", "guests/", "sched/", "mm/", "drivers/", "arch/x86/"],
    "console": ["boot/info.h", "guests/", "sched/", "mm/", "drivers/", "arch/x86/"],
    "guests": ["boot/info.h", "guests/vdev/", "sched/", "mm/", "drivers/", "arch/x86/"],
    # A device sees the bus, lines, MSI, a clock and callbacks (guests/vdev/vdev.h), no more.
    "guests/vdev": ["guests/board.h"],
    "sched": ["arch/x86/"],
    "mm": ["arch/x86/", "boot/info.h"],
    # Host memory for stacks and tables, and the clock that the TSC is compared with.
    "arch/x86": ["mm/", "drivers/cmos.h", "boot/info.h"],
    # The back ends are leaves: memory is given to them, and they call nothing above.
    "arch/x86/svm": ["arch/x86/"],
    "arch/x86/vmx": ["arch/x86/"],
    "drivers": ["arch/x86/", "mm/hostmap.h"],
    "lib": [],
    "lib/klibc": [],
}

# Folders below arch/x86/ that are reached only from inside, or where the back end is chosen.
BACK_ENDS = ("arch/x86/svm/", "arch/x86/vmx/")
CHOICE = ("arch/x86/hv.c",)

# Made by the build.
GENERATED = {"offsets.h", "version.h", "dsdt.hex"}

# The compiler's own headers, and third-party ones with who may use them.
COMPILER = {"stdalign.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h"}
THIRD_PARTY = {"jsmn.h": "guests/", "Zydis/": "guests/", "zlib.h": "guests/", "lz4.h": "console/"}

# Words of one vendor, as parts of names (comments and strings may say them).
VENDOR_WORDS = {"vmcb", "vmcs", "svm", "vmx", "npt", "ept"}
VENDOR_FILES = CHOICE

# Tests may include anything, but these folders hold the hypervisor.
FOLDERS = ("arch", "boot", "console", "drivers", "guests", "lib", "mm", "sched")

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
NOT_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
NAME = re.compile(r"[A-Za-z_]\w*")


def sources(top):
    """Rooted paths of the hypervisor's C and assembly files."""
    for folder in FOLDERS:
        for where, _, files in os.walk(os.path.join(top, folder)):
            for file in sorted(files):
                if file.endswith((".c", ".h", ".S")):
                    yield os.path.relpath(os.path.join(where, file), top)


def blank(match):
    """Comments and strings become spaces, so that line numbers stay."""
    return re.sub(r"[^\n]", " ", match.group())


def folder_of(path):
    folder = os.path.dirname(path)
    while folder not in ALLOWED:
        if not folder:
            return None
        folder = os.path.dirname(folder)
    return folder


def include_error(path, rooted, angled):
    folder = folder_of(path)
    if angled:
        if angled in COMPILER or folder == "lib/klibc":
            return None
        for name, user in THIRD_PARTY.items():
            if angled == name or (name.endswith("/") and angled.startswith(name)):
                return None if path.startswith(user) else f"<{angled}> is only for {user}"
        return f"<{angled}> is not a header of the freestanding compiler"
    if rooted in GENERATED:
        return None
    if "/" not in rooted:
        return f'"{rooted}" is not a path from the top folder'
    if rooted.startswith(BACK_ENDS):
        back_end = next(b for b in BACK_ENDS if rooted.startswith(b))
        if path.startswith(back_end) or path in CHOICE:
            return None
        return f'"{rooted}" belongs to one back end'
    if rooted.startswith("lib/") or os.path.dirname(rooted) == folder:
        return None
    if any(rooted == a or (a.endswith("/") and rooted.startswith(a)) for a in ALLOWED[folder]):
        return None
    return f'{folder}/ may not use "{rooted}"'


def check(top):
    wrong = []
    for path in sources(top):
        with open(os.path.join(top, path), encoding="utf-8") as f:
            text = f.read()
        if folder_of(path) is None:
            wrong.append(f"{path}: no rule knows this folder")
            continue
        for number, line in enumerate(text.splitlines(), 1):
            found = INCLUDE.match(line)
            error = found and include_error(path, *found.groups())
            if error:
                wrong.append(f"{path}:{number}: {error}")
        if path.startswith(BACK_ENDS) or path in VENDOR_FILES:
            continue
        for number, line in enumerate(NOT_CODE.sub(blank, text).splitlines(), 1):
            for name in NAME.findall(line):
                if VENDOR_WORDS & set(name.lower().split("_")):
                    wrong.append(f"{path}:{number}: {name}: a word of one vendor outside its "
                                 f"back end")
    return wrong


# ---- nothing is forgotten ----

def listed(makefile):
    """The sources that a makefile names."""
    return set(re.findall(r"[\w/.-]+\.[cS]\b", makefile))


# Compiled by rules of their own.
NOT_LINKED = {"arch/x86/offsets.c"}


def unlisted(top):
    """Sources that the Makefile does not build, and unit tests that are not registered."""
    with open(os.path.join(top, "Makefile"), encoding="utf-8") as f:
        built = listed(f.read())
    wrong = [f"{path}: not in the Makefile's lists" for path in sources(top)
             if not path.endswith(".h") and path not in built | NOT_LINKED]
    with open(os.path.join(top, "tests", "unit", "unit.mk"), encoding="utf-8") as f:
        text = f.read().replace("\\\n", " ")
    registered = set(" ".join(re.findall(r"^UNIT_TESTS \+=(.*)", text, re.MULTILINE)).split())
    for file in sorted(os.listdir(os.path.join(top, "tests", "unit"))):
        if file.startswith("test_") and file.endswith(".c") and file[:-2] not in registered:
            wrong.append(f"tests/unit/{file}: not registered in tests/unit/unit.mk")
    return wrong
