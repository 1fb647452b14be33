"""Draws the figures beside KVM's and Xen's, as SVG. Pure.

Every panel has a scale of its own that begins at 0 (or at bare, where ratios are shown): within a
panel the lengths of bars can be compared. Colours and text can be read on light and on dark pages.
"""

import re
from xml.sax.saxutils import escape

import figures

COLOURS = {"Skerry": "#2a78d6", "KVM": "#d9822b", "Xen": "#2f9e8f"}

PANELS_ACROSS = 2
PANEL, GAP = 410, 48       # widths
LABEL, NUMBER = 104, 84    # widths of the texts beside a bar
NEAR = 72                  # width of the text below an axis, with some room
BAR, STEP = 16, 23         # height of a bar, and from one to the next
HEAD, FOOT = 30, 26        # above and below the bars of a panel
TOP = 62

STYLE = """\
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #57606a; }
.title { font-size: 16px; font-weight: 600; }
.panel { font-weight: 600; }
.small { font-size: 11px; }
.axis { stroke: #8c959f; }
.limit { stroke: #cf222e; stroke-dasharray: 4 3; }
.limit-text { font-size: 11px; fill: #cf222e; }
@media (prefers-color-scheme: dark) {
  text { fill: #adbac7; }
  .limit { stroke: #ff7b72; }
  .limit-text { fill: #ff7b72; }
}"""


def _text(x, y, text, kind="", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
            + (f' class="{kind}"' if kind else "") + f">{escape(text)}</text>")


def _line(x, top, bottom, kind):
    return f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" class="{kind}"/>'


def _panel(x, y, title, bars, base, base_text, limit, show):
    """One panel. bars: [(label, number or None)]; `base`: the number at which bars begin."""
    numbers = [number for _, number in bars if number is not None] + [base]
    if limit is not None:
        numbers.append(limit)
    low, high = min(numbers), max(numbers)
    left, width = x + LABEL, PANEL - LABEL - NUMBER

    def at(number):
        return left + width * (number - low) / (high - low or 1)

    top = y + HEAD
    bottom = top + STEP * len(bars)
    yield _text(x, y + 14, title, "panel")
    for i, (label, number) in enumerate(bars):
        middle = top + STEP * i + STEP / 2
        yield _text(left - 8, middle + 4.5, label, anchor="end")
        if number is None:
            yield _text(x + PANEL, middle + 4, "not measured", "small", "end")
            continue
        yield _text(x + PANEL, middle + 4.5, show(number), anchor="end")
        start, end = sorted((at(base), at(number)))
        colour = COLOURS[re.split("[ ,]", label)[0]]
        yield (f'<rect x="{start:.1f}" y="{middle - BAR / 2:.1f}" '
               f'width="{max(end - start, 1):.1f}" height="{BAR}" fill="{colour}"/>')
    yield _line(at(base), top - 2, bottom + 2, "axis")
    if base_text:
        yield _text(at(base), bottom + 15, base_text, "small", "middle")
    if limit is not None:
        yield _line(at(limit), top - 2, bottom + 2, "limit")
        near = at(limit) - at(base) < NEAR  # their texts would lie over each other
        yield _text(at(base) + NEAR / 2 if near else at(limit), bottom + 15, f"limit {limit}",
                    "limit-text", "start" if near else "middle")


def chart(title, subtitle, panels):
    """panels: [dict of the arguments title, bars, base, base_text, limit, show of _panel]"""
    rows = [panels[i:i + PANELS_ACROSS] for i in range(0, len(panels), PANELS_ACROSS)]
    width = PANEL * PANELS_ACROSS + GAP * (PANELS_ACROSS - 1) + 40
    out, y = [], TOP
    for row in rows:
        for i, panel in enumerate(row):
            out += _panel(20 + i * (PANEL + GAP), y, **panel)
        y += HEAD + FOOT + STEP * max(len(panel["bars"]) for panel in row)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y + 4}" width="{width}" '
        f'height="{y + 4}" role="img">',
        f"<title>{escape(title)}</title>", f"<style>\n{STYLE}\n</style>",
        _text(20, 26, title, "title"), _text(20, 46, subtitle), *out, "</svg>", ""])


def _plain_title(title):
    return title.replace("`", "")


def operations(table, rows):
    """Instructions of each operation. rows: figures.complete() of the table."""
    panels = [{
        "title": _plain_title(table.rows[row]), "base": 0, "base_text": "",
        "limit": None,
        "bars": [("Skerry, 32-bit", cells.get("32")), ("Skerry, 64-bit", cells.get("64")),
                 ("Xen 4.17", cells.get("xen")), ("KVM 6.1", cells.get("kvm"))],
        "show": lambda number: f"{number:,}",
    } for row, cells in rows.items()]
    return chart("Instructions per operation",
                 "executed from one exit to the next, on the same emulated CPU; less is better; "
                 "each panel has its own scale", panels)


def linux(table, rows):
    """Work of Linux as a guest, against bare."""
    panels = [{
        "title": _plain_title(table.rows[row]), "base": 1, "base_text": "1 = bare",
        "limit": cells["limit"],
        "bars": [("Skerry", cells["ratio"]), ("Xen 4.17", cells.get("xen")),
                 ("KVM 6.1", cells.get("kvm"))],
        "show": lambda number: f"{number:.3f}",
    } for row, cells in rows.items() if "ratio" in cells]
    return chart("Work of Linux in a guest, against bare",
                 "executed instructions, guest / bare, on the same emulated CPU; less is better; "
                 "each panel has its own scale", panels)


def all_of(found):
    """{file name: SVG} of figures.complete() of all figures."""
    return {"linux.svg": linux(figures.LINUX, found["linux"]),
            "operations.svg": operations(figures.OPERATIONS, found["operations"])}
