"""A second Negentropy v1, as short as it can be: sorted lists, no caches, no generators.

It keeps the reference's habits where a frame is full, with the two corrections of docs/reconciliation.md.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left

Key = tuple[int, bytes]  # created, id
Bound = tuple[float, bytes]  # created, id prefix as written
END: Bound = (float("inf"), b"")


def varint(number: int) -> bytes:
    return bytes(
        [0x80 | number >> shift & 0x7F for shift in range(63, 0, -7) if number >> shift] + [number & 0x7F]
    )


def fingerprint(keys: list[Key]) -> bytes:
    total = sum(int.from_bytes(key[1], "little") for key in keys) % 2**256
    return hashlib.sha256(total.to_bytes(32, "little") + varint(len(keys))).digest()[:16]


class PlainResponder:
    """Answers messages of a well-behaved initiator."""

    def __init__(self, keys: list[Key], frame_bytes_max: int) -> None:
        self.keys = sorted(keys)
        self.room = frame_bytes_max - 200

    def respond(self, raw: bytes) -> bytes:
        self.out, self.last = bytearray(b"\x61"), 0
        lower: Bound = (0, b"")
        written: Bound = (0, b"")
        for bound, mode, payload in self.read(raw):
            inside = self.inside(lower, bound)
            mark, rest = len(self.out), None
            if mode == 0 or (mode == 1 and fingerprint(inside) == payload):
                lower = bound
                continue
            if written != lower:
                self.put(lower, b"\x00")
            if mode == 2:
                fitting = inside[: (self.room - mark) // 32 + 1]
                if len(fitting) < len(inside):
                    bound = inside[len(fitting)]
                self.put(bound, self.listed(fitting))
                if len(self.out) > self.room and bound != END:
                    rest = self.inside(bound, END)
            else:
                self.split(inside, bound)
                if len(self.out) > self.room:
                    del self.out[mark:]
                    rest = self.inside(written if payload == fingerprint([]) else bound, END)
            if rest is not None:
                self.put(END, b"\x01" + fingerprint(rest))
                break
            lower = written = bound
        return bytes(self.out)

    def inside(self, lower: Bound, upper: Bound) -> list[Key]:
        return self.keys[bisect_left(self.keys, lower) : bisect_left(self.keys, upper)]

    def listed(self, keys: list[Key]) -> bytes:
        return b"\x02" + varint(len(keys)) + b"".join(key[1] for key in keys)

    def split(self, keys: list[Key], bound: Bound) -> None:
        if len(keys) < 32:
            self.put(bound, self.listed(keys))
            return
        sizes = [len(keys) // 16 + (bucket < len(keys) % 16) for bucket in range(16)]
        for size in sizes:
            bucket, keys = keys[:size], keys[size:]
            self.put(self.between(bucket[-1], keys[0]) if keys else bound, b"\x01" + fingerprint(bucket))

    def between(self, before: Key, after: Key) -> Bound:
        if before[0] != after[0]:
            return (after[0], b"")
        same = next(at for at in range(32) if before[1][at] != after[1][at])
        return (after[0], after[1][: same + 1])

    def put(self, bound: Bound, content: bytes) -> None:
        if bound == END:
            self.out += b"\x00\x00" + content
        else:
            self.out += varint(int(bound[0]) + 1 - self.last) + varint(len(bound[1])) + bound[1] + content
            self.last = int(bound[0])

    def read(self, raw: bytes) -> list[tuple[Bound, int, bytes]]:
        at, created, ranges = 1, 0, []

        def number() -> int:
            nonlocal at
            value = 0
            while True:
                at += 1
                value = value << 7 | raw[at - 1] & 0x7F
                if raw[at - 1] < 0x80:
                    return value

        def take(length: int) -> bytes:
            nonlocal at
            at += length
            return raw[at - length : at]

        while at < len(raw):
            step = number()
            created += max(0, step - 1)
            prefix = take(number())
            bound = END if step == 0 else (created, prefix)
            mode = number()
            ranges.append((bound, mode, take(16) if mode == 1 else take(32 * number()) if mode == 2 else b""))
        return ranges
