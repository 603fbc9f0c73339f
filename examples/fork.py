"""A fork that can be checked: f16 behind the protocol of `turboquant verify --exec` (docs/oracle.md).

turboquant verify --format ggml/f16 --exec "python3 examples/fork.py"
"""

import struct
import sys

ENCODE, DECODE = 1, 2


def half(value):
    try:
        return struct.pack("<e", value)
    except OverflowError:  # Python refuses what IEEE rounds to infinity
        return struct.pack("<e", float("inf") if value > 0 else float("-inf"))


def answer(op, payload):
    if op == ENCODE:
        values = struct.unpack(f"<{len(payload) // 4}f", payload)
        return b"".join(map(half, values))
    if op == DECODE:
        values = struct.unpack(f"<{len(payload) // 2}e", payload)
        return struct.pack(f"<{len(values)}f", *values)
    return b""  # not offered


while header := sys.stdin.buffer.read(16):
    op, dim, vectors, length = struct.unpack("<4I", header)
    out = answer(op, sys.stdin.buffer.read(length))
    sys.stdout.buffer.write(struct.pack("<I", len(out)) + out)
    sys.stdout.buffer.flush()
