"""The canonical wire form: the part of MessagePack that has one way to write each value, and nothing else.

Rules (docs/envelope.md, "Canonical encoding"):

1. The only types are unsigned integers below 2^53, bin, str (UTF-8), arrays and maps.
2. Every length and integer takes its shortest form.
3. Map keys are integers in the ascending order that the format names; none is missing, none is added.
4. Nothing follows the value.

`Reader` accepts exactly this form, so re-encoding what it read gives the same bytes: there is no second
form to compare. It is directed by the caller, which names the next type; so hostile nesting costs no
recursion and a 16 MiB array of empty maps costs no memory (a general decoder turns it into 1.2 GB).
"""

from __future__ import annotations

import msgpack

from p2pshare.errors import PeerError

INTEGER_MAX = (1 << 53) - 1  # what every language's numbers hold exactly

_FIXINT_END = 0x80
_UNSIGNED = {0xCC: (1, 0x80), 0xCD: (2, 0x100), 0xCE: (4, 0x1_0000), 0xCF: (8, 0x1_0000_0000)}
_BIN = {0xC4: (1, 0), 0xC5: (2, 0x100), 0xC6: (4, 0x1_0000)}
_STR = {0xD9: (1, 32), 0xDA: (2, 0x100)}
_ARRAY = {0xDC: (2, 16), 0xDD: (4, 0x1_0000)}

Value = int | bytes | str | list["Value"] | dict[int, "Value"]


def pack(value: object) -> bytes:
    """Returns the canonical bytes of `value` (int, bytes, str, list/tuple, dict with ascending integer keys)."""
    return bytes(msgpack.packb(value, use_bin_type=True, strict_types=False))


def refusal(reason: str, message: str) -> PeerError:
    """Returns a `PeerError` whose reason is counted and whose message never repeats the input."""
    return PeerError(message, reason=reason)


class Reader:
    """A reader of one canonical value, front to back; each method reads the type that must come next.

    Raises PeerError `malformed` (another type, another length, too short) or `not-canonical` (the right
    value in a longer form).
    """

    __slots__ = ("_offset", "_raw")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._offset = 0

    def array(self, low: int, high: int) -> int:
        """Returns the number of elements of the array that starts here, within `low` and `high`."""
        head = self._byte()
        count = head & 15 if 144 <= head <= 159 else self._sized(_ARRAY, head)
        if not low <= count <= high:
            raise refusal("malformed", f"an array of {low} to {high} elements was expected")
        return count

    def map(self, count: int) -> None:
        """Read the head of a map of exactly `count` (at most 15) entries."""
        self.map_between(count, count)

    def map_between(self, low: int, high: int) -> int:
        """Returns the number of entries of the map that starts here, within `low` and `high` (at most 15)."""
        count = self._byte() ^ 0x80
        if not low <= count <= high:
            raise refusal(
                "malformed", f"a map of {low if low == high else f'{low} to {high}'} entries was expected"
            )
        return count

    def key(self, number: int) -> None:
        """Read the map key `number` (below 128)."""
        if self._byte() != number:
            raise refusal("malformed", f"map key {number} was expected")

    def integer(self, high: int = INTEGER_MAX) -> int:
        """Returns an unsigned integer of at most `high`."""
        head = self._byte()
        value = head if head < _FIXINT_END else self._sized(_UNSIGNED, head)
        if value > high:
            raise refusal("malformed", "an integer is too large")
        return value

    def blob(self, low: int, high: int) -> bytes:
        """Returns a bin of `low` to `high` bytes."""
        return self._take(self._sized(_BIN, self._byte()), low, high)

    def text(self, low: int, high: int) -> str:
        """Returns a str of `low` to `high` bytes of valid UTF-8."""
        head = self._byte()
        length = head & 0x1F if 0xA0 <= head <= 0xBF else self._sized(_STR, head)
        try:
            return self._take(length, low, high).decode("utf-8")
        except UnicodeDecodeError:
            raise refusal("malformed", "a text is not UTF-8") from None

    def end(self) -> None:
        """Require that nothing follows."""
        if self._offset != len(self._raw):
            raise refusal("malformed", "bytes follow the end")

    def _byte(self) -> int:
        if self._offset >= len(self._raw):
            raise refusal("malformed", "the bytes end too early")
        head = self._raw[self._offset]
        self._offset += 1
        return head

    def _sized(self, forms: dict[int, tuple[int, int]], head: int) -> int:
        """Returns the big-endian number behind `head`. Raises PeerError `not-canonical` when a shorter form could hold it."""
        if head not in forms:
            raise refusal("malformed", "another type was expected")
        width, smallest = forms[head]
        field = self._take(width, width, width)
        value = int.from_bytes(field, "big")
        if value < smallest:
            raise refusal("not-canonical", "a number is not in its shortest form")
        return value

    def _take(self, length: int, low: int, high: int) -> bytes:
        if not low <= length <= high:
            raise refusal("malformed", f"a field of {low} to {high} bytes was expected")
        end = self._offset + length
        if end > len(self._raw):
            raise refusal("malformed", "the bytes end too early")
        taken = self._raw[self._offset : end]
        self._offset = end
        return taken
