"""tools/skerry-dump: which dump of a log it takes, and what it makes of anything. (That what the
hypervisor writes comes back is tests/unit/test_dump.c's.)"""

import base64
import binascii
import os
import random
import struct
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(TOP, "tools", "skerry-dump")


def line(mark, number, data):
    text = f"{mark}{number:06x} {base64.b64encode(data).decode()}"
    return f"{text} {binascii.crc32(text.encode()):08x}"


def stored(offset, content):
    """A record that is not compressed."""
    return struct.pack("<QIII", offset, len(content), len(content),
                       binascii.crc32(content)) + content


def dump(identity, content, remark="of a test"):
    lines = [f"-----BEGIN SKERRY DUMP {identity:016x}-----", f": {remark}",
             line("@", 0, stored(0, content)),
             f"-----END SKERRY DUMP {identity:016x}: 1 lines, {len(content)} bytes-----"]
    return "\r\n".join(lines) + "\r\n"


def run(tmp_path, text, *arguments):
    log, core = tmp_path / "log", tmp_path / "core"
    log.write_bytes(text if isinstance(text, bytes) else text.encode())
    if core.exists():
        core.unlink()
    done = subprocess.run([TOOL, log, *(arguments or ("-o", core))], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout, core.read_bytes() if core.exists() else None


def test_takes_the_last_one_or_the_one_that_is_named(tmp_path):
    text = "boot\n" + dump(1, b"first", "number one") + "between\n" + dump(2, b"second")
    assert run(tmp_path, text)[::2] == (0, b"second")
    assert run(tmp_path, text, "--id", f"{1:016x}", "-o", tmp_path / "core")[::2] == (0, b"first")
    status, said, _ = run(tmp_path, text, "--id", f"{3:016x}", "-o", tmp_path / "core")
    assert status == 2 and f"no dump {3:016x}" in said
    status, said, _ = run(tmp_path, text, "--list")
    assert status == 0 and said.split("\n")[0] == f"{1:016x}: number one; 0 troubles"


def test_other_lines_do_not_matter(tmp_path):
    text = dump(1, b"content").replace("\r\n", "\r\r\n[    1.0] a line of the log\r\nguest: @000000 x\r\n")
    assert run(tmp_path, text)[::2] == (0, b"content")


def test_says_what_is_wrong_with_a_record(tmp_path):
    bad = struct.pack("<QIII", 4096, 4, 4, 1) + b"abcd"
    text = dump(1, b"content").replace(": of a test", line("@", 0, bad)).replace(
        line("@", 0, stored(0, b"content")), line("@", 1, stored(0, b"content"))).replace(
        "1 lines", "2 lines")
    status, said, core = run(tmp_path, text)
    assert status == 1 and core == b"content"
    assert "a piece for offset 0x1000 of the file is left out: its checksum is wrong" in said


def test_wants_to_know_where_to(tmp_path):
    status, said, _ = run(tmp_path, "", "--id", "1")
    assert status == 2 and "say where to write it" in said
    assert run(tmp_path, "no dump\n")[0] == 2
    assert run(tmp_path, "", "--list")[0] == 2


def test_survives_anything(tmp_path):
    """Noise between the marks, with good checksums: a sentence, no traceback."""
    random.seed(1)
    lines = ["-----BEGIN SKERRY DUMP 0000000000000001-----"]
    for number in range(300):
        content = random.randbytes(random.randrange(1, 72))
        if random.random() < 0.5:  # a header that could be right, over nonsense as LZ4
            content = struct.pack("<QIII", 0, 100, max(len(content) - 20, 0), 0) + content[20:]
        lines.append(line(random.choice("@+"), number, content))
    status, said, _ = run(tmp_path, "\n".join(lines).encode() + b"\xff\n")
    assert status == 1 and "Traceback" not in said
