"""In which functions the hypervisor spent its instructions: what marks.c counted for each address.
A function that was inlined counts for the one around it."""

import bisect
import subprocess

LINES = 24  # functions shown of each piece


def read(path):
    """{place: {address: count}}; of a place that comes more than once, the first."""
    places, counts = {}, {}
    with open(path, encoding="ascii") as f:
        for line in f:
            words = line.split()
            if len(words) == 1:
                counts = {}
                place = "kernel" if words[0] in ("kernel32", "kernel64") else words[0]
                places.setdefault(place, counts)
            else:
                counts[int(words[0], 16)] = int(words[1])
    return places


def symbols(elf):
    """Sorted [(address, name)] of code."""
    text = subprocess.run(["nm", "--defined-only", elf], check=True, stdout=subprocess.PIPE,
                          text=True).stdout
    rows = (line.split() for line in text.splitlines())
    return sorted((int(row[0], 16), row[2]) for row in rows if row[1] in "tTwW")


def by_function(before, after, table):
    """[(instructions, times that the function's first instruction was executed, name)], most
    instructions first."""
    starts = [address for address, _ in table]
    total, entered = {}, {}
    for address, count in after.items():
        count -= before.get(address, 0)
        if not count:
            continue
        i = bisect.bisect_right(starts, address) - 1
        name = table[i][1] if i >= 0 else "?"
        total[name] = total.get(name, 0) + count
        if i >= 0 and address == starts[i]:
            entered[name] = count
    return sorted(((n, entered.get(name, 0), name) for name, n in total.items()), reverse=True)


def report(path, elf, pieces):
    """Lines about each of {piece: (first place, last place)}."""
    places, table = read(path), symbols(elf)
    for piece, (first, last) in pieces.items():
        if first not in places or last not in places:
            continue
        rows = by_function(places[first], places[last], table)
        yield f"{piece}: {sum(row[0] for row in rows):,} instructions; times entered; function"
        for total, entered, name in rows[:LINES]:
            yield f"{total:14,} {entered:10,} {name}"
