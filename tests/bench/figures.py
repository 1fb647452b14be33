"""The bench's figures as docs/performance.md has them: tables that are written, read back,
compared, and held against their limits. Pure: no file, no machine.

Figures are {table: {row: {column: number}}}. In the document each table follows a line
"<!-- figures: TABLE -->". What was measured for others, and the limits, stand here.
"""

import dataclasses
import re

# Of VMX for each instruction of SVM, and of one CPUID on Bochs.
VENDOR_RATIO_LIMIT = 1.25
BOCHS_CPUID_LIMIT = 250


@dataclasses.dataclass(frozen=True)
class Table:
    rows: dict         # row: its title
    columns: dict      # column: its title; the first is that of the rows' titles
    measured: tuple    # those columns that are measured, not derived or given
    given: dict        # row: {column: number}
    decimals: dict     # column: how many, of what is worked out


def _operation(kvm, xen, limit32, limit64):
    given = {"kvm": kvm, "xen": xen, "limit32": limit32, "limit64": limit64}
    return {column: number for column, number in given.items() if number is not None}


OPERATIONS = Table(
    rows={
        "cpuid": "`cpuid`",
        "hypercall": "hypercall (`vmmcall`, `vmcall`), invalid number",
        "in-0x21": "`in 0x21`",
        "lapic-read": "local APIC read (MMIO)",
        "lapic-tpr-write": "local APIC TPR write (MMIO)",
        "rdmsr-tsc-adjust": "`rdmsr` TSC_ADJUST",
        "x2apic-self-ipi": "x2APIC self-IPI, delivery and EOI",
    },
    columns={"": "operation", "kvm": "KVM 6.1", "xen": "Xen 4.17",
             "limit32": "limit, 32-bit unpaged guest", "32": "Skerry, 32-bit unpaged guest",
             "limit64": "limit, 64-bit paged guest", "64": "Skerry, 64-bit paged guest"},
    measured=("32", "64"),
    given={
        "cpuid": _operation(2489, 2494, 300, 400),
        "hypercall": _operation(2627, 2559, 300, 400),
        "in-0x21": _operation(1555, 1122, 300, 300),
        "lapic-read": _operation(3373, 15233, 900, 900),
        "lapic-tpr-write": _operation(3302, 5229, 900, 900),
        "rdmsr-tsc-adjust": _operation(2557, 2411, 300, 400),
        "x2apic-self-ipi": _operation(9726, None, 1200, 1200),
    },
    decimals={})

VENDORS = Table(
    rows=OPERATIONS.rows,
    columns={"": "operation",
             "svm32": "32-bit: SVM", "vmx32": "32-bit: VMX", "ratio32": "32-bit: ratio",
             "svm64": "64-bit: SVM", "vmx64": "64-bit: VMX", "ratio64": "64-bit: ratio"},
    measured=("svm32", "vmx32", "svm64", "vmx64"),
    given={},
    decimals={"ratio32": 2, "ratio64": 2})

LINUX = Table(
    rows={
        "entry": "the hypervisor's entry to the guest's first instruction",
        "kernel": "kernel to userspace",
        "fork": "200 fork+exec",
        "dd": "`dd`, 64 MiB into ramfs",
        "md5sum": "`md5sum` of it",
    },
    columns={"": "work", "bare": "bare, executed", "bare_total": "bare, total",
             "guest": "guest, executed", "guest_total": "guest, total",
             "own": "hypervisor, executed", "ratio": "guest / bare", "limit": "limit",
             "kvm": "KVM 6.1", "xen": "Xen 4.17"},
    measured=("bare", "bare_total", "guest", "guest_total", "own"),
    given={
        "entry": {"limit": 60000000},
        "kernel": {"limit": 1.03, "kvm": 1.072},
        "fork": {"limit": 1.02, "kvm": 1.107, "xen": 1.168},
        "dd": {"limit": 1.01, "kvm": 1.469, "xen": 1.007},
        "md5sum": {"limit": 1.002, "kvm": 1.004, "xen": 1.006},
    },
    decimals={"ratio": 4})

TABLES = {"operations": OPERATIONS, "vendors": VENDORS, "linux": LINUX}


# ---- what follows from what was measured ----

def complete(figures):
    """The same with ratios and all that is given."""
    out = {}
    for name, rows in figures.items():
        table = TABLES[name]
        out[name] = {}
        for row in table.rows:
            cells = dict(table.given.get(row, {}))
            cells.update(rows.get(row, {}))
            for ratio, over, under in (("ratio", "guest", "bare"), ("ratio32", "vmx32", "svm32"),
                                       ("ratio64", "vmx64", "svm64")):
                if ratio in table.columns and cells.get(under) and over in cells:
                    cells[ratio] = cells[over] / cells[under]
            out[name][row] = cells
    return out


# What no machine gives: there is nothing bare before the guest's first instruction.
NEVER = {("linux", "entry", "bare"), ("linux", "entry", "bare_total")}


def missing(figures):
    """Titles of what should have been measured and was not."""
    for name, rows in figures.items():
        table = TABLES[name]
        for row, title in table.rows.items():
            for column in table.measured:
                if (name, row, column) not in NEVER and column not in rows.get(row, {}):
                    yield f"{title}, {table.columns[column]}"


def over_limits(figures):
    """A sentence for each figure that is more than allowed."""
    for name, rows in complete(figures).items():
        for row, cells in rows.items():
            title = TABLES[name].rows[row]
            for column, limit in _limits(name, row, cells):
                if cells.get(column, 0) > limit:
                    yield f"{title}, {TABLES[name].columns[column]}: " \
                          f"{_text(cells[column], 4)} is over the limit of {_text(limit)}"


def _limits(name, row, cells):
    if name == "operations":
        yield from (("32", cells["limit32"]), ("64", cells["limit64"]))
    elif name == "vendors":
        yield from (("ratio32", VENDOR_RATIO_LIMIT), ("ratio64", VENDOR_RATIO_LIMIT))
        if row == "cpuid":
            yield from ((column, BOCHS_CPUID_LIMIT) for column in TABLES[name].measured)
    else:
        yield "guest" if row == "entry" else "ratio", cells["limit"]


# ---- tables as text ----

def _text(number, decimals=None):
    if number is None:
        return ""
    if isinstance(number, int):
        return f"{number:,}" if number >= 10000 else str(number)
    return str(number) if decimals is None else f"{number:.{decimals}f}"


def _number(text):
    text = text.replace(",", "").strip()
    if not text:
        return None
    return float(text) if "." in text else int(text)


def cells_of(name, rows):
    """[[text]] of a table, its head first."""
    table = TABLES[name]
    out = [list(table.columns.values())]
    for row, cells in complete({name: rows})[name].items():
        out.append([table.rows[row]] + [_text(cells.get(column), table.decimals.get(column))
                                        for column in list(table.columns)[1:]])
    return out


def markdown(name, rows):
    head, *lines = ("| " + " | ".join(cells) + " |" for cells in cells_of(name, rows))
    return "\n".join([re.sub(r" +\|", " |", line) for line in
                      [head, "|" + "---|" * len(TABLES[name].columns), *lines]]) + "\n"


def plain(name, rows):
    """The table for a terminal."""
    cells = [[text.replace("`", "") for text in line] for line in cells_of(name, rows)]
    # a head of several words is put on several lines
    heads = [re.split(", |: ", text) for text in cells[0]]
    depth = max(map(len, heads))
    cells[:1] = [[head[i] if i < len(head) else "" for head in heads] for i in range(depth)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(heads))]
    for line in cells:
        yield "  ".join(text.ljust(width) if i == 0 else text.rjust(width)
                        for i, (text, width) in enumerate(zip(line, widths))).rstrip()


# ---- the document ----

TABLE = re.compile(r"(<!-- figures: (\w+) -->\n\n?)((?:\|.*\n)*)")


def read(document):
    """The measured figures of a document."""
    out = {}
    for _, name, text in TABLE.findall(document):
        table = TABLES[name]
        titles = {title: row for row, title in table.rows.items()}
        out[name] = {}
        for line in text.splitlines():
            title, *numbers = [cell.strip() for cell in line.strip("|").split("|")]
            if title in titles:
                cells = dict(zip(list(table.columns)[1:], numbers))
                out[name][titles[title]] = {column: _number(cells[column])
                                            for column in table.measured if cells.get(column)}
    return out


def write(document, figures):
    """The document with other figures."""
    def table(match):
        name = match[2]
        return match[1] + markdown(name, figures[name]) if name in figures else match[0]
    return TABLE.sub(table, document)


def changes(old, new):
    """[(title, old or None, new or None)] of what differs."""
    for name, rows in new.items():
        table = TABLES[name]
        for row, title in table.rows.items():
            before, after = old.get(name, {}).get(row, {}), rows.get(row, {})
            for column in table.measured:
                if before.get(column) != after.get(column):
                    yield (f"{name}: {title.replace('`', '')}, {table.columns[column]}",
                           before.get(column), after.get(column))


def change_lines(found):
    """Those as lines of a table: old, new, difference."""
    width = max((len(title) for title, _, _ in found), default=0)
    for title, before, after in found:
        line = f"{title:{width}}  {_text(before) or 'not there':>14} -> " \
               f"{_text(after) or 'not there':>14}"
        if before and after:
            line += f"  {after - before:+,} ({100 * (after - before) / before:+.2f} %)"
        yield line
