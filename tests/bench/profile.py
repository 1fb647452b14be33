"""Where the hypervisor's instructions went: what marks.c counted for each address, by function.

    tests/bench/profile.py FILE SYMBOLS.elf FROM TO [LINES]     places as marks.c names them

FILE is build/bench/guest.profile. A function that was inlined counts for the one around it.
"""

import bisect
import subprocess
import sys


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


def main():
    path, elf, first, last = sys.argv[1:5]
    lines = int(sys.argv[5]) if len(sys.argv) > 5 else 40
    places = read(path)
    rows = by_function(places[first], places[last], symbols(elf))
    print(f"{first} to {last}: {sum(row[0] for row in rows)} instructions of the hypervisor")
    for total, entered, name in rows[:lines]:
        print(f"{total:14} {entered:10} {name}")


if __name__ == "__main__":
    main()
